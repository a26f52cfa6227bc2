"""A logistic probe lies where its objective is least, whatever the rows' scale and order, and learns nothing from nothing."""

import pytest
import torch

from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.features.metrics.logistic import f1, fit_probe


def rows(n: int = 60, d: int = 5, apart: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of two classes that overlap, and which are positive."""
    chance = generator(0, "logistic", n, d)
    is_positive = torch.arange(n) % 2 == 0
    x = torch.randn(n, d, generator=chance) + 3
    x[:, 0] += apart * is_positive
    return x, is_positive


@pytest.mark.parametrize("balanced", [False, True])
def test_no_step_away_from_the_probe_lowers_its_objective(balanced: bool) -> None:
    x, is_positive = rows()
    is_positive = is_positive & (torch.arange(len(x)) < 30)
    probe = fit_probe(x, is_positive, balanced=balanced)
    unit = (x.double() - x.double().mean(0)).square().mean().sqrt()
    share = is_positive.double().mean()
    counts = torch.where(is_positive, 0.5 / share, 0.5 / (1 - share)) if balanced else torch.ones(len(x))

    def objective(weights: torch.Tensor, intercept: float) -> float:
        margins = torch.where(is_positive, 1, -1) * (x.double() @ weights + intercept)
        return float((counts * torch.nn.functional.softplus(-margins)).sum() + (weights * unit).square().sum() / 2)

    least = objective(probe.weights, probe.intercept)
    for column in range(x.shape[1]):
        for step in (-1e-2, 1e-2):
            moved = probe.weights.clone()
            moved[column] += step
            # The intercept belongs to rows about their mean, so it goes along.
            assert objective(moved, probe.intercept - step * float(x[:, column].mean())) > least
    assert objective(probe.weights, probe.intercept + 1e-2) > least


def test_scale_and_order_of_the_rows_change_no_score_and_another_label_does() -> None:
    x, is_positive = rows()
    scores = fit_probe(x, is_positive).scores(x)
    order = torch.randperm(x.shape[1], generator=generator(1, "order"))
    assert torch.allclose(fit_probe(7 * x, is_positive).scores(7 * x), scores, atol=1e-4)
    assert torch.allclose(fit_probe(x[:, order], is_positive).scores(x[:, order]), scores, atol=1e-4)
    assert torch.allclose(fit_probe(x, ~is_positive).scores(x), -scores, atol=1e-4)
    changed = is_positive.clone()
    changed[0] = ~changed[0]
    assert not torch.allclose(fit_probe(x, changed).scores(x), scores, atol=1e-2)


def test_classes_far_apart_are_told_and_constant_rows_tell_nothing() -> None:
    x, is_positive = rows(apart=50)
    assert ((fit_probe(x, is_positive).scores(x) > 0) == is_positive).all()
    assert (fit_probe(torch.ones(10, 3), torch.arange(10) < 5).weights == 0).all()


def test_f1_is_the_mean_of_precision_and_recall() -> None:
    truth = torch.tensor([True, True, True, False, False])
    assert f1(truth, truth) == 1 and f1(~truth, truth) == 0 == f1(truth & False, truth)
    assert f1(torch.tensor([True, False, False, True, False]), truth) == pytest.approx(2 / (1 / 0.5 + 1 / (1 / 3)))


@pytest.mark.parametrize(
    ("x", "is_positive"),
    [
        (torch.randn(6, 2), torch.zeros(6, dtype=torch.bool)),
        (torch.randn(6, 2), torch.arange(6) < 1),
        (torch.full((6, 2), float("nan")), torch.arange(6) < 3),
    ],
    ids=["one class", "one positive", "NaN"],
)
def test_what_no_probe_can_be_fitted_to_is_refused(x: torch.Tensor, is_positive: torch.Tensor) -> None:
    with pytest.raises(InputError):
        fit_probe(x, is_positive)
