/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the fake that by-hand code calls for memory: copies, sets, pools, textures. See
 * cuda_fake.h. */
#include "cuda_fake.h"

#include <string.h>

#define TYPE(name) WH_CUDA_TYPE_##name

/* ---- memory ---- */

static CUresult allocate(CUdeviceptr *address, size_t size)
{
    if (!address)
        return CUDA_ERROR_INVALID_VALUE;
    *address = cuda_fake_allocate(size);
    return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult allocate_rows(CUdeviceptr *address, size_t *pitch, size_t width, size_t height,
                              unsigned element)
{
    size_t size;
    (void)element;
    if (!pitch || width > CUDA_FAKE_STEP)
        return CUDA_ERROR_INVALID_VALUE;
    *pitch = (width + 511) / 512 * 512;
    if (__builtin_mul_overflow(*pitch, height, &size))
        return CUDA_ERROR_INVALID_VALUE;
    return allocate(address, size);
}

static CUresult allocate_async(CUdeviceptr *address, size_t size, CUstream stream)
{
    return cuda_fake_stream_lives(stream) ? allocate(address, size) : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult allocate_from(CUdeviceptr *address, size_t size, CUmemoryPool pool, CUstream stream)
{
    return cuda_fake_lives(pool, TYPE(CUmemoryPool)) ? allocate_async(address, size, stream)
                                                     : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult free_memory(CUdeviceptr address)
{
    return cuda_fake_free_memory(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult free_async(CUdeviceptr address, CUstream stream)
{
    return cuda_fake_stream_lives(stream) ? free_memory(address) : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult register_host(void *bytes, size_t size, unsigned flags)
{
    (void)flags;
    return cuda_fake_share(bytes, size) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
}

static CUresult unregister_host(void *bytes)
{
    return free_memory((uintptr_t)bytes);
}

static CUresult device_pointer(CUdeviceptr *address, void *bytes, unsigned flags)
{
    (void)flags;
    *address = (uintptr_t)bytes;
    return CUDA_SUCCESS;
}

static CUresult copy(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream)
{
    bool good = cuda_fake_stream_lives(stream);
    good = cuda_fake_reaches(from, size, false) && good;
    good = cuda_fake_reaches(to, size, true) && good;
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult copy_in(CUdeviceptr to, const void *bytes, size_t size, CUstream stream)
{
    bool good = cuda_fake_stream_lives(stream) && cuda_fake_reaches(to, size, true);
    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    cuda_fake_read(bytes, size);
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult copy_out(void *bytes, CUdeviceptr from, size_t size, CUstream stream)
{
    bool good = cuda_fake_stream_lives(stream) && cuda_fake_reaches(from, size, false);
    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    cuda_fake_write(bytes, size);
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* One side of a copy with rows. */
struct side {
    CUmemorytype type;
    uint8_t *host;
    CUdeviceptr device;
    CUarray array;
    size_t pitch, height, x, y, z;
};

static size_t times(size_t a, size_t b)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        cuda_fake_stop("rows that overflow", a);
    return product;
}

/* Row by row, as a driver would go. */
static bool touch_side(const struct side *s, size_t width, size_t height, size_t depth, bool writes)
{
    const size_t pitch = s->pitch ? s->pitch : width, rows = s->height ? s->height : height;
    if (s->type == CU_MEMORYTYPE_ARRAY)
        return cuda_fake_lives(s->array, TYPE(CUarray));
    for (size_t z = 0; z < depth; z++)
        for (size_t y = 0; y < height; y++) {
            size_t at = times(times(s->z + z, rows) + s->y + y, pitch) + s->x;
            if (s->type == CU_MEMORYTYPE_DEVICE) {
                if (!cuda_fake_reaches(s->device + at, width, writes))
                    return false;
            } else if (writes) {
                cuda_fake_write(s->host + at, width);
            } else {
                cuda_fake_read(s->host + at, width);
            }
        }
    return true;
}

static CUresult copy_3d(const CUDA_MEMCPY3D *c, CUstream stream)
{
    const struct side from = {.type = c->srcMemoryType,
                              .host = (uint8_t *)(uintptr_t)c->srcHost,
                              .device = c->srcDevice,
                              .array = c->srcArray,
                              .pitch = c->srcPitch,
                              .height = c->srcHeight,
                              .x = c->srcXInBytes,
                              .y = c->srcY,
                              .z = c->srcZ};
    const struct side to = {.type = c->dstMemoryType,
                            .host = c->dstHost,
                            .device = c->dstDevice,
                            .array = c->dstArray,
                            .pitch = c->dstPitch,
                            .height = c->dstHeight,
                            .x = c->dstXInBytes,
                            .y = c->dstY,
                            .z = c->dstZ};
    if (!cuda_fake_stream_lives(stream))
        return CUDA_ERROR_INVALID_HANDLE;
    /* Between two arrays, only those know how far that is. */
    return touch_side(&from, c->WidthInBytes, c->Height, c->Depth, false) &&
                   touch_side(&to, c->WidthInBytes, c->Height, c->Depth, true)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

static CUresult copy_2d(const CUDA_MEMCPY2D *c, CUstream stream)
{
    const CUDA_MEMCPY3D flat = {.srcMemoryType = c->srcMemoryType,
                                .srcHost = c->srcHost,
                                .srcDevice = c->srcDevice,
                                .srcArray = c->srcArray,
                                .srcPitch = c->srcPitch,
                                .srcXInBytes = c->srcXInBytes,
                                .srcY = c->srcY,
                                .dstMemoryType = c->dstMemoryType,
                                .dstHost = c->dstHost,
                                .dstDevice = c->dstDevice,
                                .dstArray = c->dstArray,
                                .dstPitch = c->dstPitch,
                                .dstXInBytes = c->dstXInBytes,
                                .dstY = c->dstY,
                                .WidthInBytes = c->WidthInBytes,
                                .Height = c->Height,
                                .Depth = 1};
    return copy_3d(&flat, stream);
}

/* Rows may not run into each other. */
static CUresult set_rows(CUdeviceptr to, size_t pitch, size_t element, size_t width, size_t height)
{
    const struct side side = {
        .type = CU_MEMORYTYPE_DEVICE, .device = to, .pitch = pitch, .height = height};
    if (width == 0 || height == 0)
        return CUDA_SUCCESS;
    const size_t row = times(width, element);
    if ((height > 1 && pitch < row) || !touch_side(&side, row, height, 1, true))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

#define SET_ROWS(name, type)                                                                    \
    static CUresult name(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height) \
    {                                                                                           \
        (void)value;                                                                            \
        return set_rows(to, pitch, sizeof(value), width, height);                               \
    }                                                                                           \
    static CUresult name##_async(CUdeviceptr to, size_t pitch, type value, size_t width,        \
                                 size_t height, CUstream stream)                                \
    {                                                                                           \
        return cuda_fake_stream_lives(stream) ? name(to, pitch, value, width, height)           \
                                              : CUDA_ERROR_INVALID_HANDLE;                      \
    }

SET_ROWS(set_bytes, unsigned char)
SET_ROWS(set_shorts, unsigned short)
SET_ROWS(set_words, unsigned)

static CUresult memory_operations(CUstream stream, unsigned n, CUstreamBatchMemOpParams *o,
                                  unsigned flags)
{
    (void)flags;
    for (unsigned i = 0; i < n; i++)
        switch (o[i].operation) {
        case CU_STREAM_MEM_OP_WAIT_VALUE_32:
        case CU_STREAM_MEM_OP_WRITE_VALUE_32:
            (void)cuda_fake_reaches(o[i].waitValue.address, 4, false);
            break;
        case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        case CU_STREAM_MEM_OP_WRITE_VALUE_64:
            (void)cuda_fake_reaches(o[i].waitValue.address, 8, false);
            break;
        case CU_STREAM_MEM_OP_BARRIER:
        case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
            break;
        default:
            cuda_fake_stop("an operation that nobody knows", o[i].operation);
        }
    return cuda_fake_stream_lives(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* ---- pools, attributes, textures ---- */

static CUresult create_pool(CUmemoryPool *pool, const CUmemPoolProps *props)
{
    cuda_fake_read(props, sizeof(*props));
    if (props->win32SecurityAttributes || props->handleTypes)
        cuda_fake_stop("a pool with an address", (uintptr_t)props->win32SecurityAttributes);
    return cuda_fake_make(pool, TYPE(CUmemoryPool));
}

static CUresult pool_access(CUmemAccess_flags *flags, CUmemoryPool pool, CUmemLocation *location)
{
    cuda_fake_read(location, sizeof(*location));
    *flags = 0;
    return cuda_fake_lives(pool, TYPE(CUmemoryPool)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult set_pool_attribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value)
{
    (void)attribute;
    cuda_fake_write(value, 8);
    return cuda_fake_lives(pool, TYPE(CUmemoryPool)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult pool_at(CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type)
{
    (void)type;
    cuda_fake_read(location, sizeof(*location));
    *pool = cuda_fake_known(TYPE(CUmemoryPool));
    return CUDA_SUCCESS;
}

static CUresult set_pool_at(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool pool)
{
    (void)type;
    cuda_fake_read(location, sizeof(*location));
    return cuda_fake_lives(pool, TYPE(CUmemoryPool)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult pointer_attribute(void *data, CUpointer_attribute attribute, CUdeviceptr address)
{
    void *pool = cuda_fake_known(TYPE(CUmemoryPool));
    bool good = cuda_fake_reaches(address, 0, false);
    if (attribute == CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE)
        memcpy(data, &pool, sizeof(pool));
    else
        cuda_fake_write(data, 8);
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult set_pointer_attribute(const void *value, CUpointer_attribute attribute,
                                      CUdeviceptr address)
{
    (void)attribute;
    cuda_fake_read(value, 4);
    return cuda_fake_reaches(address, 0, false) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult stream_attribute(CUstream stream, CUstreamAttrID attribute,
                                 CUstreamAttrValue *value)
{
    (void)attribute;
    cuda_fake_write(value, sizeof(*value));
    return cuda_fake_stream_lives(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult set_stream_attribute(CUstream stream, CUstreamAttrID attribute,
                                     const CUstreamAttrValue *value)
{
    cuda_fake_read(value, sizeof(*value));
    if (attribute == CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW)
        (void)cuda_fake_reaches((uintptr_t)value->accessPolicyWindow.base_ptr,
                                value->accessPolicyWindow.num_bytes, false);
    return cuda_fake_stream_lives(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult create_texture(CUtexObject *object, const CUDA_RESOURCE_DESC *r,
                               const CUDA_TEXTURE_DESC *texture,
                               const CUDA_RESOURCE_VIEW_DESC *view)
{
    bool good = false;
    cuda_fake_read(texture, sizeof(*texture));
    cuda_fake_read(view, view ? sizeof(*view) : 0);
    if (r->resType == CU_RESOURCE_TYPE_ARRAY)
        good = cuda_fake_lives(r->res.array.hArray, TYPE(CUarray));
    else if (r->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY)
        good = cuda_fake_lives(r->res.mipmap.hMipmappedArray, TYPE(CUmipmappedArray));
    else if (r->resType == CU_RESOURCE_TYPE_LINEAR)
        good = cuda_fake_reaches(r->res.linear.devPtr, r->res.linear.sizeInBytes, false);
    else if (r->resType == CU_RESOURCE_TYPE_PITCH2D)
        good = cuda_fake_reaches(r->res.pitch2D.devPtr,
                                 times(r->res.pitch2D.pitchInBytes, r->res.pitch2D.height), false);
    else
        cuda_fake_stop("a resource of no kind", r->resType);
    *object = 1;
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult create_surface(CUsurfObject *object, const CUDA_RESOURCE_DESC *r)
{
    *object = 1;
    return cuda_fake_lives(r->res.array.hArray, TYPE(CUarray)) ? CUDA_SUCCESS
                                                               : CUDA_ERROR_INVALID_VALUE;
}

static CUresult describe_surface(CUDA_RESOURCE_DESC *resource, CUsurfObject object)
{
    (void)object;
    memset(resource, 0, sizeof(*resource));
    return CUDA_SUCCESS;
}

static CUresult tensor_tiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                             void *address, const cuuint64_t *sizes, const cuuint64_t *strides,
                             const cuuint32_t *box, const cuuint32_t *steps,
                             CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                             CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    (void)(type + interleave + swizzle + promotion + fill);
    cuda_fake_read(sizes, rank * 8u);
    cuda_fake_read(strides, (rank - 1) * 8u);
    cuda_fake_read(box, rank * 4u);
    cuda_fake_read(steps, rank * 4u);
    cuda_fake_write(map, sizeof(*map));
    return cuda_fake_reaches((uintptr_t)address, 0, false) ? CUDA_SUCCESS
                                                           : CUDA_ERROR_INVALID_VALUE;
}

static CUresult tensor_im2col(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                              void *address, const cuuint64_t *sizes, const cuuint64_t *strides,
                              const int *lower, const int *upper, cuuint32_t channels,
                              cuuint32_t pixels, const cuuint32_t *steps,
                              CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                              CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    (void)(channels + pixels);
    cuda_fake_read(lower, (rank - 2) * 4u);
    cuda_fake_read(upper, (rank - 2) * 4u);
    return tensor_tiled(map, type, rank, address, sizes, strides, steps, steps, interleave, swizzle,
                        promotion, fill);
}

static CUresult replace_address(CUtensorMap *map, void *address)
{
    cuda_fake_write(map, sizeof(*map));
    return cuda_fake_reaches((uintptr_t)address, 0, false) ? CUDA_SUCCESS
                                                           : CUDA_ERROR_INVALID_VALUE;
}

void cuda_fake_fill_memory(struct wh_cuda_functions_table *f)
{
    f->cuMemAlloc_v2 = allocate;
    f->cuMemAllocPitch_v2 = allocate_rows;
    f->cuMemAllocAsync = allocate_async;
    f->cuMemAllocFromPoolAsync = allocate_from;
    f->cuMemFree_v2 = free_memory;
    f->cuMemFreeAsync = free_async;
    f->cuMemHostRegister_v2 = register_host;
    f->cuMemHostUnregister = unregister_host;
    f->cuMemHostGetDevicePointer_v2 = device_pointer;
    f->cuMemcpyAsync = copy;
    f->cuMemcpyHtoDAsync_v2 = copy_in;
    f->cuMemcpyDtoHAsync_v2 = copy_out;
    f->cuMemcpy2DAsync_v2 = copy_2d;
    f->cuMemcpy3DAsync_v2 = copy_3d;
    f->cuMemsetD2D8_v2 = set_bytes;
    f->cuMemsetD2D16_v2 = set_shorts;
    f->cuMemsetD2D32_v2 = set_words;
    f->cuMemsetD2D8Async = set_bytes_async;
    f->cuMemsetD2D16Async = set_shorts_async;
    f->cuMemsetD2D32Async = set_words_async;
    f->cuStreamBatchMemOp_v2 = memory_operations;
    f->cuMemPoolCreate = create_pool;
    f->cuMemPoolGetAccess = pool_access;
    f->cuMemPoolSetAttribute = set_pool_attribute;
    f->cuMemGetDefaultMemPool = pool_at;
    f->cuMemGetMemPool = pool_at;
    f->cuMemSetMemPool = set_pool_at;
    f->cuPointerGetAttribute = pointer_attribute;
    f->cuPointerSetAttribute = set_pointer_attribute;
    f->cuStreamGetAttribute = stream_attribute;
    f->cuStreamSetAttribute = set_stream_attribute;
    f->cuTexObjectCreate = create_texture;
    f->cuSurfObjectCreate = create_surface;
    f->cuSurfObjectGetResourceDesc = describe_surface;
    f->cuTensorMapEncodeTiled = tensor_tiled;
    f->cuTensorMapEncodeIm2col = tensor_im2col;
    f->cuTensorMapReplaceAddress = replace_address;
}
