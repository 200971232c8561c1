/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts and sub-devices. */
#include "shim/opencl/shim.h"

#include <stdlib.h>

/* Gives a new context its state. */
static cl_context finish(cl_context context, uint64_t token)
{
    struct wh_object *object = (struct wh_object *)(void *)context;
    if (!object) {
        wh_opencl_notice_cancel(token);
        return NULL;
    }
    struct wh_cl_context *state = calloc(1, sizeof(*state));
    if (state) {
        atomic_init(&state->storage, -1);
        state->token = token;
    }
    object->extra = state;
    return context;
}

struct wh_cl_context *wh_opencl_context(cl_context context)
{
    struct wh_object *object = wh_opencl_object(context, WH_OPENCL_TYPE_cl_context);
    return object ? object->extra : NULL;
}

static uint64_t token_for(cl_context_callback notify, void *user_data)
{
    struct wh_cl_notice notice = {
        .kind = WH_CL_NOTICE_CONTEXT, .function = (void (*)(void))notify, .user = user_data};
    uint64_t token = notify && wh_opencl_session() ? wh_opencl_notice_add(&notice, false) : 0;
    if (token)
        wh_news_ready(wh_opencl_session());
    return token;
}

WH_EXPORT cl_context clCreateContext(const cl_context_properties *properties, cl_uint num_devices,
                                     const cl_device_id *devices, cl_context_callback notify,
                                     void *user_data, cl_int *errcode_ret)
{
    if (!notify && user_data)
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    uint64_t token = token_for(notify, user_data);
    return finish(
        wh_opencl_call_create_context(properties, num_devices, devices, token, errcode_ret), token);
}

WH_EXPORT cl_context clCreateContextFromType(const cl_context_properties *properties,
                                             cl_device_type device_type, cl_context_callback notify,
                                             void *user_data, cl_int *errcode_ret)
{
    if (!notify && user_data)
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    uint64_t token = token_for(notify, user_data);
    return finish(
        wh_opencl_call_create_context_from_type(properties, device_type, token, errcode_ret),
        token);
}

/*
 * A partition list ends with 0; one by counts holds a list of its own that ends with
 * CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, which is 0 too (OpenCL 3.0, table 8).
 */
static cl_uint words_of(const cl_device_partition_property *properties)
{
    cl_uint n = 0;
    if (properties[0] == CL_DEVICE_PARTITION_BY_COUNTS)
        while (properties[n])
            n++;
    while (properties[n])
        n++;
    if (properties[0] == CL_DEVICE_PARTITION_BY_COUNTS)
        n++;
    return n + 1;
}

WH_EXPORT cl_int clCreateSubDevices(cl_device_id device,
                                    const cl_device_partition_property *properties,
                                    cl_uint num_devices, cl_device_id *devices,
                                    cl_uint *num_devices_ret)
{
    cl_uint n = properties ? words_of(properties) : 0;
    return wh_opencl_call_create_sub_devices(device, n, properties, num_devices, devices,
                                             num_devices_ret);
}

WH_EXPORT cl_int clCreateSubDevicesEXT(cl_device_id device,
                                       const cl_device_partition_property_ext *properties,
                                       cl_uint num_entries, cl_device_id *devices,
                                       cl_uint *num_devices)
{
    (void)device;
    (void)properties;
    (void)num_entries;
    (void)devices;
    (void)num_devices;
    return wh_opencl_unsupported(WH_OPENCL_clCreateSubDevicesEXT);
}

WH_EXPORT cl_int clEnqueueCommandBufferKHR(cl_uint num_queues, cl_command_queue *queues,
                                           cl_command_buffer_khr command_buffer, cl_uint num_events,
                                           const cl_event *events, cl_event *event)
{
    return wh_opencl_call_enqueue_command_buffer(num_queues, queues, command_buffer, num_events,
                                                 events, event);
}
