"""The real model against numbers that transformers wrote down; see `oracles/make_smollm2_golden.py`."""

import json
from pathlib import Path

import pytest
import torch

from glassbook.activations.capture import capture
from glassbook.models.model import Model

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "smollm2_resid.json").read_text())
pytestmark = pytest.mark.model


def test_the_sentence_is_the_same_tokens(default_model: Model) -> None:
    assert default_model.to_tokens(GOLDEN["text"], prepend_bos=False).tolist() == [GOLDEN["ids"]]


def test_the_residual_stream_has_the_same_norm_at_every_layer(default_model: Model) -> None:
    cache = capture(default_model, [GOLDEN["ids"]], "L*.resid_post", positions=GOLDEN["positions"])
    norms = cache.stack("resid_post")[:, 0].norm(dim=-1)
    expected = torch.tensor(GOLDEN["resid_post_norms"])
    assert torch.allclose(norms, expected, rtol=1e-4)
    assert not torch.allclose(norms.roll(1, 0), expected, rtol=1e-2), "the control: another layer's norms"


def test_the_logits_and_the_most_probable_tokens_are_the_same(default_model: Model) -> None:
    logits = default_model([GOLDEN["ids"]])[0]
    assert logits.argmax(-1).tolist() == GOLDEN["argmax"]
    top = logits[-1].topk(5)
    assert top.indices.tolist() == GOLDEN["last_top_ids"]
    assert torch.allclose(top.values, torch.tensor(GOLDEN["last_top_logits"]), atol=2e-4)


def test_it_continues_a_text_alike_with_a_cache_in_a_batch_and_alone(default_model: Model) -> None:
    prompts = ["The capital of France is", "Water boils at", "Once upon a time, in a village by the sea,"]
    together = default_model.complete(prompts, max_new_tokens=8)
    assert "Paris" in together[0].text
    for prompt, one in zip(prompts, together, strict=True):
        alone = default_model.complete(prompt, max_new_tokens=8, use_cache=False)[0]
        row, start = one.prompt_tokens + alone.tokens, len(one.prompt_tokens)
        top = default_model([row])[0, start - 1 : -1].topk(2).values
        certain = int((top[:, 0] - top[:, 1] > 1e-3).int().cumprod(0).sum())
        assert certain > 0
        assert one.tokens[:certain] == alone.tokens[:certain]
