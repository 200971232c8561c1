/* SPDX-License-Identifier: Apache-2.0 */
/* Names and descriptions of the CUDA driver API's errors. */
#include "support.h"

#include "cuda_types.h"

#include <string.h>

static void test_known(void **state)
{
    static const struct {
        CUresult code;
        const char *name, *description;
    } known[] = {
        {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
        {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
        {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
        {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
        {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
        {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
         "an illegal memory access was encountered"},
        {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
        {CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
    };
    const char *text;
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_int_equal(cuGetErrorName(known[i].code, &text), CUDA_SUCCESS);
        assert_string_equal(text, known[i].name);
        assert_int_equal(cuGetErrorString(known[i].code, &text), CUDA_SUCCESS);
        assert_string_equal(text, known[i].description);
    }
}

/* The look-up halves its range: every row must be found, and both functions know the same rows. */
static void test_every_code(void **state)
{
    size_t n = 0;
    (void)state;
    for (CUresult code = -10; code < 1100; code++) {
        const char *name = "x", *description = "x";
        CUresult result = cuGetErrorName(code, &name);
        assert_int_equal(cuGetErrorString(code, &description), result);
        if (result != CUDA_SUCCESS) {
            assert_int_equal(result, CUDA_ERROR_INVALID_VALUE);
            assert_null(name);
            assert_null(description);
            continue;
        }
        assert_int_equal(strncmp(name, "CUDA_", 5), 0);
        assert_true(strlen(description) > 5);
        n++;
    }
    assert_int_equal(n, 101); /* CUDA 13.0 */
    assert_int_equal(cuGetErrorName(CUDA_SUCCESS, NULL), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuGetErrorString(CUDA_SUCCESS, NULL), CUDA_ERROR_INVALID_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_every_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
