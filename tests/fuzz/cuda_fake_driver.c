/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the fake that by-hand code calls. See cuda_fake.h. */
#include "cuda_fake.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define TYPE(name) WH_CUDA_TYPE_##name

static bool stream_lives(CUstream stream)
{
    return !stream || cuda_fake_lives(stream, TYPE(CUstream));
}

/* A new object of what another one must live for (NULL: nothing). */
static CUresult make(void *room, uint16_t type)
{
    void *made = room ? cuda_fake_new(type) : NULL;
    if (!made)
        return room ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    memcpy(room, &made, sizeof(made));
    return CUDA_SUCCESS;
}

/* ---- contexts ---- */

static CUcontext current, primary;

static CUresult init(unsigned flags)
{
    return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult count_devices(int *count)
{
    *count = 1;
    return CUDA_SUCCESS;
}

static CUresult set_context(CUcontext context)
{
    if (context && !cuda_fake_lives(context, TYPE(CUcontext)))
        return CUDA_ERROR_INVALID_CONTEXT;
    current = context;
    return CUDA_SUCCESS;
}

static CUresult pop_context(CUcontext *context)
{
    *context = current;
    return CUDA_SUCCESS;
}

static CUresult create_context(CUcontext *context, unsigned flags, CUdevice device)
{
    (void)flags;
    return device ? CUDA_ERROR_INVALID_DEVICE : make(context, TYPE(CUcontext));
}

static CUresult destroy_context(CUcontext context)
{
    if (!cuda_fake_lives(context, TYPE(CUcontext)))
        return CUDA_ERROR_INVALID_CONTEXT;
    cuda_fake_kill(context);
    return CUDA_SUCCESS;
}

static CUresult retain_primary(CUcontext *context, CUdevice device)
{
    primary = cuda_fake_known(TYPE(CUcontext));
    *context = primary;
    return device ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

static CUresult drop_primary(CUdevice device)
{
    return device ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

static CUresult synchronize(void)
{
    return CUDA_SUCCESS;
}

static CUresult wait_stream(CUstream stream)
{
    return stream_lives(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult wait_event(CUevent event)
{
    return cuda_fake_lives(event, TYPE(CUevent)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* ---- code ---- */

/* Reads as far as an image says that it goes: the driver is told no size. */
static void read_fatbin(const uint8_t *image)
{
    uint16_t header;
    uint64_t rest;
    memcpy(&header, image + 6, sizeof(header));
    memcpy(&rest, image + 8, sizeof(rest));
    cuda_fake_read(image, header + rest);
}

static void read_elf(const uint8_t *image)
{
    Elf64_Ehdr header;
    memcpy(&header, image, sizeof(header));
    for (unsigned i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;
        memcpy(&section, image + header.e_shoff + i * sizeof(section), sizeof(section));
        if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL)
            cuda_fake_read(image + section.sh_offset, section.sh_size);
    }
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, image + header.e_phoff + i * sizeof(segment), sizeof(segment));
        cuda_fake_read(image + segment.p_offset, segment.p_filesz);
    }
}

static void read_image(const void *image)
{
    if (memcmp(image, "\x50\xed\x55\xba", 4) == 0)
        read_fatbin(image);
    else if (memcmp(image, ELFMAG, SELFMAG) == 0)
        read_elf(image);
    else
        cuda_fake_read(image, strlen(image) + 1);
}

/* Options that hold addresses may only be those of the worker's own logs. */
static void use_options(unsigned n, const CUjit_option *options, void **values)
{
    for (unsigned i = 0; i < n; i++)
        switch (options[i]) {
        case CU_JIT_INFO_LOG_BUFFER:
        case CU_JIT_ERROR_LOG_BUFFER:
            if (i + 1 >= n || options[i + 1] != options[i] + 1)
                cuda_fake_stop("a log without a size", options[i]);
            cuda_fake_write(values[i], (uintptr_t)values[i + 1]);
            break;
        case CU_JIT_GLOBAL_SYMBOL_NAMES:
        case CU_JIT_GLOBAL_SYMBOL_ADDRESSES:
        case CU_JIT_REFERENCED_KERNEL_NAMES:
        case CU_JIT_REFERENCED_VARIABLE_NAMES:
            cuda_fake_stop("an option with an address", options[i]);
        default:
            if (options[i] >= CU_JIT_NUM_OPTIONS)
                cuda_fake_stop("an option that nobody knows", options[i]);
        }
}

static CUresult load_module(CUmodule *module, const void *image, unsigned n, CUjit_option *options,
                            void **values)
{
    read_image(image);
    use_options(n, options, values);
    return make(module, TYPE(CUmodule));
}

static CUresult load_library(CUlibrary *library, const void *code, CUjit_option *options,
                             void **values, unsigned n, CUlibraryOption *more, void **more_values,
                             unsigned nmore)
{
    read_image(code);
    use_options(n, options, values);
    if (nmore || more || more_values)
        cuda_fake_stop("options of a library", nmore);
    return make(library, TYPE(CUlibrary));
}

static CUresult get_function(CUfunction *function, CUmodule module, const char *name)
{
    cuda_fake_read(name, strlen(name) + 1);
    return cuda_fake_lives(module, TYPE(CUmodule)) ? make(function, TYPE(CUfunction))
                                                   : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult get_kernel(CUkernel *kernel, CUlibrary library, const char *name)
{
    cuda_fake_read(name, strlen(name) + 1);
    return cuda_fake_lives(library, TYPE(CUlibrary)) ? make(kernel, TYPE(CUkernel))
                                                     : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult get_module(CUmodule *module, CUlibrary library)
{
    return cuda_fake_lives(library, TYPE(CUlibrary)) ? make(module, TYPE(CUmodule))
                                                     : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult kernel_function(CUfunction *function, CUkernel kernel)
{
    return cuda_fake_lives(kernel, TYPE(CUkernel)) ? make(function, TYPE(CUfunction))
                                                   : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult give_variable(CUdeviceptr *address, size_t *size, bool good)
{
    *address = good ? cuda_fake_allocate(64) : 0;
    *size = 64;
    return *address ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

static CUresult module_variable(CUdeviceptr *address, size_t *size, CUmodule module,
                                const char *name)
{
    cuda_fake_read(name, strlen(name) + 1);
    return give_variable(address, size, cuda_fake_lives(module, TYPE(CUmodule)));
}

static CUresult library_variable(CUdeviceptr *address, size_t *size, CUlibrary library,
                                 const char *name)
{
    cuda_fake_read(name, strlen(name) + 1);
    return give_variable(address, size, cuda_fake_lives(library, TYPE(CUlibrary)));
}

static CUresult list_functions(CUfunction *list, unsigned n, CUmodule module)
{
    if (!cuda_fake_lives(module, TYPE(CUmodule)))
        return CUDA_ERROR_INVALID_HANDLE;
    for (unsigned i = 0; i < n && i < 2; i++)
        list[i] = cuda_fake_known(TYPE(CUfunction));
    return CUDA_SUCCESS;
}

static CUresult list_kernels(CUkernel *list, unsigned n, CUlibrary library)
{
    if (!cuda_fake_lives(library, TYPE(CUlibrary)))
        return CUDA_ERROR_INVALID_HANDLE;
    for (unsigned i = 0; i < n && i < 2; i++)
        list[i] = cuda_fake_known(TYPE(CUkernel));
    return CUDA_SUCCESS;
}

static CUresult function_name(const char **name, CUfunction function)
{
    *name = "a_function";
    return cuda_fake_lives(function, TYPE(CUfunction)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult kernel_name(const char **name, CUkernel kernel)
{
    *name = "a_kernel";
    return cuda_fake_lives(kernel, TYPE(CUkernel)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult tell_parameter(size_t i, size_t *offset, size_t *size)
{
    *offset = 8 * i;
    *size = 8;
    return i < 3 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult function_parameter(CUfunction function, size_t i, size_t *offset, size_t *size)
{
    return cuda_fake_lives(function, TYPE(CUfunction)) ? tell_parameter(i, offset, size)
                                                       : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult kernel_parameter(CUkernel kernel, size_t i, size_t *offset, size_t *size)
{
    return cuda_fake_lives(kernel, TYPE(CUkernel)) ? tell_parameter(i, offset, size)
                                                   : CUDA_ERROR_INVALID_HANDLE;
}

/* ---- linkers ---- */

/* Where a linker may write as long as it lives. One at a time is enough for that. */
static struct {
    unsigned n;
    CUjit_option *options;
    void **values;
} logs;

static CUresult create_linker(unsigned n, CUjit_option *options, void **values, CUlinkState *state)
{
    use_options(n, options, values);
    logs.n = n;
    logs.options = options;
    logs.values = values;
    return make(state, TYPE(CUlinkState));
}

static CUresult link_data(CUlinkState state, CUjitInputType type, void *data, size_t size,
                          const char *name, unsigned n, CUjit_option *options, void **values)
{
    (void)type;
    if (!cuda_fake_lives(state, TYPE(CUlinkState)))
        return CUDA_ERROR_INVALID_HANDLE;
    cuda_fake_read(data, size);
    cuda_fake_read(name, strlen(name) + 1);
    use_options(n, options, values);
    return CUDA_SUCCESS;
}

static CUresult complete_linker(CUlinkState state, void **image, size_t *size)
{
    static uint8_t linked[64];
    if (!cuda_fake_lives(state, TYPE(CUlinkState)))
        return CUDA_ERROR_INVALID_HANDLE;
    use_options(logs.n, logs.options, logs.values);
    *image = linked;
    *size = sizeof(linked);
    return CUDA_SUCCESS;
}

static CUresult destroy_linker(CUlinkState state)
{
    cuda_fake_kill(state);
    logs.n = 0;
    return CUDA_SUCCESS;
}

/* ---- launches ---- */

static CUresult use_extra(void **extra)
{
    if (!extra)
        return CUDA_SUCCESS;
    if (extra[0] != CU_LAUNCH_PARAM_BUFFER_POINTER || extra[2] != CU_LAUNCH_PARAM_BUFFER_SIZE ||
        extra[4] != CU_LAUNCH_PARAM_END)
        cuda_fake_stop("parameters in another way", (uintptr_t)extra[0]);
    cuda_fake_read(extra[1], *(const size_t *)extra[3]);
    return CUDA_SUCCESS;
}

static CUresult launch(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                       unsigned by, unsigned bz, unsigned shared, CUstream stream, void **params,
                       void **extra)
{
    (void)(gx + gy + gz + bx + by + bz + shared);
    if (params)
        cuda_fake_stop("parameters one by one", (uintptr_t)params);
    if (!cuda_fake_lives(function, TYPE(CUfunction)) || !stream_lives(stream))
        return CUDA_ERROR_INVALID_HANDLE;
    return use_extra(extra);
}

/* A question about occupancy touches no memory; a launch may. */
static void use_attributes(const CUlaunchConfig *config, bool launches)
{
    for (unsigned i = 0; i < config->numAttrs; i++) {
        const CUlaunchAttribute *a = &config->attrs[i];
        cuda_fake_read(a, sizeof(*a));
        if (a->id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT)
            (void)cuda_fake_lives(a->value.programmaticEvent.event, TYPE(CUevent));
        else if (a->id == CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT)
            (void)cuda_fake_lives(a->value.launchCompletionEvent.event, TYPE(CUevent));
        else if (a->id == CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE)
            cuda_fake_stop("an attribute that asks for a handle", a->id);
        else if (launches && a->id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW)
            (void)cuda_fake_reaches((uintptr_t)a->value.accessPolicyWindow.base_ptr,
                                    a->value.accessPolicyWindow.num_bytes, false);
    }
}

static CUresult launch_with(const CUlaunchConfig *config, CUfunction function, void **params,
                            void **extra)
{
    use_attributes(config, true);
    return launch(function, 1, 1, 1, 1, 1, 1, 0, config->hStream, params, extra);
}

/* Callbacks run at once: there is one thread, and the stream is idle. */
static CUresult host_function(CUstream stream, CUhostFn function, void *data)
{
    if (!stream_lives(stream))
        return CUDA_ERROR_INVALID_HANDLE;
    function(data);
    return CUDA_SUCCESS;
}

static CUresult stream_callback(CUstream stream, CUstreamCallback callback, void *data,
                                unsigned flags)
{
    if (!stream_lives(stream) || flags)
        return CUDA_ERROR_INVALID_HANDLE;
    callback(stream, CUDA_SUCCESS, data);
    return CUDA_SUCCESS;
}

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
    return stream_lives(stream) ? allocate(address, size) : CUDA_ERROR_INVALID_HANDLE;
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
    return stream_lives(stream) ? free_memory(address) : CUDA_ERROR_INVALID_HANDLE;
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
    bool good = stream_lives(stream);
    good = cuda_fake_reaches(from, size, false) && good;
    good = cuda_fake_reaches(to, size, true) && good;
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult copy_in(CUdeviceptr to, const void *bytes, size_t size, CUstream stream)
{
    bool good = stream_lives(stream) && cuda_fake_reaches(to, size, true);
    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    cuda_fake_read(bytes, size);
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult copy_out(void *bytes, CUdeviceptr from, size_t size, CUstream stream)
{
    bool good = stream_lives(stream) && cuda_fake_reaches(from, size, false);
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
    if (!stream_lives(stream))
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
        return stream_lives(stream) ? name(to, pitch, value, width, height)                     \
                                    : CUDA_ERROR_INVALID_HANDLE;                                \
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
    return stream_lives(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* ---- pools, attributes, textures ---- */

static CUresult create_pool(CUmemoryPool *pool, const CUmemPoolProps *props)
{
    cuda_fake_read(props, sizeof(*props));
    if (props->win32SecurityAttributes || props->handleTypes)
        cuda_fake_stop("a pool with an address", (uintptr_t)props->win32SecurityAttributes);
    return make(pool, TYPE(CUmemoryPool));
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
    return stream_lives(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult set_stream_attribute(CUstream stream, CUstreamAttrID attribute,
                                     const CUstreamAttrValue *value)
{
    cuda_fake_read(value, sizeof(*value));
    if (attribute == CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW)
        (void)cuda_fake_reaches((uintptr_t)value->accessPolicyWindow.base_ptr,
                                value->accessPolicyWindow.num_bytes, false);
    return stream_lives(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
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

/* ---- occupancy ---- */

static CUresult count_blocks(int *blocks, CUfunction function, int size, size_t shared,
                             unsigned flags)
{
    (void)size;
    (void)shared;
    (void)flags;
    *blocks = 1;
    return cuda_fake_lives(function, TYPE(CUfunction)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult free_shared(size_t *size, CUfunction function, int blocks, int block_size)
{
    *size = 1;
    return count_blocks(&blocks, function, block_size, 0, 0);
}

static CUresult block_size(int *grid, int *block, CUfunction function, CUoccupancyB2DSize shared_of,
                           size_t shared, int limit, unsigned flags)
{
    if (shared_of)
        cuda_fake_stop("a function of the client's", 0);
    *block = 1;
    return count_blocks(grid, function, limit, shared, flags);
}

static CUresult clusters(int *n, CUfunction function, const CUlaunchConfig *config)
{
    cuda_fake_read(config, sizeof(*config));
    use_attributes(config, false);
    if (config->hStream)
        (void)stream_lives(config->hStream);
    return count_blocks(n, function, 1, 0, 0);
}

void cuda_fake_fill(struct wh_cuda_functions_table *f)
{
    *f = (struct wh_cuda_functions_table){
        .cuInit = init,
        .cuDeviceGetCount = count_devices,
        .cuCtxSetCurrent = set_context,
        .cuCtxPushCurrent_v2 = set_context,
        .cuCtxPopCurrent_v2 = pop_context,
        .cuCtxCreate_v2 = create_context,
        .cuCtxDestroy_v2 = destroy_context,
        .cuCtxSynchronize = synchronize,
        .cuDevicePrimaryCtxRetain = retain_primary,
        .cuDevicePrimaryCtxRelease_v2 = drop_primary,
        .cuDevicePrimaryCtxReset_v2 = drop_primary,
        .cuStreamQuery = wait_stream,
        .cuStreamSynchronize = wait_stream,
        .cuEventQuery = wait_event,
        .cuEventSynchronize = wait_event,
        .cuModuleLoadDataEx = load_module,
        .cuLibraryLoadData = load_library,
        .cuModuleGetFunction = get_function,
        .cuLibraryGetKernel = get_kernel,
        .cuLibraryGetModule = get_module,
        .cuKernelGetFunction = kernel_function,
        .cuModuleGetGlobal_v2 = module_variable,
        .cuLibraryGetGlobal = library_variable,
        .cuLibraryGetManaged = library_variable,
        .cuModuleEnumerateFunctions = list_functions,
        .cuLibraryEnumerateKernels = list_kernels,
        .cuFuncGetName = function_name,
        .cuKernelGetName = kernel_name,
        .cuFuncGetParamInfo = function_parameter,
        .cuKernelGetParamInfo = kernel_parameter,
        .cuLinkCreate_v2 = create_linker,
        .cuLinkAddData_v2 = link_data,
        .cuLinkComplete = complete_linker,
        .cuLinkDestroy = destroy_linker,
        .cuLaunchKernel = launch,
        .cuLaunchKernelEx = launch_with,
        .cuLaunchHostFunc = host_function,
        .cuStreamAddCallback = stream_callback,
        .cuMemAlloc_v2 = allocate,
        .cuMemAllocPitch_v2 = allocate_rows,
        .cuMemAllocAsync = allocate_async,
        .cuMemAllocFromPoolAsync = allocate_from,
        .cuMemFree_v2 = free_memory,
        .cuMemFreeAsync = free_async,
        .cuMemHostRegister_v2 = register_host,
        .cuMemHostUnregister = unregister_host,
        .cuMemHostGetDevicePointer_v2 = device_pointer,
        .cuMemcpyAsync = copy,
        .cuMemcpyHtoDAsync_v2 = copy_in,
        .cuMemcpyDtoHAsync_v2 = copy_out,
        .cuMemcpy2DAsync_v2 = copy_2d,
        .cuMemcpy3DAsync_v2 = copy_3d,
        .cuMemsetD2D8_v2 = set_bytes,
        .cuMemsetD2D16_v2 = set_shorts,
        .cuMemsetD2D32_v2 = set_words,
        .cuMemsetD2D8Async = set_bytes_async,
        .cuMemsetD2D16Async = set_shorts_async,
        .cuMemsetD2D32Async = set_words_async,
        .cuStreamBatchMemOp_v2 = memory_operations,
        .cuMemPoolCreate = create_pool,
        .cuMemPoolGetAccess = pool_access,
        .cuMemPoolSetAttribute = set_pool_attribute,
        .cuMemGetDefaultMemPool = pool_at,
        .cuMemGetMemPool = pool_at,
        .cuMemSetMemPool = set_pool_at,
        .cuPointerGetAttribute = pointer_attribute,
        .cuPointerSetAttribute = set_pointer_attribute,
        .cuStreamGetAttribute = stream_attribute,
        .cuStreamSetAttribute = set_stream_attribute,
        .cuTexObjectCreate = create_texture,
        .cuSurfObjectCreate = create_surface,
        .cuTensorMapEncodeTiled = tensor_tiled,
        .cuTensorMapEncodeIm2col = tensor_im2col,
        .cuTensorMapReplaceAddress = replace_address,
        .cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags = count_blocks,
        .cuOccupancyAvailableDynamicSMemPerBlock = free_shared,
        .cuOccupancyMaxPotentialBlockSizeWithFlags = block_size,
        .cuOccupancyMaxActiveClusters = clusters,
        .cuOccupancyMaxPotentialClusterSize = clusters,
    };
}
