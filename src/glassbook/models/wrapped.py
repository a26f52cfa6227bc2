"""`wrap`: a language model that is already in memory, whoever wrote it, behind the interface of our own.

Its code runs unchanged. Hooks stand where its blocks and their parts begin and end, for one pass, and only where a Site is
read or edited; so it has the Sites of the stream and of what attention and MLP return, and none that lie within those.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from glassbook.core.devices import dtype_name
from glassbook.core.errors import InputError, ModelError
from glassbook.core.sites import KINDS, Site
from glassbook.core.taps import IDLE, At, Span, Taps
from glassbook.models.anatomy import Anatomy, Parts, is_near, logits_of, probe_tokens, stream_of, study
from glassbook.models.config import Config
from glassbook.models.identity import Identity, fingerprint, lineage
from glassbook.models.loading.formats.huggingface import name_of
from glassbook.models.model import Model
from glassbook.models.module_cache import ModuleCache
from glassbook.models.network import Network
from glassbook.text.formats.huggingface import adopt
from glassbook.text.tokenizer import Tokenizer

_SITES = ("embed", "resid_pre", "attn_out", "mlp_out", "resid_post", "logits")
_LONGEST = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "block_size")
_NO_LIMIT = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class WrappedConfig(Config):
    """The sizes that can be seen from outside; what lies within attention and MLP is 0, which means not known."""

    n_heads: int = 0
    d_head: int = 0
    d_mlp: int = 0
    norm_eps: float = 0.0
    tied_embeddings: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """Return the length of every axis that is known."""
        return {name: getattr(self, name) for name in ("n_layers", "d_model", "d_vocab", "n_ctx")} | {"one": 1}

    @property
    def summary(self) -> str:
        """Return the shape in a few words."""
        return f"{self.n_layers} layers, d_model {self.d_model}, wrapped: no heads, patterns or neurons"


class Wrapped(Network):
    """Somebody's language model under taps."""

    def __init__(self, module: nn.Module, anatomy: Anatomy, n_ctx: int | None = None) -> None:
        super().__init__()
        self.module = module
        self.anatomy = anatomy
        self._site_names = [name for name in KINDS if name in _SITES and name not in _absent(anatomy)]
        values = self._values_of_one_pass()
        self.config = WrappedConfig(
            n_layers=len(anatomy.blocks),
            d_model=values[Site("resid_pre", 0)].shape[-1],
            d_vocab=anatomy.d_vocab,
            n_ctx=n_ctx or longest_context(module),
        )
        if Site("embed") in values and values[Site("embed")].shape[-1] != self.config.d_model:
            # Some models widen their embeddings before the first block; the stream begins after that.
            self._site_names.remove("embed")
        self.writes_add_up = _writes_add_up(values, self)

    @property
    def site_names(self) -> list[str]:
        """Return the names of the Sites that can be seen from outside, in the order of the forward pass."""
        return self._site_names

    @property
    def limits(self) -> str:
        """Return in a sentence what is not to be seen, and what `attn_out` and `mlp_out` mean here."""
        kind, parts = type(self.module).__name__, [self.anatomy.attn, self.anatomy.mlp]
        said = f"this {kind} is wrapped, so it has the Sites {', '.join(self.site_names)} and no heads, patterns or neurons"
        if self.writes_add_up is False:
            named = " and ".join(f"'{part}'" for part in parts)
            said += (
                f"; resid_post is not resid_pre + attn_out + mlp_out, since these are what {named} return and the block "
                f"changes it before it adds it (name the parts whose results it adds as attn= and mlp=, if it has such)"
            )
        return said

    def forward(
        self,
        tokens: Int[Tensor, "batch pos"],
        taps: Taps = IDLE,
        cache: ModuleCache | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
        read_at: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch read d_vocab"]:
        """Return logits at every position, or only at the one that `read_at` gives for each row.

        Raises PassDone when the taps have read enough. The hooks are gone afterwards, whatever was raised.
        """
        if taps.span is None and not taps.idle:
            taps.span = Span.prompts([tokens.shape[1]] * len(tokens), tokens.shape[1], tokens.device)
        with ExitStack() as hooks:
            for handle in self._hooks(taps, tokens.shape):
                hooks.enter_context(handle)
            output = self.module(tokens, **self._options(tokens, cache, positions))
        if cache is not None:
            cache.past = output.past_key_values
            cache.filled += tokens.shape[1]
        logits = taps.at()("logits", logits_of(output))
        if read_at is None:
            return logits
        return logits[torch.arange(len(logits), device=logits.device), read_at].unsqueeze(1)

    def new_cache(self, batch: int, columns: int) -> ModuleCache | None:
        """Return empty memory in the module's own form; None where it has none that padding between columns leaves right."""
        if not self.anatomy.keeps_cache or (batch > 1 and not self._bears_gaps):
            return None
        return ModuleCache()

    @cached_property
    def _bears_gaps(self) -> bool:
        """Return whether padding between columns changes nothing: no distance between columns counts, and it was tried."""
        config = getattr(self.module, "config", None)
        by_distance = getattr(config, "sliding_window", None) or getattr(config, "alibi", False)
        return "position_ids" in self.anatomy.takes and not by_distance and self._goes_on_behind_padding()

    def _goes_on_behind_padding(self) -> bool:
        """Return whether a short prompt, padded beside a longer one, goes on over the cache as it does by itself."""
        tokens, cache = probe_tokens(self.module), ModuleCache()
        n, newest = tokens.shape[1], tokens[:, :1]
        with torch.inference_mode():
            self(tokens.repeat(2, 1), cache=cache)
            cache.hide([n, 1])
            positions = torch.tensor([[n], [1]], device=tokens.device)
            stepped = self(newest.repeat(2, 1), cache=cache, positions=positions)[:, 0]
            alone = [self(torch.cat((row, newest), 1))[0, -1] for row in (tokens, newest)]
        return is_near(stepped, torch.stack(alone))

    def _options(self, tokens: Tensor, cache: ModuleCache | None, positions: Tensor | None) -> dict[str, Any]:
        """Return what the module is told beside the tokens, as far as its call takes it."""
        told: dict[str, Any] = {"use_cache": cache is not None, "attention_mask": torch.ones_like(tokens)}
        if cache is not None:
            told |= {"past_key_values": cache.past, "attention_mask": cache.mask(tokens)}
            told |= {"position_ids": positions} if cache.has_gaps else {}
        return {name: value for name, value in told.items() if name in self.anatomy.takes}

    def _hooks(self, taps: Taps, shape: torch.Size) -> Iterator[RemovableHandle]:
        """Yield a hook for every Site that the taps want."""
        at = taps.at()
        if self.anatomy.embed is not None and at.wants("embed"):
            yield self.anatomy.embed.register_forward_hook(_leaving("embed", at, shape))
        for layer, block in enumerate(self.anatomy.blocks):
            at = taps.at(layer)
            if at.wants("resid_pre"):
                yield block.register_forward_pre_hook(_entering("resid_pre", at), with_kwargs=True)
            for name, part in (("attn_out", self.anatomy.attn), ("mlp_out", self.anatomy.mlp)):
                if part is not None and at.wants(name):
                    yield block.get_submodule(part).register_forward_hook(_leaving(name, at, shape))
            if at.wants("resid_post"):
                yield block.register_forward_hook(_leaving("resid_post", at, shape))

    def _values_of_one_pass(self) -> dict[Site, Tensor]:
        """Return what stands at every Site in one short pass; raise ModelError for a part that was not called, or twice."""
        layers = range(len(self.anatomy.blocks))
        sites = [Site(name, i) for name in self.site_names if KINDS[name].per_layer for i in layers]
        sites += [Site("embed")] if "embed" in self.site_names else []
        seen: dict[Site, list[Tensor]] = {site: [] for site in sites}
        tokens = probe_tokens(self.module)

        def reader(site: Site) -> Callable[[Tensor], None]:
            # Copied, since some blocks go on to add to what their parts returned.
            return lambda value: seen[site].append(value.clone())

        with torch.inference_mode():
            self(tokens, Taps(readers={site: reader(site) for site in sites}))
        width = [value.shape[-1] for value in seen[Site("resid_pre", 0)]]
        for site, values in seen.items():
            shapes = [[*value.shape] for value in values]
            if [shape[:-1] for shape in shapes] != [[*tokens.shape]] or (
                site.layer is not None and shapes[0][-1:] != width
            ):
                raise ModelError(
                    f"in a pass over {[*tokens.shape]} tokens {site} was {' and '.join(map(str, shapes)) or 'nothing'}, not one "
                    f"value [batch pos d_model]; name other parts by blocks=, attn=, mlp= or embed="
                )
        return {site: values[0] for site, values in seen.items()}


def wrap(
    module: nn.Module, tokenizer: Any = None, *, name: str = "", n_ctx: int | None = None, **parts: str | None
) -> Model:
    """Return a causal language model that is in memory behind the interface of every model here.

    `module` takes token ids and returns logits or an object with `.logits`; it is used as it is, on its device, and neither
    copied nor frozen. `tokenizer` is one of ours or a fast one of Hugging Face's. `parts` are the fields of `Parts`
    (blocks, attn, mlp, embed), for what is not found by itself. `name` says which model it is, where the module does not;
    `n_ctx` how far it reads. Raises ModelError naming the argument that is missing, InputError for a module in training mode.
    The identity is of the weights as they are now: wrap again after changing them.
    """
    if n_ctx is not None and n_ctx < 1:
        raise InputError(f"n_ctx = {n_ctx} cannot be used; give how many tokens the module reads at most, at least 1")
    anatomy = study(module, Parts(**parts))  # type: ignore[arg-type]
    net = Wrapped(module, anatomy, n_ctx)
    words = None if tokenizer is None else adopt(tokenizer, _stop_ids(module))
    return Model(net, words, _identify(net, words, name))


def longest_context(module: nn.Module) -> int:
    """Return how many tokens the module's configuration says that it reads; as good as endless where it says nothing."""
    config = getattr(module, "config", None)
    found = (getattr(config, key, None) for key in _LONGEST)
    return next((size for size in found if isinstance(size, int) and size > 0), _NO_LIMIT)


def _identify(net: Wrapped, tokenizer: Tokenizer | None, name: str) -> Identity:
    module = net.module
    known = name or name_of({"_name_or_path": getattr(getattr(module, "config", None), "_name_or_path", "")})
    weights, mark = fingerprint(module.named_parameters()), tokenizer.fingerprint if tokenizer else ""
    return Identity(
        name=known or type(module).__name__,
        fingerprint=weights,
        # Without a name nothing but the weights themselves can say which model this is.
        lineage=lineage(known.rpartition("/")[2].lower() or weights, net.config.sizes, mark),
        quantization="",
        dtype=dtype_name(net.dtype),
        tokenizer=mark,
    )


def _stop_ids(module: nn.Module) -> tuple[int, ...]:
    """Return the tokens at which the module's own generation stops."""
    stops = getattr(getattr(module, "generation_config", None), "eos_token_id", None)
    numbers = stops if isinstance(stops, list) else [stops]
    return tuple(number for number in numbers if isinstance(number, int))


def _absent(anatomy: Anatomy) -> tuple[str, ...]:
    found = {"embed": anatomy.embed, "attn_out": anatomy.attn, "mlp_out": anatomy.mlp}
    return tuple(name for name, part in found.items() if part is None)


def _writes_add_up(values: dict[Site, Tensor], net: Wrapped) -> bool | None:
    """Return whether each block adds to its stream what its parts return; None where it was not asked for both."""
    if not {"attn_out", "mlp_out"} <= set(net.site_names):
        return None
    written = ("resid_pre", "attn_out", "mlp_out")
    sums = [torch.stack([values[Site(name, i)] for name in written]).sum(0) for i in range(net.config.n_layers)]
    return all(is_near(values[Site("resid_post", i)], whole) for i, whole in enumerate(sums))


def _leaving(name: str, at: At, shape: torch.Size) -> Callable[[nn.Module, Any, Any], Any]:
    """Return a hook that hands what a part returns for [batch pos] tokens to the taps, and on what they make of it."""

    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        given = stream_of(output)
        # Some parts are given, and return, all rows one after another.
        value = given.unflatten(0, shape) if given.ndim == 2 and len(given) == shape.numel() else given
        value = at(name, value).view(given.shape) if value is not given else at(name, given)
        return (value, *output[1:]) if isinstance(output, tuple) else value

    return hook


def _entering(name: str, at: At) -> Callable[[nn.Module, Any, dict[str, Any]], Any]:
    """Return a hook that hands a block's stream, its first argument, to the taps."""

    def hook(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if given:
            return (at(name, given[0]), *given[1:]), named
        first = next(iter(named))
        return given, {**named, first: at(name, named[first])}

    return hook
