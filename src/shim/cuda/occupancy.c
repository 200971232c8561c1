/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Occupancy. The driver takes a kernel in a function's place here, so the questions exist for both;
 * what they depend on is said with them, so that each is asked once. A block size that depends on
 * a function of the program is looked for here.
 */
#include "shim/cuda/shim.h"

#define MOST_ATTRIBUTES 64u

/* The function or kernel that a program means by `function`; exactly one of both is set. */
struct code {
    CUfunction function;
    CUkernel kernel;
    CUdevice device; /* of the current context */
};

static CUresult code_of(CUfunction function, struct code *code)
{
    const struct wh_object *object;
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    const struct wh_cuda_context *context = wh_cuda_context(wh_cuda_current());
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    object = wh_cuda_object(function, 0);
    if (!object ||
        (object->type != WH_CUDA_TYPE_CUfunction && object->type != WH_CUDA_TYPE_CUkernel))
        return CUDA_ERROR_INVALID_HANDLE;
    bool is_kernel = object->type == WH_CUDA_TYPE_CUkernel;
    *code = (struct code){.function = is_kernel ? NULL : function,
                          .kernel = is_kernel ? (CUkernel)function : NULL,
                          .device = context->device};
    return CUDA_SUCCESS;
}

static CUresult blocks_per_multiprocessor(const struct code *code, int *blocks, int block_size,
                                          size_t shared, unsigned flags)
{
    if (code->kernel)
        return wh_cuda_call_kernel_occupancy(blocks, code->kernel, code->device, block_size, shared,
                                             flags);
    return wh_cuda_call_cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        blocks, code->function, block_size, shared, flags);
}

WH_EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, CUfunction function, int block_size, size_t shared, unsigned flags)
{
    struct code code;
    CUresult result = code_of(function, &code);
    if (result == CUDA_SUCCESS && !blocks)
        result = CUDA_ERROR_INVALID_VALUE;
    return result == CUDA_SUCCESS
               ? blocks_per_multiprocessor(&code, blocks, block_size, shared, flags)
               : result;
}

WH_EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function,
                                                               int block_size, size_t shared)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, block_size,
                                                                shared, CU_OCCUPANCY_DEFAULT);
}

WH_EXPORT CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *size, CUfunction function,
                                                           int blocks, int block_size)
{
    struct code code;
    CUresult result = code_of(function, &code);
    if (result == CUDA_SUCCESS && !size)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    if (code.kernel)
        return wh_cuda_call_kernel_free_shared(size, code.kernel, code.device, blocks, block_size);
    return wh_cuda_call_cuOccupancyAvailableDynamicSMemPerBlock(size, code.function, blocks,
                                                                block_size);
}

/* ---- the best block size ---- */

/* What bounds a block of this code on its device. */
struct bounds {
    int most, warp, threads, multiprocessors;
};

static CUresult find_bounds(const struct code *code, struct bounds *b)
{
    int device_most;
    CUresult result =
        code->kernel
            ? cuKernelGetAttribute(&b->most, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, code->kernel,
                                   code->device)
            : cuFuncGetAttribute(&b->most, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, code->function);
    const struct {
        int *value;
        CUdevice_attribute attribute;
    } asked[] = {
        {&device_most, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK},
        {&b->warp, CU_DEVICE_ATTRIBUTE_WARP_SIZE},
        {&b->threads, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR},
        {&b->multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT},
    };
    for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]) && result == CUDA_SUCCESS; i++)
        result = cuDeviceGetAttribute(asked[i].value, asked[i].attribute, code->device);
    if (result == CUDA_SUCCESS && device_most < b->most)
        b->most = device_most;
    return result == CUDA_SUCCESS && b->warp <= 0 ? CUDA_ERROR_UNKNOWN : result;
}

/* The largest number of threads on a multiprocessor over all sizes of whole warps (and the limit
 * itself); of equal ones the largest block. */
static CUresult search(const struct code *code, CUoccupancyB2DSize shared_of, int limit,
                       unsigned flags, int *grid_size, int *block_size)
{
    struct bounds b;
    int best = 0;
    CUresult result = find_bounds(code, &b);
    if (limit <= 0 || limit > b.most)
        limit = b.most;
    for (int warps = (limit + b.warp - 1) / b.warp; warps > 0 && result == CUDA_SUCCESS; warps--) {
        int size = warps * b.warp < limit ? warps * b.warp : limit, blocks = 0;
        result = blocks_per_multiprocessor(code, &blocks, size, shared_of(size), flags);
        if (result != CUDA_SUCCESS || blocks * size <= best)
            continue;
        best = blocks * size;
        *block_size = size;
        *grid_size = blocks * b.multiprocessors;
        if (best == b.threads)
            break;
    }
    return result;
}

WH_EXPORT CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid_size, int *block_size,
                                                             CUfunction function,
                                                             CUoccupancyB2DSize shared_of,
                                                             size_t shared, int limit,
                                                             unsigned flags)
{
    struct code code;
    CUresult result = code_of(function, &code);
    if (result == CUDA_SUCCESS && (!grid_size || !block_size))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    if (shared_of)
        return search(&code, shared_of, limit, flags, grid_size, block_size);
    return wh_cuda_call_block_size(code.function, code.kernel, shared, limit, flags, grid_size,
                                   block_size);
}

WH_EXPORT CUresult cuOccupancyMaxPotentialBlockSize(int *grid_size, int *block_size,
                                                    CUfunction function,
                                                    CUoccupancyB2DSize shared_of, size_t shared,
                                                    int limit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid_size, block_size, function, shared_of,
                                                     shared, limit, CU_OCCUPANCY_DEFAULT);
}

/* ---- clusters ---- */

/* The stream decides nothing here, and events in attributes neither. */
static CUresult ask_clusters(int *value, CUfunction function, const CUlaunchConfig *config,
                             bool active)
{
    struct code code;
    CUlaunchAttribute attributes[MOST_ATTRIBUTES];
    unsigned n = 0;
    CUresult result = code_of(function, &code);
    if (result != CUDA_SUCCESS)
        return result;
    if (!value || !config || config->numAttrs > MOST_ATTRIBUTES ||
        (config->numAttrs && !config->attrs))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < config->numAttrs; i++) {
        CUlaunchAttributeID id = config->attrs[i].id;
        if (id != CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT &&
            id != CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT &&
            id != CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE)
            attributes[n++] = config->attrs[i];
    }
    CUlaunchConfig plain = *config;
    plain.hStream = NULL;
    plain.attrs = NULL;
    plain.numAttrs = 0;
    return wh_cuda_call_cluster_occupancy(code.function, code.kernel, active, &plain, n, attributes,
                                          value);
}

WH_EXPORT CUresult cuOccupancyMaxPotentialClusterSize(int *size, CUfunction function,
                                                      const CUlaunchConfig *config)
{
    return ask_clusters(size, function, config, false);
}

WH_EXPORT CUresult cuOccupancyMaxActiveClusters(int *clusters, CUfunction function,
                                                const CUlaunchConfig *config)
{
    return ask_clusters(clusters, function, config, true);
}
