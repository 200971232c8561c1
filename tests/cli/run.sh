#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# How `wormhole run` passes on its command's exit status, and to its command what it inherited: through a private
# daemon, and where a server is named.
set -u
failed=0

fail() {
    echo "FAIL: $1"
    failed=1
}

# ends STATUS CMD...: CMD ends with that status.
ends() {
    local wanted=$1 status
    shift
    "$@" 2>/dev/null
    status=$?
    [ $status -eq "$wanted" ] || fail "$*: status $status instead of $wanted"
}

# A command that tells whether it started with the ends of its children ignored: a bit of a word in its status.
ignores=(grep -q '^SigIgn:[[:space:]]*[0-9a-f]\{11\}[13579bdf]' /proc/self/status)

for server in --unset=WORMHOLE_SERVER WORMHOLE_SERVER=unix:/nonexistent/wormhole.sock; do
    for children in --default-signal=CHLD --ignore-signal=CHLD; do
        ends 0 env "$children" "$server" "$WORMHOLE" run -- true
        ends 3 env "$children" "$server" "$WORMHOLE" run -- bash -c 'exit 3'
        # shellcheck disable=SC2016 # for that bash
        ends 143 env "$children" "$server" "$WORMHOLE" run -- bash -c 'kill -TERM $BASHPID'
        ends 127 env "$children" "$server" "$WORMHOLE" run -- /nonexistent/command
    done
    ends 1 env --default-signal=CHLD "$server" "$WORMHOLE" run -- "${ignores[@]}"
    ends 0 env --ignore-signal=CHLD "$server" "$WORMHOLE" run -- "${ignores[@]}"
done
exit $failed
