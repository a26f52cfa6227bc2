"""Write `tests/golden/dictionaries_neuronpedia.json`: our feature files, as SAEDashboard's own classes for Neuronpedia read them.

Needs sae-dashboard, but no network: `python make_dictionaries_neuronpedia.py`. `make oracles` runs it.
"""

import json
from importlib.metadata import version

from dictionary_cases import FOLDERS, GOLDEN, OURS
from golden_text import compact
from sae_dashboard.neuronpedia.neuronpedia_dashboard import NeuronpediaDashboardBatch


def main() -> None:
    """Read and write down."""
    written = json.loads((FOLDERS / OURS / "neuronpedia" / "batch-0.json").read_text())
    # The class takes keywords: a field too many is an error, and one that is missing comes back in its own form.
    read = NeuronpediaDashboardBatch(**written).to_dict()
    made_by = {name: version(name) for name in ("sae-dashboard", "sae-lens")}
    (GOLDEN / "dictionaries_neuronpedia.json").write_text(compact({"made_by": made_by, "read": read}))


if __name__ == "__main__":
    main()
