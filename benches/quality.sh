#!/bin/sh
# Measures what whit's and llama.cpp's formats cost in nats per token, on the same checkpoint, text and token ids.
#
#     sh benches/peers/setup.sh PEERS_DIR             # once
#     sh benches/quality.sh PEERS_DIR DATA_DIR        # writes benches/results/quality.json, its picture, and the
#                                                     # table in benches/README.md
#
# DATA_DIR has llama2c/stories260K.bin, llama2c/tok512.bin and text/, as the tests look for them in WHIT_DATA.
# RESULTS=DIRECTORY writes there instead and prints the table.
set -eu

[ $# -eq 2 ] || { echo "usage: quality.sh PEERS_DIR DATA_DIR" >&2; exit 2; }
root=$(cd "$1" && pwd)
data=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
results=${RESULTS:-$here/results}
mkdir -p "$results"
results=$(cd "$results" && pwd)
cd "$here/.."
cargo build --quiet --release --package whit-converter --bin whit
target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
[ -n "${RESULTS:-}" ] && readme="" || readme="$here/README.md"
LLAMA_CPP_LIB_PATH="$root/lib/default" "$root/bin/python" -B "$here/peers/quality.py" \
    "$target/release/whit" "$data" "$root/models/quality" "$results" ${readme:+"$readme"}
