/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies in two and three dimensions. What both sides of the wire can reach is one posted message;
 * the program's own memory is packed into pieces of the arena, which the worker copies from or to.
 */
#include "shim/cuda/copy2d.h"
#include "shim/cuda/observe.h"
#include "shim/cuda/staging.h"

#include <stdlib.h>

/* ---- what a side means ---- */

/* Where a linear side's bytes begin behind its address, and how many there are from there. */
static bool linear_extent(const struct wh_cuda_sides *s, const wh_cuda_place *p, uint64_t *first,
                          uint64_t *length)
{
    uint64_t rows, slices, start;
    if (__builtin_mul_overflow(p->z, p->height, &rows) ||
        __builtin_add_overflow(rows, p->y, &rows) ||
        __builtin_mul_overflow(rows, p->pitch, &start) ||
        __builtin_add_overflow(start, p->x, first))
        return false;
    if (__builtin_mul_overflow((uint64_t)s->depth - 1, p->height, &slices) ||
        __builtin_add_overflow(slices, (uint64_t)s->height - 1, &rows) ||
        __builtin_mul_overflow(rows, p->pitch, length) ||
        __builtin_add_overflow(*length, (uint64_t)s->width, length))
        return false;
    return !__builtin_add_overflow(p->address, *first, &start) && start <= UINT64_MAX - *length;
}

static bool rows_overlap(const struct wh_cuda_sides *s, const wh_cuda_place *p)
{
    return ((s->height > 1 || s->depth > 1) && p->pitch < s->width) ||
           (s->depth > 1 && p->height < s->height);
}

/* A pitch or slice of 0 stands for rows or slices without gaps. */
static void close_gaps(const struct wh_cuda_sides *s, wh_cuda_place *p)
{
    if (p->pitch == 0)
        p->pitch = p->x + s->width;
    if (p->height == 0)
        p->height = p->y + s->height;
}

/* Addresses are unified: what the program calls host memory may be the device's. */
static CUresult linear_side(const struct wh_cuda_sides *s, struct wh_cuda_side *side,
                            bool is_device)
{
    uint64_t first, length;
    wh_cuda_place *p = &side->place;
    p->kind = WH_CUDA_PLACE_LINEAR;
    close_gaps(s, p);
    if (!p->address || rows_overlap(s, p) || !linear_extent(s, p, &first, &length))
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t start = p->address + first;
    side->shared = wh_cuda_is_shared((const void *)(uintptr_t)start, length);
    if (!is_device && !side->shared && !wh_cuda_is_device(start, length))
        side->host = (uint8_t *)(uintptr_t)start;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_side_of(const struct wh_cuda_sides *s, struct wh_cuda_side *side,
                         CUmemorytype type, const void *host, CUdeviceptr device, CUarray array)
{
    switch (type) {
    case CU_MEMORYTYPE_HOST:
        side->place.address = (uintptr_t)host;
        return linear_side(s, side, false);
    case CU_MEMORYTYPE_DEVICE:
    case CU_MEMORYTYPE_UNIFIED:
        side->place.address = device;
        return linear_side(s, side, type == CU_MEMORYTYPE_DEVICE);
    case CU_MEMORYTYPE_ARRAY:
        side->place.kind = WH_CUDA_PLACE_ARRAY;
        side->array = array;
        return wh_cuda_object(array, WH_CUDA_TYPE_CUarray) ? CUDA_SUCCESS
                                                           : CUDA_ERROR_INVALID_HANDLE;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* ---- pieces ---- */

/* A part of a copy that fits into one block of the arena. */
struct piece {
    size_t x, y, z, width, height, depth;
};

static void first_piece(const struct wh_cuda_sides *s, struct piece *p)
{
    *p = (struct piece){.width = s->width, .height = 1, .depth = 1};
    if (p->width > WH_STAGE) {
        p->width = WH_STAGE;
        return;
    }
    p->height = WH_STAGE / p->width;
    if (p->height < s->height)
        return;
    p->height = s->height;
    p->depth = WH_STAGE / (p->width * p->height);
    if (p->depth > s->depth)
        p->depth = s->depth;
}

static size_t rest(size_t whole, size_t at, size_t most)
{
    return whole - at < most ? whole - at : most;
}

/* The next piece in place of `p`, none larger than `most`; false at the end. */
static bool next_piece(const struct wh_cuda_sides *s, const struct piece *most, struct piece *p)
{
    p->x += p->width;
    if (p->x >= s->width) {
        p->x = 0;
        p->y += p->height;
    }
    if (p->y >= s->height) {
        p->y = 0;
        p->z += p->depth;
    }
    if (p->z >= s->depth)
        return false;
    p->width = rest(s->width, p->x, most->width);
    p->height = rest(s->height, p->y, most->height);
    p->depth = rest(s->depth, p->z, most->depth);
    return true;
}

/* Between the program's memory and a packed block. */
static struct wh_copy rows_of(const struct wh_cuda_side *host, const struct piece *p)
{
    size_t pitch = host->place.pitch, slice = pitch * host->place.height;
    return (struct wh_copy){.memory = host->host + p->z * slice + p->y * pitch + p->x,
                            .width = p->width,
                            .height = p->height,
                            .depth = p->depth,
                            .memory_row = pitch,
                            .memory_slice = slice,
                            .arena_row = p->width,
                            .arena_slice = p->width * p->height};
}

static void shift(wh_cuda_place *place, const struct piece *p)
{
    place->x += p->x;
    place->y += p->y;
    place->z += p->z;
}

static CUresult move_piece(const struct wh_cuda_sides *s, const struct piece *p, CUstream stream)
{
    struct wh_session *session = wh_cuda_session();
    size_t size = p->width * p->height * p->depth;
    const struct wh_block *block = session ? wh_cuda_stage(size, 64) : NULL;
    bool write = s->from.host != NULL;
    wh_cuda_box box = {
        .to = s->to.place,
        .from = s->from.place,
        .width = p->width,
        .height = p->height,
        .depth = p->depth,
    };
    wh_cuda_place staged = {.kind = WH_CUDA_PLACE_STAGED, .pitch = p->width, .height = p->height};
    struct wh_copy rows = rows_of(write ? &s->from : &s->to, p);
    CUresult result;
    if (!block)
        return wh_cuda_no_stage();
    uint8_t *bytes = wh_arena_address(wh_session_arena(session), block);
    if (write) {
        box.from = staged;
        shift(&box.to, p);
        wh_copy_from_memory(&rows, bytes);
        result = wh_cuda_call_write_box(&box, s->to.array, size, block->offset, stream);
    } else {
        box.to = staged;
        shift(&box.from, p);
        result = wh_cuda_call_read_box(&box, s->from.array, size, block->offset, stream);
        if (result == CUDA_SUCCESS)
            wh_copy_to_memory(&rows, bytes);
    }
    wh_arena_release(wh_session_arena(session), block);
    return result;
}

static CUresult move_pieces(const struct wh_cuda_sides *s, CUstream stream)
{
    struct piece most, piece;
    CUresult result;
    first_piece(s, &most);
    piece = most;
    do
        result = move_piece(s, &piece, stream);
    while (result == CUDA_SUCCESS && next_piece(s, &most, &piece));
    return result;
}

/* ---- whole copies ---- */

/* From the program's memory to the program's memory: when the stream has come so far. */
static CUresult copy_here(const struct wh_cuda_sides *s, CUstream stream)
{
    size_t to = s->to.place.pitch, from = s->from.place.pitch;
    CUresult result = cuStreamSynchronize(stream);
    for (size_t z = 0; z < s->depth && result == CUDA_SUCCESS; z++)
        for (size_t y = 0; y < s->height; y++)
            memmove(s->to.host + (z * s->to.place.height + y) * to,
                    s->from.host + (z * s->from.place.height + y) * from, s->width);
    return result;
}

static CUresult copy_there(const struct wh_cuda_sides *s, CUstream stream, bool wait)
{
    wh_cuda_box box = {.to = s->to.place,
                       .from = s->from.place,
                       .width = s->width,
                       .height = s->height,
                       .depth = s->depth};
    uint64_t a[] = {(uintptr_t)&box, (uintptr_t)s->to.array, (uintptr_t)s->from.array,
                    (uintptr_t)stream};
    if (!wait)
        return wh_cuda_post(WH_CUDA_wh_copy_box, a);
    CUresult result = wh_cuda_call_now(WH_CUDA_wh_copy_box, a);
    if (result == CUDA_SUCCESS && (s->to.shared || s->from.shared))
        result = cuStreamSynchronize(stream);
    return result;
}

static CUresult carry_out(const struct wh_cuda_sides *s, CUstream stream, bool wait)
{
    if (wh_cuda_capturing() && (s->to.host || s->from.host) && wh_cuda_stream_captures(stream))
        return wh_cuda_capture_sides(s, stream);
    if (s->to.host && s->from.host)
        return copy_here(s, stream);
    if (s->to.host || s->from.host)
        return move_pieces(s, stream);
    return copy_there(s, stream, wait);
}

static enum wh_observed_memory memory_of(const struct wh_cuda_side *side)
{
    return side->array  ? WH_OF_ARRAY
           : side->host ? WH_OF_PAGEABLE
                        : wh_cuda_observed_memory(side->place.address);
}

CUresult wh_cuda_copy_sides(const struct wh_cuda_sides *s, CUstream stream, bool wait)
{
    if (!wh_cuda_observing())
        return carry_out(s, stream, wait);
    struct wh_cuda_work *work = wh_cuda_work_begin(WH_OBSERVE_COPIES, stream);
    if (work)
        wh_cuda_work_told(work)->copy = (struct wh_observed_copy){
            .from = memory_of(&s->from),
            .to = memory_of(&s->to),
            .bytes = (uint64_t)s->width * s->height * s->depth,
            .asynchronous = !wait,
        };
    CUresult result = carry_out(s, stream, wait);
    wh_cuda_work_end(work, result);
    return result;
}

static CUresult check_context(void)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    return wh_cuda_current() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult copy_2d(const CUDA_MEMCPY2D *c, CUstream stream, bool wait)
{
    CUresult result = check_context();
    if (result != CUDA_SUCCESS)
        return result;
    if (!c)
        return CUDA_ERROR_INVALID_VALUE;
    if (!c->WidthInBytes || !c->Height)
        return CUDA_SUCCESS;
    struct wh_cuda_sides s = {
        .to.place = {.x = c->dstXInBytes, .y = c->dstY, .pitch = c->dstPitch},
        .from.place = {.x = c->srcXInBytes, .y = c->srcY, .pitch = c->srcPitch},
        .width = c->WidthInBytes,
        .height = c->Height,
        .depth = 1,
    };
    result = wh_cuda_side_of(&s, &s.to, c->dstMemoryType, c->dstHost, c->dstDevice, c->dstArray);
    if (result == CUDA_SUCCESS)
        result =
            wh_cuda_side_of(&s, &s.from, c->srcMemoryType, c->srcHost, c->srcDevice, c->srcArray);
    return result == CUDA_SUCCESS ? wh_cuda_copy_sides(&s, stream, wait) : result;
}

CUresult wh_cuda_sides_of(const CUDA_MEMCPY3D *c, struct wh_cuda_sides *s)
{
    *s = (struct wh_cuda_sides){
        .to.place = {.level = (uint32_t)c->dstLOD,
                     .x = c->dstXInBytes,
                     .y = c->dstY,
                     .z = c->dstZ,
                     .pitch = c->dstPitch,
                     .height = c->dstHeight},
        .from.place = {.level = (uint32_t)c->srcLOD,
                       .x = c->srcXInBytes,
                       .y = c->srcY,
                       .z = c->srcZ,
                       .pitch = c->srcPitch,
                       .height = c->srcHeight},
        .width = c->WidthInBytes,
        .height = c->Height,
        .depth = c->Depth,
    };
    if (c->srcLOD > UINT32_MAX || c->dstLOD > UINT32_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result =
        wh_cuda_side_of(s, &s->to, c->dstMemoryType, c->dstHost, c->dstDevice, c->dstArray);
    return result == CUDA_SUCCESS ? wh_cuda_side_of(s, &s->from, c->srcMemoryType, c->srcHost,
                                                    c->srcDevice, c->srcArray)
                                  : result;
}

static CUresult copy_3d(const CUDA_MEMCPY3D *c, CUstream stream, bool wait)
{
    struct wh_cuda_sides s;
    CUresult result = check_context();
    if (result != CUDA_SUCCESS)
        return result;
    if (!c)
        return CUDA_ERROR_INVALID_VALUE;
    if (!c->WidthInBytes || !c->Height || !c->Depth)
        return CUDA_SUCCESS;
    result = wh_cuda_sides_of(c, &s);
    return result == CUDA_SUCCESS ? wh_cuda_copy_sides(&s, stream, wait) : result;
}

/* Addresses are unified and arrays know their context: which contexts are meant need not be said.
 */
static CUresult copy_peer(const CUDA_MEMCPY3D_PEER *c, CUstream stream, bool wait)
{
    CUDA_MEMCPY3D copy;
    _Static_assert(sizeof(copy) == sizeof(*c), "the two differ in what a pointer is called only");
    if (!c)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&copy, c, sizeof(copy));
    return copy_3d(&copy, stream, wait);
}

/* ---- what programs call ---- */

WH_EXPORT CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy)
{
    return copy_2d(copy, NULL, true);
}

WH_EXPORT CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *copy)
{
    return copy_2d(copy, NULL, true);
}

WH_EXPORT CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream)
{
    return copy_2d(copy, stream, false);
}

WH_EXPORT CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D *copy)
{
    return copy_3d(copy, NULL, true);
}

WH_EXPORT CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *copy, CUstream stream)
{
    return copy_3d(copy, stream, false);
}

WH_EXPORT CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *copy)
{
    return copy_peer(copy, NULL, true);
}

WH_EXPORT CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *copy, CUstream stream)
{
    return copy_peer(copy, stream, false);
}
