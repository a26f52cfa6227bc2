"""The architectures that there are, by the name their configuration gives them."""

from glassbook.core.registry import Registry

ARCHITECTURES: "Registry[type]" = Registry("architecture")
