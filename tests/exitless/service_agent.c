/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only program of a stock Linux guest that is a service VM. Its first process reads commands on
 * the console (service_host.c) and starts the agent again when it has ended, as any init does. The
 * agent starts workers, one after the other, offers the host their memory by the port, and ends
 * their views when they have ended. A worker does nothing but to be there: its variables are what
 * the calls of the other VM work on.
 *
 *   host: read                    guest: counted TOTAL COUNT SUM CANARIES
 *   host: kill agent|worker       that one, by SIGKILL
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "callee.h"
#include "channel/fixed.h"
#include "linux_test.h"
#include "service_lies.h"

#define PAGE   4096u
#define CANARY 0xc0ffee0ddba11c0dull

/* Ordinary variables of a program, whole pages of it. */
static union {
    struct callee_data data;
    uint8_t bytes[PAGE];
} memory __attribute__((aligned(PAGE)));
static uint8_t code[4 * PAGE] __attribute__((aligned(PAGE)));

extern const uint8_t callee_binary[], callee_binary_end[];

/* Of all processes here. */
static struct shared {
    pid_t worker;
    bool lied;
} * shared;
static int orders[2]; /* from the first process to whichever worker there is */

static void fail(const char *what)
{
    printf("failed: %s: %s\n", what, strerror(errno));
    _exit(1);
}

/* ---- the worker ---- */

static void serve(void)
{
    char order;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(orders[0], &order, 1) == 1) {
        const struct callee_data *data = &memory.data;
        int good = 0;

        for (int i = 0; i < 64; i++)
            good += data->canary[i] == CANARY;
        printf("counted %lu %lu %lx %d\n", data->total, data->lane[0].count, data->lane[0].sum,
               good);
    }
    _exit(0);
}

/* ---- the agent ---- */

static int port;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    vdprintf(port, format, values);
    va_end(values);
}

/* The host's next answer that begins with one of these words. */
static const char *await(const char *either, const char *other)
{
    static FILE *from;
    static char line[512];

    from = from ? from : fdopen(dup(port), "r");
    while (fgets(line, sizeof(line), from)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, either, strlen(either)) == 0 || strncmp(line, other, strlen(other)) == 0)
            return line;
    }
    fail("the port");
    return "";
}

static void open_port(void)
{
    struct termios raw;

    port = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (port < 0 || tcgetattr(port, &raw))
        fail("/dev/ttyS1");
    cfmakeraw(&raw);
    tcsetattr(port, TCSANOW, &raw);
    say("agent 1\n");
    await("host ", "host ");
}

/* The worker's pages, as they are for the program, but where the host can find them. */
static void prepare(struct wh_fixed *fixed, uint64_t *code_at, uint64_t *data_at)
{
    struct wh_error error;

    memset(&memory, 0, sizeof(memory));
    for (int i = 0; i < 64; i++)
        memory.data.canary[i] = CANARY;
    memcpy(code, callee_binary, (size_t)(callee_binary_end - callee_binary));
    fixed->used = 0; /* what was there is in no view any more */
    if (wh_fixed_move(fixed, code, sizeof(code), code_at, &error) ||
        wh_fixed_move(fixed, &memory, sizeof(memory), data_at, &error)) {
        printf("failed: %s\n", error.text);
        _exit(1);
    }
}

static const char *offer(unsigned number, uint64_t code_at, uint64_t data_at)
{
    say("view %x %lx %lx %x 2 2710\n", number, LINUX_GATE, CALLEE_CODE, CALLEE_LANES);
    say("range %lx %zx %lx %x\n", code_at, sizeof(code), CALLEE_CODE, WORMHOLE_EXECUTE);
    say("range %lx %x %lx %x\n", data_at, PAGE, CALLEE_DATA, WORMHOLE_WRITE);
    say("make %x\n", number);
    return await("made ", "refused ");
}

/* Every lie is told and refused before the first worker is there. */
static void lie(const struct wh_fixed *fixed)
{
    static const uint8_t vmfunc[] = {0x0f, 0x01, 0xd4};

    memset(fixed->device.memory, 0, SERVICE_STRAY + PAGE);
    memcpy(fixed->device.memory + SERVICE_STRAY + 100, vmfunc, sizeof(vmfunc));
    for (const struct lie *lie = lies; lie->name; lie++) {
        say("view f %lx %lx 1 1 1\n", LINUX_GATE, CALLEE_CODE);
        for (int i = 0; i < lie->times; i++)
            say("range %lx %lx %lx %x\n", lie->address + (lie->here ? fixed->physical : 0),
                lie->size, lie->at + (uint64_t)i * lie->step, lie->flags);
        say("range %lx 1000 %lx 2\n", fixed->physical, CALLEE_CODE);
        say("make f\n");
        printf("lie %s: %s\n", lie->name, await("made ", "refused "));
    }
    shared->lied = true;
    printf("lied\n");
}

static void be_agent(void)
{
    struct wh_fixed fixed;
    struct wh_error error;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (wh_fixed_open("", &fixed, &error)) {
        printf("failed: %s\n", error.text);
        _exit(1);
    }
    open_port();
    if (!shared->lied)
        lie(&fixed);
    for (unsigned number = 1;; number++) {
        uint64_t code_at, data_at;

        prepare(&fixed, &code_at, &data_at);
        shared->worker = fork();
        if (shared->worker == 0)
            serve();
        printf("offer: %s\n", offer(number, code_at, data_at));
        waitpid(shared->worker, NULL, 0);
        say("end %x\n", number);
        await("ended ", "ended ");
    }
}

/* ---- the first process ---- */

static void obey(const char *line, pid_t agent)
{
    if (strcmp(line, "read\n") == 0 && write(orders[1], "r", 1) != 1)
        fail("the worker's pipe");
    else if (strcmp(line, "kill worker\n") == 0)
        kill(shared->worker, SIGKILL);
    else if (strcmp(line, "kill agent\n") == 0)
        kill(agent, SIGKILL);
}

static pid_t start_agent(void)
{
    pid_t pid = fork();

    if (pid == 0)
        be_agent();
    return pid;
}

/* Its children's ends come by a descriptor, so that nobody has to look for them. */
int main(void)
{
    struct pollfd ends[2] = {{.fd = 0, .events = POLLIN}, {.events = POLLIN}};
    char line[64];
    sigset_t child;
    struct termios quiet;

    setvbuf(stdout, NULL, _IOLBF, 0);
    setbuf(stdin, NULL);
    for (const char *const *name = (const char *const[]){"proc", "sysfs", "devtmpfs", NULL}; *name;
         name++) {
        const char *where = **name == 'd' ? "/dev" : **name == 's' ? "/sys" : "/proc";

        mkdir(where, 0555);
        mount(*name, where, *name, 0, NULL);
    }
    if (tcgetattr(0, &quiet) == 0) {
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(0, TCSANOW, &quiet);
    }
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || pipe(orders))
        fail("memory and a pipe");
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    ends[1].fd = signalfd(-1, &child, SFD_CLOEXEC);
    pid_t agent = start_agent();
    while (poll(ends, 2, -1) > 0) {
        struct signalfd_siginfo info;

        if (ends[0].revents && fgets(line, sizeof(line), stdin))
            obey(line, agent);
        if (ends[1].revents && read(ends[1].fd, &info, sizeof(info)) > 0)
            for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
                if (pid == agent)
                    agent = start_agent();
    }
    return 1;
}
