"""The architectures that there are, by the name their configuration gives them."""

from collections.abc import Iterable

from glassbook.core.errors import ModelError
from glassbook.core.registry import Registry

ARCHITECTURES: "Registry[type]" = Registry("architecture")


def unknown_architecture(place: str, name: object, known: Iterable[str]) -> ModelError:
    """Return the error for a model whose architecture is not here, with the way around it."""
    return ModelError(
        f"{place} is of the architecture '{str(name)[:60]}'; Glassbook has {', '.join(known)}, and takes any other from the "
        f"package that can load it by gb.wrap(module, tokenizer)"
    )
