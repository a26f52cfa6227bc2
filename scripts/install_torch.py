"""Installs torch: a CPU build wherever no NVIDIA GPU is at work, and never gigabytes that nobody could use.

Run by the Makefile with the environment's own Python. On Linux the plain package index serves a CUDA build under the
very version that elsewhere names a CPU build, so pip is asked first which file it would take, which costs 2 MB with
the pip that constraints.txt pins. See decisions/002-torch-cpu-build.md.
"""

import importlib.metadata
import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CPU_SITE = "https://download.pytorch.org/whl/cpu"
CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"

_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
_ASK = ("install", "--quiet", "--dry-run", "--no-deps", "--use-feature=fast-deps", "--retries=1", "--report=-")
_GPU_PACKAGE = re.compile(r"(nvidia|cuda|rocm|pytorch-triton-rocm)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Build:
    """One file that pip would take: its version and what it would bring along."""

    version: str
    file: str
    requires: tuple[str, ...]

    @classmethod
    def from_report(cls, report: dict[str, object]) -> "Build | None":
        """Return the torch of a pip report, or None where pip would install none."""
        for item in report["install"]:
            if item["metadata"]["name"].lower() == "torch":
                requires = tuple(item["metadata"].get("requires_dist", ()))
                return cls(item["metadata"]["version"], item["download_info"]["url"].rpartition("/")[2], requires)
        return None

    @property
    def gpu_packages(self) -> list[str]:
        """Return the CUDA or ROCm packages that this build requires on this system."""
        needs = [need for need in self.requires if "extra ==" not in need and _GPU_PACKAGE.match(need)]
        return [need for need in needs if 'platform_system == "Linux"' not in need or platform.system() == "Linux"]

    @property
    def is_for_cpu(self) -> bool:
        """Return whether this build is for the CPU alone: its local version says so, or it requires no GPU package."""
        local = self.version.partition("+")[2]
        return local == "cpu" or (not local and not self.gpu_packages)


Ask = Callable[[list[str]], Build | None]


def choose(version: str, ask: Ask, has_gpu: Callable[[], bool]) -> list[str]:
    """Return pip's arguments for the right torch; raise LookupError with one sentence where there is none."""
    plain = [f"torch=={version}"]
    build = ask(plain)
    if build and (build.is_for_cpu or has_gpu()):
        return plain
    from_site = [f"torch=={version}+cpu", "--extra-index-url", CPU_SITE]
    if (found := ask(from_site)) and found.is_for_cpu:
        return from_site
    raise LookupError(_no_build(version, build))


def _no_build(version: str, build: Build | None) -> str:
    offer = (
        f"pip would take {build.file} and gigabytes of CUDA packages for a GPU that is not here"
        if build
        else "pip finds none"
    )
    return (
        f"No CPU build of torch {version} can be had ({offer}, and {CPU_SITE} does not answer): get the wheel "
        f"torch-{version}+cpu for your Python, name its folder in PIP_FIND_LINKS, and run make again."
    )


def ask_pip(arguments: list[str]) -> Build | None:
    """Return which torch pip would take for these arguments, or None where it finds none; nothing is installed."""
    answer = subprocess.run([*_PIP, *_ASK, *arguments], capture_output=True, text=True, check=False)
    return Build.from_report(json.loads(answer.stdout)) if answer.returncode == 0 else None


def update_pip() -> None:
    """Bring pip to the pinned version: an older one downloads a whole build to answer what it would take."""
    subprocess.run([*_PIP, "install", "-qq", "--constraint", str(CONSTRAINTS), "pip"], check=False)


def has_nvidia_gpu() -> bool:
    """Return whether nvidia-smi lists a card."""
    try:
        answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and "GPU" in answer.stdout


def pinned_version(constraints: str) -> str:
    """Return the version of torch that the text of a constraints file pins."""
    found = re.search(r"^torch==(\S+)$", constraints, re.MULTILINE)
    if not found:
        raise LookupError("constraints.txt pins no torch; write a line such as torch==2.13.0 into it.")
    return found[1]


def installed_version() -> str:
    """Return the version of torch in this environment, or an empty string."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def main() -> int:
    """Install torch unless the pinned version is here in any build, and return the exit status."""
    try:
        version, here = pinned_version(CONSTRAINTS.read_text()), installed_version()
        if here.partition("+")[0] == version:
            print(f"torch {here} is installed already and stays.")
            return 0
        update_pip()
        arguments = choose(version, ask_pip, has_nvidia_gpu)
    except LookupError as none:
        print(none.args[0], file=sys.stderr)
        return 1
    print(f"Installing {arguments[0]} for {platform.machine()} …", flush=True)
    return subprocess.run([*_PIP, "install", "--no-deps", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
