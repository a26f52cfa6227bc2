"""From results to a report: every claim judged, the pictures drawn, both kept in the notebook."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from glassbook.evidence import ClaimSet, Judgement, read_claims
from glassbook.studies.contract import Study
from glassbook.studies.finding import CLAIMS_FILE, REPORT_FILE, folder_of
from glassbook.studies.keeping import folder_for, keep
from glassbook.studies.pages import write_page
from glassbook.studies.results import Results, judge_results


@dataclass(frozen=True, slots=True)
class Report:
    """What was claimed, how it was judged, where it is kept; `page` is None where the study has no page."""

    claims: ClaimSet
    judgements: Mapping[str, Judgement]
    kept: Path
    page: Path | None = None


def report_into(notebook: Path, study: Study, results: Results) -> Report:
    """Return the report of a study's results, kept in `entries/studies/<name>` of a notebook.

    Raises InputError for a smoke run and for results beyond the limit, EvidenceError for a bar that was changed after the
    runs began.
    """
    claims = read_claims(folder_of(study) / CLAIMS_FILE)
    judgements = judge_results(results, claims.claims)
    views = study.views(results.items, study.settings[results.size])
    kept = keep(results, folder_for(notebook, results), judgements, views)
    # The page tells of the size that every reader can run; results of others lie beside it.
    has_page = kept.name == "laptop" and (folder_of(study) / REPORT_FILE).is_file()
    page = write_page(study, notebook, f"{study.name}/{kept.name}") if has_page else None
    return Report(claims, judgements, kept, page)
