/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the management library and the devices; see backend.h. */
#include "backend/nvml/backend.h"

#include "backend/cuda/backend.h"
#include "base/log.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libnvidia-ml.so.1"

/* The management library comes with the driver: it is the driver's own file (the software device),
 * or lies beside it. */
static void *open_beside(void *driver, struct wh_error *error)
{
    Dl_info info;
    char path[PATH_MAX];
    void *library = NULL;
    if (dlsym(driver, "nvmlInit_v2"))
        return driver;
    if (!dladdr(dlsym(driver, "cuInit"), &info) || !strrchr(info.dli_fname, '/')) {
        wh_error_set(error, ENOENT, "the server does not know where its CUDA driver lies");
        return NULL;
    }
    int folder = (int)(strrchr(info.dli_fname, '/') - info.dli_fname);
    int n = snprintf(path, sizeof(path), "%.*s/%s", folder, info.dli_fname, LIBRARY);
    if (n > 0 && (size_t)n < sizeof(path))
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        wh_error_set(error, ENOENT, "the server has no %s beside %s: %s", LIBRARY, info.dli_fname,
                     dlerror());
    return library;
}

/* In the place of a function that the library lacks. */
static nvmlReturn_t not_supported(void)
{
    return NVML_ERROR_NOT_SUPPORTED;
}

static void fill_table(struct wh_nvml_functions_table *f, void *library)
{
    nvmlReturn_t (*missing)(void) = not_supported;
    void **members = (void **)f;
    for (unsigned i = 0; i < WH_NVML_NCALLS; i++) {
        if (!wh_nvml_function_names[i])
            continue;
        members[i] = dlsym(library, wh_nvml_function_names[i]);
        if (!members[i])
            memcpy(&members[i], &missing, sizeof(missing));
    }
}

/* ---- the devices of CUDA, in its order ---- */

static void print_uuid(char text[64], const char *prefix, const CUuuid *uuid)
{
    const unsigned char *b = (const unsigned char *)uuid->bytes;
    (void)snprintf(text, 64,
                   "%s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                   prefix, b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
                   b[12], b[13], b[14], b[15]);
}

/* A device of CUDA is a whole GPU or a part of one (MIG), and NVML names both by UUID. */
static bool find_device(const struct wh_nvml_state *state, const CUuuid *uuid, nvmlDevice_t *device)
{
    char text[64];
    print_uuid(text, "GPU", uuid);
    if (state->f.nvmlDeviceGetHandleByUUID(text, device) == NVML_SUCCESS)
        return true;
    print_uuid(text, "MIG", uuid);
    return state->f.nvmlDeviceGetHandleByUUID(text, device) == NVML_SUCCESS;
}

static int list_devices(struct wh_nvml_state *state, void *driver, struct wh_error *error)
{
    CUresult (*init)(unsigned) = NULL, (*count_devices)(int *) = NULL;
    CUresult (*get_uuid)(CUuuid *, CUdevice) = NULL;
    int n = 0;
    *(void **)&init = dlsym(driver, "cuInit");
    *(void **)&count_devices = dlsym(driver, "cuDeviceGetCount");
    *(void **)&get_uuid = dlsym(driver, "cuDeviceGetUuid_v2");
    if (!get_uuid) /* a driver before CUDA 11.4 */
        *(void **)&get_uuid = dlsym(driver, "cuDeviceGetUuid");
    if (!init || !count_devices || !get_uuid || init(0) != CUDA_SUCCESS ||
        count_devices(&n) != CUDA_SUCCESS)
        return wh_error_set(error, ENODEV, "the server's CUDA driver does not say what it has");
    for (int i = 0; i < n && state->ndevices < WH_NVML_MOST_DEVICES; i++) {
        CUuuid uuid;
        if (get_uuid(&uuid, i) != CUDA_SUCCESS ||
            !find_device(state, &uuid, &state->devices[state->ndevices]))
            return wh_error_set(error, ENODEV,
                                "the server's NVML does not know device %d of its CUDA driver", i);
        state->ndevices++;
    }
    return 0;
}

int wh_nvml_open(struct wh_worker *worker, struct wh_backend *backend, struct wh_error *error)
{
    struct wh_nvml_state *state = calloc(1, sizeof(*state));
    if (!state)
        return wh_error_set(error, ENOMEM, "out of memory");
    void *driver = wh_cuda_driver_library(error);
    void *library = driver ? open_beside(driver, error) : NULL;
    if (!library)
        return -1;
    nvmlReturn_t (*init)(void) = NULL;
    *(void **)&init = dlsym(library, "nvmlInit_v2");
    if (!init || init() != NVML_SUCCESS)
        return wh_error_set(error, ENODEV, "the server's NVML does not start");
    fill_table(&state->f, library);
    state->private_table = wh_nvml_private_table(library);
    state->knows_processes = dlsym(library, "nvmlDeviceGetComputeRunningProcesses_v3") != NULL;
    if (list_devices(state, driver, error) < 0)
        return -1;
    worker->state = state;
    *backend =
        (struct wh_backend){.api = &wh_nvml_api, .thunks = wh_nvml_thunks, .functions = &state->f};
    worker->backend = backend;
    return 0;
}
