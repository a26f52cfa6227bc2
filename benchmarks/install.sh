#!/usr/bin/env bash
# Makes what the benchmarks need under GLASSBOOK_BENCH (default ~/.cache/glassbook-bench): the peers' environments `main`,
# `peers` (which hold each other's versions back) and `llama` (compiled here, about ten minutes), ours `glassbook`, the
# default model as a Hugging Face folder and as GGUF files, and the tokens of a real text. torch first: see decisions/002.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${GLASSBOOK_BENCH:-$HOME/.cache/glassbook-bench}
mkdir -p "$home/venvs" "$home/data"

make_env() {
    [ -x "$home/venvs/$1/bin/python" ] || python3 -m venv "$home/venvs/$1"
    "$home/venvs/$1/bin/python" "$here/../scripts/install_torch.py"
}

make_env main
"$home/venvs/main/bin/python" -m pip install --quiet "transformers>=5.9" "transformer-lens>=4" nnsight "torch==2.13.0"
make_env peers
"$home/venvs/peers/bin/python" -m pip install --quiet repeng steering-vectors "torch==2.13.0"
[ -x "$home/venvs/llama/bin/python" ] || python3 -m venv "$home/venvs/llama"
CMAKE_ARGS="-DGGML_NATIVE=ON" CMAKE_BUILD_PARALLEL_LEVEL=2 "$home/venvs/llama/bin/python" -m pip install --quiet llama-cpp-python
make_env glassbook
"$home/venvs/glassbook/bin/python" -m pip install --quiet --editable "$here/.." -c "$here/../constraints.txt"
"$home/venvs/glassbook/bin/python" "$here/make_data.py"
source=$("$home/venvs/glassbook/bin/python" -c "from glassbook.sources.obtain import obtain_default_gguf; print(obtain_default_gguf())")
"$home/venvs/llama/bin/python" "$here/make_gguf.py" "$source"
