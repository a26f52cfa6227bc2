"""Files of strangers, cut short, with bits turned, of wrong sizes or with a program inside, end in one sentence; nothing runs."""

import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from features.formats.samples import GOLDEN, INPUTS
from glassbook.core.errors import FileFormatError, GlassbookError
from glassbook.features.files import load_dictionary, save_dictionary
from glassbook.features.formats import import_dictionary
from glassbook.features.formats.torch_archive import torch_numbers
from glassbook.files.safetensors import open_safetensors, write_safetensors

FOLDERS = [
    GOLDEN / "saelens" / "jumprelu-skip-transcoder",
    GOLDEN / "saelens" / "matryoshka-batchtopk-training",
    GOLDEN / "saelens" / "gated",
    GOLDEN / "ours" / "saelens" / "topk",
    GOLDEN / "dictionary_learning" / "matryoshka",
    GOLDEN / "dictionary_learning" / "gated",
    GOLDEN / "sparsify" / "layers.5.mlp",
]
NUMBERS = {"saelens": "sae_weights.safetensors", "dictionary_learning": "ae.pt", "sparsify": "sae.safetensors"}


@contextmanager
def copied(folder: Path) -> Iterator[Path]:
    """Yield a copy of a folder that may be damaged."""
    with tempfile.TemporaryDirectory() as place:
        yield Path(shutil.copytree(folder, Path(place) / folder.name))


def reads_or_says(folder: Path) -> bool:
    """Return whether a folder is read, to a dictionary that works and can be saved; a fault must be a sentence of ours."""
    try:
        found = import_dictionary(folder)
    except GlassbookError as fault:
        assert str(fault) and "\n" not in str(fault)
        return False
    assert torch.isfinite(found.dictionary.encoder).all()
    found.dictionary(INPUTS)
    save_dictionary(folder / "ours", found.dictionary)
    assert load_dictionary(folder / "ours").facts["imported"]["format"] == found.format
    return True


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_control_an_undamaged_folder_is_read(folder):
    with copied(folder) as copy:
        assert reads_or_says(copy)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FOLDERS), st.data())
def test_a_file_that_is_cut_short_is_refused(folder, data):
    with copied(folder) as copy:
        file = data.draw(st.sampled_from(sorted(copy.iterdir())))
        whole = file.read_bytes()
        file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 2))])
        assert not reads_or_says(copy)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FOLDERS), st.data())
def test_turned_bits_give_a_dictionary_or_a_sentence_and_never_a_traceback(folder, data):
    with copied(folder) as copy:
        file = data.draw(st.sampled_from(sorted(copy.iterdir())))
        content = bytearray(file.read_bytes())
        # What says how the rest is to be read lies at the beginning and, in archives, at the end.
        near = st.integers(0, min(len(content), 900) - 1).flatmap(lambda i: st.sampled_from([i, len(content) - 1 - i]))
        for place in data.draw(st.lists(near, min_size=1, max_size=4)):
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(content)
        reads_or_says(copy)


def read_only_files() -> dict[str, bytes]:
    """Return whole files of the formats that are only read, by name."""
    held = {"W_enc": (8, 24), "b_enc": (24,), "W_dec": (24, 8), "b_dec": (8,), "threshold": (24,)}
    drawn = {name: np.random.default_rng(0).random(shape, np.float32) for name, shape in held.items()}
    packed, pressed = io.BytesIO(), io.BytesIO()
    np.savez(packed, **drawn)
    np.savez_compressed(pressed, **drawn)
    with tempfile.TemporaryDirectory() as place:
        turned = drawn | {"W_enc": np.ascontiguousarray(drawn["W_enc"].T)}
        entries = [(name, "F32", value.shape, value) for name, value in turned.items() if name != "threshold"]
        write_safetensors(Path(place) / "layer_0.safetensors", entries)
        layer = (Path(place) / "layer_0.safetensors").read_bytes()
    return {
        "stored/params.npz": packed.getvalue(),
        "pressed/params.npz": pressed.getvalue(),
        "layer_0.safetensors": layer,
    }


READ_ONLY = read_only_files()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(READ_ONLY)), st.data())
def test_files_that_are_only_read_end_in_a_dictionary_or_a_sentence_too(name, data):
    content = bytearray(READ_ONLY[name])
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        assert import_dictionary(file).dictionary.n_features == 24
        for spot in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
            content[spot] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        try:
            assert torch.isfinite(import_dictionary(file).dictionary.encoder).all()
        except GlassbookError as fault:
            assert "\n" not in str(fault)


PLAIN = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8)
ANYTHING = st.recursive(
    PLAIN, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=5), one, max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FOLDERS), st.data())
def test_any_value_in_a_config_gives_a_dictionary_or_a_sentence(folder, data):
    with copied(folder) as copy:
        file = next(copy.glob("c*.json"))
        config = json.loads(file.read_text())
        within = data.draw(
            st.sampled_from([config, *(part for part in config.values() if isinstance(part, dict) and part)])
        )
        within[data.draw(st.sampled_from(sorted(within)))] = data.draw(ANYTHING)
        file.write_text(json.dumps(config, allow_nan=True))
        reads_or_says(copy)


@pytest.mark.parametrize("folder", FOLDERS[:4], ids=lambda folder: folder.name)
def test_a_missing_a_misshapen_and_a_nan_tensor_are_named(folder):
    for name in ("W_enc", "W_dec", "b_dec"):
        for change, said in (
            (lambda value: None, f"lacks '{name}'"),
            (lambda value: value[:-1], f"'{name}' is of shape"),
            (lambda value: value * np.float32(np.nan), f"'{name}' holds NaN"),
        ):
            with copied(folder) as copy:
                _changed(copy / "sae_weights.safetensors", name, change)
                with pytest.raises(FileFormatError, match=said):
                    import_dictionary(copy)


def test_a_claim_of_a_million_features_is_refused_before_anything_of_that_size_is_made():
    with copied(FOLDERS[0]) as copy:
        config = json.loads((copy / "cfg.json").read_text())
        (copy / "cfg.json").write_text(json.dumps(config | {"d_sae": 2**31 - 1, "d_in": 2**31 - 1}))
        with pytest.raises(FileFormatError, match=r"W_enc.*must be of \(2147483647, 2147483647\)"):
            import_dictionary(copy)


class Payload:
    """What runs a command when a pickle of it is run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (Payload.place,)

    place = ""


def test_a_program_in_an_archive_of_torch_is_refused_by_name_and_never_run(tmp_path):
    Payload.place = str(tmp_path / "was-run")
    for content in ({"W_enc": torch.zeros(2), "more": Payload()}, Payload(), {"W_enc": [Payload()]}):
        with copied(GOLDEN / "dictionary_learning" / "jumprelu") as copy:
            torch.save(content, copy / "ae.pt")
            with pytest.raises(FileFormatError, match=r"mkdir.*not followed"):
                import_dictionary(copy)
    assert not (tmp_path / "was-run").exists()


def test_control_the_same_program_runs_where_a_pickle_is_run(tmp_path):
    Payload.place = str(tmp_path / "was-run")
    packed = io.BytesIO()
    torch.save(Payload(), packed)
    with zipfile.ZipFile(packed) as archive:
        import pickle

        pickle.loads(archive.read("archive/data.pkl"))
    assert (tmp_path / "was-run").exists()


def test_a_tensor_that_is_larger_than_its_storage_is_refused(tmp_path):
    with copied(GOLDEN / "dictionary_learning" / "jumprelu") as copy:
        torch.save({"W_enc": torch.zeros(1).expand(8, 24)}, copy / "ae.pt")
        with pytest.raises(FileFormatError, match="larger than its storage"):
            import_dictionary(copy)


def test_transposed_tensors_of_torch_come_in_their_own_order():
    with copied(GOLDEN / "dictionary_learning" / "autoencoder-new") as copy:
        before = import_dictionary(copy).dictionary
        numbers, _ = torch_numbers(copy / "ae.pt")
        held = {name: numbers.take(name, *shape) for name, shape in numbers.shapes.items()}
        torch.save(
            {name: value.T.contiguous().T if value.ndim == 2 else value for name, value in held.items()}, copy / "ae.pt"
        )
        assert torch.equal(import_dictionary(copy).dictionary(INPUTS), before(INPUTS))


def _changed(path: Path, name: str, change) -> None:
    """Write a safetensors file again with one tensor changed, or left out."""
    with open_safetensors(path) as file:
        found = {info.name: (info.dtype, file.read(info)) for info in file.tensors.values()}
    found[name] = (found[name][0], change(found[name][1]))
    kept = {key: value for key, value in found.items() if value[1] is not None}
    write_safetensors(path, [(key, dtype, value.shape, value) for key, (dtype, value) in kept.items()])
