# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by the scripts of this folder: runs a command natively and through `wormhole run`, keeps stdout,
# stderr and exit status of each, and compares them byte for byte. Needs WORMHOLE, the program; with
# WORMHOLE_SERVER set, that server is used instead of a private one.

set -u
skipped=77

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# native CMD...: into $work/native.{out,err,status}
native() {
    "$@" >"$work/native.out" 2>"$work/native.err" </dev/null
    echo $? >"$work/native.status"
}

# through CMD...: into $work/through.{out,err,status}; the line that announces a private server is taken out.
through() {
    "${WORMHOLE:?}" run -- "$@" >"$work/through.out" 2>"$work/raw.err" </dev/null
    echo $? >"$work/through.status"
    grep -vxF 'wormhole: no daemon found; started a private one for this command' "$work/raw.err" \
        >"$work/through.err"
}

# Fails with the differences, if there are any.
compare() {
    local part same=0
    for part in status out err; do
        if ! cmp -s "$work/native.$part" "$work/through.$part"; then
            same=1
            echo "FAIL: $part differs (- native, + through Wormhole):"
            diff -au "$work/native.$part" "$work/through.$part" | head -n 60
        fi
    done
    return $same
}
