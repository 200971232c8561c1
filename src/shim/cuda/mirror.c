/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Managed variables of modules lie where the driver put them, in the worker. The program reads and
 * writes them through pages of its own at the same addresses: what it changed goes to the device
 * before the next launch, what the device changed comes back when the program synchronises, which
 * is all that CUDA promises where the host may not touch managed memory during a kernel.
 */
#include "shim/cuda/mirror.h"

#include "base/log.h"
#include "base/util.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PAGE ((uintptr_t)4096)

struct mirror {
    struct mirror *next;
    uint8_t *address; /* the program's bytes, and the device's address of the variable */
    size_t size;
    uint8_t *known; /* what both sides last agreed on, then as much scratch memory */
    const void *owner;
};

static struct {
    pthread_mutex_t lock;
    struct mirror *_Atomic first;
} mirrors = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local bool busy; /* a copy of ours must not lead to another */

/* Pages for the variable; those that an earlier one brought are there already. */
static bool map_pages(const uint8_t *address, size_t size)
{
    uintptr_t end = wh_round_up((uintptr_t)address + size, PAGE);
    for (uintptr_t page = (uintptr_t)address & ~(PAGE - 1); page < end; page += PAGE) {
        bool ours = false;
        for (const struct mirror *m = mirrors.first; m && !ours; m = m->next)
            ours = page < (uintptr_t)m->address + m->size && (uintptr_t)m->address < page + PAGE;
        if (ours)
            continue;
        void *got = mmap((void *)page, PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (got == (void *)page)
            continue;
        if (got != MAP_FAILED)
            munmap(got, PAGE);
        return false;
    }
    return true;
}

static struct mirror *find(const uint8_t *address)
{
    struct mirror *m = mirrors.first;
    while (m && m->address != address)
        m = m->next;
    return m;
}

static struct mirror *make(uint8_t *address, size_t size, const void *owner)
{
    struct mirror *m = calloc(1, sizeof(*m));
    if (m)
        *m = (struct mirror){
            .address = address, .size = size, .owner = owner, .known = malloc(2 * size)};
    if (m && m->known && map_pages(address, size))
        return m;
    if (m)
        free(m->known);
    free(m);
    return NULL;
}

/* The variable's first bytes. cudart asks before any context is current: the first device's is
 * used then, and kept, as the program is about to use it anyway. */
static CUresult read_first(struct mirror *m)
{
    CUcontext context = NULL;
    CUresult result = CUDA_SUCCESS;
    if (!wh_cuda_current()) {
        result = cuDevicePrimaryCtxRetain(&context, 0);
        if (result == CUDA_SUCCESS)
            result = cuCtxPushCurrent_v2(context);
    }
    if (result == CUDA_SUCCESS)
        result = wh_cuda_read(m->address, (uintptr_t)m->address, m->size, NULL);
    if (context)
        cuCtxPopCurrent_v2(&context);
    return result;
}

CUresult wh_cuda_mirror(CUdeviceptr at, size_t size, const void *owner)
{
    uint8_t *address = (uint8_t *)(uintptr_t)at;
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&mirrors.lock);
    if (!find(address)) {
        struct mirror *m = make(address, size, owner);
        busy = true;
        result = m ? read_first(m) : CUDA_ERROR_NOT_SUPPORTED;
        busy = false;
        if (!m)
            wh_log("a managed variable's address is in use in this process");
        if (result == CUDA_SUCCESS) {
            memcpy(m->known, m->address, size);
            m->next = mirrors.first;
            mirrors.first = m;
        } else if (m) {
            free(m->known);
            free(m);
        }
    }
    pthread_mutex_unlock(&mirrors.lock);
    return result;
}

CUresult wh_cuda_mirrors_push(CUstream stream)
{
    CUresult result = CUDA_SUCCESS;
    if (!mirrors.first || busy)
        return CUDA_SUCCESS;
    pthread_mutex_lock(&mirrors.lock);
    busy = true;
    for (struct mirror *m = mirrors.first; m && result == CUDA_SUCCESS; m = m->next) {
        if (memcmp(m->known, m->address, m->size) == 0)
            continue;
        memcpy(m->known, m->address, m->size);
        result = wh_cuda_write((uintptr_t)m->address, m->known, m->size, stream);
    }
    busy = false;
    pthread_mutex_unlock(&mirrors.lock);
    return result;
}

void wh_cuda_mirrors_pull(void)
{
    if (!mirrors.first || busy)
        return;
    pthread_mutex_lock(&mirrors.lock);
    busy = true;
    for (struct mirror *m = mirrors.first; m; m = m->next) {
        uint8_t *now = m->known + m->size;
        /* What the program wrote meanwhile is newer, and goes out with the next launch. */
        if (memcmp(m->known, m->address, m->size) != 0 ||
            wh_cuda_read(now, (uintptr_t)m->address, m->size, NULL) != CUDA_SUCCESS ||
            memcmp(m->known, now, m->size) == 0)
            continue;
        memcpy(m->known, now, m->size);
        memcpy(m->address, now, m->size);
    }
    busy = false;
    pthread_mutex_unlock(&mirrors.lock);
}

/* The pages stay: another variable may lie in them. */
void wh_cuda_mirrors_drop(const void *owner)
{
    pthread_mutex_lock(&mirrors.lock);
    struct mirror *kept = NULL, *next;
    for (struct mirror *m = mirrors.first; m; m = next) {
        next = m->next;
        if (m->owner == owner) {
            free(m->known);
            free(m);
        } else {
            m->next = kept;
            kept = m;
        }
    }
    mirrors.first = kept;
    pthread_mutex_unlock(&mirrors.lock);
}
