#!/usr/bin/env bash
# Builds llama.cpp's command-line tools (llama-quantize, llama-imatrix, llama-perplexity, llama-bench, llama-completion)
# from the source inside the PyPI package llama-cpp-python.
#
#   build-llama-cpp.sh [CACHE_DIR]     prints the folder of the programs; does nothing when they are there already
#
# Needs python3 with venv, cmake, a C++ compiler; about 7 CPU minutes.
# CACHE_DIR defaults to ${XDG_CACHE_HOME:-$HOME/.cache}/layerwise-llama-cpp.
# convert_hf_to_gguf.py lies in CACHE_DIR/source (it needs torch, transformers, gguf).
set -euo pipefail
version=0.3.36
cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/layerwise-llama-cpp}
bin=$cache/build-$version/bin
if [ -x "$bin/llama-bench" ]; then echo "$bin"; exit 0; fi
mkdir -p "$cache"
python3 -m venv "$cache/venv" >&2
"$cache/venv/bin/pip" install --quiet --disable-pip-version-check scikit-build-core ninja >&2
"$cache/venv/bin/pip" download --quiet --disable-pip-version-check --no-binary :all: --no-deps --no-build-isolation \
  --dest "$cache" "llama-cpp-python==$version" >&2
tar xzf "$cache/llama_cpp_python-$version.tar.gz" -C "$cache"
source=$cache/llama_cpp_python-$version/vendor/llama.cpp
ln -sfn "$source" "$cache/source"
cmake -S "$source" -B "$cache/build-$version" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DGGML_OPENMP=ON \
  -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF \
  -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_CURL=OFF >&2
cmake --build "$cache/build-$version" -j"$(nproc)" --target llama-quantize llama-imatrix llama-perplexity llama-bench \
  llama-completion llama-tokenize >&2
echo "$bin"
