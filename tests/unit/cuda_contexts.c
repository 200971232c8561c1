/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts in the worker: while the driver ends one, other threads carry out calls, and none of
 * them makes it current any more. */
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

void wh_cuda_shares_forget(const struct wh_cuda_state *state, CUdeviceptr address)
{
    (void)state;
    (void)address;
}

void wh_cuda_shares_forget_context(const struct wh_cuda_state *state, const void *gone)
{
    (void)state;
    (void)gone;
}

void wh_cuda_stages_forget(const struct wh_cuda_state *state, const void *gone)
{
    (void)state;
    (void)gone;
}

void wh_cuda_bounce_forget(const struct wh_cuda_state *state, const void *gone)
{
    (void)state;
    (void)gone;
}

/* ---- the driver ---- */

static struct wh_cuda_state cuda;
static struct wh_worker worker = {.state = &cuda};
static _Thread_local CUcontext current;
static CUcontext taken; /* by the other thread, while the driver ends the context */

#define CONTEXT ((CUcontext)(void *)&context)

static CUresult set_current(CUcontext wanted)
{
    current = wanted;
    return CUDA_SUCCESS;
}

static void *carry_out(void *unused)
{
    (void)unused;
    wh_cuda_enter(&worker, 1);
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
    wh_cuda_enter(&worker, 1);
    assert_ptr_equal(current, CONTEXT);
    assert_int_equal(wh_cuda_do_primary_release(&call, 0, CONTEXT), CUDA_SUCCESS);
    context.real = CONTEXT;
    current = NULL;
    wh_cuda_enter(&worker, 1);
    assert_ptr_equal(current, CONTEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_release, setup),
        cmocka_unit_test_setup(test_reset, setup),
        cmocka_unit_test_setup(test_destroy, setup),
        cmocka_unit_test_setup(test_same_handle, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
