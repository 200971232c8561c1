#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh [TARGET...]: fuzzes each target (worker, ring, ...; all of them without arguments) for FUZZ_SECONDS (600),
# beginning with the corpus in tests/fuzz/corpus. New inputs are kept in build/fuzz-corpus, and what a target failed on
# in build/fuzz-findings; the exit status is 1 when there is any. `make test` calls it with a few seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-600}
build=build/fuzz
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1

[ -f $build/build.ninja ] || CC=clang meson setup $build --libdir=lib -Dfuzz=true >/dev/null
# The names of all targets there are, from the build files.
known=$(ninja -C $build -t targets all | sed -n 's|^tests/fuzz/fuzz-\([a-z0-9_-]*\): .*|\1|p' | grep -vx seeds | sort -u)
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets <<<"$known"
if ! ninja -C $build -j "$(nproc)" "${targets[@]/#/tests/fuzz/fuzz-}" >$build/build.log; then
    tail -n 40 $build/build.log
    exit 1
fi

failed=0
for name in "${targets[@]}"; do
    new=build/fuzz-corpus/$name findings=build/fuzz-findings/$name
    mkdir -p "$new" "$findings"
    saved=()
    [ ! -d "tests/fuzz/corpus/$name" ] || saved=("tests/fuzz/corpus/$name")
    echo "fuzzing $name for $seconds s"
    if ! "$build/tests/fuzz/fuzz-$name" -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=4096 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="$findings/" "$new" "${saved[@]}" >"$findings/log" 2>&1; then
        tail -n 60 "$findings/log"
        echo "FAILED: fuzz-$name; the input is in $findings"
        failed=1
    else
        grep -E '^stat::(number_of_executed_units|new_units_added)' "$findings/log" || true
    fi
done
exit $failed
