/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first and only process of a stock Linux guest under QEMU: an ordinary ring-3 program, with
 * the kernel as it is. linux_host.c reads what it says, a line each, and answers:
 *
 *   guest: ready                  the gate page is in place
 *   host:  go INDEX COUNT         the view is bound
 *   guest: start, done ...        around the calls of each part; what it found
 *   host:  on                     to each of these: the counters are read
 *
 * Its processes call at once, each on a lane of its own, and the kernel schedules them as it likes.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "callee.h"
#include "linux_test.h"

extern const uint8_t wh_gate_page[];

/* The host reads its counters now; it says when it has. */
static void tell(const char *what, const char *part, int failures)
{
    char answer[16];

    if (part)
        printf("%s %s %d\n", what, part, failures);
    else
        printf("%s\n", what);
    if (scanf("%15s", answer) != 1)
        printf("the host said nothing\n");
}

static struct wh_gate_call call_for(uint64_t index, uint64_t lane, uint64_t job)
{
    struct wh_gate_call call = {.index = index, .lane = lane, .first = job};

    for (int i = 0; i < 4; i++)
        call.key[i] = LINUX_KEY(i);
    return call;
}

static void enter(struct wh_gate_call *call)
{
    ((void (*)(struct wh_gate_call *))LINUX_GATE)(call);
}

/* One process's calls; its status says whether all were right. */
static int count_calls(uint64_t index, uint64_t lane, uint64_t count)
{
    struct wh_gate_call call = call_for(index, lane, JOB_COUNT);

    for (uint64_t i = 0; i < count; i++) {
        call.second = i;
        enter(&call);
        if (call.status != WORMHOLE_DONE || call.value != i + 1) {
            printf("lane %lu call %lu: status %lu value %lu\n", lane, i, call.status, call.value);
            return 1;
        }
    }
    printf("lane %lu: suspended %lu retried %lu\n", lane, call.suspended, call.retried);
    return 0;
}

static int work_calls(uint64_t index, uint64_t lane, uint64_t count)
{
    struct wh_gate_call call = call_for(index, lane, JOB_WORK);
    uint64_t expected = callee_work(LINUX_ROUNDS + lane);

    for (uint64_t i = 0; i < count; i++) {
        call.second = LINUX_ROUNDS + lane;
        enter(&call);
        if (call.status != WORMHOLE_DONE || call.value != expected) {
            printf("lane %lu work %lu: status %lu, %lx instead of %lx\n", lane, i, call.status,
                   call.value, expected);
            return 1;
        }
    }
    printf("lane %lu: suspended %lu retried %lu\n", lane, call.suspended, call.retried);
    return 0;
}

static int together(int processes, int (*part)(uint64_t, uint64_t, uint64_t), uint64_t index,
                    uint64_t first_lane, uint64_t count)
{
    int failures = 0, status;

    for (int i = 0; i < processes; i++)
        if (fork() == 0)
            _exit(part(index, first_lane + (uint64_t)i, count));
    while (wait(&status) > 0)
        failures += status != 0;
    return failures;
}

/* Whoever has not got the key dies of it, by the kernel's own hand. */
static int intruder(uint64_t index)
{
    struct wh_gate_call call = call_for(index, 0, JOB_COUNT);
    int status;

    call.key[2] ^= 4;
    enter(&call);
    if (call.status != WORMHOLE_BAD_KEY)
        return 1;
    if (fork() == 0) {
        call.index = index + 1; /* nothing is bound there */
        enter(&call);
        _exit(0);
    }
    wait(&status);
    return !WIFSIGNALED(status) || WTERMSIG(status) != SIGILL;
}

static void vmcalls(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = 99;

        asm volatile("vmcall" : "+a"(number) : : "memory");
    }
}

/* What the kernel says the CPU has, and does: both change CR3 between user and kernel mode. */
static void show_flags(void)
{
    char line[4096] = "";
    bool pti = false, pcid = false;

    mkdir("/proc", 0555);
    mount("proc", "/proc", "proc", 0, NULL);
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof(line), file)) {
        pti = pti || strstr(line, " pti");
        pcid = pcid || strstr(line, " pcid");
    }
    printf("isolation %d %d\n", pti, pcid);
}

int main(void)
{
    uint64_t index = 0, count = 0;
    uint8_t *gate = mmap((void *)LINUX_GATE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    int failures = 0;

    setbuf(stdout, NULL);
    memcpy(gate, wh_gate_page, 4096);
    show_flags();
    printf("ready\n");
    if (scanf("go %lu %lu", &index, &count) != 2)
        printf("what?\n");
    tell("start", NULL, 0);
    failures += count_calls(index, 0, count);
    tell("done", "calls", failures);
    tell("start", NULL, 0);
    failures += together(2, count_calls, index, 1, count / 2);
    tell("done", "together", failures);
    tell("start", NULL, 0);
    failures += together(2, work_calls, index, 3, 20);
    tell("done", "work", failures);
    tell("start", NULL, 0);
    failures += intruder(index);
    tell("done", "intruder", failures);
    tell("start", NULL, 0);
    vmcalls(1000);
    tell("done", "vmcalls", failures);
    printf("end %d\n", failures);
    reboot(RB_AUTOBOOT);
    return 0;
}
