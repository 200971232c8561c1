#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make exitless-test: the exitless path in an emulated machine with VMX. Installs what is missing, builds the module for
# Debian's kernel, checks it with sparse, makes the emulated hosts' CDs and runs the tests in bochs, one for each core at a time.
#
#   exitless-test.sh [--short] [--cpus N] [--here] [TEST]...
#
# Tests: mini (the module, with a small guest), linux (a stock guest), service (its worker in another), cuda (CUDA programs in
# a stock guest), service_cuda (the same, with daemon and worker in another), and with two or three such guests of two vCPUs
# each: order (calls at once, in order), sessions (many that come and go), killed (whatever can end or stop does, in calls).
# --here: on this machine itself, by root, if its CPU has VMFUNC; the kernel gets the module while the tests run.
# KERNEL=6.12 in the environment: with the newest Debian kernel of that line instead of the installed headers'; or KERNEL=RELEASE,
# also of one that vm/exitless/debug-kernel.sh has built.
# --short: some six minutes on two free cores. CALLS, STEPS, VMS, VCPUS, CYCLES, SESSIONS, SECONDS_LIMIT and JOBS in the
# environment override what it and the long form have. Logs are left in build/exitless. The last line is 'N passed, M failed',
# with ', K skipped' when some were.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

cycles=1000 sessions=1000 calls=1000000 served='' steps=55000 vcpus=2 vms=2 seconds=3600 cpus='' killed=killed here='' wanted=() parts=()
while [ $# -gt 0 ]; do
    case $1 in
    --here) here=yes ;;
    --short) cycles=20 sessions=6 calls=100000 served=20000 steps=300 vcpus=1 vms=1 seconds=900 killed=killed-some ;;
    --cpus)
        cpus=$2
        shift
        ;;
    mini | linux | service | service_cuda | cuda) wanted+=("$1") ;;
    order | sessions | killed) parts+=("$1") ;;
    *)
        echo "usage: exitless-test.sh [--short] [--cpus N] [--here] [mini] [linux] [service] [service_cuda] [cuda] [order] [sessions] [killed]" >&2
        exit 2
        ;;
    esac
    shift
done
cycles=${CYCLES:-$cycles} sessions=${SESSIONS:-$sessions} calls=${CALLS:-$calls} steps=${STEPS:-$steps}
vms=${VMS:-$vms} vcpus=${VCPUS:-$vcpus} seconds=${SECONDS_LIMIT:-$seconds}
[ ${#wanted[@]} -gt 0 ] || [ ${#parts[@]} -gt 0 ] || wanted=(service_cuda cuda mini service linux) parts=(order sessions killed) # the longest first
[ ${#parts[@]} -eq 0 ] || wanted=(channel "${wanted[@]}") # one machine for all of them, which takes longest

out=build/exitless
ours=(build/bin/wormholed build/bin/wormhole-worker build/lib/wormhole/libwormhole-softgpu.so)
mkdir -p $out
passed=0 failed=0 skipped=0
: "${KERNEL=}"

stop() {
    echo "exitless-test.sh: $*" >&2
    echo "$passed passed, $((failed + 1)) failed"
    exit 1
}

# step NAME COMMAND...: says nothing when it works.
step() {
    local name=$1
    shift
    if ! "$@" >"$out/$name.log" 2>&1 </dev/null; then
        tail -n 40 "$out/$name.log"
        stop "$name failed"
    fi
}

# fetch FOLDER PACKAGE...: unpacks them there, and installs nothing.
fetch() {
    local into=$1 package
    shift
    rm -rf $out/download "$into" "$into.part"
    mkdir $out/download
    (cd $out/download && apt-get -q download "$@") ||
        (apt-get -q update && cd $out/download && apt-get -q download "$@") || return
    for package in $out/download/*.deb; do
        dpkg -x "$package" "$into.part" || return
    done
    mv "$into.part" "$into"
    rm -rf $out/download
}

fetch_kernel() {
    [ -f "$out/kernel-$release/boot/vmlinuz-$release" ] || fetch "$out/kernel-$release" "linux-image-$release"
}

# headers_of RELEASE: where they are, or will be once they are fetched.
headers_of() {
    local installed=/lib/modules/$1/build
    [ -e "$installed" ] || installed=$PWD/$out/headers-$1/usr/src/linux-headers-$1
    echo "$installed"
}

# Headers that are not installed: from 6.12 on they would bring a whole kernel, with all that starts one.
fetch_headers() {
    local headers version=${1%-cloud-amd64}
    headers=$(headers_of "$1")
    [ ! -f "$headers/Makefile" ] || return 0
    fetch "$out/headers-$1" "linux-headers-$1" "linux-headers-$version-common" "linux-kbuild-$version" || return
    sed -i "s,^include /usr/,include $PWD/$out/headers-$1/usr/," "$headers/Makefile"
}

# newest KERNEL: the release with that name, which may have been built here, or the newest of that line.
newest() {
    [ ! -d "$out/kernel-$1" ] || { echo "$1" && return; }
    apt-cache pkgnames linux-headers- | sed -n 's/^linux-headers-\([0-9].*-cloud-amd64\)$/\1/p' |
        awk -v want="$1" '$0 == want || index($0, want ".") == 1' | sort -V | tail -n 1
}

# Kbuild writes beside its sources. The module's type information would want pahole, and is not for the emulated host.
build_module() {
    local to=$out/kmod-$1
    mkdir -p "$to"
    cp -ru kmod/. "$to/"
    make -C "$to" HEADERS="$(headers_of "$1")" CONFIG_DEBUG_INFO_BTF_MODULES= check
}

# step_module NAME RELEASE: sparse must have nothing to say; it speaks of the kernel's headers too.
step_module() {
    step "headers$1" fetch_headers "$2"
    step "module$1" build_module "$2"
    ! grep -E "(warning|error):" "$out/module$1.log" | grep -v '^[^:]*/linux-headers-' | grep . || stop "sparse has something to say"
}

# The kernel's style checker, of a kernel's source that is installed: a folder, or Debian's archive of one.
find_checkpatch() {
    local archive found
    found=$(find /usr/src -maxdepth 3 -path '*/scripts/checkpatch.pl' 2>/dev/null | sort -V | tail -n 1)
    archive=$(find /usr/src -maxdepth 1 -name 'linux-source-*.tar.xz' 2>/dev/null | sort -V | tail -n 1)
    if [ -z "$found" ] && [ -n "$archive" ]; then
        found=$out/checkpatch/scripts/checkpatch.pl
        if [ ! -f "$found" ]; then
            mkdir -p $out/checkpatch
            tar -C $out/checkpatch --strip-components=1 --wildcards -xf "$archive" '*/scripts/checkpatch.pl' \
                '*/scripts/spelling.txt' '*/scripts/const_structs.checkpatch' || return
        fi
    fi
    [ -z "$found" ] || realpath "$found"
}

check_style() {
    local checkpatch
    checkpatch=$(find_checkpatch) || return
    if [ -n "$checkpatch" ]; then
        make -C kmod checkpatch CHECKPATCH="$checkpatch" || return
    fi
}

# As DKMS builds what is installed, in a tree of its own, and without the machine's key.
build_with_dkms() {
    local version trees
    version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' kmod/dkms.conf)
    trees=(--dkmstree "$PWD/$out/dkms" --sourcetree "$PWD/build/src")
    rm -rf $out/dkms
    mkdir $out/dkms
    dkms add "wormhole/$version" "${trees[@]}" &&
        sign_file=none dkms build "wormhole/$version" -k "$host" "${trees[@]}" &&
        dkms status "wormhole/$version" -k "$host" "${trees[@]}" | grep ': built$'
}

# judge LOG: adds up the test program's lines; one that did not get to its end has failed, one that was skipped is not passed.
judge() {
    local ok bad skip
    ok=$(tr -d '\r' <"$1" | grep '^ok ' | grep -vc '# SKIP')
    skip=$(tr -d '\r' <"$1" | grep '^ok ' | grep -c '# SKIP')
    bad=$(tr -d '\r' <"$1" | grep -c '^not ok ')
    passed=$((passed + ok))
    skipped=$((skipped + skip))
    failed=$((failed + bad))
    tr -d '\r' <"$1" | grep -E '^(ok|not ok|#|Bail|1\.\.)'
    if ! tr -d '\r' <"$1" | grep -q '^END 0$'; then
        echo "the host did not come to a good end; its log is $1"
        [ "$bad" -gt 0 ] || failed=$((failed + 1))
    fi
}

# write_run NAME ASSIGNMENTS: what the emulated host runs.
write_run() {
    { echo "$2" && cat tests/exitless/run-common "tests/exitless/run-$1"; } >$out/run
}

# Some of what mini is there to show happens between CPUs.
cpus_of() {
    [ "$1" = mini ] && echo "${cpus:-2}" || echo "${cpus:-1}"
}

# make_host NAME WORD...: the host that runs $out/run, with the files that mkhost.sh's words say.
make_host() {
    local name=$1 kind=(--out "$out/$1.iso")
    shift
    [ -z "$here" ] || kind=(--root "$out/$name.root")
    # With two idle CPUs the emulator is late with timers that are set each time, and never with a tick.
    [ "$(cpus_of "$name")" -eq 1 ] || kind+=(--append "nohz=off highres=off")
    step image vm/exitless/mkhost.sh --kernel "$out/kernel-$release" "${kind[@]}" --file $out/run:/run \
        --file $out/wormhole.ko:/wormhole.ko "$@"
}

prepare_mini() {
    write_run mini "CYCLES=$cycles"
    make_host mini --file $out/programs/mini:/mini
}

# libraries PROGRAM...: those that they load.
libraries() {
    ldd "$@" | grep -o '/[^ :]* (0x' | sed 's/ (0x//' | sort -u
}

# initrd FOLDER: what is in it, for a guest.
initrd() {
    (cd "$1" && find . -mindepth 1 | cpio --create --format=newc --owner=0:0 --quiet) >$out/initrd
}

# natively COMMAND...: what a program prints with the software device and without a VM.
natively() {
    WORMHOLE_CUDA_LIBRARY=softgpu build/bin/wormhole run -- "$@"
}

# start_guest INIT: a guest's files begin with a shell.
start_guest() {
    rm -rf $out/guest
    mkdir -p $out/guest/{bin,proc,sys,dev}
    cp /bin/busybox $out/guest/bin/
    cp "$1" $out/guest/init
}

# guest_libraries PROGRAM...: a guest gets those that they load, but libcuda.so.1.
guest_libraries() {
    local path
    while read -r path; do
        mkdir -p "$out/guest/${path%/*}"
        cp -L "$path" "$out/guest/$path"
    done < <(libraries "$@" | grep -v libcuda)
}

# cuda_guest INIT PROGRAM...: a guest's files, with CUDA programs.
cuda_guest() {
    local path
    start_guest "$1"
    shift
    for path in "$@"; do
        strip -g -o "$out/guest/${path##*/}" "$path"
    done
    guest_libraries "$@" build/lib/cuda/libcuda.so.1
    strip -g -o $out/guest/lib/x86_64-linux-gnu/libcuda.so.1 build/lib/cuda/libcuda.so.1
    initrd $out/guest
}

# service_guest INIT: a guest's files, with what serves CUDA programs of other guests.
service_guest() {
    local path
    start_guest "$1"
    for path in "${ours[@]}"; do
        install -D -s "$path" "$out/guest/opt/${path#build/}"
    done
    guest_libraries "${ours[@]}"
    initrd $out/guest
}

# linux_host NAME PROGRAM FILE...: the emulated host with QEMU, a guest's kernel and the daemon, the worker and the software
# device of ours; it runs PROGRAM of the tests'. FILE is PATH:PATH-THERE.
linux_host() {
    local files=() path name=$1 program=$2 qemu=/usr/bin/qemu-system-x86_64
    shift 2
    for path in "${ours[@]}"; do
        strip -g -o "$out/${path##*/}" "$path"
        files+=(--file "$out/${path##*/}:/opt/${path#build/}")
    done
    while read -r path; do
        files+=(--file "$path")
    done < <(libraries $qemu "${ours[@]}")
    for path in "$@"; do
        files+=(--file "$path")
    done
    make_host "$name" --file "$out/programs/$program:/$program" --file $qemu \
        --file /usr/share/seabios/bios-256k.bin --file /usr/share/qemu/kvmvapic.bin --file /usr/share/qemu/linuxboot_dma.bin \
        --file "$out/kernel-$release/boot/vmlinuz-$release:/guest/vmlinuz" "${files[@]}"
}

# A guest whose init is the test.
prepare_linux() {
    rm -rf $out/guest
    mkdir -p $out/guest
    cp $out/programs/linux_guest $out/guest/init
    initrd $out/guest
    write_run linux "CALLS=$calls VCPUS=$vcpus VMS=$vms"
    linux_host linux linux_host $out/initrd:/guest/initrd
}

# A worker of the tests' in a stock guest, its client in another.
prepare_service() {
    local name
    for name in agent client; do
        rm -rf $out/guest
        mkdir -p $out/guest
        cp $out/programs/service_$name $out/guest/init
        initrd $out/guest
        mv $out/initrd $out/initrd.$name
    done
    write_run service "CALLS=$calls"
    linux_host service service_host $out/initrd.agent:/guest/service $out/initrd.client:/guest/client
}

# A daemon in a stock guest, CUDA programs in another.
prepare_service_cuda() {
    local program=$out/programs/cuda_calls expected
    expected=$(natively $program compute | sed -n 's/^computed //p')
    service_guest tests/exitless/guest-service
    mv $out/initrd $out/initrd.service
    cuda_guest tests/exitless/guest-service-client $program
    mv $out/initrd $out/initrd.client
    strip -g -o $out/wormhole build/bin/wormhole
    write_run service-cuda "CALLS=${CALLS:-${served:-$calls}} EXPECTED='$expected'"
    linux_host service_cuda service_cuda_host $out/initrd.service:/guest/service $out/initrd.client:/guest/client \
        $out/wormhole:/opt/bin/wormhole
}

# CUDA programs in the guest, one of nvcc's among them where nvcc is.
prepare_cuda() {
    local program=$out/programs/cuda_calls nvccs=build/obj/tests/cuda/cut_vector_add expected
    expected=$(natively $program compute | tail -n 1)
    if [ -x $nvccs ]; then
        cp $nvccs $out/programs/vector_add
        expected="$expected output $(natively $nvccs | md5sum)"
        cuda_guest tests/exitless/guest-cuda $program $out/programs/vector_add
    else
        cuda_guest tests/exitless/guest-cuda $program
    fi
    # Many sessions are another test's.
    write_run cuda "CALLS=$calls SESSIONS=$((sessions > 100 ? 100 : sessions)) VCPUS=$vcpus EXPECTED='$expected'"
    linux_host cuda cuda_host $out/initrd:/guest/initrd
}

# Several guests, with daemons of their own: the parts that were asked for.
prepare_channel() {
    local order=$out/programs/cuda_order sum
    sum=$(printf '\n\n' | natively $order 2 2 "$steps" | sed -n 's/^order .* sum //p')
    cuda_guest tests/exitless/guest-shell $order $out/programs/cuda_sessions
    write_run channel "PARTS='${parts[*]/#killed/$killed}' STEPS=$steps SESSIONS=$sessions VCPUS=2 SUM=$sum"
    linux_host channel channel_host $out/initrd:/guest/initrd
}

scripts/install-deps.sh exitless || stop "packages are missing"
# The kernel of the newest headers, so that module and kernel fit.
if [ -n "$KERNEL" ]; then
    release=$(newest "$KERNEL")
    [ -n "$release" ] || stop "Debian's package lists have no cloud kernel $KERNEL"
else
    release=$(find /lib/modules -maxdepth 2 -name build -path '*-cloud-amd64/*' -printf '%h\n' | sed 's,.*/,,' | sort -V | tail -n 1)
    [ -n "$release" ] || stop "no headers of Debian's cloud kernel"
fi
host=$release
if [ -n "$here" ]; then
    host=$(uname -r)
    [ "$(id -u)" = 0 ] || stop "--here needs root"
    grep -q '^vmx flags.* eptp_switching' /proc/cpuinfo || stop "this machine's CPU has no VMFUNC, or hides it: without --here it is emulated"
    [ -e /dev/kvm ] || stop "there is no /dev/kvm: modprobe kvm-intel"
    [ ! -e /sys/module/wormhole ] || stop "wormhole.ko is loaded: stop wormholed and rmmod wormhole"
    [ -e "/lib/modules/$host/build" ] || stop "no headers of this machine's kernel: apt-get install linux-headers-$host"
    JOBS=1 # there is one module
fi
echo "kernel $host, guests' kernel $release"
step kernel fetch_kernel
step_module "" "$host"
objcopy -g -R .BTF "$out/kmod-$host/wormhole.ko" $out/wormhole.ko
# The other kernel that it is for, where Debian's package lists have it.
other=$(newest 6.12)
if [ -z "$here$KERNEL" ] && [ -n "$other" ]; then
    step_module -other "$other"
fi
step style check_style
step build make build
# Of headers that are not installed it knows nothing.
if command -v dkms >/dev/null && [ -e "/lib/modules/$host/build" ]; then
    step dkms build_with_dkms
fi
step programs tests/exitless/build.sh $out/programs build/obj/src build/obj/src
for test in "${wanted[@]}"; do
    "prepare_$test"
done

# One emulated machine takes one core.
run_host() {
    local start=$SECONDS memory=2048
    [ "$1" != mini ] || memory=512
    if [ -n "$here" ]; then
        vm/exitless/here.sh --root "$out/$1.root" --log "$out/$1.log" --seconds "$seconds"
    else
        vm/exitless/bochs.sh --iso "$out/$1.iso" --log "$out/$1.log" --seconds "$seconds" --cpus "$(cpus_of "$1")" --memory $memory
    fi
    echo $((SECONDS - start)) >"$out/$1.seconds"
}

for test in "${wanted[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-$(nproc)}" ]; do
        wait -n
    done
    run_host "$test" &
done
wait
for test in "${wanted[@]}"; do
    echo "== $test"
    judge "$out/$test.log"
    echo "-- $test: $(cat "$out/$test.seconds") s"
done
verdict="$passed passed, $failed failed"
[ $skipped -eq 0 ] || verdict="$verdict, $skipped skipped"
echo "$verdict"
[ $failed -eq 0 ]
