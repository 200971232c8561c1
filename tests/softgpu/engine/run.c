/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels that a compiler made, run by the engine, against what the host computes.
 */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct wh_soft_module *module;

static int setup(void **state)
{
    (void)state;
    module = test_load("engine.ptx");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wh_soft_unload(module);
    test_memory_end();
    return 0;
}

#define PLACE(pointer) ((uint64_t)(uintptr_t)(pointer))

static void add_vectors(void **state)
{
    (void)state;
    float *a = test_allocate(1000 * 4), *b = test_allocate(1000 * 4), *c = test_allocate(1000 * 4);
    for (int i = 0; i < 1000; i++) {
        a[i] = (float)i;
        b[i] = (float)i / 8;
    }
    assert_int_equal(LAUNCH(module, "add", 4, 256, PLACE(a), PLACE(b), PLACE(c), 1000).code, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(c[i] == a[i] + b[i]);
}

static void reduce(void **state)
{
    int *in = test_allocate(16 * 256 * 4), *out = test_allocate(16 * 4);
    const uint64_t args[] = {PLACE(in), PLACE(out)};
    struct wh_soft_launch launch = {.grid = {16}, .block = {256}, .dynamic_shared = 1024};
    (void)state;
    for (int i = 0; i < 16 * 256; i++)
        in[i] = i * i % 1009;
    assert_int_equal(test_launch_as(module, "reduce", launch, 2, args).code, 0);
    for (int b = 0; b < 16; b++) {
        int sum = 0;
        for (int i = 0; i < 256; i++)
            sum += in[b * 256 + i];
        assert_int_equal(out[b], 2 * sum);
    }
    /* Without the dynamic part its addresses are past the end. */
    assert_int_equal(LAUNCH(module, "reduce", 16, 256, args[0], args[1]).code, 700);
}

static unsigned reverse(unsigned x)
{
    unsigned r = 0;
    for (int i = 0; i < 32; i++)
        r |= (x >> i & 1) << (31 - i);
    return r;
}

static void lanes(void **state)
{
    unsigned *out = test_allocate(64 * 16 * 4);
    (void)state;
    assert_int_equal(LAUNCH(module, "lanes", 1, 64, PLACE(out)).code, 0);
    for (unsigned t = 0; t < 64; t++) {
        const unsigned *o = out + t * 16;
        unsigned lane = t & 31, x[32], odd = 0, same = 0, sum = 0, most = 0, least = 99, mixed = 0,
                 any = 0;
        for (unsigned l = 0; l < 32; l++) {
            x[l] = ((t & 32) + l) * 7 % 13;
            odd |= (x[l] & 1) << l;
            sum += x[l];
            most = x[l] > most ? x[l] : most;
            least = x[l] < least ? x[l] : least;
            mixed ^= l & 1 ? 0 : x[l];
            any |= x[l] == 12;
        }
        for (unsigned l = 0; l < 32; l++)
            same |= (unsigned)(x[l] == x[lane]) << l;
        assert_int_equal(o[0], x[5]);
        assert_int_equal(o[1], lane >= 3 ? x[lane - 3] : x[lane]);
        assert_int_equal(o[2], (lane & 7) + 3 < 8 ? x[lane + 3] : x[lane]);
        assert_int_equal(o[3], x[lane ^ 1]);
        assert_int_equal(o[4], odd);
        assert_int_equal(o[5], any * 2 + 1);
        assert_int_equal(o[6], same);
        assert_int_equal(o[7], sum);
        assert_int_equal(o[8], most);
        assert_int_equal(o[9], lane < 7 ? 127 : 0);
        assert_int_equal(o[10], lane & 1 ? x[9] : mixed);
        assert_int_equal(o[11], 0); /* all lanes' mask and 1 */
        assert_int_equal(o[12], 32);
        assert_int_equal(o[13], 32 + (unsigned)__builtin_ffs((int)x[lane]) + reverse(x[lane]));
        assert_int_equal(o[14], x[(lane & 28) | ((lane + 1) & 3)]);
        assert_int_equal(o[15], least + 1);
    }
}

static void progress(void **state)
{
    int *lock = test_allocate(4), *count = test_allocate(4), *flag = test_allocate(4),
        *out = test_allocate(256);
    (void)state;
    assert_int_equal(LAUNCH(module, "spin_lock", 8, 64, PLACE(lock), PLACE(count)).code, 0);
    assert_int_equal(*count, 512);
    assert_int_equal(LAUNCH(module, "spin_warp", 1, 64, PLACE(flag), PLACE(out)).code, 0);
    for (int i = 0; i < 32; i++)
        assert_int_equal(out[i], 17);
}

static void cooperative(void **state)
{
    struct wh_soft_launch launch = {.grid = {20}, .block = {64}, .cooperative = true};
    int *cells = test_allocate(1280 * 4);
    const uint64_t args[] = {PLACE(cells), 10};
    (void)state;
    for (int i = 0; i < 1280; i++)
        cells[i] = i;
    assert_int_equal(test_launch_as(module, "grid_sync", launch, 2, args).code, 0);
    for (int i = 0; i < 1280; i++)
        assert_int_equal(cells[i], (i + 10) % 1280 + 10);
}

static void clusters(void **state)
{
    struct wh_soft_launch launch = {.grid = {8}, .block = {64}, .cluster = {4, 1, 1}};
    int *out = test_allocate(32);
    const uint64_t args[] = {PLACE(out)};
    (void)state;
    assert_int_equal(test_launch_as(module, "cluster", launch, 1, args).code, 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(out[i], (i / 4 * 4 + (i + 1) % 4) * 10 + i % 4);
    launch.grid[0] = 6;
    assert_int_equal(test_launch_as(module, "cluster", launch, 1, args).code, 1);
}

static void atomics(void **state)
{
    int *i = test_allocate(32);
    unsigned *u = test_allocate(32);
    float *f = test_allocate(4);
    double *d = test_allocate(8);
    uint64_t *l = test_allocate(16);
    uint32_t *h = test_allocate(4);
    (void)state;
    u[2] = UINT32_MAX;
    assert_int_equal(LAUNCH(module, "atomics", 4, 100, PLACE(i), PLACE(u), PLACE(f), PLACE(d),
                            PLACE(l), PLACE(h))
                         .code,
                     0);
    assert_int_equal(i[0], 79800);
    assert_int_equal(i[1], -399);
    assert_int_equal(i[2], 1197);
    assert_int_equal(i[3], -800);
    assert_int_equal(i[4], 400);
    assert_int_equal(u[0], 0);
    assert_int_equal(u[1], 6);
    assert_int_equal(u[2], 0);
    assert_int_equal(u[3], UINT32_MAX);
    assert_int_equal(u[4], 0);
    assert_true(*f == 200.0f);
    assert_true(*d == 100.0);
    assert_true(l[0] == 400ull << 33);
    assert_true(l[1] == 399ull << 35);
    assert_int_equal(*h, 0x5a405e40); /* 200 and 400 */
}

struct big {
    int values[9];
    double last;
};

static int fibonacci(int n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static void calls(void **state)
{
    struct big in = {.values = {1, 2, 3, 4, 5, 6, 7, 8, 9}, .last = 2.5};
    int *out = test_allocate(64 * 16);
    (void)state;
    assert_int_equal(LAUNCH(module, "calls", 1, 64, PLACE(out), PLACE(&in)).code, 0);
    for (int t = 0; t < 64; t++) {
        assert_int_equal(out[t * 4], fibonacci(t % 12));
        assert_int_equal(out[t * 4 + 1], t & 1 ? t * t : 2 * t);
        assert_int_equal(out[t * 4 + 2], in.values[8 - t % 9] + t);
        assert_int_equal(out[t * 4 + 3], -2);
    }
}

static int branch(int t, int n)
{
    int x = 0;
    for (int i = 0; i < t % 7 + n; i++) {
        switch ((t + i) % 6) {
        case 0:
            x += 3;
            break;
        case 1:
            x *= 5;
            break;
        case 2:
            x ^= i;
            continue;
        case 3:
            x += x & 1 ? 0 : t;
            break;
        case 4:
            x -= 7;
            break;
        default:
            x = -x;
            break;
        }
        x += i;
        if (x > 100000 || x < -100000)
            break;
    }
    return x;
}

static void branches(void **state)
{
    int *out = test_allocate(256 * 4);
    (void)state;
    assert_int_equal(LAUNCH(module, "branches", 1, 256, PLACE(out), 25).code, 0);
    for (int t = 0; t < 256; t++)
        assert_int_equal(out[t], branch(t, 25));
}

static void local_arrays(void **state)
{
    int *out = test_allocate(64 * 4), n = 5;
    (void)state;
    assert_int_equal(LAUNCH(module, "local_arrays", 2, 64, PLACE(out), (uint64_t)n).code, 0);
    for (int t = 0; t < 64; t++) {
        unsigned values[16] = {0}, sum = 0;
        for (int i = 0; i < 16; i++)
            values[(i * n + t) & 15] = (unsigned)(i * t);
        for (int i = 0; i < 16; i++)
            sum = sum * 3 + values[(i + n) & 15];
        assert_int_equal((unsigned)out[t], sum);
    }
}

static void globals(void **state)
{
    int *out = test_allocate(32), *table, *counter;
    uint64_t address;
    size_t size;
    (void)state;
    assert_int_equal(LAUNCH(module, "globals", 1, 8, PLACE(out)).code, 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(out[i], 15 + i % 4 * 10);
    assert_true(wh_soft_find_global(module, "table", &address, &size));
    assert_int_equal(size, 16);
    table = (int *)(uintptr_t)address; /* NOLINT */
    assert_int_equal(table[2], 30);
    assert_true(wh_soft_find_global(module, "counter", &address, &size));
    counter = (int *)(uintptr_t)address; /* NOLINT */
    assert_int_equal(test_launch(module, "count_up", 3, 50, 0, NULL).code, 0);
    assert_int_equal(*counter, 155);
    assert_false(wh_soft_find_global(module, "add", &address, &size));
}

/* What a descriptor gets while the launch runs. */
static void captured(FILE *stream, int fd, const char *kernel, uint64_t arg, int code, char *text,
                     size_t size)
{
    int pipes[2], saved;
    fflush(stream);
    assert_int_equal(pipe(pipes), 0);
    saved = dup(fd);
    dup2(pipes[1], fd);
    close(pipes[1]);
    struct wh_soft_fault fault = LAUNCH(module, kernel, 1, 32, arg);
    fflush(stream);
    dup2(saved, fd);
    close(saved);
    ssize_t n = read(pipes[0], text, size - 1);
    close(pipes[0]);
    assert_true(n >= 0);
    text[n] = '\0';
    assert_int_equal(fault.code, code);
}

static void prints(void **state)
{
    char text[4096];
    (void)state;
    captured(stdout, 1, "print", 2, 0, text, sizeof(text));
    assert_string_equal(text, "thread 0:  0.00|text  |x|-1099511627776|beef|%|0x10\n"
                              "thread 1:  1.50|text  |x|-1099511627776|beef|%|0x10\n");
    captured(stderr, 2, "fails", 3, 710, text, sizeof(text));
    assert_string_equal(text,
                        "engine.cu:239: void fails(int): block: [0,0,0], thread: [3,0,0] Assertion "
                        "`n != (int)threadIdx.x` failed.\n");
}

static void faults(void **state)
{
    char *at = test_allocate(64);
    struct wh_soft_fault fault;
    (void)state;
    assert_int_equal(test_launch(module, "traps", 1, 1, 0, NULL).code, 719);
    assert_int_equal(LAUNCH(module, "writes", 1, 1, PLACE(at + 60)).code, 0);
    assert_int_equal(LAUNCH(module, "writes", 1, 1, PLACE(at + 64)).code, 700);
    assert_int_equal(LAUNCH(module, "writes", 1, 1, PLACE(at + 2)).code, 716);
    assert_int_equal(LAUNCH(module, "writes", 1, 1, 0).code, 700);
    assert_int_equal(LAUNCH(module, "writes", 1, 1, UINT64_MAX - 3).code, 700);
    assert_int_equal(LAUNCH(module, "writes", 1, 1, 0x1000000000000).code,
                     700); /* no shared memory there */
    assert_int_equal(test_launch(module, "deadlock", 1, 64, 0, NULL).code, 719);
    fault = LAUNCH(module, "writes", 1, 1, 16);
    assert_non_null(strstr(fault.text, "kernel writes, block 0,0,0, thread 0,0,0, PTX line "));
    assert_int_equal(LAUNCH(module, "add", 1, 1025, 0).code, 1);
}

static void heap(void **state)
{
    uint64_t *out = test_allocate(64 * 8);
    (void)state;
    for (int round = 0; round < 3; round++)
        assert_int_equal(LAUNCH(module, "heap", 2, 64, PLACE(out)).code, 0);
    for (uint64_t i = 0; i < 64; i++)
        assert_int_equal(out[i], 120 * i);
}

static void copies(void **state)
{
    int *in = test_allocate(1024), *out = test_allocate(1024);
    (void)state;
    for (int i = 0; i < 256; i++)
        in[i] = i;
    assert_int_equal(LAUNCH(module, "copies", 1, 64, PLACE(in), PLACE(out)).code, 0);
    for (int i = 0; i < 256; i++)
        assert_int_equal(out[i], (63 - i / 4) * 4 + i % 4);
}

static void halves(void **state)
{
    uint32_t *a = test_allocate(64), *b = test_allocate(64), *c = test_allocate(64);
    (void)state;
    a[0] = 0x3c004000; /* 1 and 2 */
    b[0] = 0x42003800; /* 3 and 0.5 */
    assert_int_equal(LAUNCH(module, "halves", 1, 16, PLACE(a), PLACE(b), PLACE(c)).code, 0);
    assert_int_equal(c[0], 0x47004300); /* 1*3+4 and 2*0.5+2.5 */
}

static void barriers(void **state)
{
    int *out = test_allocate(512);
    (void)state;
    assert_int_equal(LAUNCH(module, "barriers", 1, 128, PLACE(out)).code, 0);
    for (int t = 0; t < 128; t++)
        assert_int_equal(out[t], (t < 64 ? t : t - 63) + 43 * 1000 + 100000);
}

static void awaits(void **state)
{
    int *in = test_allocate(256), *out = test_allocate(512);
    (void)state;
    for (int i = 0; i < 64; i++)
        in[i] = i * 3;
    assert_int_equal(LAUNCH(module, "awaits", 1, 64, PLACE(in), PLACE(out), 5).code, 0);
    for (int t = 0; t < 64; t++)
        assert_int_equal(out[t], (10 + (63 - t) * 15) * 1000 + (63 - t) * 3);
    assert_int_equal(LAUNCH(module, "tile_of_warps", 1, 128, PLACE(out)).code, 0);
    for (int t = 0; t < 128; t++)
        assert_int_equal(out[t], t < 64 ? 0 : 101);
}

/* Halves of small whole numbers: 0 to 7. */
static uint16_t half_of(int n)
{
    static const uint16_t halves[] = {0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700};
    return halves[n];
}

static void tensor(void **state)
{
    uint16_t *a = test_allocate(512), *b = test_allocate(512);
    float *c = test_allocate(1024);
    (void)state;
    for (int i = 0; i < 256; i++) {
        a[i] = half_of(i % 7);
        b[i] = half_of(i * 3 % 8);
    }
    assert_int_equal(LAUNCH(module, "tensor", 1, 32, PLACE(a), PLACE(b), PLACE(c)).code, 0);
    for (int i = 0; i < 256; i++) {
        int sum = 1;
        for (int k = 0; k < 16; k++)
            sum += (i / 16 * 16 + k) % 7 * ((i % 16 * 16 + k) * 3 % 8);
        assert_true(c[i] == (float)(2 * sum));
    }
}

static void matrix(void **state)
{
    struct wh_soft_launch launch = {.grid = {4, 4}, .block = {16, 16}};
    float *a = test_allocate(64 * 64 * 4), *b = test_allocate(64 * 64 * 4),
          *c = test_allocate(64 * 64 * 4);
    const uint64_t args[] = {PLACE(a), PLACE(b), PLACE(c), 64};
    (void)state;
    for (int i = 0; i < 64 * 64; i++) {
        a[i] = (float)(i % 17);
        b[i] = (float)(i % 23);
    }
    assert_int_equal(test_launch_as(module, "matrix", launch, 4, args).code, 0);
    for (int i = 0; i < 64 * 64; i++) {
        float sum = 0;
        for (int k = 0; k < 64; k++)
            sum += a[i / 64 * 64 + k] * b[k * 64 + i % 64];
        assert_true(c[i] == sum); /* small integers: exact in any order */
    }
}

static void describes(void **state)
{
    test_were_in_view(10);
    struct wh_soft_kernel_info info;
    size_t offset, size;
    struct wh_soft_kernel *kernel = wh_soft_find_kernel(module, "calls");
    (void)state;
    wh_soft_kernel_info(kernel, &info);
    assert_int_equal(info.nparams, 2);
    assert_int_equal(info.ptx_version, 90);
    assert_true(wh_soft_kernel_param(kernel, 1, &offset, &size));
    assert_int_equal(offset, 8);
    assert_int_equal(size, 48);
    assert_false(wh_soft_kernel_param(kernel, 2, &offset, &size));
    wh_soft_kernel_info(wh_soft_find_kernel(module, "matrix"), &info);
    assert_int_equal(info.shared, 2048);
    wh_soft_kernel_info(wh_soft_find_kernel(module, "cluster"), &info);
    assert_int_equal(info.required_cluster[0], 4);
    assert_null(wh_soft_find_kernel(module, "fibonacci"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_vectors),  cmocka_unit_test(reduce),      cmocka_unit_test(lanes),
        cmocka_unit_test(progress),     cmocka_unit_test(cooperative), cmocka_unit_test(clusters),
        cmocka_unit_test(atomics),      cmocka_unit_test(calls),       cmocka_unit_test(branches),
        cmocka_unit_test(local_arrays), cmocka_unit_test(globals),     cmocka_unit_test(prints),
        cmocka_unit_test(faults),       cmocka_unit_test(heap),        cmocka_unit_test(copies),
        cmocka_unit_test(halves),       cmocka_unit_test(barriers),    cmocka_unit_test(matrix),
        cmocka_unit_test(awaits),       cmocka_unit_test(tensor),      cmocka_unit_test(describes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
