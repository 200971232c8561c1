#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# replay.sh REPLAY SOFTGPU RECORDING [COUNTS STEPS]: plays a recording (gzipped) natively on the software device and
# through Wormhole on the same: every call must come out as recorded, kernels must run in the order of their launches,
# and the same in both cases. With COUNTS, the step of number STEPS, which ends with the STEPS-th cuProfilerStop, must
# cost what that file says: lines of CALL, how often it was answered locally, posted and waited for. To make that
# file anew: REPLAY_UPDATE=1.
set -u

replay=$(realpath "$1") softgpu=$2 recording=$3 counts=${4:-} steps=${5:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAIL: $*"
    failures=1
}

# The counts after $1 steps: CALL LOCAL POSTED WAITED.
count() {
    "$WORMHOLE" run --stats -- "$replay" --steps="$1" libcuda.so.1 "$work/trace" 2>"$work/errors" ||
        { fail "$1 steps cannot be played"; cat "$work/errors"; }
    awk '$2 == "cuda:" && NF == 8 && $3 != "wh_stage_wait" && $4 ~ /^[0-9]+$/ { print $3, $4, $5, $6 }' "$work/errors" | sort
}

# What the step costs: the difference. How often copies that were made before had to wait for a place is chance.
step() {
    count $((steps - 1)) >"$work/before"
    count "$steps" >"$work/after"
    awk 'NR == FNR { l[$1] = $2; p[$1] = $3; w[$1] = $4; next }
         $2 - l[$1] || $3 - p[$1] || $4 - w[$1] { print $1, $2 - l[$1], $3 - p[$1], $4 - w[$1] }' \
        "$work/before" "$work/after"
}

gzip -dc "$recording" >"$work/trace" || fail "$recording cannot be read"
"$replay" --log="$work/native" "$softgpu" "$work/trace" || fail "native"
"${WORMHOLE:?}" run -- "$replay" --log="$work/through" libcuda.so.1 "$work/trace" || fail "through Wormhole"
[ -s "$work/native" ] || fail "no kernel ran"
cmp "$work/native" "$work/through" || fail "not the same kernels ran in the same order"
if [ -n "$counts" ]; then
    step >"$work/step"
    [ -z "${REPLAY_UPDATE:-}" ] || cp "$work/step" "$counts"
    diff -u "$counts" "$work/step" || fail "a step does not cost what it should"
fi
exit $failures
