#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vm.sh EXPECTED PROGRAM: the program prints in a virtual machine what the file EXPECTED holds.
set -u

here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=../vm/guest.sh
. "$here/../vm/guest.sh"
expected=$1 program=$2

guest_program "$program"
guest_script 120
guest_run --region-size 256M --timeout 280
"$here/../cuda/compare.sh" "$expected" "$work/guest/${program##*/}"
