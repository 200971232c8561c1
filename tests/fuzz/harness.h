/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole worker over the fake OpenCL and a channel in memory, as the fuzzer and the maker of its
 * seeds use it. One session at a time.
 */
#ifndef WH_TESTS_FUZZ_HARNESS_H
#define WH_TESTS_FUZZ_HARNESS_H

#include "backend/opencl/backend.h"
#include "channel/memory.h"

#define HARNESS_ARENA (128u << 10)

struct harness {
    struct wh_memory memory;
    struct wh_worker worker;
    struct wh_backend backend;
    struct wh_opencl_state state;
    struct wh_pool *pool;
    uint8_t *arena; /* pages behind it are not there */
};

/* Opens a fresh session, with the arena filled by a pattern. */
void harness_open(struct harness *harness);

/* Ends it: everything the session made is gone afterwards. */
void harness_close(struct harness *harness);

/* Carries out one message in the worker; the fault, or NULL. */
const char *harness_dispatch(struct harness *harness, const struct wh_message *message);

#endif
