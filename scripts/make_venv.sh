#!/bin/sh
# Makes .venv with the pinned oracles of scripts/requirements.txt. Silent and offline once made; asks nothing.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/made-from
wanted="$(python3 --version) $(sha256sum scripts/requirements.txt | cut -d ' ' -f 1)"
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
  exit 0
fi

echo "making .venv from scripts/requirements.txt"
rm -rf .venv
python3 -m venv .venv
if ! PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install -q --no-deps --only-binary :all: -r scripts/requirements.txt </dev/null; then
  echo "make_venv.sh: expected the packages of scripts/requirements.txt from the Python package index; got an error (the first run needs a network)" >&2
  exit 1
fi
.venv/bin/python -c 'import jinja2, safetensors, tokenizers'
printf '%s\n' "$wanted" >"$stamp"
