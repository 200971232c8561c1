/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA driver library that programs load: generated stubs for what the description says,
 * by-hand functions here for what carries host memory, callbacks, nested pointers or the calling
 * thread's own state. One file per kind of object.
 */
#ifndef WH_SHIM_CUDA_SHIM_H
#define WH_SHIM_CUDA_SHIM_H

#include "backend/cuda/ranges.h"
#include "client/session.h"
#include "client/stub.h"
#include "cuda_api.h"
#include "cuda_messages.h"
#include "cuda_types.h"

#include <pthread.h>

#define WH_NO_TOKEN     UINT32_MAX
#define WH_STAGE        (2u << 20) /* bytes of one piece of a pipelined transfer */
#define WH_STAGES       4          /* pieces in flight */
#define WH_INLINE_READ  1024u      /* bytes that fit into a reply's slot */
#define WH_INLINE_WRITE 4096u      /* bytes that go along in the message */
#define WH_MOST_DEVICES 64

/* ---- the session (shim.c) ---- */

extern const struct wh_shim wh_cuda_shim;

/* The session, or NULL when no server can be reached. */
struct wh_session *wh_cuda_session(void);

/* The live object behind a handle, or NULL. */
struct wh_object *wh_cuda_object(const void *handle, uint16_t type);

static inline const struct wh_call_desc *wh_cuda_call_desc(uint16_t number)
{
    return &wh_cuda_api.calls[number];
}

/* Whether cuInit was called; CUDA_ERROR_NOT_INITIALIZED otherwise, or what the session's loss says.
 */
CUresult wh_cuda_ready(void);

/* The session, when the program may make calls, with its current context known to the worker; else
 * NULL and an error. */
struct wh_session *wh_cuda_enter(CUresult *result);

/* Whether a context has a fault that stays: nothing is posted any more. */
bool wh_cuda_ails(void);

/* The id of a stream as it crosses, special ones included; false: it is none. */
bool wh_cuda_stream_id(struct wh_session *session, CUstream stream, uint64_t *id);

/* The context with a fault is gone: calls are posted again. */
void wh_cuda_recovered(void);

/* Makes one call after all: for a call declared `post` whose answer the program must see. */
CUresult wh_cuda_call_now(uint16_t number, uint64_t *a);
CUresult wh_cuda_post(uint16_t number, uint64_t *a);

/* ---- contexts and threads (context.c) ---- */

/* A context's state (wh_object.extra). */
struct wh_cuda_context {
    CUdevice device;
    bool primary;
    uint32_t number;                    /* among this process's contexts, from 1 */
    CUstream lane;                      /* of managed variables (mirror.c, under its lock) */
    struct wh_storage *_Atomic storage; /* context-local storage (storage.c) */
};

/* What belongs to a thread of the program. */
struct wh_cuda_thread {
    const struct wh_session *session; /* what follows is about this session */
    struct wh_object **stack;         /* contexts; the last one is current */
    unsigned depth, room;
    const struct wh_object *told; /* what the worker knows to be current here */
    unsigned per_thread;          /* inside of a function whose NULL stream is the thread's own */
    struct wh_object *stream;     /* the thread's own stream, in */
    struct wh_object *stream_in;  /* this context */
    struct {
        struct wh_cuda_frame *frame; /* of the call that the program made last; NULL: none */
        struct wh_cuda_work *work;   /* that is being put into a stream */
        unsigned quiet;              /* what is done is the profiler's own */
        bool called_back;            /* the profiler is, here */
    } observed;                      /* observe.c */
};

struct wh_cuda_thread *wh_cuda_thread(void);

/* The calling thread's current context, or NULL. */
CUcontext wh_cuda_current(void);

/* Tells the worker which context is current, if it does not know. */
void wh_cuda_tell_current(struct wh_session *session);

/* The handle of a device's primary context, without retaining it; NULL: no such device. */
CUcontext wh_cuda_primary_context(CUdevice device);

/* Its state; NULL: not a context. */
struct wh_cuda_context *wh_cuda_context(CUcontext context);

/* The state of the thread's current context; NULL: there is none, or it is gone. */
struct wh_cuda_context *wh_cuda_context_here(struct wh_session *session);

/* The object of the thread's own stream in its current context, made on first use. NULL: no context
 * or no memory. */
struct wh_object *wh_cuda_thread_stream(struct wh_session *session);

/* ---- code (module.c, code.c) ---- */

/* Loads the code behind a wrapper that nvcc made, as cudart's private interface does. */
CUresult wh_cuda_module_from_wrapper(CUmodule *module, const void *wrapper);

/* The layout of a kernel's parameters, kept with its function or kernel object. */
struct wh_cuda_layout {
    unsigned n;
    size_t size; /* bytes of all */
    struct {
        uint32_t offset, size;
    } param[];
};

/* ---- memory (memory.c) ---- */

enum wh_cuda_memory_kind {
    WH_CUDA_DEVICE,  /* cuMemAlloc and its kin */
    WH_CUDA_POOLED,  /* cuMemAllocAsync: freed in stream order */
    WH_CUDA_HOST,    /* pinned, in the arena */
    WH_CUDA_MANAGED, /* likewise, under another name */
    WH_CUDA_REGISTERED,
    WH_CUDA_GLOBAL,   /* a variable of a module */
    WH_CUDA_IMPORTED, /* another process's, by cuIpcOpenMemHandle */
    WH_CUDA_MAPPED,   /* by cuMemMap; `extra` is the allocation's object, pinned */
    WH_CUDA_OF_GRAPH, /* of a graph's node */
};

/* What is kept with host memory (wh_cuda_range.extra). */
struct wh_cuda_host {
    const struct wh_block *block; /* its pages in the arena; NULL: the device cannot reach it */
    unsigned flags;               /* as the program gave them */
};

/* A range's host memory; NULL: it is the device's. */
static inline const struct wh_cuda_host *wh_cuda_host_of(const struct wh_cuda_range *range)
{
    return range->kind == WH_CUDA_MAPPED ? NULL : range->extra;
}

/* A wait for the device spins this long where cores are many, as the driver's own waits do to their
 * end: to sleep and be woken can take a fifth of a millisecond in a virtual machine. */
#define WH_CUDA_PATIENCE_NS 10000000u

/* Whether client and worker have the arena at one address; asked once. */
bool wh_cuda_shares_arena(struct wh_session *session);

/* Enters host memory; CUDA_ERROR_OUT_OF_MEMORY when it is known already or memory is short. */
CUresult wh_cuda_host_add(const struct wh_block *block, const void *address, size_t size,
                          unsigned flags, enum wh_cuda_memory_kind kind);

/* The program's pages are private again; `host` is freed (register.c). */
void wh_cuda_end_registration(const void *address, struct wh_cuda_host *host);

/* What this process knows of the addresses that the API gave it; those that it reserved. */
struct wh_cuda_ranges *wh_cuda_memory(void);
struct wh_cuda_ranges *wh_cuda_reserved(void);

/* Remembers an allocation of the worker's for the current context. */
void wh_cuda_memory_add(CUdeviceptr address, size_t size, enum wh_cuda_memory_kind kind);

/* The same for a node of a graph: the address stays, and may be another node's, too. */
void wh_cuda_memory_add_graph(CUdeviceptr address, size_t size);

/*
 * A context is about to go: what was allocated in it is forgotten first, because behind the message
 * the same addresses may be another thread's. What of it lies here ends when the worker is done
 * with it.
 */
struct wh_cuda_ranges *wh_cuda_take_memory(CUcontext context);
void wh_cuda_end_memory(CUcontext context, struct wh_cuda_ranges *gone);

/* Whether all of [address, address + size) is memory that both sides have at this address. */
bool wh_cuda_is_shared(const void *address, size_t size);

/* Whether all of it is memory of the device (or shared). */
bool wh_cuda_is_device(CUdeviceptr address, size_t size);

/* Arena memory for staging; waits for what is in flight; NULL when there is none at all. */
const struct wh_block *wh_cuda_stage(size_t size, size_t align);

/* The error to return when there was none: memory, or the session. */
CUresult wh_cuda_no_stage(void);

/*
 * Copies between device memory and the program's own, in stream order. A write returns when the
 * program may reuse its memory, a read when the bytes are there. Addresses have been checked.
 */
CUresult wh_cuda_write(CUdeviceptr to, const void *from, size_t size, CUstream stream);
CUresult wh_cuda_read(void *to, CUdeviceptr from, size_t size, CUstream stream);

/* ---- streams (stream.c) ---- */

/* Whether the program may name this stream here. */
CUresult wh_cuda_check_stream(CUstream stream);

/* ---- capture (capture.c) ---- */

/* How many captures this process began and did not end. */
extern _Atomic unsigned wh_cuda_captures;

static inline bool wh_cuda_capturing(void)
{
    return __builtin_expect(atomic_load_explicit(&wh_cuda_captures, memory_order_relaxed) != 0, 0);
}

/* While there are captures: what the modes of these forbid the calling thread. The captures are
 * invalid then. */
CUresult wh_cuda_capture_check(uint16_t number);

/* The same for a call whose answer comes first: an event of a capture has an error of its own. */
CUresult wh_cuda_capture_judge(uint16_t number, CUresult result);

/* While there are: whether a call may be posted; to streams that do not capture it may not, for its
 * error may be the capture's. */
bool wh_cuda_capture_may_post(const struct wh_call_desc *call, const uint64_t *a);

/* While there are: this stream is known to capture from now on, if it does; and it is destroyed. */
void wh_cuda_capture_joined(CUstream stream);
void wh_cuda_capture_forget(CUstream stream);

/* While there are: whether this stream captures, which the worker knows. */
bool wh_cuda_stream_captures(CUstream stream);

/* ---- callbacks (callback.c, shim.c) ---- */

/* What a function of the program did in its stream's order is seen by whoever synchronises. */
void wh_cuda_callback_ran(void);

void wh_cuda_callback(struct wh_session *session, uint64_t token, const uint64_t *words,
                      size_t nwords);
void wh_cuda_lost(struct wh_session *session);

#endif
