/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: what the session allocates enters its map of addresses, and what it shares with the
 * client lies in the arena, at the client's own address.
 */
#include "backend/cuda/graph.h"

#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u

/* Enters a fresh allocation; if that fails, it is as if it had not been made. */
static CUresult enter(struct wh_call *call, CUresult result, CUdeviceptr *address, size_t size)
{
    struct wh_cuda_range range = {.size = size ? size : 1, .owner = wh_cuda_current(call)};
    if (result != CUDA_SUCCESS || !address)
        return result;
    range.start = *address;
    if (wh_cuda_ranges_add(wh_cuda_state(call)->ranges, &range))
        return CUDA_SUCCESS;
    wh_cuda_driver(call)->cuMemFree_v2(*address);
    *address = 0;
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult wh_cuda_do_cuMemAlloc_v2(struct wh_call *call, CUdeviceptr *address, size_t size)
{
    return enter(call, wh_cuda_driver(call)->cuMemAlloc_v2(address, size), address, size);
}

CUresult wh_cuda_do_cuMemAllocPitch_v2(struct wh_call *call, CUdeviceptr *address, size_t *pitch,
                                       size_t width, size_t height, unsigned int element)
{
    size_t row = 0;
    CUresult result =
        wh_cuda_driver(call)->cuMemAllocPitch_v2(address, &row, width, height, element);
    if (pitch)
        *pitch = row;
    return enter(call, result, address, row * height);
}

CUresult wh_cuda_do_cuMemFree_v2(struct wh_call *call, CUdeviceptr address)
{
    struct wh_cuda_range range;
    struct wh_cuda_state *state = wh_cuda_state(call);
    if (address == 0)
        return CUDA_SUCCESS;
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    if (wh_cuda_ranges_find(state->ranges, address, 0, &range) && range.kind == WH_CUDA_RANGE_GRAPH)
        return f->cuMemFree_v2(address);
    if (!wh_cuda_ranges_take(state->ranges, address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    wh_cuda_shares_forget(state, address);
    CUresult result = f->cuMemFree_v2(address);
    if (result != CUDA_SUCCESS)
        wh_cuda_ranges_add(state->ranges, &range);
    return result;
}

/* ---- how much there is ---- */

/*
 * The driver takes microseconds to count. Asked again when this session did nothing else in
 * between, a fresh answer still holds: others' doings show a little later.
 */
#define FRESH_NS 1000000u

static bool is_fresh(const struct wh_cuda_state *state, CUcontext context, uint64_t now)
{
    const struct wh_cuda_memory_info *info = &state->memory_info;
    return info->total && info->context == context && info->calls + 1 == state->calls &&
           now - info->time_ns < FRESH_NS;
}

CUresult wh_cuda_do_cuMemGetInfo_v2(struct wh_call *call, size_t *unused, size_t *total)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_memory_info *info = &state->memory_info;
    CUcontext context = wh_cuda_current(call);
    uint64_t now = wh_now_ns();
    CUresult result = CUDA_SUCCESS;
    if (!is_fresh(state, context, now)) {
        *info = (struct wh_cuda_memory_info){.context = context, .time_ns = now};
        result = state->f.cuMemGetInfo_v2(&info->unused, &info->total);
    }
    if (result == CUDA_SUCCESS && unused)
        *unused = info->unused;
    if (result == CUDA_SUCCESS && total)
        *total = info->total;
    info->calls = state->calls;
    if (result != CUDA_SUCCESS || atomic_load(&call->worker->away) > 0)
        info->total = 0; /* something else is going on */
    return result;
}

/* ---- memory shared with the client ---- */

CUresult wh_cuda_do_share_arena(struct wh_call *call, CUdeviceptr address)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    const struct wh_channel *channel = call->worker->channel;
    uint8_t *wanted = (uint8_t *)(uintptr_t)address;
    if (state->arena)
        return state->arena == wanted ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (channel->arena_fd < 0 || address % PAGE)
        return CUDA_ERROR_NOT_SUPPORTED;
    void *got = mmap(wanted, channel->arena_size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, channel->arena_fd,
                     (off_t)channel->arena_offset);
    if (got != wanted) {
        wh_log("session %u: the client's shared memory at %p has no room here: %s",
               call->worker->session, (void *)wanted, strerror(errno));
        if (got != MAP_FAILED)
            munmap(got, channel->arena_size);
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    state->arena = got;
    state->arena_size = channel->arena_size;
    return CUDA_SUCCESS;
}

/* Bytes of the arena at the client's address, or NULL. */
static void *shared_bytes(struct wh_call *call, CUdeviceptr address, size_t size)
{
    const struct wh_cuda_state *state = wh_cuda_state(call);
    uint64_t offset = address - (uintptr_t)state->arena;
    if (!state->arena || offset > state->arena_size || size > state->arena_size - offset)
        return NULL;
    return state->arena + offset;
}

CUresult wh_cuda_do_host_register(struct wh_call *call, CUdeviceptr address, size_t size,
                                  unsigned int flags, CUdeviceptr *device)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    struct wh_cuda_state *state = wh_cuda_state(call);
    void *memory = shared_bytes(call, address, size);
    struct wh_cuda_range range = {.start = address,
                                  .size = size,
                                  .kind = WH_CUDA_RANGE_SHARED,
                                  .owner = wh_cuda_current(call)};
    CUdeviceptr mapped = 0;
    if (!memory || size == 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = f->cuMemHostRegister_v2(memory, size, flags);
    if (result != CUDA_SUCCESS)
        return result;
    if (flags & CU_MEMHOSTREGISTER_DEVICEMAP)
        result = f->cuMemHostGetDevicePointer_v2(&mapped, memory, 0);
    if (result == CUDA_SUCCESS && !wh_cuda_ranges_add(state->ranges, &range))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        f->cuMemHostUnregister(memory);
    if (device)
        *device = mapped;
    return result;
}

/* A piece of the arena at the address of the program's own memory, whose place it took there. */
CUresult wh_cuda_do_host_alias(struct wh_call *call, CUdeviceptr address, size_t size, void *bytes,
                               unsigned int flags)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    const struct wh_channel *channel = call->worker->channel;
    struct wh_cuda_range range = {.start = address,
                                  .size = size,
                                  .kind = WH_CUDA_RANGE_ALIAS,
                                  .owner = wh_cuda_current(call)};
    uint64_t offset = channel->arena_offset + (uint64_t)((uint8_t *)bytes - channel->arena);
    void *wanted = (void *)(uintptr_t)address;
    if (size == 0 || address % PAGE || size % PAGE || offset % PAGE || channel->arena_fd < 0)
        return CUDA_ERROR_INVALID_VALUE;
    void *got = mmap(wanted, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
                     channel->arena_fd, (off_t)offset);
    if (got != wanted) {
        if (got != MAP_FAILED)
            munmap(got, size);
        return CUDA_ERROR_NOT_SUPPORTED; /* something of this process's is there */
    }
    CUresult result = state->f.cuMemHostRegister_v2(wanted, size, flags);
    if (result == CUDA_SUCCESS && !wh_cuda_ranges_add(state->ranges, &range)) {
        state->f.cuMemHostUnregister(wanted);
        result = CUDA_ERROR_INVALID_VALUE;
    }
    if (result != CUDA_SUCCESS)
        munmap(wanted, size);
    return result;
}

CUresult wh_cuda_do_host_unregister(struct wh_call *call, CUdeviceptr address)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_range range;
    if (!wh_cuda_ranges_find(state->ranges, address, 0, &range) || range.start != address ||
        (range.kind != WH_CUDA_RANGE_SHARED && range.kind != WH_CUDA_RANGE_ALIAS))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuMemHostUnregister((void *)(uintptr_t)address);
    wh_cuda_ranges_take(state->ranges, address, NULL);
    if (range.kind == WH_CUDA_RANGE_ALIAS)
        munmap((void *)(uintptr_t)address, range.size);
    return result;
}

/* A piece of the arena that copies in graphs go through. What is not registered the driver may read
 * when a graph is launched, before the client has filled it. */
CUresult wh_cuda_do_pin(struct wh_call *call, size_t size, void *bytes)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    const struct wh_cuda_range range = {.start = (uintptr_t)bytes,
                                        .size = size,
                                        .kind = WH_CUDA_RANGE_SHARED,
                                        .owner = wh_cuda_current(call)};
    if (size == 0 || size % PAGE || range.start % PAGE)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = state->f.cuMemHostRegister_v2(bytes, size, CU_MEMHOSTREGISTER_PORTABLE);
    if (result != CUDA_SUCCESS || wh_cuda_ranges_add(state->ranges, &range))
        return result;
    state->f.cuMemHostUnregister(bytes);
    return CUDA_ERROR_INVALID_VALUE;
}

/* The thread that tells of it may have no context: the last graph is gone whenever it is. */
CUresult wh_cuda_do_unpin(struct wh_call *call, size_t size, void *bytes)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_range range;
    CUcontext before;
    if (!wh_cuda_ranges_find(state->ranges, (uintptr_t)bytes, 0, &range) ||
        range.start != (uintptr_t)bytes || range.size != size || range.kind != WH_CUDA_RANGE_SHARED)
        return CUDA_SUCCESS; /* it went with its context */
    wh_cuda_ranges_take(state->ranges, range.start, NULL);
    CUresult result = state->f.cuCtxPushCurrent_v2((CUcontext)(uintptr_t)range.owner);
    if (result == CUDA_SUCCESS) {
        result = state->f.cuMemHostUnregister(bytes);
        state->f.cuCtxPopCurrent_v2(&before);
    }
    return result;
}

/* ---- copies between device and arena ---- */

void wh_cuda_finish_token(struct wh_call *call, uint32_t token, bool failed)
{
    if (token != WH_NO_TOKEN)
        wh_call_finish_token(call, token, failed);
}

bool wh_cuda_token_is_good(struct wh_call *call, uint32_t token)
{
    if (token == WH_NO_TOKEN || token < WH_TOKENS)
        return true;
    wh_call_fault(call, "a transfer token does not exist");
    return false;
}

/*
 * Staged bytes to the device. The arena is ordinary memory to the driver: when its function
 * returns, the bytes have been taken and the block is the client's again.
 */
CUresult wh_cuda_do_copy_to_device(struct wh_call *call, CUdeviceptr to, size_t size, void *bytes,
                                   CUstream stream, uint32_t token)
{
    if (!wh_cuda_token_is_good(call, token))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuMemcpyHtoDAsync_v2(to, bytes, size, stream);
    wh_cuda_finish_token(call, token, result != CUDA_SUCCESS);
    return result;
}

/* A graph would keep the address of bytes that go with the message. */
CUresult wh_cuda_do_write(struct wh_call *call, CUdeviceptr to, size_t size, const void *bytes,
                          CUstream stream)
{
    CUresult result = !bytes ? CUDA_ERROR_INVALID_VALUE
                      : wh_cuda_stream_captures(call, stream)
                          ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
                          : CUDA_SUCCESS;
    if (result == CUDA_SUCCESS && wh_cuda_is_word(to, size))
        return wh_cuda_words_keep(call, to, size, bytes, stream);
    CUresult kept = wh_cuda_words_give(wh_cuda_state(call));
    if (result == CUDA_SUCCESS)
        result = wh_cuda_driver(call)->cuMemcpyHtoDAsync_v2(to, bytes, size, stream);
    return kept == CUDA_SUCCESS ? result : kept;
}

/* Device bytes into the arena; when the token is set they are there. */
CUresult wh_cuda_do_copy_from_device(struct wh_call *call, size_t size, void *bytes,
                                     CUdeviceptr from, CUstream stream, uint32_t token)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    if (!wh_cuda_token_is_good(call, token))
        return CUDA_ERROR_INVALID_VALUE;
    wh_call_vacate(call);
    CUresult result = f->cuMemcpyDtoHAsync_v2(bytes, from, size, stream);
    if (result == CUDA_SUCCESS)
        result = f->cuStreamSynchronize(stream);
    wh_cuda_finish_token(call, token, result != CUDA_SUCCESS);
    return result;
}

CUresult wh_cuda_do_read(struct wh_call *call, size_t size, void *bytes, CUdeviceptr from,
                         CUstream stream)
{
    if (wh_cuda_stream_captures(call, stream))
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_fetch(call, bytes, from, size, stream);
    /* Another thread's message came between: a graph has the address of the reply's bytes. */
    if (result >= CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED && result <= CUDA_ERROR_CAPTURED_EVENT)
        wh_call_fault(call, "a stream begins to capture while it is read from");
    return result;
}

/* Between the device and memory that both sides share: nothing to stage, nothing to tell. */
CUresult wh_cuda_do_copy_shared(struct wh_call *call, CUdeviceptr to, CUdeviceptr from, size_t size,
                                CUstream stream)
{
    return wh_cuda_driver(call)->cuMemcpyAsync(to, from, size, stream);
}
