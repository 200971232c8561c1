#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUT: builds the test programs of the exitless path into OUT, static, for they run where nothing else is.
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
src=$here/../../src
mkdir -p "$1"
cd "$1"

warnings=(-Wall -Wextra -Wconversion -Wno-sign-conversion -Werror -I"$src")
bare=(-O2 -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fPIE -mno-avx)
for name in callee guest; do
    gcc -std=gnu17 "${warnings[@]}" "${bare[@]}" -c "$here/$name.c" -o $name.o
    ld -T "$here/$name.ld" $name.o -o $name.elf
    objcopy -O binary $name.elf $name.bin
done
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here"/{mini.c,machine.c,blobs.S,handlers.S} "$src/channel/gate_page.S" -o mini
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here"/{linux_host.c,blobs.S} -o linux_host
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here/linux_guest.c" "$src/channel/gate_page.S" -o linux_guest
