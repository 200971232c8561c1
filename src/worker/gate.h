/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's side of the exitless path. Beside its own threads, the client's processor carries
 * out calls: it runs the callee (callee.c), a piece of code that is linked apart for its place in
 * the session's view, on this worker's own memory. Here is what the two share, and how the worker
 * makes the view. docs/exitless.md explains it.
 */
#ifndef WH_WORKER_GATE_H
#define WH_WORKER_GATE_H

#include "channel/fixed.h"
#include "channel/shm.h"
#include "worker/clock.h"
#include "worker/stock.h"
#include "worker/worker.h"

/* Where the view has the code, and struct wh_gate: the callee has no memory of its own. */
#define WH_CALLEE_CODE 0xfffffc0100000000ull
#define WH_CALLEE_GATE 0xfffffc0180000000ull

#define WH_CALLEE_MESSAGE 5120u /* larger messages are for the worker's threads */
#define WH_CALLEE_LOG     (128u << 10)
#define WH_CALLEE_ROOM    (1u << 20)
#define WH_GATE_RANGES    12u
#define WH_GATE_ARENA     WH_ARENA_NEAR /* bytes of the arena, from its start */
#define WH_GATE_STACK     4u            /* pages of a lane */

/* Memory of the worker that its callee may touch. */
struct wh_gate_range {
    uintptr_t start, end;
};

/* Only for who leads. */
struct wh_gate {
    struct wh_shm *shm;
    struct wh_worker *origin; /* the worker, */
    struct wh_worker worker;  /* and as the callee has it: with the code's own tables */
    struct wh_pool *pool;
    struct wh_gate_range seen[WH_GATE_RANGES];
    uint32_t nseen;
    /* The device has nothing to do, all output has been sent, and no call is away: whoever leads is
     * alone with the driver's state, and all commands so far are complete. */
    uint32_t quiet;
    uint64_t carried_out;   /* calls, in the view */
    const void *backend[4]; /* the backend's own, from its show hook */
    uint64_t scratch[32];   /* and its callee's */
    uint32_t room_used;
    uint32_t unknown; /* an object of the answer, so far */
    uint32_t token;   /* of a transfer that is done, when the call is; WH_NO_SLOT: none */
    struct wh_stock stock;
    struct wh_clock clock;
    uint32_t may_read_tsc; /* in this call: the client can */
    _Alignas(8) uint8_t message[WH_CALLEE_MESSAGE];
    _Alignas(64) uint8_t log[WH_CALLEE_LOG];    /* what a call wrote over, to put it back */
    _Alignas(256) uint8_t room[WH_CALLEE_ROOM]; /* what a call needs until it is over */
};

/* One call that may run in a view while nothing is under way: no system call, no lock, no
 * allocation, bounded time. */
struct wh_callee_call {
    bool (*run)(struct wh_call *call, uint64_t *a); /* false: nothing was done, not here */
    bool posted;                                    /* may be: it fails before it did anything */
};

/* What the callee has of a backend. */
struct wh_callee_backend {
    struct wh_backend backend;           /* its tables only */
    const struct wh_callee_call *calls;  /* by call number; `run` NULL: not in a view */
    void (*begin)(void);                 /* somebody leads, who has a call's time */
    bool (*enter)(struct wh_call *call); /* false: not now */
};
extern const struct wh_callee_backend wh_cuda_callee;

/* Whether the view has these bytes. */
static inline bool wh_gate_shows(const struct wh_gate *gate, const void *bytes, size_t size)
{
    uintptr_t start = (uintptr_t)bytes;
    for (uint32_t i = 0; i < gate->nseen; i++)
        if (start >= gate->seen[i].start && start < gate->seen[i].end &&
            size <= gate->seen[i].end - start)
            return true;
    return false;
}

/* ---- in the callee ---- */

struct wh_gate *wh_callee_gate(void);

/* Whether these bytes are in the view. */
bool wh_callee_sees(const void *bytes, size_t size);

/* Ends the client's object: its id is nobody's from here on. */
void wh_callee_forget(struct wh_table *table, struct wh_entry *entry);

/* The guest's time stamp counter, for who may read it. */
uint64_t wh_callee_tsc(void);

/* What a client's processor calls in the view: `first` is the client's word that it may read the
 * time stamp counter (0: it may not, and here it would be a fault), the others mean nothing. The
 * answer is one of gate.h's of the channel. */
uint64_t wh_callee_handle(uint64_t first, uint64_t second, uint64_t lane);

/* ---- in the worker ---- */

/* Before anything is allocated: makes the heap such that a view can show it. */
void wh_gate_prepare(void);

/* In a service VM: has the host make the view of this session's memory, once it is moved to
 * `fixed`. */
int wh_gate_offer(struct wh_gate *gate, struct wh_fixed *fixed, uint64_t key[4], uint32_t *index,
                  struct wh_error *error);

/*
 * Makes the view through `device` (/dev/wormhole) and has the daemon bind it; fills in the
 * segment's offer. -1 with a reason: calls travel through the ring, and nothing else changed. In a
 * service VM there is `fixed` in place of the device. One thread only may use the session's memory
 * meanwhile.
 */
int wh_gate_open(struct wh_worker *worker, struct wh_shm *shm, int device, struct wh_fixed *fixed,
                 struct wh_error *error);

void wh_gate_settle_slowly(struct wh_worker *worker);

/* Has memory put by for what calls in the view make: of the table's, and of the backend's. */
void wh_gate_stock(struct wh_gate *gate, const struct wh_backend *backend);

/* What may run in the view, for the client. */
void wh_gate_tell_calls(const struct wh_backend *backend, struct wh_gate_offer *offer);

/* Before each call: it may be one that a callee left. */
static inline void wh_gate_take(struct wh_worker *worker, bool leads)
{
    if (worker->gate && leads)
        wh_clock_take(&worker->gate->clock);
}

/* After each call, before its reply: whether the next may run in the view. */
static inline void wh_gate_settle(struct wh_worker *worker, bool leads)
{
    if (worker->gate && leads)
        wh_gate_settle_slowly(worker);
}

#endif
