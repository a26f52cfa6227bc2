"""Weights that two programs can make for themselves: each tensor is a function of its name, its shape and a seed.

Needs numpy only, so that an oracle in an environment of its own and our tests fill the same network. Names and shapes
are those of the Hugging Face checkpoint.
"""

import zlib

import numpy as np


def seeded(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Return one tensor, float32: N(0, 1 / fan) for matrices and stacks of them, near one for norms, small for biases."""
    draw = np.random.RandomState(zlib.crc32(f"{seed}/{name}".encode())).standard_normal(shape)
    if len(shape) > 1 and not name.endswith("bias"):
        return (draw / np.sqrt(min(shape[-2:]))).astype(np.float32)
    return (0.2 * draw + (0.0 if name.endswith("bias") else 1.0)).astype(np.float32)


def seeded_loss_weights(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Return the weights of the one scalar whose gradients the golden files hold: the sum of logits times these."""
    return seeded("loss.bias", shape, seed)
