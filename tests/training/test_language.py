"""The next-token learner: its gradients, what masks and parts mean, and what it leaves alone."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from conformance.shapes import GOLDENS, config_of
from glassbook.core.errors import FileFormatError, InputError
from glassbook.models import ARCHITECTURES
from glassbook.models.gpt2 import GPT2
from glassbook.training import LanguageLearner, all_windows, cross_entropy, evaluate, pad_examples
from glassbook.training.language import NextTokenLoss
from training.tiny import D_VOCAB, same_bits, settings, some_batch, some_text, tiny_gpt2


def plain_logits(net: GPT2, tokens: Tensor) -> Tensor:
    """Return GPT-2's logits, written down a second time from the paper in single operations."""
    p, heads, width = dict(net.named_parameters()), net.config.n_heads, net.config.d_head
    n = tokens.shape[1]

    def norm(x: Tensor, name: str) -> Tensor:
        centered = x - x.mean(-1, keepdim=True)
        return (
            centered / (centered.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]
        )

    def affine(x: Tensor, name: str) -> Tensor:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    x = p["embed.weight"][tokens] + p["pos_embed.weight"][:n]
    for layer in range(net.config.n_layers):
        block = f"blocks.{layer}"
        q, k, v = (
            part.view(len(tokens), n, heads, width).transpose(1, 2)
            for part in affine(norm(x, f"{block}.ln1"), f"{block}.attn.qkv").chunk(3, -1)
        )
        scores = (q @ k.mT / width**0.5).masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf)
        z = (scores.exp() / scores.exp().sum(-1, keepdim=True)) @ v
        x = x + affine(z.transpose(1, 2).flatten(2), f"{block}.attn.out")
        h = affine(norm(x, f"{block}.ln2"), f"{block}.mlp.up")
        h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        x = x + affine(h, f"{block}.mlp.down")
    return norm(x, "ln_final") @ (p["embed.weight"] if net.config.tied_embeddings else p["unembed.weight"]).T


def gradients(net: torch.nn.Module, loss: Tensor) -> dict[str, Tensor]:
    net.zero_grad()
    loss.backward()
    return {name: weight.grad.clone() for name, weight in net.named_parameters()}


def apart(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """Return the largest difference of two gradients, as a part of the largest entry of each."""
    return max(((ours[name] - theirs[name]).abs().max() / theirs[name].abs().max()).item() for name in theirs)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_the_gradient_is_that_of_gpt2_written_down_a_second_time(tied, masked):
    net, (tokens, counts) = tiny_gpt2(tied_embeddings=tied), some_batch()
    nats = -plain_logits(net, tokens[:, :-1]).log_softmax(-1).gather(2, tokens[:, 1:, None]).squeeze(2)
    theirs = gradients(net, (nats[counts[:, 1:]] if masked else nats).mean())
    n_counted = counts[:, 1:].sum() if masked else torch.tensor(tokens[:, 1:].numel())
    loss = NextTokenLoss(net, torch.float32)(tokens, counts if masked else None, 1 / n_counted)
    ours = gradients(net, loss)
    assert apart(ours, theirs) < 2e-4
    others = gradients(net, (nats := -plain_logits(net, tokens[:, :-1]).log_softmax(-1))[..., 0].mean())
    assert apart(others, theirs) > 0.1, "control: another loss has another gradient"


@pytest.mark.parametrize("architecture,label", list(GOLDENS.values()))
def test_every_architecture_learns_a_batch_by_heart_after_it_has_been_read_from(architecture, label):
    torch.manual_seed(0)
    net = ARCHITECTURES.find(architecture)(config_of(architecture, label))
    net.init_weights(0)
    tokens = torch.randint(net.config.d_vocab, (2, 6))
    with torch.inference_mode():
        net(tokens)
    learner = LanguageLearner(net, settings(lr=1e-2, warmup=0))
    first = learner.step((tokens, None))["loss"]
    for _ in range(8):
        last = learner.step((tokens, None))["loss"]
    assert last < first - 0.1
    assert first == pytest.approx(math.log(net.config.d_vocab), abs=0.3)


def test_what_is_computed_in_pieces_is_the_cross_entropy_of_the_logits(monkeypatch):
    net, (tokens, counts) = tiny_gpt2(), some_batch(60)
    whole = -net(tokens[:, :-1]).log_softmax(-1).gather(2, tokens[:, 1:, None]).squeeze(2)[counts[:, 1:]].sum()
    theirs = gradients(net, whole)
    monkeypatch.setitem(cross_entropy._AT_ONCE, "cpu", 1)
    loss = NextTokenLoss(net, torch.float32)(tokens, counts, torch.ones(()))
    assert counts[:, 1:].sum() > 3 * cross_entropy._rows_at_once(net.unembed_weight.detach()), "several pieces"
    assert loss.item() == pytest.approx(whole.item(), rel=1e-5)
    assert apart(gradients(net, 0.5 * loss), {name: 0.5 * one for name, one in theirs.items()}) < 2e-4


def test_logits_however_far_apart_cost_what_they_should():
    net, (tokens, _) = tiny_gpt2(), some_batch()
    with torch.no_grad():
        net.embed.weight.mul_(100)
    theirs = F.cross_entropy(net(tokens[:, :-1]).flatten(0, 1).double(), tokens[:, 1:].flatten(), reduction="sum")
    loss = NextTokenLoss(net, torch.float32)(tokens, None, torch.ones(()))
    assert theirs > 200 * tokens[:, 1:].numel(), "chances that float32 cannot hold"
    assert loss.item() == pytest.approx(theirs.item(), rel=1e-5)
    assert all(weight.grad.isfinite().all() for weight in (loss.backward(), net.parameters())[1])


def test_a_part_of_which_nothing_counts_adds_nothing():
    tokens, counts = some_batch()
    counts[0] = False
    learner = LanguageLearner(tiny_gpt2(), settings(accumulate=len(tokens)))
    ours = gradients_of(learner, (tokens, counts))
    theirs = gradients_of(learner, (tokens[1:], counts[1:]))
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(ours, theirs, strict=True))


@given(parts=st.integers(1, 6), seed=st.integers(0, 1000))
@examples(max_examples=8)
def test_a_batch_read_in_parts_makes_the_step_of_the_whole_whatever_counts_in_each(parts, seed):
    batch = some_batch(seed=seed)
    whole, divided = (LanguageLearner(tiny_gpt2(), settings(accumulate=n)) for n in (1, parts))
    one, other = whole.step(batch), divided.step(batch)
    assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)
    assert all(
        torch.allclose(a, b, atol=2e-6)
        for a, b in zip(gradients_of(whole, batch), gradients_of(divided, batch), strict=True)
    )


def gradients_of(learner: LanguageLearner, batch: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Return the gradient that a step from fresh weights would take."""
    fresh = LanguageLearner(tiny_gpt2(), learner.settings)
    fresh._gradients(*batch, 1 / fresh.n_counted(*batch))
    return [weight.grad for weight in fresh.net.parameters()]


def test_control_a_mean_of_the_means_of_parts_is_another_step():
    tokens, counts = some_batch()
    fresh = LanguageLearner(tiny_gpt2(), settings())
    for row in range(len(tokens)):
        part = tokens[row : row + 1], counts[row : row + 1]
        fresh._gradients(*part, 1 / fresh.n_counted(*part) / len(tokens))
    faulty = [weight.grad for weight in fresh.net.parameters()]
    right = gradients_of(fresh, (tokens, counts))
    assert not all(torch.allclose(one, other, rtol=0.05) for one, other in zip(faulty, right, strict=True))


def test_tokens_that_do_not_count_are_read_but_never_predicted():
    tokens, counts = some_batch(rows=1)
    last = counts[0].nonzero().max()
    counts[0, last:] = False
    unread = tokens.clone()
    unread[0, last:] = (tokens[0, last:] + 1) % D_VOCAB
    measure = NextTokenLoss(tiny_gpt2(), torch.float32)
    one = torch.ones(())
    assert measure(unread, counts, one).item() == measure(tokens, counts, one).item(), "what follows all that counts"
    first = int(counts[0].nonzero().min())
    before = tokens.clone()
    before[0, first - 1] = (tokens[0, first - 1] + 1) % D_VOCAB
    assert measure(before, counts, one).item() != measure(tokens, counts, one).item(), "the prompt is read"
    wrong = tokens.clone()
    wrong[0, first] = (tokens[0, first] + 1) % D_VOCAB
    assert measure(wrong, counts, one).item() != measure(tokens, counts, one).item(), "control: what counts does"


def test_padding_changes_no_gradient():
    rows = [([3, 1, 4, 1, 5], [False, True, True, True, True]), ([9, 2, 6], [False, False, True])]
    alone = [pad_examples([row]) for row in rows]
    padded = pad_examples(rows)
    learner = LanguageLearner(tiny_gpt2(), settings())
    for batch in alone:
        learner._gradients(*batch, 1 / 5)
    theirs = [weight.grad for weight in learner.net.parameters()]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(gradients_of(learner, padded), theirs, strict=True))
    tokens, counts = padded
    careless = gradients_of(learner, (tokens, torch.ones_like(counts)))
    assert not all(torch.allclose(a, b, atol=1e-3) for a, b in zip(careless, theirs, strict=True)), "control"


def test_weights_in_half_precision_batches_without_a_target_and_unknown_precisions_are_refused():
    with pytest.raises(InputError, match="float32 to train"):
        LanguageLearner(tiny_gpt2().bfloat16(), settings())
    tokens, counts = some_batch()
    counts[:, 1:] = False
    with pytest.raises(InputError, match="no token of this batch counts"):
        LanguageLearner(tiny_gpt2(), settings()).step((tokens, counts))
    with pytest.raises(InputError, match="not a precision to train in"):
        settings(dtype="int8")


def test_in_bfloat16_the_gradient_is_near_that_of_float32_and_the_weights_stay_in_float32():
    batch = some_batch()
    narrow, wide = (LanguageLearner(tiny_gpt2(), settings(dtype=name)) for name in ("bfloat16", "float32"))
    pairs = list(zip(gradients_of(narrow, batch), gradients_of(wide, batch), strict=True))
    flat = [torch.cat([pair[side].flatten() for pair in pairs]) for side in (0, 1)]
    assert 0.99 < F.cosine_similarity(*flat, dim=0) < 1 - 1e-7, "near, and not the same"
    narrow.step(batch)
    assert {weight.dtype for weight in narrow.net.parameters()} == {torch.float32}
    assert {value.dtype for value in narrow.state().values()} <= {torch.float32, torch.int64, torch.uint8}


def test_evaluation_predicts_every_token_once_and_a_byte_costs_the_same_whatever_the_windows():
    net, ids = tiny_gpt2(), some_text(101)
    nats = sum(
        -plain_logits(net, window[None, :-1]).log_softmax(-1)[0, torch.arange(len(window) - 1), window[1:]].sum().item()
        for window in (ids[0:17], ids[16:33], ids[32:49], ids[48:65], ids[64:81], ids[80:97], ids[96:101])
    )
    before = [weight.clone() for weight in net.parameters()]
    for batch in (1, 2, 5, 100):
        said = evaluate(net, all_windows(ids, batch, 16), n_bytes=250)
        assert said["n_tokens"] == 100
        assert said["nats_per_token"] == pytest.approx(nats / 100, rel=1e-5)
        assert said["bits_per_byte"] == pytest.approx(nats / math.log(2) / 250, rel=1e-5)
        assert said["perplexity"] == pytest.approx(math.exp(nats / 100), rel=1e-4)
    assert all(torch.equal(one, other) for one, other in zip(before, net.parameters(), strict=True))
    assert evaluate(net, all_windows(ids, 2, 8))["nats_per_token"] != pytest.approx(nats / 100), "control: less to read"


def test_a_uniform_guess_costs_the_logarithm_of_the_vocabulary():
    net = tiny_gpt2()
    with torch.no_grad():
        net.embed.weight.zero_()
    said = evaluate(net, all_windows(some_text(64), 2, 8), n_bytes=63)
    assert said["nats_per_token"] == pytest.approx(math.log(D_VOCAB))
    assert said["bits_per_byte"] == pytest.approx(math.log2(D_VOCAB))


def test_a_state_under_other_settings_or_of_another_shape_is_refused():
    learner = LanguageLearner(tiny_gpt2(), settings())
    learner.step(some_batch())
    state = learner.state()
    LanguageLearner(tiny_gpt2(5), settings(compile=False)).load_state(state)
    with pytest.raises(InputError, match="other settings"):
        LanguageLearner(tiny_gpt2(), settings(lr=1e-3)).load_state(state)
    with pytest.raises(InputError, match="another shape"):
        LanguageLearner(tiny_gpt2(d_mlp=48), settings()).load_state(state)
    with pytest.raises(FileFormatError, match="averages of 'nobody'"):
        LanguageLearner(tiny_gpt2(), settings()).load_state(state | {"adamw/nobody/exp_avg": torch.zeros(1)})


def test_a_learner_goes_on_from_the_state_of_another_to_the_same_bits():
    learner, other = (LanguageLearner(tiny_gpt2(seed), settings()) for seed in (0, 5))
    learner.step(some_batch())
    state = {name: value.clone() for name, value in learner.state().items()}
    other.load_state(state)
    assert same_bits(learner.net, other.net)
    for _ in range(3):
        assert learner.step(some_batch()) == other.step(some_batch())
    assert same_bits(learner.net, other.net)
    assert not torch.equal(state["net/embed.weight"], other.net.embed.weight), "the loaded state is left as it was"
