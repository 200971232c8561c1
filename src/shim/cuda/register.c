/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registered memory: the program's own pages are exchanged for pages of the arena with the same
 * bytes, at the same address, which the worker maps there as well; the device then works on what
 * the program sees. Only private memory of this process is exchanged: what it shares with files or
 * other processes stays as it is, and is copied like any other memory. The program must not write
 * to the pages while the function runs, nor while it is undone.
 */
#include "shim/cuda/shim.h"

#include "base/log.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE ((uintptr_t)4096)

/* An exchanged range. */
struct exchange {
    struct exchange *next;
    uint8_t *start;
    size_t size;
    const uint8_t *arena; /* the same pages in the arena's own mapping */
};

static struct {
    pthread_mutex_t lock;
    struct exchange *first;
    bool prepared;
} exchanges = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Whether all of [start, end) is private memory that can be written to, and no stack. */
static bool is_private(uintptr_t start, uintptr_t end)
{
    char line[512], rights[8], name[256];
    unsigned long from, to, inode;
    FILE *maps = fopen("/proc/self/maps", "re");
    uintptr_t at = start;
    while (maps && at < end && fgets(line, sizeof(line), maps)) {
        *name = '\0';
        if (sscanf(line, "%lx-%lx %7s %*s %*s %lu %255s", &from, &to, rights, &inode, name) < 4 ||
            to <= at)
            continue;
        if (from > at || strncmp(rights, "rw-p", 4) != 0 || inode != 0 ||
            strncmp(name, "[stack", 6) == 0)
            break;
        at = to;
    }
    if (maps)
        fclose(maps);
    return at >= end;
}

/* Gives the range private pages again, with the bytes it has. */
static bool restore(const struct exchange *e)
{
    if (mmap(e->start, e->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) != e->start)
        return false;
    memcpy(e->start, e->arena, e->size);
    return true;
}

/* A child's memory is its own: what it got from its parent here is shared with it. */
static void restore_in_child(void)
{
    for (struct exchange *e = exchanges.first; e; e = e->next)
        restore(e);
    exchanges.first = NULL;
    pthread_mutex_init(&exchanges.lock, NULL);
}

static void remember(struct exchange *e)
{
    pthread_mutex_lock(&exchanges.lock);
    if (!exchanges.prepared)
        exchanges.prepared = pthread_atfork(NULL, NULL, restore_in_child) == 0;
    e->next = exchanges.first;
    exchanges.first = e;
    pthread_mutex_unlock(&exchanges.lock);
}

static struct exchange *take(const uint8_t *start)
{
    pthread_mutex_lock(&exchanges.lock);
    struct exchange **link = &exchanges.first;
    while (*link && (*link)->start != start)
        link = &(*link)->next;
    struct exchange *e = *link;
    if (e)
        *link = e->next;
    pthread_mutex_unlock(&exchanges.lock);
    return e;
}

/* Puts the arena's pages in the range's place; false: nothing happened. */
static bool put_in_place(struct wh_session *session, struct exchange *e,
                         const struct wh_block *block)
{
    const struct wh_channel *channel = wh_session_channel(session);
    memcpy(wh_arena_address(wh_session_arena(session), block), e->start, e->size);
    return mmap(e->start, e->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                channel->arena_fd, (off_t)(channel->arena_offset + block->offset)) == e->start;
}

/* The program's pages are private again. Where that fails they stay what they are, the program's
 * bytes, and their room in the arena is nobody else's. */
static void end_exchange(const uint8_t *start, const struct wh_block *block)
{
    struct exchange *e = take(start);
    if (e && restore(e))
        wh_arena_release(wh_session_arena(wh_cuda_session()), block);
    free(e);
}

/* The pages' new home in the arena; NULL: they stay where they are. */
static const struct wh_block *exchange_pages(struct wh_session *session, uint8_t *start,
                                             size_t size)
{
    const struct wh_channel *channel = wh_session_channel(session);
    struct exchange *e = calloc(1, sizeof(*e));
    const struct wh_block *block = NULL;
    if (e && channel->arena_fd >= 0 && wh_cuda_shares_arena(session) &&
        is_private((uintptr_t)start, (uintptr_t)start + size))
        block = wh_cuda_stage(size, PAGE);
    if (!block) {
        free(e);
        return NULL;
    }
    *e = (struct exchange){
        .start = start, .size = size, .arena = wh_arena_address(wh_session_arena(session), block)};
    if (put_in_place(session, e, block)) {
        remember(e);
        if (wh_cuda_call_host_alias((uintptr_t)start, size, block->offset,
                                    CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP) ==
            CUDA_SUCCESS)
            return block;
        wh_debug("registered memory at %p cannot be shared with the worker", (void *)start);
        end_exchange(start, block);
        return NULL;
    }
    wh_arena_release(wh_session_arena(session), block);
    free(e);
    return NULL;
}

void wh_cuda_end_registration(const void *address, struct wh_cuda_host *host)
{
    if (host->block)
        end_exchange((uint8_t *)((uintptr_t)address & ~(PAGE - 1)), host->block);
    free(host);
}

WH_EXPORT CUresult cuMemHostRegister_v2(void *address, size_t size, unsigned int flags)
{
    const unsigned known =
        CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_READ_ONLY;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!address || size == 0 || size > SIZE_MAX / 2)
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & ~known)
        return flags & CU_MEMHOSTREGISTER_IOMEMORY ? CUDA_ERROR_NOT_SUPPORTED
                                                   : CUDA_ERROR_INVALID_VALUE;
    if (!wh_cuda_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    if (wh_cuda_ranges_touch(wh_cuda_memory(), (uintptr_t)address, size))
        return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    uint8_t *start = (uint8_t *)((uintptr_t)address & ~(PAGE - 1));
    size_t whole = wh_round_up((uintptr_t)address + size, PAGE) - (uintptr_t)start;
    const struct wh_block *block = exchange_pages(wh_cuda_session(), start, whole);
    result = wh_cuda_host_add(block, address, size, flags, WH_CUDA_REGISTERED);
    if (result != CUDA_SUCCESS && block) {
        (void)wh_cuda_call_host_unregister((uintptr_t)start);
        end_exchange(start, block);
    }
    return result;
}

WH_EXPORT CUresult cuMemHostUnregister(void *address)
{
    struct wh_cuda_range range;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!address)
        return CUDA_ERROR_INVALID_VALUE;
    if (!wh_cuda_ranges_find(wh_cuda_memory(), (uintptr_t)address, 0, &range) ||
        range.start != (uintptr_t)address || range.kind != WH_CUDA_REGISTERED ||
        !wh_cuda_ranges_take(wh_cuda_memory(), range.start, &range))
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    struct wh_cuda_host *host = range.extra;
    if (host->block)
        result = wh_cuda_call_host_unregister((uintptr_t)address & ~(PAGE - 1));
    wh_cuda_end_registration(address, host);
    return result;
}
