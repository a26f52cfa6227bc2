"""What a trained model does when it writes: does its cache tell the same, and do its dice fall as its softmax says?"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.models.generation import Request, complete
from glassbook.models.prompts import Prompts
from glassbook.models.sampling import Sampling, choose, probabilities
from glassbook.models.transformer import Transformer
from glassbook.text.tokenizer import Tokenizer

Column = NDArray[np.float64]
_FEWEST_EXPECTED = 5.0


def measure_cache(net: Transformer, texts: Int[Tensor, "prompt pos"], n_prompt: int) -> dict[str, Column]:
    """Return for each text the largest difference of the logits that reading it token by token makes, and controls.

    The first `n_prompt` tokens are read in one pass; the rest one at a time, with a cache, without any memory, and with a
    cache whose positions are counted one too low. `same_greedy` says whether every most probable token is the same.
    """
    rows = []
    for text in texts[:, None]:
        whole = net(text)[:, n_prompt - 1 :]
        stepped = {
            "cached": _step_by_step(net, text, n_prompt, 0),
            "shifted": _step_by_step(net, text, n_prompt, -1),
            "forgetful": _without_memory(net, text, n_prompt),
        }
        row = {f"{name}_difference": float((one - whole).abs().max()) for name, one in stepped.items()}
        row |= {f"{name}_same_greedy": _same_greedy(one, whole) for name, one in stepped.items()}
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _step_by_step(net: Transformer, text: Tensor, n_prompt: int, shift: int) -> Float[Tensor, "1 pos d_vocab"]:
    cache = net.new_cache(1, text.shape[1])
    found = [net(text[:, :n_prompt], cache=cache)[:, -1:]]
    for at in range(n_prompt, text.shape[1]):
        found.append(net(text[:, at : at + 1], cache=cache, positions=torch.tensor([[at + shift]])))
    return torch.cat(found, 1)


def _without_memory(net: Transformer, text: Tensor, n_prompt: int) -> Float[Tensor, "1 pos d_vocab"]:
    found = [net(text[:, at : at + 1], positions=torch.tensor([[at]])) for at in range(n_prompt - 1, text.shape[1])]
    return torch.cat(found, 1)


def _same_greedy(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.argmax(-1) == theirs.argmax(-1)).all())


def measure_sampling(logits: Float[Tensor, "prompt d_vocab"], draws: int, top_k: int, seed: int) -> dict[str, Column]:
    """Return for each prompt the chance of so uneven a sample, under sound dice and two that are not, and what top-k lets by.

    The chance is the p-value of Pearson's chi-square test of the drawn tokens against the softmax: spread evenly over 0 to 1,
    with mean 0.5, where the tokens are drawn as they should be.
    """
    plain, cooler = Sampling(temperature=1.0), Sampling(temperature=0.8)
    few = Sampling(temperature=1.0, top_k=top_k)
    rows = []
    for number, row in enumerate(logits):
        said = probabilities(row[None], plain)[0]
        best = row.topk(top_k).indices

        def drawn(how: Sampling, row: Tensor = row, number: int = number) -> Int[Tensor, " draw"]:
            sources = [generator(seed, "sampling", number, draw) for draw in range(draws)]
            return choose(row.expand(draws, -1), how, sources)

        evenly = torch.randint(len(row), (draws,), generator=generator(seed, "even dice", number))
        sampled = drawn(plain)
        rows.append(
            {
                "p_value": chi_square_p(sampled, said),
                "p_value_cooler": chi_square_p(drawn(cooler), said),
                "p_value_uniform": chi_square_p(evenly, said),
                "within_top_k": float(torch.isin(drawn(few), best).double().mean()),
                "within_top_k_uniform": float(torch.isin(evenly, best).double().mean()),
                "within_top_k_unasked": float(torch.isin(sampled, best).double().mean()),
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def chi_square_p(drawn: Int[Tensor, " draw"], probs: Float[Tensor, " d_vocab"]) -> float:
    """Return the chance of counts at least as uneven if tokens are drawn from `probs`; rare tokens are counted together."""
    expected = probs.double() / probs.double().sum() * len(drawn)
    counts = torch.bincount(drawn, minlength=len(probs)).double()
    common = expected >= _FEWEST_EXPECTED
    rare = float(counts[~common].sum()), float(expected[~common].sum())
    # The most expected first, so that rare tokens too few for a cell of their own join the least expected of the others.
    order = expected[common].argsort(descending=True)
    cells = list(zip(counts[common][order].tolist(), expected[common][order].tolist(), strict=True))
    if rare[1] < _FEWEST_EXPECTED and cells:
        last = cells.pop()
        rare = rare[0] + last[0], rare[1] + last[1]
    cells.append(rare)
    if len(cells) < 2:
        raise InputError("the model is too sure of the next token for a test of its dice; choose another prompt")
    statistic = sum((count - wanted) ** 2 / wanted for count, wanted in cells)
    freedom = torch.tensor((len(cells) - 1) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom, torch.tensor(statistic / 2, dtype=torch.float64)))


def open_prompts(logits: Float[Tensor, "prompt d_vocab"], n: int) -> Float[Tensor, "open d_vocab"]:
    """Return the first `n` rows whose most probable token has less than three chances in four: dice with several faces."""
    return logits[logits.softmax(-1).amax(-1) < 0.75][:n]


def windows_of(ids: Sequence[int] | Tensor, n: int, width: int) -> Int[Tensor, "n width"]:
    """Return `n` windows of a text, evenly spread over it."""
    row = torch.as_tensor(ids)
    starts = torch.linspace(0, len(row) - width, n).long()
    return torch.stack([row[start : start + width] for start in starts.tolist()])


def write_on(net: Transformer, tokenizer: Tokenizer, beginning: str, n_tokens: int, seed: int) -> str:
    """Return text of `n_tokens` sampled at temperature 0.8, which reads its own end again wherever the context is full."""
    half, written = net.config.n_ctx // 2, tokenizer.encode(beginning)
    while len(written) < n_tokens:
        how = Sampling(max_new_tokens=half, temperature=0.8, seed=seed + len(written), stop_at_eos=False)
        tail = Prompts(torch.tensor([written[-half:]], device=net.device), [len(written[-half:])])
        request = Request(batch=tail, how=how)
        written += complete(net, tokenizer, request)[0].tokens
    return tokenizer.decode(written[:n_tokens])
