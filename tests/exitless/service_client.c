/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only program of a stock Linux guest whose calls run in a service VM's memory: an ordinary
 * process. It does what service_host.c tells it on the console:
 *
 *   host: go INDEX KEY...      guest: (the view of the calls to come)
 *   host: calls COUNT          guest: start, done FAILURES SUSPENDED RETRIED
 *   host: on                   to "start": the counters are read
 *   host: loop                 guest: looping, lost STATUS AFTER
 *   host: end
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <termios.h>

#include "callee.h"
#include "linux_test.h"

extern const uint8_t wh_gate_page[];

static struct wh_gate_call call = {.first = JOB_COUNT};

static bool enter(uint64_t value)
{
    call.second = value;
    ((void (*)(struct wh_gate_call *))LINUX_GATE)(&call);
    return call.status == WORMHOLE_DONE;
}

/* The callee counts from one call to the next, so that a call too many or too few is noticed. */
static void calls(uint64_t count)
{
    uint64_t first, failures = 0;
    char answer[16];

    call.suspended = call.retried = 0;
    printf("start\n");
    if (scanf("%15s", answer) != 1 || !enter(0)) {
        printf("done 1 0 0\n");
        return;
    }
    first = call.value;
    for (uint64_t i = 1; i < count; i++)
        failures += !enter(i) || call.value != first + i;
    printf("done %lu %lu %lu\n", failures, call.suspended, call.retried);
}

static void loop(void)
{
    uint64_t after = 0;

    while (enter(after))
        if (++after == 1000)
            printf("looping\n");
    printf("lost %lu %lu\n", call.status, after);
}

int main(void)
{
    uint8_t *gate = mmap((void *)LINUX_GATE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    struct termios quiet;
    uint64_t count;
    char word[16];

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (tcgetattr(0, &quiet) == 0) {
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(0, TCSANOW, &quiet);
    }
    memcpy(gate, wh_gate_page, 4096);
    printf("ready\n");
    while (scanf("%15s", word) == 1 && strcmp(word, "end") != 0) {
        if (strcmp(word, "go") == 0 && scanf("%lu %lx %lx %lx %lx", &call.index, &call.key[0],
                                             &call.key[1], &call.key[2], &call.key[3]) != 5)
            printf("what?\n");
        else if (strcmp(word, "calls") == 0 && scanf("%lu", &count) == 1)
            calls(count);
        else if (strcmp(word, "loop") == 0)
            loop();
    }
    printf("over\n");
    reboot(RB_AUTOBOOT);
    return 0;
}
