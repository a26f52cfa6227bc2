"""What a person may give a model to read: text, texts, token ids; turned into one right-padded batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from glassbook.core.errors import InputError

Prompt = str | Sequence[str] | Int[Tensor, "..."] | Sequence[int] | Sequence[Sequence[int]]


@runtime_checkable
class Encoder(Protocol):
    """The part of a tokenizer that reading a prompt needs."""

    @property
    def adds_bos(self) -> bool:
        """Return whether the tokenizer's own policy puts a token before every text."""
        ...

    @property
    def document_start_id(self) -> int | None:
        """Return the token that stands before the first word of a raw text."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, nothing added."""
        ...


@dataclass(frozen=True, slots=True)
class Prompts:
    """Token ids padded on the right; causal attention keeps padding from touching anything before it."""

    ids: Int[Tensor, "batch pos"]
    lengths: list[int]

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], pad: int = 0) -> "Prompts":
        """Return the batch of these rows of ids."""
        width = max(len(row) for row in rows)
        return cls(torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows]), [len(row) for row in rows])

    def row(self, i: int) -> list[int]:
        """Return the ids of one prompt without its padding."""
        return self.ids[i, : self.lengths[i]].tolist()


def read_prompts(
    prompt: Prompt | Prompts, encoder: Encoder | None, n_ctx: int, d_vocab: int, prepend_bos: bool | None = None
) -> Prompts:
    """Return the prompt as a batch of ids.

    `prepend_bos` puts the document-start token before each text; None follows the tokenizer's own policy. Raises InputError
    for an empty prompt, one longer than the context, or ids outside the vocabulary.
    """
    if isinstance(prompt, Prompts):
        batch = prompt
    elif isinstance(prompt, Tensor):
        rows = prompt if prompt.ndim == 2 else prompt.unsqueeze(0)
        if prompt.is_floating_point():
            raise InputError(f"the prompt holds {prompt.dtype} numbers; give token ids, which are whole numbers")
        if prompt.ndim not in (1, 2) or rows.numel() == 0:
            raise InputError(
                f"the prompt has shape {tuple(prompt.shape)}; give token ids as [batch pos], with at least one token"
            )
        batch = Prompts(rows.long(), [rows.shape[1]] * rows.shape[0])
    else:
        batch = Prompts.of(_rows(prompt, encoder, prepend_bos))
    _check(batch, n_ctx, d_vocab)
    return batch


def _rows(
    prompt: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
    encoder: Encoder | None,
    prepend_bos: bool | None,
) -> list[list[int]]:
    if len(prompt) == 0 and not isinstance(prompt, str):
        raise InputError("there is no prompt; give at least one text")
    # One list of ids is one prompt, as one string is.
    is_single = isinstance(prompt, str) or isinstance(prompt[0], int)
    items: list[Any] = [prompt] if is_single else list(prompt)
    rows = [_encode(item, encoder, prepend_bos) if isinstance(item, str) else [int(i) for i in item] for item in items]
    for number, row in enumerate(rows):
        if not row:
            raise InputError(f"prompt {number} is empty; give at least one token of text")
    return rows


def _encode(text: str, encoder: Encoder | None, prepend_bos: bool | None) -> list[int]:
    if encoder is None:
        raise InputError("this model has no tokenizer; give token ids instead of text")
    ids = encoder.encode(text)
    if not (encoder.adds_bos if prepend_bos is None else prepend_bos):
        return ids
    if encoder.document_start_id is None:
        raise InputError("this tokenizer has no token for the start of a document; use prepend_bos=False")
    return ids if ids[:1] == [encoder.document_start_id] else [encoder.document_start_id, *ids]


def _check(batch: Prompts, n_ctx: int, d_vocab: int) -> None:
    longest = max(batch.lengths)
    if longest > n_ctx:
        row = batch.lengths.index(longest)
        raise InputError(f"prompt {row} has {longest} tokens and this model reads at most {n_ctx}; shorten it")
    low, high = int(batch.ids.min()), int(batch.ids.max())
    if low < 0 or high >= d_vocab:
        raise InputError(
            f"token id {low if low < 0 else high} is outside the vocabulary of {d_vocab}; use this model's own tokenizer"
        )
