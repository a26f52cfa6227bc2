#!/usr/bin/env bash
# Makes what the benchmarks need under GLASSBOOK_BENCH (default ~/.cache/glassbook-bench): the peers' environments `main`,
# `peers`, `sparsify` and `dash` (which hold each other's versions back) and `llama` (compiled here, about ten minutes), ours
# `glassbook`, the default model as a Hugging Face folder and as GGUF files, and the tokens of a real text. torch first: see
# decisions/002. `install.sh dash` makes one of them alone; ours and the data come with `glassbook`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${GLASSBOOK_BENCH:-$HOME/.cache/glassbook-bench}
mkdir -p "$home/venvs" "$home/data"

make_env() {
    [ -x "$home/venvs/$1/bin/python" ] || python3 -m venv "$home/venvs/$1"
    [ "$1" = llama ] || "$home/venvs/$1/bin/python" "$here/../scripts/install_torch.py"
}

# uv finds in seconds versions that agree, where pip tries old releases for minutes. Some peers ask for torchvision or torchaudio,
# which none of what is measured uses and which would bring another torch.
fill() {
    [ -x "$home/venvs/uv/bin/uv" ] || { python3 -m venv "$home/venvs/uv" && "$home/venvs/uv/bin/python" -m pip install --quiet uv; }
    printf "torch==2.13.0\ntorchvision ; python_version < '3'\ntorchaudio ; python_version < '3'\n" >"$home/overrides.txt"
    make_env "$1"
    "$home/venvs/uv/bin/uv" pip install --quiet --python "$home/venvs/$1/bin/python" --override "$home/overrides.txt" "${@:2}"
}

main() { fill main "transformers>=5.9" "transformer-lens>=4" nnsight; }
peers() { fill peers dictionary-learning repeng steering-vectors "pyarrow<21"; }
sparsify() { fill sparsify eai-sparsify; }
dash() { fill dash sae-dashboard sae-lens "pyarrow<21"; }
llama() {
    make_env llama
    CMAKE_ARGS="-DGGML_NATIVE=ON" CMAKE_BUILD_PARALLEL_LEVEL=2 "$home/venvs/llama/bin/python" -m pip install --quiet llama-cpp-python
}
glassbook() {
    make_env glassbook
    "$home/venvs/glassbook/bin/python" -m pip install --quiet --editable "$here/.." safetensors gguf -c "$here/../constraints.txt"
    "$home/venvs/glassbook/bin/python" "$here/make_data.py"
    local source
    source=$("$home/venvs/glassbook/bin/python" -c "from glassbook.sources.obtain import obtain_default_gguf; print(obtain_default_gguf())")
    [ ! -x "$home/venvs/llama/bin/python" ] || "$home/venvs/llama/bin/python" "$here/make_gguf.py" "$source"
}

(($#)) || set -- main peers sparsify dash llama glassbook
for name in "$@"; do "$name"; done
