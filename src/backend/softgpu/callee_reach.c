/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call in the callee can reach: each of these looks at what the driver's own functions will
 * follow, before they do. Linked into the worker's callee only; see callee.h.
 */
#include "backend/softgpu/callee.h"

#include "backend/softgpu/array.h"
#include "backend/softgpu/event.h"
#include "backend/softgpu/library.h"
#include "backend/softgpu/pool.h"
#include "backend/softgpu/texture.h"
#include "base/meter.h"

/* ---- handles ---- */

struct soft_object *soft_callee_search(const void *handle, bool *hidden)
{
    struct soft_object *object = soft_callee()->buckets[soft_object_bucket(handle)];
    *hidden = false;
    for (; object; object = object->next) {
        if (!soft_callee_sees(object, sizeof(*object))) {
            *hidden = true;
            return NULL;
        }
        if (object == handle)
            break;
    }
    return object;
}

static bool sees_context(const struct soft_context *context)
{
    return soft_callee_sees(context, sizeof(*context)) &&
           (!context->legacy || soft_callee_sees(context->legacy, sizeof(*context->legacy))) &&
           (!context->thread || soft_callee_sees(context->thread, sizeof(*context->thread))) &&
           soft_callee_sees(context->device, sizeof(*context->device));
}

bool soft_callee_reaches_context(void)
{
    const struct soft_callee *callee = soft_callee();
    return soft_callee_sees(callee->driver, sizeof(*callee->driver)) &&
           soft_callee_sees(callee->buckets, SOFT_BUCKETS * sizeof(struct soft_object *)) &&
           (!callee->current || sees_context(callee->current));
}

/* An object of this size, with its context; or no object at all. */
static bool reaches(const void *handle, size_t size)
{
    bool hidden;
    const struct soft_object *object = soft_callee_search(handle, &hidden);
    if (!object)
        return !hidden;
    return soft_callee_sees(object, size) && (!object->context || sees_context(object->context));
}

/* The object of this kind that is meant, for who has found that it can be reached; NULL: none. */
static const void *object_of(const void *handle, enum soft_kind kind)
{
    bool hidden;
    const struct soft_object *object = soft_callee_search(handle, &hidden);
    return object && object->kind == kind ? object : NULL;
}

bool soft_callee_reaches_named(CUcontext handle)
{
    return !handle || (reaches(handle, sizeof(struct soft_object)) &&
                       (!object_of(handle, SOFT_CONTEXT) ||
                        sees_context((const struct soft_context *)(const void *)handle)));
}

bool soft_callee_reaches_stream(CUstream handle)
{
    bool own = !handle || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD;
    return own || reaches(handle, sizeof(struct soft_stream));
}

/* What captures and other processes have to do with an event is for the driver itself. Who waits
 * for one holds the stream that it was recorded in. */
bool soft_callee_reaches_event(CUevent handle)
{
    if (!reaches(handle, sizeof(struct soft_event)))
        return false;
    const struct soft_event *event = object_of(handle, SOFT_EVENT);
    if (!event)
        return true;
    const struct soft_stream *stream = event->mark.stream;
    return !event->shared && !event->captured.capture &&
           (!stream || soft_callee_sees(stream, sizeof(*stream)));
}

bool soft_callee_reaches_record(CUevent handle)
{
    if (!soft_callee_reaches_event(handle))
        return false;
    const struct soft_event *event = object_of(handle, SOFT_EVENT);
    if (!event)
        return true;
    if (event->mark.stream)
        return false;
    return soft_event_untimed(event) || (soft_callee()->now = soft_callee_time()) != 0;
}

static bool has_context(const struct soft_object *object)
{
    return object->context && atomic_load(&object->context->alive);
}

/* What is a neighbour's, and nothing that others have allocated. */
static bool sees_stream_end(const struct soft_stream *stream)
{
    const struct soft_stream *sibling = stream->sibling;
    return has_context(&stream->object) && soft_callee_sees(stream->link, sizeof(*stream->link)) &&
           (!sibling || soft_callee_sees(sibling, sizeof(*sibling))) && !stream->capture &&
           !stream->place.at && !stream->told_nodes && !stream->told_data;
}

bool soft_callee_reaches_stream_end(CUstream handle)
{
    const struct soft_stream *stream;
    return soft_callee_reaches_stream(handle) &&
           (!(stream = object_of(handle, SOFT_STREAM)) || sees_stream_end(stream));
}

bool soft_callee_reaches_streams(void)
{
    const struct soft_stream *first = soft_driver()->streams.first;
    return !first || soft_callee_sees(first, sizeof(*first));
}

/* The stream that it was recorded in may go with it. */
bool soft_callee_reaches_event_end(CUevent handle)
{
    if (!soft_callee_reaches_event(handle))
        return false;
    const struct soft_event *event = object_of(handle, SOFT_EVENT);
    if (!event)
        return true;
    const struct soft_stream *stream = event->mark.stream;
    return has_context(&event->object) && !event->captured.at.at &&
           (!stream || (stream->object.context && sees_context(stream->object.context) &&
                        sees_stream_end(stream)));
}

bool soft_callee_reaches_array(CUarray handle)
{
    return reaches(handle, sizeof(struct soft_array));
}

/* ---- code ---- */

bool soft_callee_reaches_module(CUmodule handle)
{
    return reaches(handle, sizeof(struct soft_module));
}

bool soft_callee_reaches_library(CUlibrary handle)
{
    const struct soft_library *library;
    return reaches(handle, sizeof(struct soft_object)) &&
           (!(library = object_of(handle, SOFT_LIBRARY)) ||
            soft_library_seen(library, soft_callee_sees));
}

bool soft_callee_reaches_function(CUfunction handle)
{
    const struct soft_function *function;
    return reaches(handle, sizeof(*function)) &&
           (!(function = object_of(handle, SOFT_FUNCTION)) || wh_view_sees(function->code));
}

bool soft_callee_reaches_kernel(CUkernel handle)
{
    const struct soft_kernel *kernel;
    return reaches(handle, sizeof(struct soft_object)) &&
           (!(kernel = object_of(handle, SOFT_KERNEL)) ||
            (soft_kernel_seen(kernel, soft_callee_sees) && wh_view_sees(soft_kernel_code(kernel))));
}

/* More functions than these take too long to look at. */
#define MOST_FUNCTIONS 4096u

/* All that a look for a name in there may come to. */
static bool sees_names(const struct soft_module *module)
{
    if (!module || !soft_callee_sees(module, sizeof(*module)) ||
        module->nfunctions > MOST_FUNCTIONS ||
        !soft_callee_sees(module->functions, module->nfunctions * sizeof(*module->functions)))
        return false;
    for (size_t i = 0; i < module->nfunctions; i++)
        if (module->functions[i] &&
            !soft_callee_sees(module->functions[i], sizeof(*module->functions[i])))
            return false;
    return wh_view_sees_module(module->code);
}

bool soft_callee_reaches_names(CUmodule handle)
{
    const struct soft_module *module;
    return soft_callee_reaches_module(handle) &&
           (!(module = object_of(handle, SOFT_MODULE)) || sees_names(module));
}

/* The library's module in the current context, which there must be. */
static bool sees_part(const struct soft_library *library)
{
    return sees_names(soft_library_part(library, soft_callee()->current, soft_callee_sees));
}

bool soft_callee_reaches_part(CUlibrary handle)
{
    const struct soft_library *library;
    return soft_callee_reaches_library(handle) &&
           (!(library = object_of(handle, SOFT_LIBRARY)) || sees_part(library));
}

bool soft_callee_reaches_kernels(CUlibrary handle)
{
    const struct soft_library *library;
    return soft_callee_reaches_library(handle) &&
           (!(library = object_of(handle, SOFT_LIBRARY)) ||
            (soft_library_kernels_seen(library, MOST_FUNCTIONS, soft_callee_sees) &&
             wh_view_sees_module(soft_library_code(library))));
}

/* The function of a kernel is made where there is none. */
bool soft_callee_reaches_launchable(CUfunction handle)
{
    const struct soft_kernel *kernel = object_of(handle, SOFT_KERNEL);
    if (!kernel)
        return soft_callee_reaches_function(handle);
    return soft_callee_reaches_kernel((CUkernel)handle) && sees_part(soft_kernel_library(kernel));
}

/* ---- memory ---- */

bool soft_callee_reaches_maps(void)
{
    const struct soft_driver *driver = soft_driver();
    const struct wh_meter *meters = driver->meters;
    return driver->slots.elsewhere == 0 &&
           (!driver->nmeters || soft_callee_sees(meters, driver->nmeters * sizeof(*meters)));
}

bool soft_callee_reaches_bytes(uint64_t address, size_t size)
{
    return size == 0 ||
           (soft_callee_reaches_maps() && soft_callee_sees((const void *)(uintptr_t)address, size));
}

bool soft_callee_reaches_value(uint64_t address, uint64_t value, bool wide, unsigned flags)
{
    size_t size = wide ? 8 : 4;
    struct soft_range range;
    return address % size == 0 && flags <= CU_STREAM_WAIT_VALUE_NOR &&
           soft_callee_reaches_bytes(address, size) && soft_range_holds(address, size, &range) &&
           soft_value_reached(address, value, wide, flags);
}

bool soft_callee_reaches_allocation(uint64_t address)
{
    struct soft_range range;
    if (!soft_callee_reaches_maps())
        return false;
    return !soft_range_find(address, &range) ||
           (range.kind == SOFT_MEMORY_DEVICE && !range.pool &&
            soft_callee_reaches_bytes(range.extent.start, range.extent.size));
}

/* One that is listed, so that the program's hold is not the last. */
bool soft_callee_reaches_pool(CUmemoryPool handle)
{
    return soft_callee_reaches_maps() && reaches(handle, sizeof(struct soft_pool));
}

/* The pools that hold so many pieces unused are the worker's to trim. */
#define MOST_UNUSED 64u

static bool sees_all(const struct soft_extent *extent, unsigned *left)
{
    return !extent || (*left && (*left)-- &&
                       soft_callee_sees((const void *)(uintptr_t)extent->start, extent->size) &&
                       sees_all(extent->left, left) && sees_all(extent->right, left));
}

/* Whether what is given back to the device has a place among the free extents. */
static bool has_slot(void)
{
    const struct soft_slots *slots = &soft_driver()->slots;
    return slots->free || slots->used < SOFT_SLOTS;
}

bool soft_callee_reaches_pool_trim(CUmemoryPool handle)
{
    unsigned left = MOST_UNUSED;
    if (!soft_callee_reaches_pool(handle))
        return false;
    const struct soft_pool *pool = object_of(handle, SOFT_POOL);
    return !pool || (has_slot() && sees_all(pool->unused, &left));
}

bool soft_callee_reaches_free(uint64_t address)
{
    struct soft_range range;
    if (!soft_callee_reaches_maps())
        return false;
    if (!soft_range_find(address, &range))
        return true;
    if (range.kind != SOFT_MEMORY_POOL)
        return soft_callee_reaches_allocation(address);
    if (!soft_callee_reaches_pool((CUmemoryPool)range.pool) || !object_of(range.pool, SOFT_POOL))
        return false;
    return range.pool->reserved <= range.pool->threshold ||
           (soft_callee_sees((const void *)(uintptr_t)range.extent.start, range.extent.size) &&
            soft_callee_reaches_pool_trim((CUmemoryPool)range.pool));
}

bool soft_callee_reaches_mipmap(CUmipmappedArray handle)
{
    return reaches(handle, sizeof(struct soft_mipmap));
}

bool soft_callee_reaches_levels(CUmipmappedArray handle)
{
    if (!soft_callee_reaches_mipmap(handle))
        return false;
    const struct soft_mipmap *mipmap = object_of(handle, SOFT_MIPMAP);
    for (unsigned i = 0; mipmap && i < mipmap->nlevels; i++)
        if (!soft_callee_sees(mipmap->levels[i], sizeof(*mipmap->levels[i])))
            return false;
    return true;
}

/* What is behind it must have its handle yet, so that it does not go with the texture. */
bool soft_callee_reaches_texture_end(uint64_t number)
{
    if (!soft_callee_reaches_texture(number))
        return false;
    const struct soft_texture *texture = object_of((const void *)(uintptr_t)number, SOFT_TEXTURE);
    return !texture || (has_context(&texture->object) &&
                        (!texture->backing || object_of(texture->backing, SOFT_ARRAY) ||
                         object_of(texture->backing, SOFT_MIPMAP)));
}

bool soft_callee_reaches_texture(uint64_t number)
{
    return reaches((const void *)(uintptr_t)number, sizeof(struct soft_texture));
}

bool soft_callee_reaches_array_bytes(CUarray handle)
{
    if (!soft_callee_reaches_array(handle))
        return false;
    const struct soft_array *array = object_of(handle, SOFT_ARRAY);
    return !array || soft_callee_reaches_bytes(array->address, array->size);
}

bool soft_callee_reaches_array_end(CUarray handle)
{
    if (!soft_callee_reaches_array_bytes(handle))
        return false;
    const struct soft_array *array = object_of(handle, SOFT_ARRAY);
    return !array || (has_context(&array->object) && has_slot());
}

/* The pools that devices allocate from, and by default. */
bool soft_callee_reaches_pools(void)
{
    const struct soft_driver *driver = soft_driver();
    for (int i = 0; i < driver->ndevices; i++)
        if (!soft_callee_reaches_pool((CUmemoryPool)driver->devices[i].pool) ||
            !soft_callee_reaches_pool((CUmemoryPool)driver->devices[i].default_pool))
            return false;
    return true;
}
