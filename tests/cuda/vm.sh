#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vm.sh EXPECTED LOADER PROGRAM...: each CUDA program must print in a virtual machine what the files in the folder
# EXPECTED hold. LOADER runs the PTX in the folder beside this script. A program's name begins with "cut_", and that of
# one with the shared runtime with "cut_shared_"; both expect the same.
set -u

here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=../vm/guest.sh
. "$here/../vm/guest.sh"
expected=$1 loader=$2
shift 2

guest_program "$loader" loader /ptx
for file in "$here"/ptx/*.ptx; do
    guest_files+=(--file "$file:/ptx/${file##*/}")
done
for program in "$@"; do
    guest_program "$program"
done
guest_script 120 # seconds for one program
guest_run --memory 2048 --region-size 1G --timeout 880

failed=0
for program in loader "$@"; do
    name=${program##*/}
    subject=${name#cut_}
    "$here/compare.sh" "$expected/${subject#shared_}.txt" "$work/guest/$name" || failed=$((failed + 1))
done
echo "$(($# + 1)) programs, $failed with differences"
[ $failed -eq 0 ]
