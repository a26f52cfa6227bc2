"""Verdicts: what the items of a study say of a claim, by a rule that was fixed before they were measured."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, get_args

import msgspec

from glassbook.core.errors import EvidenceError
from glassbook.evidence.claims import LEVEL, Bar, Claim, Direction, Precondition
from glassbook.evidence.samples import Items, read_samples
from glassbook.stats.intervals import Interval
from glassbook.views.numbers import spell
from glassbook.views.view import plain

VerdictOfClaim = Literal["replicated", "direction only", "not replicated", "inconclusive", "not testable"]
VERDICTS: tuple[VerdictOfClaim, ...] = get_args(VerdictOfClaim)
SEEDS_NEEDED = 3


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A claim's verdict with all that it rests on; `verdict` is None where there are fewer than three seeds.

    Intervals and the value of each seed are on the shown scale; `n` of an interval counts seeds.
    """

    claim: str
    bar_hash: str
    verdict: VerdictOfClaim | None
    because: str
    interval: Interval
    each_seed: dict[int, float]
    n_items: int
    baseline: Interval
    control: Interval
    precondition: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the judgement as JSON can hold it; infinite ends are words."""
        return dict(plain(msgspec.to_builtins(self, str_keys=True)))


def judge(
    claim: Claim, items: Mapping[int, Items], *, written: str | None, seeds: Collection[int] | None = None
) -> Judgement:
    """Return the verdict on a claim from seed -> arm -> column -> values, and from nothing else.

    `written` is the hash of the bar that was stored when the runs began; `seeds` those that were announced. Raises
    EvidenceError for another bar, for a missing seed, arm or column, and for an item that is no number.
    """
    _check_written(claim, written)
    samples = read_samples(claim, items, seeds)
    mirrored = claim.direction == "below"
    intervals = {field: sample.interval(mirrored) for field, sample in samples.items()}
    each_seed = samples["measure"].each_seed
    verdict, because = _decide(claim, intervals, each_seed)
    return Judgement(
        claim=claim.id,
        bar_hash=claim.bar_hash,
        verdict=verdict,
        because=because,
        interval=intervals["measure"],
        each_seed=each_seed,
        n_items=samples["measure"].n_items,
        baseline=intervals["baseline"],
        control=intervals["control"],
        precondition=intervals.get("precondition"),
    )


def judge_all(
    claims: Iterable[Claim],
    items: Mapping[int, Items],
    *,
    written: Mapping[str, str],
    seeds: Collection[int] | None = None,
) -> dict[str, Judgement]:
    """Return the judgement of every claim by its id; `written` are the stored hashes of the bars by claim."""
    return {claim.id: judge(claim, items, written=written.get(claim.id), seeds=seeds) for claim in claims}


def check_items(claim: Claim, items: Mapping[int, Items]) -> None:
    """Raise EvidenceError where a claim could not be judged from items such as these, as a smoke run makes them."""
    read_samples(claim, items)


def _check_written(claim: Claim, written: str | None) -> None:
    if written is None:
        raise EvidenceError(
            f"the claim '{claim.id}' cannot be judged: its bar was not written down when the runs began; run the study again"
        )
    if written != claim.bar_hash:
        raise EvidenceError(
            f"the claim '{claim.id}' cannot be judged: its bar was changed after the runs began (now {claim.bar_hash[:12]}, "
            f"then {written[:12]}); take the change back, or make it a new claim with a new id and run the study again"
        )


def _decide(
    claim: Claim, intervals: Mapping[str, Interval], each_seed: Mapping[int, float]
) -> tuple[VerdictOfClaim | None, str]:
    found, control = intervals["measure"], intervals["control"]
    if len(each_seed) < SEEDS_NEEDED:
        return None, f"{_count(len(each_seed), 'seed')} measured; a verdict takes {SEEDS_NEEDED}."
    needed = claim.precondition
    if needed and not _passes(intervals["precondition"], needed.direction, needed.bar):
        said = _say(intervals["precondition"])
        return "not testable", f"The precondition does not hold: {needed.says}: {said}, needed {_say_bar(needed)}."
    verdict, because = _compare(claim, found, each_seed)
    if verdict != "not replicated" and _passes(control, claim.direction, claim.bar):
        said = f"{claim.control.says}, {_say(control)}, lies {_say_bar(claim)} as well"
        return "not testable", f"The control that should fail does not: {said}."
    if verdict == "replicated" and _passes(_at(control.estimate), claim.direction, claim.bar):
        because += f" The control's estimate of {spell(control.estimate)} does too, though not its whole interval."
    return verdict, because


def _compare(claim: Claim, found: Interval, each_seed: Mapping[int, float]) -> tuple[VerdictOfClaim, str]:
    """Return what the interval says of bar and null."""
    said, bar = _say(found), _say_bar(claim)
    if _misses(found, claim.direction, claim.bar):
        return "not replicated", f"{said} lies wholly on the wrong side: it should lie {bar}."
    passes = _passes(found, claim.direction, claim.bar)
    if claim.null is None:
        return (
            ("replicated", f"{said} lies wholly {bar}.") if passes else ("inconclusive", f"{said} is not wholly {bar}.")
        )
    null = spell(claim.null)
    against = [seed for seed, value in each_seed.items() if not _passes(_at(value), claim.direction, claim.null)]
    if passes and not against:
        return "replicated", f"{said} lies wholly {bar}, and each of {len(each_seed)} seeds {claim.direction} {null}."
    if passes:
        return (
            "direction only",
            f"{said} lies wholly {bar}, but seed {against[0]} does not lie {claim.direction} {null}.",
        )
    if _passes(found, claim.direction, claim.null):
        return "direction only", f"{said} lies wholly {claim.direction} {null}, but not {bar}."
    return "inconclusive", f"{said} includes both {null}, which is no effect, and the bar: it should lie {bar}."


def _passes(found: Interval, direction: Direction, bar: Bar) -> bool:
    """Return whether the whole interval lies where a claim says."""
    if isinstance(bar, tuple):
        return bar[0] <= found.low and found.high <= bar[1]
    return found.lies_above(bar) if direction == "above" else found.lies_below(bar)


def _misses(found: Interval, direction: Direction, bar: Bar) -> bool:
    """Return whether no part of the interval lies where a claim says."""
    if isinstance(bar, tuple):
        return found.lies_below(bar[0]) or found.lies_above(bar[1])
    return found.lies_below(bar) if direction == "above" else found.lies_above(bar)


def _at(value: float) -> Interval:
    return Interval(value, value, value, LEVEL, 1)


def _say(found: Interval) -> str:
    return f"{spell(found.estimate)} [{spell(found.low)}, {spell(found.high)}]"


def _say_bar(claim: Claim | Precondition) -> str:
    return f"{claim.direction} {say_bar(claim.bar)}"


def say_bar(bar: Bar) -> str:
    """Return a bar in words: its number, or the two that one should lie within."""
    return f"{spell(bar[0])} to {spell(bar[1])}" if isinstance(bar, tuple) else spell(bar)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n != 1 else ''}"
