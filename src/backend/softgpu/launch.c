/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel launches: the checks that the API promises, the packing of parameters, the command. */
#include "backend/softgpu/library.h"

#include "backend/softgpu/graph.h"
#include "backend/softgpu/memory.h"
#include "base/log.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct launch_command {
    struct soft_command command;
    struct soft_function *function; /* a reference */
    struct wh_soft_launch launch;
    void **pointers; /* to each parameter; made when a node is asked for them */
    CUkernel kernel; /* by which it was named, or NULL */
    _Alignas(16) unsigned char parameters[];
};

/* ---- attributes ---- */

static CUresult take_event(CUevent handle, CUevent *place)
{
    SOFT_HOLD struct soft_event *event;
    CUresult result = soft_event_find(handle, &event);
    if (result == CUDA_SUCCESS && !soft_event_untimed(event))
        result = CUDA_ERROR_INVALID_VALUE;
    *place = handle;
    return result;
}

/*
 * One attribute. Those that allow overlap or place memory change nothing here: a stream's kernels
 * run one after the other, which every one of them permits.
 */
static CUresult read_attribute(const CUlaunchAttribute *attribute, struct soft_shape *shape)
{
    const CUlaunchAttributeValue *value = &attribute->value;
    switch ((int)attribute->id) {
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        shape->cooperative = value->cooperative != 0;
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        shape->cluster[0] = value->clusterDim.x;
        shape->cluster[1] = value->clusterDim.y;
        shape->cluster[2] = value->clusterDim.z;
        return value->clusterDim.x && value->clusterDim.y && value->clusterDim.z
                   ? CUDA_SUCCESS
                   : CUDA_ERROR_INVALID_VALUE;
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
        return take_event(value->programmaticEvent.event, &shape->events[0]);
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        return take_event(value->launchCompletionEvent.event, &shape->events[1]);
    case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE: /* for capture only */
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:       /* for streams only */
        return CUDA_ERROR_INVALID_VALUE;
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    case CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING:
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult soft_shape_read(const CUlaunchConfig *config, struct soft_shape *shape)
{
    *shape = (struct soft_shape){
        .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
        .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
        .shared = config->sharedMemBytes,
    };
    if (config->numAttrs && !config->attrs)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < config->numAttrs; i++) {
        CUresult result = read_attribute(&config->attrs[i], shape);
        if (result != CUDA_SUCCESS)
            return result;
    }
    return CUDA_SUCCESS;
}

/* ---- checks ---- */

CUresult soft_shape_cluster(const struct soft_function *function, struct soft_shape *shape)
{
    const uint32_t *fixed = function->info.required_cluster;
    bool asked = shape->cluster[0] != 0;
    if (asked && fixed[0] && memcmp(fixed, shape->cluster, sizeof(shape->cluster)) != 0)
        return CUDA_ERROR_INVALID_CLUSTER_SIZE;
    uint64_t blocks = 1;
    for (int i = 0; i < 3; i++) {
        if (!asked)
            shape->cluster[i] = (unsigned)atomic_load(&function->settings.cluster[i]);
        if (shape->cluster[i] == 0)
            shape->cluster[i] = 1;
        if (shape->cluster[i] > SOFT_CLUSTER_MOST || shape->grid[i] % shape->cluster[i])
            return CUDA_ERROR_INVALID_CLUSTER_SIZE;
        blocks *= shape->cluster[i];
    }
    bool more = atomic_load(&function->settings.non_portable_cluster);
    return blocks > (more ? SOFT_CLUSTER_MOST : SOFT_CLUSTER_BLOCKS)
               ? CUDA_ERROR_INVALID_CLUSTER_SIZE
               : CUDA_SUCCESS;
}

static CUresult check_grid(const struct soft_shape *shape)
{
    static const unsigned most_grid[3] = {INT32_MAX, 65535, 65535},
                          most_block[3] = {1024, 1024, 64};
    for (int i = 0; i < 3; i++)
        if (shape->grid[i] == 0 || shape->grid[i] > most_grid[i] || shape->block[i] == 0 ||
            shape->block[i] > most_block[i])
            return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

static CUresult check_block(const struct soft_function *function, const struct soft_shape *shape)
{
    const struct wh_soft_kernel_info *info = &function->info;
    uint32_t threads = shape->block[0] * shape->block[1] * shape->block[2];
    if (threads > SOFT_BLOCK_THREADS)
        return CUDA_ERROR_INVALID_VALUE;
    if (threads > info->max_threads)
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    if (info->required_block[0] &&
        memcmp(info->required_block, shape->block, sizeof(shape->block)) != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (shape->shared > (unsigned)atomic_load(&function->settings.dynamic_shared))
        return CUDA_ERROR_INVALID_VALUE;
    unsigned resident = soft_resident_blocks(function, threads, shape->shared);
    if (resident == 0)
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    uint64_t blocks = (uint64_t)shape->grid[0] * shape->grid[1] * shape->grid[2];
    if (shape->cooperative &&
        blocks > (uint64_t)resident * (unsigned)soft_driver()->multiprocessors)
        return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    return CUDA_SUCCESS;
}

/* ---- parameters ---- */

/* The buffer that `extra` names. */
static CUresult read_extra(void *const *extra, const void **buffer, size_t *size)
{
    *buffer = NULL;
    *size = 0;
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
            *buffer = extra[1];
        else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[1])
            *size = *(const size_t *)extra[1];
        else
            return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

static CUresult pack(const struct soft_function *function, void *const *pointers,
                     void *const *extra, unsigned char *bytes)
{
    const struct wh_soft_kernel_info *info = &function->info;
    if (extra) {
        const void *buffer;
        size_t size;
        CUresult result = read_extra(extra, &buffer, &size);
        if (result != CUDA_SUCCESS || size < info->params_size || (size && !buffer))
            return CUDA_ERROR_INVALID_VALUE;
        if (info->params_size)
            memcpy(bytes, buffer, info->params_size);
        return CUDA_SUCCESS;
    }
    for (size_t i = 0; i < info->nparams; i++) {
        size_t offset, size;
        if (!pointers || !pointers[i] || !wh_soft_kernel_param(function->code, i, &offset, &size))
            return CUDA_ERROR_INVALID_VALUE;
        memcpy(bytes + offset, pointers[i], size);
    }
    return CUDA_SUCCESS;
}

/* ---- the command ---- */

static CUresult run_launch(struct soft_stream *stream, struct soft_command *command)
{
    struct launch_command *self = (struct launch_command *)command;
    struct soft_context *context = stream->object.context;
    struct wh_soft_fault fault = {0};
    soft_meter_kernels(context->device, 1);
    int result = wh_soft_run(soft_memory_of(context), &self->launch, &fault);
    soft_meter_kernels(context->device, -1);
    if (result == 0)
        return CUDA_SUCCESS;
    wh_debug("kernel failed with error %d: %s", fault.code, fault.text);
    return fault.code ? (CUresult)fault.code : CUDA_ERROR_LAUNCH_FAILED;
}

static void discard_launch(struct soft_command *command)
{
    free(((struct launch_command *)command)->pointers);
    soft_object_release(((struct launch_command *)command)->function);
}

static struct launch_command *new_launch(struct soft_context *context,
                                         struct soft_function *function,
                                         const struct soft_shape *shape)
{
    size_t size = sizeof(struct launch_command) + function->info.params_size;
    struct launch_command *self = soft_command_new(size, run_launch);
    if (!self)
        return NULL;
    self->function = soft_object_retain(function);
    self->command.discard = discard_launch;
    self->command.node = 1 + CU_GRAPH_NODE_TYPE_KERNEL;
    self->launch = (struct wh_soft_launch){
        .kernel = function->code,
        .grid = {shape->grid[0], shape->grid[1], shape->grid[2]},
        .block = {shape->block[0], shape->block[1], shape->block[2]},
        .cluster = {shape->cluster[0], shape->cluster[1], shape->cluster[2]},
        .dynamic_shared = shape->shared,
        .cooperative = shape->cooperative,
        .params = self->parameters,
        .heap = atomic_load(&context->limits[CU_LIMIT_MALLOC_HEAP_SIZE]),
        .cancel = &context->cancel,
        .number = atomic_fetch_add(&soft_driver()->launches, 1) + 1,
    };
    return self;
}

static CUresult record_events(const struct soft_shape *shape, struct soft_stream *stream)
{
    CUresult result = CUDA_SUCCESS;
    for (int i = 0; i < 2 && result == CUDA_SUCCESS; i++) {
        if (!shape->events[i])
            continue;
        SOFT_HOLD struct soft_event *event;
        result = soft_event_find(shape->events[i], &event);
        if (result == CUDA_SUCCESS)
            result = soft_event_record(event, stream);
    }
    return result;
}

/* A launch that passed all checks, in the function's context. */
static CUresult make(struct soft_function *function, struct soft_shape *shape,
                     void *const *pointers, void *const *extra, struct launch_command **made)
{
    CUresult result = check_grid(shape);
    if (result == CUDA_SUCCESS)
        result = check_block(function, shape);
    if (result == CUDA_SUCCESS)
        result = soft_shape_cluster(function, shape);
    if (result != CUDA_SUCCESS)
        return result;
    if ((pointers && extra) || function->info.params_size > SOFT_PARAMETER_BYTES)
        return CUDA_ERROR_INVALID_VALUE;
    struct launch_command *self = new_launch(function->object.context, function, shape);
    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = pack(function, pointers, extra, self->parameters);
    if (result == CUDA_SUCCESS)
        *made = self;
    else
        soft_command_free(&self->command);
    return result;
}

static CUresult launch(CUfunction handle, struct soft_shape *shape, CUstream stream_handle,
                       void *const *pointers, void *const *extra)
{
    struct launch_command *self;
    SOFT_HOLD struct soft_stream *stream = NULL;
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_launchable_find(handle, &function);
    if (result == CUDA_SUCCESS)
        result = soft_enter_stream(stream_handle, &stream);
    if (result == CUDA_SUCCESS && stream->object.context != function->object.context)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS)
        result = make(function, shape, pointers, extra, &self);
    if (result != CUDA_SUCCESS)
        return result;
    if ((const void *)handle != function)
        self->kernel = (CUkernel)handle;
    result = soft_submit(stream, &self->command, NULL);
    return result == CUDA_SUCCESS ? record_events(shape, stream) : result;
}

/* ---- nodes of graphs ---- */

CUresult soft_launch_make(CUfunction handle, const CUlaunchConfig *config,
                          struct soft_context *context, void *const *pointers, void *const *extra,
                          struct soft_command **command)
{
    struct soft_shape shape;
    struct launch_command *self;
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_launchable_find(handle, &function);
    if (result == CUDA_SUCCESS && context && context != function->object.context)
        result = CUDA_ERROR_INVALID_CONTEXT;
    if (result == CUDA_SUCCESS)
        result = soft_shape_read(config, &shape);
    if (result == CUDA_SUCCESS)
        result = make(function, &shape, pointers, extra, &self);
    if (result != CUDA_SUCCESS)
        return result;
    if ((const void *)handle != function)
        self->kernel = (CUkernel)handle;
    *command = &self->command;
    return CUDA_SUCCESS;
}

void soft_launch_describe(struct soft_command *command, CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    struct launch_command *self = (struct launch_command *)command;
    const struct wh_soft_launch *l = &self->launch;
    size_t n = self->function->info.nparams, offset;
    if (!self->pointers && n && (self->pointers = calloc(n, sizeof(void *))))
        for (size_t i = 0; i < n; i++)
            if (soft_parameter(self->function->code, i, &offset, NULL) == CUDA_SUCCESS)
                self->pointers[i] = self->parameters + offset;
    *params = (CUDA_KERNEL_NODE_PARAMS_v2){.func = (CUfunction)self->function,
                                           .gridDimX = l->grid[0],
                                           .gridDimY = l->grid[1],
                                           .gridDimZ = l->grid[2],
                                           .blockDimX = l->block[0],
                                           .blockDimY = l->block[1],
                                           .blockDimZ = l->block[2],
                                           .sharedMemBytes = l->dynamic_shared,
                                           .kernelParams = self->pointers,
                                           .kern = self->kernel};
}

bool soft_launch_attribute(const struct soft_command *command, CUlaunchAttributeID id,
                           CUlaunchAttributeValue *value)
{
    const struct launch_command *self = (const struct launch_command *)command;
    const struct wh_soft_launch *l = &self->launch;
    memset(value, 0, sizeof(*value));
    switch ((int)id) {
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        value->cooperative = l->cooperative;
        return true;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        value->clusterDim.x = l->cluster[0];
        value->clusterDim.y = l->cluster[1];
        value->clusterDim.z = l->cluster[2];
        return true;
    default:
        return false;
    }
}

/* With the checks that a launch of this shape would meet. */
CUresult soft_launch_with(struct soft_command *command, CUlaunchAttributeID id,
                          const CUlaunchAttributeValue *value, struct soft_command **changed)
{
    const struct launch_command *self = (const struct launch_command *)command;
    const struct wh_soft_launch *l = &self->launch;
    struct launch_command *made;
    struct soft_shape shape = {.grid = {l->grid[0], l->grid[1], l->grid[2]},
                               .block = {l->block[0], l->block[1], l->block[2]},
                               .cluster = {l->cluster[0], l->cluster[1], l->cluster[2]},
                               .shared = l->dynamic_shared,
                               .cooperative = l->cooperative};
    const CUlaunchAttribute attribute = {.id = id, .value = *value};
    size_t size = self->function->info.params_size;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)self->parameters,
                     CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
    CUresult result = read_attribute(&attribute, &shape);
    if (result == CUDA_SUCCESS)
        result = make(self->function, &shape, NULL, extra, &made);
    if (result != CUDA_SUCCESS)
        return result;
    made->kernel = self->kernel;
    *changed = &made->command;
    return CUDA_SUCCESS;
}

/* ---- the API ---- */

SOFT_API CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y,
                                 unsigned grid_z, unsigned block_x, unsigned block_y,
                                 unsigned block_z, unsigned shared, CUstream stream,
                                 void **parameters, void **extra)
{
    struct soft_shape shape = {
        .grid = {grid_x, grid_y, grid_z}, .block = {block_x, block_y, block_z}, .shared = shared};
    return launch(function, &shape, stream, parameters, extra);
}

SOFT_API CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y,
                                            unsigned grid_z, unsigned block_x, unsigned block_y,
                                            unsigned block_z, unsigned shared, CUstream stream,
                                            void **parameters)
{
    struct soft_shape shape = {.grid = {grid_x, grid_y, grid_z},
                               .block = {block_x, block_y, block_z},
                               .shared = shared,
                               .cooperative = true};
    return launch(function, &shape, stream, parameters, NULL);
}

SOFT_API CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function,
                                   void **parameters, void **extra)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    struct soft_shape shape;
    CUresult result = soft_shape_read(config, &shape);
    return result == CUDA_SUCCESS ? launch(function, &shape, config->hStream, parameters, extra)
                                  : result;
}
