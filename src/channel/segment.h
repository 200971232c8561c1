/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared memory of one session, byte for byte the same for every transport that has shared
 * memory. Its layout is fixed by the protocol version: neither side believes an offset that the
 * other wrote. Documented in docs/wire-format.md.
 */
#ifndef WH_CHANNEL_SEGMENT_H
#define WH_CHANNEL_SEGMENT_H

#include "channel/ring.h"

#define WH_SLOTS         256u
#define WH_SLOT_ROOM     2024u /* bytes of a reply that needs no arena */
#define WH_TOKENS        1024u
#define WH_RING_SIZE     (4u << 20)
#define WH_UPCALL_SIZE   (64u << 10)
#define WH_GATE_CALLS    1024u
#define WH_ARENA_START   (8u << 20)
#define WH_ARENA_NEAR    (1u << 20) /* of it, what a view may show: for what is small */
#define WH_SEGMENT_LEAST (12u << 20)

enum wh_segment_state { WH_SEGMENT_STARTING, WH_SEGMENT_OPEN, WH_SEGMENT_ENDED };

enum wh_slot_state { WH_SLOT_IDLE, WH_SLOT_PENDING, WH_SLOT_DONE, WH_SLOT_LOST };

/* Where one waiting thread gets its reply. */
struct wh_slot {
    _Alignas(64) _Atomic uint32_t state; /* enum wh_slot_state; the waiter sleeps on it */
    _Atomic uint32_t sleeps;             /* the worker must ring */
    uint32_t size;                       /* bytes of the reply */
    uint32_t upcalls;                    /* the upcall ring's tail when the reply was made */
    uint32_t reserved[2];
    uint8_t data[WH_SLOT_ROOM];
};

_Static_assert(sizeof(struct wh_slot) == 2048, "a slot is 2 KiB");

/*
 * How the client enters the session's view, if there is one (channel/gate.h). Written by the worker
 * before the segment is open. The key is the session's as the segment is: whoever may map the one
 * may have the other.
 */
struct wh_gate_offer {
    uint32_t index; /* in the VM; 0: there is no view */
    uint32_t lanes; /* calls at once */
    uint64_t key[4];
    /* A bit for each call that may run there: a client need not go there with another one. A hint,
     * as is the next. */
    uint64_t calls[WH_GATE_CALLS / 64];
    _Atomic uint32_t busy; /* just now none may: the worker writes it before its replies */
};

struct wh_segment {
    _Atomic uint32_t state; /* enum wh_segment_state, written by the server side */
    uint32_t reserved;
    char reason[248]; /* why it ended; text from a peer: bounded and cleaned before it is printed */
    _Alignas(64) _Atomic uint32_t callbacks; /* how many the client has carried out */
    _Atomic uint32_t callbacks_awaited;      /* the client must ring */
    _Alignas(64) struct wh_gate_offer gate;
    _Alignas(4096) struct wh_ring_control calls;       /* client to worker */
    struct wh_ring_control upcalls;                    /* worker to client */
    _Alignas(4096) _Atomic uint32_t tokens[WH_TOKENS]; /* completion of transfers: 0, then 1 */
    struct wh_slot slots[WH_SLOTS];
    uint8_t upcall_data[WH_UPCALL_SIZE];
    uint8_t call_data[WH_RING_SIZE];
};

_Static_assert(sizeof(struct wh_segment) <= WH_ARENA_START,
               "the arena starts behind the control area");

#endif
