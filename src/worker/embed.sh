#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# embed.sh NAME FILE: prints a C header with the file's bytes as an array; stops at a VMFUNC, which no view's code may hold.
set -eu
bytes=$(od -An -v -tx1 "$2")
if echo "$bytes" | tr -d '\n' | grep -q ' 0f 01 d4'; then
    echo "embed.sh: $2 holds the bytes of a VMFUNC" >&2
    exit 1
fi
echo "/* SPDX-License-Identifier: Apache-2.0 */"
echo "#include <stdint.h>"
echo "static const uint8_t $1[] = {"
echo "$bytes" | sed 's/ \(..\)/0x\1,/g'
echo "};"
