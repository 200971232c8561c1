/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_functions: nodes that use the program's own memory or call its functions are given others
 * again and again, in graphs and in executable ones, launched or not: what a node had before is
 * used up to the launches that were made with it, and its memory is not held on to.
 */
#include "check.h"

enum { SIZE = 4 << 20, ROUNDS = 100 };

static unsigned char *device, *pageable, *back;

/* One byte says which round's memory it is. */
static void fill(int round)
{
    memset(pageable, round & 0xff, SIZE);
}

static bool arrived(int round)
{
    CHECK(cudaMemcpy(back, device, SIZE, cudaMemcpyDeviceToHost));
    return back[0] == (round & 0xff) && back[SIZE - 1] == (round & 0xff);
}

static void launch(cudaGraphExec_t exec)
{
    CHECK(cudaGraphLaunch(exec, 0));
}

static cudaGraphExec_t instantiate(cudaGraph_t graph)
{
    cudaGraphExec_t exec;
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    return exec;
}

/* ---- copies ---- */

static cudaGraph_t copy_graph(cudaGraphNode_t *node)
{
    cudaGraph_t graph;
    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphAddMemcpyNode1D(node, graph, nullptr, 0, device, pageable, SIZE,
                                   cudaMemcpyHostToDevice));
    return graph;
}

static void give(cudaGraphExec_t exec, cudaGraphNode_t node, size_t offset)
{
    CHECK(cudaGraphExecMemcpyNodeSetParams1D(exec, node, device, pageable + offset, SIZE,
                                             cudaMemcpyHostToDevice));
}

static void executable_copies()
{
    cudaGraphNode_t node;
    cudaGraph_t graph = copy_graph(&node);
    cudaGraphExec_t exec = instantiate(graph);
    bool all = true;

    for (int round = 0; round < ROUNDS; round++)
        give(exec, node, round % 2);
    for (int round = 0; round < ROUNDS; round++) {
        fill(round);
        give(exec, node, round % 2);
        launch(exec);
        CHECK(cudaStreamSynchronize(0));
        all &= round % 50 != 0 || arrived(round);
    }
    expect("new copies in an executable graph", all);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
}

/* Launches that go on keep what they were made with. */
static void copies_in_flight()
{
    cudaGraphNode_t node;
    cudaGraph_t graph = copy_graph(&node);
    cudaGraphExec_t exec = instantiate(graph);

    for (int round = 0; round < ROUNDS; round++) {
        if (round % 8 == 0)
            CHECK(cudaStreamSynchronize(0));
        give(exec, node, 0);
        launch(exec);
    }
    CHECK(cudaStreamSynchronize(0));
    fill(7);
    launch(exec);
    CHECK(cudaGraphExecDestroy(exec)); /* its launch goes on */
    CHECK(cudaStreamSynchronize(0));
    expect("launches that overlap", arrived(7));
    CHECK(cudaGraphDestroy(graph));
}

static void graph_copies()
{
    cudaGraphNode_t node;
    cudaGraph_t graph = copy_graph(&node);
    bool all = true;

    for (int round = 0; round < ROUNDS; round++)
        CHECK(cudaGraphMemcpyNodeSetParams1D(node, device, pageable + round % 2, SIZE,
                                             cudaMemcpyHostToDevice));
    for (int round = 0; round < ROUNDS; round++) {
        cudaGraphExec_t exec = instantiate(graph);
        give(exec, node, 1);
        give(exec, node, 0);
        fill(round);
        launch(exec);
        if (round % 50 == 0)
            all &= arrived(round);
        CHECK(cudaStreamSynchronize(0));
        CHECK(cudaGraphExecDestroy(exec));
    }
    expect("new copies in a graph, and many executable ones", all);
    CHECK(cudaGraphDestroy(graph));
}

static void updates()
{
    cudaGraphNode_t node, other_node;
    cudaGraph_t graph = copy_graph(&node);
    cudaGraphExec_t exec = instantiate(graph);
    bool all = true;

    for (int round = 0; round < ROUNDS; round++) {
        cudaGraphExecUpdateResultInfo info;
        cudaGraph_t other = copy_graph(&other_node);
        give(exec, node, 1);
        CHECK(cudaGraphExecUpdate(exec, other, &info));
        give(exec, node, 0);
        fill(round);
        launch(exec);
        if (round % 50 == 0)
            all &= arrived(round);
        CHECK(cudaStreamSynchronize(0));
        CHECK(cudaGraphDestroy(other));
    }
    expect("updates by other graphs", all);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
}

/* ---- functions ---- */

struct call {
    int times;
};

static void CUDART_CB count(void *argument)
{
    ((call *)argument)->times++;
}

static void functions()
{
    static call calls[ROUNDS + 1];
    cudaHostNodeParams params = {count, &calls[ROUNDS]};
    cudaGraph_t graph;
    cudaGraphNode_t node;
    bool all = true;

    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphAddHostNode(&node, graph, nullptr, 0, &params));
    cudaGraphExec_t exec = instantiate(graph);
    for (int i = 0; i < ROUNDS; i++) {
        params.userData = &calls[i];
        CHECK(cudaGraphExecHostNodeSetParams(exec, node, &params));
        if (i % 3 == 0)
            continue;
        launch(exec);
        launch(exec);
    }
    CHECK(cudaStreamSynchronize(0));
    for (int i = 0; i < ROUNDS; i++)
        all &= calls[i].times == (i % 3 ? 2 : 0);
    expect("each function as often as it was launched", all && calls[ROUNDS].times == 0);
    /* A graph's own node is another one's still. */
    cudaGraphExec_t second = instantiate(graph);
    params.userData = &calls[0];
    CHECK(cudaGraphHostNodeSetParams(node, &params));
    launch(second);
    CHECK(cudaStreamSynchronize(0));
    expect("a copy calls what it was made with", calls[ROUNDS].times == 1 && calls[0].times == 0);
    CHECK(cudaGraphExecDestroy(second));
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
}

int main()
{
    CHECK(cudaMalloc(&device, SIZE));
    pageable = (unsigned char *)malloc(SIZE + 1);
    back = (unsigned char *)malloc(SIZE);
    functions();
    executable_copies();
    copies_in_flight();
    graph_copies();
    updates();
    return verdict();
}
