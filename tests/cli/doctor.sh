#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# doctor.sh DRIVER DEVICES: what `wormhole doctor` says of CUDA is what a program then gets. DRIVER is a library with
# devices only, DEVICES prints a program's devices.
set -u
driver=$(realpath "$1") devices=$(realpath "$2")
failed=0

fail() {
    echo "FAIL: $1"
    echo "$said"
    failed=1
}

# says WHAT PATTERN [VARIABLE=VALUE]...: doctor's line about WHAT matches, and its exit status is in $status.
says() {
    local what=$1 pattern=$2
    shift 2
    said=$(env "$@" "$WORMHOLE" doctor)
    status=$?
    grep -E "^(ok|warn|no) +$what +" <<<"$said" | grep -Eq "$pattern" || fail "$* $what: not /$pattern/"
}

# gets NAMES [VARIABLE=VALUE]...: a program's devices, in one line.
gets() {
    local names=$1
    shift
    said=$(env "$@" "$WORMHOLE" run -- "$devices" 2>/dev/null | paste -sd,)
    [ "$said" = "$names" ] || fail "$*: a program gets other devices than $names"
}

software='Wormhole software CUDA device'
none=/nonexistent/libcuda.so.1
fake=WORMHOLE_CUDA_LIBRARY=$driver

says 'wormhole cuda' '^ok .*/libcuda\.so\.1, '

says cuda "^ok .*/libwormhole-softgpu\.so, CUDA 13\.0, 1 device to serve: $software\$" WORMHOLE_CUDA_LIBRARY=softgpu
[ $status -eq 0 ] || fail "the software device can be served, but the exit status is $status"
gets "$software" WORMHOLE_CUDA_LIBRARY=softgpu

says cuda '^ok .*, CUDA 12\.4, 3 devices to serve: Large Device \(2\), Small Device$' "$fake" DRIVER=devices
gets 'Large Device,Large Device,Small Device' "$fake" DRIVER=devices

says cuda '^no .* finds no device \(error 100\)' "$fake" DRIVER=none
says cuda '^no .* it crashes \(signal 6\)' "$fake" DRIVER=crash
says cuda '^no .* does not work: .*No such file' WORMHOLE_CUDA_LIBRARY=$none

# Without a word about a library: a GPU's driver or the software device, and a program gets the same.
said=$("$WORMHOLE" doctor | grep -E '^(ok|warn) +cuda ')
first=$(env -u WORMHOLE_CUDA_LIBRARY "$WORMHOLE" run -- "$devices" 2>/dev/null | head -n 1)
if [ -z "$first" ] || ! grep -qF "$first" <<<"$said"; then
    fail "a program gets '$first'"
fi

# Nothing to serve, and no server: it does not work.
if [ ! -S /run/wormhole/wormhole.sock ] && ! "$WORMHOLE" doctor | grep -Eq '^(ok|no) +ivshmem '; then
    says 'wormhole run' '^no ' WORMHOLE_CUDA_LIBRARY=$none WORMHOLE_OPENCL_LIBRARY=$none
    [ $status -eq 1 ] || fail "nothing can be served, but the exit status is $status"
    says 'wormhole run' '^warn .* CUDA only' WORMHOLE_CUDA_LIBRARY=softgpu WORMHOLE_OPENCL_LIBRARY=$none
fi
exit $failed
