/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker and daemon for a stock Linux guest under stock QEMU: `linux_host COUNT QEMU ARG...` starts
 * QEMU with the guest's console on its own pipes, takes QEMU's descriptor of the VM, binds a view
 * when the guest is ready, and compares what the guest says it did with what was done and with the
 * module's counters. TAP on stdout.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "callee.h"
#include "linux_test.h"
#include "qemu.h"

extern const uint8_t callee_binary[], callee_binary_end[];

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

    printf("# %s: %llu calls, suspended %llu retried %llu forwarded %llu strays %llu; ", part,
           after->view.calls - before->view.calls,
           after->view.suspensions - before->view.suspensions,
           after->view.retries - before->view.retries, after->view.forwards - before->view.forwards,
           after->view.strays - before->view.strays);
    print_exits(&before->vm, &after->vm, before->view.exits, after->view.exits);
    for (int i = 0; i < WORMHOLE_REASONS; i++)
        innocent =
            innocent && (after->view.exits[i] == before->view.exits[i] || is_from_outside(i));
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
    return conclude();
}
