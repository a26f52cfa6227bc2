"""Ratings from games: what the likeliest ones must satisfy, what choix finds, and what chance planted."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import InputError
from glassbook.stats import Ratings, bootstrap_ratings, bradley_terry, elo

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stats_oracles.json").read_text())["leagues"]
NAMES = "abcde"
GAMES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from([1.0, 0.5, 0.0])).filter(
        lambda game: game[0] != game[1]
    ),
    min_size=1,
    max_size=40,
)
# Everybody has won against, lost to and tied with somebody, so that finite ratings exist.
ROUND = [(a, b, 1.0) for a, b in zip(NAMES, NAMES[1:] + NAMES[0], strict=True)] + [("a", "c", 0.5)]


def as_games(won_and_lost) -> list[tuple[str, str, float]]:
    return [(str(winner), str(loser), 1.0) for winner, loser in won_and_lost]


def expected_of_a(found: Ratings, first: str, second: str) -> float:
    """Return what `a` is expected to score in a game."""
    win, tie, loss = found.chances(first, second)
    return {first: win + tie / 2, second: loss + tie / 2}.get("a", 0.0)


def drawn_games(ratings: dict[str, float], tie: float, n: int, seed: int) -> list[tuple[str, str, float]]:
    """Return games by Davidson's model."""
    draw = np.random.default_rng(seed)
    names = list(ratings)
    games = []
    for _ in range(n):
        first, second = draw.choice(names, 2, replace=False)
        gap = (ratings[first] - ratings[second]) / 2
        weights = np.array([math.exp(gap), tie, math.exp(-gap)])
        games.append((str(first), str(second), float(draw.choice([1.0, 0.5, 0.0], p=weights / weights.sum()))))
    return games


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['n_players']} players, alpha {case['alpha']}")
def test_without_ties_ratings_are_those_of_choix(case):
    games = as_games(case["won_and_lost"])
    # choix takes alpha times the sum of squares off, and we half the penalty times it.
    found = bradley_terry(games, penalty=2 * case["alpha"])
    expected = dict(zip(map(str, range(case["n_players"])), case["ratings"], strict=True))
    assert dict(zip(found.players, found.ratings, strict=True)) == pytest.approx(expected, abs=1e-6)
    assert found.tie == 0.0
    # Control: one game turned round gives other ratings.
    turned = [(*games[0][:2], 0.0), *games[1:]]
    assert dict(zip(NAMES, bradley_terry(turned, penalty=0.1).ratings, strict=False)) != pytest.approx(
        expected, abs=1e-6
    )


@settings(max_examples=60)
@given(GAMES)
def test_at_the_likeliest_ratings_everybody_scores_and_ties_as_often_as_expected(games):
    games = ROUND + games
    found = bradley_terry(games)
    expected = dict.fromkeys(found.players, 0.0)
    scored = dict.fromkeys(found.players, 0.0)
    ties = 0.0
    for first, second, score in games:
        win, tie, loss = found.chances(first, second)
        assert win + tie + loss == pytest.approx(1)
        expected[first] += win + tie / 2
        expected[second] += loss + tie / 2
        scored[first] += score
        scored[second] += 1 - score
        ties += tie
    assert expected == pytest.approx(scored, abs=1e-5)
    assert ties == pytest.approx(sum(score == 0.5 for *_, score in games), abs=1e-5)
    # Control: with its own rating a little higher, the same player would have to have scored more.
    higher = replace(found, ratings=found.ratings + 0.1 * (np.array(found.players) == "a"))
    assert sum(expected_of_a(higher, first, second) for first, second, _ in games) > scored["a"] + 1e-4


@settings(max_examples=40)
@given(GAMES)
def test_ratings_know_neither_the_order_of_games_nor_who_is_named_first(games):
    games = ROUND + games
    found = bradley_terry(games)
    other = bradley_terry([(b, a, 1 - score) for a, b, score in reversed(games)])
    assert other.ratings == pytest.approx(found.ratings, abs=1e-7)
    assert other.tie == pytest.approx(found.tie, abs=1e-7)
    assert found.ratings.sum() == pytest.approx(0, abs=1e-9)


@settings(max_examples=40)
@given(GAMES)
def test_to_turn_every_result_round_turns_the_ratings_round(games):
    found, turned = (bradley_terry(each) for each in (ROUND + games, [(a, b, 1 - s) for a, b, s in ROUND + games]))
    assert turned.ratings == pytest.approx(-found.ratings, abs=1e-6)


@settings(max_examples=30)
@given(GAMES)
def test_four_times_the_games_halve_the_intervals_and_move_nothing(games):
    once, often = bradley_terry(ROUND + games), bradley_terry(4 * (ROUND + games))
    assert often.ratings == pytest.approx(once.ratings, abs=1e-6)
    a, b = once.difference("a", "b"), often.difference("a", "b")
    assert b.high - b.low == pytest.approx((a.high - a.low) / 2, rel=1e-5)
    assert often.n_games == 4 * once.n_games


def test_two_players_have_the_ratings_that_can_be_worked_out_by_hand():
    games = [("x", "y", 1.0)] * 6 + [("x", "y", 0.0)] * 2
    found = bradley_terry(games)
    assert found.difference("x", "y").estimate == pytest.approx(math.log(3))
    # The log-odds of 6 in 8 have the variance 1/6 + 1/2.
    half = 1.959964 * math.sqrt(1 / 6 + 1 / 2)
    assert found.difference("x", "y").high == pytest.approx(math.log(3) + half, abs=1e-5)
    assert found.rating("x").estimate == pytest.approx(math.log(3) / 2)
    assert found.elo()["x"] - found.elo()["y"] == pytest.approx(400 * math.log10(3))
    tied = bradley_terry([*games, *[("x", "y", 0.5)] * 3])
    assert tied.chances("x", "y") == pytest.approx((6 / 11, 3 / 11, 2 / 11))
    assert tied.tie == pytest.approx(3 / math.sqrt(12))


PLANTED = {"a": 1.0, "b": 0.4, "c": 0.0, "d": -0.5, "e": -0.9}


def test_planted_ratings_and_ties_are_found_again_and_intervals_cover_them():
    covered, ties = [], []
    for seed in range(20):
        found = bradley_terry(drawn_games(PLANTED, 0.6, 400, seed))
        intervals = [found.difference(a, b) for a, b in zip("abcd", "bcde", strict=True)]
        truth = [PLANTED[a] - PLANTED[b] for a, b in zip("abcd", "bcde", strict=True)]
        covered += [not interval.excludes(value) for interval, value in zip(intervals, truth, strict=True)]
        ties.append(found.tie)
    assert 0.85 < np.mean(covered) < 1.0
    assert np.mean(ties) == pytest.approx(0.6, abs=0.05)
    # Control: games of other ratings are not covered.
    other = bradley_terry(drawn_games(dict.fromkeys(PLANTED, 0.0), 0.6, 400, 0))
    assert other.difference("a", "e").excludes(PLANTED["a"] - PLANTED["e"])


def test_games_drawn_again_give_about_the_intervals_of_the_information():
    games = drawn_games(PLANTED, 0.6, 300, 1)
    found, again = bradley_terry(games), bootstrap_ratings(games, seed=0, n_resamples=200)
    for player in found.players:
        one, other = found.rating(player), again[player]
        assert other.estimate == pytest.approx(one.estimate)
        assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.3)
    assert (
        again == bootstrap_ratings(games, seed=0, n_resamples=200) != bootstrap_ratings(games, seed=1, n_resamples=200)
    )


@pytest.mark.parametrize(
    ("games", "named"),
    [
        ([("x", "y", 1.0)], "x"),
        ([("x", "y", 1.0), ("y", "x", 1.0), ("y", "z", 1.0)], "x, y"),
        ([("x", "y", 1.0), ("y", "x", 1.0), ("u", "v", 1.0), ("v", "u", 1.0)], "u, v"),
        ([("x", "y", 1.0), ("x", "y", 0.5)], "rises without end as x"),
        ([("x", "y", 0.5)], "every game was tied"),
    ],
)
def test_games_without_a_finite_answer_are_refused_and_a_penalty_gives_them_one(games, named):
    with pytest.raises(InputError, match=named):
        bradley_terry(games)
    if any(score != 0.5 for *_, score in games):
        found = bradley_terry(games, penalty=0.1)
        assert np.isfinite(found.ratings).all() and np.isfinite(found.covariance).all()
        assert not found.difference(*games[0][:2]).excludes(0)


def test_a_draw_of_games_without_a_finite_answer_is_refused_in_words():
    games = [("x", "y", 1.0), ("x", "y", 1.0), ("y", "x", 1.0)]
    with pytest.raises(InputError, match="some draws of these 3 games"):
        bootstrap_ratings(games, seed=0)
    assert bootstrap_ratings(games, seed=0, penalty=0.1, n_resamples=50)["x"].n == 3


@settings(max_examples=25)
@given(GAMES)
def test_a_heavier_penalty_draws_ratings_together(games):
    spread = [float(np.ptp(bradley_terry(games, penalty=p).ratings)) for p in (0.01, 0.1, 1.0, 10.0) if decisive(games)]
    assert spread == sorted(spread, reverse=True)


def decisive(games) -> bool:
    return any(score != 0.5 for *_, score in games)


@given(GAMES, st.floats(1, 64))
def test_elo_ratings_add_up_to_what_they_began_with(games, k):
    ratings = elo(games, k=k)
    assert sum(ratings.values()) == pytest.approx(1500 * len(ratings))


def test_one_game_of_elo_is_as_by_hand_and_an_expected_tie_moves_nothing():
    assert elo([("x", "y", 1.0)]) == {"x": 1516.0, "y": 1484.0}
    assert elo([("x", "y", 0.5)]) == {"x": 1500.0, "y": 1500.0}
    assert elo([("x", "y", 1.0), ("x", "y", 1.0)])["x"] < 1532


def test_elo_wanders_about_the_ratings_of_bradley_terry_and_forgets_where_they_do_not():
    games = drawn_games(PLANTED, 0.0, 6000, 3)
    found, rated = bradley_terry(games).elo(), elo(games, k=4.0)
    assert sorted(rated, key=rated.__getitem__) == sorted(found, key=found.__getitem__)
    assert all(abs(rated[player] - found[player]) < 60 for player in found)
    # Control: with the games turned round in time, Elo says another thing and Bradley-Terry the same.
    assert elo(games[::-1], k=4.0) != rated
    assert bradley_terry(games[::-1]).elo() == pytest.approx(found)


@pytest.mark.parametrize("games", [[], [("x", "x", 1.0)], [("x", "y", 0.7)], [("x", "y", math.nan)]])
def test_games_that_are_none_are_refused(games):
    with pytest.raises(InputError):
        bradley_terry(games)


def test_bad_settings_and_strangers_are_refused():
    found = bradley_terry(ROUND)
    for call in (
        lambda: found.rating("nobody"),
        lambda: bradley_terry(ROUND, penalty=-1.0),
        lambda: bradley_terry(ROUND, level=1.0),
        lambda: elo(ROUND, k=0.0),
        lambda: bootstrap_ratings(ROUND, seed=0, n_resamples=0),
    ):
        with pytest.raises(InputError):
            call()
