"""What steering by features costs on a text that it is not about, as `steering.fluency` measures it of vectors."""

from collections.abc import Sequence

import torch

from glassbook.activations.prefix import Prefix
from glassbook.core.errors import InputError
from glassbook.models.model import Model
from glassbook.steering.features import FeatureSteering
from glassbook.steering.fluency import TextCost


@torch.inference_mode()
def feature_cost(model: Model, steering: FeatureSteering, windows: Sequence[Sequence[int]]) -> TextCost:
    """Return perplexity and divergence beside the unsteered model, by teacher forcing on windows of ids.

    Features steered at generated tokens meet a window as if it were being written, from its second token on. Raises InputError
    where no window has a token to predict.
    """
    edits = steering.edits_for(model)
    gained, divergence = [], []
    # One window at a time: a vocabulary's worth of numbers stands at every token.
    for window in (one for one in windows if len(one) > 1):
        batch = model.read([list(window)])
        prefix = Prefix.below(model, batch, [edits])
        span = model.span(batch, [1]) if steering.positions == "generated" else None
        plain = prefix.logits([])[0, :-1].float().log_softmax(-1)
        steered = prefix.logits(edits, span=span)[0, :-1].float().log_softmax(-1)
        moved = plain - steered
        gained.append(moved.gather(-1, batch.ids[0, 1:, None])[:, 0])
        divergence.append((plain.exp() * moved).sum(-1))
    if not gained:
        raise InputError("no window has two tokens, so there is nothing to predict; give longer ones")
    return TextCost(
        perplexity_ratio=float(torch.cat(gained).double().mean().exp()),
        kl=max(0.0, float(torch.cat(divergence).double().mean())),
    )
