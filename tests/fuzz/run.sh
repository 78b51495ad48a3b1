#!/usr/bin/env bash
# Runs every fuzz target for SECONDS (60 if not said) from seeds made by code, one after the other. Needs a nightly
# toolchain; installs cargo-fuzz where it is missing. What a target crashed on lies in tests/fuzz/artifacts/TARGET.
set -uo pipefail

seconds=${1:-60}
cd "$(dirname "$0")/../.." || exit 1
fuzz="cargo +nightly fuzz"
if ! $fuzz --version >/dev/null 2>&1; then
    cargo +nightly install cargo-fuzz --locked --debug || exit 1
fi
cargo run --quiet -p whit-tests --bin fuzz-seeds -- tests/fuzz/corpus || exit 1
$fuzz build --fuzz-dir tests/fuzz || exit 1

passed=0
failed=0
for target in $($fuzz list --fuzz-dir tests/fuzz); do
    log=$(mktemp)
    # An input that takes 10 s, or 2 GiB, is a finding as well.
    if $fuzz run --fuzz-dir tests/fuzz "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 >"$log" 2>&1; then
        passed=$((passed + 1))
        verdict=ok
    else
        failed=$((failed + 1))
        verdict=FAILED
        tail -n 60 "$log"
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    echo "$target: $verdict, ${runs:-?} inputs in ${seconds} s, ${edges:-?} edges"
    rm -f "$log"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
