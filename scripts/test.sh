#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make test: installs what is missing and runs all tests: the build itself, its tests, the same under
# AddressSanitizer and UndefinedBehaviorSanitizer, those with threads under ThreadSanitizer, a short run of each
# fuzzer, the OpenCL programs in a virtual machine, and the kernel module in an emulated one. Continuous integration runs
# exactly this. TEST_STAGES="build asan" (of: build asan tsan fuzz vm exitless) runs some stages only. The end names what
# failed, with the last lines it printed; the last line says 'N passed, M failed', with ', K skipped' when some were.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

jobs=$(nproc)
passed=0 failed=0 skipped=0
log=$(mktemp)
failures=$(mktemp) # what the end says of each
trap 'rm -f "$log" "$failures"' EXIT

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

finish() {
    local verdict="$passed passed, $failed failed"
    [ "$skipped" -eq 0 ] || verdict="$verdict, $skipped skipped"
    echo
    cat "$failures"
    echo "$verdict"
    [ "$failed" -eq 0 ]
    exit
}

# A step that says nothing when it works; it counts as a test when it does not.
quietly() {
    "$@" >"$log" 2>&1 </dev/null && return 0
    cat "$log"
    echo "FAILED: $*"
    failed=$((failed + 1))
    remember_failure "$*" <"$log"
    return 1
}

remember_failure() { # NAME, its output on standard input
    {
        echo "FAILED: $1"
        tail -n 8 | cut -c 1-300 | sed 's/^/    /'
    } >>"$failures"
}

# meson prints a result line for each test and below it the output of one that failed, then a summary.
remember_failures() {
    sed '/^Summary of Failures:/,$d' "$log" >"$log.results"
    sed -nE 's/^ *[0-9]+\/[0-9]+ (.*[^ ]) +(FAIL|TIMEOUT|ERROR|INTERRUPT|UNEXPECTEDPASS) .*/\1/p' "$log.results" |
        while read -r name; do
            remember_failure "$name" < <(awk -v name="$name " '
                /^ *[0-9]+\/[0-9]+ / { mine = index($0, name) }
                mine && NF && !/^ *―/' "$log.results")
        done
    rm -f "$log.results"
}

count() { # WORD: meson's sum under that heading
    sed -n "s/^$1: *\([0-9]*\) *$/\1/p" "$log" | tail -n 1
}

# meson_test ARG...: runs tests, adds up what meson counts.
meson_test() {
    local status ok
    meson test --no-rebuild --print-errorlogs --num-processes "$jobs" "$@" </dev/null 2>&1 | tee "$log"
    status=$?
    ok=$(count Ok)
    if [ -z "$ok" ]; then # it did not get as far as counting
        echo "FAILED: meson test $*"
        failed=$((failed + 1))
        remember_failure "meson test $*" <"$log"
        return
    fi
    passed=$((passed + ok + $(count 'Expected Fail')))
    skipped=$((skipped + $(count Skipped)))
    failed=$((failed + $(count Fail) + $(count 'Unexpected Pass') + $(count Timeout)))
    [ $status -eq 0 ] && return
    [ "$failed" -gt 0 ] || failed=1
    remember_failures
}

# configure FOLDER ARG...: a build tree of its own beside the usual one.
configure() {
    local folder=$1
    shift
    [ -f "$folder/build.ninja" ] || quietly meson setup "$folder" --libdir=lib "$@"
}

compile() { # FOLDER
    quietly ninja -C "$1" -j "$jobs"
}

# The implementation's libraries leak and are not ours; a worker ends without its exit handlers anyway. Tests end
# with SIGABRT rather than with a status that a program might have on its own.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:handle_abort=0:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=suppressions=$PWD/tests/fault/tsan.supp:halt_on_error=0:exitcode=66

stage_build() {
    say "Build, unit, generator, differential and fault tests"
    quietly make build || return
    passed=$((passed + 1))
    meson_test -C build/obj
}

# Programs that between them use every part of the shim and of the worker.
sanitized=(buffer_rect buffer_rw buffer_sub context event_callback event_graph event_user extensions fork_after_use
    image_kernel image_transfer info_device info_platform invalid_handles kernel_info lifetime map_async map_buffer ndrange
    migrate partition printf_order program_binary program_build program_callbacks program_link queue threads_order
    threads_wait transfers_many)

stage_asan() {
    say "AddressSanitizer and UndefinedBehaviorSanitizer"
    configure build/asan -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fno-sanitize-recover=all && compile build/asan || return
    meson_test -C build/asan --timeout-multiplier 4 --suite unit --suite fault
    meson_test -C build/asan --timeout-multiplier 4 "${sanitized[@]}"
    meson_test -C build/asan --timeout-multiplier 4 --suite softgpu --suite cuda --suite nvml --suite replay
}

# Those where several threads of the program or of the worker meet.
threaded=(event_callback map_async program_callbacks threads_build threads_order threads_queues threads_wait)

stage_tsan() {
    say "ThreadSanitizer"
    configure build/tsan -Db_sanitize=thread -Db_lundef=false && compile build/tsan || return
    meson_test -C build/tsan --timeout-multiplier 6 --suite unit
    meson_test -C build/tsan --timeout-multiplier 6 "${threaded[@]}"
    meson_test -C build/tsan --timeout-multiplier 6 --suite softgpu --suite cuda
}

stage_fuzz() {
    say "Fuzzing: the saved corpus, then a quarter of a minute for each target"
    CC=clang configure build/fuzz -Dfuzz=true || return
    if quietly env FUZZ_SECONDS=15 scripts/fuzz.sh; then
        cat "$log"
        passed=$((passed + 1))
    fi
    meson_test -C build/fuzz --setup all --suite fuzz
}

stage_vm() {
    say "A virtual machine"
    meson_test -C build/obj --setup all --suite vm
}

# The kernel module in an emulated machine: its short form says how many tests passed in its last line.
stage_exitless() {
    say "The exitless path, emulated"
    scripts/exitless-test.sh --short 2>&1 </dev/null | tee "$log"
    local verdict
    verdict=$(tail -n 1 "$log")
    if [[ $verdict =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
    else
        failed=$((failed + 1))
    fi
    [[ $verdict == *", 0 failed"* ]] || remember_failure scripts/exitless-test.sh < <(grep -v '^ok ' "$log")
}

say "Packages"
if ! scripts/install-deps.sh test; then
    failed=1
    finish
fi

for stage in ${TEST_STAGES:-build asan tsan fuzz vm exitless}; do
    start=$SECONDS
    "stage_$stage"
    echo "-- $stage: $((SECONDS - start)) s"
done
finish
