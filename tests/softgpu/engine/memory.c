/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and launches of the engine's tests; see memory.h.
 */
#include "memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct piece {
    struct piece *next;
    uint64_t start, end;
    bool engine; /* asked for by the engine, which must give it back */
};

static struct piece *pieces;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool reach(void *owner, uint64_t address, uint64_t *start, uint64_t *end)
{
    (void)owner;
    pthread_mutex_lock(&lock);
    const struct piece *piece = pieces;
    while (piece && (address < piece->start || address >= piece->end))
        piece = piece->next;
    if (piece) {
        *start = piece->start;
        *end = piece->end;
    }
    pthread_mutex_unlock(&lock);
    return piece != NULL;
}

static uint64_t add(size_t size, bool engine)
{
    struct piece *piece = malloc(sizeof(*piece));
    size_t whole = (size + 4095) & ~(size_t)4095;
    char *bytes = aligned_alloc(4096, whole);
    if (!piece || !bytes)
        abort();
    memset(bytes, 0, whole);
    *piece = (struct piece){.start = (uint64_t)(uintptr_t)bytes, .engine = engine};
    piece->end = piece->start + size;
    pthread_mutex_lock(&lock);
    piece->next = pieces;
    pieces = piece;
    pthread_mutex_unlock(&lock);
    return piece->start;
}

static uint64_t allocate(void *owner, size_t size, size_t alignment)
{
    (void)owner;
    return alignment > 4096 ? 0 : add(size, true);
}

static void release(void *owner, uint64_t address)
{
    (void)owner;
    pthread_mutex_lock(&lock);
    struct piece **at = &pieces;
    while (*at && (*at)->start != address)
        at = &(*at)->next;
    struct piece *piece = *at;
    if (piece)
        *at = piece->next;
    pthread_mutex_unlock(&lock);
    if (!piece)
        abort();
    free((void *)(uintptr_t)address); /* NOLINT */
    free(piece);
}

const struct wh_soft_memory test_memory = {
    .reach = reach, .allocate = allocate, .release = release};

void *test_allocate(size_t size)
{
    return (void *)(uintptr_t)add(size, false); /* NOLINT */
}

void test_memory_end(void)
{
    unsigned kept = 0;
    while (pieces) {
        kept += pieces->engine;
        release(NULL, pieces->start);
    }
    assert_int_equal(kept, 0);
}

char *test_read(const char *name, size_t *size)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", getenv("WORMHOLE_TEST_FOLDER"), name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *bytes = malloc(8u << 20);
    assert_non_null(bytes);
    *size = fread(bytes, 1, 8u << 20, file);
    fclose(file);
    return bytes;
}

struct wh_soft_module *test_load(const char *name)
{
    struct wh_soft_module *module = NULL;
    struct wh_error error = {0};
    size_t size;
    char *bytes = test_read(name, &size);
    const void *image = bytes;
    enum wh_soft_status status = wh_soft_load(&test_memory, &image, &size, 1, &module, &error);
    if (status != WH_SOFT_OK)
        print_error("%s\n", error.text);
    assert_int_equal(status, WH_SOFT_OK);
    free(bytes);
    return module;
}

struct wh_soft_fault test_launch_as(struct wh_soft_module *module, const char *kernel,
                                    struct wh_soft_launch launch, unsigned nargs,
                                    const uint64_t *args)
{
    static const uint32_t one[3] = {1, 1, 1};
    uint8_t params[4096] = {0};
    struct wh_soft_fault fault;
    launch.kernel = wh_soft_find_kernel(module, kernel);
    assert_non_null(launch.kernel);
    for (unsigned i = 0; i < nargs; i++) {
        size_t offset, size;
        assert_true(wh_soft_kernel_param(launch.kernel, i, &offset, &size));
        if (size > 8)
            memcpy(params + offset, (const void *)(uintptr_t)args[i], size); /* NOLINT */
        else
            memcpy(params + offset, &args[i], size);
    }
    launch.params = params;
    launch.heap = 8u << 20;
    if (launch.cluster[0] == 0)
        memcpy(launch.cluster, one, sizeof(one));
    for (unsigned i = 0; i < 3; i++) {
        launch.grid[i] = launch.grid[i] ? launch.grid[i] : 1;
        launch.block[i] = launch.block[i] ? launch.block[i] : 1;
    }
#ifdef TEST_VIEW
    if (test_try_in_view(&launch))
        return (struct wh_soft_fault){0};
#endif
    int result = wh_soft_run(&test_memory, &launch, &fault);
    assert_int_equal(result, fault.code ? -1 : 0);
    return fault;
}

struct wh_soft_fault test_launch(struct wh_soft_module *module, const char *kernel, unsigned x,
                                 unsigned y, unsigned nargs, const uint64_t *args)
{
    struct wh_soft_launch launch = {.grid = {x}, .block = {y}};
    return test_launch_as(module, kernel, launch, nargs, args);
}
