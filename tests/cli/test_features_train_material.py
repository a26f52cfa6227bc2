"""`glassbook features train` from what a harvest left, for transcoders, and from material that is not as it should be."""

import errno
import json
import multiprocessing
import os
import shutil
import sys

import pytest
import torch

import glassbook.cli.features_train_run as run_room
from activations.store.material import sign
from conformance.tiny import tiny_model
from features.samples import same
from glassbook.activations.store import Harvest, harvest, open_store
from glassbook.cli.app import run
from glassbook.features import open_dictionary, train
from glassbook.files.safetensors import open_safetensors
from glassbook.models.loading.own_folder import save_model
from glassbook.runs.index import find_run, list_runs
from glassbook.training.checkpoint import checkpoint_steps

SITES = ["L1.resid_mid", "L1.mlp_out"]
TEXTS = [f"document {number}: " + "some words of its own " * 4 for number in range(30)]
SMALL = ["--tokens", "1024", "--batch-size", "64", "--features", "48", "--k", "4", "--checkpoint-every", "2"]


@pytest.fixture(autouse=True)
def one_thread():
    """Compute on one thread: those that a parent began are not there in a fork, which would wait for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder of a finished harvest."""
    folder = tmp_path_factory.mktemp("store") / "harvest"
    harvest(tiny_model(), TEXTS, SITES, folder, Harvest(context=16, dtype="float32", shard_bytes=120_000))
    return folder


@pytest.fixture
def store(made, tmp_path):
    """Return a copy of it that may be damaged."""
    return shutil.copytree(made, tmp_path / "store")


def ask(store, out, *more, site=SITES[:1]):
    sites = [part for one in site for part in ("--site", one)]
    return ["features", "train", "--store", store, *sites, *SMALL, "--out", out, *more]


def test_from_a_store_it_learns_what_the_library_learns_and_says_whose_activations_they_are(cli, made, tmp_path):
    said = cli(*ask(made, tmp_path / "out", "--json")).json()
    found, known = open_dictionary(tmp_path / "out"), open_store(made)
    ours = train(None, known, site=SITES[0], n_features=48, k=4, tokens=1024, batch_size=64, seed=0)
    assert same(found.state_dict(), ours.dictionary.state_dict())
    assert found.facts["weights"] == known.facts["weights"] and found.facts["corpus"] == known.facts["corpus"]
    assert found.facts["site"] == SITES[0] and said["tokens"] == 1024
    assert find_run(said["run"]).record["weights"]["fingerprint"] == known.identity.fingerprint


@pytest.mark.parametrize("kind", ["transcoder", "skip-transcoder"])
def test_two_sites_make_a_transcoder(cli, made, tmp_path, kind):
    assert cli(*ask(made, tmp_path / "out", "--kind", kind, site=SITES)).status == 0
    found = open_dictionary(tmp_path / "out")
    assert (found.kind, found.facts["site"], found.facts["site_out"]) == (kind, *SITES)
    known = open_store(made)
    x, target = (known.rows(site).float() for site in SITES)
    with torch.no_grad():
        missed, turned = (found(x) - target).square().sum(), (found(x) - target.roll(1, 0)).square().sum()
    assert missed < 0.9 * turned, "what it writes belongs to what it read"


def test_a_sweep_is_gone_on_with_after_ctrl_c_and_says_the_same_as_json(cli, made, tmp_path, monkeypatch):
    kinds = ["--kind", "topk", "--kind", "jumprelu", "--k", "6", "--seed", "0", "--seed", "1"]
    more = [*kinds, "--features", "32", "--tokens", "512", "--json"]
    whole = cli(*ask(made, tmp_path / "whole", *more)).json()
    plain = run_room.train_many

    def stopped(rows, wanted, running, widths):
        def stop(now):
            if now.step == 5:
                raise KeyboardInterrupt

        return plain(rows, wanted, type(running)(**vars(running) | {"progress": stop}), widths)

    monkeypatch.setattr(run_room, "train_many", stopped)
    assert cli(*ask(made, tmp_path / "cut", *more)).status == 130
    monkeypatch.setattr(run_room, "train_many", plain)
    again = cli(*ask(made, tmp_path / "cut", *more)).json()
    names = [one["name"] for one in again["dictionaries"]]
    assert len(names) == len(set(names)) == 2 * 2 * 2 * 2
    for one, other in zip(whole["dictionaries"], again["dictionaries"], strict=True):
        assert {**one, "folder": ""} == {**other, "folder": ""}
    for name in names:
        first, second = (tmp_path / where / name / "dictionary.safetensors" for where in ("whole", "cut"))
        assert first.read_bytes() == second.read_bytes()
    assert find_run(again["run"]).status == "done"


def _first_values(store):
    """Return the file, and where in it the first value of the Site that is learned from stands."""
    shard = sorted((store / "shards").iterdir())[0]
    with open_safetensors(shard) as file:
        name = next(name for name in file.tensors if SITES[0] in name)
        return shard, int.from_bytes(shard.read_bytes()[:8], "little") + 8 + file.tensors[name].start


def _spoil(store, what):
    shard, start = _first_values(store)
    raw = bytearray(shard.read_bytes())
    if what == "nan":
        raw[start : start + 4] = b"\x00\x00\xc0\x7f"
    elif what == "header":
        raw[8:12] = b"xxxx"
    elif what == "short":
        raw = raw[:-10]
    elif what == "bit":
        raw[start] ^= 1
    shard.write_bytes(raw)
    if what in ("nan", "header"):
        sign(shard)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nan", "the activations hold NaN or infinite numbers"),
        ("header", "is damaged or not what its name says"),
        ("bit", "its checksum is not the one in the journal"),
        ("short", "fetch it again or harvest into another folder"),
    ],
)
def test_a_damaged_store_is_one_sentence_and_leaves_no_dictionary(cli, store, tmp_path, what, words):
    _spoil(store, what)
    said = cli(*ask(store, tmp_path / "out", "--tokens", "4096"))
    assert said.is_one_sentence() and words in said.err
    assert not (tmp_path / "out").exists()


def test_what_was_learned_before_a_bad_number_stands_and_goes_on_when_it_is_mended(cli, made, store, tmp_path):
    assert cli(*ask(made, tmp_path / "whole", "--tokens", "4096")).status == 0
    kept = {path: path.read_bytes() for path in (store / "shards").iterdir()}
    # A batch that comes late: the pool is one here, so that it is the rows of the last steps that are spoiled.
    rows = open_store(store).batches(SITES[0], 64, seed=0, epochs=None)
    order = torch.cat([rows.next() for _ in range(40)])
    shard, start = _first_values(store)
    whole = open_store(store).rows(SITES[0]).float()
    when = [int((order == row).all(1).nonzero()[0]) for row in whole[:200] if (order == row).all(1).any()]
    late = max(range(len(when)), key=when.__getitem__)
    raw = bytearray(kept[shard])
    at = start + late * whole.shape[1] * 4
    raw[at : at + 4] = b"\x00\x00\xc0\x7f"
    shard.write_bytes(raw)
    sign(shard)
    said = cli(*ask(store, tmp_path / "out", "--tokens", "4096"))
    assert said.is_one_sentence() and "NaN or infinite" in said.err
    begun = list_runs(kind="features-train")[0]
    steps = checkpoint_steps(find_run(begun.id).folder / "checkpoints")
    assert begun.status == "failed" and steps and steps[-1] >= 4
    shard.write_bytes(kept[shard])
    sign(shard)
    again = cli(*ask(store, tmp_path / "out", "--tokens", "4096"))
    assert again.status == 0 and "going on with the run" in again.err
    weights = [(tmp_path / name / "dictionary.safetensors").read_bytes() for name in ("whole", "out")]
    assert weights[0] == weights[1]


def _on_a_full_disk(command, after, errors):
    """Give a command in a process of its own, where nothing reaches the disk after so many calls."""
    left, plain = iter(range(after, -1000, -1)), os.fsync

    def full(number):
        if next(left) <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(number)

    os.fsync = full
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    status = run([str(part) for part in command])
    os._exit(status)


def test_on_a_full_disk_the_checkpoint_before_stands_and_the_same_command_ends_with_the_same_bytes(cli, made, tmp_path):
    assert cli(*ask(made, tmp_path / "whole")).status == 0
    reached = []
    for after in (40, 40):
        command, errors = ask(made, tmp_path / "out"), tmp_path / f"errors-{len(reached)}"
        child = multiprocessing.get_context("fork").Process(target=_on_a_full_disk, args=(command, after, errors))
        child.start()
        child.join()
        said = errors.read_text()
        assert child.exitcode == 2 and "the disk is full: '" in said and "Traceback" not in said
        assert not (tmp_path / "out").exists()
        reached.append(max(checkpoint_steps(find_run(list_runs(kind="features-train")[0].id).folder / "checkpoints")))
    assert 0 < reached[0] < reached[1]
    assert cli(*ask(made, tmp_path / "out")).status == 0
    assert len(list_runs(kind="features-train")) == 2, "each went on with the one before"
    weights = [(tmp_path / name / "dictionary.safetensors").read_bytes() for name in ("whole", "out")]
    assert weights[0] == weights[1]


def test_what_does_not_belong_together_is_one_sentence_and_begins_no_run(cli, made, tmp_path):
    save_model(tiny_model(seed=2), tmp_path / "other")
    (tmp_path / "none.jsonl").write_text("")
    (tmp_path / "few.jsonl").write_text(json.dumps({"text": "a few words"}) + "\n")
    corpus = ["--context", "16", "--dtype", "float32"]
    for words, command in {
        "is tiny-llama-2, which is not the same model": [
            *ask(made, "out")[:2],
            tmp_path / "other",
            *ask(made, "out")[2:],
        ],
        "was not harvested into": ask(made, "out", site=["L0.resid_post"]),
        "holds no activations; make them with glassbook features harvest": ask(tmp_path, "out"),
        "holds no document": [
            "features",
            "train",
            tmp_path / "other",
            tmp_path / "none.jsonl",
            *corpus,
            "--site",
            SITES[0],
            *SMALL,
            "--out",
            "out",
        ],
        "a dictionary has one Site, a transcoder two": ask(made, "out", site=[*SITES, SITES[0]]),
        "a batchtopk dictionary has one Site and two were given; give one, or choose transcoder": ask(
            made, "out", site=SITES
        ),
        "a transcoder has two Sites, what is read and what is written, and one was given": ask(
            made, "out", "--kind", "transcoder"
        ),
    }.items():
        said = cli(*command)
        assert said.is_one_sentence() and words in said.err, said.err
        assert list_runs(kind="features-train") == [] and not (tmp_path / "out").exists(), words
