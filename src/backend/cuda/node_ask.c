/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes have: one message asks for a node's parameters, whatever its kind; others for the
 * attributes of kernels, and for what an executable graph leaves out. */
#include "backend/cuda/graph.h"
#include "backend/cuda/relay.h"

#include <string.h>

/* ---- what a node has ---- */

/* Where a node's parameters come back. */
struct answer {
    wh_cuda_node *node;
    CUfunction *function;
    CUkernel *kernel;
    CUarray *to, *from;
    CUevent *event;
    size_t room;
    uint8_t *bytes;
    size_t size; /* of all, however much room there is */
};

static void give_bytes(struct answer *a, size_t at, const void *from, size_t size)
{
    if (a->bytes && at < a->room)
        memcpy(a->bytes + at, from, size < a->room - at ? size : a->room - at);
    if (at + size > a->size)
        a->size = at + size;
}

/* The driver gives pointers to parameters, or a buffer, as they were given to it. */
static CUresult pack_params(struct wh_call *call, const CUDA_KERNEL_NODE_PARAMS *p,
                            struct answer *a)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    for (void *const *extra = p->extra; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2)
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[1])
            a->size = *(const size_t *)extra[1];
    for (void *const *extra = p->extra; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2)
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            give_bytes(a, 0, extra[1], a->size);
    for (size_t i = 0; p->kernelParams; i++) {
        size_t offset = 0, size = 0;
        CUresult result = p->func ? f->cuFuncGetParamInfo(p->func, i, &offset, &size)
                                  : f->cuKernelGetParamInfo(p->kern, i, &offset, &size);
        if (result != CUDA_SUCCESS)
            return result == CUDA_ERROR_INVALID_VALUE ? CUDA_SUCCESS : result;
        give_bytes(a, offset, p->kernelParams[i], size);
    }
    return CUDA_SUCCESS;
}

static CUresult get_kernel(struct wh_call *call, CUgraphNode node, struct answer *a)
{
    CUDA_KERNEL_NODE_PARAMS p = {0};
    CUresult result = wh_cuda_driver(call)->cuGraphKernelNodeGetParams_v2(node, &p);
    if (result != CUDA_SUCCESS)
        return result;
    a->node->grid = (wh_cuda_grid){.grid = {p.gridDimX, p.gridDimY, p.gridDimZ},
                                   .block = {p.blockDimX, p.blockDimY, p.blockDimZ},
                                   .shared = p.sharedMemBytes};
    if (a->kernel)
        *a->kernel = p.kern;
    if (a->function && !p.kern) /* the client knows a kernel's functions by the kernel */
        *a->function = p.func;
    return pack_params(call, &p, a);
}

static void tell_place(CUmemorytype type, const void *host, CUdeviceptr device, size_t pitch,
                       size_t height, wh_cuda_place *place)
{
    place->kind = type == CU_MEMORYTYPE_ARRAY ? WH_CUDA_PLACE_ARRAY : WH_CUDA_PLACE_LINEAR;
    place->address = type == CU_MEMORYTYPE_HOST ? (uintptr_t)host : device;
    place->pitch = pitch;
    place->height = height;
}

/* Of a staged copy the side in the arena is not told: the client knows it by the token. */
static CUresult get_copy(struct wh_call *call, const struct wh_cuda_item *item, struct answer *a)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    wh_cuda_box *box = &a->node->box;
    CUDA_HOST_NODE_PARAMS staging;
    CUDA_MEMCPY3D p;
    bool is_staging = false;
    CUresult result = f->cuGraphMemcpyNodeGetParams(item->real, &p);
    if (result == CUDA_SUCCESS && item->companion)
        result = f->cuGraphHostNodeGetParams(item->companion, &staging);
    if (result != CUDA_SUCCESS)
        return result;
    box->width = p.WidthInBytes;
    box->height = p.Height;
    box->depth = p.Depth;
    tell_place(p.dstMemoryType, p.dstHost, p.dstDevice, p.dstPitch, p.dstHeight, &box->to);
    tell_place(p.srcMemoryType, p.srcHost, p.srcDevice, p.srcPitch, p.srcHeight, &box->from);
    box->to.x = p.dstXInBytes, box->to.y = p.dstY, box->to.z = p.dstZ;
    box->from.x = p.srcXInBytes, box->from.y = p.srcY, box->from.z = p.srcZ;
    if (a->to)
        *a->to = p.dstArray;
    if (a->from)
        *a->from = p.srcArray;
    if (item->companion) {
        const struct wh_cuda_relay *relay = wh_cuda_relay_of(&staging, &is_staging);
        a->node->token = relay ? wh_cuda_relay_token(relay) : 0;
        *(item->companion_first ? &box->from : &box->to) =
            (wh_cuda_place){.kind = WH_CUDA_PLACE_STAGED};
    }
    return CUDA_SUCCESS;
}

static CUresult get_host(struct wh_call *call, CUgraphNode node, struct answer *a)
{
    CUDA_HOST_NODE_PARAMS p;
    bool staging;
    CUresult result = wh_cuda_driver(call)->cuGraphHostNodeGetParams(node, &p);
    const struct wh_cuda_relay *relay =
        result == CUDA_SUCCESS ? wh_cuda_relay_of(&p, &staging) : NULL;
    a->node->token = relay ? wh_cuda_relay_token(relay) : 0;
    return result;
}

static CUresult get_memops(struct wh_call *call, CUgraphNode node, struct answer *a)
{
    CUDA_BATCH_MEM_OP_NODE_PARAMS p = {0};
    CUresult result = wh_cuda_driver(call)->cuGraphBatchMemOpNodeGetParams(node, &p);
    if (result != CUDA_SUCCESS)
        return result;
    a->node->count = p.count;
    if (p.count)
        give_bytes(a, 0, p.paramArray, p.count * sizeof(*p.paramArray));
    return CUDA_SUCCESS;
}

static CUresult get_allocation(struct wh_call *call, CUgraphNode node, struct answer *a)
{
    CUDA_MEM_ALLOC_NODE_PARAMS p = {0};
    CUresult result = wh_cuda_driver(call)->cuGraphMemAllocNodeGetParams(node, &p);
    if (result != CUDA_SUCCESS)
        return result;
    a->node->pool = p.poolProps;
    a->node->pool.win32SecurityAttributes = NULL;
    a->node->size = p.bytesize;
    a->node->address = p.dptr;
    a->node->count = p.accessDescCount;
    if (p.accessDescCount)
        give_bytes(a, 0, p.accessDescs, p.accessDescCount * sizeof(*p.accessDescs));
    return CUDA_SUCCESS;
}

static CUresult get_params(struct wh_call *call, const struct wh_cuda_item *item, struct answer *a)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUevent event = NULL;
    CUresult result = CUDA_SUCCESS;
    switch (a->node->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return get_kernel(call, item->real, a);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return get_copy(call, item, a);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return f->cuGraphMemsetNodeGetParams(item->real, &a->node->set);
    case CU_GRAPH_NODE_TYPE_HOST:
        return get_host(call, item->real, a);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        result = f->cuGraphEventWaitNodeGetEvent(item->real, &event);
        break;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        result = f->cuGraphEventRecordNodeGetEvent(item->real, &event);
        break;
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return get_memops(call, item->real, a);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return get_allocation(call, item->real, a);
    case CU_GRAPH_NODE_TYPE_MEM_FREE: {
        CUdeviceptr address = 0;
        result = f->cuGraphMemFreeNodeGetParams(item->real, &address);
        a->node->address = address;
        return result;
    }
    default:
        return CUDA_SUCCESS;
    }
    if (a->event && result == CUDA_SUCCESS)
        *a->event = event;
    return result;
}

CUresult wh_cuda_do_node_get(struct wh_call *call, uint64_t number, wh_cuda_node *now,
                             CUfunction *function, CUkernel *kernel, CUarray *to, CUarray *from,
                             CUevent *event, size_t room, void *bytes, size_t *size)
{
    const struct wh_cuda_item *item = wh_cuda_item_find(call, number, WH_CUDA_NODE);
    struct answer a = {.node = now,
                       .function = function,
                       .kernel = kernel,
                       .to = to,
                       .from = from,
                       .event = event,
                       .room = room,
                       .bytes = bytes};
    CUgraphNodeType type;
    if (!item || !now)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuGraphNodeGetType(item->real, &type);
    if (result != CUDA_SUCCESS)
        return result;
    now->type = type;
    now->graph = item->in->number; /* the client keeps with it what it tells of the node */
    result = get_params(call, item, &a);
    if (size)
        *size = a.size;
    return result;
}

/* ---- attributes, and what an executable graph leaves out ---- */

CUresult wh_cuda_do_node_attribute(struct wh_call *call, uint64_t number, unsigned id,
                                   const CUlaunchAttributeValue *value, CUlaunchAttributeValue *now)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    const struct wh_cuda_item *item = wh_cuda_item_find(call, number, WH_CUDA_NODE);
    if (!item || !value == !now)
        return CUDA_ERROR_INVALID_VALUE;
    if (!wh_cuda_attribute_is_plain(id) && id != CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW)
        return CUDA_ERROR_INVALID_VALUE;
    if (now)
        return f->cuGraphKernelNodeGetAttribute(item->real, id, now);
    CUlaunchAttribute own = {.id = id, .value = *value};
    CUresult result = wh_cuda_check_attribute(call, &own, NULL);
    return result == CUDA_SUCCESS ? f->cuGraphKernelNodeSetAttribute(item->real, id, &own.value)
                                  : result;
}

CUresult wh_cuda_do_node_copy_attributes(struct wh_call *call, uint64_t to, uint64_t from)
{
    const struct wh_cuda_item *a = wh_cuda_item_find(call, to, WH_CUDA_NODE);
    const struct wh_cuda_item *b = wh_cuda_item_find(call, from, WH_CUDA_NODE);
    return a && b ? wh_cuda_driver(call)->cuGraphKernelNodeCopyAttributes(a->real, b->real)
                  : CUDA_ERROR_INVALID_VALUE;
}

/* Of a staged copy that is left out, its function would still move bytes. */
CUresult wh_cuda_do_node_enable(struct wh_call *call, CUgraphExec exec, uint64_t node,
                                unsigned enabled)
{
    const struct wh_cuda_item *item = wh_cuda_item_find(call, node, WH_CUDA_NODE);
    if (!item || !exec)
        return CUDA_ERROR_INVALID_VALUE;
    if (item->companion)
        return CUDA_ERROR_NOT_SUPPORTED;
    return wh_cuda_driver(call)->cuGraphNodeSetEnabled(exec, item->real, enabled);
}

CUresult wh_cuda_do_node_enabled(struct wh_call *call, CUgraphExec exec, uint64_t node,
                                 unsigned *enabled)
{
    const struct wh_cuda_item *item = wh_cuda_item_find(call, node, WH_CUDA_NODE);
    if (!item || !exec || !enabled)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuGraphNodeGetEnabled(exec, item->real, enabled);
}
