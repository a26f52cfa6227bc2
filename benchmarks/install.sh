#!/usr/bin/env bash
# Makes what the benchmarks need under GLASSBOOK_BENCH (default ~/.cache/glassbook-bench): the peers' environment `main`, ours
# `glassbook`, the default model as a Hugging Face folder, and the tokens of a real text. torch first: see decisions/002.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${GLASSBOOK_BENCH:-$HOME/.cache/glassbook-bench}
mkdir -p "$home/venvs" "$home/data"

make_env() {
    [ -x "$home/venvs/$1/bin/python" ] || python3 -m venv "$home/venvs/$1"
    "$home/venvs/$1/bin/python" "$here/../scripts/install_torch.py"
}

make_env main
"$home/venvs/main/bin/python" -m pip install --quiet "transformers>=5.9" "transformer-lens>=4" "torch==2.13.0"
make_env glassbook
"$home/venvs/glassbook/bin/python" -m pip install --quiet --editable "$here/.." -c "$here/../constraints.txt"
"$home/venvs/glassbook/bin/python" "$here/make_data.py"
