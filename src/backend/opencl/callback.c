/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callbacks: the library calls one of ours, which sends the client's token and what the program's
 * function wants to know. Calls that may take one (contexts, builds, events, destructors) live
 * here.
 */
#include "backend/opencl/backend.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

#define MOST_TEXT 4096u

/* What the library hands back to us. */
struct notice {
    struct wh_worker *worker;
    cl_ulong token;
};

static struct notice *notice_for(struct wh_call *call, cl_ulong token)
{
    struct notice *notice = token ? malloc(sizeof(*notice)) : NULL;
    if (notice)
        *notice = (struct notice){.worker = call->worker, .token = token};
    return notice;
}

static void send(struct notice *notice, const void *payload, size_t size)
{
    struct wh_channel *channel = notice->worker->channel;
    channel->ops->push_upcall(channel, WH_UPCALL_CALLBACK, notice->token, payload, (uint32_t)size);
}

/* A notice that comes at most once. */
static void send_last(struct notice *notice, const void *payload, size_t size)
{
    send(notice, payload, size);
    free(notice);
}

/* An error in a context: the text, cut if need be; the private data stay here, they may hold
 * addresses. */
static void on_context_error(const char *text, const void *data, size_t size, void *user)
{
    char copy[MOST_TEXT] = "";
    (void)data;
    (void)size;
    if (text)
        strncpy(copy, text, sizeof(copy) - 1);
    send(user, copy, wh_round_up(strlen(copy) + 1, 8));
}

static void on_program(cl_program program, void *user)
{
    struct notice *notice = user;
    (void)program;
    wh_opencl_sync(notice->worker);
    wh_output_flush(notice->worker->output);
    send_last(notice, NULL, 0);
}

static void on_mem(cl_mem mem, void *user)
{
    (void)mem;
    send_last(user, NULL, 0);
}

static void on_context(cl_context context, void *user)
{
    (void)context;
    send_last(user, NULL, 0);
}

static void on_event(cl_event event, cl_int status, void *user)
{
    struct notice *notice = user;
    int64_t word = status;
    (void)event;
    wh_opencl_sync(notice->worker);
    wh_output_flush(notice->worker->output);
    send_last(notice, &word, sizeof(word));
}

static cl_int keep_or_free(cl_int result, struct notice *notice)
{
    if (result != CL_SUCCESS)
        free(notice);
    return result;
}

cl_context wh_opencl_do_create_context(struct wh_call *call,
                                       const cl_context_properties *properties, cl_uint num_devices,
                                       const cl_device_id *devices, cl_ulong notify,
                                       cl_int *errcode_ret)
{
    struct notice *notice =
        notice_for(call, notify); /* as long as the context, whose end nobody tells: kept */
    cl_context made = wh_opencl_state(call)->f.clCreateContext(
        properties, num_devices, devices, notice ? on_context_error : NULL, notice, errcode_ret);
    if (!made)
        free(notice);
    return made;
}

cl_context wh_opencl_do_create_context_from_type(struct wh_call *call,
                                                 const cl_context_properties *properties,
                                                 cl_device_type type, cl_ulong notify,
                                                 cl_int *errcode_ret)
{
    struct notice *notice = notice_for(call, notify);
    cl_context made = wh_opencl_state(call)->f.clCreateContextFromType(
        properties, type, notice ? on_context_error : NULL, notice, errcode_ret);
    if (!made)
        free(notice);
    return made;
}

cl_int wh_opencl_do_build_program(struct wh_call *call, cl_program program, cl_uint num_devices,
                                  const cl_device_id *devices, const char *options, cl_ulong notify)
{
    struct notice *notice = notice_for(call, notify);
    cl_int result = wh_opencl_state(call)->f.clBuildProgram(program, num_devices, devices, options,
                                                            notice ? on_program : NULL, notice);
    /* A failed build has called back all the same; one that was refused has not. */
    if (result != CL_SUCCESS && result != CL_BUILD_PROGRAM_FAILURE)
        free(notice);
    return result;
}

cl_int wh_opencl_do_compile_program(struct wh_call *call, cl_program program, cl_uint num_devices,
                                    const cl_device_id *devices, const char *options,
                                    cl_uint num_headers, const cl_program *headers,
                                    const char *const *names, cl_ulong notify)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    struct notice *notice = notice_for(call, notify);
    if (!state->f.clCompileProgram)
        return keep_or_free(CL_INVALID_OPERATION, notice);
    cl_int result = state->f.clCompileProgram(program, num_devices, devices, options, num_headers,
                                              headers, (const char **)(uintptr_t)names,
                                              notice ? on_program : NULL, notice);
    if (result != CL_SUCCESS && result != CL_COMPILE_PROGRAM_FAILURE)
        free(notice);
    return result;
}

cl_program wh_opencl_do_link_program(struct wh_call *call, cl_context context, cl_uint num_devices,
                                     const cl_device_id *devices, const char *options,
                                     cl_uint num_programs, const cl_program *programs,
                                     cl_int *errcode_ret)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (state->f.clLinkProgram)
        return state->f.clLinkProgram(context, num_devices, devices, options, num_programs,
                                      programs, NULL, NULL, errcode_ret);
    if (errcode_ret)
        *errcode_ret = CL_INVALID_OPERATION;
    return NULL;
}

cl_int wh_opencl_do_set_event_callback(struct wh_call *call, cl_event event, cl_int when,
                                       cl_ulong notify)
{
    struct notice *notice = notice_for(call, notify);
    if (!notice)
        return CL_OUT_OF_HOST_MEMORY;
    return keep_or_free(wh_opencl_state(call)->f.clSetEventCallback(event, when, on_event, notice),
                        notice);
}

/*
 * Two markers around the client's work: behind the first the client is told, the second waits for
 * the gate. In an in-order queue everything after waits too; the first marker's callback comes when
 * all before is complete.
 */
cl_int wh_opencl_do_native_kernel(struct wh_call *call, cl_command_queue queue, cl_ulong notify,
                                  cl_uint num_events, const cl_event *events, cl_event *gate,
                                  cl_event *event)
{
    const struct wh_opencl_functions_table *f = &wh_opencl_state(call)->f;
    struct notice *notice = notice_for(call, notify);
    cl_context context = NULL;
    cl_event before = NULL;
    cl_int result =
        f->clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(context), &context, NULL);
    if (result != CL_SUCCESS || !notice || !gate)
        return keep_or_free(result != CL_SUCCESS ? result : CL_OUT_OF_HOST_MEMORY, notice);
    result = f->clEnqueueMarkerWithWaitList(queue, num_events, events, &before);
    if (result != CL_SUCCESS)
        return keep_or_free(result, notice);
    *gate = f->clCreateUserEvent(context, &result);
    if (*gate)
        result = f->clEnqueueMarkerWithWaitList(queue, 1, gate, event);
    if (result == CL_SUCCESS)
        result = f->clSetEventCallback(before, CL_COMPLETE, on_event, notice);
    if (result == CL_SUCCESS)
        f->clFlush(queue);
    f->clReleaseEvent(before);
    return keep_or_free(result, notice);
}

cl_int wh_opencl_do_set_mem_callback(struct wh_call *call, cl_mem mem, cl_ulong notify)
{
    struct notice *notice = notice_for(call, notify);
    if (!notice)
        return CL_OUT_OF_HOST_MEMORY;
    return keep_or_free(
        wh_opencl_state(call)->f.clSetMemObjectDestructorCallback(mem, on_mem, notice), notice);
}

cl_int wh_opencl_do_set_context_callback(struct wh_call *call, cl_context context, cl_ulong notify)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    struct notice *notice = notice_for(call, notify);
    if (!notice)
        return CL_OUT_OF_HOST_MEMORY;
    if (!state->f.clSetContextDestructorCallback)
        return keep_or_free(CL_INVALID_OPERATION, notice);
    return keep_or_free(state->f.clSetContextDestructorCallback(context, on_context, notice),
                        notice);
}

cl_int wh_opencl_do_set_program_callback(struct wh_call *call, cl_program program, cl_ulong notify)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    struct notice *notice = notice_for(call, notify);
    if (!notice)
        return CL_OUT_OF_HOST_MEMORY;
    if (!state->f.clSetProgramReleaseCallback)
        return keep_or_free(CL_INVALID_OPERATION, notice);
    return keep_or_free(state->f.clSetProgramReleaseCallback(program, on_program, notice), notice);
}
