#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vm.sh PROGRAM...: each program must do in a virtual machine what it does natively on the host, byte for byte. One
# guest runs them all, one after the other, and hands the results over as an archive on its stdout.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
seconds=60 # for one program

mkdir "$work/host" "$work/guest"
files=() failed=0

for program in "$@"; do
    name=${program##*/}
    "$program" >"$work/host/$name.out" 2>"$work/host/$name.err" </dev/null
    echo $? >"$work/host/$name.status"
    files+=(--file "$(realpath "$program"):/tests/$name")
done

# The guest's shell is busybox's.
cat >"$work/all" <<END
#!/bin/sh
mkdir /tmp/results
for program in /tests/*; do
    name=\${program##*/}
    timeout $seconds \$program >/tmp/results/\$name.out 2>/tmp/results/\$name.err
    echo \$? >/tmp/results/\$name.status
done
exec tar -c -C /tmp/results .
END
chmod +x "$work/all"

"${WORMHOLE:?}" vm --memory 1536 --region-size 1G --timeout 580 "${files[@]}" -- "$work/all" \
    >"$work/results.tar" 2>"$work/vm.err" </dev/null
status=$?
cat "$work/vm.err"
if [ $status -ne 0 ] || ! tar -x -C "$work/guest" -f "$work/results.tar"; then
    echo "FAIL: the guest's exit status is $status"
    exit 1
fi

for program in "$@"; do
    name=${program##*/}
    for part in status out err; do
        if ! cmp -s "$work/host/$name.$part" "$work/guest/$name.$part"; then
            failed=$((failed + 1))
            echo "FAIL: $name: $part differs (- on the host, + in the guest):"
            diff -au "$work/host/$name.$part" "$work/guest/$name.$part" | head -n 40
        fi
    done
done
echo "$# programs, $failed differences"
[ $failed -eq 0 ]
