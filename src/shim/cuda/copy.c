/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain copies. Bytes of the program's own memory travel in the message when they are few, else in
 * pieces through the arena, several in flight; memory that both sides share is named, not copied.
 */
#include "shim/cuda/observe.h"
#include "shim/cuda/staging.h"

#include "base/util.h"
#include "shim/cuda/stage.h"

const struct wh_block *wh_cuda_stage(size_t size, size_t align)
{
    struct wh_session *session = wh_cuda_session();
    const struct wh_block *block = NULL;
    if (!session)
        return NULL;
    do
        block = wh_arena_allocate(wh_session_arena(session), size, align);
    while (!block && wh_transfer_wait_any(session));
    if (block)
        return block;
    wh_cuda_staging_reap();
    return wh_arena_allocate(wh_session_arena(session), size, align);
}

CUresult wh_cuda_no_stage(void)
{
    const struct wh_session *session = wh_cuda_session();
    return session && !wh_session_lost(session) ? CUDA_ERROR_OUT_OF_MEMORY
                                                : (CUresult)wh_cuda_api.lost;
}

/* ---- to the device ---- */

static CUresult write_piece(CUdeviceptr to, const uint8_t *from, size_t size, CUstream stream,
                            int64_t *flight)
{
    struct wh_session *session = wh_cuda_session();
    const struct wh_block *block = wh_cuda_stage(size, 64);
    int64_t ticket = block ? wh_transfer_begin(session, block, NULL) : -1;
    *flight = ticket;
    if (ticket < 0) {
        wh_arena_release(wh_session_arena(session), block);
        return wh_cuda_no_stage();
    }
    memcpy(wh_arena_address(wh_session_arena(session), block), from, size);
    atomic_fetch_add_explicit(&wh_session_stats(session)->copied_bytes, size, memory_order_relaxed);
    CUresult result =
        wh_cuda_call_copy_to_device(to, size, block->offset, stream, WH_TICKET_TOKEN(ticket));
    if (result != CUDA_SUCCESS)
        wh_transfer_cancel(session, ticket);
    return result;
}

/* When the arena is full of pinned memory: slowly, in messages. */
static CUresult write_in_messages(CUdeviceptr to, const uint8_t *from, size_t size, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;
    for (size_t at = 0; at < size && result == CUDA_SUCCESS; at += WH_INLINE_WRITE)
        result = wh_cuda_call_write(
            to + at, size - at < WH_INLINE_WRITE ? size - at : WH_INLINE_WRITE, from + at, stream);
    return result;
}

CUresult wh_cuda_write(CUdeviceptr to, const void *from, size_t size, CUstream stream)
{
    const uint8_t *bytes = from;
    CUresult result = CUDA_SUCCESS;
    if (size <= WH_INLINE_WRITE)
        return wh_cuda_call_write(to, size, from, stream);
    if (size >= WH_CUDA_BIG && wh_cuda_stage_write(to, from, size, stream, &result))
        return result;
    int64_t tickets[WH_STAGES];
    unsigned n = 0;
    /* Few pieces in flight: the same blocks are used again and again, and stay in the caches. */
    for (size_t at = 0; at < size && result == CUDA_SUCCESS; n++) {
        size_t piece = size - at < WH_STAGE ? size - at : WH_STAGE;
        if (n >= WH_STAGES && wh_transfer_wait(wh_cuda_session(), tickets[n % WH_STAGES]) < 0)
            return (CUresult)wh_cuda_api.lost;
        result = write_piece(to + at, bytes + at, piece, stream, &tickets[n % WH_STAGES]);
        if (result == CUDA_ERROR_OUT_OF_MEMORY)
            return write_in_messages(to + at, bytes + at, size - at, stream);
        at += piece;
    }
    return result;
}

/* ---- from the device ---- */

/* What was read last was waited for: so was all that the stream had to do. */
static CUresult read_now(uint64_t *a, uint16_t message, unsigned stream)
{
    struct wh_session *session = wh_cuda_session();
    CUresult result = wh_cuda_call_now(message, a);
    if (result != CUDA_SUCCESS)
        return result;
    if (a[stream] < WH_SPECIAL_HANDLES)
        a[stream] = wh_cuda_shim.special(session, WH_CUDA_TYPE_CUstream, a[stream]);
    wh_client_settled(session, &wh_cuda_api.calls[WH_CUDA_cuStreamSynchronize], a[stream]);
    return result;
}

/* The last piece waits for its result, and says what became of all. */
static CUresult read_last(uint8_t *to, CUdeviceptr from, size_t size, CUstream stream)
{
    struct wh_session *session = wh_cuda_session();
    const struct wh_block *block = wh_cuda_stage(size, 64);
    if (!block)
        return wh_cuda_no_stage();
    uint64_t a[] = {size, block->offset, from, (uintptr_t)stream, WH_NO_TOKEN};
    CUresult result = read_now(a, WH_CUDA_wh_copy_from_device, 3);
    if (result == CUDA_SUCCESS)
        memcpy(to, wh_arena_address(wh_session_arena(session), block), size);
    atomic_fetch_add_explicit(&wh_session_stats(session)->copied_bytes, size, memory_order_relaxed);
    wh_arena_release(wh_session_arena(session), block);
    return result;
}

static CUresult read_piece(uint8_t *to, CUdeviceptr from, size_t size, CUstream stream,
                           int64_t *ticket)
{
    struct wh_session *session = wh_cuda_session();
    const struct wh_block *block = wh_cuda_stage(size, 64);
    struct wh_copy copy = {.memory = to, .width = size, .height = 1, .depth = 1};
    *ticket = block ? wh_transfer_begin(session, block, &copy) : -1;
    if (*ticket < 0) {
        wh_arena_release(wh_session_arena(session), block);
        return wh_cuda_no_stage();
    }
    uint64_t a[] = {size, block->offset, from, (uintptr_t)stream, WH_TICKET_TOKEN(*ticket)};
    CUresult result = wh_cuda_post(WH_CUDA_wh_copy_from_device, a);
    if (result != CUDA_SUCCESS)
        wh_transfer_cancel(session, *ticket);
    return result;
}

static CUresult read_in_replies(uint8_t *to, CUdeviceptr from, size_t size, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;
    for (size_t at = 0; at < size && result == CUDA_SUCCESS; at += WH_INLINE_READ)
        result = wh_cuda_call_read(size - at < WH_INLINE_READ ? size - at : WH_INLINE_READ, to + at,
                                   from + at, stream);
    return result;
}

CUresult wh_cuda_read(void *to, CUdeviceptr from, size_t size, CUstream stream)
{
    struct wh_session *session = wh_cuda_session();
    uint8_t *bytes = to;
    int64_t tickets[WH_STAGES];
    unsigned n = 0;
    size_t at = 0;
    CUresult result = CUDA_SUCCESS;
    if (size <= WH_INLINE_READ) {
        uint64_t a[] = {size, (uintptr_t)to, from, (uintptr_t)stream};
        return read_now(a, WH_CUDA_wh_read, 3);
    }
    if (size >= WH_CUDA_BIG && wh_cuda_stage_read(to, from, size, stream, &result))
        return result;
    while (size - at > WH_STAGE && result == CUDA_SUCCESS) {
        if (n >= WH_STAGES && wh_transfer_wait(session, tickets[n % WH_STAGES]) < 0)
            return (CUresult)wh_cuda_api.lost;
        result = read_piece(bytes + at, from + at, WH_STAGE, stream, &tickets[n % WH_STAGES]);
        if (result == CUDA_SUCCESS) {
            at += WH_STAGE;
            n++;
        }
    }
    if (result == CUDA_SUCCESS)
        result = read_last(bytes + at, from + at, size - at, stream);
    if (result == CUDA_ERROR_OUT_OF_MEMORY)
        result = read_in_replies(bytes + at, from + at, size - at, stream);
    for (unsigned i = 0; i < n && i < WH_STAGES; i++)
        if (wh_transfer_wait(session, tickets[i]) < 0)
            return (CUresult)wh_cuda_api.lost;
    return result;
}

/* The same for bytes that fit into one piece, of which a profiler is to know when the device was
 * done: whose end is marked in the stream before it is waited for. */
static CUresult read_observed(void *to, CUdeviceptr from, size_t size, CUstream stream)
{
    struct wh_session *session = wh_cuda_session();
    int64_t ticket;
    CUresult result = read_piece(to, from, size, stream, &ticket);
    if (result == CUDA_ERROR_OUT_OF_MEMORY)
        return wh_cuda_read(to, from, size, stream);
    if (result != CUDA_SUCCESS)
        return result;
    wh_cuda_work_is_put();
    result = cuStreamSynchronize(stream);
    return wh_transfer_wait(session, ticket) < 0 ? (CUresult)wh_cuda_api.lost : result;
}

/* ---- what programs call ---- */

static CUresult copy_shared(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream,
                            bool wait)
{
    struct wh_session *session = wh_cuda_session();
    CUresult result = wh_cuda_call_copy_shared(to, from, size, stream);
    if (wh_cuda_observing())
        wh_cuda_work_is_put();
    atomic_fetch_add_explicit(&wh_session_stats(session)->shared_bytes, size, memory_order_relaxed);
    return result == CUDA_SUCCESS && wait ? cuStreamSynchronize(stream) : result;
}

/* Between device (or shared) memory at both ends or the program's own at either. */
static CUresult carry_out(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream, bool wait)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!wh_cuda_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    if (size == 0)
        return CUDA_SUCCESS;
    if (!to || !from)
        return CUDA_ERROR_INVALID_VALUE;
    bool to_device = wh_cuda_is_device(to, size), from_device = wh_cuda_is_device(from, size);
    if (to_device && from_device)
        return copy_shared(to, from, size, stream, wait);
    /* Reserved addresses are the device's, but nothing is mapped there. */
    if ((!to_device && wh_cuda_ranges_touch(wh_cuda_reserved(), to, size)) ||
        (!from_device && wh_cuda_ranges_touch(wh_cuda_reserved(), from, size)))
        return CUDA_ERROR_INVALID_VALUE;
    if (wh_cuda_capturing() && wh_cuda_stream_captures(stream))
        return wh_cuda_capture_plain(to, from, size, stream);
    if (to_device)
        return wh_cuda_write(to, (const void *)(uintptr_t)from, size, stream);
    if (from_device && wh_cuda_observes(WH_OBSERVE_COPIES) && size < WH_CUDA_BIG)
        return read_observed((void *)(uintptr_t)to, from, size, stream);
    if (from_device)
        return wh_cuda_read((void *)(uintptr_t)to, from, size, stream);
    /* Neither: in stream order, but without the device. */
    ready = cuStreamSynchronize(stream);
    if (ready == CUDA_SUCCESS)
        memmove((void *)(uintptr_t)to, (const void *)(uintptr_t)from, size);
    return ready;
}

static CUresult copy(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream, bool wait)
{
    if (!wh_cuda_observing())
        return carry_out(to, from, size, stream, wait);
    struct wh_cuda_work *work = size ? wh_cuda_work_begin(WH_OBSERVE_COPIES, stream) : NULL;
    if (work)
        wh_cuda_work_told(work)->copy = (struct wh_observed_copy){
            .from = wh_cuda_observed_memory(from),
            .to = wh_cuda_observed_memory(to),
            .bytes = size,
            .asynchronous = !wait,
        };
    CUresult result = carry_out(to, from, size, stream, wait);
    wh_cuda_work_end(work, result);
    return result;
}

/* A copy whose device side must be the device's. */
static CUresult copy_checked(CUdeviceptr to, CUdeviceptr from, CUdeviceptr device, size_t size,
                             CUstream stream, bool wait)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (size && wh_cuda_current() && !wh_cuda_is_device(device, size))
        return CUDA_ERROR_INVALID_VALUE;
    return copy(to, from, size, stream, wait);
}

WH_EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size)
{
    return copy_checked(to, (uintptr_t)from, to, size, NULL, true);
}

WH_EXPORT CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size)
{
    return copy_checked((uintptr_t)to, from, from, size, NULL, true);
}

WH_EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size,
                                        CUstream stream)
{
    return copy_checked(to, (uintptr_t)from, to, size, stream, false);
}

WH_EXPORT CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream)
{
    return copy_checked((uintptr_t)to, from, from, size, stream, false);
}

/* Between two places on the device, the host may go on at once. */
WH_EXPORT CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t size)
{
    bool wait = wh_cuda_is_shared((void *)(uintptr_t)to, size) ||
                wh_cuda_is_shared((void *)(uintptr_t)from, size);
    return copy(to, from, size, NULL, wait);
}

WH_EXPORT CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream)
{
    return copy(to, from, size, stream, false);
}
