/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wormhole-worker: one process that serves one session and ends with it. Started by the daemon
 * only, with fixed descriptors: 3 is the sign of life of client or server (for `unix` the client's
 * own socket), 4 the shared memory, 5 the eventfd that the guest or the daemon rings (`ivshmem`), 6
 * its tenant's ledger, 7 the socket through which sessions of one tenant exchange things, 8 the
 * exitless path's module, or in a service VM the memory for views, when there is one. It must never
 * outlive its client, and never touch descriptors that it was not given.
 */
#include "backend/cuda/backend.h"
#include "backend/nvml/backend.h"
#include "backend/opencl/backend.h"
#include "base/log.h"
#include "base/util.h"
#include "channel/shm.h"
#include "channel/unix.h"
#include "worker/crash.h"
#include "worker/exchange.h"
#include "worker/gate.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#define LIFE_FD   3
#define MEMORY_FD 4
#define BELL_FD   5
#define LEDGER_FD 6
#define TALK_FD   7
#define GATE_FD   8

#define LONGEST_NAP_US 1000u
#define RELAYED_NAP_US 100000u /* at most so late is a message whose ring was lost */

/* What the daemon asks for, and what came of it. */
struct job {
    bool ivshmem;  /* else unix */
    bool nap;      /* nobody can ring: no eventfd */
    bool relayed;  /* who rings has to hear of it from others */
    bool ledger;   /* there is one */
    bool gate;     /* the session gets a view, if it can */
    bool is_fixed; /* of memory in descriptor 8, from there on */
    uint64_t fixed;
    uint32_t session, account, accounts;
    uint64_t offset, size, api_hash, ledger_offset;
    const char *api;
    struct wh_hearing hearing;
    struct wh_shm *shm;
    struct wh_worker worker;
    struct wh_backend backend;
};

/* The APIs that this worker can serve. */
static const struct {
    const struct wh_api *api;
    int (*open)(struct wh_worker *worker, struct wh_backend *backend, struct wh_error *error);
} backends[] = {
    {&wh_opencl_api, wh_opencl_open},
    {&wh_cuda_api, wh_cuda_open},
    {&wh_nvml_api, wh_nvml_open},
};

/* ---- arguments ---- */

enum {
    OPTION_TRANSPORT = 256,
    OPTION_SESSION,
    OPTION_OFFSET,
    OPTION_SIZE,
    OPTION_API,
    OPTION_API_HASH,
    OPTION_ACCOUNT,
    OPTION_ACCOUNTS,
    OPTION_LEDGER,
    OPTION_NAP,
    OPTION_RELAYED,
    OPTION_GATE,
    OPTION_FIXED
};

static const struct argp_option options[] = {
    {"transport", OPTION_TRANSPORT, "unix|ivshmem", 0, "How the client reaches this session", 0},
    {"session", OPTION_SESSION, "N", 0, "The session's number, for messages", 0},
    {"offset", OPTION_OFFSET, "BYTES", 0, "Where the session's segment starts in descriptor 4", 0},
    {"size", OPTION_SIZE, "BYTES", 0, "Its size", 0},
    {"api", OPTION_API, "NAME", 0, "The accelerator API", 0},
    {"api-hash", OPTION_API_HASH, "HEX", 0, "The client's description of it", 0},
    {"account", OPTION_ACCOUNT, "N", 0, "The session's account in its tenant's ledger", 0},
    {"accounts", OPTION_ACCOUNTS, "N", 0, "How many accounts are in there", 0},
    {"ledger", OPTION_LEDGER, "BYTES", 0, "Where it starts in descriptor 6", 0},
    {"nap", OPTION_NAP, NULL, 0, "Nobody can ring: look at the ring now and then", 0},
    {"relayed", OPTION_RELAYED, NULL, 0, "Rings come by way of another machine: some may get lost",
     0},
    {"gate", OPTION_GATE, NULL, 0, "The client may be let into a view of this process", 0},
    {"fixed", OPTION_FIXED, "BYTES", 0,
     "In a service VM: descriptor 8 is memory that never moves, and there is this session's", 0},
    {0},
};

static uint64_t parse_number(const char *text, int base, struct argp_state *state)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, base);
    if (errno || *end || !*text)
        argp_error(state, "%s is not a number", text);
    return value;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct job *job = state->input;
    switch (key) {
    case OPTION_TRANSPORT:
        job->ivshmem = strcmp(value, "ivshmem") == 0;
        if (!job->ivshmem && strcmp(value, "unix") != 0)
            argp_error(state, "%s is not a transport", value);
        return 0;
    case OPTION_SESSION:
        job->session = (uint32_t)parse_number(value, 10, state);
        return 0;
    case OPTION_OFFSET:
        job->offset = parse_number(value, 10, state);
        return 0;
    case OPTION_SIZE:
        job->size = parse_number(value, 10, state);
        return 0;
    case OPTION_API:
        job->api = value;
        return 0;
    case OPTION_API_HASH:
        job->api_hash = parse_number(value, 16, state);
        return 0;
    case OPTION_ACCOUNT:
        job->account = (uint32_t)parse_number(value, 10, state);
        job->ledger = true;
        return 0;
    case OPTION_ACCOUNTS:
        job->accounts = (uint32_t)parse_number(value, 10, state);
        return 0;
    case OPTION_LEDGER:
        job->ledger_offset = parse_number(value, 10, state);
        return 0;
    case OPTION_NAP:
        job->nap = true;
        return 0;
    case OPTION_RELAYED:
        job->relayed = true;
        return 0;
    case OPTION_GATE:
        job->gate = true;
        return 0;
    case OPTION_FIXED:
        job->fixed = parse_number(value, 10, state);
        job->is_fixed = true;
        return 0;
    case ARGP_KEY_END:
        if (!job->api)
            argp_error(state, "wormhole-worker is started by wormholed, not by hand");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {.options = options,
                                   .parser = parse_option,
                                   .doc = "Serves one session of Wormhole. Started by wormholed."};

/* ---- threads beside the dispatch loop ---- */

/* The other side's death ends the process, whatever its other threads wait for. */
static void *watch_life(void *argument)
{
    struct job *job = argument;
    struct pollfd life = {.fd = LIFE_FD, .events = POLLRDHUP};
    while (poll(&life, 1, -1) <= 0)
        ;
    /* A client in a VM sees no socket close: if it is the server that is gone, this tells it. */
    if (job->ivshmem && atomic_load(&job->shm->segment->state) == WH_SEGMENT_OPEN)
        job->shm->channel.ops->end(&job->shm->channel, "the server is gone");
    _exit(EXIT_SUCCESS);
}

/* Text that appears while no call returns goes to the client too. */
static void *watch_output(void *argument)
{
    struct wh_output *output = argument;
    int fds[2];
    wh_output_fds(output, fds);
    struct pollfd ready[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
    for (;;) {
        if (poll(ready, 2, -1) > 0)
            wh_output_flush(output);
    }
    return NULL;
}

static int start_thread(void *(*run)(void *), void *argument, struct wh_error *error)
{
    pthread_t thread;
    int code = pthread_create(&thread, NULL, run, argument);
    if (code)
        return wh_error_set(error, code, "the worker cannot start a thread: %s", strerror(code));
    pthread_detach(thread);
    return 0;
}

/* ---- from start to serving ---- */

/* The library's own child processes (compilers) must not hold the session open. */
static int claim_descriptors(const struct job *job, struct wh_error *error)
{
    bool bell = job->ivshmem && !job->nap;
    for (int fd = LIFE_FD; fd <= LEDGER_FD; fd++)
        if ((fd != BELL_FD || bell) && (fd != LEDGER_FD || job->ledger) &&
            fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            return wh_error_set(error, EBADF, "the worker was started without descriptor %d", fd);
    if (fcntl(TALK_FD, F_SETFD, FD_CLOEXEC) == 0)
        wh_exchange_use(TALK_FD);
    if (job->gate && fcntl(GATE_FD, F_SETFD, FD_CLOEXEC) < 0)
        return wh_error_set(error, EBADF, "the worker was started without descriptor %d", GATE_FD);
    int log = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, GATE_FD + 1);
    if (log >= 0)
        wh_log_to(log);
    return 0;
}

static int open_backend(struct job *job, struct wh_error *error)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        const struct wh_api *api = backends[i].api;
        if (strcmp(api->name, job->api) != 0)
            continue;
        if (api->hash != job->api_hash)
            return wh_error_set(
                error, EPROTONOSUPPORT,
                "client and server describe %s differently (%016llx and %016llx), though both are "
                "Wormhole %s; install the same build on both sides",
                api->name, (unsigned long long)job->api_hash, (unsigned long long)api->hash,
                WH_VERSION);
        atomic_init(&job->worker.deferred, api->success);
        return backends[i].open(&job->worker, &job->backend, error);
    }
    return wh_error_set(error, ENOSYS, "the server's Wormhole %s cannot serve the API '%s'",
                        WH_VERSION, job->api);
}

/* Tells the client that the session is open. */
static int welcome(struct job *job, struct wh_error *error)
{
    struct wh_shm *shm = job->shm;
    if (job->ivshmem) {
        shm->park = (struct wh_park){.kind = WH_PARK_EVENTFD, .fd = BELL_FD};
        if (job->nap)
            shm->park = (struct wh_park){.kind = WH_PARK_NAP, .longest_us = LONGEST_NAP_US};
        if (job->relayed) {
            shm->park.longest_us = RELAYED_NAP_US;
            shm->park.hearing = &job->hearing;
        }
        shm->bell.kind = shm->listener_bell.kind = WH_BELL_NONE;
    }
    /* Release pairs with the client's acquire: the control area is set up. */
    atomic_store_explicit(&shm->segment->state, WH_SEGMENT_OPEN, memory_order_release);
    return job->ivshmem ? 0 : wh_unix_welcome(shm, LIFE_FD, job->session, error);
}

/* A session without a view is a session as others are. */
static void open_gate(struct job *job)
{
    struct wh_error error = {0};
    struct wh_fixed fixed = {0}, *where = job->is_fixed ? &fixed : NULL;
    if (!job->gate)
        return;
    if ((where && wh_fixed_use(GATE_FD, job->fixed, WH_EXCHANGE_FIXED, where, &error) < 0) ||
        wh_gate_open(&job->worker, job->shm, GATE_FD, where, &error) < 0)
        wh_log("session %u: calls travel by ivshmem: %s", job->session, error.text);
    if (where && where->used == 0) /* others may need it */
        (void)wh_exchange_give_back();
    if (where)
        wh_fixed_close(where);
    close(GATE_FD);
}

static int start(struct job *job, struct wh_error *error)
{
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (wh_shm_open_worker(MEMORY_FD, job->offset, job->size, &job->shm, error) < 0)
        return -1;
    if (job->ledger && wh_ledger_open(&job->worker.ledger, LEDGER_FD, job->ledger_offset,
                                      job->accounts, job->account, error) < 0)
        return -1;
    wh_crash_report_to(job->shm->segment, job->ivshmem ? -1 : LIFE_FD);
    job->worker.channel = &job->shm->channel;
    job->worker.session = job->session;
    job->worker.table = wh_table_new();
    if (!job->worker.table)
        return wh_error_set(error, ENOMEM, "the worker is out of memory");
    if (wh_sandbox_enter(error) < 0 || start_thread(watch_life, job, error) < 0)
        return -1;
    setenv("WORMHOLE_WORKER", "1", 1);
    job->worker.output = wh_output_new(&job->worker, error);
    if (!job->worker.output || open_backend(job, error) < 0)
        return -1;
    open_gate(job);
    if (welcome(job, error) < 0)
        return -1;
    return start_thread(watch_output, job->worker.output, error);
}

/* The client learns why there is no session; the log too. */
static void give_up(struct job *job, const struct wh_error *error)
{
    wh_log("session %u does not start: %s", job->session, error->text);
    if (job->shm)
        job->shm->channel.ops->end(&job->shm->channel, error->text);
    if (!job->ivshmem)
        wh_unix_refuse(LIFE_FD, error);
    /* No exit handlers: those of a half-initialised library may wait for what never comes. */
    _exit(EXIT_FAILURE);
}

/* Before anything is allocated, the parser's own things too. */
static bool wants_gate(char **argv)
{
    while (*argv && strcmp(*argv, "--gate") != 0)
        argv++;
    return *argv;
}

int main(int argc, char **argv)
{
    struct wh_error error = {0};
    if (wants_gate(argv))
        wh_gate_prepare();
    struct job *job = calloc(1, sizeof(*job)); /* not static: views show the heap */
    if (!job || argp_parse(&parser, argc, argv, 0, NULL, job) != 0)
        return EXIT_FAILURE;
    if (claim_descriptors(job, &error) < 0) {
        wh_log("%s", error.text);
        return EXIT_FAILURE;
    }
    if (start(job, &error) < 0)
        give_up(job, &error);
    wh_worker_serve(&job->worker);
    _exit(EXIT_SUCCESS);
}
