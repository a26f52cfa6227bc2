"""One training on a text of one's own: what is read, learned and kept."""

import math
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from glassbook.cli.train_options import TrainingConfig
from glassbook.core.devices import hardware
from glassbook.core.errors import InputError
from glassbook.files.hashes import Progress as Report
from glassbook.models.generation import Completion
from glassbook.models.identity import Identity, fingerprint
from glassbook.models.loading.assemble import lineage_of
from glassbook.models.loading.opening import as_device
from glassbook.models.loading.own_folder import save_model
from glassbook.models.model import Model
from glassbook.models.transformer import Transformer
from glassbook.runs.record import Run
from glassbook.text.corpora import Corpus, open_corpus
from glassbook.training import History, LanguageLearner, LanguageSettings, Settings, TokenWindows, evaluate, train
from glassbook.training.distribution import DistributedLearner, joined
from glassbook.training.loop import Progress
from glassbook.training.own_text import OwnText, read_own_text
from glassbook.training.processes import ALONE, Processes
from glassbook.training.shapes import new_network

MODULES = ("glassbook.training.distribution", "glassbook.training.own_text", "glassbook.training.shapes")
"""The code whose import closure a training depends on."""

CHECKPOINTS = "checkpoints"
# On the way a look at so many windows is enough; at the end all of the validation text is read.
_WINDOWS_ON_THE_WAY = 128
_LOOKS, _LOGGED, _CHECKPOINTS = 20, 200, 20
_LOSSES = ("loss", "validation_loss")
_N_SAMPLES, _SAMPLE_LENGTH = 3, 200


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came out of one training."""

    config: TrainingConfig
    text: OwnText
    model: Model
    folder: Path
    history: History
    measured: Mapping[str, float]
    samples: list[Completion]

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain data."""
        encoded = self.text
        return {
            "model": str(self.folder),
            "identity": self.model.identity.to_dict(),
            "config": msgspec.to_builtins(self.config),
            "n_parameters": sum(weight.numel() for weight in self.model.net.parameters()),
            "d_vocab": encoded.tokenizer.d_vocab,
            "train_tokens": len(encoded.train),
            "validation_tokens": len(encoded.validation),
            "train_loss": self.history.last("loss"),
            "validation": dict(self.measured),
            "unigram_nats_per_token": encoded.unigram_nats(),
            "samples": [one.text for one in self.samples],
        }


def together(kind: str | None, device: str) -> AbstractContextManager[Processes]:
    """Return the processes that train: those of torchrun where a `kind` of distribution is asked, else this one alone."""
    return (
        nullcontext(Processes(device=as_device(device)) if device != "cpu" else ALONE)
        if kind is None
        else joined(device)
    )


class Training:
    """A text, a network and a learner, ready to begin; nothing is written yet."""

    def __init__(self, config: TrainingConfig, processes: Processes, distributed: str | None) -> None:
        self.config, self.processes = config, processes
        self.settings = language_settings(config)
        self.corpus: Corpus = open_corpus(config.text)
        self.text = read_own_text(self.corpus, config.tokenizer, config.d_vocab, config.context)
        self.learner: LanguageLearner
        if distributed:
            self.learner = DistributedLearner(self._network(), self.settings, processes, distributed)
        else:
            self.learner = LanguageLearner(self._network(), self.settings)

    def _network(self) -> Transformer:
        c = self.config
        net = new_network(
            c.architecture,
            n_layers=c.n_layers,
            d_model=c.d_model,
            n_heads=c.n_heads,
            d_vocab=self.text.tokenizer.d_vocab,
            n_ctx=c.context,
            seed=c.seed,
        )
        return net.to(self.processes.device)

    def note(self, run: Run) -> None:
        """Record which rows and which machine the run is made on."""
        run.note_data(self.corpus.name, self.corpus.sha256, self.text.n_documents, self.corpus.licence)
        run.note_hardware(hardware() | {"processes": self.processes.size})

    def learn(self, run: Run | None, report: Report) -> History:
        """Train in the run's folder, going on from its last checkpoint; the first process keeps the metrics."""
        c = self.config
        folder = Path(self.processes.from_first(str(run.folder / CHECKPOINTS) if run else ""))
        settings = Settings(
            steps=c.steps,
            checkpoint_every=c.checkpoint_every or _part(c.steps, _CHECKPOINTS),
            log_every=_part(c.steps, _LOGGED),
            evaluate_every=c.evaluate_every or _part(c.steps, _LOOKS),
            processes=self.processes,
        )

        def keep(step: int, metrics: Mapping[str, float]) -> None:
            for name, value in metrics.items():
                if run and name in _LOSSES:
                    run.metric(name.replace("_", "-"), value, "nats a token", step)

        def show(now: Progress) -> None:
            report(f"training {c.n_layers} layers of {c.d_model}", now.step, now.steps)

        stream = TokenWindows(self.text.train, c.batch, c.context, c.seed)
        look = partial(self._look, _WINDOWS_ON_THE_WAY)
        return train(self.learner, stream, settings, folder=folder, evaluate=look, on_metrics=keep, progress=show)

    def _look(self, at_most: int) -> dict[str, float]:
        measured = self.measure(at_most)
        return {"validation_loss": measured["nats_per_token"]}

    def measure(self, at_most: int = 0) -> dict[str, float]:
        """Return loss, perplexity and, where all of it is read, bits per byte of the validation text."""
        c, whole = self.config, not at_most
        batches = self.text.windows(max(c.batch, 16), c.context, at_most)
        n_bytes = self.text.validation_bytes if whole else None
        if isinstance(self.learner, DistributedLearner):
            return self.learner.evaluate(batches, n_bytes)
        return evaluate(self.learner.net, batches, n_bytes, c.dtype)

    def model(self, name: str) -> Model | None:
        """Return the model that was learned, in the first process."""
        net = self.learner.net
        if isinstance(self.learner, DistributedLearner):
            state = self.learner.state()
            if not self.processes.is_first:
                return None
            net = self._network()
            net.load_state_dict({key.removeprefix("net/"): one for key, one in state.items() if key.startswith("net/")})
        assert isinstance(net, Transformer)
        net.eval().requires_grad_(False)
        marked, tokenizer = fingerprint(net.named_parameters()), self.text.tokenizer
        identity = Identity(
            name=name,
            fingerprint=marked,
            lineage=lineage_of(marked, net.config, tokenizer.fingerprint),
            quantization="",
            dtype="float32",
            tokenizer=tokenizer.fingerprint,
        )
        return Model(net, tokenizer, identity)


def finish(run: Run, training: Training, model: Model, history: History, measured: Mapping[str, float]) -> Trained:
    """Save the model, let it write samples, and keep what was measured; the checkpoints have served."""
    c, folder = training.config, place_of(training.config, run)
    with run.part("save the model"):
        save_model(model, folder)
    run.note_weights(model.identity.to_dict())
    for name, value in measured.items():
        run.metric(name.replace("_", "-"), value)
    opening = training.text.opening
    samples = model.complete(
        [opening],
        n_samples=_N_SAMPLES,
        max_new_tokens=min(_SAMPLE_LENGTH, c.context - len(opening)),
        temperature=0.8,
        seed=c.seed,
    )
    done = Trained(
        config=c,
        text=training.text,
        model=model,
        folder=folder,
        history=history,
        measured=measured,
        samples=samples,
    )
    run.save_json("training", done.to_dict())
    run.save_json("history", {name: {"steps": x, "values": y} for name, (x, y) in history.columns.items()})
    shutil.rmtree(run.folder / CHECKPOINTS)
    return done


def place_of(config: TrainingConfig, run: Run) -> Path:
    """Return the folder that the model is saved in."""
    return Path(config.out) if config.out else run.folder / "artifacts" / "model"


def name_of(config: TrainingConfig) -> str:
    """Return what the model is called: as asked, as its folder, or after its text."""
    return config.name or (Path(config.out).name if config.out else Path(config.text).name.partition(".")[0])


def check_place(config: TrainingConfig) -> None:
    """Raise InputError for a folder that holds something already, which a model must not replace."""
    if config.out and (place := Path(config.out)).exists() and not (place.is_dir() and not any(place.iterdir())):
        raise InputError(f"'{config.out}' is there already; choose a new folder for --out")


def language_settings(config: TrainingConfig) -> LanguageSettings:
    """Return how the network learns; raise InputError for a rate or schedule that cannot be."""
    c = config
    settings = LanguageSettings(
        lr=c.lr,
        steps=c.steps,
        min_lr=c.lr / 10 if c.min_lr is None else c.min_lr,
        warmup=min(c.steps // 20, 200) if c.warmup is None else c.warmup,
        weight_decay=c.weight_decay,
        clip=c.clip,
        accumulate=c.accumulate,
        dtype=c.dtype,
    )
    # A schedule says when it is made what is wrong with it, and that is before a Run is begun.
    settings.schedule.at(0)
    return settings


def _part(steps: int, n: int) -> int:
    return max(math.ceil(steps / n), 1)
