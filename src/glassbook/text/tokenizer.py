"""Text to token ids and back: one class over Hugging Face's `tokenizers`, whatever file the vocabulary came from."""

import codecs
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import tokenizers

from glassbook.core.errors import FileFormatError, InputError
from glassbook.files.hashes import hash_json
from glassbook.text.bpe import CHAR_TO_BYTE, END_OF_TEXT
from glassbook.text.chat import mark, render_chat, split_marked

# What ends an assistant's turn in the families of chat models; a vocabulary with such a special token stops there.
END_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|end_of_turn|>", "<|eot|>")


@dataclass(frozen=True)
class Declared:
    """What a tokenizer's files say beyond its vocabulary: which tokens frame a text, and how a chat is written."""

    bos_id: int | None = None
    eos_id: int | None = None
    pad_id: int | None = None
    stop_ids: tuple[int, ...] = ()
    adds_bos: bool = False
    chat_template: str | None = None


class Tokenizer:
    """A vocabulary with its rules; `encode` and `decode` are exact, and nothing is added to a text unasked."""

    def __init__(self, backend: tokenizers.Tokenizer, declared: Declared) -> None:
        # A file may ask to cut or fill up every text; a reader of activations must see the text itself.
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        self._declared = declared
        self._lock = Lock()
        self._added = {number: token for number, token in backend.get_added_tokens_decoder().items()}
        self._special = {token.content: number for number, token in self._added.items() if token.special}
        self._spelling = _spelling(backend)

    def __repr__(self) -> str:
        return f"Tokenizer(d_vocab={self.d_vocab}, fingerprint={self.fingerprint[:12]})"

    @property
    def d_vocab(self) -> int:
        """Return the number of tokens, special ones included (a model's own d_vocab may be padded beyond it)."""
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    @property
    def bos_id(self) -> int | None:
        """Return the id of the token that the files name as beginning a text, or None."""
        return self._declared.bos_id

    @property
    def eos_id(self) -> int | None:
        """Return the id of the token that the files name as ending a text, or None."""
        return self._declared.eos_id

    @property
    def pad_id(self) -> int | None:
        """Return the id of the token that the files name for filling up a batch, or None."""
        return self._declared.pad_id

    @property
    def adds_bos(self) -> bool:
        """Return whether the tokenizer's own policy puts bos_id before every text; `encode` itself never does."""
        return self._declared.adds_bos

    @property
    def chat_template(self) -> str | None:
        """Return the Jinja template of the model's chats, or None for a model without one."""
        return self._declared.chat_template

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Return the special tokens and their ids."""
        return self._special

    @property
    def document_start_id(self) -> int | None:
        """Return what prepend_bos=True puts before raw text: what parted documents in training, else bos_id, else None.

        An instruction-tuned model's bos may open a chat turn (`<|im_start|>`), which raw text is not.
        """
        return self._special.get(END_OF_TEXT, self.bos_id)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Return the ids at which generation stops: the declared ends of a text and the end of a chat turn."""
        turns = (self._special[name] for name in END_OF_TURN if name in self._special)
        eos = () if self.eos_id is None else (self.eos_id,)
        return tuple(dict.fromkeys((*eos, *self._declared.stop_ids, *turns)))

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 of vocabulary, merges and special tokens: equal for two files of one tokenizer."""
        model = json.loads(self._backend.to_str())["model"]
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model.get("merges", ())]
        vocabulary = sorted(self._backend.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
        return hash_json([vocabulary, merges, sorted(self._special.items())])

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Return the ids of `text`, without any token put in front or behind.

        `<|im_end|>` in a text is ten plain characters unless `allow_special`: whoever writes a prompt, or a page that a
        prompt quotes, must not be able to end a turn or open another one. Raises InputError for half a surrogate pair.
        """
        return self.encode_batch([text], allow_special)[0]

    def encode_batch(self, texts: Sequence[str], allow_special: bool = False) -> list[list[int]]:
        """Return the ids of each text, as `encode` does, on all threads; raise InputError for a character it lacks."""
        try:
            # The switch belongs to the shared backend, so two threads must not turn it at once.
            with self._lock:
                self._backend.encode_special_tokens = not allow_special
                found = self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
        except (TypeError, UnicodeError):
            raise InputError("a text holds half a character (a lone surrogate); remove it") from None
        # The library raises plain Exception for a character that a vocabulary of characters does not have.
        except Exception as error:
            if "Missing [UNK]" not in str(error):
                raise
            raise InputError(self._name_unknown(texts, allow_special)) from None
        return [encoding.ids for encoding in found]

    def encode_chat(self, messages: Sequence[Mapping[str, Any]], add_generation_prompt: bool = True) -> list[int]:
        """Return the ids of a chat; special tokens count where the template writes them, not where a message does.

        Raises InputError for malformed messages or a model without a chat template.
        """
        if self.chat_template is None:
            raise InputError("this model has no chat template; give it a plain prompt or an instruction-tuned model")
        marked = mark(messages, self._special)
        text = render_chat(
            self.chat_template, marked, self._content(self.bos_id), self._content(self.eos_id), add_generation_prompt
        )
        pieces = split_marked(text)
        return [number for piece, ours in pieces if piece for number in self.encode(piece, allow_special=ours)]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`, special tokens included; bytes that are no UTF-8 become U+FFFD."""
        return str(self._backend.decode(self._checked(ids), skip_special_tokens=False))

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that one token stands for; none for an id with which a model's vocabulary is padded."""
        if token_id in self._added:
            return bytes(self._added[token_id].content.encode())
        token = self._backend.id_to_token(*self._checked([token_id]))
        return b"" if token is None else _unspell(token, self._spelling)

    def token_strings(self, ids: Iterable[int]) -> list[str]:
        r"""Return each token as readable text: blanks and newlines real, parts of a character as bytes (`\xe2`)."""
        known = self._backend.id_to_token
        return [
            self.token_bytes(number).decode("utf-8", errors="backslashreplace")
            if known(number) is not None
            else f"<no token {number}>"
            for number in self._checked(ids)
        ]

    def token_id(self, text: str) -> int:
        """Return the id of `text` as one token (the name of a special token too); raise InputError if it is not one."""
        if text in self._special:
            return self._special[text]
        ids = self.encode(text)
        if len(ids) != 1:
            shown = " | ".join(map(repr, self.token_strings(ids[:8]))) or "nothing"
            raise InputError(f"{text!r} is {len(ids)} tokens, not one ({shown}); choose another or mind its space")
        return ids[0]

    def to_json(self) -> str:
        """Return the vocabulary and rules as the text of a `tokenizer.json`."""
        return str(self._backend.to_str())

    def _content(self, number: int | None) -> str:
        return "" if number is None else str(self._backend.id_to_token(number) or "")

    def _name_unknown(self, texts: Sequence[str], allow_special: bool) -> str:
        known = self._backend.get_vocab(with_added_tokens=False)
        for text in texts:
            for special in self._special if allow_special else ():
                text = text.replace(special, "")
            for character in filter(lambda one: one not in known, text):
                code = f"U+{ord(character):04X}"
                return f"the vocabulary of {len(known)} characters has no {character!r} ({code}); leave it out"
        return "the text holds a word that is not in the vocabulary; give a text of the words it was made from"

    @staticmethod
    def _checked(ids: Iterable[int]) -> list[int]:
        numbers = [int(number) for number in ids]
        for number in numbers:
            if not 0 <= number < 2**32:
                raise InputError(f"no token has the id {number}; ids are counted from 0")
        return numbers


class StreamDecoder:
    """Text of tokens as they come: only whole characters leave it, the rest waits for the tokens that complete them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """Return the text that `token_id` completes, often all of its own, sometimes none yet."""
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def finish(self) -> str:
        """Return what is left when no more tokens come: U+FFFD for a character cut short, else nothing."""
        return self._decoder.decode(b"", final=True)


def build(backend: tokenizers.Tokenizer, declared: Declared, place: str) -> Tokenizer:
    """Return the Tokenizer of a backend read from `place`; raise FileFormatError where ids are not unique."""
    vocabulary = backend.get_vocab(with_added_tokens=True)
    if not vocabulary:
        raise FileFormatError(f"{place} holds an empty vocabulary; fetch it again")
    if len(set(vocabulary.values())) != len(vocabulary):
        raise FileFormatError(f"{place} gives one id to several tokens; fetch it again")
    return Tokenizer(backend, declared)


def _spelling(backend: tokenizers.Tokenizer) -> str:
    """Return how the vocabulary spells bytes: `bytes` (GPT-2's letters), `pieces` (SentencePiece's `▁`) or `plain`."""
    state = backend.decoder.__getstate__().decode() if backend.decoder is not None else ""
    if '"ByteLevel"' in state:
        return "bytes"
    return "pieces" if "▁" in state else "plain"


def _unspell(token: str, spelling: str) -> bytes:
    if spelling == "bytes" and all(char in CHAR_TO_BYTE for char in token):
        return bytes(CHAR_TO_BYTE[char] for char in token)
    if spelling == "pieces":
        if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            return bytes.fromhex(token[3:5])
        return token.replace("▁", " ").encode()
    return token.encode()
