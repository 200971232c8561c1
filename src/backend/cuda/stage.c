/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Big copies through a part of the arena that is registered with the driver: enqueueing a piece
 * takes no time, and the device's engine moves it while the client fills the next place. An event
 * behind each piece says when its place is the client's again; events are looked at when the next
 * message comes, or waited for when the client asks. What the driver will not register is ordinary
 * memory to it, and everything below holds as well.
 */
#include "backend/cuda/backend.h"

#include <stdlib.h>

#define PLACES WH_CUDA_STAGE_PLACES
#define PAGE   4096u

struct place {
    CUevent event;      /* behind the last piece; NULL: none was made */
    CUcontext context;  /* the event's */
    uint32_t number;    /* the client's, of the last use */
    bool pending;       /* the client was not told that the place is free */
    const void *keeper; /* a call or an ending context, which will tell in the event's stead */
    unsigned waiters;   /* the event stays as long as some wait for it */
};

struct wh_cuda_stages {
    pthread_mutex_t lock;
    pthread_cond_t told;     /* a place is the client's again */
    uint8_t *memory;         /* in the arena, by the client's leave; NULL: not opened */
    _Atomic uint32_t *words; /* its first page */
    CUcontext context;       /* in which it is registered; NULL: it is not */
    struct place places[PLACES];
};

struct wh_cuda_stages *wh_cuda_stages_new(void)
{
    struct wh_cuda_stages *stages = calloc(1, sizeof(*stages));
    if (stages)
        pthread_mutex_init(&stages->lock, NULL);
    if (stages)
        pthread_cond_init(&stages->told, NULL);
    return stages;
}

CUresult wh_cuda_do_stage_open(struct wh_call *call, size_t size, void *memory)
{
    struct wh_cuda_stages *stages = wh_cuda_state(call)->stages;
    CUcontext context = wh_cuda_current(call);
    CUresult result = CUDA_SUCCESS;
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (size < PAGE || (uintptr_t)memory % PAGE)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&stages->lock);
    if (stages->memory && stages->memory != memory)
        result = CUDA_ERROR_INVALID_VALUE; /* one for a session */
    if (result == CUDA_SUCCESS && !stages->context &&
        wh_cuda_driver(call)->cuMemHostRegister_v2(memory, size, CU_MEMHOSTREGISTER_PORTABLE) ==
            CUDA_SUCCESS)
        stages->context = context;
    if (result == CUDA_SUCCESS) {
        stages->memory = memory;
        stages->words = memory;
    }
    pthread_mutex_unlock(&stages->lock);
    return result;
}

/* ---- whose a place is ---- */

/* Lock held. Release pairs with the client's acquire: what a read brought is there. */
static void give_back(struct wh_cuda_stages *stages, unsigned i)
{
    stages->places[i].pending = false;
    stages->places[i].keeper = NULL;
    atomic_store_explicit(&stages->words[i], stages->places[i].number, memory_order_release);
    pthread_cond_broadcast(&stages->told);
}

void wh_cuda_stages_leave(const struct wh_cuda_state *state, const void *context)
{
    struct wh_cuda_stages *stages = state->stages;
    pthread_mutex_lock(&stages->lock);
    for (unsigned i = 0; i < PLACES; i++) {
        struct place *place = &stages->places[i];
        if (!place->event || place->context != context)
            continue;
        place->event = NULL; /* goes with the context */
        if (place->pending && !place->keeper)
            place->keeper = context;
    }
    pthread_mutex_unlock(&stages->lock);
}

void wh_cuda_stages_forget(const struct wh_cuda_state *state, const void *context)
{
    struct wh_cuda_stages *stages = state->stages;
    wh_cuda_stages_leave(state, context); /* whoever was in it still may have made more */
    pthread_mutex_lock(&stages->lock);
    if (stages->context == context)
        stages->context = NULL;
    for (unsigned i = 0; i < PLACES; i++)
        if (stages->places[i].keeper == context && stages->places[i].pending)
            give_back(stages, i);
    pthread_mutex_unlock(&stages->lock);
}

/* Looks at all places that the device had, which is no business of a capture that some thread has
 * begun. Lock held. */
static void look(struct wh_call *call)
{
    struct wh_cuda_stages *stages = wh_cuda_state(call)->stages;
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    wh_cuda_driver(call)->cuThreadExchangeStreamCaptureMode(&mode);
    for (unsigned i = 0; i < PLACES; i++) {
        struct place *place = &stages->places[i];
        if (place->pending && !place->keeper &&
            wh_cuda_driver(call)->cuEventQuery(place->event) != CUDA_ERROR_NOT_READY)
            give_back(stages, i);
    }
    wh_cuda_driver(call)->cuThreadExchangeStreamCaptureMode(&mode);
}

/* Puts an event behind what is on the stream. Lock held. False: there can be none. */
static bool mark(struct wh_call *call, struct place *place, CUstream stream)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUcontext context = wh_cuda_current(call);
    if (place->event && place->context != context && place->waiters == 0) {
        f->cuEventDestroy_v2(place->event);
        place->event = NULL;
    }
    if (!place->event) {
        place->context = context;
        if (f->cuEventCreate(&place->event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS)
            place->event = NULL;
    }
    return place->event && f->cuEventRecord(place->event, stream) == CUDA_SUCCESS;
}

/* No event tells of the piece: the place waits for it here. Lock held, but not meanwhile. */
static CUresult wait_here(struct wh_call *call, CUstream stream)
{
    struct wh_cuda_stages *stages = wh_cuda_state(call)->stages;
    pthread_mutex_unlock(&stages->lock);
    wh_call_vacate(call);
    CUresult result = wh_cuda_driver(call)->cuStreamSynchronize(stream);
    pthread_mutex_lock(&stages->lock);
    return result;
}

/* A piece is on its way, if `result` says so. */
static CUresult follow(struct wh_call *call, unsigned i, unsigned number, CUstream stream,
                       CUresult result)
{
    struct wh_cuda_stages *stages = wh_cuda_state(call)->stages;
    struct place *place = &stages->places[i];
    pthread_mutex_lock(&stages->lock);
    place->number = number;
    place->pending = true;
    place->keeper = call;
    if (result == CUDA_SUCCESS && mark(call, place, stream))
        place->keeper = NULL;
    else if (result == CUDA_SUCCESS)
        result = wait_here(call, stream); /* one of another context */
    if (place->keeper == call)
        give_back(stages, i);
    look(call);
    pthread_mutex_unlock(&stages->lock);
    return result;
}

static bool is_open(struct wh_call *call, unsigned place)
{
    if (place < PLACES && wh_cuda_state(call)->stages->words)
        return true;
    wh_call_fault(call, "a place for big copies does not exist");
    return false;
}

/* ---- pieces ---- */

CUresult wh_cuda_do_stage_to_device(struct wh_call *call, CUdeviceptr to, size_t size, void *bytes,
                                    CUstream stream, unsigned place, unsigned number)
{
    if (!is_open(call, place))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuMemcpyHtoDAsync_v2(to, bytes, size, stream);
    return follow(call, place, number, stream, result);
}

CUresult wh_cuda_do_stage_from_device(struct wh_call *call, size_t size, void *bytes,
                                      CUdeviceptr from, CUstream stream, unsigned place,
                                      unsigned number)
{
    if (!is_open(call, place))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuMemcpyDtoHAsync_v2(bytes, from, size, stream);
    return follow(call, place, number, stream, result);
}

void wh_cuda_stage_unmade(struct wh_call *call, unsigned place, unsigned number)
{
    if (is_open(call, place))
        (void)follow(call, place, number, NULL, CUDA_ERROR_INVALID_VALUE);
}

/* ---- waiting ---- */

CUresult wh_cuda_do_stage_wait(struct wh_call *call, unsigned i)
{
    struct wh_cuda_stages *stages = wh_cuda_state(call)->stages;
    CUresult result = CUDA_SUCCESS;
    if (!is_open(call, i))
        return CUDA_ERROR_INVALID_VALUE;
    struct place *place = &stages->places[i];
    pthread_mutex_lock(&stages->lock);
    CUevent event = place->pending && !place->keeper ? place->event : NULL;
    uint32_t number = place->number;
    if (event) {
        place->waiters++;
        pthread_mutex_unlock(&stages->lock);
        result = wh_cuda_driver(call)->cuEventSynchronize(event);
        pthread_mutex_lock(&stages->lock);
        place->waiters--;
        if (place->pending && !place->keeper && place->number == number)
            give_back(stages, i);
    }
    while (place->pending && place->keeper && place->number == number)
        pthread_cond_wait(&stages->told, &stages->lock);
    look(call);
    pthread_mutex_unlock(&stages->lock);
    return result;
}

CUresult wh_cuda_do_stage_look(struct wh_call *call)
{
    struct wh_cuda_stages *stages = wh_cuda_state(call)->stages;
    pthread_mutex_lock(&stages->lock);
    if (stages->words)
        look(call);
    pthread_mutex_unlock(&stages->lock);
    return CUDA_SUCCESS;
}
