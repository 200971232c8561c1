/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of the program's own memory in graphs; see staging.h. */
#include "shim/cuda/staging.h"

#include "base/util.h"
#include "shim/cuda/callback.h"

#include <stdlib.h>

#define PAGE 4096u

struct wh_cuda_staging {
    struct wh_cuda_staging *next; /* of those that are over */
    const struct wh_session *session;
    const struct wh_block *block;
    size_t pinned; /* bytes of it: whole pages */
    struct wh_copy rows;
    wh_cuda_place place; /* of the program's memory, as it gave it */
    bool fills;          /* the arena, before the copy; else empties it behind that */
    uint8_t *from;       /* between two places of the program: no block */
};

/* ---- moving ---- */

void wh_cuda_staging_move(const struct wh_cuda_staging *staging)
{
    struct wh_arena *arena = wh_session_arena(wh_cuda_session());
    if (!staging->block) {
        memmove(staging->rows.memory, staging->from, staging->rows.width);
        return;
    }
    uint8_t *bytes = wh_arena_address(arena, staging->block);
    if (staging->fills)
        wh_copy_from_memory(&staging->rows, bytes);
    else
        wh_copy_to_memory(&staging->rows, bytes);
}

static void give_back(const struct wh_block *block, size_t size)
{
    (void)wh_cuda_call_unpin(size, block->offset);
    wh_arena_release(wh_session_arena(wh_cuda_session()), block);
}

void wh_cuda_staging_end(struct wh_cuda_staging *staging)
{
    if (staging->block)
        give_back(staging->block, staging->pinned);
    free(staging);
}

/* ---- making ---- */

static struct wh_cuda_staging *_Atomic over;

void wh_cuda_staging_over(struct wh_cuda_staging *staging)
{
    staging->next = atomic_load(&over);
    while (!atomic_compare_exchange_weak(&over, &staging->next, staging))
        ;
}

void wh_cuda_staging_reap(void)
{
    struct wh_cuda_staging *next;
    if (!atomic_load_explicit(&over, memory_order_relaxed))
        return;
    for (struct wh_cuda_staging *staging = atomic_exchange(&over, NULL); staging; staging = next) {
        next = staging->next;
        if (staging->session == wh_cuda_session())
            wh_cuda_staging_end(staging);
        else
            free(staging); /* of before a fork */
    }
}

static struct wh_copy rows_of(const struct wh_cuda_sides *s, const struct wh_cuda_side *host)
{
    size_t pitch = host->place.pitch;
    return (struct wh_copy){.memory = host->host,
                            .width = s->width,
                            .height = s->height,
                            .depth = s->depth,
                            .memory_row = pitch,
                            .memory_slice = pitch * host->place.height,
                            .arena_row = s->width,
                            .arena_slice = s->width * s->height};
}

static struct wh_cuda_staging *new_staging(const struct wh_cuda_sides *s, size_t size)
{
    bool fills = s->from.host != NULL;
    const struct wh_cuda_side *host = fills ? &s->from : &s->to;
    wh_cuda_staging_reap();
    struct wh_cuda_staging *staging = calloc(1, sizeof(*staging));
    if (!staging)
        return NULL;
    staging->session = wh_cuda_session();
    staging->pinned = wh_round_up(size, PAGE);
    staging->block = wh_cuda_stage(staging->pinned, PAGE);
    staging->rows = rows_of(s, host);
    staging->place = host->place;
    staging->fills = fills;
    if (staging->block && wh_cuda_call_pin(staging->pinned, staging->block->offset) == CUDA_SUCCESS)
        return staging;
    if (staging->block)
        wh_arena_release(wh_session_arena(wh_cuda_session()), staging->block);
    free(staging);
    return NULL;
}

/* The size of all rows packed; false: more than there can be. */
static bool size_of(const struct wh_cuda_sides *s, size_t *size)
{
    return !__builtin_mul_overflow(s->width, s->height, size) &&
           !__builtin_mul_overflow(*size, s->depth, size) && *size <= SIZE_MAX - PAGE;
}

CUresult wh_cuda_stage_sides(const struct wh_cuda_sides *s, struct wh_cuda_staged *staged)
{
    const wh_cuda_place packed = {
        .kind = WH_CUDA_PLACE_STAGED, .pitch = s->width, .height = s->height};
    size_t size;
    *staged = (struct wh_cuda_staged){.box = {.to = s->to.place,
                                              .from = s->from.place,
                                              .width = s->width,
                                              .height = s->height,
                                              .depth = s->depth}};
    if (!s->to.host && !s->from.host)
        return CUDA_SUCCESS;
    if (s->to.host && s->from.host)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!size_of(s, &size))
        return CUDA_ERROR_INVALID_VALUE;
    struct wh_cuda_staging *staging = new_staging(s, size);
    if (!staging)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *(staging->fills ? &staged->box.from : &staged->box.to) = packed;
    staged->offset = staging->block->offset;
    staged->size = size;
    staged->token = wh_cuda_notice_add(&(struct wh_cuda_notice){.staging = staging});
    if (staged->token)
        return CUDA_SUCCESS;
    wh_cuda_staging_end(staging);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

void wh_cuda_unstage(const struct wh_cuda_staged *staged)
{
    struct wh_cuda_notice notice;
    if (!staged->token || !wh_cuda_notice_find(staged->token, &notice))
        return;
    wh_cuda_notice_drop(staged->token);
    wh_cuda_staging_end(notice.staging);
}

bool wh_cuda_staged_side(uint64_t token, wh_cuda_place *place, bool *fills)
{
    struct wh_cuda_notice notice;
    if (!wh_cuda_notice_find(token, &notice) || !notice.staging)
        return false;
    *place = notice.staging->place;
    *fills = notice.staging->fills;
    return true;
}

/* ---- in a capture ---- */

/* Between two places of the program: a function that does it. */
static CUresult capture_here(void *to, void *from, size_t size, CUstream stream)
{
    struct wh_cuda_staging *staging = calloc(1, sizeof(*staging));
    if (!staging)
        return CUDA_ERROR_OUT_OF_MEMORY;
    staging->session = wh_cuda_session();
    staging->from = from;
    staging->rows = (struct wh_copy){.memory = to, .width = size};
    uint64_t token = wh_cuda_notice_add(&(struct wh_cuda_notice){.staging = staging});
    uint64_t a[] = {(uintptr_t)stream, token};
    CUresult result =
        token ? wh_cuda_call_now(WH_CUDA_wh_host_function, a) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS)
        return result;
    wh_cuda_notice_drop(token);
    free(staging);
    return result;
}

CUresult wh_cuda_capture_sides(const struct wh_cuda_sides *s, CUstream stream)
{
    struct wh_cuda_staged staged;
    if (s->to.host && s->from.host && s->height == 1 && s->depth == 1)
        return capture_here(s->to.host, s->from.host, s->width, stream);
    CUresult result = wh_cuda_stage_sides(s, &staged);
    if (result != CUDA_SUCCESS)
        return result;
    result = wh_cuda_call_capture_copy(&staged.box, s->to.array, s->from.array, staged.size,
                                       staged.offset, staged.token, stream);
    if (result != CUDA_SUCCESS)
        wh_cuda_unstage(&staged);
    return result;
}

CUresult wh_cuda_capture_plain(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream)
{
    const CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_UNIFIED,
                                .srcDevice = from,
                                .dstMemoryType = CU_MEMORYTYPE_UNIFIED,
                                .dstDevice = to,
                                .WidthInBytes = size,
                                .Height = 1,
                                .Depth = 1};
    struct wh_cuda_sides sides;
    CUresult result = wh_cuda_sides_of(&copy, &sides);
    return result == CUDA_SUCCESS ? wh_cuda_capture_sides(&sides, stream) : result;
}
