"""Texts as rows: the mean over a text's tokens of the stream, and of the features of dictionaries that read it.

Tokens that a dictionary's harvest would have left out (the start token, the first position, norms far beyond the median) are
left out here too. A feature counts times the length of its direction: how its scale is shared out changes nothing.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.activations.store.packing import Context, start_id
from glassbook.activations.store.reading import Limits, Reader, limits_of
from glassbook.activations.store.settings import Harvest
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.features.belonging import policy_of
from glassbook.features.dictionary import Dictionary
from glassbook.files.hashes import Progress
from glassbook.models.model import Model

READING = "texts read"
STREAM = "stream"
_AT_ONCE, _FIRST = 64, 64
"""Texts in one pass; and texts from which usual norms are told."""


class Pool:
    """A model that reads texts as a dictionary's harvest read its own; `limits` are told from the first texts it is given."""

    def __init__(self, model: Model, dictionary: Dictionary, site: Site, context: int, first: Sequence[str]) -> None:
        if model.tokenizer is None:
            raise InputError(
                f"{model.identity.name} has no tokenizer, so no text can be read; open a model that has one"
            )
        policy = policy_of(dictionary)
        known = {} if policy is None else {"policy": policy}
        how = Harvest(
            context=min(context, model.config.n_ctx),
            dtype="float32",
            batch_size=_AT_ONCE,
            **known,  # type: ignore[arg-type]
        )
        self.site, self.how, self.tokenizer = site, how, model.tokenizer
        self.reader = Reader(model, site, how)
        self.first = self._contexts(first[:_FIRST])
        self.limits: Limits = {}
        if how.policy.norm_multiple is not None:
            self.limits = limits_of(self.reader.median_norms(self.first), how)

    def sample(self) -> Float[Tensor, "row d_in"]:
        """Return the activations at the kept tokens of the first texts, to fit a reference to."""
        return torch.cat([rows.values[self.site] for rows in self.reader.rows(self.first, self.limits)])

    @torch.inference_mode()
    def rows(
        self, texts: Sequence[str], dictionaries: Mapping[str, Dictionary], progress: Progress | None = None
    ) -> dict[str, Float[Tensor, "text _"]]:
        """Return a row for each text: of the stream, and of each dictionary; raise InputError for a text without a kept token."""
        # The shortest first, so that little of a pass is padding.
        contexts = self._contexts(texts)
        order = sorted(range(len(texts)), key=lambda number: len(contexts[number].tokens))
        sums: dict[str, Tensor] = {}
        counts, done = torch.zeros(len(texts)), 0
        for rows in self.reader.rows([contexts[number] for number in order], self.limits):
            of_text = torch.tensor(order)[rows.contexts.long()]
            counts += torch.bincount(of_text, minlength=len(texts))
            for name, values in read_by(rows.values[self.site], dictionaries).items():
                sums.setdefault(name, torch.zeros(len(texts), values.shape[1], dtype=torch.float64))
                sums[name].index_add_(0, of_text, values.double())
            done = min(done + _AT_ONCE, len(texts))
            if progress:
                progress(READING, done, len(texts))
        if (counts == 0).any():
            where = int((counts == 0).nonzero()[0])
            raise InputError(f"the text {texts[where][:60]!r} has no token that is kept; leave it out")
        return {name: (total / counts[:, None]).float() for name, total in sums.items()}

    def _contexts(self, texts: Sequence[str]) -> list[Context]:
        start = start_id(self.tokenizer, self.how)
        head = [] if start is None else [start]
        found = []
        for number, ids in enumerate(self.tokenizer.encode_batch(list(texts))):
            tokens = np.asarray([*head, *ids][: self.how.context], np.int32)
            found.append(Context(tokens, np.full(len(tokens), number, np.int32)))
        return found


def read_by(x: Float[Tensor, "row d_in"], dictionaries: Mapping[str, Dictionary]) -> dict[str, Float[Tensor, "row _"]]:
    """Return the stream and the features of each dictionary, each feature times the length of its direction."""
    found = {STREAM: x}
    for name, dictionary in dictionaries.items():
        features = dictionary.encode(x.to(dictionary.encoder.device, dictionary.encoder.dtype))
        found[name] = (features * dictionary.decoder.norm(dim=1)).float().cpu()
    return found
