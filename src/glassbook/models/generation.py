"""Continuing a text: one prefill, then a token at a time over a preallocated cache, under whatever edits are asked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.core.taps import Edit, Span, Taps
from glassbook.models.network import Network
from glassbook.models.prompts import Prompts
from glassbook.models.sampling import Sampling, Seen, choose, penalize
from glassbook.text.tokenizer import StreamDecoder, Tokenizer

StoppedBy = Literal["length", "eos", "stop string", "context", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything that one call of generation asks for."""

    batch: Prompts
    how: Sampling
    edits: Sequence[Edit] = ()
    n_samples: int = 1
    use_cache: bool = True
    should_stop: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        if self.n_samples < 1:
            raise InputError(f"n_samples = {self.n_samples} cannot be used; it must be at least 1")


@dataclass(frozen=True, slots=True)
class Piece:
    """A bit of text that has become certain in one row of the request."""

    row: int
    text: str


@dataclass(slots=True)
class Completion:
    """One continuation. `touched` marks which tokens, prompt first, an edit reached; row i of n samples is prompt i // n."""

    prompt_tokens: list[int]
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    stopped_by: StoppedBy = "length"
    touched: list[bool] = field(default_factory=list)


def complete(net: Network, tokenizer: Tokenizer | None, request: Request) -> list[Completion]:
    """Return every continuation of the request, n samples of one prompt side by side."""
    decoding = _Decoding(net, tokenizer, request)
    for _ in decoding.pieces():
        pass
    return decoding.completions


def stream(net: Network, tokenizer: Tokenizer | None, request: Request) -> Iterator[Piece]:
    """Yield pieces of text as they become certain; closing the iterator ends the work at once."""
    yield from _Decoding(net, tokenizer, request).pieces()


class _Decoding:
    """The state of one request: which rows still run, their cache, and what each has said."""

    def __init__(self, net: Network, tokenizer: Tokenizer | None, request: Request) -> None:
        self.net, self.request, self.how = net, request, request.how
        batch, n = request.batch, request.n_samples
        self.taps = Taps(edits=request.edits)
        self.device = batch.ids.device
        # One entry per continuation; `rows` holds the numbers of those still running.
        self.rows = list(range(len(batch.lengths) * n))
        self.completions = [Completion(batch.row(row // n)) for row in self.rows]
        self.texts = [_RowText(tokenizer, self.how.stop) for _ in self.rows] if tokenizer else None
        self.stop_ids = set(tokenizer.stop_ids) if tokenizer and self.how.stop_at_eos else set()
        self.draws = [generator(self.how.seed, "sample", row % n) for row in self.rows]
        prompts = [completion.prompt_tokens for completion in self.completions]
        self.seen = Seen(prompts, net.config.d_vocab, self.device) if self.how.penalizes else None
        # The last token of a row is drawn and not read, so it needs no column.
        steps = min(self.how.max_new_tokens - 1, net.config.n_ctx - min(batch.lengths))
        columns = max(batch.lengths) + steps
        self.cache = net.new_cache(len(batch.lengths), columns) if request.use_cache else None

    def pieces(self) -> Iterator[Piece]:
        """Yield text as it becomes certain, until every row has stopped."""
        logits = self._prefill()
        for step in range(self.how.max_new_tokens):
            if self.request.should_stop and self.request.should_stop():
                self._stop(self.rows, "cancelled")
                break
            tokens = self._choose(logits)
            yield from self._take(tokens)
            if not self.rows or step + 1 == self.how.max_new_tokens:
                break
            logits = self._advance()
        for row in self.rows:
            yield from self._finish(row)

    def _prefill(self) -> Float[Tensor, "rows d_vocab"]:
        batch, n = self.request.batch, self.request.n_samples
        span = Span.prompts(batch.lengths, batch.ids.shape[1], self.device)
        self._record(span, [list(range(i * n, i * n + n)) for i in range(len(batch.lengths))])
        with torch.inference_mode():
            logits = self.net(batch.ids, self._tapped(span), self.cache, read_at=span.lengths - 1)[:, 0]
            if self.cache is not None:
                self.cache.hide(batch.lengths)
                self.cache = self.cache.repeated(n) if n > 1 else self.cache
            return logits.repeat_interleave(n, 0) if n > 1 else logits

    def _advance(self) -> Float[Tensor, "rows d_vocab"]:
        """Run the newest token of every row (or, without a cache, everything so far); return the next logits."""
        said = [self.completions[row] for row in self.rows]
        prompt_lengths = self._tensor([len(one.prompt_tokens) for one in said])
        lengths = prompt_lengths + len(said[0].tokens)
        sources = self._tensor([row // self.request.n_samples for row in self.rows])
        if self.cache is None:
            batch = Prompts.of([one.prompt_tokens + one.tokens for one in said])
            ids, positions = batch.ids.to(self.device), torch.arange(batch.ids.shape[1], device=self.device)
            positions = positions.expand(ids.shape)
        else:
            ids = self._tensor([[one.tokens[-1]] for one in said])
            positions = (lengths - 1)[:, None]
        span = Span(positions, prompt_lengths, lengths, sources)
        if self.request.edits:
            newest = Span((lengths - 1)[:, None], prompt_lengths, lengths, sources)
            self._record(newest, [[row] for row in self.rows])
        with torch.inference_mode():
            read_at = None if self.cache is not None else lengths - 1
            return self.net(ids, self._tapped(span), self.cache, positions, read_at)[:, -1]

    def _tapped(self, span: Span) -> Taps:
        self.taps.span = span
        return self.taps

    def _tensor(self, values: list[int] | list[list[int]]) -> Int[Tensor, "..."]:
        return torch.tensor(values, dtype=torch.long, device=self.device)

    def _record(self, span: Span, owners: list[list[int]]) -> None:
        """Note which tokens of this pass the edits touch, for every continuation that each row stands for."""
        touched = torch.zeros_like(span.is_real)
        for edit in self.request.edits:
            touched = touched | (edit.touches(span) & span.is_real)
        for marks, real, rows in zip(touched.tolist(), span.is_real.tolist(), owners, strict=True):
            for row in rows:
                self.completions[row].touched += [mark for mark, is_real in zip(marks, real, strict=True) if is_real]

    def _choose(self, logits: Float[Tensor, "rows d_vocab"]) -> list[int]:
        if self.seen:
            logits = penalize(logits, self.seen, self.how)
        tokens = choose(logits, self.how, self.draws)
        if self.seen:
            self.seen.add(tokens)
        return tokens.tolist()

    def _take(self, tokens: list[int]) -> Iterator[Piece]:
        """Give every running row its token; rows that stop leave the batch."""
        ended = []
        for row, token in zip(self.rows, tokens, strict=True):
            said = self.completions[row]
            if token in self.stop_ids:
                said.stopped_by = "eos"
                ended.append(row)
                continue
            if self._is_full(said):
                said.stopped_by = "context"
                ended.append(row)
                continue
            said.tokens.append(token)
            if self.texts:
                fresh = self.texts[row].push(token)
                said.text += fresh
                if fresh:
                    yield Piece(row, fresh)
                if self.texts[row].is_stopped:
                    said.stopped_by = "stop string"
                    ended.append(row)
                    continue
            if self._is_full(said) and len(said.tokens) < self.how.max_new_tokens:
                said.stopped_by = "context"
                ended.append(row)
        for row in ended:
            yield from self._finish(row)
        self._drop(ended)

    def _is_full(self, said: Completion) -> bool:
        return len(said.prompt_tokens) + len(said.tokens) >= self.net.config.n_ctx

    def _finish(self, row: int) -> Iterator[Piece]:
        """Yield what a row still held back, and mark the tokens that no pass has read as untouched."""
        said = self.completions[row]
        said.touched += [False] * (len(said.prompt_tokens) + len(said.tokens) - len(said.touched))
        if not self.texts:
            return
        was_stopped = self.texts[row].is_stopped
        rest = self.texts[row].finish()
        if self.texts[row].is_stopped and not was_stopped:
            said.stopped_by = "stop string"
        if rest:
            said.text += rest
            yield Piece(row, rest)

    def _drop(self, ended: list[int]) -> None:
        if not ended:
            return
        kept = [i for i, row in enumerate(self.rows) if row not in ended]
        index = self._tensor(kept)
        self.rows = [self.rows[i] for i in kept]
        self.draws = [self.draws[i] for i in kept]
        if self.seen:
            self.seen.keep(index)
        if self.cache is not None and kept:
            self.cache.keep(index)

    def _stop(self, rows: list[int], why: StoppedBy) -> None:
        for row in rows:
            self.completions[row].stopped_by = why


class _RowText:
    """The text of one row, which holds back what may turn out to be a stop string."""

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self.decoder = StreamDecoder(tokenizer)
        self.stops = stops
        self.held = ""
        self.is_stopped = False

    def push(self, token: int) -> str:
        """Return the text that has become certain with this token."""
        self.held += self.decoder.push(token)
        return self._release()

    def finish(self) -> str:
        """Return the rest, at the end of the row."""
        if self.is_stopped:
            return ""
        self.held += self.decoder.finish()
        certain = self._release()
        return certain if self.is_stopped else certain + self.held

    def _release(self) -> str:
        found = [at for stop in self.stops if (at := self.held.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            certain, self.held = self.held[: min(found)], ""
            return certain
        keep = max((_overlap(self.held, stop) for stop in self.stops), default=0)
        certain, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return certain


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of `text` could be the beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
