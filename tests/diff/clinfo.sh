#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The distribution's clinfo sees the same platform and device through Wormhole, but for the platform's name,
# which begins with "Wormhole: " there.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

clinfo=$(command -v clinfo) || {
    echo "clinfo is not installed"
    exit $skipped
}

native "$clinfo" "$@"
through "$clinfo" "$@"
if ! grep -q 'Platform Name.*Wormhole: ' "$work/through.out"; then
    echo "FAIL: no platform's name says that it is Wormhole's"
    exit 1
fi
sed -i -e '/Platform Name/s/Wormhole: //' -e '/CL_PLATFORM_NAME/s/Wormhole: //' "$work/through.out"
compare || exit 1
exit "$(<"$work/native.status")"
