"""What a step of a training tells of itself."""

from collections.abc import Iterator, Mapping

from jaxtyping import Float
from torch import Tensor


class Readings(Mapping[str, float]):
    """Metrics of which some stay on the device until somebody reads one, since reading makes a GPU wait."""

    def __init__(self, known: dict[str, float], names: tuple[str, ...], values: Float[Tensor, " n"]) -> None:
        self._known, self._names, self._values = known, names, values

    def __getitem__(self, name: str) -> float:
        if name not in self._known and name in self._names:
            self._known |= dict(zip(self._names, self._values.tolist(), strict=True))
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._names, *self._known)))

    def __len__(self) -> int:
        return len(set(self._names) | set(self._known))
