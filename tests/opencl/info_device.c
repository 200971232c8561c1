/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device info: every parameter's value and size, except handles and what an implementation derives
 * from the memory that happens to be free; and errors.
 */
#include "cltest.h"

enum kind { TEXT, UINT, ULONG, SIZE, SIZES, VERSION, VERSIONS, VARIES };

struct parameter {
    cl_device_info what;
    const char *name;
    enum kind kind;
    unsigned since;
};

#define P(name, kind, since)                 \
    {                                        \
        CL_DEVICE_##name, #name, kind, since \
    }

static const struct parameter parameters[] = {
    P(NAME, TEXT, 100),
    P(VENDOR, TEXT, 100),
    P(VERSION, TEXT, 100),
    P(PROFILE, TEXT, 100),
    {CL_DRIVER_VERSION, "DRIVER_VERSION", TEXT, 100},
    P(EXTENSIONS, TEXT, 100),
    P(OPENCL_C_VERSION, TEXT, 110),
    P(BUILT_IN_KERNELS, TEXT, 120),
    P(TYPE, ULONG, 100),
    P(VENDOR_ID, UINT, 100),
    P(MAX_COMPUTE_UNITS, UINT, 100),
    P(MAX_WORK_ITEM_DIMENSIONS, UINT, 100),
    P(MAX_WORK_ITEM_SIZES, SIZES, 100),
    P(MAX_WORK_GROUP_SIZE, SIZE, 100),
    P(PREFERRED_VECTOR_WIDTH_CHAR, UINT, 100),
    P(PREFERRED_VECTOR_WIDTH_SHORT, UINT, 100),
    P(PREFERRED_VECTOR_WIDTH_INT, UINT, 100),
    P(PREFERRED_VECTOR_WIDTH_LONG, UINT, 100),
    P(PREFERRED_VECTOR_WIDTH_FLOAT, UINT, 100),
    P(PREFERRED_VECTOR_WIDTH_DOUBLE, UINT, 100),
    P(PREFERRED_VECTOR_WIDTH_HALF, UINT, 110),
    P(NATIVE_VECTOR_WIDTH_CHAR, UINT, 110),
    P(NATIVE_VECTOR_WIDTH_SHORT, UINT, 110),
    P(NATIVE_VECTOR_WIDTH_INT, UINT, 110),
    P(NATIVE_VECTOR_WIDTH_LONG, UINT, 110),
    P(NATIVE_VECTOR_WIDTH_FLOAT, UINT, 110),
    P(NATIVE_VECTOR_WIDTH_DOUBLE, UINT, 110),
    P(NATIVE_VECTOR_WIDTH_HALF, UINT, 110),
    P(ADDRESS_BITS, UINT, 100),
    P(MAX_MEM_ALLOC_SIZE, VARIES, 100),
    P(IMAGE_SUPPORT, UINT, 100),
    P(MAX_READ_IMAGE_ARGS, UINT, 100),
    P(MAX_WRITE_IMAGE_ARGS, UINT, 100),
    P(IMAGE2D_MAX_WIDTH, VARIES, 100),
    P(IMAGE2D_MAX_HEIGHT, VARIES, 100),
    P(IMAGE3D_MAX_WIDTH, VARIES, 100),
    P(IMAGE3D_MAX_HEIGHT, VARIES, 100),
    P(IMAGE3D_MAX_DEPTH, VARIES, 100),
    P(IMAGE_MAX_BUFFER_SIZE, VARIES, 120),
    P(IMAGE_MAX_ARRAY_SIZE, SIZE, 120),
    P(MAX_SAMPLERS, UINT, 100),
    P(MAX_PARAMETER_SIZE, SIZE, 100),
    P(MEM_BASE_ADDR_ALIGN, UINT, 100),
    P(MIN_DATA_TYPE_ALIGN_SIZE, UINT, 100),
    P(SINGLE_FP_CONFIG, ULONG, 100),
    P(DOUBLE_FP_CONFIG, ULONG, 120),
    P(GLOBAL_MEM_CACHE_TYPE, UINT, 100),
    P(GLOBAL_MEM_CACHELINE_SIZE, UINT, 100),
    P(GLOBAL_MEM_CACHE_SIZE, ULONG, 100),
    P(GLOBAL_MEM_SIZE, VARIES, 100),
    P(MAX_CONSTANT_BUFFER_SIZE, ULONG, 100),
    P(MAX_CONSTANT_ARGS, UINT, 100),
    P(LOCAL_MEM_TYPE, UINT, 100),
    P(LOCAL_MEM_SIZE, ULONG, 100),
    P(ERROR_CORRECTION_SUPPORT, UINT, 100),
    P(HOST_UNIFIED_MEMORY, UINT, 110),
    P(PROFILING_TIMER_RESOLUTION, SIZE, 100),
    P(ENDIAN_LITTLE, UINT, 100),
    P(AVAILABLE, UINT, 100),
    P(COMPILER_AVAILABLE, UINT, 100),
    P(LINKER_AVAILABLE, UINT, 120),
    P(EXECUTION_CAPABILITIES, ULONG, 100),
    P(QUEUE_PROPERTIES, ULONG, 100),
    P(PRINTF_BUFFER_SIZE, SIZE, 120),
    P(PREFERRED_INTEROP_USER_SYNC, UINT, 120),
    P(PARTITION_MAX_SUB_DEVICES, UINT, 120),
    P(PARTITION_PROPERTIES, SIZES, 120),
    P(PARTITION_AFFINITY_DOMAIN, ULONG, 120),
    P(PARTITION_TYPE, SIZES, 120),
    P(REFERENCE_COUNT, UINT, 120),
    P(IMAGE_PITCH_ALIGNMENT, UINT, 200),
    P(IMAGE_BASE_ADDRESS_ALIGNMENT, UINT, 200),
    P(MAX_READ_WRITE_IMAGE_ARGS, UINT, 200),
    P(MAX_GLOBAL_VARIABLE_SIZE, SIZE, 200),
    P(GLOBAL_VARIABLE_PREFERRED_TOTAL_SIZE, SIZE, 200),
    P(QUEUE_ON_DEVICE_PROPERTIES, ULONG, 200),
    P(QUEUE_ON_DEVICE_PREFERRED_SIZE, UINT, 200),
    P(QUEUE_ON_DEVICE_MAX_SIZE, UINT, 200),
    P(MAX_ON_DEVICE_QUEUES, UINT, 200),
    P(MAX_ON_DEVICE_EVENTS, UINT, 200),
    P(SVM_CAPABILITIES, ULONG, 200),
    P(MAX_PIPE_ARGS, UINT, 200),
    P(PIPE_MAX_ACTIVE_RESERVATIONS, UINT, 200),
    P(PIPE_MAX_PACKET_SIZE, UINT, 200),
    P(PREFERRED_PLATFORM_ATOMIC_ALIGNMENT, UINT, 200),
    P(PREFERRED_GLOBAL_ATOMIC_ALIGNMENT, UINT, 200),
    P(PREFERRED_LOCAL_ATOMIC_ALIGNMENT, UINT, 200),
    P(IL_VERSION, TEXT, 210),
    P(MAX_NUM_SUB_GROUPS, UINT, 210),
    P(SUB_GROUP_INDEPENDENT_FORWARD_PROGRESS, UINT, 210),
    P(NUMERIC_VERSION, VERSION, 300),
    P(EXTENSIONS_WITH_VERSION, VERSIONS, 300),
    P(ILS_WITH_VERSION, VERSIONS, 300),
    P(BUILT_IN_KERNELS_WITH_VERSION, VERSIONS, 300),
    P(OPENCL_C_ALL_VERSIONS, VERSIONS, 300),
    P(OPENCL_C_FEATURES, VERSIONS, 300),
    P(ATOMIC_MEMORY_CAPABILITIES, ULONG, 300),
    P(ATOMIC_FENCE_CAPABILITIES, ULONG, 300),
    P(NON_UNIFORM_WORK_GROUP_SUPPORT, UINT, 300),
    P(WORK_GROUP_COLLECTIVE_FUNCTIONS_SUPPORT, UINT, 300),
    P(GENERIC_ADDRESS_SPACE_SUPPORT, UINT, 300),
    P(DEVICE_ENQUEUE_CAPABILITIES, ULONG, 300),
    P(PIPE_SUPPORT, UINT, 300),
    P(PREFERRED_WORK_GROUP_SIZE_MULTIPLE, SIZE, 300),
    P(LATEST_CONFORMANCE_VERSION_PASSED, TEXT, 300),
};

static void show_words(const void *data, size_t size, size_t width)
{
    for (size_t at = 0; at + width <= size; at += width) {
        cl_ulong value = 0;
        memcpy(&value, (const char *)data + at, width);
        printf(" %llu", (unsigned long long)value);
    }
}

static void show_versions(const cl_name_version *list, size_t size)
{
    for (size_t i = 0; i < size / sizeof(list[0]); i++)
        printf("\n    %s %#x", list[i].name, list[i].version);
}

static void show_parameter(cl_device_id device, const struct parameter *p)
{
    size_t size = 0;
    size_t again = 0;
    const cl_ulong zero = 0;
    cl_int err = clGetDeviceInfo(device, p->what, 0, NULL, &size);

    printf("%s: ", p->name);
    if (err != CL_SUCCESS) {
        printf("%s\n", clt_error_name(err));
        return;
    }
    char *data = clt_alloc(size + 1);
    CL_OK(clGetDeviceInfo(device, p->what, size, data, &again));
    CHECK(again == size);
    printf("(%zu)", size);
    switch (p->kind) {
    case TEXT:
        printf(" %s", data);
        break;
    case UINT:
        show_words(data, size, sizeof(cl_uint));
        CHECK(size == sizeof(cl_uint));
        break;
    case VERSION:
        show_words(data, size, sizeof(cl_version));
        break;
    case VERSIONS:
        show_versions((const cl_name_version *)(void *)data, size);
        break;
    case VARIES:
        printf(" set: %d", memcmp(data, &zero, size) != 0);
        break;
    default:
        show_words(data, size, size % sizeof(cl_ulong) == 0 ? sizeof(cl_ulong) : sizeof(cl_uint));
        break;
    }
    printf("\n");
    free(data);
}

static void show_handles(const struct clt *t)
{
    cl_platform_id platform = NULL;
    cl_device_id parent = t->device;
    cl_uint clock = 0;
    size_t size = 0;

    CL_OK(clGetDeviceInfo(t->device, CL_DEVICE_PLATFORM, sizeof(platform), &platform, &size));
    CHECK(platform == t->platform);
    printf("PLATFORM: (%zu)\n", size);
    CL_OK(clGetDeviceInfo(t->device, CL_DEVICE_PARENT_DEVICE, sizeof(parent), &parent, &size));
    CHECK(parent == NULL);
    printf("PARENT_DEVICE: (%zu)\n", size);
    /* The clock may change between two runs. */
    CL_OK(clGetDeviceInfo(t->device, CL_DEVICE_MAX_CLOCK_FREQUENCY, sizeof(clock), &clock, &size));
    printf("MAX_CLOCK_FREQUENCY: (%zu)\n", size);
}

/* A buffer larger than needed is filled only as far as the value goes. */
static void leave_the_rest_alone(const struct clt *t)
{
    unsigned char data[64];
    size_t size = 0;

    memset(data, 0xee, sizeof(data));
    CL_OK(clGetDeviceInfo(t->device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(data), data, &size));
    CHECK(size == sizeof(cl_uint));
    for (size_t i = size; i < sizeof(data); i++)
        CHECK(data[i] == 0xee);
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_device_id device = t->device;
    unsigned char small[3];
    size_t size = 0;

    EXPECT(clGetDeviceInfo(NULL, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_DEVICE);
    EXPECT(clGetDeviceInfo(device, CL_DEVICE_NAME, 1, small, NULL), CL_INVALID_VALUE);
    EXPECT(clGetDeviceInfo(device, CL_DEVICE_MAX_COMPUTE_UNITS, 3, small, NULL), CL_INVALID_VALUE);
    EXPECT(clGetDeviceInfo(device, 0x7777, 0, NULL, &size), CL_INVALID_VALUE);
    EXPECT(clGetDeviceInfo(device, CL_CONTEXT_DEVICES, 0, NULL, &size), CL_INVALID_VALUE);
    SHOW(clGetDeviceInfo(device, CL_DEVICE_NAME, 0, NULL, NULL));
    SHOW(clGetDeviceInfo(device, CL_DEVICE_HALF_FP_CONFIG, 0, NULL, &size));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    for (size_t i = 0; i < CLT_COUNT(parameters); i++) {
        if (parameters[i].since <= t.version)
            show_parameter(t.device, &parameters[i]);
    }
    show_handles(&t);
    leave_the_rest_alone(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    clt_close(&t);
    return clt_done();
}
