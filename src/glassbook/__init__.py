"""Glassbook: open real transformers, read and steer their insides, and keep every number with the run that measured it.

Names load when they are first used, so that `import glassbook` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "open_model": "glassbook.models.loading.opening",
    "save_model": "glassbook.models.loading.own_folder",
    "wrap": "glassbook.models.wrapped",
    "capture": "glassbook.activations.capture",
    "run_with_cache": "glassbook.activations.transformer_lens",
    "run_with_hooks": "glassbook.activations.transformer_lens",
    "Site": "glassbook.core.sites",
    "Edit": "glassbook.core.taps",
    "GlassbookError": "glassbook.core.errors",
}
_ROOMS = (
    "activations",
    "circuits",
    "evidence",
    "features",
    "images",
    "models",
    "runs",
    "sources",
    "steering",
    "studies",
    "tasks",
    "text",
    "training",
    "views",
)

__all__ = [
    "Edit",
    "GlassbookError",
    "Site",
    "__version__",
    "activations",
    "capture",
    "circuits",
    "evidence",
    "features",
    "images",
    "models",
    "open_model",
    "run_with_cache",
    "run_with_hooks",
    "runs",
    "save_model",
    "sources",
    "steering",
    "studies",
    "tasks",
    "text",
    "training",
    "views",
    "wrap",
]

if TYPE_CHECKING:
    from glassbook import (
        activations,
        circuits,
        evidence,
        features,
        images,
        models,
        runs,
        sources,
        steering,
        studies,
        tasks,
        text,
        training,
        views,
    )
    from glassbook.activations.capture import capture
    from glassbook.activations.transformer_lens import run_with_cache, run_with_hooks
    from glassbook.core.errors import GlassbookError
    from glassbook.core.sites import Site
    from glassbook.core.taps import Edit
    from glassbook.models.loading.opening import open_model
    from glassbook.models.loading.own_folder import save_model
    from glassbook.models.wrapped import wrap


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"glassbook.{name}")
    raise AttributeError(f"glassbook has no '{name}'; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return list(__all__)
