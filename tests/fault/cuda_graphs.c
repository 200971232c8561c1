/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA clients that lie about graphs: numbers that are none, or of another kind, another graph or
 * another session; addresses in nodes that are not the session's; captures that never began. Each
 * is an error of the API or ends its own session. Run by meson.
 */
#include "cuda_support.h"

#include <string.h>

/* A session with two graphs and a node in each. */
struct graphs {
    struct cuda_liar liar;
    uint64_t graph, other, node, foreign;
};

static int32_t put(struct cuda_session *s, const wh_cuda_target *target, unsigned n,
                   const uint64_t *before, const wh_cuda_node *node)
{
    return CUDA_ASK(s, wh_node_put, (uintptr_t)target, 0, n, n ? (uintptr_t)before : 0, 0,
                    (uintptr_t)node, WH_CUDA_TYPE_CUcontext, 0, 0, 0, 0, 0, 0, 0, 0, 0, true, true);
}

static int32_t add(struct cuda_session *s, uint64_t graph, unsigned n, const uint64_t *before,
                   const wh_cuda_node *node)
{
    const wh_cuda_target target = {.how = WH_CUDA_NODE_NEW, .id = graph};
    return put(s, &target, n, before, node);
}

static const wh_cuda_node empty = {.type = CU_GRAPH_NODE_TYPE_EMPTY};

static void begin(struct graphs *g)
{
    struct cuda_session *s = &g->liar.session;
    cuda_begin(s);
    assert_int_equal(CUDA_ASK(s, wh_graph_create, 0, true), 0);
    g->graph = s->reply[2];
    assert_int_equal(CUDA_ASK(s, wh_graph_create, 0, true), 0);
    g->other = s->reply[2];
    assert_int_equal(add(s, g->graph, 0, NULL, &empty), 0);
    g->node = s->reply[2];
    assert_int_equal(add(s, g->other, 0, NULL, &empty), 0);
    g->foreign = s->reply[2];
}

static void end(struct graphs *g)
{
    cuda_close(&g->liar.session);
    cuda_expect_neighbour();
}

#define REFUSED(g, call)                                                  \
    do {                                                                  \
        (void)strncpy((g)->liar.what, #call, sizeof((g)->liar.what) - 1); \
        cuda_expect_refused(&(g)->liar, (call));                          \
    } while (0)

static void false_numbers(void **state)
{
    struct graphs g = {0};
    struct cuda_session *s = &g.liar.session;
    (void)state;
    begin(&g);
    const uint64_t lies[] = {0, 1, g.node, g.graph + 1, g.graph | 1ull << 40, ~0ull};
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        REFUSED(&g, add(s, lies[i], 0, NULL, &empty));
        REFUSED(&g, CUDA_ASK(s, wh_graph_destroy, lies[i]));
        REFUSED(&g, CUDA_ASK(s, wh_graph_clone, lies[i], true));
        REFUSED(&g, CUDA_ASK(s, wh_exec_update, 0, lies[i], true));
        REFUSED(&g, CUDA_ASK(s, wh_node_type, lies[i] == g.node ? g.graph : lies[i], true));
    }
    const wh_cuda_node child = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = g.node};
    REFUSED(&g, add(s, g.graph, 0, NULL, &child));
    REFUSED(&g, add(s, g.graph, 1, &g.foreign, &empty)); /* a node of another graph */
    const uint64_t itself = g.graph;
    REFUSED(&g, add(s, g.graph, 1, &itself, &empty));
    REFUSED(&g, CUDA_ASK(s, wh_user_count, g.graph, 1, 0));
    /* What went is known no more, nor is what was in it. */
    assert_int_equal(CUDA_ASK(s, wh_graph_destroy, g.other), 0);
    REFUSED(&g, CUDA_ASK(s, wh_graph_destroy, g.other));
    REFUSED(&g, CUDA_ASK(s, wh_node_type, g.foreign, true));
    assert_int_equal(CUDA_ASK(s, wh_node_type, g.node, true), 0);
    end(&g);
}

/* Places in nodes are looked up as those of calls in a stream are. */
static void foreign_memory(void **state)
{
    struct graphs g = {0};
    struct cuda_session *s = &g.liar.session;
    uint64_t places[CUDA_MOST_PLACES];
    (void)state;
    begin(&g);
    unsigned n = cuda_find_places(s->worker, places);
    for (unsigned i = 0; i < n; i++) {
        const wh_cuda_node set = {
            .type = CU_GRAPH_NODE_TYPE_MEMSET,
            .set = {.dst = places[i], .elementSize = 1, .width = 8, .height = 1}};
        REFUSED(&g, add(s, g.graph, 0, NULL, &set));
        const wh_cuda_place ours = {.address = s->memory, .pitch = 8, .height = 1},
                            theirs = {.address = places[i], .pitch = 8, .height = 1};
        wh_cuda_node copy = {
            .type = CU_GRAPH_NODE_TYPE_MEMCPY,
            .box = {.to = ours, .from = theirs, .width = 8, .height = 1, .depth = 1}};
        REFUSED(&g, add(s, g.graph, 0, NULL, &copy));
        copy.box.to = theirs;
        copy.box.from = ours;
        REFUSED(&g, add(s, g.graph, 0, NULL, &copy));
        const wh_cuda_node freed = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE, .address = places[i]};
        REFUSED(&g, add(s, g.graph, 0, NULL, &freed));
        const wh_cuda_node conditional = {
            .type = CU_GRAPH_NODE_TYPE_CONDITIONAL, .handle = places[i], .count = 1};
        REFUSED(&g, add(s, g.graph, 0, NULL, &conditional));
        const CUstreamBatchMemOpParams op = {
            .writeValue = {.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32, .address = places[i]}};
        const wh_cuda_node memop = {.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, .count = 1};
        const wh_cuda_target target = {.how = WH_CUDA_NODE_NEW, .id = g.graph};
        REFUSED(&g, CUDA_ASK(s, wh_node_put, (uintptr_t)&target, 0, 0, 0, 0, (uintptr_t)&memop,
                             WH_CUDA_TYPE_CUcontext, 0, 0, 0, 0, 0, 0, 0, sizeof(op),
                             (uintptr_t)&op, true, true));
    }
    end(&g);
}

/* A staged side's bytes are those that came with it. */
static void false_stages(void **state)
{
    struct graphs g = {0};
    struct cuda_session *s = &g.liar.session;
    (void)state;
    begin(&g);
    const wh_cuda_target target = {.how = WH_CUDA_NODE_NEW, .id = g.graph};
    const wh_cuda_node copy = {
        .type = CU_GRAPH_NODE_TYPE_MEMCPY,
        .box = {.to = {.address = s->memory, .pitch = 64, .height = 1},
                .from = {.kind = WH_CUDA_PLACE_STAGED, .pitch = 64, .height = 1},
                .width = 64,
                .height = 1,
                .depth = 1}};
    assert_int_equal(CUDA_ASK(s, wh_node_put, (uintptr_t)&target, 0, 0, 0, 0, (uintptr_t)&copy,
                              WH_CUDA_TYPE_CUcontext, 0, 0, 0, 0, 0, 32, 0, 0, 0, true, true),
                     INT32_MAX);
    cuda_expect_end(s, "fewer bytes than the copy", "a staged copy breaks its own measures");
    cuda_expect_neighbour();
}

/* What a node may be given depends on what it is. */
static void false_kinds(void **state)
{
    struct graphs g = {0};
    struct cuda_session *s = &g.liar.session;
    (void)state;
    begin(&g);
    for (uint32_t type = 0; type < 20; type++) {
        const wh_cuda_node node = {.type = type};
        const wh_cuda_target set = {.how = WH_CUDA_NODE_SET, .id = g.node},
                             exec = {.how = WH_CUDA_NODE_EXEC, .id = g.node},
                             unknown = {.how = 3, .id = g.node};
        REFUSED(&g, put(s, &set, 0, NULL, &node));
        REFUSED(&g, put(s, &exec, 0, NULL, &node));
        REFUSED(&g, put(s, &unknown, 0, NULL, &node));
    }
    for (unsigned what = 0; what < 8; what++)
        (void)CUDA_ASK(s, wh_graph_list, what, what < 3 ? g.graph : g.node, 0, true, true, true,
                       true);
    REFUSED(&g, CUDA_ASK(s, wh_graph_list, 9, g.node, 1, true, true, true, true));
    REFUSED(&g, CUDA_ASK(s, wh_node_attribute, g.node, 7, 0, true));
    assert_int_equal(CUDA_ASK(s, wh_node_type, g.node, true), 0);
    end(&g);
}

static void captures(void **state)
{
    struct graphs g = {0};
    struct cuda_session *s = &g.liar.session;
    const uint64_t stream = WH_CUDA_TYPE_CUstream;
    (void)state;
    begin(&g);
    REFUSED(&g, CUDA_ASK(s, wh_capture_end, stream, true));
    assert_int_equal(CUDA_ASK(s, wh_capture_break, stream), 0);
    REFUSED(&g, CUDA_ASK(s, wh_capture_begin, stream, g.node, 0, 0, 0));
    REFUSED(&g, CUDA_ASK(s, wh_capture_begin, stream, g.graph, 1, (uintptr_t)&g.foreign, 0));
    assert_int_equal(CUDA_ASK(s, wh_capture_begin, stream, 0, 0, 0, 0), 0);
    assert_int_equal(CUDA_ASK(s, wh_capture_info, stream, 0, true, true, true, true, 0, 0), 0);
    const uint64_t captured = s->reply[6];
    REFUSED(&g, CUDA_ASK(s, wh_graph_destroy, captured));
    REFUSED(&g, CUDA_ASK(s, wh_capture_update, stream, 1, (uintptr_t)&g.node, 0, 0));
    /* Bytes that go with a message or a reply are no graph's. */
    const uint64_t bytes[2] = {0};
    REFUSED(&g, CUDA_ASK(s, wh_write, s->memory, sizeof(bytes), (uintptr_t)bytes, stream));
    REFUSED(&g, CUDA_ASK(s, wh_read, sizeof(bytes), true, s->memory, stream));
    /* An end that is none leaves it a capture. */
    (void)CUDA_ASK(s, wh_capture_end, 0, true);
    REFUSED(&g, CUDA_ASK(s, wh_write, s->memory, sizeof(bytes), (uintptr_t)bytes, stream));
    /* The stream goes, and with it the capture and its graph. */
    (void)CUDA_ASK(s, cuStreamDestroy_v2, stream);
    REFUSED(&g, add(s, captured, 0, NULL, &empty));
    end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(false_numbers), cmocka_unit_test(foreign_memory),
        cmocka_unit_test(false_stages),  cmocka_unit_test(false_kinds),
        cmocka_unit_test(captures),
    };
    return cmocka_run_group_tests(tests, cuda_server_start, cuda_server_stop);
}
