/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beside a wormholed that serves a stock Linux guest: `cuda_host ADMIN EXPECTED QEMU ARG...` starts
 * QEMU, reads the counters of the module around the guest's loops, as the guest says "start" and
 * "done", and compares. The guest runs ordinary CUDA programs (guest-cuda, cuda_calls.c): over the
 * gate, over ivshmem, and hypercalls. EXPECTED has what the computing programs print natively.
 */
#include "qemu.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct counts {
    int worker; /* of a session that there is */
    struct wormhole_vm_stats vm;
    unsigned long long calls, suspended; /* of all views that there are */
    __u64 exits[WORMHOLE_REASONS];
};

/* The daemon's report, as `wormhole top` gets it. */
static FILE *ask_daemon(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec bytes = {&byte, 1};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), report;

    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
        recvmsg(fd, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
        die("the daemon's report");
    memcpy(&report, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(report));
    close(fd);
    return fdopen(report, "r");
}

static void add_view(struct counts *counts, const char *line)
{
    unsigned long long calls, suspended, exits;
    unsigned reason;
    int at;

    if (sscanf(line, "view %*u entered %*u calls %llu suspended %llu", &calls, &suspended) != 2)
        return;
    counts->calls += calls;
    counts->suspended += suspended;
    line = strstr(line, " exits");
    for (line = line ? line + 6 : ""; sscanf(line, " %u:%llu%n", &reason, &exits, &at) == 2;
         line += at)
        if (reason < WORMHOLE_REASONS)
            counts->exits[reason] += exits;
}

static struct counts read_counts(int vm, const char *admin)
{
    struct counts counts = {0};
    char line[1024];

    if (ioctl(vm, WORMHOLE_VM_STATS, &counts.vm))
        die("WORMHOLE_VM_STATS");
    FILE *report = ask_daemon(admin);
    while (fgets(line, sizeof(line), report)) {
        add_view(&counts, line);
        (void)sscanf(line, "session %*u tenant %*s api %*s client %*u worker %d", &counts.worker);
    }
    fclose(report);
    return counts;
}

/* Once the client is at it, its worker dies. */
static void kill_worker(int vm, const char *admin)
{
    struct counts first = read_counts(vm, admin), now;

    do
        now = read_counts(vm, admin);
    while (now.calls < first.calls + 100);
    kill(now.worker, SIGKILL);
}

/* The daemon notices by and by; what is left after a while stays. */
static void look_for_leaks(void)
{
    const struct timespec moment = {.tv_nsec = 50000000};
    struct wormhole_info info = {.views = 1};
    int device = open("/dev/wormhole", O_RDWR | O_CLOEXEC);

    for (int i = 0; i < 400 && info.views > 0; i++) {
        nanosleep(&moment, NULL);
        if (ioctl(device, WORMHOLE_INFO, &info))
            die("WORMHOLE_INFO");
    }
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

/* HLT, VMCALL, PAUSE, EPT violation and misconfiguration (a doorbell), VMFUNC: what a call that
 * leaves the VM leaves by, or what waiting for it does. The console's port I/O and the timer's MSR
 * are not. */
static bool is_of_calls(int reason)
{
    return reason == 12 || reason == 18 || reason == 40 || reason == 48 || reason == 49 ||
           reason == 59;
}

static unsigned long long sum(const __u64 *before, const __u64 *after, bool (*counts)(int reason))
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
    unsigned long long calls = after->calls - before->calls;
    unsigned long long outside = sum(before->vm.exits, after->vm.exits, is_of_calls);

    printf("# %s: %lu calls, %llu entered the view, %llu suspended; %llu instructions each; ", part,
           count, calls, after->suspended - before->suspended, ticks / (count ? count : 1));
    print_exits(&before->vm, &after->vm, before->exits, after->exits);
    if (strcmp(part, "gate") == 0) {
        verdict(calls >= count, "every call of the loop enters the view");
        verdict(sum(before->exits, after->exits, is_from_inside) == 0,
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
    struct counts before = {0}, after;
    char line[512], part[32] = "", name[32];
    unsigned long count = 0;
    unsigned long long ticks;
    int vm = -1, status, guest = -1;
    FILE *to, *from;

    if (argc < 4)
        return 2;
    setbuf(stdout, NULL);
    pid_t qemu = start_qemu(argv + 3, &to, &from);
    while (fgets(line, sizeof(line), from)) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line)
            printf("# guest: %s\n", line);
        if (sscanf(line, "part %31s %lu", part, &count) == 2) {
            continue;
        } else if (strcmp(line, "start") == 0) {
            vm = vm < 0 ? open_vm(qemu) : vm;
            before = read_counts(vm, argv[1]);
            go_on(to);
        } else if (sscanf(line, "done %31s %llu", name, &ticks) == 2) {
            after = read_counts(vm, argv[1]);
            go_on(to);
            judge(part, count, &before, &after, ticks);
        } else if (strcmp(line, "looping") == 0 && strcmp(part, "killed") == 0) {
            kill_worker(vm, argv[1]);
        } else if (strstr(line, "killed by signal 9")) {
            verdict(true, "the client says why its session ended");
        } else if (sscanf(line, "lost %d", &status) == 1) {
            verdict(status == 46, "a worker that dies ends its session with the API's error");
        } else if (strncmp(line, "sessions ", 9) == 0) {
            look_for_leaks();
            go_on(to);
        } else if (strncmp(line, "computed ", 9) == 0 || strncmp(line, "output ", 7) == 0) {
            verdict(strstr(argv[2], line), "a program's results are as they are natively");
        } else if (sscanf(line, "end %d", &status) == 1) {
            guest = status;
        }
    }
    waitpid(qemu, &status, 0);
    verdict(guest == 0, "the guest's programs had no complaint");
    return conclude();
}
