"""From logits to the next token: penalties, temperature, the truncations, a draw."""

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen; temperature 0 takes the most probable one.

    Truncations act in the order top_k, top_p (Holtzman et al. 2019, 1904.09751), min_p (2407.01082). The repetition penalty
    divides positive logits of all tokens seen (Keskar et al. 2019, 1909.05858); frequency and presence penalties count
    generated tokens only.
    """

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    stop_at_eos: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        rules = {
            "max_new_tokens": (self.max_new_tokens >= 1, "at least 1"),
            "temperature": (0 <= self.temperature < math.inf, "0 or more"),
            "top_k": (self.top_k >= 0, "0 (off) or more"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "min_p": (0 <= self.min_p < 1, "at least 0 and below 1"),
            "repetition_penalty": (0 < self.repetition_penalty < math.inf, "above 0"),
            "frequency_penalty": (math.isfinite(self.frequency_penalty), "a finite number"),
            "presence_penalty": (math.isfinite(self.presence_penalty), "a finite number"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise InputError(f"{name} = {getattr(self, name)} cannot be used; it must be {rule}")
        if "" in self.stop:
            raise InputError("a stop string is empty; give at least one character")

    @property
    def penalizes(self) -> bool:
        """Return whether tokens seen before change the logits."""
        return bool(self.frequency_penalty or self.presence_penalty or self.repetition_penalty != 1.0)


_WHOLE = ("max_new_tokens", "top_k", "seed")


def read_sampling(options: dict[str, Any]) -> Sampling:
    """Return the sampling that options ask for, `stop` a string or several; raise InputError for what is no option."""
    fields = Sampling.__dataclass_fields__
    for name in options:
        if name not in fields:
            raise InputError(f"generation has no option called '{name}'; it has {', '.join(fields)}")
    return Sampling(**{name: _option(name, value) for name, value in options.items()})


def _option(name: str, value: Any) -> Any:
    if name == "stop":
        stops = [value] if isinstance(value, str) else value
        if not isinstance(stops, list | tuple) or not all(isinstance(text, str) for text in stops):
            raise InputError(f"stop = {value!r} cannot be used; give a string or a list of strings")
        return tuple(stops)
    if name == "stop_at_eos":
        return bool(value)
    if not isinstance(value, Integral if name in _WHOLE else Real):
        kind = "a whole number" if name in _WHOLE else "a number"
        raise InputError(f"{name} = {value!r} cannot be used; it must be {kind}")
    return int(value) if isinstance(value, Integral) and name in _WHOLE else float(value)


class Seen:
    """How often each token stands in each row, in the prompt and in what was generated."""

    def __init__(self, prompts: list[list[int]], d_vocab: int, device: torch.device) -> None:
        self.in_prompt = torch.zeros(len(prompts), d_vocab, dtype=torch.bool, device=device)
        self.generated = torch.zeros(len(prompts), d_vocab, device=device)
        for row, ids in enumerate(prompts):
            self.in_prompt[row, ids] = True

    def add(self, tokens: Int[Tensor, " rows"]) -> None:
        """Count one generated token in each row."""
        self.generated[torch.arange(len(tokens), device=tokens.device), tokens] += 1

    def keep(self, rows: Tensor) -> None:
        """Keep only these rows."""
        self.in_prompt, self.generated = self.in_prompt[rows], self.generated[rows]


def penalize(logits: Float[Tensor, "rows d_vocab"], seen: Seen, how: Sampling) -> Float[Tensor, "rows d_vocab"]:
    """Return the logits after the three penalties."""
    if how.repetition_penalty != 1.0:
        scaled = torch.where(logits > 0, logits / how.repetition_penalty, logits * how.repetition_penalty)
        logits = torch.where(seen.in_prompt | (seen.generated > 0), scaled, logits)
    return logits - how.frequency_penalty * seen.generated - how.presence_penalty * (seen.generated > 0)


def probabilities(logits: Float[Tensor, "rows d_vocab"], how: Sampling) -> Float[Tensor, "rows d_vocab"]:
    """Return the truncated distribution that the next token is drawn from."""
    # From the best downward, so that a tiny temperature overflows to certainty and not to NaN.
    logits = (logits - logits.amax(-1, keepdim=True)) / how.temperature
    if 0 < how.top_k < logits.shape[-1]:
        kth = logits.topk(how.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < kth, -torch.inf)
    probs = logits.softmax(-1)
    if how.top_p < 1.0:
        ordered, index = probs.sort(dim=-1, descending=True, stable=True)
        beyond = ordered.cumsum(-1) - ordered >= how.top_p
        probs = probs.masked_fill(beyond.scatter(-1, index, beyond), 0.0)
    if how.min_p > 0.0:
        probs = probs.masked_fill(probs < how.min_p * probs.amax(-1, keepdim=True), 0.0)
    return probs / probs.sum(-1, keepdim=True)


def most_probable(logits: Float[Tensor, "rows d_vocab"]) -> Int[Tensor, " rows"]:
    """Return the first token of each row with the largest logit."""
    if logits.device.type == "cpu" and logits.dtype is torch.float32:
        # numpy searches in vectors; PyTorch takes 20 times as long for one row, which shows beside a token of the kernel.
        return torch.from_numpy(logits.detach().numpy().argmax(-1))
    return logits.max(-1).indices


def choose(
    logits: Float[Tensor, "rows d_vocab"], how: Sampling, generators: list[torch.Generator]
) -> Int[Tensor, " rows"]:
    """Return one token for each row; every row draws from its own generator, so no row depends on its neighbors."""
    if how.temperature == 0.0:
        return most_probable(logits)
    probs = probabilities(logits.float(), how).cpu()
    drawn = [torch.multinomial(row, 1, generator=source) for row, source in zip(probs, generators, strict=True)]
    return torch.cat(drawn).to(logits.device)
