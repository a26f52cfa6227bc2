"""One experiment with features of a dictionary: what is written with them changed, what that does, what the Run keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from glassbook.circuits.active_features import read_text
from glassbook.cli.features_opening import TEXT, Opened
from glassbook.cli.features_steer import Changing, Measuring
from glassbook.cli.features_steering_report import steering_page, steering_views
from glassbook.cli.steering_experiment import UNRELATED, parse_positions, unrelated_windows
from glassbook.core.errors import InputError
from glassbook.features.cards.directions import speaks
from glassbook.files.hashes import Progress
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts
from glassbook.runs.record import Run
from glassbook.steering.comparison import Trial
from glassbook.steering.feature_cost import feature_cost
from glassbook.steering.feature_effects import (
    Controls,
    FeatureEffect,
    Passage,
    measure_feature_effect,
    written_tokens,
)
from glassbook.steering.features import FeatureEdit, FeatureSteering, feature_vector, steer_features
from glassbook.steering.files import save_vector
from glassbook.steering.fluency import completion_perplexity
from glassbook.text.corpora import open_corpus
from glassbook.views.view import plain

MODULES = (
    "glassbook.steering.feature_effects",
    "glassbook.features.on_text",
    "glassbook.models.loading.opening",
    "glassbook.cli.features_steering",
)
"""The code whose import closure an experiment depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """All that was asked, checked before a Run is begun."""

    opened: Opened
    steering: FeatureSteering
    prompt: Prompts
    measuring: Measuring
    writing: Mapping[str, Any]
    tokens: tuple[int, ...]

    @property
    def model(self) -> Model:
        """Return the model that is steered."""
        return self.opened.model

    @property
    def label(self) -> str:
        """Return what is done, in words."""
        said = {
            "add": "adding {:g} to",
            "clamp": "clamping to {:g}",
            "scale": "adding {:g} times",
            "ablate": "ablating",
        }
        edits = self.steering.edits
        which = ", ".join(str(edit.feature) for edit in edits)
        how = said[edits[0].operator].format(edits[0].amount)
        return f"{how[0].upper()}{how[1:]} {'feature' if len(edits) == 1 else 'features'} {which}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeredFeatures:
    """What the features did: both texts, the effect beside its controls, the cost on unrelated text."""

    label: str
    features: list[dict[str, Any]]
    trials: tuple[Trial, Trial]
    effect: FeatureEffect
    tokens: tuple[str, ...]
    perplexity_ratio: float
    kl: float

    @property
    def sentence(self) -> str:
        """Return what may be said of it."""
        return self.effect.say(self.perplexity_ratio)

    def to_dict(self) -> dict[str, Any]:
        """Return every number as plain data."""
        trials = [
            {
                "label": trial.label,
                "text": trial.completion.text,
                "tokens": trial.completion.tokens,
                "n_touched": sum(trial.completion.touched),
                "perplexity": trial.perplexity,
            }
            for trial in self.trials
        ]
        said = {
            "label": self.label,
            "features": self.features,
            "trials": trials,
            "effect": self.effect.to_dict() | {"token_strings": self.tokens},
            "perplexity_ratio": self.perplexity_ratio,
            "unrelated_kl": self.kl,
            "works": self.effect.works,
            "sentence": self.sentence,
        }
        return dict(plain(said))


def prepare(
    opened: Opened,
    edits: Sequence[FeatureEdit],
    prompt: str,
    changing: Changing,
    measuring: Measuring,
    writing: Mapping[str, Any],
) -> Experiment:
    """Return the experiment; raise GlassbookError for what can be known to be wrong before anything is computed."""
    positions = parse_positions(changing.positions)
    steering = steer_features(opened.dictionary, edits, positions=positions, site=opened.sites, force=True)
    asked = tuple(opened.model.to_single_token(token) for token in measuring.token or ())
    read = read_text(opened.model, opened.dictionary, prompt, changing.bos)
    longest = read.lengths[0] + writing["max_new_tokens"]
    if not isinstance(positions, str) and min(positions) >= longest:
        raise InputError(
            f"--positions {changing.positions} touches nothing: prompt and continuation are {longest} tokens at most; "
            "give smaller indices, counted from 0"
        )
    return Experiment(
        opened=opened,
        steering=steering,
        prompt=read,
        measuring=measuring,
        writing=writing,
        tokens=asked or tuple(written_tokens(opened.model, steering)),
    )


def carry_out(experiment: Experiment, run: Run, report: Progress) -> SteeredFeatures:
    """Return what the features did; the run learns what every part cost and which rows were read."""
    opened, steering, measuring = experiment.opened, experiment.steering, experiment.measuring
    with run.part("complete with and without"):
        trials = _trials(experiment)
    with run.part("densities"):
        densities, largest = _densities(opened, run)
    with run.part(f"effect beside {measuring.n_controls} controls of each kind"):
        controls = Controls(
            densities=densities,
            n=measuring.n_controls,
            seed=experiment.writing["seed"],
            instruction=measuring.instruction,
        )
        written = trials[0].completion
        passage = Passage(tuple(written.prompt_tokens), tuple(written.tokens))
        effect = measure_feature_effect(
            opened.model, steering, passage, experiment.tokens, controls, label=experiment.label, progress=report
        )
    with run.part("cost on unrelated text"):
        cost = feature_cost(opened.model, steering, unrelated_windows(opened.model))
    corpus = open_corpus(UNRELATED, limit=1)
    run.note_data(corpus.name, corpus.sha256, 1, corpus.licence)
    return SteeredFeatures(
        label=experiment.label,
        features=[_known(opened, edit.feature, densities, largest) for edit in steering.edits],
        trials=trials,
        effect=effect,
        tokens=tuple(opened.model.to_string([token]) for token in experiment.tokens),
        perplexity_ratio=cost.perplexity_ratio,
        kl=cost.kl,
    )


def keep(run: Run, experiment: Experiment, result: SteeredFeatures) -> Path:
    """Write numbers, pictures, the vector of a single feature and the page into the Run; return the page's path."""
    run.save_json("result", result.to_dict())
    run.metric("shift", result.effect.shift, "nats")
    run.metric("similar-features-beaten", result.effect.similar_rank.beaten)
    run.metric("random-directions-beaten", result.effect.direction_rank.beaten)
    run.metric("perplexity-ratio", result.perplexity_ratio)
    steering = experiment.steering
    if len(steering.edits) == 1 and speaks(experiment.model, steering.sites[1]):
        (edit,) = steering.edits
        vector = feature_vector(steering.dictionary, edit.feature, steering.sites)
        path = run.folder / "artifacts" / "vector-0.safetensors"
        save_vector(path, vector * (edit.amount if edit.operator == "add" else 1.0))
    views = steering_views(experiment.model, result)
    for name, view in views.items():
        run.save_view(name, view)
    return run.save_report(
        steering_page(run, experiment.model, str(steering.sites[1]), views, result.effect, result.sentence)
    )


def _trials(experiment: Experiment) -> tuple[Trial, Trial]:
    model, ids = experiment.model, experiment.prompt
    options = dict(experiment.writing)
    both = [model.complete(ids, **options)[0], model.complete(ids, steer=experiment.steering, **options)[0]]
    plain_trial, steered = (
        Trial(label, one, completion_perplexity(model, one.prompt_tokens, one.tokens))
        for label, one in zip(("unsteered", "steered"), both, strict=True)
    )
    return plain_trial, steered


def _densities(opened: Opened, run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Return density and largest value of every feature, from the cards or else counted on a shipped text."""
    cards = opened.names.cards
    if cards is not None:
        return torch.from_numpy(cards.densities()).float(), torch.from_numpy(cards.largest.copy()).float()
    found = opened.glance(run)
    return found.densities, found.largest


def _known(opened: Opened, feature: int, densities: torch.Tensor, largest: torch.Tensor) -> dict[str, Any]:
    """Return what is known of a feature."""
    return {
        "feature": feature,
        "about": opened.names.about(feature),
        "label": opened.names.label(feature),
        "density": float(densities[feature]),
        "largest": float(largest[feature]),
        "counted_on": TEXT if opened.names.cards is None else "the cards' harvest",
    }
