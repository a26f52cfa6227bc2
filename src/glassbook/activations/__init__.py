"""Activations: what a forward pass held, by address."""

from glassbook.activations.cache import ActivationCache
from glassbook.activations.capture import capture
from glassbook.activations.prefix import Prefix
from glassbook.activations.transformer_lens import all_sites, run_with_cache, run_with_hooks

__all__ = ["ActivationCache", "Prefix", "all_sites", "capture", "run_with_cache", "run_with_hooks"]
