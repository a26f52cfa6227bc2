"""The object that a person opens: a network with its tokenizer and the identity of its weights."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.core.errors import InputError, ModelError, VectorError
from glassbook.core.sites import Site, check_site, expand
from glassbook.core.taps import Edit, Span, Steering, Taps
from glassbook.models.config import Config
from glassbook.models.generation import Completion, Piece, Request, complete, stream
from glassbook.models.identity import Identity
from glassbook.models.network import Network
from glassbook.models.prompts import Prompt, Prompts, read_prompts
from glassbook.models.sampling import read_sampling
from glassbook.models.transformer import Transformer
from glassbook.text.tokenizer import Tokenizer

Steer = Steering | Sequence[Steering] | None


class Model:
    """A language model: `model(tokens)` gives logits, `model.generate(text)` continues a text."""

    def __init__(self, net: Network, tokenizer: Tokenizer | None, identity: Identity) -> None:
        self.net = net
        self.tokenizer = tokenizer
        self.identity = identity

    def __repr__(self) -> str:
        return f"<{self.identity.label}: {self.config.summary}, {self.identity.dtype}>"

    @property
    def config(self) -> Config:
        """Return the sizes of the network."""
        return self.net.config

    @property
    def transformer(self) -> Transformer:
        """Return the network with its weights under the field's names; raise ModelError for a wrapped one."""
        if not isinstance(self.net, Transformer):
            raise ModelError(f"{self.net.limits}; for its weights ask the module itself")
        return self.net

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return self.net.device

    @property
    def dtype(self) -> torch.dtype:
        """Return the precision of the weights."""
        return self.net.dtype

    @property
    def site_names(self) -> list[str]:
        """Return the names of the Sites that this model has."""
        return self.net.site_names

    def sites(self, patterns: str | Site | Sequence[str | Site]) -> list[Site]:
        """Return the Sites that `patterns` name in this model; raise SiteError where it has no such value."""
        found = expand(patterns, self.config.n_layers)
        for site in found:
            check_site(site, self.config.sizes, self.site_names)
        return found

    def read(self, prompt: Prompt | Prompts, prepend_bos: bool | None = None) -> Prompts:
        """Return the prompt as right-padded ids on the model's device; raise InputError for what cannot be read."""
        batch = read_prompts(prompt, self.tokenizer, self.config.n_ctx, self.config.d_vocab, prepend_bos)
        return Prompts(batch.ids.to(self.device), batch.lengths)

    def read_for(self, prompt: Prompt | Prompts, steer: Steer, prepend_bos: bool | None = None) -> Prompts:
        """Return the prompt as `steer` needs it: behind the document-start token where the steering was made so.

        Raises InputError for token ids that lack that token, since every front row would then act one token too early, and
        VectorError for steering row by row that is made for another number of prompts.
        """
        if prepend_bos is not None or not needs_bos(steer):
            batch = self.read(prompt, prepend_bos)
        else:
            batch = self._read_behind_start(prompt)
        for one in _each(steer):
            _check_rows(one, len(batch.lengths))
        return batch

    def _read_behind_start(self, prompt: Prompt | Prompts) -> Prompts:
        batch = self.read(prompt, True)
        start = self.tokenizer.document_start_id if self.tokenizer else None
        if start is not None and bool((batch.ids[:, 0] != start).any()):
            raise InputError(
                f"this steering needs prompts that begin with the document-start token {start}; "
                f"give text, ids from to_tokens(..., prepend_bos=True), or prepend_bos=False to go without"
            )
        return batch

    def to_tokens(self, prompt: Prompt | Prompts, prepend_bos: bool | None = None) -> Int[Tensor, "batch pos"]:
        """Return the ids of a text or texts, padded on the right.

        `prepend_bos` puts the document-start token in front; None follows the tokenizer's own policy.
        """
        return self.read(prompt, prepend_bos).ids

    def to_string(self, tokens: Int[Tensor, "..."] | Sequence[int]) -> str:
        """Return the text of one row of ids."""
        return self._tokenizer.decode(_ids(tokens))

    def to_str_tokens(self, prompt: Prompt | Prompts, prepend_bos: bool | None = None) -> list[str]:
        """Return the tokens of one prompt, each as readable text."""
        return self._tokenizer.token_strings(self.read(prompt, prepend_bos).row(0))

    def to_single_token(self, text: str) -> int:
        """Return the id of a text that is exactly one token; raise InputError where it is not."""
        return self._tokenizer.token_id(text)

    def __call__(
        self,
        prompt: Prompt | Prompts,
        *,
        steer: Steer = None,
        edits: Sequence[Edit] = (),
        prepend_bos: bool | None = None,
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Return the logits at every position, steered or edited where asked."""
        batch = self.read_for(prompt, steer, prepend_bos)
        return self.run(batch, Taps(edits=[*self.edits_of(steer), *edits]))

    def run(
        self, batch: Prompts, taps: Taps, prompt_lengths: Sequence[int] | None = None
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Return the logits of one pass under `taps`; `prompt_lengths` as in `span`."""
        taps.span = self.span(batch, prompt_lengths)
        return self.net(batch.ids, taps)

    def span(self, batch: Prompts, prompt_lengths: Sequence[int] | None = None) -> Span:
        """Return the span of a pass over the whole batch.

        Tokens at or beyond a row's entry in `prompt_lengths` count as generated: so a given text is scored by teacher
        forcing under the same steering that generation would have.
        """
        span = Span.prompts(batch.lengths, batch.ids.shape[1], self.device)
        given = span.lengths if prompt_lengths is None else torch.tensor(list(prompt_lengths), device=self.device)
        return Span(span.positions, given, span.lengths, span.rows)

    def edits_of(self, steer: Steer) -> list[Edit]:
        """Return the edits that `steer` asks of this model; raise VectorError where it does not fit."""
        edits = [edit for one in _each(steer) for edit in one.edits_for(self)]
        for edit in edits:
            check_site(edit.site, self.config.sizes, self.site_names)
        return edits

    def generate(self, prompt: Prompt | Prompts, **options: Any) -> Any:
        """Return the continuation as text; a list of texts for several prompts or `n_samples` > 1.

        Options are those of `complete`.
        """
        done = self.complete(prompt, **options)
        is_single = isinstance(prompt, str) and len(done) == 1
        return done[0].text if is_single else [one.text for one in done]

    def complete(self, prompt: Prompt | Prompts, **options: Any) -> list[Completion]:
        """Return every continuation with its tokens, why it stopped and which tokens steering touched.

        Options: the fields of `Sampling` (max_new_tokens, temperature, top_k, top_p, min_p, the penalties, stop,
        stop_at_eos, seed), `steer`, `edits`, `n_samples` (over one shared prefill), `prepend_bos`, `use_cache`,
        `should_stop` (asked before each token; cancels at once and keeps what there is).
        """
        return complete(self.net, self.tokenizer, self._request(prompt, options))

    def stream(self, prompt: Prompt | Prompts, **options: Any) -> Iterator[Piece]:
        """Yield pieces of text as they come, options as in `complete`; closing the iterator cancels at once."""
        return stream(self.net, self.tokenizer, self._request(prompt, options))

    def _request(self, prompt: Prompt | Prompts, options: dict[str, Any]) -> Request:
        steer = options.pop("steer", None)
        bos = options.pop("prepend_bos", None)
        batch = self.read_for(prompt, steer, bos)
        edits = [*self.edits_of(steer), *options.pop("edits", ())]
        own = {name: options.pop(name) for name in ("n_samples", "use_cache", "should_stop") if name in options}
        return Request(batch=batch, how=read_sampling(options), edits=edits, **own)

    @property
    def _tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise InputError("this model has no tokenizer; work with token ids")
        return self.tokenizer


def needs_bos(steer: Steer) -> bool:
    """Return whether a steering was made for prompts that begin with the document-start token."""
    return any(one.needs_bos for one in _each(steer))


def _each(steer: Steer) -> list[Steering]:
    if steer is None:
        return []
    return list(steer) if isinstance(steer, Sequence) else [steer]


def _check_rows(steer: Steering, n_prompts: int) -> None:
    """Raise VectorError for steering that says how many prompts it is for, and is given another number."""
    n_rows = getattr(steer, "n_rows", n_prompts)
    if n_rows != n_prompts:
        raise VectorError(
            f"there are {n_rows} vectors for {n_prompts} prompts; give one vector (or None) for each prompt"
        )


def _ids(tokens: Int[Tensor, "..."] | Sequence[int]) -> list[int]:
    return tokens.flatten().tolist() if isinstance(tokens, Tensor) else list(tokens)
