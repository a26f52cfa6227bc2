"""Which weights: a fingerprint that any change moves, and a lineage that only another model moves."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from conformance.tiny import LLAMA, tiny_model
from glassbook.models.identity import Fingerprint, Identity, fingerprint, lineage

SIZES = {"n_layers": 2, "d_model": 8}


def weights() -> dict[str, torch.Tensor]:
    """Return two small parameters."""
    return {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(4)}


def test_equal_weights_have_one_fingerprint_in_whatever_order_and_memory() -> None:
    one = weights()
    other = dict(reversed(list(weights().items()))) | {"b": one["b"].T.contiguous().T}
    assert fingerprint(one.items()) == fingerprint(other.items())
    stepwise = Fingerprint()
    for name in sorted(one):
        stepwise.add(name, one[name])
    assert stepwise.hexdigest() == fingerprint(one.items())


@given(st.integers(0, 5))
def test_one_changed_bit_is_another_fingerprint(place: int) -> None:
    changed = weights()
    flat = changed["b"].view(-1)
    flat[place] = torch.nextafter(flat[place], torch.tensor(torch.inf))
    assert fingerprint(changed.items()) != fingerprint(weights().items())


def test_a_name_a_shape_and_a_precision_belong_to_the_fingerprint() -> None:
    base = fingerprint(weights().items())
    for other in (
        {"b": weights()["b"], "c": weights()["a"]},
        {"b": weights()["b"].reshape(3, 2), "a": weights()["a"]},
        {"b": weights()["b"].bfloat16(), "a": weights()["a"]},
    ):
        assert fingerprint(other.items()) != base
    zeros = [{"a": torch.zeros(4, dtype=dtype)} for dtype in (torch.float32, torch.int32)]
    assert len({fingerprint(one.items()) for one in zeros}) == 2, "the same bytes in another precision"


def test_lineage_is_where_from_what_shape_and_which_tokenizer() -> None:
    base = lineage("smollm2", SIZES, "t")
    assert base == lineage("smollm2", dict(reversed(SIZES.items())), "t")
    assert (
        len(
            {
                base,
                lineage("gpt2", SIZES, "t"),
                lineage("smollm2", SIZES | {"d_model": 9}, "t"),
                lineage("smollm2", SIZES, "u"),
            }
        )
        == 4
    )


def test_an_identity_labels_its_quantization_and_is_plain_data() -> None:
    known = tiny_model(LLAMA).identity
    assert known.label == "tiny-llama"
    assert Identity(**known.to_dict() | {"quantization": "dequantized Q4_1"}).label == "tiny-llama, dequantized Q4_1"
    assert Identity(**known.to_dict()) == known
