"""One fixture that walks through the table of shapes."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from conformance.shapes import CASES, ROWS
from conformance.tiny import as_model, our_net, their_net
from glassbook.core.sites import KINDS, Site
from glassbook.models.model import Model
from glassbook.models.transformer import Transformer


@dataclass(frozen=True)
class Case:
    """One shape of one architecture: our network, transformers' with the same weights, and tokens to read."""

    architecture: str
    label: str
    model: Model
    theirs: PreTrainedModel
    tokens: Tensor

    @property
    def net(self) -> Transformer:
        """Return our network."""
        return self.model.net

    @property
    def sites(self) -> list[Site]:
        """Return every Site that the network declares, all layers."""
        layers = range(self.net.config.n_layers)
        names = self.net.site_names
        return [
            site
            for name in names
            for site in ([Site(name, i) for i in layers] if KINDS[name].per_layer else [Site(name)])
        ]

    def fresh_net(self) -> Transformer:
        """Return another network with the same weights, for tests that change it."""
        return our_net(self.architecture, self.label)


@pytest.fixture(scope="session", params=CASES, ids=lambda case: f"{case[0]}: {case[1]}")
def case(request: pytest.FixtureRequest) -> Case:
    """Return one row of the table after another."""
    architecture, label = request.param
    config = ROWS[architecture].shapes[label]
    tokens = torch.randint(0, config.d_vocab, (3, min(config.n_ctx, 24)), generator=torch.Generator().manual_seed(7))
    return Case(architecture, label, as_model(our_net(architecture, label)), their_net(architecture, label), tokens)
