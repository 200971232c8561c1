/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of calls from end to end share: the client's marshaller in one thread, the
 * worker's dispatcher in another, a session's memory between them, and a library of the sample API
 * that notes what it was given.
 */
#ifndef WH_TESTS_UNIT_CALLS_SUPPORT_H
#define WH_TESTS_UNIT_CALLS_SUPPORT_H

#include "support.h"

#include "client/session.h"
#include "sample_messages.h"
#include "sample_thunks.h"
#include "worker/worker.h"

#include <semaphore.h>

#define INLINE_MOST (16u << 10) /* larger payloads go through the arena */
#define DEVICES     3u
#define MEMORY      0x7000000000ull /* where the accelerator's memory is, and how much */
#define MEMORY_SIZE 4096u

/* ---- the library ---- */

/* An object of the library. */
struct thing {
    unsigned references;
    uint64_t size;
};

/* What it was given last, and what it is to answer. */
struct library {
    unsigned calls;           /* of all functions but the counting ones */
    unsigned entered, unmade; /* calls, by the backend's hooks */
    sm_scalars scalars;
    uint32_t code;
    bool was_null;
    size_t size;
    uint64_t sum; /* of the bytes seen */
    char text[64];
    unsigned strings, nulls;
    sm_region regions[4];
    sm_prop props[8];
    unsigned nprops;
    void *handles[16];
    unsigned infos, partial;
    uint64_t limit;
    bool hold; /* the next limit is told when the test lets it go on */
    sm_lane lane;
    sm_status fail; /* what the next function that may fail answers */
    struct thing *devices[DEVICES];
    _Atomic int alive;
    sem_t waiting, go_on;
};

extern struct library lib;

uint64_t sum_of(const void *bytes, size_t size);

/* ---- the session ---- */

/* Sessions live as long as the process: nothing in the client ends one. */
struct life {
    struct pair pair;
    struct wh_session *session;
    struct wh_worker worker;
    struct wh_backend backend;
    struct life *next;
};

extern struct life *lives; /* the newest is the one in use */
extern const struct wh_shim shim;

/* Makes a session the one in use; its worker is to be started. */
struct life *new_life(void);
void start_worker(struct life *life, void *(*run)(void *), void *argument);

/* cmocka's set-up of a group: a session whose worker serves the library. */
int open_library(void **state);

sm_device device(unsigned i);
sm_buffer buffer(void);
struct wh_object *object_of(const void *handle);

/* Things of the library that live once the worker has carried out everything sent so far. */
int settled(void);

/* The whole arena is free again: nothing was left behind. */
void expect_arena_empty(void);

#endif
