/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of the program that graphs call: how long the worker keeps each. The client is told
 * when nothing can call one any more, so that it lets go of what belongs to it: that is to be as
 * soon as it is true. Run by meson.
 */
#include "cuda_support.h"

#include <string.h>

#define EXEC   900u
#define SECOND 901u

/* ---- what the worker says ---- */

struct told {
    uint64_t token, what;
};

/* The next thing; a function that is called has returned then. */
static struct told next(struct cuda_session *s)
{
    struct wh_channel *channel = &s->shm->channel;
    _Alignas(8) uint8_t room[WH_UPCALL_MAX];
    struct wh_upcall *upcall = (struct wh_upcall *)room;
    uint64_t words[2] = {0};
    int got;
    while ((got = channel->ops->take_upcall(channel, upcall)) != 1 ||
           upcall->kind != WH_UPCALL_CALLBACK) {
        assert_int_not_equal(got, -1);
        if (got == 0)
            assert_true(channel->ops->listen(channel, true));
    }
    assert_int_equal(upcall->payload, sizeof(words));
    memcpy(words, upcall + 1, sizeof(words));
    channel->ops->callback_done(channel);
    return (struct told){.token = upcall->word, .what = words[1]};
}

static void expect_next(struct cuda_session *s, uint64_t what, uint64_t token)
{
    struct told told = next(s);
    assert_int_equal(told.token, token);
    assert_int_equal(told.what, what);
}

#define EXPECT_CALL(s, token) expect_next(s, WH_CUDA_CALLBACK_KEPT, token)
#define EXPECT_END(s, token)  expect_next(s, WH_CUDA_CALLBACK_ENDED, token)

/* Two ends, in any order. */
static void expect_ends(struct cuda_session *s, uint64_t one, uint64_t other)
{
    struct told first = next(s), second = next(s);
    assert_int_equal(first.what, WH_CUDA_CALLBACK_ENDED);
    assert_int_equal(second.what, WH_CUDA_CALLBACK_ENDED);
    assert_int_equal(first.token + second.token, one + other);
    assert_true(first.token == one || first.token == other);
}

/* ---- what the tests do ---- */

static int32_t put(struct cuda_session *s, unsigned how, uint64_t id, uint64_t exec, uint64_t token)
{
    const wh_cuda_target target = {.how = how, .id = id};
    const wh_cuda_node node = {.type = CU_GRAPH_NODE_TYPE_HOST, .token = token};
    return CUDA_ASK(s, wh_node_put, (uintptr_t)&target, exec, 0, 0, 0, (uintptr_t)&node,
                    WH_CUDA_TYPE_CUcontext, 0, 0, 0, 0, 0, 0, 0, 0, 0, true, true);
}

static uint64_t graph_with(struct cuda_session *s, uint64_t token, uint64_t *node)
{
    assert_int_equal(CUDA_ASK(s, wh_graph_create, 0, true), 0);
    uint64_t graph = s->reply[2];
    assert_int_equal(put(s, WH_CUDA_NODE_NEW, graph, 0, token), 0);
    *node = s->reply[2];
    return graph;
}

static void instantiate(struct cuda_session *s, uint64_t graph, uint64_t exec)
{
    assert_int_equal(CUDA_ASK(s, wh_graph_instantiate, graph, 0, 0, true, exec), 0);
}

static void launch(struct cuda_session *s, uint64_t exec)
{
    assert_int_equal(CUDA_ASK(s, cuGraphLaunch, exec, WH_CUDA_TYPE_CUstream), 0);
}

static void update(struct cuda_session *s, uint64_t exec, uint64_t graph)
{
    assert_int_equal(CUDA_ASK(s, wh_exec_update, exec, graph, true), 0);
}

static void destroy(struct cuda_session *s, uint64_t graph)
{
    assert_int_equal(CUDA_ASK(s, wh_graph_destroy, graph), 0);
}

static void of_executable_graphs(void **state)
{
    struct cuda_session s;
    uint64_t node, other_node;
    (void)state;
    cuda_begin(&s);
    uint64_t graph = graph_with(&s, 1, &node);
    instantiate(&s, graph, EXEC);
    assert_int_equal(put(&s, WH_CUDA_NODE_EXEC, node, EXEC, 2), 0);
    assert_int_equal(put(&s, WH_CUDA_NODE_EXEC, node, EXEC, 3), 0);
    EXPECT_END(&s, 2); /* no launch came to it, and none will */
    launch(&s, EXEC);
    EXPECT_CALL(&s, 3);
    assert_int_equal(put(&s, WH_CUDA_NODE_EXEC, node, EXEC, 4), 0);
    launch(&s, EXEC);
    expect_next(&s, WH_CUDA_CALLBACK_ENDED, 3); /* the next launch has begun */
    EXPECT_CALL(&s, 4);
    uint64_t other = graph_with(&s, 5, &other_node);
    update(&s, EXEC, other);
    EXPECT_END(&s, 4);
    assert_int_equal(put(&s, WH_CUDA_NODE_EXEC, node, EXEC, 6), 0);
    destroy(&s, other);
    destroy(&s, graph);
    EXPECT_END(&s, 1);
    assert_int_equal(CUDA_ASK(&s, cuGraphExecDestroy, EXEC), 0);
    expect_ends(&s, 5, 6);
    cuda_close(&s);
    cuda_expect_neighbour();
}

/* What a graph's node had before is the graph's no more, but that of copies. */
static void of_graphs(void **state)
{
    struct cuda_session s;
    uint64_t node;
    (void)state;
    cuda_begin(&s);
    uint64_t graph = graph_with(&s, 1, &node);
    assert_int_equal(put(&s, WH_CUDA_NODE_SET, node, 0, 2), 0);
    EXPECT_END(&s, 1);
    instantiate(&s, graph, EXEC);
    assert_int_equal(put(&s, WH_CUDA_NODE_SET, node, 0, 3), 0);
    assert_int_equal(put(&s, WH_CUDA_NODE_SET, node, 0, 4), 0);
    EXPECT_END(&s, 3);
    launch(&s, EXEC);
    EXPECT_CALL(&s, 2);
    assert_int_equal(CUDA_ASK(&s, cuGraphExecDestroy, EXEC), 0);
    EXPECT_END(&s, 2);
    destroy(&s, graph);
    EXPECT_END(&s, 4);
    cuda_close(&s);
    cuda_expect_neighbour();
}

/* The client knows of those that were refused, by the error: it is not told again. */
static void of_refused_nodes(void **state)
{
    struct cuda_session s;
    uint64_t node, other_node;
    (void)state;
    cuda_begin(&s);
    uint64_t graph = graph_with(&s, 1, &node), other = graph_with(&s, 2, &other_node);
    instantiate(&s, graph, EXEC);
    instantiate(&s, other, SECOND);
    assert_int_not_equal(put(&s, WH_CUDA_NODE_EXEC, other_node, EXEC, 3), 0);
    assert_int_not_equal(put(&s, WH_CUDA_NODE_EXEC, node, 0, 4), 0);
    assert_int_not_equal(put(&s, WH_CUDA_NODE_NEW, graph + 16, 0, 5), 0);
    launch(&s, EXEC);
    EXPECT_CALL(&s, 1);
    assert_int_equal(CUDA_ASK(&s, cuGraphExecDestroy, EXEC), 0);
    destroy(&s, graph);
    EXPECT_END(&s, 1);
    cuda_close(&s);
    cuda_expect_neighbour();
}

/* A capture's functions are its graph's. */
static void of_captures(void **state)
{
    struct cuda_session s;
    const uint64_t stream = WH_CUDA_TYPE_CUstream;
    (void)state;
    cuda_begin(&s);
    assert_int_equal(CUDA_ASK(&s, wh_capture_begin, stream, 0, 0, 0, 0), 0);
    assert_int_equal(CUDA_ASK(&s, wh_host_function, stream, 1), 0);
    assert_int_equal(CUDA_ASK(&s, wh_capture_end, stream, true), 0);
    uint64_t graph = s.reply[2];
    instantiate(&s, graph, EXEC);
    destroy(&s, graph);
    launch(&s, EXEC);
    EXPECT_CALL(&s, 1);
    assert_int_equal(CUDA_ASK(&s, cuGraphExecDestroy, EXEC), 0);
    EXPECT_END(&s, 1);
    cuda_close(&s);
    cuda_expect_neighbour();
}

/* ---- user objects, conditionals: nothing stays of those that are no more ---- */

/* The place that a number names in the worker's table. */
static uint32_t place_of(uint64_t number)
{
    return (uint32_t)(number >> 4);
}

static void of_user_objects(void **state)
{
    struct cuda_session s;
    uint64_t numbers[64];
    const size_t n = sizeof(numbers) / sizeof(numbers[0]);
    (void)state;
    cuda_begin(&s);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(CUDA_ASK(&s, wh_user_create, i + 1, 1, 1, true), 0);
        numbers[i] = s.reply[2];
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(CUDA_ASK(&s, wh_user_count, numbers[i], 1, false), 0);
        EXPECT_END(&s, i + 1);
    }
    /* The numbers are nothing now, and the places are free. */
    assert_int_not_equal(CUDA_ASK(&s, wh_user_count, numbers[0], 1, true), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(CUDA_ASK(&s, wh_graph_create, 0, true), 0);
        assert_true(place_of(s.reply[2]) <= n);
    }
    for (size_t i = 0; i < n; i++)
        assert_int_not_equal(CUDA_ASK(&s, wh_user_count, numbers[i], 1, true), 0);
    cuda_close(&s);
    cuda_expect_neighbour();
}

/* A handle is its graph's: it names nothing when that is gone. */
static void of_conditionals(void **state)
{
    struct cuda_session s;
    (void)state;
    cuda_begin(&s);
    assert_int_equal(CUDA_ASK(&s, wh_graph_create, 0, true), 0);
    uint64_t graph = s.reply[2];
    assert_int_equal(CUDA_ASK(&s, wh_conditional, graph, WH_CUDA_TYPE_CUcontext, 0, 0, true), 0);
    uint64_t handle = s.reply[2];
    destroy(&s, graph);
    assert_int_equal(CUDA_ASK(&s, wh_graph_create, 0, true), 0);
    const wh_cuda_target target = {.how = WH_CUDA_NODE_NEW, .id = s.reply[2]};
    const wh_cuda_node node = {
        .type = CU_GRAPH_NODE_TYPE_CONDITIONAL, .handle = handle, .count = 1};
    assert_int_not_equal(CUDA_ASK(&s, wh_node_put, (uintptr_t)&target, 0, 0, 0, 0, (uintptr_t)&node,
                                  WH_CUDA_TYPE_CUcontext, 0, 0, 0, 0, 0, 0, 0, 0, 0, true, true),
                         0);
    cuda_close(&s);
    cuda_expect_neighbour();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_executable_graphs), cmocka_unit_test(of_graphs),
        cmocka_unit_test(of_refused_nodes),     cmocka_unit_test(of_captures),
        cmocka_unit_test(of_user_objects),      cmocka_unit_test(of_conditionals),
    };
    return cmocka_run_group_tests(tests, cuda_server_start, cuda_server_stop);
}
