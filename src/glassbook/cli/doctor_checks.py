"""The doctor's questions to this machine, one function each: what is installed, what fits, what is cached."""

import math
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch

import glassbook
from glassbook.core.devices import available_memory, cpu_name, widens_bfloat16
from glassbook.core.errors import GlassbookError
from glassbook.core.seeds import generator
from glassbook.files.manifest import verify_manifest
from glassbook.models.loading.known import converted_folder
from glassbook.models.loading.naming import find_known
from glassbook.models.loading.own_folder import check_folder
from glassbook.models.native.library import kernel_state
from glassbook.sources.cache import cache_dir
from glassbook.sources.known import DEFAULT_MODEL, known
from glassbook.sources.obtain import is_cached

_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_DEFAULT_PARAMETERS = 134_515_008
_MEMORY_FACTOR = 1.3  # the most that loading takes, in weights
_BFLOAT16_ERROR = 2.0**-7  # rounding of operands and of the result, with room for sums


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer; `next_step` says what to do where it does not hold, or what would be better."""

    name: str
    holds: bool
    finding: str
    next_step: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


def check_versions() -> Check:
    """Return the versions at work; does not hold where torch was built for a GPU that it cannot use."""
    names = {name: version(name) for name in ("torch", "tokenizers", "numpy")}
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    listed = ", ".join(f"{name} {number}" for name, number in names.items())
    finding = (
        f"glassbook {glassbook.__version__}, Python {platform.python_version()}, {listed}; torch is a {build} build"
    )
    finding += f", with {', '.join(cards)}" if cards else ", no GPU in use"
    holds = torch.version.cuda is None or bool(cards)
    figures = {
        "glassbook": glassbook.__version__,
        "python": platform.python_version(),
        **names,
        "torch_build": build,
        "gpus": cards,
    }
    step = (
        ""
        if holds
        else "the GPU's driver does not answer; mend it, or install torch's CPU build, which is much smaller"
    )
    return Check("versions", holds, finding, step, figures)


def check_threads() -> Check:
    """Return how many threads torch computes with; does not hold where there are more than usable cores."""
    cores, threads = allowed_cores(), torch.get_num_threads()
    limits = {name: os.environ[name] for name in _LIMITS if os.environ.get(name)}
    said = " and ".join(f"{name}={value}" for name, value in limits.items())
    finding = f"{threads} threads for the {cores} cores that this process may use ({cpu_name()})"
    step = ""
    if threads > cores:
        step = f"threads that share a core wait for each other: set OMP_NUM_THREADS={cores}"
    elif threads < cores and limits:
        finding += f"; {said} limits them"
        step = "unset it to use every core"
    figures = {"threads": threads, "cores": cores, "limits": limits, "cpu": cpu_name()}
    return Check("threads", threads <= cores, finding, step, figures)


def allowed_cores() -> int:
    """Return how many cores' worth of time this process may take: its affinity, within a container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.exists() and (parts := quota.read_text().split())[0] != "max":
        cores = min(cores, math.ceil(int(parts[0]) / int(parts[1])))
    return max(cores, 1)


def check_precision() -> Check:
    """Return which precisions are fast here; does not hold where a bfloat16 product is wrong by more than rounding."""
    x = torch.randn(2, 128, 128, generator=generator(0, "doctor", "precision"))
    exact = x[0] @ x[1]
    error = float(((x[0].bfloat16() @ x[1].bfloat16()).float() - exact).norm() / exact.norm())
    holds = error < _BFLOAT16_ERROR
    way = "widened to float32, which is faster here" if widens_bfloat16() else "native"
    finding = (
        f"float32; bfloat16 with products {way} (relative error {error:.1e}); {torch.backends.cpu.get_cpu_capability()}; "
        f"kernel for generation: {kernel_state()}"
    )
    step = "" if holds else "use --dtype float32 here, and install torch again"
    figures = {"bfloat16_products": "widened" if widens_bfloat16() else "native", "bfloat16_error": error}
    figures |= {"kernel": kernel_state()}
    return Check(
        "precision", holds, finding, step, figures | {"cpu_capability": torch.backends.cpu.get_cpu_capability()}
    )


def check_memory(dtype: torch.dtype) -> Check:
    """Return the memory left beside what the default model takes to open in this precision."""
    need, free = int(_DEFAULT_PARAMETERS * dtype.itemsize * _MEMORY_FACTOR), available_memory()
    total = psutil.virtual_memory().total
    finding = f"{free / 1e9:,.1f} GB free of {total / 1e9:,.1f} GB; the default model needs {need / 1e9:.1f} GB"
    step = "" if free >= need else "close other programs, or open it with --dtype bfloat16"
    return Check("memory", free >= need, finding, step, {"free_bytes": free, "needed_bytes": need})


def check_disk() -> Check:
    """Return the disk left in the cache folder beside what the default model has still to put there."""
    folder, file = cache_dir(), known(DEFAULT_MODEL)
    need = 0
    if not converted_folder(DEFAULT_MODEL).exists():
        wheel = file.distribution.size * 2 if file.distribution else 0
        need = _DEFAULT_PARAMETERS * 4 + (0 if is_cached(DEFAULT_MODEL) else wheel + file.size)
    free = shutil.disk_usage(folder).free
    finding = f"{free / 1e9:,.1f} GB free in {folder}; the default model needs {need / 1e9:.1f} GB more"
    step = "" if free >= need else "free some space, or set GLASSBOOK_CACHE to another folder"
    return Check("disk", free >= need, finding, step, {"folder": str(folder), "free_bytes": free, "needed_bytes": need})


def check_cache(model: str, full: bool) -> Check:
    """Return whether the model can be opened without a network, and whether its files are as they were written.

    The quick check compares sizes, small files and the table of tensors; `full` compares the checksum of every byte.
    """
    key = find_known(model)
    if key is None:
        return Check("model", True, f"'{model}' is no known model; it is opened from where it is")
    folder = converted_folder(key)
    if not folder.exists():
        fetched = " (fetched, but not converted)" if is_cached(key) else ""
        return Check("model", False, f"{key} is not cached{fetched}", f"'glassbook open {key}' gets it once")
    try:
        check_folder(folder)
        faults = verify_manifest(folder) if full else []
    except GlassbookError as fault:
        faults = [str(fault)]
    how = "every checksum" if full else "sizes, small files and the table of tensors"
    if faults:
        step = f"remove that folder; 'glassbook open {key}' makes it anew"
        return Check("model", False, f"{key} in {folder} is damaged: {faults[0]}", step)
    return Check(
        "model", True, f"{key} is cached in {folder}; checked: {how}", figures={"folder": str(folder), "full": full}
    )
