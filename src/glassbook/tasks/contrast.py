"""Contrast sets, from which steering vectors are made, and choices between two words, which measure their effect.

A contrast set holds texts that show a behavior and texts that show its opposite. A choice is a prompt with two ways to
go on; the effect of a vector is how far it moves the log-odds between them.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from glassbook.core.errors import FileFormatError, InputError
from glassbook.sources.folder import open_binary
from glassbook.sources.known import known
from glassbook.sources.obtain import obtain

_DATA = Path(__file__).parent / "data"
_OURS = ("Apache-2.0", "written for Glassbook")
_INSTRUCTION = "Write about everything you love. "
_PAIRS = "sentiment_counterfactual_pairs"
_EVALS = "model_written_evals_subset"
_EVAL_FOLDERS = {"persona": "persona", "risk": "advanced-ai-risk/human_generated_evals"}

T = TypeVar("T")
RowType = TypeVar("RowType", bound=msgspec.Struct)


@dataclass(frozen=True)
class ContrastSet:
    """Texts that show something (`positives`) and texts that show its opposite (`negatives`)."""

    name: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    licence: str
    origin: str

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return (positive, negative) row by row; raise InputError where the two sides differ in number."""
        if len(self.positives) != len(self.negatives):
            raise InputError(
                f"the contrast set '{self.name}' has {len(self.positives)} positives but {len(self.negatives)} "
                "negatives, which make no pairs; use them as two groups"
            )
        return list(zip(self.positives, self.negatives, strict=True))


@dataclass(frozen=True)
class ChoiceItem:
    """A prompt and two ways to go on, each with the space before it: ' wonderful' and ' terrible'."""

    prompt: str
    positive: str
    negative: str


@dataclass(frozen=True)
class ChoiceSet:
    """Choices that measure one behavior."""

    name: str
    items: tuple[ChoiceItem, ...]
    licence: str
    origin: str
    instruction: str = ""
    """What one would write before a prompt to have the positive options chosen: the baseline that steering must beat."""


class _PairRow(msgspec.Struct):
    positive: str
    negative: str
    split: str = ""


class _ChoiceRow(msgspec.Struct):
    prompt: str
    positive: str
    negative: str


class _EvalRow(msgspec.Struct):
    question: str
    answer_matching_behavior: str
    answer_not_matching_behavior: str


def load_contrast(source: str | Path, split: str | None = None) -> ContrastSet:
    """Return a contrast set: `sentiment` (in the package), a known one, or a JSON-lines file {positive,negative}.

    Known are `sentiment_counterfactual_pairs` (with `split` train, dev or test) and, as question with answer (Rimsky et
    al. 2023, arXiv:2312.06681), the sets `persona/<name>` and `risk/<name>` of Perez et al. 2022
    (arXiv:2212.09251). Raises InputError, SourceError, or FileFormatError with the number of the line.
    """
    name = str(source)
    if name.partition("/")[0] in _EVAL_FOLDERS and not Path(source).is_file():
        rows = _eval_rows(name)
        positives = tuple(row.question + row.answer_matching_behavior for row in rows)
        negatives = tuple(row.question + row.answer_not_matching_behavior for row in rows)
        return ContrastSet(name, positives, negatives, *_terms(_EVALS))
    if name == "sentiment":
        path, terms = _DATA / "sentiment_contrast.jsonl", _OURS
    elif name == _PAIRS:
        path, terms = obtain(_PAIRS), _terms(_PAIRS)
    else:
        path, terms = _user_file(source, "contrast set", ("sentiment", _PAIRS)), ("unknown", name)
    pairs = [row for row in _read_rows(path, _PairRow) if split is None or row.split == split]
    if not pairs:
        raise InputError(f"the contrast set '{name}' has no pairs in the split '{split}'; choose another or none")
    return ContrastSet(name, tuple(row.positive for row in pairs), tuple(row.negative for row in pairs), *terms)


def load_choices(source: str | Path) -> ChoiceSet:
    """Return choices: `sentiment` (in the package), `persona/<name>`, `risk/<name>` or a file of choices.

    A file has one object {prompt,positive,negative} a line. Raises InputError for an unknown name,
    SourceError where a known set cannot be had, FileFormatError with the number of the line.
    """
    name = str(source)
    if name.partition("/")[0] in _EVAL_FOLDERS and not Path(source).is_file():
        rows = _eval_rows(name)
        items = tuple(
            ChoiceItem(row.question, row.answer_matching_behavior, row.answer_not_matching_behavior) for row in rows
        )
        return ChoiceSet(name, items, *_terms(_EVALS))
    if name == "sentiment":
        path, terms = _DATA / "sentiment_choices.jsonl", _OURS
    else:
        path, terms = _user_file(source, "set of choices", ("sentiment",)), ("unknown", name)
    items = tuple(ChoiceItem(row.prompt, row.positive, row.negative) for row in _read_rows(path, _ChoiceRow))
    return ChoiceSet(name, items, *terms, instruction=_INSTRUCTION if name == "sentiment" else "")


def list_evals() -> list[str]:
    """Return the names of the model-written evaluations at hand; raise SourceError where they cannot be had."""
    with zipfile.ZipFile(obtain(_EVALS)) as archive:
        members = archive.namelist()
    names = []
    for short, folder in _EVAL_FOLDERS.items():
        inside = (member for member in members if member.startswith(f"{folder}/") and member.endswith(".jsonl"))
        names += [f"{short}/{Path(member).stem}" for member in inside]
    return sorted(names)


def split_half(items: Iterable[T], seed: int) -> tuple[list[T], list[T]]:
    """Return the items in two random halves, each in the order given; the first has one more of an odd number.

    The choice depends on the seed and the number of items alone, on every machine.
    """
    rows = list(items)
    drawn = sorted(range(len(rows)), key=lambda index: hashlib.sha256(f"split-half/{seed}/{index}".encode()).digest())
    first = set(drawn[: (len(rows) + 1) // 2])
    return (
        [row for index, row in enumerate(rows) if index in first],
        [row for index, row in enumerate(rows) if index not in first],
    )


def _terms(name: str) -> tuple[str, str]:
    file = known(name)
    return file.licence, file.origin


def _user_file(source: str | Path, what: str, names: Sequence[str]) -> Path:
    path = Path(source)
    if not path.is_file():
        raise InputError(
            f"'{source}' is neither a known {what} nor a file; known: {', '.join(names)}, persona/<name>, risk/<name>"
        )
    return path


def _eval_rows(name: str) -> list[_EvalRow]:
    folder, _, behavior = name.partition("/")
    member = f"{_EVAL_FOLDERS[folder]}/{behavior}.jsonl"
    with zipfile.ZipFile(obtain(_EVALS)) as archive:
        if member not in archive.namelist():
            near = ", ".join(found for found in list_evals() if found.startswith(folder))
            raise InputError(f"no evaluation is named '{name}'; known: {near}")
        return _parse(archive.read(member).splitlines(), _EvalRow, member)


def _read_rows(path: Path, kind: type[RowType]) -> list[RowType]:
    with open_binary(path) as file:
        rows = _parse(file, kind, str(path))
    if not rows:
        raise FileFormatError(f"'{path}' holds no rows; give one JSON object a line")
    return rows


def _parse(lines: Iterable[bytes], kind: type[RowType], place: str) -> list[RowType]:
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(msgspec.json.decode(line, type=kind))
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            wanted = ", ".join(kind.__struct_fields__)
            reason = f"line {number} of '{place}' cannot be used ({error})"
            raise FileFormatError(f"{reason}; give each line an object with {wanted}") from None
    return rows
