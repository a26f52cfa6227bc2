"""The default model says what it should about a text everybody measures on."""

import gzip
from pathlib import Path

import pytest

from glassbook.models.model import Model
from glassbook.models.scoring import perplexity

HEAD = Path(__file__).parents[1] / "golden" / "wikitext2_valid_head.txt.gz"
TRANSFORMERS = 19.5020
"""What transformers measures: first 4,096 tokens of WikiText-2's validation split, windows of 512, nothing prepended."""

pytestmark = pytest.mark.model


# What it rests on is held at once: the logits by test_default_model.py, what a perplexity is by test_scoring.py.
@pytest.mark.slow
def test_wikitext_perplexity_is_the_one_transformers_measures(default_model: Model) -> None:
    assert default_model.tokenizer is not None
    tokens = default_model.tokenizer.encode(gzip.decompress(HEAD.read_bytes()).decode())
    assert abs(perplexity(default_model, tokens, window=512, n_tokens=4096) - TRANSFORMERS) < 0.002
    # The control: shorter windows see less and must do worse.
    assert perplexity(default_model, tokens, window=128, n_tokens=1024) > TRANSFORMERS
