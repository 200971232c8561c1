/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver's files in the callee need of the rest of the driver, for one who runs them while
 * nobody else does: no command is under way, nothing is captured, and no other
 * thread is in the driver. So there is nothing to lock and nothing to wait for. Linked into the
 * worker's callee only, never into the driver.
 */
#include "backend/softgpu/callee.h"

#include "backend/softgpu/array.h"
#include "backend/softgpu/capture.h"
#include "backend/softgpu/event.h"
#include "backend/softgpu/graph.h"
#include "backend/softgpu/pool.h"
#include "backend/softgpu/texture.h"
#include "base/meter.h"

#include <time.h>

struct soft_driver *soft_driver(void)
{
    return soft_callee()->driver;
}

CUresult soft_ready(void)
{
    struct soft_driver *driver = soft_callee()->driver;
    return atomic_load(&driver->ready) && !atomic_load(&driver->forked)
               ? CUDA_SUCCESS
               : CUDA_ERROR_NOT_INITIALIZED;
}

struct soft_context *soft_current(void)
{
    return soft_callee()->current;
}

/* ---- handles ---- */

void *soft_object_find(const void *handle, enum soft_kind *kind)
{
    bool hidden;
    struct soft_object *object = soft_callee_search(handle, &hidden);
    if (!object)
        return NULL;
    *kind = object->kind;
    return soft_object_retain(object);
}

void *soft_object_get(const void *handle, enum soft_kind kind)
{
    enum soft_kind found;
    struct soft_object *object = soft_object_find(handle, &found);
    if (!object || found == kind)
        return object;
    soft_object_release(object);
    return NULL;
}

void *soft_object_retain(void *pointer)
{
    struct soft_object *object = pointer;
    atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
    return object;
}

/* ---- objects: made of what is kept for them, and ended by the code that is here ---- */

void *soft_object_new(enum soft_kind kind, size_t size, struct soft_context *context,
                      void (*destroy)(void *object))
{
    struct soft_object *object = soft_callee_take(size);
    (void)destroy; /* has another address for the driver */
    if (!object)
        return NULL;
    object->kind = kind;
    atomic_init(&object->references, 1);
    object->context = context ? soft_object_retain(context) : NULL;
    object->destroy = soft_driver()->ends[kind];
    return object;
}

void soft_object_list(void *pointer)
{
    struct soft_object *object = pointer,
                       **head = &soft_callee()->buckets[soft_object_bucket(pointer)];
    object->next = *head;
    object->listed = true;
    *head = object;
}

/* All that is before it in its bucket has been looked at: see soft_callee_search. */
bool soft_object_unlist(void *pointer)
{
    struct soft_object *object = pointer,
                       **link = &soft_callee()->buckets[soft_object_bucket(pointer)];
    if (!object->listed)
        return false;
    while (*link != object)
        link = &(*link)->next;
    *link = object->next;
    object->listed = false;
    soft_object_release(object);
    return true;
}

/* Of other kinds it is never the last reference that is let go of here. */
static void end(struct soft_object *object)
{
    struct soft_context *context = object->context;
    size_t size = 0;
    if (object->kind == SOFT_STREAM) {
        size = sizeof(struct soft_stream);
        soft_stream_end(object);
    } else if (object->kind == SOFT_EVENT) {
        size = sizeof(struct soft_event);
        soft_event_end(object);
    } else if (object->kind == SOFT_ARRAY) {
        size = sizeof(struct soft_array);
        soft_array_end(object);
    } else if (object->kind == SOFT_TEXTURE) {
        size = sizeof(struct soft_texture);
        soft_texture_end(object);
    }
    if (!size)
        return;
    soft_callee_give(object, size);
    soft_object_release(context);
}

void soft_object_release(void *pointer)
{
    struct soft_object *object = pointer;
    if (object && atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) == 1)
        end(object);
}

/* ---- commands: nothing is before them ---- */

CUresult soft_execute(struct soft_stream *stream, struct soft_command *command)
{
    soft_command_run(stream, command);
    return (CUresult)atomic_load(&stream->object.context->fault);
}

CUresult soft_submit_locked(struct soft_stream *stream, struct soft_command *command)
{
    return soft_submit(stream, command, NULL);
}

bool soft_stream_free_locked(struct soft_stream *stream)
{
    (void)stream;
    return true;
}

bool soft_command_need(struct soft_command *command, const struct soft_mark *mark)
{
    (void)command, (void)mark;
    return true;
}

/* ---- memory of kinds that no call here is let near ---- */

void soft_pool_trim_all(struct soft_device *device)
{
    (void)device; /* then there is no memory, and the call is left */
}

/* Either all of it is here (soft_callee_reaches_pool_free), or there is no memory and the call is
 * left: what cannot be given back to the system here stays. */
void soft_pool_trim(struct soft_pool *pool, uint64_t keep)
{
    struct soft_extent *extent;
    while (pool->reserved > keep && (extent = soft_extent_any(pool->unused)) &&
           soft_callee_sees((const void *)(uintptr_t)extent->start, extent->size)) {
        soft_extent_remove(&pool->unused, extent);
        pool->reserved -= extent->size;
        soft_memory_give(pool->device, extent->start, extent->size);
        soft_slot_give(extent);
    }
}

void soft_ipc_give(const struct soft_range *range)
{
    (void)range;
}

bool soft_graph_memory_free(CUdeviceptr address)
{
    (void)address;
    return false;
}

int munmap(void *memory, size_t size)
{
    (void)memory, (void)size; /* none of it is mapped for a call here */
    return 0;
}

int madvise(void *memory, size_t size, int advice)
{
    (void)memory, (void)size, (void)advice; /* the first bytes are never given back */
    return 0;
}

long sysconf(int name)
{
    (void)name;
    return 4096;
}

/* ---- nobody else is here ---- */

struct soft_capture *soft_captures(void)
{
    return NULL;
}

void soft_graphs_lock(void)
{
}

void soft_graphs_unlock(void)
{
}

void soft_queue_lock(void)
{
}

void soft_queue_unlock(void)
{
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    (void)mutex;
    return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    (void)mutex;
    return 0;
}

int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    (void)mutex, (void)attributes;
    return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    (void)mutex;
    return 0;
}

int pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    (void)condition, (void)attributes;
    return 0;
}

int pthread_cond_destroy(pthread_cond_t *condition)
{
    (void)condition;
    return 0;
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    (void)lock;
    return 0;
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    (void)lock;
    return 0;
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    (void)lock;
    return 0;
}

/* The time at which it was found that there is one: see soft_callee_reaches_record. */
uint64_t soft_event_now(void)
{
    return soft_event_time_after(soft_callee()->now);
}

/* Of what is timed here nobody asks: a meter, a module. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){0};
    return 0;
}

/* Nobody waits here. */
int nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)time, (void)left;
    return 0;
}

bool soft_stream_done(struct soft_stream *stream)
{
    (void)stream;
    return true;
}

void soft_stream_wait(struct soft_stream *stream)
{
    (void)stream;
}

void soft_context_wait(struct soft_context *context)
{
    (void)context;
}

void soft_mark_wait(const struct soft_mark *mark)
{
    (void)mark;
}

bool soft_mark_reached(const struct soft_mark *mark)
{
    (void)mark;
    return true;
}

bool soft_capturing(void)
{
    return false;
}

bool soft_stream_captures(struct soft_stream *stream)
{
    (void)stream;
    return false;
}

void soft_capture_drop(struct soft_stream *stream)
{
    (void)stream;
}

void soft_captured_point_clear(struct soft_captured_point *point)
{
    (void)point;
}

struct soft_shared_event *soft_shared_event_new(void)
{
    return NULL;
}

void soft_shared_event_free(struct soft_shared_event *shared)
{
    (void)shared;
}

CUresult soft_capture_record(struct soft_stream *stream, struct soft_event *event, bool *taken)
{
    (void)stream, (void)event, (void)taken; /* never asked, as the next ones */
    return CUDA_SUCCESS;
}

CUresult soft_capture_wait(struct soft_stream *stream, struct soft_event *event, bool *taken)
{
    (void)stream, (void)event, (void)taken;
    return CUDA_SUCCESS;
}

CUresult soft_capture_allocate(struct soft_stream *stream, size_t size, CUdeviceptr *address,
                               bool *taken)
{
    (void)stream, (void)size, (void)address, (void)taken;
    return CUDA_SUCCESS;
}

CUresult soft_capture_free(struct soft_stream *stream, CUdeviceptr address, bool *taken)
{
    (void)stream, (void)address, (void)taken;
    return CUDA_SUCCESS;
}

CUresult soft_shared_record(struct soft_event *event, struct soft_stream *stream)
{
    (void)event, (void)stream;
    return CUDA_SUCCESS;
}

CUresult soft_shared_stream_wait(struct soft_event *event, struct soft_stream *stream)
{
    (void)event, (void)stream;
    return CUDA_SUCCESS;
}

CUresult soft_capture_forbids(struct soft_stream *stream)
{
    (void)stream;
    return CUDA_SUCCESS;
}

CUresult soft_capture_forbids_context(struct soft_context *context)
{
    (void)context;
    return CUDA_SUCCESS;
}

bool soft_shared_reached(const struct soft_event *event)
{
    (void)event;
    return false; /* never asked: see soft_callee_reaches_event */
}

void soft_shared_wait(const struct soft_event *event)
{
    (void)event;
}

CUresult soft_capture_event_forbids(struct soft_event *event)
{
    (void)event;
    return CUDA_SUCCESS;
}

CUresult soft_capture_unsafe(void)
{
    return CUDA_SUCCESS;
}
