"""What steering does as numbers: log-odds and perplexity against longhand, and the sentence made of them."""

import math
from dataclasses import replace

import pytest
import torch

from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.core.taps import Taps
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts
from glassbook.models.scoring import perplexity
from glassbook.steering.comparison import Effect, complete_both, conclude, mean_perplexity, measure_effect, say
from glassbook.steering.effects import choice_log_odds
from glassbook.steering.fluency import completion_perplexity, perplexity_ratio
from glassbook.steering.vectors import SteeringVector
from glassbook.tasks.contrast import ChoiceItem
from steering.laws import drawn

architectures = pytest.mark.parametrize("architecture", [GPT2, LLAMA])
ONE_TOKEN = [ChoiceItem("in the sun", "a", "b"), ChoiceItem("cold", " the", "n")]
LONG = [ChoiceItem("in the sun", " is", " was not"), ChoiceItem("cold", "er", "x"), ChoiceItem("on", " the", " in")]
WINDOWS = [[1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15, 16]]


def vector_on(model: Model, **changes: object) -> SteeringVector:
    """Return a vector at the middle layer."""
    values = drawn(model, "L1.resid_pre", 0)
    return SteeringVector(site=Site("resid_pre", 1), values=values, identity=model.identity, **changes)


def longhand(model: Model, item: ChoiceItem, steer: SteeringVector | None, bos: bool | None = None) -> float:
    """Return log p(positive) - log p(negative), a pass for each option, its tokens scored as generated."""
    prompt, odds = model.read(item.prompt, bos).row(0), []
    for option in (item.positive, item.negative):
        tokens = model.tokenizer.encode(option)
        total = 0.0
        for i, token in enumerate(tokens):
            row = prompt + tokens[:i]
            logits = model.run(Prompts.of([row]), Taps(edits=model.edits_of(steer)), [len(prompt)])[0, -1]
            total += float(logits.log_softmax(-1)[token])
        odds.append(total)
    return odds[0] - odds[1]


@architectures
@pytest.mark.parametrize("items", [ONE_TOKEN, LONG], ids=["one token", "several tokens"])
@pytest.mark.parametrize("positions", ["all", "prompt", "generated", (0,)])
def test_log_odds_are_those_of_a_pass_for_each_option(
    architecture: str, items: list[ChoiceItem], positions: object
) -> None:
    model = tiny_model(architecture)
    vector = vector_on(model, positions=positions)
    steers = [None, vector, 2.0 * vector.with_(site=Site("resid_mid", 2))]
    if positions == "generated" and items is ONE_TOKEN:
        # The choice is made before anything is generated: an effect of exactly 0 would be no measurement.
        with pytest.raises(InputError, match=r"touches no token of the prompts.*give options of several tokens"):
            choice_log_odds(model, items, steers)
        return
    odds = choice_log_odds(model, items, steers)
    for row, steer in zip(odds, steers, strict=True):
        expected = [longhand(model, item, steer) for item in items]
        assert row.tolist() == pytest.approx(expected, abs=1e-3)
    assert float((odds[1] - odds[0]).abs().max()) > 1e-3, "the control: the vector does something"


@architectures
def test_steering_the_embeddings_is_measured_like_any_other_site(architecture: str) -> None:
    model = tiny_model(architecture)
    vector = vector_on(model).with_(site=Site("embed"))
    odds = choice_log_odds(model, LONG, [None, vector])
    assert odds[1].tolist() == pytest.approx([longhand(model, item, vector) for item in LONG], abs=1e-3)
    assert not torch.allclose(odds[0], odds[1], atol=1e-2)


def test_every_row_begins_alike_if_any_steering_needs_the_document_start() -> None:
    model = tiny_model()
    needs = vector_on(model, needs_bos=True)
    odds = choice_log_odds(model, ONE_TOKEN, [None, needs])
    assert odds[0].tolist() == pytest.approx([longhand(model, item, None, True) for item in ONE_TOKEN], abs=1e-3)
    bare = choice_log_odds(model, ONE_TOKEN, [None])
    assert not torch.allclose(odds[0], bare[0], atol=1e-2), "the control: the document start matters"


def test_many_items_are_measured_as_few_are() -> None:
    model = tiny_model()
    many = choice_log_odds(model, ONE_TOKEN * 40, [vector_on(model)])
    few = choice_log_odds(model, ONE_TOKEN, [vector_on(model)])
    assert torch.allclose(many[0], few[0].repeat(40), atol=1e-4)
    with pytest.raises(InputError, match="there are no items to choose on; give at least one prompt"):
        choice_log_odds(model, [], [None])


def test_an_instruction_stands_before_the_prompt() -> None:
    model = tiny_model()
    told = choice_log_odds(model, ONE_TOKEN, instruction="on ")
    written = [replace(item, prompt="on " + item.prompt) for item in ONE_TOKEN]
    assert torch.equal(told, choice_log_odds(model, written))


@architectures
def test_the_perplexity_ratio_is_steered_over_plain(architecture: str) -> None:
    model = tiny_model(architecture)
    vector = vector_on(model)
    tokens = [token for window in WINDOWS for token in window]
    expected = perplexity(model, tokens, 8, steer=vector) / perplexity(model, tokens, 8)
    assert perplexity_ratio(model, WINDOWS, vector) == pytest.approx(expected, rel=1e-4)
    assert perplexity_ratio(model, WINDOWS, 0.0 * vector) == 1.0
    assert abs(expected - 1) > 1e-2, "the control: this vector costs something"


def test_a_vector_for_generated_tokens_meets_the_text_as_if_it_were_being_written() -> None:
    model = tiny_model()
    vector = vector_on(model, positions="generated")
    later = vector.with_(positions=tuple(range(1, 8)))
    assert perplexity_ratio(model, WINDOWS, vector) == pytest.approx(perplexity_ratio(model, WINDOWS, later), rel=1e-6)
    assert abs(perplexity_ratio(model, WINDOWS, vector) - 1) > 1e-3, "the control: it costs something"


def test_a_window_shorter_than_the_front_counts_for_nothing() -> None:
    model = tiny_model()
    values = torch.randn(5, 32, generator=torch.Generator().manual_seed(1))
    vector = vector_on(model).with_(values=values, positions="front")
    long = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    alone = perplexity_ratio(model, [long], vector)
    assert perplexity_ratio(model, [long, [1, 2, 3]], vector) == pytest.approx(alone, rel=1e-5)
    with pytest.raises(InputError, match="leave nothing to score"):
        perplexity_ratio(model, [[1, 2, 3]], vector)


def test_predictions_at_the_touched_front_are_left_out_of_the_ratio() -> None:
    model = tiny_model()
    vector = vector_on(model).with_(positions="front", values=drawn(model, "L1.resid_pre", 0, 3), needs_bos=True)
    rows = [[261, *window] for window in WINDOWS]
    total = 0.0
    for row in rows:
        steered, plain = (model([row], steer=steer)[0].log_softmax(-1) for steer in (vector, None))
        total += sum(float(plain[i, row[i + 1]] - steered[i, row[i + 1]]) for i in range(3, 8))
    assert perplexity_ratio(model, WINDOWS, vector) == pytest.approx(math.exp(total / 10), rel=1e-4)
    with pytest.raises(InputError, match="leave nothing to score after 3 steered ones; use longer windows"):
        perplexity_ratio(model, [[1, 2, 3]], vector)


def test_the_perplexity_of_a_completion_is_that_of_its_own_tokens() -> None:
    model = tiny_model()
    logs = model([[1, 2, 3, 4]])[0].log_softmax(-1)
    expected = math.exp(-float(logs[1, 3] + logs[2, 4]) / 2)
    assert completion_perplexity(model, [1, 2], [3, 4]) == pytest.approx(expected, rel=1e-5)
    assert math.isnan(completion_perplexity(model, [1, 2], []))


def test_a_completion_that_fills_the_context_can_be_scored() -> None:
    model = tiny_model()
    plain, steered = complete_both(model, "x" * 40, vector_on(model), max_new_tokens=30, stop_at_eos=False)
    assert plain.completion.stopped_by == steered.completion.stopped_by == "context"
    assert plain.perplexity > 0 and steered.perplexity > 0
    assert mean_perplexity([plain, steered]) == pytest.approx(math.sqrt(plain.perplexity * steered.perplexity))
    assert plain.completion.tokens != steered.completion.tokens
    assert not any(plain.completion.touched)
    assert any(steered.completion.touched)


def test_an_effect_is_measured_beside_its_controls() -> None:
    model, seen = tiny_model(), []
    vector = vector_on(model)
    effect = measure_effect(
        model, vector, LONG, label="Vector", n_random=4, instruction="on ", progress=lambda *said: seen.append(said)
    )
    assert effect.unsteered == pytest.approx(choice_log_odds(model, LONG)[0].tolist(), abs=1e-4)
    assert effect.steered == pytest.approx(choice_log_odds(model, LONG, [vector])[0].tolist(), abs=1e-4)
    assert effect.flipped == pytest.approx(choice_log_odds(model, LONG, [-vector])[0].tolist(), abs=1e-4)
    assert effect.prompted == choice_log_odds(model, LONG, instruction="on ")[0].tolist()
    assert len(effect.randoms) == 4 and len({tuple(values) for values in effect.randoms}) == 4
    assert seen[-1] == ("directions", 7, 7)
    again = measure_effect(model, vector, LONG, label="Vector", n_random=4)
    assert again.randoms == effect.randoms and again.prompted is None
    with pytest.raises(InputError, match="n_random = 0 cannot be used; an effect is held against at least one"):
        measure_effect(model, vector, LONG, label="Vector", n_random=0)


def made_up(steered: float, flipped: float, randoms: list[float], prompted: float | None) -> Effect:
    """Return an effect over two items whose unsteered log-odds are 1 and 3."""
    both = [1.0, 3.0]
    return Effect(
        label="ActAdd",
        unsteered=both,
        steered=[x + steered for x in both],
        flipped=[x + flipped for x in both],
        randoms=[[x + shift for x in both] for shift in randoms],
        prompted=None if prompted is None else [x + prompted for x in both],
        instruction="Be kind. ",
    )


@pytest.mark.parametrize(
    ("effect", "works", "words"),
    [
        (made_up(2.0, -1.0, [0.5, -0.5], 1.0), True, ["by +2.00 nats", "than 2 of 2", "by -1.00", "did less (+1.00)"]),
        (made_up(2.0, -1.0, [0.5, -0.5], 3.0), True, ["did better (+3.00)", "“Be kind.”"]),
        (made_up(2.0, -1.0, [2.5, -0.5], None), False, ["than 1 of 2", "This is a defeat"]),
        (made_up(2.0, 0.5, [0.5, -0.5], None), False, ["This is a defeat"]),
        (made_up(-1.0, -2.0, [-3.0, -4.0], None), False, ["than 2 of 2", "This is a defeat"]),
    ],
)
def test_the_sentence_says_what_was_measured_and_names_a_defeat(effect: Effect, works: bool, words: list[str]) -> None:
    sentence = say(effect, 1.25)
    assert effect.works == works == effect.to_dict()["works"]
    assert all(word in sentence for word in [*words, "became 1.250 times"]), sentence
    assert ("defeat" in sentence) != works
    assert ("prompting" in sentence) == (effect.prompted is not None)
    brief = conclude([(effect, 1.25)])
    assert ("did not stand out" in brief) != works
    assert ("lost to a plain instruction" in brief) == (effect.prompting_shift == 3.0)
