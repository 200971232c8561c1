#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# program.sh CMD ARG...: the command must do the same natively and through Wormhole. Exits with 77 when it
# does so by saying that it cannot run here.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

native "$@"
through "$@"
compare || exit 1
status=$(<"$work/native.status")
[ "$status" -eq $skipped ] && cat "$work/native.out"
# A program that finds a fault in the native library as well says nothing about Wormhole, but is no success.
[ "$status" -eq 0 ] || echo "natively, too, the exit status is $status"
exit "$status"
