/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the software device's engine with PTX text: whatever loads is run as well, its kernels
 * over a block and a half of threads with one small piece of memory and a few textures to reach. A
 * kernel that does not end is cancelled.
 */
#include "backend/softgpu/engine/engine.h"
#include "backend/softgpu/engine/texture.h"

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

/* Textures and surfaces by the numbers 1 to 6, over exactly as many bytes as they have. */
#define TEXELS 1536u
static const struct wh_soft_texture *texture(void *owner, uint64_t number)
{
    static uint8_t *texels;
    static struct wh_soft_texture textures[6];
    (void)owner;
    if (!texels && (texels = calloc(1, TEXELS))) {
        uint64_t at = (uint64_t)(uintptr_t)texels;
        const struct wh_soft_level square = {at, 8, 8, 6, 32, 256}, half = {at, 4, 4, 1, 16, 64},
                                   line = {at + TEXELS - 64, 16, 1, 1, 64, 64};
        const struct wh_soft_texture plain = {.levels = {square, half},
                                              .nlevels = 2,
                                              .channel = WH_SOFT_FLOAT32,
                                              .nchannels = 1,
                                              .texel = 4,
                                              .normalized = true,
                                              .filtered = true,
                                              .filtered_levels = true,
                                              .most_level = 9};
        for (unsigned i = 0; i < 6; i++)
            textures[i] = plain;
        textures[1].levels[0] = line;
        textures[1].channel = WH_SOFT_UNSIGNED8;
        textures[1].nchannels = 4;
        textures[1].nlevels = 1;
        textures[1].linear = textures[1].borrowed = true; /* memory that is gone */
        textures[2].cube = textures[2].layered = textures[2].seamless = true;
        textures[2].nlevels = 1;
        textures[3].surface = true;
        textures[3].nlevels = 1;
        textures[4].wrap[0] = WH_SOFT_MIRROR;
        textures[4].wrap[1] = WH_SOFT_BORDER;
        textures[4].channel = WH_SOFT_SIGNED16;
        textures[4].nchannels = 2;
        textures[5].surface = true;
        textures[5].levels[0] = line;
        textures[5].nlevels = 1;
    }
    return texels && number >= 1 && number <= 6 ? &textures[number - 1] : NULL;
}

static const struct wh_soft_memory memory = {
    .reach = reach, .allocate = allocate, .release = release, .texture = texture};

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
