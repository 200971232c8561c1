/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that are made and ended in a view, called directly (callee_session.h): the worker's
 * threads use and end what was made there, and the other way round; no block, id or count is lost,
 * and a client that lies finds nothing. The software device is the first argument.
 */
#include "callee_session.h"

#include "backend/softgpu/event.h"
#include "worker/table.h"

#include <stdlib.h>
#include <string.h>

#define FIRST 100u

/* What is counted somewhere, and must be the same again. */
struct counts {
    uint64_t streams, events, arrays, references, blocks, allocated;
};

static void *real_of(uint32_t id)
{
    const struct wh_entry *entry = wh_table_find(test->worker.table, id, 0);
    return entry ? entry->real : NULL;
}

/* Of the worker's, which sleeps, with a full stock. */
static struct counts count(void)
{
    const struct soft_object *context = real_of(CONTEXT);
    struct counts now = {.references = atomic_load(&context->references)};
    wait_for_sleep();
    now.streams = wh_table_count(test->worker.table, WH_CUDA_TYPE_CUstream);
    now.events = wh_table_count(test->worker.table, WH_CUDA_TYPE_CUevent);
    now.arrays = wh_table_count(test->worker.table, WH_CUDA_TYPE_CUarray);
    now.allocated = atomic_load(&test->account.allocated);
    for (uint32_t i = 0; i < test->gate.stock.nshelves; i++)
        now.blocks += test->gate.stock.shelves[i].n;
    return now;
}

static void same_counts(const struct counts *before)
{
    struct counts now = count();
    assert_memory_equal(before, &now, sizeof(now));
    assert_int_equal(test->account.calls, test->sent);
}

/* The worker's threads see to the next calls, and have time to put by what there should be. */
static void leave_view(void)
{
    test->pair.client->step_in = NULL;
    (void)ASK(WH_CUDA_cuCtxGetFlags, 4);
}

static void enter_view(void)
{
    (void)ASK(WH_CUDA_cuCtxGetFlags, 4);
    test->pair.client->step_in = step_in;
    wait_for_sleep();
}

static void make_event(uint64_t id, uint64_t flags)
{
    expect_success(ASK(WH_CUDA_cuEventCreate, 1, id, flags));
}

static void make_array(uint64_t id)
{
    const CUDA_ARRAY_DESCRIPTOR wish = {
        .Width = 16, .Height = 4, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};
    uint64_t words[3 + sizeof(wish) / 8] = {1, id, sizeof(wish)};
    memcpy(words + 3, &wish, sizeof(wish));
    expect_success(ask(WH_CUDA_cuArrayCreate_v2, words, sizeof(words) / 8));
}

static void make_all(void)
{
    make_event(FIRST, CU_EVENT_DISABLE_TIMING);
    make_event(FIRST + 1, 0);
    expect_success(ASK(WH_CUDA_cuStreamCreate, 1, FIRST + 2, CU_STREAM_NON_BLOCKING));
    expect_success(ASK(WH_CUDA_cuStreamCreateWithPriority, 1, FIRST + 3, 0, (uint64_t)-3));
    make_array(FIRST + 4);
}

/* What is made is as the worker's own. Nothing that blocks: the worker would start a thread for it,
 * which has the context, too. */
static void use_all(void)
{
    struct answer priority = ASK(WH_CUDA_cuStreamGetPriority, FIRST + 3, 4);
    assert_int_equal((int)priority.bytes[16], (uint8_t)-3);
    POST(WH_CUDA_cuEventRecord, FIRST, FIRST + 2);
    POST(WH_CUDA_cuStreamWaitEvent, FIRST + 3, FIRST, 0);
    expect_success(ASK(WH_CUDA_cuStreamQuery, FIRST + 3));
    expect_success(ASK(WH_CUDA_cuEventQuery, FIRST));
    struct answer size =
        ASK(WH_CUDA_cuArrayGetDescriptor_v2, sizeof(CUDA_ARRAY_DESCRIPTOR), FIRST + 4);
    assert_int_equal(size.bytes[16], 16);
}

static void end_all(void)
{
    POST(WH_CUDA_cuEventDestroy_v2, FIRST);
    POST(WH_CUDA_cuEventDestroy_v2, FIRST + 1);
    POST(WH_CUDA_cuStreamDestroy_v2, FIRST + 2);
    POST(WH_CUDA_cuStreamDestroy_v2, FIRST + 3);
    POST(WH_CUDA_cuArrayDestroy, FIRST + 4);
}

/* Once more by the worker's threads, who find a function of their own at the end of it. */
static void ends_by_itself(uint32_t id, uint32_t like)
{
    const struct soft_object *object = real_of(id), *other = real_of(like);
    assert_true(object->destroy == other->destroy);
    assert_int_equal(atomic_load(&object->references), 1);
}

static void made_in_view(void **state)
{
    (void)state;
    struct counts before = count();
    uint64_t done = test->gate.carried_out;
    make_all();
    assert_int_equal(test->gate.carried_out, done + 5);
    use_all();
    assert_int_equal(test->gate.carried_out, done + 11);
    ends_by_itself(FIRST + 1, EVENT);
    ends_by_itself(FIRST + 2, STREAM);
    leave_view();
    done = test->gate.carried_out;
    use_all();
    end_all();
    enter_view();
    assert_int_equal(test->gate.carried_out, done);
    same_counts(&before);
}

static void ended_in_view(void **state)
{
    (void)state;
    struct counts before = count();
    leave_view();
    uint64_t done = test->gate.carried_out;
    make_all();
    use_all();
    assert_int_equal(test->gate.carried_out, done);
    enter_view();
    done = test->gate.carried_out;
    use_all();
    end_all();
    assert_int_equal(test->gate.carried_out, done + 11);
    leave_view(); /* takes what there is too much of */
    enter_view();
    assert_null(test->gate.stock.excess);
    same_counts(&before);
}

/* What is ended is made of again: nobody else is needed, however often. */
static void again_and_again(void **state)
{
    (void)state;
    struct counts before = count();
    uint64_t done = test->gate.carried_out;
    for (unsigned i = 0; i < 500; i++) {
        make_all();
        end_all();
    }
    assert_int_equal(test->gate.carried_out, done + 5000);
    same_counts(&before);
}

/* Then the worker makes one, and puts by more. */
static void nothing_put_by(void **state)
{
    (void)state;
    struct counts before = count();
    uint32_t n = 0, left = 0;
    for (; left < 2; n++) {
        uint64_t done = test->gate.carried_out;
        wait_for_sleep();
        make_event(FIRST + n, CU_EVENT_DISABLE_TIMING);
        if (test->gate.carried_out == done) {
            left++;
            assert_true(n > 100);
        }
    }
    assert_true(n > 200);
    assert_int_equal(wh_table_count(test->worker.table, WH_CUDA_TYPE_CUevent), before.events + n);
    while (n > 0)
        POST(WH_CUDA_cuEventDestroy_v2, FIRST + --n);
    leave_view();
    enter_view();
    assert_null(test->gate.stock.excess);
    same_counts(&before);
}

/* The worker's threads make a stream and an event, recorded in it while that had to wait; the wait
 * is over then. */
static void record_that_waits(uint64_t word)
{
    struct answer there;
    expect_success(ASK(WH_CUDA_cuStreamCreate, 1, FIRST, CU_STREAM_NON_BLOCKING));
    make_event(FIRST + 1, 0);
    POST(WH_CUDA_cuStreamWaitValue32_v2, FIRST, word, 1, CU_STREAM_WAIT_VALUE_EQ);
    POST(WH_CUDA_cuEventRecord, FIRST + 1, FIRST);
    POST(WH_CUDA_cuMemsetD32Async, word, 1, 1, STREAM);
    do
        there = ASK(WH_CUDA_cuStreamQuery, FIRST);
    while (status(&there) == CUDA_ERROR_NOT_READY);
    const struct soft_event *event = real_of(FIRST + 1);
    assert_non_null(event->mark.stream);
}

/* A stream that has been ended lives on in the event that was recorded in it, and goes with that.
 */
static void last_reference(void **state)
{
    (void)state;
    uint64_t word = allocate(4);
    POST(WH_CUDA_cuMemsetD32Async, word, 0, 1, STREAM);
    struct counts before = count();
    leave_view();
    record_that_waits(word);
    POST(WH_CUDA_cuStreamDestroy_v2, FIRST);
    enter_view();
    uint64_t done = test->gate.carried_out;
    POST(WH_CUDA_cuEventDestroy_v2, FIRST + 1);
    assert_int_equal(test->gate.carried_out, done + 1);
    leave_view();
    enter_view();
    same_counts(&before);
}

/* ---- textures, which have a number ---- */

static struct answer ask_texture(uint64_t array, uint32_t flags)
{
    const CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY};
    const CUDA_TEXTURE_DESC texture = {.flags = flags};
    uint64_t words[8 + (sizeof(resource) + sizeof(texture)) / 8] = {sizeof(resource)}, *at = words;
    memcpy(++at, &resource, sizeof(resource));
    at += sizeof(resource) / 8;
    *at++ = array;
    *at++ = 0;
    *at++ = sizeof(texture);
    memcpy(at, &texture, sizeof(texture));
    at += sizeof(texture) / 8;
    *at++ = WH_PAYLOAD_NULL;
    *at++ = 8;
    return ask(WH_CUDA_wh_texture_create, words, (size_t)(at - words));
}

static uint64_t make_texture(uint64_t array)
{
    struct answer answer = ask_texture(array, 0);
    uint64_t number;
    assert_int_equal(status(&answer), CUDA_SUCCESS);
    memcpy(&number, answer.bytes + 16, sizeof(number));
    return number;
}

static void textures(void **state)
{
    (void)state;
    make_array(FIRST);
    leave_view();
    enter_view();
    struct counts before = count();
    uint64_t done = test->gate.carried_out, mine = make_texture(FIRST);
    struct answer none =
        ask_texture(FIRST, 1u << 20); /* a flag that there is not: gives all back */
    assert_int_equal(status(&none), CUDA_ERROR_INVALID_VALUE);
    none = ASK(WH_CUDA_wh_surface_create, FIRST, 8); /* the array is not for that */
    assert_int_equal(status(&none), CUDA_ERROR_INVALID_VALUE);
    none = ASK(WH_CUDA_wh_surface_exists, mine);
    assert_int_equal(status(&none), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(test->gate.carried_out, done + 4);
    leave_view();
    uint64_t workers = make_texture(FIRST);
    const struct soft_object *object = (const void *)(uintptr_t)mine;
    assert_true(object->destroy == ((const struct soft_object *)(uintptr_t)workers)->destroy);
    expect_success(ASK(WH_CUDA_cuTexObjectDestroy, mine));
    enter_view();
    done = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_cuTexObjectDestroy, workers));
    none = ASK(WH_CUDA_cuTexObjectDestroy, workers);
    assert_int_equal(status(&none), CUDA_ERROR_INVALID_VALUE);
    none = ASK(WH_CUDA_cuTexObjectDestroy, (uint64_t)(uintptr_t)real_of(EVENT)); /* no texture */
    assert_int_equal(status(&none), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(test->gate.carried_out, done + 3);
    leave_view();
    enter_view();
    same_counts(&before);
    /* An array that went before its texture goes with it: that is the worker's. */
    mine = make_texture(FIRST);
    POST(WH_CUDA_cuArrayDestroy, FIRST);
    done = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_cuTexObjectDestroy, mine));
    assert_int_equal(test->gate.carried_out, done);
}

/* ---- what is left ---- */

/* What is there, but for some bytes. */
static void hide(const void *bytes, size_t size)
{
    struct wh_gate *gate = &test->gate;
    uintptr_t start = (uintptr_t)bytes;
    for (uint32_t i = 0; i < gate->nseen; i++) {
        struct wh_gate_range *range = &gate->seen[i];
        if (start < range->start || start >= range->end)
            continue;
        gate->seen[gate->nseen++] = (struct wh_gate_range){start + size, range->end};
        range->end = start;
        return;
    }
    fail();
}

static void posted_and_left(uint16_t call, uint64_t id)
{
    wait_for_sleep();
    uint64_t done = test->gate.carried_out;
    const uint64_t words[] = {id};
    send_words(call, WH_NO_SLOT, words, 1);
    wait_for_sleep();
    assert_int_equal(test->gate.carried_out, done);
}

static void not_in_view(void **state)
{
    (void)state;
    const struct wh_gate gate = test->gate;
    make_event(FIRST, 0);
    hide(real_of(FIRST), 64);
    posted_and_left(WH_CUDA_cuEventDestroy_v2, FIRST);
    assert_null(real_of(FIRST));
    test->gate.nseen = gate.nseen;
    memcpy(test->gate.seen, gate.seen, sizeof(gate.seen));
    make_event(FIRST, 0);
    hide(wh_table_find(test->worker.table, FIRST, 0), sizeof(struct wh_entry));
    posted_and_left(WH_CUDA_cuEventDestroy_v2, FIRST);
    assert_null(real_of(FIRST));
    test->gate.nseen = gate.nseen;
    memcpy(test->gate.seen, gate.seen, sizeof(gate.seen));
    /* Its neighbour in the list of all streams. */
    expect_success(ASK(WH_CUDA_cuStreamCreate, 1, FIRST, 0));
    hide(real_of(FIRST), 64);
    wait_for_sleep();
    uint64_t done = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_cuStreamCreate, 1, FIRST + 1, 0));
    assert_int_equal(test->gate.carried_out, done);
    posted_and_left(WH_CUDA_cuStreamDestroy_v2, FIRST + 1);
    posted_and_left(WH_CUDA_cuStreamDestroy_v2, FIRST);
    /* Of ids that have no place yet: the worker makes one for a thousand of them. */
    test->gate.nseen = gate.nseen;
    memcpy(test->gate.seen, gate.seen, sizeof(gate.seen));
    wait_for_sleep();
    done = test->gate.carried_out;
    make_event(50000, 0);
    assert_int_equal(test->gate.carried_out, done);
    wait_for_sleep();
    make_event(50001, 0);
    assert_int_equal(test->gate.carried_out, done + 1);
}

/* Not what is asked about, but what comes with it. */
static void behind_what_is_in_view(void **state)
{
    (void)state;
    const struct wh_gate gate = test->gate;
    uint64_t word = allocate(4);
    POST(WH_CUDA_cuMemsetD32Async, word, 0, 1, STREAM);
    leave_view();
    record_that_waits(word);
    enter_view();
    hide(real_of(FIRST), 64);
    uint64_t done = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_cuEventSynchronize, FIRST + 1));
    assert_int_equal(test->gate.carried_out, done);
    test->gate.nseen = gate.nseen;
    memcpy(test->gate.seen, gate.seen, sizeof(gate.seen));
    leave_view(); /* who has blocked may not have led again */
    enter_view();
    done = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_cuEventSynchronize, FIRST + 1));
    assert_int_equal(test->gate.carried_out, done + 1);
}

/* It is none only if it has ended. */
static void context_not_in_view(void **state)
{
    (void)state;
    const struct wh_entry *context = wh_table_find(test->worker.table, CONTEXT, 0);
    hide(context, sizeof(*context));
    wait_for_sleep();
    uint64_t done = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_cuMemGetInfo_v2, 8, 8));
    assert_int_equal(test->gate.carried_out, done);
}

/* Whom others know is the worker's to end; what another sort of object needs is, too. */
static void known_to_others(void **state)
{
    (void)state;
    make_event(FIRST, 0);
    struct wh_entry *entry = wh_table_find(test->worker.table, FIRST, 0);
    entry->references = 2;
    posted_and_left(WH_CUDA_cuEventDestroy_v2, FIRST);
    assert_int_equal(entry->references, 1);
    entry->extra = malloc(16); /* a token by which another session has it; not a good one */
    memset(entry->extra, 0, 16);
    posted_and_left(WH_CUDA_cuEventDestroy_v2, FIRST);
    assert_null(real_of(FIRST));
    wait_for_sleep();
    uint64_t done = test->gate.carried_out;
    expect_success(
        ASK(WH_CUDA_cuEventCreate, 1, FIRST, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
    assert_int_equal(test->gate.carried_out, done);
    posted_and_left(WH_CUDA_cuEventDestroy_v2, FIRST);
    /* The driver's own errors come from the view, and make nothing. */
    done = test->gate.carried_out;
    struct answer bad = ASK(WH_CUDA_cuEventCreate, 1, FIRST, 1u << 20);
    assert_int_equal(status(&bad), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(test->gate.carried_out, done + 1);
    assert_null(real_of(FIRST));
    assert_int_equal(test->account.calls, test->sent);
}

/* A lie is for the worker to judge, which ends the session: here nobody does, and nothing is done.
 */
static void lies(void **state)
{
    static const struct question told[] = {
        {WH_CUDA_cuEventDestroy_v2, 1, {FIRST}}, /* ended before */
        {WH_CUDA_cuEventQuery, 1, {FIRST}},
        {WH_CUDA_cuEventDestroy_v2, 1, {STREAM}},
        {WH_CUDA_cuStreamDestroy_v2, 1, {EVENT}},
        {WH_CUDA_cuStreamDestroy_v2, 1, {CONTEXT}},
        {WH_CUDA_cuArrayDestroy, 1, {EVENT}},
        {WH_CUDA_wh_forget_function, 1, {EVENT}},
        {WH_CUDA_cuEventDestroy_v2, 1, {0}},
        {WH_CUDA_cuEventDestroy_v2, 2, {EVENT, 0}},
        {WH_CUDA_cuEventCreate, 3, {1, EVENT, 0}}, /* in use */
        {WH_CUDA_cuEventCreate, 3, {1, 0, 0}},
        {WH_CUDA_cuEventCreate, 3, {1, WH_ID_WORKER_FIRST, 0}},
        {WH_CUDA_cuEventCreate, 3, {1, 1024u * 8193u, 0}},
        {WH_CUDA_cuEventCreate, 3, {1, 1ull << 32 | EVENT, 0}},
        {WH_CUDA_cuEventCreate, 4, {2, 200, 201, 0}},
        {WH_CUDA_cuEventCreate, 3, {1ull << 62, 200, 0}},
        {WH_CUDA_cuStreamCreateWithPriority, 4, {1, STREAM, 0, 0}},
        {WH_CUDA_wh_primary_name, 3, {0, 1, CONTEXT}},
    };
    struct wh_shm *worker = test->pair.worker;
    (void)state;
    make_event(FIRST, 0);
    POST(WH_CUDA_cuEventDestroy_v2, FIRST);
    struct counts before = count();
    test->pair.client->step_in = NULL;
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
        for (unsigned posted = 0; posted < 2; posted++) {
            wait_for_sleep();
            assert_true(wh_lead_try(worker));
            uint32_t at = worker->calls.at;
            send_words(told[i].call, posted ? WH_NO_SLOT : 3, told[i].words, told[i].n);
            atomic_flag_clear(&worker->leader); /* without waking anybody */
            if (wh_callee_handle(0, 0, 0) != WH_GATE_RING || worker->calls.at != at)
                fail_msg("lie %zu (call %u) was believed", i, told[i].call);
            /* Out of the way of the next one, as if somebody had seen to it. */
            assert_true(wh_lead_try(worker));
            worker->calls.at = worker->calls.known = atomic_load(&worker->calls.control->tail);
            (void)wh_lead_stop(worker);
        }
    struct counts after = count();
    assert_memory_equal(&before, &after, sizeof(after));
}

/* ---- several threads ---- */

#define THREADS 4
#define ROUNDS  300

/* Their objects are made and ended by whoever comes first, in the view or not. */
static void *many(void *number)
{
    uint64_t first = 1000 + 100 * (uint64_t)(uintptr_t)number;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t event = first + i % 7, stream = first + 50 + i % 3;
        make_event(event, CU_EVENT_DISABLE_TIMING);
        expect_success(ASK(WH_CUDA_cuStreamCreate, 1, stream, CU_STREAM_NON_BLOCKING));
        POST(WH_CUDA_cuEventRecord, event, stream);
        expect_success(ASK(WH_CUDA_cuEventQuery, event));
        POST(WH_CUDA_cuStreamDestroy_v2, stream);
        POST(WH_CUDA_cuEventDestroy_v2, event);
    }
    return NULL;
}

static void threads(void **state)
{
    pthread_t all[THREADS];
    (void)state;
    struct counts before = count();
    uint64_t done = test->gate.carried_out;
    test->many = true;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&all[i], NULL, many, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(all[i], NULL);
    assert_true(test->gate.carried_out > done);
    leave_view();
    enter_view();
    same_counts(&before);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(made_in_view, open_session, close_session),
        cmocka_unit_test_setup_teardown(ended_in_view, open_session, close_session),
        cmocka_unit_test_setup_teardown(again_and_again, open_session, close_session),
        cmocka_unit_test_setup_teardown(nothing_put_by, open_session, close_session),
        cmocka_unit_test_setup_teardown(last_reference, open_session, close_session),
        cmocka_unit_test_setup_teardown(textures, open_session, close_session),
        cmocka_unit_test_setup_teardown(not_in_view, open_session, close_session),
        cmocka_unit_test_setup_teardown(behind_what_is_in_view, open_session, close_session),
        cmocka_unit_test_setup_teardown(context_not_in_view, open_session, close_session),
        cmocka_unit_test_setup_teardown(known_to_others, open_session, close_session),
        cmocka_unit_test_setup_teardown(lies, open_session, close_session),
        cmocka_unit_test_setup_teardown(threads, open_session, close_session),
    };
    if (argc < 2)
        return 2;
    callee_prepare(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
