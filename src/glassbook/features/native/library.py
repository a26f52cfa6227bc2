"""The compiled selection, where there is one, and its twin in PyTorch.

Both return the same features with the same values; of equal values the compiled one takes the first. What it buys is told in
decisions/016-dictionaries.md.
"""

import ctypes
import functools
import os
from ctypes import c_int, c_int32, c_int64, c_void_p
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.models.native.library import OFF

_VERSION = 1
_SETS = {"AVX512": ("avx512", "avx2"), "AVX2": ("avx2",)}
_TOP, _COUNT, _LIST = range(3)


class _Selection(ctypes.Structure):
    """What is asked, in the order of the compiled struct."""

    _fields_ = (
        ("products", c_void_p),
        ("bias", c_void_p),
        ("floors", c_void_p),
        ("starts", c_void_p),
        ("counts", c_void_p),
        ("features", c_void_p),
        ("values", c_void_p),
        ("rows", c_int64),
        ("n", c_int64),
        ("k", c_int64),
        ("asked", c_int32),
        ("is_bfloat16", c_int32),
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled selection for this processor, or None where it was not built, cannot be loaded or is turned off."""
    names = _SETS.get(torch.backends.cpu.get_cpu_capability(), ("plain",))
    files = [path for name in names for path in sorted(Path(__file__).parent.glob(f"selection_{name}.*"))]
    for path in files if os.environ.get(OFF) != "0" else []:
        if path.suffix not in (".so", ".pyd", ".dylib"):
            continue
        try:
            found = ctypes.CDLL(str(path))
            if found.glassbook_version() != _VERSION:
                continue
        except (OSError, AttributeError):
            continue
        found.glassbook_select.argtypes = (ctypes.POINTER(_Selection), c_int)
        found.glassbook_select.restype = None
        _share_team(found)
        return found
    return None


def top_of_rows(
    products: Float[Tensor, "rows n_features"], bias: Float[Tensor, " n_features"], k: int
) -> tuple[Int[Tensor, "rows k"], Float[Tensor, "rows k"]]:
    """Return the features of the k largest sums of product and bias in each row, and the sums in float32, in any order."""
    found = library()
    if found is None or not _is_readable(products, bias):
        values, features = (products + bias).topk(k, dim=-1, sorted=False)
        return features, values.float()
    features = torch.empty(len(products), k, dtype=torch.int64)
    values = torch.empty(len(products), k)
    _select(found, products, {"bias": bias, "features": features, "values": values}, asked=_TOP, k=k)
    return features, values


def above(
    products: Float[Tensor, "rows n_features"], bias: Float[Tensor, " n_features"], floors: Float[Tensor, " n_features"]
) -> tuple[Int[Tensor, " entries"], Int[Tensor, " entries"], Float[Tensor, " entries"]]:
    """Return row, feature and value, in float32, of all sums of product and bias above their feature's floor, row by row."""
    found = library()
    if found is None or not _is_readable(products, bias):
        pre = products + bias
        flat = (pre > floors).view(-1).nonzero().view(-1)
        return flat // pre.shape[1], flat % pre.shape[1], pre.view(-1).index_select(0, flat).float()
    known = {"bias": bias, "floors": floors.contiguous()}
    counts = torch.empty(len(products), dtype=torch.int64)
    _select(found, products, known | {"counts": counts}, asked=_COUNT)
    starts, total = counts.cumsum(0) - counts, int(counts.sum())
    features, values = torch.empty(total, dtype=torch.int64), torch.empty(total)
    _select(found, products, known | {"starts": starts, "features": features, "values": values}, asked=_LIST)
    return torch.arange(len(products)).repeat_interleave(counts, output_size=total), features, values


def _is_readable(products: Tensor, bias: Tensor) -> bool:
    is_here = products.device.type == "cpu" and products.is_contiguous() and bias.is_contiguous()
    return is_here and bias.dtype is torch.float32 and products.dtype in (torch.float32, torch.bfloat16)


def _select(found: ctypes.CDLL, products: Tensor, tensors: dict[str, Tensor], asked: int, k: int = 0) -> None:
    places = {name: value.data_ptr() for name, value in tensors.items()}
    rows, n = products.shape
    is_bfloat16 = products.dtype is torch.bfloat16
    wanted = _Selection(
        products=products.data_ptr(), rows=rows, n=n, k=k, asked=asked, is_bfloat16=is_bfloat16, **places
    )
    found.glassbook_select(ctypes.byref(wanted), torch.get_num_threads())


def _share_team(found: ctypes.CDLL) -> None:
    """Hand over PyTorch's team of threads: a second team would fight the first for the cores."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*")):
        team = ctypes.CDLL(str(path))
        functions = (team.GOMP_parallel, team.omp_get_thread_num, team.omp_get_num_threads)
        found.glassbook_use_team(*(ctypes.cast(function, c_void_p) for function in functions))
        return
