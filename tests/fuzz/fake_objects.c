/* SPDX-License-Identifier: Apache-2.0 */
/* The fake's platforms, devices, contexts and queues, and the counts of all objects. See
 * fake_opencl.h. */
#include "fake_opencl.h"

#include <stdlib.h>
#include <string.h>

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

void *fake_made(struct fake *object, cl_int *errcode_ret)
{
    if (!object)
        return fake_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
    if (errcode_ret)
        *errcode_ret = CL_SUCCESS;
    return object;
}

cl_int fake_text(const char *answer, size_t size, void *value, size_t *size_ret)
{
    return fake_answer(answer, strlen(answer) + 1, size, value, size_ret);
}

cl_int fake_number(uint64_t answer, size_t size, void *value, size_t *size_ret)
{
    return fake_answer(&answer, sizeof(answer), size, value, size_ret);
}

cl_int fake_handle(const void *answer, size_t size, void *value, size_t *size_ret)
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
    return fake_text("cl_khr_one cl_khr_gl_sharing cl_khr_two", size, value, size_ret);
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
        return fake_number(known->is_cpu ? CL_DEVICE_TYPE_CPU : CL_DEVICE_TYPE_GPU, size, value,
                           size_ret);
    if (name == CL_DEVICE_PLATFORM)
        return fake_handle(platform(), size, value, size_ret);
    if (name == CL_DEVICE_PARENT_DEVICE)
        return fake_handle(known->is_finished ? known->parents[0] : NULL, size, value, size_ret);
    if (name == CL_DEVICE_PARENT_DEVICE_EXT || name == CL_DEVICE_P2P_DEVICES_AMD)
        return fake_handle(NULL, size, value, size_ret);
    if (name == CL_DEVICE_HOST_UNIFIED_MEMORY) {
        cl_uint unified = known->is_cpu;
        return fake_answer(&unified, sizeof(unified), size, value, size_ret);
    }
    if (name == CL_DEVICE_EXTENSIONS)
        return fake_text("cl_khr_one cl_khr_gl_sharing", size, value, size_ret);
    return fake_number(8, size, value, size_ret);
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
    return fake_made(context, errcode_ret);
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
    return fake_number(devices, size, value, size_ret);
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
    return fake_made(fake_new(FAKE_QUEUE, 2, parents), errcode_ret);
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
        return fake_handle(known->parents[name == CL_QUEUE_DEVICE], size, value, size_ret);
    return fake_number(name != CL_QUEUE_DEVICE_DEFAULT, size, value,
                       size_ret); /* no default queue */
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

void fake_fill_objects(struct wh_opencl_functions_table *f)
{
    fill_counts(f);
    f->clGetPlatformIDs = get_platforms;
    f->clGetPlatformInfo = get_platform_info;
    f->clGetDeviceIDs = get_devices;
    f->clGetDeviceInfo = get_device_info;
    f->clGetHostTimer = get_timer;
    f->clGetExtensionFunctionAddressForPlatform = extension_address;
    f->clGetContextInfo = get_context_info;
    f->clGetCommandQueueInfo = get_queue_info;
    f->clCreateSubDevices = create_sub_devices;
    f->clCreateContext = create_context;
    f->clCreateContextFromType = create_context_from_type;
    f->clSetContextDestructorCallback = set_context_callback;
    f->clCreateCommandQueue = create_old_queue;
    f->clCreateCommandQueueWithProperties = create_queue;
}
