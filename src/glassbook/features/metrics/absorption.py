"""Feature absorption: words at which the features of their first letter are silent, and another feature carries the letter.

Chanin et al. 2024 (2409.14507), measured as SAEBench does (Karvonen et al. 2025, 2503.09532). For each letter, with x what stands
at a word's token, f its features, d the rows of the decoder, p the direction (of length 1) of a logistic probe for the letter:
    split features   the k features that go together most with the letter, as long as one more raises F1 by more than 0.03
    c_i              f_i d_i . p, what feature i carries of the projection (x - b_dec) . p
    full absorption  no split feature is active; the largest c_i is 0.4 of the projection or more, and cos(d_i, p) >= 0.025
    fraction         A / (A + M), with M what the split features carry and A the three largest others with cos(d_i, p) >= 0.1,
                     where these are 0.4 of the projection or more; A is at most what M leaves, and 1 is all
Both are means over the test words that the probe is right about. Split features are chosen by their correlation with the letter,
and with b_dec taken off the projection is what features can carry: SAEBench takes an L1 probe, and leaves b_dec in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.features.dictionary import Dictionary
from glassbook.features.metrics.logistic import FEWEST, Probe, f1, fit_probe

MEASURED, UNABLE, FEW = "measured", "probe not able", "too few words"
_ROWS = 1024
_ROUNDING = 1e-6
"""What varies less than so much of the largest feature is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsorptionSettings:
    """How many words are read, how a letter's features are found, and what counts as absorption.

    A letter is measured if its probe reaches `bar` (F1 on the test words) and is right about `fewest` of them.
    """

    n_words: int = 10_000
    test_share: float = 1 / 3
    most_split: int = 10
    gain: float = 0.03
    cosine: float = 0.025
    fraction_cosine: float = 0.1
    share: float = 0.4
    most_absorbing: int = 3
    bar: float = 0.6
    fewest: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_words < 1 or self.most_split < 1 or self.most_absorbing < 1 or not 0 < self.test_share < 1:
            raise InputError(
                "absorption needs words, at least one feature a letter, and a part of the words to be tested on"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterAbsorption:
    """One letter: its probe, its features, and the share of absorption; None where `state` says that it was not measured.

    `n_right` counts test words that the probe is right about, `split_f1` is that of a probe on the split features, and `absorbed`
    names the words that are fully absorbed, with the feature that does it.
    """

    letter: str
    state: str
    n_words: int
    n_right: int
    probe_f1: float | None
    split_features: tuple[int, ...] = ()
    split_f1: float | None = None
    absorption_fraction: float | None = None
    full_absorption: float | None = None
    absorbed: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """Words, what stands at them, the letter of each, and which are to be tested on."""

    texts: Sequence[str]
    x: Float[Tensor, "word d_in"]
    letters: Sequence[str]
    is_test: Bool[Tensor, " word"]

    def of(self, letter: str) -> Bool[Tensor, " word"]:
        """Return which words begin with a letter."""
        return torch.tensor([one == letter for one in self.letters])


@dataclass(frozen=True, slots=True)
class LetterProbe:
    """The probe of one letter, and which test words it is right about; `probe` is None where there were too few words."""

    letter: str
    state: str
    n_words: int
    probe: Probe | None
    f1: float | None
    right: Int[Tensor, " right"]


def letter_probes(asked: Asked, settings: AbsorptionSettings) -> list[LetterProbe]:
    """Return the probe of every letter that some word begins with; raise InputError where there are not two letters."""
    known = sorted(set(asked.letters))
    if len(known) < 2:
        raise InputError(f"{len(asked.letters)} words begin with {len(known)} letters; give words of at least two")
    return [_letter_probe(asked, letter, settings) for letter in known]


def absorption_of(
    dictionary: Dictionary, asked: Asked, probes: Sequence[LetterProbe], settings: AbsorptionSettings
) -> tuple[LetterAbsorption, ...]:
    """Return the absorption of each letter in a dictionary that writes where it reads."""
    able = [one for one in probes if one.state == MEASURED]
    split = _split_features(dictionary, asked, able, settings)
    return tuple(
        _measured(dictionary, asked, one, split[one.letter], settings)
        if one.letter in split
        else LetterAbsorption(
            letter=one.letter, state=one.state, n_words=one.n_words, n_right=len(one.right), probe_f1=one.f1
        )
        for one in probes
    )


def check_writes_where_it_reads(dictionary: Dictionary, places: tuple[Site, Site]) -> None:
    """Raise InputError for a dictionary whose directions do not lie where a probe of what it reads does."""
    if places[0] != places[1]:
        raise InputError(
            f"a {dictionary.kind} writes elsewhere than it reads, so no probe of what it reads says what its features carry; "
            "absorption is measured of dictionaries with one Site"
        )


def _letter_probe(asked: Asked, letter: str, how: AbsorptionSettings) -> LetterProbe:
    is_letter, test = asked.of(letter), asked.is_test
    n, none = int(is_letter.sum()), torch.zeros(0, dtype=torch.int64)
    if int((is_letter & ~test).sum()) < FEWEST or int((is_letter & test).sum()) < max(how.fewest, 1):
        return LetterProbe(letter, FEW, n, None, None, none)
    probe = fit_probe(asked.x[~test], is_letter[~test])
    said = probe.scores(asked.x) > 0
    score, right = f1(said[test], is_letter[test]), (said & is_letter & test).nonzero().view(-1)
    state = UNABLE if score < how.bar else FEW if len(right) < how.fewest else MEASURED
    return LetterProbe(letter, state, n, probe, score, right)


def _encoded(dictionary: Dictionary, x: Float[Tensor, "word d_in"]) -> Iterator[tuple[slice, Tensor]]:
    """Yield which rows, and their features, each times the length of its direction: a dictionary may share that out at will."""
    lengths = dictionary.decoder.detach().norm(dim=1).float().cpu()
    for first in range(0, len(x), _ROWS):
        rows = slice(first, min(first + _ROWS, len(x)))
        with torch.no_grad():
            yield rows, dictionary.encode(x[rows].to(dictionary.encoder.device)).float().cpu() * lengths


def _split_features(
    dictionary: Dictionary, asked: Asked, able: Sequence[LetterProbe], how: AbsorptionSettings
) -> dict[str, tuple[tuple[int, ...], float]]:
    """Return the split features of each letter, with the F1 on the test words of a probe on them."""
    if not able:
        return {}
    is_letter = torch.stack([asked.of(one.letter) for one in able])
    ranked = _by_correlation(dictionary, asked.x[~asked.is_test], is_letter[:, ~asked.is_test])[:, : how.most_split]
    values = torch.cat([f[:, ranked.flatten()] for _, f in _encoded(dictionary, asked.x)])
    columns = values.unflatten(1, tuple(ranked.shape)).transpose(0, 1)
    return {
        one.letter: _grown(mine, belongs, asked.is_test, features.tolist(), how.gain)
        for one, mine, belongs, features in zip(able, columns, is_letter, ranked, strict=True)
    }


def _by_correlation(
    dictionary: Dictionary, x: Float[Tensor, "word d_in"], is_letter: Bool[Tensor, "letter word"]
) -> Int[Tensor, "letter feature"]:
    """Return the features by their correlation with each letter, the largest first."""
    n, letters = len(x), is_letter.double()
    total = squares = torch.zeros(dictionary.n_features, dtype=torch.float64)
    of_letter = torch.zeros(len(letters), dictionary.n_features, dtype=torch.float64)
    for rows, features in _encoded(dictionary, x):
        wide = features.double()
        total, squares = total + wide.sum(0), squares + wide.square().sum(0)
        of_letter += letters[:, rows] @ wide
    spread = (squares / n - (total / n).square()).clamp_min(0).sqrt()
    together = of_letter / n - letters.mean(1, keepdim=True) * (total / n)
    is_telling = spread > _ROUNDING * (squares.max() / n).sqrt()
    together = torch.where(is_telling, together / spread, -torch.inf)
    return together.argsort(dim=1, descending=True, stable=True)


def _grown(
    values: Float[Tensor, "word k"],
    is_letter: Bool[Tensor, " word"],
    is_test: Bool[Tensor, " word"],
    features: Sequence[int],
    gain: float,
) -> tuple[tuple[int, ...], float]:
    """Return the first features, as many as each raise F1 on the training words by more than `gain`, and F1 on the others."""
    best, kept, on_test = -1.0, 0, 0.0
    for k in range(1, len(features) + 1):
        mine = values[:, :k]
        probe = fit_probe(mine[~is_test], is_letter[~is_test], balanced=True)
        said = probe.scores(mine) > 0
        score = f1(said[~is_test], is_letter[~is_test])
        if kept and score <= best + gain:
            break
        best, kept, on_test = score, k, f1(said[is_test], is_letter[is_test])
    return tuple(features[:kept]), on_test


def _measured(
    dictionary: Dictionary,
    asked: Asked,
    one: LetterProbe,
    split: tuple[tuple[int, ...], float],
    how: AbsorptionSettings,
) -> LetterAbsorption:
    assert one.probe is not None
    decoder = dictionary.decoder.detach().double().cpu()
    p = one.probe.weights / one.probe.weights.norm()
    cosines = (decoder @ p) / decoder.norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
    main = torch.tensor(split[0])
    fractions: list[Tensor] = []
    absorbed: list[tuple[str, int]] = []
    for rows, features in _encoded(dictionary, asked.x[one.right]):
        places = one.right[rows]
        projection = (asked.x[places].double() - dictionary.b_dec.detach().double().cpu()) @ p
        carried = features.double() * cosines
        fractions.append(_fractions(carried, projection, cosines, main, how))
        top = carried.argmax(1)
        is_full = (features[:, main] == 0).all(1) & (projection > 0) & (cosines[top] >= how.cosine)
        is_full &= carried.gather(1, top[:, None])[:, 0] >= how.share * projection
        absorbed += [(asked.texts[int(places[i])], int(top[i])) for i in is_full.nonzero().view(-1)]
    return LetterAbsorption(
        letter=one.letter,
        state=MEASURED,
        n_words=one.n_words,
        n_right=len(one.right),
        probe_f1=one.f1,
        split_features=split[0],
        split_f1=split[1],
        absorption_fraction=float(torch.cat(fractions).mean()),
        full_absorption=len(absorbed) / len(one.right),
        absorbed=tuple(absorbed),
    )


def _fractions(
    carried: Float[Tensor, "word feature"],
    projection: Float[Tensor, " word"],
    cosines: Float[Tensor, " feature"],
    main: Int[Tensor, " split"],
    how: AbsorptionSettings,
) -> Float[Tensor, " word"]:
    """Return at each word which share of what split and absorbing features carry the absorbing ones do."""
    by_main = carried[:, main].sum(1)
    others = torch.where(cosines >= how.fraction_cosine, carried, 0.0).clamp_min(0)
    others[:, main] = 0
    absorbing = others.topk(min(how.most_absorbing, others.shape[1]), dim=1).values.sum(1)
    is_any = (projection > 0) & (by_main < projection) & (absorbing >= how.share * projection)
    taken = torch.minimum(absorbing, projection - by_main)
    part = torch.where(by_main > 0, taken / (taken + by_main), 1.0)
    return torch.where(is_any, part, 0.0)
