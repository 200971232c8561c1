/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and events shared with other processes. What the program passes to them is a token of the
 * server's: inside of the API's own handles, or in a small sealed file whose descriptor stands for
 * the memory. It opens nothing to who is not served as the same tenant.
 */
#include "shim/cuda/share.h"

#include "base/log.h"
#include "base/util.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define TOKEN 16
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* What handles and files hold. */
struct ticket {
    char magic[8];
    uint8_t token[TOKEN];
    uint8_t zero[40];
};

_Static_assert(sizeof(struct ticket) == sizeof(CUipcMemHandle), "a handle's size");
_Static_assert(sizeof(struct ticket) == sizeof(CUipcEventHandle), "a handle's size");
_Static_assert(sizeof(struct ticket) == sizeof(CUmemPoolPtrExportData), "a handle's size");

static const char memory_magic[8] = "WHIPCMEM", event_magic[8] = "WHIPCEVT",
                  pool_magic[8] = "WHMEMPOL", pointer_magic[8] = "WHPOLPTR";

static void fill(void *handle, const char *magic, const uint8_t *token)
{
    struct ticket ticket = {.zero = {0}};
    memcpy(ticket.magic, magic, sizeof(ticket.magic));
    memcpy(ticket.token, token, TOKEN);
    memcpy(handle, &ticket, sizeof(ticket));
}

/* False: it is no handle of ours. */
static bool parse(const void *handle, const char *magic, uint8_t *token)
{
    struct ticket ticket;
    memcpy(&ticket, handle, sizeof(ticket));
    memcpy(token, ticket.token, TOKEN);
    return memcmp(ticket.magic, magic, sizeof(ticket.magic)) == 0;
}

/* ---- descriptors ---- */

int wh_cuda_token_to_file(const char *magic, const uint8_t *token)
{
    struct ticket ticket;
    WH_CLEANUP_CLOSE int fd = memfd_create("wormhole-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    fill(&ticket, magic, token);
    if (fd < 0 || wh_write_all(fd, &ticket, sizeof(ticket)) < 0 ||
        fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return -1;
    return wh_steal_fd(&fd);
}

bool wh_cuda_token_from_file(int fd, const char *magic, uint8_t *token)
{
    struct ticket ticket;
    struct stat status;
    return fcntl(fd, F_GET_SEALS) == SEALS && fstat(fd, &status) == 0 &&
           status.st_size == sizeof(ticket) &&
           pread(fd, &ticket, sizeof(ticket), 0) == (ssize_t)sizeof(ticket) &&
           parse(&ticket, magic, token);
}

/* ---- memory ---- */

WH_EXPORT CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address)
{
    struct wh_cuda_range range;
    uint8_t token[TOKEN];
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !wh_cuda_ranges_find(wh_cuda_memory(), address, 0, &range) ||
        range.kind != WH_CUDA_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_ipc_export(address, token);
    if (result == CUDA_SUCCESS)
        fill(handle, memory_magic, token);
    return result;
}

WH_EXPORT CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle,
                                         unsigned int flags)
{
    uint8_t token[TOKEN];
    size_t size = 0;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!address || !parse(&handle, memory_magic, token))
        return CUDA_ERROR_INVALID_VALUE;
    if (!wh_cuda_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    result = wh_cuda_call_ipc_open(token, flags, address, &size);
    if (result != CUDA_SUCCESS)
        return result;
    const struct wh_cuda_range range = {.start = *address,
                                        .size = size ? size : 1,
                                        .kind = WH_CUDA_IMPORTED,
                                        .owner = wh_cuda_current()};
    if (wh_cuda_ranges_add_again(wh_cuda_memory(), &range))
        return CUDA_SUCCESS;
    (void)wh_cuda_call_ipc_close(*address);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

WH_EXPORT CUresult cuIpcOpenMemHandle(CUdeviceptr *address, CUipcMemHandle handle,
                                      unsigned int flags)
{
    return cuIpcOpenMemHandle_v2(address, handle, flags);
}

/* The range goes first: behind the message the same addresses may be another thread's. */
WH_EXPORT CUresult cuIpcCloseMemHandle(CUdeviceptr address)
{
    struct wh_cuda_range range;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!wh_cuda_ranges_take_one(wh_cuda_memory(), address, WH_CUDA_IMPORTED, &range))
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_ipc_close(address);
    if (result != CUDA_SUCCESS)
        wh_cuda_ranges_add_again(wh_cuda_memory(), &range);
    return result;
}

/* ---- pools ---- */

WH_EXPORT CUresult cuMemPoolExportToShareableHandle(void *out, CUmemoryPool pool,
                                                    CUmemAllocationHandleType type,
                                                    unsigned long long flags)
{
    uint8_t token[TOKEN];
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (type == CU_MEM_HANDLE_TYPE_FABRIC)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!out || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_pool_export(pool, token);
    if (result != CUDA_SUCCESS)
        return result;
    int fd = wh_cuda_token_to_file(pool_magic, token);
    memcpy(out, &fd, sizeof(fd));
    return fd >= 0 ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

WH_EXPORT CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *pool, void *descriptor,
                                                      CUmemAllocationHandleType type,
                                                      unsigned long long flags)
{
    uint8_t token[TOKEN];
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (type == CU_MEM_HANDLE_TYPE_FABRIC)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!pool || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
        !wh_cuda_token_from_file((int)(intptr_t)descriptor, pool_magic, token))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_call_pool_import(token, pool);
}

WH_EXPORT CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData *data, CUdeviceptr address)
{
    struct wh_cuda_range range;
    uint8_t token[TOKEN];
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!data || !wh_cuda_ranges_find(wh_cuda_memory(), address, 0, &range) ||
        range.start != address || range.kind != WH_CUDA_POOLED)
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_pool_export_pointer(address, token);
    if (result == CUDA_SUCCESS)
        fill(data, pointer_magic, token);
    return result;
}

WH_EXPORT CUresult cuMemPoolImportPointer(CUdeviceptr *address, CUmemoryPool pool,
                                          CUmemPoolPtrExportData *data)
{
    uint8_t token[TOKEN];
    size_t size = 0;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!address || !data || !parse(data, pointer_magic, token))
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_pool_import_pointer(pool, token, address, &size);
    if (result == CUDA_SUCCESS)
        wh_cuda_memory_add(*address, size, WH_CUDA_POOLED);
    return result;
}

/* ---- events ---- */

WH_EXPORT CUresult cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent event)
{
    uint8_t token[TOKEN];
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_ipc_event_export(event, token);
    if (result == CUDA_SUCCESS)
        fill(handle, event_magic, token);
    return result;
}

/* From here on the event is other processes' too (wh_object.word). */
static void mark_shared(CUevent event)
{
    ((struct wh_object *)event)->word = true;
}

static bool is_shared(CUevent event)
{
    const struct wh_object *object = wh_cuda_object(event, WH_CUDA_TYPE_CUevent);
    return object && object->word;
}

WH_EXPORT CUresult cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle handle)
{
    uint8_t token[TOKEN];
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!event || !parse(&handle, event_magic, token))
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_ipc_event_open(token, event);
    if (result == CUDA_SUCCESS)
        mark_shared(*event);
    return result;
}

WH_EXPORT CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
    CUresult result = wh_cuda_call_cuEventCreate(event, flags);
    if (result == CUDA_SUCCESS && event && (flags & CU_EVENT_INTERPROCESS))
        mark_shared(*event);
    return result;
}

/* Who is told by this process that the event was recorded looks at it through another worker: the
 * record is under way there when the function returns. */
WH_EXPORT CUresult cuEventRecord(CUevent event, CUstream stream)
{
    uint64_t a[] = {(uintptr_t)event, (uintptr_t)stream};
    return is_shared(event) ? wh_cuda_call_now(WH_CUDA_cuEventRecord, a)
                            : wh_cuda_call_cuEventRecord(event, stream);
}

WH_EXPORT CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags)
{
    uint64_t a[] = {(uintptr_t)event, (uintptr_t)stream, flags};
    return is_shared(event) ? wh_cuda_call_now(WH_CUDA_cuEventRecordWithFlags, a)
                            : wh_cuda_call_cuEventRecordWithFlags(event, stream, flags);
}
