"""Documents become contexts: rows of tokens as the model reads them, which know the document of every token."""

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from glassbook.activations.store.settings import Harvest
from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.text.corpora import Corpus
from glassbook.text.tokenizer import Tokenizer

Ids = Int[np.ndarray, " pos"]

_AT_ONCE = 64
"""Documents that are encoded together, on all threads."""
_CHARACTERS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Context:
    """Tokens that the model reads as one row, and the number of the document in the corpus that each is from."""

    tokens: Ids
    documents: Ids


class Documents:
    """The encoded documents of a part of a corpus; knows how many were read and the checksum of exactly those."""

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, part: tuple[int, int | None], read: int = 0) -> None:
        """Begin behind the first `read` documents of the part, as after so many calls of `next`."""
        self.tokenizer = tokenizer
        self.number, self.read = part[0], 0
        self._digest = hashlib.sha256()
        self._texts = islice(iter(corpus), *part)
        self._encoded: deque[tuple[bytes, list[int]]] = deque()
        for text in islice(self._texts, read):
            self._note(text.encode())

    @property
    def sha256(self) -> str:
        """Return the checksum of the documents read, as a Corpus of exactly these computes it."""
        return self._digest.hexdigest()

    def next(self) -> tuple[int, Ids] | None:
        """Return the number and the tokens of the next document, or None where the part ends."""
        if not self._encoded:
            self._encode_some()
        if not self._encoded:
            return None
        raw, ids = self._encoded.popleft()
        self._note(raw)
        return self.number - 1, np.asarray(ids, np.int32)

    def _note(self, raw: bytes) -> None:
        self._digest.update(len(raw).to_bytes(8, "little") + raw)
        self.read += 1
        self.number += 1

    def _encode_some(self) -> None:
        texts: list[str] = []
        while len(texts) < _AT_ONCE and sum(map(len, texts)) < _CHARACTERS_AT_ONCE:
            text = next(self._texts, None)
            if text is None:
                break
            texts.append(text)
        if texts:
            ids = self.tokenizer.encode_batch(texts)
            self._encoded.extend(zip((text.encode() for text in texts), ids, strict=True))


class Packer:
    """Contexts of a corpus, one after another, with all that the next one depends on in `state`."""

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, settings: Harvest, epoch: int = 0) -> None:
        self.corpus, self.tokenizer, self.settings, self.epoch = corpus, tokenizer, settings, epoch
        self.start_id = start_id(tokenizer, settings)
        self.source = Documents(corpus, tokenizer, settings.documents)
        self.drawn = 0
        self._ahead: list[Context] = []
        self._held: list[Context] = []
        self._document, self._rest, self._begins = -1, np.empty(0, np.int32), False
        self._tokens, self._documents = (np.empty(settings.context, np.int32) for _ in range(2))
        self._filled, self._ended = 0, False

    def next(self) -> Context | None:
        """Return the next context, or None where the corpus has no more."""
        return self._ahead.pop(0) if self._ahead else self._draw()

    def look(self, n: int) -> list[Context]:
        """Return the next `n` contexts, which `next` then returns; fewer where the corpus ends."""
        self._ahead += islice(iter(self._draw, None), n - len(self._ahead))
        return self._ahead[:n]

    def exhausted(self) -> bool:
        """Return whether there is no further context; reads on until as many are held as are to be mixed."""
        self._hold()
        return not self._held and not self._ahead

    def _draw(self) -> Context | None:
        """Return one of the contexts that are held, and by chance which."""
        self._hold()
        if not self._held:
            return None
        place = 0
        if len(self._held) > 1:
            chance = generator(self.settings.seed, "mixed", self.epoch, self.drawn)
            place = int(torch.randint(len(self._held), (1,), generator=chance))
        self.drawn += 1
        self._held[place], self._held[-1] = self._held[-1], self._held[place]
        return self._held.pop()

    def _hold(self) -> None:
        while not self._ended and len(self._held) < max(self.settings.mixed, 1):
            context = self._pack()
            if context is None:
                self._ended = True
            else:
                self._held.append(context)

    def _pack(self) -> Context | None:
        """Return the next context in the order of the corpus."""
        while True:
            if not len(self._rest) and not self._next_document():
                return self._cut() if self._has_text else None
            if self._begins and not self.settings.packed and self._has_text:
                return self._cut()
            self._fill()
            if self._filled == self.settings.context:
                return self._cut()

    def _next_document(self) -> bool:
        found = self.source.next()
        if found is None:
            return False
        self._document, self._rest = found
        self._begins = True
        return True

    def _fill(self) -> None:
        """Move tokens of the document into the context, behind the start token at the start of either."""
        if not len(self._rest):
            return
        if self.start_id is not None and (self._begins or self._filled == 0):
            self._put(np.array([self.start_id], np.int32))
        self._begins = False
        n = min(self.settings.context - self._filled, len(self._rest))
        self._put(self._rest[:n])
        self._rest = self._rest[n:]

    def _put(self, ids: Ids) -> None:
        place = slice(self._filled, self._filled + len(ids))
        self._tokens[place], self._documents[place] = ids, self._document
        self._filled += len(ids)

    @property
    def _has_text(self) -> bool:
        return self._filled > (self.start_id is not None)

    def _cut(self) -> Context:
        n, self._filled = self._filled, 0
        return Context(self._tokens[:n].copy(), self._documents[:n].copy())

    def state(self) -> dict[str, Tensor]:
        """Return documents read, what is left of the last one, the context under way and those that are held."""
        numbers = [self.source.read, self.drawn, self.epoch, self._document, int(self._begins), int(self._ended)]
        return {
            "numbers": torch.tensor(numbers),
            "rest": _kept(self._rest),
            "tokens": _kept(self._tokens[: self._filled]),
            "documents": _kept(self._documents[: self._filled]),
            **_named("held", self._held, self.settings.context),
            **_named("ahead", self._ahead, self.settings.context),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned; documents that were read are passed over, not encoded again."""
        read, self.drawn, self.epoch, self._document, begins, ended = state["numbers"].tolist()
        self._begins, self._ended = bool(begins), bool(ended)
        self.source = Documents(self.corpus, self.tokenizer, self.settings.documents, read)
        self._rest = state["rest"].numpy().copy()
        self._filled = len(state["tokens"])
        self._tokens[: self._filled] = state["tokens"].numpy()
        self._documents[: self._filled] = state["documents"].numpy()
        self._held, self._ahead = _contexts("held", state), _contexts("ahead", state)


def _kept(numbers: Int[np.ndarray, " n"]) -> Int[Tensor, " n"]:
    """Return a copy as a tensor; what torch makes of an empty array has a stride of 0, which no file can hold."""
    found = torch.from_numpy(numbers)
    return found.new_empty(len(numbers)).copy_(found)


def _named(name: str, contexts: list[Context], width: int) -> dict[str, Tensor]:
    parts = ("tokens", "documents", "lengths")
    return {f"{name}_{part}": values for part, values in zip(parts, padded(contexts, width), strict=True)}


def _contexts(name: str, state: Mapping[str, Tensor]) -> list[Context]:
    tokens, documents = state[f"{name}_tokens"].numpy(), state[f"{name}_documents"].numpy()
    lengths = enumerate(state[f"{name}_lengths"].tolist())
    return [Context(tokens[row, :n].copy(), documents[row, :n].copy()) for row, n in lengths]


def start_id(tokenizer: Tokenizer, settings: Harvest) -> int | None:
    """Return the token that is put before contexts and documents; raise InputError where it is asked for and not there."""
    if settings.policy.start_token is False:
        return None
    found = tokenizer.document_start_id
    if found is None and settings.policy.start_token:
        raise InputError("this tokenizer has no token for the start of a document; use start_token=False")
    return found


def padded(
    contexts: list[Context], width: int
) -> tuple[Int[Tensor, "context pos"], Int[Tensor, "context pos"], Int[Tensor, " context"]]:
    """Return tokens and documents of contexts, filled up with zeros on the right, and their lengths."""
    tokens, documents = (torch.zeros(len(contexts), width, dtype=torch.int32) for _ in range(2))
    for row, context in enumerate(contexts):
        n = len(context.tokens)
        tokens[row, :n] = torch.from_numpy(context.tokens)
        documents[row, :n] = torch.from_numpy(context.documents)
    lengths = torch.tensor([len(context.tokens) for context in contexts], dtype=torch.int32)
    return tokens, documents, lengths
