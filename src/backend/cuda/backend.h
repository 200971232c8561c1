/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a worker reaches CUDA: a driver library, NVIDIA's or the software device, through the driver
 * API. Only what the description cannot say is written here; everything else is generated.
 */
#ifndef WH_BACKEND_CUDA_BACKEND_H
#define WH_BACKEND_CUDA_BACKEND_H

#include "backend/cuda/ranges.h"
#include "channel/segment.h"
#include "cuda_api.h"
#include "cuda_thunks.h"
#include "cuda_types.h"
#include "worker/worker.h"

#include <pthread.h>

#define WH_NO_TOKEN UINT32_MAX

struct wh_cuda_contexts;
struct wh_cuda_stages;
struct wh_cuda_shares;
struct wh_cuda_images;
struct wh_cuda_graphs;
struct wh_cuda_record;
struct wh_cuda_user;

/* The driver's last answer to cuMemGetInfo, and when it was given. */
struct wh_cuda_memory_info {
    CUcontext context;
    size_t unused, total;
    uint64_t time_ns;
    uint32_t calls;
};

/* What a range of the session's memory is. */
enum wh_cuda_range_kind {
    WH_CUDA_RANGE_DEVICE,
    WH_CUDA_RANGE_SHARED, /* a piece of the arena */
    WH_CUDA_RANGE_ALIAS,  /* a piece of the arena, mapped once more at the program's own address */
    WH_CUDA_RANGE_GLOBAL,
    WH_CUDA_RANGE_GRAPH, /* of a graph's node: the address is the graph's as long as there is one */
    WH_CUDA_RANGE_IMPORTED, /* another session's memory */
};

/* Words on their way to the device; see words.c. */
#define WH_CUDA_WORDS_MOST 64u
struct wh_cuda_words {
    unsigned count;
    CUstream stream;
    CUcontext context;
    CUstreamBatchMemOpParams operations[WH_CUDA_WORDS_MOST];
};

struct wh_cuda_state {
    struct wh_cuda_functions_table f;
    struct wh_cuda_ranges *ranges;   /* device memory that the session may name */
    struct wh_cuda_ranges *reserved; /* addresses that it may map memory at */
    struct wh_cuda_contexts *contexts;
    struct wh_cuda_images *images; /* on their way */
    struct wh_cuda_stages *stages; /* of big copies */
    struct wh_cuda_bounce *bounce; /* for small copies from the device */
    struct wh_cuda_shares *shares; /* with other sessions */
    uint32_t calls;                /* entered so far; the leading thread's */
    _Atomic uint32_t others;       /* of them, those that do more than move a few bytes */
    struct wh_cuda_memory_info memory_info;
    struct wh_cuda_words words; /* the leading thread's */
    struct wh_cuda_graphs *graphs;
    struct wh_cuda_record *_Atomic records;   /* of events (observe.c); NULL until there is one */
    struct wh_cuda_user *_Atomic ended_users; /* whose items are still there */
    _Atomic unsigned captures;                /* that go on */
    /* The arena at the client's address, so that one pointer works on both sides; NULL until the
     * client asked for it. */
    uint8_t *arena;
    uint64_t arena_size;
    bool (*quiet)(void); /* the software device's; see places.h */
    void *soft_driver, *soft_buckets;
    void (*soft_near)(void **start, size_t *size);
};

static inline struct wh_cuda_state *wh_cuda_state(struct wh_call *call)
{
    return call->worker->state;
}

/* The driver's functions, or their like where code of this backend runs in a view. */
static inline const struct wh_cuda_functions_table *wh_cuda_driver(struct wh_call *call)
{
    return call->worker->backend->functions;
}

/* Loads the driver library and fills `backend`. Fails with a sentence when there is none. */
int wh_cuda_open(struct wh_worker *worker, struct wh_backend *backend, struct wh_error *error);

/* The driver library that this server uses, loaded; NULL with a sentence. For the backend of NVML,
 * too: both are to speak of the same devices. */
void *wh_cuda_driver_library(struct wh_error *error);

/* ---- contexts (context.c) ---- */

struct wh_cuda_contexts {
    uint32_t *current; /* object ids, by the client's thread number; only for the leading thread */
    uint32_t room;
    _Atomic uint32_t generation; /* counts contexts that went */
};

struct wh_cuda_contexts *wh_cuda_contexts_new(void);

/* The backend's enter hook: the client thread's current context becomes this thread's. What was
 * kept for the driver is given to it, unless more of the kind comes. */
void wh_cuda_enter(struct wh_call *call);

/* The context that is current on this thread, as set by the hook; NULL: none. */
CUcontext wh_cuda_current(struct wh_call *call);

/* ---- launches (launch.c) ---- */

/* Whether a launch attribute holds neither address nor handle, and is known. */
bool wh_cuda_attribute_is_plain(unsigned id);

/* Events inside of attributes travel beside them, and a window of memory must be the session's. */
CUresult wh_cuda_check_attribute(struct wh_call *call, CUlaunchAttribute *attribute, CUevent event);

/* ---- copies through the arena (memory.c, unmade.c) ---- */

/* Whether the client may name this transfer token, WH_NO_TOKEN included; else a fault. */
bool wh_cuda_token_is_good(struct wh_call *call, uint32_t token);

/* Tells the client that the block behind a token is its own again (`failed`: nothing to copy). */
void wh_cuda_finish_token(struct wh_call *call, uint32_t token, bool failed);

/* The backend's hook for calls that are not made. */
void wh_cuda_unmade(struct wh_call *call);

/* ---- copies (copy2d.c) ---- */

/* A copy one side of which is staged. */
CUresult wh_cuda_copy_staged(struct wh_call *call, const wh_cuda_box *box, CUarray to, CUarray from,
                             void *bytes, size_t size, CUstream stream);

/* The driver's form of a copy, checked; `bytes`: of the staged side, or NULL. */
CUresult wh_cuda_copy_params(struct wh_call *call, const wh_cuda_box *box, CUarray to, CUarray from,
                             void *bytes, size_t size, CUDA_MEMCPY3D *params);

/* The bytes from the first to the last of a box in linear memory; false: they are none, or rows
 * would run into each other. */
bool wh_cuda_place_bytes(const wh_cuda_box *box, const wh_cuda_place *place, uint64_t *start,
                         uint64_t *length);

/* Whether the session owns the rows that a set fills. */
bool wh_cuda_owns_rows(struct wh_call *call, CUdeviceptr address, size_t pitch, size_t width,
                       size_t height, size_t element);

/* ---- operations on memory (memop.c) ---- */

bool wh_cuda_memop_is_good(struct wh_call *call, const CUstreamBatchMemOpParams *operation);

/* ---- code (module.c) ---- */

struct wh_cuda_images *wh_cuda_images_new(void);

/* Whether a JIT option is a number, and may come from the client. */
bool wh_cuda_jit_crosses(unsigned option);

/* ---- small copies from the device (bounce.c) ---- */

struct wh_cuda_bounce *wh_cuda_bounce_new(void);

/* The driver has ended a context, and with it what was registered there. */
void wh_cuda_bounce_forget(const struct wh_cuda_state *state, const void *context);

/* Copies from the device and waits until the bytes have come, with all that the stream had to do
 * before. May be called from several threads. */
CUresult wh_cuda_fetch(struct wh_call *call, void *bytes, CUdeviceptr from, size_t size,
                       CUstream stream);

/* ---- words (words.c) ---- */

/* Whether bytes are a number in its place. */
bool wh_cuda_is_word(CUdeviceptr to, size_t size);

/* Writes a word of the session's memory in the stream's order, if not now then before whatever the
 * session does next. Returns the first error of those given to the driver by it. */
CUresult wh_cuda_words_keep(struct wh_call *call, CUdeviceptr to, size_t size, const void *bytes,
                            CUstream stream);

/* Gives what is kept to the driver, with the context current that it belongs to. */
CUresult wh_cuda_words_give(struct wh_cuda_state *state);

/* ---- big copies (stage.c) ---- */

struct wh_cuda_stages *wh_cuda_stages_new(void);

/* A piece that was to pass through a place does not come: the place is the client's again. */
void wh_cuda_stage_unmade(struct wh_call *call, unsigned place, unsigned number);

/* The context is about to go: its events are no longer looked at. */
void wh_cuda_stages_leave(const struct wh_cuda_state *state, const void *context);

/* It is gone: what of it was under way is over. */
void wh_cuda_stages_forget(const struct wh_cuda_state *state, const void *context);

/* ---- between sessions (share.c) ---- */

struct wh_cuda_shares *wh_cuda_shares_new(void *library);

/* What is about to go is offered no more: an object, an allocation. */
void wh_cuda_shares_forget_object(const struct wh_entry *entry);
void wh_cuda_shares_forget(const struct wh_cuda_state *state, CUdeviceptr address);

/* Whether nothing is offered, for one who may only touch what `sees` says; false, too, if that
 * cannot be told. */
bool wh_cuda_shares_none(const struct wh_cuda_state *state,
                         bool (*sees)(const void *bytes, size_t size));

/* ---- virtual memory (virtual.c) ---- */

/* The client let go of what cuMemCreate made. */
void wh_cuda_forget_allocation(const struct wh_cuda_state *state, void *allocation);

#endif
