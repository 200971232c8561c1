/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many copies, prefetches or discards in one call. Each is carried out in stream order, one after
 * the other, which is more than batches promise.
 */
#include "shim/cuda/observe.h"

static CUresult check(CUstream stream)
{
    bool legacy = stream == CU_STREAM_LEGACY || (!stream && !wh_cuda_thread()->per_thread);
    CUresult result = wh_cuda_ready();
    if (result == CUDA_SUCCESS && !wh_cuda_current())
        result = CUDA_ERROR_INVALID_CONTEXT;
    if (result == CUDA_SUCCESS && legacy)
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

/* Each of `n` attributes is for the entries from its start on. */
static bool starts_good(const void *attributes, const size_t *starts, size_t n, size_t count)
{
    if (!attributes || !starts || n == 0 || n > count || starts[0] != 0)
        return false;
    for (size_t i = 1; i < n; i++)
        if (starts[i] <= starts[i - 1] || starts[i] >= count)
            return false;
    return true;
}

/* ---- copies ---- */

/* Attributes are hints about when sources may be read and where memory is; stream order satisfies
 * all of them. */
static CUresult copy_batch(const CUdeviceptr *to, const CUdeviceptr *from, const size_t *sizes,
                           size_t count, const CUmemcpyAttributes *attributes, const size_t *starts,
                           size_t nattributes, size_t *failed, CUstream stream)
{
    CUresult result = check(stream);
    if (failed)
        *failed = SIZE_MAX;
    if (result != CUDA_SUCCESS)
        return result;
    if (!to || !from || !sizes || !count || !starts_good(attributes, starts, nattributes, count))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++) {
        result = cuMemcpyAsync(to[i], from[i], sizes[i], stream);
        if (result != CUDA_SUCCESS && failed)
            *failed = i;
    }
    return result;
}

WH_EXPORT CUresult cuMemcpyBatchAsync(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes,
                                      size_t count, CUmemcpyAttributes *attributes, size_t *starts,
                                      size_t nattributes, size_t *failed, CUstream stream)
{
    return copy_batch(to, from, sizes, count, attributes, starts, nattributes, failed, stream);
}

WH_EXPORT CUresult cuMemcpyBatchAsync_v2(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes,
                                         size_t count, CUmemcpyAttributes *attributes,
                                         size_t *starts, size_t nattributes, CUstream stream)
{
    return copy_batch(to, from, sizes, count, attributes, starts, nattributes, NULL, stream);
}

/* ---- copies of boxes ---- */

/* Bytes of an array's element; 0: not a format that boxes are copied of. */
static size_t element_of(CUarray array)
{
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {.Width = 0};
    if (cuArray3DGetDescriptor_v2(&descriptor, array) != CUDA_SUCCESS)
        return 0;
    switch (descriptor.Format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return descriptor.NumChannels;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 2u * descriptor.NumChannels;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 4u * descriptor.NumChannels;
    default:
        return 0;
    }
}

/* Extents count elements: of the array, if there is one, else bytes. */
static size_t element_of_copy(const CUDA_MEMCPY3D_BATCH_OP *op)
{
    if (op->src.type == CU_MEMCPY_OPERAND_TYPE_ARRAY)
        return element_of(op->src.op.array.array);
    return op->dst.type == CU_MEMCPY_OPERAND_TYPE_ARRAY ? element_of(op->dst.op.array.array) : 1;
}

/* The fields of both sides have the same names but for their first letters. */
#define SET_SIDE(copy, side, operand, element)                                 \
    do {                                                                       \
        if ((operand)->type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {                 \
            (copy)->side##MemoryType = CU_MEMORYTYPE_ARRAY;                    \
            (copy)->side##Array = (operand)->op.array.array;                   \
            (copy)->side##XInBytes = (operand)->op.array.offset.x * (element); \
            (copy)->side##Y = (operand)->op.array.offset.y;                    \
            (copy)->side##Z = (operand)->op.array.offset.z;                    \
        } else {                                                               \
            (copy)->side##MemoryType = CU_MEMORYTYPE_UNIFIED;                  \
            (copy)->side##Device = (operand)->op.ptr.ptr;                      \
            (copy)->side##Pitch = (operand)->op.ptr.rowLength * (element);     \
            (copy)->side##Height = (operand)->op.ptr.layerHeight;              \
        }                                                                      \
    } while (0)

static bool is_operand(const CUmemcpy3DOperand *operand)
{
    return operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER ||
           operand->type == CU_MEMCPY_OPERAND_TYPE_ARRAY;
}

static CUresult copy_one(const CUDA_MEMCPY3D_BATCH_OP *op, CUstream stream)
{
    CUDA_MEMCPY3D copy = {.Height = op->extent.height, .Depth = op->extent.depth};
    if (!is_operand(&op->src) || !is_operand(&op->dst) || !op->extent.width || !copy.Height ||
        !copy.Depth)
        return CUDA_ERROR_INVALID_VALUE;
    size_t element = element_of_copy(op);
    if (element == 0 || op->extent.width > SIZE_MAX / element)
        return CUDA_ERROR_INVALID_VALUE;
    copy.WidthInBytes = op->extent.width * element;
    SET_SIDE(&copy, src, &op->src, element);
    SET_SIDE(&copy, dst, &op->dst, element);
    return cuMemcpy3DAsync_v2(&copy, stream);
}

static CUresult copy_boxes(size_t count, const CUDA_MEMCPY3D_BATCH_OP *ops, size_t *failed,
                           unsigned long long flags, CUstream stream)
{
    CUresult result = check(stream);
    if (failed)
        *failed = SIZE_MAX;
    if (result != CUDA_SUCCESS)
        return result;
    if (!count || !ops || flags)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++) {
        result = copy_one(&ops[i], stream);
        if (result != CUDA_SUCCESS && failed)
            *failed = i;
    }
    return result;
}

WH_EXPORT CUresult cuMemcpy3DBatchAsync(size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, size_t *failed,
                                        unsigned long long flags, CUstream stream)
{
    return copy_boxes(count, ops, failed, flags, stream);
}

WH_EXPORT CUresult cuMemcpy3DBatchAsync_v2(size_t count, CUDA_MEMCPY3D_BATCH_OP *ops,
                                           unsigned long long flags, CUstream stream)
{
    return copy_boxes(count, ops, NULL, flags, stream);
}

/* ---- managed memory ---- */

/* Whether all of these are managed memory. */
static bool are_managed(const CUdeviceptr *addresses, const size_t *sizes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct wh_cuda_range range;
        if (!sizes[i] || !wh_cuda_ranges_find(wh_cuda_memory(), addresses[i], sizes[i], &range) ||
            range.kind != WH_CUDA_MANAGED)
            return false;
    }
    return true;
}

WH_EXPORT CUresult cuMemPrefetchBatchAsync(CUdeviceptr *addresses, size_t *sizes, size_t count,
                                           CUmemLocation *places, size_t *starts, size_t nplaces,
                                           unsigned long long flags, CUstream stream)
{
    CUresult result = check(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!addresses || !sizes || !count || flags || !starts_good(places, starts, nplaces, count) ||
        !are_managed(addresses, sizes, count))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0, k = 0; i < count && result == CUDA_SUCCESS; i++) {
        k += k + 1 < nplaces && starts[k + 1] == i;
        result = cuMemPrefetchAsync_v2(addresses[i], sizes[i], places[k], 0, stream);
    }
    return result;
}

/* What is discarded may be anything afterwards: also what it was. */
WH_EXPORT CUresult cuMemDiscardBatchAsync(CUdeviceptr *addresses, size_t *sizes, size_t count,
                                          unsigned long long flags, CUstream stream)
{
    CUresult result = check(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!addresses || !sizes || !count || flags || !are_managed(addresses, sizes, count))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuMemDiscardAndPrefetchBatchAsync(CUdeviceptr *addresses, size_t *sizes,
                                                     size_t count, CUmemLocation *places,
                                                     size_t *starts, size_t nplaces,
                                                     unsigned long long flags, CUstream stream)
{
    return cuMemPrefetchBatchAsync(addresses, sizes, count, places, starts, nplaces, flags, stream);
}
