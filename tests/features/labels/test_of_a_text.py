"""Which features a text activates, at any Site that a dictionary can be of."""

import pytest
import torch

from conformance.tiny import tiny_model
from features.spliced import words
from glassbook.activations.capture import capture
from glassbook.features.labels import features_on_text

TEXT = "the sun is warm"


@pytest.mark.parametrize("site", ["L1.resid_post", "L1.z", "L1.H2.z"])
def test_features_of_a_text_are_ranked_by_their_largest_value_there(site: str) -> None:
    model = tiny_model()
    dictionary = words(model, "batchtopk", site)
    # The first position is left out, as in a harvest.
    x = capture(model, TEXT, [site])[site].flatten(2)[0, 1:].float()
    largest = dictionary.encode(x).amax(0)
    found = features_on_text(dictionary, model, TEXT)
    assert [one.feature for one in found] == [int(n) for n in largest.argsort(descending=True) if largest[n] > 0]
    assert len(found) > 3 and not torch.equal(largest, dictionary.encode(x[:1]).amax(0)), "the control: not one token's"
