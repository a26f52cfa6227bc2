"""What each kind minimizes is the equation of its paper, in lists as in wholes, with the gradients of that equation."""

import pytest
import torch
from torch import Tensor

from features.samples import TRAINED, drawn, inputs
from glassbook.features import encoding
from glassbook.features.active import Whole
from glassbook.features.dictionary import Dictionary, make_dictionary
from glassbook.features.gated import Gated
from glassbook.features.jumprelu import JumpReLU
from glassbook.features.matryoshka import MatryoshkaBatchTopK
from glassbook.features.objective import Learned, Step
from glassbook.features.standard import Standard
from glassbook.features.transcoder import Transcoder

ROWS, LAMBDA = 40, 0.07


def step(whole: bool, dtype: torch.dtype = torch.float32) -> Step:
    return Step(n_rows=ROWS, sparsity=torch.tensor(LAMBDA), whole=whole, dtype=dtype)


def target_of(dictionary: Dictionary, x: Tensor) -> Tensor:
    return x if dictionary.d_out == dictionary.d_in else inputs(ROWS, dictionary.d_out, seed=4)


def gradients(dictionary: Dictionary, objective: Tensor) -> dict[str, Tensor]:
    """Return the gradient of every parameter."""
    dictionary.zero_grad()
    objective.backward()
    return {name: weight.grad.clone() for name, weight in dictionary.named_parameters() if weight.grad is not None}


def written_out(dictionary: Dictionary, x: Tensor, target: Tensor) -> Tensor:
    """Return the objective as the papers write it, dense and by plain autograd."""
    if isinstance(dictionary, Transcoder):
        past = dictionary.skip(x)
        return written_out(dictionary.inner, x, target if past is None else target - past)
    pre = x @ dictionary.W_enc + dictionary.b_enc

    def missed(features: Tensor, n: int | None = None) -> Tensor:
        return (target - features[:, :n] @ dictionary.W_dec[:n] - dictionary.b_dec).square().sum()

    d_out = dictionary.d_out
    match dictionary:
        case Standard():
            norms = dictionary.W_dec.norm(dim=1) if dictionary.norms == "weighted" else 1.0
            return missed(pre.relu()) + LAMBDA * d_out**0.5 * (pre.relu() * norms).sum()
        case Gated():
            strength = (x @ (dictionary.W_enc * dictionary.r_mag.exp()) + dictionary.b_mag).relu()
            frozen = pre.relu() @ dictionary.W_dec.detach() + dictionary.b_dec.detach()
            shrunk = LAMBDA * d_out**0.5 * pre.relu().sum()
            return missed((pre > 0) * strength) + shrunk + (target - frozen).square().sum()
        case JumpReLU():
            return jumping(dictionary, pre, missed)
        case MatryoshkaBatchTopK():
            features = best_of_batch(pre, dictionary.k)
            return sum(missed(features, n) for n in dictionary.sizes) / len(dictionary.sizes)
    if hasattr(dictionary, "threshold"):
        return missed(best_of_batch(pre, dictionary.k))
    kept = pre >= pre.topk(dictionary.k, dim=1).values[:, -1:]
    return missed((pre * kept).relu())


def best_of_batch(pre: Tensor, k: int) -> Tensor:
    limit = pre.detach().flatten().topk(k * len(pre)).values[-1]
    return (pre * (pre >= limit)).relu()


class Jump(torch.autograd.Function):
    """JumpReLU and Heaviside with the pseudo-derivatives of equations 11 and 12, as the paper's appendix writes them."""

    @staticmethod
    def forward(ctx, pre, theta, width, is_value):
        ctx.save_for_backward(pre, theta)
        ctx.width, ctx.is_value = width, is_value
        return pre * (pre > theta) if is_value else (pre > theta).float()

    @staticmethod
    def backward(ctx, gradient):
        pre, theta = ctx.saved_tensors
        window = (((pre - theta) / ctx.width).abs() < 0.5) & (pre > 0)
        of_theta = -(theta if ctx.is_value else 1.0) / ctx.width * window * gradient
        return (pre > theta) * gradient if ctx.is_value else None, of_theta, None, None


def jumping(dictionary: JumpReLU, pre: Tensor, missed) -> Tensor:
    theta = dictionary.log_threshold.exp().expand_as(pre)
    features = Jump.apply(pre, theta, dictionary.bandwidth, True)
    n_active = Jump.apply(pre, theta, dictionary.bandwidth, False).sum()
    cost = n_active
    if dictionary.k is not None:
        cost = (n_active / ROWS / dictionary.k - 1) ** 2 * ROWS
    return missed(features) + LAMBDA * dictionary.d_out * cost


def agree(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-4) -> bool:
    known = {name: value for name, value in one.items() if value.any()}
    assert known.keys() == {name for name, value in other.items() if value.any()}
    return all(torch.allclose(value, other[name], rtol=tolerance, atol=tolerance) for name, value in known.items())


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("label", TRAINED)
def test_objective_and_gradients_are_those_of_the_paper(label, whole):
    dictionary, x = drawn(label), inputs(ROWS)
    target = target_of(dictionary, x)
    expected = written_out(dictionary, x, target)
    learned = dictionary.learn(x, target, step(whole))
    assert learned.objective.item() == pytest.approx(expected.item(), rel=1e-5)
    assert agree(gradients(dictionary, expected), gradients(dictionary, learned.objective))


@pytest.mark.parametrize("label", TRAINED)
def test_what_is_told_of_a_batch_is_the_same_in_both_forms_and_true(label):
    dictionary, x = drawn(label), inputs(ROWS)
    target = target_of(dictionary, x)
    told: list[Learned] = [dictionary.learn(x, target, step(whole)) for whole in (False, True)]
    assert torch.equal(told[0].counts, told[1].counts) and told[0].counts.any()
    assert torch.allclose(told[0].residual, told[1].residual, atol=1e-5)
    for one in told:
        assert one.squares.item() == pytest.approx(one.residual.square().sum().item(), rel=1e-5)
        assert not one.residual.requires_grad


@pytest.mark.parametrize("label", ["standard", "gated", "jumprelu", "jumprelu, k", "topk"])
def test_in_kinds_whose_choice_is_the_same_at_use_the_residual_is_that_of_the_forward_pass(label):
    dictionary, x = drawn(label), inputs(ROWS)
    learned = dictionary.learn(x, x, step(whole=False))
    assert torch.allclose(learned.residual, x - dictionary(x).detach(), atol=1e-5)
    assert torch.equal(learned.counts, (dictionary.encode(x) > 0).sum(0))


@pytest.mark.parametrize("label", ["batchtopk", "matryoshka-batchtopk"])
@pytest.mark.parametrize("floor", [0.0, 1.0, 2.5, 40.0])
def test_a_batch_keeps_its_largest_whatever_was_guessed(label, floor):
    dictionary, x = drawn(label), inputs(ROWS)
    told = dictionary.learn(x, x, Step(n_rows=ROWS, floor=floor))
    pre = dictionary.pre_activations(x).detach()
    best = pre.flatten().topk(dictionary.k * ROWS).values
    assert told.limit.item() == pytest.approx(best[-1].item(), rel=1e-6)
    assert int(told.counts.sum()) == dictionary.k * ROWS
    assert torch.equal(told.counts, (pre >= best[-1]).sum(0))


def test_where_fewer_are_above_zero_than_are_asked_for_all_of_those_are_kept():
    dictionary = drawn("batchtopk")
    with torch.no_grad():
        dictionary.b_enc.sub_(5.0)
    x = inputs(ROWS)
    for whole in (False, True):
        told = dictionary.learn(x, x, step(whole))
        assert torch.equal(told.counts, (dictionary.pre_activations(x) > 0).sum(0))
        assert 0 < int(told.counts.sum()) < dictionary.k * ROWS and told.limit == 0


@pytest.mark.parametrize("label", ["topk", "batchtopk", "standard", "jumprelu"])
def test_a_bfloat16_product_chooses_and_the_values_are_those_of_float32(label):
    dictionary, x = drawn(label), inputs(ROWS)
    exact = dictionary.learn(x, x, step(whole=False))
    rough = dictionary.learn(x, x, step(whole=False, dtype=torch.bfloat16))
    kept = (exact.counts - rough.counts).abs().sum() / exact.counts.sum()
    assert kept < 0.1
    same = (exact.residual - rough.residual).abs().amax(1) < 1e-5
    # Rows in which the choice is the same; in bfloat16 none of them would agree so far.
    assert same.float().mean() > 0.5


@pytest.mark.parametrize("label", TRAINED)
def test_bfloat16_products_of_wholes_are_right_to_their_rounding(label):
    dictionary, x = drawn(label), inputs(ROWS)
    target = target_of(dictionary, x)
    exact, rough = (
        dictionary.learn(x, target, step(True, dtype)).residual for dtype in (torch.float32, torch.bfloat16)
    )
    apart = (exact - rough).norm(dim=1) / (target - exact).norm(dim=1)
    # Rows in which the choice is the same.
    assert min((apart < 0.02).float().mean(), (apart > 1e-5).float().mean()) > 0.5


def test_a_bfloat16_decoder_is_right_to_its_rounding_forward_and_back():
    pre, decoder = inputs(ROWS, 24, seed=1), inputs(24, 6, seed=2)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        given = [one.clone().requires_grad_() for one in (pre, decoder)]
        active = Whole(given[0], dtype=dtype)
        written = [active.decode(active.values, given[1]), active.decode_nested(active.values, given[1], (8, 24))]
        sum(one.square().sum() for one in written).backward()
        found.append([*written, *(one.grad for one in given)])
    for exact, rough in zip(*found, strict=True):
        assert rough.dtype is torch.float32 and 0 < (exact - rough).norm() < 0.01 * exact.norm()


@pytest.mark.parametrize("label", ["batchtopk", "matryoshka-batchtopk"])
def test_rounded_candidates_overlook_none_of_the_largest_whatever_was_guessed(label, monkeypatch):
    dictionary = make_dictionary(label, 64, 512, settings={"k": 16})
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (dictionary.encoder, dictionary.decoder, dictionary.b_enc):
            weight.copy_(torch.randn(weight.shape, generator=chance) / (8 if weight.ndim == 2 else 1))
    x = torch.randn(256, 64, generator=chance)

    def learned(floor: float) -> Learned:
        return dictionary.learn(x, x, Step(n_rows=len(x), dtype=torch.bfloat16, floor=floor))

    known = learned(0.0)
    near = [float(known.limit) * share / encoding._SLACK for share in (0.99, 0.998, 0.9995, 1.0)]
    assert all(torch.equal(learned(floor).counts, known.counts) for floor in near)
    monkeypatch.setattr(encoding, "_CLEAR", 0.0)
    assert not all(torch.equal(learned(floor).counts, known.counts) for floor in near), "the control: no room"


def test_the_control_values_of_bfloat16_differ_in_every_row():
    dictionary, x = drawn("topk"), inputs(ROWS)
    exact, rough = dictionary(x).detach(), drawn("topk").to(torch.bfloat16)(x).float().detach()
    assert ((exact - rough).abs().amax(1) > 1e-4).all()
