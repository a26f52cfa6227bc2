"""Reading a pass: which values, at which positions, in what precision, and what is refused before it is computed."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.probes import WeightsRead
from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.activations.capture import capture
from glassbook.core.errors import InputError, MemoryLimitError, SiteError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit
from glassbook.models.model import Model

architectures = pytest.mark.parametrize("architecture", [GPT2, LLAMA])
ROWS = [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]
UNEQUAL = [[1, 2, 3, 4, 5, 6], [7, 8], [9, 10, 11]]
EVERYTHING = ["embed", "L*.resid_post", "L1.pattern", "L*.H1.z", "L2.mlp_post.N3", "L0.result", "resid_final", "logits"]


@pytest.fixture
def passes() -> Any:
    """Return a list that grows with every pass of the tiny Llama."""
    seen: list[int] = []
    handle = tiny_model().net.register_forward_pre_hook(lambda *_: seen.append(1))
    yield seen
    handle.remove()


@architectures
def test_all_sites_of_one_pass_are_those_of_passes_of_their_own(architecture: str) -> None:
    model = tiny_model(architecture)
    together = capture(model, ROWS, EVERYTHING)
    assert list(together) == model.sites(EVERYTHING)
    for site in together:
        assert torch.allclose(together[site], capture(model, ROWS, site)[site], atol=1e-5), str(site)


def test_one_pass_reads_everything(passes: list[int]) -> None:
    capture(tiny_model(), ROWS, EVERYTHING)
    assert len(passes) == 1
    capture(tiny_model(), ROWS, EVERYTHING, batch_size=1)
    assert len(passes) == 3


@architectures
@settings(max_examples=15)
@given(positions=st.integers(-2, 1) | st.lists(st.integers(-2, 1), min_size=1, max_size=3))
def test_chosen_positions_are_slices_and_negative_ones_count_from_each_prompts_own_end(
    architecture: str, positions: int | list[int]
) -> None:
    model = tiny_model(architecture)
    wanted = [positions] if isinstance(positions, int) else positions
    whole = capture(model, UNEQUAL, EVERYTHING)
    chosen = capture(model, UNEQUAL, EVERYTHING, positions=positions)
    for site in whole:
        axis = 1 if "query" not in site.kind.axes or site.head is not None else 2
        for row, ids in enumerate(UNEQUAL):
            places = [p + len(ids) if p < 0 else p for p in wanted]
            expected = whole[site][row].index_select(axis - 1, torch.tensor(places))
            assert torch.equal(chosen[site][row], expected), f"{site}, row {row}"


def test_a_slice_of_positions_needs_prompts_of_equal_length() -> None:
    model, site = tiny_model(), "L1.resid_mid"
    whole = capture(model, ROWS, site)[site]
    assert torch.equal(capture(model, ROWS, site, positions=slice(1, None, 2))[site], whole[:, 1::2])
    with pytest.raises(InputError, match="a slice of positions needs prompts of equal length; give a list"):
        capture(model, UNEQUAL, site, positions=slice(1, 3))


@pytest.mark.parametrize("positions", [2, -3, [0, 2], [], slice(6, 9)])
def test_positions_that_a_prompt_does_not_have_are_refused(positions: Any) -> None:
    model = tiny_model()
    rows = ROWS if isinstance(positions, slice) else UNEQUAL
    with pytest.raises(InputError, match=r"do not all exist in prompt . ?, which has"):
        capture(model, rows, "L0.z", positions=positions)
    assert capture(model, UNEQUAL, "L0.z", positions=[0, 1, -2])["L0.z"].shape[:2] == (3, 3)


@settings(max_examples=10)
@given(size=st.integers(1, 5))
def test_small_batches_give_what_one_batch_gives(size: int) -> None:
    model = tiny_model()
    whole = capture(model, UNEQUAL, EVERYTHING)
    parts = capture(model, UNEQUAL, EVERYTHING, batch_size=size)
    for site in whole:
        for row, ids in enumerate(UNEQUAL):
            n = len(ids)
            cut = (slice(None), slice(n), slice(n)) if site == Site("pattern", 1) else (slice(n),)
            assert torch.allclose(parts[site][row][cut], whole[site][row][cut], atol=1e-5), f"{site}, row {row}"


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_size_below_one_is_refused(size: int) -> None:
    with pytest.raises(InputError, match=f"batch_size = {size} cannot be used; it must be at least 1"):
        capture(tiny_model(), ROWS, "embed", batch_size=size)


def test_values_are_kept_in_the_precision_asked_for() -> None:
    model = tiny_model()
    exact, short = (capture(model, ROWS, "L1.resid_post", dtype=dtype)["L1.resid_post"] for dtype in (None, "bf16"))
    assert (exact.dtype, short.dtype) == (torch.float32, torch.bfloat16)
    assert torch.equal(short, exact.bfloat16())
    assert not torch.equal(short.float(), exact)
    with pytest.raises(InputError, match="'int4' is not a precision"):
        capture(model, ROWS, "embed", dtype="int4")


def test_a_result_that_would_not_fit_is_refused_before_anything_is_computed(passes: list[int]) -> None:
    model = tiny_model()
    with pytest.raises(MemoryLimitError) as refusal:
        capture(model, ROWS, "L*.resid_post", memory_limit=1000)
    said = str(refusal.value)
    assert "capturing 3 Sites of 2 prompts x 6 tokens needs about" in said
    assert "ask for fewer Sites or positions, a smaller batch_size, or dtype='bfloat16'" in said
    assert "\n" not in said
    assert not passes
    assert len(capture(model, ROWS, "L*.resid_post", memory_limit=10**6)) == 3
    assert len(passes) == 1


def needed(model: Model, rows: list[list[int]], sites: Any, **how: Any) -> int:
    """Return the least limit under which a capture is accepted."""
    low, high = 0, 1 << 34
    while high - low > 1:
        middle = (low + high) // 2
        try:
            capture(model, rows, sites, memory_limit=middle, **how)
            high = middle
        except MemoryLimitError:
            low = middle
    return high


def test_the_estimate_counts_what_is_kept_and_falls_with_every_remedy_it_names() -> None:
    model = tiny_model()
    full = needed(model, ROWS, "L*.resid_post")
    kept = 3 * 2 * 6 * 32 * 4
    assert full > kept
    assert full - needed(model, ROWS, "L*.resid_post", dtype="bfloat16") == kept // 2
    assert full - needed(model, ROWS, "L*.resid_post", positions=-1) == kept - kept // 6
    assert full - needed(model, ROWS, ["L0.resid_post", "L1.resid_post"]) == kept // 3
    assert needed(model, ROWS, "L*.resid_post", batch_size=1) < full
    assert needed(model, ROWS, ["L*.resid_post", "L0.pattern"]) > full + 2 * 4 * 6 * 6 * 4


def test_a_machine_without_that_memory_refuses_by_itself() -> None:
    with pytest.raises(MemoryLimitError):
        capture(tiny_model(), torch.zeros(2**16, 48, dtype=torch.long), ["L*.result", "logits", "L*.pattern"])


@architectures
def test_stopping_at_a_layer_keeps_what_lies_below_it(architecture: str) -> None:
    model = tiny_model(architecture)
    cache = capture(model, ROWS, ["embed", "L*.resid_pre", "L*.pattern", "logits"], stop_at_layer=2)
    assert [str(site) for site in cache] == ["embed", "L0.resid_pre", "L1.resid_pre", "L0.pattern", "L1.pattern"]
    whole = capture(model, ROWS, "L*.resid_pre")
    assert torch.allclose(cache["L1.resid_pre"], whole["L1.resid_pre"], atol=1e-5)
    with pytest.raises(InputError, match="no Site asked for lies below layer 0; raise stop_at_layer"):
        capture(model, ROWS, ["L0.z", "logits"], stop_at_layer=0)


def test_stopping_computes_no_block_above_and_no_logits() -> None:
    model = tiny_model()
    with WeightsRead(model.net) as early:
        capture(model, ROWS, ["L*.resid_post", "logits"], stop_at_layer=2)
    with WeightsRead(model.net) as whole:
        capture(model, ROWS, ["L*.resid_post", "logits"])
    assert (early.blocks, early.reads_logits) == ({0, 1}, False)
    assert (whole.blocks, whole.reads_logits) == ({0, 1, 2}, True), "the control: without it everything is computed"


def test_edits_and_steering_act_below_what_is_read() -> None:
    model = tiny_model()
    double = Edit(Site("resid_pre", 1), lambda value, _: 2 * value)
    plain, edited = (capture(model, ROWS, "L*.resid_pre", edits=edits) for edits in ((), [double]))
    assert torch.equal(plain["L0.resid_pre"], edited["L0.resid_pre"])
    assert torch.equal(2 * plain["L1.resid_pre"], edited["L1.resid_pre"])
    assert not torch.allclose(plain["L2.resid_pre"], edited["L2.resid_pre"])


@pytest.mark.parametrize("site", ["L3.z", "L0.H4.z", "nonsense", "L0.pos_embed", "L0.mlp_pre.N48"])
def test_a_site_that_does_not_exist_is_refused_before_the_pass(site: str, passes: list[int]) -> None:
    with pytest.raises(SiteError):
        capture(tiny_model(), ROWS, ["embed", site])
    assert not passes


def test_a_capture_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="no Site is asked for; name at least one"):
        capture(tiny_model(), ROWS, [])


def test_gradients_are_kept_only_where_they_were_asked_for() -> None:
    model = tiny_model()
    cache = capture(model, ROWS, ["L0.resid_pre", "logits"], grad=True)
    with pytest.raises(
        InputError, match=r"there is no gradient at L0.resid_pre; capture with grad=True and call backward first"
    ):
        cache.grad("L0.resid_pre")
    cache["logits"][..., 0].sum().backward()
    assert cache.grad("L0.resid_pre").abs().sum() > 0
    plain = capture(model, ROWS, ["L0.resid_pre", "logits"])
    assert not plain["logits"].requires_grad
    assert torch.allclose(cache["logits"], plain["logits"], atol=1e-5)
    assert all(weight.grad is None for weight in model.net.parameters()), "the weights stay frozen"


@pytest.mark.parametrize("how", [{"positions": -1}, {"dtype": "bf16"}, {"batch_size": 1}])
def test_gradients_go_with_whole_values_only(how: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="grad=True keeps whole values in the model's precision"):
        capture(tiny_model(), ROWS, "L0.resid_pre", grad=True, **how)


@pytest.mark.model
def test_the_default_model_is_read_in_small_memory(default_model: Model) -> None:
    cache = capture(
        default_model, ["The sea is calm", "Ships"], "L*.resid_post", positions=-1, dtype="bf16", batch_size=1
    )
    stack = cache.stack("resid_post")
    assert stack.shape == (30, 2, 1, 576)
    assert stack.dtype is torch.bfloat16
    with pytest.raises(MemoryLimitError):
        capture(default_model, torch.zeros(10**5, 2048, dtype=torch.long), "L*.resid_post")


def test_a_tower_the_model_lacks_is_refused_and_never_read_as_noise() -> None:
    model = tiny_model()
    for asked in ("enc.L1.resid_post", "enc.blocks.1.hook_resid_post"):
        with pytest.raises(SiteError, match="this model has no tower 'enc'"):
            capture(model, ROWS, asked)
    assert torch.isfinite(capture(model, ROWS, "L1.resid_post")["L1.resid_post"]).all()


def test_a_cache_says_which_positions_hold_tokens() -> None:
    cache = capture(tiny_model(), [[1, 2, 3], [4, 5]], "L0.resid_post")
    assert cache.is_real.tolist() == [[True, True, True], [True, True, False]]
