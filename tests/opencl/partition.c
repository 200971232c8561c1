/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sub-devices: partition equally and by counts, their info, contexts and work on them, reference
 * counts, and errors.
 */
#include "cltest.h"

static const char source[] = "kernel void add(global uint *data, uint amount)\n"
                             "{\n"
                             "    data[get_global_id(0)] += amount;\n"
                             "}\n";

static void show_sub_device(const struct clt *t, cl_device_id sub)
{
    cl_device_id parent = NULL;
    cl_uint units = 0;
    cl_uint references = 0;
    cl_device_partition_property type[8] = {0};
    size_t size = 0;

    CL_OK(clGetDeviceInfo(sub, CL_DEVICE_PARENT_DEVICE, sizeof(parent), &parent, NULL));
    CL_OK(clGetDeviceInfo(sub, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(units), &units, NULL));
    CL_OK(clGetDeviceInfo(sub, CL_DEVICE_REFERENCE_COUNT, sizeof(references), &references, NULL));
    CL_OK(clGetDeviceInfo(sub, CL_DEVICE_PARTITION_TYPE, sizeof(type), type, &size));
    CHECK(parent == t->device);
    printf("  sub-device: units %u references %u partition type %zu bytes %#llx %lld\n", units,
           references, size, (unsigned long long)type[0], (long long)type[1]);
}

static void work_on(cl_device_id sub, cl_uint amount)
{
    struct clt t = {.device = sub};
    cl_uint words[64] = {0};
    cl_int err;

    t.context = clCreateContext(NULL, 1, &sub, NULL, NULL, &err);
    CL_OK(err);
    t.queue = clt_queue(&t, 0);
    cl_kernel kernel = clt_build_kernel(&t, source, "add");
    cl_mem buffer = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, sizeof(words), words);
    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    clt_run(&t, kernel, 64, 0);
    clt_read(&t, buffer, 0, sizeof(words), words);
    printf("  work: %u %u\n", words[0], words[63]);
    CHECK(words[0] == amount && words[63] == amount);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseKernel(kernel));
    clt_close(&t);
}

static void partition(const struct clt *t, const char *what,
                      const cl_device_partition_property *how)
{
    cl_device_id subs[16] = {NULL};
    cl_uint count = 0;
    cl_int err = clCreateSubDevices(t->device, how, 0, NULL, &count);

    printf("%s: %s", what, clt_error_name(err));
    printf(err == CL_SUCCESS ? ", %u sub-devices\n" : "\n", count);
    if (err != CL_SUCCESS || count > CLT_COUNT(subs))
        return;
    CL_OK(clCreateSubDevices(t->device, how, count, subs, NULL));
    for (cl_uint i = 0; i < count; i++) {
        show_sub_device(t, subs[i]);
        CL_OK(clRetainDevice(subs[i]));
        CL_OK(clReleaseDevice(subs[i]));
        /* A device that worked is kept: some implementations' threads look at it once more. */
        if (i == 0)
            work_on(subs[i], 10);
        else
            CL_OK(clReleaseDevice(subs[i]));
    }
}

static void refuse_bad_arguments(const struct clt *t)
{
    const cl_device_partition_property zero[] = {CL_DEVICE_PARTITION_EQUALLY, 0, 0};
    const cl_device_partition_property huge[] = {CL_DEVICE_PARTITION_EQUALLY, 100000, 0};
    const cl_device_partition_property unknown[] = {0x7777, 1, 0};
    const cl_device_partition_property good[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    cl_uint count = 0;

    EXPECT(clCreateSubDevices(NULL, good, 0, NULL, &count), CL_INVALID_DEVICE);
    EXPECT(clCreateSubDevices(t->device, NULL, 0, NULL, &count), CL_INVALID_VALUE);
    EXPECT(clCreateSubDevices(t->device, unknown, 0, NULL, &count), CL_INVALID_VALUE);
    SHOW(clCreateSubDevices(t->device, zero, 0, NULL, &count));
    SHOW(clCreateSubDevices(t->device, huge, 0, NULL, &count));
}

int main(void)
{
    struct clt t;
    cl_uint units = 0;
    cl_uint limit = 0;

    clt_open(&t);
    CL_OK(clGetDeviceInfo(t.device, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, sizeof(limit), &limit,
                          NULL));
    CL_OK(clGetDeviceInfo(t.device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(units), &units, NULL));
    if (limit < 2 || units < 2)
        clt_skip("the device cannot be partitioned");
    const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY,
                                                    (cl_device_partition_property)(units / 2), 0};
    const cl_device_partition_property by_counts[] = {CL_DEVICE_PARTITION_BY_COUNTS, 1, 1,
                                                      CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};
    const cl_device_partition_property domain[] = {CL_DEVICE_PARTITION_BY_AFFINITY_DOMAIN,
                                                   CL_DEVICE_AFFINITY_DOMAIN_NUMA, 0};
    partition(&t, "equally", equally);
    partition(&t, "by counts", by_counts);
    partition(&t, "by domain", domain);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    clt_close(&t);
    return clt_done();
}
