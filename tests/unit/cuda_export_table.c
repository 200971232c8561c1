/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's private tables: their shapes, what their functions do with the API beneath (here: a
 * driver of three functions and two devices), and what becomes of functions that nobody
 * implemented.
 */
#include "support.h"

#include "base/log.h"
#include "shim/cuda/export_table.h"
#include "shim/cuda/integrity.h"
#include "shim/cuda/observe_table.h"
#include "shim/cuda/shim.h"
#include "shim/cuda/storage.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the API beneath ---- */

static struct wh_cuda_context state_of_context;
#define CONTEXT ((CUcontext)(void *)&state_of_context)

static CUresult api_result; /* of whatever is asked */
static CUresult wanted_module_result;

CUcontext wh_cuda_current(void)
{
    return CONTEXT;
}

struct wh_cuda_context *wh_cuda_context(CUcontext context)
{
    return context == CONTEXT ? &state_of_context : NULL;
}

CUcontext wh_cuda_primary_context(CUdevice device)
{
    return device == 1 && api_result == CUDA_SUCCESS ? CONTEXT : NULL;
}

const struct wh_observe_table wh_cuda_observe_table = {.size = sizeof(wh_cuda_observe_table)};

CUresult wh_cuda_ready(void)
{
    return api_result;
}

CUresult wh_cuda_module_from_wrapper(CUmodule *module, const void *wrapper)
{
    *module = (CUmodule)(uintptr_t)wrapper;
    return wanted_module_result;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    *module = (CUmodule)(uintptr_t)image;
    return wanted_module_result;
}

CUresult cuDriverGetVersion(int *version)
{
    *version = 12080;
    return api_result;
}

CUresult cuDeviceGetCount(int *count)
{
    *count = 2;
    return api_result;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    memset(uuid, 'A' + device, sizeof(*uuid));
    return api_result;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    *value = attribute == CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID   ? 7
             : attribute == CU_DEVICE_ATTRIBUTE_PCI_BUS_ID    ? 0x20 + device
             : attribute == CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID ? 3
                                                              : -1;
    return api_result;
}

CUresult cuCtxGetId(CUcontext context, unsigned long long *id)
{
    *id = context == CONTEXT ? 42 : 1;
    return api_result;
}

static char stream;
#define STREAM ((CUstream)(void *)&stream)

CUresult cuStreamGetId(CUstream of, unsigned long long *id)
{
    if (of != STREAM && of != CU_STREAM_LEGACY && of)
        return CUDA_ERROR_INVALID_HANDLE;
    *id = of == STREAM ? 9 : 7;
    return api_result;
}

static char functions[3];
static unsigned nfunctions = 3;

CUresult cuModuleGetFunctionCount(unsigned int *count, CUmodule module)
{
    (void)module;
    *count = nfunctions;
    return api_result;
}

CUresult cuModuleEnumerateFunctions(CUfunction *list, unsigned int n, CUmodule module)
{
    (void)module;
    for (unsigned i = 0; i < n; i++)
        list[i] = (CUfunction)(void *)&functions[i];
    return api_result;
}

CUresult cuFuncGetName(const char **name, CUfunction function)
{
    static const char *const names[] = {"first", "second", "third"};
    *name = names[(char *)function - functions];
    return CUDA_SUCCESS;
}

static int setup(void **state)
{
    (void)state;
    api_result = wanted_module_result = CUDA_SUCCESS;
    nfunctions = 3;
    return 0;
}

/* ---- tables ---- */

static const wh_slot *table(const char *id)
{
    CUuuid uuid;
    const void *found = NULL;
    for (size_t i = 0; i < 16; i++) {
        const char digits[] = {id[2 * i], id[2 * i + 1], '\0'};
        ((uint8_t *)&uuid)[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return cuGetExportTable(&found, &uuid) == CUDA_SUCCESS ? found : NULL;
}

#define RUNTIME   "6bd5fb6c5bf4e74a8987d93912fd9df9"
#define THREAD    "42d85a8123f6cb478298f6e78a3aecdc"
#define HOOKS     "a094798c2e742e7493f20800200c0a66"
#define STORAGE   "c693336e1121df11a8c368f355d89593"
#define CONTEXTS  "263e88607cd2614392f6bbd5006dfa7e"
#define INTEGRITY "d4082055bde6704b8d34ba123c66e1f2"
#define LIBRARY   "21318c60971432488ca641ff7324c8f2"
#define MODULE    "6e163fbeb958444d835ce182aff1991e"
#define PLACEMENT "1734dc26800d47458726c0f1e7dd8bca"

/* Sizes, and the one place that is empty, as the driver has them. */
static void test_shapes(void **state)
{
    static const struct {
        const char *id;
        size_t bytes, empty;
    } shapes[] = {
        {RUNTIME, 104, 10}, {THREAD, 24, 0},    {HOOKS, 56, 0},    {CONTEXTS, 120, 0},
        {INTEGRITY, 24, 0}, {LIBRARY, 744, 91}, {MODULE, 792, 93}, {PLACEMENT, 136, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const wh_slot *slots = table(shapes[i].id);
        assert_non_null(slots);
        assert_int_equal((uintptr_t)slots[0], shapes[i].bytes);
        for (size_t k = 1; k < shapes[i].bytes / 8; k++)
            assert_int_equal(slots[k] == NULL, k == shapes[i].empty);
    }
    assert_non_null(table(STORAGE));
    assert_null(table("f8cff95121468b4eb9e2fb469e7c0dd9"));
    assert_null(table("00000000000000000000000000000000"));
}

static void test_unknown_table(void **state)
{
    const void *found = state;
    CUuuid uuid = {0};
    (void)state;
    assert_int_equal(cuGetExportTable(&found, &uuid), CUDA_ERROR_INVALID_VALUE);
    assert_null(found);
    assert_int_equal(cuGetExportTable(NULL, &uuid), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(cuGetExportTable(&found, NULL), CUDA_ERROR_INVALID_VALUE);
}

/* Every slot without an implementation fails, and says so the first time only. */
static void test_unknown_slots(void **state)
{
    static const struct {
        const char *id;
        unsigned slot;
        const char *said;
    } unknown[] = {
        {RUNTIME, 9, "function 9 of the driver's private table 6bd5fb6c-5bf4-e74a-8987-d9391"},
        {CONTEXTS, 14, "function 14 of the driver's private table 263e8860-"},
        {LIBRARY, 8, "function 8 of the driver's private table 21318c60-"},
        {LIBRARY, 10, "function 10 of the driver's private table 21318c60-"},
        {LIBRARY, 92, "function 92 of the driver's private table 21318c60-"},
        {MODULE, 98, "function 98 of the driver's private table 6e163fbe-"},
        {PLACEMENT, 16, "function 16 of the driver's private table 1734dc26-"},
    };
    char text[512];
    int ends[2];
    (void)state;
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        CUresult (*function)(void) = (CUresult(*)(void))table(unknown[i].id)[unknown[i].slot];
        assert_int_equal(pipe(ends), 0);
        wh_log_to(ends[1]);
        assert_int_equal(function(), CUDA_ERROR_NOT_SUPPORTED);
        assert_int_equal(function(), CUDA_ERROR_NOT_SUPPORTED);
        wh_log_to(STDERR_FILENO);
        close(ends[1]);
        ssize_t n = read(ends[0], text, sizeof(text) - 1);
        close(ends[0]);
        assert_true(n > 0);
        text[n] = '\0';
        assert_non_null(strstr(text, unknown[i].said));
        assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    }
}

/* ---- what their functions do ---- */

typedef CUresult load(CUmodule *, const void *);
typedef CUresult load_with(CUmodule *, const void *, void *, void *, unsigned);
typedef CUresult load_fatbin(const void *, CUmodule *, void *, void *, unsigned);
typedef CUresult find_primary(CUcontext *, CUdevice);
typedef CUresult ask_check(uint32_t, uint64_t, uint64_t[2]);

static void test_runtime(void **state)
{
    const wh_slot *slots = table(RUNTIME);
    CUmodule module = NULL;
    CUcontext context = NULL;
    int image;
    (void)state;
    assert_int_equal(((load *)slots[1])(&module, &image), CUDA_SUCCESS);
    assert_ptr_equal(module, &image);
    module = NULL;
    assert_int_equal(((load_with *)slots[6])(&module, &image, NULL, NULL, 0), CUDA_SUCCESS);
    assert_ptr_equal(module, &image);
    module = NULL;
    assert_int_equal(((load_fatbin *)slots[8])(&image, &module, NULL, NULL, 0), CUDA_SUCCESS);
    assert_ptr_equal(module, &image);
    assert_int_equal(((load_with *)slots[6])(&module, &image, &image, NULL, 0),
                     CUDA_ERROR_NOT_SUPPORTED);
    wanted_module_result = CUDA_ERROR_NO_BINARY_FOR_GPU;
    assert_int_equal(((load *)slots[1])(&module, &image), CUDA_ERROR_NO_BINARY_FOR_GPU);

    find_primary *primary = (find_primary *)slots[2];
    assert_int_equal(primary(&context, 1), CUDA_SUCCESS);
    assert_ptr_equal(context, CONTEXT);
    assert_int_equal(primary(&context, 9), CUDA_ERROR_INVALID_DEVICE);
    assert_int_equal(primary(NULL, 1), CUDA_ERROR_INVALID_VALUE);
    api_result = CUDA_ERROR_NOT_INITIALIZED;
    assert_int_equal(primary(&context, 1), CUDA_ERROR_NOT_INITIALIZED);
}

/* The words that the runtime library looks up by callback number are all zero: no tool listens. */
static void test_hooks(void **state)
{
    const wh_slot *slots = table(HOOKS);
    static const struct {
        unsigned slot;
        size_t n;
    } buffers[] = {{2, 1024}, {6, 14}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint32_t *words = NULL;
        size_t n = 0;
        ((void (*)(uint32_t **, size_t *))slots[buffers[i].slot])(&words, &n);
        assert_int_equal(n, buffers[i].n);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(words[k], 0);
    }
}

static void test_contexts(void **state)
{
    const wh_slot *slots = table(CONTEXTS);
    uint32_t refused = 9;
    void *what = &refused;
    (void)state;
    assert_int_equal(
        ((CUresult(*)(CUcontext, uint32_t *, void **))slots[2])(CONTEXT, &refused, &what),
        CUDA_SUCCESS);
    assert_int_equal(refused, 0);
    assert_ptr_equal(what, &refused);
    assert_int_equal(((CUresult(*)(void))slots[3])(), CUDA_SUCCESS);
}

static void test_storage(void **state)
{
    const wh_slot *slots = table(STORAGE);
    int key;
    void *value = NULL;
    (void)state;
    assert_int_equal(((CUresult(*)(CUcontext, void *, void *, wh_storage_destructor *))slots[0])(
                         NULL, &key, &value, NULL),
                     CUDA_SUCCESS);
    assert_int_equal(((CUresult(*)(void **, CUcontext, void *))slots[2])(&value, CONTEXT, &key),
                     CUDA_SUCCESS);
    assert_ptr_equal(value, &value);
    assert_int_equal(((CUresult(*)(CUcontext, void *))slots[1])(NULL, &key), CUDA_SUCCESS);
    wh_storage_free(state_of_context.storage);
    state_of_context.storage = NULL;
}

/* The check answers about what this process sees through the API. */
static void test_integrity(void **state)
{
    const wh_slot *slots = table(INTEGRITY);
    struct wh_cuda_integrity_device devices[2];
    uint64_t answer[2] = {0}, expected[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        memset(devices[i].uuid, 'A' + i, sizeof(devices[i].uuid));
        devices[i].pci_domain = 7;
        devices[i].pci_bus = 0x20 + i;
        devices[i].pci_device = 3;
    }
    struct wh_cuda_integrity seen = {.driver_version = 12080,
                                     .version = 13002,
                                     .process = (uint32_t)getpid(),
                                     .thread = (uint32_t)pthread_self(),
                                     .runtime_table = table(RUNTIME),
                                     .check_table = slots,
                                     .check_function = (const void *)(uintptr_t)slots[1],
                                     .seconds = 1234567,
                                     .devices = devices,
                                     .ndevices = 2};
    wh_cuda_integrity_answer(&seen, expected);
    ask_check *check = (ask_check *)slots[1];
    assert_int_equal(check(13002, 1234567, answer), CUDA_SUCCESS);
    assert_memory_equal(answer, expected, sizeof(answer));
    api_result = CUDA_ERROR_NO_DEVICE;
    assert_int_equal(check(13002, 1234567, answer), CUDA_ERROR_NO_DEVICE);
}

static void test_context_number(void **state)
{
    typedef CUresult number_of(CUcontext, unsigned long long *);
    number_of *number = (number_of *)table(LIBRARY)[4];
    CUcontext context = NULL;
    unsigned long long n = 7;
    (void)state;
    assert_int_equal(((CUresult(*)(CUcontext *))table(THREAD)[2])(&context), CUDA_SUCCESS);
    assert_ptr_equal(context, CONTEXT);
    assert_int_equal(number(CONTEXT, &n), CUDA_SUCCESS);
    assert_int_equal(n, 42);
    assert_int_equal(number(NULL, &n), CUDA_SUCCESS);
    assert_int_equal(n, 0);
    n = 7;
    api_result = CUDA_ERROR_CONTEXT_IS_DESTROYED;
    assert_int_equal(number(CONTEXT, &n), CUDA_SUCCESS);
    assert_int_equal(n, 0);
}

typedef CUresult inside_of(CUcontext context, CUstream stream, void **inside);
typedef CUresult inside_number(CUcontext context, void *inside, unsigned long long *number);

static void test_stream_number(void **state)
{
    inside_of *inside_of_stream = (inside_of *)table(LIBRARY)[51];
    inside_number *number_of = (inside_number *)table(LIBRARY)[39];
    unsigned long long number = 0;
    void *inside = NULL;
    (void)state;
    assert_int_equal(inside_of_stream(CONTEXT, STREAM, &inside), CUDA_SUCCESS);
    assert_int_equal(number_of(CONTEXT, inside, &number), CUDA_SUCCESS);
    assert_int_equal(number, 9);
    assert_int_equal(inside_of_stream(NULL, NULL, &inside), CUDA_SUCCESS);
    assert_non_null(inside);
    assert_int_equal(number_of(NULL, inside, &number), CUDA_SUCCESS);
    assert_int_equal(number, 7);
    assert_int_equal(inside_of_stream(CONTEXT, (CUstream)(void *)&number, &inside),
                     CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(inside_of_stream(CONTEXT, STREAM, NULL), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(number_of(CONTEXT, NULL, &number), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(number_of(CONTEXT, inside, NULL), CUDA_ERROR_INVALID_VALUE);
}

static void visit(void *user, CUfunction function, const char *name, void *nothing)
{
    static const char *const names[] = {"first", "second", "third"};
    unsigned *visited = user;
    assert_null(nothing);
    assert_ptr_equal(function, &functions[*visited]);
    assert_string_equal(name, names[(*visited)++]);
}

static void test_each_function(void **state)
{
    typedef unsigned each(CUcontext, CUmodule, void (*)(void *, CUfunction, const char *, void *),
                          void *);
    each *each_function = (each *)table(MODULE)[7];
    unsigned visited = 0;
    (void)state;
    assert_int_equal(each_function(CONTEXT, NULL, visit, &visited), 3);
    assert_int_equal(visited, 3);
    nfunctions = 0;
    assert_int_equal(each_function(NULL, NULL, visit, &visited), 0);
    nfunctions = 3;
    api_result = CUDA_ERROR_INVALID_HANDLE;
    assert_int_equal(each_function(NULL, NULL, visit, &visited), 0);
    assert_int_equal(visited, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_shapes, setup),
        cmocka_unit_test_setup(test_unknown_table, setup),
        cmocka_unit_test_setup(test_unknown_slots, setup),
        cmocka_unit_test_setup(test_runtime, setup),
        cmocka_unit_test_setup(test_hooks, setup),
        cmocka_unit_test_setup(test_contexts, setup),
        cmocka_unit_test_setup(test_storage, setup),
        cmocka_unit_test_setup(test_integrity, setup),
        cmocka_unit_test_setup(test_context_number, setup),
        cmocka_unit_test_setup(test_stream_number, setup),
        cmocka_unit_test_setup(test_each_function, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
