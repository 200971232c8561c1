/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one process that serves one session. It takes messages in order, checks every bit of
 * them, calls the accelerator's library and replies. Used by the dispatch loop, the generated
 * thunks and the backends.
 */
#ifndef WH_WORKER_WORKER_H
#define WH_WORKER_WORKER_H

#include "base/error.h"
#include "channel/channel.h"
#include "worker/ledger.h"
#include "worker/thunk.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wh_worker;
struct wh_gate;
struct wh_gate_range;
struct wh_stock_wish;
struct wh_table;
struct wh_output;

/* An object of the session. */
struct wh_entry {
    void *_Atomic real; /* the library's own handle; a context's comes and goes */
    void *extra;        /* the backend's own */
    uint32_t id;
    uint32_t references; /* the client's; the object goes with the last one */
    uint32_t pins;       /* calls that vacated and still use it; guarded by the table's lock */
    uint16_t type;
    bool discovered; /* platforms and devices stay */
    bool dying;      /* released while pinned */
};

/* How a worker reaches one accelerator API. */
struct wh_backend {
    const struct wh_api *api;
    wh_thunk *const *thunks;
    const void
        *functions; /* one pointer per call number; NULL where the library lacks the function */
    /* Marks transfers whose device work is done; called before a reply that tells of completion. */
    void (*sync)(struct wh_worker *worker);
    /* An object's last reference is about to go; frees `extra`. */
    void (*forget)(struct wh_worker *worker, struct wh_entry *entry);
    /* Before the library is called: puts the client thread's own state (its current context) in
     * place on the calling one, which leads. */
    void (*enter)(struct wh_call *call);
    /* In the place of a call that is not made because it is `beyond`, entered: whoever waits for
     * what it would have done is told that it was not. NULL: nobody ever waits. */
    void (*unmade)(struct wh_call *call);
    /* Whether the session may use `size` bytes of device memory at `address` (WH_MEMORY). */
    bool (*reaches)(struct wh_worker *worker, uint64_t address, uint64_t size);
    /* Whether the device has nothing to do. NULL: no call of this backend may run in a view. */
    bool (*quiet)(struct wh_worker *worker);
    /* The numbers of those that may. */
    const uint16_t *in_view;
    unsigned nin_view;
    /* Memory that its callee makes objects of. */
    const struct wh_stock_wish *stock;
    unsigned nstock;
    /* What its callee needs: words of its own, and memory beyond the heap (at most three ranges).
     * Returns how many ranges. */
    unsigned (*show)(struct wh_worker *worker, const void *words[4], struct wh_gate_range *ranges);
};

/* One call being carried out, on the stack of the thread that does. */
struct wh_call {
    struct wh_worker *worker;
    const struct wh_call_desc *desc;
    uint32_t slot;   /* WH_NO_SLOT: posted */
    uint32_t thread; /* the client's */
    uint64_t *a;
    struct wh_entry *entries[WH_MAX_PARAMS]; /* of the WH_HANDLE parameters */
    struct wh_pool *pool;                    /* memory until the reply is out */
    const char *fault;                       /* set: the message is malformed, the session ends */
    bool beyond; /* a device address lies outside of the session's memory: the API's error */
    bool *leads;
    bool vacated;
    uint64_t n[WH_MAX_PARAMS]; /* lengths by rule, of array parameters */
    uint32_t present;          /* bit i: array parameter i is not NULL */
    uint32_t wanted;           /* bit i: the program passed a place for result i */
    const uint64_t *new_ids[WH_MAX_PARAMS + 1];
    struct wh_entry **pinned; /* what a vacated call keeps alive */
    size_t npinned;
};

struct wh_worker {
    struct wh_channel *channel;
    const struct wh_backend *backend;
    struct wh_table *table;
    struct wh_output *output;
    struct wh_ledger ledger;  /* the tenant's; empty where there is none */
    _Atomic int32_t deferred; /* the first error of a posted call that nobody was told yet */
    _Atomic uint32_t away;    /* vacated calls that are not over */
    _Atomic uint32_t others;  /* threads that serve beside the first */
    uint32_t session;
    struct wh_gate *gate; /* on the exitless path; else NULL */
    void *state;          /* the backend's own */
};

/* ---- services for thunks and backends ---- */

/*
 * From here on the call may take long: other messages are carried out meanwhile by other threads.
 * All its objects stay alive until it is over. Calls flagged WH_CALL_BLOCKS are vacated by the
 * dispatcher.
 */
void wh_call_vacate(struct wh_call *call);

/* Memory that lives until the call's reply is out, zeroed; NULL when the call asks for too much. */
void *wh_call_memory(struct wh_call *call, size_t size);

/* Declares the message malformed. Returns NULL for convenience. */
void *wh_call_fault(struct wh_call *call, const char *fault);

/* An error of something that was posted, this call or one before: the next call that waits and does
 * well tells the client. The first of them is kept. */
void wh_call_defer(struct wh_call *call, int32_t error);

/* A transfer is over, and the client may look at its token; `failed`: no bytes were moved. */
void wh_call_finish_token(struct wh_call *call, uint32_t token, bool failed);

/* The arena's bytes at `offset`, after checking that `size` of them exist; faults and NULL
 * otherwise. */
void *wh_call_arena(struct wh_call *call, uint64_t offset, uint64_t size);

/* ---- the object table (table.c); thread-safe where not said otherwise ---- */

struct wh_table *wh_table_new(void);
void wh_table_free(struct wh_table *table);

/* The entry with this id and type (0: any), or NULL. Only for the leading thread. */
struct wh_entry *wh_table_find(struct wh_table *table, uint32_t id, uint16_t type);

/* Enters a new object under the client's id; NULL when the id is in use or out of range. */
struct wh_entry *wh_table_add(struct wh_table *table, uint32_t id, uint16_t type, void *real);

/* The id of a library handle: of a known object, or a new one of the worker's (then *discovered).
 * 0: none. */
uint32_t wh_table_id_of(struct wh_table *table, uint16_t type, void *real, bool *discovered);

/* How many objects of this type the client holds. */
uint32_t wh_table_count(struct wh_table *table, uint16_t type);

/* Takes an id away. True: the caller releases the object and frees the entry; false: it is pinned,
 * and whoever unpins it last does. */
bool wh_table_remove(struct wh_table *table, struct wh_entry *entry);
void wh_table_pin(struct wh_table *table, struct wh_entry *entry);
/* True when this was the last pin of a dying entry: the caller releases the object and frees the
 * entry. */
bool wh_table_unpin(struct wh_table *table, struct wh_entry *entry);

/* ---- the dispatch loop (dispatch.c) ---- */

/* Serves until the session ends; returns the reason in `why` when the client was at fault, else
 * leaves it empty. */
void wh_worker_serve(struct wh_worker *worker);

/* Carries out one message, which lies in private memory. A fault is returned as text, NULL when all
 * was well. */
const char *wh_worker_dispatch(struct wh_worker *worker, const struct wh_message *message,
                               struct wh_pool *pool, bool *leads);

/* ---- decoding (decode.c) ---- */

/* Fills call->a from the message's words; faults are left in call->fault. */
void wh_decode_call(struct wh_call *call, struct wh_reader *reader);

/* Bytes that the reply can take at most. */
uint64_t wh_reply_bound(const struct wh_call *call);

/* Writes the reply; new objects enter the table. `ok`: the library reported success. */
void wh_encode_reply(struct wh_call *call, struct wh_writer *writer, bool ok);

/* New objects of a posted call enter the table. */
void wh_adopt_new(struct wh_call *call);

/* ---- scratch memory (pool.c) ---- */

struct wh_pool *wh_pool_new(size_t most);
void *wh_pool_take(struct wh_pool *pool, size_t size);
void wh_pool_reset(struct wh_pool *pool);
void wh_pool_free(struct wh_pool *pool);

/* ---- printed text (output.c) ---- */

/*
 * Redirects this process's stdout and stderr to the client. `log` is where the worker's own log
 * goes from then on.
 */
struct wh_output *wh_output_new(struct wh_worker *worker, struct wh_error *error);

/* Sends all text printed so far. Called before replies that tell of completion. */
void wh_output_flush(struct wh_output *output);

/* Whether there is text that was not sent. */
bool wh_output_pending(struct wh_output *output);

/* Descriptors to watch for text: when one is readable, call flush. */
void wh_output_fds(const struct wh_output *output, int fds[2]);

#endif
