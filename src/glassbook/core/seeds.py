"""Random numbers that depend on a seed and a purpose, never on what ran before."""

import hashlib
import random

import numpy as np
import torch


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a CPU generator for one purpose of a run, e.g. `generator(seed, "random-direction", 3)`.

    The purpose is hashed into the seed, so that adding a random choice in one place moves no number in another.
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def seed_all(seed: int, *purpose: str | int) -> None:
    """Seed the global generators of torch, numpy and Python for one purpose; what draws from them then repeats."""
    number = generator(seed, *purpose).initial_seed()
    torch.manual_seed(number)
    np.random.seed(number % 2**32)
    random.seed(number)
