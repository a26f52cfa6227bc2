"""A sweep tells planted truths apart, scores what one-by-one scoring scores, and says in words what it found."""

import json
import math

import pytest
import torch

from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.core.errors import GlassbookError, InputError, SiteError, VectorError
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.steering.effects import choice_log_odds
from glassbook.steering.fluency import perplexity_ratio, text_costs
from glassbook.steering.sweep import sweep
from glassbook.steering.sweeps.effects import EFFECTS, ChoiceLogOdds, Frame, PerplexityRatio
from glassbook.steering.sweeps.grid import VECTOR, Directions
from glassbook.steering.sweeps.material import gather, text_windows
from glassbook.steering.sweeps.settings import Settings
from glassbook.steering.sweeps.trials import neighbors
from glassbook.steering.vector_set import VectorSet
from glassbook.steering.vectors import SteeringVector
from glassbook.tasks.contrast import ChoiceItem, ContrastSet
from steering.laws import drawn
from steering.planted import INSTRUCTION, ITEMS, TEXT, along, planted_model, quick

MIXED = [
    ChoiceItem("in the sun", " is", " was not"),
    ChoiceItem("cold", "er", "x"),
    ChoiceItem("on", " the", "n"),
    ChoiceItem("a longer prompt", "a", "b"),
    ChoiceItem("x", "ab", "ac"),
]

ALIKE = [
    ChoiceItem(f"is it so that {said}?", yes, no)
    for said, yes, no in (
        ("the sun", "y", "n"),
        ("cold", " yes", " no"),
        ("it", " (A)", " (B)"),
        ("on and on", "no", "yes"),
    )
]


@pytest.mark.parametrize(
    ("vector", "told", "verdict"),
    [
        (along(effect=1.0), "", "works"),
        (along(nothing=0.5), "", "does nothing"),
        (along(letters=4.0), "", "only breaks fluency"),
        (along(effect=40.0), "", "works but breaks fluency"),
        (along(effect=0.3), INSTRUCTION, "worse than prompting"),
        (along(effect=-1.0), "", "does nothing"),
    ],
    ids=["works", "nothing", "breaks", "both", "prompting", "backwards"],
)
def test_what_was_planted_is_what_the_verdict_says(vector: SteeringVector, told: str, verdict: str) -> None:
    found = sweep(planted_model(), vector, **quick(instruction=told))
    assert found.verdict == verdict
    assert f"{verdict}: at layer" in found.sentence
    assert found.chosen.rank is not None
    assert (f"further than {found.chosen.rank.beaten} of 20 random directions") in found.sentence
    assert found.chosen.stands_out == (verdict in ("works", "worse than prompting", "works but breaks fluency"))
    assert json.loads(json.dumps(found.to_dict()))["verdict"] == verdict
    costs = [cell.perplexity_ratio for cell in found.grid]
    if verdict == "only breaks fluency":
        assert min(costs) > found.budget and "the cheapest was taken" in found.sentence
    if verdict == "works":
        assert found.chosen.vector.effect > 2 and max(costs) < found.budget
        assert found.chosen.flipped_here.effect < 0 and found.chosen.rank.p == 1 / 21


def test_prompting_is_compared_in_words_either_way() -> None:
    weak, strong = (sweep(planted_model(), along(effect=by), **quick(instruction=INSTRUCTION)) for by in (0.3, 2.0))
    assert weak.prompting_did_better and "did better" in weak.sentence
    assert strong.prompting_did_better is False and "did less" in strong.sentence and strong.verdict == "works"
    assert weak.prompted == strong.prompted
    silent = sweep(planted_model(), along(effect=0.3), **quick())
    assert silent.prompting_did_better is None and "no plain instruction was tried" in silent.sentence


def test_everything_that_was_written_is_kept_with_its_fluency() -> None:
    found = sweep(planted_model(), along(effect=0.3), **quick(instruction=INSTRUCTION, prompts=("ab", "cde")))
    roles = [one.role for one in found.written]
    assert roles == ["unsteered", "vector", "neighbor", "neighbor", "flipped", *["random"] * 20, "prompted"]
    plain, vector = found.written[:2]
    assert plain.completions == ("cdefgh", "fghabc") and plain.perplexity == pytest.approx(1.0, abs=0.02)
    assert (plain.perplexity_ratio, plain.kl, plain.repetition) == (1.0, 0.0, 0.0)
    assert (vector.layer, vector.strength) == (found.chosen.vector.cell.layer, found.chosen.vector.cell.strength)
    assert vector.perplexity_ratio == found.chosen.vector.perplexity_ratio
    broken = sweep(planted_model(), along(effect=40.0), **quick(prompts=("ab",))).written[1]
    assert broken.completions == ("PPPPPP",) and broken.perplexity > 50 and broken.distinct_1 == 1 / 6


@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
@pytest.mark.parametrize("positions", ["all", "prompt", "generated", "front", (1, 14)])
@pytest.mark.parametrize("items", [MIXED, ALIKE], ids=["mixed", "alike"])
def test_scores_of_the_grid_are_those_of_one_steering_at_a_time(
    architecture: str, positions: object, items: list[ChoiceItem]
) -> None:
    model = tiny_model(architecture)
    vectors = [_vector(model, layer, positions) for layer in range(3)]
    frame, steers = Frame.around(vectors), [by * vector for vector in vectors for by in (1.0, -2.0)]
    measure = ChoiceLogOdds(model, items, frame)
    expected = choice_log_odds(model, items, steers)
    for i in range(0, 6, 2):
        found = measure.scores(steers[i : i + 2])
        assert torch.allclose(
            torch.tensor([one.values for one in found]).double(), expected[i : i + 2].double(), atol=1e-3
        )
    assert (measure.passages.shared >= 12) == (items is ALIKE)
    whole = ChoiceLogOdds(model, items, frame, reuse=False).scores(steers)
    assert torch.allclose(torch.tensor([one.values for one in whole]).double(), expected.double(), atol=1e-3)
    plain = choice_log_odds(model, items, [None], prepend_bos=frame.bos)
    assert measure.scores([None])[0].values == pytest.approx(plain[0].tolist(), abs=1e-3)
    assert float((expected - plain).abs().max()) > 1e-2, "the control: the vectors do something"


@pytest.mark.parametrize("positions", ["all", "front", "generated"])
def test_the_perplexity_of_a_topic_is_that_of_the_actadd_protocol(positions: str) -> None:
    model = tiny_model()
    windows = [[1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15, 16]]
    vector = _vector(model, 1, positions)
    measure = PerplexityRatio(model, windows, Frame.around([vector]))
    plain, steered = measure.scores([None, vector])
    mean = sum(a - b for a, b in zip(steered.values, plain.values, strict=True)) / 2
    assert math.exp(-mean) == pytest.approx(perplexity_ratio(model, windows, vector), rel=1e-4)
    assert abs(mean) > 1e-4, "the control: it costs something"
    told = PerplexityRatio(model, windows, Frame(), instruction="on").scores([None])[0].values
    row = model.read("on", False).row(0) + windows[0]
    logs = model([row])[0].log_softmax(-1)
    at = len(row) - 8
    assert told[0] == pytest.approx(sum(float(logs[at + i - 1, i + 1]) for i in range(1, 8)) / 7, abs=1e-4)


@pytest.mark.slow
def test_a_function_of_the_text_is_an_effect_and_where_it_raises_the_cell_is_marked() -> None:
    settings = quick(items=["ab", "cd", "ef", "bc", "de", "gh"], strengths=(1, 20))
    found = sweep(planted_model(), along(effect=1.0), effect=lambda text: text.count("P"), **settings)
    assert {(cell.strength, cell.effect) for cell in found.grid} == {(1.0, 0.0), (20.0, 6.0)}

    def fussy(text: str) -> float:
        if "P" in text:
            raise ValueError("no capitals\nplease")
        return float(len(text))

    marked = sweep(planted_model(), along(effect=1.0), effect=fussy, **settings)
    failures = {cell.strength: (cell.effect, cell.failure) for cell in marked.grid}
    assert failures[1.0] == (0.0, "")
    assert failures[20.0][0] is None
    assert failures[20.0][1] == "the function 'fussy' raised ValueError: no capitals on the completion of item 0"
    assert marked.effect == "fussy" and marked.chosen.vector.cell.strength == 1.0
    with pytest.raises(InputError, match=r"every cell of the grid failed.*'fussy' raised ValueError: no capitals"):
        sweep(planted_model(), along(effect=1.0), effect=fussy, **settings | {"strengths": (20, 30)})
    with pytest.raises(InputError, match=r"what the function '<lambda>' returned of item 0 is nan"):
        sweep(planted_model(), along(effect=1.0), effect=lambda text: math.nan, **settings)


def test_every_random_direction_has_the_norm_of_the_vector_at_each_layer_and_points_its_own_way() -> None:
    vectors = {layer: along(effect=1.0 + layer).with_(site=Site("resid_post", layer)) for layer in (0, 1)}
    directions = Directions(vectors, 0, 20)
    assert len(directions.randoms) == 20
    for name in directions.randoms:
        low, high = (directions.steer(name, (layer, 2.0)) for layer in (0, 1))
        assert (low.norm, high.norm) == (pytest.approx(1.0), pytest.approx(2.0)) and low.strength == 2.0
        assert abs(float(torch.cosine_similarity(low.values, high.values, 0))) < 0.9
    assert directions.steer("flipped", (1, 2.0)).strength == -2.0
    assert directions.steer(VECTOR, (1, 2.0)).strength == 2.0


@pytest.mark.parametrize(
    ("places", "chosen", "expected"),
    [
        ([(4, 1.0), (4, 2.0), (4, 4.0)], (4, 2.0), [(4, 1.0), (4, 4.0)]),
        ([(4, 1.0), (4, 2.0), (5, 1.0), (5, 2.0)], (4, 2.0), [(4, 1.0), (5, 2.0)]),
        ([(3, 1.0), (4, 1.0), (5, 1.0), (9, 1.0)], (4, 1.0), [(5, 1.0), (3, 1.0)]),
        ([(4, 1.0), (4, 2.0)], (4, 1.0), [(4, 2.0)]),
        ([(4, 1.0)], (4, 1.0), []),
    ],
)
def test_neighbors_are_in_strength_and_at_an_edge_in_layer(
    places: list[tuple[int, float]], chosen: tuple[int, float], expected: list[tuple[int, float]]
) -> None:
    assert neighbors(places, chosen) == expected


def test_directions_are_made_from_rows_that_no_item_asks_for() -> None:
    model, seen = planted_model(), []
    rows = [(f"{a}{b}", "P", "N") for a in "abcdefgh" for b in "abc"]
    pairs = ContrastSet("made up", tuple(p + yes for p, yes, _ in rows), tuple(p + no for p, _, no in rows), "CC0", "")
    items = [ChoiceItem(*row) for row in rows]
    settings = Settings(items=items, n_items=10, n_pairs=8, text=TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "glassbook.steering.sweeps.material.directions",
            lambda model, positives, *rest: seen.extend(positives) or VectorSet((along(effect=1.0),)),
        )
        made = gather(model, pairs, [1], "choice-log-odds", settings)
    asked = {item.prompt for item in (*made.choosing, *made.reporting)}
    assert len(made.choosing) == len(made.reporting) == 5 and len(asked) == 10
    assert "8 of the 24 pairs of “made up”, none of them among the items" in made.split
    assert len(seen) == 8 and not asked & {text[:-1] for text in seen}
    with pytest.raises(InputError, match="every pair of 'made up' is among the items; lower n_items"):
        gather(model, pairs, [1], "choice-log-odds", Settings(items=items, text=TEXT))


def test_a_set_is_swept_layer_by_layer_or_as_one() -> None:
    vectors = VectorSet(tuple(along(effect=0.5).with_(site=Site("resid_post", layer)) for layer in (0, 2)))
    each = sweep(planted_model(), vectors, **quick(layers=None))
    assert each.layers == (0, 2)
    both = sweep(planted_model(), vectors, **quick(layers=None, together=True))
    assert both.layers == (0,) and isinstance(both.vector, VectorSet)
    assert both.cell(0, 0.5).effect == pytest.approx(each.cell(0, 1.0).effect, rel=1e-4), "two halves make a whole"
    with pytest.raises(VectorError, match="no vector at layer 1; it has them at layers"):
        sweep(planted_model(), vectors, **quick(layers=(0, 1)))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"layers": ()}, InputError, "the range of layers is empty; give some of 0 to 2"),
        ({"layers": (1, 7)}, SiteError, "7"),
        ({"strengths": ()}, InputError, "there are no strengths to try"),
        ({"strengths": (0, 1)}, InputError, "strength 0 cannot be swept"),
        ({"n_random": 5}, InputError, "5 random directions cannot tell an effect from chance; give at least 19"),
        ({"budget": 0}, InputError, "a budget of 0 cannot be kept"),
        ({"items": ITEMS[:3]}, InputError, "3 items make no two halves; give at least 4"),
        ({"items": None}, InputError, "no items go with these pairs by name; give items="),
        ({"effect": "choise-log-odds"}, GlassbookError, "did you mean 'choice-log-odds'"),
        ({"text": ["abc"]}, InputError, "do not fill two windows"),
        ({"effect": "perplexity-ratio", "items": None}, InputError, "needs texts about the topic"),
        ({"positions": "generated"}, InputError, "before anything is generated; give options of several tokens"),
    ],
)
def test_what_cannot_be_swept_is_refused_in_a_sentence(
    changes: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        sweep(planted_model(), along(effect=1.0), **quick(**changes))


def test_pairs_that_say_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        sweep(planted_model(), (["ab", ""], ["cd", "ef"]), **quick())
    with pytest.raises(VectorError, match="zero"):
        sweep(planted_model(), (["ab"], ["ab"]), **quick())
    with pytest.raises(VectorError, match="is zero"):
        sweep(planted_model(), along(), **quick())
    other = along(effect=1.0).with_(identity=tiny_model().identity)
    with pytest.raises(VectorError, match="not the same model"):
        sweep(planted_model(), other, **quick())


def test_the_two_halves_share_neither_items_nor_text_and_costs_are_those_of_text_costs() -> None:
    model = planted_model()
    found = sweep(model, along(effect=1.0), **quick())
    windows = text_windows(model, TEXT, 4, 24)
    cell = found.chosen.vector.cell
    for ratio, part in ((cell.perplexity_ratio, windows[0::2]), (found.chosen.vector.perplexity_ratio, windows[1::2])):
        assert ratio == pytest.approx(text_costs(model, part, [found.vector])[0].perplexity_ratio, rel=1e-5)
    assert len(found.unsteered) == 8 == len(found.chosen.vector.shifts)
    assert "8 chose the cell and 8 others report it" in found.split


def test_the_named_effects_are_in_the_registry() -> None:
    assert set(EFFECTS) == {"choice-log-odds", "perplexity-ratio"}


def _vector(model: Model, layer: int, positions: object) -> SteeringVector:
    front = 2 if positions == "front" else None
    return SteeringVector(
        site=Site("resid_post", layer),
        values=drawn(model, "L1.resid_post", layer, front),
        identity=model.identity,
        positions=positions,
        needs_bos=positions == "front",
    )
