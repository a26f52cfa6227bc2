"""The sizes that every transformer here shares; each architecture adds its own fields in its own file."""

from dataclasses import asdict, dataclass
from typing import Any

from glassbook.core.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class Config:
    """The shape of a decoder-only transformer, in the field's standard terms."""

    n_layers: int
    d_model: int
    n_heads: int
    d_head: int
    d_mlp: int
    d_vocab: int
    n_ctx: int
    norm_eps: float
    tied_embeddings: bool

    @property
    def kv_heads(self) -> int:
        """Return how many heads keys and values have; fewer than `n_heads` under grouped-query attention."""
        return self.n_heads

    def window(self, layer: int) -> int:
        """Return how many tokens a token sees in `layer`, itself among them; 0 where it sees all that came before."""
        return 0

    @property
    def sizes(self) -> dict[str, int]:
        """Return the length of every axis that a Site's value can have beside batch and pos."""
        names = ("n_layers", "d_model", "n_heads", "d_head", "d_mlp", "d_vocab", "n_ctx")
        return {name: getattr(self, name) for name in names} | {"n_kv_heads": self.kv_heads, "one": 1}

    @property
    def summary(self) -> str:
        """Return the shape in a few words."""
        return f"{self.n_layers} layers, d_model {self.d_model}, {self.n_heads} heads"

    def check(self) -> None:
        """Raise ModelError for sizes that no network can have."""
        for name, size in self.sizes.items():
            if size < 1:
                raise ModelError(f"the configuration says {name} = {size}; it must be at least 1")
        if self.n_heads % self.kv_heads:
            raise ModelError(
                f"{self.n_heads} query heads cannot share {self.kv_heads} key/value heads evenly; mend the configuration"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)
