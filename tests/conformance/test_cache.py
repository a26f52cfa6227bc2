"""What every architecture must do with a key/value cache: the same as without one."""

import torch
from torch import Tensor

from conformance.conftest import Case
from glassbook.core.sites import KINDS, Site
from glassbook.core.taps import Span, Taps
from glassbook.models.generation import Request, complete
from glassbook.models.prompts import Prompts
from glassbook.models.sampling import Sampling

NEAR, CLEAR_GAP = 1e-4, 1e-3


def rows_of(case: Case, lengths: list[int]) -> list[list[int]]:
    """Return the first tokens of each row of the case, so many."""
    return [row[:n].tolist() for row, n in zip(case.tokens, lengths, strict=True)]


def test_a_prompt_read_in_chunks_gives_the_logits_of_one_pass(case: Case) -> None:
    whole, width = case.net(case.tokens), case.tokens.shape[1]
    for chunks in ([width], [1] * width, [5, 1, width - 6], [width - 1, 1]):
        cache, start, parts = case.net.new_cache(len(case.tokens), width), 0, []
        for n in chunks:
            parts.append(case.net(case.tokens[:, start : start + n], cache=cache))
            start += n
        assert cache.filled == width
        assert float((torch.cat(parts, 1) - whole).abs().max()) <= NEAR, f"chunks {chunks}"


def test_the_control_a_cache_that_forgot_a_token_is_noticed(case: Case) -> None:
    width = case.tokens.shape[1]
    cache = case.net.new_cache(len(case.tokens), width)
    case.net(case.tokens[:, : width - 1], cache=cache)
    cache.keys[:, :, :, width - 3] = 0
    last = case.net(case.tokens[:, -1:], cache=cache)
    assert float((last - case.net(case.tokens)[:, -1:]).abs().max()) > 1e-3


def continued(case: Case, lengths: list[int], n_steps: int) -> Tensor:
    """Return logits of steps over a cache whose prompts were padded; each row goes on with its own tokens."""
    batch = Prompts.of(rows_of(case, lengths), pad=1)
    cache = case.net.new_cache(len(lengths), batch.ids.shape[1] + n_steps)
    ends = torch.tensor(lengths)
    found = [case.net(batch.ids, cache=cache, read_at=ends - 1)[:, 0]]
    cache.hide(lengths)
    for step in range(n_steps):
        places = ends + step
        tokens = case.tokens[torch.arange(len(lengths)), places]
        found.append(case.net(tokens[:, None], cache=cache, positions=places[:, None])[:, 0])
    return torch.stack(found, 1)


def test_padded_prompts_of_unequal_length_continue_as_each_does_alone(case: Case) -> None:
    lengths, n_steps = [7, 3, 10], 4
    together = continued(case, lengths, n_steps)
    for row, length in enumerate(lengths):
        alone = case.net(case.tokens[row : row + 1, : length + n_steps])[0, length - 1 :]
        assert float((together[row] - alone).abs().max()) <= NEAR, f"row {row}"


def test_the_control_padding_that_is_not_hidden_is_noticed(case: Case) -> None:
    cache = case.net.new_cache(3, 12)
    batch = Prompts.of(rows_of(case, [7, 3, 10]), pad=1)
    case.net(batch.ids, cache=cache)
    seen = case.net(case.tokens[:, :1], cache=cache, positions=torch.tensor([[7], [3], [10]]))
    cache.filled -= 1
    cache.hide([7, 3, 10])
    hidden = case.net(case.tokens[:, :1], cache=cache, positions=torch.tensor([[7], [3], [10]]))
    assert float((seen - hidden)[1].abs().max()) > 1e-3
    assert float((seen - hidden)[2].abs().max()) <= NEAR


def test_greedy_tokens_are_the_same_with_and_without_a_cache_alone_and_in_a_batch(case: Case) -> None:
    n = 5
    batch = Prompts.of(rows_of(case, [6, 2, 9]))
    how = Sampling(max_new_tokens=n)
    cached = [one.tokens for one in complete(case.net, None, Request(batch=batch, how=how))]
    plain = [one.tokens for one in complete(case.net, None, Request(batch=batch, how=how, use_cache=False))]
    for row, (one, other) in enumerate(zip(cached, plain, strict=True)):
        prompt = batch.row(row)
        logits = case.net(torch.tensor([prompt + other]))[0, len(prompt) - 1 : -1]
        top = logits.topk(2).values
        certain = int((top[:, 0] - top[:, 1] > CLEAR_GAP).int().cumprod(0).sum())
        assert certain >= 1
        expected = logits.argmax(-1).tolist()[:certain]
        assert one[:certain] == other[:certain] == expected, f"row {row}"


def test_a_pass_over_the_pattern_agrees_with_the_fused_one_over_a_cache_too(case: Case) -> None:
    lengths = [7, 3, 10]
    plain = continued(case, lengths, 2)[:, -1]
    batch = Prompts.of(rows_of(case, lengths), pad=1)
    cache, ends, seen = case.net.new_cache(3, 12), torch.tensor(lengths), []
    site = Site("pattern", case.net.config.n_layers - 1)
    assert "query" in KINDS[site.name].axes
    case.net(batch.ids, cache=cache, read_at=ends - 1)
    cache.hide(lengths)
    for step in range(2):
        places = (ends + step)[:, None]
        span = Span(places, ends, ends + step + 1, torch.arange(3))
        taps = Taps(readers={site: seen.append}, span=span)
        logits = case.net(case.tokens.gather(1, places), taps, cache, places)[:, 0]
    assert float((logits - plain).abs().max()) <= NEAR
    for row, length in enumerate(lengths):
        padding = seen[-1][row, :, 0, length:10]
        assert bool((padding == 0).all()), "no token of a later step attends to padding"
    assert torch.allclose(seen[-1].sum(-1), torch.ones(seen[-1].shape[:-1]), atol=1e-5)
