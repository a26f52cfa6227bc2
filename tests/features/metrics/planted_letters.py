"""Words in a space of planted directions: one for each letter, one for each word, and dictionaries that absorb some of them."""

from collections.abc import Collection

import torch
from torch import Tensor

from glassbook.core.seeds import generator
from glassbook.features import Dictionary, make_dictionary
from glassbook.features.metrics.absorption import AbsorptionSettings, Asked

LETTERS = "abc"
EACH = 40
N = len(LETTERS) * EACH
D = 2 * N
HOW = AbsorptionSettings(fewest=5, most_split=4)
OF_LETTER, OF_WORD = 3.0, 1.0
"""How long what a word shares with its letter is, and what is its own."""


def basis() -> Tensor:
    """Return directions at right angles: those of the letters first, then those of the words."""
    return torch.linalg.qr(torch.randn(D, D, generator=generator(0, "letters"))).Q


def asked(letters: str | None = None) -> Asked:
    """Return the words: each its letter's direction and its own; every third is tested on."""
    given = letters or "".join(letter * EACH for letter in LETTERS)
    place = torch.tensor([LETTERS.index(letter) for letter in "".join(letter * EACH for letter in LETTERS)])
    directions = basis()
    x = OF_LETTER * directions[place] + OF_WORD * directions[len(LETTERS) : len(LETTERS) + N]
    return Asked([f"{letter}{number}" for number, letter in enumerate(given)], x, given, torch.arange(N) % 3 == 0)


def dictionary(absorbed: Collection[int] = ()) -> Dictionary:
    """Return a dictionary with a feature for each letter and each word; those of absorbed words carry their letter, too.

    A letter's own feature is silent at its absorbed words, as sparsity would have it.
    """
    made = make_dictionary("standard", D, len(LETTERS) + N).requires_grad_(False)
    directions = basis()[: len(LETTERS) + N]
    made.encoder.copy_(directions)
    made.decoder.copy_(directions)
    for word in absorbed:
        letter, own = word // EACH, len(LETTERS) + word
        made.encoder[letter] -= 2 * OF_LETTER / OF_WORD * directions[own]
        made.decoder[own] += OF_LETTER / OF_WORD * directions[letter]
    return made
