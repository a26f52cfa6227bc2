"""Vocabularies of one's own: every character of a text, byte pairs learned from it, or GPT-2's."""

from collections.abc import Iterable, Sequence
from functools import cache

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers

from glassbook.core.errors import InputError
from glassbook.text.bpe import END_OF_TEXT, gpt2_bpe, spell
from glassbook.text.tokenizer import Declared, Tokenizer

N_BYTES = 256
ANY_CHARACTER = r"[\s\S]"


def character_tokenizer(texts: Iterable[str], special_tokens: Sequence[str] = ()) -> Tokenizer:
    """Return the tokenizer whose tokens are the characters of `texts` in code point order, then the special tokens.

    Encoding another character raises InputError that names it. Raises InputError for texts without any character.
    """
    alphabet = sorted(set().union(*map(set, texts)))
    if not alphabet:
        raise InputError(
            "the texts hold no character, so there is no vocabulary to make; give a text that is not empty"
        )
    for character in alphabet:
        if "\ud800" <= character <= "\udfff":
            raise InputError(f"the texts hold half a character (U+{ord(character):04X}); remove it")
    backend = tokenizers.Tokenizer(models.WordLevel({character: rank for rank, character in enumerate(alphabet)}))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(ANY_CHARACTER), "isolated")
    backend.decoder = decoders.Fuse()
    return _with_special(backend, special_tokens)


def byte_bpe_tokenizer(texts: Iterable[str], d_vocab: int, special_tokens: Sequence[str] = (END_OF_TEXT,)) -> Tokenizer:
    """Return a byte-level BPE tokenizer of at most `d_vocab` tokens learned from `texts`: bytes, merges, special tokens.

    It is GPT-2's kind, and learns the merges of `ByteBPE.train`; fewer where no pair occurs twice. Raises InputError for
    a size that cannot hold 256 bytes and the special tokens, and for texts without any character.
    """
    n_plain = d_vocab - len(special_tokens)
    if n_plain < N_BYTES:
        raise InputError(
            f"{d_vocab} tokens cannot hold {N_BYTES} bytes and {len(special_tokens)} special tokens; ask for more"
        )
    backend = _bytes(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=n_plain,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    seen = _Seen(texts)
    try:
        backend.train_from_iterator(seen, trainer)
    except UnicodeError:
        raise InputError("a text holds half a character (a lone surrogate); remove it") from None
    if not seen.characters:
        raise InputError(
            "the texts hold no character, so there are no byte pairs to learn; give a text that is not empty"
        )
    return _with_special(backend, special_tokens)


@cache
def gpt2_tokenizer() -> Tokenizer:
    """Return GPT-2's own tokenizer of 50,257 tokens, from the merges in the package (no network)."""
    bpe = gpt2_bpe()
    n_plain = bpe.d_vocab - len(bpe.special_tokens)
    vocabulary = {spell(token): number for number, token in enumerate(bpe.tokens[:n_plain])}
    merges = [(spell(bpe.tokens[left]), spell(bpe.tokens[right])) for left, right in bpe.merges]
    return _with_special(_bytes(models.BPE(vocab=vocabulary, merges=merges)), list(bpe.special_tokens))


class _Seen:
    """Texts as they pass, and how many characters they had: the trainer takes them one by one and says nothing."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = iter(texts)
        self.characters = 0

    def __iter__(self) -> "_Seen":
        return self

    def __next__(self) -> str:
        text = next(self._texts)
        self.characters += len(text)
        return text


def _bytes(model: models.BPE) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return backend


def _with_special(backend: tokenizers.Tokenizer, special_tokens: Sequence[str]) -> Tokenizer:
    """Return the Tokenizer with its special tokens behind all others; `<|endoftext|>` begins and ends a text."""
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special_tokens])
    end = backend.token_to_id(END_OF_TEXT) if END_OF_TEXT in special_tokens else None
    return Tokenizer(backend, Declared(bos_id=end, eos_id=end))
