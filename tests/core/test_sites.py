"""Addresses: both spellings, what is refused and with which hint."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.core.errors import GlassbookError, SiteError
from glassbook.core.sites import KINDS, Site, check_site, expand

SIZES = {"n_layers": 4, "n_heads": 6, "n_kv_heads": 2, "d_mlp": 10, "d_model": 8, "d_head": 3, "d_vocab": 11, "one": 1}
HEAD_NAMES = [name for name, kind in KINDS.items() if {"n_heads", "n_kv_heads"} & set(kind.axes)]
NEURON_NAMES = [name for name, kind in KINDS.items() if "d_mlp" in kind.axes]


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Return any well-formed Site, of a tower, head or neuron where it can be."""
    name = draw(st.sampled_from(list(KINDS)))
    layer = draw(st.integers(0, 10**6)) if KINDS[name].per_layer else None
    head = draw(st.none() | st.integers(0, 500)) if name in HEAD_NAMES else None
    neuron = draw(st.none() | st.integers(0, 10**5)) if name in NEURON_NAMES else None
    return Site(name, layer, head, neuron, draw(st.sampled_from(["", "enc", "dec"])))


@given(sites())
def test_what_a_site_prints_parses_back_to_it(site: Site) -> None:
    assert Site.parse(str(site)) == site
    assert Site.parse(site) is site


@given(sites())
def test_both_spellings_of_a_whole_value_are_one_site(site: Site) -> None:
    whole = site.whole
    if whole.tower == "" or whole.layer is not None:
        assert Site.parse(whole.legacy) == whole
    assert (site.whole == site) == (site.part is None)


@given(sites(), sites())
def test_different_sites_are_spelled_differently(one: Site, other: Site) -> None:
    assert (str(one) == str(other)) == (one == other)
    assert (hash(one) == hash(other)) or one != other


@given(st.text(max_size=40) | st.from_regex(r"(enc\.)?L\d{0,5}\.(H\d+\.)?[a-z_]{1,12}(\.N\d+)?", fullmatch=True))
def test_any_text_is_a_site_that_prints_back_or_is_refused_in_one_sentence(text: str) -> None:
    try:
        site = Site.parse(text)
    except SiteError as refusal:
        assert str(refusal).count("\n") <= text.count("\n")
    else:
        assert Site.parse(str(site)) == site


@pytest.mark.parametrize(
    "text", ["L" + "9" * 5000 + ".resid_pre", "L٣.resid_pre", "blocks.²1.hook_resid_pre", "L-1.z", ""]
)
def test_numbers_that_no_layer_has_are_refused(text: str) -> None:
    with pytest.raises(SiteError, match="no Site is spelled"):
        Site.parse(text)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("L6.resid_pre", "blocks.6.hook_resid_pre"),
        ("L5.pattern", "blocks.5.attn.hook_pattern"),
        ("L0.mlp_post", "blocks.0.mlp.hook_post"),
        ("L11.ln2_scale", "blocks.11.ln2.hook_scale"),
        ("embed", "hook_embed"),
        ("resid_final", "ln_final.hook_normalized"),
    ],
)
def test_the_spelling_of_transformerlens_means_the_same(ours: str, theirs: str) -> None:
    assert Site.parse(theirs) == Site.parse(ours)
    assert Site.parse(ours).legacy == theirs


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("L3.resid_prre", "did you mean 'resid_pre'"),
        ("blocks.3.hook_resid_psot", "did you mean 'resid_post'"),
        ("L3.patern", "did you mean 'pattern'"),
        ("resid_pre", "needs a layer; write L<layer>.resid_pre, for example L0.resid_pre"),
        ("L2.embed", "lies outside the blocks; write embed without a layer"),
        ("L2.H1.resid_pre", "has no heads; heads are at q, k, "),
        ("L2.z.N4", "has no neurons; neurons are at mlp_pre"),
        ("foo.L2.z", "no Site is spelled 'foo.L2.z'"),
    ],
)
def test_a_misspelled_site_names_the_near_miss_or_the_next_step(text: str, hint: str) -> None:
    with pytest.raises(SiteError) as refusal:
        Site.parse(text)
    assert hint in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_patterns_open_up_to_the_layers_of_the_model_in_order_and_without_repeats() -> None:
    assert [str(s) for s in expand("L*.z", 3)] == ["L0.z", "L1.z", "L2.z"]
    assert [str(s) for s in expand(["L1-2.H0.z", "embed", "L*.H0.z"], 3)] == ["L1.H0.z", "L2.H0.z", "embed", "L0.H0.z"]
    assert expand(Site("z", 1), 3) == [Site("z", 1)]
    assert expand("enc.L0-1.z", 2) == [Site("z", 0, tower="enc"), Site("z", 1, tower="enc")]


@pytest.mark.parametrize("pattern", ["L1-3.z", "L2-1.z", "L7-9.z"])
def test_a_range_that_leaves_the_model_is_refused(pattern: str) -> None:
    with pytest.raises(SiteError, match="layers run from 0 to 2"):
        expand(pattern, 3)
    assert len(expand("L0-2.z", 3)) == 3


@pytest.mark.parametrize(
    ("fits", "refused", "why"),
    [
        ("L3.z", "L4.z", "beyond the last layer; layers run from 0 to 3"),
        ("L0.H5.z", "L0.H6.z", "beyond the last head; heads at z run from 0 to 5"),
        ("L0.H1.k", "L0.H2.k", "beyond the last head; heads at k run from 0 to 1"),
        ("L0.mlp_post.N9", "L0.mlp_post.N10", "beyond the last neuron; neurons at mlp_post run from 0 to 9"),
        ("L0.q", "L0.rot_q", "this model has no Site 'L0.rot_q'"),
    ],
)
def test_a_site_that_the_model_does_not_reach_is_refused(fits: str, refused: str, why: str) -> None:
    names = [name for name in KINDS if not name.startswith("rot")]
    check_site(Site.parse(fits), SIZES, names)
    with pytest.raises(SiteError, match=why):
        check_site(Site.parse(refused), SIZES, names)


def test_the_table_names_every_value_once_in_both_spellings() -> None:
    legacy = [kind.legacy for kind in KINDS.values()]
    assert len(set(legacy)) == len(legacy)
    assert all(kind.axes[0] == "batch" and kind.meaning and kind.width == kind.axes[-1] for kind in KINDS.values())
    assert issubclass(SiteError, GlassbookError)


def test_addresses_need_no_torch() -> None:
    code = "import sys, glassbook.core.sites, glassbook.core.errors; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
