/* SPDX-License-Identifier: Apache-2.0 */
/* Managed variables on both sides: bytes move in a stream that waits for no other, both sides agree
 * on them when they have arrived and not before, and what did not come is told. */
#include "support.h"

#include "shim/cuda/mirror.h"
#include "shim/cuda/observe_context.h"

#include <sys/mman.h>

#define SIZE 64u

/* ---- the rest of the shim, and the device ---- */

static struct wh_cuda_context contexts[2];
static CUcontext current;
static uint8_t device[SIZE], on_way[SIZE]; /* the variable there; bytes that were sent */
static bool is_sent;
static unsigned writes, reads;
static CUresult writes_answer, waits_answer, reads_answer;

#define CONTEXT(i)  ((CUcontext)(void *)&contexts[i])
#define LANE(i)     ((CUstream)(void *)(device + (i)))
#define SOME_STREAM ((CUstream)(void *)on_way)
#define LIBRARY     ((CUlibrary)(void *)&writes)

_Atomic unsigned wh_cuda_captures;

bool wh_cuda_stream_captures(CUstream stream)
{
    return stream == SOME_STREAM;
}

CUcontext wh_cuda_current(void)
{
    return current;
}

struct wh_cuda_context *wh_cuda_context(CUcontext context)
{
    return (struct wh_cuda_context *)(void *)context;
}

struct wh_observed_visit wh_observed_enter(CUcontext context)
{
    struct wh_observed_visit visit = {.pushed = current != context};
    current = context;
    return visit;
}

void wh_observed_leave(struct wh_observed_visit visit)
{
    if (visit.pushed)
        current = CONTEXT(1);
}

CUresult cuCtxPushCurrent_v2(CUcontext context)
{
    current = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context)
{
    (void)context;
    return CUDA_SUCCESS;
}

CUresult cuLibraryGetManaged(CUdeviceptr *address, size_t *size, CUlibrary library,
                             const char *name)
{
    (void)address;
    (void)size;
    (void)library;
    (void)name;
    return CUDA_ERROR_NOT_FOUND;
}

static CUstream lane_here(void)
{
    return current == CONTEXT(0) ? LANE(0) : LANE(1);
}

CUresult wh_cuda_call_now(uint16_t number, uint64_t *a)
{
    if (number == WH_CUDA_cuStreamCreate) {
        assert_int_equal(a[1], CU_STREAM_NON_BLOCKING);
        *(CUstream *)(uintptr_t)a[0] = lane_here();
        return CUDA_SUCCESS;
    }
    assert_int_equal(number, WH_CUDA_cuStreamSynchronize);
    assert_ptr_equal(a[0], lane_here());
    if (is_sent && waits_answer == CUDA_SUCCESS)
        memcpy(device, on_way, SIZE);
    is_sent = false;
    return waits_answer;
}

CUresult wh_cuda_write(CUdeviceptr to, const void *from, size_t size, CUstream stream)
{
    assert_true(to);
    assert_int_equal(size, SIZE);
    assert_ptr_equal(stream, lane_here());
    writes++;
    if (writes_answer != CUDA_SUCCESS)
        return writes_answer;
    memcpy(on_way, from, size);
    is_sent = true;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_read(void *to, CUdeviceptr from, size_t size, CUstream stream)
{
    assert_true(from);
    assert_int_equal(size, SIZE);
    assert_ptr_equal(stream, lane_here());
    reads++;
    if (reads_answer == CUDA_SUCCESS)
        memcpy(to, device, size);
    return reads_answer;
}

/* ---- the tests ---- */

static uint8_t *variable; /* the program's */

static int setup(void **state)
{
    (void)state;
    memset(contexts, 0, sizeof(contexts));
    memset(device, 1, sizeof(device));
    current = CONTEXT(0);
    writes_answer = waits_answer = reads_answer = CUDA_SUCCESS;
    /* An address that is free. */
    variable = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(variable, MAP_FAILED);
    munmap(variable, 4096);
    assert_int_equal(wh_cuda_mirror((uintptr_t)variable, SIZE, LIBRARY, "variable"), CUDA_SUCCESS);
    assert_int_equal(variable[0], 1);
    writes = reads = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wh_cuda_mirrors_drop(LIBRARY);
    return 0;
}

/* What the program changed is there when the launch begins, whatever the launch's stream does. */
static void test_out(void **state)
{
    (void)state;
    assert_int_equal(wh_cuda_mirrors_push(NULL), CUDA_SUCCESS);
    assert_int_equal(writes, 0);
    variable[0] = 2;
    assert_int_equal(wh_cuda_mirrors_push(SOME_STREAM), CUDA_SUCCESS);
    assert_int_equal(device[0], 2);
    assert_int_equal(wh_cuda_mirrors_push(NULL), CUDA_SUCCESS);
    assert_int_equal(writes, 1);
    wh_cuda_captures = 1;
    variable[0] = 3;
    assert_int_equal(wh_cuda_mirrors_push(SOME_STREAM), CUDA_SUCCESS);
    wh_cuda_captures = 0;
    assert_int_equal(writes, 1);
}

/* It goes out again until it has arrived. */
static void test_out_fails(void **state)
{
    (void)state;
    variable[0] = 2;
    writes_answer = CUDA_ERROR_OUT_OF_MEMORY;
    assert_int_equal(wh_cuda_mirrors_push(NULL), CUDA_ERROR_OUT_OF_MEMORY);
    writes_answer = CUDA_SUCCESS;
    waits_answer = CUDA_ERROR_ILLEGAL_ADDRESS;
    assert_int_equal(wh_cuda_mirrors_push(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
    waits_answer = CUDA_SUCCESS;
    assert_int_equal(device[0], 1);
    assert_int_equal(wh_cuda_mirrors_push(NULL), CUDA_SUCCESS);
    assert_int_equal(device[0], 2);
}

static void test_in(void **state)
{
    (void)state;
    device[0] = 5;
    assert_int_equal(wh_cuda_mirrors_pull(), CUDA_SUCCESS);
    assert_int_equal(variable[0], 5);
    /* What the program changed is newer. */
    variable[0] = 6;
    device[0] = 7;
    assert_int_equal(wh_cuda_mirrors_pull(), CUDA_SUCCESS);
    assert_int_equal(variable[0], 6);
}

static void test_in_fails(void **state)
{
    (void)state;
    device[0] = 5;
    reads_answer = CUDA_ERROR_LAUNCH_FAILED;
    assert_int_equal(wh_cuda_mirrors_pull(), CUDA_ERROR_LAUNCH_FAILED);
    assert_int_equal(variable[0], 1);
    reads_answer = CUDA_SUCCESS;
    assert_int_equal(wh_cuda_mirrors_pull(), CUDA_SUCCESS);
    assert_int_equal(variable[0], 5);
}

/* It moves in its own context, whose faults are nobody else's. */
static void test_from_another_context(void **state)
{
    (void)state;
    current = CONTEXT(1);
    variable[0] = 2;
    assert_int_equal(wh_cuda_mirrors_push(NULL), CUDA_SUCCESS);
    assert_int_equal(device[0], 2);
    device[0] = 3;
    reads_answer = writes_answer = CUDA_ERROR_ILLEGAL_ADDRESS;
    assert_int_equal(wh_cuda_mirrors_pull(), CUDA_SUCCESS);
    assert_int_equal(variable[0], 2);
    variable[0] = 4;
    assert_int_equal(wh_cuda_mirrors_push(NULL), CUDA_SUCCESS);
    reads_answer = writes_answer = CUDA_SUCCESS;
    current = CONTEXT(0);
    assert_int_equal(wh_cuda_mirrors_push(NULL), CUDA_SUCCESS);
    assert_int_equal(device[0], 4);
}

/* The stream goes with its context; so does the variable, until that is there again. */
static void test_end(void **state)
{
    (void)state;
    assert_ptr_equal(contexts[0].lane, LANE(0));
    wh_cuda_mirrors_end(CONTEXT(0), true);
    assert_null(contexts[0].lane);
    variable[0] = 9;
    assert_int_equal(wh_cuda_mirrors_push(NULL), CUDA_SUCCESS);
    assert_int_equal(wh_cuda_mirrors_pull(), CUDA_SUCCESS);
    assert_int_equal(writes + reads, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_from_another_context, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
