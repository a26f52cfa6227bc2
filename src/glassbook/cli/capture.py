"""`glassbook capture`: values of a forward pass, by address, into a file."""

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.options import Bos, Json, PromptText, Weights
from glassbook.cli.output import print_json, print_table
from glassbook.cli.reading import read_prompt
from glassbook.cli.recording import Asked, Root, recorded
from glassbook.core.errors import InputError
from glassbook.files.hashes import sha256_file
from glassbook.views.view import plain

if TYPE_CHECKING:
    from glassbook.activations.cache import ActivationCache
    from glassbook.core.sites import Site
    from glassbook.models.model import Model

FORMAT = "glassbook-capture/1"
MODULES = ("glassbook.activations.capture", "glassbook.models.loading.opening")


@dataclass(frozen=True, slots=True)
class Places:
    """What is read of the pass."""

    site: Annotated[
        list[str],
        typer.Option(metavar="SITE", help="L5.resid_post, L*.pattern, L4-8.H3.z, blocks.5.hook_resid_pre; repeatable."),
    ]
    stop_at_layer: Annotated[int | None, typer.Option(help="Keep only what lies below this layer.")] = None
    position: Annotated[
        list[int] | None, typer.Option(help="Read at this token only; negative ones count from the end; repeatable.")
    ] = None
    bos: Bos = None
    values_dtype: Annotated[str | None, typer.Option(help="Precision of what is kept; else that of the weights.")] = (
        None
    )

    def read(self, model: "Model", text: str) -> "ActivationCache":
        """Return the values; raise SiteError or InputError for a place that the pass does not have."""
        from glassbook.activations.capture import capture

        how: dict[str, Any] = {"positions": self.position or None, "dtype": self.values_dtype}
        return capture(model, text, self.site, stop_at_layer=self.stop_at_layer, prepend_bos=self.bos, **how)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the values go."""

    out: Annotated[Path, typer.Option(metavar="FILE", help="The safetensors file to write.")]
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file where there is one.")] = False

    def check(self) -> None:
        """Raise InputError where the file could not or should not be written, before anything is computed for it."""
        if self.out.is_dir():
            raise InputError(f"'{self.out}' is a folder; give --out the path of a file")
        if self.out.exists() and not self.overwrite:
            raise InputError(f"'{self.out}' is there already; choose another --out, or add --overwrite to replace it")
        if not self.out.absolute().parent.is_dir():
            raise InputError(f"there is no folder '{self.out.absolute().parent}'; make it, or choose another --out")


@dataclass(frozen=True, slots=True)
class Keeping:
    """Whether a Run is kept of it, and where."""

    no_run: Annotated[bool, typer.Option("--no-run", help="Keep no Run of this.")] = False
    root: Root = None


def capture(
    weights: Weights, prompt: PromptText, places: Places, target: Target, keeping: Keeping, as_json: Json = False
) -> None:
    """Read values at Sites into a file.

    The safetensors file has the Sites' names as keys; the pass ends when the last of them is read.
    """
    from glassbook.files.safetensors import write_safetensors
    from glassbook.steering.files import metadata_of, tensor_entries

    text = read_prompt(prompt)
    target.check()
    model = weights.open()
    model.sites(places.site)
    model.read(text, places.bos)
    asked = Asked("capture", asdict(weights) | asdict(places) | {"prompt": text}, 0, MODULES)
    with nullcontext() if keeping.no_run else recorded(asked, model, keeping.root) as run:
        cache = places.read(model, text)
        said = describe(model, text, cache, places)
        entries = tensor_entries({str(site): value for site, value in cache.items()})
        write_safetensors(target.out, entries, {"format": FORMAT} | metadata_of(_kept(said)))
        said |= {"file": str(target.out), "run": run.id if run else None}
        if run:
            run.save_json("captured", plain(said | {"sha256": sha256_file(target.out)}))
    if as_json:
        print_json(said)
    else:
        _print(said)


def describe(model: "Model", text: str, cache: "ActivationCache", places: Places) -> dict[str, Any]:
    """Return what was captured of which prompt of which model, as plain data.

    The norm is Euclidean along the last axis, in the mean over the others.
    """
    tokens = cache.tokens[0].tolist()
    values = [
        {
            "site": str(site),
            "shape": list(value.shape),
            "axes": _axes(site),
            "dtype": str(value.dtype).removeprefix("torch."),
            "mean_norm": float(value.float().norm(dim=-1).mean()),
        }
        for site, value in cache.items()
    ]
    return {
        "model": model.identity.to_dict(),
        "prompt": text,
        "prompt_tokens": tokens,
        "token_strings": model.tokenizer.token_strings(tokens) if model.tokenizer else None,
        "positions": places.position or None,
        "values": values,
    }


def _kept(said: dict[str, Any]) -> dict[str, Any]:
    """Return what the file says of itself, so that its values can be told from any others without this program."""
    return {name: said[name] for name in ("model", "prompt", "prompt_tokens", "positions")}


def _axes(site: "Site") -> list[str]:
    axes = list(site.kind.axes)
    if site.part is not None:
        del axes[site.part[0]]
    return axes


def _print(said: dict[str, Any]) -> None:
    rows = [
        [one["site"], " x ".join(map(str, one["shape"])), one["dtype"], f"{one['mean_norm']:.4g}"]
        for one in said["values"]
    ]
    print_table(["Site", "shape", "dtype", "mean norm"], rows, right=["mean norm"])
    n_read = len(said["positions"] or said["prompt_tokens"])
    typer.echo(f"{len(rows)} Sites at {n_read} of {len(said['prompt_tokens'])} tokens in {said['file']}")
