/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software device's driver: order within and between streams, events, callbacks, memory
 * operations. Nothing here depends on how long anything takes: a gate holds a stream up.
 */
#include "driver.h"

#include <pthread.h>
#include <stdatomic.h>

/* A list of what happened, in order. */
struct trace {
    pthread_mutex_t lock;
    int count, items[64];
};

struct note {
    struct trace *trace;
    int item;
};

static void add(void *data)
{
    struct note *note = data;
    pthread_mutex_lock(&note->trace->lock);
    note->trace->items[note->trace->count++] = note->item;
    pthread_mutex_unlock(&note->trace->lock);
}

static uint32_t read_word(CUdeviceptr pointer)
{
    uint32_t value = 0;
    ok(cuMemcpyDtoH_v2(&value, pointer, 4));
    return value;
}

/* A stream's commands run in the order of submission, whatever their kind. */
static void test_order(void **state)
{
    (void)state;
    CUstream stream;
    CUmodule module;
    CUdeviceptr word;
    struct driver_gate gate;
    CUfunction twice = driver_function(&module, "twice");
    ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    ok(cuMemAlloc_v2(&word, 4));
    driver_gate_close(&gate, stream);
    ok(cuMemsetD32Async(word, 0, 1, stream));
    uint32_t expected = 0;
    for (uint32_t i = 1; i <= 20; i++) {
        expected = 2 * expected + i;
        ok(driver_launch(twice, 1, 1, stream, (void *[]){&word, &i}));
        if (i % 5 == 0) {
            expected = i;
            ok(cuStreamWriteValue32_v2(stream, word, i, 0));
        }
    }
    fails(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
    driver_gate_open(&gate);
    ok(cuStreamSynchronize(stream));
    ok(cuStreamQuery(stream));
    assert_int_equal(read_word(word), expected);
    driver_gate_free(&gate);
    ok(cuMemFree_v2(word));
    ok(cuStreamDestroy_v2(stream));
    ok(cuModuleUnload(module));
}

/* The NULL stream waits for blocking streams and they for it; others go their own way. */
static void test_legacy(void **state)
{
    (void)state;
    CUstream blocking, other, free_stream;
    struct driver_gate gate;
    struct trace trace = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct note notes[4];
    for (int i = 0; i < 4; i++)
        notes[i] = (struct note){&trace, i};
    ok(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    ok(cuStreamCreate(&other, CU_STREAM_DEFAULT));
    ok(cuStreamCreate(&free_stream, CU_STREAM_NON_BLOCKING));
    driver_gate_close(&gate, blocking);
    ok(cuLaunchHostFunc(blocking, add, &notes[0]));
    ok(cuLaunchHostFunc(NULL, add, &notes[1]));
    ok(cuLaunchHostFunc(other, add, &notes[2]));
    ok(cuLaunchHostFunc(free_stream, add, &notes[3]));
    ok(cuStreamSynchronize(free_stream));
    assert_int_equal(trace.count, 1); /* only the one that does not care */
    assert_int_equal(trace.items[0], 3);
    fails(cuStreamQuery(other), CUDA_ERROR_NOT_READY);
    fails(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
    driver_gate_open(&gate);
    ok(cuStreamSynchronize(other));
    assert_int_equal(trace.count, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(trace.items[i + 1], i);
    driver_gate_free(&gate);
    ok(cuStreamDestroy_v2(blocking));
    ok(cuStreamDestroy_v2(other));
    ok(cuStreamDestroy_v2(free_stream));
}

/* Two blocking streams do not wait for each other. */
static void test_independent(void **state)
{
    (void)state;
    CUstream a, b;
    struct driver_gate gate;
    struct trace trace = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct note note = {&trace, 1};
    ok(cuStreamCreate(&a, CU_STREAM_DEFAULT));
    ok(cuStreamCreate(&b, CU_STREAM_DEFAULT));
    driver_gate_close(&gate, a);
    ok(cuLaunchHostFunc(b, add, &note));
    ok(cuStreamSynchronize(b));
    assert_int_equal(trace.count, 1);
    fails(cuStreamQuery(a), CUDA_ERROR_NOT_READY);
    driver_gate_open(&gate);
    ok(cuCtxSynchronize());
    ok(cuStreamQuery(a));
    driver_gate_free(&gate);
    ok(cuStreamDestroy_v2(a));
    ok(cuStreamDestroy_v2(b));
}

static void test_events(void **state)
{
    (void)state;
    CUstream a, b;
    CUevent start, end, untimed;
    struct driver_gate gate;
    struct trace trace = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct note first = {&trace, 1}, second = {&trace, 2};
    float time = -1;
    ok(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    ok(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    fails(cuEventCreate(&start, 0x80), CUDA_ERROR_INVALID_VALUE);
    ok(cuEventCreate(&start, CU_EVENT_DEFAULT));
    ok(cuEventCreate(&end, CU_EVENT_BLOCKING_SYNC));
    ok(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    ok(cuEventQuery(start)); /* never recorded: nothing to wait for */
    fails(cuEventElapsedTime_v2(&time, start, end), CUDA_ERROR_INVALID_HANDLE);
    ok(cuEventRecord(start, a));
    driver_gate_close(&gate, a);
    ok(cuLaunchHostFunc(a, add, &first));
    ok(cuEventRecord(end, a));
    ok(cuStreamWaitEvent(b, end, 0));
    ok(cuLaunchHostFunc(b, add, &second));
    fails(cuEventQuery(end), CUDA_ERROR_NOT_READY);
    fails(cuEventElapsedTime_v2(&time, start, end), CUDA_ERROR_NOT_READY);
    fails(cuStreamQuery(b), CUDA_ERROR_NOT_READY);
    driver_gate_open(&gate);
    ok(cuEventSynchronize(end));
    assert_int_equal(trace.items[0], 1);
    ok(cuStreamSynchronize(b));
    assert_int_equal(trace.count, 2);
    assert_int_equal(trace.items[1], 2);
    ok(cuEventElapsedTime_v2(&time, start, end));
    assert_true(time >= 0);
    ok(cuEventRecord(untimed, a));
    ok(cuEventSynchronize(untimed));
    fails(cuEventElapsedTime_v2(&time, start, untimed), CUDA_ERROR_INVALID_HANDLE);
    driver_gate_free(&gate);
    ok(cuEventDestroy_v2(start));
    ok(cuEventDestroy_v2(end));
    ok(cuEventDestroy_v2(untimed));
    ok(cuStreamDestroy_v2(a));
    ok(cuStreamDestroy_v2(b));
}

/* A wait is for the record as it was when the wait was made. */
static void test_record_again(void **state)
{
    (void)state;
    CUstream a, b, c;
    CUevent event;
    struct driver_gate gate;
    ok(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    ok(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    ok(cuStreamCreate(&c, CU_STREAM_NON_BLOCKING));
    ok(cuEventCreate(&event, 0));
    ok(cuEventRecord(event, a));
    ok(cuStreamWaitEvent(b, event, 0));
    driver_gate_close(&gate, a);
    ok(cuEventRecord(event, a));
    ok(cuStreamWaitEvent(c, event, 0));
    ok(cuStreamSynchronize(b));
    fails(cuStreamQuery(c), CUDA_ERROR_NOT_READY);
    ok(cuEventDestroy_v2(event)); /* the wait stays */
    fails(cuStreamQuery(c), CUDA_ERROR_NOT_READY);
    ok(cuStreamDestroy_v2(a)); /* and its stream's work */
    fails(cuStreamQuery(c), CUDA_ERROR_NOT_READY);
    driver_gate_open(&gate);
    ok(cuStreamSynchronize(c));
    driver_gate_free(&gate);
    ok(cuStreamDestroy_v2(b));
    ok(cuStreamDestroy_v2(c));
}

struct answer {
    CUstream stream;
    CUresult result, inner;
    int calls;
};

static void callback(CUstream stream, CUresult result, void *data)
{
    struct answer *answer = data;
    CUdeviceptr pointer;
    answer->stream = stream;
    answer->result = result;
    answer->inner = cuMemAlloc_v2(&pointer, 16);
    answer->calls++;
}

static void test_callback(void **state)
{
    (void)state;
    CUstream stream;
    struct answer answer = {.result = CUDA_ERROR_UNKNOWN};
    ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    fails(cuStreamAddCallback(stream, callback, &answer, 1), CUDA_ERROR_INVALID_VALUE);
    ok(cuStreamAddCallback(stream, callback, &answer, 0));
    ok(cuStreamSynchronize(stream));
    assert_int_equal(answer.calls, 1);
    assert_ptr_equal(answer.stream, stream);
    assert_int_equal(answer.result, CUDA_SUCCESS);
    assert_int_equal(answer.inner, CUDA_ERROR_NOT_PERMITTED);
    ok(cuStreamDestroy_v2(stream));
}

static void test_memops(void **state)
{
    (void)state;
    CUstream a, b;
    CUdeviceptr words;
    uint64_t out[2];
    ok(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    ok(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    ok(cuMemAlloc_v2(&words, 16));
    ok(cuMemsetD8_v2(words, 0, 16));
    ok(cuStreamWaitValue64_v2(a, words, 5, CU_STREAM_WAIT_VALUE_GEQ));
    ok(cuStreamWriteValue64_v2(a, words + 8, 77, 0));
    fails(cuStreamQuery(a), CUDA_ERROR_NOT_READY);
    CUstreamBatchMemOpParams batch[2] = {0};
    batch[0].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    batch[0].writeValue.address = words + 4;
    batch[0].writeValue.value = 0;
    batch[1].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_64;
    batch[1].writeValue.address = words;
    batch[1].writeValue.value64 = 6;
    ok(cuStreamBatchMemOp_v2(b, 2, batch, 0));
    ok(cuStreamSynchronize(a));
    ok(cuMemcpyDtoH_v2(out, words, sizeof(out)));
    assert_int_equal(out[0], 6);
    assert_int_equal(out[1], 77);
    fails(cuStreamWriteValue32_v2(a, words + 2, 1, 0), CUDA_ERROR_INVALID_VALUE);
    fails(cuStreamWriteValue32_v2(a, 64, 1, 0), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemFree_v2(words));
    ok(cuStreamDestroy_v2(a));
    ok(cuStreamDestroy_v2(b));
}

static void test_questions(void **state)
{
    CUstream stream;
    CUcontext context;
    CUdevice device;
    CUstreamCaptureStatus capturing;
    unsigned flags;
    int priority;
    unsigned long long id, own;
    fails(cuStreamCreate(&stream, 0x10), CUDA_ERROR_INVALID_VALUE);
    ok(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, -1000));
    ok(cuStreamGetPriority(stream, &priority));
    assert_true(priority < 0 && priority > -1000);
    ok(cuStreamGetFlags(stream, &flags));
    assert_int_equal(flags, CU_STREAM_NON_BLOCKING);
    ok(cuStreamGetCtx(stream, &context));
    assert_ptr_equal(context, *state);
    ok(cuStreamGetDevice(stream, &device));
    assert_int_equal(device, 0);
    ok(cuStreamGetId(stream, &id));
    ok(cuStreamGetId(NULL, &own));
    assert_true(id != own);
    ok(cuStreamIsCapturing(stream, &capturing));
    assert_int_equal(capturing, CU_STREAM_CAPTURE_STATUS_NONE);
    ok(cuStreamDestroy_v2(stream));
    fails(cuStreamDestroy_v2(stream), CUDA_ERROR_INVALID_HANDLE);
    ok(cuStreamSynchronize(CU_STREAM_LEGACY));
    ok(cuStreamSynchronize(CU_STREAM_PER_THREAD));
}

/* Kernels of independent streams run side by side, and host memory is one for all. */
static void test_concurrent_kernels(void **state)
{
    (void)state;
    CUstream first, second;
    CUmodule module;
    void *word;
    CUfunction spin = driver_function(&module, "spin"), increment;
    ok(cuModuleGetFunction(&increment, module, "increment"));
    ok(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
    ok(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    ok(cuMemHostAlloc(&word, 4, CU_MEMHOSTALLOC_DEVICEMAP));
    memset(word, 0, 4);
    ok(driver_launch(spin, 1, 32, first, (void *[]){&word}));
    fails(cuStreamQuery(first), CUDA_ERROR_NOT_READY);
    ok(driver_launch(increment, 1, 1, second, (void *[]){&word}));
    ok(cuCtxSynchronize());
    memset(word, 0, 4);
    ok(driver_launch(spin, 1, 32, first, (void *[]){&word}));
    fails(cuStreamQuery(first), CUDA_ERROR_NOT_READY);
    __atomic_store_n((uint32_t *)word, 1, __ATOMIC_RELEASE); /* by the host */
    ok(cuStreamSynchronize(first));
    ok(cuMemFreeHost(word));
    ok(cuStreamDestroy_v2(first));
    ok(cuStreamDestroy_v2(second));
}

/* Work in a destroyed context is done before the destruction returns. */
static void test_destroy_with_work(void **state)
{
    (void)state;
    CUcontext context;
    CUstream stream;
    struct trace trace = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct note notes[8];
    ok(cuCtxCreate_v2(&context, 0, 0));
    ok(cuStreamCreate(&stream, 0));
    for (int i = 0; i < 8; i++) {
        notes[i] = (struct note){&trace, i};
        ok(cuLaunchHostFunc(i % 2 ? stream : NULL, add, &notes[i]));
    }
    ok(cuCtxDestroy_v2(context));
    assert_int_equal(trace.count, 8);
}

/* Many threads with many streams: a race detector's work. */
struct worker {
    CUcontext context;
    CUfunction increment;
    CUdeviceptr word;
    atomic_int failures;
};

static void *work(void *data)
{
    struct worker *worker = data;
    CUresult result = cuCtxSetCurrent(worker->context);
    for (int i = 0; i < 50 && result == CUDA_SUCCESS; i++) {
        CUstream stream;
        CUevent event;
        CUdeviceptr scratch;
        result = cuStreamCreate(&stream, i % 2 ? CU_STREAM_NON_BLOCKING : 0);
        if (result == CUDA_SUCCESS)
            result = cuEventCreate(&event, 0);
        if (result == CUDA_SUCCESS)
            result = cuMemAllocAsync(&scratch, 1000, stream);
        if (result == CUDA_SUCCESS)
            result = driver_launch(worker->increment, 1, 4, stream, (void *[]){&worker->word});
        if (result == CUDA_SUCCESS)
            result = cuMemsetD8Async(scratch, 1, 1000, stream);
        if (result == CUDA_SUCCESS)
            result = cuEventRecord(event, stream);
        if (result == CUDA_SUCCESS)
            result = cuStreamWaitEvent(NULL, event, 0);
        if (result == CUDA_SUCCESS)
            result = cuMemFreeAsync(scratch, stream);
        if (result == CUDA_SUCCESS && i % 3 == 0)
            result = cuEventSynchronize(event);
        if (result == CUDA_SUCCESS)
            result = cuEventDestroy_v2(event);
        if (result == CUDA_SUCCESS)
            result = cuStreamDestroy_v2(stream);
    }
    if (result != CUDA_SUCCESS)
        atomic_fetch_add(&worker->failures, 1);
    return NULL;
}

static void test_threads(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    CUmodule module;
    struct worker worker = {.context = *state};
    worker.increment = driver_function(&module, "increment");
    ok(cuMemAlloc_v2(&worker.word, 4));
    ok(cuMemsetD32_v2(worker.word, 0, 1));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &worker), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(worker.failures, 0);
    ok(cuCtxSynchronize());
    assert_int_equal(read_word(worker.word), THREADS * 50 * 4);
    ok(cuMemFree_v2(worker.word));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_order),
        driver_test(test_legacy),
        driver_test(test_independent),
        driver_test(test_events),
        driver_test(test_record_again),
        driver_test(test_callback),
        driver_test(test_memops),
        driver_test(test_questions),
        driver_test(test_destroy_with_work),
        driver_test(test_concurrent_kernels),
        driver_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
