"""The habits of TransformerLens: the same names, filters and hooks, on our mechanism."""

import pytest
import torch

from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.activations.capture import capture
from glassbook.activations.transformer_lens import HookPoint, all_sites, run_with_cache, run_with_hooks
from glassbook.core.errors import InputError, SiteError
from glassbook.core.sites import Site

architectures = pytest.mark.parametrize("architecture", [GPT2, LLAMA])
ROWS = [[1, 2, 3, 4], [5, 6, 7, 8]]


@architectures
def test_without_a_filter_everything_but_the_heads_results_is_cached_beside_the_logits(architecture: str) -> None:
    model = tiny_model(architecture)
    logits, cache = run_with_cache(model, ROWS)
    assert torch.allclose(logits, model(ROWS), atol=1e-5)
    assert set(cache) == set(all_sites(model))
    assert {site.name for site in cache} == set(model.site_names) - {"result"}
    assert torch.equal(cache["logits"], logits)


@pytest.mark.parametrize(
    "names_filter",
    [
        "blocks.1.hook_resid_post",
        "L1.resid_post",
        ["blocks.1.hook_resid_post"],
        lambda name: name == "blocks.1.hook_resid_post",
        Site("resid_post", 1),
    ],
    ids=["theirs", "ours", "list", "predicate", "site"],
)
def test_a_filter_chooses_by_name_names_or_predicate(names_filter: object) -> None:
    model = tiny_model()
    _, cache = run_with_cache(model, ROWS, names_filter)
    assert list(cache) == [Site("resid_post", 1)]
    assert torch.equal(cache["blocks.1.hook_resid_post"], capture(model, ROWS, "L1.resid_post")["L1.resid_post"])


def test_a_predicate_chooses_over_all_layers() -> None:
    _, cache = run_with_cache(tiny_model(), ROWS, lambda name: name.endswith("hook_z"))
    assert list(cache) == [Site("z", layer) for layer in range(3)]


def test_a_filter_that_chooses_nothing_is_refused() -> None:
    with pytest.raises(
        SiteError, match=r"chooses no Site of this model; it is asked about names like 'blocks.0.hook_resid_pre'"
    ):
        run_with_cache(tiny_model(), ROWS, lambda name: name == "L0.z")


def test_stopping_at_a_layer_gives_no_logits_and_only_what_lies_below() -> None:
    logits, cache = run_with_cache(tiny_model(), ROWS, stop_at_layer=1)
    assert logits is None
    assert {site.layer for site in cache} == {0, None}
    assert {site.name for site in cache if site.layer is None} == {"embed"}


def test_the_batch_axis_of_one_prompt_can_be_left_out() -> None:
    model = tiny_model()
    _, cache = run_with_cache(model, ROWS[:1], "L*.resid_post", remove_batch_dim=True)
    assert cache["L0.resid_post"].shape == (4, 32)
    assert torch.equal(cache["L0.resid_post"], capture(model, ROWS[:1], "L0.resid_post")["L0.resid_post"][0])
    _, cache = run_with_cache(model, ROWS[:1], remove_batch_dim=True)
    _, whole = run_with_cache(model, ROWS[:1])
    for key in ("L1.H1.pattern", "L1.H1.z", "L1.mlp_post.N3"):
        assert torch.equal(cache[key], whole[key][0]), key
    for stacked in ("decompose_resid", "accumulated_resid", "stack_head_results"):
        assert torch.equal(getattr(cache, stacked)(), getattr(whole, stacked)()[:, 0]), stacked
    lean, full = (one.logit_attrs(one.decompose_resid(), 5, 6) for one in (cache, whole))
    assert torch.allclose(lean, full[:, 0], atol=1e-5)
    assert not torch.allclose(lean, full[:, 0] + 1e-3, atol=1e-5), "the control: the comparison can fail"
    with pytest.raises(InputError, match="remove_batch_dim needs one prompt and there are 2; give one"):
        run_with_cache(model, ROWS, "L*.resid_post", remove_batch_dim=True)


@pytest.mark.parametrize("how", [{"grad": True}, {"batch_size": 1}])
def test_what_one_pass_cannot_do_is_refused_and_not_forgotten(how: dict) -> None:
    with pytest.raises(InputError, match="use capture for grad=True or a batch_size"):
        run_with_cache(tiny_model(), ROWS, "embed", **how)
    assert run_with_cache(tiny_model(), ROWS, "embed", positions=-1)[1]["embed"].shape == (2, 1, 32)


@architectures
def test_a_hook_sees_the_value_and_its_place_and_may_replace_it_or_not(architecture: str) -> None:
    model, seen = tiny_model(architecture), []
    plain = model(ROWS)

    def look(value: torch.Tensor, hook: HookPoint) -> None:
        seen.append((hook.name, hook.layer(), tuple(value.shape)))

    def halve(value: torch.Tensor, hook: HookPoint) -> torch.Tensor:
        return value / 2

    looked = run_with_hooks(model, ROWS, [("blocks.1.hook_resid_pre", look), (lambda name: "hook_z" in name, look)])
    assert torch.equal(looked, plain)
    assert seen == [
        ("blocks.0.attn.hook_z", 0, (2, 4, 4, 8)),
        ("blocks.1.hook_resid_pre", 1, (2, 4, 32)),
        ("blocks.1.attn.hook_z", 1, (2, 4, 4, 8)),
        ("blocks.2.attn.hook_z", 2, (2, 4, 4, 8)),
    ]
    assert not torch.allclose(run_with_hooks(model, ROWS, [("L1.mlp_out", halve)]), plain)
    assert torch.equal(run_with_hooks(model, ROWS), plain)


def test_outside_the_blocks_a_hook_has_no_layer() -> None:
    with pytest.raises(SiteError, match="Site 'embed' lies outside the blocks and has no layer"):
        HookPoint(Site("embed")).layer()
    assert HookPoint(Site("z", 2)).layer() == 2
