"""What a Run of a study asks: at which size, with which settings, of which arms, against which bars."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from glassbook.core.errors import InputError
from glassbook.evidence import read_claims
from glassbook.files.hashes import hash_json
from glassbook.runs.code_hash import code_hash
from glassbook.studies.contract import SIZES, Arm, Size, Study
from glassbook.studies.finding import CLAIMS_FILE, folder_of
from glassbook.studies.records import KIND
from glassbook.views.view import plain

NO_NUMBERS = (
    "glassbook.views",
    "glassbook.runs",
    "glassbook.evidence",
    "glassbook.sources",
    "glassbook.studies.contract",
)
"""What a study may import without its numbers depending on it: what draws, keeps or judges them, and what fetches rows, which
are known by their own checksums."""

_ARM = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")


@dataclass(frozen=True)
class Question:
    """All that decides a study's numbers but the seed; `bars` are the hashes of its claims' bars as they stand now."""

    study: Study
    size: Size
    settings: Any
    only: Literal["headline"] | None = None
    bars: Mapping[str, str] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """Return where the cells run: on the GPU at size gpu, else on the processor."""
        return "cuda" if self.size == "gpu" else "cpu"

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the modules whose import closure decides the numbers."""
        return self.study.modules or (type(self.study).__module__,)

    @property
    def without(self) -> tuple[str, ...]:
        """Return the modules of that closure that make no numbers."""
        return (*NO_NUMBERS, *self.study.draws)

    def config(self) -> dict[str, Any]:
        """Return what a Run records of the question."""
        config = {
            "study": self.study.name,
            "size": self.size,
            "only": self.only,
            "settings": asdict(self.settings),
            "bars": dict(self.bars),
        }
        return dict(plain(config))

    def asked(self, seed: int) -> str:
        """Return the hash by which a Run that asks the same, at one seed, is known."""
        return hash_json([KIND, self.config(), seed])

    def code(self) -> str:
        """Return the hash of the study's code now."""
        return code_hash(self.modules, self.without)

    def arms(self) -> list[Arm]:
        """Return the arms to measure in their order: all, or those of the headline and what they come after."""
        arms = list(self.study.arms(self.settings))
        _check_arms(self.study.name, arms)
        if self.only is None:
            return arms
        wanted = {arm.name for arm in arms if arm.headline}
        for arm in reversed(arms):
            wanted |= set(arm.after) if arm.name in wanted else set()
        return [arm for arm in arms if arm.name in wanted]

    def seeds(self) -> range:
        """Return the seeds that the study asks for at this size."""
        return range(self.study.seeds[self.size])


def ask(study: Study, size: str = "laptop", only: str | None = None, weights: str | None = None) -> Question:
    """Return the question of a study at one size, with its claims' bars; raise InputError for one it does not have."""
    known = [one for one in SIZES if one in study.settings and one in study.seeds]
    if size not in known:
        raise InputError(f"the study '{study.name}' has no size '{size}'; choose one of {', '.join(known)}")
    if only not in (None, "headline"):
        raise InputError(f"'{only}' is no part of a study that can be run alone; --only takes headline")
    settings = study.settings[size]
    if weights is not None:
        if "weights" not in {one.name for one in fields(settings)}:
            raise InputError(f"the study '{study.name}' trains or chooses its own weights; leave --weights out")
        settings = replace(settings, weights=weights)
    claims = read_claims(folder_of(study) / CLAIMS_FILE).claims
    bars = {claim.id: claim.bar_hash for claim in claims}
    return Question(study, size, settings, "headline" if only else None, bars)


def _check_arms(study: str, arms: Sequence[Arm]) -> None:
    """Raise InputError for arms that cannot be measured in their order."""
    before: set[str] = set()
    for arm in arms:
        if not _ARM.fullmatch(arm.name):
            raise InputError(f"the study '{study}' names an arm '{arm.name}'; use a-z, 0-9 and '-'")
        if arm.name in before:
            raise InputError(f"the study '{study}' has two arms named '{arm.name}'; name one of them otherwise")
        if missing := set(arm.after) - before:
            raise InputError(
                f"the arm '{arm.name}' of the study '{study}' comes after '{sorted(missing)[0]}', which does not come before it"
            )
        before.add(arm.name)
