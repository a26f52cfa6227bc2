"""`glassbook train`: a small language model from a text of one's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glassbook.cli.door import tell
from glassbook.cli.options import Json
from glassbook.cli.output import print_facts, print_heading, print_json, printable, progress
from glassbook.cli.recording import COMMAND, Root
from glassbook.cli.train_options import Keeping, Learning, Network, Starting, TextName, TrainingConfig
from glassbook.core.errors import GlassbookError, InputError

if TYPE_CHECKING:
    from glassbook.cli.train_run import Trained, Training
    from glassbook.runs.record import Run
    from glassbook.training.processes import Processes


def train(
    network: Network,
    learning: Learning,
    keeping: Keeping,
    starting: Starting,
    text: TextName = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Train a language model on a text of your own.

    The first nine tenths of the text (of its documents where there are ten or more) are learned from; bits per byte are told
    of the last tenth. The model's folder opens with every other verb. Ctrl-C writes a checkpoint: --resume RUN goes on to
    the same bits. For several processes: torchrun --nproc-per-node 2 -m glassbook.cli train ... --distributed ddp.
    """
    from glassbook.cli.train_run import together

    config, resume = _asked(text, (network, learning, keeping), starting, root)
    with together(starting.distributed, config.device) as processes, _told_once(processes):
        found = _carry_out(config, processes, starting.distributed, resume, root)
    if found:
        _print(*found, as_json)


def _carry_out(
    config: TrainingConfig, processes: "Processes", distributed: str | None, resume: str | None, root: Path | None
) -> "tuple[Trained, str, Path] | None":
    """Return what came out, the run's name and its page, in the first process."""
    from glassbook.cli.train_report import keep_page
    from glassbook.cli.train_run import Training, check_place, finish, name_of

    if resume is None:
        check_place(config)
    training = Training(config, processes, distributed)
    if not processes.is_first:
        with progress() as report:
            training.learn(None, report)
        training.measure()
        training.model("")
        return None
    with _run(training, resume, root) as run, progress() as report:
        with run.part("train"):
            history = training.learn(run, report)
        with run.part("measure on the validation text"):
            measured = training.measure()
        model = training.model(name_of(config))
        assert model is not None
        done = finish(run, training, model, history, measured)
        return done, run.id, keep_page(run, done)


@contextmanager
def _run(training: "Training", resume: str | None, root: Path | None) -> "Iterator[Run]":
    """Yield a new Run, or the one that was cut short, and say how to go on where this one is cut short too."""
    import msgspec

    from glassbook.cli.train_run import MODULES
    from glassbook.runs.record import start_run
    from glassbook.runs.resuming import resume_run

    config, seed = msgspec.to_builtins(training.config), training.config.seed
    config |= {"text_sha256": training.corpus.sha256}
    with (
        start_run(
            "train",
            COMMAND.get(),
            config,
            seed=seed,
            root=root,
            modules=MODULES,
            without=("glassbook.views", "glassbook.runs"),
        )
        if resume is None
        else resume_run(resume, "train", config, seed=seed, root=root)
    ) as run:
        training.note(run)
        try:
            yield run
        except KeyboardInterrupt:
            tell(f"a checkpoint is kept; go on with: glassbook train --resume {run.id}")
            raise


def _asked(
    text: str | None, groups: tuple[Network, Learning, Keeping], starting: Starting, root: Path | None
) -> tuple[TrainingConfig, str | None]:
    """Return the configuration and the run to go on with, if any; raise InputError for options given beside a run."""
    from glassbook.cli.train_options import as_config, read_config
    from glassbook.runs.index import find_run, list_runs

    if starting.resume is None:
        config = read_config(text, groups, starting.config)
        return _from_here(config), None
    newest = list_runs(root, kind="train", limit=1) if starting.resume == "latest" else []
    stored = find_run(newest[0].id if newest else starting.resume, root)
    if stored.kind != "train":
        raise InputError(f"the run {stored.id} is no training but of kind '{stored.kind}'; resume a training")
    if text is not None or starting.config or any(group != type(group)() for group in groups):
        raise InputError(f"the options of the run {stored.id} hold; give --resume alone, or start another run")
    fields = dict(stored.record["asked"]["config"])
    known = fields.pop("text_sha256")
    config = as_config(fields, f"the run {stored.id}")
    _check_text(config, known)
    return config, str(stored.folder)


def _from_here(config: TrainingConfig) -> TrainingConfig:
    """Return the configuration with whole paths, so that a run can be gone on with from any folder."""
    import msgspec

    # What has no ending is the name of a known corpus, whatever lies in the folder.
    is_file = Path(config.text).suffix and Path(config.text).is_file()
    text = str(Path(config.text).resolve()) if is_file else config.text
    return msgspec.structs.replace(config, text=text, out=str(Path(config.out).resolve()) if config.out else "")


def _check_text(config: TrainingConfig, known: str) -> None:
    from glassbook.text.corpora import open_corpus

    if open_corpus(config.text).sha256 != known:
        raise InputError(
            f"the text '{config.text}' is no longer what the run began with; put it back or start another run"
        )


@contextmanager
def _told_once(processes: "Processes") -> Iterator[None]:
    """Let only the first of several processes say what went wrong with all of them."""
    try:
        yield
    except GlassbookError:
        if processes.is_first:
            raise
        raise typer.Exit(2) from None


def _print(done: "Trained", run: str, page: Path, as_json: bool) -> None:
    from glassbook.cli.train_report import training_facts

    if as_json:
        print_json(done.to_dict() | {"run": run, "report": str(page)})
        return
    print_facts(training_facts(done))
    for number, one in enumerate(done.samples):
        print_heading(f"\n[{number}]")
        typer.echo(printable(done.text.opening_text + one.text))
    typer.echo()
    print_facts({"folder": str(done.folder), "run": run, "report": str(page)})
