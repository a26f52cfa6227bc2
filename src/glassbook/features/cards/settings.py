"""How cards are made: what they hold of each feature, and how much memory the making may take."""

from dataclasses import asdict, dataclass
from typing import Any

from glassbook.core.errors import InputError

MOST_SHOWN = 255
"""The longest stretch of tokens that an example can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSettings:
    """The settings of cards.

    `top` examples, each from another context, and `samples` of each interval of activation, in stretches of `before` tokens, the
    chosen one, and `after` more. `listed` entries in each list of tokens, features and neurons. So many `sampled` tokens of each
    feature tell which features are active together. `seed` chooses the samples. Where `only` some features are asked for,
    all others have density and histogram alone. Making them takes at most about `memory_bytes`, the model's and dictionary's
    own weights left out.
    """

    top: int = 12
    samples: int = 2
    before: int = 16
    after: int = 7
    listed: int = 10
    sampled: int = 256
    seed: int = 0
    only: tuple[int, ...] | None = None
    memory_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        least = {"top": 1, "samples": 0, "before": 0, "after": 0, "listed": 1, "sampled": 1, "memory_bytes": 1}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise InputError(f"{name} = {getattr(self, name)} makes no cards; it must be at least {smallest}")
        if self.only is not None:
            # In JSON there are lists only, and equal settings must be equal there too.
            object.__setattr__(self, "only", tuple(sorted(set(self.only))))
        if self.shown > MOST_SHOWN:
            raise InputError(
                f"an example of {self.before} tokens, the chosen one and {self.after} more is too long; "
                f"ask for at most {MOST_SHOWN} in all"
            )

    @property
    def shown(self) -> int:
        """Return how many tokens an example shows at most."""
        return self.before + 1 + self.after

    def asked(self) -> dict[str, Any]:
        """Return what decides what the cards hold, as plain data."""
        plain = asdict(self)
        del plain["memory_bytes"]
        plain["only"] = None if self.only is None else list(self.only)
        return plain
