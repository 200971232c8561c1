#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes what a throwaway guest boots from: DIR/kernel (a link to Debian's cloud kernel in the cache)
# and DIR/initrd (an initramfs of this host's own binaries and their libraries).
# `wormhole vm` runs it for every guest; it can be run by hand.
# It must never run as more than the caller, nor change anything outside DIR and the cache,
# ${XDG_CACHE_HOME:-~/.cache}/wormhole. Remove the cache to get a newer kernel.
#
#   mkguest.sh --out DIR [OPTION]... [-- COMMAND...]
#
#   --file HOSTPATH[:GUESTPATH]   a file, with the libraries that it needs; GUESTPATH is HOSTPATH
#   --tree DIR[:GUESTPATH]        a folder, with the libraries that the files in it need
#   --library SONAME              a library that programs load by name; left out where there is none
#   --module NAME                 a kernel module to load, with those that it needs
#   COMMAND                       a program's path, with its libraries and a script's interpreter
#
# The initramfs is two archives, one behind the other, as the kernel takes them: a base (busybox,
# init, modules) that is made once and cached, and the files asked for. Neither is compressed:
# under emulation unpacking costs more than reading.

set -eu
export LC_ALL=C

fail() {
    printf 'wormhole: %s\n' "$*" >&2
    exit 1
}

note() {
    printf 'wormhole: %s\n' "$*" >&2
}

here=$(dirname -- "$(readlink -f -- "$0")")
cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/wormhole
kernel_package=linux-image-cloud-amd64
out='' stage='' sources='' scratch='' download=''
modules='virtio_pci virtio_console'

check_tools() {
    missing=''
    command -v cpio >/dev/null || missing="$missing cpio"
    busybox=$(command -v busybox) || missing="$missing busybox-static"
    if [ -n "$busybox" ] && ldd "$busybox" >/dev/null 2>&1; then
        missing="$missing busybox-static"
    fi
    [ -z "$missing" ] || fail "missing packages for the guest: apt-get install$missing"
}

# The kernel ------------------------------------------------------------------------------------

# Unpacks a kernel package into the cache. The rename makes it visible whole or not at all.
unpack_kernel() { # PACKAGE
    dpkg -x "$1" "$download/package"
    image=$(find "$download/package/boot" -name 'vmlinuz-*')
    [ -f "$image" ] || fail "$1 holds no kernel"
    release=${image##*/vmlinuz-}
    mkdir "$download/kernel"
    mv "$image" "$download/kernel/vmlinuz"
    for folder in lib usr/lib; do
        [ ! -d "$download/package/$folder/modules/$release" ] ||
            mv "$download/package/$folder/modules/$release" "$download/kernel/modules"
    done
    [ -d "$download/kernel/modules" ] || fail "$1 holds no modules"
    mkdir -p "$cache/kernel"
    mv -T "$download/kernel" "$cache/kernel/$release" 2>/dev/null ||
        [ -f "$cache/kernel/$release/vmlinuz" ] || fail "cannot write $cache/kernel/$release"
}

# Debian's package of that name only depends on the package that holds the newest kernel.
fetch_kernel() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
        fail "no kernel for the guest: unpack Debian's $kernel_package into" \
            "$cache/kernel/RELEASE/{vmlinuz,modules}"
    fi
    package=$(apt-cache show --no-all-versions "$kernel_package" 2>/dev/null |
        sed -n 's/^Depends:.*\(linux-image-[^ ,(]*\).*/\1/p' | head -n 1)
    [ -n "$package" ] || fail "apt does not know $kernel_package, the guest's kernel: as root," \
        "'apt-get update', then try again"
    note "fetching the guest's kernel, $package, into $cache (once)"
    # In the cache's file system, for the rename.
    download=$(mktemp -d "$cache/download.XXXXXX")
    if ! (cd "$download" && apt-get -q download "$package" >apt.log 2>&1); then
        fail "cannot download $package: $(grep -m 1 '^E:' "$download/apt.log" || :)"
    fi
    set -- "$download/$package"_*.deb
    unpack_kernel "$1"
    rm -rf "$download"
}

newest_kernel() {
    find "$cache/kernel" -mindepth 1 -maxdepth 1 -type d 2>/dev/null | sort -V | tail -n 1
}

find_kernel() {
    kernel=$(newest_kernel)
    if [ -z "$kernel" ]; then
        fetch_kernel
        kernel=$(newest_kernel)
    fi
}

# The base archive ------------------------------------------------------------------------------

# Appends module $1 to $module_files, behind the modules that it depends on.
add_module() {
    pattern=$(printf '%s' "$1" | sed 's/[-_]/[-_]/g')
    file=$(find "$kernel/modules" -name "$pattern.ko" | head -n 1)
    [ -n "$file" ] || fail "the guest's kernel ($kernel) has no module $1"
    case " $module_files " in *" $file "*) return 0 ;; esac
    # Arguments are a function's own; variables would be the callee's too.
    # shellcheck disable=SC2046
    set -- "$file" $(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr ',' ' ')
    for needed in "$@"; do
        [ "$needed" = "$1" ] || add_module "$needed"
    done
    module_files="$module_files $1"
}

write_archive() { # FOLDER FILE
    (cd "$1" && find . -mindepth 1 -print0 |
        cpio --null --create --format=newc --owner=0:0 --quiet) >"$2"
}

build_base() { # FILE
    root=$scratch/base
    mkdir -p "$root/wormhole/modules" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" \
        "$root/run" "$root/root" "$root/var" "$root/etc/OpenCL/vendors" "$root/usr/bin" \
        "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib32" "$root/usr/lib64"
    ln -s ../tmp "$root/var/tmp"
    for folder in bin sbin lib lib32 lib64; do
        ln -s "usr/$folder" "$root/$folder"
    done
    install -m 755 "$busybox" "$root/wormhole/busybox"
    install -m 755 "$here/init" "$root/init"
    for applet in $("$busybox" --list); do
        ln -s /wormhole/busybox "$root/usr/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' \
        >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
    number=100
    for file in $module_files; do
        cp "$file" "$root/wormhole/modules/$number-${file##*/}"
        number=$((number + 1))
    done
    write_archive "$root" "$1.$$"
    mv "$1.$$" "$1"
}

find_base() {
    key=$({
        printf '%s\n' "$kernel" "$modules"
        cat "$here/init" "$here/mkguest.sh" "$busybox"
    } | sha256sum | cut -c 1-16)
    base=$cache/base-$key.cpio
    [ ! -f "$base" ] || return 0
    module_files=''
    for module in $modules; do
        add_module "$module"
    done
    build_base "$base"
}

# The command's files ---------------------------------------------------------------------------

# Sets $guest to where path $1 is in the guest, in whose file system /bin and its like are links.
guest_path() {
    case $1 in
    /*) guest=$(realpath -ms -- "$1") ;;
    *) guest=$(realpath -ms -- "$PWD/$1") ;;
    esac
    case $guest in
    /bin/* | /sbin/* | /lib/* | /lib32/* | /lib64/*) guest=/usr$guest ;;
    /wormhole | /wormhole/* | /init)
        [ "$1" = /wormhole/cmd ] || fail "$1: the guest keeps that path for itself" ;;
    esac
}

# Splits HOSTPATH[:GUESTPATH]: $host and $guest.
split_pair() {
    case $1 in
    ?*:/*) host=${1%:/*} guest=/${1##*:/} ;;
    *) host=$1 guest=$1 ;;
    esac
    guest_path "$guest"
}

# Queues a host file for the search for libraries.
queue() {
    printf '%s\n' "$1" >>"$sources"
}

# A link's target is copied under the link's name: a loader asks for names.
add_file() { # HOSTPATH, with $guest set
    [ ! -e "$stage$guest" ] || return 0
    [ -f "$1" ] || fail "$1: no such file"
    [ -r "$1" ] || fail "$1: not readable"
    mkdir -p "$stage${guest%/*}"
    cp -L --preserve=mode,timestamps -- "$1" "$stage$guest"
    queue "$1"
}

add_tree() { # FOLDER, with $guest set
    [ -d "$1" ] || fail "$1: no such folder"
    mkdir -p "$stage$guest"
    cp -RL --preserve=mode,timestamps -- "$1/." "$stage$guest"
    find -L "$1" -type f >>"$sources"
}

add_library() { # SONAME
    path=$(/sbin/ldconfig -p | sed -n "s|^[[:space:]]*$1 (libc6,x86-64.*) => ||p" | head -n 1)
    [ -z "$path" ] || { guest_path "$path" && add_file "$path"; }
}

# A script's first line names an interpreter, perhaps through env.
add_interpreter() { # PROGRAM
    case $(head -c 2 -- "$1" | tr -d '\0') in '#!') ;; *) return 0 ;; esac
    # shellcheck disable=SC2046
    set -- $(head -n 1 -- "$1" | tr -d '\0' | cut -c 3-)
    guest_path "$1"
    add_file "$1"
    [ "${1##*/}" = env ] && [ $# -ge 2 ] || return 0
    path=$(command -v -- "$2") || fail "$2: a script's interpreter, which this host does not have"
    guest_path "$path"
    add_file "$path"
}

add_command() { # PROGRAM
    guest_path "$1"
    add_file "$1"
    add_interpreter "$1"
}

# Adds the libraries, and the dynamic loaders, that the queued files need. ldd's answer is already
# the whole closure.
add_libraries() {
    sort -u "$sources" | tr '\n' '\0' |
        xargs -0r grep -lam1 "^$(printf '\177')ELF" >"$scratch/programs" || :
    tr '\n' '\0' <"$scratch/programs" | xargs -0r ldd >"$scratch/ldd" 2>/dev/null || :
    sed -n 's/^[[:space:]]*\(.*\) => not found$/\1/p' "$scratch/ldd" | sort -u |
        while IFS= read -r path; do
            # Wormhole's own libcuda.so.1 is in the guest, and nowhere on a host without a driver.
            [ -n "$(find "$stage" -name "$path" -print -quit)" ] ||
                note "$path is needed by the guest's files and not found on this host"
        done
    sed -n -e 's/^.* => \(\/.*\) (0x[0-9a-f]*)$/\1/p' \
        -e 's/^[[:space:]]*\(\/[^>]*\) (0x[0-9a-f]*)$/\1/p' "$scratch/ldd" |
        sort -u >"$scratch/libraries"
    while IFS= read -r path; do
        guest_path "$path"
        add_file "$path"
    done <"$scratch/libraries"
    # Where the host's loader finds what the default folders do not hold.
    [ ! -s "$scratch/libraries" ] || [ ! -f /etc/ld.so.cache ] ||
        install -D -m 644 /etc/ld.so.cache "$stage/etc/ld.so.cache"
}

# ----------------------------------------------------------------------------------------------

parse_out() {
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        [ $# -ge 2 ] || fail "mkguest.sh: $1 needs a value"
        case $1 in
        --out) out=$2 ;;
        --module) modules="$modules $2" ;;
        --file | --tree | --library) ;;
        *) fail "mkguest.sh: unknown option $1" ;;
        esac
        shift 2
    done
    [ -n "$out" ] || fail "mkguest.sh: --out DIR is missing"
    [ -d "$out" ] || fail "$out: no such folder"
}

add_everything() {
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        case $1 in
        --file)
            split_pair "$2"
            add_file "$host"
            ;;
        --tree)
            split_pair "$2"
            add_tree "$host"
            ;;
        --library) add_library "$2" ;;
        esac
        shift 2
    done
    [ $# -eq 0 ] || shift
    for program in "$@"; do
        add_command "$program"
    done
    add_libraries
}

parse_out "$@"
check_tools
umask 022
mkdir -p "$cache" || fail "cannot make the cache folder $cache"
scratch=$(mktemp -d "$out/scratch.XXXXXX")
trap 'rm -rf "$scratch" ${download:+"$download"}' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
find_kernel
find_base
stage=$scratch/stage sources=$scratch/sources
mkdir "$stage"
: >"$sources"
add_everything "$@"
write_archive "$stage" "$scratch/files.cpio"
cat "$base" "$scratch/files.cpio" >"$out/initrd"
ln -sfn "$kernel/vmlinuz" "$out/kernel"
