#!/usr/bin/env bash
# Runs the targets of fuzz/ under libFuzzer, one after the other, and prints what came of each. Fails if one fails; what
# it failed at is in fuzz/artifacts, and `kithdb-decoder run NAME FILE` gives it to the decoder again.
#
#   scripts/fuzz.sh [seconds of each, 60 otherwise]
#
# TARGETS takes some ("filter rows"). SANITIZER=none leaves AddressSanitizer out, which is a flag that a stable compiler
# takes only when it is told to; panics, overflows, endless work and memory without bound are found without it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$kithdb_root"

seconds="${1:-60}"
sanitizer="${SANITIZER:-address}"
read -ra targets <<<"${TARGETS:-$(sed -n 's/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml | sed '/^kithdb-fuzz$/d' | tr '\n' ' ')}"
host="$(rustc -vV | sed -n 's/^host: //p')"
built="$KITHDB_TARGET/fuzz-$sanitizer"

# The versions that are tested; libFuzzer comes to them.
cp Cargo.lock fuzz/Cargo.lock
# Line numbers are all that is needed of what is known of the sources; more takes gigabytes.
options=(RUSTFLAGS='-Cdebuginfo=line-tables-only')
[ "$sanitizer" = none ] || options+=(RUSTC_BOOTSTRAP=1)
for target in "${targets[@]}"; do
    env "${options[@]}" cargo fuzz build --fuzz-dir fuzz --target-dir "$built" --sanitizer "$sanitizer" \
        --strip-dead-code "$target"
done
cargo run --quiet --release --locked --package kithdb-tests --bin kithdb-decoder -- seeds fuzz/corpus

logs="$(mktemp -d)"
failed=0
printf '%-12s %12s %10s %10s  %s\n' target runs edges corpus result
for target in "${targets[@]}"; do
    log="$logs/$target.log"
    mkdir -p "fuzz/artifacts/$target"
    # A PDF may take a minute (rag/src/formats/pdf.rs).
    unit_seconds=20
    [ "$target" != documents ] || unit_seconds=90
    result=ok
    "$built/$host/release/$target" "fuzz/corpus/$target" -max_total_time="$seconds" -timeout="$unit_seconds" \
        -rss_limit_mb=2048 -max_len=131072 -detect_leaks=0 -print_final_stats=1 \
        -artifact_prefix="fuzz/artifacts/$target/" >"$log" 2>&1 || result="FAILED, see $log"
    [ "$result" = ok ] || failed=1
    runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    edges="$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2 || true)"
    corpus="$(find "fuzz/corpus/$target" -type f | wc -l)"
    printf '%-12s %12s %10s %10s  %s\n' "$target" "${runs:--}" "${edges:--}" "$corpus" "$result"
done
exit "$failed"
