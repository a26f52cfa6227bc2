"""The texts that are learned from: Shakespeare by characters, books by byte pairs, each with what is held out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from glassbook.files.arrays import read_arrays, write_arrays
from glassbook.sources.known import known
from glassbook.sources.obtain import is_cached, obtain
from glassbook.studies.contract import Cell
from glassbook.studies.gpt2_from_scratch.baselines import Split
from glassbook.studies.gpt2_from_scratch.conversations import Row, made_up_rows, read_rows
from glassbook.studies.gpt2_from_scratch.settings import Settings
from glassbook.text.bpe import END_OF_TEXT
from glassbook.text.corpora import SHIPPED, open_corpus
from glassbook.text.formats.huggingface import read_folder, save_folder
from glassbook.text.tokenizer import Tokenizer
from glassbook.text.vocabularies import byte_bpe_tokenizer, character_tokenizer, gpt2_tokenizer

INSTRUCTIONS = "instruction_data"
_WITHOUT_DATA = "oz"


@dataclass(frozen=True)
class Characters:
    """A text by characters, the first nine tenths to learn from and the last to foretell, as nanoGPT cuts it."""

    text: str

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer whose tokens are the characters of the text."""
        return character_tokenizer([self.text])

    @property
    def cut(self) -> int:
        """Return where the second part begins."""
        return int(0.9 * len(self.text))

    @cached_property
    def ids(self) -> Int[Tensor, " n"]:
        """Return the whole text as ids."""
        return torch.tensor(self.tokenizer.encode(self.text))

    @property
    def train(self) -> Int[Tensor, " n"]:
        """Return what is learned from."""
        return self.ids[: self.cut]

    @property
    def val(self) -> Int[Tensor, " n"]:
        """Return what is foretold."""
        return self.ids[self.cut :]

    @property
    def split(self) -> Split:
        """Return both parts for the guessers that need no network."""
        return Split(self.train.numpy(), self.val.numpy(), self.tokenizer.d_vocab)

    @property
    def raw(self) -> tuple[bytes, bytes]:
        """Return both parts as bytes."""
        return self.text[: self.cut].encode(), self.text[self.cut :].encode()


def read_characters(cell: Cell) -> Characters:
    """Return the text that the settings name; a smoke run without data reads a book of the package."""
    settings: Settings = cell.settings
    return Characters("\n".join(_documents(cell, settings.text))[: settings.n_characters or None])


@dataclass(frozen=True)
class Books:
    """Books by byte pairs, the last of them held out, each ended by the token that parts documents."""

    tokenizer: Tokenizer
    train: Int[Tensor, " n_train"]
    held_out: Int[Tensor, " n_held_out"]
    n_held_out_bytes: int

    @property
    def end_id(self) -> int:
        """Return the token that ends a document and a response."""
        return end_id(self.tokenizer)


def read_books(cell: Cell) -> tuple[Books, bytes]:
    """Return the books that the settings name, as ids of a vocabulary learned from those not held out, and those that are."""
    settings: Settings = cell.settings
    documents = _documents(cell, settings.books)[: settings.n_books or None]
    learned_from, held_out = documents[: -settings.books_held_out], documents[-settings.books_held_out :]
    tokenizer = gpt2_tokenizer() if settings.d_vocab == 0 else byte_bpe_tokenizer(learned_from, settings.d_vocab)
    cell.progress(0.02, 1.0, "the vocabulary is learned")
    raw = "".join(held_out).encode()
    return Books(tokenizer, _ids(tokenizer, learned_from), _ids(tokenizer, held_out), len(raw)), raw


def keep(books: Books, folder: Path) -> None:
    """Write the vocabulary and what is held out into a folder, for the arms that come after."""
    save_folder(books.tokenizer, folder / "tokenizer")
    write_arrays(folder / "held_out.npz", {"ids": books.held_out.numpy()})


def kept(folder: Path) -> tuple[Tokenizer, Int[Tensor, " n"]]:
    """Return the vocabulary and the held-out ids that `keep` wrote."""
    return read_folder(folder / "tokenizer"), torch.from_numpy(read_arrays(folder / "held_out.npz")["ids"])


def end_id(tokenizer: Tokenizer) -> int:
    """Return the token that ends a document and a response."""
    return tokenizer.special_tokens[END_OF_TEXT]


def read_instructions(cell: Cell) -> list[Row]:
    """Return the instruction rows; a smoke run without data makes up some."""
    if cell.size == "smoke" and not is_cached(INSTRUCTIONS):
        return made_up_rows(40)
    rows = read_rows(obtain(INSTRUCTIONS))
    file = known(INSTRUCTIONS)
    cell.data(file.name, file.decoded_sha256, len(rows), file.licence)
    return rows


def checksum(name: str) -> str:
    """Return the checksum of a corpus as it is now, without reading more than the package itself carries."""
    return open_corpus(name).sha256 if name in SHIPPED else known(name).decoded_sha256


def _documents(cell: Cell, name: str) -> list[str]:
    """Return the documents of a corpus; a smoke run without data reads a book of the package."""
    at_hand = name in SHIPPED or cell.size != "smoke" or is_cached(name)
    corpus = open_corpus(name if at_hand else _WITHOUT_DATA)
    documents = list(corpus)
    cell.data(corpus.name, checksum(corpus.name), len(documents), corpus.licence)
    return documents


def _ids(tokenizer: Tokenizer, documents: Sequence[str]) -> Int[Tensor, " n"]:
    """Return the documents one after another, each with the token that ends it."""
    end = end_id(tokenizer)
    return torch.tensor(
        [number for ids in tokenizer.encode_batch(documents) for number in (*ids, end)], dtype=torch.int32
    )
