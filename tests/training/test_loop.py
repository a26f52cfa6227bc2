"""The loop: exact resume wherever it was cut, what is kept and passed over, budgets, Ctrl-C, rates."""

import os
import signal
import threading
import time

import pytest
import torch

from glassbook.core.errors import FileFormatError, InputError
from glassbook.training import LanguageLearner, Settings, TokenWindows, train
from glassbook.training.checkpoint import CheckpointWarning, checkpoint_steps, read_checkpoint, write_checkpoint
from glassbook.training.throughput import fastest_dtype, flop_per_token, measured_peak, multiplying_parameters
from training.tiny import same_bits, settings, some_batch, some_text, tiny_gpt2, trained

STEPS = 30


def metrics(history, *names):
    return {name: (history.steps(name), history.values(name)) for name in names}


@pytest.mark.parametrize("cut", [1, 7, 29])
def test_a_training_that_was_cut_ends_with_the_same_bits(cut, tmp_path):
    whole, told = trained(STEPS)
    trained(cut, tmp_path)
    net, told_again = trained(STEPS, tmp_path)
    assert same_bits(net, whole)
    for name in ("loss", "grad_norm", "lr", "tokens", "flop"):
        values = dict(zip(*metrics(told_again, name)[name], strict=True))
        assert all(values[step] == value for step, value in zip(*metrics(told, name)[name], strict=True))


@pytest.mark.parametrize("forgotten", ["learner/adamw/embed.weight/exp_avg", "learner/steps", "stream/drawn"])
def test_control_a_checkpoint_that_forgets_one_thing_ends_elsewhere(forgotten, tmp_path):
    whole, _ = trained(STEPS)
    trained(10, tmp_path)
    tensors = read_checkpoint(tmp_path)
    write_checkpoint(tmp_path, 10, tensors | {forgotten: torch.zeros_like(tensors[forgotten])})
    net, _ = trained(STEPS, tmp_path)
    assert not same_bits(net, whole)


class Noisy:
    """A learner whose steps depend on torch's own random numbers, as with dropout."""

    def __init__(self):
        self.sum = torch.zeros((), dtype=torch.float64)

    def step(self, batch):
        self.sum = self.sum * 1.5 + torch.rand(()).double()
        return {"loss": self.sum.item()}

    def state(self):
        return {"sum": self.sum}

    def load_state(self, state):
        self.sum = state["sum"]


class Nothing:
    def next(self):
        return None

    def state(self):
        return {}

    def load_state(self, state):
        assert state == {}


def noisy(steps, folder=None, **loop):
    torch.manual_seed(3)
    learner = Noisy()
    evaluate = loop.pop("evaluate", None)
    history = train(learner, Nothing(), Settings(steps, log_every=1, **loop), folder=folder, evaluate=evaluate)
    return history.last("loss")


def test_random_numbers_go_on_too_and_evaluation_draws_its_own(tmp_path):
    whole = noisy(9)
    noisy(4, tmp_path)
    assert noisy(9, tmp_path) == whole
    drawn = []
    assert noisy(9, evaluate=lambda: drawn.append(torch.rand(3)) or {}, evaluate_every=2) == whole
    assert len(drawn) == 6, "before the first step, after 2, 4, 6, 8 and the last"
    torch.manual_seed(4)
    learner = Noisy()
    assert train(learner, Nothing(), Settings(9, log_every=1)).last("loss") != whole, "control: another seed"


def test_a_finished_training_is_not_made_again(tmp_path):
    net, history = trained(STEPS, tmp_path)
    calls = []
    again = tiny_gpt2(9)
    learner = LanguageLearner(again, settings())
    learner.step = calls.append
    told = train(learner, TokenWindows(some_text(), 4, 8, 0), Settings(STEPS), folder=tmp_path)
    assert calls == [] and told.is_finished and told.steps_done == STEPS
    assert same_bits(again, net) and told.columns == history.columns


def test_the_last_two_checkpoints_are_kept(tmp_path):
    trained(STEPS, tmp_path, checkpoint_every=4)
    assert checkpoint_steps(tmp_path) == [28, 30]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000028", "step-000000030"]


@pytest.mark.parametrize("damage", ["flip", "cut", "no manifest", "empty", "manifest cut"])
def test_a_damaged_checkpoint_is_passed_over_for_the_earlier_one(damage, tmp_path):
    for step in (16, 20):
        write_checkpoint(tmp_path, step, {"step": torch.tensor(step), "weights": torch.randn(300)})
    assert read_checkpoint(tmp_path)["step"] == 20
    _damage(tmp_path / "step-000000020", damage)
    with pytest.warns(CheckpointWarning, match="step-000000020' is passed over"):
        assert read_checkpoint(tmp_path)["step"] == 16


def test_from_the_earlier_checkpoint_the_training_ends_with_the_same_bits(tmp_path):
    whole, _ = trained(STEPS)
    trained(20, tmp_path, checkpoint_every=8)
    assert checkpoint_steps(tmp_path) == [16, 20]
    _damage(tmp_path / "step-000000020", "flip")
    with pytest.warns(CheckpointWarning):
        net, _ = trained(STEPS, tmp_path, checkpoint_every=9)
    assert same_bits(net, whole)
    assert checkpoint_steps(tmp_path) == [27, 30]


def _damage(place, how):
    weights, manifest = place / "state.safetensors", place / "manifest.json"
    if how == "flip":
        raw = bytearray(weights.read_bytes())
        raw[len(raw) // 2] ^= 1
        weights.write_bytes(raw)
    elif how == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "empty":
        weights.unlink()
    elif how == "no manifest":
        manifest.unlink()
    else:
        manifest.write_bytes(manifest.read_bytes()[:50])


def test_a_damaged_checkpoint_is_gone_when_its_successor_is_written(tmp_path):
    trained(20, tmp_path, checkpoint_every=8)
    _damage(tmp_path / "step-000000020", "flip")
    with pytest.warns(CheckpointWarning):
        trained(17, tmp_path)
    assert checkpoint_steps(tmp_path) == [16, 17], "a later one that is damaged never hides a sound one"


def test_where_every_checkpoint_is_damaged_nothing_is_begun_anew_in_silence(tmp_path):
    trained(20, tmp_path, checkpoint_every=8)
    for place in tmp_path.iterdir():
        _damage(place, "flip")
    with pytest.warns(CheckpointWarning), pytest.raises(FileFormatError, match="no checkpoint in"):
        trained(STEPS, tmp_path)


class Slow:
    """A learner that spends its time, and does something at one of its steps."""

    def __init__(self, learner, seconds=0.0, at=-1, act=None):
        self.learner, self.seconds, self.at, self.act, self.made = learner, seconds, at, act, 0

    def step(self, batch):
        self.made += 1
        time.sleep(self.seconds)
        if self.made == self.at:
            self.act()
        return self.learner.step(batch)

    def state(self):
        return self.learner.state()

    def load_state(self, state):
        self.learner.load_state(state)


def slowed(folder, **how):
    net = tiny_gpt2()
    loop = {name: how.pop(name) for name in ("budget_s", "log_every") if name in how}
    learner = Slow(LanguageLearner(net, settings()), **how)
    return net, learner, TokenWindows(some_text(), 4, 8, 0), Settings(STEPS, **loop)


def test_a_budget_ends_a_leg_with_a_checkpoint_and_legs_add_up_to_the_whole(tmp_path):
    whole, _ = trained(STEPS)
    legs = 0
    for _ in range(STEPS):
        net, learner, stream, wanted = slowed(tmp_path, seconds=0.02, budget_s=0.25)
        history = train(learner, stream, wanted, folder=tmp_path)
        assert checkpoint_steps(tmp_path)[-1] == history.steps_done
        legs += 1
        if history.is_finished:
            break
        assert 1 <= learner.made <= 14
    assert 2 < legs < STEPS and same_bits(net, whole)


def test_ctrl_c_ends_the_step_writes_a_checkpoint_and_the_training_goes_on_to_the_same_bits(tmp_path):
    whole, _ = trained(STEPS)
    before = signal.getsignal(signal.SIGINT)
    _, learner, stream, wanted = slowed(tmp_path, at=13, act=lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train(learner, stream, wanted, folder=tmp_path)
    assert checkpoint_steps(tmp_path) == [13] and learner.made == 13
    assert signal.getsignal(signal.SIGINT) is before
    net, _ = trained(STEPS, tmp_path)
    assert same_bits(net, whole)


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)
        raise AssertionError("the second one should have ended this step")

    _, learner, stream, wanted = slowed(tmp_path, at=5, act=twice)
    with pytest.raises(KeyboardInterrupt):
        train(learner, stream, wanted, folder=tmp_path)
    assert checkpoint_steps(tmp_path) == []


def test_a_training_runs_in_a_thread_of_its_own_where_no_signal_can_be_caught():
    results = []
    thread = threading.Thread(target=lambda: results.append(trained(STEPS)[0]))
    thread.start()
    thread.join()
    assert same_bits(results[0], trained(STEPS)[0])


def test_a_loss_that_is_no_number_is_an_error_and_no_checkpoint_is_made_of_it(tmp_path):
    class Broken(Noisy):
        def step(self, batch):
            return {"loss": float("nan")}

    with pytest.raises(InputError, match="loss is nan after step 3; lower the learning rate"):
        train(Broken(), Nothing(), Settings(9, checkpoint_every=3, log_every=4), folder=tmp_path)
    assert checkpoint_steps(tmp_path) == []


def test_rates_count_the_steps_alone_and_progress_says_what_is_left():
    said, rows = [], []
    _, learner, stream, _ = slowed(None, seconds=0.01)
    history = train(
        learner,
        stream,
        Settings(10, log_every=5, evaluate_every=5, peak_flop_s=1e9),
        evaluate=lambda: time.sleep(0.3) or {"quality": 1.0},
        on_metrics=lambda step, row: rows.append((step, dict(row))),
        progress=said.append,
    )
    # 4 rows of 8 tokens a step; had the evaluations been counted, no rate could exceed 5 * 32 / 0.3.
    assert all(160 / 0.3 < rate < 32 / 0.01 for rate in history.values("tokens_per_s"))
    assert history.values("tokens") == [160, 320] and history.steps("quality") == [0, 5, 10]
    flop = flop_per_token(learner.learner.net, 8)
    for rate, share, tokens in zip(
        *(history.values(n) for n in ("flop_per_s", "share_of_peak", "tokens_per_s")), strict=True
    ):
        assert rate == pytest.approx(flop * tokens) and share == rate / 1e9
    assert [one.step for one in said] == list(range(1, 11))
    assert said[-1].seconds_left == 0 and said[4].seconds_left > 0.04
    assert said[-1].says.startswith("step 10 of 10, loss ") and said[-1].says.endswith("0 s left")
    assert [step for step, _ in rows] == [0, 5, 5, 10, 10]
    with pytest.raises(InputError, match="no metric 'bleu'"):
        history.values("bleu")


def test_flop_are_counted_as_palm_counts_them():
    net = tiny_gpt2()
    block = 24 * 72 + 72 + 24 * 24 + 24 + 2 * 24 * 40 + 40 + 24 + 4 * 24
    assert multiplying_parameters(net) == 2 * block + 2 * 24 + 37 * 24, "positions are looked up, tokens are scored"
    assert multiplying_parameters(tiny_gpt2(tied_embeddings=False)) == multiplying_parameters(net)
    assert flop_per_token(net, 8) == 6 * multiplying_parameters(net) + 12 * 2 * 24 * 8
    assert 1e8 < measured_peak(torch.device("cpu")) < 1e14


@pytest.mark.parametrize("widens,named", [(True, "float32"), (False, "bfloat16")])
def test_training_is_in_bfloat16_only_where_its_products_are_faster(widens, named, monkeypatch):
    monkeypatch.setattr("glassbook.training.throughput.widens_bfloat16", lambda: widens)
    assert fastest_dtype(torch.device("cpu")) == named


def test_a_checkpoint_holds_every_kind_of_number_bit_for_bit(tmp_path):
    kinds = (
        torch.float32,
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.uint8,
        torch.bool,
    )
    tensors = {str(kind): (torch.arange(-2, 4) * 3).to(kind).view(2, 3) for kind in kinds}
    tensors |= {"one": torch.tensor(-0.0), "none": torch.empty(0, 3), "nan": torch.tensor([float("nan"), float("inf")])}
    write_checkpoint(tmp_path, 3, tensors)
    back = read_checkpoint(tmp_path)
    assert back.keys() == tensors.keys()
    for name, value in tensors.items():
        assert back[name].dtype == value.dtype and back[name].shape == value.shape
        assert (
            back[name].numpy(force=True).tobytes() == value.numpy(force=True).tobytes()
            if value.dtype != torch.bfloat16
            else torch.equal(back[name], value)
        )
    assert read_checkpoint(tmp_path / "elsewhere") is None


def test_a_batch_is_read_once_whatever_is_logged():
    batch = some_batch()
    assert LanguageLearner(tiny_gpt2(), settings()).step(batch) == LanguageLearner(tiny_gpt2(), settings()).step(batch)
