/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches: the parameters are packed by the kernel's layout and posted. A launch that the driver
 * is likely to refuse is called instead, so that the program gets the error where it would
 * natively; until it took one of the same shape.
 */
#include "shim/cuda/code.h"
#include "shim/cuda/mirror.h"
#include "shim/cuda/observe.h"

#include "base/util.h"

#include <limits.h>
#include <stdlib.h>

#define ON_STACK        4096u
#define MOST_ATTRIBUTES 64u
#define MOST_THREADS    1024u
#define MOST_SHARED     (48u << 10)

/* One launch on its way. */
struct launch {
    struct wh_session *session;
    struct wh_object *code; /* function or kernel */
    wh_cuda_grid grid;
    CUstream stream;
    unsigned nattributes;
    const CUlaunchAttribute *attributes;
    CUevent events[MOST_ATTRIBUTES];
    const void *params;
    size_t size;
};

/* 0 where the driver does not say. */
static int attribute_of(struct wh_object *object, CUfunction_attribute attribute)
{
    int value = 0;
    if (object->type == WH_CUDA_TYPE_CUfunction)
        cuFuncGetAttribute(&value, attribute, (CUfunction)object);
    else
        cuKernelGetAttribute(&value, attribute, (CUkernel)object,
                             wh_cuda_context(wh_cuda_current())->device);
    return value;
}

/* How many threads of a block the kernel's registers allow; kept with it, as every launch asks. */
static uint64_t most_threads(struct wh_object *object)
{
    struct wh_cuda_code *code = wh_cuda_code_known(object);
    int most = code ? atomic_load_explicit(&code->most_threads, memory_order_relaxed) : 0;
    if (most > 0)
        return (uint64_t)most;
    most = attribute_of(object, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    if (most <= 0)
        return 0;
    if (code)
        atomic_store_explicit(&code->most_threads, most, memory_order_relaxed);
    return (uint64_t)most;
}

/* The shared memory that the kernel has by itself; likewise. */
static uint64_t own_shared(struct wh_object *object)
{
    struct wh_cuda_code *code = wh_cuda_code_known(object);
    int own = code ? atomic_load_explicit(&code->own_shared, memory_order_relaxed) : 0;
    if (own > 0)
        return (uint64_t)own - 1;
    own = attribute_of(object, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
    if (own < 0)
        return 0;
    if (code)
        atomic_store_explicit(&code->own_shared, own + 1, memory_order_relaxed);
    return (uint64_t)own;
}

/* Whether the kernel was compiled for clusters, or set to have them, whose rules the driver knows
 * best; kept with the number of such settings, which are rare. */
static bool is_clustered(struct wh_object *object)
{
    struct wh_cuda_code *code = wh_cuda_code_known(object);
    uint64_t settings = (uint64_t)wh_cuda_clusters_set() << 2;
    uint64_t known = code ? atomic_load_explicit(&code->clustered, memory_order_relaxed) : 0;
    if (known >> 2 == settings >> 2 && known & 2)
        return known & 1;
    bool clustered = attribute_of(object, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH) ||
                     attribute_of(object, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET);
    if (code)
        atomic_store_explicit(&code->clustered, settings | 2 | clustered, memory_order_relaxed);
    return clustered;
}

/* Whether the driver will take it, as far as can be said without asking. */
static bool looks_good(const struct launch *l)
{
    const wh_cuda_grid *g = &l->grid;
    uint64_t threads = (uint64_t)g->block[0] * g->block[1] * g->block[2];
    if (threads == 0 || threads > MOST_THREADS || g->block[0] > 1024 || g->block[1] > 1024 ||
        g->block[2] > 64)
        return false;
    if (g->grid[0] == 0 || g->grid[1] == 0 || g->grid[2] == 0 || g->grid[0] > INT_MAX ||
        g->grid[1] > 65535 || g->grid[2] > 65535 || g->shared > MOST_SHARED || l->nattributes)
        return false;
    if (g->shared && g->shared + own_shared(l->code) > MOST_SHARED)
        return false; /* unless the program has allowed the kernel more */
    return threads <= most_threads(l->code) && !is_clustered(l->code);
}

/*
 * Most of what a program calls is this one message, without attributes and with few parameters: its
 * words are written here. False: the description's way shall see to it.
 */
static bool post_plain(const struct launch *l)
{
    enum { WORDS = 9 };
    bool function = l->code->type == WH_CUDA_TYPE_CUfunction;
    uint64_t stream = 0;
    struct wh_writer w;
    if (l->nattributes || !l->params || l->size > ON_STACK || wh_cuda_ails() ||
        wh_cuda_capturing() || !wh_cuda_stream_id(l->session, l->stream, &stream))
        return false;
    uint64_t size = WORDS * 8 + wh_round_up(sizeof(l->grid), 8) + l->size;
    if (!wh_client_begin(l->session, wh_cuda_call_desc(WH_CUDA_wh_launch), (uint32_t)size, &w))
        return false;
    wh_write_word(&w, function ? l->code->id : WH_ID_NONE);
    wh_write_word(&w, function ? WH_ID_NONE : l->code->id);
    wh_write_word(&w, sizeof(l->grid));
    wh_write_bytes(&w, &l->grid, sizeof(l->grid));
    wh_write_word(&w, stream);
    wh_write_word(&w, 0); /* attributes */
    wh_write_word(&w, WH_PAYLOAD_NULL);
    wh_write_word(&w, WH_PAYLOAD_NULL);
    wh_write_word(&w, l->size);
    wh_write_word(&w, l->size);
    wh_write_bytes(&w, l->params, l->size);
    wh_client_commit(l->session, &w);
    return true;
}

/* Not so streams of another context: whether, and by whose attributes, the driver knows. */
static bool is_of_this_context(const struct launch *l)
{
    const struct wh_object *stream =
        (uintptr_t)l->stream < WH_SPECIAL_HANDLES
            ? NULL
            : wh_object_check(wh_session_objects(l->session), l->stream, WH_CUDA_TYPE_CUstream);
    return !stream || !stream->word || (CUcontext)(uintptr_t)stream->word == wh_cuda_current();
}

static CUresult deliver(struct launch *l)
{
    bool function = l->code->type == WH_CUDA_TYPE_CUfunction;
    CUresult result = wh_cuda_mirrors_push(l->stream);
    if (result != CUDA_SUCCESS)
        return result;
    struct wh_cuda_shape shape;
    struct wh_cuda_code *code = NULL;
    bool here = is_of_this_context(l), good = here && looks_good(l);
    if (here && !good &&
        wh_cuda_shape_of(&shape, l->code, &l->grid, l->nattributes, l->attributes)) {
        code = l->code->extra;
        good = wh_cuda_shape_was_taken(code, &shape);
    }
    if (good && post_plain(l))
        return CUDA_SUCCESS;
    uint64_t a[] = {function ? (uintptr_t)l->code : 0,
                    function ? 0 : (uintptr_t)l->code,
                    (uintptr_t)&l->grid,
                    (uintptr_t)l->stream,
                    l->nattributes,
                    l->nattributes ? (uintptr_t)l->attributes : 0,
                    l->nattributes ? (uintptr_t)l->events : 0,
                    l->size,
                    (uintptr_t)l->params};
    if (good)
        return wh_cuda_post(WH_CUDA_wh_launch, a);
    result = wh_cuda_call_now(WH_CUDA_wh_launch, a);
    if (result == CUDA_SUCCESS && code && !wh_cuda_capturing())
        wh_cuda_shape_taken(code, &shape);
    return result;
}

/* Profilers are told of clusters that the launch says, in blocks. */
static void tell_attributes(const struct launch *l, struct wh_observed_kernel *kernel)
{
    for (unsigned i = 0; i < l->nattributes; i++) {
        const CUlaunchAttribute *attribute = &l->attributes[i];
        if (attribute->id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
            kernel->cooperative = attribute->value.cooperative != 0;
        else if (attribute->id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
            memcpy(kernel->cluster, &attribute->value.clusterDim, sizeof(kernel->cluster));
    }
}

static void tell(const struct launch *l, const struct wh_cuda_facts *facts,
                 struct wh_cuda_work *work)
{
    struct wh_observed_kernel *kernel = &wh_cuda_work_told(work)->kernel;
    memcpy(kernel->grid, l->grid.grid, sizeof(kernel->grid));
    memcpy(kernel->block, l->grid.block, sizeof(kernel->block));
    kernel->dynamic_shared = l->grid.shared;
    if (facts) {
        kernel->name = facts->name;
        kernel->registers = facts->registers;
        kernel->fixed_shared = facts->shared;
        kernel->local = facts->local;
    }
    tell_attributes(l, kernel);
}

static CUresult deliver_observed(struct launch *l)
{
    struct wh_cuda_work *work = wh_cuda_work_begin(WH_OBSERVE_KERNELS, l->stream);
    if (work)
        tell(l, wh_cuda_facts_of(l->code), work);
    CUresult result = deliver(l);
    wh_cuda_work_end(work, result);
    return result;
}

static CUresult send(struct launch *l)
{
    return wh_cuda_observing() ? deliver_observed(l) : deliver(l);
}

/* ---- parameters ---- */

static void pack(const struct wh_cuda_layout *layout, void **from, uint8_t *to)
{
    for (unsigned i = 0; i < layout->n; i++)
        memcpy(to + layout->param[i].offset, from[i], layout->param[i].size);
}

static CUresult send_packed(struct launch *l, const struct wh_cuda_layout *layout, void **params)
{
    _Alignas(16) uint8_t room[ON_STACK];
    if (layout->size <= sizeof(room)) {
        memset(room, 0, layout->size);
        pack(layout, params, room);
        l->params = room;
        l->size = layout->size;
        return send(l);
    }
    uint8_t *memory = calloc(1, layout->size);
    if (!memory)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pack(layout, params, memory);
    l->params = memory;
    l->size = layout->size;
    CUresult result = send(l);
    free(memory);
    return result;
}

/* The list of CU_LAUNCH_PARAM_... names and values. */
static CUresult send_extra(struct launch *l, void **extra)
{
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            l->params = extra[1];
        else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[1])
            l->size = *(const size_t *)extra[1];
        else
            return CUDA_ERROR_INVALID_VALUE;
    }
    if (!l->params)
        l->size = 0;
    return l->size > WH_CUDA_MOST_PARAMS ? CUDA_ERROR_INVALID_VALUE : send(l);
}

static CUresult launch(struct launch *l, const void *function, void **params, void **extra)
{
    const struct wh_cuda_layout *layout;
    CUresult result = CUDA_SUCCESS;
    l->session = wh_cuda_enter(&result);
    if (!l->session)
        return result;
    if (!wh_cuda_context_here(l->session))
        return CUDA_ERROR_INVALID_CONTEXT;
    l->code = wh_object_check(wh_session_objects(l->session), function, 0);
    if (!l->code ||
        (l->code->type != WH_CUDA_TYPE_CUfunction && l->code->type != WH_CUDA_TYPE_CUkernel))
        return CUDA_ERROR_INVALID_HANDLE;
    if (params && extra)
        return CUDA_ERROR_INVALID_VALUE;
    if (extra)
        return send_extra(l, extra);
    result = wh_cuda_layout_of(l->code, &layout);
    if (result != CUDA_SUCCESS)
        return result;
    if (layout->n && !params)
        return CUDA_ERROR_INVALID_VALUE;
    return send_packed(l, layout, params);
}

/* ---- what programs call ---- */

WH_EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                                  unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                                  unsigned int block_z, unsigned int shared, CUstream stream,
                                  void **params, void **extra)
{
    struct launch l;
    l.grid = (wh_cuda_grid){
        .grid = {grid_x, grid_y, grid_z}, .block = {block_x, block_y, block_z}, .shared = shared};
    l.stream = stream;
    l.nattributes = 0;
    l.attributes = NULL;
    l.params = NULL;
    l.size = 0;
    return launch(&l, function, params, extra);
}

/* Events in attributes are handles of ours. */
static CUresult take_events(struct launch *l)
{
    for (unsigned i = 0; i < l->nattributes; i++) {
        unsigned id = (unsigned)l->attributes[i].id;
        l->events[i] = NULL;
        if (id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT ||
            id == CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT)
            memcpy(&l->events[i], &l->attributes[i].value, sizeof(CUevent));
        else if (id == CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE)
            return CUDA_ERROR_NOT_SUPPORTED;
    }
    return CUDA_SUCCESS;
}

static CUresult launch_with(const CUlaunchConfig *config, CUfunction function, void **params,
                            void **extra)
{
    struct launch l;
    if (!config || config->numAttrs > MOST_ATTRIBUTES || (config->numAttrs && !config->attrs))
        return CUDA_ERROR_INVALID_VALUE;
    l.grid = (wh_cuda_grid){.grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
                            .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
                            .shared = config->sharedMemBytes};
    l.stream = config->hStream;
    l.nattributes = config->numAttrs;
    l.attributes = config->attrs;
    l.params = NULL;
    l.size = 0;
    CUresult result = take_events(&l);
    return result == CUDA_SUCCESS ? launch(&l, function, params, extra) : result;
}

WH_EXPORT CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function,
                                    void **params, void **extra)
{
    return launch_with(config, function, params, extra);
}

WH_EXPORT CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int grid_x,
                                             unsigned int grid_y, unsigned int grid_z,
                                             unsigned int block_x, unsigned int block_y,
                                             unsigned int block_z, unsigned int shared,
                                             CUstream stream, void **params)
{
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE};
    int on = 1;
    CUlaunchConfig config = {.gridDimX = grid_x,
                             .gridDimY = grid_y,
                             .gridDimZ = grid_z,
                             .blockDimX = block_x,
                             .blockDimY = block_y,
                             .blockDimZ = block_z,
                             .sharedMemBytes = shared,
                             .hStream = stream,
                             .attrs = &attribute,
                             .numAttrs = 1};
    memcpy(&attribute.value, &on, sizeof(on));
    return launch_with(&config, function, params, NULL);
}
