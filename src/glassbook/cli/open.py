"""`glassbook open`: what a model is, before anything is done with it."""

import time
from typing import TYPE_CHECKING, Any

from glassbook.cli.options import Json, Weights
from glassbook.cli.output import print_facts, print_json

if TYPE_CHECKING:
    from glassbook.models.model import Model


def open_verb(weights: Weights, as_json: Json = False) -> None:
    """Open a model and say what it is.

    Its sizes, precision, fingerprint, lineage, tokenizer and Sites; a known model is fetched and converted once.
    """
    start = time.perf_counter()
    opened = weights.open()
    document = describe(opened) | {"opened_as": weights.model, "seconds": round(time.perf_counter() - start, 3)}
    if as_json:
        print_json(document)
    else:
        print_facts(_facts(document))


def describe(model: "Model") -> dict[str, Any]:
    """Return what there is to know of an open model, as plain data; memory in bytes."""
    parameters = list(model.net.parameters())
    return {
        "name": model.identity.name,
        "label": model.identity.label,
        "architecture": type(model.net).__name__,
        "identity": model.identity.to_dict(),
        "config": model.config.to_dict(),
        "sizes": model.config.sizes,
        "n_parameters": sum(weight.numel() for weight in parameters),
        "memory_bytes": sum(weight.nbytes for weight in parameters),
        "device": str(model.device),
        "tokenizer": describe_tokenizer(model),
        "sites": model.site_names,
    }


def describe_tokenizer(model: "Model") -> dict[str, Any] | None:
    """Return the tokenizer's policy in tokens and ids, or None for a model without one."""
    tokenizer = model.tokenizer
    if tokenizer is None:
        return None

    def named(token: int | None) -> dict[str, Any] | None:
        return None if token is None else {"id": token, "token": tokenizer.token_strings([token])[0]}

    return {
        "d_vocab": tokenizer.d_vocab,
        "adds_bos": tokenizer.adds_bos,
        "bos": named(tokenizer.bos_id),
        "eos": named(tokenizer.eos_id),
        "document_start": named(tokenizer.document_start_id),
        "stops_at": [named(token) for token in tokenizer.stop_ids],
        "has_chat_template": tokenizer.chat_template is not None,
    }


def tokenizer_line(said: dict[str, Any] | None) -> str:
    """Return the tokenizer's policy in one line, from what `describe_tokenizer` said."""
    if said is None:
        return "none; this model reads token ids only"
    bos = f"puts {_token(said['bos'])} before every text" if said["adds_bos"] else "adds no BOS by itself"
    stops = ", ".join(map(_token, said["stops_at"])) or "nothing"
    chat = "has a chat template" if said["has_chat_template"] else "has no chat template"
    start = f"a document starts with {_token(said['document_start'])}"
    return f"{said['d_vocab']:,} tokens; {bos}; {start}; stops at {stops}; {chat}"


def _token(said: dict[str, Any] | None) -> str:
    return "no token" if said is None else f"{said['token']!r} ({said['id']})"


def _facts(document: dict[str, Any]) -> dict[str, str]:
    sizes, identity = document["sizes"], document["identity"]
    millions, megabytes = document["n_parameters"] / 1e6, document["memory_bytes"] / 1e6
    names = ("n_layers", "d_model", "n_heads", "n_kv_heads", "d_head", "d_mlp", "n_experts", "d_vocab", "n_ctx")
    return {
        "name": document["label"],
        "architecture": document["architecture"],
        "sizes": ", ".join(f"{name} {sizes[name]:,}" for name in names if name in sizes),
        "parameters": f"{millions:,.1f} M in {identity['dtype']}, {megabytes:,.0f} MB",
        "fingerprint": identity["fingerprint"],
        "lineage": identity["lineage"],
        "tokenizer": tokenizer_line(document["tokenizer"]),
        "Sites": ", ".join(document["sites"]),
        "opened": f"{document['opened_as']} on {document['device']} in {document['seconds']:.2f} s",
    }
