/* SPDX-License-Identifier: Apache-2.0 */
/* What the CUDA shim tells, as CUPTI's records. */
#include "shim/cupti/cupti.h"

#include <string.h>
#include <unistd.h>

/* Values of CUPTI 13.0's enumerations. */
enum {
    FLAG_ASYNCHRONOUS = 1,

    COPY_HTOD = 1,
    COPY_DTOH = 2,
    COPY_HTOA = 3,
    COPY_ATOH = 4,
    COPY_ATOA = 5,
    COPY_ATOD = 6,
    COPY_DTOA = 7,
    COPY_DTOD = 8,
    COPY_HTOH = 9,
    COPY_PTOP = 10,

    MEMORY_PAGEABLE = 1,
    MEMORY_PINNED = 2,
    MEMORY_DEVICE = 3,
    MEMORY_ARRAY = 4,
    MEMORY_MANAGED = 5,

    LAUNCH_COOPERATIVE = 1,

    MEMORY_ALLOCATION = 1,
    MEMORY_RELEASE = 2,
};

size_t wh_cupti_record_size(uint32_t kind)
{
    switch (kind) {
    case KIND_KERNEL:
    case KIND_CONCURRENT_KERNEL:
        return sizeof(struct record_kernel);
    case KIND_MEMCPY:
        return sizeof(struct record_copy);
    case KIND_MEMCPY2:
        return sizeof(struct record_peer_copy);
    case KIND_MEMSET:
        return sizeof(struct record_set);
    case KIND_DRIVER:
        return sizeof(struct record_call);
    case KIND_SYNCHRONIZATION:
        return sizeof(struct record_wait);
    case KIND_EXTERNAL_CORRELATION:
        return sizeof(struct record_external);
    case KIND_MEMORY2:
        return sizeof(struct record_memory);
    case KIND_GRAPH_TRACE:
        return sizeof(struct record_graph);
    default:
        return 0;
    }
}

/* ---- the device's work ---- */

static void emit_kernel(const struct wh_observed_work *work, uint64_t start, uint64_t end)
{
    const struct wh_observed_kernel *k = &work->kernel;
    struct record_kernel record = {
        .kind = wh_cupti_kernel_kind(),
        .registers = (uint16_t)k->registers,
        .start = start,
        .end = end,
        .completed = end,
        .device = work->device,
        .context = work->context,
        .stream = work->stream,
        .fixed_shared = (int32_t)k->fixed_shared,
        .dynamic_shared = (int32_t)k->dynamic_shared,
        .local_per_thread = k->local,
        .correlation = work->correlation,
        .name = k->name,
        .launch_type = k->cooperative ? LAUNCH_COOPERATIVE : 0,
    };
    for (unsigned i = 0; i < 3; i++) {
        record.grid[i] = (int32_t)k->grid[i];
        record.block[i] = (int32_t)k->block[i];
        record.cluster[i] = k->cluster[i];
    }
    wh_cupti_emit(&record);
}

static uint8_t memory_kind(enum wh_observed_memory memory)
{
    static const uint8_t kinds[] = {[WH_OF_PAGEABLE] = MEMORY_PAGEABLE,
                                    [WH_OF_PINNED] = MEMORY_PINNED,
                                    [WH_OF_DEVICE] = MEMORY_DEVICE,
                                    [WH_OF_ARRAY] = MEMORY_ARRAY,
                                    [WH_OF_MANAGED] = MEMORY_MANAGED};
    return kinds[memory];
}

enum side { HOST, DEVICE, ARRAY };

static enum side side_of(enum wh_observed_memory memory)
{
    if (memory == WH_OF_PAGEABLE || memory == WH_OF_PINNED)
        return HOST;
    return memory == WH_OF_ARRAY ? ARRAY : DEVICE;
}

static uint8_t copy_kind(const struct wh_observed_copy *copy)
{
    static const uint8_t kinds[3][3] = {
        [HOST] = {[HOST] = COPY_HTOH, [DEVICE] = COPY_HTOD, [ARRAY] = COPY_HTOA},
        [DEVICE] = {[HOST] = COPY_DTOH, [DEVICE] = COPY_DTOD, [ARRAY] = COPY_DTOA},
        [ARRAY] = {[HOST] = COPY_ATOH, [DEVICE] = COPY_ATOD, [ARRAY] = COPY_ATOA},
    };
    return kinds[side_of(copy->from)][side_of(copy->to)];
}

static void emit_copy(const struct wh_observed_work *work, uint64_t start, uint64_t end)
{
    const struct wh_observed_copy *c = &work->copy;
    struct record_copy record = {
        .kind = KIND_MEMCPY,
        .copy_kind = copy_kind(c),
        .from = memory_kind(c->from),
        .to = memory_kind(c->to),
        .flags = c->asynchronous ? FLAG_ASYNCHRONOUS : 0,
        .bytes = c->bytes,
        .start = start,
        .end = end,
        .device = work->device,
        .context = work->context,
        .stream = work->stream,
        .correlation = work->correlation,
        .count = 1,
    };
    wh_cupti_emit(&record);
}

static void emit_peer_copy(const struct wh_observed_work *work, uint64_t start, uint64_t end)
{
    const struct wh_observed_copy *c = &work->copy;
    struct record_peer_copy record = {
        .kind = KIND_MEMCPY2,
        .copy_kind = COPY_PTOP,
        .from = memory_kind(c->from),
        .to = memory_kind(c->to),
        .flags = c->asynchronous ? FLAG_ASYNCHRONOUS : 0,
        .bytes = c->bytes,
        .start = start,
        .end = end,
        .device = work->device,
        .context = work->context,
        .stream = work->stream,
        .from_device = c->from_device,
        .from_context = c->from_context,
        .to_device = c->to_device,
        .to_context = c->to_context,
        .correlation = work->correlation,
    };
    wh_cupti_emit(&record);
}

static void emit_set(const struct wh_observed_work *work, uint64_t start, uint64_t end)
{
    const struct wh_observed_set *s = &work->set;
    struct record_set record = {
        .kind = KIND_MEMSET,
        .value = s->value,
        .bytes = s->bytes,
        .start = start,
        .end = end,
        .device = work->device,
        .context = work->context,
        .stream = work->stream,
        .correlation = work->correlation,
        .flags = s->asynchronous ? FLAG_ASYNCHRONOUS : 0,
        .memory = memory_kind(s->memory),
    };
    wh_cupti_emit(&record);
}

static void emit_graph(const struct wh_observed_work *work, uint64_t start, uint64_t end)
{
    struct record_graph record = {
        .kind = KIND_GRAPH_TRACE,
        .correlation = work->correlation,
        .start = start,
        .end = end,
        .device = work->device,
        .graph = work->graph.id,
        .context = work->context,
        .stream = work->stream,
        .end_device = work->device,
        .end_context = work->context,
    };
    wh_cupti_emit(&record);
}

static void take_work(const struct wh_observed_work *work)
{
    uint64_t start = wh_cupti_clock_of(work->begin), end = wh_cupti_clock_of(work->end);
    if (end < start)
        end = start;
    if (work->what == WH_OBSERVE_KERNELS)
        emit_kernel(work, start, end);
    else if (work->what == WH_OBSERVE_COPIES && work->copy.peer)
        emit_peer_copy(work, start, end);
    else if (work->what == WH_OBSERVE_COPIES)
        emit_copy(work, start, end);
    else if (work->what == WH_OBSERVE_SETS)
        emit_set(work, start, end);
    else if (work->what == WH_OBSERVE_GRAPHS)
        emit_graph(work, start, end);
}

/* ---- calls ---- */

static void emit_wait(const struct wh_observed_call *call, uint64_t start, uint64_t end)
{
    struct record_wait record = {
        .kind = KIND_SYNCHRONIZATION,
        .type = (uint32_t)call->wait,
        .start = start,
        .end = end,
        .correlation = call->correlation,
        .context = call->context,
        .stream = call->stream,
        .event = call->event,
        .result = (uint32_t)call->result,
    };
    wh_cupti_emit(&record);
}

/* Of its pool nothing is said. */
static void emit_memory(const struct wh_observed_call *call, uint64_t start)
{
    const struct record_memory record = {
        .kind = KIND_MEMORY2,
        .operation = call->memory.what == WH_ALLOCATES ? MEMORY_ALLOCATION : MEMORY_RELEASE,
        .memory = memory_kind(call->memory.memory),
        .correlation = call->correlation,
        .address = call->memory.address,
        .bytes = call->memory.bytes,
        .time = start,
        .process = (uint32_t)getpid(),
        .device = call->device,
        .context = call->context,
        .stream = call->memory.stream,
        .asynchronous = call->memory.asynchronous,
    };
    wh_cupti_emit(&record);
}

static void take_call(const struct wh_observed_call *call)
{
    uint32_t number = wh_cupti_call_number(call->number, call->per_thread);
    bool driver = number && wh_cupti_wants_call(number);
    bool wait = call->wait != WH_WAITS_NOT && wh_cupti_wants(KIND_SYNCHRONIZATION);
    bool memory = call->memory.what != WH_NO_MEMORY && wh_cupti_wants(KIND_MEMORY2);
    if (wh_cupti_wants(KIND_EXTERNAL_CORRELATION) && (driver || wait || memory || call->worked))
        wh_cupti_emit_external(call->correlation);
    if (!driver && !wait && !memory)
        return;
    uint64_t start = wh_cupti_clock_of(call->begin), end = wh_cupti_clock_of(call->end);
    struct record_call record = {
        .kind = KIND_DRIVER,
        .call = number,
        .start = start,
        .end = end < start ? start : end,
        .process = (uint32_t)getpid(),
        .thread = wh_cupti_thread(),
        .correlation = call->correlation,
        .result = (uint32_t)call->result,
    };
    if (driver)
        wh_cupti_emit(&record);
    if (wait)
        emit_wait(call, start, record.end);
    if (memory)
        emit_memory(call, start);
}

const struct wh_observer wh_cupti_observer = {
    .call = take_call,
    .work = take_work,
    .lost = wh_cupti_drop,
    .resource = wh_cupti_take_resource,
    .wants = wh_cupti_wants_callback,
    .callback = wh_cupti_take_callback,
};
