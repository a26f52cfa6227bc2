"""Many dictionaries from one pass: each batch goes to every learner."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.features.learning import Batch, DictionaryLearner


class ManyLearner:
    """A Learner of several; the metrics of each stand under `<name>/`, and `loss` is their mean."""

    def __init__(self, learners: Mapping[str, DictionaryLearner]) -> None:
        if not learners:
            raise InputError("there is no dictionary to train; name at least one")
        for name in learners:
            if not name or "/" in name:
                raise InputError(f"'{name}' cannot name a dictionary among others; use a name without '/'")
        self.learners = dict(learners)

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Let every learner learn from one batch."""
        return _Together({name: learner.step(batch) for name, learner in self.learners.items()})

    def state(self) -> dict[str, Tensor]:
        """Return the states of all under their names."""
        return {f"{name}/{key}": value for name, one in self.learners.items() for key, value in one.state().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        for name, learner in self.learners.items():
            begin = f"{name}/"
            learner.load_state(
                {key.removeprefix(begin): value for key, value in state.items() if key.startswith(begin)}
            )


class _Together(Mapping[str, float]):
    """The metrics of several learners, each read only when it is asked for."""

    def __init__(self, parts: dict[str, Mapping[str, float]]) -> None:
        self._parts = parts

    def __getitem__(self, key: str) -> float:
        name, _, metric = key.rpartition("/")
        if name:
            return self._parts[name][metric]
        values = [part[metric] for part in self._parts.values()]
        if metric == "tokens":
            return values[0]
        if metric == "flop":
            return sum(values)
        if metric == "loss":
            return sum(values) / len(values)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        yield from ("loss", "tokens", "flop")
        yield from (
            f"{name}/{key}" for name, part in self._parts.items() for key in part if key not in ("tokens", "flop")
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)
