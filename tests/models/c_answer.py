"""What a program that was compiled from two files has said."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What the program left: its exit status and what it printed."""

    status: int
    out: bytes
    err: str

    @property
    def tokens(self) -> list[int]:
        """Return the tokens on its one line; fail where it ended otherwise."""
        assert self.status == 0 and self.err == "", self
        return [int(word) for word in self.out.split()]

    def refuses(self, words: str) -> bool:
        """Return whether it printed nothing but one sentence that holds `words`."""
        one_line = self.err.startswith("model: ") and self.err.count("\n") == 1
        return self.status == 2 and self.out == b"" and one_line and words in self.err
