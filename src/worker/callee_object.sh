#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# callee_object.sh ARCHIVE OBJECT: the callee as one object whose names are its own, but for its entry: what it has for itself of
# the worker's and the system's functions must not take their places in a program.
set -eu
ld -r --gc-sections -u wh_callee_handle -o "$2.all" --whole-archive "$1"
objcopy --keep-global-symbol=wh_callee_handle "$2.all" "$2"
rm "$2.all"
