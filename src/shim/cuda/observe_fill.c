/* SPDX-License-Identifier: Apache-2.0 */
/* What a profiler is told of copies and fills that are generated calls, by their words. */
#include "shim/cuda/observe.h"

enum wh_observed_memory wh_cuda_observed_memory(uint64_t address)
{
    struct wh_cuda_range range;
    if (!wh_cuda_ranges_find(wh_cuda_memory(), address, 1, &range))
        return WH_OF_PAGEABLE;
    switch ((enum wh_cuda_memory_kind)range.kind) {
    case WH_CUDA_HOST:
    case WH_CUDA_REGISTERED:
        return WH_OF_PINNED;
    case WH_CUDA_MANAGED:
        return WH_OF_MANAGED;
    default:
        return WH_OF_DEVICE;
    }
}

/* ---- generated calls ---- */

enum { NO_STREAM = -1 };

/* Where the words of a call are. */
struct shape {
    uint16_t number;
    unsigned what;
    int8_t to, from, size, height, stream; /* `height`: 0, or of rows of `size` elements */
    uint8_t element;                       /* bytes */
    bool from_array, to_array, peer;
};

#define SET(call, bytes, stream_at)                                                       \
    {                                                                                     \
        .number = WH_CUDA_##call, .what = WH_OBSERVE_SETS, .to = 0, .from = 1, .size = 2, \
        .element = (bytes), .stream = (stream_at)                                         \
    }
#define SET_ROWS(call, bytes, stream_at)                                                  \
    {                                                                                     \
        .number = WH_CUDA_##call, .what = WH_OBSERVE_SETS, .to = 0, .from = 2, .size = 3, \
        .height = 4, .element = (bytes), .stream = (stream_at)                            \
    }
#define COPY(call, to_at, from_at, size_at, stream_at, ...)                                    \
    {                                                                                          \
        .number = WH_CUDA_##call, .what = WH_OBSERVE_COPIES, .to = (to_at), .from = (from_at), \
        .size = (size_at), .element = 1, .stream = (stream_at), ##__VA_ARGS__                  \
    }

static const struct shape shapes[] = {
    SET(cuMemsetD8_v2, 1, NO_STREAM),
    SET(cuMemsetD16_v2, 2, NO_STREAM),
    SET(cuMemsetD32_v2, 4, NO_STREAM),
    SET(cuMemsetD8Async, 1, 3),
    SET(cuMemsetD16Async, 2, 3),
    SET(cuMemsetD32Async, 4, 3),
    SET_ROWS(cuMemsetD2D8_v2, 1, NO_STREAM),
    SET_ROWS(cuMemsetD2D16_v2, 2, NO_STREAM),
    SET_ROWS(cuMemsetD2D32_v2, 4, NO_STREAM),
    SET_ROWS(cuMemsetD2D8Async, 1, 5),
    SET_ROWS(cuMemsetD2D16Async, 2, 5),
    SET_ROWS(cuMemsetD2D32Async, 4, 5),
    COPY(cuMemcpyDtoD_v2, 0, 1, 2, NO_STREAM),
    COPY(cuMemcpyDtoDAsync_v2, 0, 1, 2, 3),
    COPY(cuMemcpyPeer, 0, 2, 4, NO_STREAM, .peer = true),
    COPY(cuMemcpyPeerAsync, 0, 2, 4, 5, .peer = true),
    COPY(cuMemcpyDtoA_v2, 0, 2, 3, NO_STREAM, .to_array = true),
    COPY(cuMemcpyAtoD_v2, 0, 1, 3, NO_STREAM, .from_array = true),
    COPY(cuMemcpyAtoA_v2, 0, 2, 4, NO_STREAM, .to_array = true, .from_array = true),
};

static const struct shape *shape_of(uint16_t number)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (shapes[i].number == number)
            return &shapes[i];
    return NULL;
}

static void tell_context(uint64_t handle, uint32_t *device, uint32_t *context)
{
    const struct wh_cuda_context *state = wh_cuda_context((CUcontext)(uintptr_t)handle);
    *device = state ? (uint32_t)state->device : WH_OBSERVE_NO_ID;
    *context = state ? state->number : WH_OBSERVE_NO_ID;
}

static void tell_copy(const struct shape *s, const uint64_t *a, struct wh_observed_copy *copy)
{
    copy->to = s->to_array ? WH_OF_ARRAY : wh_cuda_observed_memory(a[s->to]);
    copy->from = s->from_array ? WH_OF_ARRAY : wh_cuda_observed_memory(a[s->from]);
    copy->bytes = a[s->size];
    copy->asynchronous = s->stream >= 0;
    copy->peer = s->peer;
    if (!s->peer)
        return;
    tell_context(a[1], &copy->to_device, &copy->to_context);
    tell_context(a[3], &copy->from_device, &copy->from_context);
}

struct wh_cuda_work *wh_cuda_work_of(uint16_t number, const uint64_t *a)
{
    const struct shape *s = shape_of(number);
    CUstream stream = s && s->stream >= 0 ? (CUstream)(uintptr_t)a[s->stream] : NULL;
    struct wh_cuda_work *work = s ? wh_cuda_work_begin(s->what, stream) : NULL;
    if (!work)
        return NULL;
    struct wh_observed_work *told = wh_cuda_work_told(work);
    if (s->what == WH_OBSERVE_COPIES)
        tell_copy(s, a, &told->copy);
    else
        told->set = (struct wh_observed_set){
            .value = (uint32_t)a[s->from],
            .bytes = a[s->size] * s->element * (s->height ? a[s->height] : 1),
            .memory = wh_cuda_observed_memory(a[s->to]),
            .asynchronous = s->stream >= 0,
        };
    return work;
}
