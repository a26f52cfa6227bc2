"""The protocol of activation addition against a restatement, and the study's own rules: choice, band, dose, words."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conformance.tiny import tiny_model
from glassbook.core.errors import InputError
from glassbook.evidence import read_claims
from glassbook.sources.obtain import is_cached
from glassbook.steering import random_like
from glassbook.steering.recipes import actadd, padded_pair
from glassbook.studies.activation_addition import arms, material, texts
from glassbook.studies.activation_addition.bench import Bench, keep_choice, read_choice
from glassbook.studies.activation_addition.choosing import choice_of
from glassbook.studies.activation_addition.opening import opened
from glassbook.studies.activation_addition.perplexity import band, measure_random, rise
from glassbook.studies.activation_addition.ratios import SentenceGauge, pooled
from glassbook.studies.activation_addition.reading import NextTokens, ranks, single_tokens
from glassbook.studies.activation_addition.settings import GPU, LAPTOP, SMOKE, TINY, layer_at
from glassbook.studies.activation_addition.study import ActivationAddition
from glassbook.studies.activation_addition.writing import Writer, write
from glassbook.studies.contract import Cell
from glassbook.studies.finding import folder_of

TOPIC, NOTHING = " hot", " "
TEXTS = {
    "wedding": [[12, 40, 71, 9, 33, 5], [60, 61, 62, 7], [100, 3, 90, 14, 15, 16, 80]],
    "shipping": [[2, 3, 4, 5, 6], [50, 49, 48]],
}
needs_texts = pytest.mark.skipif(
    not (is_cached(texts.TEXTS) and is_cached(texts.LEXICON)), reason="the paper's texts are not at hand"
)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def gauge(model):
    return SentenceGauge(model, TEXTS, front=len(padded_pair(model, TOPIC, NOTHING)[0]))


def by_hand(model, front, vector, layer):
    """Return the perplexity ratio of each text, token by token: no batches, no prefixes, no sentence weights."""
    start, space = model.tokenizer.document_start_id, model.to_single_token(" ")
    gained = {name: [] for name in TEXTS}
    for name, sentences in TEXTS.items():
        for ids in sentences:
            row = [start, *[space] * (front - 1), *ids]
            plain, steered = (_log_probs(model, row, vec, layer) for vec in (None, vector))
            for place in range(front, len(row) - 1):
                gained[name].append(float(steered[place, row[place + 1]] - plain[place, row[place + 1]]))
    return {name: math.exp(-sum(rows) / len(rows)) for name, rows in gained.items()}


def _log_probs(model, row, vector, layer):
    def push(module, given):
        resid, *rest = given
        if vector is not None:
            resid = resid.clone()
            resid[:, : len(vector)] += vector
        return (resid, *rest)

    handle = model.net.blocks[layer].register_forward_pre_hook(push)
    try:
        with torch.no_grad():
            return model.net(torch.tensor([row]))[0].double().log_softmax(-1)
    finally:
        handle.remove()


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_mean_of_a_column_is_the_logarithm_of_the_ratio_of_all_tokens_taken_one_by_one(model, gauge, layer):
    vector = 3.0 * actadd(model, TOPIC, NOTHING, f"L{layer}.resid_pre")
    (logs,) = gauge.log_ratios([vector])
    wanted = by_hand(model, gauge.front, 3.0 * vector.table, layer)
    assert {name: math.exp(value) for name, value in pooled(logs).items()} == pytest.approx(wanted, abs=1e-4)
    unweighted = by_hand(model, gauge.front + 1, 3.0 * vector.table, layer)
    assert wanted != pytest.approx(unweighted, abs=1e-4), "a control: behind one space more it is another figure"


def test_at_layer_0_and_coefficient_1_the_vector_is_the_prompt_and_higher_up_it_is_not(model, gauge):
    first, second = (actadd(model, TOPIC, NOTHING, f"L{layer}.resid_pre") for layer in (0, 1))
    (at_bottom,), (above,) = gauge.log_ratios([first]), gauge.log_ratios([second])
    behind = gauge.log_ratios_behind(TOPIC)
    for name in TEXTS:
        assert at_bottom[name] == pytest.approx(behind[name], abs=1e-4)
        assert above[name] != pytest.approx(behind[name], abs=1e-4)


def test_no_strength_moves_nothing_and_any_other_moves_something(model, gauge):
    vector = actadd(model, TOPIC, NOTHING, "L1.resid_pre")
    none, some = gauge.log_ratios([0.0 * vector, 5.0 * vector])
    assert all(np.abs(row).max() < 1e-6 for row in none.values())
    assert all(np.abs(row).max() > 1e-4 for row in some.values())


def test_steerings_measured_together_are_what_they_are_alone(model, gauge):
    vector = actadd(model, TOPIC, NOTHING, "L2.resid_pre")
    steers = [vector, -vector, random_like(vector, 0, 0)]
    together = gauge.log_ratios(steers)
    for steer, one in zip(steers, together, strict=True):
        (alone,) = gauge.log_ratios([steer])
        assert all(alone[name] == pytest.approx(one[name], abs=1e-5) for name in TEXTS)
    assert together[0]["wedding"] != pytest.approx(together[1]["wedding"], abs=1e-4)


def test_the_random_control_has_the_norm_of_the_vector_in_every_row_and_leaves_the_document_start_alone(model):
    vector = actadd(model, TOPIC, NOTHING, "L1.resid_pre")
    random = random_like(vector, 3, 1)
    assert random.table.norm(dim=-1) == pytest.approx(vector.table.norm(dim=-1), rel=1e-5)
    assert not random.table[0].any() and abs(random.cosine(vector)) < 0.9


def test_a_sentence_of_one_token_is_refused(model):
    with pytest.raises(InputError, match="one token"):
        SentenceGauge(model, {"wedding": [[5]]}, front=2)


places = st.tuples(st.integers(0, 5), st.sampled_from([1.0, 2.0, 4.0]))
small = st.floats(-0.5, 0.5)


@given(st.dictionaries(places, st.tuples(small, small), min_size=1))
def test_the_choice_is_the_most_helpful_cell_of_those_within_the_budget_and_else_the_cheapest(grid):
    chosen = choice_of(grid)
    on, off = grid[chosen.place]
    within = [cell for cell in grid.values() if abs(cell[1]) <= math.log(1.02)]
    if within:
        assert abs(off) <= math.log(1.02) and on == min(cell[0] for cell in within)
    else:
        assert abs(off) == min(abs(cell[1]) for cell in grid.values())
    assert len(chosen.grid) == len(grid)


def test_a_choice_without_a_budget_would_be_another():
    grid = {(4, 1.0): (-0.5, 0.3), (8, 1.0): (-0.1, 0.0)}
    assert choice_of(grid).place == (8, 1.0)
    assert choice_of(grid, budget=2.0).place == (4, 1.0)


def test_a_choice_is_read_back_as_it_was_kept(tmp_path):
    choice = choice_of({(4, 1.0): (-0.5, 0.3), (8, 0.25): (-0.1, 0.01)})
    keep_choice(tmp_path, choice)
    assert read_choice(tmp_path) == choice


def test_the_band_spans_the_longest_stretch_of_layers_that_help_one_text_and_leave_the_other():
    helps, not_enough, fine, hurts = math.log(0.9), math.log(0.97), math.log(1.01), math.log(1.05)
    assert band([helps] * 4, [fine] * 4, 1) == 4
    assert band([helps, helps, not_enough, helps], [fine] * 4, 1) == 2
    assert band([helps] * 4, [fine, hurts, fine, fine], 2) == 3
    assert band([helps] * 4, [hurts] * 4, 1) == band([not_enough], [fine], 2) == 0
    assert band([helps], [fine], 2) == 1


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=8, unique=True))
def test_the_dose_rises_where_each_step_helps_more_and_not_where_it_helps_less(gains):
    doses = np.arange(1.0, len(gains) + 1)
    falling = -np.sort(np.array(gains))
    assert rise(doses, falling) == pytest.approx(1.0)
    assert rise(doses, -falling) == pytest.approx(-1.0)


def test_a_layer_is_as_far_up_as_the_published_one():
    assert [layer_at(layer, 30) for layer in (0, 6, 16)] == [0, 4, 10]
    assert layer_at(16, 48) == 16


def test_the_rank_of_a_token_is_how_many_are_more_probable():
    log_probs = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]]).log()
    assert ranks(log_probs, torch.tensor([2, 2])).tolist() == [1, 1]
    assert ranks(log_probs, torch.tensor([0, 0])).tolist() == [0, 2]


def test_next_tokens_are_those_of_the_steered_model_one_prompt_at_a_time(model):
    vector = 4.0 * actadd(model, TOPIC, NOTHING, "L1.resid_pre")
    prompts = ["the hen", "on"]
    found = NextTokens(model, prompts).log_probs([None, vector])
    for number, prompt in enumerate(prompts):
        for row, steer in enumerate((None, vector)):
            alone = model(prompt, steer=steer, prepend_bos=True)[0, -1].log_softmax(-1)
            assert torch.allclose(found[row, number], alone, atol=1e-4)
    assert not torch.allclose(found[0], found[1], atol=1e-3)


def test_words_of_several_tokens_are_left_out(model):
    assert single_tokens(model, ["the", "zebra"]).tolist() == [model.to_single_token(" the")]


def test_the_material_is_in_pairs_and_no_fact_or_beginning_speaks_of_weddings():
    assert len(material.FACTS) == len({prompt for prompt, _ in material.FACTS}) == 80
    assert all(answer.startswith(" ") and not prompt.endswith(" ") for prompt, answer in material.FACTS)
    weddings = {"wedding", "bride", "groom", "married", "marriage", "vows", "honeymoon", "bridal", "altar", "aisle"}

    def speaks(text):
        return not weddings.isdisjoint(text.lower().replace(".", "").split())

    assert not any(speaks(prompt + answer) for prompt, answer in material.FACTS)
    assert not any(map(speaks, material.OPENINGS)) and not any(speaks(other) for _, other in material.WEDDING_PAIRS)
    assert sum(speaks(wedding) for wedding, _ in material.WEDDING_PAIRS) > 12


def test_gpt2_xl_is_an_arm_only_where_its_weights_are_given_and_every_other_claim_does_without():
    study = ActivationAddition()
    without, given_weights = (
        {arm.name for arm in study.arms(one)} for one in (LAPTOP, replace(LAPTOP, weights="a folder"))
    )
    assert given_weights - without == {arms.EXACT.name}
    claims = read_claims(folder_of(study) / "claims.toml").claims
    left = [claim.id for claim in claims if not claim.arms <= without]
    assert len(left) == 4 and all(name.startswith("gpt2-xl") for name in left)
    bars = {claim.paper.value: claim.bar for claim in claims if claim.id in left}
    assert bars == {value: pytest.approx((value - 0.01, value + 0.01)) for value in (0.875, 0.994, 0.89, 1.132)}
    assert GPU.weights and SMOKE.weights == TINY


@needs_texts
def test_the_paper_s_texts_are_cut_into_sentences_that_give_them_back():
    counts = {name: len(texts.sentences(name)) for name in texts.FILES}
    assert counts == {"wedding": 27, "shipping": 24, "macedonia": 24, "banana": 42}
    assert all(part[-1] in ".!?" for part in texts.sentences("wedding")[:-1])
    assert "wedding" in texts.topic_words() and len(texts.topic_words()) == 9


@needs_texts
def test_a_wedding_word_counts_as_a_word_and_ratings_follow_the_words():
    assert texts.has_topic_word("The Bride, smiling") and not texts.has_topic_word("the bridesmaids wedged it")
    assert texts.valence("a wonderful day") > 0.5 > 0 > texts.valence("a terrible day")
    assert texts.valence("") == texts.valence("of the") == 0


@pytest.fixture
def cell(tmp_path):
    return Cell("random", 2, "smoke", SMOKE, tmp_path)


@needs_texts
def test_what_a_choice_sees_is_never_told_and_the_halves_differ_from_seed_to_seed(cell):
    settings = replace(SMOKE, n_sentences=8, n_choosing=0)
    seen = []
    for seed in (0, 1):
        bench = Bench.of(replace(cell, seed=seed, settings=settings))
        for name in ("wedding", "shipping"):
            sides = [{tuple(row) for row in gauge.texts[name]} for gauge in (bench.choosing, bench.told)]
            assert len(sides[0]) == len(sides[1]) == 4 and not sides[0] & sides[1]
        seen.append(bench.told.texts["wedding"])
    assert seen[0] != seen[1]
    assert {row["name"] for row in cell.rows} == {texts.TEXTS}


@needs_texts
def test_the_random_control_s_column_is_the_mean_over_its_directions(cell):
    columns = measure_random(cell)
    assert len(columns["wedding_each"]) == SMOKE.n_random
    assert columns["told_wedding"].mean() == pytest.approx(columns["wedding_each"].mean(), abs=1e-9)
    assert columns["on_minus_off"] == pytest.approx(columns["wedding_each"] - columns["shipping_each"])
    assert cell.spent.tokens > 0 and cell.spent.parameters == sum(
        weight.numel() for weight in opened(TINY, "float32", "cpu").net.parameters()
    )


@needs_texts
def test_the_same_seed_writes_the_same_and_an_instruction_does_not_count_as_surprise(cell):
    bench, openings = Bench.of(cell), ["It was", "He said"]
    writers = {"plain": Writer([None, None]), "again": Writer([None, None]), "told": Writer([None, None], "Weddings! ")}
    columns = write(bench, openings, writers, len)
    assert columns["written_plain"] == columns["written_again"]
    assert np.array_equal(columns["surprise_plain"], columns["surprise_again"])
    assert not np.array_equal(columns["surprise_plain"], columns["surprise_told"])
