/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: what the API gave this process, by address. Pinned, mapped and managed memory are pieces
 * of the session's arena, which the worker has at the same address, so that the program's pointer
 * means the same bytes on both sides.
 */
#include "shim/cuda/pointer.h"
#include "shim/cuda/shim.h"
#include "shim/cuda/stage.h"

#include "base/log.h"
#include "base/util.h"

#include <stdlib.h>

#define PAGE 4096u

/* What is known in one session. After a fork, the parent's is not ours: it is left alone. */
struct known {
    const struct wh_session *session;
    struct wh_cuda_ranges *ranges, *reserved;
    int shares; /* the arena's address is agreed: 1 yes, -1 no, 0 not asked yet; under the lock */
};

static struct known *_Atomic known;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- what is known of addresses ---- */

static struct known *begin_session(const struct wh_session *session)
{
    pthread_mutex_lock(&lock);
    struct known *here = atomic_load_explicit(&known, memory_order_relaxed);
    if (!here || here->session != session) {
        here = calloc(1, sizeof(*here));
        if (!here || !(here->ranges = wh_cuda_ranges_new()) ||
            !(here->reserved = wh_cuda_ranges_new()))
            abort();
        here->session = session;
        /* Release pairs with the acquire in known_here: who sees it sees all of it. */
        atomic_store_explicit(&known, here, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return here;
}

static struct known *known_here(void)
{
    const struct wh_session *session = wh_cuda_session();
    struct known *here = atomic_load_explicit(&known, memory_order_acquire);
    return here && here->session == session ? here : begin_session(session);
}

struct wh_cuda_ranges *wh_cuda_memory(void)
{
    return known_here()->ranges;
}

struct wh_cuda_ranges *wh_cuda_reserved(void)
{
    return known_here()->reserved;
}

void wh_cuda_memory_add(CUdeviceptr address, size_t size, enum wh_cuda_memory_kind kind)
{
    struct wh_cuda_range range = {
        .start = address, .size = size ? size : 1, .kind = kind, .owner = wh_cuda_current()};
    if (!wh_cuda_ranges_add(wh_cuda_memory(), &range))
        wh_debug("memory at %llx is known already", (unsigned long long)address);
}

void wh_cuda_memory_add_graph(CUdeviceptr address, size_t size)
{
    struct wh_cuda_range range = {.start = address,
                                  .size = size ? size : 1,
                                  .kind = WH_CUDA_OF_GRAPH,
                                  .owner = wh_cuda_current()};
    if (!wh_cuda_ranges_add_over(wh_cuda_memory(), &range))
        wh_debug("memory at %llx is known already", (unsigned long long)address);
}

struct wh_cuda_ranges *wh_cuda_take_memory(CUcontext context)
{
    struct wh_cuda_ranges *gone = wh_cuda_ranges_new();
    struct wh_cuda_range range;
    wh_cuda_stage_forget(context);
    while (gone && wh_cuda_ranges_take_owned(wh_cuda_memory(), context, &range))
        wh_cuda_ranges_add(gone, &range);
    return gone;
}

void wh_cuda_end_memory(CUcontext context, struct wh_cuda_ranges *gone)
{
    struct wh_cuda_range range;
    while (gone && wh_cuda_ranges_take_owned(gone, context, &range)) {
        struct wh_cuda_host *host = range.extra;
        if (range.kind == WH_CUDA_REGISTERED)
            wh_cuda_end_registration((void *)(uintptr_t)range.start, host);
        else if (host && host->block)
            wh_arena_release(wh_session_arena(wh_cuda_session()), host->block);
        if (range.kind != WH_CUDA_REGISTERED)
            free(host);
    }
    wh_cuda_ranges_free(gone);
}

bool wh_cuda_is_shared(const void *address, size_t size)
{
    struct wh_cuda_range range;
    return wh_cuda_ranges_find(wh_cuda_memory(), (uintptr_t)address, size, &range) &&
           wh_cuda_host_of(&range) && wh_cuda_host_of(&range)->block;
}

bool wh_cuda_is_device(CUdeviceptr address, size_t size)
{
    struct wh_cuda_range range;
    if (!wh_cuda_ranges_find(wh_cuda_memory(), address, size, &range))
        return false;
    return !wh_cuda_host_of(&range) || wh_cuda_host_of(&range)->block;
}

/* ---- device memory ---- */

static CUresult remember(CUresult result, const CUdeviceptr *address, size_t size)
{
    if (result == CUDA_SUCCESS && *address)
        wh_cuda_memory_add(*address, size, WH_CUDA_DEVICE);
    return result;
}

WH_EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size)
{
    if (!address)
        return CUDA_ERROR_INVALID_VALUE;
    return remember(wh_cuda_call_cuMemAlloc_v2(address, size), address, size);
}

WH_EXPORT CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width,
                                      size_t height, unsigned int element)
{
    size_t row = 0;
    if (!address || !pitch)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_call_cuMemAllocPitch_v2(address, &row, width, height, element);
    if (result == CUDA_SUCCESS)
        *pitch = row;
    return remember(result, address, row * height);
}

static CUresult free_host(struct wh_cuda_range *range);

WH_EXPORT CUresult cuMemFree_v2(CUdeviceptr address)
{
    struct wh_cuda_range range;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS || !address)
        return result;
    if (wh_cuda_ranges_find(wh_cuda_memory(), address, 0, &range) && range.kind == WH_CUDA_OF_GRAPH)
        return wh_cuda_call_cuMemFree_v2(address);
    if (!wh_cuda_ranges_find(wh_cuda_memory(), address, 0, &range) || range.start != address ||
        range.kind == WH_CUDA_HOST || range.kind == WH_CUDA_REGISTERED ||
        range.kind == WH_CUDA_GLOBAL || range.kind == WH_CUDA_MAPPED ||
        range.kind == WH_CUDA_IMPORTED || !wh_cuda_ranges_take(wh_cuda_memory(), address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    if (range.kind == WH_CUDA_MANAGED) {
        wh_cuda_forget_advice(range.start);
        return free_host(&range);
    }
    result = wh_cuda_call_cuMemFree_v2(address);
    if (result != CUDA_SUCCESS)
        wh_cuda_ranges_add(wh_cuda_memory(), &range);
    return result;
}

/* ---- host memory in the arena ---- */

bool wh_cuda_shares_arena(struct wh_session *session)
{
    struct known *here = known_here();
    pthread_mutex_lock(&lock);
    if (here->shares == 0) {
        const uint8_t *arena = wh_session_channel(session)->arena;
        here->shares = wh_cuda_call_share_arena((uintptr_t)arena) == CUDA_SUCCESS ? 1 : -1;
    }
    bool shares = here->shares > 0;
    pthread_mutex_unlock(&lock);
    return shares;
}

CUresult wh_cuda_host_add(const struct wh_block *block, const void *address, size_t size,
                          unsigned flags, enum wh_cuda_memory_kind kind)
{
    struct wh_cuda_host *host = calloc(1, sizeof(*host));
    if (!host)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *host = (struct wh_cuda_host){.block = block, .flags = flags};
    struct wh_cuda_range range = {.start = (uintptr_t)address,
                                  .size = size,
                                  .kind = kind,
                                  .owner = wh_cuda_current(),
                                  .extra = host};
    if (wh_cuda_ranges_add(wh_cuda_memory(), &range))
        return CUDA_SUCCESS;
    free(host);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* Programs rarely say why their memory ran out. */
static void say_full(struct wh_session *session, size_t size)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (wh_session_lost(session) || atomic_flag_test_and_set(&said))
        return;
    wh_log("there is no room for %zu MiB of pinned or managed memory in the %llu MiB that the "
           "session shares with its worker; WORMHOLE_ARENA asks for more, as far as the server's "
           "session_memory allows it",
           (size + (1u << 20) - 1) >> 20,
           (unsigned long long)(wh_session_channel(session)->arena_size >> 20));
}

static CUresult allocate_host(void **place, size_t size, unsigned flags,
                              enum wh_cuda_memory_kind kind)
{
    CUresult result = wh_cuda_ready();
    CUdeviceptr device = 0;
    if (result != CUDA_SUCCESS)
        return result;
    if (!place || size == 0 || size > SIZE_MAX - PAGE)
        return CUDA_ERROR_INVALID_VALUE;
    if (!wh_cuda_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    struct wh_session *session = wh_cuda_session();
    if (!wh_cuda_shares_arena(session))
        return CUDA_ERROR_NOT_SUPPORTED;
    size_t whole = wh_round_up(size, PAGE);
    const struct wh_block *block = wh_cuda_stage(whole, PAGE);
    if (!block) {
        say_full(session, whole);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    uint8_t *address = wh_arena_address(wh_session_arena(session), block);
    result = wh_cuda_call_host_register((uintptr_t)address, whole,
                                        CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP,
                                        &device);
    if (result == CUDA_SUCCESS && device != (uintptr_t)address)
        result = CUDA_ERROR_NOT_SUPPORTED; /* the device would know it by another address */
    if (result == CUDA_SUCCESS)
        result = wh_cuda_host_add(block, address, size, flags, kind);
    if (result != CUDA_SUCCESS) {
        if (device)
            wh_cuda_call_host_unregister((uintptr_t)address);
        wh_arena_release(wh_session_arena(session), block);
        return result;
    }
    *place = address;
    return CUDA_SUCCESS;
}

static CUresult free_host(struct wh_cuda_range *range)
{
    struct wh_cuda_host *host = range->extra;
    CUresult result = wh_cuda_call_host_unregister(range->start);
    wh_arena_release(wh_session_arena(wh_cuda_session()), host->block);
    free(host);
    return result;
}

WH_EXPORT CUresult cuMemHostAlloc(void **place, size_t size, unsigned int flags)
{
    if (flags & ~(unsigned)(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP |
                            CU_MEMHOSTALLOC_WRITECOMBINED))
        return CUDA_ERROR_INVALID_VALUE;
    return allocate_host(place, size, flags, WH_CUDA_HOST);
}

WH_EXPORT CUresult cuMemAllocHost_v2(void **place, size_t size)
{
    return allocate_host(place, size, 0, WH_CUDA_HOST);
}

WH_EXPORT CUresult cuMemAllocManaged(CUdeviceptr *address, size_t size, unsigned int flags)
{
    void *place = NULL;
    if (!address || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = allocate_host(&place, size, 0, WH_CUDA_MANAGED);
    if (result == CUDA_SUCCESS)
        *address = (uintptr_t)place;
    return result;
}

WH_EXPORT CUresult cuMemFreeHost(void *address)
{
    struct wh_cuda_range range;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS || !address)
        return result;
    if (!wh_cuda_ranges_find(wh_cuda_memory(), (uintptr_t)address, 0, &range) ||
        range.start != (uintptr_t)address || range.kind != WH_CUDA_HOST ||
        !wh_cuda_ranges_take(wh_cuda_memory(), range.start, &range))
        return CUDA_ERROR_INVALID_VALUE;
    return free_host(&range);
}

static bool find_host(const void *address, struct wh_cuda_range *range)
{
    return wh_cuda_ranges_find(wh_cuda_memory(), (uintptr_t)address, 0, range) &&
           wh_cuda_host_of(range);
}

WH_EXPORT CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *address,
                                                unsigned int flags)
{
    struct wh_cuda_range range;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!device || flags || !find_host(address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    if (!((const struct wh_cuda_host *)range.extra)->block)
        return CUDA_ERROR_NOT_SUPPORTED; /* the device cannot reach the program's own pages */
    *device = (uintptr_t)address;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuMemHostGetFlags(unsigned int *flags, void *address)
{
    struct wh_cuda_range range;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!flags || !find_host(address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    *flags = ((const struct wh_cuda_host *)range.extra)->flags;
    return CUDA_SUCCESS;
}
