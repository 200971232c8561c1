#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make bench: measures the same OpenCL programs natively and through Wormhole, in turns, and prints both with their
# ratio and the project's own limits. A missed limit is marked, not an error. WORMHOLE_SERVER chooses a server as
# usual; without one and without a daemon, each run has a private one. Must never compare numbers of different runs.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<END
usage: scripts/bench.sh [--quick]
Measures natively and through Wormhole, in turns, and prints medians, ratios and limits.

  --quick   fewer and shorter runs: a minute instead of some minutes
  --help    print this help
END
}

runs=5 epochs=8 quick=()
case "${1-}" in
"") ;;
--quick) runs=3 epochs=4 quick=(--quick) ;;
--help)
    usage
    exit 0
    ;;
*)
    usage >&2
    exit 2
    ;;
esac

# What is measured: name | in words | unit | limit. A limit is on the ratio to native (ratio) or on Wormhole's own
# value (value); rows without one are for information.
rows='
lenet.epoch               | LeNet, one epoch                    | ms    | ratio <= 1.10
query.buffer.median       | uncached query, round trip          | us    | value <= 2
query.buffer.p99          | the same, 99th percentile           | us    |
query.buffer.switches     | the same, switches per call         | count |
query.event.median        | query of an event                   | us    |
query.event.p99           | the same, 99th percentile           | us    |
post.argument.median      | clSetKernelArg, burst, median       | us    | value <= 0.3
post.argument.mean        | the same, mean                      | us    | value <= 0.3
post.argument.p99         | the same, 99th percentile           | us    |
post.argument.sustained   | the same, without a pause           | us    |
post.launch.median        | clEnqueueNDRangeKernel, burst       | us    | value <= 0.3
post.launch.mean          | the same, mean                      | us    | value <= 0.3
post.launch.p99           | the same, 99th percentile           | us    |
post.launch.sustained     | the same, carried out, no pause     | us    |
write.64MiB.blocking      | write 64 MiB, blocking              | GB/s  | ratio >= 0.8
read.64MiB.blocking       | read 64 MiB, blocking               | GB/s  | ratio >= 0.8
write.64MiB.queued        | write 64 MiB, queued and finished   | GB/s  |
read.64MiB.queued         | read 64 MiB, queued and finished    | GB/s  |
write.1MiB.blocking       | write 1 MiB, blocking               | GB/s  |
read.1MiB.blocking        | read 1 MiB, blocking                | GB/s  |
write.1MiB.queued         | write 1 MiB, queued and finished    | GB/s  |
read.1MiB.queued          | read 1 MiB, queued and finished     | GB/s  |
write.4KiB.blocking       | write 4 KiB, blocking               | GB/s  |
read.4KiB.blocking        | read 4 KiB, blocking                | GB/s  |
write.4KiB.queued         | write 4 KiB, queued and finished    | GB/s  |
read.4KiB.queued          | read 4 KiB, queued and finished     | GB/s  |
map.64MiB.median          | map and unmap 64 MiB of host memory | us    |
map.64MiB.p99             | the same, 99th percentile           | us    |
map.copied                | the same, copied through the arena  | bytes | value <= 0
map.shared                | the same, shared without a copy     | bytes |
memory.session            | resident memory of an open session  | MiB   | value <= 16
idle.ticks                | CPU time of an idle session         | ticks | value <= 0
idle.seconds              | the same: in how many seconds       | s     |
idle.processes            | the same: of how many processes     | count |
clock.median              | cost of a timed call, included      | us    |
'

make build >/dev/null
bench=build/obj/bench/opencl-bench
lenet=build/bin/lenet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/results"

# Runs a command on one side; its output is in $work/out, its errors in $work/errors.
on() {
    local side=$1
    shift
    if [ "$side" = wormhole ]; then
        set -- env WORMHOLE_STATS=1 build/bin/wormhole run -- "$@"
    fi
    "$@" >"$work/out" 2>"$work/errors"
}

failed() {
    echo "bench: $* failed:" >&2
    cat "$work/out" "$work/errors" >&2
    exit 1
}

# One run of a group of measurements: lines "side name value".
measure() {
    local side=$1 group=$2
    on "$side" "$bench" "${quick[@]}" "$group" || failed "opencl-bench $group ($side)"
    awk -v side="$side" '{ print side, $1, $2 }' "$work/out" >>"$work/results"
    if [ "$side $group" = "wormhole map" ]; then
        awk '/copied through the arena/ {
            for (i = 2; i <= NF; i++) {
                if ($i == "copied") print "wormhole map.copied", $(i - 1)
                if ($i == "shared") print "wormhole map.shared", $(i - 1)
            }
        }' "$work/errors" >>"$work/results"
    fi
}

# So few epochs may not reach the accuracy that lenet asks for: its exit status does not matter, its time does.
measure_lenet() {
    local side=$1
    on "$side" "$lenet" --time --epochs "$epochs" || true
    awk -v side="$side" '/^median:/ { print side, "lenet.epoch", $2; found = 1 } END { exit !found }' \
        "$work/out" >>"$work/results" || failed "lenet ($side)"
}

load() { cut -d ' ' -f 1-3 /proc/loadavg; }

on native "$bench" platform || failed "opencl-bench platform (native)"
platform=$(cat "$work/out")
on wormhole "$bench" platform || failed "opencl-bench platform (Wormhole)"
cores=$(nproc)
echo "machine:  $(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo), $cores cores, Linux $(uname -r)"
echo "native:   $platform"
echo "Wormhole: $(cat "$work/out"), server ${WORMHOLE_SERVER:-found or private}"
echo "load:     $(load) before (1, 5, 15 minutes)"

for ((run = 1; run <= runs; run++)); do
    for group in query post transfer map memory clock; do
        measure native "$group"
        measure wormhole "$group"
    done
    measure_lenet native
    measure_lenet wormhole
    echo "run $run of $runs: load $(load)" >&2
done
measure native idle
measure wormhole idle
echo "load:     $(load) after; a load near $cores or above it means that the numbers are those of a busy machine"
[ "$cores" -ge 2 ] || echo "note:     one core: the two sides of a round trip take turns on it, its limit is for two"

awk -v runs="$runs" '
function trim(text) { gsub(/^ +| +$/, "", text); return text }
# Sorts list[1..n] and returns the middle.
function middle(list, n,    i, k, held) {
    for (i = 2; i <= n; i++) {
        held = list[i]
        for (k = i - 1; k > 0 && list[k] > held; k--) list[k + 1] = list[k]
        list[k + 1] = held
    }
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}
function number(x) { return x >= 1e5 ? sprintf("%.3g", x) : sprintf("%.4g", x) }
# The median, least and most of one side, as text; the median in `median[side]`.
function summary(side, name,    n, i, list) {
    n = count[side, name]
    if (!n) { median[side] = ""; return "-" }
    for (i = 1; i <= n; i++) list[i] = value[side, name, i] + 0
    median[side] = middle(list, n)
    return number(median[side]) (n > 1 ? sprintf(" (%s..%s)", number(list[1]), number(list[n])) : "")
}
# The median of the ratios of runs that followed each other.
function ratio_of(name,    n, i, list) {
    n = count["native", name]
    if (!n || n != count["wormhole", name]) return ""
    for (i = 1; i <= n; i++) {
        if (value["native", name, i] + 0 == 0) return ""
        list[i] = value["wormhole", name, i] / value["native", name, i]
    }
    return middle(list, n)
}
function verdict(limit, ratio, own,    part, x) {
    if (limit == "") return ""
    split(limit, part, " ")
    x = part[1] == "ratio" ? ratio : own
    if (x == "") return "not measured"
    return (part[2] == "<=" ? x <= part[3] + 0 : x >= part[3] + 0) ? "met" : "MISSED"
}
BEGIN {
    printf "\nMedians of %d runs each, in turns (least..most); ratio: Wormhole / native, median of the pairs.\n\n", runs
    format = "%-36s %-6s %-26s %-26s %7s  %-14s %s\n"
    printf format, "", "unit", "native", "Wormhole", "ratio", "limit", ""
}
FNR == NR { value[$1, $2, ++count[$1, $2]] = $3; next }
{
    split($0, column, "|")
    name = trim(column[1])
    if (name == "") next
    limit = trim(column[4])
    native = summary("native", name)
    wormhole = summary("wormhole", name)
    ratio = trim(column[3]) ~ /^(ms|us|GB\/s|MiB)$/ ? ratio_of(name) : ""
    printf format, trim(column[2]), trim(column[3]), native, wormhole, ratio == "" ? "-" : sprintf("%.3f", ratio), limit,
        verdict(limit, ratio, median["wormhole"])
    if (name == "query.buffer.switches") shared = median["wormhole"] >= 0.5
}
END {
    if (shared)
        print "\nThe two sides of a query took turns on one core; the limit on its round trip is for a core each."
}' "$work/results" <(echo "$rows")
