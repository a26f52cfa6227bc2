"""Write `tests/golden/dictionaries/ours`: a small dictionary of every kind in every format that we write, for the peers to read.

Runs in the project's own environment, before the peers' scripts: `python make_dictionaries_ours.py`. `make oracles` runs it.
"""

import json
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from dictionary_cases import FOLDERS, INPUTS, N_ROWS, OURS

from features.cards.cards_samples import a_dictionary_folder, some_cards
from features.samples import ROWS, TRAINED, drawn, inputs
from glassbook.core.seeds import generator
from glassbook.features import open_dictionary
from glassbook.features.cards import save_cards
from glassbook.features.faults import DictionaryError
from glassbook.features.files import save_dictionary
from glassbook.features.formats import FORMATS, NEURONPEDIA, export_cards, export_dictionary

# sparsify's transcoders write as many numbers as they read.
SQUARE = {
    "square transcoder": ("transcoder", 8, 24, 8, {"activation": "topk", "activation_settings": {"k": 3}}),
    "square skip-transcoder": ("skip-transcoder", 8, 24, 8, {"activation": "topk", "activation_settings": {"k": 3}}),
    "transcoder, standard": ("transcoder", 8, 24, 6, {"activation": "standard"}),
    "transcoder, jumprelu": ("transcoder", 8, 24, 6, {"activation": "jumprelu"}),
}
FACTS = {"weights": {"name": "a-model"}, "harvest": {"context": 128}, "corpus": {"name": "a-corpus"}}


def main() -> None:
    """Write every kind in every format that has a word for it."""
    ROWS.update(SQUARE)
    shutil.rmtree(FOLDERS / OURS, ignore_errors=True)
    INPUTS.parent.mkdir(parents=True, exist_ok=True)
    INPUTS.write_text(json.dumps({"inputs": inputs(N_ROWS).tolist()}) + "\n")
    for format_name in FORMATS:
        if FORMATS.find(format_name).write is None:
            continue
        for label in (*TRAINED, *SQUARE):
            dictionary = drawn(label)
            is_transcoder = "transcoder" in dictionary.kind
            sites = {"site": "L3.resid_mid", "site_out": "L3.mlp_out"} if is_transcoder else {"site": "L3.resid_post"}
            dictionary.facts = FACTS | sites
            with suppress(DictionaryError):
                slug = re.sub(r"[^a-z0-9]+", "-", label)
                export_dictionary(dictionary, FOLDERS / OURS / format_name / slug, format_name)
    write_cards()


def write_cards() -> None:
    """Write the cards of a dictionary of few features as feature files."""
    with TemporaryDirectory() as place:
        folder = Path(place) / "L3-small"
        dictionary = a_dictionary_folder(folder)
        dictionary.decoder.data = torch.randn(dictionary.decoder.shape, generator=generator(0, "cards"))
        save_dictionary(folder, dictionary, FACTS | {"site": "L3.resid_post"})
        save_cards(folder, some_cards())
        export_cards(open_dictionary(folder), folder, FOLDERS / OURS / NEURONPEDIA)


if __name__ == "__main__":
    main()
