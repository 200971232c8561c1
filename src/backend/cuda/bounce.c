/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places for what small copies bring from the device: registered with the driver, which moves bytes
 * into them with less ado than into ordinary memory. Where there is none to be had the copy goes to
 * ordinary memory as it would without them.
 */
#include "backend/cuda/backend.h"

#include <stdlib.h>
#include <string.h>

#define PLACES 32u /* at once; a bit each */
#define PLACE  WH_CUDA_BOUNCE_MOST

struct wh_cuda_bounce {
    _Alignas(4096) uint8_t places[PLACES][PLACE];
    pthread_mutex_t lock;
    const void *_Atomic context; /* in which they are registered; NULL: they are not */
    const void *refused;         /* the context in which that failed */
    _Atomic uint32_t taken;
};

struct wh_cuda_bounce *wh_cuda_bounce_new(void)
{
    struct wh_cuda_bounce *bounce = aligned_alloc(4096, sizeof(*bounce));
    if (!bounce)
        return NULL;
    memset(bounce, 0, sizeof(*bounce));
    pthread_mutex_init(&bounce->lock, NULL);
    return bounce;
}

void wh_cuda_bounce_forget(const struct wh_cuda_state *state, const void *context)
{
    struct wh_cuda_bounce *bounce = state->bounce;
    pthread_mutex_lock(&bounce->lock);
    if (bounce->refused == context)
        bounce->refused = NULL;
    if (bounce->context == context)
        bounce->context = NULL;
    pthread_mutex_unlock(&bounce->lock);
}

static bool is_registered(struct wh_call *call, struct wh_cuda_bounce *bounce)
{
    const void *context = wh_cuda_current(call);
    if (bounce->context)
        return true;
    if (!context)
        return false;
    pthread_mutex_lock(&bounce->lock);
    if (!bounce->context && bounce->refused != context) {
        bool good =
            wh_cuda_driver(call)->cuMemHostRegister_v2(bounce->places, sizeof(bounce->places),
                                                       CU_MEMHOSTREGISTER_PORTABLE) == CUDA_SUCCESS;
        if (good)
            bounce->context = context;
        else
            bounce->refused = context;
    }
    pthread_mutex_unlock(&bounce->lock);
    return bounce->context != NULL;
}

void *wh_cuda_bounce_take(struct wh_call *call, size_t size)
{
    struct wh_cuda_bounce *bounce = wh_cuda_state(call)->bounce;
    if (size > PLACE || !is_registered(call, bounce))
        return NULL;
    uint32_t taken = bounce->taken;
    while (taken != UINT32_MAX) {
        unsigned i = (unsigned)__builtin_ctz(~taken);
        if (atomic_compare_exchange_weak(&bounce->taken, &taken, taken | 1u << i))
            return bounce->places[i];
    }
    return NULL;
}

void wh_cuda_bounce_put(struct wh_call *call, const void *place)
{
    struct wh_cuda_bounce *bounce = wh_cuda_state(call)->bounce;
    size_t i = (size_t)((const uint8_t *)place - bounce->places[0]) / PLACE;
    atomic_fetch_and(&bounce->taken, ~(1u << i));
}
