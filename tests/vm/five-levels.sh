#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# five-levels.sh PROGRAM: a guest whose kernel has five-level page tables, in which the tests of the client's gate run: it
# must refuse the gate there, which would be an undefined instruction. Needs WORMHOLE.
set -u
skipped=77

qemu=$(command -v qemu-system-x86_64) || exit $skipped
"$qemu" -accel tcg -cpu help | grep -qw la57 || exit $skipped
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The emulated CPU with all that it has.
printf '#!/bin/sh\nexec %s "$@" -cpu max\n' "$qemu" >"$work/qemu-system-x86_64"
printf '#!/bin/sh\ngrep -qw la57 /proc/cpuinfo || exit %s\n/tests/gate\n' $skipped >"$work/all"
chmod +x "$work/qemu-system-x86_64" "$work/all"

PATH=$work:$PATH "${WORMHOLE:?}" vm --file "$(realpath "$1"):/tests/gate" -- "$work/all" >"$work/out" 2>&1
status=$?
cat "$work/out"
[ $status -ne $skipped ] || exit $skipped
[ $status -eq 0 ] && grep -q 'OK \] five_levels' "$work/out"
