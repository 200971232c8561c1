/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies and sets with rows. A place in linear memory must be the session's from its first byte to
 * its last; staged bytes lie packed in the arena.
 */
#include "backend/cuda/backend.h"

#include <string.h>

/* One side of CUDA_MEMCPY3D. */
struct side {
    CUmemorytype type;
    void *host;
    CUdeviceptr device;
    CUarray array;
    size_t pitch, height;
};

/* The place with its measures spelled out: no pitch means rows without gaps, no height slices
 * without. False: rows or slices would overlap, and the bytes touched would not be those checked.
 */
static bool spell_out(const wh_cuda_box *box, wh_cuda_place *p)
{
    bool rows = box->height > 1 || box->depth > 1 || p->y || p->z;
    bool slices = box->depth > 1 || p->z;
    uint64_t row, slice;
    if (__builtin_add_overflow(p->x, box->width, &row) ||
        __builtin_add_overflow(p->y, box->height, &slice))
        return false;
    if (p->pitch == 0 || !rows)
        p->pitch = row > p->pitch ? row : p->pitch;
    if (p->height == 0 || !slices)
        p->height = slice > p->height ? slice : p->height;
    return p->pitch >= row && p->height >= slice;
}

/* Where the rows of a place with its measures spelled out begin, and how far behind it they end. */
static bool bytes_of(const wh_cuda_box *box, const wh_cuda_place *p, uint64_t *start,
                     uint64_t *length)
{
    uint64_t first;
    return !__builtin_mul_overflow(p->z, p->height, &first) &&
           !__builtin_add_overflow(first, p->y, &first) &&
           !__builtin_mul_overflow(first, p->pitch, &first) &&
           !__builtin_add_overflow(first, p->x, &first) &&
           !__builtin_mul_overflow(box->depth - 1, p->height, length) &&
           !__builtin_add_overflow(*length, box->height - 1, length) &&
           !__builtin_mul_overflow(*length, p->pitch, length) &&
           !__builtin_add_overflow(*length, box->width, length) &&
           !__builtin_add_overflow(p->address, first, start);
}

bool wh_cuda_place_bytes(const wh_cuda_box *box, const wh_cuda_place *place, uint64_t *start,
                         uint64_t *length)
{
    wh_cuda_place whole = *place;
    return box->width && box->height && box->depth && spell_out(box, &whole) &&
           bytes_of(box, &whole, start, length);
}

/* Whether the session owns the rows of this place; `is_host`: they lie in host memory. */
static bool owns(struct wh_call *call, const wh_cuda_box *box, const wh_cuda_place *p,
                 bool *is_host)
{
    uint64_t length, start;
    struct wh_cuda_range range;
    if (!bytes_of(box, p, &start, &length) ||
        !wh_cuda_ranges_find(wh_cuda_state(call)->ranges, start, length, &range))
        return false;
    *is_host = range.kind == WH_CUDA_RANGE_SHARED || range.kind == WH_CUDA_RANGE_ALIAS;
    return true;
}

static CUresult linear_side(struct wh_call *call, const wh_cuda_box *box, const wh_cuda_place *p,
                            struct side *side)
{
    wh_cuda_place place = *p;
    bool is_host;
    if (!spell_out(box, &place) || !owns(call, box, &place, &is_host))
        return CUDA_ERROR_INVALID_VALUE;
    side->pitch = place.pitch;
    side->height = place.height;
    if (is_host) {
        side->type = CU_MEMORYTYPE_HOST;
        side->host = (void *)(uintptr_t)p->address;
    } else {
        side->type = CU_MEMORYTYPE_DEVICE;
        side->device = p->address;
    }
    return CUDA_SUCCESS;
}

/* Packed bytes, all of which are in the block. */
static CUresult staged_side(struct wh_call *call, const wh_cuda_box *box, const wh_cuda_place *p,
                            void *bytes, size_t size, struct side *side)
{
    uint64_t needed;
    if (!bytes || p->x || p->y || p->z || p->pitch != box->width || p->height != box->height ||
        __builtin_mul_overflow(box->width, box->height, &needed) ||
        __builtin_mul_overflow(needed, box->depth, &needed) || needed > size) {
        wh_call_fault(call, "a staged copy breaks its own measures");
        return CUDA_ERROR_INVALID_VALUE;
    }
    *side = (struct side){
        .type = CU_MEMORYTYPE_HOST, .host = bytes, .pitch = box->width, .height = box->height};
    return CUDA_SUCCESS;
}

/* `bytes`: the staged bytes of this side, or NULL when it may not be staged. */
static CUresult make_side(struct wh_call *call, const wh_cuda_box *box, const wh_cuda_place *p,
                          CUarray array, void *bytes, size_t size, struct side *side)
{
    *side = (struct side){0};
    if (p->kind == WH_CUDA_PLACE_STAGED)
        return staged_side(call, box, p, bytes, size, side);
    if (p->kind == WH_CUDA_PLACE_LINEAR)
        return linear_side(call, box, p, side);
    if (p->kind != WH_CUDA_PLACE_ARRAY || !array)
        return CUDA_ERROR_INVALID_VALUE;
    side->type = CU_MEMORYTYPE_ARRAY;
    side->array = array;
    return CUDA_SUCCESS;
}

static CUresult copy_2d(const struct wh_cuda_functions_table *f, const wh_cuda_box *box,
                        const struct side *to, const struct side *from, CUstream stream)
{
    CUDA_MEMCPY2D copy = {.srcXInBytes = box->from.x,
                          .srcY = box->from.y,
                          .srcMemoryType = from->type,
                          .srcHost = from->host,
                          .srcDevice = from->device,
                          .srcArray = from->array,
                          .srcPitch = from->pitch,
                          .dstXInBytes = box->to.x,
                          .dstY = box->to.y,
                          .dstMemoryType = to->type,
                          .dstHost = to->host,
                          .dstDevice = to->device,
                          .dstArray = to->array,
                          .dstPitch = to->pitch,
                          .WidthInBytes = box->width,
                          .Height = box->height};
    return f->cuMemcpy2DAsync_v2(&copy, stream);
}

static CUDA_MEMCPY3D params_3d(const wh_cuda_box *box, const struct side *to,
                               const struct side *from)
{
    return (CUDA_MEMCPY3D){.srcXInBytes = box->from.x,
                           .srcY = box->from.y,
                           .srcZ = box->from.z,
                           .srcLOD = box->from.level,
                           .srcMemoryType = from->type,
                           .srcHost = from->host,
                           .srcDevice = from->device,
                           .srcArray = from->array,
                           .srcPitch = from->pitch,
                           .srcHeight = from->height,
                           .dstXInBytes = box->to.x,
                           .dstY = box->to.y,
                           .dstZ = box->to.z,
                           .dstLOD = box->to.level,
                           .dstMemoryType = to->type,
                           .dstHost = to->host,
                           .dstDevice = to->device,
                           .dstArray = to->array,
                           .dstPitch = to->pitch,
                           .dstHeight = to->height,
                           .WidthInBytes = box->width,
                           .Height = box->height,
                           .Depth = box->depth};
}

static CUresult copy_3d(const struct wh_cuda_functions_table *f, const wh_cuda_box *box,
                        const struct side *to, const struct side *from, CUstream stream)
{
    CUDA_MEMCPY3D copy = params_3d(box, to, from);
    return f->cuMemcpy3DAsync_v2(&copy, stream);
}

static CUresult copy(struct wh_call *call, const struct wh_cuda_functions_table *f,
                     const wh_cuda_box *box, const struct side *to, const struct side *from,
                     CUstream stream)
{
    bool flat = box->depth == 1 && !box->from.z && !box->to.z && !box->from.level && !box->to.level;
    bool there = flat ? f->cuMemcpy2DAsync_v2 != NULL : f->cuMemcpy3DAsync_v2 != NULL;
    if (call->fault)
        return CUDA_ERROR_INVALID_VALUE;
    if (!there)
        return CUDA_ERROR_NOT_SUPPORTED;
    return flat ? copy_2d(f, box, to, from, stream) : copy_3d(f, box, to, from, stream);
}

static CUresult make_sides(struct wh_call *call, const wh_cuda_box *box, CUarray to_array,
                           CUarray from_array, void *to_bytes, void *from_bytes, size_t size,
                           struct side *to, struct side *from)
{
    if (!box || !box->width || !box->height || !box->depth)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = make_side(call, box, &box->to, to_array, to_bytes, size, to);
    if (result == CUDA_SUCCESS)
        result = make_side(call, box, &box->from, from_array, from_bytes, size, from);
    return call->fault ? CUDA_ERROR_INVALID_VALUE : result;
}

static CUresult move(struct wh_call *call, const wh_cuda_box *box, CUarray to_array,
                     CUarray from_array, void *to_bytes, void *from_bytes, size_t size,
                     CUstream stream)
{
    struct side to, from;
    CUresult result =
        make_sides(call, box, to_array, from_array, to_bytes, from_bytes, size, &to, &from);
    return result == CUDA_SUCCESS ? copy(call, wh_cuda_driver(call), box, &to, &from, stream)
                                  : result;
}

static bool is_staged(const wh_cuda_place *place)
{
    return place->kind == WH_CUDA_PLACE_STAGED;
}

CUresult wh_cuda_copy_staged(struct wh_call *call, const wh_cuda_box *box, CUarray to, CUarray from,
                             void *bytes, size_t size, CUstream stream)
{
    if (!box || is_staged(&box->to) == is_staged(&box->from))
        return CUDA_ERROR_INVALID_VALUE;
    return move(call, box, to, from, is_staged(&box->to) ? bytes : NULL,
                is_staged(&box->from) ? bytes : NULL, size, stream);
}

CUresult wh_cuda_copy_params(struct wh_call *call, const wh_cuda_box *box, CUarray to_array,
                             CUarray from_array, void *bytes, size_t size, CUDA_MEMCPY3D *params)
{
    struct side to, from;
    CUresult result =
        make_sides(call, box, to_array, from_array, is_staged(&box->to) ? bytes : NULL,
                   is_staged(&box->from) ? bytes : NULL, size, &to, &from);
    if (result == CUDA_SUCCESS)
        *params = params_3d(box, &to, &from);
    return result;
}

CUresult wh_cuda_do_copy_box(struct wh_call *call, const wh_cuda_box *box, CUarray to, CUarray from,
                             CUstream stream)
{
    return move(call, box, to, from, NULL, NULL, 0, stream);
}

/* The arena is pageable memory to the driver: when its function returns, the bytes were taken. */
CUresult wh_cuda_do_write_box(struct wh_call *call, const wh_cuda_box *box, CUarray to, size_t size,
                              void *bytes, CUstream stream)
{
    return move(call, box, to, NULL, NULL, bytes, size, stream);
}

CUresult wh_cuda_do_read_box(struct wh_call *call, const wh_cuda_box *box, CUarray from,
                             size_t size, void *bytes, CUstream stream)
{
    CUresult result = move(call, box, NULL, from, bytes, NULL, size, stream);
    return result == CUDA_SUCCESS ? wh_cuda_driver(call)->cuStreamSynchronize(stream) : result;
}

/* ---- sets ---- */

bool wh_cuda_owns_rows(struct wh_call *call, CUdeviceptr address, size_t pitch, size_t width,
                       size_t height, size_t element)
{
    uint64_t length = 0, row = 0;
    struct wh_cuda_range range;
    if (width == 0 || height == 0)
        return true;
    return !__builtin_mul_overflow(height - 1, pitch, &length) &&
           !__builtin_mul_overflow(width, element, &row) && (height == 1 || pitch >= row) &&
           !__builtin_add_overflow(length, row, &length) &&
           wh_cuda_ranges_find(wh_cuda_state(call)->ranges, address, length, &range);
}

CUresult wh_cuda_do_cuMemsetD2D8_v2(struct wh_call *call, CUdeviceptr to, size_t pitch,
                                    unsigned char value, size_t width, size_t height)
{
    if (!wh_cuda_owns_rows(call, to, pitch, width, height, 1))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuMemsetD2D8_v2(to, pitch, value, width, height);
}

CUresult wh_cuda_do_cuMemsetD2D16_v2(struct wh_call *call, CUdeviceptr to, size_t pitch,
                                     unsigned short value, size_t width, size_t height)
{
    if (!wh_cuda_owns_rows(call, to, pitch, width, height, 2))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuMemsetD2D16_v2(to, pitch, value, width, height);
}

CUresult wh_cuda_do_cuMemsetD2D32_v2(struct wh_call *call, CUdeviceptr to, size_t pitch,
                                     unsigned value, size_t width, size_t height)
{
    if (!wh_cuda_owns_rows(call, to, pitch, width, height, 4))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuMemsetD2D32_v2(to, pitch, value, width, height);
}

CUresult wh_cuda_do_cuMemsetD2D8Async(struct wh_call *call, CUdeviceptr to, size_t pitch,
                                      unsigned char value, size_t width, size_t height,
                                      CUstream stream)
{
    if (!wh_cuda_owns_rows(call, to, pitch, width, height, 1))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuMemsetD2D8Async(to, pitch, value, width, height, stream);
}

CUresult wh_cuda_do_cuMemsetD2D16Async(struct wh_call *call, CUdeviceptr to, size_t pitch,
                                       unsigned short value, size_t width, size_t height,
                                       CUstream stream)
{
    if (!wh_cuda_owns_rows(call, to, pitch, width, height, 2))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuMemsetD2D16Async(to, pitch, value, width, height, stream);
}

CUresult wh_cuda_do_cuMemsetD2D32Async(struct wh_call *call, CUdeviceptr to, size_t pitch,
                                       unsigned value, size_t width, size_t height, CUstream stream)
{
    if (!wh_cuda_owns_rows(call, to, pitch, width, height, 4))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuMemsetD2D32Async(to, pitch, value, width, height, stream);
}
