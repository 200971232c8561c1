/* SPDX-License-Identifier: Apache-2.0 */
/* The copy calls: each is a box of bytes for soft_copy. */
#include "backend/softgpu/copy.h"

/* ---- rows of bytes ---- */

static struct soft_end host(const void *pointer)
{
    return (struct soft_end){.type = CU_MEMORYTYPE_HOST, .address = (uintptr_t)pointer};
}

static struct soft_end device(CUdeviceptr pointer)
{
    return (struct soft_end){.type = CU_MEMORYTYPE_DEVICE, .address = pointer};
}

static struct soft_end unified(CUdeviceptr pointer)
{
    return (struct soft_end){.type = CU_MEMORYTYPE_UNIFIED, .address = pointer};
}

static struct soft_end in_array(CUarray array, size_t offset)
{
    return (struct soft_end){.type = CU_MEMORYTYPE_ARRAY, .array = array, .x = offset};
}

static CUresult copy_row(CUstream stream, struct soft_end to, struct soft_end from, size_t size,
                         bool wait)
{
    return soft_copy(
        stream, &(struct soft_box){.from = from, .to = to, .width = size, .height = 1, .depth = 1},
        wait);
}

SOFT_API CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t size)
{
    return copy_row(NULL, unified(to), unified(from), size, true);
}

SOFT_API CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream)
{
    return copy_row(stream, unified(to), unified(from), size, false);
}

SOFT_API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size)
{
    return copy_row(NULL, device(to), host(from), size, true);
}

SOFT_API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size,
                                       CUstream stream)
{
    return copy_row(stream, device(to), host(from), size, false);
}

SOFT_API CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size)
{
    return copy_row(NULL, host(to), device(from), size, true);
}

SOFT_API CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream)
{
    return copy_row(stream, host(to), device(from), size, false);
}

SOFT_API CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t size)
{
    return copy_row(NULL, device(to), device(from), size, true);
}

SOFT_API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size,
                                       CUstream stream)
{
    return copy_row(stream, device(to), device(from), size, false);
}

SOFT_API CUresult cuMemcpyDtoA_v2(CUarray to, size_t offset, CUdeviceptr from, size_t size)
{
    return copy_row(NULL, in_array(to, offset), device(from), size, true);
}

SOFT_API CUresult cuMemcpyAtoD_v2(CUdeviceptr to, CUarray from, size_t offset, size_t size)
{
    return copy_row(NULL, device(to), in_array(from, offset), size, true);
}

SOFT_API CUresult cuMemcpyHtoA_v2(CUarray to, size_t offset, const void *from, size_t size)
{
    return copy_row(NULL, in_array(to, offset), host(from), size, true);
}

SOFT_API CUresult cuMemcpyHtoAAsync_v2(CUarray to, size_t offset, const void *from, size_t size,
                                       CUstream stream)
{
    return copy_row(stream, in_array(to, offset), host(from), size, false);
}

SOFT_API CUresult cuMemcpyAtoH_v2(void *to, CUarray from, size_t offset, size_t size)
{
    return copy_row(NULL, host(to), in_array(from, offset), size, true);
}

SOFT_API CUresult cuMemcpyAtoHAsync_v2(void *to, CUarray from, size_t offset, size_t size,
                                       CUstream stream)
{
    return copy_row(stream, host(to), in_array(from, offset), size, false);
}

SOFT_API CUresult cuMemcpyAtoA_v2(CUarray to, size_t to_offset, CUarray from, size_t from_offset,
                                  size_t size)
{
    return copy_row(NULL, in_array(to, to_offset), in_array(from, from_offset), size, true);
}

/* ---- boxes ---- */

/* The fields of an end have the same names in all three structures. */
#define END(c, side)                                                                        \
    {                                                                                       \
        .type = (c)->side##MemoryType,                                                      \
        .address = (c)->side##MemoryType == CU_MEMORYTYPE_HOST ? (uintptr_t)(c)->side##Host \
                                                               : (c)->side##Device,         \
        .array = (c)->side##Array, .x = (c)->side##XInBytes, .y = (c)->side##Y,             \
        .pitch = (c)->side##Pitch                                                           \
    }

static CUresult copy_2d(CUstream stream, const CUDA_MEMCPY2D_v2 *copy, bool wait)
{
    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    const struct soft_box box = {.from = END(copy, src),
                                 .to = END(copy, dst),
                                 .width = copy->WidthInBytes,
                                 .height = copy->Height,
                                 .depth = 1};
    return soft_copy(stream, &box, wait);
}

SOFT_API CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D_v2 *copy)
{
    return copy_2d(NULL, copy, true);
}

SOFT_API CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D_v2 *copy)
{
    return copy_2d(NULL, copy, true);
}

SOFT_API CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D_v2 *copy, CUstream stream)
{
    return copy_2d(stream, copy, false);
}

static void add_third(struct soft_end *end, size_t z, size_t height)
{
    end->z = z;
    end->height = height;
}

CUresult soft_box_of(const CUDA_MEMCPY3D *copy, struct soft_box *box)
{
    if (!copy || copy->srcLOD || copy->dstLOD)
        return CUDA_ERROR_INVALID_VALUE;
    *box = (struct soft_box){.from = END(copy, src),
                             .to = END(copy, dst),
                             .width = copy->WidthInBytes,
                             .height = copy->Height,
                             .depth = copy->Depth};
    add_third(&box->from, copy->srcZ, copy->srcHeight);
    add_third(&box->to, copy->dstZ, copy->dstHeight);
    return CUDA_SUCCESS;
}

static void describe_end(const struct soft_end *end, void **host, CUdeviceptr *device)
{
    if (end->type == CU_MEMORYTYPE_HOST)
        *host = (void *)(uintptr_t)end->address;
    else
        *device = end->address;
}

void soft_box_describe(const struct soft_box *box, CUDA_MEMCPY3D *copy)
{
    const struct soft_end *from = &box->from, *to = &box->to;
    void *source = NULL;
    *copy = (CUDA_MEMCPY3D){.srcXInBytes = from->x,
                            .srcY = from->y,
                            .srcZ = from->z,
                            .srcMemoryType = from->type,
                            .srcArray = from->array,
                            .srcPitch = from->pitch,
                            .srcHeight = from->height,
                            .dstXInBytes = to->x,
                            .dstY = to->y,
                            .dstZ = to->z,
                            .dstMemoryType = to->type,
                            .dstArray = to->array,
                            .dstPitch = to->pitch,
                            .dstHeight = to->height,
                            .WidthInBytes = box->width,
                            .Height = box->height,
                            .Depth = box->depth};
    describe_end(from, &source, &copy->srcDevice);
    copy->srcHost = source;
    describe_end(to, &copy->dstHost, &copy->dstDevice);
}

static CUresult copy_3d(CUstream stream, const CUDA_MEMCPY3D_v2 *copy, bool wait)
{
    struct soft_box box;
    CUresult result = soft_box_of(copy, &box);
    return result == CUDA_SUCCESS ? soft_copy(stream, &box, wait) : result;
}

SOFT_API CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D_v2 *copy)
{
    return copy_3d(NULL, copy, true);
}

SOFT_API CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D_v2 *copy, CUstream stream)
{
    return copy_3d(stream, copy, false);
}

/* ---- between contexts: all addresses are one space, only the handles need a look ---- */

static CUresult check_contexts(CUcontext to, CUcontext from, bool wait)
{
    SOFT_HOLD struct soft_context *first, *second = NULL;
    CUresult result = soft_enter_context(to, &first);
    if (result == CUDA_SUCCESS)
        result = soft_enter_context(from, &second);
    if (result == CUDA_SUCCESS && wait) { /* serialised with the work of both */
        soft_context_wait(first);
        soft_context_wait(second);
    }
    return result;
}

SOFT_API CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                               CUcontext from_context, size_t size)
{
    CUresult result = check_contexts(to_context, from_context, true);
    return result == CUDA_SUCCESS ? cuMemcpyDtoD_v2(to, from, size) : result;
}

SOFT_API CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                                    CUcontext from_context, size_t size, CUstream stream)
{
    CUresult result = check_contexts(to_context, from_context, false);
    return result == CUDA_SUCCESS ? cuMemcpyDtoDAsync_v2(to, from, size, stream) : result;
}

static CUresult copy_3d_peer(CUstream stream, const CUDA_MEMCPY3D_PEER_v1 *copy, bool wait)
{
    if (!copy || copy->srcLOD || copy->dstLOD)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = check_contexts(copy->dstContext, copy->srcContext, wait);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_box box = {.from = END(copy, src),
                           .to = END(copy, dst),
                           .width = copy->WidthInBytes,
                           .height = copy->Height,
                           .depth = copy->Depth};
    add_third(&box.from, copy->srcZ, copy->srcHeight);
    add_third(&box.to, copy->dstZ, copy->dstHeight);
    return soft_copy(stream, &box, wait);
}

SOFT_API CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER_v1 *copy)
{
    return copy_3d_peer(NULL, copy, true);
}

SOFT_API CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER_v1 *copy, CUstream stream)
{
    return copy_3d_peer(stream, copy, false);
}

/* ---- many at once: in order, which is more than is promised ---- */

SOFT_API CUresult cuMemcpyBatchAsync_v2(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes,
                                        size_t count, CUmemcpyAttributes *attributes,
                                        size_t *first_of, size_t nattributes, CUstream stream)
{
    if (!to || !from || !sizes || count == 0 || !stream || stream == CU_STREAM_LEGACY)
        return CUDA_ERROR_INVALID_VALUE;
    if (!attributes || !first_of || nattributes == 0 || nattributes > count || first_of[0] != 0)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++) {
        CUresult result = cuMemcpyAsync(to[i], from[i], sizes[i], stream);
        if (result != CUDA_SUCCESS)
            return result;
    }
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuMemcpyBatchAsync(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes,
                                     size_t count, CUmemcpyAttributes *attributes, size_t *first_of,
                                     size_t nattributes, size_t *failed, CUstream stream)
{
    CUresult result =
        cuMemcpyBatchAsync_v2(to, from, sizes, count, attributes, first_of, nattributes, stream);
    if (result != CUDA_SUCCESS && failed)
        *failed = SIZE_MAX; /* which one is not said */
    return result;
}
