"""A training of dictionaries goes on from every one of its checkpoints to the same bits, one dictionary or many."""

import shutil
from dataclasses import replace

import pytest
import torch

from features.samples import same
from glassbook.features import Running, Wanted, train_many
from glassbook.features.faults import DictionaryError
from glassbook.features.planted import PlantedRows, planted
from glassbook.training.checkpoint import checkpoint_steps

STEPS = 7
DATA = planted(16, 12, 0.4, seed=0)
ALL = {
    kind: Wanted(n_features=20, kind=kind, k=k, training={"lr": 0.01})
    for kind, k in (
        ("topk", 3), ("batchtopk", 3), ("matryoshka-batchtopk", 3), ("standard", None), ("gated", None), ("jumprelu", 3),
    )
}  # fmt: skip


def trained(wanted, folder=None, steps_here=None, order_seed=1):
    """Return the weights by name; a run is cut short after `steps_here`, as Ctrl-C would."""
    seen = []

    def stop(now):
        seen.append(now.step)
        if now.step == steps_here:
            raise KeyboardInterrupt

    running = Running(steps=STEPS, folder=folder, checkpoint_every=1, log_every=1, progress=stop)
    found = train_many(PlantedRows(DATA, 64, order_seed), wanted, running, (12, 12))
    return {name: one.dictionary.state_dict() for name, one in found.items()}


@pytest.mark.parametrize("names", [["batchtopk"], list(ALL)])
def test_cut_short_anywhere_a_training_ends_with_the_same_bits(tmp_path, names):
    wanted = {name: ALL[name] for name in names}
    whole = trained(wanted)
    for cut in range(2, STEPS):
        folder = tmp_path / str(cut)
        with pytest.raises(KeyboardInterrupt):
            trained(wanted, folder, cut)
        # The step at hand came before its checkpoint.
        assert max(checkpoint_steps(folder)) == cut - 1
        again = trained(wanted, folder)
        assert all(same(again[name], whole[name]) for name in names)
        shutil.rmtree(folder)


def test_control_another_order_of_rows_ends_elsewhere():
    wanted = {"topk": ALL["topk"]}
    assert not same(trained(wanted)["topk"], trained(wanted, order_seed=2)["topk"])
    assert torch.isfinite(trained(wanted)["topk"]["encoder"]).all()


@pytest.mark.parametrize(
    "change",
    [{"kind": "batchtopk"}, {"n_features": 21}, {"k": 4}, {"training": {"lr": 0.02}}, {"training": {"seed": 1}}],
)
def test_another_training_does_not_go_on_from_a_checkpoint_and_leaves_it_as_it_is(tmp_path, change):
    wanted = {"one": ALL["topk"]}
    with pytest.raises(KeyboardInterrupt):
        trained(wanted, tmp_path, 4)
    with pytest.raises(DictionaryError, match="with other settings; give those, or train in another folder"):
        trained({"one": replace(ALL["topk"], **change)}, tmp_path)
    with pytest.raises(DictionaryError, match="with other settings"):
        trained({"another": ALL["topk"]}, tmp_path)
    assert same(trained(wanted, tmp_path)["one"], trained(wanted)["one"])
