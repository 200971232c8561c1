/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA sessions for the fault tests, spoken on the wire: messages are built by the tables from one
 * word per parameter, so that a test can spoil any part of them. Whatever the machine has, these
 * sessions are on the software device.
 */
#ifndef WH_TESTS_FAULT_CUDA_SUPPORT_H
#define WH_TESTS_FAULT_CUDA_SUPPORT_H

#include "support.h"

#include "cuda_api.h"
#include "cuda_types.h"

/* Objects of an honest session: the id of each is the number of its type. */
#define CUDA_ARENA    (64ull << 20)
#define CUDA_STAGES   (32ull << 20)     /* where the places of big copies begin in it */
#define CUDA_SHARED   0x200000000000ull /* where the worker maps the arena a second time */
#define CUDA_SHARED_N 8192u             /* bytes of it that are registered */
#define CUDA_MEMORY_N 4096u
#define CUDA_CHUNK_N  (2u << 20)

struct cuda_session {
    struct wh_shm *shm;
    pid_t worker;
    uint64_t memory;   /* CUDA_MEMORY_N bytes of the device's */
    uint64_t reserved; /* 2 * CUDA_CHUNK_N addresses, the first half with memory */
    uint64_t reply[256];
    unsigned nreply;
};

/* A message that is still being spoilt. */
struct cuda_letter {
    struct letter letter;
    unsigned starts[WH_MAX_PARAMS + 1]; /* each parameter's first word; behind the last one */
};

struct wh_hello cuda_hello(void);

/* Software device for every worker of daemons that start from here on. */
void cuda_choose_softgpu(void);

/*
 * Builds a call. A word of `args` is a scalar's value, an object's id, a device address, an offset
 * in the arena; of results, whether they are wanted, of new objects, their id; of bytes, texts and
 * arrays of handles, their address here or 0 for NULL.
 */
void cuda_letter(struct cuda_letter *letter, enum wh_cuda_call number, const uint64_t *args);

/* Sends it; the session keeps the reply. Returns the status, INT32_MAX when the session ended. */
int32_t cuda_send(struct cuda_session *session, struct cuda_letter *letter);
int32_t cuda_ask(struct cuda_session *session, enum wh_cuda_call number, const uint64_t *args,
                 size_t nargs);

#define CUDA_ASK(session, name, ...)                                                    \
    cuda_ask(session, WH_CUDA_##name, (const uint64_t[]){__VA_ARGS__ __VA_OPT__(, ) 0}, \
             sizeof((const uint64_t[]){__VA_ARGS__ __VA_OPT__(, ) 0}) / sizeof(uint64_t) - 1)

/* Opens a session that has done nothing yet. */
void cuda_open(struct cuda_session *session, const struct daemon *daemon);

/* The same with one object of every type, and memory of every kind. */
void cuda_furnish(struct cuda_session *session);

/* As raw_await_end, after a call that got no answer. */
void cuda_await_end(struct cuda_session *session, char *reason, size_t size);

void cuda_close(struct cuda_session *session);

/* The bytes of a code image, sent and loaded as module `id`. Returns what the loader said. */
int32_t cuda_load(struct cuda_session *session, const void *image, size_t size, uint32_t id);

/* PTX with kernels `poke` (writes its second parameter to its first), `peek` and variables. */
extern const char cuda_ptx[];

/* ---- lies ---- */

/* One daemon for all tests of a program, with an honest session beside every lie: functions for
 * cmocka's groups. */
extern struct daemon cuda_server;
int cuda_server_start(void **state);
int cuda_server_stop(void **state);

/* What the neighbour has still works. */
void cuda_expect_neighbour(void);
extern struct cuda_session cuda_neighbour;

/* A session that lies, and what it is doing. */
struct cuda_liar {
    struct cuda_session session;
    char what[200];
};

/* A furnished session. */
void cuda_begin(struct cuda_session *session);

/* The session ended, and it was the worker that ended it, for `why` (NULL: for whatever lie). */
void cuda_expect_end(struct cuda_session *session, const char *what, const char *why);

/* The answer is an error, and the session goes on. */
void cuda_expect_refused(const struct cuda_liar *liar, int32_t status);

#define CUDA_MOST_PLACES 16

/* Places in a worker: its code, its heap, its stack, its libraries; where they cannot be read (its
 * memory is nobody's), those of this process. Returns how many. */
unsigned cuda_find_places(pid_t worker, uint64_t *places);

#endif
