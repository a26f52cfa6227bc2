"""What this machine can do: threads, memory, and which precision its products are fast in."""

import functools
import os
import platform
from pathlib import Path

import psutil
import torch

from glassbook.core.errors import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SHORT = {"fp32": "float32", "f32": "float32", "bf16": "bfloat16", "fp16": "float16", "f16": "float16"}


def as_dtype(name: str | torch.dtype) -> torch.dtype:
    """Return the torch dtype called `name` (float32, bfloat16, float16 or their short forms)."""
    if isinstance(name, torch.dtype):
        return name
    full = _SHORT.get(name, name)
    if full not in DTYPES:
        raise InputError(f"'{name}' is not a precision; choose one of {', '.join(DTYPES)}")
    return DTYPES[full]


def as_weight_dtype(name: str | torch.dtype) -> torch.dtype:
    """Return the torch dtype that weights are held in: one that `as_dtype` knows, or int8."""
    if name in ("int8", torch.int8):
        return torch.int8
    if isinstance(name, str) and _SHORT.get(name, name) not in DTYPES:
        raise InputError(f"'{name}' is not a precision of weights; choose one of {', '.join(DTYPES)} or int8")
    return as_dtype(name)


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a torch dtype without its module, e.g. `bfloat16`."""
    return str(dtype).removeprefix("torch.")


def available_memory() -> int:
    """Return the bytes of main memory that a process could still take, a container's limit included."""
    free = psutil.virtual_memory().available
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and (text := limit.read_text().strip()) != "max":
        free = min(free, int(text) - int(used.read_text()))
    return max(free, 0)


@functools.cache
def cpu_name() -> str:
    """Return the processor's own name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@functools.cache
def widens_bfloat16() -> bool:
    """Return whether large bfloat16 products run faster here when their operands are widened to float32.

    They do on x86 processors without bfloat16 arithmetic, and on Intel's without AMX, where the dot-product instruction
    issues at half the rate of a float32 multiply-add. A rule about the processor and not a measurement, so that the same
    machine always rounds the same way. See decisions/003-bfloat16-products.md.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    if torch.cpu._is_amx_tile_supported():
        return False
    info = Path("/proc/cpuinfo")
    flags = info.read_text() if info.exists() else ""
    return "AuthenticAMD" not in flags or "avx512_bf16" not in flags


def hardware() -> dict[str, object]:
    """Return what a Run records about this machine."""
    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": cards,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "bfloat16_products": "widened to float32" if widens_bfloat16() else "native",
    }
