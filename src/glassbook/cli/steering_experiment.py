"""One steering experiment from its options: make a vector, complete a prompt with it and without, measure the effect."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassbook.cli.steering_options import Acting, Measuring, Recipe
from glassbook.cli.steering_report import Steered
from glassbook.cli.vector_files import read_vectors
from glassbook.core.errors import InputError
from glassbook.files.hashes import Progress, hash_json
from glassbook.models.model import Model
from glassbook.runs.record import Run
from glassbook.sources.folder import open_text
from glassbook.steering.comparison import Effect, complete_both, measure_effect
from glassbook.steering.directions import DIRECTIONS
from glassbook.steering.fluency import perplexity_ratio
from glassbook.steering.operators import POSITIONS, Positions, check_choice
from glassbook.steering.recipes import actadd_set, directions
from glassbook.steering.vector_set import Vectors, VectorSet, everywhere
from glassbook.tasks.contrast import load_choices, load_contrast
from glassbook.text.corpora import open_corpus

UNRELATED = "alice"
"""The text that steering is not about, on which its cost in perplexity is measured."""

_WINDOWS, _WINDOW_TOKENS = 8, 128


def make_vector(model: Model, recipe: Recipe, acting: Acting) -> tuple[str, Vectors]:
    """Return a name for people and the vector or set that the options ask for, at its strength and positions.

    Raises InputError where the recipe lacks its Site, VectorError or FileFormatError for a vector that cannot be used.
    """
    label, vectors = _raw_vectors(model, recipe, acting.force)
    changes: dict[str, Any] = {"force": acting.force}
    if acting.positions is not None:
        changes["positions"] = parse_positions(acting.positions)
    if acting.operator is not None:
        changes["operator"] = acting.operator
    changed = vectors.with_(**changes) * acting.strength
    if recipe.vector is not None and recipe.site:
        changed = _moved(model, changed, recipe.site)
    return label, changed


def _raw_vectors(model: Model, recipe: Recipe, force: bool) -> tuple[str, Vectors]:
    if recipe.vector is not None:
        return recipe.vector.name, read_vectors(recipe.vector, model, force)
    if not recipe.site:
        raise InputError("a vector is made at a Site; give --site, such as L6.resid_pre")
    if recipe.plus is not None and recipe.minus is not None:
        label = f"ActAdd “{recipe.plus}” − “{recipe.minus}”"
        return label, _alone(actadd_set(model, recipe.plus, recipe.minus, recipe.site))
    label, positives, negatives = _sides(recipe)
    made = directions(model, positives, negatives, recipe.site, recipe.direction, recipe.token)
    return f"{recipe.direction.replace('-', ' ')} {label}", _alone(made)


def _sides(recipe: Recipe) -> tuple[str, Sequence[str], Sequence[str] | None]:
    """Return what a recipe's texts are called, and its two sides; None for language at large."""
    if recipe.positives is None:
        found = load_contrast(recipe.contrast or "")
        return f"of {found.name}", found.positives, found.negatives
    if recipe.negatives is None:
        return f"of {recipe.positives.name}", read_texts(recipe.positives), None
    label = f"{recipe.positives.name} − {recipe.negatives.name}"
    return label, read_texts(recipe.positives), read_texts(recipe.negatives)


def _alone(vectors: VectorSet) -> Vectors:
    """Return a set, or the vector of a set that has only one."""
    return vectors if len(vectors) > 1 else vectors.vectors[0]


def _moved(model: Model, vectors: Vectors, sites: Sequence[str]) -> Vectors:
    """Return one vector at each of several Sites, or those of a set that stand at them."""
    if isinstance(vectors, VectorSet):
        return _alone(VectorSet(tuple(vectors[site] for site in model.sites(list(sites)))))
    return _alone(everywhere(model, vectors, list(sites)))


def parse_positions(text: str) -> Positions:
    """Return positions by their name, or token indices from `0,1,2`; raise InputError for anything else."""
    if text in POSITIONS:
        return text  # type: ignore[return-value]
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise InputError(
            f"--positions '{text}' is neither one of {', '.join(POSITIONS)} nor token indices such as 0,1,2"
        )
    return tuple(int(part) for part in parts)


@dataclass(frozen=True, slots=True)
class Experiment:
    """What one experiment asks for; `writing` holds the options of generation."""

    prompt: str
    recipe: Recipe
    acting: Acting
    measuring: Measuring
    writing: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return every option that shapes its numbers."""
        groups = (asdict(group) for group in (self.recipe, self.acting, self.measuring))
        return (
            {"prompt": self.prompt}
            | {name: value for group in groups for name, value in group.items()}
            | dict(self.writing)
        )

    def check(self, model: Model) -> None:
        """Raise GlassbookError for what can be known to be wrong before anything is computed or a Run begun."""
        model.read(self.prompt)
        if self.recipe.site:
            model.sites(self.recipe.site)
        DIRECTIONS.find(self.recipe.direction)
        if self.acting.positions is not None:
            parse_positions(self.acting.positions)
        if self.acting.operator is not None:
            check_choice(self.acting.operator, "all")
        if self.measuring.choices != "none":
            load_choices(self.measuring.choices)

    def carry_out(self, model: Model, run: Run, report: Progress) -> Steered:
        """Return what the vector did; the run learns what every part cost and which rows were read."""
        with run.part("make the vector"):
            label, vector = make_vector(model, self.recipe, self.acting)
        self._note_texts(run)
        with run.part("complete with and without"):
            trials = [complete_both(model, self.prompt, vector, **self.writing)]
        if self.measuring.choices == "none":
            return Steered(label=label, vector=vector, trials=trials)
        with run.part(f"effect beside {self.measuring.n_random} random directions"):
            effect = self._measure(model, run, label, vector, report)
        with run.part("cost on unrelated text"):
            ratio = perplexity_ratio(model, unrelated_windows(model), vector)
        corpus = open_corpus(UNRELATED, limit=1)
        run.note_data(corpus.name, corpus.sha256, 1, corpus.licence)
        return Steered(label=label, vector=vector, trials=trials, effect=effect, ratio=ratio)

    def _note_texts(self, run: Run) -> None:
        """Record the texts that the vector was made from, where it was made from sets of them."""
        if self.recipe.contrast is not None:
            found = load_contrast(self.recipe.contrast)
            rows = [list(found.positives), list(found.negatives)]
            run.note_data(f"contrast {found.name}", hash_json(rows), len(rows[0]) + len(rows[1]), found.licence)
        for path in (self.recipe.positives, self.recipe.negatives):
            if path is not None:
                texts = read_texts(path)
                run.note_data(path.name, hash_json(texts), len(texts), "unknown")

    def _measure(self, model: Model, run: Run, label: str, vector: Vectors, report: Progress) -> Effect:
        choices = load_choices(self.measuring.choices)
        rows = [asdict(item) for item in choices.items]
        run.note_data(f"choices {choices.name}", hash_json(rows), len(rows), choices.licence)
        return measure_effect(
            model,
            vector,
            choices.items,
            label=label,
            n_random=self.measuring.n_random,
            instruction=choices.instruction if self.measuring.instruction is None else self.measuring.instruction,
            seed=self.writing["seed"],
            progress=report,
        )


def unrelated_windows(model: Model) -> list[list[int]]:
    """Return windows of ids from the beginning of `UNRELATED`, as long as the context allows."""
    if model.tokenizer is None:
        raise InputError(
            f"{model.identity.name} has no tokenizer, so its effect on text cannot be measured; give --choices none"
        )
    length = min(_WINDOW_TOKENS, model.config.n_ctx - 1)
    ids = model.tokenizer.encode(next(iter(open_corpus(UNRELATED, limit=1))))
    return [ids[i * length : (i + 1) * length] for i in range(_WINDOWS)]


def read_texts(path: Path) -> list[str]:
    """Return the texts of a file: one a line, or under `text` in each line of a .jsonl file (both also .gz or .xz).

    Raises FileFormatError or InputError for a file that is missing, damaged or holds no text.
    """
    if ".jsonl" in path.suffixes:
        return list(open_corpus(path))
    with open_text(path) as file:
        texts = [line.rstrip("\r\n") for line in file if line.strip()]
    if not texts:
        raise InputError(f"'{path}' holds no text; write one text a line")
    return texts
