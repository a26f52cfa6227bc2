"""Compile a network of each architecture in one graph; a program of its own, run by test_taps.py."""

import torch

from conformance.shapes import ROWS
from conformance.tiny import our_net
from glassbook.core.sites import Site
from glassbook.core.taps import Taps

tokens = torch.arange(8).repeat(2, 1)
for architecture in ROWS:
    net = our_net(architecture, "golden")
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    assert torch.allclose(compiled(tokens), net(tokens), atol=1e-5), architecture
    print(f"compiled {architecture}")

try:
    torch.compile(net, fullgraph=True, backend="eager")(tokens, Taps(readers={Site("embed"): print}))
except torch._dynamo.exc.TorchDynamoException:
    print("refused a tap that prints")
