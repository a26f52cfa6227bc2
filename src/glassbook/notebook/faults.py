"""What stands wrong in a notebook: one sentence with its file and line, and several of them told at once."""

from collections.abc import Iterable

from glassbook.core.errors import GlassbookError


class NotebookError(GlassbookError):
    """Something in a notebook that cannot be used; the message reads `file:line: sentence` as far as the place is known."""

    def __init__(self, sentence: str, *, path: str = "", line: int = 0) -> None:
        self.sentence, self.path, self.line = sentence, path, line
        place = f"{path}:{line}: " if path and line else f"{path}: " if path else f"line {line}: " if line else ""
        super().__init__(place + sentence)

    @property
    def faults(self) -> tuple["NotebookError", ...]:
        """Return the single faults that this error tells of: itself."""
        return (self,)

    def at(self, path: str, line: int) -> "NotebookError":
        """Return the same fault with its place, where it does not name one itself."""
        return NotebookError(self.sentence, path=self.path or path, line=self.line or line)


class NotebookFaults(NotebookError):  # noqa: N818 (several faults, told as one error)
    """All that is wrong in one entry or one build, a line each, so that nobody has to mend and build again for every one."""

    def __init__(self, faults: Iterable[NotebookError]) -> None:
        self._faults = tuple(single for fault in faults for single in fault.faults)
        super().__init__("\n".join(str(fault) for fault in self._faults))

    @property
    def faults(self) -> tuple[NotebookError, ...]:
        """Return the single faults in the order in which they were found."""
        return self._faults
