"""Evidence: claims with bars, the verdicts that their items earn, and the sources they are held against. No torch."""

from glassbook.evidence.citations import Author, Reference, cite, find_reference, read_bibliography, to_csl
from glassbook.evidence.claim_set import ClaimSet, Deviation, PaperCost, read_claims
from glassbook.evidence.claims import Claim, Comparison, Measure, Paper, Precondition, Quantity
from glassbook.evidence.corrections import Correction, corrections_markdown
from glassbook.evidence.judging import VERDICTS, Judgement, VerdictOfClaim, check_items, judge, judge_all
from glassbook.evidence.samples import Items, Sample
from glassbook.evidence.tables import OurCost, as_markdown, claim_table, cost_table, deviations_table, say_paper

__all__ = [
    "VERDICTS",
    "Author",
    "Claim",
    "ClaimSet",
    "Comparison",
    "Correction",
    "Deviation",
    "Items",
    "Judgement",
    "Measure",
    "OurCost",
    "Paper",
    "PaperCost",
    "Precondition",
    "Quantity",
    "Reference",
    "Sample",
    "VerdictOfClaim",
    "as_markdown",
    "check_items",
    "cite",
    "claim_table",
    "corrections_markdown",
    "cost_table",
    "deviations_table",
    "find_reference",
    "judge",
    "judge_all",
    "read_bibliography",
    "read_claims",
    "say_paper",
    "to_csl",
]
