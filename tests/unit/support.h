/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What several unit tests need: cmocka with its headers, both ends of a shared-memory channel in
 * one process, and messages built by hand from the tables of a description.
 */
#ifndef WH_TESTS_UNIT_SUPPORT_H
#define WH_TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel/shm.h"
#include "wire/desc.h"

/* ---- both ends of a session's memory ---- */

struct pair {
    struct wh_shm *client, *worker;
    int fd;
};

#define PAIR_ARENA (4u << 20)

/* Over a memfd with an arena of PAIR_ARENA bytes; both sleep by futex, the client's listener by the
 * ring's door. */
void pair_open(struct pair *pair);
void pair_close(struct pair *pair);

/* Ends the worker's receive, in all threads that sleep there. */
void pair_stop_worker(struct pair *pair);

/* ---- messages by hand ---- */

/* A message under construction; `at` says where each parameter's first word lies. */
struct built {
    uint64_t words[WH_MESSAGE_MAX / 8];
    uint32_t size; /* bytes */
    uint32_t at[WH_MAX_PARAMS + 1];
    uint32_t reply_bound; /* bytes that the reply takes at most */
};

/*
 * A valid message for `call`: every array has two units, every pointer is given, every handle names
 * an object whose id is its type's number, and new objects get ids from `new_id` on. The reply is
 * expected in slot 3.
 */
void build_valid(struct built *built, const struct wh_api *api, const struct wh_call_desc *call,
                 uint32_t new_id);

static inline struct wh_message *built_header(struct built *built)
{
    return (struct wh_message *)(void *)built->words;
}

#endif
