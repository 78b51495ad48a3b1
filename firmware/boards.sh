#!/usr/bin/env bash
# Builds and lints the programs of the real boards, or of those named, runs the Pico's image under rp2040js, and prints what
# each takes of flash and of RAM.
# Needs node and npm, nm and size (binutils), and Rust's targets.
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
    (cd "boards/$board" &&
        cargo clippy --quiet --release --all-features -- -D warnings &&
        cargo build --quiet --release --all-features && cargo build --quiet --release)
    if [ -f "boards/$board/emulate.mjs" ]; then
        emulate "$board" "$program"
    fi
    sizes "$board" "$program" >>target/sizes
}

emulate() { # A text is that of the emulated boards, its cost at most what it was
    local board=$1 most=9300000
    (cd "boards/$board" && npm ci --silent)
    node "boards/$board/emulate.mjs" "$2" 'ROMEO:' >"target/$board.said" 2>"target/$board.pin"
    grep '^ok .* golden transcript' "target/$board.said"
    diff <(sed '/^\[/q' "snapshots/$model.txt" | numberless) \
        <(tr -d '\r' <"target/$board.said" | sed -n '/^> ROMEO/,/^\[/p' | numberless)
    cat "target/$board.pin"
    awk -v most=$most '/^pin: 200 tokens/ { seen = 1; if ($4 > most) { print "more than " most; exit 1 } }
        END { exit !seen }' "target/$board.pin"
}

numberless() { # What a text cost changes with the compiler, and is counted in other units
    sed '/^\[/s/[0-9][0-9.]*/N/g; s/ instructions each/ cycles each/'
}

sizes() { # A row of the table
    local file=../models/$model/model.whit
    { size -A "$2"; nm -S --radix=d "$2"; } | awk -v board="$1" -v model="$(wc -c <"$file")" '
        $1 ~ /^\.(text|rodata|vector_table|boot2|boot_info|start_block|end_block|data|rwtext|trap|flash\.appdesc|bi_entries)/ { flash += $2 }
        $1 ~ /^\.(data|bss|uninit|noinit|rwtext|trap)/ { statics += $2 }
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
