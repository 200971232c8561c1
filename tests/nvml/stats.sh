#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# stats.sh CMD...: what `wormhole run --stats` prints when a program ends: a line for each call that it made, and a sum;
# nothing of that without the option. CMD asks for the UUIDs of two devices once, for their numbers eight times (five of
# those because it looks for a device), and calls nvmlDeviceGetMemoryInfo_v2 once.
set -u

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
failures=0

# Line of the call $1: local, posted, waited for.
expect() {
    local got
    got=$(awk -v call="$1" '$3 == call { print $4, $5, $6 }' "$errors")
    if [ "$got" != "$2" ]; then
        echo "FAIL: $1: '$got' instead of '$2'"
        failures=1
    fi
}

"${WORMHOLE:?}" run --stats -- "$@" >/dev/null 2>"$errors" || failures=1
expect nvmlDeviceGetIndex "6 0 2"
expect nvmlDeviceGetUUID "0 0 2"
expect nvmlDeviceGetMemoryInfo_v2 "0 0 1"
awk '$3 == "nvmlDeviceGetMemoryInfo_v2" && $7 >= 100 && $8 > 0 { found = 1 } END { exit !found }' "$errors" || {
    echo "FAIL: no bytes or no time for nvmlDeviceGetMemoryInfo_v2"
    failures=1
}
grep -q 'nvml: 0 calls posted, [0-9]* waited for ([0-9.]* ms), 6 answered locally; bytes:' "$errors" || {
    echo "FAIL: there is no sum"
    failures=1
}
[ $failures -eq 0 ] || cat "$errors"

"$WORMHOLE" run -- "$@" >/dev/null 2>"$errors"
if grep -q 'waited for' "$errors"; then
    echo "FAIL: there are figures without --stats"
    failures=1
fi
exit $failures
