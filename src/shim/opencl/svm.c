/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared virtual memory: the address that the worker's library chose is made this process's too,
 * over the arena's own pages where the device works on them, else over pages of this process that
 * map and unmap bring up to date.
 */
#include "shim/opencl/transfer.h"

#include "base/log.h"
#include "base/util.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PAGE  4096u
#define TRIES 12
#define NEAR  4                   /* of them */
#define FAR   ((size_t)256 << 10) /* bytes: allocators have another place for these */

struct svm {
    struct svm *next;
    uint8_t *address;
    size_t size;
    const struct wh_block *block; /* the pages, if shared */
    bool mapped_for_writing;      /* not shared: unmap sends the region back */
    uint8_t *mapped;
    size_t mapped_size;
};

static struct {
    pthread_mutex_t lock;
    struct svm *first;
} allocations = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The allocation around `pointer`, or NULL. */
static struct svm *find(const void *pointer, size_t size)
{
    uintptr_t at = (uintptr_t)pointer;
    pthread_mutex_lock(&allocations.lock);
    struct svm *svm = allocations.first;
    while (svm && (at < (uintptr_t)svm->address || at - (uintptr_t)svm->address >= svm->size ||
                   size > svm->size - (at - (uintptr_t)svm->address)))
        svm = svm->next;
    pthread_mutex_unlock(&allocations.lock);
    return svm;
}

bool wh_opencl_is_svm(const void *pointer)
{
    return pointer && find(pointer, 0);
}

size_t wh_opencl_svm_room(const void *pointer, bool *shared)
{
    const struct svm *svm = find(pointer, 0);
    *shared = svm && svm->block;
    return svm ? svm->size - (size_t)((const uint8_t *)pointer - svm->address) : 0;
}

static struct svm *take(const void *address)
{
    pthread_mutex_lock(&allocations.lock);
    struct svm **link = &allocations.first;
    while (*link && (*link)->address != address)
        link = &(*link)->next;
    struct svm *svm = *link;
    if (svm)
        *link = svm->next;
    pthread_mutex_unlock(&allocations.lock);
    return svm;
}

/* The first of the pages that an allocation is in, and how many bytes they are. */
static uint8_t *pages_of(const struct svm *svm, size_t *whole)
{
    size_t before = (uintptr_t)svm->address % PAGE;
    *whole = wh_round_up(before + svm->size, PAGE);
    return svm->address - before;
}

/* Maps the pages at the address that the worker said; false when this process uses it already. */
static bool settle(struct wh_session *session, struct svm *svm, bool shared)
{
    const struct wh_channel *channel = wh_session_channel(session);
    size_t whole;
    uint8_t *start = pages_of(svm, &whole);
    if (shared && start != svm->address) /* they are its own from the first byte on */
        return false;
    int flags =
        MAP_FIXED_NOREPLACE | (shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    off_t offset = shared ? (off_t)(channel->arena_offset + svm->block->offset) : 0;
    void *got =
        mmap(start, whole, PROT_READ | PROT_WRITE, flags, shared ? channel->arena_fd : -1, offset);
    if (got == start)
        return true;
    if (got != MAP_FAILED)
        munmap(got, whole);
    wh_debug("the worker's shared virtual memory at %p is in use in this process", (void *)start);
    return false;
}

static void give_up(struct wh_session *session, cl_context context, struct svm *svm)
{
    wh_opencl_call_svm_free(context, (uintptr_t)svm->address);
    wh_arena_release(wh_session_arena(session), svm->block);
    free(svm);
}

/* One allocation at wherever the worker puts it. */
static struct svm *allocate(cl_context context, cl_svm_mem_flags flags, size_t size,
                            cl_uint alignment, bool *settled)
{
    struct wh_session *session = wh_opencl_session();
    struct svm *svm = calloc(1, sizeof(*svm));
    cl_ulong address = 0;
    cl_uint shared = 0;
    *settled = false;
    if (!svm)
        return NULL;
    svm->size = size;
    svm->block = wh_opencl_stage(wh_round_up(size, PAGE), alignment > PAGE ? alignment : PAGE);
    if (svm->block &&
        wh_opencl_call_svm_allocate(context, flags, size, alignment, svm->block->offset, &address,
                                    &shared) == CL_SUCCESS) {
        svm->address = (uint8_t *)(uintptr_t)address;
        if (!shared) {
            wh_arena_release(wh_session_arena(session), svm->block);
            svm->block = NULL;
        }
        *settled = settle(session, svm, shared);
        return svm;
    }
    wh_arena_release(wh_session_arena(session), svm->block);
    free(svm);
    return NULL;
}

WH_EXPORT void *clSVMAlloc(cl_context context, cl_svm_mem_flags flags, size_t size,
                           cl_uint alignment)
{
    struct svm *failed[TRIES];
    struct svm *svm = NULL;
    bool settled = false;
    unsigned n = 0;
    size_t asked = size;
    if (!wh_opencl_object(context, WH_OPENCL_TYPE_cl_context) || size == 0 || size > SIZE_MAX / 2 ||
        (alignment & (alignment - 1)))
        return NULL;
    /* An address that is taken here is kept until a free one is found, so that the worker offers
     * another: the next ones at first, then, by asking for more and more, one far away. */
    while (!settled && n < TRIES && (svm = allocate(context, flags, asked, alignment, &settled)))
        if (!settled) {
            failed[n++] = svm;
            asked = n > NEAR && size < FAR << (n - NEAR) ? FAR << (n - NEAR) : size;
        }
    while (n > 0)
        give_up(wh_opencl_session(), context, failed[--n]);
    if (!settled)
        return NULL;
    pthread_mutex_lock(&allocations.lock);
    svm->next = allocations.first;
    allocations.first = svm;
    pthread_mutex_unlock(&allocations.lock);
    return svm->address;
}

WH_EXPORT void clSVMFree(cl_context context, void *ptr)
{
    struct wh_session *session = wh_opencl_session();
    struct svm *svm = ptr && session ? take(ptr) : NULL;
    size_t whole;
    if (!svm)
        return;
    uint8_t *start = pages_of(svm, &whole);
    munmap(start, whole);
    give_up(session, context, svm);
}

/* ---- commands ---- */

/* The program's function frees, or, without one, the runtime; both when the command runs. */
static void free_all(cl_command_queue queue, cl_uint n, void **pointers, void *user)
{
    (void)user;
    cl_context context = NULL;
    if (clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(context), &context, NULL) ==
        CL_SUCCESS)
        for (cl_uint i = 0; i < n; i++)
            clSVMFree(context, pointers[i]);
}

WH_EXPORT cl_int clEnqueueSVMFree(cl_command_queue queue, cl_uint num_pointers, void **pointers,
                                  cl_svm_free_callback notify, void *user_data, cl_uint num_events,
                                  const cl_event *events, cl_event *event)
{
    struct wh_object *object = wh_opencl_object(queue, WH_OPENCL_TYPE_cl_command_queue);
    if (!object)
        return CL_INVALID_COMMAND_QUEUE;
    if ((num_pointers == 0) != (pointers == NULL))
        return CL_INVALID_VALUE;
    struct wh_cl_notice notice = {.kind = WH_CL_NOTICE_SVM_FREE,
                                  .function = (void (*)(void))(notify ? notify : free_all),
                                  .user = user_data,
                                  .object = object};
    uint64_t token = wh_opencl_notice_expect(&notice, true);
    if (!token)
        return CL_OUT_OF_HOST_MEMORY;
    return wh_opencl_notice_judge(
        token, wh_opencl_call_svm_enqueue_free(queue, num_pointers, (const cl_ulong *)pointers,
                                               token, num_events, events, event));
}

static struct wh_copy plain_copy(void *memory, size_t size)
{
    return (struct wh_copy){.memory = memory,
                            .width = size,
                            .height = 1,
                            .depth = 1,
                            .memory_row = size,
                            .arena_row = size};
}

/* A copy between two places of the program's own memory, in the queue's order. */
static cl_int copy_here(cl_command_queue queue, void *to, const void *from, size_t size,
                        cl_uint num_events, const cl_event *events, cl_event *event)
{
    cl_event done = NULL;
    cl_int result = clEnqueueMarkerWithWaitList(queue, num_events, events, &done);
    if (result == CL_SUCCESS)
        result = clWaitForEvents(1, &done);
    if (result == CL_SUCCESS)
        memmove(to, from, size);
    if (result == CL_SUCCESS && event)
        *event = done;
    else if (done)
        clReleaseEvent(done);
    return result;
}

WH_EXPORT cl_int clEnqueueSVMMemcpy(cl_command_queue queue, cl_bool blocking, void *dst,
                                    const void *src, size_t size, cl_uint num_events,
                                    const cl_event *events, cl_event *event)
{
    bool to_svm = wh_opencl_is_svm(dst), from_svm = wh_opencl_is_svm(src);
    struct wh_cl_transfer t = {.queue = queue, .num_events = num_events, .events = events};
    cl_int result;
    if (!wh_opencl_object(queue, WH_OPENCL_TYPE_cl_command_queue))
        return CL_INVALID_COMMAND_QUEUE;
    if (!dst || !src)
        return CL_INVALID_VALUE;
    uintptr_t gap = (uintptr_t)dst > (uintptr_t)src ? (uintptr_t)dst - (uintptr_t)src
                                                    : (uintptr_t)src - (uintptr_t)dst;
    if (gap < size)
        return CL_MEM_COPY_OVERLAP;
    if ((to_svm && from_svm) || size == 0) {
        result = wh_opencl_call_svm_copy(queue, blocking, (uintptr_t)dst, (uintptr_t)src, size,
                                         num_events, events, event);
    } else if (to_svm) {
        struct wh_copy copy = plain_copy((void *)(uintptr_t)src, size);
        t.kind = WH_CL_WRITE_SVM;
        t.offset = (uintptr_t)dst;
        result = wh_opencl_write(&t, &copy, size, blocking, event);
    } else if (from_svm) {
        struct wh_copy copy = plain_copy(dst, size);
        t.kind = WH_CL_READ_SVM;
        t.offset = (uintptr_t)src;
        result = blocking ? wh_opencl_read_now(&t, &copy, size, event)
                          : wh_opencl_read_later(&t, &copy, size, event);
    } else {
        result = copy_here(queue, dst, src, size, num_events, events, event);
    }
    return wh_opencl_typed(result, event, CL_COMMAND_SVM_MEMCPY);
}

WH_EXPORT cl_int clEnqueueSVMMemFill(cl_command_queue queue, void *ptr, const void *pattern,
                                     size_t pattern_size, size_t size, cl_uint num_events,
                                     const cl_event *events, cl_event *event)
{
    if (pattern_size > 128)
        return CL_INVALID_VALUE;
    return wh_opencl_call_svm_fill(queue, (uintptr_t)ptr, pattern_size, pattern, size, num_events,
                                   events, event);
}

WH_EXPORT cl_int clEnqueueSVMMap(cl_command_queue queue, cl_bool blocking, cl_map_flags flags,
                                 void *ptr, size_t size, cl_uint num_events, const cl_event *events,
                                 cl_event *event)
{
    struct svm *svm = find(ptr, size);
    if (!svm || svm->block || size == 0)
        return wh_opencl_call_svm_map(queue, blocking, flags, (uintptr_t)ptr, size, num_events,
                                      events, event);
    struct wh_cl_transfer t = {.kind = WH_CL_READ_SVM,
                               .queue = queue,
                               .offset = (uintptr_t)ptr,
                               .num_events = num_events,
                               .events = events};
    struct wh_copy copy = plain_copy(ptr, size);
    svm->mapped = ptr;
    svm->mapped_size = size;
    svm->mapped_for_writing = (flags & (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION)) != 0;
    cl_int result = blocking ? wh_opencl_read_now(&t, &copy, size, event)
                             : wh_opencl_read_later(&t, &copy, size, event);
    return wh_opencl_typed(result, event, CL_COMMAND_SVM_MAP);
}

WH_EXPORT cl_int clEnqueueSVMUnmap(cl_command_queue queue, void *ptr, cl_uint num_events,
                                   const cl_event *events, cl_event *event)
{
    struct svm *svm = find(ptr, 0);
    if (!svm || svm->block)
        return wh_opencl_call_svm_unmap(queue, (uintptr_t)ptr, num_events, events, event);
    if (svm->mapped != ptr)
        return CL_INVALID_VALUE;
    struct wh_cl_transfer t = {.kind = WH_CL_WRITE_SVM,
                               .queue = queue,
                               .offset = (uintptr_t)ptr,
                               .num_events = num_events,
                               .events = events};
    struct wh_copy copy = plain_copy(ptr, svm->mapped_size);
    svm->mapped = NULL;
    cl_int result = svm->mapped_for_writing
                        ? wh_opencl_write(&t, &copy, svm->mapped_size, false, event)
                        : clEnqueueMarkerWithWaitList(queue, num_events, events, event);
    return wh_opencl_typed(result, event, CL_COMMAND_SVM_UNMAP);
}

WH_EXPORT cl_int clEnqueueSVMMigrateMem(cl_command_queue queue, cl_uint num_pointers,
                                        const void **pointers, const size_t *sizes,
                                        cl_mem_migration_flags flags, cl_uint num_events,
                                        const cl_event *events, cl_event *event)
{
    if (num_pointers == 0 || !pointers)
        return CL_INVALID_VALUE;
    return wh_opencl_call_svm_migrate(queue, num_pointers, (const cl_ulong *)pointers, sizes, flags,
                                      num_events, events, event);
}
