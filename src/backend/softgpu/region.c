/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies: where both ends are, whether all of them is the program's, when the copy is done. CUDA
 * driver API, "API synchronization behavior".
 */
#include "backend/softgpu/array.h"
#include "backend/softgpu/copy.h"
#include "backend/softgpu/graph.h"
#include "backend/softgpu/memory.h"

#include <stdlib.h>
#include <string.h>

enum where { ORDINARY, PINNED, DEVICE };

/* One end, found. */
struct place {
    enum where where;
    uint8_t *bytes; /* of the box's first byte */
    size_t row, slice;
    bool sync;
    struct soft_array *array; /* a reference, or NULL */
};

struct copy_command {
    struct soft_command command;
    struct place from, to;
    size_t width, height, depth;
    struct soft_box box;    /* as the program gave it */
    unsigned char staged[]; /* what was read at submission */
};

/* ---- where an end is ---- */

static CUresult place_array(const struct soft_end *end, const struct soft_box *box,
                            struct place *place)
{
    struct soft_array *array = soft_object_get(end->array, SOFT_ARRAY);
    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    place->array = array;
    if (end->x > array->row || box->width > array->row - end->x || end->y > array->height ||
        box->height > array->height - end->y || end->z > array->depth ||
        box->depth > array->depth - end->z)
        return CUDA_ERROR_INVALID_VALUE;
    place->where = DEVICE;
    place->row = array->pitch;
    place->slice = array->pitch * array->height;
    place->bytes = (uint8_t *)(uintptr_t)(array->address + end->z * place->slice +
                                          end->y * place->row + end->x);
    return CUDA_SUCCESS;
}

/* The offset of the box's first byte and the distance from there to behind its last. */
static bool extent_of(const struct soft_end *end, const struct soft_box *box, struct place *place,
                      size_t *offset, size_t *length)
{
    size_t before, slices, rows;
    place->row = end->pitch;
    return !__builtin_mul_overflow(end->pitch, end->height, &place->slice) &&
           !__builtin_mul_overflow(place->slice, end->z, &before) &&
           !__builtin_mul_overflow(place->row, end->y, offset) &&
           !__builtin_add_overflow(*offset, before, offset) &&
           !__builtin_add_overflow(*offset, end->x, offset) &&
           !__builtin_mul_overflow(place->slice, box->depth - 1, &slices) &&
           !__builtin_mul_overflow(place->row, box->height - 1, &rows) &&
           !__builtin_add_overflow(slices, rows, length) &&
           !__builtin_add_overflow(*length, box->width, length);
}

/* Rows and slices must not run into each other, where there are several. */
static bool pitches_good(const struct soft_end *end, const struct soft_box *box)
{
    if (end->pitch > INT32_MAX && box->height > 1)
        return false;
    if ((box->height > 1 || box->depth > 1 || end->y || end->z) &&
        (end->pitch < box->width || end->pitch - box->width < end->x))
        return false;
    return (box->depth <= 1 && !end->z) ||
           (end->height >= box->height && end->height - box->height >= end->y);
}

/* A pitch or height of 0 stands for rows or slices without gaps. */
static struct soft_end without_gaps(const struct soft_end *given, const struct soft_box *box)
{
    struct soft_end end = *given;
    if (end.pitch == 0)
        end.pitch = box->width;
    if (end.height == 0)
        end.height = box->height;
    return end;
}

static CUresult place_memory(const struct soft_end *given, const struct soft_box *box,
                             struct place *place)
{
    struct soft_range range;
    size_t offset, length;
    const struct soft_end whole = without_gaps(given, box), *end = &whole;
    if (!pitches_good(end, box) || !extent_of(end, box, place, &offset, &length))
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t start = end->address + offset;
    if (end->address == 0 || start < end->address || start + length < start)
        return CUDA_ERROR_INVALID_VALUE;
    place->bytes = (uint8_t *)(uintptr_t)start;
    if (soft_range_holds(start, length, &range)) {
        place->where = soft_range_on_host(&range) ? PINNED : DEVICE;
        place->sync = range.sync_copies;
        return CUDA_SUCCESS;
    }
    /* Partly known: not the program's as a whole, unless it is host memory registered in part. */
    if (end->type == CU_MEMORYTYPE_DEVICE ||
        (soft_range_find(start, &range) && !soft_range_on_host(&range)))
        return CUDA_ERROR_INVALID_VALUE;
    place->where = ORDINARY;
    return CUDA_SUCCESS;
}

static CUresult find_place(const struct soft_end *end, const struct soft_box *box,
                           struct place *place)
{
    *place = (struct place){0};
    switch ((int)end->type) {
    case CU_MEMORYTYPE_ARRAY:
        return place_array(end, box, place);
    case CU_MEMORYTYPE_HOST:
    case CU_MEMORYTYPE_DEVICE:
    case CU_MEMORYTYPE_UNIFIED:
        return place_memory(end, box, place);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* ---- the work ---- */

static void copy_box(const struct place *to, const struct place *from, size_t width, size_t height,
                     size_t depth)
{
    for (size_t z = 0; z < depth; z++)
        for (size_t y = 0; y < height; y++)
            memmove(to->bytes + z * to->slice + y * to->row,
                    from->bytes + z * from->slice + y * from->row, width);
}

static CUresult run_copy(struct soft_stream *stream, struct soft_command *command)
{
    (void)stream;
    struct copy_command *self = (struct copy_command *)command;
    copy_box(&self->to, &self->from, self->width, self->height, self->depth);
    return CUDA_SUCCESS;
}

static void discard_copy(struct soft_command *command)
{
    struct copy_command *self = (struct copy_command *)command;
    soft_object_release(self->from.array);
    soft_object_release(self->to.array);
}

static struct place packed_at(void *bytes, const struct copy_command *self)
{
    return (struct place){
        .where = PINNED, .bytes = bytes, .row = self->width, .slice = self->width * self->height};
}

/* Reads the source now: it is the caller's again on return. */
static void stage(struct copy_command *self)
{
    const struct place staged = packed_at(self->staged, self);
    copy_box(&staged, &self->from, self->width, self->height, self->depth);
    self->from = staged;
}

/* Takes the places' references over. `more`: bytes of room for what is read now. */
static struct copy_command *new_copy(const struct soft_box *box, const struct place *from,
                                     const struct place *to, size_t more)
{
    struct copy_command *self = soft_command_new(sizeof(*self) + more, run_copy);
    if (!self) {
        soft_object_release(from->array);
        soft_object_release(to->array);
        return NULL;
    }
    self->command.discard = discard_copy;
    self->command.node = 1 + CU_GRAPH_NODE_TYPE_MEMCPY;
    self->from = *from;
    self->to = *to;
    self->width = box->width;
    self->height = box->height;
    self->depth = box->depth;
    self->box = *box;
    return self;
}

/* Takes the places' references over. */
static CUresult submit(struct soft_stream *stream, const struct soft_box *box,
                       const struct place *from, const struct place *to, bool wait)
{
    size_t bytes = box->width * box->height * box->depth; /* no more than memory: checked */
    bool small = bytes <= SOFT_SMALL_BYTES;
    bool staged = !wait && from->where == ORDINARY && small && !soft_stream_captures(stream);
    struct copy_command *self = new_copy(box, from, to, staged ? bytes : 0);
    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    self->command.brief = small;
    bool host = from->where != DEVICE || to->where != DEVICE;
    if (from->sync || to->sync || (wait && host) || to->where == ORDINARY ||
        (from->where == ORDINARY && !staged))
        return soft_execute(stream, &self->command);
    if (staged)
        stage(self);
    return soft_submit(stream, &self->command, NULL);
}

static CUresult find_places(const struct soft_box *box, struct place *from, struct place *to)
{
    *from = *to = (struct place){0};
    CUresult result = find_place(&box->from, box, from);
    if (result == CUDA_SUCCESS)
        result = find_place(&box->to, box, to);
    if (result == CUDA_SUCCESS)
        return result;
    soft_object_release(from->array);
    soft_object_release(to->array);
    return result;
}

CUresult soft_copy(CUstream handle, const struct soft_box *box, bool wait)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (box->width == 0 || box->height == 0 || box->depth == 0)
        return CUDA_SUCCESS;
    struct place from, to;
    result = find_places(box, &from, &to);
    return result == CUDA_SUCCESS ? submit(stream, box, &from, &to, wait) : result;
}

/* ---- nodes of graphs ---- */

CUresult soft_copy_make(const CUDA_MEMCPY3D *params, struct soft_command **command)
{
    struct place from, to;
    struct soft_box box;
    CUresult result = soft_box_of(params, &box);
    if (result == CUDA_SUCCESS && (!box.width || !box.height || !box.depth))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = find_places(&box, &from, &to);
    if (result != CUDA_SUCCESS)
        return result;
    struct copy_command *self = new_copy(&box, &from, &to, 0);
    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *command = &self->command;
    return CUDA_SUCCESS;
}

CUresult soft_copy_read(const struct soft_command *command, void **bytes)
{
    const struct copy_command *self = (const struct copy_command *)command;
    *bytes = NULL;
    if (self->from.where != ORDINARY)
        return CUDA_SUCCESS;
    *bytes = malloc(self->width * self->height * self->depth);
    if (!*bytes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    const struct place packed = packed_at(*bytes, self);
    copy_box(&packed, &self->from, self->width, self->height, self->depth);
    return CUDA_SUCCESS;
}

void soft_copy_run_read(const struct soft_command *command, void *bytes)
{
    const struct copy_command *self = (const struct copy_command *)command;
    const struct place packed = packed_at(bytes, self);
    copy_box(&self->to, &packed, self->width, self->height, self->depth);
}

void soft_copy_describe(const struct soft_command *command, CUDA_MEMCPY3D *params)
{
    soft_box_describe(&((const struct copy_command *)command)->box, params);
}
