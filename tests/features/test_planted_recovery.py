"""A dictionary whose atoms are known is found again where its atoms lie far apart, and less of it where they lie close."""

import pytest

from glassbook.features import Running, Wanted, make_dictionary, train_many
from glassbook.features.planted import PlantedRows, planted, recovery

N, ACTIVE = 32, 3
BAR = 0.95
WANTED = {
    "batchtopk": Wanted(kind="batchtopk", n_features=N, k=ACTIVE, training={"lr": 1e-2}),
    "standard": Wanted(kind="standard", n_features=N, training={"lr": 1e-2, "sparsity": 0.1}),
}


def recovered(coherence: float, kinds: tuple[str, ...]) -> dict[str, float]:
    plant = planted(N, N, coherence, seed=0, active=ACTIVE)
    wanted = {kind: WANTED[kind] for kind in kinds}
    done = train_many(PlantedRows(plant, 512, 0), wanted, Running(steps=600), (N, N))
    return {kind: recovery(one.dictionary.decoder.detach(), plant.atoms) for kind, one in done.items()}


@pytest.mark.slow
def test_far_atoms_are_recovered_and_close_ones_merge():
    assert min(recovered(0.3, ("batchtopk", "standard")).values()) >= BAR
    assert recovered(0.9, ("batchtopk",))["batchtopk"] < 0.75


def test_directions_that_learned_nothing_recover_no_atom_and_the_atoms_themselves_all():
    plant = planted(N, N, 0.3, seed=0, active=ACTIVE)
    untrained = make_dictionary("batchtopk", N, N, N, {"k": ACTIVE})
    assert recovery(untrained.decoder.detach(), plant.atoms) < 0.2
    assert recovery(plant.atoms, plant.atoms) == 1
    assert recovery(plant.atoms[: N // 2], plant.atoms) == 0.5
