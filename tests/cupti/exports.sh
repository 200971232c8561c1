#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# exports.sh LIBRARY FUNCTIONS [THEIRS]: the library exports the functions of that list, each once and with the version
# that programs want, and nothing else; so does NVIDIA's, where that is given. It needs nothing of a driver, and has
# nothing to do when it is loaded.
set -u
library=$1 functions=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
    echo "FAIL: $*"
    failed=1
}

exports() {
    nm -D --defined-only "$1" | awk '$2 == "T" { print $3 }' | grep -E '^(cupti|InitializeInjection)' | sort
}

sed -nE 's/^(HERE|ELSEWHERE|NO_INJECTION)\((.*)\)$/\2@@libcupti.so.13/p' "$functions" | sort >"$work/wanted"
[ "$(wc -l <"$work/wanted")" -gt 150 ] || fail "the list of functions is short"
exports "$library" >"$work/ours"
diff "$work/wanted" "$work/ours" || fail "not the functions of the list"
if [ $# -gt 2 ]; then
    exports "$3" >"$work/theirs"
    diff "$work/theirs" "$work/ours" || fail "not the functions of NVIDIA's library"
fi
others=$(nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | grep -vE '^(cupti|InitializeInjection)')
[ -z "$others" ] || fail "exports $others"
[ "$(readelf -d "$library" | sed -nE 's/.*SONAME.*\[(.*)\]/\1/p')" = libcupti.so.13 ] || fail "has another name"
readelf -d "$library" | grep -E 'NEEDED.*(cuda|nvidia)' && fail "needs a driver"
exit $failed
