"""What the tests of the store harvest: a tiny model, texts of which every letter tells where it stood, small settings."""

import json
from pathlib import Path
from typing import Any

import torch

from conformance.tiny import as_model, tiny_model
from glassbook.activations.store import Harvest, Policy
from glassbook.files.hashes import sha256_file
from glassbook.models.model import Model

SITES = ["L0.resid_post", "L1.mlp_post"]


def texts(n: int = 12, seed: int = 0) -> list[str]:
    """Return documents of unequal length; the empty one among them is a document too."""
    chance = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 90, (n,), generator=chance).tolist()
    letters = torch.randint(97, 123, (n, 90), generator=chance).tolist()
    found = ["".join(map(chr, row[:length])) for row, length in zip(letters, lengths, strict=True)]
    return [*found[: n // 2], "", *found[n // 2 :]]


def settings(**changes: Any) -> Harvest:
    """Return settings under which a harvest of `texts` takes several shards of a few contexts."""
    known: dict[str, Any] = {"context": 16, "dtype": "float32", "batch_size": 4, "shard_bytes": 24_000, "mixed": 5}
    policy = {name: changes.pop(name) for name in ("start_token", "drop_start", "norm_multiple") if name in changes}
    return Harvest(**known | changes, policy=Policy(**policy))


def shouting(token: str, value: float) -> Model:
    """Return the tiny model, in which one token's embedding is filled with a number."""
    model = tiny_model()
    net = type(model.net)(model.config)
    net.load_state_dict(model.net.state_dict())
    with torch.no_grad():
        net.embed.weight[model.to_single_token(token)] = value
    return as_model(net.eval().requires_grad_(False), model.tokenizer, "shouting")


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sign(shard: Path) -> None:
    """Write the checksum of a changed shard into its store's journal, as whoever forged it would."""
    journal = shard.parents[1] / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if line["name"].endswith(shard.name):
            line["sha256"] = sha256_file(shard)
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
