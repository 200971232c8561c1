/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuGetProcAddress of the library that programs load (first argument), against what NVIDIA's driver
 * answers (cuda_names.txt, second argument) and by the rules of the manual. Needs no server.
 */
#include "support.h"

#include "cuda_types.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEWEST 13000

static void *library;
static const char *names;
static CUresult (*by_version_1)(const char *, void **, int, cuuint64_t);
static CUresult (*by_version_2)(const char *, void **, int, cuuint64_t,
                                CUdriverProcAddressQueryResult *);

#define LEGACY     ((cuuint64_t)CU_GET_PROC_ADDRESS_LEGACY_STREAM)
#define PER_THREAD ((cuuint64_t)CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)

/* Both functions give `expected` (an exported name), or none with this status. */
static void expect(const char *name, int version, cuuint64_t flags, const char *expected,
                   CUdriverProcAddressQueryResult expected_status)
{
    void *address = &library, *first = &library, *exported = NULL;
    CUdriverProcAddressQueryResult status = 77;
    if (expected && !(exported = dlsym(library, expected)))
        fail_msg("%s is not exported", expected);
    assert_int_equal(by_version_2(name, &address, version, flags, &status), CUDA_SUCCESS);
    if (address != exported || status != expected_status)
        fail_msg("%s of version %d, flags %llu: status %u, address %p instead of %s", name, version,
                 (unsigned long long)flags, status, address, expected ? expected : "none");
    assert_int_equal(by_version_1(name, &first, version, flags),
                     expected ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND);
    assert_ptr_equal(first, expected ? exported : &library);
}

static void refuse(const char *name, int version, cuuint64_t flags)
{
    void *address = &library;
    CUdriverProcAddressQueryResult status = 77;
    assert_int_equal(by_version_2(name, &address, version, flags, &status),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(by_version_1(name, &address, version, flags), CUDA_ERROR_INVALID_VALUE);
    assert_ptr_equal(address, &library);
    assert_int_equal(status, 77);
}

/* One line: at each version the function that it names, and just before it the one before. */
static size_t check_line(char *line)
{
    char *rest, *base = strtok_r(line, " ", &rest), *kind = strtok_r(NULL, " ", &rest);
    cuuint64_t flags = strcmp(kind, "per-thread") == 0 ? PER_THREAD : LEGACY;
    const char *before = NULL, *version, *name = NULL;
    size_t n = 0;
    while ((version = strtok_r(NULL, " ", &rest)) != NULL) {
        CUdriverProcAddressQueryResult status =
            before ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
        name = strtok_r(NULL, " ", &rest);
        assert_non_null(name);
        expect(base, atoi(version) - 1, flags, before, status);
        expect(base, atoi(version), flags, name, CU_GET_PROC_ADDRESS_SUCCESS);
        before = name;
        n++;
    }
    assert_non_null(name);
    expect(base, NEWEST, flags, name, CU_GET_PROC_ADDRESS_SUCCESS);
    expect(base, -1, flags, name, CU_GET_PROC_ADDRESS_SUCCESS);
    if (flags == LEGACY)
        expect(base, NEWEST, CU_GET_PROC_ADDRESS_DEFAULT, name, CU_GET_PROC_ADDRESS_SUCCESS);
    return n;
}

static void test_all_names(void **state)
{
    char line[1024];
    size_t n = 0;
    FILE *file = fopen(names, "r");
    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] && line[0] != '#')
            n += check_line(line);
    }
    fclose(file);
    assert_true(n > 600);
}

static void test_kinds_of_streams(void **state)
{
    (void)state;
    expect("cuLaunchKernel", NEWEST, PER_THREAD, "cuLaunchKernel_ptsz", 0);
    expect("cuLaunchKernel", NEWEST, PER_THREAD | LEGACY, "cuLaunchKernel_ptsz", 0);
    /* Older than per-thread streams: the ordinary one does not stand in. */
    expect("cuLaunchKernel", 6050, PER_THREAD, NULL, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    /* Without a per-thread variant it does. */
    expect("cuMemAlloc", NEWEST, PER_THREAD, "cuMemAlloc_v2", 0);
    expect("cuMemAlloc", 3010, PER_THREAD, "cuMemAlloc", 0);
}

static void test_itself(void **state)
{
    void *address;
    (void)state;
    expect("cuGetProcAddress", 11020, 0, NULL, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    expect("cuGetProcAddress", 11030, 0, "cuGetProcAddress", 0);
    expect("cuGetProcAddress", 12000, 0, "cuGetProcAddress_v2", 0);
    assert_int_equal(by_version_2("cuGetProcAddress", &address, NEWEST, 0, NULL), CUDA_SUCCESS);
    assert_ptr_equal(address, (void *)(uintptr_t)by_version_2);
}

static void test_no_such_name(void **state)
{
    static const char *const bad[] = {"",
                                      "cu",
                                      "cuNoSuch",
                                      "cumemalloc",
                                      "cuMemAlloc ",
                                      "cuMemAlloc_v2",
                                      "cuMemAlloc_v3",
                                      "cuLaunchKernel_ptsz",
                                      "cuMemcpyHtoD_v2_ptds",
                                      "cuMemcpyHtoD_ptds",
                                      "cuGetProcAddress_v2"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect(bad[i], 0, 0, NULL, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
        expect(bad[i], NEWEST, LEGACY, NULL, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
        expect(bad[i], NEWEST, PER_THREAD, NULL, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    }
}

static void test_bad_questions(void **state)
{
    (void)state;
    refuse("cuInit", NEWEST + 1, 0);
    refuse("cuInit", 99999, 0);
    refuse("cuNoSuch", 99999, 0);
    refuse("cuInit", NEWEST, 4);
    refuse("cuInit", NEWEST, UINT64_MAX);
    refuse(NULL, NEWEST, 0);
    assert_int_equal(by_version_1("cuInit", NULL, NEWEST, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(by_version_2("cuInit", NULL, NEWEST, 0, NULL), CUDA_ERROR_INVALID_VALUE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_names),     cmocka_unit_test(test_kinds_of_streams),
        cmocka_unit_test(test_itself),        cmocka_unit_test(test_no_such_name),
        cmocka_unit_test(test_bad_questions),
    };
    if (argc != 3) {
        fprintf(stderr, "usage: %s LIBRARY NAMES\n", argv[0]);
        return 2;
    }
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    names = argv[2];
    *(void **)&by_version_1 = dlsym(library, "cuGetProcAddress");
    *(void **)&by_version_2 = dlsym(library, "cuGetProcAddress_v2");
    return by_version_1 && by_version_2 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
