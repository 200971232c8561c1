/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker and daemon for a stock Linux guest under stock QEMU: `linux_host COUNT QEMU ARG...` starts
 * QEMU with the guest's console on its own pipes, takes QEMU's descriptor of the VM, binds a view
 * when the guest is ready, and compares what the guest says it did with what was done and with the
 * module's counters. TAP on stdout.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "callee.h"
#include "linux_test.h"

extern const uint8_t callee_binary[], callee_binary_end[];

static int tests, failures;

static void verdict(bool good, const char *name)
{
    tests++;
    failures += !good;
    printf("%s %d - %s\n", good ? "ok" : "not ok", tests, name);
}

static _Noreturn void die(const char *what)
{
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The VM's descriptor, among those that QEMU has. */
static int vm_of(pid_t pid)
{
    char folder[64], path[400], target[64];
    int found = -1;

    snprintf(folder, sizeof(folder), "/proc/%d/fd", pid);
    DIR *dir = opendir(folder);
    if (!dir)
        die(folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        if (length > 0 && strncmp(target, "anon_inode:kvm-vm", (size_t)length) == 0 && length == 17)
            found = atoi(entry->d_name);
    }
    closedir(dir);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int vm = (int)syscall(SYS_pidfd_getfd, pidfd, found, 0);
    if (vm < 0)
        die("QEMU's descriptor of the VM");
    close(pidfd);
    return vm;
}

static struct callee_data *data;

static int make_view(int device)
{
    size_t size = (size_t)(callee_binary_end - callee_binary + 4095) & ~4095ull;
    uint8_t *code = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memcpy(code, callee_binary, (size_t)(callee_binary_end - callee_binary));
    data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct wormhole_range ranges[] = {
        {(uint64_t)code, size, CALLEE_CODE, WORMHOLE_EXECUTE, 0},
        {(uint64_t)data, 4096, CALLEE_DATA, WORMHOLE_WRITE, 0},
    };
    struct wormhole_view_create wish = {
        .version = WORMHOLE_VERSION,
        .gate = LINUX_GATE,
        .handler = CALLEE_CODE,
        .budget_ns = 10000000000,
        .lanes = CALLEE_LANES,
        .stack_pages = 2,
        .n_ranges = 2,
        .ranges = (uint64_t)ranges,
    };
    for (int i = 0; i < 4; i++)
        wish.key[i] = LINUX_KEY(i);
    int view = ioctl(device, WORMHOLE_VIEW_CREATE, &wish);
    if (view < 0)
        die("WORMHOLE_VIEW_CREATE");
    return view;
}

static pid_t start_qemu(char **command, FILE **to, FILE **from)
{
    int in[2], out[2];

    if (pipe(in) || pipe(out))
        die("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execv(command[0], command);
        die(command[0]);
    }
    close(in[0]);
    close(out[1]);
    *to = fdopen(in[1], "w");
    *from = fdopen(out[0], "r");
    return pid;
}

struct counts {
    struct wormhole_vm_stats vm;
    struct wormhole_view_stats view;
};

static struct counts read_counts(int vm, int view)
{
    struct counts counts;

    if (ioctl(vm, WORMHOLE_VM_STATS, &counts.vm) || ioctl(view, WORMHOLE_VIEW_STATS, &counts.view))
        die("the module's counters");
    return counts;
}

/* Exits since then by reason; those in the view may have causes from outside only. */
static bool compare(const char *part, const struct counts *before, const struct counts *after)
{
    bool innocent = true;

    printf(
        "# %s: %llu calls, suspended %llu retried %llu forwarded %llu strays %llu; exits (outside/in the view)",
        part, after->view.calls - before->view.calls,
        after->view.suspensions - before->view.suspensions,
        after->view.retries - before->view.retries, after->view.forwards - before->view.forwards,
        after->view.strays - before->view.strays);
    for (int i = 0; i < WORMHOLE_REASONS; i++) {
        uint64_t outside = after->vm.exits[i] - before->vm.exits[i];
        uint64_t inside = after->view.exits[i] - before->view.exits[i];

        if (outside || inside)
            printf(" %d:%lu/%lu", i, outside, inside);
        /* NMI, interrupt, interrupt window, TPR, preemption timer */
        if (inside && i != 0 && i != 1 && i != 7 && i != 43 && i != 52)
            innocent = false;
    }
    printf("\n");
    return innocent;
}

static void judge(const char *part, uint64_t count, const struct counts *before,
                  const struct counts *after)
{
    bool innocent = compare(part, before, after);
    uint64_t calls = after->view.calls - before->view.calls;
    uint64_t vmcalls = after->vm.exits[18] - before->vm.exits[18];

    if (strcmp(part, "vmcalls") == 0) {
        /* A guest of several vCPUs makes some of its own. */
        verdict(vmcalls >= 1000 && vmcalls < 1100, "1000 hypercalls cause 1000 exits");
        return;
    }
    if (strcmp(part, "intruder") == 0) {
        verdict(calls == 0,
                "without the key nothing is executed, and a wrong index kills the process only");
        return;
    }
    verdict(innocent && after->vm.exits[59] == before->vm.exits[59], "no exit caused by a call");
    if (strcmp(part, "calls") == 0)
        verdict(calls == count && data->lane[0].count == count,
                "one process: each call executed once");
    if (strcmp(part, "together") == 0)
        verdict(data->lane[1].count == count / 2 && data->lane[2].count == count / 2 &&
                    data->total == 2 * count,
                "two processes: each call executed once");
    if (strcmp(part, "work") == 0)
        verdict(calls == 40 && after->view.suspensions > before->view.suspensions,
                "long calls are suspended by the guest's interrupts and continue");
}

static void go_on(FILE *to)
{
    fprintf(to, "on\n");
    fflush(to);
}

int main(int argc, char **argv)
{
    struct counts before = {0}, after;
    int device = open("/dev/wormhole", O_RDWR | O_CLOEXEC), vm = -1, view = -1, status, guest = -1,
        pti, pcid;
    char line[256], part[64];
    FILE *to, *from;

    if (argc < 3)
        return 2;
    setbuf(stdout, NULL);
    if (device < 0)
        die("/dev/wormhole");
    uint64_t count = strtoull(argv[1], NULL, 10);
    pid_t qemu = start_qemu(argv + 2, &to, &from);
    while (fgets(line, sizeof(line), from)) {
        line[strcspn(line, "\r\n")] = 0;
        printf("# guest: %s\n", line);
        if (strcmp(line, "ready") == 0) {
            struct wormhole_vm_open open_vm = {.kvm_fd = vm_of(qemu)};
            struct wormhole_bind bind = {.view_fd = view = make_view(device)};

            vm = ioctl(device, WORMHOLE_VM_OPEN, &open_vm);
            close(open_vm.kvm_fd);
            if (vm < 0 || ioctl(vm, WORMHOLE_BIND, &bind))
                die("WORMHOLE_BIND");
            fprintf(to, "go %u %lu\n", bind.index, count);
            fflush(to);
        } else if (sscanf(line, "isolation %d %d", &pti, &pcid) == 2) {
            verdict(pti, "the guest isolates its page tables");
        } else if (strcmp(line, "start") == 0) {
            before = read_counts(vm, view);
            go_on(to);
        } else if (sscanf(line, "done %63s %d", part, &status) == 2) {
            after = read_counts(vm, view);
            go_on(to);
            judge(part, count, &before, &after);
        } else if (sscanf(line, "end %d", &status) == 1) {
            guest = status;
        }
    }
    waitpid(qemu, &status, 0);
    verdict(guest == 0, "the guest had no complaint");
    printf("1..%d\n", tests);
    return failures != 0;
}
