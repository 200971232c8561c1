/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fine-grained shared virtual memory: no maps, pointers inside structures announced through kernel
 * exec info, and what a kernel wrote is there after a finish.
 */
#include "cltest.h"

#define COUNT 256

struct table {
    cl_int *columns[4];
    cl_int rows;
};

static const char source[] = "typedef struct { global int *columns[4]; int rows; } table;\n"
                             "kernel void sum(global table *t, global int *out)\n"
                             "{\n"
                             "    size_t i = get_global_id(0);\n"
                             "    int total = 0;\n"
                             "    for (int c = 0; c < 4; c++)\n"
                             "        total += t->columns[c][i];\n"
                             "    out[i] = total;\n"
                             "    t->columns[0][i] = -total;\n"
                             "}\n"
                             "kernel void count(global int *a) { a[get_global_id(0)] += 1; }\n";

static void *allocate(const struct clt *t, size_t size)
{
    void *p = clSVMAlloc(t->context, CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER, size, 0);

    if (!CHECK(p != NULL))
        exit(clt_done());
    return p;
}

static void reach_through_pointers(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "sum");
    struct table *table = allocate(t, sizeof(*table));
    cl_int *out = allocate(t, COUNT * sizeof(*out));
    cl_int *columns[4];
    unsigned wrong = 0;

    table->rows = COUNT;
    for (int c = 0; c < 4; c++) {
        columns[c] = allocate(t, COUNT * sizeof(cl_int));
        table->columns[c] = columns[c];
        for (int i = 0; i < COUNT; i++)
            columns[c][i] = i * (c + 1);
    }
    CL_OK(clSetKernelArgSVMPointer(kernel, 0, table));
    CL_OK(clSetKernelArgSVMPointer(kernel, 1, out));
    CL_OK(clSetKernelExecInfo(kernel, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof(columns), columns));
    clt_run(t, kernel, COUNT, 0);
    CL_OK(clFinish(t->queue));
    for (int i = 0; i < COUNT; i++)
        wrong += out[i] != 10 * i || columns[0][i] != -10 * i;
    printf("through pointers: %d %d, %u wrong\n", out[1], columns[0][COUNT - 1], wrong);
    CHECK(wrong == 0);
    cl_bool system = CL_FALSE;
    SHOW(clSetKernelExecInfo(kernel, CL_KERNEL_EXEC_INFO_SVM_FINE_GRAIN_SYSTEM, sizeof(system),
                             &system));
    SHOW(clSetKernelExecInfo(kernel, 0x7777, sizeof(system), &system));
    for (int c = 0; c < 4; c++)
        clSVMFree(t->context, columns[c]);
    clSVMFree(t->context, out);
    clSVMFree(t->context, table);
    CL_OK(clReleaseKernel(kernel));
}

/* Program and kernel take turns on the same memory without a map in between. */
static void take_turns(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "count");
    cl_int *data = allocate(t, COUNT * sizeof(*data));

    for (int i = 0; i < COUNT; i++)
        data[i] = i;
    CL_OK(clSetKernelArgSVMPointer(kernel, 0, data));
    for (int round = 0; round < 50; round++) {
        clt_run(t, kernel, COUNT, 0);
        CL_OK(clFinish(t->queue));
        data[round] += 1000;
    }
    unsigned wrong = 0;
    for (int i = 0; i < COUNT; i++)
        wrong += data[i] != i + 50 + (i < 50 ? 1000 : 0);
    printf("in turns: %d %d, %u wrong\n", data[0], data[COUNT - 1], wrong);
    CHECK(wrong == 0);
    clSVMFree(t->context, data);
    CL_OK(clReleaseKernel(kernel));
}

int main(void)
{
    struct clt t;
    cl_device_svm_capabilities capabilities = 0;

    clt_open(&t);
    clt_need_version(&t, 200);
    CL_OK(clGetDeviceInfo(t.device, CL_DEVICE_SVM_CAPABILITIES, sizeof(capabilities), &capabilities,
                          NULL));
    if (!(capabilities & CL_DEVICE_SVM_FINE_GRAIN_BUFFER))
        clt_skip("the device has no fine-grained shared virtual memory");
    cl_program program = clt_build(&t, source, NULL);
    reach_through_pointers(&t, program);
    take_turns(&t, program);
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
