/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that nodes of graphs allocate. Its address is known when the node is made, and is the
 * graph's as long as a body names it or it is allocated. What is allocated is known when a launch
 * is submitted: a graph may not be launched again before that was freed.
 */
#include "backend/softgpu/graph.h"
#include "backend/softgpu/memory.h"

#include "base/util.h"

#include <stdlib.h>

struct soft_graph_memory {
    struct soft_graph_memory *next; /* in the list of all */
    struct soft_device *device;
    uint64_t address, size;
    unsigned references; /* of commands, and one while it is allocated */
    bool live;           /* allocated, and not freed yet */
    bool counted;        /* a launch has used it since memory was trimmed */
};

static struct {
    pthread_mutex_t lock;
    struct soft_graph_memory *first;
    struct {
        uint64_t used, used_high, reserved_high;
    } count[SOFT_MAX_DEVICES];
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct memory_command {
    struct soft_command command;
    struct soft_graph_memory *memory; /* a reference */
};

/* ---- all with the lock held ---- */

static struct soft_graph_memory *find(uint64_t address)
{
    struct soft_graph_memory *found = memory.first;
    while (found && found->address != address)
        found = found->next;
    return found;
}

/* Memory counts as the graphs' from its first launch until memory is trimmed. */
static void count(struct soft_graph_memory *m, bool counted)
{
    uint64_t *used = &memory.count[m->device->ordinal].used;
    uint64_t *high = &memory.count[m->device->ordinal].used_high;
    uint64_t *reserved_high = &memory.count[m->device->ordinal].reserved_high;
    if (m->counted == counted)
        return;
    m->counted = counted;
    *used = counted ? *used + m->size : *used - m->size;
    if (*used > *high)
        *high = *used;
    if (*used > *reserved_high)
        *reserved_high = *used;
}

static void release(struct soft_graph_memory *m)
{
    struct soft_graph_memory **link = &memory.first;
    struct soft_range range;
    if (--m->references)
        return;
    while (*link != m)
        link = &(*link)->next;
    *link = m->next;
    count(m, false);
    /* A context that ended took the range out of the map before. */
    if (soft_range_find(m->address, &range) && range.kind == SOFT_MEMORY_GRAPH)
        soft_range_remove(&range);
    soft_memory_give(m->device, m->address, m->size);
    free(m);
}

static void set_live(struct soft_graph_memory *m, bool live)
{
    if (live)
        count(m, true);
    if (m->live == live)
        return;
    m->live = live;
    if (live)
        m->references++;
    else
        release(m);
}

/* ---- commands ---- */

static CUresult run_nothing(struct soft_stream *stream, struct soft_command *command)
{
    (void)stream, (void)command;
    return CUDA_SUCCESS;
}

static struct soft_graph_memory *memory_of(const struct soft_command *command)
{
    return ((const struct memory_command *)command)->memory;
}

static void discard_memory(struct soft_command *command)
{
    pthread_mutex_lock(&memory.lock);
    release(memory_of(command));
    pthread_mutex_unlock(&memory.lock);
}

/* Takes a reference over. */
static struct soft_command *new_command(struct soft_graph_memory *m)
{
    struct memory_command *self = soft_command_new(sizeof(*self), run_nothing);
    if (!self)
        return NULL;
    self->memory = m;
    self->command.discard = discard_memory;
    return &self->command;
}

static struct soft_graph_memory *new_memory(struct soft_context *context, size_t size)
{
    struct soft_graph_memory *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->device = context->device;
    m->size = wh_round_up(size, SOFT_UNIT);
    m->references = 1;
    m->address = soft_memory_take(m->device, m->size, SOFT_UNIT);
    const struct soft_range range = {.extent = {.start = m->address, .size = m->size},
                                     .size = size,
                                     .kind = SOFT_MEMORY_GRAPH,
                                     .device = m->device,
                                     .context = context};
    if (m->address && soft_range_add(&range) == CUDA_SUCCESS)
        return m;
    if (m->address)
        soft_memory_give(m->device, m->address, m->size);
    free(m);
    return NULL;
}

CUresult soft_graph_allocate(struct soft_context *context, size_t size,
                             struct soft_command **command, CUdeviceptr *address)
{
    if (size == 0)
        return CUDA_ERROR_INVALID_VALUE;
    struct soft_graph_memory *m = size <= context->device->total ? new_memory(context, size) : NULL;
    if (!m)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&memory.lock);
    m->next = memory.first;
    memory.first = m;
    *command = new_command(m);
    *address = m->address;
    if (!*command)
        release(m);
    pthread_mutex_unlock(&memory.lock);
    return *command ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult soft_graph_free(CUdeviceptr address, struct soft_command **command)
{
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&memory.lock);
    struct soft_graph_memory *m = find(address);
    if (m) {
        *command = new_command(m);
        m->references += *command != NULL;
        result = *command ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&memory.lock);
    return result;
}

CUdeviceptr soft_graph_memory_of(const struct soft_command *command, size_t *size)
{
    if (size)
        *size = memory_of(command)->size;
    return memory_of(command)->address;
}

bool soft_graph_memory_find(CUdeviceptr address)
{
    pthread_mutex_lock(&memory.lock);
    bool found = find(address);
    pthread_mutex_unlock(&memory.lock);
    return found;
}

bool soft_graph_memory_free(CUdeviceptr address)
{
    pthread_mutex_lock(&memory.lock);
    struct soft_graph_memory *m = find(address);
    bool live = m && m->live;
    if (live)
        set_live(m, false);
    pthread_mutex_unlock(&memory.lock);
    return live;
}

bool soft_graph_memory_is_live(const struct soft_command *command)
{
    pthread_mutex_lock(&memory.lock);
    bool live = memory_of(command)->live;
    pthread_mutex_unlock(&memory.lock);
    return live;
}

void soft_graph_memory_set(const struct soft_command *command, bool live)
{
    pthread_mutex_lock(&memory.lock);
    set_live(memory_of(command), live);
    pthread_mutex_unlock(&memory.lock);
}

/* ---- the API ---- */

/* The addresses stay the graphs'; what they hold is theirs again with their next launch. */
SOFT_API CUresult cuDeviceGraphMemTrim(CUdevice number)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    const struct soft_device *device = soft_device_get(number);
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&memory.lock);
    for (struct soft_graph_memory *m = memory.first; m; m = m->next)
        if (m->device == device && !m->live)
            count(m, false);
    pthread_mutex_unlock(&memory.lock);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuDeviceGetGraphMemAttribute(CUdevice number, CUgraphMem_attribute attribute,
                                               void *value)
{
    const struct soft_device *device = soft_device_get(number);
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!value || attribute > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&memory.lock);
    const cuuint64_t values[] = {memory.count[number].used, memory.count[number].used_high,
                                 memory.count[number].used, memory.count[number].reserved_high};
    pthread_mutex_unlock(&memory.lock);
    *(cuuint64_t *)value = values[attribute];
    return CUDA_SUCCESS;
}

/* The marks may be reset to what is used now. */
SOFT_API CUresult cuDeviceSetGraphMemAttribute(CUdevice number, CUgraphMem_attribute attribute,
                                               void *value)
{
    if (!soft_device_get(number))
        return CUDA_ERROR_INVALID_DEVICE;
    if (!value || *(const cuuint64_t *)value != 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&memory.lock);
    if (attribute == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH)
        memory.count[number].used_high = memory.count[number].used;
    else if (attribute == CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
        memory.count[number].reserved_high = memory.count[number].used;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_unlock(&memory.lock);
    return result;
}
