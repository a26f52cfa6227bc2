"""A study is run seed by seed; a Run serves again as long as its question, code and data are those of now."""

import json

import numpy as np
import pytest

from glassbook.core.errors import InputError, RunError
from glassbook.runs import read_run, start_run
from glassbook.studies import running
from glassbook.studies.cells import as_columns
from glassbook.studies.contract import Arm, Cell
from glassbook.studies.question import NO_NUMBERS, ask
from glassbook.studies.records import changed_sources, items_folder, journal_of, read_cells, read_items
from glassbook.studies.running import Asker, find, run_seed
from studies.toy.study import Toy


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The toy study, ready to run, with its Runs in the test's own folder and every cell told to a file."""
    monkeypatch.setenv("TOY_TELLS", str(tmp_path / "told"))
    monkeypatch.setenv("GLASSBOOK_RUNS", str(tmp_path / "runs"))
    return find("toy")


def told(tmp_path) -> list[str]:
    """Return the cells that began to be measured, in order."""
    return (tmp_path / "told").read_text().splitlines()


def items_of(stored) -> dict[str, bytes]:
    """Return the bytes of every cell's items."""
    return {path.stem: path.read_bytes() for path in sorted(items_folder(stored.folder).glob("*.npz"))}


def test_a_run_holds_a_cell_for_each_arm_with_its_columns_its_sources_and_its_cost(toy):
    stored = toy.run(seed=2)
    cells = read_cells(journal_of(stored.folder))
    assert stored.status == "done" and stored.faults() == []
    assert [cell.arm for cell in cells] == ["nothing", "added", "random", "twice"]
    assert all(cell.columns == {"value": 40, "positive": 40} for cell in cells)
    assert all((cell.flop, cell.tokens, cell.parameters) == (80, 40, 7) for cell in cells)
    assert all(cell.wall_s > 0 and cell.data[0]["name"] == "numbers" for cell in cells)
    assert stored.record["data"] == cells[0].data
    assert set(stored.views()) == {f"{cell.arm}.numbers" for cell in cells}
    nothing, added = (read_items(items_folder(stored.folder), cell)["value"] for cell in cells[:2])
    assert np.array_equal(added, nothing + 1)


def test_the_record_holds_the_settings_the_seed_and_the_hash_of_every_bar(toy):
    asked = toy.run(seed=2).record["asked"]
    assert asked["seed"] == 2 and asked["config"]["settings"]["strength"] == 1.0
    assert set(asked["config"]["bars"]) == {"larger", "twice-as-large"}
    assert all(len(bar) == 64 for bar in asked["config"]["bars"].values())


def test_what_has_been_measured_is_not_measured_again_unless_that_is_asked(toy, tmp_path):
    first = toy.run()
    assert toy.run().id == first.id and len(told(tmp_path)) == 4
    again = toy.run(again=True)
    assert again.id != first.id and len(told(tmp_path)) == 8
    assert items_of(again) == items_of(first)


def test_another_seed_is_another_run_with_other_items(toy):
    assert [run.record["asked"]["seed"] for run in toy.run_all()] == [0, 1, 2]
    assert items_of(toy.run(seed=0)) != items_of(toy.run(seed=1))


def test_a_cell_that_fails_leaves_a_run_that_goes_on_behind_the_last_whole_cell_to_the_same_bits(
    toy, tmp_path, monkeypatch
):
    whole = toy.run()
    with monkeypatch.context() as breaking:
        breaking.setenv("TOY_FAILS_IN", "random")
        with pytest.raises(RuntimeError, match="the toy broke"):
            toy.run(again=True)
    before = len(told(tmp_path))
    (whole.folder / "run.json").rename(whole.folder / "away")
    resumed = toy.run()
    assert told(tmp_path)[before:] == ["0 random", "0 twice"]
    assert resumed.record["history"][0]["status"] == "failed"
    assert resumed.faults() == [] and items_of(resumed) == items_of(whole)


def test_ctrl_c_leaves_a_run_that_goes_on(toy, tmp_path):
    def stop(moment):
        if moment.arm == "added":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.run(watch=stop)
    resumed = toy.run()
    assert resumed.record["history"][0]["status"] == "interrupted"
    assert told(tmp_path).count("0 nothing") == 1 and len(told(tmp_path)) == 4


@pytest.mark.parametrize("change", ["code", "bars", "settings", "data"])
def test_a_run_of_other_code_bars_settings_or_data_does_not_serve(toy, monkeypatch, change):
    first = toy.run()
    if change == "code":
        monkeypatch.setattr(Toy, "modules", ("glassbook.files.atomic",))
    elif change == "bars":
        monkeypatch.setattr("glassbook.evidence.Claim.bar_hash", "0" * 64)
    elif change == "settings":
        monkeypatch.setitem(Toy.settings, "laptop", type(Toy.settings["laptop"])(strength=2.0))
    else:
        monkeypatch.setattr(Toy, "rows_now", "b" * 64)
    assert toy.run().id != first.id


def test_a_seed_that_another_process_is_measuring_is_refused(toy):
    question = ask(Toy())
    code = {"modules": question.modules, "without": NO_NUMBERS}
    with (
        start_run("study", ["other"], question.config(), seed=1, **code),
        pytest.raises(RunError, match="is being measured in process"),
    ):
        toy.run(seed=1)


def test_only_the_headline_leaves_out_what_is_beyond_it_and_keeps_what_it_comes_after(toy, monkeypatch):
    assert [cell.arm for cell in read_cells(journal_of(toy.run(only="headline").folder))] == [
        "nothing",
        "added",
        "random",
    ]
    arms = (Arm("nothing", "", headline=False), Arm("added", "", after=("nothing",)), Arm("twice", "", headline=False))
    monkeypatch.setattr(Toy, "arms", lambda self, settings: arms)
    assert [arm.name for arm in ask(Toy(), only="headline").arms()] == ["nothing", "added"]


def test_other_weights_are_another_question(toy):
    assert toy.run(weights="gpt2-xl").id != toy.run().id
    assert toy.run(weights="gpt2-xl").record["asked"]["config"]["settings"]["weights"] == "gpt2-xl"


def test_size_gpu_without_a_gpu_is_refused_before_a_run_begins(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(running.torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="needs a CUDA GPU"):
        toy.run(size="gpu")
    assert not (tmp_path / "runs").exists()
    monkeypatch.setattr(running.torch.cuda, "is_available", lambda: True)
    assert toy.run(size="gpu").status == "done"


@pytest.mark.parametrize(
    ("ask_for", "named"),
    [
        ({"size": "huge"}, "'huge'"),
        ({"only": "tail"}, "'tail'"),
        ({"seed": -1}, "-1"),
    ],
)
def test_a_question_that_a_study_does_not_have_is_refused_by_name(toy, ask_for, named):
    with pytest.raises(InputError, match=named):
        toy.run(**ask_for)


def test_weights_are_refused_by_a_study_that_takes_none(toy, monkeypatch):
    monkeypatch.setitem(Toy.settings, "laptop", Arm("no", "settings of another kind"))
    with pytest.raises(InputError, match="leave --weights out"):
        toy.run(weights="gpt2-xl")


def test_an_unknown_study_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'toy'"):
        find("toi")


@pytest.mark.parametrize(
    ("arms", "named"),
    [
        ((Arm("A b", ""),), "'A b'"),
        ((Arm("a", ""), Arm("a", "")), "two arms named 'a'"),
        ((Arm("a", "", after=("b",)), Arm("b", "")), "'b', which does not come before it"),
    ],
)
def test_arms_that_cannot_be_measured_in_their_order_are_refused(toy, monkeypatch, arms, named):
    monkeypatch.setattr(Toy, "arms", lambda self, settings: arms)
    with pytest.raises(InputError, match=named):
        toy.run()


def test_an_arm_reads_no_folder_that_it_does_not_come_after(tmp_path):
    cell = Cell("added", 0, "smoke", None, tmp_path, others={"nothing": tmp_path / "nothing"})
    assert cell.other("nothing") == tmp_path / "nothing"
    with pytest.raises(ValueError, match="name it in `after`"):
        cell.other("random")


@pytest.mark.parametrize(
    ("column", "named"),
    [
        ([1.0, float("nan")], "has no finite number at item 1"),
        ([float("inf")], "has no finite number at item 0"),
        ([], "has shape"),
        ([[1.0]], "has shape"),
        (["a"], "has shape"),
    ],
)
def test_a_column_that_is_no_row_of_finite_numbers_is_refused_by_arm_and_column(column, named):
    with pytest.raises(InputError, match=f"'loss' of the arm 'added' {named}"):
        as_columns("added", {"loss": np.array(column)})


def test_columns_are_kept_in_single_precision_where_that_loses_nothing():
    found = as_columns(
        "a", {"half": np.array([0.5]), "third": np.array([1 / 3]), "truth": np.array([True]), "n": np.array([7])}
    )
    assert [found[name].dtype for name in ("half", "third", "truth", "n")] == [
        np.float32,
        np.float64,
        np.float32,
        np.float32,
    ]
    assert found["third"][0] == 1 / 3 and found["truth"][0] == 1


def test_global_generators_begin_each_cell_anew_so_that_skipping_one_moves_no_other(toy, tmp_path, monkeypatch):
    whole = items_of(toy.run())
    monkeypatch.setattr(Toy, "arms", lambda self, settings: (Arm("nothing", ""), Arm("random", "", after=("nothing",))))
    assert items_of(toy.run(again=True))["random"] == whole["random"]


def test_time_spent_on_a_cell_that_was_cut_short_counts(toy, monkeypatch):
    monkeypatch.setenv("TOY_TAKES_S", "0.2")

    def stop(moment):
        if moment.what == "adding":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.run(watch=stop)
    monkeypatch.setenv("TOY_TAKES_S", "0")
    cells = read_cells(journal_of(toy.run().folder))
    assert cells[0].wall_s >= 0.2 > cells[1].wall_s


def test_items_that_were_altered_are_refused(toy):
    stored = toy.run()
    (cell, *_) = read_cells(journal_of(stored.folder))
    path = items_folder(stored.folder) / "nothing.npz"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(RunError, match="checksum differs"):
        read_items(items_folder(stored.folder), cell)


def test_a_damaged_journal_is_refused_by_name(toy):
    journal = journal_of(toy.run().folder)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    journal.write_text("".join(json.dumps({**line, "columns": 3}) + "\n" for line in lines))
    with pytest.raises(RunError, match=r"cells\.jsonl"):
        read_cells(journal)


def test_sources_that_changed_are_named_and_those_that_nobody_speaks_of_are_not(toy):
    cells = read_cells(journal_of(toy.run().folder))
    assert changed_sources(cells, {"numbers": "a" * 64}) == []
    assert changed_sources(cells, {"numbers": "c" * 64}) == ["numbers"]
    assert changed_sources(cells, {"weights:other": "c" * 64}) == []


def test_a_finished_run_is_read_back_as_it_was_returned(toy):
    stored = run_seed(ask(Toy(), "smoke"), 0, Asker())
    assert read_run(stored.folder).record == stored.record
