"""What a store says of itself: how it was asked for, and line by line which shards are acknowledged."""

from typing import Any, Literal

import msgspec

from glassbook.activations.store.places import Place
from glassbook.core.errors import FileFormatError
from glassbook.files.hashes import canonical_json
from glassbook.files.reading import shown

FORMAT = "glassbook-activations/1"
FACTS_FILE, JOURNAL_FILE = "store.json", "journal.jsonl"

Ended = Literal["tokens", "budget", "corpus"]
"""Why a harvest ended: it had as many tokens as were asked for, no bytes left, or no documents left."""


class SiteFacts(msgspec.Struct, frozen=True):
    """The width of a Site's rows, the median norm at the beginning of the harvest, and the largest norm that is kept."""

    width: int
    median_norm: float | None
    largest_norm: float | None


class Facts(msgspec.Struct, frozen=True):
    """What holds for all of a store; written before anything is harvested."""

    format: str
    sites: dict[str, SiteFacts]
    weights: dict[str, str]
    corpus: dict[str, str]
    settings: dict[str, Any]
    start_token: int | None
    batch_size: int
    versions: dict[str, str]


class Shard(msgspec.Struct, frozen=True):
    """One acknowledged file: what it holds, its checksum, and how far the corpus had been read when it was written."""

    name: str
    rows: int
    contexts: int
    bytes: int
    sha256: str
    documents: int
    documents_sha256: str
    left_out: dict[str, int]
    left_out_at: dict[str, int]
    ended: Ended | None


def write_facts(place: Place, facts: Facts) -> None:
    """Write `store.json`, all or nothing."""
    place.write(FACTS_FILE, msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n")


def read_facts(place: Place) -> Facts | None:
    """Return what `store.json` says, None where there is none; raise FileFormatError where it is damaged."""
    data = place.read(FACTS_FILE)
    if data is None:
        return None
    try:
        facts = msgspec.json.decode(data, type=Facts)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise FileFormatError(f"'{place}/{FACTS_FILE}' is damaged ({fault}); harvest again") from fault
    if facts.format != FORMAT:
        raise FileFormatError(
            f"'{place}/{FACTS_FILE}' has the format '{shown(facts.format)}' and '{FORMAT}' is read here; update Glassbook"
        )
    return facts


def write_journal(place: Place, shards: list[Shard]) -> None:
    """Write the journal, all or nothing: what it then lists is acknowledged."""
    lines = [canonical_json(msgspec.to_builtins(shard)) for shard in shards]
    place.write(JOURNAL_FILE, b"".join(line + b"\n" for line in lines))


def read_journal(place: Place) -> list[Shard]:
    """Return the acknowledged shards in order; raise FileFormatError where the journal is damaged."""
    lines = (place.read(JOURNAL_FILE) or b"").splitlines()
    try:
        shards = [msgspec.json.decode(line, type=Shard) for line in lines]
    except (msgspec.DecodeError, RecursionError) as fault:
        raise FileFormatError(f"'{place}/{JOURNAL_FILE}' is damaged ({fault}); harvest again") from fault
    for number, shard in enumerate(shards):
        if shard.name != shard_name(number):
            raise FileFormatError(
                f"'{place}/{JOURNAL_FILE}' lists '{shown(shard.name)}' as shard {number}; harvest again"
            )
    return shards


def shard_name(number: int) -> str:
    """Return the path inside the store of the shard of this number."""
    return f"shards/{number:06d}.safetensors"
