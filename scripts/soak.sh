#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make soak: two guests and a program on the host use one daemon at the same time, for SOAK_SECONDS (600): each runs
# OpenCL test programs in a loop and compares what they print with what they print natively. At the end, and every
# minute, the daemon must hold no more memory and descriptors than after the first minute, and no worker may be left.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${SOAK_SECONDS:-600}
look_every=60
[ "$seconds" -ge 180 ] || look_every=$((seconds / 3))
make build >/dev/null
wormhole=$PWD/build/bin/wormhole
programs=(algo_matmul algo_reduce buffer_rw buffer_rect context event_graph event_user image_kernel kernel_args lifetime
    map_buffer printf_order program_build queue stress_launch svm_basic threads_order threads_wait)
paths=()
for name in "${programs[@]}"; do
    paths+=("$PWD/build/obj/tests/opencl/clt_$name")
done

work=$(mktemp -d)
children=()
clean_up() {
    for pid in "${children[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    wait
    rm -rf "$work"
}
trap clean_up EXIT
mkdir "$work/native"

fail() {
    echo "FAILED: $*"
    exit 1
}

# ---- what is right ----

for path in "${paths[@]}"; do
    name=${path##*/}
    status=0
    "$path" >"$work/native/$name" 2>&1 </dev/null || status=$?
    echo "status $status" >>"$work/native/$name"
done

# ---- the daemon ----

cat >"$work/config" <<END
state_dir = "$work/state"
vm "first" {
    socket = "$work/first"
    region = "1G"
}
vm "second" {
    socket = "$work/second"
    region = "1G"
}
END
mkfifo "$work/log"
build/bin/wormholed --config "$work/config" --listen "unix:$work/socket" 2>"$work/log" &
daemon=$!
children+=("$daemon")
exec 3<"$work/log"
while read -r line <&3; do
    case $line in *"serving the VM second"*) break ;; esac
done
cat <&3 >"$work/daemon.log" &

# ---- who uses it ----

# The same script on the host and in the guests; it ends after the time, or with 1 at the first difference.
cat >"$work/loop" <<'END'
#!/bin/sh
# loop SECONDS NATIVE PROGRAM...
seconds=$1 native=$2
shift 2
out=$(mktemp)
end=$(($(cut -d. -f1 /proc/uptime) + seconds))
rounds=0
while [ "$(cut -d. -f1 /proc/uptime)" -lt $end ]; do
    for program in "$@"; do
        name=${program##*/}
        status=0
        timeout 120 "$program" >"$out" 2>&1 </dev/null || status=$?
        echo "status $status" >>"$out"
        if ! cmp -s "$out" "$native/$name"; then
            echo "$name differs:"
            diff "$native/$name" "$out" | head -n 20
            exit 1
        fi
    done
    rounds=$((rounds + 1))
done
echo "$rounds rounds"
END
chmod +x "$work/loop"

guest() { # NAME
    local files=()
    for path in "${paths[@]}"; do
        files+=(--file "$path:/tests/${path##*/}")
    done
    # The comparison is with what is right on the host: the files go along.
    "$wormhole" vm --memory 1536 --socket "$work/$1" --timeout $((seconds + 300)) --tree "$work/native:/native" \
        "${files[@]}" -- "$work/loop" "$seconds" /native "${paths[@]/#*\//\/tests\/}" >"$work/$1.out" 2>&1
}

guest first &
first=$!
guest second &
second=$!
"$wormhole" run "--server=unix:$work/socket" -- "$work/loop" "$seconds" "$work/native" "${paths[@]}" >"$work/host.out" 2>&1 &
host=$!
children+=("$first" "$second" "$host")

# ---- what it costs ----

fds() { find "/proc/$daemon/fd" -mindepth 1 | wc -l; }
memory() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status"; }

sleep "$look_every" # warm: both guests are up
warm_memory=$(memory)
for ((spent = 2 * look_every; spent <= seconds; spent += look_every)); do
    sleep "$look_every"
    now=$(memory)
    echo "after $spent s: daemon $now KiB, $(fds) descriptors"
    [ "$now" -le $((warm_memory + 2048)) ] || fail "the daemon grew from $warm_memory to $now KiB"
    [ "$(fds)" -le 400 ] || fail "the daemon holds $(fds) descriptors"
done

for name in host first second; do
    status=0
    wait "${!name}" || status=$?
    echo "$name: $(tail -n 1 "$work/$name.out")"
    [ $status -eq 0 ] || {
        cat "$work/$name.out"
        fail "$name ended with status $status"
    }
done
if grep -vE 'is refused: this is Wormhole|calls travel by ivshmem, not exitless' "$work/daemon.log"; then
    fail "the daemon complained"
fi
[ -z "$(ps -o pid= --ppid $daemon)" ] || fail "workers are left: $(ps -o pid=,args= --ppid $daemon)"
echo "soak passed"
