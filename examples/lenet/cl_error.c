/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenCL error codes in words. Called by device.c after each OpenCL call. Must never end the
 * program: what to do about an error is the caller's choice.
 */
#include <stdio.h>

#include "cl_error.h"

static const char *code_name(cl_int code)
{
    switch (code) {
#define NAME(code) \
    case code:     \
        return #code
        NAME(CL_DEVICE_NOT_FOUND);
        NAME(CL_DEVICE_NOT_AVAILABLE);
        NAME(CL_COMPILER_NOT_AVAILABLE);
        NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE);
        NAME(CL_OUT_OF_RESOURCES);
        NAME(CL_OUT_OF_HOST_MEMORY);
        NAME(CL_BUILD_PROGRAM_FAILURE);
        NAME(CL_INVALID_VALUE);
        NAME(CL_INVALID_PLATFORM);
        NAME(CL_INVALID_DEVICE);
        NAME(CL_INVALID_CONTEXT);
        NAME(CL_INVALID_COMMAND_QUEUE);
        NAME(CL_INVALID_MEM_OBJECT);
        NAME(CL_INVALID_BUILD_OPTIONS);
        NAME(CL_INVALID_PROGRAM);
        NAME(CL_INVALID_PROGRAM_EXECUTABLE);
        NAME(CL_INVALID_KERNEL_NAME);
        NAME(CL_INVALID_KERNEL);
        NAME(CL_INVALID_ARG_INDEX);
        NAME(CL_INVALID_ARG_VALUE);
        NAME(CL_INVALID_ARG_SIZE);
        NAME(CL_INVALID_KERNEL_ARGS);
        NAME(CL_INVALID_WORK_DIMENSION);
        NAME(CL_INVALID_WORK_GROUP_SIZE);
        NAME(CL_INVALID_WORK_ITEM_SIZE);
        NAME(CL_INVALID_GLOBAL_WORK_SIZE);
        NAME(CL_INVALID_EVENT);
        NAME(CL_INVALID_OPERATION);
        NAME(CL_INVALID_BUFFER_SIZE);
        NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
#undef NAME
    case -1001: /* CL_PLATFORM_NOT_FOUND_KHR, from the ICD loader */
        return "no OpenCL platform is installed";
    default:
        return "an error this program has no name for";
    }
}

bool cl_succeeded(cl_int code, const char *call, const char *subject)
{
    if (code == CL_SUCCESS)
        return true;
    fprintf(stderr, "lenet: %s%s%s%s failed: %s (%d)\n", call, subject ? "(" : "",
            subject ? subject : "", subject ? ")" : "", code_name(code), code);
    return false;
}
