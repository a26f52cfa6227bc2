"""How many planted atoms each kind of dictionary finds again, as the atoms come closer: `python benchmarks/planted_recovery.py`.

64 atoms in 64 dimensions, 4 of them active in a row, 3,000 batches of 1,024 rows. Kinds with k are given 4 and two learning
rates, the nested kind two lists of sizes too, the others a range of weights of their penalty (JumpReLU both); of each kind the
best counts, by the mean over seeds. An atom is recovered by a direction of its own with a cosine of at least 0.9. What was
measured is kept in `results/planted_recovery.json` as it comes, and a call that was cut short goes on.
"""

import json
import statistics
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from harness import RESULTS

N, D, ACTIVE = 64, 64, 4
BATCH, STEPS = 1024, 3000
RATES = {"": 3e-3, " slow": 1e-3}
COHERENCES, SEEDS = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9), (0, 1, 2)
WEIGHTS = {"standard": (0.03, 0.06, 0.1, 0.2), "gated": (0.1, 0.3, 1.0), "jumprelu": (0.03, 0.1, 0.3)}
WITH_K = ("topk", "batchtopk", "jumprelu")
NESTED, SIZES = "matryoshka-batchtopk", {"": None, " 2": [N // 2, N]}
KINDS = (*WITH_K[:2], NESTED, *WEIGHTS)
HELD_OUT = 4096
KEPT = RESULTS / "planted_recovery.json"


def dictionaries(seed: int) -> dict[str, Any]:
    """Return by name what is trained."""
    from glassbook.features import Wanted

    found = {}
    with_k = {kind: (kind, {}) for kind in WITH_K}
    with_k |= {NESTED + name: (NESTED, {} if sizes is None else {"sizes": sizes}) for name, sizes in SIZES.items()}
    for name, (kind, settings) in with_k.items():
        for pace, lr in RATES.items():
            how = {"lr": lr, "seed": seed}
            found[name + pace] = Wanted(kind=kind, n_features=N, k=ACTIVE, settings=settings, training=how)
    for kind, weights in WEIGHTS.items():
        for one in weights:
            how = {"lr": RATES[""], "seed": seed, "sparsity": one}
            found[f"{kind} {one}"] = Wanted(kind=kind, n_features=N, training=how)
    return found


def measure(coherence: float, seed: int, known: Collection[str]) -> dict[str, dict[str, float]]:
    """Return recovery, L0 and held-out FVU of every dictionary that is not known yet."""
    from glassbook.features import Running, train_many
    from glassbook.features.planted import PlantedRows, planted, recovery

    wanted = {name: one for name, one in dictionaries(seed).items() if name not in known}
    if not wanted:
        return {}
    plant = planted(N, D, coherence, seed=seed, active=ACTIVE)
    done = train_many(PlantedRows(plant, BATCH, seed), wanted, Running(steps=STEPS), (D, D))
    x = plant.rows(HELD_OUT, seed + 1000)
    found = {}
    for name, one in done.items():
        features = one.dictionary.encode(x)
        missed = (x - one.dictionary.decode(features)).square().sum() / (x - x.mean(0)).square().sum()
        l0 = (features != 0).sum(1).float().mean()
        recovered = recovery(one.dictionary.decoder.detach(), plant.atoms)
        found[name] = {"recovery": recovered, "l0": float(l0), "fvu": float(missed)}
    return found


def table(data: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the best of each kind, the mean over seeds with the smallest and largest, by coherence."""
    rows = ["| coherence | " + " | ".join(KINDS) + " |", "|---" * (1 + len(KINDS)) + "|"]
    for coherence in COHERENCES:
        measured = [data[key] for seed in SEEDS if (key := f"{coherence} {seed}") in data]
        if measured:
            rows.append(f"| {coherence} | " + " | ".join(_cell(kind, measured) for kind in KINDS) + " |")
    return "\n".join(rows)


def _cell(kind: str, measured: list[dict[str, dict[str, float]]]) -> str:
    names = [name for name in measured[0] if name.split()[0] == kind and all(name in one for one in measured)]
    if not names:
        return "not measured"
    best = max(names, key=lambda name: statistics.mean(one[name]["recovery"] for one in measured))
    values = [one[best]["recovery"] for one in measured]
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def asked() -> Iterator[tuple[float, int]]:
    return ((coherence, seed) for seed in SEEDS for coherence in COHERENCES)


def main(path: Path = KEPT) -> None:
    data = json.loads(path.read_text()) if path.exists() else {}
    for coherence, seed in asked():
        key = f"{coherence} {seed}"
        if found := measure(coherence, seed, data.get(key, ())):
            data[key] = data.get(key, {}) | found
            path.write_text(json.dumps(data, indent=1) + "\n")
            print(key, {name: round(one["recovery"], 3) for name, one in found.items()}, flush=True)
    print(table(data))


if __name__ == "__main__":
    main()
