#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# top.sh PROGRAM: `wormhole top` shows the sessions of a daemon while they are there. PROGRAM does what its stdin says
# (tests/fault/nvml_victim.c): `init` opens an NVML session, `take` a CUDA session with a MiB of device memory.
set -u
program=$(realpath "$1")
folder=$(mktemp -d)
failed=0
daemon='' client=''
trap 'kill $daemon $client 2>/dev/null; wait; rm -rf "$folder"' EXIT

fail() {
    echo "FAIL: $1"
    echo "$said"
    failed=1
}

top() {
    said=$("$WORMHOLE" top --admin "$folder/admin" 2>&1)
}

# shows PATTERN: a line of what was said matches.
shows() {
    grep -Eq "$1" <<<"$said" || fail "no line matches /$1/"
}

said=$("$WORMHOLE" top --admin "$folder/admin" 2>&1) && fail "there is no daemon, and top is content"
shows "no daemon can be asked at $folder/admin \(No such file or directory\)"

printf 'admin = "%s"\nstate_dir = "%s"\n' "$folder/admin" "$folder/state" >"$folder/config"
mkfifo "$folder/log"
WORMHOLE_CUDA_LIBRARY=softgpu "$WORMHOLED" --config "$folder/config" --listen "unix:$folder/socket" 2>"$folder/log" &
daemon=$!
exec 3<"$folder/log"
while read -r line <&3; do
    [[ $line == *"listening at"* ]] && break
done
top
shows '^wormholed [0-9.]+, up 0:00:[0-9]+: 0 sessions of 0 tenants, 0 calls/s, 0B of device memory$'
[ "$(stat -c %a "$folder/admin")" = 600 ] || fail "others may ask: mode $(stat -c %a "$folder/admin")"

# Out of descriptors, the daemon turns who asks away, and answers when it has some again.
usual=$(prlimit --pid $daemon --nofile --output SOFT --noheadings | tr -d ' ')
open=(/proc/$daemon/fd/*)
prlimit --pid $daemon --nofile=${#open[@]}:
said=$(timeout 20 "$WORMHOLE" top --admin "$folder/admin" 2>&1) && fail "an answer without a descriptor"
shows "the daemon at $folder/admin does not answer"
prlimit --pid $daemon --nofile="$usual:"
top
shows ' 0 sessions of 0 tenants'

coproc PROGRAM { exec "$WORMHOLE" run --server "unix:$folder/socket" -- "$program"; }
client=$PROGRAM_PID
for word in init take take; do
    echo $word >&"${PROGRAM[1]}"
    read -r _ <&"${PROGRAM[0]}"
done
top
tenant=user-$(id -u)
shows '2 sessions of 1 tenant, [0-9]+ calls/s, 2.0M of device memory$'
shows "^ +[12] $tenant +nvml +[0-9]+ +[0-9]+ +0:00:[0-9]+ +[0-9]+ +[0-9]+ +0B +12.0M$"
shows "^ +[12] $tenant +cuda +[0-9]+ +[0-9]+ +0:00:[0-9]+ +[0-9]+ +[1-9][0-9]* +2.0M +[0-9.]+[MG]$"
shown=$(awk '$3 == "cuda" { print $4 }' <<<"$said")
[ "$shown" = "$client" ] || fail "process $shown is not the client, which is $client"

# What a worker shares with a client lies where it does in the client: neither maps anything of its own there. (A
# thread sanitizer has those addresses for itself, and some containers do not let a process choose.)
if ! grep -q libtsan /proc/$daemon/maps && setarch --addr-compat-layout true 2>/dev/null; then
    for worker in $(pgrep -P $daemon); do
        said=$(awk '$1 >= "7e0000000000" && $6 !~ /^\[(stack|vdso|vvar.*|vsyscall)\]$/' "/proc/$worker/maps")
        [ -z "$said" ] || fail "a worker has mappings where clients have theirs"
    done
fi

eval "exec ${PROGRAM[1]}>&-"
wait "$client"
until=$((SECONDS + 20))
while top && ! grep -q ' 0 sessions' <<<"$said" && [ $SECONDS -lt $until ]; do
    :
done
shows ' 0 sessions of 0 tenants, .* 0B of device memory$'
kill $daemon
wait $daemon
[ ! -e "$folder/admin" ] || fail "the socket is left behind"
exit $failed
