"""What a study is: arms that are measured seed by seed, at the sizes smoke, laptop and gpu.

This module imports next to nothing, so that a fix in the machinery that runs studies makes no study stale.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from numpy.typing import NDArray

from glassbook.core.registry import Registry

Size = Literal["smoke", "laptop", "gpu"]
SIZES: tuple[Size, ...] = ("smoke", "laptop", "gpu")

Items = Mapping[str, Mapping[str, NDArray[Any]]]
"""Arm -> column -> one value an item, of one seed."""

Report = Callable[[float, float, str], None]
"""What progress goes to: how much is done, of how much, and of what."""


@runtime_checkable
class Picture(Protocol):
    """A View: anything that can write its payload."""

    def to_json(self) -> bytes:
        """Return the payload as JSON."""
        ...


@dataclass(frozen=True)
class Arm:
    """One way of doing the thing under study: the method, a baseline, a control, an ablation.

    `after` names the arms whose folders it reads, at the same seed. `headline` is False for what `--only headline` leaves
    out.
    """

    name: str
    says: str
    headline: bool = True
    after: tuple[str, ...] = ()


@dataclass
class Spent:
    """What a cell cost beyond time: operations, tokens read or trained on, parameters of its largest model."""

    flop: float = 0.0
    tokens: int = 0
    parameters: int = 0


@dataclass
class Cell:
    """One arm at one seed, at work. Its `folder` outlives an interruption, so that it can go on from its own checkpoints."""

    arm: str
    seed: int
    size: Size
    settings: Any
    folder: Path
    device: str = "cpu"
    others: Mapping[str, Path] = field(default_factory=dict)
    report: Report | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    identities: list[dict[str, Any]] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)
    pictures: dict[str, Picture] = field(default_factory=dict)

    def other(self, arm: str) -> Path:
        """Return the folder of an arm that this one comes after, at the same seed."""
        if arm not in self.others:
            raise ValueError(f"the arm '{self.arm}' does not come after '{arm}'; name it in `after`")
        return self.others[arm]

    def data(self, name: str, sha256: str, rows: int, licence: str) -> None:
        """Record a set of rows that was read, by the checksum of the decoded rows."""
        row = {"name": name, "sha256": sha256, "rows": rows, "licence": licence}
        if row not in self.rows:
            self.rows.append(row)

    def weights(self, identity: Mapping[str, Any]) -> None:
        """Record weights that were read: the fields of a model's Identity (name, fingerprint, dtype, ...)."""
        if dict(identity) not in self.identities:
            self.identities.append(dict(identity))

    def cost(self, *, flop: float = 0.0, tokens: int = 0, parameters: int = 0) -> None:
        """Add operations and tokens to what the cell cost; of `parameters` the largest is kept."""
        self.spent.flop += flop
        self.spent.tokens += tokens
        self.spent.parameters = max(self.spent.parameters, parameters)

    def progress(self, done: float, of: float, what: str = "") -> None:
        """Say how far the cell is."""
        if self.report is not None:
            self.report(done, of, what)

    def view(self, name: str, view: Picture) -> None:
        """Keep a picture of this cell with the Run, as `<arm>.<name>`."""
        self.pictures[name] = view


class Study(ABC):
    """A paper made runnable. A class of this kind lives in `studies/<paper>/study.py`, its claims in `claims.toml` beside it.

    `settings` are frozen dataclasses of plain fields, one a size; a study that can be run on other weights has the field
    `weights: str` among them. Seeds are counted from 0; at size laptop there are three at least.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]]
    seeds: ClassVar[Mapping[str, int]]
    modules: ClassVar[tuple[str, ...]] = ()
    """Modules whose import closure decides the numbers, where that of the study's own module is not enough."""
    draws: ClassVar[tuple[str, ...]] = ()
    """Modules in that closure that only draw what was measured."""

    @abstractmethod
    def arms(self, settings: Any) -> Sequence[Arm]:
        """Return the arms in the order in which they are measured."""

    @abstractmethod
    def measure(self, cell: Cell) -> Mapping[str, NDArray[Any]]:
        """Return the columns of one arm at one seed: arrays of one finite number an item. All else follows from them."""

    def views(self, items: Mapping[int, Items], settings: Any) -> Mapping[str, Picture]:
        """Return the pictures of the study's page by name, drawn from seed -> arm -> column alone."""
        return {}

    def sources(self, settings: Any) -> Mapping[str, str]:
        """Return what the data and weights are now, without running: their names as a cell records them -> checksum.

        Weights stand under `weights:<name>` with their fingerprint.
        """
        return {}


STUDIES: Registry[type[Study]] = Registry("study")
