#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# lenet.sh LENET: training gives the same numbers natively and through Wormhole; only the platform's name
# differs. Three passes over the digits are too few for the accuracy that the program wants for status 0, so that
# its status is compared but not judged.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

native "$1" --epochs 3
through "$1" --epochs 3
grep -q 'Wormhole: ' "$work/through.out" || {
    echo "FAIL: the platform is not Wormhole's"
    exit 1
}
sed -i 's/Wormhole: //' "$work/through.out"
grep -q 'epoch' "$work/native.out" || {
    echo "FAIL: it did not train:"
    cat "$work/native.out" "$work/native.err"
    exit 1
}
compare
