#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# lenet.sh CUDA-LENET: quick training reaches the accuracy that it demands of itself, and its first epoch is the same
# to the last digit when it is run again.
# shellcheck source=../diff/common.sh
. "$(dirname "$0")/../diff/common.sh"

through "$1" --quick
cat "$work/through.out" "$work/raw.err"
if [ "$(<"$work/through.status")" -ne 0 ]; then
    echo "FAIL: the exit status is $(<"$work/through.status")"
    exit 1
fi
first=$(grep '^epoch  1:' "$work/through.out")

through "$1" --quick --epochs 1 # far from accurate: its status is 1
again=$(grep '^epoch  1:' "$work/through.out")
if [ -z "$first" ] || [ "$first" != "$again" ]; then
    echo "FAIL: the first epoch again: $again"
    exit 1
fi
