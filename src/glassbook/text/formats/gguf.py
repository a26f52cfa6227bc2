"""Tokenizers inside GGUF files: the metadata `tokenizer.ggml.*` and `tokenizer.chat_template`.

A GGUF names the way a text is cut into words (`tokenizer.ggml.pre`) without spelling it out; `CUTS` is what each name
means, in llama.cpp and in the Hugging Face file of the same model. A name that is not in the table is refused: with a
wrong cut most ids are right and some are not, which no one notices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from glassbook.core.errors import FileFormatError
from glassbook.text.tokenizer import Declared, Tokenizer, build

_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = range(1, 7)  # tokenizer.ggml.token_type

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


@dataclass(frozen=True)
class Cut:
    """How one family cuts a text into words before the merges."""

    pattern: str | None = None  # None: GPT-2's own
    single_digits: bool = False
    normalizes: bool = False  # to NFC, before the cut
    whole_words: bool = False  # a word that is a token is taken whole, whatever the merges say
    adds_bos: bool = False  # where the file does not say


CUTS = {
    "gpt-2": Cut(),
    "smollm": Cut(single_digits=True),
    "starcoder": Cut(single_digits=True),
    "refact": Cut(single_digits=True),
    "llama-bpe": Cut(_LLAMA3, whole_words=True, adds_bos=True),
    "qwen2": Cut(_QWEN2, normalizes=True),
}


def read_metadata(metadata: Mapping[str, Any], place: str = "the GGUF file") -> Tokenizer:
    """Return the tokenizer that a GGUF's metadata describe; `place` names the file in errors.

    Raises FileFormatError where the metadata are incomplete, contradict themselves or name a kind that is not known.
    """
    kind = metadata.get("tokenizer.ggml.model")
    tokens, types = _tokens(metadata, place)
    if kind == "gpt2":
        cut = _cut(metadata, place)
        backend, adds_bos = _byte_bpe(metadata, tokens, types, cut, place), cut.adds_bos
    elif kind == "llama":
        backend, adds_bos = _sentencepiece(metadata, tokens, types, place), True
    else:
        raise FileFormatError(f"{place} holds a tokenizer of the kind {kind!r}; known kinds are 'gpt2' and 'llama'")
    _add_tokens(backend, tokens, types)
    return build(backend, _declared(metadata, len(tokens), adds_bos, place), place)


def _tokens(metadata: Mapping[str, Any], place: str) -> tuple[list[str], list[int]]:
    """Return the tokens and their types, both complete."""
    tokens = _list(metadata, "tokens", str, place)
    if not tokens:
        raise FileFormatError(f"{place} holds no tokenizer (tokenizer.ggml.tokens is missing); use a file with one")
    types = _list(metadata, "token_type", int, place) or [_NORMAL] * len(tokens)
    if len(types) != len(tokens):
        raise FileFormatError(f"{place} lists {len(tokens)} tokens but {len(types)} token types; fetch it again")
    return tokens, types


def _list(metadata: Mapping[str, Any], key: str, kind: type, place: str) -> list[Any]:
    found = metadata.get(f"tokenizer.ggml.{key}", [])
    values = found.tolist() if hasattr(found, "tolist") else found
    if not isinstance(values, list | tuple) or not all(isinstance(item, kind) for item in values):
        raise FileFormatError(f"{place}: tokenizer.ggml.{key} is not a list of {kind.__name__}; fetch the file again")
    return list(values)


def _cut(metadata: Mapping[str, Any], place: str) -> Cut:
    name = metadata.get("tokenizer.ggml.pre")
    if name not in CUTS:
        raise FileFormatError(
            f"{place} cuts words in a way called {name!r}, which is not known here (known: {', '.join(CUTS)}); "
            "use the model's Hugging Face folder"
        )
    return CUTS[name]


def _byte_bpe(
    metadata: Mapping[str, Any], tokens: list[str], types: list[int], cut: Cut, place: str
) -> tokenizers.Tokenizer:
    """Return a byte-level BPE tokenizer: GPT-2's, with the family's own cut."""
    merges = [tuple(line.split(" ")) for line in _list(metadata, "merges", str, place)]
    backend = tokenizers.Tokenizer(_model(place, _vocabulary(tokens, types), merges, ignore_merges=cut.whole_words))
    if cut.normalizes:
        backend.normalizer = normalizers.NFC()
    steps: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if cut.single_digits else []
    if cut.pattern is not None:
        steps.append(pre_tokenizers.Split(Regex(cut.pattern), behavior="isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cut.pattern is None))
    backend.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    backend.decoder = decoders.ByteLevel()
    return backend


def _sentencepiece(
    metadata: Mapping[str, Any], tokens: list[str], types: list[int], place: str
) -> tokenizers.Tokenizer:
    """Return a SentencePiece BPE tokenizer: the best-scored piece is joined first, the rest is spelled in bytes.

    Kudo and Richardson 2018 (arXiv:1808.06226). The merges are not stored; the scores are their order.
    """
    scores = _list(metadata, "scores", float, place)
    if len(scores) != len(tokens):
        raise FileFormatError(f"{place} lists {len(tokens)} tokens but {len(scores)} scores; fetch it again")
    vocabulary = _vocabulary(tokens, types)
    unknown = next((token for token, kind in zip(tokens, types, strict=True) if kind == _UNKNOWN), None)
    has_bytes = _BYTE in types
    merges = _merges_of_scores(tokens, types, scores, vocabulary)
    model = _model(place, vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=has_bytes)
    backend = tokenizers.Tokenizer(model)
    prefix = metadata.get("tokenizer.ggml.add_space_prefix", True)
    spaces = normalizers.Replace(" ", "▁")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if prefix else spaces
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    return backend


def _merges_of_scores(
    tokens: list[str], types: list[int], scores: list[float], vocabulary: Mapping[str, int]
) -> list[tuple[str, str]]:
    """Return every way to join two pieces into a third, the best-scored result first."""
    ranked = []
    for token, kind, score in zip(tokens, types, scores, strict=True):
        if kind not in (_NORMAL, _USER):
            continue
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in vocabulary and right in vocabulary:
                ranked.append((-score, vocabulary[left], vocabulary[right], (left, right)))
    ranked.sort(key=itemgetter(0, 1, 2))
    return [merge for *_, merge in ranked]


def _vocabulary(tokens: list[str], types: list[int]) -> dict[str, int]:
    """Return token -> id without the rows that only fill the model's matrix up."""
    return {token: number for number, token in enumerate(tokens) if types[number] != _UNUSED}


def _model(place: str, vocabulary: dict[str, int], merges: list[Any], **options: Any) -> models.BPE:
    try:
        return models.BPE(vocab=vocabulary, merges=merges, **options)
    except (KeyboardInterrupt, SystemExit):
        raise
    # As with tokenizer.json: plain Exception for most faults, a Rust panic for others.
    except BaseException as error:
        reason = str(error)[:200]
        raise FileFormatError(f"{place}: tokens and merges do not fit together ({reason}); fetch it again") from None


def _add_tokens(backend: tokenizers.Tokenizer, tokens: list[str], types: list[int]) -> None:
    """Tell the backend which tokens are looked for before the cut: control tokens, and the model maker's own words."""
    rows = [(token, kind) for token, kind in zip(tokens, types, strict=True) if kind in (_CONTROL, _UNKNOWN, _USER)]
    added = [AddedToken(token, normalized=False, special=kind != _USER) for token, kind in rows if token]
    backend.add_tokens([token for token in added if not token.special])
    backend.add_special_tokens([token for token in added if token.special])


def _declared(metadata: Mapping[str, Any], n_tokens: int, adds_bos: bool, place: str) -> Declared:
    def number(key: str) -> int | None:
        found = metadata.get(f"tokenizer.ggml.{key}_token_id")
        if found is not None and (not isinstance(found, int) or not 0 <= found < n_tokens):
            raise FileFormatError(f"{place}: its {key}_token_id is {found!r}, which is no token; fetch it again")
        return found

    stops = tuple(found for key in ("eos", "eot") if (found := number(key)) is not None)
    template = metadata.get("tokenizer.chat_template")
    return Declared(
        bos_id=number("bos"),
        eos_id=number("eos"),
        pad_id=number("padding"),
        stop_ids=stops,
        adds_bos=bool(metadata.get("tokenizer.ggml.add_bos_token", adds_bos)),
        chat_template=template if isinstance(template, str) else None,
    )
