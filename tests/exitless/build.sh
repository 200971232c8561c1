#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUT GENERATED LIBRARIES: builds the test programs of the exitless path into OUT, static, for they run where
# nothing else is. GENERATED is where the build has cuda_types.h, LIBRARIES where it has libcuda.so.1 and its static ones.
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
src=$here/../../src
generated=$(realpath "$2") libraries=$(realpath "$3")
mkdir -p "$1"
cd "$1"

warnings=(-Wall -Wextra -Wconversion -Wno-sign-conversion -Werror -I"$src")
bare=(-O2 -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fPIE -mno-avx)
for name in callee guest; do
    gcc -std=gnu17 "${warnings[@]}" "${bare[@]}" -c "$here/$name.c" -o $name.o
    ld -T "$here/$name.ld" $name.o -o $name.elf
    objcopy -O binary $name.elf $name.bin
done
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here"/{mini{,_attacks,_beside,_calls,_entry,_kernel,_lives,_nested,_session},machine,tap}.c "$here"/{blobs,handlers}.S "$src/channel/gate_page.S" -o mini
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here"/{linux_host.c,qemu.c,tap.c,blobs.S} -o linux_host
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here/linux_guest.c" "$src/channel/gate_page.S" -o linux_guest
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here"/{cuda_host,daemon,qemu,tap}.c -o cuda_host
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here"/{channel_host,daemon,vm,qemu,tap}.c -o channel_host
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here"/{service_host,guests,qemu,tap}.c "$src"/daemon/{agent,kvm,log_limit}.c "$libraries"/libbase.a -o service_host
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here"/{service_cuda_host,guests,qemu,tap}.c -o service_cuda_host
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here"/{service_agent.c,blobs.S} "$libraries"/lib{channel,base}.a -o service_agent
gcc -std=gnu17 -O2 -static -D_GNU_SOURCE "${warnings[@]}" -I. "$here/service_client.c" "$src/channel/gate_page.S" -o service_client
# Dynamic, as CUDA programs are: they take whatever libcuda.so.1 the machine has.
for name in cuda_calls cuda_order cuda_sessions; do
    gcc -std=gnu17 -O2 -D_GNU_SOURCE "${warnings[@]}" -I"$generated" "$here/$name.c" -L"$libraries" -l:libcuda.so.1 \
        -Wl,--allow-shlib-undefined -o $name
done
