"""The compiled kernel: the same numbers as PyTorch, only where nobody reads or edits, and never in anybody's way."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.shapes import CASES, RELATIVES
from conformance.tiny import LLAMA, as_model, our_net, tiny_model
from glassbook.core.sites import Site
from glassbook.core.taps import Edit
from glassbook.models.int8 import hold_in_int8, quantize
from glassbook.models.model import Model
from glassbook.models.native import library, products, steps
from glassbook.models.native.library import kernel, kernel_state
from glassbook.models.prompts import Prompts
from glassbook.steering.vectors import SteeringVector
from steering.laws import drawn

built = pytest.mark.skipif(kernel() is None, reason=f"the kernel is {kernel_state()}")
PROMPTS = [[1, 2, 3, 4, 5, 6], [7, 8, 9], [10, 11]]
OTHERS = [case for case in CASES + RELATIVES if case[0] != LLAMA] + [
    (LLAMA, "golden of Mistral"),
    (LLAMA, "golden of Qwen3"),
]
KINDS = ("float32", "bfloat16", "int8")
sizes = st.tuples(
    st.integers(1, 70) | st.sampled_from([192, 193, 576]), st.integers(1, 70) | st.sampled_from([192, 385])
)


def held_as(kind: str, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """Return a weight in one precision, the scales of its rows, and what the two stand for in float64."""
    if kind == "int8":
        integers, scales = quantize(weight)
        return integers, scales, integers.double() * scales.double().unsqueeze(1)
    held = weight.to(getattr(torch, kind))
    return held, None, held.double()


@built
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(size=sizes, rows=st.integers(1, 16), has_bias=st.booleans(), seed=st.integers(0, 999))
def test_a_product_is_that_of_exact_arithmetic_to_float32_rounding(
    kind: str, size: tuple[int, int], rows: int, has_bias: bool, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    weight, scales, exact = held_as(kind, torch.randn(size, generator=draw))
    x, bias = torch.randn(rows, size[1], generator=draw), torch.randn(size[0], generator=draw)
    got = products.product(x, weight, scales, bias if has_bias else None)
    expected = x.double() @ exact.T + (bias.double() if has_bias else 0)
    room = 1e-6 * (x.double().abs() @ exact.abs().T + bias.abs() + 1e-30)
    assert ((got - expected).abs() <= room).all()
    if float(expected.abs().max()) > 1e-2:
        off = products.product(x, weight, (torch.ones(size[0]) if scales is None else scales) * 1.001)
        wrong = (off - x.double() @ exact.T).abs() > 1e-6 * (x.double().abs() @ exact.abs().T)
        assert wrong.any(), "the control: a scale that is wrong by a thousandth shows"


def model_as(kind: str) -> Model:
    """Return the tiny Llama in one precision."""
    net = copy.deepcopy(our_net(LLAMA, "like SmolLM2: tied, three queries to a key"))
    if kind == "int8":
        hold_in_int8(net)
    return as_model(net if kind == "int8" else net.to(getattr(torch, kind)))


class Counted:
    """Counts the layers that the kernel takes a token through."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ranges: list[range] = []
        run = steps.Steps.run

        def counting(one: steps.Steps, layers: range, *rest: object) -> torch.Tensor:
            self.ranges.append(layers)
            return run(one, layers, *rest)

        patch.setattr(steps.Steps, "run", counting)


def logits_over_cache(model: Model, new: int = 4, keep: list[int] | None = None) -> torch.Tensor:
    """Return the logits of `new` given tokens in each of three rows of unequal length, one after another."""
    batch, net = Prompts.of(PROMPTS), model.net
    with torch.inference_mode():
        cache = net.new_cache(len(PROMPTS), 6 + new)
        net(batch.ids, cache=cache)
        cache.hide(batch.lengths)
        rows = list(range(len(PROMPTS)))
        found = []
        for number in range(new):
            if keep is not None and number == 2:
                cache.keep(torch.tensor(keep))
                rows = keep
            ids = torch.tensor([[3 + number + row] for row in rows])
            places = torch.tensor([[batch.lengths[row] + number] for row in rows])
            found.append(net(ids, cache=cache, positions=places)[:, -1])
    return torch.cat([one.flatten() for one in found])


@built
@pytest.mark.parametrize("keep", [None, [0, 2], [1]], ids=["all rows", "a row leaves", "two rows leave"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_through_the_blocks_is_the_architectures_own(
    kind: str, keep: list[int] | None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, counted = model_as(kind), Counted(monkeypatch)
    fused = logits_over_cache(model, keep=keep)
    assert counted.ranges == [range(model.config.n_layers)] * 4, "the control: the kernel was used"
    request.getfixturevalue("without_kernel")
    plain = logits_over_cache(model, keep=keep)
    assert len(counted.ranges) == 4, "and then was not"
    # PyTorch rounds after every operation in bfloat16, and its int8 product rounds to bfloat16 inside.
    room = {"float32": 2e-6, "bfloat16": 3e-2, "int8": 3e-2}[kind]
    assert float((fused - plain).abs().max() / plain.abs().max()) <= room


@built
def test_blocks_that_somebody_reads_or_edits_are_left_to_the_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(LLAMA)
    vector = SteeringVector(site=Site("resid_mid", 1), values=drawn(model, "L1.resid_mid", 0), identity=model.identity)
    counted = Counted(monkeypatch)
    steered = model.complete([PROMPTS[0]], max_new_tokens=5, steer=3 * vector)[0].tokens
    n = model.config.n_layers
    assert set(counted.ranges) == {range(1), range(2, n)}
    for room in ("products", "steps"):
        monkeypatch.setattr(f"glassbook.models.native.{room}.kernel", lambda: None)
    assert model.complete([PROMPTS[0]], max_new_tokens=5, steer=3 * vector)[0].tokens == steered
    assert model.complete([PROMPTS[0]], max_new_tokens=5)[0].tokens != steered, "the control: steering does something"


@built
@pytest.mark.parametrize(
    "site, ranges",
    [
        (Site("resid_pre", 1), {range(1), range(1, 3)}),
        (Site("resid_post", 1), {range(2), range(2, 3)}),
        (Site("resid_post", 2), {range(3)}),
        (Site("resid_pre", 0), {range(3)}),
        (Site("resid_final"), {range(3)}),
    ],
    # A set of ranges is spelled in another order in every process, and the workers must agree on names.
    ids=lambda value: str(value) if isinstance(value, Site) else f"{len(value)} ranges",
)
def test_a_value_between_blocks_is_edited_as_the_architecture_does_it_and_every_block_taken(
    site: Site, ranges: set[range], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, counted = tiny_model(LLAMA), Counted(monkeypatch)
    read: list[torch.Tensor] = []

    def double(value: torch.Tensor, _: object) -> torch.Tensor:
        read.append(value)
        return 2 * value

    steered = model.complete([PROMPTS[0]], max_new_tokens=5, edits=[Edit(site, double)])[0].tokens
    assert set(counted.ranges) == ranges
    seen, read = read, []
    request.getfixturevalue("without_kernel")
    assert model.complete([PROMPTS[0]], max_new_tokens=5, edits=[Edit(site, double)])[0].tokens == steered
    assert len(seen) == len(read) == 5 and all(
        torch.allclose(*pair, atol=1e-4) for pair in zip(seen, read, strict=True)
    )
    assert not torch.allclose(seen[1], seen[2], atol=1e-2), "the control: each token has values of its own"


@built
@pytest.mark.parametrize("architecture, label", OTHERS)
def test_blocks_of_another_form_are_never_taken(architecture: str, label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    as_model(our_net(architecture, label)).complete([PROMPTS[0]], max_new_tokens=3)
    assert not counted.ranges
    tiny_model(LLAMA).complete([PROMPTS[0]], max_new_tokens=3)
    assert counted.ranges, "the control: those of Llama's form are"


@built
@pytest.mark.parametrize("n", [12, pytest.param(48, marks=pytest.mark.slow)])
def test_the_default_model_says_the_same_with_the_kernel_and_without(
    default_model: Model, n: int, request: pytest.FixtureRequest
) -> None:
    prompts = ["The sea was calm that morning, and", "Once"]
    said = [one.tokens for one in default_model.complete(prompts, max_new_tokens=n)]
    request.getfixturevalue("without_kernel")
    assert [one.tokens for one in default_model.complete(prompts, max_new_tokens=n)] == said


@pytest.fixture
def fresh_search() -> object:
    library._find.cache_clear()
    kernel.cache_clear()
    yield
    library._find.cache_clear()
    kernel.cache_clear()


@pytest.mark.usefixtures("fresh_search")
def test_a_kernel_that_is_turned_off_or_cannot_be_loaded_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(library.OFF, "0")
    assert kernel() is None and "turned off" in kernel_state()
    for text, said in ((None, "not built"), (b"not a library", "cannot be loaded")):
        library._find.cache_clear()
        kernel.cache_clear()
        monkeypatch.delenv(library.OFF, raising=False)
        path = tmp_path / "kernel_plain.so"
        if text is not None:
            path.write_bytes(text)
        monkeypatch.setattr(library, "_candidates", lambda path=path: [path] if path.exists() else [])
        assert kernel() is None and said in kernel_state()
        assert not products.takes(torch.ones(1, 4), torch.ones(3, 4))
