"""From results to a report: every claim judged, the pictures drawn, both kept in the notebook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glassbook.core.errors import EvidenceError
from glassbook.evidence import Claim, ClaimSet, Judgement, read_claims
from glassbook.studies.contract import Study
from glassbook.studies.finding import CLAIMS_FILE, REPORT_FILE, folder_of
from glassbook.studies.keeping import JUDGEMENTS_FILE, folder_for, keep, kept_judgements
from glassbook.studies.pages import write_page
from glassbook.studies.results import Results, judge_results

_TAKE_BACK = "take the change back, or make it a new claim with a new id"


@dataclass(frozen=True, slots=True)
class Report:
    """What was claimed, how it was judged, where it is kept; `page` is None where the study has no page."""

    claims: ClaimSet
    judgements: Mapping[str, Judgement]
    kept: Path
    page: Path | None = None


def report_into(notebook: Path, study: Study, results: Results) -> Report:
    """Return the report of a study's results, kept in `entries/studies/<name>` of a notebook.

    Raises InputError for a smoke run and for results beyond the limit, EvidenceError for a bar that was changed, or a claim
    that was dropped, after the runs began or after the notebook kept its verdict.
    """
    claims = read_claims(folder_of(study) / CLAIMS_FILE)
    check_none_dropped(results, claims.claims)
    _check_bars_kept(folder_for(notebook, results), claims.claims)
    judgements = judge_results(results, claims.claims)
    views = study.views(results.items, study.settings[results.size])
    kept = keep(results, folder_for(notebook, results), judgements, views)
    # The page tells of the size that every reader can run; results of others lie beside it.
    has_page = kept.name == "laptop" and (folder_of(study) / REPORT_FILE).is_file()
    page = write_page(study, notebook, f"{study.name}/{kept.name}") if has_page else None
    return Report(claims, judgements, kept, page)


def changed_bars(results: Results, claims: Sequence[Claim]) -> list[str]:
    """Return a sentence for each claim whose bar is no longer the one that the runs were begun with."""
    written = {claim.id: results.bar_written(claim.id) for claim in claims}
    return [
        f"the bar of '{claim.id}' was changed after its runs began; {_TAKE_BACK}"
        for claim in claims
        if written[claim.id] not in (None, claim.bar_hash)
    ]


def check_none_dropped(results: Results, claims: Sequence[Claim]) -> None:
    """Raise EvidenceError where a claim was announced when the runs began and is no longer made: failures are shown too."""
    made = {claim.id for claim in claims}
    if dropped := sorted(set(results.config["bars"]) - made):
        raise EvidenceError(
            f"the claim '{dropped[0]}' was announced when the runs of '{results.study}' began and is no longer made; "
            f"bring it back, or run the study without it"
        )


def _check_bars_kept(folder: Path, claims: Sequence[Claim]) -> None:
    """Raise EvidenceError where the notebook holds a verdict on a claim of the same name and another bar."""
    # Measuring again gives the same numbers, so a bar moved afterwards would be moved knowing them.
    earlier = kept_judgements(folder) if (folder / JUDGEMENTS_FILE).is_file() else {}
    for claim in claims:
        if claim.id in earlier and earlier[claim.id]["bar_hash"] != claim.bar_hash:
            raise EvidenceError(f"'{folder}' holds a verdict on the claim '{claim.id}' by another bar; {_TAKE_BACK}")
