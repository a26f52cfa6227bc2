"""A training that asks for a compiler goes on without one, says so once, and comes to the same numbers with one."""

import os
import subprocess
import sys
import warnings

import pytest
import torch
from torch._inductor.exc import InductorError

from features.samples import inputs
from glassbook.features.dictionary import make_dictionary
from glassbook.features.faults import DictionaryWarning
from glassbook.features.learning import DictionaryLearner, DictionarySettings


def learned(steps=3, **how):
    dictionary = make_dictionary("batchtopk", 8, 24, 8, {"k": 3})
    learner = DictionaryLearner(
        dictionary, DictionarySettings(steps=steps, lr=0.01, dtype="float32", whole=True, **how)
    )
    for number in range(steps):
        learner.step(inputs(32, seed=number))
    return learner.dictionary()


def failing(fault):
    """Return a compiler that fails when what it made is called for the first time, as torch's does."""

    def compiled(function):
        def call(*arguments):
            raise fault

        return call

    return compiled


def test_where_no_compiler_is_it_says_so_once_and_learns_the_same(monkeypatch):
    monkeypatch.setattr(torch, "compile", failing(InductorError(RuntimeError("no compiler found.\nmore of it"), None)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = learned(compile=True)
    own = [str(one.message) for one in said if one.category is DictionaryWarning]
    assert len(own) == 1 and "is not compiled here (RuntimeError: no compiler found)" in own[0]
    assert torch.equal(found.encoder, learned().encoder)


def test_a_fault_of_the_objective_is_not_taken_for_a_missing_compiler(monkeypatch):
    monkeypatch.setattr(torch, "compile", failing(ValueError("its own fault")))
    with pytest.raises(ValueError, match="its own fault"):
        learned(compile=True)


# In a process of its own, since the checks of shapes in tests cannot be compiled.
OUTSIDE = """
import sys, torch
from glassbook.features.learning import DictionaryLearner, DictionarySettings
from glassbook.features.dictionary import make_dictionary
found = []
for compile in (True, False):
    how = {"steps": 3, "lr": 0.01, "dtype": "float32", "whole": True, "compile": compile}
    learner = DictionaryLearner(make_dictionary("batchtopk", 8, 24, 8, {"k": 3}), DictionarySettings(**how))
    for number in range(3):
        learner.step(torch.randn(32, 8, generator=torch.Generator().manual_seed(number)))
    found.append(learner.dictionary().encoder)
assert torch.allclose(*found, atol=1e-5)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "is_said"), [(None, False), ("/no/such/compiler", True)])
def test_compiled_or_not_it_comes_to_the_same_numbers(compiler, is_said, tmp_path):
    env = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)} | ({"CXX": compiler} if compiler else {})
    done = subprocess.run([sys.executable, "-c", OUTSIDE], env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert ("is not compiled here" in done.stderr) == is_said
