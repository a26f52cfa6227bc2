"""Language modelling: nats a token of the next token, AdamW under a cosine, batches read in parts where memory is short."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from glassbook.core.devices import as_dtype
from glassbook.core.errors import InputError
from glassbook.core.taps import IDLE
from glassbook.models.network import Network
from glassbook.models.transformer import Transformer
from glassbook.training.cross_entropy import summed_nats
from glassbook.training.optimizer import adamw, clip_gradients, load_optimizer_state, optimizer_state
from glassbook.training.schedule import Cosine
from glassbook.training.streams import Batch
from glassbook.training.throughput import flop_per_token

_DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class LanguageSettings:
    """How a network learns a language; the schedule runs over `steps`, after which the rate stays at `min_lr`.

    `accumulate` says in how many parts a batch is read, one after another; the step is that of the whole batch. `clip`
    bounds the norm of the gradient, 0 leaves it. In bfloat16 the products are, never the weights and their averages.
    """

    lr: float
    steps: int
    min_lr: float = 0.0
    warmup: int = 0
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    clip: float = 1.0
    accumulate: int = 1
    dtype: str = "float32"
    compile: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise InputError(f"'{self.dtype}' is not a precision to train in; choose {' or '.join(_DTYPES)}")
        if self.accumulate < 1:
            raise InputError(f"a batch cannot be read in {self.accumulate} parts; choose at least 1")

    @property
    def schedule(self) -> Cosine:
        """Return how the learning rate goes."""
        return Cosine(self.lr, self.min_lr, self.warmup, self.steps)

    @property
    def checksum(self) -> Tensor:
        """Return the SHA-256 of what the weights depend on beside the data, as bytes."""
        facts = {name: value for name, value in asdict(self).items() if name != "compile"}
        return torch.tensor(list(hashlib.sha256(repr(sorted(facts.items())).encode()).digest()), dtype=torch.uint8)


class NextTokenLoss(nn.Module):
    """A network whose call returns its loss: the one module that has to be compiled, or wrapped for many devices."""

    def __init__(self, net: Network, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype
        # Where the logits are a plain product, they need never lie in memory all at once.
        self.is_plain = isinstance(net, Transformer) and type(net).score is Transformer.score

    def forward(
        self, tokens: Int[Tensor, "batch pos"], counts: Bool[Tensor, "batch pos"] | None, scale: Float[Tensor, ""]
    ) -> Float[Tensor, ""]:
        """Return `scale` times the nats of all tokens that count, summed; the first of each row has none."""
        inputs, targets = tokens[:, :-1], tokens[:, 1:].flatten()
        with self.precision(tokens.device):
            last = self._final(inputs) if self.is_plain else self.net(inputs)
        rows = last.flatten(0, 1)
        if counts is not None:
            chosen = counts[:, 1:].flatten()
            rows, targets = rows[chosen], targets[chosen]
        if self.is_plain:
            return summed_nats(rows, self.net.unembed_weight, targets, scale, self.dtype)  # type: ignore[arg-type]
        return F.cross_entropy(rows.float(), targets, reduction="sum") * scale

    def precision(self, device: torch.device) -> AbstractContextManager[Any]:
        """Return the context in which products are computed in the precision asked for."""
        return torch.autocast(device.type, self.dtype, enabled=self.dtype is not torch.float32)

    def _final(self, inputs: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        net = self.net
        assert isinstance(net, Transformer)
        positions = torch.arange(inputs.shape[1], device=inputs.device).expand(inputs.shape)
        resid = net.climb(net.enter(inputs, positions, IDLE), positions, IDLE, None)
        return net.ln_final(resid, IDLE.at(), "ln_final_scale")


class LanguageLearner:
    """A Learner of the next token; its batches are (tokens, which of them count), the second None where all do."""

    def __init__(self, net: Network, settings: LanguageSettings) -> None:
        if net.dtype is not torch.float32:
            raise InputError(f"weights in {net.dtype} lose small steps; open the model in float32 to train it")
        self.net, self.settings, self.steps = net.requires_grad_(True), settings, 0
        self.loss: Any = NextTokenLoss(net, as_dtype(settings.dtype))
        if settings.compile:
            self.loss = torch.compile(self.loss)
        self.optimizer = adamw(net, settings.lr, settings.weight_decay, settings.betas, settings.eps)

    def step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch: return `loss` in nats a token, `grad_norm` before clipping, `lr`, `tokens` and `flop`.

        Raises InputError for a batch of which no token counts.
        """
        tokens, counts = (None if part is None else part.to(self.net.device) for part in batch)
        assert tokens is not None, "a batch has tokens"
        self.net.train()
        loss = self._gradients(tokens, counts, 1 / self.n_counted(tokens, counts))
        norm = clip_gradients(self.net.parameters(), self.settings.clip)
        rate = self.settings.schedule.at(self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        n_tokens, context = tokens[:, 1:].numel(), tokens.shape[1] - 1
        flop = n_tokens * flop_per_token(self.net, context)
        return {"loss": loss, "grad_norm": norm, "lr": rate, "tokens": n_tokens, "flop": flop}

    def n_counted(self, tokens: Int[Tensor, "batch pos"], counts: Bool[Tensor, "batch pos"] | None) -> int:
        """Return over how many tokens the loss of this batch is a mean."""
        n_counted = tokens[:, 1:].numel() if counts is None else int(counts[:, 1:].sum())
        if not n_counted:
            raise InputError("no token of this batch counts, so nothing can be learned from it; leave such rows out")
        return n_counted

    def _gradients(self, tokens: Tensor, counts: Tensor | None, scale: float) -> float:
        """Form the gradient of the whole batch part by part; return its loss."""
        n_parts = min(self.settings.accumulate, len(tokens))
        wanted = torch.tensor(scale, device=tokens.device)
        parts = zip(
            tokens.tensor_split(n_parts),
            [None] * n_parts if counts is None else counts.tensor_split(n_parts),
            strict=True,
        )
        total = 0.0
        for part, counted in parts:
            loss = self.loss(part, counted, wanted)
            loss.backward()
            total += loss.item()
        return total

    def state(self) -> dict[str, Tensor]:
        """Return weights, averages, how many steps were made, and a checksum of the settings."""
        weights = {f"net/{name}": weight.detach() for name, weight in self.net.named_parameters()}
        averages = {f"adamw/{name}": value for name, value in optimizer_state(self.optimizer, self.net).items()}
        return {**weights, **averages, "steps": torch.tensor(self.steps), "settings": self.settings.checksum}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned; raise InputError where it was made under other settings or of another shape."""
        if not torch.equal(state["settings"], self.settings.checksum):
            raise InputError(
                "the checkpoint was made under other settings; give the same, or another folder to begin anew"
            )
        weights = _below(state, "net/")
        mine = dict(self.net.named_parameters())
        if {name: tuple(one.shape) for name, one in weights.items()} != {
            name: tuple(one.shape) for name, one in mine.items()
        }:
            raise InputError("the checkpoint is of a network of another shape; give the same, or another folder")
        with torch.no_grad():
            for name, weight in mine.items():
                weight.copy_(weights[name])
        load_optimizer_state(self.optimizer, self.net, _below(state, "adamw/"))
        self.steps = int(state["steps"])


def evaluate(
    net: Network, batches: Iterable[Batch], n_bytes: int | None = None, dtype: str = "float32"
) -> dict[str, float]:
    """Return `nats_per_token` over all tokens that count, `perplexity`, `n_tokens`, and `bits_per_byte` where bytes are known.

    `n_bytes` is the length in UTF-8 of the text that the counted tokens spell. Give `all_windows` of a text for each of its
    tokens once. Raises InputError where nothing counts.
    """
    measure, nats, n_tokens = NextTokenLoss(net, as_dtype(dtype)), 0.0, 0
    one = torch.ones((), device=net.device)
    was_training = net.training
    net.eval()
    with torch.no_grad():
        for tokens, counts in batches:
            counted = None if counts is None else counts.to(net.device)
            nats += measure(tokens.to(net.device), counted, one).item()
            n_tokens += tokens[:, 1:].numel() if counts is None else int(counts[:, 1:].sum())
    net.train(was_training)
    return measures(nats, n_tokens, n_bytes)


def measures(nats: float, n_tokens: int, n_bytes: int | None = None) -> dict[str, float]:
    """Return what `evaluate` does, from the summed nats of so many tokens; raise InputError where there are none."""
    if not n_tokens:
        raise InputError("no token of these batches counts; give some that do")
    mean = nats / n_tokens
    known = {} if n_bytes is None else {"bits_per_byte": nats / math.log(2) / n_bytes}
    return {"nats_per_token": mean, "perplexity": math.exp(min(mean, 700.0)), "n_tokens": float(n_tokens), **known}


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
