/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session whose client, worker's threads and callee are in one process, where the callee sees
 * what it would see in a view; for callee.c and callee_launch.c. The client's messages are words.
 */
#ifndef WH_TESTS_UNIT_CALLEE_SESSION_H
#define WH_TESTS_UNIT_CALLEE_SESSION_H

#include "support.h"

#include "backend/cuda/backend.h"
#include "channel/gate.h"
#include "channel/lead.h"
#include "worker/gate.h"

#include <pthread.h>

#define CONTEXT 1u
#define STREAM  2u
#define EVENT   3u

/* Those that load_function and load_kernel make. */
#define MODULE   19u
#define FUNCTION 20u
#define LIBRARY  21u
#define KERNEL   22u

struct callee_session {
    struct pair pair;
    struct wh_worker worker;
    struct wh_backend backend;
    struct wh_account account;
    struct wh_gate gate;
    pthread_t server;
    uint64_t sent;
    struct wh_gate_range near; /* what of the device's memory a view shows */
    uint64_t may_read_tsc;     /* what the client says of it, */
    uint64_t tsc_offset;       /* and how far ahead its counter is */
    uint64_t tsc_reads;        /* by the callee */
    bool many;                 /* threads, that take each other's messages */
};

/* The test's. */
extern struct callee_session *test;

/* Before all others: the software device, and a heap that a view can show. */
void callee_prepare(const char *softgpu);

/* With a context, a stream and an event; cmocka's setup and teardown. */
int open_session(void **state);
int close_session(void **state);

/* As the client does; a call that is not in the list it would not go with. */
bool step_in(struct wh_shm *shm, uint16_t call);

/* The worker's thread goes to sleep: nobody leads, and nobody is about to. */
void wait_for_sleep(void);

struct answer {
    uint32_t size;
    uint8_t bytes[WH_SLOT_ROOM];
};

void send_words(uint16_t call, uint32_t slot, const uint64_t *words, size_t n);
struct answer ask(uint16_t call, const uint64_t *words, size_t n);
int32_t status(const struct answer *answer);
void expect_success(struct answer answer);
uint64_t allocate(uint64_t size);

/* A call that answers, and what is sent with it. */
struct question {
    uint16_t call;
    size_t n;
    uint64_t words[20];
};

/* Asks each of the worker's threads and in the view, for sure, where the answer must be the same.
 */
void same_answers(const struct question *questions, size_t n);

/* A module with a function, a library with a kernel. */
void load_function(const char *ptx, const char *name);
void load_kernel(const char *ptx, const char *name);

/* What is called `name` in an object gets the id. */
struct answer ask_named(uint16_t call, uint64_t of, const char *name, uint64_t id);

#define ASK(call, ...) \
    ask((call), (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)
#define POST(call, ...)                                             \
    send_words((call), WH_NO_SLOT, (const uint64_t[]){__VA_ARGS__}, \
               sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

#endif
