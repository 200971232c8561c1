/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader FOLDER: runs kernels of the programs of this folder from their PTX in FOLDER, through the
 * driver API alone: what a machine without nvcc can test. Each result is compared with the host's.
 * Prints what loader.txt in expected/ has; must print nothing that differs between devices.
 */
#include "cuda_types.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(F)                \
    F(cuInit)                       \
    F(cuGetErrorName)               \
    F(cuDeviceGet)                  \
    F(cuDevicePrimaryCtxRetain)     \
    F(cuDevicePrimaryCtxRelease_v2) \
    F(cuCtxSetCurrent)              \
    F(cuCtxSynchronize)             \
    F(cuCtxSetLimit)                \
    F(cuModuleLoadDataEx)           \
    F(cuModuleUnload)               \
    F(cuModuleGetFunction)          \
    F(cuModuleGetGlobal_v2)         \
    F(cuMemAlloc_v2)                \
    F(cuMemFree_v2)                 \
    F(cuMemsetD8_v2)                \
    F(cuMemcpyHtoD_v2)              \
    F(cuMemcpyDtoH_v2)              \
    F(cuLaunchKernel)

static struct {
#define MEMBER(name) __typeof__(name) *name;
    FUNCTIONS(MEMBER)
#undef MEMBER
} driver;

static const char *folder;
static CUmodule module;
static unsigned int failures;

static void stop(const char *what, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "loader: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void check(CUresult code, const char *call)
{
    const char *name = "no name";

    if (code == CUDA_SUCCESS)
        return;
    driver.cuGetErrorName(code, &name);
    stop(call, name);
}

#define CALL(function, ...) check(driver.function(__VA_ARGS__), #function)

static void load_driver(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW), *symbol;

    if (!library)
        stop("libcuda.so.1", dlerror());
#define FIND(name)                          \
    symbol = dlsym(library, #name);         \
    if (!symbol)                            \
        stop(#name, "not in libcuda.so.1"); \
    memcpy(&driver.name, &symbol, sizeof(symbol));
    FUNCTIONS(FIND)
#undef FIND
}

/* ---- What every kernel needs ---- */

static char *read_file(const char *name)
{
    char path[4096], *text;
    FILE *file;
    long size;

    (void)snprintf(path, sizeof(path), "%s/%s.ptx", folder, name);
    file = fopen(path, "rb");
    if (!file)
        stop(path, "cannot be opened");
    size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (size < 0)
        stop(path, "cannot be read");
    rewind(file);
    text = calloc(1, (size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size)
        stop(path, "cannot be read");
    (void)fclose(file);
    return text;
}

static void load(const char *name)
{
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    char *text = read_file(name), log[4096] = "";
    void *values[] = {log, (void *)sizeof(log)};
    CUresult code = driver.cuModuleLoadDataEx(&module, text, 2, options, values);

    if (code != CUDA_SUCCESS)
        fprintf(stderr, "loader: %s.ptx: %.*s\n", name, (int)sizeof(log), log);
    check(code, "cuModuleLoadDataEx");
    free(text);
    printf("%s\n", name);
}

static void unload(void)
{
    CALL(cuCtxSynchronize);
    CALL(cuModuleUnload, module);
}

/* Memory of the device with the bytes of data, or zeros without. */
static CUdeviceptr upload(const void *data, size_t size)
{
    CUdeviceptr memory;

    CALL(cuMemAlloc_v2, &memory, size);
    if (data)
        CALL(cuMemcpyHtoD_v2, memory, data, size);
    else
        CALL(cuMemsetD8_v2, memory, 0, size);
    return memory;
}

/* Copies to data and frees. */
static void download(void *data, CUdeviceptr memory, size_t size)
{
    CALL(cuMemcpyDtoH_v2, data, memory, size);
    CALL(cuMemFree_v2, memory);
}

struct grid {
    unsigned int x, y, block_x, block_y, shared;
};

#define LAUNCH(kernel, grid, ...) launch(kernel, grid, (void *[]){__VA_ARGS__})

static void launch(const char *kernel, struct grid grid, void **arguments)
{
    CUfunction function;

    CALL(cuModuleGetFunction, &function, module, kernel);
    CALL(cuLaunchKernel, function, grid.x, grid.y, 1, grid.block_x, grid.block_y, 1, grid.shared,
         NULL, arguments, NULL);
}

static void expect(const char *what, bool ok)
{
    printf("    %s: %s\n", what, ok ? "ok" : "WRONG");
    failures += !ok;
}

/* ---- The kernels, by the name of their program ---- */

static void vector_add(void)
{
    enum { COUNT = 10001 };
    static float a[COUNT], b[COUNT], sum[COUNT];
    CUdeviceptr device_a, device_b, device_sum;
    int count = COUNT;
    bool ok = true;

    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)i;
        b[i] = (float)(i % 7) * 0.25f;
    }
    device_a = upload(a, sizeof(a));
    device_b = upload(b, sizeof(b));
    device_sum = upload(NULL, sizeof(sum));
    LAUNCH("_Z3addPKfS0_Pfi", ((struct grid){(COUNT + 127) / 128, 1, 128, 1, 0}), &device_a,
           &device_b, &device_sum, &count);
    download(sum, device_sum, sizeof(sum));
    for (int i = 0; i < COUNT; i++)
        ok = ok && sum[i] == a[i] + b[i];
    expect("sums", ok);
    download(a, device_a, sizeof(a));
    download(b, device_b, sizeof(b));
    expect("terms as they were", a[COUNT - 1] == COUNT - 1 && b[1] == 0.25f);
}

static void matmul_tiled(void)
{
    enum { ROWS = 33, INNER = 20, COLUMNS = 50 };
    static float a[ROWS][INNER], b[INNER][COLUMNS], c[ROWS][COLUMNS];
    int rows = ROWS, inner = INNER, columns = COLUMNS;
    CUdeviceptr device_a, device_b, device_c;
    bool ok = true;

    for (int i = 0; i < ROWS * INNER; i++)
        a[i / INNER][i % INNER] = (float)(i % 11 - 5);
    for (int i = 0; i < INNER * COLUMNS; i++)
        b[i / COLUMNS][i % COLUMNS] = (float)(i % 13 - 6);
    device_a = upload(a, sizeof(a));
    device_b = upload(b, sizeof(b));
    device_c = upload(NULL, sizeof(c));
    LAUNCH("_Z8multiplyPKfS0_Pfiii", ((struct grid){4, 3, 16, 16, 0}), &device_a, &device_b,
           &device_c, &rows, &inner, &columns);
    download(a, device_a, sizeof(a));
    download(b, device_b, sizeof(b));
    download(c, device_c, sizeof(c));
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            float sum = 0;

            for (int k = 0; k < INNER; k++)
                sum += a[i][k] * b[k][j];
            ok = ok && c[i][j] == sum;
        }
    expect("product", ok);
}

static void reduction(void)
{
    enum { COUNT = 5000, BLOCKS = 7 };
    struct summary {
        long long sum;
        int least, greatest;
    } result;
    static int values[COUNT];
    CUdeviceptr device, blocks, total;
    int count = COUNT, parts = BLOCKS;
    long long sum = 0;

    for (int i = 0; i < COUNT; i++) {
        values[i] = i * 7919 % 10007 - 5000;
        sum += values[i];
    }
    values[4321] = -2000000000;
    values[17] = 2000000000;
    sum += values[4321] + values[17] - (4321 * 7919 % 10007 - 5000) - (17 * 7919 % 10007 - 5000);
    device = upload(values, sizeof(values));
    blocks = upload(NULL, BLOCKS * sizeof(result));
    total = upload(NULL, sizeof(result));
    LAUNCH("_Z9summarizePKiiP7summary", ((struct grid){BLOCKS, 1, 128, 1, 0}), &device, &count,
           &blocks);
    LAUNCH("_Z16summarize_blocksPK7summaryiPS_", ((struct grid){1, 1, 32, 1, 0}), &blocks, &parts,
           &total);
    download(&result, total, sizeof(result));
    CALL(cuMemFree_v2, device);
    CALL(cuMemFree_v2, blocks);
    expect("sum", result.sum == sum);
    expect("least and greatest", result.least == -2000000000 && result.greatest == 2000000000);
}

static void scan(void)
{
    enum { BLOCK = 256, COUNT = 4000, BLOCKS = (COUNT + BLOCK - 1) / BLOCK };
    static unsigned int values[COUNT], sums[COUNT];
    int count = COUNT, blocks = BLOCKS;
    CUdeviceptr device_values, device_sums, totals, none = 0;
    unsigned int running = 0;
    bool ok = true;

    for (unsigned int i = 0; i < COUNT; i++)
        values[i] = i * 2654435761U >> 20;
    device_values = upload(values, sizeof(values));
    device_sums = upload(NULL, sizeof(sums));
    totals = upload(NULL, BLOCKS * sizeof(unsigned int));
    LAUNCH("_Z11scan_blocksPKjPjS1_i", ((struct grid){BLOCKS, 1, BLOCK, 1, 0}), &device_values,
           &device_sums, &totals, &count);
    LAUNCH("_Z11scan_blocksPKjPjS1_i", ((struct grid){1, 1, BLOCK, 1, 0}), &totals, &totals, &none,
           &blocks);
    LAUNCH("_Z11add_offsetsPjPKji", ((struct grid){BLOCKS, 1, BLOCK, 1, 0}), &device_sums, &totals,
           &count);
    download(sums, device_sums, sizeof(sums));
    CALL(cuMemFree_v2, device_values);
    CALL(cuMemFree_v2, totals);
    for (int i = 0; i < COUNT; i++) {
        running += values[i];
        ok = ok && sums[i] == running;
    }
    expect("prefix sums", ok);
}

static void histogram_atomics(void)
{
    enum { COUNT = 20000, BINS = 256 };
    static unsigned char bytes[COUNT];
    unsigned int bins[BINS], bins_wanted[BINS] = {0};
    int last[BINS], last_wanted[BINS], count = COUNT;
    CUdeviceptr device_bytes, device_bins, device_last;

    memset(last_wanted, -1, sizeof(last_wanted));
    for (int i = 0; i < COUNT; i++) {
        bytes[i] = (unsigned char)((unsigned int)i * 2654435761U >> 25);
        bins_wanted[bytes[i]]++;
        last_wanted[bytes[i]] = i;
    }
    memset(last, -1, sizeof(last));
    device_bytes = upload(bytes, sizeof(bytes));
    device_bins = upload(NULL, sizeof(bins));
    device_last = upload(last, sizeof(last));
    LAUNCH("_Z11count_bytesPKhiPjPi", ((struct grid){9, 1, 96, 1, 0}), &device_bytes, &count,
           &device_bins, &device_last);
    download(bins, device_bins, sizeof(bins));
    download(last, device_last, sizeof(last));
    CALL(cuMemFree_v2, device_bytes);
    expect("counts", memcmp(bins, bins_wanted, sizeof(bins)) == 0);
    expect("last places", memcmp(last, last_wanted, sizeof(last)) == 0);
}

static void transpose(void)
{
    enum { ROWS = 70, COLUMNS = 45 };
    static double in[ROWS][COLUMNS], out[COLUMNS][ROWS];
    int rows = ROWS, columns = COLUMNS;
    CUdeviceptr device_in, device_out;
    bool ok = true;

    for (int i = 0; i < ROWS * COLUMNS; i++)
        in[i / COLUMNS][i % COLUMNS] = i * 0.5;
    device_in = upload(in, sizeof(in));
    device_out = upload(NULL, sizeof(out));
    LAUNCH("_Z9transposeIdEvPKT_PS0_ii", ((struct grid){2, 3, 32, 8, 0}), &device_in, &device_out,
           &rows, &columns);
    download(out, device_out, sizeof(out));
    CALL(cuMemFree_v2, device_in);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            ok = ok && out[j][i] == in[i][j];
    expect("transposed", ok);
}

static void constant_memory(void)
{
    enum { COUNT = 128, DEGREE = 8 };
    const int c[DEGREE] = {3, 1, -4, 1, -5, 9, -2, 6};
    CUdeviceptr coefficients, device = upload(NULL, COUNT * sizeof(int));
    int results[COUNT];
    size_t size = 0;
    bool ok = true;

    CALL(cuModuleGetGlobal_v2, &coefficients, &size, module, "coefficients");
    expect("size", size == sizeof(c));
    CALL(cuMemcpyHtoD_v2, coefficients, c, sizeof(c));
    LAUNCH("_Z8evaluatePi", ((struct grid){2, 1, 64, 1, 0}), &device);
    download(results, device, sizeof(results));
    for (int x = 0; x < COUNT; x++) {
        unsigned int value = 0;

        for (int i = 0; i < DEGREE; i++)
            value = value * (unsigned int)x + (unsigned int)c[i];
        ok = ok && results[x] == (int)value;
    }
    expect("polynomial", ok);
}

static void dynamic_shared(void)
{
    enum { COUNT = 300, BLOCKS = 4 };
    int values[BLOCKS][COUNT], count = COUNT;
    CUdeviceptr device;
    bool ok = true;

    for (int i = 0; i < BLOCKS * COUNT; i++)
        values[i / COUNT][i % COUNT] = i * 3;
    device = upload(values, sizeof(values));
    LAUNCH("_Z7reversePii", ((struct grid){BLOCKS, 1, 64, 1, COUNT * sizeof(int)}), &device,
           &count);
    download(values, device, sizeof(values));
    for (int b = 0; b < BLOCKS; b++)
        for (int i = 0; i < COUNT; i++)
            ok = ok && values[b][i] == (b * COUNT + COUNT - 1 - i) * 3 + b * COUNT * 3;
    expect("reversed", ok);
}

static void warp_shuffle_vote(void)
{
    enum { COUNT = 50 };
    CUdeviceptr device = upload(NULL, COUNT * sizeof(int)), votes = upload(NULL, 2 * sizeof(int));
    int results[COUNT], both[2];
    bool ok = true;

    LAUNCH("_Z4partPi", ((struct grid){1, 1, COUNT, 1, 0}), &device);
    download(results, device, sizeof(results));
    for (int i = 0; i < COUNT; i++) {
        int sum = 0;

        for (int j = i / 32 * 32; j <= (i ^ 1); j++)
            sum += j;
        ok = ok && results[i] == sum + (i < 32 ? 16 : 9) * 1000;
    }
    expect("shuffled", ok);
    LAUNCH("_Z11block_votesPi", ((struct grid){2, 1, 80, 1, 0}), &votes);
    download(both, votes, sizeof(both));
    expect("votes", both[0] == 1040 && both[1] == 1040);
}

static void recursion(void)
{
    enum { COUNT = 64 };
    unsigned int results[COUNT];
    CUdeviceptr device;
    bool ok = true;

    CALL(cuCtxSetLimit, CU_LIMIT_STACK_SIZE, 16 * 1024);
    device = upload(NULL, sizeof(results));
    LAUNCH("_Z7recursePj", ((struct grid){2, 1, 32, 1, 0}), &device);
    download(results, device, sizeof(results));
    for (unsigned int i = 0; i < COUNT; i++)
        ok = ok && results[i] == (2 * (i % 7) + 3) * 10 + (i % 13 % 2 == 0);
    expect("recursion", ok);
}

static void printf_device(void)
{
    fflush(stdout);
    LAUNCH("_Z13print_formatsv", ((struct grid){1, 1, 1, 1, 0}), NULL);
    for (int i = 0; i < 2; i++)
        LAUNCH("_Z13print_in_turni", ((struct grid){1, 1, 3, 1, 0}), &i);
    CALL(cuCtxSynchronize);
}

static void divergence(void)
{
    enum { COUNT = 96 };
    CUdeviceptr device = upload(NULL, COUNT * sizeof(int));
    int results[COUNT];
    bool ok = true;

    LAUNCH("_Z5leavePi", ((struct grid){1, 1, 128, 1, 0}), &device);
    download(results, device, sizeof(results));
    for (int i = 0; i < COUNT; i++)
        ok = ok && results[i] == (95 - i) * 3;
    expect("warps that left", ok);
}

static const struct {
    const char *name;
    void (*run)(void);
} programs[] = {
    {"vector_add", vector_add},
    {"matmul_tiled", matmul_tiled},
    {"reduction", reduction},
    {"scan", scan},
    {"histogram_atomics", histogram_atomics},
    {"transpose", transpose},
    {"constant_memory", constant_memory},
    {"dynamic_shared", dynamic_shared},
    {"warp_shuffle_vote", warp_shuffle_vote},
    {"recursion", recursion},
    {"printf_device", printf_device},
    {"divergence", divergence},
};

int main(int argc, char **argv)
{
    CUcontext context;
    CUdevice device;

    if (argc != 2) {
        fputs("usage: loader FOLDER\n", stderr);
        return 2;
    }
    folder = argv[1];
    load_driver();
    CALL(cuInit, 0);
    CALL(cuDeviceGet, &device, 0);
    CALL(cuDevicePrimaryCtxRetain, &context, device);
    CALL(cuCtxSetCurrent, context);
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        load(programs[i].name);
        programs[i].run();
        unload();
    }
    CALL(cuDevicePrimaryCtxRelease_v2, device);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
