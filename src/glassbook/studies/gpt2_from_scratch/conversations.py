"""Instructions with their responses: the published split, and how a row becomes tokens."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glassbook.core.errors import FileFormatError
from glassbook.sources.folder import open_text
from glassbook.training.streams import Example

Row = dict[str, str]
Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Conversation:
    """One row as tokens: the prompt, and the response with the token that ends it."""

    prompt: list[int]
    response: list[int]

    @property
    def example(self) -> Example:
        """Return all tokens, of which those of the response count."""
        return self.prompt + self.response, [False] * len(self.prompt) + [True] * len(self.response)

    def behind(self, prompt: list[int], n_ctx: int) -> "Conversation":
        """Return the same response behind a prompt, of which only the end is kept where both do not fit."""
        return Conversation(prompt[max(0, len(prompt) + len(self.response) - n_ctx) :], self.response)


def read_rows(path: Path) -> list[Row]:
    """Return the rows of an instruction file; raise FileFormatError for one without its three fields."""
    with open_text(path) as file:
        rows = json.load(file)
    for number, row in enumerate(rows):
        if not all(isinstance(row.get(name), str) for name in ("instruction", "input", "output")):
            raise FileFormatError(f"row {number} of '{path}' lacks instruction, input or output; fetch it again")
    return rows


def split(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row], Sequence[Row]]:
    """Return the rows to train on, held out, and to choose settings on, cut as the book cuts them: 935, 110, 55 of 1,100."""
    train, held_out = int(len(rows) * 0.85), int(len(rows) * 0.1)
    return rows[:train], rows[train : train + held_out], rows[train + held_out :]


def made_up_rows(n: int) -> list[Row]:
    """Return rows for a trial without data: say a word again."""
    words = ("boat", "garden", "stone", "lamp", "river", "crown", "apple", "night")
    return [
        {"instruction": "Say the word again.", "input": word, "output": f"{word}, {word}."}
        for word in (words[i % len(words)] for i in range(n))
    ]


def prompt_text(row: Row) -> str:
    """Return what the model reads before it answers, in the three headings that Stanford Alpaca brought into use."""
    given = f"\n\n### Input:\n{row['input']}" if row["input"] else ""
    return f"### Instruction:\n{row['instruction']}{given}\n\n### Response:\n"


def conversations(rows: Sequence[Row], encode: Encode, eos_id: int, n_ctx: int) -> list[Conversation]:
    """Return each row as tokens; those longer than the context lose the beginning of their prompt."""
    found = []
    for row in rows:
        response = Conversation([], [*encode(row["output"]), eos_id][:n_ctx])
        found.append(response.behind(encode(prompt_text(row)), n_ctx))
    return found
