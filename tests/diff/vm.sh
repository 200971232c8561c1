#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vm.sh PROGRAM...: each program must do in a virtual machine what it does natively on the host, byte for byte.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=../vm/guest.sh
. "$(dirname "$0")/../vm/guest.sh"

natively "$@"
guest_script 60 # seconds for one program
guest_run --memory 1536 --region-size 1G --timeout 580
compare_guest "$@"
echo "$# programs, $failed differences"
[ "$failed" -eq 0 ]
