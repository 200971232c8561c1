#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# own.sh REPLAY SOFTGPU CMD ARG...: a trace of the command, made here, can be played; spoilt, it cannot.
set -u

replay=$1 softgpu=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAIL: $*"
    failures=1
}

# spoilt SED WORDS: the trace, edited so, is refused with these words.
spoilt() {
    sed -E "$1" "$work/trace" >"$work/spoilt"
    cmp -s "$work/trace" "$work/spoilt" && fail "the edit '$1' changes nothing"
    "$replay" "$softgpu" "$work/spoilt" >/dev/null 2>"$work/errors" && fail "the edit '$1' is not noticed"
    grep -q -- "$2" "$work/errors" || { fail "after '$1', nobody says '$2', but:"; cat "$work/errors"; }
}

"${WORMHOLE:?}" run --trace="$work/trace" -- "$@" >/dev/null || fail "the command fails"
gzip -n "$work/trace" -c >"$work/trace.gz"
"$(dirname "$0")/replay.sh" "$replay" "$softgpu" "$work/trace.gz" || fail "the trace cannot be played"

# Calls during which another thread's began are on two lines.
sed -E 's/^(1 cuMemAlloc_v2\(.*[0-9]\)) (= 0 .*)$/\1 ...\n1 ... cuMemAlloc_v2 \2/' "$work/trace" >"$work/open"
cmp -s "$work/trace" "$work/open" && fail "there is no call to leave open"
"$replay" "$softgpu" "$work/open" >/dev/null || fail "calls on two lines cannot be played"

spoilt '1s/trace 1/trace 2/' 'does not begin with'
spoilt 's/cuMemAlloc_v2\(&, [0-9]+\) = 0 .*/cuMemAlloc_v2(\&, 64) = 2/' 'its status is 0 instead of 2'
spoilt '/cuModuleLoadDataEx/d' 'no kernel\|nobody made'
spoilt '0,/cuMemAlloc_v2/{/cuMemAlloc_v2/d}' 'nobody made memory'
spoilt 's/cuMemAlloc_v2/cuMemTake/' "there is no function 'cuMemTake'"
spoilt '0,/cuLaunchKernel/s/(cuLaunchKernel.*), NULL\) = 0/\1/' 'the line has no end'
spoilt '0,/cuLaunchKernel/s/(cuLaunchKernel.*), NULL\) = 0/\1) = 0/' 'arguments are missing'
spoilt 's/(cuLaunchKernel\([^,]*), [0-9]+/\1, many/' 'there is no number'
spoilt 's/"_Z3add/"_Z3;add/' 'is no name'
exit $failures
