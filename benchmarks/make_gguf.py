"""Write the default model as F32, F16 and Q8_0 for llama.cpp, with llama.cpp's own requantizer, from the file we fetch."""

import ctypes
import sys

import llama_cpp
from peers import FILES

KINDS = {"F32": 0, "F16": 1, "Q8_0": 7}


def main(source: str) -> None:
    for name, path in FILES.items():
        if path.exists():
            continue
        asked = llama_cpp.llama_model_quantize_default_params()
        asked.ftype, asked.allow_requantize, asked.nthread = KINDS[name], True, 2
        if llama_cpp.llama_model_quantize(source.encode(), str(path).encode(), ctypes.byref(asked)):
            sys.exit(f"llama.cpp could not write {path}")


if __name__ == "__main__":
    main(sys.argv[1])
