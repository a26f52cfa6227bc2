"""Steering by features means what it says: each law as a property, and beside it a fault that the law must catch."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import GPT2, LLAMA, tiny_model
from features.spliced import PAIR, SETTINGS, TEXT, N, features_of, most_active, values, words
from glassbook.core.errors import VectorError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit
from glassbook.features import Dictionary, DictionaryError, Splice, splice
from glassbook.models.model import Model
from glassbook.steering.check import CheckPlan, check_vectors
from glassbook.steering.features import (
    FEATURE_OPERATORS,
    FeatureEdit,
    FeaturesPerRow,
    FeatureSteering,
    ablate_features,
    add_features,
    clamp_features,
    feature_vector,
    steer_features,
)
from glassbook.steering.sweep import sweep
from glassbook.tasks.contrast import ChoiceItem
from steering.laws import (
    Broken,
    batch_is_one_by_one,
    by_batch_row,
    cached_is_uncached,
    first_pass_only,
    ids,
    one_token_late,
    prompts,
    too_strong,
)

EXAMPLES, FEWER = settings(max_examples=15), settings(max_examples=8)
every_kind = pytest.mark.parametrize("kind", SETTINGS)
POSITIONS = ["all", "prompt", "generated", (0,), (1, 3, 20)]


def dictionary_of(model: Model, kind: str) -> Dictionary:
    """Return a dictionary of a kind, a transcoder at the MLP and any other at the stream."""
    return words(model, kind, PAIR if "transcoder" in kind else "L1.resid_post")


@dataclass(frozen=True)
class Drawn:
    """What hypothesis chose of a steering; `on` makes it, outside the strategy."""

    kind: str
    edits: tuple[FeatureEdit, ...]
    positions: str | tuple[int, ...]

    def on(self, model: Model) -> FeatureSteering:
        """Return the steering on a model."""
        return steer_features(dictionary_of(model, self.kind), self.edits, positions=self.positions)


amounts = st.sampled_from([-3.0, 0.5, 2.0, 6.0])
edits = st.lists(
    st.builds(FeatureEdit, st.integers(0, N - 1), st.sampled_from(list(FEATURE_OPERATORS)), amounts),
    min_size=1,
    max_size=4,
    unique_by=lambda edit: edit.feature,
).map(tuple)
steerings = st.builds(Drawn, st.sampled_from(list(SETTINGS)), edits, st.sampled_from(POSITIONS))


def longhand(steer: FeatureSteering, model: Model, prompt: list[int]) -> torch.Tensor:
    """Return what a steering adds at every token of a prompt, feature by feature, with no shared code."""
    dictionary, found = steer.dictionary, torch.zeros(len(prompt), steer.dictionary.d_out, dtype=torch.float64)
    features = features_of(model, dictionary, prompt)
    for position in range(len(prompt)):
        if steer.positions == "generated" or (isinstance(steer.positions, tuple) and position not in steer.positions):
            continue
        for edit in steer.edits:
            f = float(features[position, edit.feature])
            v = {"add": f + edit.amount, "clamp": edit.amount, "ablate": f - edit.amount * f}.get(
                edit.operator, f + edit.amount * f
            )
            found[position] += (v - f) * dictionary.W_dec[edit.feature].double()
    return found


def moves_as_asked(model: Model, steer: object, asked: FeatureSteering, prompt: list[int]) -> None:
    """The stream moves by the sum of (v - f) W_dec where the steering acts, and keeps its bits elsewhere."""
    written = asked.sites[1]
    before, after = values(model, written, prompt), values(model, written, prompt, steer)
    wanted = longhand(asked, model, prompt)
    for position in range(len(prompt)):
        if not wanted[position].any():
            assert torch.equal(after[position], before[position]), f"token {position} was touched"
        miss = (after[position].double() - before[position].double() - wanted[position]).norm()
        size = before[position].norm() + wanted[position].norm()
        assert float(miss) <= 2e-6 * float(size), f"token {position} is off by {miss:.2g}"


@EXAMPLES
@given(spec=steerings, prompt=ids)
def test_the_stream_moves_by_the_change_of_each_feature_along_its_direction(spec: Drawn, prompt: list) -> None:
    model = tiny_model()
    steer = spec.on(model)
    moves_as_asked(model, steer, steer, prompt)


def first_feature_twice(edit: Edit) -> Edit:
    """Read the stream again after it was moved: what was added is added to."""
    return Edit(edit.site, lambda value, span: edit.change(edit.change(value, span), span), edit.touches)


@pytest.mark.parametrize("fault", [too_strong, one_token_late, first_feature_twice])
def test_the_law_of_the_change_catches_a_thousandth_too_much_the_wrong_token_and_a_second_time(fault: object) -> None:
    model = tiny_model()
    right = add_features(words(model), {most_active(model, words(model), TEXT)[0]: 3.0}, positions=(1, 3))
    moves_as_asked(model, right, right, TEXT)
    with pytest.raises(AssertionError):
        moves_as_asked(model, Broken(right, fault), right, TEXT)


@every_kind
def test_the_reconstruction_without_its_error_term_breaks_the_law_of_the_change(kind: str) -> None:
    model = tiny_model()
    dictionary = dictionary_of(model, kind)
    right = clamp_features(dictionary, {3: 4.0})
    moves_as_asked(model, right, right, TEXT)

    def clamped(features: torch.Tensor, span: object) -> torch.Tensor:
        changed = features.clone()
        changed[..., 3] = 4.0
        return changed

    spliced = Splice(dictionary=dictionary, read=right.sites[0], written=right.sites[1], change=clamped)
    moves_as_asked(model, spliced, right, TEXT)
    with pytest.raises(AssertionError):
        moves_as_asked(model, splice(dictionary, change=clamped, error=False)[0], right, TEXT)


@every_kind
@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
def test_a_feature_that_keeps_its_value_changes_no_bit_and_another_value_does(architecture: str, kind: str) -> None:
    model = tiny_model(architecture)
    dictionary = dictionary_of(model, kind)
    plain, features = model([TEXT]), features_of(model, dictionary, TEXT)
    (active,) = most_active(model, dictionary, TEXT)
    never = int((features == 0).all(0).nonzero()[0]) if bool((features == 0).all(0).any()) else None
    for position in range(len(TEXT)):
        same = clamp_features(dictionary, {active: float(features[position, active])}, positions=(position,))
        assert torch.equal(model([TEXT], steer=same), plain)
    idle = [add_features(dictionary, {active: 0.0}), steer_features(dictionary, [FeatureEdit(active, "scale", 0.0)])]
    if never is not None:
        idle += [ablate_features(dictionary, [never]), clamp_features(dictionary, {never: 0.0})]
    for steer in idle:
        assert torch.equal(model([TEXT], steer=steer), plain)
    for steer in (ablate_features(dictionary, [active]), add_features(dictionary, {active: 1.0})):
        assert float((model([TEXT], steer=steer) - plain).abs().max()) > 1e-4, "the control"


def test_adding_nothing_touches_no_token_and_adding_something_all() -> None:
    model = tiny_model()
    for amount, expected in ((0.0, False), (1.0, True)):
        one = model.complete([TEXT], steer=add_features(words(model), {2: amount}), max_new_tokens=3)[0]
        assert one.touched[:-1] == [expected] * (len(one.touched) - 1)


@EXAMPLES
@given(spec=steerings, prompt=ids)
def test_a_set_moves_the_stream_by_the_sum_of_what_its_features_do(spec: Drawn, prompt: list) -> None:
    model = tiny_model()
    whole = spec.on(model)
    parts = [steer_features(whole.dictionary, [edit], positions=whole.positions) for edit in whole.edits]
    site, plain = whole.sites[1], values(model, whole.sites[1], prompt)
    together = values(model, site, prompt, whole) - plain
    summed = sum(values(model, site, prompt, part) - plain for part in parts)
    assert torch.allclose(together, summed, atol=1e-5 * float(plain.abs().max() + 1))
    joined = parts[0]
    for part in parts[1:]:
        joined = joined + part
    assert torch.equal(values(model, site, prompt, joined), values(model, site, prompt, whole))


def test_features_that_read_each_other_s_change_break_the_law_of_the_sum() -> None:
    model = tiny_model()
    dictionary = words(model)
    first, second = most_active(model, dictionary, TEXT, 2)
    one, other = add_features(dictionary, {first: 30.0}), ablate_features(dictionary, [second])
    together, in_turn = (values(model, "L1.resid_post", TEXT, steer) for steer in (one + other, [one, other]))
    assert float((together - in_turn).abs().max()) > 1e-2


@FEWER
@given(spec=steerings, rows=prompts)
def test_generation_step_by_step_is_a_whole_pass(spec: Drawn, rows: list) -> None:
    model = tiny_model()
    cached_is_uncached(model, spec.on(model), rows)


@every_kind
def test_the_cache_law_catches_features_that_forget_generated_tokens(kind: str) -> None:
    model = tiny_model()
    steer = clamp_features(dictionary_of(model, kind), {1: 5.0})
    cached_is_uncached(model, steer, [TEXT])
    with pytest.raises(AssertionError):
        cached_is_uncached(model, Broken(steer, first_pass_only), [TEXT])


@FEWER
@given(parts=st.lists(st.tuples(ids, st.none() | steerings), min_size=1, max_size=4))
def test_one_batch_holds_other_features_of_other_dictionaries_in_each_row(parts: list) -> None:
    model, rows = tiny_model(), [row for row, _ in parts]
    steers = [spec and spec.on(model) for _, spec in parts]
    batch_is_one_by_one(model, steers, FeaturesPerRow(steers), rows)


def test_the_batch_law_catches_a_row_that_gets_the_features_of_another() -> None:
    model = tiny_model()
    steers = [clamp_features(words(model), {1: 5.0}), clamp_features(words(model), {2: 5.0}), None]
    rows = [TEXT, TEXT[:3], TEXT]
    batch_is_one_by_one(model, steers, FeaturesPerRow(steers), rows)
    with pytest.raises(AssertionError):
        batch_is_one_by_one(model, steers, Broken(FeaturesPerRow(steers), by_batch_row), rows)
    with pytest.raises(VectorError, match="3 vectors for 1 prompts"):
        model([TEXT], steer=FeaturesPerRow(steers))


@every_kind
def test_adding_to_a_feature_is_its_vector_bit_for_bit_and_another_s_is_not(kind: str) -> None:
    model = tiny_model()
    dictionary = dictionary_of(model, kind)
    vector, other = (2.5 * feature_vector(dictionary, feature) for feature in (7, 8))
    added = model([TEXT], steer=add_features(dictionary, {7: 2.5}))
    assert torch.equal(added, model([TEXT], steer=vector))
    assert not torch.equal(added, model([TEXT], steer=other)), "the control"
    assert vector.site == Site.parse(dictionary.facts.get("site_out", dictionary.facts["site"]))
    assert (vector.identity, vector.made["feature"]) == (model.identity, 7)


def test_a_feature_s_vector_goes_through_check_and_sweep_with_all_controls() -> None:
    model = tiny_model()
    vector = feature_vector(words(model), most_active(model, words(model), TEXT)[0])
    items = [ChoiceItem(f"It is {n} and", " glad", " sad") for n in range(6)]
    windows = [[(7 * i + n) % 250 for i in range(20)] for n in range(4)]
    plan = CheckPlan(n_random=3, prompts=("It is",), max_new_tokens=2)
    report = check_vectors(model, 3 * vector, items, windows, label="feature", plan=plan)
    assert report.effect is not None and len(report.effect.randoms) == len(report.random_costs) == 3
    assert report.effect.steered != report.effect.unsteered and report.effect.flipped != report.effect.steered
    small = {"n_items": 4, "n_windows": 2, "window": 12, "n_random": 19, "n_tokens": 2, "prompts": ("It is",)}
    found = sweep(model, vector, [1], (1.0, 2.0), items=items, instruction="", **small)
    assert len(found.grid) == 2 and found.vector.made["feature"] == vector.made["feature"]
    assert found.vector.site == vector.site and len(found.chosen.randoms) == 19


@pytest.mark.parametrize("site", ["L1.z", "L1.H2.z", "L0.mlp_post", "embed", "L2.mlp_out"])
def test_features_steer_wherever_a_dictionary_can_be(site: str) -> None:
    model = tiny_model()
    dictionary = words(model, "jumprelu", site)
    (active,) = most_active(model, dictionary, TEXT)
    steer = ablate_features(dictionary, [active]) + add_features(dictionary, {(active + 1) % N: 2.0})
    moves_as_asked(model, steer, steer, TEXT)
    if site == "L1.z":
        with pytest.raises(VectorError, match="writes to all heads at once"):
            feature_vector(dictionary, active)
    else:
        assert torch.equal(
            model([TEXT], steer=feature_vector(dictionary, active)),
            model([TEXT], steer=add_features(dictionary, {active: 1.0})),
        )


def test_directions_of_other_s_choice_take_the_same_change_of_the_same_features() -> None:
    model = tiny_model()
    dictionary = words(model)
    (active,) = most_active(model, dictionary, TEXT)
    steer, plain = ablate_features(dictionary, [active]), values(model, "L1.resid_post", TEXT)
    row = torch.randn(1, dictionary.d_out, generator=torch.Generator().manual_seed(3))
    row *= steer.written.norm() / row.norm()
    own, other = (values(model, "L1.resid_post", TEXT, one) - plain for one in (steer, steer.along(row)))
    assert torch.allclose(own.norm(dim=-1), other.norm(dim=-1), atol=1e-4) and float(own.norm()) > 0.1
    assert not torch.allclose(own, other, atol=1e-2), "the control"
    with pytest.raises(DictionaryError, match="directions of that shape"):
        steer.along(row[:, 1:])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_dictionary_in_half_precision_leaves_a_wider_stream_alone_where_nothing_changes(dtype: torch.dtype) -> None:
    model = tiny_model()
    dictionary = words(model, "jumprelu", seed=4).to(dtype)
    features, plain = features_of(model, dictionary, TEXT), values(model, "L1.resid_post", TEXT)
    (active,) = most_active(model, dictionary, TEXT)
    steer = ablate_features(dictionary, [active])
    after = values(model, "L1.resid_post", TEXT, steer)
    silent = features[:, active] == 0
    assert bool(silent.any()) and not bool(silent.all())
    assert torch.equal(after[silent], plain[silent])
    wanted = -features[:, active, None].float() * dictionary.W_dec[active].float()
    assert torch.allclose(after - plain, wanted, atol=1e-5)
    dictionary.float()


def test_the_first_token_is_spared_where_training_never_saw_one_unless_it_is_asked_for() -> None:
    model = tiny_model()
    dictionary = words(model, "jumprelu", seed=5)
    (active,) = most_active(model, dictionary, TEXT)

    def moved(**how: object) -> list[bool]:
        steer = clamp_features(dictionary, {active: 9.0}, **how)
        changed = values(model, "L1.resid_post", TEXT, steer) != values(model, "L1.resid_post", TEXT)
        one = model.complete([TEXT], steer=steer, max_new_tokens=1)[0]
        assert one.touched[: len(TEXT)] == changed.any(-1).tolist()
        return one.touched[: len(TEXT)]

    assert moved() == [True] * len(TEXT)
    dictionary.facts["harvest"] = {"policy": {"drop_start": True}}
    assert moved() == moved(positions="prompt") == [False, *[True] * (len(TEXT) - 1)]
    assert moved(positions=(0, 2)) == [i in (0, 2) for i in range(len(TEXT))]
    dictionary.facts["harvest"] = {"policy": {"drop_start": False}}
    assert moved() == [True] * len(TEXT)
