#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds a kernel for the emulated host that watches its locks, RCU, lists, objects and memory, from Debian's linux-source-6.1 and
# debug-kernel.config, and says its release on the last line. exitless-test.sh then takes it by that name:
#
#   debug-kernel.sh [OUT]        # OUT is build/exitless
#   KERNEL=RELEASE scripts/exitless-test.sh --short --cpus 1 mini
#
# It is enough for `mini`: there is no network and no disk. Needs flex, bison, bc and libelf-dev, 3 GB, and a quarter of an hour of two cores.
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
out=${1:-$here/../../build/exitless}
jobs=$(nproc)

mkdir -p "$out/debug-kernel"
out=$(readlink -f "$out")
cd "$out/debug-kernel"
if [ ! -f source/Makefile ]; then
    apt-get -q download linux-source-6.1
    dpkg -x linux-source-6.1_*.deb .
    mkdir -p source
    tar -C source --strip-components=1 -xf usr/src/linux-source-6.1.tar.xz
    rm -rf usr linux-source-6.1_*.deb
fi
cd source
make -s tinyconfig
scripts/kconfig/merge_config.sh -m .config "$here/debug-kernel.config"
make -s olddefconfig
make -j"$jobs" bzImage modules

# As exitless-test.sh has a kernel that it fetched.
release=$(make -s kernelrelease)
rm -rf "$out/kernel-$release" "$out/headers-$release"
mkdir -p "$out/kernel-$release/boot" "$out/headers-$release/usr/src"
make -s modules_install INSTALL_MOD_PATH="$out/kernel-$release"
cp arch/x86/boot/bzImage "$out/kernel-$release/boot/vmlinuz-$release"
ln -s "$PWD" "$out/headers-$release/usr/src/linux-headers-$release"
echo "$release"
