"""Write `tests/golden/migration_steering.json`: what repeng's and steering-vectors' side of docs/migration.md leaves behind.

Needs both and the folder of the default model (dequantized to float32), but no network:
`python make_migration_steering.py <folder>`. `make oracles` runs it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles.golden_text import compact
from oracles.migration import GOLDEN, golden

PACKAGES = {
    "repeng": ("repeng", "transformers", "torch", "numpy", "scikit-learn"),
    "steering-vectors": ("steering-vectors", "transformers", "torch"),
}

if __name__ == "__main__":
    (GOLDEN / "migration_steering.json").write_text(compact(golden(PACKAGES, sys.argv[1])))
