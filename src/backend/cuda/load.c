/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the driver library and its functions; see backend.h. */
#include "backend/cuda/graph.h"
#include "backend/cuda/in_view.h"
#include "backend/cuda/places.h"

#include "backend/softgpu/callee_sizes.h"
#include "base/log.h"
#include "worker/gate.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const places[] = {WH_CUDA_PLACES};

/* The software device lies in lib/wormhole beside the worker's bin. */
static void *open_softgpu(void)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *slash;
    if (size <= 0)
        return NULL;
    path[size] = '\0';
    slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + sizeof("/" WH_CUDA_SOFTGPU_LIBRARY) > sizeof(path))
        return NULL;
    memcpy(slash, "/" WH_CUDA_SOFTGPU_LIBRARY, sizeof("/" WH_CUDA_SOFTGPU_LIBRARY));
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/* A driver that is installed but has no device of its own (a build machine) is no use. */
static void *usable(void *library)
{
    CUresult (*init)(unsigned) = NULL;
    CUresult (*count_devices)(int *) = NULL;
    int n = 0;
    if (!library)
        return NULL;
    *(void **)&init = dlsym(library, "cuInit");
    *(void **)&count_devices = dlsym(library, "cuDeviceGetCount");
    if (init && count_devices && init(0) == CUDA_SUCCESS && count_devices(&n) == CUDA_SUCCESS &&
        n > 0)
        return library;
    dlclose(library);
    return NULL;
}

static void *open_named(const char *path, struct wh_error *error)
{
    void *library = strcmp(path, WH_CUDA_SOFTGPU_NAME) == 0 ? open_softgpu()
                                                            : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        wh_error_set(error, ENOENT, "the server's WORMHOLE_CUDA_LIBRARY=%s cannot be loaded: %s",
                     path, dlerror());
    return library;
}

/* The driver asks for its compiler by its bare name, later: loaded from beside the driver, it is
 * found whatever the search path. */
static void load_compiler(const char *driver)
{
    static const char *const names[] = {"libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4"};
    const char *slash = strrchr(driver, '/');
    char path[PATH_MAX];
    for (size_t i = 0; slash && i < sizeof(names) / sizeof(names[0]); i++) {
        int n = snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - driver), driver, names[i]);
        if (n > 0 && (size_t)n < sizeof(path) && access(path, R_OK) == 0 &&
            !dlopen(path, RTLD_LAZY | RTLD_LOCAL))
            wh_debug("%s cannot be loaded: %s", path, dlerror());
    }
}

void *wh_cuda_driver_library(struct wh_error *error)
{
    const char *path = getenv("WORMHOLE_CUDA_LIBRARY");
    void *library = NULL;
    if (path && *path)
        return open_named(path, error);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !library; i++) {
        library =
            usable(access(places[i], R_OK) == 0 ? dlopen(places[i], RTLD_NOW | RTLD_LOCAL) : NULL);
        if (library)
            load_compiler(places[i]);
    }
    if (!library)
        library = open_softgpu();
    if (!library)
        wh_error_set(error, ENOENT, "no NVIDIA driver with a device, and no software device: %s",
                     dlerror());
    return library;
}

/* In the place of a function that the driver lacks: by-hand code calls it like any other. */
static CUresult not_supported(void)
{
    return CUDA_ERROR_NOT_SUPPORTED;
}

static void fill_table(struct wh_cuda_functions_table *f, void *library)
{
    CUresult (*missing)(void) = not_supported;
    void **members = (void **)f;
    for (unsigned i = 0; i < WH_CUDA_NCALLS; i++) {
        if (!wh_cuda_function_names[i])
            continue;
        members[i] = dlsym(library, wh_cuda_function_names[i]);
        if (!members[i])
            memcpy(&members[i], &missing, sizeof(missing));
    }
}

static bool reaches(struct wh_worker *worker, uint64_t address, uint64_t size)
{
    const struct wh_cuda_state *state = worker->state;
    struct wh_cuda_range range;
    return wh_cuda_ranges_find(state->ranges, address, size, &range);
}

/* The variables of a module or library go with it, and the capture that a stream began; memory goes
 * in the place of its release, which does not know the driver. */
static void forget(struct wh_worker *worker, struct wh_entry *entry)
{
    struct wh_cuda_state *state = worker->state;
    if (entry->real && entry->type == WH_CUDA_TYPE_CUstream)
        wh_cuda_items_forget_stream(state, entry->real);
    if (entry->real && entry->type == WH_CUDA_TYPE_CUgraphExec)
        wh_cuda_items_forget_exec(state, entry->real);
    if (entry->real &&
        (entry->type == WH_CUDA_TYPE_CUmodule || entry->type == WH_CUDA_TYPE_CUlibrary))
        while (wh_cuda_ranges_take_owned(state->ranges, entry->real, NULL))
            ;
    wh_cuda_shares_forget_object(entry);
    if (entry->real && entry->type == WH_CUDA_TYPE_wh_cuda_allocation)
        wh_cuda_forget_allocation(state, entry->real);
    free(entry->extra);
}

/* The software device says where it is told to what it uses; NVIDIA's driver tells NVML itself. */
static void keep_account(struct wh_worker *worker, struct wh_cuda_state *state, void *library)
{
    void (*meter)(struct wh_meter * meters, unsigned count) = NULL;
    *(void **)&meter = dlsym(library, WH_CUDA_SOFTGPU_METER);
    if (!worker->ledger.own)
        return;
    if (meter)
        meter(worker->ledger.own->meters, WH_LEDGER_DEVICES);
    wh_cuda_ranges_tell(state->ranges, &worker->ledger.own->allocated);
}

/* ---- calls in a view: the software device's only ---- */

static bool quiet(struct wh_worker *worker)
{
    const struct wh_cuda_state *state = worker->state;
    return state->words.count == 0 && state->quiet();
}

static unsigned show(struct wh_worker *worker, const void *words[4], struct wh_gate_range *ranges)
{
    const struct wh_cuda_state *state = worker->state;
    const struct wh_gate_range driver = {
        (uintptr_t)state->soft_driver, (uintptr_t)state->soft_driver + sizeof(struct soft_driver)};
    const struct wh_gate_range buckets = {(uintptr_t)state->soft_buckets,
                                          (uintptr_t)state->soft_buckets +
                                              SOFT_BUCKETS * sizeof(void *)};
    void *near = NULL;
    size_t size = 0;
    state->soft_near(&near, &size);
    words[0] = state->contexts;
    words[1] = state->soft_driver;
    words[2] = state->soft_buckets;
    ranges[0] = driver;
    ranges[1] = buckets;
    ranges[2] = (struct wh_gate_range){(uintptr_t)near, (uintptr_t)near + size};
    return size ? 3 : 2;
}

#define NUMBER(call, function, posted) WH_CUDA_##call,
static const uint16_t in_view[] = {WH_CUDA_IN_VIEW(NUMBER)};

#define WISH(bytes, many) {bytes, many},
static const struct wh_stock_wish stock[] = {SOFT_CALLEE_SIZES(WISH)};

static void find_soft_state(struct wh_cuda_state *state, struct wh_backend *backend, void *library)
{
    void (*where)(void **driver, void **buckets) = NULL;
    *(void **)&where = dlsym(library, WH_CUDA_SOFTGPU_STATE);
    *(void **)&state->quiet = dlsym(library, WH_CUDA_SOFTGPU_QUIET);
    *(void **)&state->soft_near = dlsym(library, WH_CUDA_SOFTGPU_NEAR);
    if (!where || !state->quiet || !state->soft_near)
        return;
    where(&state->soft_driver, &state->soft_buckets);
    backend->quiet = quiet;
    backend->in_view = in_view;
    backend->nin_view = sizeof(in_view) / sizeof(in_view[0]);
    backend->stock = stock;
    backend->nstock = sizeof(stock) / sizeof(stock[0]);
    backend->show = show;
}

int wh_cuda_open(struct wh_worker *worker, struct wh_backend *backend, struct wh_error *error)
{
    struct wh_cuda_state *state = calloc(1, sizeof(*state));
    if (!state || !(state->ranges = wh_cuda_ranges_new()) ||
        !(state->reserved = wh_cuda_ranges_new()) || !(state->contexts = wh_cuda_contexts_new()) ||
        !(state->images = wh_cuda_images_new()) || !(state->stages = wh_cuda_stages_new()) ||
        !(state->bounce = wh_cuda_bounce_new()) || !(state->graphs = wh_cuda_graphs_new()))
        return wh_error_set(error, ENOMEM, "out of memory");
    void *library = wh_cuda_driver_library(error);
    if (!library)
        return -1;
    state->shares = wh_cuda_shares_new(library);
    if (!state->shares)
        return wh_error_set(error, ENOMEM, "out of memory");
    fill_table(&state->f, library);
    if (!dlsym(library, "cuInit") || !dlsym(library, "cuCtxSetCurrent"))
        return wh_error_set(error, ENOEXEC, "the server's CUDA driver library is incomplete");
    keep_account(worker, state, library);
    worker->state = state;
    *backend = (struct wh_backend){.api = &wh_cuda_api,
                                   .thunks = wh_cuda_thunks,
                                   .functions = &state->f,
                                   .forget = forget,
                                   .enter = wh_cuda_enter,
                                   .unmade = wh_cuda_unmade,
                                   .reaches = reaches};
    find_soft_state(state, backend, library);
    worker->backend = backend;
    return 0;
}
