"""The compiled kernel, where there is one: found, loaded, and given PyTorch's own threads."""

import ctypes
import functools
import os
from ctypes import POINTER, c_float, c_int, c_int32, c_int64, c_void_p
from pathlib import Path

import torch

OFF = "GLASSBOOK_NATIVE"
"""The environment variable that turns the kernel off where it is 0."""

_VERSION = 2
_SETS = {"AVX512": ("avx512", "avx2"), "AVX2": ("avx2",)}


class Matrix(ctypes.Structure):
    """A weight as the kernel reads it, in the order of its own struct."""

    _fields_ = (
        ("weight", c_void_p),
        ("scales", c_void_p),
        ("bias", c_void_p),
        ("d_out", c_int64),
        ("d_in", c_int64),
        ("kind", c_int32),
    )


class Block(ctypes.Structure):
    """A block of Llama's form."""

    _fields_ = (
        ("norm1", c_void_p),
        ("norm2", c_void_p),
        ("qkv", Matrix),
        ("out", Matrix),
        ("gate_up", Matrix),
        ("down", Matrix),
        ("keys", c_void_p),
        ("values", c_void_p),
        ("eps", c_float),
    )


class Pass(ctypes.Structure):
    """One new token in each row."""

    _fields_ = (
        ("stream", c_void_p),
        ("cosines", c_void_p),
        ("sines", c_void_p),
        ("visible", c_void_p),
        ("rows", c_int64),
        ("d_model", c_int64),
        ("heads", c_int64),
        ("kv_heads", c_int64),
        ("d_head", c_int64),
        ("columns", c_int64),
        ("filled", c_int64),
        ("cache_kind", c_int32),
    )


@functools.cache
def kernel() -> ctypes.CDLL | None:
    """Return the kernel for this processor, or None where it was not built, cannot be loaded or is turned off."""
    return _find()[0]


def kernel_state() -> str:
    """Return in a few words whether the kernel is in use, and if not, why."""
    return _find()[1]


@functools.cache
def _find() -> tuple[ctypes.CDLL | None, str]:
    if os.environ.get(OFF) == "0":
        return None, f"turned off by {OFF}=0"
    faults = []
    for path in _candidates():
        try:
            library = ctypes.CDLL(str(path))
            if library.glassbook_version() != _VERSION:
                faults.append(f"{path.name} is of another version; install the package again")
                continue
        except (OSError, AttributeError) as fault:
            faults.append(f"{path.name} cannot be loaded ({fault})")
            continue
        _declare(library)
        threads = "on PyTorch's threads" if _share_team(library) else "on one thread"
        return library, f"{path.name.partition('.')[0]}, {threads}"
    return None, faults[0] if faults else "not built (it takes a C++ compiler when the package is installed)"


def _candidates() -> list[Path]:
    """Return the compiled files that this processor can run, the best first."""
    names = _SETS.get(torch.backends.cpu.get_cpu_capability(), ("plain",))
    return [
        path for name in names for path in sorted(Path(__file__).parent.glob(f"kernel_{name}.*")) if _is_library(path)
    ]


def _is_library(path: Path) -> bool:
    return path.suffix in (".so", ".pyd", ".dylib")


def _declare(library: ctypes.CDLL) -> None:
    library.glassbook_product.argtypes = (POINTER(Matrix), c_void_p, c_void_p, c_int64, c_int)
    library.glassbook_product.restype = None
    library.glassbook_blocks.argtypes = (POINTER(Block), c_int64, POINTER(Pass), c_int)
    library.glassbook_blocks.restype = None


def _share_team(library: ctypes.CDLL) -> bool:
    """Hand the kernel PyTorch's team of threads: a second team would fight the first for the cores."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*")):
        team = ctypes.CDLL(str(path))
        found = (team.GOMP_parallel, team.omp_get_thread_num, team.omp_get_num_threads)
        library.glassbook_use_team(*(ctypes.cast(function, c_void_p) for function in found))
        return True
    return False
