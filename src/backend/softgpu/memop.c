/* SPDX-License-Identifier: Apache-2.0 */
/* Stream memory operations: a stream writes a value, or waits until memory has one. */
#include "backend/softgpu/graph.h"
#include "backend/softgpu/memory.h"

#include <time.h>

/* The longest nap between two looks at memory that a stream waits for: nothing tells of writes. */
#define LONGEST_NAP_NS 1000000

/* Of one batch, as the hardware's driver. */
#define MOST_OPERATIONS 256

struct memop {
    bool wait, wide;
    unsigned flags;
    uint64_t address, value;
};

struct memop_command {
    struct soft_command command;
    size_t count;
    struct memop ops[];
};

/* ---- running ---- */

static uint64_t load(const struct memop *op)
{
    /* acquire: pairs with whoever wrote what the waiting stream's next commands read. */
    if (op->wide)
        return __atomic_load_n((uint64_t *)(uintptr_t)op->address, __ATOMIC_ACQUIRE);
    return __atomic_load_n((uint32_t *)(uintptr_t)op->address, __ATOMIC_ACQUIRE);
}

static void store(const struct memop *op)
{
    /* release: what the stream did before is seen by who sees the value. */
    if (op->wide)
        __atomic_store_n((uint64_t *)(uintptr_t)op->address, op->value, __ATOMIC_RELEASE);
    else
        __atomic_store_n((uint32_t *)(uintptr_t)op->address, (uint32_t)op->value, __ATOMIC_RELEASE);
}

static bool satisfied(const struct memop *op)
{
    uint64_t now = load(op), mask = op->wide ? UINT64_MAX : UINT32_MAX;
    switch (op->flags) {
    case CU_STREAM_WAIT_VALUE_GEQ: /* cyclic */
        return op->wide ? (int64_t)(now - op->value) >= 0
                        : (int32_t)((uint32_t)now - (uint32_t)op->value) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
        return now == op->value;
    case CU_STREAM_WAIT_VALUE_AND:
        return now & op->value;
    default: /* CU_STREAM_WAIT_VALUE_NOR */
        return (~(now | op->value) & mask) != 0;
    }
}

bool soft_value_reached(uint64_t address, uint64_t value, bool wide, unsigned flags)
{
    return satisfied(&(struct memop){true, wide, flags, address, value});
}

static void wait_for(const struct soft_context *context, const struct memop *op)
{
    long nap = 1000;
    while (!satisfied(op) && !atomic_load(&context->cancel)) {
        nanosleep(&(struct timespec){0, nap}, NULL);
        nap = nap < LONGEST_NAP_NS / 2 ? 2 * nap : LONGEST_NAP_NS;
    }
}

static CUresult run_memops(struct soft_stream *stream, struct soft_command *command)
{
    const struct memop_command *batch = (struct memop_command *)command;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].wait)
            wait_for(stream->object.context, &batch->ops[i]);
        else
            store(&batch->ops[i]);
    }
    return CUDA_SUCCESS;
}

/* ---- submission ---- */

static CUresult check(const struct memop *op)
{
    struct soft_range range;
    size_t size = op->wide ? 8 : 4;
    if (op->address % size || !soft_range_holds(op->address, size, &range))
        return CUDA_ERROR_INVALID_VALUE;
    if (!op->wait)
        return op->flags & ~(unsigned)CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER
                   ? CUDA_ERROR_INVALID_VALUE
                   : CUDA_SUCCESS;
    if (op->flags & CU_STREAM_WAIT_VALUE_FLUSH)
        return CUDA_ERROR_NOT_SUPPORTED;
    return op->flags > CU_STREAM_WAIT_VALUE_NOR ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* Takes the batch over, whatever comes of it. */
static CUresult submit(CUstream handle, struct memop_command *batch)
{
    if (!batch)
        return CUDA_ERROR_OUT_OF_MEMORY;
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    batch->command.brief = true;
    for (size_t i = 0; i < batch->count && result == CUDA_SUCCESS; i++) {
        result = check(&batch->ops[i]);
        batch->command.brief = batch->command.brief && !batch->ops[i].wait;
    }
    if (result == CUDA_SUCCESS)
        return soft_submit(stream, &batch->command, NULL);
    soft_command_free(&batch->command);
    return result;
}

static struct memop_command *new_batch(size_t count)
{
    struct memop_command *batch =
        soft_command_new(sizeof(*batch) + count * sizeof(batch->ops[0]), run_memops);
    if (batch) {
        batch->count = count;
        batch->command.node = 1 + CU_GRAPH_NODE_TYPE_BATCH_MEM_OP;
    }
    return batch;
}

static CUresult submit_one(CUstream stream, struct memop op)
{
    struct memop_command *batch = new_batch(1);
    if (batch)
        batch->ops[0] = op;
    return submit(stream, batch);
}

SOFT_API CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                         unsigned flags)
{
    return submit_one(stream, (struct memop){true, false, flags, address, value});
}

SOFT_API CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                         unsigned flags)
{
    return submit_one(stream, (struct memop){true, true, flags, address, value});
}

SOFT_API CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                          unsigned flags)
{
    return submit_one(stream, (struct memop){false, false, flags, address, value});
}

SOFT_API CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                          unsigned flags)
{
    return submit_one(stream, (struct memop){false, true, flags, address, value});
}

/* One operation of a batch. What only orders memory has nothing to do: a batch runs in order. */
static CUresult translate(const CUstreamBatchMemOpParams *parameters, struct memop *op, bool *any)
{
    const int kind = (int)parameters->operation;
    *any = true;
    switch (kind) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        *op = (struct memop){true, kind == CU_STREAM_MEM_OP_WAIT_VALUE_64,
                             parameters->waitValue.flags, parameters->waitValue.address,
                             parameters->waitValue.value64};
        break;
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        *op = (struct memop){false, kind == CU_STREAM_MEM_OP_WRITE_VALUE_64,
                             parameters->writeValue.flags, parameters->writeValue.address,
                             parameters->writeValue.value64};
        break;
    case CU_STREAM_MEM_OP_BARRIER:
        *any = false;
        return CUDA_SUCCESS;
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!op->wide)
        op->value = (uint32_t)op->value;
    return CUDA_SUCCESS;
}

/* `batch` has room for all. */
static CUresult translate_all(struct memop_command *batch, unsigned count,
                              const CUstreamBatchMemOpParams *parameters)
{
    batch->count = 0;
    for (unsigned i = 0; i < count; i++) {
        bool any;
        CUresult result = translate(&parameters[i], &batch->ops[batch->count], &any);
        if (result != CUDA_SUCCESS)
            return result;
        batch->count += any;
    }
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned count,
                                        CUstreamBatchMemOpParams *parameters, unsigned flags)
{
    if (flags != 0 || count > MOST_OPERATIONS || (count && !parameters))
        return CUDA_ERROR_INVALID_VALUE;
    struct memop_command *batch = new_batch(count);
    if (!batch)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = translate_all(batch, count, parameters);
    if (result == CUDA_SUCCESS)
        return submit(stream, batch);
    soft_command_free(&batch->command);
    return result;
}

/* ---- nodes ---- */

CUresult soft_memops_make(const CUDA_BATCH_MEM_OP_NODE_PARAMS *params,
                          struct soft_command **command)
{
    if (params->flags || params->count > MOST_OPERATIONS || (params->count && !params->paramArray))
        return CUDA_ERROR_INVALID_VALUE;
    struct memop_command *batch = new_batch(params->count);
    if (!batch)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = translate_all(batch, params->count, params->paramArray);
    for (size_t i = 0; i < batch->count && result == CUDA_SUCCESS; i++)
        result = check(&batch->ops[i]);
    if (result == CUDA_SUCCESS)
        *command = &batch->command;
    else
        soft_command_free(&batch->command);
    return result;
}

/* The operations as they are run: what only orders memory is not among them. The array is the
 * thread's until it asks again. */
void soft_memops_describe(const struct soft_command *command, CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    static __thread CUstreamBatchMemOpParams told[MOST_OPERATIONS];
    const struct memop_command *batch = (const struct memop_command *)command;
    for (size_t i = 0; i < batch->count; i++) {
        const struct memop *op = &batch->ops[i];
        told[i] = (CUstreamBatchMemOpParams){0};
        told[i].waitValue.operation =
            op->wait   ? op->wide ? CU_STREAM_MEM_OP_WAIT_VALUE_64 : CU_STREAM_MEM_OP_WAIT_VALUE_32
            : op->wide ? CU_STREAM_MEM_OP_WRITE_VALUE_64
                       : CU_STREAM_MEM_OP_WRITE_VALUE_32;
        told[i].waitValue.address = op->address;
        told[i].waitValue.value64 = op->value;
        told[i].waitValue.flags = op->flags;
    }
    *params = (CUDA_BATCH_MEM_OP_NODE_PARAMS){.count = (unsigned)batch->count, .paramArray = told};
}
