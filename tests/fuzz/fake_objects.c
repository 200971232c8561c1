/* SPDX-License-Identifier: Apache-2.0 */
/* The fake's functions that make objects and tell of them. See fake_opencl.h. */
#include "fake_opencl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MOST_BYTES (1u << 20)
#define MOST_SIDE  128u

#define DEVICES 2u

static struct fake *roots[DEVICES];

/* The platform and its devices come into being when first asked for, and stay until the reset. */
static struct fake *platform(void)
{
    static struct fake *the;
    if (fake_opencl_count() == 0) {
        the = fake_new(FAKE_PLATFORM, 0, NULL);
        for (unsigned i = 0; i < DEVICES; i++) {
            roots[i] = fake_new(FAKE_DEVICE, 1, &the);
            roots[i]->is_cpu = i == 0;
        }
    }
    return the;
}

static void *made(struct fake *object, cl_int *errcode_ret)
{
    if (!object)
        return fake_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
    if (errcode_ret)
        *errcode_ret = CL_SUCCESS;
    return object;
}

static cl_int text(const char *answer, size_t size, void *value, size_t *size_ret)
{
    return fake_answer(answer, strlen(answer) + 1, size, value, size_ret);
}

static cl_int number(uint64_t answer, size_t size, void *value, size_t *size_ret)
{
    return fake_answer(&answer, sizeof(answer), size, value, size_ret);
}

static cl_int handle(const void *answer, size_t size, void *value, size_t *size_ret)
{
    return fake_answer(&answer, sizeof(answer), size, value, size_ret);
}

/* ---- counts ---- */

static cl_int retain(const void *object, enum fake_type type, cl_int invalid)
{
    struct fake *known = fake_check(object, type);
    if (!known)
        return invalid;
    if (type != FAKE_DEVICE || known->is_finished) /* finished: made by partition */
        fake_retain(known);
    return CL_SUCCESS;
}

static cl_int release(const void *object, enum fake_type type, cl_int invalid)
{
    struct fake *known = fake_check(object, type);
    if (!known)
        return invalid;
    if (type != FAKE_DEVICE || known->is_finished)
        fake_release(known);
    return CL_SUCCESS;
}

#define COUNTED(NAME, TYPE, FAKE, INVALID)     \
    static cl_int retain_##NAME(TYPE object)   \
    {                                          \
        return retain(object, FAKE, INVALID);  \
    }                                          \
    static cl_int release_##NAME(TYPE object)  \
    {                                          \
        return release(object, FAKE, INVALID); \
    }

COUNTED(device, cl_device_id, FAKE_DEVICE, CL_INVALID_DEVICE)
COUNTED(context, cl_context, FAKE_CONTEXT, CL_INVALID_CONTEXT)
COUNTED(queue, cl_command_queue, FAKE_QUEUE, CL_INVALID_COMMAND_QUEUE)
COUNTED(mem, cl_mem, FAKE_MEM, CL_INVALID_MEM_OBJECT)
COUNTED(sampler, cl_sampler, FAKE_SAMPLER, CL_INVALID_SAMPLER)
COUNTED(program, cl_program, FAKE_PROGRAM, CL_INVALID_PROGRAM)
COUNTED(kernel, cl_kernel, FAKE_KERNEL, CL_INVALID_KERNEL)
COUNTED(event, cl_event, FAKE_EVENT, CL_INVALID_EVENT)
COUNTED(commands, cl_command_buffer_khr, FAKE_COMMANDS, -1138)

/* ---- platforms and devices ---- */

static cl_int get_platforms(cl_uint n, cl_platform_id *platforms, cl_uint *found)
{
    if (n && platforms)
        platforms[0] = (cl_platform_id)(void *)platform();
    if (found)
        *found = 1;
    return CL_SUCCESS;
}

static cl_int get_platform_info(cl_platform_id object, cl_platform_info name, size_t size,
                                void *value, size_t *size_ret)
{
    static const cl_name_version list[] = {{.version = 1, .name = "cl_khr_one"},
                                           {.version = 2, .name = "cl_khr_gl_"}};
    if (!fake_check(object, FAKE_PLATFORM))
        return CL_INVALID_PLATFORM;
    if (name == CL_PLATFORM_EXTENSIONS_WITH_VERSION)
        return fake_answer(list, sizeof(list), size, value, size_ret);
    return text("cl_khr_one cl_khr_gl_sharing cl_khr_two", size, value, size_ret);
}

static cl_int get_devices(cl_platform_id object, cl_device_type type, cl_uint n,
                          cl_device_id *devices, cl_uint *found)
{
    (void)type;
    if (!fake_check(object, FAKE_PLATFORM))
        return CL_INVALID_PLATFORM;
    if (devices && n == 0)
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; devices && i < n && i < DEVICES; i++)
        devices[i] = (cl_device_id)(void *)roots[i];
    if (found)
        *found = DEVICES;
    return CL_SUCCESS;
}

static cl_int get_device_info(cl_device_id object, cl_device_info name, size_t size, void *value,
                              size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_DEVICE);
    if (!known)
        return CL_INVALID_DEVICE;
    if (name == CL_DEVICE_TYPE)
        return number(known->is_cpu ? CL_DEVICE_TYPE_CPU : CL_DEVICE_TYPE_GPU, size, value,
                      size_ret);
    if (name == CL_DEVICE_PLATFORM)
        return handle(platform(), size, value, size_ret);
    if (name == CL_DEVICE_PARENT_DEVICE)
        return handle(known->is_finished ? known->parents[0] : NULL, size, value, size_ret);
    if (name == CL_DEVICE_PARENT_DEVICE_EXT || name == CL_DEVICE_P2P_DEVICES_AMD)
        return handle(NULL, size, value, size_ret);
    if (name == CL_DEVICE_HOST_UNIFIED_MEMORY) {
        cl_uint unified = known->is_cpu;
        return fake_answer(&unified, sizeof(unified), size, value, size_ret);
    }
    if (name == CL_DEVICE_EXTENSIONS)
        return text("cl_khr_one cl_khr_gl_sharing", size, value, size_ret);
    return number(8, size, value, size_ret);
}

/* Reads the list as OpenCL 3.0 section 4.3 lays it out. */
static bool is_partition(const cl_device_partition_property *p)
{
    if (!p)
        return false;
    if (p[0] == CL_DEVICE_PARTITION_EQUALLY)
        return p[1] > 0 && p[2] == 0;
    if (p[0] != CL_DEVICE_PARTITION_BY_COUNTS)
        return false;
    unsigned i = 1;
    while (p[i])
        i++;
    return p[i + 1] == 0;
}

static cl_int create_sub_devices(cl_device_id object,
                                 const cl_device_partition_property *properties, cl_uint n,
                                 cl_device_id *made_devices, cl_uint *found)
{
    struct fake *parent = fake_check(object, FAKE_DEVICE);
    if (!parent)
        return CL_INVALID_DEVICE;
    if (!is_partition(properties) || (made_devices && n < 2))
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; made_devices && i < 2; i++) {
        struct fake *device = fake_new(FAKE_DEVICE, 1, &parent);
        if (!device)
            return CL_OUT_OF_HOST_MEMORY;
        device->is_cpu = parent->is_cpu;
        device->is_finished = true;
        made_devices[i] = (cl_device_id)(void *)device;
    }
    if (found)
        *found = 2;
    return CL_SUCCESS;
}

static void *extension_address(cl_platform_id object, const char *name)
{
    if (!fake_check(object, FAKE_PLATFORM))
        return NULL;
    return strcmp(name, "clEnqueueCommandBufferKHR") == 0 ? (void *)1 : NULL;
}

static cl_int get_timer(cl_device_id device, cl_ulong *stamp)
{
    if (!fake_check(device, FAKE_DEVICE))
        return CL_INVALID_DEVICE;
    if (!stamp)
        return CL_INVALID_VALUE;
    *stamp = 1;
    return CL_SUCCESS;
}

/* ---- contexts and queues ---- */

static cl_context create_context(const cl_context_properties *properties, cl_uint n,
                                 const cl_device_id *devices, cl_context_callback notify,
                                 void *user, cl_int *errcode_ret)
{
    struct fake *parents[FAKE_PARENTS] = {0};
    if (!devices || n == 0 || (user && !notify))
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    for (unsigned i = 0; properties && properties[i]; i += 2)
        if (properties[i] == CL_CONTEXT_PLATFORM)
            fake_check((void *)properties[i + 1], FAKE_PLATFORM);
        else
            return fake_fail(errcode_ret, CL_INVALID_PROPERTY);
    for (cl_uint i = 0; i < n; i++) {
        struct fake *device = fake_check(devices[i], FAKE_DEVICE);
        if (!device || i >= FAKE_PARENTS)
            return fake_fail(errcode_ret, CL_INVALID_DEVICE);
        parents[i] = device;
    }
    struct fake *context = fake_new(FAKE_CONTEXT, n, parents);
    if (context && notify)
        notify("the fake says hello", context, sizeof(*context), user);
    return made(context, errcode_ret);
}

static cl_context create_context_from_type(const cl_context_properties *properties,
                                           cl_device_type type, cl_context_callback notify,
                                           void *user, cl_int *errcode_ret)
{
    platform();
    cl_device_id device = (cl_device_id)(void *)roots[type == CL_DEVICE_TYPE_GPU];
    return create_context(properties, 1, &device, notify, user, errcode_ret);
}

static cl_int get_context_info(cl_context object, cl_context_info name, size_t size, void *value,
                               size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_CONTEXT);
    if (!known)
        return CL_INVALID_CONTEXT;
    size_t devices = 0;
    while (devices < FAKE_PARENTS && known->parents[devices])
        devices++;
    if (name == CL_CONTEXT_DEVICES)
        return fake_answer(known->parents, devices * sizeof(void *), size, value, size_ret);
    const void *properties[3] = {(void *)CL_CONTEXT_PLATFORM, platform(), NULL};
    if (name == CL_CONTEXT_PROPERTIES)
        return fake_answer(properties, sizeof(properties), size, value, size_ret);
    return number(devices, size, value, size_ret);
}

static cl_int set_context_callback(cl_context object, cl_context_destructor_callback notify,
                                   void *user)
{
    struct fake *known = fake_check(object, FAKE_CONTEXT);
    if (!known)
        return CL_INVALID_CONTEXT;
    if (!notify || known->gone)
        return CL_INVALID_VALUE;
    known->gone = (void (*)(void *, void *))(void *)notify;
    known->user = user;
    return CL_SUCCESS;
}

static cl_command_queue create_queue(cl_context context, cl_device_id device,
                                     const cl_queue_properties *properties, cl_int *errcode_ret)
{
    struct fake *parents[2] = {fake_check(context, FAKE_CONTEXT), fake_check(device, FAKE_DEVICE)};
    if (!parents[0])
        return fake_fail(errcode_ret, CL_INVALID_CONTEXT);
    if (!parents[1])
        return fake_fail(errcode_ret, CL_INVALID_DEVICE);
    for (unsigned i = 0; properties && properties[i]; i += 2)
        fake_read(&properties[i + 1], sizeof(*properties));
    return made(fake_new(FAKE_QUEUE, 2, parents), errcode_ret);
}

static cl_command_queue create_old_queue(cl_context context, cl_device_id device,
                                         cl_command_queue_properties properties,
                                         cl_int *errcode_ret)
{
    (void)properties;
    return create_queue(context, device, NULL, errcode_ret);
}

static cl_int get_queue_info(cl_command_queue object, cl_command_queue_info name, size_t size,
                             void *value, size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_QUEUE);
    if (!known)
        return CL_INVALID_COMMAND_QUEUE;
    if (name == CL_QUEUE_CONTEXT || name == CL_QUEUE_DEVICE)
        return handle(known->parents[name == CL_QUEUE_DEVICE], size, value, size_ret);
    return number(name != CL_QUEUE_DEVICE_DEFAULT, size, value, size_ret); /* no default queue */
}

/* ---- memory ---- */

static struct fake *new_mem(struct fake *parent, size_t size, cl_mem_flags flags, void *host,
                            cl_int *errcode_ret)
{
    bool uses = flags & CL_MEM_USE_HOST_PTR, copies = flags & CL_MEM_COPY_HOST_PTR;
    if ((host != NULL) != (uses || copies))
        return fake_fail(errcode_ret, CL_INVALID_HOST_PTR);
    struct fake *mem = fake_new(FAKE_MEM, 1, &parent);
    if (!mem)
        return fake_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
    mem->size = size;
    mem->owns_bytes = !uses;
    mem->host = uses ? host : NULL;
    mem->bytes = uses ? host : calloc(1, size);
    fake_read(mem->bytes, size);
    return made(mem, errcode_ret);
}

static cl_mem create_buffer(cl_context object, cl_mem_flags flags, size_t size, void *host,
                            cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    if (!context)
        return fake_fail(errcode_ret, CL_INVALID_CONTEXT);
    if (size == 0 || size > MOST_BYTES)
        return fake_fail(errcode_ret, CL_INVALID_BUFFER_SIZE);
    if (flags & CL_MEM_COPY_HOST_PTR && host)
        fake_read(host, size);
    return (cl_mem)(void *)new_mem(context, size, flags, host, errcode_ret);
}

static cl_mem create_sub_buffer(cl_mem object, cl_mem_flags flags, cl_buffer_create_type type,
                                const void *info, cl_int *errcode_ret)
{
    struct fake *parent = fake_check(object, FAKE_MEM);
    (void)flags;
    if (!parent || parent->is_image || parent->origin)
        return fake_fail(errcode_ret, CL_INVALID_MEM_OBJECT);
    if (type != CL_BUFFER_CREATE_TYPE_REGION || !info)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    const cl_buffer_region *region = info;
    if (region->origin > parent->size || region->size > parent->size - region->origin ||
        region->size == 0)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    struct fake *mem = fake_new(FAKE_MEM, 1, &parent);
    if (!mem)
        return fake_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
    mem->size = region->size;
    mem->origin = region->origin;
    mem->bytes = parent->bytes + region->origin;
    mem->host = parent->host ? (uint8_t *)parent->host + region->origin : NULL;
    return made(mem, errcode_ret);
}

static size_t pixel_size(const cl_image_format *format)
{
    if (format->image_channel_order != CL_RGBA && format->image_channel_order != CL_R)
        return 0;
    size_t channels = format->image_channel_order == CL_RGBA ? 4 : 1;
    if (format->image_channel_data_type == CL_UNORM_INT8)
        return channels;
    return format->image_channel_data_type == CL_FLOAT ? 4 * channels : 0;
}

/* Fills the image's shape; false when there is no such image. */
static bool shape(struct fake *image, const cl_image_format *format, const cl_image_desc *desc)
{
    cl_mem_object_type type = desc->image_type;
    bool flat = type == CL_MEM_OBJECT_IMAGE1D || type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
    bool layers = type == CL_MEM_OBJECT_IMAGE1D_ARRAY || type == CL_MEM_OBJECT_IMAGE2D_ARRAY;
    if (type < CL_MEM_OBJECT_IMAGE2D || type > CL_MEM_OBJECT_IMAGE1D_ARRAY)
        return false;
    image->pixel = pixel_size(format);
    image->width = desc->image_width;
    image->height = flat ? 1 : desc->image_height;
    image->depth = type == CL_MEM_OBJECT_IMAGE3D ? desc->image_depth
                   : layers                      ? desc->image_array_size
                                                 : 1;
    return image->pixel && image->width && image->height && image->depth &&
           image->width <= MOST_SIDE && image->height <= MOST_SIDE && image->depth <= MOST_SIDE;
}

/* Reads the host's pixels by the pitches of the description (OpenCL 3.0, section 5.3.1.2). */
static void read_pixels(const struct fake *shape, const cl_image_desc *desc, const uint8_t *host)
{
    size_t width = shape->pixel * shape->width;
    size_t row = desc->image_row_pitch ? desc->image_row_pitch : width;
    size_t slice = desc->image_slice_pitch ? desc->image_slice_pitch : row * shape->height;
    for (size_t z = 0; z < shape->depth; z++)
        for (size_t y = 0; y < shape->height; y++)
            fake_read(host + z * slice + y * row, width);
}

static cl_mem create_image(cl_context object, cl_mem_flags flags, const cl_image_format *format,
                           const cl_image_desc *desc, void *host, cl_int *errcode_ret)
{
    struct fake want = {0}, *context = fake_check(object, FAKE_CONTEXT);
    if (!context)
        return fake_fail(errcode_ret, CL_INVALID_CONTEXT);
    if (!format || !desc || !shape(&want, format, desc))
        return fake_fail(errcode_ret, CL_INVALID_IMAGE_DESCRIPTOR);
    size_t width = want.pixel * want.width;
    bool pitched = desc->image_row_pitch || desc->image_slice_pitch;
    if ((!host && pitched) || (desc->image_row_pitch && desc->image_row_pitch < width) ||
        (desc->image_slice_pitch && desc->image_slice_pitch < width * want.height))
        return fake_fail(errcode_ret, CL_INVALID_IMAGE_DESCRIPTOR);
    fake_check(desc->mem_object, FAKE_MEM);
    if (host && flags & CL_MEM_COPY_HOST_PTR)
        read_pixels(&want, desc, host);
    struct fake *image =
        new_mem(context, width * want.height * want.depth, flags, host, errcode_ret);
    if (!image)
        return NULL;
    image->is_image = true;
    image->pixel = want.pixel;
    image->width = want.width;
    image->height = want.height;
    image->depth = want.depth;
    return (cl_mem)(void *)image;
}

static cl_mem create_pipe(cl_context object, cl_mem_flags flags, cl_uint packet, cl_uint packets,
                          const cl_pipe_properties *properties, cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    (void)flags;
    if (!context || packet == 0 || packets == 0 || properties || packet > 1024 || packets > 64)
        return fake_fail(errcode_ret, CL_INVALID_PIPE_SIZE);
    return (cl_mem)(void *)new_mem(context, (size_t)packet * packets, 0, NULL, errcode_ret);
}

static cl_int get_mem_info(cl_mem object, cl_mem_info name, size_t size, void *value,
                           size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_MEM);
    if (!known)
        return CL_INVALID_MEM_OBJECT;
    if (name == CL_MEM_HOST_PTR)
        return handle(known->host, size, value, size_ret);
    if (name == CL_MEM_ASSOCIATED_MEMOBJECT)
        return handle(known->origin ? known->parents[0] : NULL, size, value, size_ret);
    if (name == CL_MEM_CONTEXT) {
        struct fake *context = known->parents[0];
        while (context->type != FAKE_CONTEXT)
            context = context->parents[0];
        return handle(context, size, value, size_ret);
    }
    return number(known->size, size, value, size_ret);
}

static cl_int get_image_info(cl_mem object, cl_image_info name, size_t size, void *value,
                             size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_MEM);
    if (!known || !known->is_image)
        return CL_INVALID_MEM_OBJECT;
    if (name == CL_IMAGE_BUFFER)
        return handle(NULL, size, value, size_ret);
    return number(name == CL_IMAGE_ELEMENT_SIZE ? known->pixel : known->width, size, value,
                  size_ret);
}

static cl_int get_image_formats(cl_context object, cl_mem_flags flags, cl_mem_object_type type,
                                cl_uint n, cl_image_format *formats, cl_uint *found)
{
    (void)flags;
    (void)type;
    if (!fake_check(object, FAKE_CONTEXT))
        return CL_INVALID_CONTEXT;
    if (formats)
        fake_write(formats, (n < 3 ? n : 3) * sizeof(*formats));
    if (found)
        *found = 3;
    return CL_SUCCESS;
}

static cl_int set_mem_callback(cl_mem object, cl_mem_destructor_callback notify, void *user)
{
    struct fake *known = fake_check(object, FAKE_MEM);
    if (!known)
        return CL_INVALID_MEM_OBJECT;
    if (!notify || known->gone)
        return CL_INVALID_VALUE;
    known->gone = (void (*)(void *, void *))(void *)notify;
    known->user = user;
    return CL_SUCCESS;
}

static cl_sampler create_sampler(cl_context object, cl_bool normalized,
                                 cl_addressing_mode addressing, cl_filter_mode filter,
                                 cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    (void)normalized;
    (void)addressing;
    (void)filter;
    return context ? made(fake_new(FAKE_SAMPLER, 1, &context), errcode_ret)
                   : fake_fail(errcode_ret, CL_INVALID_CONTEXT);
}

static cl_sampler create_new_sampler(cl_context object, const cl_sampler_properties *properties,
                                     cl_int *errcode_ret)
{
    for (unsigned i = 0; properties && properties[i]; i += 2)
        fake_read(&properties[i + 1], sizeof(*properties));
    return create_sampler(object, 0, 0, 0, errcode_ret);
}

static cl_int get_sampler_info(cl_sampler object, cl_sampler_info name, size_t size, void *value,
                               size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_SAMPLER);
    if (!known)
        return CL_INVALID_SAMPLER;
    if (name == CL_SAMPLER_CONTEXT)
        return handle(known->parents[0], size, value, size_ret);
    return number(1, size, value, size_ret);
}

/* ---- programs and kernels ---- */

static cl_program new_program(struct fake *context, size_t binary, bool has_source,
                              cl_int *errcode_ret)
{
    if (!context)
        return fake_fail(errcode_ret, CL_INVALID_CONTEXT);
    struct fake *program = fake_new(FAKE_PROGRAM, 1, &context);
    if (program) {
        program->size = binary;
        program->has_source = has_source;
    }
    return made(program, errcode_ret);
}

static cl_program create_program(cl_context object, cl_uint n, const char **strings,
                                 const size_t *lengths, cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    if (n == 0 || !strings)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    for (cl_uint i = 0; i < n; i++) {
        if (!strings[i])
            return fake_fail(errcode_ret, CL_INVALID_VALUE);
        fake_read(strings[i], lengths && lengths[i] ? lengths[i] : strlen(strings[i]) + 1);
    }
    return new_program(context, 40, true, errcode_ret);
}

static unsigned devices_of(const struct fake *context)
{
    unsigned n = 0;
    while (n < FAKE_PARENTS && context->parents[n])
        n++;
    return n;
}

static cl_int check_devices(cl_uint n, const cl_device_id *devices)
{
    if ((n == 0) != (devices == NULL))
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < n; i++)
        if (!fake_check(devices[i], FAKE_DEVICE))
            return CL_INVALID_DEVICE;
    return CL_SUCCESS;
}

static cl_program create_program_binary(cl_context object, cl_uint n, const cl_device_id *devices,
                                        const size_t *lengths, const unsigned char **binaries,
                                        cl_int *results, cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    if (n == 0 || !lengths || !binaries || check_devices(n, devices) != CL_SUCCESS)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    for (cl_uint i = 0; i < n; i++) {
        if (lengths[i] == 0 || !binaries[i])
            return fake_fail(errcode_ret, CL_INVALID_VALUE);
        fake_read(binaries[i], lengths[i]);
        if (results)
            results[i] = CL_SUCCESS;
    }
    return new_program(context, lengths[0], false, errcode_ret);
}

static cl_program create_program_il(cl_context object, const void *il, size_t size,
                                    cl_int *errcode_ret)
{
    if (!il || size == 0)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    fake_read(il, size);
    return new_program(fake_check(object, FAKE_CONTEXT), 48, true, errcode_ret);
}

static cl_program create_built_in(cl_context object, cl_uint n, const cl_device_id *devices,
                                  const char *names, cl_int *errcode_ret)
{
    if (n == 0 || !names || check_devices(n, devices) != CL_SUCCESS)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    fake_read(names, strlen(names));
    return new_program(fake_check(object, FAKE_CONTEXT), 16, true, errcode_ret);
}

static cl_int finish_build(struct fake *program, cl_uint n, const cl_device_id *devices,
                           const char *options, cl_program_callback notify, void *user)
{
    if (!program)
        return CL_INVALID_PROGRAM;
    cl_int result = check_devices(n, devices);
    if (result != CL_SUCCESS || (user && !notify))
        return result != CL_SUCCESS ? result : CL_INVALID_VALUE;
    if (options)
        fake_read(options, strlen(options));
    program->is_finished = true;
    if (notify)
        notify((cl_program)(void *)program, user);
    return options && options[0] == '!' ? CL_BUILD_PROGRAM_FAILURE : CL_SUCCESS;
}

static cl_int build_program(cl_program object, cl_uint n, const cl_device_id *devices,
                            const char *options, cl_program_callback notify, void *user)
{
    return finish_build(fake_check(object, FAKE_PROGRAM), n, devices, options, notify, user);
}

static cl_int compile_program(cl_program object, cl_uint n, const cl_device_id *devices,
                              const char *options, cl_uint nheaders, const cl_program *headers,
                              const char **names, cl_program_callback notify, void *user)
{
    if ((nheaders == 0) != (headers == NULL) || (nheaders == 0) != (names == NULL))
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < nheaders; i++) {
        if (!fake_check(headers[i], FAKE_PROGRAM) || !names[i])
            return CL_INVALID_VALUE;
        fake_read(names[i], strlen(names[i]));
    }
    return finish_build(fake_check(object, FAKE_PROGRAM), n, devices, options, notify, user);
}

static cl_program link_program(cl_context object, cl_uint n, const cl_device_id *devices,
                               const char *options, cl_uint nprograms, const cl_program *programs,
                               cl_program_callback notify, void *user, cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    if (nprograms == 0 || !programs)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    for (cl_uint i = 0; i < nprograms; i++)
        if (!fake_check(programs[i], FAKE_PROGRAM))
            return fake_fail(errcode_ret, CL_INVALID_PROGRAM);
    cl_int ignored;
    cl_program program = new_program(context, 64, false, &ignored);
    struct fake *known = (struct fake *)(void *)program;
    cl_int result = finish_build(known, n, devices, options, notify, user);
    if (result == CL_SUCCESS)
        return made(known, errcode_ret);
    if (known)
        fake_release(known);
    return fake_fail(errcode_ret, result);
}

static cl_int get_program_info(cl_program object, cl_program_info name, size_t size, void *value,
                               size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_PROGRAM);
    if (!known)
        return CL_INVALID_PROGRAM;
    struct fake *context = known->parents[0];
    unsigned n = devices_of(context);
    size_t sizes[FAKE_PARENTS] = {known->size, known->size, known->size, known->size};
    if (name == CL_PROGRAM_CONTEXT)
        return handle(context, size, value, size_ret);
    if (name == CL_PROGRAM_DEVICES)
        return fake_answer(context->parents, n * sizeof(void *), size, value, size_ret);
    if (name == CL_PROGRAM_BINARY_SIZES)
        return fake_answer(sizes, n * sizeof(sizes[0]), size, value, size_ret);
    if (name == CL_PROGRAM_SOURCE || name == CL_PROGRAM_KERNEL_NAMES)
        return text("kernel", size, value, size_ret);
    if (name != CL_PROGRAM_BINARIES)
        return number(n, size, value, size_ret);
    if (value && size < n * sizeof(void *))
        return CL_INVALID_VALUE;
    for (unsigned i = 0; value && i < n; i++)
        if (((uint8_t **)value)[i])
            fake_write(((uint8_t **)value)[i], known->size);
    if (size_ret)
        *size_ret = n * sizeof(void *);
    return CL_SUCCESS;
}

static cl_int get_build_info(cl_program object, cl_device_id device, cl_program_build_info name,
                             size_t size, void *value, size_t *size_ret)
{
    if (!fake_check(object, FAKE_PROGRAM))
        return CL_INVALID_PROGRAM;
    if (!fake_check(device, FAKE_DEVICE))
        return CL_INVALID_DEVICE;
    (void)name;
    return text("all is well", size, value, size_ret);
}

static cl_int set_program_callback(cl_program object, cl_program_callback notify, void *user)
{
    struct fake *known = fake_check(object, FAKE_PROGRAM);
    if (!known)
        return CL_INVALID_PROGRAM;
    if (!notify || known->gone)
        return CL_INVALID_VALUE;
    known->gone = (void (*)(void *, void *))(void *)notify;
    known->user = user;
    return CL_SUCCESS;
}

static cl_int set_constant(cl_program object, cl_uint id, size_t size, const void *value)
{
    (void)id;
    if (!fake_check(object, FAKE_PROGRAM))
        return CL_INVALID_PROGRAM;
    if (!value)
        return CL_INVALID_VALUE;
    fake_read(value, size);
    return CL_SUCCESS;
}

static cl_kernel create_kernel(cl_program object, const char *name, cl_int *errcode_ret)
{
    struct fake *program = fake_check(object, FAKE_PROGRAM);
    if (!program)
        return fake_fail(errcode_ret, CL_INVALID_PROGRAM);
    if (!program->is_finished)
        return fake_fail(errcode_ret, CL_INVALID_PROGRAM_EXECUTABLE);
    if (!name || strlen(name) == 0)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    return made(fake_new(FAKE_KERNEL, 1, &program), errcode_ret);
}

static cl_int create_kernels(cl_program object, cl_uint n, cl_kernel *kernels, cl_uint *found)
{
    if (!fake_check(object, FAKE_PROGRAM))
        return CL_INVALID_PROGRAM;
    if (kernels && n < 2)
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; kernels && i < 2; i++)
        if (!(kernels[i] = create_kernel(object, "k", NULL)))
            return CL_INVALID_PROGRAM_EXECUTABLE;
    if (found)
        *found = 2;
    return CL_SUCCESS;
}

static cl_kernel clone_kernel(cl_kernel object, cl_int *errcode_ret)
{
    struct fake *known = fake_check(object, FAKE_KERNEL);
    if (!known)
        return fake_fail(errcode_ret, CL_INVALID_KERNEL);
    return made(fake_new(FAKE_KERNEL, 1, &known->parents[0]), errcode_ret);
}

static bool is_unmapped(const void *address)
{
    unsigned char resident;
    return (uintptr_t)address < 4096 ||
           mincore((void *)((uintptr_t)address & ~4095ul), 1, &resident) < 0;
}

/* Argument 0 is a buffer, 1 an int, 2 a sampler, 3 a long, 4 local memory. A handle is kept as a
 * real one would be. */
static cl_int set_arg(cl_kernel object, cl_uint index, size_t size, const void *value)
{
    static const size_t sizes[FAKE_ARGS] = {8, 4, 8, 8, 0};
    struct fake *known = fake_check(object, FAKE_KERNEL), *argument;
    if (!known)
        return CL_INVALID_KERNEL;
    if (index >= FAKE_ARGS)
        return CL_INVALID_ARG_INDEX;
    if (index == 4)
        return size == 0 || value ? CL_INVALID_ARG_VALUE : CL_SUCCESS;
    if (size != sizes[index])
        return CL_INVALID_ARG_SIZE;
    if (!value)
        return index == 0 ? CL_SUCCESS : CL_INVALID_ARG_VALUE;
    fake_read(value, size);
    if (index % 2)
        return CL_SUCCESS;
    memcpy(&argument, value, sizeof(argument));
    /* Of a program that tells nothing of its arguments, nobody can know: a real library dies here
     * or tells its objects apart, and with it goes one session, no more than that. */
    if (argument && !known->parents[0]->has_source &&
        (is_unmapped(argument) || argument->type != (index == 0 ? FAKE_MEM : FAKE_SAMPLER)))
        return CL_INVALID_ARG_VALUE;
    fake_check(argument, index == 0 ? FAKE_MEM : FAKE_SAMPLER);
    return argument || index == 0 ? CL_SUCCESS : CL_INVALID_SAMPLER;
}

static cl_int get_kernel_info(cl_kernel object, cl_kernel_info name, size_t size, void *value,
                              size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_KERNEL);
    if (!known)
        return CL_INVALID_KERNEL;
    if (name == CL_KERNEL_PROGRAM)
        return handle(known->parents[0], size, value, size_ret);
    if (name == CL_KERNEL_CONTEXT)
        return handle(known->parents[0]->parents[0], size, value, size_ret);
    return number(FAKE_ARGS, size, value, size_ret);
}

static cl_int get_arg_info(cl_kernel object, cl_uint index, cl_kernel_arg_info name, size_t size,
                           void *value, size_t *size_ret)
{
    static const char *const types[FAKE_ARGS] = {"float*", "int", "sampler_t", "long", "float*"};
    static const cl_uint where[FAKE_ARGS] = {
        CL_KERNEL_ARG_ADDRESS_GLOBAL, CL_KERNEL_ARG_ADDRESS_PRIVATE, CL_KERNEL_ARG_ADDRESS_PRIVATE,
        CL_KERNEL_ARG_ADDRESS_PRIVATE, CL_KERNEL_ARG_ADDRESS_LOCAL};
    struct fake *known = fake_check(object, FAKE_KERNEL);
    if (!known)
        return CL_INVALID_KERNEL;
    if (index >= FAKE_ARGS)
        return CL_INVALID_ARG_INDEX;
    if (!known->parents[0]->has_source)
        return CL_KERNEL_ARG_INFO_NOT_AVAILABLE;
    if (name == CL_KERNEL_ARG_ADDRESS_QUALIFIER)
        return fake_answer(&where[index], sizeof(where[index]), size, value, size_ret);
    return text(types[index], size, value, size_ret);
}

static cl_int get_work_group_info(cl_kernel object, cl_device_id device,
                                  cl_kernel_work_group_info name, size_t size, void *value,
                                  size_t *size_ret)
{
    (void)name;
    fake_check(device, FAKE_DEVICE);
    return fake_check(object, FAKE_KERNEL) ? number(64, size, value, size_ret) : CL_INVALID_KERNEL;
}

static cl_int get_sub_group_info(cl_kernel object, cl_device_id device,
                                 cl_kernel_sub_group_info name, size_t input_size,
                                 const void *input, size_t size, void *value, size_t *size_ret)
{
    (void)name;
    fake_check(device, FAKE_DEVICE);
    if (!fake_check(object, FAKE_KERNEL))
        return CL_INVALID_KERNEL;
    if (input)
        fake_read(input, input_size);
    return number(8, size, value, size_ret);
}

/* ---- command buffers ---- */

static cl_command_buffer_khr create_commands(cl_uint n, const cl_command_queue *queues,
                                             const cl_command_buffer_properties_khr *properties,
                                             cl_int *errcode_ret)
{
    for (unsigned i = 0; properties && properties[i]; i += 2)
        fake_read(&properties[i + 1], sizeof(*properties));
    if (n != 1 || !queues)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    struct fake *queue = fake_check(queues[0], FAKE_QUEUE);
    if (!queue)
        return fake_fail(errcode_ret, CL_INVALID_COMMAND_QUEUE);
    return made(fake_new(FAKE_COMMANDS, 1, &queue), errcode_ret);
}

static cl_int finalize_commands(cl_command_buffer_khr object)
{
    return fake_check(object, FAKE_COMMANDS) ? CL_SUCCESS : -1138;
}

static cl_int get_commands_info(cl_command_buffer_khr object, cl_command_buffer_info_khr name,
                                size_t size, void *value, size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_COMMANDS);
    if (!known)
        return -1138;
    if (name == CL_COMMAND_BUFFER_QUEUES_KHR)
        return handle(known->parents[0], size, value, size_ret);
    return number(1, size, value, size_ret);
}

static void fill_counts(struct wh_opencl_functions_table *f)
{
    f->clRetainDevice = retain_device;
    f->clReleaseDevice = release_device;
    f->clRetainContext = retain_context;
    f->clReleaseContext = release_context;
    f->clRetainCommandQueue = retain_queue;
    f->clReleaseCommandQueue = release_queue;
    f->clRetainMemObject = retain_mem;
    f->clReleaseMemObject = release_mem;
    f->clRetainSampler = retain_sampler;
    f->clReleaseSampler = release_sampler;
    f->clRetainProgram = retain_program;
    f->clReleaseProgram = release_program;
    f->clRetainKernel = retain_kernel;
    f->clReleaseKernel = release_kernel;
    f->clRetainEvent = retain_event;
    f->clReleaseEvent = release_event;
    f->clRetainCommandBufferKHR = retain_commands;
    f->clReleaseCommandBufferKHR = release_commands;
}

static void fill_queries(struct wh_opencl_functions_table *f)
{
    f->clGetPlatformIDs = get_platforms;
    f->clGetPlatformInfo = get_platform_info;
    f->clGetDeviceIDs = get_devices;
    f->clGetDeviceInfo = get_device_info;
    f->clGetHostTimer = get_timer;
    f->clGetExtensionFunctionAddressForPlatform = extension_address;
    f->clGetContextInfo = get_context_info;
    f->clGetCommandQueueInfo = get_queue_info;
    f->clGetMemObjectInfo = get_mem_info;
    f->clGetImageInfo = get_image_info;
    f->clGetSupportedImageFormats = get_image_formats;
    f->clGetSamplerInfo = get_sampler_info;
    f->clGetProgramInfo = get_program_info;
    f->clGetProgramBuildInfo = get_build_info;
    f->clGetKernelInfo = get_kernel_info;
    f->clGetKernelArgInfo = get_arg_info;
    f->clGetKernelWorkGroupInfo = get_work_group_info;
    f->clGetKernelSubGroupInfo = get_sub_group_info;
    f->clGetKernelSubGroupInfoKHR = get_sub_group_info;
    f->clGetCommandBufferInfoKHR = get_commands_info;
}

void fake_fill_objects(struct wh_opencl_functions_table *f)
{
    fill_counts(f);
    fill_queries(f);
    f->clCreateSubDevices = create_sub_devices;
    f->clCreateContext = create_context;
    f->clCreateContextFromType = create_context_from_type;
    f->clSetContextDestructorCallback = set_context_callback;
    f->clCreateCommandQueue = create_old_queue;
    f->clCreateCommandQueueWithProperties = create_queue;
    f->clCreateBuffer = create_buffer;
    f->clCreateSubBuffer = create_sub_buffer;
    f->clCreateImage = create_image;
    f->clCreatePipe = create_pipe;
    f->clSetMemObjectDestructorCallback = set_mem_callback;
    f->clCreateSampler = create_sampler;
    f->clCreateSamplerWithProperties = create_new_sampler;
    f->clCreateProgramWithSource = create_program;
    f->clCreateProgramWithBinary = create_program_binary;
    f->clCreateProgramWithIL = create_program_il;
    f->clCreateProgramWithBuiltInKernels = create_built_in;
    f->clBuildProgram = build_program;
    f->clCompileProgram = compile_program;
    f->clLinkProgram = link_program;
    f->clSetProgramReleaseCallback = set_program_callback;
    f->clSetProgramSpecializationConstant = set_constant;
    f->clCreateKernel = create_kernel;
    f->clCreateKernelsInProgram = create_kernels;
    f->clCloneKernel = clone_kernel;
    f->clSetKernelArg = set_arg;
    f->clCreateCommandBufferKHR = create_commands;
    f->clFinalizeCommandBufferKHR = finalize_commands;
}
