"""Features that are dead from the beginning live again by AuxK and by resampling, and by nothing else."""

import pytest
import torch

from glassbook.features import dead_features
from glassbook.features.dictionary import make_dictionary
from glassbook.features.learning import DictionaryLearner, DictionarySettings
from glassbook.features.planted import PlantedRows, planted, recovery

N, D, ROWS, STEPS = 32, 16, 256, 200
DATA = planted(N, D, 0.5, seed=0, active=3.0)


def n_dead(kind):
    """Return how many features are planted dead: so many that those left do not suffice."""
    return 12 if "topk" in kind else 24


def begun(kind, mend, steps=STEPS, **how):
    """Return a learner of which most features are planted dead, and its rows."""
    settings = {"k": 3} if "topk" in kind else {}
    dictionary = make_dictionary(kind, D, N, D, settings)
    lr = 0.02 if dictionary.penalty else 0.01
    recipe = {"lr": lr, "sparsity": 0.02, "dead_share": 0.05, "dtype": "float32", "mend": mend} | how
    learner, rows = DictionaryLearner(dictionary, DictionarySettings(steps=steps, **recipe)), PlantedRows(DATA, ROWS, 1)
    learner.prepare(rows.next())
    with torch.no_grad():
        if dictionary.penalty:
            # No row reaches above 0, so that no slope leads out.
            dictionary.b_enc[: n_dead(kind)] = -100
        else:
            # All others come before them.
            dictionary.encoder[: n_dead(kind)] *= 0.01
    return learner, rows


def last_of(learner, rows):
    """Return the metrics of the last step of a whole training."""
    for _ in range(learner.settings.steps):
        metrics = learner.step(rows.next())
    return dict(metrics)


@pytest.mark.parametrize(
    ("kind", "mend"),
    [
        ("topk", "auxk"), ("batchtopk", "auxk"), ("standard", "resample"), ("jumprelu", "resample"),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in (
            ("matryoshka-batchtopk", "auxk"), ("topk", "resample"), ("gated", "resample"),
        )),
    ],
)  # fmt: skip
def test_what_was_dead_lives_again_and_what_is_explained_grows(kind, mend):
    kept, left = begun(kind, "keep"), begun(kind, mend)
    without, with_it = last_of(*kept), last_of(*left)
    assert without["dead"] >= 0.75 * n_dead(kind) / N, "the control: what is dead stays dead"
    assert with_it["dead"] <= 0.75 * without["dead"]
    assert with_it["fvu"] < 0.96 * without["fvu"]
    if kind in ("topk", "batchtopk") and mend == "auxk":
        found, before = (recovery(one[0].working.decoder, DATA.atoms) for one in (left, kept))
        assert found > before + 0.2


def test_how_many_were_active_is_counted_in_the_batch(monkeypatch):
    learner, rows = begun("standard", "keep", 5)
    # What chooses between the forms stays at its guess, as where a batch lies on a GPU.
    monkeypatch.setattr(learner, "_note", lambda *given: None)
    for _ in range(3):
        before, x = learner.dictionary(), rows.next()
        metrics = learner.step(x)
        active = float((before.encode(x) > 0).sum(1).float().mean())
        assert metrics["l0"] == pytest.approx(active, rel=1e-3) and metrics["l0"] != learner.l0


@pytest.mark.parametrize("steps", [20, 40])
def test_a_feature_is_dead_after_its_share_of_the_training_without_a_token(steps):
    learner, rows = begun("batchtopk", "keep", steps, dead_share=0.25)
    dead = [learner.step(rows.next())["dead"] for _ in range(steps)]
    first = next(number for number, share in enumerate(dead, 1) if share > 0)
    assert first == steps // 4 and dead[first - 1] >= 0.9 * n_dead("batchtopk") / N


def test_in_a_long_training_the_window_is_bounded(monkeypatch):
    monkeypatch.setattr("glassbook.features.learning.MOST_TOKENS", 3 * ROWS)
    learner, rows = begun("batchtopk", "keep", 1000, dead_share=0.25)
    dead = [learner.step(rows.next())["dead"] > 0 for _ in range(4)]
    assert dead == [False, False, True, True] and dead_features.MOST_TOKENS == 10_000_000


def test_resampling_happens_five_times_in_the_first_half_and_forgets_what_adam_knew(monkeypatch):
    when = []
    plain = dead_features.resample
    learner, rows = begun("standard", "resample", 40)

    def noted(*arguments):
        when.append(learner.steps + 1)
        plain(*arguments)

    monkeypatch.setattr("glassbook.features.learning.resample", noted)
    for _ in range(40):
        learner.step(rows.next())
        if learner.steps == 4:
            averages = learner.optimizer.state[learner.working.decoder]
            assert not averages["exp_avg"][:24].any() and averages["exp_avg"][24:].any()
    assert when == [4, 8, 12, 16, 20]


@pytest.mark.parametrize(
    ("kind", "settings"), [("standard", {}), ("gated", {}), ("jumprelu", {}), ("jumprelu", {"k": 3})]
)
def test_what_begins_anew_is_active_where_it_was_drawn(kind, settings):
    dictionary, rows = make_dictionary(kind, D, N, settings=settings), PlantedRows(DATA, ROWS, 1)
    learner = DictionaryLearner(dictionary, DictionarySettings(steps=STEPS, dtype="float32"))
    for _ in range(20):
        learner.step(rows.next())
    x, dead = learner.normalization.read(rows.next()), torch.arange(N) < 8

    def active_after(length):
        dictionary.revived_length = length
        dead_features.resample(dictionary, learner.optimizer, (x, x), x.square().sum(1), dead, (0, 0))
        return int((dictionary.encode(x)[:, :8] > 0).any(0).sum())

    assert active_after(type(dictionary).revived_length) == 8
    if settings:
        assert active_after(0.05) < 8, "the control: too short a row does not reach its threshold"


def test_where_no_feature_is_dead_neither_changes_a_bit():
    weights = []
    for mend in ("keep", "auxk", "resample"):
        learner, rows = begun("topk", mend, 12, dead_share=1.0)
        last_of(learner, rows)
        weights.append(learner.working.encoder.detach().clone())
    assert torch.equal(weights[0], weights[1]) and torch.equal(weights[0], weights[2])
