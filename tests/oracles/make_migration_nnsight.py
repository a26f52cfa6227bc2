"""Write `tests/golden/migration_nnsight.json`: what nnsight's side of docs/migration.md leaves behind.

Needs nnsight and the folder of the default model (dequantized to float32), but no network:
`python make_migration_nnsight.py <folder>`. `make oracles` runs it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles.golden_text import compact
from oracles.migration import GOLDEN, golden

PACKAGES = {"nnsight": ("nnsight", "transformers", "torch")}

if __name__ == "__main__":
    (GOLDEN / "migration_nnsight.json").write_text(compact(golden(PACKAGES, sys.argv[1])))
