/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel launches: one message with the packed parameters. */
#include "backend/cuda/backend.h"

/* Parameters lie packed as the kernel wants them; the driver takes them whole. */
static CUresult launch(const struct wh_cuda_functions_table *f, CUfunction function,
                       const wh_cuda_grid *g, CUstream stream, CUlaunchAttribute *attributes,
                       unsigned n, void *params, size_t size)
{
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, params, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};
    void **given = size ? extra : NULL;
    CUlaunchConfig config = {.gridDimX = g->grid[0],
                             .gridDimY = g->grid[1],
                             .gridDimZ = g->grid[2],
                             .blockDimX = g->block[0],
                             .blockDimY = g->block[1],
                             .blockDimZ = g->block[2],
                             .sharedMemBytes = g->shared,
                             .hStream = stream,
                             .attrs = attributes,
                             .numAttrs = n};
    if (n > 0)
        return f->cuLaunchKernelEx(&config, function, NULL, given);
    return f->cuLaunchKernel(function, g->grid[0], g->grid[1], g->grid[2], g->block[0], g->block[1],
                             g->block[2], g->shared, stream, NULL, given);
}

bool wh_cuda_attribute_is_plain(unsigned id)
{
    switch (id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
        return true;
    default:
        return false;
    }
}

/*
 * Events inside of attributes travel beside them, and a window of memory must be the session's. An
 * attribute that is not known here might hold an address or a handle.
 */
CUresult wh_cuda_check_attribute(struct wh_call *call, CUlaunchAttribute *a, CUevent event)
{
    struct wh_cuda_range range;
    switch (a->id) {
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        memcpy(&a->value, &event, sizeof(event));
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
        return a->value.accessPolicyWindow.num_bytes == 0 ||
                       wh_cuda_ranges_find(wh_cuda_state(call)->ranges,
                                           (uintptr_t)a->value.accessPolicyWindow.base_ptr,
                                           a->value.accessPolicyWindow.num_bytes, &range)
                   ? CUDA_SUCCESS
                   : CUDA_ERROR_INVALID_VALUE;
    default:
        return wh_cuda_attribute_is_plain(a->id) ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
    }
}

CUresult wh_cuda_do_launch(struct wh_call *call, CUfunction function, CUkernel kernel,
                           const wh_cuda_grid *grid, CUstream stream, unsigned int num_attributes,
                           const CUlaunchAttribute *attributes, CUevent const *events, size_t size,
                           const void *params)
{
    CUlaunchAttribute *own = NULL;
    if (!grid)
        return CUDA_ERROR_INVALID_VALUE;
    if (!function) /* the driver takes a kernel in a function's place */
        function = (CUfunction)kernel;
    if (!function)
        return CUDA_ERROR_INVALID_HANDLE;
    if (num_attributes) {
        if (!attributes || !events)
            return CUDA_ERROR_INVALID_VALUE;
        own = wh_call_memory(call, num_attributes * sizeof(*own));
        if (!own)
            return CUDA_ERROR_OUT_OF_MEMORY;
        memcpy(own, attributes, num_attributes * sizeof(*own));
        for (unsigned i = 0; i < num_attributes; i++) {
            CUresult result = wh_cuda_check_attribute(call, &own[i], events[i]);
            if (result != CUDA_SUCCESS)
                return result;
        }
    }
    return launch(wh_cuda_driver(call), function, grid, stream, own, num_attributes,
                  (void *)(uintptr_t)params, params ? size : 0);
}

/* Offset and size of each parameter, so that the client can pack them. */
CUresult wh_cuda_do_param_layout(struct wh_call *call, CUfunction function, CUkernel kernel,
                                 unsigned int first, unsigned int room, uint64_t *layout,
                                 unsigned int *count)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    unsigned n = 0;
    CUresult result = CUDA_SUCCESS;
    if (!layout || !count || (!function && !kernel))
        return CUDA_ERROR_INVALID_VALUE;
    while (n < room) {
        size_t offset = 0, size = 0;
        result = function ? f->cuFuncGetParamInfo(function, first + n, &offset, &size)
                          : f->cuKernelGetParamInfo(kernel, first + n, &offset, &size);
        if (result != CUDA_SUCCESS)
            break;
        layout[2 * n] = offset;
        layout[2 * n + 1] = size;
        n++;
    }
    *count = n;
    /* The driver says 'invalid value' behind the last parameter. */
    return result == CUDA_ERROR_INVALID_VALUE ? CUDA_SUCCESS : result;
}
