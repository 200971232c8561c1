#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# callee_object.sh OBJECT ARCHIVE...: the callee as one object whose names are its own, but for its entry: what it has for itself
# of the worker's and the system's functions must not take their places in a program.
set -eu
object=$1
shift
ld -r --gc-sections -u wh_callee_handle -o "$object.all" --whole-archive "$@"
objcopy --keep-global-symbol=wh_callee_handle "$object.all" "$object"
rm "$object.all"
