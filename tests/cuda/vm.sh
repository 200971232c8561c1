#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vm.sh EXPECTED LOADER PROGRAM...: each CUDA program must print in a virtual machine what the files in the folder
# EXPECTED hold. One guest runs them all, one after the other, and hands the results over as an archive on its stdout.
# LOADER runs the PTX in the folder beside this script. A program's name begins with "cut_", and that of one with
# the shared runtime with "cut_shared_"; both expect the same.
set -u
seconds=120 # for one program

here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
expected=$1 loader=$2
shift 2
mkdir "$work/guest"
files=(--file "$(realpath "$loader"):/tests/loader")
for file in "$here"/ptx/*.ptx; do
    files+=(--file "$file:/ptx/${file##*/}")
done
for program in "$@"; do
    files+=(--file "$(realpath "$program"):/tests/${program##*/}")
done

# The guest's shell is busybox's.
cat >"$work/all" <<END
#!/bin/sh
mkdir /tmp/results
for program in /tests/*; do
    name=\${program##*/}
    argument=
    [ \$name = loader ] && argument=/ptx
    timeout $seconds \$program \$argument >/tmp/results/\$name.out 2>/tmp/results/\$name.err
    echo \$? >/tmp/results/\$name.status
done
exec tar -c -C /tmp/results .
END
chmod +x "$work/all"

"${WORMHOLE:?}" vm --memory 2048 --region-size 1G --timeout 880 "${files[@]}" -- "$work/all" \
    >"$work/results.tar" 2>"$work/vm.err" </dev/null
status=$?
cat "$work/vm.err"
if [ $status -ne 0 ] || ! tar -x -C "$work/guest" -f "$work/results.tar"; then
    echo "FAIL: the guest's exit status is $status"
    exit 1
fi

failed=0
for program in loader "$@"; do
    name=${program##*/}
    subject=${name#cut_}
    "$here/compare.sh" "$expected/${subject#shared_}.txt" "$work/guest/$name" || failed=$((failed + 1))
done
echo "$(($# + 1)) programs, $failed with differences"
[ $failed -eq 0 ]
