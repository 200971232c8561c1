#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# install-deps.sh [build | demo | test | exitless]: makes sure that the Debian 12 packages which that needs are there. Installs
# what is missing where it may (root, or sudo without a password); else names the packages and fails.
set -euo pipefail

build=(gcc libc6-dev make meson ninja-build pkg-config libcmocka-dev libconfuse-dev libseccomp-dev
    liblz4-dev libzstd-dev ocl-icd-opencl-dev opencl-headers)
demo=("${build[@]}" ocl-icd-libopencl1 pocl-opencl-icd clinfo qemu-system-x86 busybox-static cpio)
test=("${demo[@]}" clang clang-format libclang-rt-dev oclgrind procps)
exitless=(gcc libc6-dev make binutils linux-headers-cloud-amd64 busybox-static isolinux syslinux-common xorriso cpio bochs bochsbios
    bochs-term vgabios sparse qemu-system-x86 xz-utils dkms)

case ${1:-build} in
build) wanted=("${build[@]}") ;;
demo) wanted=("${demo[@]}") ;;
test) wanted=("${test[@]}") ;;
exitless) wanted=("${exitless[@]}") ;;
*)
    echo "usage: install-deps.sh [build | demo | test | exitless]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "install-deps.sh: this is not Debian; what is needed is called there: ${wanted[*]}" >&2
    exit 0 # the build says what it misses
fi

missing=()
for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "missing packages: ${missing[*]}" >&2
        echo "install them as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo -n)
fi

echo "installing: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600)
"${apt[@]}" update || echo "install-deps.sh: the package lists could not be updated; trying with those there are" >&2
if ! "${apt[@]}" install --yes --no-install-recommends "${missing[@]}" </dev/null >/dev/null; then
    echo "missing packages, which could not be installed: ${missing[*]}" >&2
    exit 1
fi
