/* SPDX-License-Identifier: Apache-2.0 */
/* A session with a callee in one process; see callee_session.h. */
#include "callee_session.h"

#include "backend/softgpu/softgpu.h"
#include "base/tsc.h"
#include "worker/heap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct callee_session *test;

struct wh_gate *wh_callee_gate(void)
{
    return &test->gate;
}

uint64_t wh_callee_tsc(void)
{
    test->tsc_reads++;
    return wh_tsc_read() + test->tsc_offset;
}

bool step_in(struct wh_shm *shm, uint16_t call)
{
    const struct wh_gate_offer *offer = &shm->segment->gate;
    uint64_t before = test->gate.carried_out;
    bool ring = wh_callee_handle(test->may_read_tsc, 8, 9) == WH_GATE_RING;
    if (!wh_gate_may_run(offer->calls, call))
        assert_true(test->gate.carried_out == before || test->many);
    return ring;
}

/* ---- messages ---- */

void send_words(uint16_t call, uint32_t slot, const uint64_t *words, size_t n)
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
                                   .reply_room = slot == WH_NO_SLOT ? 0 : 1600};
    memcpy(message + 1, words, n * 8);
    __atomic_add_fetch(&test->sent, 1, __ATOMIC_RELAXED);
    ops->commit(&test->pair.client->channel);
}

struct answer ask(uint16_t call, const uint64_t *words, size_t n)
{
    struct wh_channel *client = &test->pair.client->channel;
    struct wh_reply reply;
    struct answer answer = {0};
    uint32_t slot = client->ops->take_slot(client);
    send_words(call, slot, words, n);
    assert_int_equal(client->ops->await(client, slot, false, &reply), 0);
    answer.size = reply.size;
    memcpy(answer.bytes, reply.bytes, reply.size);
    client->ops->put_slot(client, slot);
    return answer;
}

int32_t status(const struct answer *answer)
{
    int64_t word;
    memcpy(&word, answer->bytes, sizeof(word));
    return (int32_t)word;
}

void expect_success(struct answer answer)
{
    assert_int_equal(status(&answer), CUDA_SUCCESS);
}

void same_answers(const struct question *questions, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct question *q = &questions[i];
        uint64_t before = test->gate.carried_out;
        assert_true(wh_gate_may_run(test->pair.client->segment->gate.calls, q->call));
        test->pair.client->step_in = NULL;
        struct answer workers = ask(q->call, q->words, q->n);
        (void)ASK(WH_CUDA_cuCtxGetFlags, 4); /* who has blocked may not have led again */
        assert_int_equal(test->gate.carried_out, before);
        test->pair.client->step_in = step_in;
        wait_for_sleep(); /* else the worker may be first */
        struct answer callees = ask(q->call, q->words, q->n);
        if (test->gate.carried_out != before + 1)
            fail_msg("question %zu (call %u) was left", i, q->call);
        if (workers.size != callees.size || memcmp(workers.bytes, callees.bytes, workers.size) != 0)
            fail_msg("question %zu (call %u) has another answer", i, q->call);
    }
    assert_int_equal(test->account.calls, test->sent);
}

/* ---- code ---- */

static void load_image(const char *ptx)
{
    size_t size = strlen(ptx) + 1;
    memcpy(test->pair.client->channel.arena, ptx, size);
    expect_success(ASK(WH_CUDA_wh_image_part, 1, size, 0, size, 0));
}

static void load(const char *ptx, uint16_t call, uint64_t id)
{
    load_image(ptx);
    expect_success(ASK(call, 1, 0, WH_PAYLOAD_NULL, WH_PAYLOAD_NULL, 0, WH_PAYLOAD_NULL, 0,
                       WH_PAYLOAD_NULL, sizeof(wh_cuda_jit_answer), 1, id));
}

struct answer ask_named(uint16_t call, uint64_t of, const char *name, uint64_t id)
{
    uint64_t words[8] = {of, strlen(name) + 1}, at = 2 + (strlen(name) + 8) / 8;
    memcpy(words + 2, name, strlen(name) + 1);
    words[at++] = 1;
    words[at++] = id;
    return ask(call, words, at);
}

void load_function(const char *ptx, const char *name)
{
    load(ptx, WH_CUDA_wh_load_module, MODULE);
    expect_success(ask_named(WH_CUDA_wh_get_function, MODULE, name, FUNCTION));
}

void load_kernel(const char *ptx, const char *name)
{
    load(ptx, WH_CUDA_wh_load_library, LIBRARY);
    expect_success(ask_named(WH_CUDA_wh_get_kernel, LIBRARY, name, KERNEL));
}

/* ---- a session ---- */

static void *serve(void *worker)
{
    wh_worker_serve(worker);
    return NULL;
}

/* As the worker's wh_gate_prepare has it: what is allocated first is in one piece. */
static uintptr_t heap;

static void show(uintptr_t start, uintptr_t end)
{
    test->gate.seen[test->gate.nseen++] = (struct wh_gate_range){start, end};
}

/* Where another allocator has the heap's place, all but the device's memory is shown. */
static void show_heap(void)
{
    const struct soft_driver *driver = test->gate.backend[1];
    const struct soft_device *device = &driver->devices[0];
    uintptr_t end = (uintptr_t)sbrk(0), object = (uintptr_t)test->worker.table;
    if (object >= heap && object < end) {
        show(heap, end);
        return;
    }
    show(4096, device->base);
    show(device->base + device->reserve, (uintptr_t)1 << 47);
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
                                  .pool = wh_pool_new(64u << 10)};
    wh_clock_open(&test->gate.clock);
    assert_non_null(wh_pool_take(test->gate.pool, 1));
    wh_pool_reset(test->gate.pool);
    assert_int_equal(test->backend.show(&test->worker, test->gate.backend, ranges), 3);
    test->near = ranges[2];
    for (unsigned i = 0; i < 3; i++)
        show(ranges[i].start, ranges[i].end);
    show_heap();
    show((uintptr_t)test, (uintptr_t)(test + 1));
    show((uintptr_t)test->pair.worker->segment, (uintptr_t)(test->pair.worker->segment + 1));
    uintptr_t arena = (uintptr_t)test->pair.worker->channel.arena;
    show(arena, arena + WH_GATE_ARENA);
    wh_gate_stock(&test->gate, &test->backend);
    test->gate.quiet = test->backend.quiet(&test->worker);
    test->pair.worker->sleeps_at_once = test->gate.quiet;
    test->worker.gate = &test->gate;
    wh_gate_tell_calls(&test->backend, &test->pair.worker->segment->gate);
}

int open_session(void **state)
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

int close_session(void **state)
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

void wait_for_sleep(void)
{
    struct wh_shm *worker = test->pair.worker;
    while (!atomic_load(&worker->calls.control->consumer_sleeps) ||
           atomic_load(&worker->sleepers) <= (int)atomic_load(&test->worker.others))
        sched_yield();
}

uint64_t allocate(uint64_t size)
{
    struct answer answer = ASK(WH_CUDA_cuMemAlloc_v2, 8, size);
    uint64_t address;
    assert_int_equal(status(&answer), CUDA_SUCCESS);
    memcpy(&address, answer.bytes + 16, sizeof(address));
    return address;
}

void callee_prepare(const char *softgpu)
{
    heap = wh_heap_prepare(16u << 20); /* of all tests */
    (void)setenv("WORMHOLE_CUDA_LIBRARY", softgpu, 1);
}
