#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Tests of the generator: run.sh APIGEN [TEST...] runs all tests or the named ones with the generator APIGEN.
# run.sh APIGEN --update writes the golden files and the expected errors anew; look at what changed before
# keeping it. $CC is the C compiler, cc when unset.

set -u
shopt -s nullglob

usage() {
    echo "usage: run.sh APIGEN [--update | golden | bad | usage | compile | names | agree | hash | check]..." >&2
    exit 2
}

if [ $# -lt 1 ] || [ ! -x "$1" ]; then
    usage
fi
apigen=$(realpath "$1")
shift
cd "$(dirname "$0")" || exit 1
src=$(realpath ../../src)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
read -ra cc <<<"${CC:-cc}" # may be two words: ccache cc
flags=(-std=gnu17 -Wall -Wextra -Wconversion -Wpedantic -Werror -fvisibility=hidden "-I$src" "-I$work/out" -Istandin)
failures=0

fail() {
    echo "FAIL: $*" >&2
    failures=$((failures + 1))
}

# The generated files of the description $1 (sample.api), fresh, in $work/out.
generate() {
    rm -rf "$work/out"
    mkdir "$work/out"
    "$apigen" --out-dir "$work/out" "${1:-sample.api}"
}

test_golden() {
    generate || fail "sample.api is refused"
    diff -ru -x .clang-format golden "$work/out" >&2 || fail "the generated files differ from golden/"
}

# Runs the bad description $1: its errors go to $work/errors; it must end with 1 and write nothing.
run_bad() {
    rm -rf "$work/out"
    mkdir "$work/out"
    "$apigen" --out-dir "$work/out" "$1" 2>"$work/errors" >"$work/stdout"
    local status=$?
    [ $status -eq 1 ] || fail "$1: exit status $status instead of 1"
    [ ! -s "$work/stdout" ] || fail "$1: something on standard output"
    [ -z "$(ls -A "$work/out")" ] || fail "$1: files were written"
}

test_bad() {
    local inputs=(bad/*.api) input
    [ ${#inputs[@]} -ge 30 ] || fail "only ${#inputs[@]} descriptions in bad/"
    for input in "${inputs[@]}"; do
        run_bad "$input"
        diff -u "${input%.api}.err" "$work/errors" >&2 || fail "$input: another error than expected"
    done
}

test_usage() {
    "$apigen" >/dev/null 2>&1
    [ $? -eq 2 ] || fail "no argument: exit status is not 2"
    "$apigen" --nonsense sample.api >/dev/null 2>&1
    [ $? -eq 2 ] || fail "unknown option: exit status is not 2"
    "$apigen" --help >/dev/null || fail "--help fails"
    "$apigen" "$work/missing.api" 2>"$work/errors"
    [ $? -eq 1 ] || fail "missing input: exit status is not 1"
    grep -q "cannot read '.*missing.api'" "$work/errors" || fail "missing input: no reason given"
    "$apigen" --out-dir "$work/missing" sample.api 2>"$work/errors"
    [ $? -eq 1 ] || fail "missing folder: exit status is not 1"
    grep -q "cannot write '.*missing/" "$work/errors" || fail "missing folder: no reason given"
}

compile() {
    "${cc[@]}" "${flags[@]}" "$@" >&2
}

test_compile() {
    local file
    generate || fail "sample.api is refused"
    for file in api stubs thunks words trace; do
        compile -c -o /dev/null "$work/out/sample_$file.c" || fail "sample_$file.c does not compile"
    done
    for file in types api messages thunks; do
        printf '#include "sample_%s.h"\n#include "sample_%s.h"\n' $file $file >"$work/alone.c"
        compile -c -o /dev/null "$work/alone.c" || fail "sample_$file.h does not compile alone, twice"
    done
    cat >"$work/own.c" <<'END'
#define WH_SAMPLE_OWN
#include "sample_types.h"
#include "sample_params.h"
#include "sample_params.h"

int own(void)
{
    return smInit();
}
END
    compile -fvisibility=default -c -o "$work/own.o" "$work/own.c" || fail "sample_own.h does not compile"
    nm -u "$work/own.o" | grep -qx ' *U wh_sample_own_smInit' || fail "sample_own.h gives no other names"
}

# Two APIs live in one program: apart from what programs call, every name begins with the API's own.
test_names() {
    local file
    generate || fail "sample.api is refused"
    sed -n 's/^    {"\([^"]*\)", WH_SAMPLE.*/\1/p' "$work/out/sample_stubs.c" | sort >"$work/exported"
    [ -s "$work/exported" ] || fail "there are no exported functions"
    for file in api stubs thunks words trace; do
        compile -c -o "$work/$file.o" "$work/out/sample_$file.c" || fail "sample_$file.c does not compile"
        nm -g --defined-only "$work/$file.o" | awk '{ print $3 }' | grep -v '^wh_sample_' | sort |
            comm -23 - "$work/exported" >"$work/names"
        [ ! -s "$work/names" ] || fail "sample_$file.c defines $(tr '\n' ' ' <"$work/names")"
    done
}

test_agree() {
    generate || fail "sample.api is refused"
    compile -o "$work/agree" agree.c "$work"/out/sample_{api,stubs,thunks}.c || fail "agree.c does not compile"
    "$work/agree" || fail "stubs and thunks do not agree"
}

# Sets $hash to the hash of the description on standard input.
hash_of() {
    cat >"$work/edited.api"
    generate "$work/edited.api" || fail "the edited description is refused"
    hash=$(sed -n 's/.*\.hash = UINT64_C(\(0x[0-9a-f]*\)).*/\1/p' "$work/out/sample_api.c")
}

# The same after the sed expression $1, which must change the text.
hash_after() {
    sed "$1" sample.api >"$work/text"
    ! cmp -s "$work/text" sample.api || fail "the edit '$1' changes nothing"
    hash_of <"$work/text"
}

# What does not matter on the wire.
same_edits=(
    's/ /  /g; s/$/ # a note/'
    's/#.*//'
    's/"3.14159265f"/"3.2f"/'
    's/SM_BIG = 4294967296/SM_BIG = 4294967297/'
    's/^since 1.0/since 1.1/'
    's/ forgets since 1.2;/ forgets since 1.1;/'
    's/ refused SM_INVALID_VALUE;/ unsupported;/'
    '/    variant /d; s/0x0 smNotifyPerThread }/}/'
    's/ extension "SAMPLE_TUNE"/ extension "SAMPLE_TUNING"/'
    's/0x0 smNotify/0 smNotify/'
    's/^type sm_info = unsigned int;/type sm_info = unsigned;/'
)

# What does: each gives a hash of its own.
other_edits=(
    's/unsupported -59/unsupported -60/'
    's/SM_INVALID_EVENT = -58/SM_INVALID_EVENT = -59/'
    's/SM_COUNT = 0x0101/SM_COUNT = 0x0201/'
    's/^type sm_i16 = int16/type sm_i16 = uint16/'
    's/^type sm_ulong = uint64/type sm_ulong = uint32/'
    's/    SM_TYPE fixed/    SM_TYPE/'
    's/    SM_HOST_PTR local;/    SM_HOST_PTR;/'
    's/SM_DEVICES handle sm_device/SM_DEVICES handle sm_event/'
    's/sm_event waits\[2\]/sm_event waits[3]/'
    's/struct sm_format { sm_u8 order; sm_uint type }/struct sm_format { sm_u8 type; sm_uint order }/'
    's/smTicks/smClock/'
    's/sm_uint code) post/sm_uint code)/'
    's/smInit(void) blocks/smInit(void) blocks syncs/'
    's/in\[3\]/in[4]/'
    's/width \* height \* 4/width * width * 4/'
    's/in\[num_events\] invalid(SM_INVALID_WAIT_LIST)/in[num_events]/'
    's/size_t offset, size_t size, arena/size_t size, size_t offset, arena/'
    's/ unsupported extension;/ unsupported;/'
    's/sm_buffer \*parts : new/sm_buffer *parts : out/'
    's/ post release;/ post;/'
    '/smTicks/d'
    's/options : string/options : in[7]/'
    's/ special;/;/'
    's/ : memory\[4\]/ : memory[8]/'
    's/ : memory\[4\]/ : memory/'
    's/ : memory\[4\]//'
    's/ remembered;/;/'
    's/ settles;/;/'
    's/ : versioned(SM_INVALID_VALUE)/ : out/'
    's/ : versioned(SM_INVALID_VALUE)/ : versioned(-1)/'
    's/sm_uint version; sm_ulong bytes/sm_uint version; sm_counter bytes/'
    's/ forgets / /'
    's/^union sm_value/struct sm_value/'
    's/struct { sm_ulong start/union { sm_ulong start/'
    's/sm_u8 red; sm_u8 green/sm_u8 green; sm_u8 red/'
)

test_hash() {
    local edit base hashes=()
    hash_of <sample.api
    base=$hash
    [ -n "$base" ] || fail "there is no hash"
    for edit in "${same_edits[@]}"; do
        hash_after "$edit"
        [ "$hash" = "$base" ] || fail "the edit '$edit' changes the hash"
    done
    hash_of < <(sed 's/#.*//' sample.api | tr '\n' ' ')
    [ "$hash" = "$base" ] || fail "line ends change the hash"
    hashes=("$base")
    for edit in "${other_edits[@]}"; do
        hash_after "$edit"
        [ "$hash" != "$base" ] || fail "the edit '$edit' does not change the hash"
        hashes+=("$hash")
    done
    [ "$(printf '%s\n' "${hashes[@]}" | sort -u | wc -l)" -eq ${#hashes[@]} ] || fail "two edits have one hash"
}

test_check() {
    local wrong wrongs
    mapfile -t wrongs < <(sed -n 's/^#ifdef WRONG_//p' standin/vendor/sample.h)
    [ ${#wrongs[@]} -ge 10 ] || fail "only ${#wrongs[@]} wrong headers"
    generate || fail "sample.api is refused"
    compile -c -o /dev/null "$work/out/sample_check.c" || fail "the right header is refused"
    for wrong in "${wrongs[@]}"; do
        if "${cc[@]}" "${flags[@]}" "-DWRONG_$wrong" -c -o /dev/null "$work/out/sample_check.c" 2>"$work/errors"; then
            fail "a header that is wrong in $wrong is accepted"
        fi
        grep -q "$wrong.* differs" "$work/errors" || fail "a header that is wrong in $wrong: $(cat "$work/errors")"
    done
}

update() {
    local input
    generate || exit 1
    rm -f golden/sample_*
    cp "$work"/out/* golden
    for input in bad/*.api; do
        run_bad "$input"
        cp "$work/errors" "${input%.api}.err"
    done
}

[ $# -gt 0 ] || set -- golden bad usage compile names agree hash check
for name; do
    case $name in
    --update) update ;;
    golden | bad | usage | compile | names | agree | hash | check) "test_$name" ;;
    *) usage ;;
    esac
done
[ $failures -eq 0 ]
