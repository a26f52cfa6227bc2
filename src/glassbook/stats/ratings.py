"""How strong each player is, from who beat whom: Bradley-Terry with ties, and Elo."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import InputError
from glassbook.stats.intervals import Interval, check_level
from glassbook.stats.samples import Floats, generator

Game = tuple[str, str, float]
"""Two players and the score of the first: 1 for a win, 0 for a loss, 0.5 for a tie."""

_MOST_STEPS = 200
_NEAR = 1e-9
_FLATTEST = 1e-7
_ELO_PER_NAT = 400 / math.log(10)


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Ratings in nats, which add up to 0, and the tie parameter nu of Davidson 1970, 0 where no game was tied.

    A player wins against another by the odds exp(difference of ratings). `covariance` is that of the ratings, from the
    observed information; `n_games` is what they rest on.
    """

    players: tuple[str, ...]
    ratings: Floats
    tie: float
    covariance: Floats
    n_games: int
    level: float

    def rating(self, player: str) -> Interval:
        """Return a player's rating in nats above the mean of all; raise InputError for a stranger."""
        i = self._place(player)
        return self._interval(float(self.ratings[i]), float(self.covariance[i, i]))

    def difference(self, player: str, other: str) -> Interval:
        """Return by how many nats a player is stronger than another; what both have in common cancels out."""
        i, j = self._place(player), self._place(other)
        c = self.covariance
        return self._interval(float(self.ratings[i] - self.ratings[j]), float(c[i, i] + c[j, j] - 2 * c[i, j]))

    def chances(self, player: str, other: str) -> tuple[float, float, float]:
        """Return the chances that a player wins, ties and loses against another."""
        i, j = self._place(player), self._place(other)
        win, tie, loss = _chances(self.ratings[[i]] - self.ratings[[j]], self.tie)
        return float(win[0]), float(tie[0]), float(loss[0])

    def elo(self, mean: float = 1500.0) -> dict[str, float]:
        """Return the ratings on Elo's scale, where 400 points are odds of ten to one."""
        return {player: mean + _ELO_PER_NAT * float(s) for player, s in zip(self.players, self.ratings, strict=True)}

    def _interval(self, estimate: float, variance: float) -> Interval:
        half = NormalDist().inv_cdf((1 + self.level) / 2) * math.sqrt(max(variance, 0.0))
        return Interval(estimate, estimate - half, estimate + half, self.level, self.n_games)

    def _place(self, player: str) -> int:
        if player not in self.players:
            raise InputError(f"nobody called '{player}' has played; known: {', '.join(self.players)}")
        return self.players.index(player)


def bradley_terry(games: Iterable[Game], *, penalty: float = 0.0, level: float = 0.95) -> Ratings:
    """Return the ratings of greatest likelihood: Bradley and Terry 1952, with ties as in Davidson 1970.

    Davidson, "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments", Journal of the
    American Statistical Association 65, 317-328: a tie is nu times as likely as the geometric mean of the two wins. The
    likelihood is concave in the ratings and log nu, and Newton's method climbs it. `penalty` is the precision of a normal
    prior on each rating; without it, games in which somebody never lost, or too few, have no finite answer and are
    refused with InputError, which names the players.
    """
    check_level(level)
    table = _Table.of(games)
    ratings, tie, information = _rate(table, penalty)
    n = len(table.players)
    # Ratings are told from their mean, which no game knows: what the inverse says of it is taken off.
    about_mean = np.eye(n) - 1 / n
    padded = information.copy()
    padded[:n, :n] += 1 / n
    covariance = about_mean @ np.linalg.inv(padded)[:n, :n] @ about_mean
    return Ratings(table.players, ratings, tie, covariance, table.n_games, level)


def bootstrap_ratings(
    games: Iterable[Game], *, seed: int, penalty: float = 0.0, level: float = 0.95, n_resamples: int = 500
) -> dict[str, Interval]:
    """Return each player's rating with its percentile interval over games drawn with replacement.

    It asks less of the model than the observed information does. Raises InputError where some draw of the games has no finite
    answer; a small `penalty` gives every draw one.
    """
    check_level(level)
    if n_resamples < 1:
        raise InputError(f"{n_resamples} resamples make no interval; ask for some hundreds")
    table = _Table.of(games)
    estimates, _, _ = _rate(table, penalty)
    n = table.n_games
    # Games of one pair and outcome are alike, so that drawing games is drawing how many there are of each kind.
    rng = generator(seed, "bootstrap over games")
    counts = rng.multinomial(n, table.counts.ravel() / n, n_resamples).reshape(n_resamples, *table.counts.shape)
    try:
        drawn = [_rate(replace(table, counts=one.astype(np.float64)), penalty)[0] for one in counts]
    except InputError as fault:
        raise InputError(
            f"some draws of these {n} games have no finite ratings; give a penalty, such as 0.1, or play more"
        ) from fault
    ends = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0).T
    return {
        player: Interval(float(estimate), float(low), float(high), level, n)
        for player, estimate, (low, high) in zip(table.players, estimates, ends, strict=True)
    }


def elo(games: Iterable[Game], *, k: float = 32.0, start: float = 1500.0) -> dict[str, float]:
    """Return every player's rating after the games in their order (Elo 1978): a winner takes k times its surprise.

    Ratings add up to what they began with. They forget: another order of the games gives other ratings, which those of
    `bradley_terry` do not. Raises InputError for k that is not positive.
    """
    if not 0 < k < math.inf:
        raise InputError(f"k = {k} cannot be used; give a positive number, such as 32")
    ratings: dict[str, float] = {}
    for first, second, score in map(_checked, games):
        a, b = ratings.get(first, start), ratings.get(second, start)
        step = k * (score - 1 / (1 + 10 ** ((b - a) / 400)))
        ratings[first], ratings[second] = a + step, b - step
    return ratings


@dataclass(frozen=True, slots=True)
class _Table:
    """The games counted: for each pair that met, (wins of the first, ties, wins of the second)."""

    players: tuple[str, ...]
    pairs: NDArray[np.int64]
    counts: Floats

    @classmethod
    def of(cls, games: Iterable[Game]) -> "_Table":
        counted: Counter[tuple[str, str, float]] = Counter()
        for first, second, score in map(_checked, games):
            counted[(first, second, score) if first < second else (second, first, 1 - score)] += 1
        if not counted:
            raise InputError("there are no games, so nobody has a rating; give at least one")
        players = tuple(sorted({player for first, second, _ in counted for player in (first, second)}))
        pairs = sorted({(first, second) for first, second, _ in counted})
        rows = [[counted[(first, second, score)] for score in (1.0, 0.5, 0.0)] for first, second in pairs]
        places = [[players.index(first), players.index(second)] for first, second in pairs]
        return cls(players, np.array(places), np.array(rows, dtype=np.float64))

    @property
    def has_ties(self) -> bool:
        """Return whether any game was tied."""
        return bool(self.counts[:, 1].any())

    @property
    def n_games(self) -> int:
        """Return how many games were played."""
        return int(self.counts.sum())

    def check_connected(self) -> None:
        """Raise InputError where some players never lost to, or tied with, the others (Ford 1957)."""
        n = len(self.players)
        reached = np.eye(n, dtype=bool)
        for (i, j), (won, tied, lost) in zip(self.pairs, self.counts, strict=True):
            reached[i, j] |= bool(won or tied)
            reached[j, i] |= bool(lost or tied)
        for through in range(n):
            reached |= reached[:, [through]] & reached[[through]]
        if reached.all():
            return
        first = next(i for i in range(n) if not (reached[:, i] & ~reached[i]).any())
        top = [player for player, is_in in zip(self.players, reached[:, first], strict=True) if is_in]
        raise InputError(
            f"nobody else ever won against {', '.join(top[:5])} or tied, so no finite ratings are likeliest; give a penalty, "
            "such as 0.1, or more games"
        )


def _rate(table: _Table, penalty: float) -> tuple[Floats, float, Floats]:
    """Return the ratings about their mean, the tie parameter, and the information of ratings and log nu."""
    if not 0 <= penalty < math.inf:
        raise InputError(f"a penalty of {penalty} cannot be used; give 0 or a positive number")
    if not penalty:
        table.check_connected()
    parameters, information = _climb(table, penalty)
    n = len(table.players)
    tie = math.exp(parameters[n]) if table.has_ties else 0.0
    return parameters[:n] - parameters[:n].mean(), tie, information


def _climb(table: _Table, penalty: float) -> tuple[Floats, Floats]:
    """Return the parameters of greatest likelihood, ratings and log nu, and the information there."""
    if table.has_ties and not table.counts[:, [0, 2]].any():
        raise InputError("every game was tied, so ties have no finite rate; give games that somebody won")
    features = _features(table)
    n, size = len(table.players), features.shape[2]
    ridge = np.zeros((size, size))
    ridge[:n, :n] = penalty * np.eye(n)
    shared = np.zeros((size, size))
    shared[:n, :n] = 1 / n
    parameters = np.zeros(size)
    value, slope, information = _likelihood(table, features, parameters, ridge)
    for _ in range(_MOST_STEPS):
        step = np.linalg.lstsq(information + shared, slope, rcond=None)[0]
        gain, share = float(slope @ step), 1.0
        # So near the top the step is exact, and what it gains drowns in rounding.
        while gain > _NEAR and _likelihood(table, features, parameters + share * step, ridge)[0] < value:
            share /= 2
        parameters = parameters + share * step
        value, slope, information = _likelihood(table, features, parameters, ridge)
        if gain < _NEAR:
            break
    _check_top(table, parameters, information + shared * table.n_games)
    return parameters, information


def _check_top(table: _Table, parameters: Floats, information: Floats) -> None:
    """Raise InputError where the likelihood is flat: it rises without end, though ever less."""
    if np.linalg.eigvalsh(information)[0] < _FLATTEST * table.n_games:
        ratings = parameters[: len(table.players)]
        best, worst = (table.players[i] for i in (ratings.argmax(), ratings.argmin()))
        raise InputError(
            f"the likelihood of these games rises without end as {best} grows stronger and {worst} weaker; give a penalty, "
            "such as 0.1, or more games"
        )


def _features(table: _Table) -> Floats:
    """Return what the log-odds of each outcome are made of: [pair, outcome, parameter]."""
    n, rows = len(table.players), np.arange(len(table.pairs))
    features = np.zeros((len(rows), 3, n + table.has_ties))
    features[rows, 0, table.pairs[:, 0]] = 1
    features[rows, 2, table.pairs[:, 1]] = 1
    if table.has_ties:
        features[:, 1] = (features[:, 0] + features[:, 2]) / 2
        features[:, 1, n] = 1
    return features if table.has_ties else features[:, [0, 2]]


def _likelihood(table: _Table, features: Floats, parameters: Floats, ridge: Floats) -> tuple[float, Floats, Floats]:
    """Return the penalized log-likelihood, its gradient and its negative Hessian."""
    counts = table.counts if table.has_ties else table.counts[:, [0, 2]]
    scores = features @ parameters
    log_shares = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    shares, games = np.exp(log_shares), counts.sum(axis=1, keepdims=True)
    value = float((counts * log_shares).sum()) - float(parameters @ ridge @ parameters) / 2
    slope = np.einsum("po,pof->f", counts - games * shares, features) - ridge @ parameters
    mean = np.einsum("po,pof->pf", shares, features)
    weighted = features * (games * shares)[:, :, None]
    information = np.einsum("pof,pog->fg", weighted, features) - np.einsum("pf,pg->fg", games * mean, mean) + ridge
    return value, slope, information


def _chances(differences: Floats, tie: float) -> tuple[Floats, Floats, Floats]:
    win, loss = np.exp(differences / 2), np.exp(-differences / 2)
    whole = win + loss + tie
    return win / whole, tie / whole, loss / whole


def _checked(game: Game) -> Game:
    first, second, score = game
    if first == second:
        raise InputError(f"'{first}' plays against itself, which tells nothing; leave that game out")
    if score not in (0, 0.5, 1):
        raise InputError(f"the score of '{first}' against '{second}' is {score}; give 1, 0.5 or 0")
    return first, second, float(score)
