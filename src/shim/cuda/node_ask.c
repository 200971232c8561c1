/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes of graphs have: every call that asks for parameters becomes one message. What the
 * answers point to is kept for the program.
 */
#include "shim/cuda/graph.h"

#include "shim/cuda/callback.h"
#include "shim/cuda/code.h"
#include "shim/cuda/staging.h"

#include <stdlib.h>

#define MOST_OPERATIONS 256u
#define MOST_ACCESS     64u

/* ---- what the program was given pointers to ---- */

/* Valid until the node is destroyed or asked about again. */
struct kept {
    struct kept *next;
    uint64_t graph, node;
    _Alignas(16) uint8_t bytes[];
};

static struct {
    pthread_mutex_t lock;
    struct kept *first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

void wh_cuda_nodes_forget(uint64_t graph, uint64_t node)
{
    pthread_mutex_lock(&all.lock);
    for (struct kept **link = &all.first; *link;) {
        struct kept *kept = *link;
        if ((graph && kept->graph == graph) || (node && kept->node == node)) {
            *link = kept->next;
            free(kept);
        } else {
            link = &kept->next;
        }
    }
    pthread_mutex_unlock(&all.lock);
}

void *wh_cuda_node_keep(uint64_t graph, uint64_t node, size_t size)
{
    struct kept *kept = calloc(1, sizeof(*kept) + size);
    if (!kept)
        return NULL;
    wh_cuda_nodes_forget(0, node);
    kept->graph = graph;
    kept->node = node;
    pthread_mutex_lock(&all.lock);
    kept->next = all.first;
    all.first = kept;
    pthread_mutex_unlock(&all.lock);
    return kept->bytes;
}

/* ---- asking ---- */

/* A node's answer. */
struct answer {
    wh_cuda_node node;
    CUfunction function;
    CUkernel kernel;
    CUarray to, from;
    CUevent event;
    uint8_t *bytes;
    size_t size;
};

static void free_answer(struct answer *a)
{
    free(a->bytes);
}

#define ANSWER __attribute__((cleanup(free_answer))) struct answer

/* `place`: where the program wants it; there must be one. */
static CUresult ask(CUgraphNode handle, CUgraphNodeType type, const void *place, struct answer *a)
{
    size_t room = 4096;
    CUresult result = CUDA_SUCCESS;
    *a = (struct answer){0};
    if (!place)
        return CUDA_ERROR_INVALID_VALUE;
    do {
        if (a->size > room)
            room = a->size;
        free(a->bytes);
        a->bytes = calloc(1, room);
        if (!a->bytes)
            return CUDA_ERROR_OUT_OF_MEMORY;
        result = wh_cuda_call_node_get(wh_cuda_number(handle), &a->node, &a->function, &a->kernel,
                                       &a->to, &a->from, &a->event, room, a->bytes, &a->size);
    } while (result == CUDA_SUCCESS && a->size > room && a->size <= WH_CUDA_MOST_PARAMS);
    if (result == CUDA_SUCCESS && (a->size > room || a->node.type != type))
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

/* Pointers to the parameters, and behind them the parameters. */
static CUresult unpack(CUgraphNode node, const struct answer *a, struct wh_object *code,
                       void ***params)
{
    const struct wh_cuda_layout *layout;
    CUresult result = wh_cuda_layout_of(code, &layout);
    *params = NULL;
    if (result != CUDA_SUCCESS || layout->n == 0)
        return result;
    size_t head = (layout->n * sizeof(void *) + 15) & ~(size_t)15;
    uint8_t *kept = wh_cuda_node_keep(a->node.graph, wh_cuda_number(node), head + layout->size);
    if (!kept)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(kept + head, a->bytes, a->size < layout->size ? a->size : layout->size);
    *params = (void **)(void *)kept;
    for (unsigned i = 0; i < layout->n; i++)
        (*params)[i] = kept + head + layout->param[i].offset;
    return CUDA_SUCCESS;
}

/* Both the function and the kernel that it is of, if it is of one: cudart knows it by that. */
static CUresult name_code(struct answer *a)
{
    if (a->kernel)
        return cuKernelGetFunction(&a->function, a->kernel);
    const struct wh_object *function = (const struct wh_object *)a->function;
    if (!function)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (function->parent && function->parent->type == WH_CUDA_TYPE_CUkernel)
        a->kernel = (CUkernel)function->parent;
    return CUDA_SUCCESS;
}

static CUresult get_kernel(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    ANSWER a;
    void **pointers = NULL;
    CUresult result = ask(node, CU_GRAPH_NODE_TYPE_KERNEL, params, &a);
    if (result == CUDA_SUCCESS)
        result = name_code(&a);
    if (result == CUDA_SUCCESS)
        result = unpack(node, &a, (struct wh_object *)a.function, &pointers);
    if (result != CUDA_SUCCESS)
        return result;
    const wh_cuda_grid *g = &a.node.grid;
    *params = (CUDA_KERNEL_NODE_PARAMS_v2){.func = a.function,
                                           .gridDimX = g->grid[0],
                                           .gridDimY = g->grid[1],
                                           .gridDimZ = g->grid[2],
                                           .blockDimX = g->block[0],
                                           .blockDimY = g->block[1],
                                           .blockDimZ = g->block[2],
                                           .sharedMemBytes = g->shared,
                                           .kernelParams = pointers,
                                           .kern = a.kernel,
                                           .ctx = wh_cuda_current()};
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode node,
                                                 CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    return get_kernel(node, params);
}

WH_EXPORT CUresult cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    CUDA_KERNEL_NODE_PARAMS_v2 p;
    CUresult result = params ? get_kernel(node, &p) : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        memcpy(params, &p, sizeof(*params));
    return result;
}

/* A side that is staged is the program's own memory. */
static void tell_side(const wh_cuda_place *place, CUarray array, const wh_cuda_place *own,
                      CUmemorytype *type, void **host, CUdeviceptr *device)
{
    if (place->kind == WH_CUDA_PLACE_ARRAY || array) {
        *type = CU_MEMORYTYPE_ARRAY;
    } else if (own) {
        *type = CU_MEMORYTYPE_HOST;
        *host = (void *)(uintptr_t)own->address;
    } else if (wh_cuda_is_shared((const void *)(uintptr_t)place->address, 1)) {
        *type = CU_MEMORYTYPE_HOST;
        *host = (void *)(uintptr_t)place->address;
    } else {
        *type = CU_MEMORYTYPE_DEVICE;
        *device = place->address;
    }
}

static void tell_copy(const struct answer *a, CUDA_MEMCPY3D *p)
{
    wh_cuda_place own;
    bool fills = false, staged = a->node.token && wh_cuda_staged_side(a->node.token, &own, &fills);
    const wh_cuda_place *to = staged && !fills ? &own : &a->node.box.to;
    const wh_cuda_place *from = staged && fills ? &own : &a->node.box.from;
    void *source = NULL;
    *p = (CUDA_MEMCPY3D){.srcXInBytes = from->x,
                         .srcY = from->y,
                         .srcZ = from->z,
                         .srcPitch = from->pitch,
                         .srcHeight = from->height,
                         .srcArray = a->from,
                         .dstXInBytes = to->x,
                         .dstY = to->y,
                         .dstZ = to->z,
                         .dstPitch = to->pitch,
                         .dstHeight = to->height,
                         .dstArray = a->to,
                         .WidthInBytes = a->node.box.width,
                         .Height = a->node.box.height,
                         .Depth = a->node.box.depth};
    tell_side(from, a->from, staged && fills ? &own : NULL, &p->srcMemoryType, &source,
              &p->srcDevice);
    p->srcHost = source;
    tell_side(to, a->to, staged && !fills ? &own : NULL, &p->dstMemoryType, &p->dstHost,
              &p->dstDevice);
}

WH_EXPORT CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D *params)
{
    ANSWER a;
    CUresult result = ask(node, CU_GRAPH_NODE_TYPE_MEMCPY, params, &a);
    if (result == CUDA_SUCCESS)
        tell_copy(&a, params);
    return result;
}

WH_EXPORT CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS *params)
{
    ANSWER a;
    CUresult result = ask(node, CU_GRAPH_NODE_TYPE_MEMSET, params, &a);
    if (result == CUDA_SUCCESS)
        *params = a.node.set;
    return result;
}

WH_EXPORT CUresult cuGraphHostNodeGetParams(CUgraphNode node, CUDA_HOST_NODE_PARAMS *params)
{
    ANSWER a;
    struct wh_cuda_notice notice;
    CUresult result = ask(node, CU_GRAPH_NODE_TYPE_HOST, params, &a);
    if (result == CUDA_SUCCESS && !wh_cuda_notice_find(a.node.token, &notice))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *params = (CUDA_HOST_NODE_PARAMS){.fn = notice.function, .userData = notice.user};
    return result;
}

static CUresult get_event(CUgraphNode node, CUgraphNodeType type, CUevent *event)
{
    ANSWER a;
    CUresult result = ask(node, type, event, &a);
    if (result == CUDA_SUCCESS)
        *event = a.event;
    return result;
}

WH_EXPORT CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode node, CUevent *event)
{
    return get_event(node, CU_GRAPH_NODE_TYPE_EVENT_RECORD, event);
}

WH_EXPORT CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode node, CUevent *event)
{
    return get_event(node, CU_GRAPH_NODE_TYPE_WAIT_EVENT, event);
}

/* The bytes of an answer, kept for the program. */
static void *keep_bytes(CUgraphNode node, const struct answer *a, size_t size)
{
    void *kept = wh_cuda_node_keep(a->node.graph, wh_cuda_number(node), size ? size : 1);
    if (kept)
        memcpy(kept, a->bytes, a->size < size ? a->size : size);
    return kept;
}

WH_EXPORT CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode node,
                                                  CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    ANSWER a;
    CUresult result = ask(node, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, params, &a);
    if (result == CUDA_SUCCESS && a.node.count > MOST_OPERATIONS)
        result = CUDA_ERROR_UNKNOWN;
    if (result == CUDA_SUCCESS)
        *params = (CUDA_BATCH_MEM_OP_NODE_PARAMS){
            .ctx = wh_cuda_current(),
            .count = (unsigned)a.node.count,
            .paramArray = keep_bytes(node, &a, a.node.count * sizeof(*params->paramArray))};
    return result;
}

WH_EXPORT CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node,
                                                CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
    ANSWER a;
    CUresult result = ask(node, CU_GRAPH_NODE_TYPE_MEM_ALLOC, params, &a);
    if (result == CUDA_SUCCESS && a.node.count > MOST_ACCESS)
        result = CUDA_ERROR_UNKNOWN;
    if (result == CUDA_SUCCESS)
        *params = (CUDA_MEM_ALLOC_NODE_PARAMS){
            .poolProps = a.node.pool,
            .accessDescs =
                a.node.count ? keep_bytes(node, &a, a.node.count * sizeof(CUmemAccessDesc)) : NULL,
            .accessDescCount = a.node.count,
            .bytesize = a.node.size,
            .dptr = a.node.address};
    return result;
}

WH_EXPORT CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr *address)
{
    ANSWER a;
    CUresult result = ask(node, CU_GRAPH_NODE_TYPE_MEM_FREE, address, &a);
    if (result == CUDA_SUCCESS)
        *address = a.node.address;
    return result;
}

/* ---- attributes ---- */

WH_EXPORT CUresult cuGraphKernelNodeGetAttribute(CUgraphNode node, CUkernelNodeAttrID id,
                                                 CUkernelNodeAttrValue *value)
{
    return value ? wh_cuda_call_node_attribute(wh_cuda_number(node), id, NULL, value)
                 : CUDA_ERROR_INVALID_VALUE;
}

WH_EXPORT CUresult cuGraphKernelNodeSetAttribute(CUgraphNode node, CUkernelNodeAttrID id,
                                                 const CUkernelNodeAttrValue *value)
{
    return value ? wh_cuda_call_node_attribute(wh_cuda_number(node), id, value, NULL)
                 : CUDA_ERROR_INVALID_VALUE;
}

WH_EXPORT CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode to, CUgraphNode from)
{
    return wh_cuda_call_node_copy_attributes(wh_cuda_number(to), wh_cuda_number(from));
}
