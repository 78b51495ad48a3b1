#!/usr/bin/env bash
# Builds the programs for every emulated board, or those named, runs them, and compares what they say: the text of
# `generate` with a snapshot, golden transcripts and kernels (`conformance`), and instructions with their limits (`bench`).
# On the first one, too: every way into a panic, and sizes. Needs qemu-system-arm, qemu-system-riscv32, python3, size and nm
# (binutils), arm-none-eabi-objdump, and Rust's targets.
set -euo pipefail
cd "$(dirname "$0")"

# Board, target, model that `generate` runs.
boards='
mps2-an386 thumbv7em-none-eabihf     shakespeare-lstm
mps2-an500 thumbv7em-none-eabihf     shakespeare-lstm
mps2-an505 thumbv8m.main-none-eabihf shakespeare-lstm
microbit   thumbv6m-none-eabi        shakespeare-small
virt       riscv32imc-unknown-none-elf shakespeare-lstm
'

check() { # Everything on one board
    local board=$1 target=$2 model=$3
    export WHIT_MODEL=$PWD/../models/$model/model.whit
    # Of the models, the micro:bit has room for one.
    [ "$board" = microbit ] && export WHIT_MODELS=$model
    local programs=target/$target/release output=target/$board
    [ "$board" != mps2-an386 ] || panics "$target"
    build "$target" --bin generate
    printf 'ROMEO:\n\n\004' | emulate "$board" "$programs/generate" | tr -d '\r' >"$output.generate"
    diff <(numberless <"snapshots/$model.txt") <(numberless <"$output.generate")
    build "$target" --features suite --bin conformance --bin bench
    emulate "$board" "$programs/conformance" </dev/null | tee "$output.conformance"
    emulate "$board" "$programs/bench" </dev/null >"$output.bench"
    limits "$board" <"$output.bench"
    echo "$board: $(grep -c '^ok' "$output.conformance") checks hold; $model:" \
        "$(sed -n 's/^\[.*: \(.*\) each, .*; \(.*\)\]/\1 a token, \2/p' "$output.generate" | head -n 1)," \
        "$(bytes "$programs/generate" "$WHIT_MODEL")"
}

panics() { # The ways into a panic from the generation of text, by an LSTM or a Llama, are those listed; sizes are as they were
    build "$1" --features transformer --bin generate
    ./panics.py "target/$1/release/generate" panics.txt
    echo "$(grep -c '^[^#]' panics.txt) functions with ways into a panic, each with its reason"
    ./sizes.sh
}

build() { # Quiet, unless it fails
    cargo build --quiet --release -p whit-emulated --target "$@"
}

emulate() { # A program on a board; 2⁶ ns for each instruction make timers count them, RISC-V has a counter of its own
    # A stack that overflows may leave a core that never ends; minutes are what the slowest takes.
    case $1 in
    virt) timeout 900 qemu-system-riscv32 -M virt -cpu rv32,a=false,f=false,d=false -bios none -icount 0 \
        -display none -monitor none -serial stdio -kernel "$2" ;;
    *) timeout 900 qemu-system-arm -M "$1" -icount 6 -semihosting-config enable=on,target=native \
        -display none -monitor none -serial stdio -kernel "$2" ;;
    esac
}

bytes() { # What a program takes of flash beside its model, and of RAM beside its stack
    size -A "$1" | awk -v model="$(wc -c <"$2")" '
        $1 == ".text" || $1 == ".rodata" || $1 == ".vector_table" { flash += $2 }
        $1 == ".data" || $1 == ".bss" || $1 == ".uninit" { statics += $2 }
        END { print statics " of statics; code and tables: " flash - model " bytes" }'
}

numberless() { # What a text cost changes with the compiler
    sed '/^\[/s/[0-9][0-9.]*/N/g'
}

limits() { # At most so many instructions for a product, whole calls of matrix × vector at the shape of the models' gates
    local limit
    case $1 in
    mps2-*) limit='dsp int8 0 1.75 dsp int4 32 1.60' ;;
    microbit) limit='packed int8 0 4.80 packed int4 32 3.55' ;;
    virt) limit='packed int8 0 4.10 packed int4 32 3.20' ;;
    esac
    awk -v limit="$limit" '
        BEGIN { for (n = split(limit, l, " "); n > 0; n -= 4) most[l[n - 3] l[n - 2] l[n - 1]] = l[n] }
        $5 == 512 && $7 == 128 && ($1 $2 $4) in most {
            print; seen++
            if ($10 > most[$1 $2 $4]) { print "more than " most[$1 $2 $4]; exit 1 }
        }
        END { if (seen < length(most)) { print "a kernel is missing"; exit 1 } }'
}

mkdir -p target
while read -r board target model; do
    [ -n "$board" ] || continue
    [ $# -eq 0 ] || [[ " $* " == *" $board "* ]] || continue
    (check "$board" "$target" "$model" </dev/null)
done <<<"$boards"
