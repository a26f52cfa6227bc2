"""Things found by name, and random numbers that depend on their purpose alone."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glassbook.core.errors import GlassbookError
from glassbook.core.registry import Registry
from glassbook.core.seeds import generator, seed_all


def shelf() -> Registry[int]:
    """Return a registry with three names for two things."""
    registry: Registry[int] = Registry("shape")
    registry.add("circle", "disc")(1)
    registry.add("square")(4)
    return registry


def test_a_thing_is_found_under_each_of_its_names() -> None:
    registry = shelf()
    assert [registry.find(name) for name in ("circle", "disc", "square")] == [1, 1, 4]
    assert list(registry) == ["circle", "disc", "square"]
    assert "disc" in registry
    assert "cube" not in registry


def test_the_decorator_hands_back_what_it_files() -> None:
    registry: Registry[type] = Registry("kind")

    @registry.add("thing")
    class Thing:
        pass

    assert registry.find("thing") is Thing


def test_a_miss_names_the_near_name_and_what_there_is() -> None:
    with pytest.raises(GlassbookError, match=r"named .sqare.; did you mean .square.\? known: circle, disc, square"):
        shelf().find("sqare")
    with pytest.raises(GlassbookError, match="no shape is named 'zzz'; known: circle"):
        shelf().find("zzz")


def test_a_name_is_given_once() -> None:
    registry = shelf()
    with pytest.raises(ValueError, match="a shape named 'disc' is registered already"):
        registry.add("disc")(2)
    assert registry.find("disc") == 1


def draw(seed: int, *purpose: str | int) -> list[float]:
    """Return a few numbers for a purpose."""
    return torch.rand(4, generator=generator(seed, *purpose)).tolist()


@given(st.integers(-(2**63), 2**63), st.lists(st.text(max_size=5) | st.integers(0, 9), max_size=3))
def test_the_same_seed_and_purpose_draw_the_same_numbers_whatever_was_drawn_before(seed: int, purpose: list) -> None:
    first = draw(seed, *purpose)
    torch.rand(3)
    draw(seed + 1)
    assert draw(seed, *purpose) == first


@given(st.integers(0, 100), st.integers(0, 100))
def test_another_seed_or_purpose_draws_other_numbers(seed: int, number: int) -> None:
    first = draw(seed, "direction", number)
    assert first != draw(seed + 1, "direction", number)
    assert first != draw(seed, "direction", number + 1)
    assert first != draw(seed, "sample", number)


def test_a_generator_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(2).tolist()
    torch.manual_seed(0)
    draw(3, "purpose")
    assert torch.rand(2).tolist() == expected


def draw_globally(seed: int, *purpose: str | int) -> list[float]:
    """Return a number from each global generator after all were seeded for a purpose."""
    seed_all(seed, *purpose)
    return [torch.rand(1).item(), float(np.random.rand()), random.random()]


def test_the_global_generators_repeat_for_one_purpose_and_differ_for_another() -> None:
    first = draw_globally(3, "study", "arm")
    torch.rand(2), np.random.rand(2), random.random()
    assert draw_globally(3, "study", "arm") == first
    for other in (draw_globally(4, "study", "arm"), draw_globally(3, "study", "control")):
        assert all(one != another for one, another in zip(first, other, strict=True))
