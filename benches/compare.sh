#!/bin/sh
# Measures whit and the peers on the same shapes in one run, turn by turn, so that what else the machine does
# meets both: whit, llama.cpp, whit, llama.cpp without AMX, and for int8 whit and CTranslate2 where it is there.
#
#     sh benches/peers/setup.sh PEERS_DIR             # once
#     sh benches/compare.sh PEERS_DIR [SHAPE…]        # writes benches/results/threads-1.jsonl,
#                                                     its picture, and the tables in benches/README.md
#
# ROUNDS (3), REPEATS (3, each a median of so many in every round), THREADS (1), FORMATS (int8 int4 int4-all) and
# RESULTS (benches/results) change that. Models lie in PEERS_DIR/models; whit's are made anew.
set -eu

[ $# -ge 1 ] || { echo "usage: compare.sh PEERS_DIR [SHAPE...]" >&2; exit 2; }
root=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
threads=${THREADS:-1}
repeats=${REPEATS:-3}
results=${RESULTS:-$here/results}
lines="$results/threads-$threads.jsonl"
python="$root/bin/python -B"
mkdir -p "$results"

# Of another commit, perhaps.
rm -f "$root/models/"*.whit
cd "$here/.."
cargo bench --quiet --package whit-benches --bench models --no-run

# whit SHAPE FORMAT
whit() {
    cargo bench --quiet --package whit-benches --bench models -- \
        "$1" "$2" --models "$root/models" --threads "$threads" --repeats "$repeats" --json
}

# peer SHAPE FORMAT BUILD
peer() {
    SHAPES=$1 FORMATS=$2 BUILDS=$3 REPEATS=$repeats sh "$here/peers/run.sh" "$root" "$threads"
}

# A line with the round in front of the other keys.
round() {
    sed "s/^{/{\"round\": $1, /"
}

$python "$here/peers/machine.py" > "$lines.part"
for round in $(seq "${ROUNDS:-3}"); do
    for shape in ${*:-stories260K stories15M stories110M SmolLM2-135M}; do
        for format in ${FORMATS:-int8 int4 int4-all}; do
            echo "round $round: $shape $format" >&2
            case $format in
            int8) theirs=q8_0 ;;
            int4) theirs=q4_0 ;;
            int4-all) theirs=q4_0-pure ;;
            *) echo "no format is called $format" >&2; exit 2 ;;
            esac
            for build in default no-amx; do
                whit "$shape" "$format"
                peer "$shape" "$theirs" "$build"
                if [ "$format" = int8 ] && $python -c "import ctranslate2" 2>/dev/null; then
                    peer "$shape" int8 "$build"
                fi
            done | round "$round" >> "$lines.part"
        done
    done
done
mv "$lines.part" "$lines"
$python "$here/peers/table.py" "$lines" "$here/README.md"
