/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the software device's engine with PTX text: whatever loads is run as well, its kernels
 * over a block and a half of threads with one small piece of memory to reach. A kernel that does
 * not end is cancelled.
 */
#include "backend/softgpu/engine/engine.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECE       4096u
#define PIECES_MAX  8
#define PATIENCE_US 20000

static struct {
    char *bytes;
    size_t size;
} pieces[PIECES_MAX];
static atomic_bool cancel;

static bool reach(void *owner, uint64_t address, uint64_t *start, uint64_t *end)
{
    (void)owner;
    for (unsigned i = 0; i < PIECES_MAX; i++) {
        *start = (uint64_t)(uintptr_t)pieces[i].bytes;
        *end = *start + pieces[i].size;
        if (pieces[i].bytes && address >= *start && address < *end)
            return true;
    }
    return false;
}

static uint64_t allocate(void *owner, size_t size, size_t alignment)
{
    (void)owner;
    for (unsigned i = 0; i < PIECES_MAX; i++)
        if (!pieces[i].bytes && size < 1u << 22) {
            pieces[i].bytes =
                aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
            pieces[i].size = size;
            if (pieces[i].bytes)
                memset(pieces[i].bytes, 0, size);
            return (uint64_t)(uintptr_t)pieces[i].bytes;
        }
    return 0;
}

static void release(void *owner, uint64_t address)
{
    (void)owner;
    for (unsigned i = 0; i < PIECES_MAX; i++)
        if ((uint64_t)(uintptr_t)pieces[i].bytes == address) {
            free(pieces[i].bytes);
            pieces[i].bytes = NULL;
            return;
        }
    abort();
}

static const struct wh_soft_memory memory = {
    .reach = reach, .allocate = allocate, .release = release};

static void too_long(int signal)
{
    (void)signal;
    atomic_store(&cancel, true);
}

static void run(struct wh_soft_kernel *kernel, uint64_t piece, bool cooperative)
{
    const struct itimerval patience = {.it_value = {.tv_usec = PATIENCE_US}}, none = {0};
    struct wh_soft_kernel_info info;
    struct wh_soft_fault fault;
    wh_soft_kernel_info(kernel, &info);
    uint8_t *params = calloc(1, info.params_size + 1);
    if (!params)
        return;
    for (size_t i = 0; i + sizeof(piece) <= info.params_size; i += sizeof(piece))
        memcpy(params + i, &piece, sizeof(piece));
    struct wh_soft_launch launch = {.kernel = kernel,
                                    .grid = {2, 1, 1},
                                    .block = {48, 1, 1},
                                    .cluster = {1, 1, 1},
                                    .dynamic_shared = 64,
                                    .cooperative = cooperative,
                                    .params = params,
                                    .heap = 1u << 20,
                                    .cancel = &cancel};
    atomic_store(&cancel, false);
    signal(SIGALRM, too_long);
    setitimer(ITIMER_REAL, &patience, NULL);
    if ((wh_soft_run(&memory, &launch, &fault) == 0) != (fault.code == 0))
        abort();
    setitimer(ITIMER_REAL, &none, NULL);
    free(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wh_soft_module *module = NULL;
    struct wh_error error = {0};
    const void *image = data;
    uint64_t piece = allocate(NULL, PIECE, 4096);
    if (wh_soft_load(&memory, &image, &size, 1, &module, &error) == WH_SOFT_OK) {
        for (size_t i = 0; i < wh_soft_nkernels(module) && i < 4; i++)
            run(wh_soft_kernel_at(module, i), piece, i & 1);
        wh_soft_unload(module);
    } else if (error.text[0] == '\0') {
        abort();
    }
    release(NULL, piece);
    return 0;
}
