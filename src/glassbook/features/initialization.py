"""How a dictionary begins."""

import torch

from glassbook.features.dictionary import Dictionary
from glassbook.features.random_directions import unit_rows

_FREE_NORM = 0.1
"""The norm of directions that are not held at 1: short, so that the penalty does not begin by shrinking them."""

_TRANSCODER_NORM = 0.1
"""The norm of a transcoder's encoder rows: what it writes at first is unrelated to what it should, and so must be little."""


@torch.no_grad()
def initialize(dictionary: Dictionary, seed: int, reads_what_it_writes: bool, first_encoder: float = 1.0) -> None:
    """Draw directions evenly from the sphere; an encoder that reads what is written begins as the decoder's transpose.

    Where directions are held at norm 1 it is `first_encoder` times the transpose: many features share each activation, and
    together they would begin by reconstructing it several times over.
    """
    norm = 1.0 if dictionary.has_unit_rows else _FREE_NORM
    dictionary.decoder.copy_(unit_rows(dictionary.n_features, dictionary.d_out, seed) * norm)
    if reads_what_it_writes:
        dictionary.encoder.copy_(dictionary.decoder * (first_encoder if dictionary.has_unit_rows else 1.0))
    else:
        # A seed of its own: encoder and decoder rows of one width would else be the same.
        rows = unit_rows(dictionary.n_features, dictionary.d_in, seed + 1)
        dictionary.encoder.copy_(rows * _TRANSCODER_NORM)
    dictionary.b_enc.zero_()
    dictionary.b_dec.zero_()
