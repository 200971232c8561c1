#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Gives a build tree the shape of an installed one, as links: stage.sh BUILD. Run when the build tree is
# configured; `wormhole` in BUILD/src then finds the library that was built beside it.
set -eu

build=$1
vendors=$build/lib/wormhole-vendors
mkdir -p "$vendors"
ln -sfn ../src/libwormhole-opencl.so "$build/lib/libwormhole-opencl.so"
printf '%s\n' "$build/src/libwormhole-opencl.so" >"$vendors/wormhole.icd"
