"""A sweep made ready: its directions, its two halves of items and of unrelated text, and what identifies it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from glassbook.files.hashes import hash_json, sha256_bytes
from glassbook.models.model import Model
from glassbook.runs.record import Run
from glassbook.steering.fluency import TextGauge
from glassbook.steering.sweeps.effects import EFFECTS, Frame, Judged, Measure
from glassbook.steering.sweeps.grid import Bench, Directions, Half
from glassbook.steering.sweeps.journal import Journal
from glassbook.steering.sweeps.material import gather, read_layers, text_windows
from glassbook.steering.sweeps.settings import Judge, Pairs, Progress, Settings, read_strengths
from glassbook.steering.sweeps.trials import Writing
from glassbook.steering.vector_set import each_vector
from glassbook.tasks.contrast import ChoiceItem

_N_PROMPTS, _OPENING = 4, 12


class Plan:
    """Everything that a sweep needs before it measures; raises what `gather` raises for what cannot be used."""

    def __init__(
        self,
        model: Model,
        pairs: Pairs,
        layers: Sequence[int] | None,
        strengths: Sequence[float],
        effect: str | Judge,
        settings: Settings,
    ) -> None:
        self.model, self.settings = model, settings
        self.strengths = read_strengths(strengths)
        self.make: type[Measure] = EFFECTS.find(effect) if isinstance(effect, str) else Judged
        self.effect = effect if isinstance(effect, str) else getattr(effect, "__name__", "the function given")
        self.options: dict[str, Any] = (
            {} if isinstance(effect, str) else {"judge": effect, "n_tokens": settings.n_tokens}
        )
        self.windows = text_windows(model, settings.text, settings.n_windows, settings.window)
        self.material = gather(model, pairs, read_layers(model, pairs, layers), effect, settings)
        self.frame = Frame.around(list(self.material.vectors.values()))

    def asked(self) -> dict[str, Any]:
        """Return all that shapes the numbers, as plain data; the directions, items and text by their hashes."""
        items = [asdict(one) if isinstance(one, ChoiceItem) else one for one in self._items]
        vectors = [
            [
                str(one.site),
                sha256_bytes(one.table.float().cpu().contiguous().numpy().tobytes()),
                one.operator,
                one.positions,
            ]
            for several in self.material.vectors.values()
            for one in each_vector(several)
        ]
        return self.settings.to_dict() | {
            "label": self.material.label,
            "effect": self.effect,
            "strengths": list(self.strengths),
            "instruction": self.material.instruction,
            "weights": self.model.identity.fingerprint,
            "vectors": hash_json(vectors),
            "items": hash_json(items),
            "windows": hash_json(self.windows),
        }

    def bench(self, run: Run | None, progress: Progress | None) -> Bench:
        """Return what the stages share."""
        return Bench(
            model=self.model,
            directions=Directions(self.material.vectors, self.settings.seed, self.settings.n_random),
            strengths=self.strengths,
            journal=Journal(run, self.asked()),
            tell=progress or (lambda what, done, total: None),
        )

    def halves(self) -> tuple[Half, Half]:
        """Return the half that the choice sees, and the one that it is reported on."""
        parts = zip(("choosing", "reporting"), (self.material.choosing, self.material.reporting), (0, 1), strict=True)
        steers = list(self.material.vectors.values())
        first, second = (
            Half(
                name=name,
                measure=self.make(self.model, items, self.frame, **self.options),
                gauge=TextGauge(self.model, self.windows[offset::2], steers),
            )
            for name, items, offset in parts
        )
        return first, second

    def prompted(self) -> Measure | None:
        """Return the measure of what the instruction alone does on the reported half, or None without one."""
        told = self.material.instruction
        if not told:
            return None
        return self.make(self.model, self.material.reporting, self.frame, told, **self.options)

    @property
    def writing(self) -> Writing:
        """Return what stage 2 completes: the prompts given, else those of a few held-out items."""
        openings = (self._opening(item) for item in self.material.reporting[:_N_PROMPTS])
        return Writing(tuple(self.settings.prompts or openings), self.settings.n_tokens, self.frame.bos)

    def _opening(self, item: Any) -> str:
        if isinstance(item, ChoiceItem):
            return item.prompt
        return item if isinstance(item, str) else self.model.to_string(list(item)[:_OPENING])

    @property
    def _items(self) -> list[Any]:
        return [*self.material.choosing, *self.material.reporting]
