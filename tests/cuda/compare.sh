#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# compare.sh EXPECTED RESULT: compares RESULT.out and RESULT.err with the files of what is expected and RESULT.status
# with 0; prints the differences. Used by program.sh and vm.sh.
set -u

expected=$1 result=$2 same=0

# Wanted, got, which.
part() {
    cmp -s "$1" "$2" && return
    same=1
    echo "FAIL: ${expected##*/}: $3 differs (- expected, + as it is):"
    diff -au "$1" "$2" | head -n 40
}

part "$expected" "$result.out" stdout
errors=${expected%.txt}.err
[ -e "$errors" ] || errors=/dev/null
part "$errors" "$result.err" stderr
if [ "$(cat "$result.status")" != 0 ]; then
    same=1
    echo "FAIL: ${expected##*/}: the exit status is $(cat "$result.status")"
fi
exit $same
