#!/bin/sh
# Training steps of whit and of PyTorch, turn by turn on one thread: a JSON line per measurement to
# results/training.jsonl, and a table to stdout.
#
#     sh benches/training.sh PYTHON [ROUNDS]
#
# PYTHON is an interpreter that has PyTorch (a wheel for CPUs is enough). Both engines run what this machine makes of
# their ordinary releases: whit's default release build, which chooses its vectors when it starts.
set -eu

[ $# -ge 1 ] || { echo "usage: training.sh PYTHON [ROUNDS]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
python=$1
cd "$here/.."
results=$here/results/training.jsonl
python3 "$here/peers/machine.py" > "$results"
for _ in $(seq "${2:-3}"); do
    for program in transformer lstm; do
        "$python" "$here/peers/torch_training.py" "$program" >> "$results"
        cargo bench --quiet -p whit-benches --bench training -- "$program" --json >> "$results"
    done
done
python3 "$here/peers/training_table.py" "$results"
