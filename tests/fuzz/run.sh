#!/usr/bin/env bash
# Runs every fuzz target for SECONDS (60 if not said) from seeds made by code, as many at a time as there are processors. Needs
# a nightly toolchain; installs cargo-fuzz where it is missing. What a target crashed on lies in tests/fuzz/artifacts/TARGET.
set -uo pipefail

export seconds=${1:-60} fuzz="cargo +nightly fuzz"
cd "$(dirname "$0")/../.." || exit 1
if ! $fuzz --version >/dev/null 2>&1; then
    cargo +nightly install cargo-fuzz --locked --debug || exit 1
fi
cargo run --quiet -p whit-tests --bin fuzz-seeds -- tests/fuzz/corpus || exit 1
$fuzz build --fuzz-dir tests/fuzz || exit 1

# Runs one target, and says in a line how it went, after the end of its log if it failed.
try() {
    local target=$1 log verdict=ok runs edges
    log=$(mktemp)
    # An input that takes 20 s, two at a time, or 2 GiB, is a finding as well.
    if ! $fuzz run --fuzz-dir tests/fuzz "$target" -- -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 >"$log" 2>&1; then
        verdict=FAILED
        tail -n 60 "$log"
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    rm -f "$log"
    echo "$target: $verdict, ${runs:-?} inputs in $seconds s, ${edges:-?} edges"
    [ "$verdict" = ok ]
}
export -f try

$fuzz list --fuzz-dir tests/fuzz | xargs -P "$(nproc)" -I '{}' bash -c 'try {}' || { echo "some failed" && exit 1; }
echo "all passed"
