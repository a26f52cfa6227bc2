"""Where the parts of somebody's language model are: found by their form and by watching one short pass, never by its name."""

import inspect
import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glassbook.core.errors import InputError, ModelError

# A row in which no token stands at the place of its own number, so that positions are not taken for tokens.
PROBE = (1, 0, 0, 1)
_PART_NAMES = {
    "attn": re.compile(r"attn|attention", re.IGNORECASE),
    "mlp": re.compile(r"mlp|feed_?forward|ffn|moe", re.IGNORECASE),
}
_SPOKEN = {"attn": "an attention", "mlp": "an MLP"}
_NORM = re.compile(r"norm|(^|_)ln(_|$|\d)", re.IGNORECASE)
_NEAR = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The dotted names of a module's parts; an empty name is found, None goes without.

    `blocks` and `embed` are names within the module, `attn` and `mlp` within each block.
    """

    blocks: str = ""
    attn: str | None = ""
    mlp: str | None = ""
    embed: str | None = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """What was found: the blocks in order, the names of their parts, the token embedding, what the module's call takes."""

    blocks: tuple[nn.Module, ...]
    attn: str | None
    mlp: str | None
    embed: nn.Module | None
    takes: frozenset[str]
    d_vocab: int
    keeps_cache: bool


def study(module: nn.Module, parts: Parts) -> Anatomy:
    """Return the anatomy of a causal language model; raise ModelError naming the argument that would help."""
    if module.training:
        raise InputError(
            "the module is in training mode, in which dropout makes every pass another; call module.eval()"
        )
    blocks = find_blocks(module, parts.blocks)
    takes = frozenset(inspect.signature(module.forward).parameters)
    logits, embed, past = _watch(module, takes, parts.embed)
    _check_causal(module, takes, logits)
    return Anatomy(
        blocks=blocks,
        attn=_part_name(blocks[0], "attn", parts.attn),
        mlp=_part_name(blocks[0], "mlp", parts.mlp),
        embed=embed,
        takes=takes,
        d_vocab=logits.shape[-1],
        keeps_cache=all(hasattr(past, name) for name in ("batch_select_indices", "batch_repeat_interleave"))
        and "attention_mask" in takes,
    )


def find_blocks(module: nn.Module, name: str = "") -> tuple[nn.Module, ...]:
    """Return the stack of blocks: what `name` says, else the only outermost list of children of one class."""
    stacks = _stacks(module)
    listed = ", ".join(f'blocks="{one}"' for one in stacks) or 'blocks="model.layers"'
    kind = type(module).__name__
    if name:
        found = _submodule(module, name, "blocks")
        if not isinstance(found, nn.ModuleList | nn.Sequential) or not len(found):
            raise ModelError(f"'{name}' of this {kind} is no list of blocks; give the list, for example {listed}")
        return tuple(found)
    if not stacks:
        raise ModelError(f"this {kind} has no list of blocks of one class; name the list, for example {listed}")
    if len(stacks) > 1:
        raise ModelError(f"this {kind} has {len(stacks)} lists that could be its blocks; choose one: {listed}")
    return tuple(next(iter(stacks.values())))


def logits_of(output: Any) -> Float[Tensor, "batch pos d_vocab"]:
    """Return the logits of what a language model returned; raise ModelError where it holds none."""
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    if not isinstance(logits, Tensor) or logits.ndim != 3:
        raise ModelError(
            f"the module returned {type(output).__name__}; give one that returns logits [batch pos d_vocab], "
            f"or an object that holds them as .logits"
        )
    return logits


def stream_of(value: Any) -> Any:
    """Return the tensor of what a part returned: itself, or the first of several."""
    return value[0] if isinstance(value, tuple) else value


def _stacks(module: nn.Module) -> dict[str, nn.ModuleList]:
    """Return the outermost lists of modules of one class; what lies inside them, such as experts, belongs to a block."""
    found: dict[str, nn.ModuleList] = {}
    for name, part in module.named_modules():
        is_inside = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(part, nn.ModuleList) and not is_inside and len({type(child) for child in part}) == 1:
            found[name] = part
    return found


def _submodule(module: nn.Module, name: str, argument: str) -> nn.Module:
    try:
        return module.get_submodule(name)
    except AttributeError as fault:
        children = ", ".join(child for child, _ in module.named_children())
        raise ModelError(
            f"{argument}='{name}' names no part of {type(module).__name__}; its parts are {children}"
        ) from fault


def _part_name(block: nn.Module, argument: str, name: str | None) -> str | None:
    """Return the name of the attention or the MLP within a block."""
    if name is None:
        return None
    if name:
        _submodule(block, name, argument)
        return name
    children = [child for child, part in block.named_children() if _may_be_part(child, part)]
    fitting = [child for child in children if _PART_NAMES[argument].search(child)]
    if len(fitting) != 1:
        many = "several parts" if fitting else "no part"
        raise ModelError(
            f"the block {type(block).__name__} has {many} with the name of {_SPOKEN[argument]}; name one of "
            f"{', '.join(children)} as {argument}='...', or do without by {argument}=None"
        )
    return fitting[0]


def _may_be_part(name: str, part: nn.Module) -> bool:
    """Return whether a child of a block could be its attention or MLP: no norm, and not without weights, as dropout is."""
    return not _NORM.search(f"{name} {type(part).__name__}") and next(part.parameters(), None) is not None


def _watch(
    module: nn.Module, takes: frozenset[str], embed: str | None
) -> tuple[Float[Tensor, "batch pos d_vocab"], nn.Module | None, Any]:
    """Return the logits of a short pass, the embedding that was given its tokens, and the memory that it left."""
    tokens = probe_tokens(module)
    called: list[nn.Module] = []

    def note(part: nn.Module, given: tuple[Any, ...], _: Any) -> None:
        if given and isinstance(given[0], Tensor) and torch.equal(given[0], tokens):
            called.append(part)

    with ExitStack() as hooks, torch.inference_mode():
        for part in module.modules():
            if isinstance(part, nn.Embedding):
                hooks.enter_context(part.register_forward_hook(note))
        output = _try(module, tokens, {"use_cache": True} if "use_cache" in takes else {})
    past = getattr(output, "past_key_values", None)
    if embed is None:
        return logits_of(output), None, past
    if embed:
        return logits_of(output), _submodule(module, embed, "embed"), past
    if len(called) != 1:
        raise ModelError(
            f"{len(called)} embeddings of this {type(module).__name__} read the tokens; name the one whose rows begin the "
            f"stream as embed='...', or do without by embed=None"
        )
    return logits_of(output), called[0], past


def probe_tokens(module: nn.Module) -> Int[Tensor, "batch pos"]:
    """Return the short row of tokens that a module is watched on, where its weights are."""
    return torch.tensor([PROBE], device=next(module.parameters()).device)


def _try(module: nn.Module, tokens: Tensor, options: dict[str, Any]) -> Any:
    try:
        return module(tokens, **options)
    # Whatever a stranger's module raises, its own words are handed on.
    except Exception as fault:
        raise ModelError(
            f"this {type(module).__name__} cannot be called with token ids alone ({type(fault).__name__}: "
            f"{str(fault)[:200]}); give a causal language model"
        ) from fault


def _check_causal(module: nn.Module, takes: frozenset[str], logits: Tensor) -> None:
    """Raise ModelError where a later token changes what the model says at an earlier one."""
    n = len(PROBE) // 2
    with torch.inference_mode():
        alone = logits_of(
            _try(module, probe_tokens(module)[:, :n], {"use_cache": False} if "use_cache" in takes else {})
        )
    if not is_near(alone, logits[:, :n]):
        raise ModelError(
            f"what this {type(module).__name__} says at a token depends on later tokens; give a causal language model"
        )


def is_near(one: Tensor, other: Tensor) -> bool:
    """Return whether two results are the same up to rounding in their precision."""
    share = max(_NEAR, 16 * torch.finfo(one.dtype).eps)
    return bool((one - other).abs().max() <= share * other.abs().max().clamp_min(1e-6))
