/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports failed OpenCL calls. Used by device.c only: everyone else sees a bool.
 */
#ifndef LENET_CL_ERROR_H
#define LENET_CL_ERROR_H

#include <CL/cl.h>
#include <stdbool.h>

/* True if code is CL_SUCCESS. Otherwise prints the call, what it was about (or NULL) and the code.
 */
bool cl_succeeded(cl_int code, const char *call, const char *subject);

#endif
