"""Mixtral, Jiang et al. 2024 (2401.04088): Llama with a sparse mixture of experts in the place of each MLP."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from glassbook.core.errors import ModelError
from glassbook.core.sites import POST_NORM_SITES
from glassbook.core.taps import IDLE, At
from glassbook.models import llama
from glassbook.models.architectures import ARCHITECTURES
from glassbook.models.part import Part


@dataclass(frozen=True, kw_only=True)
class MixtralConfig(llama.LlamaConfig):
    """Mixtral's own choices: how many experts a layer has, and how many of them each token meets."""

    n_experts: int
    top_k: int
    rope_base: float = 1000000.0

    @property
    def sizes(self) -> dict[str, int]:
        """Return the length of every axis that a Site's value can have beside batch and pos."""
        return super().sizes | {"n_experts": self.n_experts}

    def check(self) -> None:
        """Raise ModelError for sizes that no network can have."""
        super().check()
        if not 1 <= self.top_k <= self.n_experts:
            raise ModelError(
                f"a token cannot meet top_k = {self.top_k} of {self.n_experts} experts; mend the configuration to a "
                f"number from 1 to {self.n_experts}"
            )


class Mixture(Part):
    """Experts, each an MLP of Llama's form, and the router that sends each token to `top_k` of them (section 2.1).

    Tokens that share an expert share its products, so the last bits of one may depend on which others are in the batch.
    """

    def __init__(self, config: MixtralConfig) -> None:
        super().__init__()
        self.top_k = config.top_k
        # A plain map, which stays as it is where the others are held in int8: rounded, it would choose other experts.
        self.router = nn.Linear(config.d_model, config.n_experts, bias=False)
        self.experts = nn.ModuleList(llama.MLP(config) for _ in range(config.n_experts))

    def forward(self, x: Float[Tensor, "batch pos d_model"], at: At) -> Float[Tensor, "batch pos d_model"]:
        """Return the experts' outputs, weighted by the router: the sum of G(x)_i E_i(x) over experts i."""
        logits = at("router_logits", self.router(x))
        weights = at("router_weights", self.weigh(logits)).flatten(0, 1)
        mix = self._mix_all if torch.compiler.is_compiling() else self._mix
        return mix(x.flatten(0, 1), weights).view_as(x)

    def weigh(self, logits: Float[Tensor, "*lead n_experts"]) -> Float[Tensor, "*lead n_experts"]:
        """Return G(x) = Softmax(TopK(x W_g)): the chosen experts' weights sum to 1, the others' are 0."""
        best, chosen = logits.topk(self.top_k)
        # In float32 at least, for a router's small differences decide between large writes.
        wide = best.softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        return torch.zeros_like(logits).scatter(-1, chosen, wide.to(logits.dtype))

    def _mix(
        self, tokens: Float[Tensor, "token d_model"], weights: Float[Tensor, "token n_experts"]
    ) -> Float[Tensor, "token d_model"]:
        """Let each expert read the tokens that give it weight, all at once, and no other token."""
        experts, rows = weights.T.nonzero(as_tuple=True)
        counts = experts.bincount(minlength=len(self.experts)).tolist()
        shares = tokens[rows].split(counts)
        written = [_read(expert, share) for expert, share in zip(self.experts, shares, strict=True) if len(share)]
        if not written:
            return torch.zeros_like(tokens)
        weighted = torch.cat(written) * weights[rows, experts].unsqueeze(1)
        return torch.zeros_like(tokens).index_add(0, rows, weighted)

    def _mix_all(
        self, tokens: Float[Tensor, "token d_model"], weights: Float[Tensor, "token n_experts"]
    ) -> Float[Tensor, "token d_model"]:
        # A compiled graph has the same shapes whatever the router says, so there every expert reads every token.
        written = torch.stack([_read(expert, tokens) for expert in self.experts], 1)
        return torch.einsum("te,tem->tm", weights, written)


def _read(expert: nn.Module, tokens: Float[Tensor, "token d_model"]) -> Float[Tensor, "token d_model"]:
    # The neurons of an expert have no Site: which tokens they are formed for differs from pass to pass.
    return expert(tokens.unsqueeze(0), IDLE.at()).squeeze(0)


class Block(llama.Block):
    """Attention, then the mixture, each reading a normed copy of the residual stream and adding to it."""

    mlp_class = Mixture


@ARCHITECTURES.add("mixtral")
class Mixtral(llama.Llama):
    """The network; `config` says how large."""

    config_class, block_class = MixtralConfig, Block
    missing_sites = ("pos_embed", "mlp_pre", "mlp_pre_linear", "mlp_post", *POST_NORM_SITES)
    config: MixtralConfig

    @property
    def W_out(self) -> Float[Tensor, "layer d_mlp d_model"]:
        """Raise ModelError: each expert has an output matrix of its own."""
        raise ModelError(
            "a mixture of experts has no one W_out; take blocks[layer].mlp.experts[i].down.weight of one expert"
        )


def load_balancing_loss(
    router_logits: Sequence[Float[Tensor, "batch pos n_experts"]],
    top_k: int,
    is_real: Bool[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, ""]:
    """Return how unevenly tokens meet experts: n_experts * sum of f_i P_i, Fedus et al. 2021 (2101.03961), equations 4 to 6.

    f_i is the share of tokens that meet expert i, P_i its mean probability, both over the tokens of all layers given.
    The loss is `top_k` where routing is even and nears `n_experts` where one expert has all. `is_real` leaves padding
    out; the factor alpha is the caller's. Gradients reach the router through P_i.
    """
    kept = [each.flatten(0, 1) if is_real is None else each[is_real] for each in router_logits]
    logits = torch.cat(kept)
    n_experts = logits.shape[-1]
    met = logits.topk(top_k).indices.flatten().bincount(minlength=n_experts) / len(logits)
    probabilities = logits.softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32)).mean(0)
    return n_experts * (met * probabilities).sum()
