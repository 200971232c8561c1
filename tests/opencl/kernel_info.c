/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel tells about itself: info, argument info, work-group info, lifetime, all kernels of
 * a program at once, and clones.
 */
#include "cltest.h"

static const char source[] =
    "typedef struct { int x; float y; } pair;\n"
    "kernel void first(global int *data, const global float4 *restrict points,\n"
    "                  constant char *table, local uint *scratch, int n, float scale, pair p)\n"
    "{\n"
    "    scratch[get_local_id(0)] = table[0];\n"
    "    data[get_global_id(0)] = n + (int)(points[0].x * scale) + p.x + scratch[0];\n"
    "}\n"
    "kernel __attribute__((reqd_work_group_size(8, 2, 1)))\n"
    "void second(volatile global ulong *data) { data[get_global_id(0)] = 1; }\n"
    "kernel void third(global int *data, int x) { data[get_global_id(0)] += x; }\n";

static void show_kernel(const struct clt *t, cl_program program, cl_kernel kernel)
{
    char name[64] = "";
    char attributes[256] = "";
    cl_uint count = 99;
    cl_uint references = 0;
    cl_context context = NULL;
    cl_program parent = NULL;
    size_t size = 0;

    CL_OK(clGetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, sizeof(name), name, &size));
    CL_OK(clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof(count), &count, NULL));
    CL_OK(
        clGetKernelInfo(kernel, CL_KERNEL_REFERENCE_COUNT, sizeof(references), &references, NULL));
    CL_OK(clGetKernelInfo(kernel, CL_KERNEL_CONTEXT, sizeof(context), &context, NULL));
    CL_OK(clGetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof(parent), &parent, NULL));
    CL_OK(clGetKernelInfo(kernel, CL_KERNEL_ATTRIBUTES, sizeof(attributes), attributes, NULL));
    CHECK(context == t->context);
    CHECK(parent == program);
    printf("%s (%zu bytes): %u arguments, %u references, attributes '%s'\n", name, size, count,
           references, attributes);
}

static void show_arguments(cl_kernel kernel, cl_uint count)
{
    for (cl_uint i = 0; i < count; i++) {
        cl_kernel_arg_address_qualifier address = 0;
        cl_kernel_arg_access_qualifier access = 0;
        cl_kernel_arg_type_qualifier qualifiers = 99;
        char type[64] = "";
        char name[64] = "";
        cl_int err = clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof(address),
                                        &address, NULL);
        if (err == CL_KERNEL_ARG_INFO_NOT_AVAILABLE) {
            printf("  no argument info\n");
            return;
        }
        CL_OK(err);
        CL_OK(clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_ACCESS_QUALIFIER, sizeof(access), &access,
                                 NULL));
        CL_OK(clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_TYPE_QUALIFIER, sizeof(qualifiers),
                                 &qualifiers, NULL));
        CL_OK(clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_TYPE_NAME, sizeof(type), type, NULL));
        CL_OK(clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_NAME, sizeof(name), name, NULL));
        printf("  %u: %s %s, address %#x access %#x qualifiers %#llx\n", i, type, name, address,
               access, (unsigned long long)qualifiers);
    }
}

static void show_work_group(const struct clt *t, cl_kernel kernel)
{
    size_t largest = 0;
    size_t required[3] = {9, 9, 9};
    size_t multiple = 0;
    cl_ulong local = 0;
    cl_ulong private = 0;
    size_t size = 0;

    CL_OK(clGetKernelWorkGroupInfo(kernel, t->device, CL_KERNEL_WORK_GROUP_SIZE, sizeof(largest),
                                   &largest, NULL));
    CL_OK(clGetKernelWorkGroupInfo(kernel, t->device, CL_KERNEL_COMPILE_WORK_GROUP_SIZE,
                                   sizeof(required), required, &size));
    CL_OK(clGetKernelWorkGroupInfo(kernel, t->device, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE,
                                   sizeof(multiple), &multiple, NULL));
    CL_OK(clGetKernelWorkGroupInfo(kernel, t->device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof(local),
                                   &local, NULL));
    CL_OK(clGetKernelWorkGroupInfo(kernel, t->device, CL_KERNEL_PRIVATE_MEM_SIZE, sizeof(private),
                                   &private, NULL));
    printf("  group %zu required %zu %zu %zu (%zu bytes) multiple %zu local %llu private %llu\n",
           largest, required[0], required[1], required[2], size, multiple,
           (unsigned long long)local, (unsigned long long)private);
    /* With one device in the context the device may be left out. */
    size_t again = 0;
    SHOW(clGetKernelWorkGroupInfo(kernel, NULL, CL_KERNEL_WORK_GROUP_SIZE, sizeof(again), &again,
                                  NULL));
    printf("  the same: %d\n", again == largest);
}

static void show_each(const struct clt *t, cl_program program)
{
    static const struct {
        const char *name;
        cl_uint arguments;
    } kernels[] = {{"first", 7}, {"second", 1}, {"third", 2}};

    for (size_t i = 0; i < CLT_COUNT(kernels); i++) {
        cl_kernel kernel = clt_kernel(program, kernels[i].name);
        show_kernel(t, program, kernel);
        show_arguments(kernel, kernels[i].arguments);
        show_work_group(t, kernel);
        CL_OK(clReleaseKernel(kernel));
    }
}

static void create_all(cl_program program)
{
    cl_kernel kernels[8] = {NULL};
    cl_uint count = 0;
    unsigned seen[3] = {0, 0, 0};

    CL_OK(clCreateKernelsInProgram(program, 0, NULL, &count));
    printf("kernels in the program: %u\n", count);
    CL_OK(clCreateKernelsInProgram(program, CLT_COUNT(kernels), kernels, &count));
    for (cl_uint i = 0; i < count; i++) {
        char name[64] = "";
        CL_OK(clGetKernelInfo(kernels[i], CL_KERNEL_FUNCTION_NAME, sizeof(name), name, NULL));
        seen[0] += strcmp(name, "first") == 0;
        seen[1] += strcmp(name, "second") == 0;
        seen[2] += strcmp(name, "third") == 0;
        CL_OK(clReleaseKernel(kernels[i]));
    }
    printf("seen: %u %u %u\n", seen[0], seen[1], seen[2]);
    CHECK(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
}

/* A clone starts with the original's arguments and then goes its own way. */
static void clone(const struct clt *t, cl_program program)
{
    cl_kernel original = clt_kernel(program, "third");
    cl_int zeros[16] = {0};
    cl_int got[16];
    cl_mem a = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(zeros), zeros);
    cl_mem b = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(zeros), zeros);
    cl_int ten = 10;
    cl_int seven = 7;
    cl_int err;

    clt_set_buffers(original, 1, &a);
    CL_OK(clSetKernelArg(original, 1, sizeof(ten), &ten));
    cl_kernel copy = clCloneKernel(original, &err);
    CL_OK(err);
    show_kernel(t, program, copy);
    CL_OK(clSetKernelArg(original, 1, sizeof(seven), &seven));
    clt_run(t, copy, 16, 0);
    clt_run(t, original, 16, 0);
    clt_set_buffers(copy, 1, &b);
    CL_OK(clReleaseKernel(original));
    clt_run(t, copy, 16, 0);
    clt_read(t, a, 0, sizeof(got), got);
    printf("both: %d\n", got[3]);
    CHECK(got[3] == 17);
    clt_read(t, b, 0, sizeof(got), got);
    printf("clone alone: %d\n", got[3]);
    CHECK(got[3] == 10);
    CL_OK(clReleaseKernel(copy));
    CL_OK(clReleaseMemObject(a));
    CL_OK(clReleaseMemObject(b));
}

/* A kernel keeps its program alive, a launch keeps its kernel alive. */
static void outlive(const struct clt *t)
{
    cl_program program = clt_build(t, source, NULL);
    cl_kernel kernel = clt_kernel(program, "third");
    cl_int value = 5;
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(value), &value);

    CL_OK(clReleaseProgram(program));
    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(value), &value));
    CL_OK(clRetainKernel(kernel));
    CL_OK(clReleaseKernel(kernel));
    clt_run(t, kernel, 1, 1);
    CL_OK(clReleaseKernel(kernel));
    clt_read(t, buffer, 0, sizeof(value), &value);
    printf("after the release: %d\n", value);
    CHECK(value == 10);
    CL_OK(clReleaseMemObject(buffer));
}

static void refuse_bad_arguments(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "first");
    cl_kernel kernels[1] = {NULL};
    cl_kernel_work_group_info which = CL_KERNEL_WORK_GROUP_SIZE;
    cl_uint count = 0;
    char small[1];
    size_t size = 0;

    EXPECT(clGetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, 1, small, NULL), CL_INVALID_VALUE);
    EXPECT(clGetKernelInfo(kernel, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_VALUE);
    EXPECT(clGetKernelArgInfo(kernel, 7, CL_KERNEL_ARG_NAME, 0, NULL, &size), CL_INVALID_ARG_INDEX);
    EXPECT(clGetKernelArgInfo(kernel, 0, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_VALUE);
    EXPECT(clGetKernelArgInfo(kernel, 0, CL_KERNEL_ARG_NAME, 1, small, NULL), CL_INVALID_VALUE);
    EXPECT(clGetKernelWorkGroupInfo(kernel, t->device, which, 1, small, NULL), CL_INVALID_VALUE);
    EXPECT(clGetKernelWorkGroupInfo(kernel, t->device, CL_DEVICE_NAME, 0, NULL, &size),
           CL_INVALID_VALUE);
    EXPECT(clGetKernelWorkGroupInfo(kernel, t->device, CL_KERNEL_GLOBAL_WORK_SIZE, 0, NULL, &size),
           CL_INVALID_VALUE);
    EXPECT(clCreateKernelsInProgram(program, 1, kernels, &count), CL_INVALID_VALUE);
    EXPECT(clCreateKernelsInProgram(NULL, 0, NULL, &count), CL_INVALID_PROGRAM);
    CL_OK(clReleaseKernel(kernel));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    cl_program program = clt_build(&t, source, "-cl-kernel-arg-info");
    show_each(&t, program);
    create_all(program);
    if (t.version >= 210)
        clone(&t, program);
    outlive(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t, program);
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
