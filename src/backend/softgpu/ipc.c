/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and events of other processes. A handle names a file of the process that made it: the
 * device's memory or an event's page; see ipc.h for how the file comes here.
 */
#include "backend/softgpu/ipc.h"

#include "backend/softgpu/event.h"
#include "backend/softgpu/memory.h"
#include "backend/softgpu/queue.h"
#include "backend/softgpu/virtual.h"
#include "base/util.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

/* Both kinds of handle. */
struct handle {
    char magic[8];
    struct soft_file_name file;
    int32_t device;
    uint64_t offset, size; /* of memory: in the file */
};

_Static_assert(sizeof(struct handle) <= sizeof(CUipcMemHandle), "a handle's size");
_Static_assert(sizeof(CUipcMemHandle) == sizeof(CUipcEventHandle), "handles' sizes");

static const char memory_magic[8] = "SOFTMEM1", event_magic[8] = "SOFTEVT1";

/* A file that came from another process. */
struct adopted {
    struct adopted *next;
    struct soft_file_name name;
    int fd;
};

/* Memory that is open here. */
struct import {
    struct import *next;
    struct handle handle;
    struct soft_context *context; /* not a reference: gone with its range */
    uint64_t address;
    unsigned references;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct adopted *adopted;
static struct import *imports;
static struct soft_file_name own; /* the devices' memory: their number is added */
static bool named;

/* ---- names of files ---- */

bool soft_file_name_draw(struct soft_file_name *name)
{
    return getrandom(name->bytes, sizeof(name->bytes), 0) == (ssize_t)sizeof(name->bytes);
}

static bool same_name(const struct soft_file_name *a, const struct soft_file_name *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static struct soft_file_name name_of(const struct soft_device *device)
{
    pthread_mutex_lock(&lock);
    if (!named)
        named = soft_file_name_draw(&own);
    struct soft_file_name name = own;
    pthread_mutex_unlock(&lock);
    name.bytes[0] = (uint8_t)(name.bytes[0] + device->ordinal);
    return name;
}

/* The file of an adopted name; -1: it did not come. Lock held. */
static int find_adopted(const struct soft_file_name *name)
{
    for (const struct adopted *a = adopted; a; a = a->next)
        if (same_name(&a->name, name))
            return a->fd;
    return -1;
}

/* What was opened is mapped: the file itself would keep all of the other's memory. Lock held. */
static void drop_adopted(const struct soft_file_name *name)
{
    struct adopted **link = &adopted;
    while (*link && !same_name(&(*link)->name, name))
        link = &(*link)->next;
    struct adopted *gone = *link;
    if (!gone)
        return;
    *link = gone->next;
    close(gone->fd);
    free(gone);
}

__attribute__((visibility("default"))) int wh_soft_ipc_file(const void *bytes)
{
    struct handle handle;
    int fd = -1;
    memcpy(&handle, bytes, sizeof(handle));
    if (memcmp(handle.magic, event_magic, sizeof(event_magic)) == 0)
        fd = soft_event_file(&handle.file);
    for (int i = 0; i < soft.ndevices && fd < 0; i++) {
        struct soft_file_name name = name_of(&soft.devices[i]);
        if (same_name(&name, &handle.file))
            fd = soft.devices[i].memory;
    }
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

__attribute__((visibility("default"))) int wh_soft_ipc_adopt(const void *bytes, int fd)
{
    struct handle handle;
    int result = -1;
    memcpy(&handle, bytes, sizeof(handle));
    pthread_mutex_lock(&lock);
    if (find_adopted(&handle.file) >= 0) {
        result = 0;
    } else {
        struct adopted *a = malloc(sizeof(*a));
        int copy = a ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
        if (copy >= 0) {
            *a = (struct adopted){.next = adopted, .name = handle.file, .fd = copy};
            adopted = a;
            result = 0;
        } else {
            free(a);
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- memory ---- */

SOFT_API CUresult cuIpcGetMemHandle(CUipcMemHandle *out, CUdeviceptr pointer)
{
    struct soft_context *context;
    struct soft_range range;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!out || !soft_range_find(pointer, &range) || range.kind != SOFT_MEMORY_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    struct handle handle = {.file = name_of(range.device),
                            .device = range.device->ordinal,
                            .offset = range.extent.start - range.device->base,
                            .size = range.size};
    memcpy(handle.magic, memory_magic, sizeof(handle.magic));
    memset(out, 0, sizeof(*out));
    memcpy(out, &handle, sizeof(handle));
    return CUDA_SUCCESS;
}

/* The pages that a range of another's memory lies in. */
static uint64_t pages_of(uint64_t address, uint64_t size, uint64_t *start)
{
    *start = address & ~(uint64_t)(PAGE - 1);
    return wh_round_up(address + size, PAGE) - *start;
}

void soft_ipc_give(const struct soft_range *range)
{
    uint64_t start, length = pages_of(range->extent.start, range->extent.size, &start);
    soft_address_give(start, length);
}

/* Maps the memory at an address of ours. */
CUresult soft_ipc_map(int fd, uint64_t offset, uint64_t size, struct soft_context *context,
                      struct soft_pool *pool, CUdeviceptr *address)
{
    uint64_t first, length = pages_of(offset, size, &first);
    struct stat status;
    if (fstat(fd, &status) < 0 || first + length > (uint64_t)status.st_size)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t place = soft_address_take(length, PAGE);
    if (!place)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *address = place + (offset - first);
    const struct soft_range range = {.extent = {.start = *address, .size = size},
                                     .size = size,
                                     .kind = SOFT_MEMORY_IMPORTED,
                                     .device = context->device,
                                     .context = context,
                                     .pool = pool ? soft_object_retain(pool) : NULL};
    void *wanted = (void *)(uintptr_t)place;
    if (mmap(wanted, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd,
             (off_t)first) == wanted &&
        soft_range_add(&range) == CUDA_SUCCESS)
        return CUDA_SUCCESS;
    soft_object_release(range.pool);
    soft_address_give(place, length);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* Whether the import's range is still there: contexts take theirs along. */
static bool is_open(const struct import *import)
{
    struct soft_range range;
    return soft_range_find(import->address, &range) && range.kind == SOFT_MEMORY_IMPORTED &&
           range.context == import->context && range.extent.start == import->address;
}

/* Lock held. */
static struct import *find_import(const struct handle *handle, const struct soft_context *context)
{
    for (struct import **link = &imports; *link;) {
        struct import *import = *link;
        if (!is_open(import)) {
            *link = import->next;
            free(import);
            continue;
        }
        if (import->context == context && memcmp(&import->handle, handle, sizeof(*handle)) == 0)
            return import;
        link = &import->next;
    }
    return NULL;
}

/* Lock held. */
static CUresult open_memory(const struct handle *handle, struct soft_context *context,
                            CUdeviceptr *pointer)
{
    struct import *import = find_import(handle, context);
    CUdeviceptr address;
    if (import) {
        import->references++;
        *pointer = import->address;
        return CUDA_SUCCESS;
    }
    int fd = find_adopted(&handle->file);
    if (fd < 0 || !(import = malloc(sizeof(*import))))
        return fd < 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = soft_ipc_map(fd, handle->offset, handle->size, context, NULL, &address);
    if (result != CUDA_SUCCESS) {
        free(import);
        return result;
    }
    *import = (struct import){.next = imports,
                              .handle = *handle,
                              .context = context,
                              .address = address,
                              .references = 1};
    imports = import;
    *pointer = address;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *pointer, CUipcMemHandle bytes, unsigned flags)
{
    struct soft_context *context;
    struct handle handle;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(&handle, &bytes, sizeof(handle));
    if (!pointer || flags > CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS ||
        memcmp(handle.magic, memory_magic, sizeof(memory_magic)) != 0 || handle.size == 0 ||
        handle.offset > UINT64_MAX / 4 || handle.size > UINT64_MAX / 4)
        return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < soft.ndevices; i++) {
        struct soft_file_name name = name_of(&soft.devices[i]);
        if (same_name(&name, &handle.file))
            return CUDA_ERROR_INVALID_CONTEXT; /* this process's own */
    }
    pthread_mutex_lock(&lock);
    result = open_memory(&handle, context, pointer);
    drop_adopted(&handle.file);
    pthread_mutex_unlock(&lock);
    return result;
}

SOFT_API CUresult cuIpcOpenMemHandle(CUdeviceptr *pointer, CUipcMemHandle handle, unsigned flags)
{
    return cuIpcOpenMemHandle_v2(pointer, handle, flags);
}

/* Takes the last one's memory out of the map; false: there is none, or others have it open. */
static bool close_memory(CUdeviceptr pointer, const struct soft_context *context, CUresult *result,
                         struct soft_range *range)
{
    bool last = false;
    *result = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    struct import **link = &imports;
    while (*link && ((*link)->address != pointer || (*link)->context != context))
        link = &(*link)->next;
    struct import *import = *link;
    if (import && is_open(import)) {
        *result = CUDA_SUCCESS;
        last = --import->references == 0;
    }
    if (last) {
        *link = import->next;
        free(import);
        last = soft_range_find(pointer, range) && soft_range_remove(range);
    }
    pthread_mutex_unlock(&lock);
    return last;
}

SOFT_API CUresult cuIpcCloseMemHandle(CUdeviceptr pointer)
{
    struct soft_context *context;
    struct soft_range range;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (close_memory(pointer, context, &result, &range)) {
        soft_context_wait(NULL); /* a kernel that reached it keeps it until its end */
        soft_ipc_give(&range);
    }
    return result;
}

/* ---- events ---- */

SOFT_API CUresult cuIpcGetEventHandle(CUipcEventHandle *out, CUevent event)
{
    struct handle handle = {.device = 0};
    CUresult result = soft_ready();
    if (result == CUDA_SUCCESS && !out)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = soft_event_name(event, &handle.file);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(handle.magic, event_magic, sizeof(handle.magic));
    memset(out, 0, sizeof(*out));
    memcpy(out, &handle, sizeof(handle));
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle bytes)
{
    struct soft_context *context;
    struct handle handle;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(&handle, &bytes, sizeof(handle));
    if (!event || memcmp(handle.magic, event_magic, sizeof(event_magic)) != 0)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    int fd = find_adopted(&handle.file);
    if (fd < 0)
        result = CUDA_ERROR_INVALID_VALUE;
    else
        result = soft_event_open(context, fd, &handle.file, event);
    drop_adopted(&handle.file);
    pthread_mutex_unlock(&lock);
    return result;
}
