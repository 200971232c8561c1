# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by the tests that run programs in a virtual machine: one guest runs them all, one after the other, and hands
# the results over as an archive on its stdout. Needs $work, a folder of the test's own; there the results are
# guest/NAME.{status,out,err}, and those of the host host/NAME.{status,out,err}.

mkdir "$work/host" "$work/guest"
guest_files=() # what the guest has, as options of `wormhole vm`

# guest_program FILE [NAME [ARGUMENT]]: the guest runs this program of the host's.
guest_program() {
    local name=${2:-${1##*/}}
    guest_files+=(--file "$(realpath "$1"):/tests/$name")
    [ $# -lt 3 ] && return
    echo "$3" >"$work/argument.$name"
    guest_files+=(--file "$work/argument.$name:/arguments/$name")
}

# natively PROGRAM...: what each does on the host; the guest runs them, too.
natively() {
    local program name
    for program in "$@"; do
        name=${program##*/}
        "$program" >"$work/host/$name.out" 2>"$work/host/$name.err" </dev/null
        echo $? >"$work/host/$name.status"
        guest_program "$program"
    done
}

# guest_script SECONDS [LAST]: writes $work/all, which gives each program SECONDS, and becomes LAST in the end. The
# guest's shell is busybox's.
guest_script() {
    cat >"$work/all" <<END
#!/bin/sh
mkdir /tmp/results
for program in /tests/*; do
    name=\${program##*/}
    argument=
    [ ! -f /arguments/\$name ] || argument=\$(cat /arguments/\$name)
    timeout $1 \$program \$argument >/tmp/results/\$name.out 2>/tmp/results/\$name.err
    echo \$? >/tmp/results/\$name.status
done
tar -c -C /tmp/results .
${2:-}
END
    chmod +x "$work/all"
}

# guest_results: takes the archive in $work/results.tar apart.
guest_results() {
    tar -x -C "$work/guest" -f "$work/results.tar"
}

# guest_run OPTION...: runs the guest with its programs, and has the results; ends the test if it cannot.
guest_run() {
    local status
    "${WORMHOLE:?}" vm "$@" "${guest_files[@]}" -- "$work/all" >"$work/results.tar" 2>"$work/vm.err" </dev/null
    status=$?
    cat "$work/vm.err"
    if [ $status -ne 0 ] || ! guest_results; then
        echo "FAIL: the guest's exit status is $status"
        exit 1
    fi
}

# compare_guest PROGRAM...: each did in the guest what it did on the host, byte for byte. $failed counts the differences.
compare_guest() {
    local program name part
    failed=0
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
}
