#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# service.sh PROGRAM...: two virtual machines on one region. The first has no accelerator and runs the programs; the
# second has an OpenCL implementation and runs the workers; the host's daemon gives both their memory and runs none.
# Each program must do in the first VM what it does natively on the host, byte for byte. Then the service VM is killed
# under a program with blocked calls, which must be told. Needs WORMHOLE, WORMHOLED, WORMHOLE_WORKER and VICTIM.
set -u
skipped=77

work=$(mktemp -d)
touch "$work/daemon.log" "$work/service.log" "$work/client.log" # whoever awaits a line may be there before its writer
daemon='' service='' client=''
clean_up() {
    for pid in $client $service $daemon; do
        kill "$pid" 2>/dev/null
    done
    wait
    rm -rf "$work"
}
trap clean_up EXIT
# shellcheck source=guest.sh
. "$(dirname "$0")/guest.sh"

fail() {
    echo "FAIL: $*"
    for log in daemon service client; do
        [ ! -s "$work/$log.log" ] || sed "s/^/$log: /" "$work/$log.log"
    done
    exit 1
}

# await LOG TEXT PID: until the log that PID writes has a line with TEXT; not any longer than PID lives.
await() {
    tail -n +1 --pid "$3" -f "$work/$1.log" 2>/dev/null | grep -qm 1 -- "$2" || fail "$1 does not say '$2'"
}

# ---- what the service VM needs of the host's OpenCL ----

# Its implementation, which compiles kernels, and what the linker that it calls reads.
library=$(/sbin/ldconfig -p | sed -n 's/^[[:space:]]*libpocl\.so\.2 .*=> //p' | head -n 1)
if [ -z "$library" ] || [ ! -d /usr/share/pocl ] || ! command -v cc >/dev/null; then
    echo "PoCL or a compiler's files for the linker are not installed"
    exit $skipped
fi
mkdir "$work/vendors"
echo "$library" >"$work/vendors/pocl.icd"
service_files=(--tree "$work/vendors:/vendors" --tree /usr/share/pocl --tree "${library%/*}/pocl" --file "$library"
    --file "$(command -v ld)" --file "$WORMHOLED" --file "$WORMHOLE_WORKER")
for name in crti.o crtn.o crtbegin.o crtbeginS.o crtendS.o libgcc.a libgcc_s.so libgcc_s.so.1 libc.so libc.so.6 libc_nonshared.a \
    libm.so libm.so.6 libmvec.so.1; do
    path=$(cc -print-file-name="$name")
    [ "$path" = "$name" ] || service_files+=(--file "$path")
done

# ---- natively ----

natively "$@"
guest_files+=(--file "$VICTIM:/victim")
# Seconds for one program: its kernels are compiled under emulation. Then the one to which it happens.
guest_script 120 'exec /victim blocked >&2'

# ---- the three machines ----

"$WORMHOLED" --config /dev/null --vm "web=$work/web,64M,$work/service" 2>"$work/daemon.log" &
daemon=$!
await daemon 'serving the VM web' $daemon

"${WORMHOLE:?}" vm --socket "$work/service" --memory 2048 --cpus 2 --timeout 900 --env OCL_ICD_VENDORS=/vendors \
    --env WORMHOLE_SERVER= "${service_files[@]}" -- "$WORMHOLED" --region ivshmem: >"$work/service.log" 2>&1 </dev/null &
service=$!
await service 'serving the ivshmem region' $service

"$WORMHOLE" vm --socket "$work/web" --timeout 600 "${guest_files[@]}" -- "$work/all" \
    >"$work/results.tar" 2>"$work/client.log" </dev/null &
client=$!

# ---- the service VM dies ----

await client '^blocked$' $client
kill $service
wait $service
service=''
wait $client
status=$?
client=''
[ $status -eq 0 ] || fail "the client VM's exit status is $status"
grep -q 'the session is lost: the service VM is gone' "$work/client.log" ||
    fail "nobody told the program that the service VM is gone"
lost=$(grep -c ': -2 at ' "$work/client.log") # CL_DEVICE_NOT_AVAILABLE
[ "$lost" -eq 7 ] || fail "$lost of 7 calls of the program returned CL_DEVICE_NOT_AVAILABLE"

# ---- and all was well before ----

guest_results || fail "the client VM gave no results"
compare_guest "$@"
[ "$failed" -eq 0 ] || fail "$failed differences"
echo "$# programs, no differences; the service VM's death was told"
