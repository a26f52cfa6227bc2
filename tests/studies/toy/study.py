"""A study small enough to be tested with: arms of random numbers, one of which reads what another left."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from glassbook.files.arrays import read_arrays, write_arrays
from glassbook.studies.contract import STUDIES, Arm, Cell, Items, Study
from glassbook.views.table import Table


@dataclass(frozen=True)
class Settings:
    """How many items, how strong the method is, how long a cell takes (seconds), and on which weights."""

    items: int = 40
    strength: float = 1.0
    takes_s: float = 0.0
    weights: str = ""


@STUDIES.add("toy")
class Toy(Study):
    """Does adding 1 make a number larger?"""

    name = "toy"
    title = "Adding one makes a number larger"
    settings: ClassVar[Mapping[str, Settings]] = {
        "smoke": Settings(items=8),
        "laptop": Settings(),
        "gpu": Settings(items=400),
    }
    seeds: ClassVar[Mapping[str, int]] = {"smoke": 1, "laptop": 3, "gpu": 3}
    modules = ("glassbook.files.arrays",)
    rows_now = "a" * 64

    def arms(self, settings: Settings) -> Sequence[Arm]:
        """Return the method, what it is held against, and one that only a full run measures."""
        return (
            Arm("nothing", "the numbers as they are"),
            Arm("added", "the numbers and one more", after=("nothing",)),
            Arm("random", "the numbers and a random one of mean 0", after=("nothing",)),
            Arm("twice", "one added two times", headline=False, after=("added",)),
        )

    def measure(self, cell: Cell) -> Mapping[str, NDArray]:
        """Return the numbers of one arm; all but the first begin with what another arm left in its folder."""
        _wait(cell)
        cell.data("numbers", self.rows_now, cell.settings.items, "CC0")
        cell.cost(flop=2.0 * cell.settings.items, tokens=cell.settings.items, parameters=7)
        value = self._value(cell)
        write_arrays(cell.folder / "left.npz", {"value": value})
        cell.progress(1, 1, "adding")
        cell.view(
            "numbers", Table(title="Numbers", caption="The first.", columns=("value",), rows=((float(value[0]),),))
        )
        return {"value": value, "positive": value > 0}

    def _value(self, cell: Cell) -> NDArray:
        # On purpose from the global generator: the machinery seeds it for every cell.
        chance = np.random.normal(size=cell.settings.items).astype(np.float32)
        if cell.arm == "nothing":
            return chance
        before = read_arrays(cell.other("added" if cell.arm == "twice" else "nothing") / "left.npz")["value"]
        return before + (chance if cell.arm == "random" else np.float32(cell.settings.strength))

    def views(self, items: Mapping[int, Items], settings: Settings) -> Mapping[str, Table]:
        """Return a table of the arms' means."""
        rows = tuple((seed, float(arms["added"]["value"].mean())) for seed, arms in items.items())
        return {"means": Table(title="Means", caption="A seed a row.", columns=("seed", "mean"), rows=rows)}

    def sources(self, settings: Settings) -> Mapping[str, str]:
        """Return the checksum that the numbers have now."""
        return {"numbers": self.rows_now}


def _wait(cell: Cell) -> None:
    """Take as long as the settings say, and say so to whoever waits for the cell to begin."""
    if told := os.environ.get("TOY_TELLS"):
        with open(told, "a") as file:
            file.write(f"{cell.seed} {cell.arm}\n")
    if os.environ.get("TOY_FAILS_IN") == cell.arm:
        raise RuntimeError("the toy broke")
    time.sleep(float(os.environ.get("TOY_TAKES_S", cell.settings.takes_s)))
