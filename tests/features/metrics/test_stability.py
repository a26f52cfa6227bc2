"""Two dictionaries with the same features in another order are the same, and drawn ones are not."""

import pytest
import torch

from glassbook.features import DictionaryError, make_dictionary
from glassbook.features.metrics import match_features
from glassbook.features.metrics.stability import _paired


def drawn(seed: int, n: int = 30, d: int = 16):
    made = make_dictionary("standard", d, n)
    with torch.no_grad():
        made.decoder.copy_(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)))
    return made


def test_features_are_found_again_in_any_order_and_at_any_length() -> None:
    ours, theirs = drawn(0), drawn(0)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs.decoder.copy_(ours.decoder[order] * torch.linspace(1, 9, 30)[:, None])
    found = match_features(ours, theirs)
    assert found.partners.tolist() == order.argsort().tolist()
    assert found.same == 1 and found.mean_nearest == pytest.approx(1)
    other = match_features(ours, drawn(5))
    assert other.same < 0.2 and other.mean_nearest < 0.8


def test_each_feature_is_paired_once_and_the_nearest_pairs_first() -> None:
    cosines = torch.rand(12, 9, generator=torch.Generator().manual_seed(2)).numpy()
    left, wanted = cosines.copy(), [-1] * 12
    for _ in range(9):
        row, column = divmod(int(left.argmax()), 9)
        wanted[row] = column
        left[row], left[:, column] = -1, -1
    assert _paired(cosines).tolist() == wanted
    assert sorted(one for one in wanted if one >= 0) == list(range(9))


def test_dictionaries_of_other_widths_are_refused() -> None:
    with pytest.raises(DictionaryError, match="have no cosine"):
        match_features(drawn(0), drawn(0, d=8))
