"""SAELens, read: `cfg.json` and `sae_weights.safetensors`, of its version 6 and of those before.

What its inference classes compute is kept: `b_dec` may be taken off the input, pre-activations may be weighed by the norms of the
decoder, thresholds are exceeded and not reached. What it normalizes row by row is refused, since a decoder here has features
alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import FileFormatError
from glassbook.features.dictionary import Dictionary
from glassbook.features.formats.config import flag, read_config, section, text, whole
from glassbook.features.formats.hooks import site_of
from glassbook.features.formats.numbers import Numbers, safetensors_numbers
from glassbook.features.formats.outcome import KEPT, Imported, Told, imported, kept_settings
from glassbook.features.formats.weights import INNER, Weights, built, log_thresholds, reached
from glassbook.files.reading import damaged, shown

NAME = "saelens"
CONFIG, NUMBERS = "cfg.json", "sae_weights.safetensors"

TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")
BATCHED = {"batchtopk": "batchtopk", "matryoshka_batchtopk": "matryoshka-batchtopk"}
"""What is trained as such: our kind of it. Saved for use, both are of the architecture jumprelu."""

_KNOWN = ("standard", "gated", "topk", "jumprelu", *BATCHED, *TRANSCODERS)
_RENAMED = {"hook_point": "hook_name", "hook_point_head_index": "hook_head_index", "activation_fn_str": "activation_fn"}
_PER_ROW = ("layer_norm", "constant_norm_rescale")


def finds(path: Path) -> bool:
    """Return whether a folder is one of SAELens, to judge by its files' names."""
    return all((path / name).is_file() for name in (CONFIG, NUMBERS))


def read(path: Path) -> Imported:
    """Return the dictionary of a SAELens folder; raise FileFormatError for a damaged one, or a kind that is none here."""
    asked = _Asked.of(path / CONFIG)
    remarks: list[str] = []
    asked.check_inputs(remarks)
    with safetensors_numbers(path / NUMBERS) as numbers:
        dictionary = _dictionary(asked, numbers)
        _drop_ones(numbers, asked)
        told = asked.told(tuple(numbers.left()))
    return imported(dictionary, NAME, path, told, remarks)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a config says, in the terms of version 6."""

    path: Path
    config: dict[str, Any]
    metadata: dict[str, Any]
    architecture: str
    kept: dict[str, Any]

    @classmethod
    def of(cls, path: Path) -> "_Asked":
        """Return what a config says; raise FileFormatError for an architecture that is none here."""
        config = {_RENAMED.get(key, key): value for key, value in read_config(path).items()}
        metadata = section(path, config, "metadata") or config
        architecture = text(config, "architecture") or "standard"
        if config.get("activation_fn") == "topk" and architecture == "standard":
            config |= {"k": section(path, config, "activation_fn_kwargs").get("k")}
            architecture = "topk"
        if architecture not in _KNOWN:
            raise FileFormatError(
                f"'{path}' is of the architecture '{shown(architecture)}', which no kind of dictionary here stands for; "
                f"those that can be read are {', '.join(_KNOWN)}"
            )
        return cls(path, config, metadata, architecture, section(path, metadata, KEPT))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Return d_in, n_features, d_out."""
        d_in = whole(self.path, self.config, "d_in")
        is_transcoder = self.architecture in TRANSCODERS and "d_out" in self.config
        return (
            d_in,
            whole(self.path, self.config, "d_sae"),
            (whole(self.path, self.config, "d_out") if is_transcoder else d_in),
        )

    @property
    def is_centered(self) -> bool:
        """Return whether b_dec is taken off the input: the default, but for transcoders."""
        wanted = flag(self.path, self.config, "apply_b_dec_to_input", self.architecture not in TRANSCODERS)
        if wanted and self.architecture in TRANSCODERS:
            raise damaged(
                self.path, "a transcoder has no b_dec to take off its input, and 'apply_b_dec_to_input' is true"
            )
        return wanted

    def check_inputs(self, remarks: list[str]) -> None:
        """Raise FileFormatError where inputs are changed row by row; remark what only the package's releases know."""
        how = self.config.get("normalize_activations")
        if how in _PER_ROW:
            raise FileFormatError(
                f"'{self.path}' normalizes every input by itself ({how}) and undoes it after decoding, while a decoder here "
                "has features alone; train one on activations as they are, or fold the normalization in"
            )
        if how in ("expected_average_only_in", True):
            remarks.append(
                "its inputs are scaled to a mean norm of the root of their width, by a factor that the folder does not hold "
                "(expected_average_only_in); it is read as taking inputs that were scaled so"
            )
        elif how not in ("none", None, False):
            raise damaged(self.path, f"'normalize_activations' is {shown(how)}")
        if self.config.get("activation_fn") not in (None, "relu", "topk"):
            raise damaged(self.path, f"'activation_fn' is {shown(self.config['activation_fn'])} and not relu or topk")

    def told(self, left: tuple[str, ...]) -> Told:
        """Return what is said of model and Sites."""
        hook, head = self.metadata.get("hook_name"), self.metadata.get("hook_head_index")
        written = self.metadata.get("hook_name_out") if self.architecture in TRANSCODERS else None
        return Told(
            model=text(self.metadata, "model_name"),
            site=site_of(hook, head),
            site_out=site_of(written, self.metadata.get("hook_head_index_out")),
            config=self.config,
            kept=self.kept,
            left=left,
        )


def _dictionary(asked: _Asked, numbers: Numbers) -> Dictionary:
    """Return the dictionary that the architecture stands for."""
    weights = _weights(asked, numbers)
    if asked.architecture in TRANSCODERS:
        return _transcoder(asked, numbers, weights)
    n = weights.sizes[1]
    where, kind = asked.path, asked.architecture
    if kind == "gated":
        more = {name: numbers.take(name, n) for name in ("r_mag", "b_mag")}
        return built(where, kind, weights, {}, _shifted(more, asked, numbers, weights))
    if kind == "topk":
        return built(where, kind, weights, {"k": whole(where, asked.config, "k")})
    if kind in BATCHED:
        threshold = numbers.take("topk_threshold").float()
        return built(
            where, BATCHED[kind], weights, _batched(asked, asked.config, kind), {"threshold": reached(threshold)}
        )
    if kind == "jumprelu":
        return _thresholded(asked, weights, _thresholds(numbers, n))
    return built(where, kind, weights, kept_settings(asked.kept, kind))


def _weights(asked: _Asked, numbers: Numbers) -> Weights:
    """Return the two matrices and biases in our convention."""
    d_in, n, d_out = asked.sizes
    weights = Weights(
        encoder=numbers.take("W_enc", d_in, n).T,
        b_enc=numbers.take("b_gate" if asked.architecture == "gated" else "b_enc", n),
        decoder=numbers.take("W_dec", n, d_out),
        b_dec=numbers.take("b_dec", d_out),
    )
    if asked.is_centered:
        weights = weights.uncentered()
    # What is trained with top-k weighs by norms unless it says otherwise; what is saved for use has them folded in.
    is_weighed = flag(asked.path, asked.config, "rescale_acts_by_decoder_norm", asked.architecture in BATCHED)
    if is_weighed and asked.architecture in ("topk", *BATCHED):
        weights = weights.weighed()
    return weights


def _shifted(
    more: Mapping[str, Tensor], asked: _Asked, numbers: Numbers, weights: Weights
) -> dict[str, Float[Tensor, "..."]]:
    """Return the numbers of a gate in our convention: its magnitudes take the input as it is, too."""
    if not asked.is_centered:
        return dict(more)
    shift = weights.offset * more["r_mag"].double().exp()
    return {"r_mag": more["r_mag"], "b_mag": more["b_mag"].double() - shift}


def _thresholds(numbers: Numbers, n: int) -> Float[Tensor, " n"]:
    """Return thresholds, which older files hold as logarithms."""
    if "log_threshold" in numbers and "threshold" not in numbers:
        return numbers.take("log_threshold", n).double().exp()
    return numbers.take("threshold", n)


def _thresholded(asked: _Asked, weights: Weights, thresholds: Float[Tensor, " n"]) -> Dictionary:
    """Return a JumpReLU, or the BatchTopK that was saved as one."""
    trained = text(asked.metadata, "training_architecture")
    details = section(asked.path, asked.metadata, "training_architecture_details")
    if trained in BATCHED and "k" in details and torch.equal(thresholds, thresholds[:1].expand_as(thresholds)):
        more = {"threshold": reached(thresholds[0])}
        return built(asked.path, BATCHED[trained], weights, _batched(asked, details, trained), more)
    more = {"log_threshold": log_thresholds(thresholds)}
    return built(asked.path, "jumprelu", weights, kept_settings(asked.kept, "jumprelu"), more)


def _batched(asked: _Asked, details: Mapping[str, Any], trained: str) -> dict[str, Any]:
    """Return the settings of what was trained with top-k over batches."""
    k = details.get("k")
    # SAELens takes a mean number of features, which need not be whole.
    settings: dict[str, Any] = {"k": max(round(k), 1) if isinstance(k, float) else whole(asked.path, details, "k")}
    if trained == "matryoshka_batchtopk" and details.get("matryoshka_widths"):
        widths = details["matryoshka_widths"]
        n = asked.sizes[1]
        if not isinstance(widths, list) or not all(type(width) is int for width in widths):
            raise damaged(asked.path, f"'matryoshka_widths' is {shown(widths)} and no list of whole numbers")
        settings["sizes"] = widths if widths[-1] == n else [*widths, n]
    return settings


def _transcoder(asked: _Asked, numbers: Numbers, weights: Weights) -> Dictionary:
    """Return a transcoder, with or without what goes past its features."""
    d_in, n, d_out = weights.sizes
    kind = "skip-transcoder" if "skip" in asked.architecture else "transcoder"
    more = {"W_skip": numbers.take("W_skip", d_out, d_in).T} if kind == "skip-transcoder" else {}
    if not asked.architecture.startswith("jumprelu"):
        settings = {"activation": "standard", "activation_settings": kept_settings(asked.kept, "standard")}
        return built(asked.path, kind, weights, settings, more)
    features = _thresholded(asked, weights, _thresholds(numbers, n))
    settings = {"activation": features.kind, "activation_settings": features.settings}
    own = {f"{INNER}{name}": value for name, value in features.state_dict().items()}
    return built(asked.path, kind, weights, settings, own | more)


def _drop_ones(numbers: Numbers, asked: _Asked) -> None:
    """Take the scaling factors that older files hold though they are all 1; raise FileFormatError for others."""
    if "scaling_factor" not in numbers:
        return
    factors = numbers.take("scaling_factor", asked.sizes[1])
    if not torch.allclose(factors, torch.ones_like(factors)):
        raise FileFormatError(
            f"'{numbers.path}' scales features by factors of a finetuning, which no kind of dictionary here does; "
            "multiply them into W_dec and save it again"
        )
