"""What all tests share: two threads, hypothesis without a clock, and the default model where it is cached."""

import inspect
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from types import SimpleNamespace
from typing import Any

# Read when torch loads its thread library. Threads that spin while they wait make tiny networks a hundred times slower
# on a machine whose cores are busy with other tests.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import _decorator as checks

DEFAULT_MODEL = "smollm2-135m"

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
for name, examples in (("quick", 30), ("full", 200)):
    settings.register_profile(
        name,
        deadline=None,
        max_examples=examples,
        derandomize="CI" in os.environ,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("GLASSBOOK_TESTS", "quick"))


class Bound:
    """The arguments of one call by their names, found when somebody asks for them."""

    def __init__(self, bind: Callable[[], inspect.BoundArguments]) -> None:
        self.bind = bind

    @cached_property
    def named(self) -> dict[str, Any]:
        """Return the arguments, those that were left out too; raise TypeError where they do not fit."""
        bound = self.bind()
        bound.apply_defaults()
        return bound.arguments

    @property
    def arguments(self) -> "Bound":
        return self

    def __getitem__(self, name: str) -> Any:
        return self.named[name]

    def apply_defaults(self) -> None:
        pass

    def copy(self) -> "Bound":
        return self


class Signature(inspect.Signature):
    """A signature that binds when it must: to bind every call of every function takes longer than to check it."""

    def bind(self, *args: Any, **named: Any) -> Any:
        return Bound(lambda: super(Signature, self).bind(*args, **named))


checks.inspect = SimpleNamespace(**vars(inspect) | {"signature": Signature.from_callable})


@pytest.fixture(scope="session")
def default_model() -> object:
    """Return the default model in float32; a test that asks for it is skipped where the model is not cached."""
    # Here and not above, since modules loaded before the tests begin escape the check of shapes and types.
    from glassbook.models.loading.known import converted_folder
    from glassbook.models.loading.opening import open_model

    if not converted_folder(DEFAULT_MODEL).exists():
        pytest.skip(f"{DEFAULT_MODEL} is not in the cache; `make model` fetches it")
    return open_model(DEFAULT_MODEL)


@pytest.fixture(scope="session", autouse=True)
def runs_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests run out of the project's own notebook, in whose folder they work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSBOOK_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture
def without_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute everything in PyTorch, as where no compiler was at hand."""
    for room in ("products", "steps"):
        monkeypatch.setattr(f"glassbook.models.native.{room}.kernel", lambda: None)
