#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes a CD from which an emulated host boots: Debian's kernel, its KVM modules, and files of the caller's in an
# initramfs whose init runs /run. Or only a folder with those files, for here.sh. Changes nothing but OUT or ROOT.
#
#   mkhost.sh --kernel DIR {--out OUT.iso | --root ROOT} [--append WORDS] [--file HOSTPATH[:PATH]]...
#
# DIR is an unpacked kernel package. The initramfs is not compressed: under emulation unpacking costs more than reading.
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")

fail() {
    echo "mkhost.sh: $*" >&2
    exit 1
}

kernel='' out='' kept='' append='' files=()
while [ $# -gt 0 ]; do
    case $1 in
    --kernel) kernel=$2 ;;
    --out) out=$2 ;;
    --root) kept=$2 ;;
    --append) append=$2 ;; # to the kernel's command line
    --file) files+=("$2") ;;
    *) fail "unknown: $1" ;;
    esac
    shift 2
done
if [ -z "$kernel" ] || [ -z "$out$kept" ]; then
    fail "--kernel and --out or --root are needed"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root iso=$scratch/iso
mkdir -p "$root/bin" "$root/modules" "$iso/isolinux"

# Debugging and type information is most of a module, and every byte is read under emulation.
number=100
for module in virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-intel; do
    path=$(find "$kernel/lib/modules" -path "*/kernel/$module.ko" -o -path "*/kernel/$module.ko.xz")
    [ -f "$path" ] || fail "no $module.ko in $kernel"
    if [[ $path == *.xz ]]; then
        xz -dc "$path" >"$scratch/module.ko"
        path=$scratch/module.ko
    fi
    objcopy -g -R .BTF -R .BTF_ids "$path" "$root/modules/$number-${module##*/}.ko"
    number=$((number + 1))
done
cp /bin/busybox "$root/bin/"
install -m 755 "$here/init" "$root/init"
for pair in "${files[@]}"; do
    source=${pair%%:*} target=${pair#*:}
    [ "$target" != "$pair" ] || target=$source
    mkdir -p "$root${target%/*}"
    cp -aL "$source" "$root$target"
done
if [ -n "$kept" ]; then
    rm -rf "$kept"
    mv "$root" "$kept"
    exit
fi
(cd "$root" && find . -mindepth 1 -print0 | cpio --null --create --format=newc --owner=0:0 --quiet) >"$iso/initrd"
cp "$kernel"/boot/vmlinuz-* "$iso/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$iso/isolinux/"
# What is left out costs seconds each under emulation and is nothing that KVM needs.
cat >"$iso/isolinux/isolinux.cfg" <<END
DEFAULT host
PROMPT 0
TIMEOUT 1
LABEL host
  KERNEL /vmlinuz
  INITRD /initrd
  APPEND console=ttyS0,115200 nokaslr mitigations=off quiet panic=-1 cryptomgr.notests initcall_blacklist=load_system_certificate_list,trace_eval_init $append
END
xorriso -as mkisofs -quiet -o "$out" -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 \
    -boot-info-table "$iso" 2>/dev/null
