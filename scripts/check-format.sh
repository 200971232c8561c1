#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check-format.sh [--fix]: every C file of the repository is as clang-format writes it. Files that a tool made (the
# generator's golden files, kernels) are not C sources of ours and are left out.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
"") mode=(--dry-run --Werror) ;;
--fix) mode=(-i) ;;
*)
    echo "usage: check-format.sh [--fix]" >&2
    exit 2
    ;;
esac
command -v clang-format >/dev/null || {
    echo "check-format.sh: clang-format is missing: apt-get install clang-format" >&2
    exit 1
}

# Outside of git (a release's tarball), whatever is there and was not built.
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    list=(git ls-files -z --cached --others --exclude-standard -- '*.c' '*.h')
else
    list=(find . -path ./build -prune -o -name '*.[ch]' -printf '%P\0')
fi
"${list[@]}" | grep -zv '^tests/apigen/golden/' | xargs -0r clang-format "${mode[@]}" --style=file
