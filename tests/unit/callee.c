/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code that a client's processor runs in a view, called directly: client, worker's threads and
 * callee in one process, where the callee sees what it would see in a view. Its answers are the
 * worker's, each message is carried out once whoever does, and what it may not do it leaves. The
 * software device is the first argument.
 */
#include "support.h"

#include "backend/cuda/backend.h"
#include "channel/gate.h"
#include "channel/lead.h"
#include "worker/gate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define ROUNDS  400

#define CONTEXT 1u
#define STREAM  2u
#define EVENT   3u
#define UNTIMED 4u

static struct {
    struct pair pair;
    struct wh_worker worker;
    struct wh_backend backend;
    struct wh_account account;
    struct wh_gate gate;
    pthread_t server;
    uint64_t sent;
    struct wh_gate_range near; /* what of the device's memory a view shows */
    bool many;                 /* threads, that take each other's messages */
} * test;

struct wh_gate *wh_callee_gate(void)
{
    return &test->gate;
}

/* As the client does; a call that is not in the list it would not go with. */
static bool step_in(struct wh_shm *shm, uint16_t call)
{
    const struct wh_gate_offer *offer = &shm->segment->gate;
    uint64_t before = test->gate.carried_out;
    bool ring = wh_callee_handle(7, 8, 9) == WH_GATE_RING;
    if (!wh_gate_may_run(offer->calls, call))
        assert_true(test->gate.carried_out == before || test->many);
    return ring;
}

/* ---- messages ---- */

struct answer {
    uint32_t size;
    uint8_t bytes[WH_SLOT_ROOM];
};

static void send(uint16_t call, uint32_t slot, const uint64_t *words, size_t n)
{
    const struct wh_channel_ops *ops = test->pair.client->channel.ops;
    uint32_t size = (uint32_t)(sizeof(struct wh_message) + n * 8);
    struct wh_message *message = ops->begin(&test->pair.client->channel, size);
    assert_non_null(message);
    *message = (struct wh_message){.size = size,
                                   .call = call,
                                   .thread = 1,
                                   .slot = slot,
                                   .reply_at = WH_IN_SLOT,
                                   .reply_room = slot == WH_NO_SLOT ? 0 : 512};
    memcpy(message + 1, words, n * 8);
    __atomic_add_fetch(&test->sent, 1, __ATOMIC_RELAXED);
    ops->commit(&test->pair.client->channel);
}

static struct answer ask(uint16_t call, const uint64_t *words, size_t n)
{
    struct wh_channel *client = &test->pair.client->channel;
    struct wh_reply reply;
    struct answer answer = {0};
    uint32_t slot = client->ops->take_slot(client);
    send(call, slot, words, n);
    assert_int_equal(client->ops->await(client, slot, false, &reply), 0);
    answer.size = reply.size;
    memcpy(answer.bytes, reply.bytes, reply.size);
    client->ops->put_slot(client, slot);
    return answer;
}

static int32_t status(const struct answer *answer)
{
    int64_t word;
    memcpy(&word, answer->bytes, sizeof(word));
    return (int32_t)word;
}

#define ASK(call, ...) \
    ask((call), (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)
#define POST(call, ...)                                       \
    send((call), WH_NO_SLOT, (const uint64_t[]){__VA_ARGS__}, \
         sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

static void expect_success(struct answer answer)
{
    assert_int_equal(status(&answer), CUDA_SUCCESS);
}

/* ---- a session ---- */

static void *serve(void *worker)
{
    wh_worker_serve(worker);
    return NULL;
}

static void make_gate(void)
{
    struct wh_gate_range ranges[3];
    test->gate = (struct wh_gate){.shm = test->pair.worker,
                                  .origin = &test->worker,
                                  .worker = {.channel = &test->pair.worker->channel,
                                             .table = test->worker.table,
                                             .ledger = test->worker.ledger,
                                             .state = test->worker.state},
                                  .pool = wh_pool_new(64u << 10),
                                  .seen = {{4096, (uintptr_t)1 << 47}},
                                  .nseen = 1};
    assert_non_null(wh_pool_take(test->gate.pool, 1));
    wh_pool_reset(test->gate.pool);
    assert_int_equal(test->backend.show(&test->worker, test->gate.backend, ranges), 3);
    test->near = ranges[2];
    test->gate.quiet = test->backend.quiet(&test->worker);
    test->pair.worker->sleeps_at_once = test->gate.quiet;
    test->worker.gate = &test->gate;
    wh_gate_tell_calls(&test->backend, &test->pair.worker->segment->gate);
}

static int open_session(void **state)
{
    struct wh_error error = {0};
    (void)state;
    test = calloc(1, sizeof(*test));
    assert_non_null(test);
    pair_open(&test->pair);
    /* As in a guest, where nobody can ring: the callee does not try to. */
    test->pair.client->park = (struct wh_park){.kind = WH_PARK_NAP, .longest_us = 500};
    test->worker.channel = &test->pair.worker->channel;
    test->worker.table = wh_table_new();
    test->worker.ledger = (struct wh_ledger){&test->account, 1, &test->account};
    if (wh_cuda_open(&test->worker, &test->backend, &error) < 0)
        fail_msg("%s", error.text);
    make_gate();
    assert_int_equal(pthread_create(&test->server, NULL, serve, &test->worker), 0);
    expect_success(ASK(WH_CUDA_cuInit, 0));
    /* Nothing that blocks: it would start a second thread, and nobody knows when that ends. */
    expect_success(ASK(WH_CUDA_wh_context_create, 0, 0, 1, CONTEXT));
    POST(WH_CUDA_wh_set_current, CONTEXT);
    expect_success(
        ASK(WH_CUDA_cuStreamCreateWithPriority, 1, STREAM, CU_STREAM_NON_BLOCKING, (uint64_t)-2));
    expect_success(ASK(WH_CUDA_cuEventCreate, 1, EVENT, 0));
    (void)ASK(WH_CUDA_cuCtxGetFlags, 4);
    test->pair.client->step_in = step_in;
    return 0;
}

static int close_session(void **state)
{
    (void)state;
    pair_stop_worker(&test->pair);
    pthread_join(test->server, NULL);
    while (
        atomic_load(&test->worker.others)) { /* they end, too, and leave the channel alone then */
        pair_stop_worker(&test->pair);
        sched_yield();
    }
    wh_pool_free(test->gate.pool);
    pair_close(&test->pair);
    free(test);
    return 0;
}

/* ---- tests ---- */

/* The worker's thread goes to sleep: nobody leads, and nobody is about to. */
static void wait_for_sleep(void)
{
    struct wh_shm *worker = test->pair.worker;
    while (!atomic_load(&worker->calls.control->consumer_sleeps) ||
           atomic_load(&worker->sleepers) <= (int)atomic_load(&test->worker.others))
        sched_yield();
}

struct question {
    uint16_t call;
    size_t n;
    uint64_t words[3];
};

static const struct question questions[] = {
    {WH_CUDA_cuMemGetInfo_v2, 2, {8, 8}},
    {WH_CUDA_cuMemGetInfo_v2, 2, {8, WH_PAYLOAD_NULL}},
    {WH_CUDA_cuCtxGetFlags, 1, {4}},
    {WH_CUDA_cuCtxSetLimit, 2, {CU_LIMIT_STACK_SIZE, 2048}},
    {WH_CUDA_cuCtxGetLimit, 2, {8, CU_LIMIT_STACK_SIZE}},
    {WH_CUDA_cuCtxGetLimit, 2, {8, 77}},
    {WH_CUDA_cuCtxSetCacheConfig, 1, {2}},
    {WH_CUDA_cuCtxGetCacheConfig, 1, {4}},
    {WH_CUDA_cuCtxSetSharedMemConfig, 1, {9}},
    {WH_CUDA_cuCtxGetSharedMemConfig, 1, {4}},
    {WH_CUDA_cuCtxGetStreamPriorityRange, 2, {4, 4}},
    {WH_CUDA_cuCtxResetPersistingL2Cache, 0, {0}},
    {WH_CUDA_cuCtxSynchronize, 0, {0}},
    {WH_CUDA_cuStreamGetPriority, 2, {STREAM, 4}},
    {WH_CUDA_cuStreamGetPriority, 2, {0, 4}},
    {WH_CUDA_cuStreamGetFlags, 2, {STREAM, 4}},
    {WH_CUDA_cuStreamGetId, 2, {STREAM, 8}},
    {WH_CUDA_cuStreamQuery, 1, {STREAM}},
    {WH_CUDA_cuStreamQuery, 1, {0}},
    {WH_CUDA_cuStreamSynchronize, 1, {STREAM}},
    {WH_CUDA_cuEventQuery, 1, {EVENT}},
    {WH_CUDA_cuEventQuery, 1, {0}},
    {WH_CUDA_cuEventSynchronize, 1, {EVENT}},
};

static void same_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        const struct question *q = &questions[i];
        assert_true(wh_gate_may_run(test->pair.client->segment->gate.calls, q->call));
        uint64_t before = test->gate.carried_out;
        test->pair.client->step_in = NULL;
        struct answer workers = ask(q->call, q->words, q->n);
        assert_int_equal(test->gate.carried_out, before);
        test->pair.client->step_in = step_in;
        struct answer callees;
        do /* the worker takes it while it is awake */
            callees = ask(q->call, q->words, q->n);
        while (test->gate.carried_out == before);
        assert_int_equal(workers.size, callees.size);
        if (memcmp(workers.bytes, callees.bytes, workers.size) != 0)
            fail_msg("question %zu has another answer", i);
    }
    assert_int_equal(test->account.calls, test->sent);
}

/* Whatever it is left for, the worker's threads see to it. */
static void what_is_left(void **state)
{
    uint64_t before = test->gate.carried_out;
    (void)state;
    expect_success(ASK(WH_CUDA_cuStreamCreateWithPriority, 1, 10, 0, 0)); /* allocates */
    test->gate.quiet = 0;
    atomic_store(&test->pair.worker->segment->gate.busy, 1);
    (void)ASK(WH_CUDA_cuMemGetInfo_v2, 8, 8);
    assert_int_equal(test->gate.quiet, 1); /* as the worker found, and tells the client */
    assert_int_equal(test->pair.client->segment->gate.busy, 0);
    assert_int_equal(test->gate.carried_out, before);
    atomic_store(&test->worker.deferred, CUDA_ERROR_INVALID_VALUE);
    struct answer told = ASK(WH_CUDA_cuCtxSynchronize);
    assert_int_equal(status(&told), CUDA_ERROR_INVALID_VALUE);
    atomic_fetch_add(&test->worker.away, 1);
    (void)ASK(WH_CUDA_cuStreamQuery, STREAM);
    atomic_fetch_sub(&test->worker.away, 1);
    assert_int_equal(test->gate.carried_out, before);
    test->gate.quiet = 1;
    test->gate.seen[0].start = (uintptr_t)1 << 46; /* the heap is below, or above */
    test->gate.seen[0].end = ((uintptr_t)1 << 46) + 4096;
    (void)ASK(WH_CUDA_cuMemGetInfo_v2, 8, 8);
    assert_int_equal(test->gate.carried_out, before);
    assert_int_equal(test->account.calls, test->sent);
}

/* ---- memory ---- */

/* Runs in the view, for sure: the worker's thread sleeps. */
static void post_bytes(uint64_t to, const char *text)
{
    uint64_t words[3 + 8] = {to, strlen(text), strlen(text)};
    size_t n = 4 + (strlen(text) + 7) / 8;
    memcpy(words + 3, text, strlen(text));
    words[n - 1] = 0; /* the NULL stream */
    send(WH_CUDA_wh_write, WH_NO_SLOT, words, n);
}

static uint64_t allocate(uint64_t size)
{
    struct answer answer = ASK(WH_CUDA_cuMemAlloc_v2, 8, size);
    uint64_t address;
    assert_int_equal(status(&answer), CUDA_SUCCESS);
    memcpy(&address, answer.bytes + 16, sizeof(address));
    return address;
}

static void expect_bytes(uint64_t from, const char *text)
{
    struct answer answer = ASK(WH_CUDA_wh_read, strlen(text), strlen(text), from, STREAM);
    assert_int_equal(status(&answer), CUDA_SUCCESS);
    assert_memory_equal(answer.bytes + 16, text, strlen(text));
}

static bool is_near(uint64_t address)
{
    return address >= test->near.start && address < test->near.end;
}

/* Small copies and sets, with allocations around them; once by the worker and once in the view. */
static void small_copies(bool view)
{
    uint64_t before = test->gate.carried_out, n = 0;
    if (view)
        wait_for_sleep();
    uint64_t a = allocate(1000), b = allocate(1000);
    n += 2;
    assert_true(is_near(a) && is_near(b) && a != b);
    POST(WH_CUDA_cuMemsetD8Async, b, 'z', 1000, STREAM);
    post_bytes(a, "hello");
    POST(WH_CUDA_wh_copy_shared, b + 3, a, 5, 0);
    POST(WH_CUDA_cuMemsetD16Async, b + 10, 'x' << 8 | 'y', 2, 0);
    expect_success(ASK(WH_CUDA_cuMemsetD32_v2, b + 16, 0x61616161, 1));
    expect_bytes(b, "zzzhellozzyxyxzzaaaaz");
    POST(WH_CUDA_cuMemcpyDtoDAsync_v2, b + 100, b, 4, 0);
    expect_success(ASK(WH_CUDA_cuMemcpyDtoD_v2, b + 104, a, 5));
    expect_bytes(b + 100, "zzzhhelloz");
    POST(WH_CUDA_cuEventRecord, UNTIMED, STREAM);
    POST(WH_CUDA_cuStreamWaitEvent, 0, UNTIMED, 0);
    expect_success(ASK(WH_CUDA_cuEventSynchronize, UNTIMED));
    n += 12;
    expect_success(ASK(WH_CUDA_cuMemFree_v2, a));
    expect_success(ASK(WH_CUDA_cuMemFree_v2, b));
    struct answer again = ASK(WH_CUDA_cuMemFree_v2, a);
    assert_int_equal(status(&again), CUDA_ERROR_INVALID_VALUE);
    n += 3;
    assert_int_equal(test->gate.carried_out - before, view ? n : 0);
}

static void memory(void **state)
{
    (void)state;
    expect_success(ASK(WH_CUDA_cuEventCreate, 1, UNTIMED, CU_EVENT_DISABLE_TIMING));
    (void)ASK(WH_CUDA_cuCtxGetFlags, 4);
    expect_success(ASK(WH_CUDA_cuMemFree_v2, allocate(1))); /* the worker's list has room */
    struct answer before = ASK(WH_CUDA_cuMemGetInfo_v2, 8, 8);
    small_copies(true);
    test->pair.client->step_in = NULL;
    small_copies(false);
    test->pair.client->step_in = step_in;
    struct answer after = ASK(WH_CUDA_cuMemGetInfo_v2, 8, 8);
    assert_memory_equal(before.bytes, after.bytes, before.size);
    assert_int_equal(test->account.allocated, 0);
    assert_int_equal(test->account.calls, test->sent);
}

/* What was posted is for the worker, who says `result` of it. */
static void left_to_worker(uint64_t carried_out, int32_t result)
{
    wait_for_sleep();
    assert_int_equal(test->gate.carried_out, carried_out);
    struct answer told = ASK(WH_CUDA_cuCtxSynchronize);
    assert_int_equal(status(&told), result);
    wait_for_sleep();
}

/* Nothing is touched that is not there, and errors are the worker's to tell. */
static void memory_that_is_left(void **state)
{
    struct wh_gate_range *seen = test->gate.seen;
    uint64_t a = allocate(1000), big = allocate(4 << 20);
    (void)state;
    assert_false(is_near(big));
    wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    POST(WH_CUDA_cuMemsetD8Async, a + 999, 1, 2, 0); /* beyond the end */
    left_to_worker(before, CUDA_ERROR_INVALID_VALUE);
    before = test->gate.carried_out;
    POST(WH_CUDA_cuMemsetD16Async, a + 1, 1, 2, 0); /* not aligned: the driver refuses */
    left_to_worker(before, CUDA_ERROR_INVALID_VALUE);
    before = test->gate.carried_out;
    POST(WH_CUDA_cuMemsetD8Async, big, 1, (4 << 20), 0); /* takes long */
    left_to_worker(before, CUDA_SUCCESS);
    before = test->gate.carried_out;
    POST(WH_CUDA_cuEventRecord, EVENT, STREAM); /* has a time */
    left_to_worker(before, CUDA_SUCCESS);
    before = test->gate.carried_out;
    /* Only the first device memory is there, as in a view. */
    seen[0].end = test->near.end;
    seen[1] = (struct wh_gate_range){(uintptr_t)1 << 40, (uintptr_t)1 << 47};
    test->gate.nseen = 2;
    post_bytes(a, "here");
    assert_int_equal(test->gate.carried_out, before + 1);
    post_bytes(big, "there");
    left_to_worker(before + 1, CUDA_SUCCESS);
    before = test->gate.carried_out;
    POST(WH_CUDA_wh_copy_shared, a + 4, big, 5, 0);
    left_to_worker(before, CUDA_SUCCESS);
    expect_bytes(a, "herethere");
    expect_success(ASK(WH_CUDA_cuMemFree_v2, big));
    wait_for_sleep();
    before = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_cuMemFree_v2, a));
    assert_int_equal(test->gate.carried_out, before + 1);
    struct answer none = ASK(WH_CUDA_cuMemAlloc_v2, 8, 1ull << 50);
    assert_int_equal(status(&none), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(test->gate.carried_out, before + 1);
}

/* Nobody else takes anything while the test leads. */
static void who_does_not_lead(void **state)
{
    struct wh_shm *worker = test->pair.worker;
    const uint64_t words[] = {STREAM};
    (void)state;
    wait_for_sleep();
    assert_true(wh_lead_try(worker));
    uint32_t at = worker->calls.at;
    uint32_t slot = test->pair.client->channel.ops->take_slot(&test->pair.client->channel);
    send(WH_CUDA_cuStreamQuery, slot, words, 1);
    assert_int_equal(wh_callee_handle(0, 0, 0), WH_GATE_RING);
    assert_int_equal(worker->calls.at, at);
    assert_true(wh_lead_stop(worker)); /* the message is there, and whoever stops is told */
    assert_int_equal(wh_callee_handle(0, 0, 0), WH_GATE_TAKEN);
    assert_int_not_equal(worker->calls.at, at);
    assert_int_equal(test->pair.client->segment->slots[slot].state, WH_SLOT_DONE);
    assert_int_equal(wh_callee_handle(0, 0, 0), WH_GATE_TAKEN); /* once only */
}

/* A malformed message is for the worker to judge, which ends the session: here nobody does. */
static void malformed(void **state)
{
    static const struct question lies[] = {
        {WH_CUDA_cuStreamQuery, 1, {CONTEXT}},
        {WH_CUDA_cuStreamQuery, 1, {999}},
        {WH_CUDA_cuStreamQuery, 2, {STREAM, 0}},
        {WH_CUDA_cuStreamQuery, 0, {0}},
        {WH_CUDA_cuMemGetInfo_v2, 2, {9, 8}},
        {WH_CUDA_cuMemGetInfo_v2, 2, {8, 1ull << 62}},
        {WH_CUDA_cuMemGetInfo_v2, 2, {8, 1 << 20}},
        {60000, 1, {0}},
        {WH_CUDA_wh_write, 2, {4096, 1ull << 62}},
        {WH_CUDA_wh_write, 3, {4096, 8, 1ull << 62 | 8}},
        {WH_CUDA_wh_read, 3, {1ull << 63, 1ull << 63, 4096}},
        {WH_CUDA_cuMemFree_v2, 0, {0}},
    };
    struct wh_shm *worker = test->pair.worker;
    (void)state;
    test->pair.client->step_in = NULL;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        wait_for_sleep();
        assert_true(wh_lead_try(worker));
        uint32_t at = worker->calls.at;
        send(lies[i].call, 3, lies[i].words, lies[i].n);
        atomic_flag_clear(&worker->leader); /* without waking anybody */
        assert_int_equal(wh_callee_handle(0, 0, 0), WH_GATE_RING);
        assert_int_equal(worker->calls.at, at);
        assert_true(atomic_load(&worker->calls.control->consumer_sleeps));
        /* Out of the way of the next one, as if somebody had seen to it. */
        assert_true(wh_lead_try(worker));
        worker->calls.at = worker->calls.known = atomic_load(&worker->calls.control->tail);
        (void)wh_lead_stop(worker);
    }
}

/* Several threads in the view and in the worker at once: every message is carried out once. */
static void *many(void *number)
{
    uint64_t stream = 100 + (uint64_t)(uintptr_t)number;
    struct answer id = {0};
    expect_success(ASK(WH_CUDA_cuStreamCreateWithPriority, 1, stream, 0, 0));
    for (int i = 0; i < ROUNDS; i++) {
        struct answer now = ASK(WH_CUDA_cuStreamGetId, stream, 8);
        assert_true(i == 0 || memcmp(&now, &id, sizeof(now)) == 0);
        id = now;
        if (i % 8 == 0)
            expect_success(
                ASK(WH_CUDA_cuStreamCreateWithPriority, 1, stream + 1000 + (uint64_t)i * 8, 0, 0));
        POST(WH_CUDA_wh_set_current, CONTEXT);
    }
    return NULL;
}

static void threads(void **state)
{
    pthread_t all[THREADS];
    uint64_t before = test->gate.carried_out;
    (void)state;
    test->many = true;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&all[i], NULL, many, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(all[i], NULL);
    expect_success(ASK(WH_CUDA_cuCtxSynchronize)); /* behind all that was posted */
    assert_int_equal(test->account.calls, test->sent);
    assert_true(test->gate.carried_out > before);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(same_answers, open_session, close_session),
        cmocka_unit_test_setup_teardown(what_is_left, open_session, close_session),
        cmocka_unit_test_setup_teardown(memory, open_session, close_session),
        cmocka_unit_test_setup_teardown(memory_that_is_left, open_session, close_session),
        cmocka_unit_test_setup_teardown(who_does_not_lead, open_session, close_session),
        cmocka_unit_test_setup_teardown(malformed, open_session, close_session),
        cmocka_unit_test_setup_teardown(threads, open_session, close_session),
    };
    if (argc < 2)
        return 2;
    (void)setenv("WORMHOLE_CUDA_LIBRARY", argv[1], 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
