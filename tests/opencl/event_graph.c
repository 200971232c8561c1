/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs of commands in out-of-order queues: chains, diamonds, a reduction tree held together by
 * events, barriers and markers, and a graph over two queues.
 */
#include "cltest.h"

#define LEAVES 16
#define WORDS  256
#define SIZE   (WORDS * sizeof(cl_uint))

static const char source[] = "kernel void init(global uint *out, uint seed)\n"
                             "{\n"
                             "    out[get_global_id(0)] = seed + (uint)get_global_id(0);\n"
                             "}\n"
                             "kernel void merge(global uint *a, global const uint *b)\n"
                             "{\n"
                             "    size_t i = get_global_id(0);\n"
                             "    a[i] = a[i] * 5 + b[i];\n"
                             "}\n";

struct graph {
    struct clt t;
    cl_kernel init, merge;
    cl_mem nodes[LEAVES];
};

static void enqueue_init(const struct graph *g, cl_command_queue queue, size_t node, cl_uint seed,
                         cl_event *done)
{
    size_t global = WORDS;

    CL_OK(clSetKernelArg(g->init, 0, sizeof(cl_mem), &g->nodes[node]));
    CL_OK(clSetKernelArg(g->init, 1, sizeof(seed), &seed));
    CL_OK(clEnqueueNDRangeKernel(queue, g->init, 1, NULL, &global, NULL, 0, NULL, done));
}

static void enqueue_merge(const struct graph *g, cl_command_queue queue, size_t to, size_t from,
                          cl_uint count, const cl_event *after, cl_event *done)
{
    size_t global = WORDS;

    CL_OK(clSetKernelArg(g->merge, 0, sizeof(cl_mem), &g->nodes[to]));
    CL_OK(clSetKernelArg(g->merge, 1, sizeof(cl_mem), &g->nodes[from]));
    CL_OK(clEnqueueNDRangeKernel(queue, g->merge, 1, NULL, &global, NULL, count,
                                 count == 0 ? NULL : after, done));
}

static void model_tree(cl_uint *words)
{
    static cl_uint nodes[LEAVES][WORDS];

    for (cl_uint n = 0; n < LEAVES; n++) {
        for (cl_uint i = 0; i < WORDS; i++)
            nodes[n][i] = n * 1000 + i;
    }
    for (size_t step = 1; step < LEAVES; step *= 2) {
        for (size_t n = 0; n < LEAVES; n += 2 * step) {
            for (size_t i = 0; i < WORDS; i++)
                nodes[n][i] = nodes[n][i] * 5 + nodes[n + step][i];
        }
    }
    memcpy(words, nodes[0], SIZE);
}

static void check_root(const struct graph *g, cl_command_queue queue, const char *what,
                       cl_uint count, const cl_event *after)
{
    static cl_uint got[WORDS];
    static cl_uint want[WORDS];

    model_tree(want);
    CL_OK(clEnqueueReadBuffer(queue, g->nodes[0], CL_TRUE, 0, SIZE, got, count,
                              count == 0 ? NULL : after, NULL));
    clt_same(what, got, want, SIZE);
    clt_show_hash(what, got, SIZE);
}

/* A tree whose edges are events; with two queues every other node runs in the other one. */
static void tree_of_events(const struct graph *g, const cl_command_queue *queues, const char *what)
{
    cl_event ready[LEAVES];

    for (size_t n = 0; n < LEAVES; n++)
        enqueue_init(g, queues[n % 2], n, (cl_uint)n * 1000, &ready[n]);
    for (size_t step = 1; step < LEAVES; step *= 2) {
        for (size_t n = 0; n < LEAVES; n += 2 * step) {
            const cl_event both[2] = {ready[n], ready[n + step]};
            cl_event done;
            enqueue_merge(g, queues[(n / step / 2) % 2], n, n + step, 2, both, &done);
            CL_OK(clReleaseEvent(ready[n]));
            ready[n] = done;
        }
    }
    CL_OK(clFlush(queues[0]));
    CL_OK(clFlush(queues[1]));
    check_root(g, queues[0], what, 1, &ready[0]);
    for (size_t n = 0; n < LEAVES; n++)
        CL_OK(clReleaseEvent(ready[n]));
    CL_OK(clFinish(queues[0]));
    CL_OK(clFinish(queues[1]));
}

/* The same tree, its levels divided by barriers. */
static void tree_of_barriers(const struct graph *g, cl_command_queue queue)
{
    for (size_t n = 0; n < LEAVES; n++)
        enqueue_init(g, queue, n, (cl_uint)n * 1000, NULL);
    for (size_t step = 1; step < LEAVES; step *= 2) {
        CL_OK(clEnqueueBarrierWithWaitList(queue, 0, NULL, NULL));
        for (size_t n = 0; n < LEAVES; n += 2 * step)
            enqueue_merge(g, queue, n, n + step, 0, NULL, NULL);
    }
    CL_OK(clEnqueueBarrierWithWaitList(queue, 0, NULL, NULL));
    check_root(g, queue, "levels by barriers", 0, NULL);
}

/* And by markers, whose events the next level waits for. */
static void tree_of_markers(const struct graph *g, cl_command_queue queue)
{
    cl_event level;

    for (size_t n = 0; n < LEAVES; n++)
        enqueue_init(g, queue, n, (cl_uint)n * 1000, NULL);
    CL_OK(clEnqueueMarkerWithWaitList(queue, 0, NULL, &level));
    for (size_t step = 1; step < LEAVES; step *= 2) {
        for (size_t n = 0; n < LEAVES; n += 2 * step)
            enqueue_merge(g, queue, n, n + step, 1, &level, NULL);
        CL_OK(clReleaseEvent(level));
        CL_OK(clEnqueueMarkerWithWaitList(queue, 0, NULL, &level));
    }
    check_root(g, queue, "levels by markers", 1, &level);
    CL_OK(clReleaseEvent(level));
}

int main(void)
{
    struct graph g;

    clt_open(&g.t);
    cl_program program = clt_build(&g.t, source, NULL);
    g.init = clt_kernel(program, "init");
    g.merge = clt_kernel(program, "merge");
    for (size_t i = 0; i < LEAVES; i++)
        g.nodes[i] = clt_buffer(&g.t, 0, SIZE, NULL);
    cl_command_queue a = clt_queue(&g.t, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
    cl_command_queue b = clt_queue(&g.t, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
    const cl_command_queue one[2] = {a, a};
    const cl_command_queue two[2] = {a, b};
    for (int round = 0; round < 5; round++) {
        tree_of_events(&g, one, "events in one queue");
        /* Some older implementations carry out one queue inside its own flush. */
        if (g.t.version >= 200)
            tree_of_events(&g, two, "events over two queues");
        tree_of_barriers(&g, a);
        tree_of_markers(&g, a);
    }
    for (size_t i = 0; i < LEAVES; i++)
        CL_OK(clReleaseMemObject(g.nodes[i]));
    CL_OK(clReleaseKernel(g.init));
    CL_OK(clReleaseKernel(g.merge));
    CL_OK(clReleaseProgram(program));
    CL_OK(clReleaseCommandQueue(a));
    CL_OK(clReleaseCommandQueue(b));
    clt_close(&g.t);
    return clt_done();
}
