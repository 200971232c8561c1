/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker and its daemon say to each other about things that one session offers to others of
 * its tenant: each is known by a token that the daemon draws by lot, and may have a descriptor with
 * it. One packet a question, one the answer; the same bytes both ways. An answer may come after the
 * worker has given up waiting for it.
 */
#ifndef WH_WIRE_EXCHANGE_H
#define WH_WIRE_EXCHANGE_H

#include <stdint.h>

#define WH_EXCHANGE_TOKEN 16  /* bytes */
#define WH_EXCHANGE_MOST  128 /* bytes of what is said about a thing */

enum wh_exchange_what {
    WH_EXCHANGE_PUT = 1,  /* kind, bytes, perhaps a descriptor; the answer has the token */
    WH_EXCHANGE_GET = 2,  /* kind, token; the answer has the rest */
    WH_EXCHANGE_DROP = 3, /* token, by whom it was put */
    WH_EXCHANGE_VIEW =
        4, /* with a descriptor of a view: the answer's kind is its index in the VM */
    /* In a service VM, where the host makes the view: */
    WH_EXCHANGE_RANGE = 5,    /* a struct wh_exchange_range of it, one letter each */
    WH_EXCHANGE_MAKE = 6,     /* a struct wh_exchange_make; the answer's kind is the view's index,
                                 its bytes are the key */
    WH_EXCHANGE_GIVE_BACK = 7 /* there will be no view: its memory is not used */
};

/* What a worker in a service VM has of memory that never moves, from where the daemon says. */
#define WH_EXCHANGE_FIXED (24u << 20)

enum wh_exchange_memory {
    WH_EXCHANGE_OWN,     /* that, from where it is this session's */
    WH_EXCHANGE_SEGMENT, /* the session's segment */
    WH_EXCHANGE_LEDGER   /* the tenant's ledger */
};

struct wh_exchange_range {
    uint64_t offset;
    uint64_t size;
    uint64_t view_address;
    uint32_t flags;  /* the module's */
    uint32_t memory; /* enum wh_exchange_memory: what `offset` is in */
};

struct wh_exchange_make {
    uint64_t gate, handler;
    uint32_t lanes, stack_pages;
};

struct wh_exchange_letter {
    uint32_t what;
    int32_t status; /* in an answer: 0 or an errno value */
    uint32_t kind;  /* the workers' own; a token of another kind is none */
    uint32_t size;  /* of what is used of `bytes` */
    uint8_t token[WH_EXCHANGE_TOKEN];
    uint8_t bytes[WH_EXCHANGE_MOST];
    uint32_t number; /* the worker's, of the question; its answer has it, too */
};

#endif
