"""Several vectors that steer together: one at each of many layers, as a control vector holds them, or at any Sites."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from glassbook.core.errors import VectorError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit
from glassbook.models.model import Model
from glassbook.steering.vectors import SteeringVector, edits_per_row


@dataclass(frozen=True, slots=True, eq=False)
class VectorSet:
    """Vectors at different Sites, used as one: `3 * vectors`, `ours + theirs`, `vectors.at(range(8, 16))`."""

    vectors: tuple[SteeringVector, ...]

    def __post_init__(self) -> None:
        if not self.vectors:
            raise VectorError(
                "a set of vectors is empty; give at least one vector, or a range of layers that holds one"
            )
        sites = [vector.site for vector in self.vectors]
        twice = next((site for site in sites if sites.count(site) > 1), None)
        if twice is not None:
            raise VectorError(f"a set of vectors holds two at {twice}; add them to one vector first")

    def __repr__(self) -> str:
        sites = ", ".join(str(vector.site) for vector in self.vectors)
        return f"<{len(self.vectors)} vectors at {sites}: norm {self.norm:.3g}>"

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[SteeringVector]:
        return iter(self.vectors)

    def __getitem__(self, site: str | Site) -> SteeringVector:
        """Return the vector at one Site; raise VectorError where there is none."""
        place = Site.parse(site)
        for vector in self.vectors:
            if vector.site == place:
                return vector
        raise VectorError(f"{self!r} holds no vector at {place}; choose one of its Sites")

    @property
    def sites(self) -> list[Site]:
        """Return where the vectors are."""
        return [vector.site for vector in self.vectors]

    @property
    def norm(self) -> float:
        """Return the greatest norm among the vectors, at strength 1 each."""
        return max(vector.norm for vector in self.vectors)

    @property
    def needs_bos(self) -> bool:
        """Return whether any of the vectors needs the document-start token."""
        return any(vector.needs_bos for vector in self.vectors)

    def at(self, layers: Sequence[int]) -> "VectorSet":
        """Return the vectors at these layers; raise VectorError where none is left."""
        kept = tuple(vector for vector in self.vectors if vector.site.layer in set(layers))
        if not kept:
            held = sorted({vector.site.layer for vector in self.vectors if vector.site.layer is not None})
            raise VectorError(f"no vector of the set is at layers {list(layers)}; it has them at layers {held}")
        return VectorSet(kept)

    @property
    def unit(self) -> "VectorSet":
        """Return the set with every vector at norm 1; strengths stay."""
        return self.map(lambda vector: vector.unit)

    def scaled_to(self, norm: float) -> "VectorSet":
        """Return the set with every vector scaled to a norm; strengths stay."""
        return self.map(lambda vector: vector.scaled_to(norm))

    def map(self, change: Callable[[SteeringVector], SteeringVector]) -> "VectorSet":
        """Return the set of what `change` makes of every vector."""
        return VectorSet(tuple(change(vector) for vector in self.vectors))

    def with_(self, **changes: Any) -> "VectorSet":
        """Return the set with some fields changed in every vector, e.g. `vectors.with_(positions="generated")`."""
        return self.map(lambda vector: vector.with_(**changes))

    def __mul__(self, factor: float) -> "VectorSet":
        return self.map(lambda vector: vector * factor)

    __rmul__ = __mul__

    def __neg__(self) -> "VectorSet":
        return self * -1.0

    def __add__(self, other: "VectorSet") -> "VectorSet":
        """Return the sum Site by Site; a Site that only one of them has keeps its vector."""
        theirs = {vector.site: vector for vector in other.vectors}
        both = [vector + theirs.pop(vector.site) if vector.site in theirs else vector for vector in self.vectors]
        return VectorSet((*both, *theirs.values()))

    def __sub__(self, other: "VectorSet") -> "VectorSet":
        return self + -other

    def edits_for(self, model: Model) -> list[Edit]:
        """Return the edits of all vectors; raise VectorError where one does not fit."""
        return [edit for vector in self.vectors for edit in vector.edits_for(model)]


Vectors = SteeringVector | VectorSet
"""What steers: one vector, or several together."""


def each_vector(vectors: Vectors) -> tuple[SteeringVector, ...]:
    """Return the vectors one by one."""
    return vectors.vectors if isinstance(vectors, VectorSet) else (vectors,)


def everywhere(
    model: Model, vector: SteeringVector, sites: str | Site | Sequence[str | Site] | None = None
) -> VectorSet:
    """Return the same vector at many Sites; None means every place of the residual stream, each once.

    With `vector.with_(operator="ablate")` this removes one direction from everything that the model writes to the stream,
    as Arditi et al. 2024 (2406.11717) do. `L3.resid_post` and `L4.resid_pre` are one place with two addresses: a vector at
    both acts twice. Raises VectorError where the widths differ.
    """
    if sites is None:
        names = [name for name in ("resid_mid", "resid_post") if name in model.site_names]
        sites = ["L0.resid_pre", *(f"L*.{name}" for name in names)]
    made = {"everywhere": dict(vector.made), "from": str(vector.site)}
    moved = VectorSet(tuple(vector.with_(site=site, made=made) for site in model.sites(sites)))
    for one in moved:
        one.check_fits(model)
    return moved


@dataclass(frozen=True, slots=True)
class PerRow:
    """Steering that differs from row to row of one batch; None leaves a row unsteered."""

    vectors: Sequence[Vectors | None]

    @property
    def n_rows(self) -> int:
        """Return how many prompts it is for."""
        return len(self.vectors)

    @property
    def needs_bos(self) -> bool:
        """Return whether any of the vectors needs the document-start token; it then stands before every row."""
        return any(one is not None and one.needs_bos for one in self.vectors)

    def edits_for(self, model: Model) -> list[Edit]:
        """Return the edits for `model`; raise VectorError where one of the vectors does not fit."""
        rows: list[tuple[SteeringVector, ...]] = [() if one is None else each_vector(one) for one in self.vectors]
        # A table of one row would steer every row of the batch.
        return edits_per_row([*rows, ()] if len(rows) == 1 else rows, model)
