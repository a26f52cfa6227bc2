"""Words of one token, and what stands at them in a model that is asked for their first letters.

The prompt is that of Chanin et al. 2024 (2409.14507): lines such as "apple has the first letter: A", then the word. It is read at
the word's own token, and since attention looks back only, what would follow the word need not be read. All words stand behind
the same lines.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.activations.capture import capture
from glassbook.activations.store.reading import width_at
from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.core.sites import Site
from glassbook.core.taps import PassDone, Taps
from glassbook.files.hashes import Progress
from glassbook.models.attention import Behind
from glassbook.models.model import Model
from glassbook.models.together import Climber, climb_together

READING = "words read"
_AT_ONCE = 256
_EXAMPLES = 10
_LINE = "{} has the first letter: {}\n"


@dataclass(frozen=True, slots=True)
class Words:
    """Tokens that are words, and the lines that stand before each of them."""

    texts: tuple[str, ...]
    ids: tuple[int, ...]
    lines: str

    @property
    def letters(self) -> tuple[str, ...]:
        """Return the first letter of each, small."""
        return tuple(text.strip()[0].lower() for text in self.texts)


def words_of(model: Model, n: int, seed: int) -> Words:
    """Return at most `n` words, drawn by the seed from the tokens that are a space and letters of ASCII.

    Where a vocabulary has too few of those, tokens of letters alone serve. Raises InputError where they are too few, too.
    """
    if model.tokenizer is None:
        raise InputError(f"{model.identity.name} has no tokenizer, so it has no words; open a model that has one")
    strings = model.tokenizer.token_strings(range(model.tokenizer.d_vocab))
    letters = [number for number, text in enumerate(strings) if text.isascii() and text.removeprefix(" ").isalpha()]
    spaced = [number for number in letters if strings[number].startswith(" ")]
    known = spaced if len(spaced) > _EXAMPLES else letters
    if len(known) <= _EXAMPLES:
        raise InputError(
            f"the vocabulary of {model.identity.name} has {len(known)} words of letters, too few to learn first letters from; "
            "use a model with more"
        )
    order = torch.randperm(len(known), generator=generator(seed, "words")).tolist()
    drawn = [known[number] for number in order[: n + _EXAMPLES]]
    examples = [strings[number].strip() for number in drawn[:_EXAMPLES]]
    lines = "".join(_LINE.format(word, word[0].upper()) for word in examples)
    return Words(tuple(strings[number] for number in drawn[_EXAMPLES:]), tuple(drawn[_EXAMPLES:]), lines)


def read_words(model: Model, site: Site, words: Words, progress: Progress | None = None) -> Float[Tensor, "word d_in"]:
    """Return what stands at each word's token, on the CPU; the lines before are computed once where the network lets that be."""
    assert model.tokenizer is not None
    start = model.tokenizer.document_start_id
    head = [*([] if start is None else [start]), *model.tokenizer.encode(words.lines)]
    if len(head) >= model.config.n_ctx:
        raise InputError(
            f"the lines before each word are {len(head)} tokens and {model.identity.name} reads {model.config.n_ctx}; "
            "use a model with a longer context"
        )
    behind = _head(model, site, head) if model.net.resumable else None
    found = torch.empty(len(words.ids), width_at(model, site))
    for first in range(0, len(words.ids), _AT_ONCE):
        ids = words.ids[first : first + _AT_ONCE]
        if behind is None:
            value = capture(model, [[*head, word] for word in ids], site, positions=-1)[site]
        else:
            value = _behind(model, site, ids, behind)
        found[first : first + len(ids)] = value.flatten(2)[:, 0].float().cpu()
        if progress:
            progress(READING, first + len(ids), len(words.ids))
    return found


def _head(model: Model, site: Site, head: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return keys and values of the lines, as far up as the Site."""
    cache = model.transformer.new_cache(1, len(head))
    taps = Taps(readers={site: lambda value: None}, stop=True)
    with torch.inference_mode(), suppress(PassDone):
        model.net(torch.tensor([list(head)], device=model.device), taps, cache)
    return cache.keys, cache.values


def _behind(model: Model, site: Site, ids: Sequence[int], head: tuple[Tensor, Tensor]) -> Float[Tensor, "word one d"]:
    """Return what stands at words that all look back at the same lines."""
    kept: list[Tensor] = []
    tokens = torch.tensor(ids, device=model.device)[:, None]
    positions = torch.full_like(tokens, head[0].shape[3])
    taps = Taps(readers={site: kept.append}, stop=True)
    with torch.inference_mode(), suppress(PassDone):
        stream = model.transformer.enter(tokens, positions, taps)
        climber = Climber(stream, positions, taps, Behind(*head, len(ids)))
        climb_together(model.transformer, [climber], 0)
    return kept[0]
