/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wormholed and a stock Linux guest that it serves: `cuda_host EXPECTED VCPUS QEMU ARG...` starts
 * both, reads the counters of the module around the guest's loops, as the guest says "start" and
 * "done", and compares. The guest runs ordinary CUDA programs (guest-cuda, cuda_calls.c): over the
 * gate, over ivshmem, and hypercalls. EXPECTED has what the computing programs print natively.
 */
#include "daemon.h"
#include "qemu.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct daemon *daemon_of_vm;
static int vcpus; /* the guest's */

struct counts {
    struct wormhole_vm_stats vm;
    struct figures views;
};

static struct counts read_counts(int vm)
{
    struct counts counts;

    if (ioctl(vm, WORMHOLE_VM_STATS, &counts.vm))
        die("WORMHOLE_VM_STATS");
    counts.views = daemon_figures(daemon_of_vm, NULL);
    return counts;
}

/* Once the client is at it, its worker dies. */
static void kill_worker(void)
{
    daemon_await_calls(daemon_of_vm, "guest", 100);
    kill(daemon_figures(daemon_of_vm, "guest").worker, SIGKILL);
}

static void look_for_leaks(void)
{
    struct wormhole_info info;
    int device = open("/dev/wormhole", O_RDWR | O_CLOEXEC);

    daemon_await_left(daemon_of_vm, 0);
    if (ioctl(device, WORMHOLE_INFO, &info))
        die("WORMHOLE_INFO");
    close(device);
    printf("# %u views, %llu pages pinned, %llu of the module's own\n", info.views,
           info.pinned_pages, info.own_pages);
    verdict(info.views == 0 && info.pinned_pages == 0 && info.own_pages == 0,
            "sessions that came and went leave no view, pin or table behind");
}

static int open_vm(int qemu)
{
    int device = open("/dev/wormhole", O_RDWR | O_CLOEXEC);
    struct wormhole_vm_open wish = {.kvm_fd = vm_of(qemu)};
    int vm = ioctl(device, WORMHOLE_VM_OPEN, &wish);

    if (vm < 0)
        die("WORMHOLE_VM_OPEN");
    close(wish.kvm_fd);
    close(device);
    return vm;
}

/* VMCALL, EPT violation and misconfiguration (a doorbell), VMFUNC: what a call that leaves the VM
 * leaves by. And HLT and PAUSE, by which it waits: but so does the other vCPU, which has nothing to
 * do, for its next tick. The console's port I/O and the timer's MSR are not. */
static bool is_of_calls(int reason)
{
    bool waits = reason == 12 || reason == 40;

    return (waits && vcpus == 1) || reason == 18 || reason == 48 || reason == 49 || reason == 59;
}

static unsigned long long sum(const unsigned long long *before, const unsigned long long *after,
                              bool (*counts)(int reason))
{
    unsigned long long sum = 0;

    for (int i = 0; i < WORMHOLE_REASONS; i++)
        if (counts(i))
            sum += after[i] - before[i];
    return sum;
}

static bool is_from_inside(int reason)
{
    return !is_from_outside(reason);
}

static void judge(const char *part, unsigned long count, const struct counts *before,
                  const struct counts *after, unsigned long long ticks)
{
    unsigned long long calls = after->views.entered - before->views.entered;
    unsigned long long outside = sum(before->vm.exits, after->vm.exits, is_of_calls);

    printf("# %s: %lu calls, %llu entered the view, %llu suspended; %llu ticks of the clock each; ",
           part, count, calls, after->views.suspended - before->views.suspended,
           ticks / (count ? count : 1));
    print_exits(&before->vm, &after->vm, before->views.exits, after->views.exits);
    if (strcmp(part, "gate") == 0) {
        verdict(calls >= count, "every call of the loop enters the view");
        verdict(sum(before->views.exits, after->views.exits, is_from_inside) == 0,
                "no exit in the view is caused by a call");
        /* Memory that is touched for the first time is a violation each. */
        verdict(outside < 200, "no exit outside is caused by a call");
    } else if (strcmp(part, "ivshmem") == 0) {
        verdict(calls == 0 && outside >= count,
                "over ivshmem each call is an exit, and none enters a view");
    } else {
        verdict(after->vm.exits[18] - before->vm.exits[18] >= count, "each hypercall is an exit");
    }
}

int main(int argc, char **argv)
{
    static const char *const vms[] = {"guest", NULL};
    struct counts before = {0}, after;
    char line[512], part[32] = "", name[32];
    unsigned long count = 0;
    unsigned long long ticks;
    int vm = -1, status, guest = -1;
    FILE *to, *from;

    if (argc < 4)
        return 2;
    setbuf(stdout, NULL);
    vcpus = atoi(argv[2]);
    daemon_of_vm = daemon_start("cuda", vms);
    pid_t qemu = start_qemu(argv + 3, &to, &from);
    while (fgets(line, sizeof(line), from)) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line)
            printf("# guest: %s\n", line);
        if (sscanf(line, "part %31s %lu", part, &count) == 2) {
            continue;
        } else if (strcmp(line, "start") == 0) {
            vm = vm < 0 ? open_vm(qemu) : vm;
            before = read_counts(vm);
            go_on(to);
        } else if (sscanf(line, "done %31s %llu", name, &ticks) == 2) {
            after = read_counts(vm);
            go_on(to);
            judge(part, count, &before, &after, ticks);
        } else if (strcmp(line, "looping") == 0 && strcmp(part, "killed") == 0) {
            kill_worker();
        } else if (strstr(line, "killed by signal 9")) {
            verdict(true, "the client says why its session ended");
        } else if (sscanf(line, "lost %d", &status) == 1) {
            verdict(status == 46, "a worker that dies ends its session with the API's error");
        } else if (strncmp(line, "sessions ", 9) == 0) {
            look_for_leaks();
            go_on(to);
        } else if (strncmp(line, "computed ", 9) == 0 || strncmp(line, "output ", 7) == 0) {
            verdict(strstr(argv[1], line), "a program's results are as they are natively");
        } else if (sscanf(line, "end %d", &status) == 1) {
            guest = status;
        }
    }
    waitpid(qemu, &status, 0);
    verdict(guest == 0, "the guest's programs had no complaint");
    verdict(daemon_said(daemon_of_vm, "calls are exitless"),
            "the daemon says that calls are exitless");
    daemon_stop(daemon_of_vm, SIGTERM);
    return conclude();
}
