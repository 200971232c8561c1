/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NULL where a handle belongs, for every function that takes one first, and for some that take one
 * later. A loader may answer these itself; a program does not care who does.
 */
#include "cltest.h"

static const size_t zero[3] = {0, 0, 0};
static const size_t one[3] = {1, 1, 1};

static void devices_and_contexts(const struct clt *t)
{
    const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    cl_image_format format = {CL_RGBA, CL_UNORM_INT8};
    cl_image_desc desc;
    cl_uint count = 0;
    size_t size = 0;
    cl_int err;

    memset(&desc, 0, sizeof(desc));
    desc.image_type = CL_MEM_OBJECT_IMAGE2D;
    desc.image_width = 4;
    desc.image_height = 4;
    EXPECT(clGetDeviceInfo(NULL, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_DEVICE);
    EXPECT(clCreateSubDevices(NULL, equally, 0, NULL, &count), CL_INVALID_DEVICE);
    EXPECT(clRetainDevice(NULL), CL_INVALID_DEVICE);
    EXPECT(clReleaseDevice(NULL), CL_INVALID_DEVICE);
    EXPECT(clGetContextInfo(NULL, CL_CONTEXT_DEVICES, 0, NULL, &size), CL_INVALID_CONTEXT);
    EXPECT(clRetainContext(NULL), CL_INVALID_CONTEXT);
    EXPECT(clReleaseContext(NULL), CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateCommandQueue(NULL, t->device, 0, &err), CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateBuffer(NULL, 0, 4, NULL, &err), CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateImage(NULL, 0, &format, &desc, NULL, &err), CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateSampler(NULL, 0, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &err),
                     CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateUserEvent(NULL, &err), CL_INVALID_CONTEXT);
    EXPECT(clGetSupportedImageFormats(NULL, 0, CL_MEM_OBJECT_IMAGE2D, 0, NULL, &count),
           CL_INVALID_CONTEXT);
}

static void programs_and_kernels(const struct clt *t)
{
    size_t size = 0;
    cl_uint count = 0;
    cl_int err;

    EXPECT(clRetainProgram(NULL), CL_INVALID_PROGRAM);
    EXPECT(clReleaseProgram(NULL), CL_INVALID_PROGRAM);
    EXPECT(clBuildProgram(NULL, 0, NULL, NULL, NULL, NULL), CL_INVALID_PROGRAM);
    EXPECT(clCompileProgram(NULL, 0, NULL, NULL, 0, NULL, NULL, NULL, NULL), CL_INVALID_PROGRAM);
    EXPECT(clGetProgramInfo(NULL, CL_PROGRAM_SOURCE, 0, NULL, &size), CL_INVALID_PROGRAM);
    EXPECT(clGetProgramBuildInfo(NULL, t->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size),
           CL_INVALID_PROGRAM);
    EXPECT_NO_OBJECT(clCreateKernel(NULL, "name", &err), CL_INVALID_PROGRAM);
    EXPECT(clCreateKernelsInProgram(NULL, 0, NULL, &count), CL_INVALID_PROGRAM);
    EXPECT(clRetainKernel(NULL), CL_INVALID_KERNEL);
    EXPECT(clReleaseKernel(NULL), CL_INVALID_KERNEL);
    EXPECT(clSetKernelArg(NULL, 0, 4, &count), CL_INVALID_KERNEL);
    EXPECT(clGetKernelInfo(NULL, CL_KERNEL_NUM_ARGS, 0, NULL, &size), CL_INVALID_KERNEL);
    EXPECT(clGetKernelArgInfo(NULL, 0, CL_KERNEL_ARG_NAME, 0, NULL, &size), CL_INVALID_KERNEL);
    EXPECT(clGetKernelWorkGroupInfo(NULL, t->device, CL_KERNEL_WORK_GROUP_SIZE, 0, NULL, &size),
           CL_INVALID_KERNEL);
}

static void memory_and_events(void)
{
    const cl_buffer_region region = {0, 4};
    size_t size = 0;
    cl_event none = NULL;
    cl_int err;

    EXPECT(clRetainMemObject(NULL), CL_INVALID_MEM_OBJECT);
    EXPECT(clReleaseMemObject(NULL), CL_INVALID_MEM_OBJECT);
    EXPECT(clGetMemObjectInfo(NULL, CL_MEM_SIZE, 0, NULL, &size), CL_INVALID_MEM_OBJECT);
    EXPECT(clGetImageInfo(NULL, CL_IMAGE_WIDTH, 0, NULL, &size), CL_INVALID_MEM_OBJECT);
    EXPECT_NO_OBJECT(clCreateSubBuffer(NULL, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err),
                     CL_INVALID_MEM_OBJECT);
    EXPECT(clRetainSampler(NULL), CL_INVALID_SAMPLER);
    EXPECT(clReleaseSampler(NULL), CL_INVALID_SAMPLER);
    EXPECT(clGetSamplerInfo(NULL, CL_SAMPLER_CONTEXT, 0, NULL, &size), CL_INVALID_SAMPLER);
    EXPECT(clRetainEvent(NULL), CL_INVALID_EVENT);
    EXPECT(clReleaseEvent(NULL), CL_INVALID_EVENT);
    EXPECT(clGetEventInfo(NULL, CL_EVENT_CONTEXT, 0, NULL, &size), CL_INVALID_EVENT);
    EXPECT(clGetEventProfilingInfo(NULL, CL_PROFILING_COMMAND_END, 0, NULL, &size),
           CL_INVALID_EVENT);
    EXPECT(clSetUserEventStatus(NULL, CL_COMPLETE), CL_INVALID_EVENT);
    EXPECT(clWaitForEvents(1, &none), CL_INVALID_EVENT);
}

static void queues(const struct clt *t)
{
    cl_mem memory = clt_buffer(t, 0, 64, NULL);
    unsigned char host[64] = {0};
    size_t size = 0;
    cl_int err;

    EXPECT(clRetainCommandQueue(NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clReleaseCommandQueue(NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clGetCommandQueueInfo(NULL, CL_QUEUE_DEVICE, 0, NULL, &size), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clFlush(NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clFinish(NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueReadBuffer(NULL, memory, CL_TRUE, 0, 4, host, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueWriteBuffer(NULL, memory, CL_TRUE, 0, 4, host, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueReadBufferRect(NULL, memory, CL_TRUE, zero, zero, one, 0, 0, 0, 0, host, 0,
                                   NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueWriteBufferRect(NULL, memory, CL_TRUE, zero, zero, one, 0, 0, 0, 0, host, 0,
                                    NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueCopyBuffer(NULL, memory, memory, 0, 8, 4, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueCopyBufferRect(NULL, memory, memory, zero, one, one, 0, 0, 0, 0, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueFillBuffer(NULL, memory, host, 4, 0, 4, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueReadImage(NULL, memory, CL_TRUE, zero, one, 0, 0, host, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueWriteImage(NULL, memory, CL_TRUE, zero, one, 0, 0, host, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueCopyImage(NULL, memory, memory, zero, zero, one, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueCopyImageToBuffer(NULL, memory, memory, zero, one, 0, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueCopyBufferToImage(NULL, memory, memory, 0, zero, one, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueFillImage(NULL, memory, host, zero, one, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT_NO_OBJECT(
        clEnqueueMapBuffer(NULL, memory, CL_TRUE, CL_MAP_READ, 0, 4, 0, NULL, NULL, &err),
        CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueUnmapMemObject(NULL, memory, host, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueMigrateMemObjects(NULL, 1, &memory, 0, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueNDRangeKernel(NULL, NULL, 1, NULL, one, NULL, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueTask(NULL, NULL, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueMarkerWithWaitList(NULL, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueBarrierWithWaitList(NULL, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueBarrier(NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueMarker(NULL, NULL), CL_INVALID_COMMAND_QUEUE);
    CL_OK(clReleaseMemObject(memory));
}

/* A good queue, but no memory object behind it. */
static void memory_of_a_good_queue(const struct clt *t)
{
    cl_mem memory = clt_buffer(t, 0, 64, NULL);
    cl_command_queue queue = t->queue;
    unsigned char host[64] = {0};
    cl_int err;

    EXPECT(clEnqueueReadBuffer(queue, NULL, CL_TRUE, 0, 4, host, 0, NULL, NULL),
           CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueWriteBuffer(queue, NULL, CL_TRUE, 0, 4, host, 0, NULL, NULL),
           CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueReadBufferRect(queue, NULL, CL_TRUE, zero, zero, one, 0, 0, 0, 0, host, 0, NULL,
                                   NULL),
           CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueCopyBuffer(queue, NULL, memory, 0, 0, 4, 0, NULL, NULL), CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueCopyBuffer(queue, memory, NULL, 0, 0, 4, 0, NULL, NULL), CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueFillBuffer(queue, NULL, host, 4, 0, 4, 0, NULL, NULL), CL_INVALID_MEM_OBJECT);
    EXPECT_NO_OBJECT(
        clEnqueueMapBuffer(queue, NULL, CL_TRUE, CL_MAP_READ, 0, 4, 0, NULL, NULL, &err),
        CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueUnmapMemObject(queue, NULL, host, 0, NULL, NULL), CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueReadImage(queue, NULL, CL_TRUE, zero, one, 0, 0, host, 0, NULL, NULL),
           CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueFillImage(queue, NULL, host, zero, one, 0, NULL, NULL), CL_INVALID_MEM_OBJECT);
    /* The queue goes on working after all this. */
    clt_write(t, memory, 0, sizeof(host), host);
    CL_OK(clFinish(queue));
    CL_OK(clReleaseMemObject(memory));
}

static void since_2_0(const struct clt *t)
{
    unsigned char host[64] = {0};
    cl_int err;

    EXPECT_NO_OBJECT(clCreateCommandQueueWithProperties(NULL, t->device, NULL, &err),
                     CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreatePipe(NULL, 0, 4, 4, NULL, &err), CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateSamplerWithProperties(NULL, NULL, &err), CL_INVALID_CONTEXT);
    CHECK(clSVMAlloc(NULL, 0, 64, 0) == NULL);
    EXPECT(clSetKernelArgSVMPointer(NULL, 0, host), CL_INVALID_KERNEL);
    EXPECT(clSetKernelExecInfo(NULL, CL_KERNEL_EXEC_INFO_SVM_PTRS, 8, host), CL_INVALID_KERNEL);
    EXPECT(clEnqueueSVMFree(NULL, 0, NULL, NULL, NULL, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueSVMMemcpy(NULL, CL_TRUE, host, host + 32, 4, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueSVMMemFill(NULL, host, host, 4, 4, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueSVMMap(NULL, CL_TRUE, CL_MAP_READ, host, 4, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueSVMUnmap(NULL, host, 0, NULL, NULL), CL_INVALID_COMMAND_QUEUE);
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    if (!clt_validates(&t))
        clt_skip("the implementation trusts its callers");
    devices_and_contexts(&t);
    programs_and_kernels(&t);
    memory_and_events();
    queues(&t);
    memory_of_a_good_queue(&t);
    if (t.version >= 200)
        since_2_0(&t);
    clt_close(&t);
    return clt_done();
}
