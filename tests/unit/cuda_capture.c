/* SPDX-License-Identifier: Apache-2.0 */
/* Captures as the client keeps them: finding out what a stream's handle stands for may take a round
 * trip, during which other threads go on. */
#include "support.h"

#include "shim/cuda/shim.h"

/* ---- the part of the shim that capture.c needs ---- */

static struct wh_object streams[2];
static struct wh_cuda_thread thread;
static void (*on_round_trip)(void);

#define STREAM(i) ((CUstream)(void *)&streams[i])

struct wh_session *wh_cuda_session(void)
{
    return (struct wh_session *)(void *)&thread;
}

struct wh_cuda_thread *wh_cuda_thread(void)
{
    return &thread;
}

CUresult wh_cuda_ready(void)
{
    return CUDA_SUCCESS;
}

CUresult wh_cuda_check_stream(CUstream stream)
{
    (void)stream;
    return CUDA_SUCCESS;
}

static uint64_t special(struct wh_session *session, uint16_t type, uint64_t handle)
{
    (void)session;
    assert_int_equal(type, WH_CUDA_TYPE_CUstream);
    assert_int_equal(handle, (uintptr_t)CU_STREAM_PER_THREAD);
    if (on_round_trip)
        on_round_trip();
    return (uintptr_t)STREAM(1);
}

const struct wh_shim wh_cuda_shim = {.api = &wh_cuda_api, .special = special};

uint64_t wh_cuda_invoke(uint16_t number, uint64_t *a)
{
    (void)number;
    (void)a;
    return CUDA_SUCCESS;
}

/* ---- the test ---- */

static void *forget(void *stream)
{
    wh_cuda_capture_forget(stream);
    return NULL;
}

/* Another thread's stream goes meanwhile. */
static void forget_elsewhere(void)
{
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, forget, STREAM(0)), 0);
    pthread_join(other, NULL);
}

static void test_no_lock_over_a_round_trip(void **state)
{
    const struct wh_call_desc *call = &wh_cuda_api.calls[WH_CUDA_cuMemsetD8Async];
    uint64_t a[WH_MAX_PARAMS] = {0};
    unsigned stream = 0;
    (void)state;
    while (call->params[stream].kind != WH_HANDLE)
        stream++;
    assert_int_equal(cuStreamBeginCapture_v2(STREAM(0), CU_STREAM_CAPTURE_MODE_RELAXED), 0);
    a[stream] = (uintptr_t)STREAM(0);
    assert_true(wh_cuda_capture_may_post(call, a));
    a[stream] = (uintptr_t)CU_STREAM_PER_THREAD;
    on_round_trip = forget_elsewhere;
    assert_false(wh_cuda_capture_may_post(call, a));
    on_round_trip = NULL;
    assert_false(wh_cuda_capturing());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_lock_over_a_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
