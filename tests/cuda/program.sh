#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# program.sh EXPECTED CMD ARG...: what the command prints through Wormhole is what the file EXPECTED holds, on stderr
# what EXPECTED with .err for .txt holds, where there is such a file, and its status is 0.
# shellcheck source=../diff/common.sh
. "$(dirname "$0")/../diff/common.sh"

expected=$1
shift
through "$@"
"$(dirname "$0")/compare.sh" "$expected" "$work/through" && exit 0
# What the program says when it stops is the best hint.
cat "$work/raw.err"
exit 1
