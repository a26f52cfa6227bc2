"""The networks that the study steers, opened once, and what their weights are without opening them."""

from collections.abc import Mapping
from functools import cache

import msgspec

from glassbook.models.identity import Identity, fingerprint, lineage
from glassbook.models.llama import Llama, LlamaConfig
from glassbook.models.loading.known import converted_folder
from glassbook.models.loading.naming import find_known
from glassbook.models.loading.opening import open_model
from glassbook.models.loading.own_folder import describe
from glassbook.models.model import Model
from glassbook.studies.activation_addition.settings import TINY
from glassbook.studies.activation_addition.texts import ON_TOPIC, sentences
from glassbook.text.vocabularies import byte_bpe_tokenizer

_VOCABULARY = 400
_WIDE = 0.5


@cache
def opened(name: str, dtype: str, device: str) -> Model:
    """Return the model of this name, frozen; the same object whenever it is asked for again."""
    if name == TINY:
        return _tiny()
    return open_model(name, dtype=dtype, device=device)


def n_parameters(model: Model) -> int:
    """Return how many weights a model has."""
    return sum(weight.numel() for weight in model.transformer.parameters())


def fingerprints_now(name: str, dtype: str) -> Mapping[str, str]:
    """Return `weights:<name>` -> fingerprint as the cache has it of a known model; nothing where it cannot be told cheaply."""
    key = find_known(name)
    config = converted_folder(key) / "config.json" if key else None
    if config is None or not config.is_file():
        return {}
    found = describe(msgspec.json.decode(config.read_bytes()), str(config))
    now = found.fingerprints.get(dtype)
    return {} if now is None else {f"weights:{found.identity.name}": now}


def _tiny() -> Model:
    """Return a Llama of three layers with random weights, whose words are learned from the wedding essay."""
    tokenizer = byte_bpe_tokenizer([*sentences(ON_TOPIC), " weddings weddings weddings"], _VOCABULARY)
    config = LlamaConfig(
        n_layers=3,
        d_model=32,
        n_heads=4,
        d_head=8,
        d_mlp=48,
        d_vocab=tokenizer.d_vocab,
        n_ctx=1024,
        norm_eps=1e-5,
        tied_embeddings=True,
        n_kv_heads=2,
    )
    net = Llama(config)
    net.init_weights(0)
    for weight in net.parameters():
        # As drawn, its predictions would hardly depend on what it reads.
        weight.data.mul_(1 if weight.ndim == 1 else _WIDE / 0.02 / config.d_model**0.5)
    net.eval().requires_grad_(False)
    mark = tokenizer.fingerprint
    identity = Identity(
        name=TINY,
        fingerprint=fingerprint(net.state_dict().items()),
        lineage=lineage(TINY, config.sizes, mark),
        quantization="",
        dtype="float32",
        tokenizer=mark,
    )
    return Model(net, tokenizer, identity)
