/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code that a client's processor runs in a view, called directly (callee_session.h). Its
 * answers are the worker's, each message is carried out once whoever does, and what it may not do
 * it leaves. The software device is the first argument.
 */
#include "callee_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define ROUNDS  400

#define UNTIMED 4u
#define SHARED  (CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING)

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

static void questions_to_streams(void **state)
{
    (void)state;
    same_answers(questions, sizeof(questions) / sizeof(questions[0]));
}

/* Whatever it is left for, the worker's threads see to it. */
static void what_is_left(void **state)
{
    uint64_t before = test->gate.carried_out;
    (void)state;
    expect_success(ASK(WH_CUDA_cuEventCreate, 1, 10, SHARED)); /* needs a file */
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
    test->gate.nseen = 0; /* nothing is there */
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
    send_words(WH_CUDA_wh_write, WH_NO_SLOT, words, n);
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
    POST(WH_CUDA_cuEventRecord, EVENT, STREAM); /* has a time, and this client no clock */
    left_to_worker(before, CUDA_SUCCESS);
    before = test->gate.carried_out;
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
    send_words(WH_CUDA_cuStreamQuery, slot, words, 1);
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
        send_words(lies[i].call, 3, lies[i].words, lies[i].n);
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
        cmocka_unit_test_setup_teardown(questions_to_streams, open_session, close_session),
        cmocka_unit_test_setup_teardown(what_is_left, open_session, close_session),
        cmocka_unit_test_setup_teardown(memory, open_session, close_session),
        cmocka_unit_test_setup_teardown(memory_that_is_left, open_session, close_session),
        cmocka_unit_test_setup_teardown(who_does_not_lead, open_session, close_session),
        cmocka_unit_test_setup_teardown(malformed, open_session, close_session),
        cmocka_unit_test_setup_teardown(threads, open_session, close_session),
    };
    if (argc < 2)
        return 2;
    callee_prepare(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
