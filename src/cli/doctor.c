/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wormhole doctor`: what works on this machine, one line each, and what to do about the rest. It
 * looks and changes nothing; its last line says whether `wormhole run` would work.
 */
#include "backend/cuda/places.h"
#include "base/cores.h"
#include "base/util.h"
#include "channel/ivshmem.h"
#include "channel/unix.h"
#include "cli/cli.h"
#include "cli/host.h"
#include "cli/probe.h"
#include "cli/report.h"
#include "daemon/admin.h"
#include "daemon/config.h"
#include "daemon/view.h"

#include "../../kmod/uapi/wormhole.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

enum verdict { OK, WARN, NO };

/* What the last line needs to know. */
struct findings {
    bool shim;      /* programs can be pointed at Wormhole's OpenCL */
    bool cuda_shim; /* ... and at its CUDA */
    bool loader;    /* libOpenCL.so.1 is there */
    bool server;    /* a daemon or a region's server answers */
    bool platforms; /* a private daemon would have an OpenCL to serve */
    bool cuda;      /* ... a CUDA device, if only the software one */
    bool worker;
    bool memory;
};

__attribute__((format(printf, 3, 4))) static void say(enum verdict verdict, const char *topic,
                                                      const char *format, ...)
{
    static const char *const words[] = {[OK] = "ok", [WARN] = "warn", [NO] = "no"};
    va_list arguments;
    (void)printf("%-4s  %-14s ", words[verdict], topic);
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)putchar('\n');
}

/* ---- what runs programs ---- */

static const char *plural(int count)
{
    return count == 1 ? "" : "s";
}

static void check_opencl(struct findings *findings)
{
    char text[256];
    int platforms;
    enum wh_probe_result result = wh_probe_opencl(&platforms, text, sizeof(text));
    findings->loader = result != WH_PROBE_ABSENT;
    findings->platforms = platforms > 0;
    if (result == WH_PROBE_ABSENT)
        say(NO, "opencl",
            "no libOpenCL.so.1: programs that use OpenCL do not start; apt-get install ocl-icd-libopencl1");
    else if (result == WH_PROBE_BROKEN)
        say(NO, "opencl", "this machine's OpenCL is broken: %s", text);
    else if (platforms == 0)
        say(WARN, "opencl",
            "no platform of this machine's own: it can use a server, not be one; "
            "for a software one, apt-get install pocl-opencl-icd");
    else
        say(OK, "opencl", "%d platform%s to serve: %s", platforms, plural(platforms), text);
}

static bool say_devices(const char *path, const struct wh_probe_cuda *found)
{
    say(OK, "cuda", "%s, CUDA %d.%d, %d device%s to serve: %s", path, found->version / 1000,
        found->version % 1000 / 10, found->devices, plural(found->devices), found->text);
    return true;
}

/* A driver without a device: its first number of an error is what people look for. */
static void say_useless(const char *path, const struct wh_probe_cuda *found)
{
    if (found->result == WH_PROBE_BROKEN)
        say(WARN, "cuda", "%s is broken: %s", path, found->text);
    else
        say(WARN, "cuda",
            "%s finds no device (error %d): if there is one, nvidia-smi says what is wrong; "
            "workers go on to the software device",
            path, found->error);
}

/* What the worker does when nothing is said (backend/cuda/load.c). */
static bool check_cuda_places(void)
{
    static const char *const places[] = {WH_CUDA_PLACES};
    struct wh_probe_cuda found;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (access(places[i], R_OK) < 0)
            continue;
        wh_probe_cuda(places[i], &found);
        if (found.devices > 0)
            return say_devices(places[i], &found);
        say_useless(places[i], &found);
    }
    return false;
}

static bool check_softgpu(bool wanted)
{
    char path[PATH_MAX];
    struct wh_probe_cuda found = {.result = WH_PROBE_ABSENT};
    if (wh_host_beside(WH_CUDA_SOFTGPU_LIBRARY, path))
        wh_probe_cuda(path, &found);
    if (found.result == WH_PROBE_ABSENT)
        say(NO, "cuda", "no NVIDIA driver and no software device: this machine cannot serve CUDA");
    else if (found.devices == 0)
        say(NO, "cuda", "the software device does not work: %s (error %d)", found.text,
            found.error);
    else if (wanted)
        return say_devices(path, &found);
    else
        say(WARN, "cuda",
            "no NVIDIA GPU to serve: workers take the software device (%s), which is for trying "
            "and testing",
            found.text);
    return found.devices > 0;
}

static bool check_named_cuda(const char *path)
{
    struct wh_probe_cuda found;
    if (strcmp(path, WH_CUDA_SOFTGPU_NAME) == 0)
        return check_softgpu(true);
    wh_probe_cuda(path, &found);
    if (found.devices > 0)
        return say_devices(path, &found);
    if (found.result == WH_PROBE_WORKS)
        say(NO, "cuda", "WORMHOLE_CUDA_LIBRARY=%s finds no device (error %d)", path, found.error);
    else
        say(NO, "cuda", "WORMHOLE_CUDA_LIBRARY=%s does not work: %s", path, found.text);
    return false;
}

static void check_cuda(struct findings *findings)
{
    const char *path = getenv("WORMHOLE_CUDA_LIBRARY");
    findings->cuda =
        path && *path ? check_named_cuda(path) : check_cuda_places() || check_softgpu(false);
}

static void check_cuda_shim(struct findings *findings)
{
    char library[PATH_MAX], text[256];
    if (!wh_host_library("cuda/libcuda.so.1", library)) {
        say(NO, "wormhole cuda",
            "no libcuda.so.1 of Wormhole's beside this program; install Wormhole again");
        return;
    }
    findings->cuda_shim = wh_probe_library(library, text, sizeof(text)) == WH_PROBE_WORKS;
    if (findings->cuda_shim)
        say(OK, "wormhole cuda", "%s, which `wormhole run` puts first in LD_LIBRARY_PATH", library);
    else
        say(NO, "wormhole cuda", "%s cannot be loaded: %s", library, text);
}

static void check_shim(struct findings *findings)
{
    char vendors[PATH_MAX], library[PATH_MAX], text[256];
    if (!wh_host_vendors(vendors)) {
        say(NO, "wormhole icd",
            "neither ../lib/wormhole-vendors nor ../share/wormhole/vendors beside this program; "
            "build or install Wormhole again");
        return;
    }
    if (!wh_host_library("libwormhole-opencl.so", library)) {
        say(NO, "wormhole icd",
            "%s names a library that is not beside this program; install Wormhole again", vendors);
        return;
    }
    findings->shim = wh_probe_library(library, text, sizeof(text)) == WH_PROBE_WORKS;
    if (findings->shim)
        say(OK, "wormhole icd", "%s, for OpenCL loaders in %s", library, vendors);
    else
        say(NO, "wormhole icd", "%s cannot be loaded: %s", library, text);
}

static void check_worker(struct findings *findings)
{
    struct wh_config config;
    wh_config_init(&config);
    findings->worker = access(config.worker, X_OK) == 0;
    if (findings->worker)
        say(OK, "worker", "%s", config.worker);
    else
        say(NO, "worker", "%s cannot be run (%s): no daemon can serve from here", config.worker,
            strerror(errno));
    wh_config_free(&config);
}

/* ---- servers ---- */

static void check_daemon(struct findings *findings)
{
    char version[sizeof(((struct wh_welcome *)0)->version)];
    int code = wh_host_daemon(WH_DEFAULT_SOCKET, version, sizeof(version));
    if (code == ENOENT || code == ECONNREFUSED)
        say(WARN, "daemon",
            "none at unix:" WH_DEFAULT_SOCKET ": `wormhole run` starts a private one; "
            "systemctl start wormholed starts a common one");
    else if (code == EACCES)
        say(NO, "daemon",
            WH_DEFAULT_SOCKET " is not for this user: see socket_mode in wormholed.conf(5)");
    else if (code)
        say(NO, "daemon", "unix:" WH_DEFAULT_SOCKET ": %s", strerror(code));
    else if (strcmp(version, WH_VERSION) != 0)
        say(NO, "daemon", "it is Wormhole %s, this is %s: install the same version and restart it",
            version, WH_VERSION);
    else
        say(OK, "daemon", "Wormhole %s at unix:" WH_DEFAULT_SOCKET, version);
    findings->server = findings->server || (code == 0 && strcmp(version, WH_VERSION) == 0);
}

static void check_region(struct findings *findings)
{
    struct wh_host_region region;
    wh_host_probe_region(&region);
    if (!region.device) {
        say(WARN, "ivshmem",
            "no such device: this machine is not a VM with Wormhole's memory (see wormholed(8))");
        return;
    }
    if (!region.mapped) {
        say(NO, "ivshmem", "%s", region.why);
        return;
    }
    findings->server = findings->server || region.served;
    if (region.served)
        say(OK, "ivshmem", "%s, %llu MiB, served", region.address,
            (unsigned long long)(region.size >> 20));
    else
        say(NO, "ivshmem",
            "%s, %llu MiB, but no server of this version serves it: start wormholed on the host",
            region.address, (unsigned long long)(region.size >> 20));
    if (region.write_combining)
        say(OK, "ivshmem type",
            "write-combining; KVM maps it as ordinary memory unless the VM has a device with "
            "non-coherent DMA (vfio without snooping), which makes calls slower");
    else
        say(WARN, "ivshmem type",
            "no resource2_wc: it is mapped uncached, which is slow where the guest's type counts");
}

/* ---- the machine ---- */

static void check_memory(struct findings *findings)
{
    WH_CLEANUP_CLOSE int fd = memfd_create("wormhole-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    findings->memory = fd >= 0 && ftruncate(fd, WH_SEGMENT_LEAST) == 0 &&
                       fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0;
    if (findings->memory)
        say(OK, "shared memory", "memory files with seals work");
    else
        say(NO, "shared memory", "memfd_create: %s; Wormhole needs a Linux kernel from 5.10 on",
            strerror(errno));
}

static void check_view(void)
{
    if (wh_view_supported())
        say(OK, "landlock", "workers see the files that they need, and no others");
    else
        say(WARN, "landlock",
            "this kernel does not have it (from 5.19 on, lsm=landlock): workers read whatever files "
            "their user may read");
}

static void check_cores(void)
{
    int count = wh_cores();
    if (count > 1)
        say(OK, "cores", "%d: waiting spins for a moment, then sleeps", count);
    else
        say(WARN, "cores",
            "one: waiting never spins, so that each call costs two context switches; allow a second one");
}

static void check_kvm(void)
{
    bool flags = wh_host_cpu_flag("vmx") || wh_host_cpu_flag("svm");
    if (wh_host_kvm())
        say(OK, "kvm", "VMs run at the hardware's speed");
    else if (flags)
        say(WARN, "kvm",
            "the CPU can, but /dev/kvm cannot be opened (%s): VMs are emulated, slowly",
            strerror(errno));
    else
        say(WARN, "kvm", "the CPU has neither vmx nor svm%s: VMs are emulated, slowly",
            access("/dev/kvm", F_OK) == 0 ? ", though there is a /dev/kvm, which is not used" : "");
}

/* The host's module of the exitless path: without it calls travel by ivshmem, so it is no finding.
 */
static void check_module(void)
{
    struct wormhole_info info;
    WH_CLEANUP_CLOSE int device = open("/dev/wormhole", O_RDWR | O_CLOEXEC);
    if (device < 0 && errno == ENOENT)
        say(WARN, "module", "wormhole.ko is not loaded (see docs/exitless.md)");
    else if (device < 0)
        say(WARN, "module", "/dev/wormhole cannot be opened: %s", strerror(errno));
    else if (ioctl(device, WORMHOLE_INFO, &info) != 0 || info.version != WORMHOLE_VERSION)
        say(WARN, "module", "wormhole.ko is of another version");
    else
        say(OK, "module", "wormhole.ko: %u views in %u VMs, %llu pages pinned", info.views,
            info.vms, (unsigned long long)info.pinned_pages);
}

/* Each view's counters, by the daemon of this machine; nothing where it may not be asked. */
static void check_views(void)
{
    struct wh_report report;
    struct wh_error error = {0};
    char text[WH_REPORT_TEXT];
    if (wh_report_read(WH_DEFAULT_ADMIN, &report, &error) == 0) {
        for (size_t i = 0; i < report.count; i++) {
            const struct wh_report_session *s = &report.sessions[i];
            if (s->view.is_there)
                say(s->view.lost ? WARN : OK, "view", "session %u of %s: %s", s->number, s->tenant,
                    wh_report_tell(&s->view, text));
        }
        for (size_t i = 0; i < report.nlent; i++) {
            const struct wh_report_lent *lent = &report.lent[i];
            say(lent->view.lost ? WARN : OK, "view", "view %llu of the service VM of %s: %s",
                (unsigned long long)lent->number, lent->vm, wh_report_tell(&lent->view, text));
        }
    }
    wh_report_free(&report);
}

/* Linux lists what VMX has in a line of its own from 5.9 on. */
static void check_vmfunc(void)
{
    if (!wh_host_cpu_flag("vmx"))
        say(WARN, "vmfunc",
            "no Intel VT-x: calls without VM exits by VMFUNC are not possible here");
    else if (!wh_host_cpu_flag("eptp_switching"))
        say(WARN, "vmfunc", "the CPU does not have it, or hides it: calls travel by ivshmem");
    else {
        say(OK, "vmfunc", "the CPU has it");
        check_module();
    }
}

static bool kernel_is_cached(void)
{
    char pattern[PATH_MAX];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    glob_t found = {0};
    if (cache && *cache)
        (void)snprintf(pattern, sizeof(pattern), "%s/wormhole/kernel/*/vmlinuz", cache);
    else
        (void)snprintf(pattern, sizeof(pattern), "%s/.cache/wormhole/kernel/*/vmlinuz",
                       home ? home : "");
    bool any = glob(pattern, 0, NULL, &found) == 0;
    globfree(&found);
    return any;
}

static void check_vm(void)
{
    static const char *const scripts[] = {"../share/wormhole/vm/mkguest.sh", NULL};
    char path[PATH_MAX];
    if (!wh_host_program("qemu-system-x86_64", path))
        say(WARN, "wormhole vm", "no qemu-system-x86_64: apt-get install qemu-system-x86");
    else if (!wh_host_beside_any(scripts, path))
        say(WARN, "wormhole vm", "share/wormhole/vm is not installed");
    else if (kernel_is_cached())
        say(OK, "wormhole vm", "QEMU and a guest kernel are here");
    else if (wh_host_program("apt-get", path) && wh_host_program("dpkg", path))
        say(OK, "wormhole vm", "QEMU is here; the first run fetches a guest kernel by apt-get");
    else
        say(WARN, "wormhole vm",
            "QEMU is here, but no guest kernel and no apt-get to fetch one; see wormhole-vm(1)");
}

/* ---- the whole ---- */

static bool conclude(const struct findings *findings)
{
    bool private = findings->worker && findings->memory;
    bool opencl = findings->shim && findings->loader &&
                  (findings->server || (private && findings->platforms));
    bool cuda = findings->cuda_shim && (findings->server || (private && findings->cuda));
    const char *which = opencl && cuda ? "OpenCL and CUDA" : opencl ? "OpenCL only" : "CUDA only";
    if (opencl || cuda)
        say(opencl && cuda ? OK : WARN, "wormhole run", "works for %s, with a %s", which,
            findings->server ? "server that is there" : "private daemon");
    else if ((findings->shim && findings->loader) || findings->cuda_shim)
        say(NO, "wormhole run",
            "needs a server: start wormholed where the accelerator is, and name it by --server");
    else
        say(NO, "wormhole run", "does not work; the lines above say what is missing");
    return opencl || cuda;
}

static const struct argp parser = {
    .doc = "Say what works on this machine, and what to do about the rest.\v"
           "The exit status is 0 when `wormhole run` would work, else 1."};

int wh_cli_doctor(int argc, char **argv)
{
    struct findings findings = {0};
    static char name[] = "wormhole doctor"; /* in argp's messages */
    argv[0] = name;
    wh_claim_children(NULL);
    if (argp_parse(&parser, argc, argv, 0, NULL, NULL) != 0)
        return EXIT_FAILURE;
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* before children are forked */
    wh_host_restore_vendors();
    check_shim(&findings);
    check_cuda_shim(&findings);
    check_opencl(&findings);
    check_cuda(&findings);
    check_worker(&findings);
    check_daemon(&findings);
    check_region(&findings);
    check_memory(&findings);
    check_view();
    check_cores();
    check_kvm();
    check_vmfunc();
    check_views();
    check_vm();
    return conclude(&findings) ? EXIT_SUCCESS : EXIT_FAILURE;
}
