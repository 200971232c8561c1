/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and events that sessions of one tenant share. What the driver says of a thing (a handle, a
 * descriptor) goes from worker to worker through the daemon; clients know it by a token, which the
 * daemon drew and gives to the same tenant only. A thing that its session lets go of is offered no
 * more.
 */
#include "backend/cuda/backend.h"

#include "backend/softgpu/ipc.h"
#include "base/log.h"
#include "base/util.h"
#include "worker/exchange.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

enum kind { MEMORY = 1, IPC_MEMORY, IPC_EVENT, POOL, POOL_POINTER };

/* What is said of shared memory and events. */
struct ipc_memory {
    CUipcMemHandle handle;
    uint64_t size;
};

/* And of an allocation from a pool. */
struct pool_pointer {
    CUmemPoolPtrExportData data;
    uint64_t size;
};

/* An allocation of this session that is offered. */
struct offer {
    struct offer *next;
    CUdeviceptr address;
    uint8_t token[WH_EXCHANGE_TOKEN];
};

struct wh_cuda_shares {
    pthread_mutex_t lock;
    struct offer *offers;
    /* A driver whose handles need a file beside them. */
    int (*file_of)(const void *handle);
    int (*adopt)(const void *handle, int fd);
};

struct wh_cuda_shares *wh_cuda_shares_new(void *library)
{
    struct wh_cuda_shares *shares = calloc(1, sizeof(*shares));
    if (!shares)
        return NULL;
    pthread_mutex_init(&shares->lock, NULL);
    *(void **)&shares->file_of = dlsym(library, WH_SOFT_IPC_FILE);
    *(void **)&shares->adopt = dlsym(library, WH_SOFT_IPC_ADOPT);
    return shares;
}

static CUresult result_of(int code)
{
    switch (code) {
    case 0:
        return CUDA_SUCCESS;
    case ENOENT:
        return CUDA_ERROR_INVALID_VALUE;
    case ENOTCONN:
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
}

/* ---- objects, whose token is kept with them ---- */

/* The token of an object that was offered before; false: it was not. */
static bool known_token(const struct wh_entry *entry, uint8_t *token)
{
    if (entry->extra)
        memcpy(token, entry->extra, WH_EXCHANGE_TOKEN);
    return entry->extra;
}

static CUresult offer_object(struct wh_entry *entry, enum kind kind, const void *bytes, size_t size,
                             int fd, uint8_t *token)
{
    uint8_t *kept = malloc(WH_EXCHANGE_TOKEN);
    CUresult result =
        kept ? result_of(wh_exchange_put(kind, bytes, size, fd, kept)) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result != CUDA_SUCCESS) {
        free(kept);
        return result;
    }
    entry->extra = kept;
    memcpy(token, kept, WH_EXCHANGE_TOKEN);
    return CUDA_SUCCESS;
}

void wh_cuda_shares_forget_object(const struct wh_entry *entry)
{
    if (entry->extra)
        (void)wh_exchange_drop(entry->extra);
}

CUresult wh_cuda_do_memory_export(struct wh_call *call, wh_cuda_allocation allocation,
                                  uint8_t *token)
{
    struct wh_entry *entry = call->entries[0];
    const CUmemAllocationHandleType type = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    CUmemGenericAllocationHandle handle = (uintptr_t)allocation;
    WH_CLEANUP_CLOSE int fd = -1;
    if (!entry || !token)
        return CUDA_ERROR_INVALID_VALUE;
    if (known_token(entry, token))
        return CUDA_SUCCESS;
    CUresult result = wh_cuda_driver(call)->cuMemExportToShareableHandle(&fd, handle, type, 0);
    return result == CUDA_SUCCESS ? offer_object(entry, MEMORY, "", 0, fd, token) : result;
}

CUresult wh_cuda_do_memory_import(struct wh_call *call, const uint8_t *token,
                                  wh_cuda_allocation *allocation)
{
    CUmemGenericAllocationHandle handle = 0;
    WH_CLEANUP_CLOSE int fd = -1;
    uint8_t nothing[1];
    if (!token || !allocation)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = result_of(wh_exchange_get(MEMORY, token, nothing, 0, &fd));
    if (result == CUDA_SUCCESS)
        result = wh_cuda_driver(call)->cuMemImportFromShareableHandle(
            &handle, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    if (result == CUDA_SUCCESS)
        *allocation = (wh_cuda_allocation)(uintptr_t)handle;
    return result;
}

/* ---- events ---- */

CUresult wh_cuda_do_ipc_event_export(struct wh_call *call, CUevent event, uint8_t *token)
{
    const struct wh_cuda_shares *shares = wh_cuda_state(call)->shares;
    struct wh_entry *entry = call->entries[0];
    CUipcEventHandle handle;
    WH_CLEANUP_CLOSE int fd = -1;
    if (!entry || !token)
        return CUDA_ERROR_INVALID_HANDLE;
    if (known_token(entry, token))
        return CUDA_SUCCESS;
    CUresult result = wh_cuda_driver(call)->cuIpcGetEventHandle(&handle, event);
    if (result != CUDA_SUCCESS)
        return result;
    if (shares->file_of)
        fd = shares->file_of(&handle);
    return offer_object(entry, IPC_EVENT, &handle, sizeof(handle), fd, token);
}

CUresult wh_cuda_do_ipc_event_open(struct wh_call *call, const uint8_t *token, CUevent *event)
{
    struct wh_cuda_shares *shares = wh_cuda_state(call)->shares;
    CUipcEventHandle handle;
    WH_CLEANUP_CLOSE int fd = -1;
    if (!token || !event)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = result_of(wh_exchange_get(IPC_EVENT, token, &handle, sizeof(handle), &fd));
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&shares->lock);
    if (fd >= 0 && shares->adopt)
        (void)shares->adopt(&handle, fd);
    result = wh_cuda_driver(call)->cuIpcOpenEventHandle(event, handle);
    pthread_mutex_unlock(&shares->lock);
    return result;
}

/* ---- allocations that are offered ---- */

/* Lock held. */
static struct offer **find_offer(struct wh_cuda_shares *shares, CUdeviceptr address)
{
    struct offer **link = &shares->offers;
    while (*link && (*link)->address != address)
        link = &(*link)->next;
    return link;
}

bool wh_cuda_shares_none(const struct wh_cuda_state *state,
                         bool (*sees)(const void *bytes, size_t size))
{
    return sees(state->shares, sizeof(*state->shares)) && !state->shares->offers;
}

void wh_cuda_shares_forget(const struct wh_cuda_state *state, CUdeviceptr address)
{
    struct wh_cuda_shares *shares = state->shares;
    pthread_mutex_lock(&shares->lock);
    struct offer **link = find_offer(shares, address), *offer = *link;
    if (offer)
        *link = offer->next;
    pthread_mutex_unlock(&shares->lock);
    if (offer)
        (void)wh_exchange_drop(offer->token);
    free(offer);
}

/* Lock held. */
static CUresult offer_address(struct wh_cuda_shares *shares, CUdeviceptr address, enum kind kind,
                              const void *bytes, size_t size, int fd, struct offer **made)
{
    struct offer *offer = malloc(sizeof(*offer));
    if (!offer)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *offer = (struct offer){.next = shares->offers, .address = address};
    CUresult result = result_of(wh_exchange_put(kind, bytes, size, fd, offer->token));
    if (result == CUDA_SUCCESS)
        *made = shares->offers = offer;
    else
        free(offer);
    return result;
}

/* Lock held. */
static CUresult offer_memory(struct wh_call *call, const struct wh_cuda_range *range,
                             struct offer **made)
{
    struct wh_cuda_shares *shares = wh_cuda_state(call)->shares;
    struct ipc_memory memory = {.size = range->size};
    WH_CLEANUP_CLOSE int fd = -1;
    CUresult result = wh_cuda_driver(call)->cuIpcGetMemHandle(&memory.handle, range->start);
    if (result != CUDA_SUCCESS)
        return result;
    if (shares->file_of)
        fd = shares->file_of(&memory.handle);
    return offer_address(shares, range->start, IPC_MEMORY, &memory, sizeof(memory), fd, made);
}

/* Lock held. */
static CUresult offer_pooled(struct wh_call *call, const struct wh_cuda_range *range,
                             struct offer **made)
{
    struct pool_pointer pointer = {.size = range->size};
    CUresult result = wh_cuda_driver(call)->cuMemPoolExportPointer(&pointer.data, range->start);
    if (result != CUDA_SUCCESS)
        return result;
    return offer_address(wh_cuda_state(call)->shares, range->start, POOL_POINTER, &pointer,
                         sizeof(pointer), -1, made);
}

/* As natively, the handle is the whole allocation's, wherever in it the address is. */
static CUresult export_address(struct wh_call *call, CUdeviceptr address, uint8_t *token,
                               CUresult (*make)(struct wh_call *, const struct wh_cuda_range *,
                                                struct offer **))
{
    struct wh_cuda_shares *shares = wh_cuda_state(call)->shares;
    struct wh_cuda_range range;
    CUresult result = CUDA_SUCCESS;
    if (!token || !wh_cuda_ranges_find(wh_cuda_state(call)->ranges, address, 0, &range) ||
        range.kind != WH_CUDA_RANGE_DEVICE || range.chunk)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&shares->lock);
    struct offer *offer = *find_offer(shares, range.start);
    if (!offer)
        result = make(call, &range, &offer);
    if (result == CUDA_SUCCESS)
        memcpy(token, offer->token, WH_EXCHANGE_TOKEN);
    pthread_mutex_unlock(&shares->lock);
    return result;
}

CUresult wh_cuda_do_ipc_export(struct wh_call *call, CUdeviceptr address, uint8_t *token)
{
    return export_address(call, address, token, offer_memory);
}

CUresult wh_cuda_do_pool_export_pointer(struct wh_call *call, CUdeviceptr address, uint8_t *token)
{
    return export_address(call, address, token, offer_pooled);
}

/* ---- allocations of other sessions ---- */

/* Whether the driver has `size` bytes where it opened what another worker offered: that one's word
 * is not enough to let this session use them. */
static CUresult check_opened(struct wh_call *call, CUdeviceptr address, uint64_t size)
{
    CUdeviceptr base = 0;
    size_t length = 0;
    CUresult result = wh_cuda_driver(call)->cuMemGetAddressRange_v2(&base, &length, address);
    if (result != CUDA_SUCCESS)
        return result;
    if (size && base <= address && address - base < length && size <= length - (address - base))
        return CUDA_SUCCESS;
    wh_log("session %u: another session offers %llu bytes where the driver has fewer",
           call->worker->session, (unsigned long long)size);
    return CUDA_ERROR_INVALID_VALUE;
}

/* Enters what the driver opened; what is open already counts once more. */
static CUresult enter(struct wh_call *call, CUdeviceptr address, size_t size)
{
    const struct wh_cuda_range range = {.start = address,
                                        .size = size,
                                        .kind = WH_CUDA_RANGE_IMPORTED,
                                        .owner = wh_cuda_current(call)};
    return wh_cuda_ranges_add_again(wh_cuda_state(call)->ranges, &range) ? CUDA_SUCCESS
                                                                         : CUDA_ERROR_OUT_OF_MEMORY;
}

/* Lock held. */
static CUresult open_checked(struct wh_call *call, const struct ipc_memory *memory, unsigned flags,
                             CUdeviceptr *address)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUresult result = f->cuIpcOpenMemHandle_v2(address, memory->handle, flags);
    if (result != CUDA_SUCCESS)
        return result;
    result = check_opened(call, *address, memory->size);
    if (result == CUDA_SUCCESS)
        result = enter(call, *address, memory->size);
    if (result != CUDA_SUCCESS)
        f->cuIpcCloseMemHandle(*address);
    return result;
}

CUresult wh_cuda_do_ipc_open(struct wh_call *call, const uint8_t *token, unsigned int flags,
                             CUdeviceptr *address, size_t *size)
{
    struct wh_cuda_shares *shares = wh_cuda_state(call)->shares;
    struct ipc_memory memory;
    WH_CLEANUP_CLOSE int fd = -1;
    if (!token || !address || !size)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = result_of(wh_exchange_get(IPC_MEMORY, token, &memory, sizeof(memory), &fd));
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&shares->lock);
    if (fd >= 0 && shares->adopt)
        (void)shares->adopt(&memory.handle, fd);
    result = open_checked(call, &memory, flags, address);
    pthread_mutex_unlock(&shares->lock);
    *size = memory.size;
    return result;
}

/* The range goes first: behind the driver the same addresses may be another thread's. */
CUresult wh_cuda_do_ipc_close(struct wh_call *call, CUdeviceptr address)
{
    struct wh_cuda_shares *shares = wh_cuda_state(call)->shares;
    struct wh_cuda_ranges *ranges = wh_cuda_state(call)->ranges;
    struct wh_cuda_range range;
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&shares->lock);
    bool open = wh_cuda_ranges_take_one(ranges, address, WH_CUDA_RANGE_IMPORTED, &range);
    if (open)
        result = wh_cuda_driver(call)->cuIpcCloseMemHandle(address);
    if (open && result != CUDA_SUCCESS)
        wh_cuda_ranges_add_again(ranges, &range);
    pthread_mutex_unlock(&shares->lock);
    return result;
}

/* ---- pools ---- */

CUresult wh_cuda_do_pool_export(struct wh_call *call, CUmemoryPool pool, uint8_t *token)
{
    struct wh_entry *entry = call->entries[0];
    const CUmemAllocationHandleType type = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    WH_CLEANUP_CLOSE int fd = -1;
    if (!entry || !token)
        return CUDA_ERROR_INVALID_VALUE;
    if (known_token(entry, token))
        return CUDA_SUCCESS;
    CUresult result = wh_cuda_driver(call)->cuMemPoolExportToShareableHandle(&fd, pool, type, 0);
    return result == CUDA_SUCCESS ? offer_object(entry, POOL, "", 0, fd, token) : result;
}

CUresult wh_cuda_do_pool_import(struct wh_call *call, const uint8_t *token, CUmemoryPool *pool)
{
    WH_CLEANUP_CLOSE int fd = -1;
    uint8_t nothing[1];
    if (!token || !pool)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = result_of(wh_exchange_get(POOL, token, nothing, 0, &fd));
    if (result != CUDA_SUCCESS)
        return result;
    return wh_cuda_driver(call)->cuMemPoolImportFromShareableHandle(
        pool, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
}

/* It is freed like an allocation of the session's own. */
CUresult wh_cuda_do_pool_import_pointer(struct wh_call *call, CUmemoryPool pool,
                                        const uint8_t *token, CUdeviceptr *address, size_t *size)
{
    struct pool_pointer pointer;
    WH_CLEANUP_CLOSE int fd = -1;
    if (!pool || !token || !address || !size)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result =
        result_of(wh_exchange_get(POOL_POINTER, token, &pointer, sizeof(pointer), &fd));
    if (result == CUDA_SUCCESS)
        result = wh_cuda_driver(call)->cuMemPoolImportPointer(address, pool, &pointer.data);
    if (result != CUDA_SUCCESS)
        return result;
    const struct wh_cuda_range range = {
        .start = *address, .size = pointer.size, .owner = wh_cuda_current(call)};
    *size = pointer.size;
    result = check_opened(call, *address, pointer.size);
    if (result == CUDA_SUCCESS && !wh_cuda_ranges_add(wh_cuda_state(call)->ranges, &range))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result != CUDA_SUCCESS)
        wh_cuda_driver(call)->cuMemFree_v2(*address);
    return result;
}
