/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device memory for the engine's tests: pieces of the heap in a list, and a launch in one line.
 */
#ifndef WH_TESTS_SOFTGPU_ENGINE_MEMORY_H
#define WH_TESTS_SOFTGPU_ENGINE_MEMORY_H

#include "backend/softgpu/engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

extern const struct wh_soft_memory test_memory;

/* `size` bytes for kernels, zeroed; freed by test_memory_end, which fails the test should the
 * engine have kept any. */
void *test_allocate(size_t size);
void test_memory_end(void);

/* The file's bytes (to be freed) or a failed test. */
char *test_read(const char *name, size_t *size);

/* Loads one image; fails the test when it is refused. */
struct wh_soft_module *test_load(const char *name);

/* A kernel over (x blocks of y threads) with arguments of 8 bytes, or smaller ones as the kernel
 * has them. */
struct wh_soft_fault test_launch(struct wh_soft_module *module, const char *kernel, unsigned x,
                                 unsigned y, unsigned nargs, const uint64_t *args);
/* The same with all that a launch can say; its kernel and parameters are filled in. */
struct wh_soft_fault test_launch_as(struct wh_soft_module *module, const char *kernel,
                                    struct wh_soft_launch launch, unsigned nargs,
                                    const uint64_t *args);

/* view.c: tries the launch as in a view; false: it left no trace. */
bool test_try_in_view(const struct wh_soft_launch *launch);

/* At least so many launches came to their end there; otherwise the test fails. Nothing where none
 * is tried. */
#ifdef TEST_VIEW
void test_were_in_view(unsigned least);
#else
static inline void test_were_in_view(unsigned least)
{
    (void)least;
}
#endif

#define LAUNCH(module, kernel, x, y, ...)                                                         \
    test_launch(module, kernel, x, y, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), \
                (const uint64_t[]){__VA_ARGS__})

#endif
