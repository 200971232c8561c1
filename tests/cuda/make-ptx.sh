#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# make-ptx.sh [NVCC]: makes the PTX that is committed, from the programs here and from the CUDA LeNet, for machines
# without nvcc. To be run by hand when one of the sources changes.

set -eu

nvcc=${1:-nvcc}
here=$(cd "$(dirname "$0")" && pwd)
names="vector_add matmul_tiled reduction scan histogram_atomics transpose constant_memory dynamic_shared
    warp_shuffle_vote recursion printf_device divergence"

# make SOURCE TARGET: the compiler's own heading gives way to ours; blanks at the ends of lines go.
make() {
    "$nvcc" -O2 -std=c++17 -arch=compute_75 -ptx -o "$2.tmp" "$1"
    {
        printf '// SPDX-License-Identifier: Apache-2.0\n'
        printf '// Made by make-ptx.sh from %s.\n' "$(basename "$1")"
        sed -e '/^\/\/ /d' -e '/^\/\/$/d' -e 's/[ \t]*$//' "$2.tmp"
    } >"$2"
    rm -f "$2.tmp"
}

mkdir -p "$here/ptx"
for name in $names; do
    make "$here/$name.cu" "$here/ptx/$name.ptx"
done
make "$here/../../examples/cuda-lenet/kernels.cu" "$here/../../examples/cuda-lenet/kernels.ptx"
