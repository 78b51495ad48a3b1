#!/usr/bin/env bash
# Builds and lints the programs of the real boards, or of those named, runs the images, the Pico's under rp2040js and those of
# the other Arm cores under Unicorn, and prints what each takes of flash and of RAM.
# Needs node and npm, python3 and pip3, nm and size (binutils), and Rust's targets.
set -euo pipefail
cd "$(dirname "$0")"

# Folder in boards, target.
boards='
esp32-c3 riscv32imc-unknown-none-elf
nrf52840-dk thumbv7em-none-eabihf
nucleo-f446re thumbv7em-none-eabihf
nucleo-h743zi thumbv7em-none-eabihf
pico thumbv6m-none-eabi
pico2 thumbv8m.main-none-eabihf
'
model=shakespeare-lstm

check() { # Everything on one board, from its folder, whose configuration of cargo has its target
    local board=$1 program=target/$2/release/whit-$1
    (cd "boards/$board" && cargo clippy --quiet --release --all-features -- -D warnings)
    [ "$board" != pico ] || display "$program"
    (cd "boards/$board" && cargo build --quiet --release)
    # Not joined by `&&`, which would let a command of the first fail unseen.
    [ "$board" = esp32-c3 ] || emulate "$board" "$program"
    [ "$board" != pico ] || cycles
    sizes "$board" "$program" >>target/sizes
}

emulate() { # The transcript holds, a text is that of the emulated boards, and the pin was high once for every token
    local said=target/$1.said pin=target/$1.pin
    run "$1" "$2" 'ROMEO:' >"$said" 2>"$pin" || { cat "$said" "$pin" && exit 1; }
    grep '^ok .* golden transcript' "$said"
    diff <(sed '/^\[/q' "snapshots/$model.txt" | numberless) \
        <(tr -d '\r' <"$said" | sed -n '/^> ROMEO/,/^\[/p' | numberless)
    sed "s/^/$1 /" "$pin" | grep 'pin: 200 tokens'
}

run() { # An image
    if [ "$1" = pico ]; then
        (cd boards/pico && npm ci --silent)
        node boards/pico/emulate.mjs "${@:2}"
    else
        [ -d target/unicorn ] || pip3 install --quiet --target target/unicorn unicorn==2.1.4
        PYTHONPATH=target/unicorn python3 boards/emulate.py "$@"
    fi
}

display() { # What the Pico's display shows after the start
    (cd boards/pico && cargo build --quiet --release --features display)
    DISPLAY_TOO=1 run pico "$1" 2>&1 | sed '1,/^> /d' | diff snapshots/pico-display.txt -
    echo "pico's display shows what it did"
}

cycles() { # At most so many for a token
    awk -v most=2000000 '{ if ($4 > most) { print "more than " most; exit 1 } }' target/pico.pin
}

numberless() { # What a text cost changes with the compiler, and is counted in other units
    sed '/^\[/s/[0-9][0-9.]*/N/g; s/ instructions each/ cycles each/'
}

sizes() { # A row of the table
    local file=../models/$model/model.whit
    { size -A "$2"; nm -S --radix=d "$2"; } | awk -v board="$1" -v model="$(wc -c <"$file")" '
        $1 ~ /^\.(vector_table|boot2|start_block|text|rodata|data|trap|rwtext|flash\.appdesc)/ { flash += $2 }
        $1 ~ /^\.(data|bss|uninit|noinit|trap|rwtext)/ { statics += $2 }
        $4 ~ /ARENA/ { arena = $2 + 0 }
        END { print "| " board " | " flash - model " | " model " | " statics " | " arena " |" }'
}

mkdir -p target
: >target/sizes
while read -r board target; do
    [ -n "$board" ] || continue
    [ $# -eq 0 ] || [[ " $* " == *" $board "* ]] || continue
    (check "$board" "$target" </dev/null)
done <<<"$boards"
echo '| board | code and tables | model | statics | of them the arena |'
echo '|---|---:|---:|---:|---:|'
cat target/sizes
