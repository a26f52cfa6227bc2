"""Which features make a next token likely: gradient times value, beside what is measured when a feature is ablated.

The dictionary is spliced in with its error term, so that the model computes what it always does, and
    score(feature) = sum over tokens of f * d measure / d f
is to first order what the feature adds to the measure (Marks et al. 2024, 2403.19647). How good that is,
`circuits.ablation` measures: the same features are ablated one by one, exactly.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glassbook.activations.capture import capture
from glassbook.circuits.active_features import Text, read_text, unseen_positions
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.core.taps import Span, Taps
from glassbook.features.belonging import check_belongs
from glassbook.features.dictionary import Dictionary
from glassbook.features.splicing import SiteOrPair, Splice, Where, places_of
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts


@dataclass(frozen=True, slots=True)
class Question:
    """What is measured at the last token: log p(token) in nats, or the log-odds of one token against another."""

    token: int
    against: int | None = None

    def measure(self, logits: Float[Tensor, "batch d_vocab"]) -> Float[Tensor, " batch"]:
        """Return the measure of each row."""
        wide = logits.float()
        if self.against is not None:
            return wide[:, self.token] - wide[:, self.against]
        return wide.log_softmax(-1)[:, self.token]


@dataclass(frozen=True, slots=True)
class FeatureScore:
    """What the gradient says that a feature adds to the measure, its largest value, and at how many tokens it is active."""

    feature: int
    score: float
    peak: float
    n_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What each feature of a text adds to a measure, to first order.

    `scores` has a number for every token and feature, `error_scores` one for what the dictionary misses at every token. Tokens of
    which training knows nothing are `unseen`: nothing is spliced in there, features and scores are 0.
    """

    model: Model
    dictionary: Dictionary
    sites: tuple[Site, Site]
    prompt: Prompts
    question: Question
    measured: float
    unseen: Bool[Tensor, " pos"]
    features: Float[Tensor, "pos n_features"]
    scores: Float[Tensor, "pos n_features"]
    error_scores: Float[Tensor, " pos"]

    @property
    def totals(self) -> list[FeatureScore]:
        """Return every active feature with its score over all tokens, the largest in size first."""
        summed, active = self.scores.sum(0), (self.features != 0).sum(0)
        peaks = self.features.abs().amax(0)
        order = [int(i) for i in summed.abs().argsort(descending=True, stable=True) if active[i]]
        return [FeatureScore(i, float(summed[i]), float(peaks[i]), int(active[i])) for i in order]

    @property
    def by_token(self) -> list[float]:
        """Return what the features of each token add together."""
        return self.scores.sum(-1).tolist()


def attribute(
    model: Model,
    dictionary: Dictionary,
    text: Text,
    token: str | int,
    *,
    against: str | int | None = None,
    site: SiteOrPair | None = None,
    prepend_bos: bool | None = None,
    force: bool = False,
) -> Attribution:
    """Return what each feature adds to the log-probability of `token` after a text, or to its log-odds `against` another.

    Raises InputError for a text or token that cannot be read, DictionaryError where the dictionary does not fit the model.
    """
    check_belongs(dictionary, model.identity, force)
    sites = places_of(dictionary, site)
    question = Question(_token(model, token), None if against is None else _token(model, against))
    if question.token == question.against:
        raise InputError("a token has no log-odds against itself; give another, or none")
    prompt = read_text(model, dictionary, text, prepend_bos)
    unseen = _unseen(model, dictionary, sites[0], prompt)
    pass_ = _GradientPass(dictionary, sites, unseen)
    measured = float(pass_.run(model, prompt, question))
    seen = (~unseen).to(model.device)
    features = pass_.features.detach()[0] * seen[:, None]
    return Attribution(
        model=model,
        dictionary=dictionary,
        sites=sites,
        prompt=prompt,
        question=question,
        measured=measured,
        unseen=unseen,
        features=features.cpu(),
        scores=(features * pass_.gradients[0]).cpu(),
        error_scores=(pass_.error_scores * seen).cpu(),
    )


def at_seen(unseen: Bool[Tensor, " pos"]) -> Where:
    """Return where one text's tokens are of a sort that training knows."""

    def where(span: Span) -> Bool[Tensor, "batch pos"]:
        return span.is_real & ~unseen.to(span.positions.device)[span.positions]

    return where


class _GradientPass:
    """One pass in which the features of a text are the leaves of a graph."""

    def __init__(self, dictionary: Dictionary, sites: tuple[Site, Site], unseen: Bool[Tensor, " pos"]) -> None:
        self.dictionary, self.sites, self.where = dictionary, sites, at_seen(unseen)
        self.features: Tensor
        self.gradients: Tensor
        self.error_scores: Tensor

    def run(self, model: Model, prompt: Prompts, question: Question) -> Float[Tensor, ""]:
        """Return the measure, and keep features, gradients, and what the error term adds."""
        read, written = self.sites
        values: list[Tensor] = []
        spliced = Splice(
            dictionary=self.dictionary,
            read=read,
            written=written,
            change=self._leaf,
            where=self.where,
            through_features=True,
        )
        with torch.enable_grad():
            taps = Taps(edits=spliced.edits_for(model), readers={written: values.append})
            measured = question.measure(model.run(prompt, taps)[:, -1])[0]
            self.gradients, along = torch.autograd.grad(measured, [self.features, values[0]])
        with torch.no_grad():
            missed = values[0].flatten(2) - self.dictionary.decode(self.features)
            self.error_scores = (missed * along.flatten(2)).sum(-1)[0].float()
        return measured.detach()

    def _leaf(self, features: Tensor, span: Span) -> Tensor:
        self.features = features.detach().requires_grad_()
        return self.features


def _unseen(model: Model, dictionary: Dictionary, read: Site, prompt: Prompts) -> Bool[Tensor, " pos"]:
    """Return which tokens of a text are of a sort that the dictionary's harvest left out."""
    x = capture(model, prompt, read)[read].flatten(2)[0]
    return unseen_positions(model, dictionary, x, prompt.row(0))


def _token(model: Model, token: str | int) -> int:
    """Return the id of a token given as text or as an id; raise InputError for one that the model does not have."""
    if isinstance(token, str):
        return model.to_single_token(token)
    if not 0 <= token < model.config.d_vocab:
        raise InputError(f"there is no token {token}; they run from 0 to {model.config.d_vocab - 1:,}")
    return token
