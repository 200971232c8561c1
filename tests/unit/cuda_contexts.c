/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts in the worker: while the driver ends one, other threads carry out calls, and none of
 * them makes it current any more, nor looks at an event of it. And the words that are kept for the
 * driver, which get there in their own context before anything else is done. */
#include "support.h"

#include "backend/cuda/backend.h"

/* ---- the parts of the worker that context.c needs ---- */

static struct wh_entry context = {.id = 7, .type = WH_CUDA_TYPE_CUcontext};

struct wh_entry *wh_table_find(struct wh_table *table, uint32_t id, uint16_t type)
{
    (void)table;
    return id == context.id && type == context.type ? &context : NULL;
}

void *wh_call_fault(struct wh_call *call, const char *fault)
{
    call->fault = fault;
    return NULL;
}

static int32_t deferred;

void wh_call_defer(struct wh_call *call, int32_t error)
{
    (void)call;
    deferred = error;
}

void wh_cuda_shares_forget(const struct wh_cuda_state *state, CUdeviceptr address)
{
    (void)state;
    (void)address;
}

static bool vacated;

void wh_call_vacate(struct wh_call *call)
{
    (void)call;
    vacated = true;
}

void wh_cuda_bounce_forget(const struct wh_cuda_state *state, const void *gone)
{
    (void)state;
    (void)gone;
}

/* ---- the driver ---- */

static struct wh_cuda_state cuda;
static const struct wh_backend backend = {.functions = &cuda.f};
static struct wh_worker worker = {.backend = &backend, .state = &cuda};
static _Thread_local CUcontext current;
static CUcontext taken; /* by the other thread, while the driver ends the context */

#define CONTEXT ((CUcontext)(void *)&context)

static CUresult set_current(CUcontext wanted)
{
    current = wanted;
    return CUDA_SUCCESS;
}

static const struct wh_call_desc some_call = {.number = WH_CUDA_cuMemAlloc_v2};
static const struct wh_call_desc a_write = {.number = WH_CUDA_wh_write};

static void enter(void)
{
    struct wh_call call = {.worker = &worker, .desc = &some_call, .thread = 1};
    wh_cuda_enter(&call);
}

static void *carry_out(void *unused)
{
    (void)unused;
    enter();
    taken = current;
    return NULL;
}

/* The driver is at it, and another thread leads. */
static CUresult end_slowly(void)
{
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, carry_out, NULL), 0);
    pthread_join(other, NULL);
    return CUDA_SUCCESS;
}

static CUresult end_device(CUdevice device)
{
    (void)device;
    return end_slowly();
}

static CUresult end_context(CUcontext ended)
{
    assert_ptr_equal(ended, CONTEXT);
    return end_slowly();
}

/* ---- the tests ---- */

static int setup(void **state)
{
    struct wh_call call = {.worker = &worker, .thread = 1, .entries = {&context}};
    (void)state;
    cuda.f.cuCtxSetCurrent = set_current;
    cuda.f.cuDevicePrimaryCtxRelease_v2 = end_device;
    cuda.f.cuDevicePrimaryCtxReset_v2 = end_device;
    cuda.f.cuCtxDestroy_v2 = end_context;
    cuda.ranges = wh_cuda_ranges_new();
    cuda.contexts = wh_cuda_contexts_new();
    cuda.stages = wh_cuda_stages_new();
    context.real = CONTEXT;
    taken = CONTEXT;
    assert_int_equal(wh_cuda_do_set_current(&call, CONTEXT), CUDA_SUCCESS);
    return 0;
}

static void test_release(void **state)
{
    struct wh_call call = {.worker = &worker, .entries = {NULL, &context}};
    (void)state;
    assert_int_equal(wh_cuda_do_primary_release(&call, 0, CONTEXT), CUDA_SUCCESS);
    assert_null(taken);
    assert_null(context.real);
}

static void test_reset(void **state)
{
    struct wh_call call = {.worker = &worker, .entries = {NULL, &context}};
    (void)state;
    assert_int_equal(wh_cuda_do_primary_reset(&call, 0, CONTEXT), CUDA_SUCCESS);
    assert_null(taken);
    assert_null(context.real);
}

static void test_destroy(void **state)
{
    struct wh_call call = {.worker = &worker, .entries = {&context}};
    (void)state;
    assert_int_equal(wh_cuda_do_context_destroy(&call, CONTEXT), CUDA_SUCCESS);
    assert_null(taken);
    assert_null(context.real);
}

/* A thread that knew the context tells the driver again, though it has the same handle as before.
 */
static void test_same_handle(void **state)
{
    struct wh_call call = {.worker = &worker, .entries = {NULL, &context}};
    (void)state;
    enter();
    assert_ptr_equal(current, CONTEXT);
    assert_int_equal(wh_cuda_do_primary_release(&call, 0, CONTEXT), CUDA_SUCCESS);
    context.real = CONTEXT;
    current = NULL;
    enter();
    assert_ptr_equal(current, CONTEXT);
}

/* ---- words ---- */

static bool is_more;
static CUcontext given_in; /* the context that was current */
static unsigned given, copied;
static uint64_t last_given;
static CUresult batch_answers, copy_answers;

static bool more(struct wh_channel *channel)
{
    (void)channel;
    return is_more;
}

static CUresult take_batch(CUstream stream, unsigned count, CUstreamBatchMemOpParams *words,
                           unsigned flags)
{
    (void)stream;
    (void)flags;
    if (batch_answers != CUDA_SUCCESS)
        return batch_answers;
    given += count;
    given_in = current;
    last_given = words[count - 1].writeValue.value64;
    return CUDA_SUCCESS;
}

static CUresult copy_word(CUdeviceptr to, const void *bytes, size_t size, CUstream stream)
{
    (void)to;
    (void)bytes;
    (void)size;
    (void)stream;
    copied++;
    return copy_answers;
}

static int words_setup(void **state)
{
    static const struct wh_channel_ops ops = {.more = more};
    static struct wh_channel channel = {.ops = &ops};
    setup(state);
    worker.channel = &channel;
    cuda.f.cuStreamBatchMemOp_v2 = take_batch;
    cuda.f.cuMemcpyHtoDAsync_v2 = copy_word;
    is_more = true;
    given = copied = 0;
    given_in = NULL;
    deferred = 0;
    batch_answers = copy_answers = CUDA_SUCCESS;
    return 0;
}

static CUresult write_word(uint32_t value, uint32_t slot, CUstream stream)
{
    struct wh_call call = {.worker = &worker, .desc = &a_write, .thread = 1, .slot = slot};
    wh_cuda_enter(&call);
    return wh_cuda_words_keep(&call, 4096, sizeof(value), &value, stream);
}

static void test_words_are_kept(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 10; i++)
        assert_int_equal(write_word(i, WH_NO_SLOT, NULL), CUDA_SUCCESS);
    assert_int_equal(given, 0);
    is_more = false;
    assert_int_equal(write_word(11, WH_NO_SLOT, NULL), CUDA_SUCCESS);
    assert_int_equal(given, 11);
    assert_int_equal(last_given, 11);
    is_more = true;
    for (uint32_t i = 0; i <= WH_CUDA_WORDS_MOST; i++)
        assert_int_equal(write_word(i, WH_NO_SLOT, NULL), CUDA_SUCCESS);
    assert_int_equal(given, 11 + WH_CUDA_WORDS_MOST);
    assert_int_equal(write_word(5, 3, NULL), CUDA_SUCCESS); /* with a reply */
    assert_int_equal(given, 13 + WH_CUDA_WORDS_MOST);
}

static void test_words_of_another_stream(void **state)
{
    (void)state;
    write_word(1, WH_NO_SLOT, NULL);
    write_word(2, WH_NO_SLOT, CU_STREAM_PER_THREAD);
    assert_int_equal(given, 1);
    enter();
    assert_int_equal(given, 2);
}

/* Whatever comes next finds them done, also for a thread that has no context. */
static void test_words_before_all_else(void **state)
{
    struct wh_call call = {.worker = &worker, .desc = &some_call, .thread = 2};
    (void)state;
    write_word(7, WH_NO_SLOT, NULL);
    cuda.contexts->current[2] = 0;
    wh_cuda_enter(&call);
    assert_int_equal(given, 1);
    assert_ptr_equal(given_in, CONTEXT);
    assert_null(current);
}

/* The last of them is not the session's memory any more, and is not made. */
static void test_words_before_what_is_not_made(void **state)
{
    struct wh_call call = {.worker = &worker, .desc = &a_write, .thread = 1, .beyond = true};
    (void)state;
    write_word(7, WH_NO_SLOT, NULL);
    wh_cuda_enter(&call);
    assert_int_equal(given, 1);
    assert_ptr_equal(given_in, CONTEXT);
}

static void test_words_that_are_refused(void **state)
{
    (void)state;
    batch_answers = CUDA_ERROR_INVALID_VALUE;
    write_word(1, WH_NO_SLOT, NULL);
    write_word(2, WH_NO_SLOT, NULL);
    enter();
    assert_int_equal(copied, 2);
    assert_int_equal(deferred, 0);
    copy_answers = CUDA_ERROR_ILLEGAL_ADDRESS;
    write_word(3, WH_NO_SLOT, NULL);
    enter();
    assert_int_equal(copied, 3);
    assert_int_equal(deferred, CUDA_ERROR_ILLEGAL_ADDRESS);
}

/* ---- places of big copies ---- */

#define PLACE  3u
#define STREAM ((CUstream)(void *)&cuda)
#define EVENT  ((CUevent)(void *)&worker)

static _Alignas(4096) _Atomic uint32_t words[2 * 4096 / 4];
static bool is_busy;    /* what is on the stream */
static bool is_alive;   /* the event, and its context */
static bool is_strange; /* the stream, to the context */
static pthread_t waiter;

static CUresult register_memory(void *memory, size_t size, unsigned flags)
{
    (void)memory;
    (void)size;
    (void)flags;
    return CUDA_SUCCESS;
}

static CUresult copy_to_place(void *to, CUdeviceptr from, size_t size, CUstream stream)
{
    (void)to;
    (void)from;
    (void)size;
    (void)stream;
    is_busy = true;
    return CUDA_SUCCESS;
}

static CUresult exchange_mode(CUstreamCaptureMode *mode)
{
    (void)mode;
    return CUDA_SUCCESS;
}

static CUresult create_event(CUevent *event, unsigned flags)
{
    (void)flags;
    *event = EVENT;
    return CUDA_SUCCESS;
}

static CUresult record_event(CUevent event, CUstream stream)
{
    (void)event;
    (void)stream;
    return is_strange ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

static CUresult query_event(CUevent event)
{
    assert_ptr_equal(event, EVENT);
    assert_true(is_alive);
    return is_busy && !is_strange ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

static void look_at_places(void)
{
    struct wh_call call = {.worker = &worker, .desc = &some_call};
    assert_int_equal(wh_cuda_do_stage_look(&call), CUDA_SUCCESS);
}

static void *wait_for_place(void *unused)
{
    struct wh_call call = {.worker = &worker, .desc = &some_call};
    (void)unused;
    assert_int_equal(wh_cuda_do_stage_wait(&call, PLACE), CUDA_SUCCESS);
    assert_int_equal(words[PLACE], 9);
    return NULL;
}

/* Another thread looks, and one waits, when the driver's events are gone and the device is not yet
 * done. */
static CUresult end_busy_context(CUcontext ended)
{
    (void)ended;
    is_alive = false;
    look_at_places();
    assert_int_equal(pthread_create(&waiter, NULL, wait_for_place, NULL), 0);
    assert_int_equal(words[PLACE], 0);
    is_busy = false;
    return CUDA_SUCCESS;
}

static CUresult synchronize_stream(CUstream stream)
{
    assert_ptr_equal(stream, STREAM);
    look_at_places();
    assert_int_equal(words[PLACE], 0);
    is_busy = false;
    return CUDA_SUCCESS;
}

static int places_setup(void **state)
{
    struct wh_call call = {.worker = &worker, .desc = &some_call, .thread = 1};
    setup(state);
    cuda.f.cuMemHostRegister_v2 = register_memory;
    cuda.f.cuMemcpyDtoHAsync_v2 = copy_to_place;
    cuda.f.cuThreadExchangeStreamCaptureMode = exchange_mode;
    cuda.f.cuEventCreate = create_event;
    cuda.f.cuEventRecord = record_event;
    cuda.f.cuEventQuery = query_event;
    cuda.f.cuStreamSynchronize = synchronize_stream;
    cuda.f.cuCtxDestroy_v2 = end_busy_context;
    is_busy = is_strange = vacated = false;
    is_alive = true;
    words[PLACE] = 0;
    wh_cuda_enter(&call);
    return wh_cuda_do_stage_open(&call, sizeof(words), words) == CUDA_SUCCESS ? 0 : -1;
}

static void read_to_place(void)
{
    struct wh_call call = {.worker = &worker, .desc = &some_call, .thread = 1};
    assert_int_equal(
        wh_cuda_do_stage_from_device(&call, 4096, words + 1024, 4096, STREAM, PLACE, 9),
        CUDA_SUCCESS);
}

static void test_places_of_a_context_that_ends(void **state)
{
    struct wh_call call = {.worker = &worker, .entries = {&context}};
    (void)state;
    read_to_place();
    assert_int_equal(words[PLACE], 0);
    assert_int_equal(wh_cuda_do_context_destroy(&call, CONTEXT), CUDA_SUCCESS);
    assert_int_equal(words[PLACE], 9);
    pthread_join(waiter, NULL);
    look_at_places();
}

/* The event of an earlier use says nothing of a piece on another context's stream. */
static void test_places_that_are_waited_for(void **state)
{
    (void)state;
    read_to_place();
    is_busy = false;
    look_at_places();
    assert_int_equal(words[PLACE], 9);
    words[PLACE] = 0;
    is_strange = true;
    read_to_place();
    assert_true(vacated);
    assert_int_equal(words[PLACE], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_release, setup),
        cmocka_unit_test_setup(test_reset, setup),
        cmocka_unit_test_setup(test_destroy, setup),
        cmocka_unit_test_setup(test_same_handle, setup),
        cmocka_unit_test_setup(test_words_are_kept, words_setup),
        cmocka_unit_test_setup(test_words_of_another_stream, words_setup),
        cmocka_unit_test_setup(test_words_before_all_else, words_setup),
        cmocka_unit_test_setup(test_words_before_what_is_not_made, words_setup),
        cmocka_unit_test_setup(test_words_that_are_refused, words_setup),
        cmocka_unit_test_setup(test_places_of_a_context_that_ends, places_setup),
        cmocka_unit_test_setup(test_places_that_are_waited_for, places_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
