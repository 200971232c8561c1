#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs a CD in bochs, which emulates VMX with EPT and VMFUNC, until it powers itself off or the time is up.
#
#   bochs.sh --iso FILE --log FILE --seconds N [--cpus N] [--memory MIB]
#
# The serial port's output goes to the log. Status: 0 if its last line is "END 0", 124 when the time was up, else 1.
set -euo pipefail

iso='' log='' seconds=300 cpus=1 memory=512
while [ $# -gt 0 ]; do
    case $1 in
    --iso) iso=$2 ;;
    --log) log=$2 ;;
    --seconds) seconds=$2 ;;
    --cpus) cpus=$2 ;;
    --memory) memory=$2 ;;
    *)
        echo "bochs.sh: unknown: $1" >&2
        exit 2
        ;;
    esac
    shift 2
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
: >"$log"
cat >"$scratch/bochsrc" <<END
display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
megs: $memory
cpu: model=corei7_haswell_4770, count=$cpus, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=local
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$(readlink -f "$iso"), status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$(readlink -f "$log")
log: $scratch/bochs.log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
pci: enabled=1, chipset=i440fx
sound: waveoutdrv=dummy
END
echo c >"$scratch/commands" # Debian's bochs has the debugger in it, which waits for this

# Debian's bochs draws its screen on a terminal that it makes, and waits for ever once that is full: somebody has to look.
watch_screen() {
    local line screen
    while read -r line; do
        echo "$line"
        case $line in
        'Bochs connected to screen "'*)
            screen=${line#*\"}
            screen=${screen%\"}
            stty raw -echo <"$screen"
            cat "$screen" >/dev/null 2>&1 &
            ;;
        esac
    done
}

# It ignores milder signals, ends with 1 after a power-off, and stays when the guest hangs.
status=0
TERM=linux timeout -s KILL "$seconds" bochs-bin -q -f "$scratch/bochsrc" -rc "$scratch/commands" 2>&1 </dev/null |
    watch_screen >"$scratch/out" || status=${PIPESTATUS[0]}
if tr -d '\r' <"$log" | grep -q '^END 0$'; then
    exit 0
fi
[ "$status" -ne 137 ] || exit 124
exit 1
