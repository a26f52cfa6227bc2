"""One pass over a corpus, several Sites, shards on disk; killed at any moment it goes on to the same bytes."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec

from glassbook.activations.store import journal
from glassbook.activations.store.budget import Budget
from glassbook.activations.store.journal import Facts, Shard, SiteFacts
from glassbook.activations.store.packing import Context, Packer
from glassbook.activations.store.places import Place, as_place
from glassbook.activations.store.reading import Reader, Rows, limits_of
from glassbook.activations.store.settings import Harvest
from glassbook.activations.store.shards import Shards, write_shard
from glassbook.activations.store.store import ActivationStore, open_store
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.files.hashes import Progress, sha256_file
from glassbook.models.model import Model
from glassbook.runs.machine import versions
from glassbook.text.corpora import Corpus, Source, open_corpus

HARVESTING, AGAIN = "harvesting", "finding the place in the corpus"
"""What a harvest tells of itself: rows that are kept, and shards that are passed over where it goes on."""
CALIBRATION_TOKENS = 4096
"""Of at least so many tokens at the beginning the median norm of each Site is taken."""


def harvest(
    model: Model,
    corpus: Source | Corpus,
    sites: str | Site | Sequence[str | Site],
    folder: str | Path,
    settings: Harvest | None = None,
    progress: Progress | None = None,
) -> ActivationStore:
    """Return the store in `folder`, a path or an fsspec URL, with as much as was asked for.

    Where a harvest began there, it goes on; only how much is asked for, and how much at once, may then differ. Raises
    InputError for what cannot be read or differs, GlassbookError where the disk is full or activations are not finite; what
    was harvested before is kept.
    """
    how = settings or Harvest()
    reader, text, place = Reader(model, sites, how), open_corpus(corpus), as_place(folder)
    with place.alone():
        Harvesting(reader, text, place, how).go_on(progress)
    return open_store(folder)


def calibration_contexts(settings: Harvest) -> int:
    """Return how many contexts at the beginning say which norms are usual."""
    return -(-CALIBRATION_TOKENS // settings.context)


class Harvesting:
    """A harvest under way: what is acknowledged, and the contexts that come next."""

    def __init__(self, reader: Reader, corpus: Corpus, place: Place, settings: Harvest) -> None:
        self.reader, self.corpus, self.place, self.settings = reader, corpus, place, settings
        self.shards: list[Shard] = []
        found = journal.read_facts(place)
        if found is None and not place.is_empty():
            raise InputError(f"'{place}' holds other things than activations; choose a new folder")
        if found is not None:
            self._check_same(found)
            self.shards = journal.read_journal(place)
            Shards(place, self.shards, reader.widths, reader.dtype).check_sizes()
        self.facts = found
        self.budget = Budget(reader)

    def go_on(self, progress: Progress | None) -> None:
        """Harvest until something ends it; raise InputError where there is nothing to harvest."""
        if self.shards and self.budget.ended(self.shards, self.shards[-1].ended == "corpus"):
            return
        self.packer = Packer(self.corpus, self.reader.tokenizer, self.settings)
        # Looked at in any case, so that the corpus is read alike whenever the harvest goes on.
        first = self.packer.look(calibration_contexts(self.settings))
        if self.facts is None:
            self._begin(first)
        assert self.facts is not None
        for number, shard in enumerate(self.shards, start=1):
            self._pass_over(shard)
            if progress:
                progress(AGAIN, number, len(self.shards))
        limits = {Site.parse(site): one.largest_norm for site, one in self.facts.sites.items() if one.largest_norm}
        while not self.budget.ended(self.shards, self.packer.exhausted()):
            contexts = self.budget.take(self.packer, self.shards)
            self._keep(contexts, self._read(contexts, limits, progress))

    def _begin(self, first: list[Context]) -> None:
        """Measure which norms are usual and write down what was asked."""
        if not first:
            raise InputError(f"the corpus '{self.corpus.name}' holds no text in the part that is read; choose another")
        if self.budget.room([]) < self.budget.context_bytes:
            raise InputError(
                f"max_bytes = {self.settings.max_bytes:,} leaves no room for one context, which takes up to "
                f"{self.budget.context_bytes:,} bytes beside what is written about it; allow more or ask for a shorter context"
            )
        multiple = self.settings.policy.norm_multiple
        medians = {} if multiple is None else self.reader.median_norms(first)
        limits = limits_of(medians, self.settings)
        sites = {
            str(site): SiteFacts(width, medians.get(site), limits.get(site))
            for site, width in self.reader.widths.items()
        }
        info = self.corpus.info
        self.facts = Facts(
            format=journal.FORMAT,
            sites=sites,
            weights=self.reader.model.identity.to_dict(),
            corpus={"name": info.name, "licence": info.licence, "origin": info.origin},
            settings=self.settings.asked(),
            start_token=self.reader.start_id,
            batch_size=self.settings.batch_size,
            versions=versions(),
        )
        journal.write_facts(self.place, self.facts)

    def _check_same(self, found: Facts) -> None:
        """Raise InputError where other rows are asked for than the store's."""
        ours = self.reader.model.identity
        if found.weights["fingerprint"] != ours.fingerprint:
            raise InputError(
                f"'{self.place}' was begun with {found.weights['name']} {found.weights['dtype']}, weights "
                f"{found.weights['fingerprint'][:12]}, and these are {ours.name} {ours.dtype}, weights {ours.fingerprint[:12]}; "
                "open the same model or choose another folder"
            )
        asked = self.settings.asked() | {"sites": {str(site): width for site, width in self.reader.widths.items()}}
        known = found.settings | {"sites": {site: one.width for site, one in found.sites.items()}}
        for name, value in asked.items():
            if known.get(name) != value:
                raise InputError(
                    f"'{self.place}' was begun with {name} {known.get(name)} and {value} is asked for now; "
                    "ask for the same or choose another folder"
                )

    def _pass_over(self, shard: Shard) -> None:
        """Take the contexts of a shard that is acknowledged; raise InputError where the corpus gives others."""
        n_contexts = sum(1 for _ in islice(iter(self.packer.next, None), shard.contexts))
        # What had been read when the shard was written had been read on to know whether there was more.
        self.packer.exhausted()
        source = self.packer.source
        if (n_contexts, source.read, source.sha256) != (shard.contexts, shard.documents, shard.documents_sha256):
            raise InputError(
                f"the corpus '{self.corpus.name}' is no longer what '{self.place}' was harvested from, within its first "
                f"{shard.documents} documents; put it back or choose another folder"
            )

    def _read(self, contexts: list[Context], limits: dict[Site, float], progress: Progress | None) -> list[Rows]:
        parts, done = [], sum(shard.rows for shard in self.shards)
        for part in self.reader.rows(contexts, limits):
            parts.append(part)
            done += len(part.contexts)
            if progress:
                progress(HARVESTING, done, max(self.settings.tokens or 0, done))
        return parts

    def _keep(self, contexts: list[Context], parts: list[Rows]) -> None:
        """Write a shard, and then acknowledge it."""
        name = journal.shard_name(len(self.shards))
        width, dtype = self.settings.context, self.reader.dtype
        path = self.place.put(name, partial(write_shard, parts=parts, contexts=contexts, width=width, dtype=dtype))
        at = sum((Counter(part.left_out.norm_at) for part in parts), Counter[str]())
        left_out = {"start": sum(p.left_out.start for p in parts), "norm": sum(p.left_out.norm for p in parts)}
        is_last = self.packer.exhausted()
        shard = Shard(
            name=name,
            rows=sum(len(part.contexts) for part in parts),
            contexts=len(contexts),
            bytes=path.stat().st_size,
            sha256=sha256_file(path),
            documents=self.packer.source.read,
            documents_sha256=self.packer.source.sha256,
            left_out=left_out,
            left_out_at=dict(at),
            ended=None,
        )
        shard = msgspec.structs.replace(shard, ended=self.budget.ended([*self.shards, shard], is_last))
        journal.write_journal(self.place, [*self.shards, shard])
        self.shards.append(shard)
