"""Addresses: every value of a forward pass has one name, here called its Site.

A Site is written `L6.resid_pre`, `L5.H3.z`, `L6.mlp_post.N123`, `enc.L2.z` or, outside the blocks, `embed`. The
spelling of TransformerLens (`blocks.6.hook_resid_pre`) parses to the same Site. What the names mean, with shapes, is the
table `KINDS`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from glassbook.core.errors import SiteError


@dataclass(frozen=True, slots=True)
class Kind:
    """What the values at one sort of Site are: their axes, their TransformerLens name, their meaning."""

    axes: tuple[str, ...]
    legacy: str
    meaning: str
    per_layer: bool = True

    @property
    def width(self) -> str:
        """Return the axis that a direction at this Site runs along."""
        return self.axes[-1]


_RESID = ("batch", "pos", "d_model")
_HEADS = ("batch", "pos", "n_heads", "d_head")
_KV_HEADS = ("batch", "pos", "n_kv_heads", "d_head")
_SQUARE = ("batch", "n_heads", "query", "key")
_SCALE = ("batch", "pos", "one")
_HEAD_SCALE, _KV_HEAD_SCALE = ("batch", "pos", "n_heads", "one"), ("batch", "pos", "n_kv_heads", "one")
_EXPERTS = ("batch", "pos", "n_experts")

# In the order of the forward pass: reading the table downward is reading a block from top to bottom.
KINDS: dict[str, Kind] = {
    "embed": Kind(_RESID, "hook_embed", "the token embeddings", per_layer=False),
    "pos_embed": Kind(_RESID, "hook_pos_embed", "the learned position embeddings (GPT-2)", per_layer=False),
    "resid_pre": Kind(_RESID, "hook_resid_pre", "the residual stream where the block begins"),
    "ln1_scale": Kind(_SCALE, "ln1.hook_scale", "what the norm before attention divides by"),
    "q": Kind(_HEADS, "attn.hook_q", "queries, before any norm or rotation"),
    "k": Kind(_KV_HEADS, "attn.hook_k", "keys, before any norm or rotation; one per group of query heads"),
    "q_norm_scale": Kind(_HEAD_SCALE, "attn.q_norm.hook_scale", "what the norm of queries divides by (Qwen3, Gemma 3)"),
    "k_norm_scale": Kind(_KV_HEAD_SCALE, "attn.k_norm.hook_scale", "what the norm of keys divides by (Qwen3, Gemma 3)"),
    "v": Kind(_KV_HEADS, "attn.hook_v", "values; one per group of query heads"),
    "rot_q": Kind(_HEADS, "attn.hook_rot_q", "queries after the rotary embedding"),
    "rot_k": Kind(_KV_HEADS, "attn.hook_rot_k", "keys after the rotary embedding"),
    "attn_scores": Kind(
        _SQUARE, "attn.hook_attn_scores", "scaled scores, after any cap, before the softmax, -inf where masked"
    ),
    "pattern": Kind(_SQUARE, "attn.hook_pattern", "attention probabilities"),
    "z": Kind(_HEADS, "attn.hook_z", "values mixed by the pattern, per head"),
    "result": Kind(
        ("batch", "pos", "n_heads", "d_model"), "attn.hook_result", "what each head writes, without the bias"
    ),
    "ln1_post_scale": Kind(_SCALE, "ln1_post.hook_scale", "what the norm after attention divides by (Gemma)"),
    "attn_out": Kind(_RESID, "hook_attn_out", "what attention writes to the residual stream"),
    "resid_mid": Kind(_RESID, "hook_resid_mid", "the residual stream between attention and MLP"),
    "ln2_scale": Kind(_SCALE, "ln2.hook_scale", "what the norm before the MLP divides by"),
    "router_logits": Kind(_EXPERTS, "mlp.gate.hook_out", "the router's score of each expert (Mixtral)"),
    "router_weights": Kind(
        _EXPERTS, "mlp.gate.hook_expert_weights", "what each expert's output is multiplied by, 0 where it does not run"
    ),
    "mlp_pre": Kind(("batch", "pos", "d_mlp"), "mlp.hook_pre", "MLP neurons before their nonlinearity"),
    "mlp_pre_linear": Kind(("batch", "pos", "d_mlp"), "mlp.hook_pre_linear", "the linear arm of a gated MLP"),
    "mlp_post": Kind(("batch", "pos", "d_mlp"), "mlp.hook_post", "MLP neurons as the output matrix reads them"),
    "ln2_post_scale": Kind(_SCALE, "ln2_post.hook_scale", "what the norm after the MLP divides by (Gemma)"),
    "mlp_out": Kind(_RESID, "hook_mlp_out", "what the MLP writes to the residual stream"),
    "resid_post": Kind(_RESID, "hook_resid_post", "the residual stream where the block ends"),
    "ln_final_scale": Kind(_SCALE, "ln_final.hook_scale", "what the final norm divides by", per_layer=False),
    "resid_final": Kind(
        _RESID, "ln_final.hook_normalized", "the normed stream that the unembedding reads", per_layer=False
    ),
    "logits": Kind(
        ("batch", "pos", "d_vocab"),
        "hook_logits",
        "next-token scores, after any cap, before the softmax",
        per_layer=False,
    ),
}

ROUTER_SITES = tuple(name for name, kind in KINDS.items() if kind.axes == _EXPERTS)
"""The Sites of a mixture of experts, which every other architecture lacks."""

QK_NORM_SITES = ("q_norm_scale", "k_norm_scale")
POST_NORM_SITES = ("ln1_post_scale", "ln2_post_scale")
NORM_SITES = (*QK_NORM_SITES, *POST_NORM_SITES)
"""The Sites of norms beyond the three that every architecture has."""

_HEAD_AXIS = {
    name: kind.axes.index(axis)
    for name, kind in KINDS.items()
    for axis in ("n_heads", "n_kv_heads")
    if axis in kind.axes
}
_NEURON_NAMES = ("mlp_pre", "mlp_pre_linear", "mlp_post")
_LEGACY = {kind.legacy: name for name, kind in KINDS.items()}
_TOWERS = ("enc", "dec")

# Nine digits at most: no model has more, and Python refuses to read thousands.
_N = r"[0-9]{1,9}"
_OURS = re.compile(
    rf"(?:(?P<tower>[a-z]+)\.)?(?:L(?P<layer>{_N})\.)?(?:H(?P<head>{_N})\.)?(?P<name>[a-z][a-z0-9_]*)(?:\.N(?P<neuron>{_N}))?"
)
_THEIRS = re.compile(rf"(?:(?P<tower>[a-z]+)\.)?blocks\.(?P<layer>{_N})\.(?P<legacy>[a-z0-9_.]+)")
_PATTERN = re.compile(rf"(?P<tower>(?:[a-z]+\.)?)L(?P<layers>\*|{_N}-{_N})\.(?P<rest>.+)")


@dataclass(frozen=True, slots=True)
class Site:
    """The address of one value in a forward pass; `str()` gives the canonical spelling, which parses back."""

    name: str
    layer: int | None = None
    head: int | None = None
    neuron: int | None = None
    tower: str = ""

    def __str__(self) -> str:
        parts = [self.tower] if self.tower else []
        if self.layer is not None:
            parts.append(f"L{self.layer}")
        if self.head is not None:
            parts.append(f"H{self.head}")
        parts.append(self.name)
        if self.neuron is not None:
            parts.append(f"N{self.neuron}")
        return ".".join(parts)

    @property
    def kind(self) -> Kind:
        """Return the row of `KINDS` for this Site."""
        return KINDS[self.name]

    @property
    def whole(self) -> "Site":
        """Return the Site of the whole value that this head or neuron is a slice of."""
        return replace(self, head=None, neuron=None)

    @property
    def part(self) -> tuple[int, int] | None:
        """Return (axis, index) of the head or neuron within the whole value, or None for the whole."""
        if self.head is not None:
            return _HEAD_AXIS[self.name], self.head
        if self.neuron is not None:
            return len(self.kind.axes) - 1, self.neuron
        return None

    @property
    def legacy(self) -> str:
        """Return the TransformerLens spelling, e.g. `blocks.6.hook_resid_pre` (of the whole value)."""
        prefix = f"{self.tower}." if self.tower else ""
        block = f"blocks.{self.layer}." if self.layer is not None else ""
        return f"{prefix}{block}{self.kind.legacy}"

    @classmethod
    def parse(cls, text: "str | Site") -> "Site":
        """Return the Site that `text` spells, ours or TransformerLens's; raise SiteError when it spells none."""
        if isinstance(text, Site):
            return text
        if text in _LEGACY and not KINDS[_LEGACY[text]].per_layer:
            return cls(_LEGACY[text])
        if (found := _THEIRS.fullmatch(text)) and found["legacy"] in _LEGACY:
            return cls(_LEGACY[found["legacy"]], int(found["layer"]), tower=found["tower"] or "")
        found = _OURS.fullmatch(text)
        if not found or found["name"] not in KINDS or (found["tower"] or _TOWERS[0]) not in _TOWERS:
            raise SiteError(_unknown(text))
        numbers = {key: int(found[key]) if found[key] else None for key in ("layer", "head", "neuron")}
        site = cls(found["name"], **numbers, tower=found["tower"] or "")
        site._check_form()
        return site

    def _check_form(self) -> None:
        if self.kind.per_layer and self.layer is None:
            raise SiteError(f"Site '{self}' needs a layer; write L<layer>.{self.name}, for example L0.{self.name}")
        if not self.kind.per_layer and self.layer is not None:
            raise SiteError(f"Site '{self}' lies outside the blocks; write {self.name} without a layer")
        if self.head is not None and self.name not in _HEAD_AXIS:
            raise SiteError(f"Site '{self}' has no heads; heads are at {', '.join(_HEAD_AXIS)}")
        if self.neuron is not None and self.name not in _NEURON_NAMES:
            raise SiteError(f"Site '{self}' has no neurons; neurons are at {', '.join(_NEURON_NAMES)}")


def _unknown(text: str) -> str:
    near = get_close_matches(text.rpartition(".")[2], KINDS, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"no Site is spelled '{text[:80]}'; {hint}write L<layer>.<name> with a name of: {', '.join(KINDS)}"


def expand(patterns: str | Site | Iterable[str | Site], n_layers: int) -> list[Site]:
    """Return the Sites that `patterns` name, in order and without repeats, `L*` and `L4-8` opened up.

    Raises SiteError for a spelling that names nothing, or a range that leaves the model.
    """
    wanted = [patterns] if isinstance(patterns, str | Site) else list(patterns)
    sites: dict[Site, None] = {}
    for pattern in wanted:
        many = _PATTERN.fullmatch(pattern) if isinstance(pattern, str) else None
        if not many:
            sites[Site.parse(pattern)] = None
            continue
        for layer in _layers(many["layers"], n_layers, str(pattern)):
            sites[Site.parse(f"{many['tower']}L{layer}.{many['rest']}")] = None
    return list(sites)


def _layers(text: str, n_layers: int, pattern: str) -> range:
    if text == "*":
        return range(n_layers)
    first, last = (int(part) for part in text.split("-"))
    if not first <= last < n_layers:
        raise SiteError(f"'{pattern}' names no layers of this model; layers run from 0 to {n_layers - 1}")
    return range(first, last + 1)


def check_site(site: Site, sizes: dict[str, int], names: Iterable[str]) -> None:
    """Raise SiteError unless a model with these axis `sizes` and Site `names` has a value at `site`."""
    known = list(names)
    if site.tower:
        raise SiteError(
            f"this model has no tower '{site.tower}', so no Site '{site}'; write it without '{site.tower}.'"
        )
    if site.name not in known:
        raise SiteError(f"this model has no Site '{site}'; it has {', '.join(known)}")
    if site.layer is not None and site.layer >= sizes["n_layers"]:
        raise SiteError(f"Site '{site}' is beyond the last layer; layers run from 0 to {sizes['n_layers'] - 1}")
    if site.part is not None:
        axis = site.kind.axes[site.part[0]]
        if site.part[1] >= sizes[axis]:
            what = "head" if site.head is not None else "neuron"
            raise SiteError(
                f"Site '{site}' is beyond the last {what}; {what}s at {site.name} run from 0 to {sizes[axis] - 1}"
            )
