#!/bin/sh
# Measures whit and the peers on the same shapes in one run, turn by turn, so that what else the machine does
# meets both: whit, llama.cpp, CTranslate2 where it is there, then whit and the same two without AMX.
#
#     sh benches/peers/setup.sh PEERS_DIR             # once
#     sh benches/compare.sh PEERS_DIR [SHAPE…]        # writes benches/results/threads-1.jsonl,
#                                                     its picture, and the tables in benches/README.md
#
# ROUNDS (3; TinyLlama-1.1B once), REPEATS (3, each a median of so many in every round), THREADS (1), BUILDS (default
# no-amx) and FORMATS (int8 int4 int4-all) change that. MACHINE=NAME gives the results a name of their own, NAME-threads-1,
# beside those of other machines. RESULTS=DIRECTORY writes there instead and prints the tables: use it for a part or a trial. Models lie
# in PEERS_DIR/models; whit's are made anew unless KEEP=1 is set.
set -eu

[ $# -ge 1 ] || { echo "usage: compare.sh PEERS_DIR [SHAPE...]" >&2; exit 2; }
root=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
threads=${THREADS:-1}
repeats=${REPEATS:-3}
results=${RESULTS:-$here/results}
python="$root/bin/python -B"
mkdir -p "$results"
results=$(cd "$results" && pwd)
lines="$results/${MACHINE:+$MACHINE-}threads-$threads.jsonl"

# Of another commit, perhaps.
[ -n "${KEEP:-}" ] || rm -f "$root/models/"*.whit
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

$python "$here/peers/machine.py" > "$lines.part"
for round in $(seq "${ROUNDS:-3}"); do
    for shape in ${*:-stories260K stories15M stories110M SmolLM2-135M TinyLlama-1.1B}; do
        [ "$round" = 1 ] || [ "$shape" != TinyLlama-1.1B ] || continue
        for format in ${FORMATS:-int8 int4 int4-all}; do
            echo "round $round: $shape $format" >&2
            case $format in
            int8) theirs=q8_0 ;;
            int4) theirs="q4_0 q4_k_m" ;;
            int4-all) theirs=q4_0-pure ;;
            *) echo "no format is called $format" >&2; exit 2 ;;
            esac
            for build in ${BUILDS:-default no-amx}; do
                [ "$build" = default ] || theirs=${theirs% q4_k_m}
                whit "$shape" "$format"
                peer "$shape" "$theirs" "$build"
                if [ "$format" = int8 ] && $python -c "import ctranslate2" 2>/dev/null; then
                    peer "$shape" int8 "$build"
                fi
            done > "$lines.turn.part"
            # Not a pipe: it would hide that a measurement failed.
            sed "s/^{/{\"round\": $round, /" "$lines.turn.part" >> "$lines.part"
        done
    done
done
rm "$lines.turn.part"
mv "$lines.part" "$lines"
if [ -n "${RESULTS:-}" ]; then
    $python "$here/peers/table.py" "$lines"
else
    $python "$here/peers/table.py" "$lines" "$here/README.md"
fi
