#!/usr/bin/env bash
# Makes or completes .venv: Python 3.11 or newer, the pip that constraints.txt pins, torch for this machine, then Glassbook.
#   scripts/environment.sh          what Glassbook needs to run and to write a notebook's site
#   scripts/environment.sh test     and what its tests need
set -euo pipefail
cd "$(dirname "$0")/.."
base=${PYTHON:-python3}
python=.venv/bin/python
[[ ${1:-} == test ]] && what='.[site,test]' || what='.[site]'

usable() { "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
say() { printf '%s\n' "$*" >&2; }
pip() { "$python" -m pip --disable-pip-version-check --no-input "$@"; }

if ! usable "$python" && ! usable "$base"; then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    say 'Installing python3 and python3-venv …'
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3 python3-venv; } >/dev/null || true
  fi
  if ! usable "$base"; then
    say "Python 3.11 or newer with its venv module is missing here ('$base' is not it): run 'sudo apt-get install python3 python3-venv' (Debian 12 or newer), or name another Python with 'make PYTHON=…', and run make again."
    exit 1
  fi
fi
usable "$python" || "$base" -m venv --clear .venv
pip install -qq --constraint constraints.txt pip setuptools
"$python" scripts/install_torch.py
say 'Installing the other packages …'
pip install -qq --constraint constraints.txt --no-build-isolation --editable "$what"
