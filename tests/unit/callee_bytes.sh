#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# callee_bytes.sh IMAGE: fails if the callee's image holds the bytes of a VMFUNC, at whatever place.
set -eu
[ -s "$1" ]
if LC_ALL=C grep -qaP '\x0f\x01\xd4' "$1"; then
    echo "the callee holds the bytes of a VMFUNC"
    exit 1
fi
