"""A training killed with SIGKILL at any moment goes on from its last checkpoint and ends with the same bits."""

import multiprocessing
import os
import random
import signal
import time

from glassbook.training.checkpoint import checkpoint_steps
from training.tiny import same_bits, trained

STEPS = 14
KILLS = 4


def _train(folder):
    trained(STEPS, folder, checkpoint_every=1)


def _reached(folder):
    return max(checkpoint_steps(folder), default=0) if folder.is_dir() else 0


def test_killed_again_and_again_a_training_ends_with_the_same_bits(tmp_path):
    whole, _ = trained(STEPS, tmp_path / "whole", checkpoint_every=1)
    chance, folder, reached = random.Random(0), tmp_path / "cut", [0]
    for _ in range(KILLS):
        child = multiprocessing.get_context("fork").Process(target=_train, args=(folder,))
        child.start()
        # By what it has written and not by the clock, so that a busy machine kills in the midst of things too.
        wanted = reached[-1] + chance.randint(1, 3)
        while child.is_alive() and _reached(folder) < wanted:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        steps = checkpoint_steps(folder)
        assert len(steps) <= 3 and max(steps, default=0) >= reached[-1], "what was written stays"
        reached.append(max(steps, default=0))
    assert len(set(reached)) > 2, "the kills fell into the training"
    net, history = trained(STEPS, folder, checkpoint_every=1)
    assert history.is_finished and same_bits(net, whole)
    assert checkpoint_steps(folder) == [STEPS - 1, STEPS]
