/* SPDX-License-Identifier: Apache-2.0 */
/* Command queues: what the client remembers of them. */
#include "shim/opencl/transfer.h"

#define KNOWN (1ull << 63) /* of the object's word: the rest of it are the properties */

bool wh_opencl_queue_has(cl_command_queue handle, cl_command_queue_properties property)
{
    struct wh_object *queue = wh_opencl_object(handle, WH_OPENCL_TYPE_cl_command_queue);
    cl_command_queue_properties properties = 0;
    if (!queue)
        return true;
    uint64_t word = __atomic_load_n(&queue->word, __ATOMIC_RELAXED);
    if (!(word & KNOWN)) {
        if (clGetCommandQueueInfo(handle, CL_QUEUE_PROPERTIES, sizeof(properties), &properties,
                                  NULL) != CL_SUCCESS)
            return true;
        word = KNOWN | properties;
        __atomic_store_n(&queue->word, word, __ATOMIC_RELAXED);
    }
    return (word & property) != 0;
}

bool wh_opencl_queue_is_still(cl_command_queue handle)
{
    return wh_client_is_settled(wh_opencl_session(), wh_opencl_call_desc(WH_OPENCL_clFinish),
                                (uintptr_t)handle);
}

WH_EXPORT cl_int clSetCommandQueueProperty(cl_command_queue handle,
                                           cl_command_queue_properties properties, cl_bool enable,
                                           cl_command_queue_properties *old_properties)
{
    cl_int result =
        wh_opencl_call_clSetCommandQueueProperty(handle, properties, enable, old_properties);
    struct wh_object *queue = wh_opencl_object(handle, WH_OPENCL_TYPE_cl_command_queue);
    if (queue)
        __atomic_store_n(&queue->word, 0, __ATOMIC_RELAXED);
    return result;
}
