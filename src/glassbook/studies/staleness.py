"""Which claims are stale: those whose cause changed, be it the study's code, its settings, its data, its weights or the bar."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from glassbook.evidence import Claim
from glassbook.studies.contract import Study
from glassbook.studies.question import Question, ask
from glassbook.studies.records import changed_sources
from glassbook.studies.results import Results, SeedResult
from glassbook.views.view import plain


@dataclass(frozen=True, slots=True)
class Stale:
    """A claim that is no longer known to hold, and why."""

    claim: str
    causes: tuple[str, ...]


def question_of(study: Study, results: Results) -> Question:
    """Return what results would be asked now, at their size and on their weights."""
    weights = results.config["settings"].get("weights") or None
    return ask(study, results.size, results.config["only"], weights)


def stale_claims(study: Study, results: Results, claims: Sequence[Claim]) -> list[Stale]:
    """Return the claims of kept results whose cause changed since; comments and docstrings are no cause.

    Code and settings are causes of every claim of the study, a bar of its own claim, data and weights of the claims whose
    arms, or an arm that one of these comes after, have read them.
    """
    question = question_of(study, results)
    common = _common_causes(question, results)
    read = _changed_by_arm(question, results)
    found = []
    for claim in claims:
        own = ["bar"] if results.bar_written(claim.id) != claim.bar_hash else []
        arms = _with_earlier(question, claim.arms)
        causes = [*common, *own, *sorted({name for arm in arms for name in read.get(arm, ())})]
        if causes:
            found.append(Stale(claim.id, tuple(causes)))
    return found


def _common_causes(question: Question, results: Results) -> list[str]:
    code = {seed.record["code"]["sha256"] for seed in results.seeds.values()}
    settings = dict(plain(asdict(question.settings)))
    causes = ["code"] if code != {question.code()} else []
    # The config was read from JSON, where a tuple is a list.
    return causes + (["settings"] if plain(results.config["settings"]) != settings else [])


def _changed_by_arm(question: Question, results: Results) -> dict[str, set[str]]:
    """Return for each arm which data and weights its cells read that are no longer what they were."""
    now = question.study.sources(question.settings)
    found: dict[str, set[str]] = {}
    for seed in results.seeds.values():
        for arm, names in _changed_in(seed, now).items():
            found.setdefault(arm, set()).update(names)
    return found


def _changed_in(seed: SeedResult, now: Mapping[str, str]) -> dict[str, list[str]]:
    return {cell.arm: names for cell in seed.cells if (names := changed_sources([cell], now))}


def _with_earlier(question: Question, arms: frozenset[str] | set[str]) -> set[str]:
    """Return arms with all that they come after, directly or not."""
    after = {arm.name: set(arm.after) for arm in question.study.arms(question.settings)}
    found, waiting = set(), set(arms)
    while waiting:
        arm = waiting.pop()
        found.add(arm)
        waiting |= after.get(arm, set()) - found
    return found
