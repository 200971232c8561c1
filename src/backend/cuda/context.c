/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts. Which one is current belongs to the client's threads; the client says so when it
 * changes, and whichever thread of ours carries out a call makes it current first.
 */
#include "backend/cuda/backend.h"

#include "base/log.h"

#include <stdlib.h>
#include <sys/mman.h>

#define MOST_THREADS (1u << 20)

#define NOTHING UINT32_MAX /* no generation: the driver is told again */

/* What this thread last told the driver. A new thread has no context. */
static _Thread_local CUcontext told;
static _Thread_local uint32_t told_in; /* generation */

struct wh_cuda_contexts *wh_cuda_contexts_new(void)
{
    return calloc(1, sizeof(struct wh_cuda_contexts));
}

CUcontext wh_cuda_current(struct wh_call *call)
{
    (void)call;
    return told;
}

/* What is kept goes to the driver before anything else does, in the context that it belongs to. */
static void give_words(struct wh_call *call, CUcontext next)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    if (call->desc->number == WH_CUDA_wh_write && !call->beyond && next == state->words.context)
        return;
    if (told != state->words.context && state->f.cuCtxSetCurrent(state->words.context) != 0)
        return; /* never: who leads has been in it since, and it was not ended */
    told = state->words.context;
    CUresult result = wh_cuda_words_give(state);
    if (result != CUDA_SUCCESS)
        wh_call_defer(call, result);
}

static bool moves_few_bytes(const struct wh_call *call)
{
    return call->desc->number == WH_CUDA_wh_read || call->desc->number == WH_CUDA_wh_write;
}

void wh_cuda_enter(struct wh_call *call)
{
    struct wh_worker *worker = call->worker;
    struct wh_cuda_state *state = worker->state;
    struct wh_cuda_contexts *contexts = state->contexts;
    state->calls++;
    if (!moves_few_bytes(call))
        atomic_fetch_add_explicit(&state->others, 1, memory_order_relaxed);
    /* Acquire pairs with the release in end_memory, and comes before the context is looked up: with
     * the generation of a context's end goes that it is none any more. */
    uint32_t generation = atomic_load_explicit(&contexts->generation, memory_order_acquire);
    uint32_t id = call->thread < contexts->room ? contexts->current[call->thread] : 0;
    struct wh_entry *entry = id ? wh_table_find(worker->table, id, WH_CUDA_TYPE_CUcontext) : NULL;
    CUcontext wanted = entry ? entry->real : NULL;
    if (state->words.count > 0)
        give_words(call, wanted);
    if (told == wanted && told_in == generation)
        return;
    if (state->f.cuCtxSetCurrent(wanted) != CUDA_SUCCESS) { /* it is about to go */
        wh_debug("session %u: a context cannot be made current", worker->session);
        (void)state->f.cuCtxSetCurrent(NULL);
        told = NULL;
        told_in = NOTHING;
        return;
    }
    told = wanted;
    told_in = generation;
}

static bool make_room(struct wh_cuda_contexts *contexts, uint32_t thread)
{
    if (thread < contexts->room)
        return true;
    uint32_t room = contexts->room ? contexts->room : 64;
    while (room <= thread)
        room *= 2;
    uint32_t *current = realloc(contexts->current, room * sizeof(*current));
    if (!current)
        return false;
    memset(current + contexts->room, 0, (room - contexts->room) * sizeof(*current));
    contexts->current = current;
    contexts->room = room;
    return true;
}

CUresult wh_cuda_do_set_current(struct wh_call *call, CUcontext context)
{
    struct wh_cuda_contexts *contexts = wh_cuda_state(call)->contexts;
    (void)context;
    if (call->thread >= MOST_THREADS || !make_room(contexts, call->thread)) {
        wh_call_fault(call, "a thread's number is absurd");
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    contexts->current[call->thread] = call->entries[0] ? call->entries[0]->id : 0;
    return CUDA_SUCCESS;
}

/* Everything that was allocated in a context goes with it: out of the map first, because behind the
 * driver the same addresses may be another thread's. */
static struct wh_cuda_ranges *take_memory(struct wh_call *call, const void *context)
{
    const struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_ranges *gone = wh_cuda_ranges_new();
    struct wh_cuda_range range;
    while (context && gone && wh_cuda_ranges_take_owned(state->ranges, context, &range)) {
        wh_cuda_ranges_add(gone, &range);
        wh_cuda_shares_forget(state, range.start);
    }
    return gone;
}

/*
 * A context is about to go: no thread makes it current from here on. Only then may the driver end
 * it, and only when it has done so does end_memory count a new generation: a thread that took the
 * context in between asks for it again.
 */
static struct wh_cuda_ranges *begin_end(struct wh_call *call, struct wh_entry *entry,
                                        const void *context)
{
    if (entry)
        entry->real = NULL;
    wh_cuda_stages_leave(wh_cuda_state(call), context);
    return take_memory(call, context);
}

/* The driver is done with the context: so is this process with what it mapped for it. */
static void end_memory(struct wh_call *call, const void *context, struct wh_cuda_ranges *gone)
{
    const struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_range range;
    wh_cuda_stages_forget(state, context);
    wh_cuda_bounce_forget(state, context);
    while (gone && wh_cuda_ranges_take_owned(gone, context, &range))
        if (range.kind == WH_CUDA_RANGE_ALIAS)
            munmap((void *)(uintptr_t)range.start, range.size);
    wh_cuda_ranges_free(gone);
    atomic_fetch_add_explicit(&state->contexts->generation, 1, memory_order_release);
}

/* ---- primary contexts ---- */

/* The client's handle for a context that need not exist yet. */
CUresult wh_cuda_do_primary_name(struct wh_call *call, CUdevice device, CUcontext *context)
{
    (void)call;
    (void)device;
    if (context)
        *context = NULL;
    return CUDA_SUCCESS;
}

static CUresult no_context(struct wh_call *call)
{
    wh_call_fault(call, "a primary context has no handle");
    return CUDA_ERROR_INVALID_CONTEXT;
}

CUresult wh_cuda_do_primary_retain(struct wh_call *call, CUdevice device, CUcontext context)
{
    struct wh_entry *entry = call->entries[1];
    CUresult result = CUDA_SUCCESS;
    (void)context;
    if (!entry)
        return no_context(call);
    if (!entry->real) {
        CUcontext made = NULL;
        result = wh_cuda_driver(call)->cuDevicePrimaryCtxRetain(&made, device);
        entry->real = result == CUDA_SUCCESS ? made : NULL;
    }
    return result;
}

CUresult wh_cuda_do_primary_release(struct wh_call *call, CUdevice device, CUcontext context)
{
    if (!call->entries[1])
        return no_context(call);
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    struct wh_cuda_ranges *gone = begin_end(call, call->entries[1], context);
    CUresult result = wh_cuda_driver(call)->cuDevicePrimaryCtxRelease_v2(device);
    end_memory(call, context, gone);
    return result;
}

/* Afterwards the client's references are gone, and so is ours. */
CUresult wh_cuda_do_primary_reset(struct wh_call *call, CUdevice device, CUcontext context)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    if (!call->entries[1])
        return no_context(call);
    if (!context)
        return CUDA_SUCCESS;
    struct wh_cuda_ranges *gone = begin_end(call, call->entries[1], context);
    CUresult result = f->cuDevicePrimaryCtxReset_v2(device);
    f->cuDevicePrimaryCtxRelease_v2(device);
    end_memory(call, context, gone);
    return result;
}

/* ---- contexts of the program's own ---- */

CUresult wh_cuda_do_context_create(struct wh_call *call, unsigned int flags, CUdevice device,
                                   CUcontext *context)
{
    CUcontext popped;
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUresult result = f->cuCtxCreate_v2(context, flags, device);
    /* The client keeps the stack: creation made it current here. */
    if (result == CUDA_SUCCESS)
        f->cuCtxPopCurrent_v2(&popped);
    told_in = NOTHING;
    return result;
}

CUresult wh_cuda_do_context_destroy(struct wh_call *call, CUcontext context)
{
    struct wh_cuda_ranges *gone = begin_end(call, call->entries[0], context);
    CUresult result = wh_cuda_driver(call)->cuCtxDestroy_v2(context);
    end_memory(call, context, gone);
    told_in = NOTHING;
    return result;
}

/* The client's handle is gone; the context went before. */
CUresult wh_cuda_do_forget_context(struct wh_call *call, CUcontext context)
{
    (void)call;
    (void)context;
    return CUDA_SUCCESS;
}

/* One that need not be current. */
CUresult wh_cuda_do_context_synchronize(struct wh_call *call, CUcontext context)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUcontext popped;
    if (!context || context == told)
        return f->cuCtxSynchronize();
    CUresult result = f->cuCtxPushCurrent_v2(context);
    if (result != CUDA_SUCCESS)
        return result;
    result = f->cuCtxSynchronize();
    f->cuCtxPopCurrent_v2(&popped);
    return result;
}
