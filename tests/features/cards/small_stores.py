"""Stores with drawn whole numbers in place of activations, in any shards, and dictionaries that count in whole numbers.

Sums of small whole numbers are exact, so that nothing depends on how many rows are multiplied at a time.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from conformance.tiny import tiny_model
from glassbook.activations.store.journal import FORMAT, Facts, Shard, SiteFacts, shard_name, write_facts, write_journal
from glassbook.activations.store.packing import Context
from glassbook.activations.store.places import as_place
from glassbook.activations.store.reading import LeftOut, Rows
from glassbook.activations.store.settings import Harvest
from glassbook.activations.store.shards import write_shard
from glassbook.activations.store.store import ActivationStore, open_store
from glassbook.core.sites import Site
from glassbook.features.dictionary import Dictionary, make_dictionary
from glassbook.files.hashes import sha256_file

SITE = Site.parse("L0.resid_post")
WIDTH = 32
"""That of the tiny model."""


@dataclass(frozen=True)
class Material:
    """Contexts, which of their positions were kept, and the row of each of those."""

    contexts: list[Context]
    kept: list[list[int]]
    values: list[torch.Tensor]


def drawn(seed: int, n_contexts: int = 9, length: int = 10) -> Material:
    """Return contexts of up to so many tokens from a few documents, some of whose positions were left out."""
    draw = np.random.default_rng(seed)
    contexts, kept, values = [], [], []
    for number in range(n_contexts):
        n = int(draw.integers(1, length + 1))
        documents = number * 2 + (np.arange(n) >= draw.integers(0, length + 1)).astype(np.int32)
        contexts.append(Context(draw.integers(0, 262, n).astype(np.int32), documents.astype(np.int32)))
        kept.append([place for place in range(n) if draw.random() < 0.8])
        values.append(torch.from_numpy(draw.integers(-2, 3, (len(kept[-1]), WIDTH)).astype(np.float32)))
    return Material(contexts, kept, values)


def stored(folder: Path, material: Material, shards: list[int]) -> ActivationStore:
    """Return a store whose shards hold so many contexts each."""
    place = as_place(folder)
    (folder / "shards").mkdir(parents=True)
    identity = tiny_model().identity.to_dict()
    corpus = {"name": "drawn", "licence": "none", "origin": "drawn"}
    sites = {str(SITE): SiteFacts(WIDTH, None, None)}
    settings = Harvest(context=16, dtype="float32").asked()
    write_facts(place, Facts(FORMAT, sites, identity, corpus, settings, None, 1, {}))
    written, first = [], 0
    for number, count in enumerate(shards):
        part = range(first, first + count)
        path = folder / shard_name(number)
        rows = [_rows(material, context, context - first) for context in part]
        write_shard(path, rows, [material.contexts[context] for context in part], 16, torch.float32)
        n_rows = sum(len(row.contexts) for row in rows)
        facts = (path.stat().st_size, sha256_file(path), first + count, "", {"start": 0, "norm": 0}, {}, None)
        written.append(Shard(shard_name(number), n_rows, count, *facts))
        first += count
    write_journal(place, written)
    return open_store(folder)


def _rows(material: Material, context: int, place: int) -> Rows:
    positions = torch.tensor(material.kept[context], dtype=torch.int32)
    return Rows({SITE: material.values[context]}, torch.full_like(positions, place), positions, LeftOut())


def counting(kind: str, n_features: int = 12, seed: int = 0, threshold: float = 4.0) -> Dictionary:
    """Return a dictionary of whole numbers; a few features are never active and one nearly always is."""
    draw = np.random.default_rng([seed, n_features])
    settings = {"k": 2} if kind in ("topk", "batchtopk") else {}
    made = make_dictionary(kind, WIDTH, n_features, WIDTH, settings)
    with torch.no_grad():
        made.encoder.copy_(torch.from_numpy(draw.integers(-1, 2, (n_features, WIDTH)).astype(np.float32)))
        if kind in ("topk", "gated"):
            # Equal numbers have no order among a row's largest.
            made.encoder.add_(torch.from_numpy(draw.normal(size=(n_features, WIDTH)).astype(np.float32)) / 8)
        made.decoder.copy_(torch.from_numpy(draw.normal(size=(n_features, WIDTH)).astype(np.float32)))
        made.b_enc[:2], made.b_enc[2] = -1000, 20
        if kind == "batchtopk":
            made.threshold.fill_(threshold)
        if kind == "jumprelu":
            made.log_threshold.fill_(float(np.log(threshold + 0.5)))
    made.facts |= {"site": str(SITE), "weights": tiny_model().identity.to_dict()}
    return made.requires_grad_(False)
