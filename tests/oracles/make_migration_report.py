"""Write `tests/golden/migration_report.json`, and its table at the end of docs/migration.md: how far ours is from the peers.

Runs our side of the page in the project's own environment, after the scripts that wrote what the peers left behind; needs
the default model. `make oracles` runs it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles.golden_text import compact
from oracles.migration import GOLDEN, PAGE, compare, left_behind, pairs, stored, with_table


def main() -> None:
    """Run every program of ours, compare, and write both."""
    text, report = PAGE.read_text(), {}
    for peer, found in stored().items():
        pair = pairs(text)[peer]
        ours = left_behind(pair["ours"], pair["names"])
        report[peer] = {"versions": found["versions"], "differences": compare(ours, found["results"])}
    (GOLDEN / "migration_report.json").write_text(compact(report))
    PAGE.write_text(with_table(text, report))


if __name__ == "__main__":
    main()
