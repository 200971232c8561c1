/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of 4 and 8 bytes that a program writes to the device, by the way that synchronisation
 * takes, for a fifth of a copy's cost. Those that come one behind the other are kept while the next
 * message is there already, and given to the driver together, before anything else is done. Only
 * who leads keeps or gives any.
 */
#include "backend/cuda/backend.h"

#include <string.h>

bool wh_cuda_is_word(CUdeviceptr to, size_t size)
{
    return (size == 4 || size == 8) && to % size == 0;
}

static CUstreamBatchMemOpParams operation(CUdeviceptr to, size_t size, const void *bytes)
{
    CUstreamBatchMemOpParams made;
    memset(&made, 0, sizeof(made));
    made.writeValue.operation =
        size == 4 ? CU_STREAM_MEM_OP_WRITE_VALUE_32 : CU_STREAM_MEM_OP_WRITE_VALUE_64;
    made.writeValue.address = to;
    memcpy(&made.writeValue.value64, bytes, size);
    return made;
}

/* That way does not lead to variables of modules, say: each by itself then, as a copy. */
static CUresult copy_each(const struct wh_cuda_state *state, const struct wh_cuda_words *words)
{
    CUresult result = CUDA_SUCCESS;
    for (unsigned i = 0; i < words->count; i++) {
        const CUstreamBatchMemOpParams *word = &words->operations[i];
        size_t size = word->operation == CU_STREAM_MEM_OP_WRITE_VALUE_32 ? 4 : 8;
        CUresult one = state->f.cuMemcpyHtoDAsync_v2(
            word->writeValue.address, &word->writeValue.value64, size, words->stream);
        result = result == CUDA_SUCCESS ? one : result;
    }
    return result;
}

CUresult wh_cuda_words_give(struct wh_cuda_state *state)
{
    struct wh_cuda_words *words = &state->words;
    CUresult result = CUDA_ERROR_NOT_SUPPORTED;
    if (words->count == 0)
        return CUDA_SUCCESS;
    if (state->f.cuStreamBatchMemOp_v2)
        result = state->f.cuStreamBatchMemOp_v2(words->stream, words->count, words->operations, 0);
    if (result != CUDA_SUCCESS)
        result = copy_each(state, words);
    words->count = 0;
    return result;
}

CUresult wh_cuda_words_keep(struct wh_call *call, CUdeviceptr to, size_t size, const void *bytes,
                            CUstream stream)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_words *words = &state->words;
    CUresult result = CUDA_SUCCESS;
    if (words->count == WH_CUDA_WORDS_MOST || (words->count > 0 && words->stream != stream))
        result = wh_cuda_words_give(state);
    words->stream = stream;
    words->context = wh_cuda_current(call);
    words->operations[words->count++] = operation(to, size, bytes);
    if (call->slot == WH_NO_SLOT && call->worker->channel->ops->more(call->worker->channel))
        return result;
    CUresult last = wh_cuda_words_give(state);
    return result == CUDA_SUCCESS ? last : result;
}
