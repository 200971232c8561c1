/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fault tests share: a daemon of their own, programs under it whose output comes through
 * pipes, clients that speak the wire themselves, and waits that end with an event. Every wait has a
 * generous bound, after which the test fails; none is a measure.
 */
#ifndef WH_TESTS_FAULT_SUPPORT_H
#define WH_TESTS_FAULT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel/shm.h"
#include "opencl_api.h"

#include <stdbool.h>
#include <sys/types.h>

#define PATIENCE_MS 30000

/* ---- programs ---- */

/* A process whose stdout and stderr are read line by line, and whose stdin is ours. */
struct process {
    pid_t pid;
    int pidfd;
    int in, out, err;
    char pending[2][65536]; /* text that is not a whole line yet: stdout, stderr */
    size_t pending_size[2];
};

/* Starts `argv`; `url` (may be NULL) is its WORMHOLE_SERVER. */
void process_start(struct process *process, const char *url, const char *const *argv);

/* The next line of stdout (stream 0) or stderr (1), without its end; false at the stream's end. */
bool process_line(struct process *process, int stream, char *line, size_t size);

/* Reads lines until one holds `text`, which is copied to `line` (may be NULL). Fails the test at
 * the stream's end. */
void process_expect(struct process *process, int stream, const char *text, char *line, size_t size);

/* Sends a line to its stdin. */
void process_tell(struct process *process, const char *line);

/* Waits for its end. Returns the exit status, or 128 + the signal. */
int process_wait(struct process *process);

/* Ends it if need be, and closes everything. */
void process_end(struct process *process);

/* The OpenCL program of these tests (victim.c) in one of its roles, through `wormhole run`. */
void victim_start(struct process *process, const char *url, const char *role);

/* ---- the daemon ---- */

struct daemon {
    struct process process;
    char folder[64];
    char socket[96], url[112];
};

/* Starts wormholed in a folder of its own, with `config` (may be NULL) as more of its
 * configuration; %s in it is the folder. */
void daemon_start(struct daemon *daemon, const char *config);

/* The same in two steps, between which its folder and the environment can be changed. */
void daemon_prepare(struct daemon *daemon, const char *config);
void daemon_run(struct daemon *daemon);
/* As daemon_run, where it must say `text` before it listens. */
void daemon_run_saying(struct daemon *daemon, const char *text);

/* Starts it again at the same place, after it was killed. */
void daemon_restart(struct daemon *daemon);

/* Ends it, its workers and its folder. */
void daemon_stop(struct daemon *daemon);

/* The process ids of its workers; returns how many there are. */
unsigned daemon_workers(const struct daemon *daemon, pid_t *workers, unsigned room);

/* The one worker; fails the test if there is another number of them. */
pid_t daemon_only_worker(const struct daemon *daemon);

/* One for all tests of a program: the two functions are cmocka's for a group. */
extern struct daemon shared_daemon;
int shared_daemon_start(void **state);
int shared_daemon_stop(void **state);

/* The shared daemon has no session and is as good as new: one more opens, works and ends. With
 * descriptors (may be NULL) and memory in KiB (may be NULL) that it holds meanwhile, when it has
 * reaped all earlier workers. */
void expect_service(unsigned *fds, unsigned long *memory);

/* ---- waiting ---- */

/* Waits until `fd` is readable (or hung up). False: the bound passed. */
bool wait_readable(int fd, int ms);

/* A descriptor that becomes readable when the process ends. -1 when it is gone already. */
int watch_process(pid_t pid);

/* Waits for the end of a process that is not our child. */
void await_end_of(int pidfd);

/* ---- what a process holds ---- */

unsigned count_fds(pid_t pid);
unsigned long resident_kib(pid_t pid);
unsigned long cpu_ticks(pid_t pid);

/* ---- clients that speak for themselves ---- */

/* A session over the daemon's socket; fails the test if it is refused. */
struct wh_shm *raw_connect(const char *url);
void raw_close(struct wh_shm *shm);

/* The handshake that a client of this build makes. */
struct wh_hello raw_hello(void);

/* A connected socket to the daemon, without a handshake. */
int raw_socket(const struct daemon *daemon);

/* Sends `bytes` as a handshake and receives the answer; false when the connection was closed
 * without one. */
bool raw_ask(const struct daemon *daemon, const void *bytes, size_t size,
             struct wh_welcome *answer);

/* A message under construction. */
struct letter {
    struct wh_message header;
    uint64_t words[128];
    unsigned nwords;
};

/* A call to `number` whose reply comes in `slot`. */
void letter_begin(struct letter *letter, enum wh_opencl_call number, uint32_t slot);
void letter_add(struct letter *letter, uint64_t word);
void letter_add_bytes(struct letter *letter, const void *bytes, size_t size);

/* Sends it as it is. */
void raw_send(struct wh_shm *shm, struct letter *letter);

/* Sends it and waits for its reply: the words, of which there are `*n`. False: the session ended.
 */
bool raw_call(struct wh_shm *shm, struct letter *letter, uint64_t *words, unsigned *n);

/* clGetPlatformIDs: the sign of life of a session. Returns the status, INT32_MAX when the session
 * ended. */
int32_t raw_platforms(struct wh_shm *shm, uint64_t *platform);

/*
 * Waits while a shared word has a value, as a guest waits whom nobody can ring: by looking now and
 * then. False: the bound passed.
 */
bool raw_wait_while(_Atomic uint32_t *word, uint32_t value, int ms);

/* Waits until the session's end and copies the reason. */
void raw_await_end(struct wh_shm *shm, char *reason, size_t size);

#endif
