#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# params.sh OURS INCLUDE: the functions' parameters as callbacks give them (OURS is cuda_params.h) are laid out as
# NVIDIA's generated_cuda_meta.h in the folder INCLUDE has them: as many, in the same places, of the same sizes. $CC is
# the C compiler, cc when unset.
set -u
ours=$(realpath "$1") include=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
read -ra cc <<<"${CC:-cc}" # may be two words: ccache cc

# `FUNCTION MEMBER...` of each structure in the file $1 whose first line matches $2, which captures the function.
structures() {
    sed -nE "/$2/,/^}/{/^}/d; s/$2.*/\n\1/; s/.*[ *]([A-Za-z_0-9]+)(\[[0-9]+\])?;.*/\1/; p}" "$1" |
        awk 'BEGIN { RS = "" } { $1 = $1; print }' | sort
}

structures "$ours" '^struct wh_cuda_params_([A-Za-z_0-9]+) \{' >"$work/ours"
structures "$include/generated_cuda_meta.h" '^typedef struct ([A-Za-z_0-9]+)_params_st \{' >"$work/theirs"
cut -d' ' -f1 "$work/ours" >"$work/our_names"
cut -d' ' -f1 "$work/theirs" >"$work/their_names"
comm -12 "$work/our_names" "$work/their_names" >"$work/both"
n=$(wc -l <"$work/both")
echo "$n functions of $(wc -l <"$work/our_names")"
[ "$n" -gt 350 ] || exit 1

{
    printf '#include <stddef.h>\n#include <cuda.h>\n#include <generated_cuda_meta.h>\n#include "%s"\n' "$ours"
    echo '#define SAME(a, b, what) _Static_assert((a) == (b), what)'
    join "$work/both" "$work/ours" >"$work/a"
    join "$work/both" "$work/theirs" >"$work/b"
    paste -d'\n' "$work/a" "$work/b" | awk '
        NR % 2 { split($0, a, " "); n = NF; next }
        n != NF { print "SAME(" n - 1 ", " NF - 1 ", \"" $1 ": parameters\");"; next }
        {
            o = "struct wh_cuda_params_" $1; t = $1 "_params"
            print "SAME(sizeof(" o "), sizeof(" t "), \"" $1 "\");"
            for (i = 2; i <= NF; i++) {
                print "SAME(offsetof(" o ", " a[i] "), offsetof(" t ", " $i "), \"" $1 ": " $i "\");"
                print "SAME(sizeof(((" o " *)0)->" a[i] "), sizeof(((" t " *)0)->" $i "), \"" $1 ": " $i "\");"
            }
        }'
} >"$work/same.c"
"${cc[@]}" -std=gnu17 -D__CUDA_API_VERSION_INTERNAL -isystem "$include" -fsyntax-only "$work/same.c"
