#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# preload.sh: `wormhole run` puts Wormhole's libcupti.so.13 before all other libraries, keeps what the user has there,
# and does so once.
set -u
unset LD_PRELOAD ASAN_OPTIONS
failed=0

fail() {
    echo "FAIL: $*"
    failed=1
}

# In the command, run with these variables set.
inside() {
    env "$@" "$WORMHOLE" run -- sh -c 'echo "$LD_PRELOAD|$ASAN_OPTIONS"' 2>/dev/null
}

own=$(inside A=1)
library=${own%%|*}
[ -f "$library" ] && [[ $library == */libcupti.so.13 ]] || fail "not preloaded: '$own'"
[ "$(inside LD_PRELOAD=libm.so.6)" = "$library:libm.so.6|verify_asan_link_order=0" ] || fail "the user's own is gone"
[ "$(inside LD_PRELOAD="libm.so.6:$library")" = "libm.so.6:$library|" ] || fail "preloaded twice"
[ "$(inside ASAN_OPTIONS=log_path=/x)" = "$library|verify_asan_link_order=0:log_path=/x" ] ||
    fail "the user's sanitizer options are gone"
"$WORMHOLE" run -- grep -q libcupti.so.13 /proc/self/maps 2>/dev/null || fail "not loaded"
exit $failed
