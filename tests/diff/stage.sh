#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Gives a build tree the shape of an installed one, as links: stage.sh SOURCE BUILD. Run when the build tree is
# configured; `wormhole` in BUILD/src then finds what was built beside it.
set -eu

source=$1 build=$2
vendors=$build/lib/wormhole-vendors
mkdir -p "$vendors" "$build/share/wormhole"
ln -sfn ../src/libwormhole-opencl.so "$build/lib/libwormhole-opencl.so"
printf '%s\n' "$build/src/libwormhole-opencl.so" >"$vendors/wormhole.icd"
ln -sfn "$source/vm" "$build/share/wormhole/vm"
mkdir -p "$build/lib/cuda" "$build/lib/cuda-trace" "$build/lib/wormhole"
ln -sfn ../../src/libcuda.so.1 "$build/lib/cuda/libcuda.so.1"
ln -sfn ../../src/trace/libcuda.so.1 "$build/lib/cuda-trace/libcuda.so.1"
ln -sfn ../../src/libnvidia-ml.so.1 "$build/lib/cuda/libnvidia-ml.so.1"
ln -sfn ../../src/shim/cupti/libcupti.so.13 "$build/lib/cuda/libcupti.so.13"
ln -sfn ../../src/backend/softgpu/libwormhole-softgpu.so "$build/lib/wormhole/libwormhole-softgpu.so"
