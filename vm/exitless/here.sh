#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs what mkhost.sh made of an emulated host's files on this machine itself, whose CPU has VMX with EPT and VMFUNC: in mounts
# of its own and with DIR as its root, but on this machine's kernel, which gets the module for as long as it takes. Needs root.
#
#   here.sh --root DIR --log FILE --seconds N
#
# Status as of bochs.sh: 0 if all was well, 124 when the time was up, else 1.
set -eu

while [ $# -gt 0 ]; do
    case $1 in
    --root) root=$(readlink -f "$2") ;;
    --log) log=$2 ;;
    --seconds) seconds=$2 ;;
    *)
        echo "here.sh: unknown: $1" >&2
        exit 2
        ;;
    esac
    shift 2
done

# In mounts of its own: those end with it.
if [ "${HERE_MOUNTS:-}" != own ]; then
    export HERE_MOUNTS=own
    exec unshare --mount --propagation private "$0" --root "$root" --log "$log" --seconds "$seconds"
fi

# end_all: nothing that was started in there is left, whatever it did.
end_all() {
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/root" 2>/dev/null)" != "$root" ] || kill -9 "${process#/proc/}" 2>/dev/null || true
    done
}

mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount -t debugfs debug "$root/sys/kernel/debug"
mount -t devtmpfs dev "$root/dev"
mkdir -p "$root/dev/shm"
mount -t tmpfs shm "$root/dev/shm"

trap end_all EXIT
status=0
timeout -s KILL "$seconds" chroot "$root" /bin/busybox sh -c 'export PATH=/bin; busybox --install -s /bin; sh /run' \
    >"$log" 2>&1 </dev/null || status=$?
[ ! -e /sys/module/wormhole ] || {
    end_all
    rmmod wormhole || true
} >>"$log" 2>&1
echo "END $status" >>"$log"
[ "$status" -ne 137 ] || exit 124
[ "$status" -eq 0 ] || exit 1
