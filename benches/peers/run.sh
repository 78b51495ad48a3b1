#!/bin/sh
# Measures the installed peers on every shape and prints one JSON line per measurement to stdout.
#
#     sh benches/peers/run.sh DIRECTORY [THREADS] > peers.jsonl
#
# DIRECTORY is the one given to setup.sh; models are made in DIRECTORY/models on the first run.
# SHAPES, FORMATS (q8_0 q4_0 q4_0-pure q4_k_m int8; int8 is CTranslate2, left out where it is not installed),
# BUILDS (default no-amx) and REPEATS narrow or repeat the run.
set -eu

[ $# -ge 1 ] || { echo "usage: run.sh DIRECTORY [THREADS]" >&2; exit 2; }
root=$(cd "$1" && pwd)
threads=${2:-1}
here=$(cd "$(dirname "$0")" && pwd)
python="$root/bin/python -B"
mkdir -p "$root/models"

# llama_cpp SHAPE FORMAT BUILD
llama_cpp() {
    model="$root/models/$1-$2.gguf"
    if [ ! -f "$model" ]; then
        LLAMA_CPP_LIB_PATH="$root/lib/default" $python "$here/make_gguf.py" "$1" "$2" "$model.part" >&2
        # Written at once, as whit writes its files: the system then keeps, and maps, huge pages.
        dd if="$model.part" of="$model" bs=4M status=none
        rm "$model.part"
    fi
    LLAMA_CPP_LIB_PATH="$root/lib/$3" \
        $python "$here/llama_cpp_bench.py" "$1" "$2" "$model" "$threads" "${REPEATS:-5}"
}

# ctranslate2 SHAPE BUILD
ctranslate2() {
    case $2 in
    no-amx) export MKL_ENABLE_INSTRUCTIONS=AVX512_E3 ;;
    *) unset MKL_ENABLE_INSTRUCTIONS ;;
    esac
    $python "$here/ctranslate2_bench.py" "$1" "$root/models/$1-ctranslate2" "$threads" "${REPEATS:-5}"
}

formats="q8_0 q4_0 q4_0-pure q4_k_m"
if $python -c "import ctranslate2" 2>/dev/null; then formats="$formats int8"; fi

for shape in ${SHAPES:-stories260K stories15M stories110M SmolLM2-135M TinyLlama-1.1B}; do
    for format in ${FORMATS:-$formats}; do
        for build in ${BUILDS:-default no-amx}; do
            case $format in
            int8) ctranslate2 "$shape" "$build" ;;
            *) llama_cpp "$shape" "$format" "$build" ;;
            esac
        done
    done
done
