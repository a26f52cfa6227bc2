"""Text to tokens: tokenizers, chat templates, corpora."""

from pathlib import Path

from glassbook.core.errors import InputError
from glassbook.files.gguf import open_gguf
from glassbook.text.bpe import ByteBPE, gpt2_bpe
from glassbook.text.chat import render_chat
from glassbook.text.corpora import Corpus, CorpusInfo, list_corpora, open_corpus
from glassbook.text.formats.gguf import read_metadata
from glassbook.text.formats.huggingface import read_folder, save_folder
from glassbook.text.tokenizer import Declared, StreamDecoder, Tokenizer
from glassbook.text.vocabularies import byte_bpe_tokenizer, character_tokenizer, gpt2_tokenizer

__all__ = [
    "ByteBPE",
    "Corpus",
    "CorpusInfo",
    "Declared",
    "StreamDecoder",
    "Tokenizer",
    "byte_bpe_tokenizer",
    "character_tokenizer",
    "gpt2_bpe",
    "gpt2_tokenizer",
    "list_corpora",
    "open_corpus",
    "open_tokenizer",
    "read_folder",
    "read_metadata",
    "render_chat",
    "save_folder",
]


def open_tokenizer(path: Path | str) -> Tokenizer:
    """Return the tokenizer of a model folder or of a `.gguf` file; raise InputError where there is neither."""
    path = Path(path)
    if path.is_dir():
        return read_folder(path)
    if not path.is_file() or path.suffix != ".gguf":
        raise InputError(f"'{path}' is neither a model folder nor a .gguf file; check the path")
    with open_gguf(path) as file:
        return read_metadata(file.metadata, str(path))
