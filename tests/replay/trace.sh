#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# trace.sh EXPECTED CMD ARG...: the command prints the same with `wormhole run --trace` as without, and its calls are
# those in the file EXPECTED. Numbers of functions and modules are left out: they are given again where an address is.
set -u

expected=$1 command=$(realpath "$2")
shift 2
set -- "$command" "$@"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAIL: $*"
    failures=1
}

"${WORMHOLE:?}" run -- "$@" >"$work/without" 2>/dev/null || fail "the command fails"
cd "$work" || exit 1 # FILE is named from here
echo "of another time" >trace
"$WORMHOLE" run --trace=trace -- "$@" >"$work/with" 2>"$work/errors" || fail "the command fails when it is traced"
cmp -s "$work/without" "$work/with" || fail "the command prints something else when it is traced"
sed -E 's/(CUfunction|CUmodule)#[0-9]+/\1#/g' "$work/trace" >"$work/calls"
diff -u "$expected" "$work/calls" || fail "the calls are not those expected"
[ "$(ls "$work"/trace*)" = "$work/trace" ] || fail "there is more than one file"
"$WORMHOLE" run --trace=/proc/none/trace -- true 2>"$work/errors" && fail "a trace that cannot be written is none"
grep -q 'cannot write /proc/none/trace' "$work/errors" || fail "nobody says that the trace cannot be written"
exit $failures
