/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the host's OpenCL loader and its functions; see backend.h. */
#include "backend/opencl/backend.h"

#include "base/log.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_PLATFORMS 32

static void *open_library(struct wh_error *error)
{
    const char *path = getenv("WORMHOLE_OPENCL_LIBRARY");
    void *library = dlopen(path && *path ? path : "libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        wh_error_set(
            error, ENOENT,
            "the server has no OpenCL loader (%s); install one, e.g. ocl-icd-libopencl1, and an "
            "implementation, e.g. pocl-opencl-icd",
            dlerror());
    return library;
}

/* An extension's function belongs to a platform: the first one that has it is taken. */
static void *find_extension(const struct wh_opencl_functions_table *f,
                            const cl_platform_id *platforms, cl_uint n, const char *name)
{
    void *address = NULL;
    for (cl_uint i = 0; i < n && !address && f->clGetExtensionFunctionAddressForPlatform; i++)
        address = f->clGetExtensionFunctionAddressForPlatform(platforms[i], name);
    return address;
}

static void fill_table(struct wh_opencl_functions_table *f, void *library)
{
    void **members = (void **)f;
    for (unsigned i = 0; i < WH_OPENCL_NCALLS; i++)
        if (wh_opencl_function_names[i])
            members[i] = dlsym(library, wh_opencl_function_names[i]);
}

static void fill_extensions(struct wh_opencl_functions_table *f, const cl_platform_id *platforms,
                            cl_uint n)
{
    void **members = (void **)f;
    for (unsigned i = 0; i < WH_OPENCL_NCALLS; i++)
        if (wh_opencl_api.calls[i].flags & WH_CALL_EXTENSION && wh_opencl_function_names[i] &&
            !members[i])
            members[i] = find_extension(f, platforms, n, wh_opencl_function_names[i]);
}

static void forget(struct wh_worker *worker, struct wh_entry *entry)
{
    (void)worker;
    free(entry->extra);
}

int wh_opencl_open(struct wh_worker *worker, struct wh_backend *backend, struct wh_error *error)
{
    cl_platform_id platforms[MOST_PLATFORMS];
    cl_uint n = 0;
    struct wh_opencl_state *state = calloc(1, sizeof(*state));
    if (!state)
        return wh_error_set(error, ENOMEM, "out of memory");
    pthread_mutex_init(&state->lock, NULL);
    if (pipe2(state->probe, O_CLOEXEC | O_NONBLOCK) < 0)
        return wh_error_set(error, errno, "cannot make a pipe: %s", strerror(errno));
    void *library = open_library(error);
    if (!library)
        return -1;
    fill_table(&state->f, library);
    if (!state->f.clGetPlatformIDs)
        return wh_error_set(error, ENOEXEC, "the server's libOpenCL has no clGetPlatformIDs");
    /* No platform at all is an answer that the program gets as natively. */
    if (state->f.clGetPlatformIDs(MOST_PLATFORMS, platforms, &n) != CL_SUCCESS)
        n = 0;
    fill_extensions(&state->f, platforms, n < MOST_PLATFORMS ? n : MOST_PLATFORMS);
    worker->state = state;
    *backend = (struct wh_backend){.api = &wh_opencl_api,
                                   .thunks = wh_opencl_thunks,
                                   .functions = &state->f,
                                   .sync = wh_opencl_sync,
                                   .forget = forget};
    worker->backend = backend;
    return 0;
}
