"""The smallest things that learn: networks, texts, and a training told in one call."""

import torch
from torch import Tensor

from glassbook.models.gpt2 import GPT2, GPT2Config
from glassbook.training import History, LanguageLearner, LanguageSettings, Settings, TokenWindows, train

D_VOCAB = 37


def tiny_gpt2(seed: int = 0, **sizes: object) -> GPT2:
    """Return a GPT-2 with weights far enough from zero that nothing about it is symmetric."""
    facts = {
        "n_layers": 2, "d_model": 24, "n_heads": 3, "d_head": 8, "d_mlp": 40, "d_vocab": D_VOCAB, "n_ctx": 16,
        "norm_eps": 1e-5, "tied_embeddings": True,
    } | sizes  # fmt: skip
    net = GPT2(GPT2Config(**facts))
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=chance) * 0.2 + (weight.ndim == 1))
    return net


def some_text(n: int = 600, seed: int = 1) -> Tensor:
    """Return ids in which the next one can be guessed in part."""
    steps = torch.randint(1, 4, (n,), generator=torch.Generator().manual_seed(seed))
    return steps.cumsum(0) % D_VOCAB


def some_batch(rows: int = 6, pos: int = 9, seed: int = 2) -> tuple[Tensor, Tensor]:
    """Return tokens and, of every row another number of them, which count."""
    chance = torch.Generator().manual_seed(seed)
    tokens = torch.randint(D_VOCAB, (rows, pos), generator=chance)
    counts = torch.arange(pos) >= torch.randint(1, pos - 1, (rows, 1), generator=chance)
    return tokens, counts


def settings(**changes: object) -> LanguageSettings:
    """Return settings under which a tiny network learns quickly."""
    return LanguageSettings(**{"lr": 3e-3, "min_lr": 3e-4, "steps": 30, "warmup": 4} | changes)


def trained(steps: int, folder: object = None, *, seed: int = 0, text: Tensor | None = None, **loop: object):
    """Return the network and the History of a training of 30 steps, gone on with up to `steps`."""
    net = tiny_gpt2(seed)
    stream = TokenWindows(some_text() if text is None else text, batch=4, context=8, seed=seed)
    history: History = train(
        LanguageLearner(net, settings()), stream, Settings(steps, **{"log_every": 5} | loop), folder=folder
    )
    return net, history


def same_bits(left: torch.nn.Module, right: torch.nn.Module) -> bool:
    """Return whether all weights are equal bit for bit."""
    pairs = zip(left.parameters(), right.parameters(), strict=True)
    return all(torch.equal(one.view(torch.int32), other.view(torch.int32)) for one, other in pairs)
