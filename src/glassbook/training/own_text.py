"""A text to train on: its vocabulary, its tokens, and the tenth of it that is never learned from."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.models.loading.opening import tokenizer_of
from glassbook.text.bpe import END_OF_TEXT
from glassbook.text.corpora import Corpus
from glassbook.text.tokenizer import Tokenizer
from glassbook.text.vocabularies import byte_bpe_tokenizer, character_tokenizer, gpt2_tokenizer
from glassbook.training.streams import Batch, all_windows

# From this many documents on, whole ones are held back; of fewer, the last of the characters.
SPLIT_BY_DOCUMENTS = 10
_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class OwnText:
    """The tokens of a text, split; a document's start is marked by the document-start token where there is one."""

    tokenizer: Tokenizer
    train: Int[Tensor, " n"]
    validation: Int[Tensor, " m"]
    validation_bytes: int
    """How many bytes of text the tokens of `validation` behind the first one spell."""
    opening: list[int]
    """The first tokens of the validation text, for samples to go on from."""
    n_documents: int

    @property
    def opening_text(self) -> str:
        """Return the opening as text, without special tokens."""
        special = self.tokenizer.special_tokens.values()
        return self.tokenizer.decode(one for one in self.opening if one not in special)

    def windows(self, batch: int, context: int, at_most: int = 0) -> Iterator[Batch]:
        """Yield windows of the validation text: every token predicted once, or `at_most` windows spread evenly over it."""
        n_windows = (len(self.validation) - 1) // context
        if not 0 < at_most < n_windows:
            yield from all_windows(self.validation, batch, context)
            return
        starts = torch.linspace(0, len(self.validation) - context - 1, at_most).long()[:, None]
        for first in range(0, at_most, batch):
            yield self.validation[starts[first : first + batch] + torch.arange(context + 1)].long(), None

    def unigram_nats(self) -> float:
        """Return the nats a validation token costs whoever knows only how frequent each token is (each seen once more)."""
        counts = torch.bincount(self.train.long(), minlength=self.tokenizer.d_vocab).double() + 1
        return -float((counts / counts.sum()).log()[self.validation[1:].long()].mean())


def read_own_text(corpus: Corpus, tokenizer: str, d_vocab: int, context: int) -> OwnText:
    """Return the tokens of a corpus, its first nine tenths to learn from and its last tenth for validation.

    `tokenizer` is `character`, `byte-bpe` (of `d_vocab` tokens, learned from the nine tenths), `gpt2`, or a model, whose
    tokenizer is then used. A vocabulary of characters is made from the whole text. Raises InputError for an empty text and
    for one of whose two parts either is shorter than a window of `context` tokens and the one that follows.
    """
    documents = [document for document in corpus if document]
    if not documents:
        raise InputError(f"the text '{corpus.name}' is empty; give one with something in it")
    learned, held_back = split(documents)
    ours = make_tokenizer(tokenizer, documents, learned, d_vocab)
    is_cut = len(learned) + len(held_back) > len(documents)
    train, validation = encode_documents(ours, learned), encode_documents(ours, held_back, from_start=not is_cut)
    if min(len(train), len(validation)) <= context:
        raise InputError(
            f"the text '{corpus.name}' is too short: {len(train)} of its tokens are to learn from and {len(validation)} for "
            f"validation, and one window is {context} and the one that follows; give more text or a shorter context"
        )
    return OwnText(
        tokenizer=ours,
        train=train,
        validation=validation,
        validation_bytes=_n_bytes(ours, validation[1:]),
        opening=validation[: min(8, context // 2)].tolist(),
        n_documents=len(documents),
    )


def split(documents: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the first nine tenths and the last: of the documents where there are ten or more, else of the characters."""
    if len(documents) >= SPLIT_BY_DOCUMENTS:
        n = len(documents) * 9 // 10
        return list(documents[:n]), list(documents[n:])
    left = math.ceil(sum(map(len, documents)) * 0.9)
    learned, held_back = [], []
    for document in documents:
        learned.append(document[:left])
        held_back.append(document[left:])
        left = max(left - len(document), 0)
    return [part for part in learned if part], [part for part in held_back if part]


def make_tokenizer(kind: str, documents: Sequence[str], learned: Sequence[str], d_vocab: int) -> Tokenizer:
    """Return the tokenizer that `kind` means, as `read_own_text` says."""
    if kind == "character":
        return character_tokenizer(documents, [END_OF_TEXT] if len(documents) > 1 else [])
    if kind == "byte-bpe":
        return byte_bpe_tokenizer(learned, d_vocab)
    return gpt2_tokenizer() if kind == "gpt2" else tokenizer_of(kind)


def encode_documents(tokenizer: Tokenizer, documents: Sequence[str], from_start: bool = True) -> Int[Tensor, " n"]:
    """Return the tokens of all documents in a row, each behind the document-start token where there is one.

    The first is without it where it does not begin `from_start`.
    """
    start = [] if tokenizer.document_start_id is None else [tokenizer.document_start_id]
    parts = [
        torch.tensor([*start, *ids], dtype=torch.int32)
        for first in range(0, len(documents), _AT_ONCE)
        for ids in tokenizer.encode_batch(documents[first : first + _AT_ONCE])
    ]
    if not parts:
        return torch.empty(0, dtype=torch.int32)
    return torch.cat(parts)[0 if from_start else len(start) :]


def _n_bytes(tokenizer: Tokenizer, ids: Int[Tensor, " n"]) -> int:
    """Return how many bytes of text the tokens spell; a special token is none of the text's."""
    special = set(tokenizer.special_tokens.values())
    counts = torch.bincount(ids.long(), minlength=tokenizer.d_vocab).tolist()
    return sum(n * len(tokenizer.token_bytes(one)) for one, n in enumerate(counts) if n and one not in special)
