/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Implementation of cltest.h. Linked into every program of this folder; it must never print
 * anything that could differ between two runs of the same program.
 */
#include "cltest.h"

#include <stdatomic.h>

struct name {
    cl_int code;
    const char *text;
};

#define NAME(code)  \
    {               \
        code, #code \
    }

static const struct name error_names[] = {
    NAME(CL_SUCCESS),
    NAME(CL_DEVICE_NOT_FOUND),
    NAME(CL_DEVICE_NOT_AVAILABLE),
    NAME(CL_COMPILER_NOT_AVAILABLE),
    NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE),
    NAME(CL_OUT_OF_RESOURCES),
    NAME(CL_OUT_OF_HOST_MEMORY),
    NAME(CL_PROFILING_INFO_NOT_AVAILABLE),
    NAME(CL_MEM_COPY_OVERLAP),
    NAME(CL_IMAGE_FORMAT_MISMATCH),
    NAME(CL_IMAGE_FORMAT_NOT_SUPPORTED),
    NAME(CL_BUILD_PROGRAM_FAILURE),
    NAME(CL_MAP_FAILURE),
    NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET),
    NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
    NAME(CL_COMPILE_PROGRAM_FAILURE),
    NAME(CL_LINKER_NOT_AVAILABLE),
    NAME(CL_LINK_PROGRAM_FAILURE),
    NAME(CL_DEVICE_PARTITION_FAILED),
    NAME(CL_KERNEL_ARG_INFO_NOT_AVAILABLE),
    NAME(CL_INVALID_VALUE),
    NAME(CL_INVALID_DEVICE_TYPE),
    NAME(CL_INVALID_PLATFORM),
    NAME(CL_INVALID_DEVICE),
    NAME(CL_INVALID_CONTEXT),
    NAME(CL_INVALID_QUEUE_PROPERTIES),
    NAME(CL_INVALID_COMMAND_QUEUE),
    NAME(CL_INVALID_HOST_PTR),
    NAME(CL_INVALID_MEM_OBJECT),
    NAME(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR),
    NAME(CL_INVALID_IMAGE_SIZE),
    NAME(CL_INVALID_SAMPLER),
    NAME(CL_INVALID_BINARY),
    NAME(CL_INVALID_BUILD_OPTIONS),
    NAME(CL_INVALID_PROGRAM),
    NAME(CL_INVALID_PROGRAM_EXECUTABLE),
    NAME(CL_INVALID_KERNEL_NAME),
    NAME(CL_INVALID_KERNEL_DEFINITION),
    NAME(CL_INVALID_KERNEL),
    NAME(CL_INVALID_ARG_INDEX),
    NAME(CL_INVALID_ARG_VALUE),
    NAME(CL_INVALID_ARG_SIZE),
    NAME(CL_INVALID_KERNEL_ARGS),
    NAME(CL_INVALID_WORK_DIMENSION),
    NAME(CL_INVALID_WORK_GROUP_SIZE),
    NAME(CL_INVALID_WORK_ITEM_SIZE),
    NAME(CL_INVALID_GLOBAL_OFFSET),
    NAME(CL_INVALID_EVENT_WAIT_LIST),
    NAME(CL_INVALID_EVENT),
    NAME(CL_INVALID_OPERATION),
    NAME(CL_INVALID_GL_OBJECT),
    NAME(CL_INVALID_BUFFER_SIZE),
    NAME(CL_INVALID_MIP_LEVEL),
    NAME(CL_INVALID_GLOBAL_WORK_SIZE),
    NAME(CL_INVALID_PROPERTY),
    NAME(CL_INVALID_IMAGE_DESCRIPTOR),
    NAME(CL_INVALID_COMPILER_OPTIONS),
    NAME(CL_INVALID_LINKER_OPTIONS),
    NAME(CL_INVALID_DEVICE_PARTITION_COUNT),
    NAME(CL_INVALID_PIPE_SIZE),
    NAME(CL_INVALID_DEVICE_QUEUE),
    NAME(CL_INVALID_SPEC_ID),
    NAME(CL_MAX_SIZE_RESTRICTION_EXCEEDED),
    NAME(CL_PLATFORM_NOT_FOUND_KHR),
};

static const struct name status_names[] = {
    NAME(CL_COMPLETE),
    NAME(CL_RUNNING),
    NAME(CL_SUBMITTED),
    NAME(CL_QUEUED),
};

static const struct name command_names[] = {
    NAME(CL_COMMAND_NDRANGE_KERNEL),
    NAME(CL_COMMAND_TASK),
    NAME(CL_COMMAND_NATIVE_KERNEL),
    NAME(CL_COMMAND_READ_BUFFER),
    NAME(CL_COMMAND_WRITE_BUFFER),
    NAME(CL_COMMAND_COPY_BUFFER),
    NAME(CL_COMMAND_READ_IMAGE),
    NAME(CL_COMMAND_WRITE_IMAGE),
    NAME(CL_COMMAND_COPY_IMAGE),
    NAME(CL_COMMAND_COPY_IMAGE_TO_BUFFER),
    NAME(CL_COMMAND_COPY_BUFFER_TO_IMAGE),
    NAME(CL_COMMAND_MAP_BUFFER),
    NAME(CL_COMMAND_MAP_IMAGE),
    NAME(CL_COMMAND_UNMAP_MEM_OBJECT),
    NAME(CL_COMMAND_MARKER),
    NAME(CL_COMMAND_READ_BUFFER_RECT),
    NAME(CL_COMMAND_WRITE_BUFFER_RECT),
    NAME(CL_COMMAND_COPY_BUFFER_RECT),
    NAME(CL_COMMAND_USER),
    NAME(CL_COMMAND_BARRIER),
    NAME(CL_COMMAND_MIGRATE_MEM_OBJECTS),
    NAME(CL_COMMAND_FILL_BUFFER),
    NAME(CL_COMMAND_FILL_IMAGE),
    NAME(CL_COMMAND_SVM_FREE),
    NAME(CL_COMMAND_SVM_MEMCPY),
    NAME(CL_COMMAND_SVM_MEMFILL),
    NAME(CL_COMMAND_SVM_MAP),
    NAME(CL_COMMAND_SVM_UNMAP),
    NAME(CL_COMMAND_SVM_MIGRATE_MEM),
};

static atomic_uint failed_checks;

static const char *find_name(const struct name *names, size_t count, cl_int code)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].code == code)
            return names[i].text;
    }
    return "unknown";
}

const char *clt_error_name(cl_int code)
{
    return find_name(error_names, CLT_COUNT(error_names), code);
}

const char *clt_status_name(cl_int status)
{
    return find_name(status_names, CLT_COUNT(status_names), status);
}

const char *clt_command_name(cl_command_type type)
{
    return find_name(command_names, CLT_COUNT(command_names), (cl_int)type);
}

bool clt_check(bool holds, const char *text, const char *file, int line)
{
    if (holds)
        return true;
    atomic_fetch_add(&failed_checks, 1);
    printf("FAILED %s:%d: %s\n", file, line, text);
    return false;
}

void clt_ok(cl_int err, const char *text, const char *file, int line)
{
    if (err == CL_SUCCESS)
        return;
    printf("FAILED %s:%d: %s gave %s (%d)\n", file, line, text, clt_error_name(err), err);
    exit(EXIT_FAILURE);
}

void clt_expect(cl_int got, cl_int want, const char *text)
{
    printf("%s: %s", text, clt_error_name(got));
    if (got != want)
        printf(" (specified: %s)", clt_error_name(want));
    bool agrees = (got == CL_SUCCESS) == (want == CL_SUCCESS);
    if (!agrees) {
        atomic_fetch_add(&failed_checks, 1);
        printf(" FAILED");
    }
    printf("\n");
}

void clt_show(cl_int got, const char *text)
{
    printf("%s: %s\n", text, clt_error_name(got));
}

_Noreturn void clt_skip(const char *why)
{
    printf("skipped: %s\n", why);
    exit(CLT_SKIPPED);
}

int clt_done(void)
{
    unsigned failed = atomic_load(&failed_checks);
    if (failed == 0) {
        printf("passed\n");
        return EXIT_SUCCESS;
    }
    printf("%u checks failed\n", failed);
    return EXIT_FAILURE;
}

void *clt_alloc(size_t size)
{
    void *memory = calloc(1, size == 0 ? 1 : size);
    if (memory == NULL) {
        printf("FAILED: no host memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static bool pick_device(struct clt *t)
{
    cl_platform_id platforms[16];
    cl_uint count = 0;

    if (clGetPlatformIDs(CLT_COUNT(platforms), platforms, &count) != CL_SUCCESS)
        return false;
    if (count > CLT_COUNT(platforms))
        count = CLT_COUNT(platforms);
    for (cl_uint i = 0; i < count; i++) {
        cl_uint devices = 0;
        cl_int err = clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 1, &t->device, &devices);
        if (err == CL_SUCCESS && devices > 0) {
            t->platform = platforms[i];
            return true;
        }
    }
    return false;
}

static unsigned device_version(cl_device_id device)
{
    char text[256] = "";
    unsigned major = 0;
    unsigned minor = 0;

    CL_OK(clGetDeviceInfo(device, CL_DEVICE_VERSION, sizeof(text), text, NULL));
    if (sscanf(text, "OpenCL %u.%u", &major, &minor) != 2)
        return 0;
    return major * 100 + minor * 10;
}

void clt_open_device(struct clt *t)
{
    /* Kernels print to the same descriptor; a line at a time keeps both in order. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    memset(t, 0, sizeof(*t));
    if (!pick_device(t))
        clt_skip("no OpenCL device");
    t->version = device_version(t->device);
}

void clt_open(struct clt *t)
{
    cl_int err;

    clt_open_device(t);
    t->context = clCreateContext(NULL, 1, &t->device, NULL, NULL, &err);
    CL_OK(err);
    t->queue = clt_queue(t, 0);
}

void clt_close(struct clt *t)
{
    if (t->queue != NULL)
        CHECK(clReleaseCommandQueue(t->queue) == CL_SUCCESS);
    if (t->context != NULL)
        CHECK(clReleaseContext(t->context) == CL_SUCCESS);
    t->queue = NULL;
    t->context = NULL;
}

void clt_need_version(const struct clt *t, unsigned version)
{
    if (t->version < version)
        clt_skip("the device's OpenCL version is too old");
}

void clt_need_images(const struct clt *t)
{
    cl_bool images = CL_FALSE;

    CL_OK(clGetDeviceInfo(t->device, CL_DEVICE_IMAGE_SUPPORT, sizeof(images), &images, NULL));
    if (!images)
        clt_skip("the device has no images");
}

bool clt_validates(const struct clt *t)
{
    cl_int err;
    cl_mem contradiction =
        clCreateBuffer(t->context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 16, NULL, &err);

    if (contradiction == NULL)
        return true;
    CL_OK(clReleaseMemObject(contradiction));
    printf("this implementation does not check arguments: no error cases\n");
    return false;
}

static void print_build_log(cl_program program, cl_device_id device)
{
    size_t size = 0;

    if (clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) != CL_SUCCESS)
        return;
    char *log = clt_alloc(size + 1);
    clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    printf("build log:\n%s\n", log);
    free(log);
}

cl_program clt_build(const struct clt *t, const char *source, const char *options)
{
    cl_int err;
    cl_program program = clCreateProgramWithSource(t->context, 1, &source, NULL, &err);

    CL_OK(err);
    err = clBuildProgram(program, 1, &t->device, options, NULL, NULL);
    if (err != CL_SUCCESS)
        print_build_log(program, t->device);
    CL_OK(err);
    return program;
}

cl_kernel clt_kernel(cl_program program, const char *name)
{
    cl_int err;
    cl_kernel kernel = clCreateKernel(program, name, &err);

    CL_OK(err);
    return kernel;
}

cl_kernel clt_build_kernel(const struct clt *t, const char *source, const char *name)
{
    cl_program program = clt_build(t, source, NULL);
    cl_kernel kernel = clt_kernel(program, name);

    CL_OK(clReleaseProgram(program));
    return kernel;
}

cl_mem clt_buffer(const struct clt *t, cl_mem_flags flags, size_t size, void *host)
{
    cl_int err;
    cl_mem buffer = clCreateBuffer(t->context, flags, size, host, &err);

    CL_OK(err);
    return buffer;
}

cl_command_queue clt_queue(const struct clt *t, cl_command_queue_properties properties)
{
    cl_int err;
    cl_command_queue queue = clCreateCommandQueue(t->context, t->device, properties, &err);

    CL_OK(err);
    return queue;
}

void clt_set_buffers(cl_kernel kernel, unsigned count, const cl_mem *buffers)
{
    for (unsigned i = 0; i < count; i++)
        CL_OK(clSetKernelArg(kernel, i, sizeof(cl_mem), &buffers[i]));
}

void clt_run(const struct clt *t, cl_kernel kernel, size_t global, size_t local)
{
    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 1, NULL, &global, local == 0 ? NULL : &local, 0,
                                 NULL, NULL));
}

void clt_read(const struct clt *t, cl_mem buffer, size_t offset, size_t size, void *to)
{
    CL_OK(clEnqueueReadBuffer(t->queue, buffer, CL_TRUE, offset, size, to, 0, NULL, NULL));
}

void clt_write(const struct clt *t, cl_mem buffer, size_t offset, size_t size, const void *from)
{
    CL_OK(clEnqueueWriteBuffer(t->queue, buffer, CL_TRUE, offset, size, from, 0, NULL, NULL));
}

uint64_t clt_hash(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

void clt_show_hash(const char *what, const void *data, size_t size)
{
    printf("%s: %zu bytes, hash %016llx\n", what, size, (unsigned long long)clt_hash(data, size));
}

uint64_t clt_next_random(uint64_t *state)
{
    uint64_t value = (*state += 0x9e3779b97f4a7c15u);

    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

void clt_fill_random(void *data, size_t size, uint64_t seed)
{
    unsigned char *bytes = data;

    while (size > 0) {
        uint64_t value = clt_next_random(&seed);
        size_t part = size < sizeof(value) ? size : sizeof(value);
        memcpy(bytes, &value, part);
        bytes += part;
        size -= part;
    }
}

bool clt_same(const char *what, const void *got, const void *want, size_t size)
{
    const unsigned char *a = got;
    const unsigned char *b = want;

    if (memcmp(a, b, size) == 0)
        return true;
    size_t i = 0;
    while (a[i] == b[i])
        i++;
    atomic_fetch_add(&failed_checks, 1);
    printf("FAILED %s: byte %zu of %zu is %02x, wanted %02x\n", what, i, size, a[i], b[i]);
    return false;
}
