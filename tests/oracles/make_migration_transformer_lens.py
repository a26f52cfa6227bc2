"""Write `tests/golden/migration_transformer_lens.json`: what TransformerLens's side of docs/migration.md leaves behind.

Needs transformer-lens and the folder of the default model (dequantized to float32), but no network:
`python make_migration_transformer_lens.py <folder>`. `make oracles` runs it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles.golden_text import compact
from oracles.migration import GOLDEN, golden

PACKAGES = {"transformer-lens": ("transformer-lens", "transformers", "torch")}

if __name__ == "__main__":
    (GOLDEN / "migration_transformer_lens.json").write_text(compact(golden(PACKAGES, sys.argv[1])))
