/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The management library that programs load (first argument) exports every function that the
 * vendor's library of the same version does (nvml_names.txt, second argument), and answers those
 * that need an initialised library. Needs no server.
 */
#include "support.h"

#include "nvml_types.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *library;
static const char *names;

static void every_name(void **state)
{
    char name[128];
    unsigned n = 0;
    FILE *file = fopen(names, "r");
    (void)state;
    assert_non_null(file);
    while (fscanf(file, "%127s", name) == 1) {
        if (!dlsym(library, name))
            fail_msg("%s is not exported", name);
        n++;
    }
    (void)fclose(file);
    assert_true(n > 390);
}

/* Texts of errors, for every number. */
static void every_error(void **state)
{
    const char *(*text)(nvmlReturn_t) = NULL;
    (void)state;
    *(void **)&text = dlsym(library, "nvmlErrorString");
    for (nvmlReturn_t error = NVML_SUCCESS; error <= NVML_ERROR_RESET_TYPE_NOT_SUPPORTED; error++) {
        assert_non_null(text(error));
        assert_string_not_equal(text(error), "Unknown Error");
    }
    assert_string_equal(text(NVML_ERROR_UNKNOWN), "Unknown Error");
    assert_string_equal(text(-1), "Unknown Error");
    assert_string_equal(text(31), "Unknown Error");
}

/* Without a server the library says that there is no driver, as without NVIDIA's. */
static void nobody_there(void **state)
{
    nvmlReturn_t (*init)(void) = NULL, (*end)(void) = NULL;
    nvmlReturn_t (*count_devices)(unsigned *) = NULL;
    unsigned count = 0;
    (void)state;
    setenv("WORMHOLE_SERVER", "unix:/nonexistent/socket", 1);
    *(void **)&init = dlsym(library, "nvmlInit_v2");
    *(void **)&end = dlsym(library, "nvmlShutdown");
    *(void **)&count_devices = dlsym(library, "nvmlDeviceGetCount_v2");
    assert_int_equal(init(), NVML_ERROR_DRIVER_NOT_LOADED);
    assert_int_equal(count_devices(&count), NVML_ERROR_UNINITIALIZED);
    assert_int_equal(end(), NVML_ERROR_UNINITIALIZED);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name),
        cmocka_unit_test(every_error),
        cmocka_unit_test(nobody_there),
    };
    if (argc != 3 || !(library = dlopen(argv[1], RTLD_NOW))) {
        (void)fprintf(stderr, "usage: nvml_names LIBRARY NAMES\n");
        return EXIT_FAILURE;
    }
    names = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
