"""What a feature's direction says by itself: which tokens it speaks for, which features and which neurons point the same way."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glassbook.core.sites import KINDS, Site
from glassbook.features.cards.card import Ranked
from glassbook.models.model import Model
from glassbook.models.norms import OffsetRMSNorm
from glassbook.models.transformer import Transformer

_BLOCK_BYTES = 64 << 20
_STREAM = ("batch", "pos", "d_model")
_TINY = 1e-12

Pairs = tuple[tuple[int, float], ...]


def speaks(model: Model, written: str | Site) -> bool:
    """Return whether what is written at a Site is added to the residual stream of a network whose weights we know."""
    site = Site.parse(written)
    return isinstance(model.net, Transformer) and site.part is None and KINDS[site.name].axes == _STREAM


@torch.no_grad()
def through_final_norm(
    model: Model, directions: Float[Tensor, "n d_model"], written: str | Site
) -> Float[Tensor, "n d_model"]:
    """Return directions as the unembedding reads them, the final norm's scale left out and its weight folded in.

    A layer norm centers them first. What is written behind the final norm is read as it is.
    """
    if Site.parse(written).name == "resid_final":
        return directions.float()
    norm = model.transformer.ln_final
    weight = norm.weight.float() + 1 if isinstance(norm, OffsetRMSNorm) else norm.weight.float()
    wide = directions.float()
    return (wide - wide.mean(-1, keepdim=True) if isinstance(norm, nn.LayerNorm) else wide) * weight


@torch.no_grad()
def logit_weights(
    model: Model, decoder: Float[Tensor, "n_features d_model"], written: str | Site, listed: int
) -> list[tuple[Ranked, Ranked]]:
    """Return for each feature the tokens whose logits its direction raises most, and those that it lowers most."""
    unembedding = model.transformer.unembed_weight.float().T
    folded = through_final_norm(model, decoder, written).to(unembedding.device)
    n = min(listed, unembedding.shape[1])
    found: list[tuple[Tensor, ...]] = []
    for part in _blocks(folded, unembedding.shape[1]):
        logits = part @ unembedding
        up, down = logits.topk(n), logits.topk(n, largest=False)
        found.append((up.indices, up.values, down.indices, down.values))
    up_ids, up_values, down_ids, down_values = (torch.cat(parts) for parts in zip(*found, strict=True))
    names = _names(model, torch.cat([up_ids, down_ids]))
    ups, downs = _ranked(names, up_ids, up_values), _ranked(names, down_ids, down_values)
    return list(zip(ups, downs, strict=True))


@torch.no_grad()
def nearest_directions(decoder: Float[Tensor, "n_features d_out"], listed: int, features: Sequence[int]) -> list[Pairs]:
    """Return for each of some features those whose directions have the largest cosine with its own."""
    unit = _unit(decoder)
    n, found = min(listed, len(unit) - 1), []
    for part in torch.tensor(features, device=unit.device).split(_rows(len(unit))):
        cosines = unit[part] @ unit.T
        cosines[torch.arange(len(part)), part] = -torch.inf
        values, others = cosines.topk(n)
        found += [tuple(zip(*row, strict=True)) for row in zip(others.tolist(), values.tolist(), strict=True)]
    return found


@torch.no_grad()
def nearest_neurons(model: Model, decoder: Float[Tensor, "n_features d_model"], listed: int) -> list[Ranked]:
    """Return for each feature the neurons that write most nearly along its direction or against it, with the cosine.

    Empty where the MLPs are mixtures, which have no neurons of one name.
    """
    net, unit = model.transformer, _unit(decoder)
    if "mlp_post" not in model.site_names:
        return [()] * len(unit)
    found: list[tuple[Tensor, Tensor]] = []
    width = model.config.d_mlp
    for layer, block in enumerate(net.blocks):
        down: Tensor = block.get_submodule("mlp.down").weight  # type: ignore[assignment]
        written = _unit(down.T).to(unit.device)
        cosines = torch.cat([part @ written.T for part in _blocks(unit, width)])
        neurons = cosines.abs().topk(min(listed, width)).indices
        found.append((neurons + layer * width, cosines.gather(1, neurons)))
    numbers, cosines = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    chosen = cosines.abs().topk(min(listed, cosines.shape[1])).indices
    numbers, cosines = numbers.gather(1, chosen), cosines.gather(1, chosen)
    names = {number: f"L{number // width}.mlp_post.N{number % width}" for number in numbers.unique().tolist()}
    return _ranked(names, numbers, cosines)


def _names(model: Model, ids: Int[Tensor, "*batch n"]) -> dict[int, str]:
    known: list[int] = ids.unique().tolist()
    return dict(zip(known, texts(model, known), strict=True))


def _ranked(
    names: Mapping[int, str], numbers: Int[Tensor, "n_features n"], values: Float[Tensor, "n_features n"]
) -> list[Ranked]:
    """Return for each feature the names of some numbers with their values."""
    rows = zip(numbers.tolist(), values.tolist(), strict=True)
    return [tuple((names[number], value) for number, value in zip(*row, strict=True)) for row in rows]


def texts(model: Model, ids: list[int]) -> list[str]:
    """Return the text of each token; a number sign and the id where the model has no tokenizer."""
    return model.tokenizer.token_strings(ids) if model.tokenizer else [f"#{number}" for number in ids]


def _unit(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    wide = rows.detach().float()
    return wide / wide.norm(dim=-1, keepdim=True).clamp(min=_TINY)


def _blocks(rows: Float[Tensor, "n d"], width: int) -> Iterator[Float[Tensor, "block d"]]:
    """Yield so many rows at a time that a product of this width stays small."""
    return iter(rows.split(_rows(width)))


def _rows(width: int) -> int:
    return max(1, _BLOCK_BYTES // (4 * width))
