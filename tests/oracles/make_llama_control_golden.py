"""Write `tests/golden/llama_control.json`: what llama.cpp reads from control vectors, and what it does with them.

Its own loader (libllama-common) reads each file and its own context adds the numbers, on the default model in float32.
Needs llama_cpp with its libraries and the GGUF of the default model: `python make_llama_control_golden.py <gguf>`.
`make oracles` runs it.
"""

import ctypes
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
from golden_text import compact
from seeded_weights import seeded

GOLDEN = Path(__file__).parents[1] / "golden"
TEXT = "When I asked about the school play, my aunt called it"
EVERY, STRENGTH = 769, 2.0
LAYERS = (1, 14, 29)
ROW = np.arange(1, 9, dtype=np.float32)
# What its loader makes of files that are not quite as they should be.
ODD = {
    "two directions": {"direction.2": ROW, "direction.4": 10 * ROW},
    "direction.0": {"direction.0": ROW},
    "no number": {"direction.x": ROW},
    "another tensor": {"direction.1": ROW, "other": ROW},
    "two axes": {"direction.1": np.stack([ROW, ROW])},
    "float16": {"direction.1": ROW.astype(np.float16)},
    "two widths": {"direction.1": ROW, "direction.2": np.tile(ROW, 2)},
    "no direction": {},
    "one layer by two names": {"direction.1": ROW, "direction.01": 3 * ROW},
    "NaN": {"direction.1": np.nan * ROW},
}


class Vector(ctypes.Structure):
    """A std::vector."""

    _fields_ = (("begin", ctypes.c_void_p), ("end", ctypes.c_void_p), ("room", ctypes.c_void_p))


class Info(ctypes.Structure):
    """What the loader is handed for one file: the strength, and the path as a std::string."""

    _fields_ = (
        ("strength", ctypes.c_float),
        ("path", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("room", ctypes.c_size_t * 2),
    )


class Loaded(ctypes.Structure):
    """What the loader returns: the width, and the directions of layer 1 on, one after the other."""

    _fields_ = (("width", ctypes.c_int), ("values", Vector))


def load(path: Path, strength: float = 1.0) -> tuple[int, np.ndarray]:
    """Return width and numbers as llama.cpp's programs read them; the width is -1 for a file that they refuse."""
    library = ctypes.CDLL(str(Path(llama_cpp.__file__).parents[1] / "lib" / "libllama-common.so"))
    function = library._Z26common_control_vector_loadRKSt6vectorI31common_control_vector_load_infoSaIS0_EE
    # A class that is returned by value comes through a pointer in front of the arguments (Itanium C++ ABI, x86-64).
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_void_p], None
    text = ctypes.create_string_buffer(os.fsencode(path))
    info = Info(strength, ctypes.addressof(text), len(text) - 1, (len(text), 0))
    start = ctypes.addressof(info)
    files, found = Vector(start, start + ctypes.sizeof(info), start + ctypes.sizeof(info)), Loaded()
    function(ctypes.byref(found), ctypes.byref(files))
    n = ((found.values.end or 0) - (found.values.begin or 0)) // 4
    numbers = ctypes.cast(found.values.begin, ctypes.POINTER(ctypes.c_float))
    return found.width, np.array([numbers[i] for i in range(n)], np.float32)


def write(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Write a control vector as the gguf package does, and return its path."""
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", len(tensors))
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def context_of(path: Path, folder: Path) -> tuple[object, object]:
    """Return the model in float32, requantized by llama.cpp itself, and a context whose cache is float32 too."""
    plain = folder / "f32.gguf"
    how = llama_cpp.llama_model_quantize_default_params()
    how.ftype, how.allow_requantize, how.nthread = 0, True, 2
    assert llama_cpp.llama_model_quantize(str(path).encode(), str(plain).encode(), ctypes.byref(how)) == 0
    model = llama_cpp.llama_model_load_from_file(str(plain).encode(), llama_cpp.llama_model_default_params())
    wanted = llama_cpp.llama_context_default_params()
    wanted.n_ctx, wanted.n_threads, wanted.n_threads_batch = 128, 2, 2
    wanted.type_k = wanted.type_v = llama_cpp.GGML_TYPE_F32
    return model, llama_cpp.llama_init_from_model(model, wanted)


def vocabulary_of(model: object) -> object:
    """Return the vocabulary of a model."""
    return llama_cpp.llama_model_get_vocab(model)


def tokens_of(model: object) -> list[int]:
    """Return the ids of the text, nothing added."""
    text, ids = TEXT.encode(), (ctypes.c_int32 * 64)()
    return list(ids[: llama_cpp.llama_tokenize(vocabulary_of(model), text, len(text), ids, 64, False, False)])


def logits(model: object, context: object, ids: list[int], path: Path | None, strength: float) -> list[float]:
    """Return every so many logits after the last token, under the control vector of a file."""
    width, n_layers = llama_cpp.llama_model_n_embd(model), llama_cpp.llama_model_n_layer(model)
    found, values = (width, np.zeros(width, np.float32)) if path is None else load(path, strength)
    assert found == width
    data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    # The range that llama.cpp's programs ask for where the user names none.
    assert llama_cpp.llama_set_adapter_cvec(context, data, len(values), width, 1, n_layers) == 0
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    tokens = (ctypes.c_int32 * len(ids))(*ids)
    assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, len(ids))) == 0
    row, n = llama_cpp.llama_get_logits_ith(context, -1), llama_cpp.llama_vocab_n_tokens(vocabulary_of(model))
    return [round(row[i], 4) for i in range(0, n, EVERY)]


def odd_files(folder: Path) -> dict[str, list[list[float]] | None]:
    """Return what the loader reads from each odd file, a row a layer from layer 1 on; None where it refuses."""
    found: dict[str, list[list[float]] | None] = {}
    for number, (name, tensors) in enumerate(ODD.items()):
        width, values = load(write(folder / f"odd-{number}.gguf", tensors))
        rows = [] if width < 0 else values.reshape(-1, width).tolist()
        found[name] = [[None if x != x else x for x in row] for row in rows] or None
    return found


def main(path: Path) -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, context = context_of(path, folder)
        ids, width = tokens_of(model), llama_cpp.llama_model_n_embd(model)
        cases = [{"file": None, "strength": 0.0, "logits": logits(model, context, ids, None, 0.0)}]
        for layer in LAYERS:
            file = write(folder / f"{layer}.gguf", {f"direction.{layer}": seeded(f"direction.{layer}.bias", (width,))})
            cases.append({"file": layer, "strength": STRENGTH, "logits": logits(model, context, ids, file, STRENGTH)})
        trained = GOLDEN / "repeng_sentiment.gguf"
        cases.append({"file": trained.name, "strength": 4.0, "logits": logits(model, context, ids, trained, 4.0)})
        made_by = {name: version(name) for name in ("llama_cpp_python", "gguf", "numpy")}
        found = {"made_by": made_by, "text": TEXT, "ids": ids, "every": EVERY, "cases": cases, "odd": odd_files(folder)}
    (GOLDEN / "llama_control.json").write_text(compact(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
