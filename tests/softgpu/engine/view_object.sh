#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# view_object.sh OBJECT ARCHIVE...: the engine as it is in a view, as one object beside which a program has the engine itself:
# only what begins, runs and undoes a launch can be named, and the run has another name.
set -eu
object=$1
shift
ld -r --gc-sections -u wh_soft_run -u wh_view_enter -u wh_view_begin -u wh_view_end -u wh_view_undo -o "$object.all" --whole-archive "$@"
objcopy --redefine-sym wh_soft_run=wh_view_soft_run "$object.all"
objcopy --keep-global-symbol=wh_view_soft_run --keep-global-symbol=wh_view_enter --keep-global-symbol=wh_view_begin \
    --keep-global-symbol=wh_view_end --keep-global-symbol=wh_view_undo "$object.all" "$object"
rm "$object.all"
