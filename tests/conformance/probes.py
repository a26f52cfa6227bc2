"""What tests see of a pass from outside, whatever the network is made of: the weights it reads, the experts it chose."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glassbook.activations.capture import capture
from glassbook.core.taps import Edit


class WeightsRead(TorchFunctionMode):
    """Within it, every function that makes a tensor of one of a network's parameters is noted by the parameter's name."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self._known = {id(weight): name for name, weight in net.named_parameters()}
        self.names: set[str] = set()

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor):
            self.names |= {self._known[id(arg)] for arg in (*args, *(kwargs or {}).values()) if id(arg) in self._known}
        return found

    @property
    def blocks(self) -> set[int]:
        """Return the blocks whose weights were read."""
        return {int(name.split(".")[1]) for name in self.names if name.startswith("blocks.")}

    @property
    def reads_logits(self) -> bool:
        """Return whether the final norm was reached."""
        return "ln_final.weight" in self.names


def same_routes(case: Any) -> list[Edit]:
    """Return edits that send every token to the experts it met in float32; none where there are no experts.

    Which experts a token meets is a choice, so rounding may change it; with the choice held, only rounding is left.
    """
    sites = [site for site in case.sites if site.name == "router_weights"]
    chosen = capture(case.model, case.tokens, sites) if sites else {}
    return [Edit(site, lambda value, _, site=site: chosen[site].to(value.dtype)) for site in sites]
