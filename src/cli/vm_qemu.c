/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line and its start; see vm_run.h. It must never try KVM where the CPU's flags deny
 * it. */
#include "cli/vm_run.h"

#include "base/util.h"
#include "cli/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const char *const stream_names[] = {
    [STDOUT] = "wormhole.stdout",
    [STDERR] = "wormhole.stderr",
    [STATUS] = "wormhole.status",
    [CONSOLE] = "console",
};

static void add_machine(const struct run *run, struct list *arguments)
{
    static const char *const fixed[] = {
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        wh_vm_list_add(arguments, "%s", fixed[i]);
    bool kvm = wh_host_kvm();
    wh_vm_list_add(arguments, "-accel");
    wh_vm_list_add(arguments, kvm ? "kvm" : "tcg,thread=multi");
    wh_vm_list_add(arguments, "-cpu");
    wh_vm_list_add(arguments, kvm ? "host" : "max");
    wh_vm_list_add(arguments, "-m");
    wh_vm_list_add(arguments, "%u", run->options->memory_mib);
    wh_vm_list_add(arguments, "-smp");
    wh_vm_list_add(arguments, "%u", run->options->cpus);
}

/* panic=-1 reboots at once, which -no-reboot turns into QEMU's end. ramfs, because a tmpfs would
 * stop at half of the memory. */
static void add_kernel(const struct run *run, struct list *arguments)
{
    wh_vm_list_add(arguments, "-kernel");
    wh_vm_list_add(arguments, "%s", run->kernel);
    wh_vm_list_add(arguments, "-initrd");
    wh_vm_list_add(arguments, "/proc/self/fd/%d", run->initrd);
    wh_vm_list_add(arguments, "-append");
    wh_vm_list_add(arguments,
                   "console=ttyS0 panic=-1 rootfstype=ramfs random.trust_cpu=on cryptomgr.notests"
                   " no_timer_check%s",
                   run->options->verbose ? "" : " quiet");
}

static void add_chardevs(struct list *arguments, const int *theirs)
{
    wh_vm_list_add(arguments, "-device");
    wh_vm_list_add(arguments, "virtio-serial-pci");
    for (int i = 0; i < FIRST_CHARDEVS; i++) {
        wh_vm_list_add(arguments, "-chardev");
        wh_vm_list_add(arguments, "socket,id=%s,fd=%d", stream_names[i], theirs[i]);
        wh_vm_list_add(arguments, i == CONSOLE ? "-serial" : "-device");
        if (i == CONSOLE)
            wh_vm_list_add(arguments, "chardev:%s", stream_names[i]);
        else
            wh_vm_list_add(arguments, "virtserialport,chardev=%s,name=%s", stream_names[i],
                           stream_names[i]);
    }
}

static void add_ivshmem(const struct run *run, struct list *arguments)
{
    char escaped[2 * PATH_MAX];
    size_t used = 0;
    if (!run->options->socket)
        return;
    /* A comma ends a value in QEMU's options; two stand for one. */
    for (const char *at = run->options->socket; *at && used + 3 < sizeof(escaped); at++) {
        escaped[used++] = *at;
        if (*at == ',')
            escaped[used++] = ',';
    }
    escaped[used] = '\0';
    wh_vm_list_add(arguments, "-chardev");
    wh_vm_list_add(arguments, "socket,path=%s,id=wh", escaped);
    wh_vm_list_add(arguments, "-device");
    wh_vm_list_add(arguments, "ivshmem-doorbell,chardev=wh");
}

/* A pair of sockets for each character device, a pipe for QEMU's own words. */
static int open_streams(struct run *run, int *theirs)
{
    for (int i = 0; i < STREAMS; i++) {
        int pair[2];
        int result = i < FIRST_CHARDEVS ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)
                                        : pipe2(pair, O_CLOEXEC);
        if (result < 0)
            return wh_error_set(&run->error, errno, "cannot make a channel: %s", strerror(errno));
        run->streams[i].from = pair[0];
        theirs[i] = pair[1];
    }
    run->streams[STDOUT].to = STDOUT_FILENO;
    run->streams[STDERR].to = STDERR_FILENO;
    run->streams[CONSOLE].to = run->options->verbose ? STDERR_FILENO : -1;
    run->streams[COMPLAINTS].to = run->options->verbose ? STDERR_FILENO : -1;
    return 0;
}

static int spawn_qemu(struct run *run, const int *theirs)
{
    CLEANUP_LIST struct list arguments = {0};
    wh_vm_list_add(&arguments, "%s", run->emulator);
    add_machine(run, &arguments);
    add_kernel(run, &arguments);
    add_chardevs(&arguments, theirs);
    add_ivshmem(run, &arguments);
    wh_vm_list_add_all(&arguments, run->options->qemu_args);
    if (arguments.failed)
        return wh_error_set(&run->error, ENOMEM, "out of memory");
    int keep[FIRST_CHARDEVS + 1];
    memcpy(keep, theirs, sizeof(*theirs) * FIRST_CHARDEVS);
    keep[FIRST_CHARDEVS] = run->initrd;
    struct child child = {.argv = arguments.items,
                          .output = theirs[COMPLAINTS],
                          .keep = keep,
                          .keep_count = FIRST_CHARDEVS + 1};
    run->start_ns = wh_now_ns();
    run->qemu = wh_vm_spawn(run, &child, &run->pidfd);
    return run->qemu < 0 ? -1 : 0;
}

int wh_vm_start_qemu(struct run *run)
{
    int theirs[STREAMS] = {-1, -1, -1, -1, -1};
    int result = open_streams(run, theirs);
    if (result == 0)
        result = spawn_qemu(run, theirs);
    for (int i = 0; i < STREAMS; i++)
        wh_close_fd(&theirs[i]);
    return result;
}
