#!/usr/bin/env bash
# Every model's golden transcript and text and the runtime's conformance suite under node, in programs built without
# vectors and with them; each must say so of the backends that it is to have. Needs node and Rust's wasm32-unknown-unknown.
set -euo pipefail
cd "$(dirname "$0")/.."

check() { # A program: flags of the compiler, the backend that it has
    local flags=$1 backend=$2 program=target/wasm-$2 models
    RUSTFLAGS=$flags cargo build --quiet --release -p whit-wasm --features suite --target wasm32-unknown-unknown \
        --target-dir "$program" --bin conformance
    node wasm/node.mjs "$program/wasm32-unknown-unknown/release/conformance.wasm" | tee "$program.conformance"
    for card in ../models/*/card.toml; do
        models=$(basename "$(dirname "$card")")
        grep -qx "ok      $models $backend golden transcript" "$program.conformance"
        grep -qx "ok      $models $backend golden text" "$program.conformance"
    done
    grep -qx "ok      $backend computes the bits of scalar" "$program.conformance"
    echo "wasm32, $backend: $(grep -c '^ok' "$program.conformance") checks hold"
}

mkdir -p target
check '' scalar
check '-Ctarget-feature=+simd128' simd128
