"""Which torch is installed: the CPU build without a GPU, what pip chose with one, and never gigabytes for nothing."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("install_torch", ROOT / "scripts" / "install_torch.py")
install_torch = importlib.util.module_from_spec(_spec)
sys.modules["install_torch"] = install_torch
_spec.loader.exec_module(install_torch)

NEEDS = ["filelock", "sympy>=1.13.3", 'optree>=0.13.0; extra == "optree"']
CUDA_NEEDS = [
    'cuda-toolkit[cublas,cudart]==13.0.3; platform_system == "Linux"',
    'nvidia-cudnn-cu13==9.20.0.48; platform_system == "Linux"',
    'triton==3.7.1; platform_system == "Linux"',
]


def report(version, needs=(), name="torch"):
    """Return what pip's --report says of one file."""
    file = f"https://example.invalid/{name}-{version}-cp311-cp311-manylinux_2_28_x86_64.whl"
    return {
        "install": [
            {
                "metadata": {"name": name, "version": version, "requires_dist": [*NEEDS, *needs]},
                "download_info": {"url": file},
            }
        ]
    }


class Pip:
    """A pip that knows what the plain index and PyTorch's own site offer, and remembers what it was asked."""

    def __init__(self, plain=None, site=None):
        self.offers = {False: plain, True: site}
        self.asked = []

    def __call__(self, arguments):
        self.asked.append(arguments)
        offer = self.offers[install_torch.CPU_SITE in arguments]
        return install_torch.Build.from_report(offer) if offer else None


CPU, CUDA, PLAIN = report("2.13.0+cpu"), report("2.13.0", CUDA_NEEDS), report("2.13.0")


@pytest.fixture(autouse=True)
def on_linux(monkeypatch):
    monkeypatch.setattr(install_torch.platform, "system", lambda: "Linux")


def no_gpu():
    return False


def a_gpu():
    return True


def never_asked():
    raise AssertionError("nobody needs to know about a GPU here")


@pytest.mark.parametrize("offer", [CPU, PLAIN], ids=["local version +cpu", "no GPU package required"])
def test_a_cpu_build_is_taken_as_pip_offers_it(offer):
    pip = Pip(plain=offer)
    assert install_torch.choose("2.13.0", pip, never_asked) == ["torch==2.13.0"]
    assert len(pip.asked) == 1


def test_with_a_gpu_the_cuda_build_that_pip_chose_is_taken():
    pip = Pip(plain=CUDA)
    assert install_torch.choose("2.13.0", pip, a_gpu) == ["torch==2.13.0"]


def test_without_a_gpu_the_cpu_build_comes_from_pytorchs_own_site():
    chosen = install_torch.choose("2.13.0", Pip(plain=CUDA, site=CPU), no_gpu)
    assert chosen == ["torch==2.13.0+cpu", "--extra-index-url", install_torch.CPU_SITE]


def test_control_without_a_gpu_a_cuda_build_is_never_taken_whoever_offers_it():
    with pytest.raises(LookupError):
        install_torch.choose("2.13.0", Pip(plain=CUDA, site=CUDA), no_gpu)


def test_with_no_cpu_build_in_reach_one_sentence_says_what_to_do():
    with pytest.raises(LookupError) as stop:
        install_torch.choose("2.13.0", Pip(plain=CUDA), no_gpu)
    sentence = stop.value.args[0]
    assert "manylinux_2_28_x86_64.whl" in sentence and "PIP_FIND_LINKS" in sentence
    assert sentence.endswith(".") and not re.search(r"\. [A-Z]", sentence), "one sentence"


def test_with_no_torch_at_all_the_sentence_says_so():
    with pytest.raises(LookupError, match="pip finds none"):
        install_torch.choose("2.13.0", Pip(), no_gpu)


@pytest.mark.parametrize(
    ("version", "needs", "is_for_cpu"),
    [
        ("2.13.0+cpu", CUDA_NEEDS, True),
        ("2.13.0+cu130", [], False),
        ("2.13.0+rocm7.0", [], False),
        ("2.13.0", [], True),
        ("2.13.0", CUDA_NEEDS[:1], False),
        ("2.13.0", CUDA_NEEDS[1:2], False),
        ("2.13.0", ['nvidia-something; extra == "gpu"'], True),
        ("2.13.0", ["cudalike"], True),
    ],
)
def test_a_cpu_build_is_known_by_its_local_version_or_by_what_it_requires(version, needs, is_for_cpu):
    assert install_torch.Build.from_report(report(version, needs)).is_for_cpu is is_for_cpu


def test_what_is_required_on_linux_alone_does_not_count_elsewhere(monkeypatch):
    monkeypatch.setattr(install_torch.platform, "system", lambda: "Darwin")
    assert install_torch.Build.from_report(CUDA).is_for_cpu


def test_a_report_about_other_packages_names_no_torch():
    assert install_torch.Build.from_report(report("1.0", name="torchvision")) is None
    assert install_torch.Build.from_report({"install": []}) is None


def test_the_pinned_version_is_read_from_the_constraints_and_carries_no_local_part():
    assert install_torch.pinned_version((ROOT / "constraints.txt").read_text()) == "2.13.0"
    with pytest.raises(LookupError):
        install_torch.pinned_version("numpy==2.4.6\ntorchvision==0.28.0\n")


@pytest.mark.parametrize(("here", "status"), [("2.13.0+cu130", 0), ("2.13.0", 0), ("2.12.0+cpu", 1), ("", 1)])
def test_an_installed_build_of_the_pinned_version_stays_and_any_other_is_looked_for(monkeypatch, capsys, here, status):
    monkeypatch.setattr(install_torch, "installed_version", lambda: here)
    monkeypatch.setattr(install_torch, "update_pip", lambda: None)
    monkeypatch.setattr(install_torch, "ask_pip", lambda arguments: None)
    monkeypatch.setattr(install_torch, "has_nvidia_gpu", no_gpu)
    assert install_torch.main() == status
    said = capsys.readouterr()
    assert ("stays" in said.out) == (status == 0)
    assert ("No CPU build" in said.err) == (status == 1)
