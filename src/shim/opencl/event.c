/* SPDX-License-Identifier: Apache-2.0 */
/* Events: what the client knows better than the worker about the command behind one. */
#include "shim/opencl/transfer.h"

cl_int wh_opencl_typed(cl_int result, cl_event *event, cl_command_type type)
{
    struct wh_object *object =
        result == CL_SUCCESS && event ? wh_opencl_object(*event, WH_OPENCL_TYPE_cl_event) : NULL;
    if (object)
        object->word = type;
    return result;
}

WH_EXPORT cl_int clGetEventInfo(cl_event event, cl_event_info name, size_t size, void *value,
                                size_t *size_ret)
{
    struct wh_object *object = wh_opencl_object(event, WH_OPENCL_TYPE_cl_event);
    if (object && object->word && name == CL_EVENT_COMMAND_TYPE) {
        cl_command_type type = (cl_command_type)object->word;
        return wh_client_answer(wh_opencl_session(), &type, sizeof(type), size, value, size_ret);
    }
    return wh_opencl_call_clGetEventInfo(event, name, size, value, size_ret);
}
