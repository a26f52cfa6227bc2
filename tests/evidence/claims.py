"""A claim and items to judge it by, that tests change in one place each."""

import msgspec
import numpy as np

from glassbook.evidence import Claim, Comparison, Measure, Paper

CLAIM = Claim(
    id="larger",
    says="Ours is larger.",
    measure=Measure("ours", "score"),
    direction="above",
    bar=1.0,
    null=0.0,
    unit="nats",
    items="prompts",
    baseline=Comparison("doing nothing", Measure("plain", "score")),
    control=Comparison("a random direction", Measure("random", "score")),
    paper=Paper(value=2.5, where="table 1", setting="a larger model", checked=True),
    headline=True,
)
MIRRORED = {"above": "below", "below": "above", "within": "within"}


def changed(**fields) -> Claim:
    """Return the claim with some fields otherwise."""
    return msgspec.structs.replace(CLAIM, **fields)


def normal_items(ours=2.0, control=0.0, seeds=(0, 1, 2), n=12, spread=0.3) -> dict:
    """Return items of three arms around given means, the same every time."""
    found = {}
    for number, seed in enumerate(seeds):
        rng = np.random.default_rng(number)
        means = {"ours": ours, "plain": 0.1, "random": control}
        found[seed] = {arm: {"score": rng.normal(mean, spread, n)} for arm, mean in means.items()}
    return found


def mapped(items, change, arms=("ours", "plain", "random")) -> dict:
    """Return items with some arms' values changed."""
    return {
        seed: {arm: {name: change(row) if arm in arms else row for name, row in columns.items()}
               for arm, columns in by_arm.items()}
        for seed, by_arm in items.items()
    }  # fmt: skip
