/* SPDX-License-Identifier: Apache-2.0 */
/* Programs: sources and binaries are flattened, builds may call back. */
#include "shim/opencl/shim.h"

#include <stdlib.h>

/* All sources, one behind the other; NULL when memory is short. */
static char *join(cl_uint count, const char **strings, const size_t *lengths, size_t *size)
{
    size_t total = 0;
    for (cl_uint i = 0; i < count; i++)
        total += lengths && lengths[i] ? lengths[i] : strlen(strings[i]);
    char *text = malloc(total + 1);
    char *at = text;
    for (cl_uint i = 0; text && i < count; i++) {
        size_t n = lengths && lengths[i] ? lengths[i] : strlen(strings[i]);
        memcpy(at, strings[i], n);
        at += n;
    }
    *size = total;
    return text;
}

WH_EXPORT cl_program clCreateProgramWithSource(cl_context context, cl_uint count,
                                               const char **strings, const size_t *lengths,
                                               cl_int *errcode_ret)
{
    size_t size;
    if (!wh_opencl_object(context, WH_OPENCL_TYPE_cl_context))
        return wh_opencl_fail(errcode_ret, CL_INVALID_CONTEXT);
    if (count == 0 || !strings)
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    for (cl_uint i = 0; i < count; i++)
        if (!strings[i])
            return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    char *text = join(count, strings, lengths, &size);
    if (!text)
        return wh_opencl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
    cl_program program = wh_opencl_call_create_program(context, size, text, errcode_ret);
    free(text);
    return program;
}

/* The binaries one behind the other. Returns an error when one is missing. */
static cl_int join_binaries(cl_uint n, const size_t *sizes, const unsigned char **binaries,
                            cl_int *results, unsigned char **joined, size_t *total)
{
    cl_int error = CL_SUCCESS;
    *total = 0;
    for (cl_uint i = 0; i < n; i++) {
        bool missing = sizes[i] == 0 || !binaries[i];
        if (results)
            results[i] = missing ? CL_INVALID_VALUE : CL_SUCCESS;
        if (missing)
            error = CL_INVALID_VALUE;
        *total += sizes[i];
    }
    *joined = error == CL_SUCCESS ? malloc(*total + 1) : NULL;
    if (error != CL_SUCCESS || !*joined)
        return error != CL_SUCCESS ? error : CL_OUT_OF_HOST_MEMORY;
    unsigned char *at = *joined;
    for (cl_uint i = 0; i < n; at += sizes[i], i++)
        memcpy(at, binaries[i], sizes[i]);
    return CL_SUCCESS;
}

WH_EXPORT cl_program clCreateProgramWithBinary(cl_context context, cl_uint num_devices,
                                               const cl_device_id *devices, const size_t *lengths,
                                               const unsigned char **binaries,
                                               cl_int *binary_status, cl_int *errcode_ret)
{
    unsigned char *joined;
    size_t total;
    if (!wh_opencl_object(context, WH_OPENCL_TYPE_cl_context))
        return wh_opencl_fail(errcode_ret, CL_INVALID_CONTEXT);
    if (num_devices == 0 || !devices || !lengths || !binaries)
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    cl_int error = join_binaries(num_devices, lengths, binaries, binary_status, &joined, &total);
    if (error != CL_SUCCESS)
        return wh_opencl_fail(errcode_ret, error);
    cl_program program = wh_opencl_call_create_program_binary(
        context, num_devices, devices, lengths, total, joined, binary_status, errcode_ret);
    free(joined);
    return program;
}

WH_EXPORT cl_program clCreateProgramWithIL(cl_context context, const void *il, size_t length,
                                           cl_int *errcode_ret)
{
    if (!wh_opencl_object(context, WH_OPENCL_TYPE_cl_context))
        return wh_opencl_fail(errcode_ret, CL_INVALID_CONTEXT);
    if (!il || length == 0)
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    return wh_opencl_call_create_program_il(context, length, il, errcode_ret);
}

WH_EXPORT cl_program clCreateProgramWithILKHR(cl_context context, const void *il, size_t length,
                                              cl_int *errcode_ret)
{
    return clCreateProgramWithIL(context, il, length, errcode_ret);
}

/* ---- builds ---- */

/* A token for the end of a build; 0 without a callback. The program is pinned until it has come. */
static uint64_t token_for(cl_program program, cl_program_callback notify, void *user_data)
{
    struct wh_object *object = wh_opencl_object(program, WH_OPENCL_TYPE_cl_program);
    struct wh_cl_notice notice = {.kind = WH_CL_NOTICE_PROGRAM,
                                  .function = (void (*)(void))notify,
                                  .user = user_data,
                                  .object = object};
    if (!notify || !object)
        return 0;
    return wh_opencl_notice_expect(&notice, true);
}

/* A build that was refused never calls back; one that failed has. */
static cl_int settle(cl_int result, cl_int failed_build, uint64_t token)
{
    if (result != failed_build)
        wh_opencl_notice_judge(token, result);
    if (token) /* a library that has called back already has done so before its function returned */
        wh_news_settle(wh_opencl_session());
    return result;
}

WH_EXPORT cl_int clBuildProgram(cl_program program, cl_uint num_devices,
                                const cl_device_id *devices, const char *options,
                                cl_program_callback notify, void *user_data)
{
    if (!notify && user_data)
        return CL_INVALID_VALUE;
    uint64_t token = token_for(program, notify, user_data);
    cl_int result = wh_opencl_call_build_program(program, num_devices, devices, options, token);
    return settle(result, CL_BUILD_PROGRAM_FAILURE, token);
}

WH_EXPORT cl_int clCompileProgram(cl_program program, cl_uint num_devices,
                                  const cl_device_id *devices, const char *options,
                                  cl_uint num_headers, const cl_program *headers,
                                  const char **header_names, cl_program_callback notify,
                                  void *user_data)
{
    if (!notify && user_data)
        return CL_INVALID_VALUE;
    uint64_t token = token_for(program, notify, user_data);
    cl_int result =
        wh_opencl_call_compile_program(program, num_devices, devices, options, num_headers, headers,
                                       (const char *const *)header_names, token);
    return settle(result, CL_COMPILE_PROGRAM_FAILURE, token);
}

/* The callback is told about a program that does not exist before the call returns: it is sent from
 * here. */
WH_EXPORT cl_program clLinkProgram(cl_context context, cl_uint num_devices,
                                   const cl_device_id *devices, const char *options,
                                   cl_uint num_programs, const cl_program *programs,
                                   cl_program_callback notify, void *user_data, cl_int *errcode_ret)
{
    if (!wh_opencl_object(context, WH_OPENCL_TYPE_cl_context))
        return wh_opencl_fail(errcode_ret, CL_INVALID_CONTEXT);
    if ((!notify && user_data) || num_programs == 0 || !programs)
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    cl_program program = wh_opencl_call_link_program(context, num_devices, devices, options,
                                                     num_programs, programs, errcode_ret);
    if (program && notify)
        notify(program, user_data);
    return program;
}

WH_EXPORT cl_int clSetProgramReleaseCallback(cl_program program, cl_program_callback notify,
                                             void *user_data)
{
    struct wh_object *object = wh_opencl_object(program, WH_OPENCL_TYPE_cl_program);
    if (!object)
        return CL_INVALID_PROGRAM;
    if (!notify)
        return CL_INVALID_VALUE;
    return wh_opencl_call_at_end(object, WH_CL_NOTICE_PROGRAM_END, (void (*)(void))notify,
                                 user_data, WH_OPENCL_wh_set_program_callback);
}

/* ---- queries ---- */

/* The binaries themselves, into memory that the program provides (OpenCL 3.0, CL_PROGRAM_BINARIES).
 */
static cl_int get_binaries(cl_program program, size_t size, void *value, size_t *size_ret)
{
    size_t bytes = 0, total = 0;
    cl_int result = clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, 0, NULL, &bytes);
    size_t n = bytes / sizeof(size_t);
    if (result == CL_SUCCESS && value && size < n * sizeof(unsigned char *))
        result = CL_INVALID_VALUE;
    if (result == CL_SUCCESS && size_ret)
        *size_ret = n * sizeof(unsigned char *);
    if (result != CL_SUCCESS || !value)
        return result;
    unsigned char **places = value;
    size_t *sizes = calloc(n + 1, sizeof(*sizes));
    if (!sizes)
        return CL_OUT_OF_HOST_MEMORY;
    result = clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, bytes, sizes, NULL);
    for (size_t i = 0; i < n; i++) {
        sizes[i] = places[i] ? sizes[i] : 0;
        total += sizes[i];
    }
    unsigned char *joined = malloc(total + 1);
    if (joined && result == CL_SUCCESS)
        result = wh_opencl_call_program_binaries(program, (cl_uint)n, sizes, total, joined);
    for (size_t i = 0, at = 0; joined && result == CL_SUCCESS && i < n; at += sizes[i], i++)
        if (sizes[i])
            memcpy(places[i], joined + at, sizes[i]);
    free(sizes);
    free(joined);
    return joined ? result : CL_OUT_OF_HOST_MEMORY;
}

WH_EXPORT cl_int clGetProgramInfo(cl_program program, cl_program_info name, size_t size,
                                  void *value, size_t *size_ret)
{
    if (name == CL_PROGRAM_BINARIES)
        return get_binaries(program, size, value, size_ret);
    return wh_opencl_call_clGetProgramInfo(program, name, size, value, size_ret);
}
