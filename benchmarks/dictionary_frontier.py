"""L0 against quality on real activations, every kind of dictionary beside PCA, random directions and a search:
`FRONTIER_STORE=DIR FRONTIER_HELD_OUT=DIR python benchmarks/dictionary_frontier.py`.

Both are harvests of one Site, the second of text that the first does not hold (`scripts/default_dictionary.py` makes such a
pair). All dictionaries of a kind learn from one pass over the same 512,000 rows in the same order, 4,608 features each, at the
rate that a training takes where nothing is asked; the references are fitted to the first of them. FVU and L0 are those of
`evaluate` on the first 20,480 held-out rows. What was measured is kept in `results/dictionary_frontier.json` as it comes, and a
call that was cut short goes on.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from harness import RESULTS

N, BATCH, STEPS = 4608, 2048, 250
HELD_OUT = 20_480
KS = (8, 16, 32, 64)
WEIGHTS = {"standard": (0.02, 0.08, 0.16, 0.3, 0.6, 1.0), "gated": (0.03, 0.1, 0.15, 0.2, 0.3)}
WITH_K = ("topk", "batchtopk", "matryoshka-batchtopk", "jumprelu")
REFERENCES = ("pca", "random")
WIDTH = 576
KEPT = RESULTS / "dictionary_frontier.json"


def points() -> Iterator[tuple[str, list[tuple[str, dict]]]]:
    """Yield the dictionaries of each pass by name, each with what it is asked to be."""
    for kind in WITH_K:
        yield kind, [(f"{kind} k {k}", {"kind": kind, "n_features": N, "k": k}) for k in KS]
    for kind, weights in WEIGHTS.items():
        asked = [{"kind": kind, "n_features": N, "training": {"sparsity": one}} for one in weights]
        yield kind, [(f"{kind} {one}", how) for one, how in zip(weights, asked, strict=True)]
    width = {"pca": 576, "random": N}
    for kind in REFERENCES:
        yield kind, [(f"{kind} k {k}", {"kind": kind, "n_features": width[kind], "k": k}) for k in KS]


def learn(asked: list[tuple[str, dict]]) -> dict[str, object]:
    """Return dictionaries trained on one pass."""
    from glassbook.activations.store import open_store
    from glassbook.features import Running, Wanted, train_many

    store = open_store(os.environ["FRONTIER_STORE"])
    (site,) = store.sites
    wanted = {name: Wanted(**how) for name, how in asked}
    rows = store.batches(site, BATCH, seed=0, epochs=None)
    widths = store.width(site), store.width(site)
    return {name: one.dictionary for name, one in train_many(rows, wanted, Running(steps=STEPS), widths).items()}


def score(dictionary: object) -> dict[str, float]:
    """Return L0 and FVU on held-out rows, and the share of features that are never active there."""
    import torch

    from glassbook.activations.store import open_store
    from glassbook.features.metrics import Tally

    store = open_store(os.environ["FRONTIER_HELD_OUT"])
    (site,) = store.sites
    x = store.rows(site, 0, HELD_OUT).float()
    tally = Tally(x.mean(0), dictionary.n_features)
    with torch.no_grad():
        for first in range(0, len(x), BATCH):
            part = x[first : first + BATCH]
            features = dictionary.encode(part)
            tally.add(part, dictionary.decode(features), features)
    found = tally.result()
    return {"l0": found.l0, "fvu": found.fvu, "dead": found.dead}


def search(found: dict[str, object]) -> dict[str, dict[str, float]]:
    """Return what matching pursuit does on the decoders of the BatchTopK dictionaries, at their k."""
    from glassbook.features import MatchingPursuit

    return {
        name.replace("batchtopk", "omp on batchtopk"): score(MatchingPursuit.of(one, one.k))
        for name, one in found.items()
    }


def volumes(data: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return how much of the box each kind covers (see `glassbook.features.frontier`)."""
    from glassbook.features.frontier import FrontierPoint, SparsityFrontier

    points = [
        FrontierPoint(name=name, group=name.rsplit(" k ", 1)[0] if " k " in name else name.split()[0], **place)
        for name, one in data.items()
        if (place := {key: one[key] for key in ("l0", "fvu")})
    ]
    return SparsityFrontier(points, WIDTH).covered


def table(data: dict[str, dict[str, float]]) -> str:
    """Return every dictionary with its numbers, and what every kind covers."""
    rows = ["| dictionary | L0 | FVU | never active |", "|---|---|---|---|"]
    rows += [f"| {name} | {one['l0']:.1f} | {one['fvu']:.3f} | {one['dead']:.3f} |" for name, one in data.items()]
    rows += ["", f"| kind | covered share of the box up to L0 {WIDTH} (logarithmic) and FVU 1 |", "|---|---|"]
    return "\n".join(rows + [f"| {kind} | {share:.3f} |" for kind, share in volumes(data).items()])


def main(path: Path = KEPT) -> None:
    data = json.loads(path.read_text()) if path.exists() else {}
    for kind, every in points():
        asked = [(name, how) for name, how in every if name not in data]
        if not asked:
            continue
        found = learn(asked)
        data |= {name: score(one) for name, one in found.items()}
        if kind == "batchtopk":
            data |= search(found)
        path.write_text(json.dumps(data, indent=1) + "\n")
        print(kind, {name: round(one["fvu"], 3) for name, one in data.items() if name.startswith(kind)}, flush=True)
    print(table(data))


if __name__ == "__main__":
    main()
