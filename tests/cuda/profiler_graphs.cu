/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profiler_graphs: what is captured while a profiler looks on is the same graph as without, and a
 * launch of it is one record; who asks for kernels only gets some, of a size that can be.
 */
#include <cuda.h>

#include "check.h"
#include "check_cupti.h"

enum { BUFFER = 1 << 16 };

__global__ void step(unsigned *value)
{
    *value = *value * 3 + 1;
}

static int graphs, kernels;
static bool forward = true, in_order = true, sized = true;
static uint64_t last_end;

static void CUPTIAPI request(uint8_t **buffer, size_t *size, size_t *most)
{
    *buffer = (uint8_t *)aligned_alloc(8, BUFFER);
    *size = BUFFER;
    *most = 0;
}

static void CUPTIAPI complete(CUcontext, uint32_t, uint8_t *buffer, size_t, size_t valid)
{
    CUpti_Activity *record = nullptr;

    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
            auto k = (const CUpti_ActivityKernel9 *)record;
            sized = sized && k->gridX > 0 && k->gridZ > 0 && k->blockX > 0 && k->blockZ > 0;
            kernels++;
        }
        if (record->kind != CUPTI_ACTIVITY_KIND_GRAPH_TRACE)
            continue;
        auto g = (const CUpti_ActivityGraphTrace2 *)record;
        forward = forward && g->start <= g->end && g->start > 0;
        in_order = in_order && last_end <= g->start;
        last_end = g->end;
        graphs++;
    }
    free(buffer);
}

static cudaGraphExec_t capture(cudaStream_t stream, unsigned *value)
{
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    cudaGraphNodeType type;
    cudaGraphNode_t nodes[16];
    size_t n = 16;

    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    step<<<1, 1, 0, stream>>>(value);
    CUPTI(cuptiActivityFlushAll(0)); /* the first: what the library does there is no call of ours */
    CHECK(cudaMemsetAsync(value + 1, 0x11, 4, stream));
    step<<<1, 1, 0, stream>>>(value);
    CHECK(cudaMemcpyAsync(value + 2, value, 4, cudaMemcpyDeviceToDevice, stream));
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphGetNodes(graph, nodes, &n));
    printf("%zu nodes:", n);
    for (size_t i = 0; i < n; i++) {
        CHECK(cudaGraphNodeGetType(nodes[i], &type));
        printf(" %d", type);
    }
    printf("\n");
    CHECK(cudaGraphInstantiate(&executable, graph, 0));
    CHECK(cudaGraphDestroy(graph));
    return executable;
}

int main()
{
    unsigned *value, got[3];
    cudaStream_t stream;

    CHECK(cudaMalloc(&value, sizeof(got)));
    CHECK(cudaMemset(value, 0, sizeof(got)));
    CHECK(cudaStreamCreate(&stream));
    CUPTI(cuptiActivityRegisterCallbacks(request, complete));
    CUPTI(cuptiActivityEnable(CUPTI_ACTIVITY_KIND_GRAPH_TRACE));
    CUPTI(cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMCPY));
    CUPTI(cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMSET));
    CHECK(cudaMemsetAsync(value, 0, sizeof(got), stream));
    CHECK(cudaStreamSynchronize(stream));
    cudaGraphExec_t executable = capture(stream, value);
    for (int i = 0; i < 3; i++)
        CHECK(cudaGraphLaunch(executable, stream));
    CHECK(cudaStreamSynchronize(stream));
    CUPTI(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    printf("%d graphs, %d kernels\n", graphs, kernels);
    expect("no end before its start", forward);
    expect("one after the other", in_order);
    CUPTI(cuptiActivityDisable(CUPTI_ACTIVITY_KIND_GRAPH_TRACE));
    CUPTI(cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL));
    CHECK(cudaGraphLaunch(executable, stream));
    CHECK(cudaStreamSynchronize(stream));
    CUPTI(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    expect("kernels, and no graph more", kernels > 0 && graphs == 3);
    expect("none of no size", sized);
    CHECK(cudaMemcpy(got, value, sizeof(got), cudaMemcpyDeviceToHost));
    printf("%u %x %u\n", got[0], got[1], got[2]);
    CHECK(cudaGraphExecDestroy(executable));
    return verdict();
}
