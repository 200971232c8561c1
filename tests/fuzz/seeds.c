/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the fuzzer's seeds: runs small OpenCL programs through the client's marshaller and a worker
 * over the fake OpenCL, both in this process, and writes down the messages of each. Usage: seeds
 * FOLDER
 */
#include "harness.h"
#include "still.h"

#include "base/util.h"
#include "client/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_RECORD (256u << 10)

/* ---- a channel that records and carries out at once ---- */

static struct {
    struct wh_channel channel;
    struct harness harness;
    struct wh_session *session;
    uint8_t *at;
    uint8_t record[MOST_RECORD];
    const char *program;
} run;

static void *begin(struct wh_channel *channel, uint32_t size)
{
    (void)channel;
    if (run.at + size > run.record + MOST_RECORD)
        abort();
    return run.at;
}

static void commit(struct wh_channel *channel)
{
    const struct wh_message *message = (const struct wh_message *)(void *)run.at;
    const char *fault = harness_dispatch(&run.harness, message);
    (void)channel;
    run.at += message->size;
    if (fault) {
        (void)fprintf(stderr, "%s: %s: %s\n", run.program, wh_opencl_api.calls[message->call].name,
                      fault);
        exit(EXIT_FAILURE);
    }
}

static int await(struct wh_channel *channel, uint32_t slot, bool slow, struct wh_reply *reply)
{
    (void)channel;
    (void)slot;
    (void)slow;
    *reply =
        (struct wh_reply){.bytes = run.harness.memory.slot, .size = run.harness.memory.reply_size};
    return 0;
}

static int await_token(struct wh_channel *channel, uint32_t token)
{
    (void)channel;
    (void)token;
    return 0;
}

static _Atomic uint32_t *token(struct wh_channel *channel, uint32_t number)
{
    (void)channel;
    return &run.harness.memory.tokens[number];
}

static const struct wh_channel_ops recorder = {
    .name = "recorder",
    .begin = begin,
    .commit = commit,
    .take_slot = still_take_slot,
    .put_slot = still_put_slot,
    .await = await,
    .await_token = await_token,
    .take_upcall = still_take_upcall,
    .upcall_mark = still_upcall_mark,
    .listen = still_listen,
    .token = token,
};

/* ---- calls as a program makes them ---- */

/* The number of arguments is checked: the description may have changed since this was written. */
static uint64_t invoke(uint16_t number, uint64_t *a, size_t count)
{
    const struct wh_call_desc *call = &wh_opencl_api.calls[number];
    if (count != call->nparams) {
        (void)fprintf(stderr, "%s: %s takes %u arguments, not %zu\n", run.program, call->name,
                      call->nparams, count);
        exit(EXIT_FAILURE);
    }
    if (call->flags & WH_CALL_RETAIN)
        return wh_client_retain(run.session, call, a);
    if (call->flags & WH_CALL_RELEASE)
        return wh_client_release(run.session, call, a);
    return wh_client_call(run.session, call, a);
}

#define W(x) ((uint64_t)(uintptr_t)(x))
#define CALL(NAME, ...)                                                  \
    invoke(WH_OPENCL_##NAME, (uint64_t[WH_MAX_PARAMS + 1]){__VA_ARGS__}, \
           sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

struct host {
    uint64_t platform, devices[2], context, queue;
    int32_t error;
};

static void start(struct host *host)
{
    uint32_t n = 0;
    char text[64];
    size_t size;
    CALL(clGetPlatformIDs, 1, W(&host->platform), W(&n));
    CALL(clGetPlatformInfo, host->platform, CL_PLATFORM_NAME, sizeof(text), W(text), W(&size));
    CALL(clGetPlatformInfo, host->platform, CL_PLATFORM_EXTENSIONS, sizeof(text), W(text),
         W(&size));
    CALL(clGetDeviceIDs, host->platform, CL_DEVICE_TYPE_ALL, 2, W(host->devices), W(&n));
    CALL(clGetDeviceInfo, host->devices[0], CL_DEVICE_EXTENSIONS, sizeof(text), W(text), 0);
    CALL(clGetDeviceInfo, host->devices[0], CL_DEVICE_PLATFORM, 8, W(text), 0);
    uint64_t properties[] = {CL_CONTEXT_PLATFORM, host->platform, 0};
    host->context =
        CALL(wh_create_context, W(properties), 2, W(host->devices), 77, W(&host->error));
    host->queue = CALL(clCreateCommandQueue, host->context, host->devices[0], 0, W(&host->error));
}

static void end(struct host *host)
{
    CALL(clFinish, host->queue);
    CALL(clReleaseCommandQueue, host->queue);
    CALL(clReleaseContext, host->context);
}

static void buffers(struct host *host)
{
    static uint8_t bytes[30000];
    uint64_t event = 0, list[2], properties[] = {CL_QUEUE_PROPERTIES, 1, 0};
    size_t region[2] = {64, 128};
    uint64_t queue =
        CALL(clCreateCommandQueueWithProperties, host->context, host->devices[1], W(properties), 0);
    uint64_t a = CALL(wh_create_buffer, host->context, 1, 4096, W(&host->error));
    uint64_t b = CALL(wh_create_shared_buffer, host->context, 1, 4096, 4096, 5, W(&host->error));
    uint64_t c = CALL(wh_create_filled_buffer, host->context, 1, 8192, 0, W(&host->error));
    uint64_t part =
        CALL(clCreateSubBuffer, b, 1, CL_BUFFER_CREATE_TYPE_REGION, W(region), W(&host->error));
    CALL(wh_write_small, host->queue, a, 0, 512, W(bytes), 0, 0, 0, W(&list[0]));
    CALL(wh_write_buffer, host->queue, a, 0, 4096, 16384, 3, 0, 1, W(list), W(&list[1]));
    CALL(wh_read_buffer, host->queue, c, 0, 4096, 32768, 4, 0, 2, W(list), W(&event));
    CALL(wh_read_small, host->queue, a, 0, 512, W(bytes), 1, W(&event), 0);
    CALL(clEnqueueCopyBuffer, host->queue, a, c, 0, 64, 1024, 0, 0, 0);
    CALL(clEnqueueFillBuffer, host->queue, a, W("abcd"), 4, 0, 1024, 0, 0, 0);
    CALL(wh_map_buffer, host->queue, b, 1, 3, 0, 4096, 6, 0, 0, 0);
    CALL(wh_unmap_buffer, host->queue, b, 4096, 0, 0, 0);
    size_t origin[3] = {0}, size[3] = {16, 4, 2};
    CALL(wh_read_rect, queue, a, W(origin), W(size), 0, 0, 128, 65536, 7, 1, 0, 0, 0);
    CALL(wh_write_rect, queue, a, W(origin), W(size), 32, 256, 128, 65536, 8, 0, 0, 0, 0);
    CALL(clEnqueueCopyBufferRect, queue, a, c, W(origin), W(origin), W(size), 0, 0, 0, 0, 0, 0, 0);
    CALL(clEnqueueMigrateMemObjects, queue, 1, W(&a), 0, 0, 0, 0);
    CALL(wh_set_mem_callback, c, 31);
    CALL(clGetMemObjectInfo, part, CL_MEM_ASSOCIATED_MEMOBJECT, 8, W(bytes), 0);
    CALL(clGetMemObjectInfo, a, CL_MEM_CONTEXT, 8, W(bytes), 0);
    CALL(clWaitForEvents, 1, W(&event));
    CALL(clReleaseEvent, list[0]);
    CALL(clReleaseEvent, list[1]);
    CALL(clReleaseEvent, event);
    CALL(clRetainMemObject, part);
    CALL(clReleaseMemObject, part);
    CALL(clReleaseMemObject, part);
    CALL(clReleaseMemObject, a);
    CALL(clReleaseMemObject, b);
    CALL(clReleaseMemObject, c);
    CALL(clReleaseCommandQueue, queue);
}

static void images(struct host *host)
{
    cl_image_format format = {.image_channel_order = CL_RGBA,
                              .image_channel_data_type = CL_UNORM_INT8};
    cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 16, .image_height = 8};
    size_t origin[3] = {0}, region[3] = {16, 8, 1};
    uint32_t color[4] = {1, 2, 3, 4};
    uint64_t word;
    uint64_t a = CALL(wh_create_image, host->context, 1, W(&format), W(&desc), W(&host->error));
    desc.image_row_pitch = 80;
    uint64_t b = CALL(wh_create_filled_image, host->context, 1, W(&format), W(&desc), 640, 0,
                      W(&host->error));
    uint64_t buffer = CALL(wh_create_buffer, host->context, 1, 4096, W(&host->error));
    CALL(clGetImageInfo, a, CL_IMAGE_WIDTH, 8, W(&word), 0);
    CALL(wh_read_image, host->queue, a, W(origin), W(region), 0, 0, 512, 0, 9, 1, 0, 0, 0);
    CALL(wh_write_image, host->queue, b, W(origin), W(region), 72, 0, 576, 1024, 10, 0, 0, 0, 0);
    CALL(clEnqueueCopyImage, host->queue, a, b, W(origin), W(origin), W(region), 0, 0, 0);
    CALL(clEnqueueFillImage, host->queue, a, W(color), W(origin), W(region), 0, 0, 0);
    CALL(clEnqueueCopyImageToBuffer, host->queue, a, buffer, W(origin), W(region), 0, 0, 0, 0);
    CALL(clEnqueueCopyBufferToImage, host->queue, buffer, b, 0, W(origin), W(region), 0, 0, 0);
    uint64_t sampler = CALL(clCreateSampler, host->context, 0, 0, 0, W(&host->error));
    CALL(clGetSamplerInfo, sampler, CL_SAMPLER_CONTEXT, 8, W(&word), 0);
    uint64_t pipe = CALL(wh_create_pipe, host->context, 0, 16, 4, W(&host->error));
    CALL(clReleaseMemObject, pipe);
    CALL(clReleaseSampler, sampler);
    CALL(clReleaseMemObject, buffer);
    CALL(clReleaseMemObject, a);
    CALL(clReleaseMemObject, b);
}

static void programs(struct host *host)
{
    static const char source[] =
        "kernel void k(global float *a, int b, sampler_t c, long d, local float *e) {}";
    const char *names[] = {"a.h"};
    uint64_t kernels[2] = {0}, word, devices = host->devices[0];
    size_t sizes[2] = {40, 40}, length = sizeof(source) - 1;
    uint8_t binaries[80];
    int32_t results[2];
    uint32_t n;
    char text[64];
    uint64_t p = CALL(wh_create_program, host->context, length, W(source), W(&host->error));
    CALL(wh_set_program_callback, p, 12);
    CALL(wh_build_program, p, 1, W(&devices), W("-cl-opt"), 13);
    CALL(clGetProgramBuildInfo, p, devices, CL_PROGRAM_BUILD_LOG, sizeof(text), W(text), 0);
    CALL(clGetProgramInfo, p, CL_PROGRAM_DEVICES, 16, W(binaries), W(&length));
    CALL(wh_program_binaries, p, 2, W(sizes), 80, W(binaries));
    uint64_t loaded = CALL(wh_create_program_binary, host->context, 2, W(host->devices), W(sizes),
                           80, W(binaries), W(results), 0);
    uint64_t il = CALL(wh_create_program_il, host->context, 40, W(binaries), W(&host->error));
    CALL(wh_compile_program, il, 0, 0, 0, 1, W(&p), W(names), 14);
    uint64_t linked = CALL(wh_link_program, host->context, 0, 0, 0, 1, W(&il), W(&host->error));
    CALL(clSetProgramSpecializationConstant, il, 1, 4, W(text));
    uint64_t k = CALL(clCreateKernel, p, W("k"), W(&host->error));
    CALL(clCreateKernelsInProgram, p, 2, W(kernels), W(&n));
    uint64_t clone = CALL(clCloneKernel, k, W(&host->error));
    CALL(clGetKernelInfo, k, CL_KERNEL_PROGRAM, 8, W(&word), 0);
    CALL(clGetKernelArgInfo, k, 0, CL_KERNEL_ARG_TYPE_NAME, sizeof(text), W(text), 0);
    CALL(clReleaseKernel, clone);
    CALL(clReleaseKernel, kernels[0]);
    CALL(clReleaseKernel, kernels[1]);
    CALL(clReleaseKernel, k);
    CALL(clReleaseProgram, linked);
    CALL(clReleaseProgram, loaded);
    CALL(clReleaseProgram, il);
    CALL(clReleaseProgram, p);
}

static void kernels(struct host *host)
{
    size_t global[3] = {64, 2, 1}, local[3] = {8, 1, 1};
    uint64_t number = 0x1234, event = 0;
    uint64_t p = CALL(wh_create_program, host->context, 8, W("kernel k"), W(&host->error));
    CALL(wh_build_program, p, 0, 0, 0, 0);
    uint64_t k = CALL(clCreateKernel, p, W("k"), W(&host->error));
    uint64_t mem = CALL(wh_create_buffer, host->context, 1, 4096, W(&host->error));
    uint64_t sampler = CALL(clCreateSampler, host->context, 0, 0, 0, W(&host->error));
    CALL(wh_set_arg_mem, k, 0, mem);
    CALL(wh_set_arg_bytes, k, 1, 4, W(&number));
    CALL(wh_set_arg_sampler, k, 2, sampler);
    CALL(wh_set_arg_bytes, k, 3, 8, W(&number));
    CALL(wh_set_arg_bytes, k, 4, 256, 0);
    CALL(clEnqueueNDRangeKernel, host->queue, k, 3, 0, W(global), W(local), 0, 0, W(&event));
    CALL(clEnqueueTask, host->queue, k, 1, W(&event), 0);
    CALL(clGetKernelSuggestedLocalWorkSizeKHR, host->queue, k, 2, 0, W(global), W(local));
    CALL(wh_set_event_callback, event, CL_COMPLETE, 21);
    CALL(clEnqueueMarkerWithWaitList, host->queue, 1, W(&event), 0);
    CALL(clEnqueueBarrierWithWaitList, host->queue, 0, 0, 0);
    CALL(clFlush, host->queue);
    CALL(clGetEventInfo, event, CL_EVENT_COMMAND_QUEUE, 8, W(&number), 0);
    CALL(clGetEventProfilingInfo, event, CL_PROFILING_COMMAND_END, 8, W(&number), 0);
    uint64_t user = CALL(clCreateUserEvent, host->context, W(&host->error));
    CALL(wh_set_event_callback, user, CL_COMPLETE, 22);
    CALL(clSetUserEventStatus, user, 0);
    CALL(clReleaseEvent, user);
    CALL(clReleaseEvent, event);
    CALL(clReleaseProgram, p);
    CALL(clReleaseSampler, sampler);
    CALL(clReleaseMemObject, mem);
    CALL(clReleaseKernel, k);
}

static void shared_memory(struct host *host)
{
    uint64_t address[2] = {0}, event = 0, queue = host->queue;
    uint32_t shared;
    size_t size = 256;
    uint64_t gpu = CALL(wh_create_context_from_type, 0, CL_DEVICE_TYPE_GPU, 0, W(&host->error));
    CALL(wh_context_storage, gpu, W(&shared));
    CALL(wh_context_storage, host->context, W(&shared));
    CALL(wh_svm_allocate, gpu, 1, 4096, 0, 0, W(&address[0]), W(&shared));
    CALL(wh_svm_allocate, gpu, 1, 8192, 64, 8192, W(&address[1]), W(&shared));
    CALL(wh_svm_copy, queue, 1, address[0], address[1], size, 0, 0, 0);
    CALL(wh_svm_write, queue, address[0], size, 4096, 1, 0, 0, 0, W(&event));
    CALL(wh_svm_read, queue, address[0], size, 4096, 2, 0, 1, W(&event), 0);
    CALL(wh_svm_fill, queue, address[1], 4, W("abcd"), 64, 0, 0, 0);
    CALL(wh_svm_map, queue, 1, 3, address[0], size, 0, 0, 0);
    CALL(wh_svm_unmap, queue, address[0], 0, 0, 0);
    uint64_t over = CALL(wh_create_svm_buffer, gpu, 1, 1024, address[0], W(&host->error));
    CALL(wh_map_buffer, queue, over, 1, 3, 0, 1024, WH_NO_TOKEN, 0, 0, 0);
    CALL(wh_unmap_svm_buffer, queue, over, address[0], 0, 0, 0);
    CALL(clReleaseMemObject, over);
    CALL(wh_svm_migrate, queue, 2, W(address), 0, 0, 0, 0, 0);
    CALL(wh_svm_enqueue_free, queue, 1, W(&address[0]), 0, 0, 0, 0);
    CALL(clFinish, queue);
    CALL(wh_svm_free, gpu, address[1]);
    uint64_t cpu = CALL(wh_create_context, 0, 1, W(&host->devices[0]), 0, W(&host->error));
    CALL(wh_svm_allocate, cpu, 1, 4096, 0, 4096, W(&address[0]), W(&shared));
    CALL(wh_set_context_callback, cpu, 44);
    CALL(wh_svm_free, cpu, address[0]);
    CALL(clReleaseEvent, event);
    CALL(clReleaseContext, cpu);
    CALL(clReleaseContext, gpu);
}

static void devices(struct host *host)
{
    uint64_t parts[2] = {0}, word, words[] = {CL_DEVICE_PARTITION_EQUALLY, 4, 0};
    uint32_t n;
    CALL(wh_has_function, host->platform, W("clEnqueueCommandBufferKHR"));
    CALL(wh_create_sub_devices, host->devices[0], 3, W(words), 2, W(parts), W(&n));
    CALL(clGetDeviceInfo, parts[0], CL_DEVICE_PARENT_DEVICE, 8, W(&word), 0);
    uint64_t context = CALL(wh_create_context, 0, 2, W(parts), 0, W(&host->error));
    CALL(clRetainDevice, parts[0]);
    CALL(clReleaseDevice, parts[0]);
    CALL(clReleaseDevice, parts[0]);
    CALL(clGetContextInfo, context, CL_CONTEXT_DEVICES, 16, W(parts), 0);
    CALL(clReleaseContext, context);
    CALL(clReleaseDevice, host->devices[0]);
    uint64_t commands = CALL(clCreateCommandBufferKHR, 1, W(&host->queue), 0, W(&host->error));
    CALL(clFinalizeCommandBufferKHR, commands);
    CALL(wh_enqueue_command_buffer, 0, 0, commands, 0, 0, 0);
    CALL(clGetCommandBufferInfoKHR, commands, CL_COMMAND_BUFFER_QUEUES_KHR, 8, W(&word), 0);
    CALL(clReleaseCommandBufferKHR, commands);
}

static void forget_nothing(struct wh_session *session, uint64_t number, const uint64_t *words,
                           size_t nwords)
{
    (void)session;
    (void)number;
    (void)words;
    (void)nwords;
}

static const struct wh_shim shim = {.api = &wh_opencl_api, .callback = forget_nothing};

static void open_session(void)
{
    struct wh_error error = {0};
    harness_open(&run.harness);
    run.at = run.record;
    run.channel = (struct wh_channel){.ops = &recorder,
                                      .arena = run.harness.arena,
                                      .arena_size = HARNESS_ARENA,
                                      .arena_fd = -1,
                                      .slot_room = WH_SLOT_ROOM};
    run.session = wh_session_over(&shim, &run.channel, &error);
    if (!run.session)
        abort();
}

static void save(const char *folder)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, run.program);
    FILE *file = fopen(path, "wb");
    size_t size = (size_t)(run.at - run.record);
    if (!file || fwrite(run.record, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*body)(struct host *host);
    } all[] = {{"buffers", buffers}, {"images", images},     {"programs", programs},
               {"kernels", kernels}, {"svm", shared_memory}, {"devices", devices}};
    if (argc != 2) {
        (void)fprintf(stderr, "usage: seeds FOLDER\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct host host = {0};
        run.program = all[i].name;
        open_session();
        start(&host);
        all[i].body(&host);
        end(&host);
        save(argv[1]);
        harness_close(&run.harness);
    }
    return 0;
}
