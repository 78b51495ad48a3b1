#!/bin/sh
# Installs the peers that whit is measured against: llama.cpp (compiled here, for this CPU) and, unless
# WITHOUT_CTRANSLATE2 is set, CTranslate2 (a wheel). Everything lands in DIRECTORY, which must lie outside
# the source tree; nothing else is touched.
#
#     sh benches/peers/setup.sh DIRECTORY
#
# llama.cpp is taken from the sources inside the llama-cpp-python sdist, so that a Python package registry
# is all it needs. It is built twice: `lib/default` is llama.cpp's own default for this machine
# (GGML_NATIVE=ON: every instruction set the compiler finds), `lib/no-amx` the same without the AMX tile
# instructions. Where the CPU has no AMX the two are the same code.
set -eu

LLAMA_CPP_PYTHON=0.3.36
GGUF=0.19.0
NUMPY=2.4.6
CTRANSLATE2=4.8.5

here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { echo "usage: setup.sh DIRECTORY" >&2; exit 2; }
mkdir -p "$1"
root=$(cd "$1" && pwd)
jobs=${JOBS:-$(nproc)}

[ -x "$root/bin/python" ] || python3 -m venv "$root"
pip="$root/bin/python -m pip --disable-pip-version-check"
PATH="$root/bin:$PATH"
$pip install --quiet cmake ninja scikit-build-core "numpy==$NUMPY" "gguf==$GGUF"

source="$root/src/llama_cpp_python-$LLAMA_CPP_PYTHON"
if [ ! -d "$source" ]; then
    mkdir -p "$root/src"
    $pip download --quiet --no-deps --no-build-isolation --no-binary :all: \
        --dest "$root/src" "llama-cpp-python==$LLAMA_CPP_PYTHON"
    tar -xzf "$source.tar.gz" -C "$root/src"
fi

# GCC 12 tells its optimizer that `ldtilecfg` reads 8 of the configuration's 64 bytes; the rest of the
# stores vanish and llama.cpp dies of an invalid configuration on every CPU with AMX (llama.cpp issue 20824,
# pull request 26954). A compiler barrier before the instruction keeps them; it costs nothing.
amx="$source/vendor/llama.cpp/ggml/src/ggml-cpu/amx/mmq.cpp"
grep -q '__asm__.*&tc' "$amx" ||
    sed -i 's|^    _tile_loadconfig(&tc);|    __asm__ volatile("" : : "r"(\&tc) : "memory");\n&|' "$amx"

# The Python bindings alone; LLAMA_CPP_LIB_PATH names the library they load.
CMAKE_ARGS="-DLLAMA_BUILD=OFF -DLLAVA_BUILD=OFF" \
    $pip install --quiet --no-build-isolation "$source"

# build NAME TARGET C_FLAGS
build() {
    cmake -S "$source/vendor/llama.cpp" -B "$root/build/$1" -G Ninja \
        -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DGGML_NATIVE=ON \
        -DCMAKE_C_FLAGS="$3" -DCMAKE_CXX_FLAGS="$3" \
        -DCMAKE_INSTALL_RPATH='$ORIGIN' -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON \
        -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF \
        -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF
    nice cmake --build "$root/build/$1" --target "$2" --parallel "$jobs"
}

build default llama ""
mkdir -p "$root/lib/default" "$root/lib/no-amx"
cp -P "$root"/build/default/bin/lib*.so* "$root/lib/default/"

case $(uname -m) in
x86_64) build no-amx ggml-cpu "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16" ;;
*) build no-amx ggml-cpu "" ;;
esac
cp -P "$root"/lib/default/lib*.so* "$root/lib/no-amx/"
cp -P "$root"/build/no-amx/bin/libggml-cpu.so* "$root/lib/no-amx/"

cc -O2 -I "$source/vendor/llama.cpp/include" -I "$source/vendor/llama.cpp/ggml/include" \
    "$here/first_tokens.c" -L "$root/lib/default" -lllama -Wl,-rpath-link,"$root/lib/default" -o "$root/bin/first_tokens"

[ -n "${WITHOUT_CTRANSLATE2:-}" ] || $pip install --quiet "ctranslate2==$CTRANSLATE2"
echo "peers are in $root"
