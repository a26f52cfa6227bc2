"""Dequantisation equals the gguf package's bit for bit."""

import gguf
import numpy as np
import pytest

from glassbook.core.errors import InputError
from glassbook.files.quants import LAYOUTS, OTHER_KINDS, dequantize

KINDS = sorted(LAYOUTS)


def their_type(kind):
    return gguf.GGMLQuantizationType[kind]


def same_bits(ours, theirs):
    return np.array_equal(ours.reshape(-1).view(np.uint32), np.ascontiguousarray(theirs).reshape(-1).view(np.uint32))


def blocks_of(kind, n_blocks, seed):
    return np.random.default_rng(seed).integers(0, 256, (n_blocks, LAYOUTS[kind].nbytes), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_have_the_references_numbers_and_sizes(kind):
    layout = LAYOUTS[kind]
    assert gguf.GGML_QUANT_SIZES[their_type(kind)] == (layout.weights, layout.nbytes)
    assert their_type(kind).value == layout.number


def test_every_kind_the_reference_knows_can_be_named():
    assert {kind.name for kind in gguf.GGMLQuantizationType} <= {*KINDS, *OTHER_KINDS.values()}
    assert all(gguf.GGMLQuantizationType(number).name == name for number, name in OTHER_KINDS.items())


@pytest.mark.parametrize("kind", KINDS)
def test_random_blocks_with_any_scale_equal_the_reference_bit_for_bit(kind):
    # Random bytes make random float16 scales: zeros, subnormals, infinities and NaN among them.
    blocks = blocks_of(kind, 40_000 // max(1, LAYOUTS[kind].weights // 32), seed=1)
    with np.errstate(all="ignore"):
        theirs = gguf.dequantize(blocks, their_type(kind)).copy()
    ours = dequantize(kind, blocks)
    assert same_bits(ours, theirs)
    blocks[7] ^= 0x11
    assert not same_bits(dequantize(kind, blocks), theirs)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if LAYOUTS[kind].weights > 1])
@pytest.mark.parametrize("scale", [0.0, -0.0, 6e-8, 65504.0, -65504.0, np.inf, np.nan])
def test_extreme_scales_equal_the_reference_bit_for_bit(kind, scale):
    blocks = blocks_of(kind, 64, seed=2)
    starts = {"Q6_K": [208]}.get(kind, [0, 2] if kind.endswith(("_1", "_K")) else [0])
    for start in starts:
        blocks[:, start : start + 2] = np.array([scale], "<f2").view(np.uint8)
        with np.errstate(all="ignore"):
            assert same_bits(dequantize(kind, blocks), gguf.dequantize(blocks, their_type(kind)))


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_quantising_and_back_stays_within_one_step(kind):
    weights = np.random.default_rng(3).standard_normal((50, 64)).astype(np.float32)
    back = dequantize(kind, gguf.quantize(weights, their_type(kind))).reshape(weights.shape)
    bits = int(kind[1])
    assert np.abs(back - weights).max() < 2.2 * np.abs(weights).max() / 2 ** (bits - 1)
    assert np.abs(back - weights).max() > 0


def test_half_a_block_and_a_result_of_the_wrong_size_are_refused():
    assert dequantize("Q4_1", bytes(20)).shape == (32,)
    with pytest.raises(InputError, match="whole blocks"):
        dequantize("Q4_1", bytes(21))
    with pytest.raises(InputError, match="32 Q4_1 weights"):
        dequantize("Q4_1", bytes(20), np.empty(31, np.float32))
    assert dequantize("Q4_1", b"").shape == (0,)
