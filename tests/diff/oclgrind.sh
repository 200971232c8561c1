#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# oclgrind.sh CMD ARG...: as program.sh, with the Oclgrind simulator as the accelerator's library: another
# OpenCL implementation than the usual one, and one that checks every argument it gets.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

library=
for folder in /usr/lib/oclgrind /usr/lib/*/oclgrind /usr/local/lib; do
    [ -e "$folder/liboclgrind-rt-icd.so" ] && library=$folder/liboclgrind-rt-icd.so
done
[ "$library" ] || {
    echo "oclgrind is not installed"
    exit $skipped
}
mkdir "$work/vendors"
echo "$library" >"$work/vendors/oclgrind.icd"
export OCL_ICD_VENDORS=$work/vendors
unset OCL_ICD_FILENAMES WORMHOLE_SERVER # the private server inherits this choice

native "$@"
through "$@"
compare || exit 1
exit "$(<"$work/native.status")"
