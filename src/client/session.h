/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session of one client process for one API: connects on first use, encodes calls, waits for
 * replies, delivers what comes back on its own (callbacks, printed text), and turns a lost worker
 * into the API's error. A shim library has exactly one; after a fork the child gets a new one on
 * first use. All functions are thread-safe.
 */
#ifndef WH_CLIENT_SESSION_H
#define WH_CLIENT_SESSION_H

#include "channel/channel.h"
#include "client/arena.h"
#include "client/object.h"
#include "wire/desc.h"
#include "wire/message.h"

#include <semaphore.h>

#define WH_SPECIAL_HANDLES 4096u /* no object's address is below */

/* What a shim tells the client library about its API. */
struct wh_shim {
    const struct wh_api *api;
    const void *dispatch; /* first member of every object */
    uint64_t arena;       /* bytes of it that do; 0: the server decides */
    /* For how long a call that waits for the device may spin where cores are many, as the API's own
     * library would; 0: no longer than any other. */
    uint32_t patience_ns;
    /* Frees wh_object.extra; may be NULL. */
    void (*free_extra)(struct wh_object *object);
    /* A callback arrived: `words` are the API's own. Runs in the session's callback thread. */
    void (*callback)(struct wh_session *session, uint64_t token, const uint64_t *words,
                     size_t nwords);
    /* The session is lost: whoever waits for a callback is to be told. May be NULL. */
    void (*lost)(struct wh_session *session);
    /* The worker no longer uses something in the arena. Must not call the program or wait. */
    void (*freed)(struct wh_session *session, uint64_t token);
    /* What a handle stands for that is a small number (below WH_SPECIAL_HANDLES), of a type
     * declared `special`: an object's address, or 0 for none. Runs before a message is begun; may
     * make calls of its own. */
    uint64_t (*special)(struct wh_session *session, uint16_t type, uint64_t handle);
    /* What stands for a handle that is none of this session's: of something that outlives a fork;
     * 0: nothing does. As `special`; asked once more for a handle that it found something for, it
     * makes no calls. May be NULL. */
    uint64_t (*inherited)(struct wh_session *session, uint16_t type, uint64_t handle);
};

/* Counters, for `wormhole run --stats` and benchmarks. */
struct wh_call_stats {
    _Atomic uint64_t posted, waited;
    _Atomic uint64_t local, bytes, wait_ns; /* only when stats are wanted */
};

struct wh_stats {
    bool wanted;                    /* WORMHOLE_STATS is set */
    struct wh_call_stats *calls;    /* by call number */
    _Atomic uint64_t local;         /* answered for no call in particular, when wanted */
    _Atomic uint64_t message_bytes; /* through the ring and the slots */
    _Atomic uint64_t copied_bytes;  /* payloads copied through the arena */
    _Atomic uint64_t shared_bytes;  /* payloads that moved by being shared */
};

struct wh_session;

/*
 * The process's session for `shim`, opened on first use. NULL when no server can be reached; the
 * reason has been logged then (once).
 */
struct wh_session *wh_session_get(const struct wh_shim *shim);

struct wh_objects *wh_session_objects(struct wh_session *session);
struct wh_arena *wh_session_arena(struct wh_session *session);
struct wh_channel *wh_session_channel(struct wh_session *session);
struct wh_stats *wh_session_stats(struct wh_session *session);

/* The client answered a call without the worker (NULL: it does not say which). */
void wh_stats_answered(struct wh_session *session, const struct wh_call_desc *call);

bool wh_session_lost(const struct wh_session *session);

/* ---- calls (call.c) ---- */

/*
 * Carries out one call of the description with its arguments, one word per parameter: pointers as
 * addresses, handles as object addresses, arena parameters as offsets. Returns the status
 * (sign-extended), the value, or the new object's address. Errors are the API's own.
 */
uint64_t wh_client_call(struct wh_session *session, const struct wh_call_desc *call, uint64_t *a);

/* The same, but posted: only for calls without results other than new objects, which the caller
 * knows will be made. */
uint64_t wh_client_post(struct wh_session *session, const struct wh_call_desc *call, uint64_t *a);

/*
 * The call that this thread made last, and which succeeded, has left nothing to wait for on
 * `object` (its address, or 0): until something is sent `waits`, a call that settles, is answered
 * as if it had been made now.
 */
void wh_client_settled(const struct wh_session *session, const struct wh_call_desc *waits,
                       uint64_t object);

/* Whether `waits` would be answered so, by this thread for `object`; false of a lost session. */
bool wh_client_is_settled(const struct wh_session *session, const struct wh_call_desc *waits,
                          uint64_t object);

/* Whether this thread is the only one that has ever sent anything in the session. */
bool wh_client_is_alone(const struct wh_session *session);

/*
 * A posted message whose words the caller writes himself, by the rules of the description (see
 * docs/wire-format.md): for a call that every microsecond counts for. wh_client_begin makes room
 * for `size` bytes behind the header and holds up all other submission until wh_client_commit,
 * which fills the rest with zeros. False: the session is lost, and there is nothing to commit.
 */
bool wh_client_begin(struct wh_session *session, const struct wh_call_desc *call, uint32_t size,
                     struct wh_writer *writer);
void wh_client_commit(struct wh_session *session, struct wh_writer *writer);

/* Retain and release as the description says (WH_CALL_RETAIN, WH_CALL_RELEASE). */
uint64_t wh_client_retain(struct wh_session *session, const struct wh_call_desc *call, uint64_t *a);
uint64_t wh_client_release(struct wh_session *session, const struct wh_call_desc *call,
                           uint64_t *a);

/*
 * An information query with answers that never change remembered: a[] are the call's words.
 * `prefix` (may be NULL) is put in front of a text.
 */
uint64_t wh_client_info(struct wh_session *session, const struct wh_call_desc *call, uint64_t *a,
                        const char *prefix);

/*
 * A call whose answer to equal questions never changes (WH_CALL_REMEMBERED): sent once. Answers
 * about an object (its first one) are kept with it, others with the session. Failures are not kept.
 */
uint64_t wh_client_remembered(struct wh_session *session, const struct wh_call_desc *call,
                              uint64_t *a);

/* What is remembered about the call's first object holds no more (WH_CALL_FORGETS): after the call
 * has been sent, so that what another thread asked before it is not kept. */
void wh_client_forget_answers(struct wh_session *session, const struct wh_call_desc *call,
                              const uint64_t *a);
void wh_object_forget_answers(struct wh_object *object);

/* Answers an information query from the client's own knowledge, by the usual rules for size and
 * size_ret. */
int32_t wh_client_answer(struct wh_session *session, const void *answer, size_t answer_size,
                         size_t size, void *value, size_t *size_ret);

/* Tells the worker that an object's last reference is gone; called by object.c. */
void wh_session_forget(struct wh_object *object);
void wh_session_drop_cache(struct wh_object *object);

/* ---- transfers (transfer.c) ---- */

/* A strided copy between the arena and the program's memory; a plain one has one row. */
struct wh_copy {
    void *memory;
    const uint8_t *arena;        /* where the bytes lie when the transfer has no block of its own */
    size_t width, height, depth; /* bytes, rows, slices */
    size_t memory_row, memory_slice;
    size_t arena_row, arena_slice;
};

/* The token inside a ticket, for the worker. */
#define WH_TICKET_TOKEN(ticket) ((uint32_t)(ticket)&1023u)

/*
 * A transfer in flight: a token that the worker sets when the device is done with the block. When
 * it is, `copy` (if memory is set) moves the block's bytes into the program's memory, and the block
 * is released. Returns a ticket, or -1 when all tokens are in use even after a sweep.
 */
int64_t wh_transfer_begin(struct wh_session *session, const struct wh_block *block,
                          const struct wh_copy *copy);

/* Undoes wh_transfer_begin for a call that was refused; the block is released. */
void wh_transfer_cancel(struct wh_session *session, int64_t ticket);

/* The same, but the block stays the caller's. */
void wh_transfer_keep(struct wh_session *session, int64_t ticket);

/* Releases a block that a transfer begun without one still writes to: now, or when the transfer is
 * over. */
void wh_transfer_hand_over(struct wh_session *session, int64_t ticket,
                           const struct wh_block *block);

/*
 * Before the program's memory is read: completes the transfers that are to write there, as an
 * in-order queue would have. One that waits for something that only this thread will do is not
 * waited for longer than a moment.
 */
void wh_transfer_settle_range(struct wh_session *session, const void *memory, size_t size);

/* Waits a little for any transfer in flight and completes what can be. False when there is none, or
 * the session is lost. */
bool wh_transfer_wait_any(struct wh_session *session);

/* Completes every transfer whose token is set. Cheap when there is none. */
void wh_transfer_sweep(struct wh_session *session);

/* Waits for one transfer and completes it. -1: session lost. */
int wh_transfer_wait(struct wh_session *session, int64_t ticket);

/* Copies between the program's memory and the arena (either way) by the strides of `copy`. */
void wh_copy_to_memory(const struct wh_copy *copy, const uint8_t *arena);
void wh_copy_from_memory(const struct wh_copy *copy, uint8_t *arena);

/* ---- news from the worker (news.c) ---- */

/* Takes in what the worker sent up to `mark`, prints its text; before a call returns that depends
 * on it. */
void wh_news_drain(struct wh_session *session, uint32_t mark);

/* Makes sure that callbacks can run. */
void wh_news_ready(struct wh_session *session);

/* One more callback is expected from the worker: it is looked for more often where nobody can ring.
 * And one less: the call that would have led to it failed. */
void wh_news_expect(struct wh_session *session);
void wh_news_unexpect(struct wh_session *session);

/* Waits until every callback that has arrived has run; nothing when called from one. */
void wh_news_settle(struct wh_session *session);

int wh_news_start(struct wh_session *session, struct wh_error *error);

/* ---- inside src/client ---- */

struct wh_session {
    const struct wh_shim *shim;
    struct wh_channel *channel;
    struct wh_objects *objects;
    struct wh_arena *arena;
    struct wh_stats stats;
    struct wh_transfers *transfers;
    struct wh_news *news;
    struct wh_answers *answers; /* to questions about no object */
    sem_t may_block;            /* calls that may wait long leave some reply slots to the others */
    _Atomic int64_t sender;     /* the thread that has sent all there was, or none, or several */
};

/* A session over a channel that is open; the caller closes that when it fails. */
struct wh_session *wh_session_over(const struct wh_shim *shim, struct wh_channel *channel,
                                   struct wh_error *error);

int wh_transfers_init(struct wh_session *session);

/* Logs the session's counters, one line a call that was made (stats.c). */
void wh_stats_print(struct wh_session *session);

/* This thread's number on the wire, from 1. */
uint32_t wh_thread_number(void);

#endif
