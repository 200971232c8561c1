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
    CUlibrary library;
    CUcontext context;
    bool away;   /* the context is not there: the program's bytes are all that there is */
    char name[]; /* of the variable */
};

static struct {
    pthread_mutex_t lock;
    struct mirror *_Atomic first;
} mirrors = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local bool busy; /* a copy of ours must not lead to another */

/* ---- pages ---- */

/* Whether a variable lies in the page. */
static bool is_used(uintptr_t page)
{
    const struct mirror *m = mirrors.first;
    while (m && (page >= (uintptr_t)m->address + m->size || (uintptr_t)m->address >= page + PAGE))
        m = m->next;
    return m != NULL;
}

/* Gives pages back up to `end`, but for those where another variable lies. */
static void unmap_pages(const uint8_t *address, uintptr_t end)
{
    for (uintptr_t page = (uintptr_t)address & ~(PAGE - 1); page < end; page += PAGE)
        if (!is_used(page))
            munmap((void *)page, PAGE);
}

/* Pages for the variable; those that an earlier one brought are there already. */
static bool map_pages(const uint8_t *address, size_t size)
{
    uintptr_t end = wh_round_up((uintptr_t)address + size, PAGE);
    for (uintptr_t page = (uintptr_t)address & ~(PAGE - 1); page < end; page += PAGE) {
        if (is_used(page))
            continue;
        void *got = mmap((void *)page, PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (got == (void *)page)
            continue;
        if (got != MAP_FAILED)
            munmap(got, PAGE);
        unmap_pages(address, page);
        return false;
    }
    return true;
}

/* ---- variables ---- */

static struct mirror *find(const uint8_t *address)
{
    struct mirror *m = mirrors.first;
    while (m && m->address != address)
        m = m->next;
    return m;
}

/* A variable that is not in the list, nor any more. */
static void discard(struct mirror *m)
{
    unmap_pages(m->address, (uintptr_t)m->address + m->size);
    free(m->known);
    free(m);
}

static void unlist(const struct mirror *m)
{
    if (mirrors.first == m) {
        mirrors.first = m->next;
        return;
    }
    struct mirror *before = mirrors.first;
    while (before->next != m)
        before = before->next;
    before->next = m->next;
}

static struct mirror *make(uint8_t *address, size_t size, CUlibrary library, const char *name)
{
    size_t length = strlen(name) + 1;
    struct mirror *m = calloc(1, sizeof(*m) + length);
    if (m) {
        *m = (struct mirror){.address = address,
                             .size = size,
                             .library = library,
                             .context = wh_cuda_current(),
                             .known = malloc(2 * size)};
        memcpy(m->name, name, length);
    }
    if (m && m->known && map_pages(address, size))
        return m;
    if (m)
        free(m->known);
    free(m);
    return NULL;
}

static CUresult add_locked(uint8_t *address, size_t size, CUlibrary library, const char *name)
{
    struct mirror *m = make(address, size, library, name);
    if (!m) {
        wh_log("a managed variable's address is in use in this process");
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    busy = true;
    CUresult result = wh_cuda_read(address, (uintptr_t)address, size, NULL);
    busy = false;
    if (result != CUDA_SUCCESS) {
        discard(m);
        return result;
    }
    memcpy(m->known, address, size);
    m->next = mirrors.first;
    mirrors.first = m;
    return CUDA_SUCCESS;
}

static void drop_away_locked(const uint8_t *address)
{
    struct mirror *m = find(address);
    if (m && m->away) {
        unlist(m);
        discard(m);
    }
}

CUresult wh_cuda_mirror(CUdeviceptr at, size_t size, CUlibrary library, const char *name)
{
    uint8_t *address = (uint8_t *)(uintptr_t)at;
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&mirrors.lock);
    drop_away_locked(address);
    if (!find(address))
        result = add_locked(address, size, library, name);
    pthread_mutex_unlock(&mirrors.lock);
    return result;
}

/* ---- the program's bytes and the device's ---- */

CUresult wh_cuda_mirrors_push(CUstream stream)
{
    CUresult result = CUDA_SUCCESS;
    if (!mirrors.first || busy)
        return CUDA_SUCCESS;
    if (wh_cuda_capturing() && wh_cuda_stream_captures(stream))
        return CUDA_SUCCESS; /* the graph's launches will do it */
    pthread_mutex_lock(&mirrors.lock);
    busy = true;
    for (struct mirror *m = mirrors.first; m && result == CUDA_SUCCESS; m = m->next) {
        if (m->away || memcmp(m->known, m->address, m->size) == 0)
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
        if (m->away || memcmp(m->known, m->address, m->size) != 0 ||
            wh_cuda_read(now, (uintptr_t)m->address, m->size, NULL) != CUDA_SUCCESS ||
            memcmp(m->known, now, m->size) == 0)
            continue;
        memcpy(m->known, now, m->size);
        memcpy(m->address, now, m->size);
    }
    busy = false;
    pthread_mutex_unlock(&mirrors.lock);
}

/* ---- the end ---- */

void wh_cuda_mirrors_drop(const void *library)
{
    pthread_mutex_lock(&mirrors.lock);
    for (struct mirror *m = mirrors.first, *next; m; m = next) {
        next = m->next;
        if (m->library == library) {
            unlist(m);
            discard(m);
        }
    }
    pthread_mutex_unlock(&mirrors.lock);
}

void wh_cuda_mirrors_end(CUcontext context, bool is_primary)
{
    pthread_mutex_lock(&mirrors.lock);
    for (struct mirror *m = mirrors.first, *next; m; m = next) {
        next = m->next;
        if (m->context != context)
            continue;
        m->away = true;
        if (!is_primary) {
            unlist(m);
            discard(m);
        }
    }
    pthread_mutex_unlock(&mirrors.lock);
}

/* A copy of the next variable of the context that is away; NULL: there is none. Free with free. */
static struct mirror *copy_away(CUcontext context)
{
    struct mirror *copy = NULL;
    pthread_mutex_lock(&mirrors.lock);
    const struct mirror *m = mirrors.first;
    while (m && (!m->away || m->context != context))
        m = m->next;
    size_t size = m ? sizeof(*m) + strlen(m->name) + 1 : 0;
    if (m && (copy = malloc(size)))
        memcpy(copy, m, size);
    pthread_mutex_unlock(&mirrors.lock);
    return copy;
}

static void drop_away(const uint8_t *address)
{
    pthread_mutex_lock(&mirrors.lock);
    drop_away_locked(address);
    pthread_mutex_unlock(&mirrors.lock);
}

void wh_cuda_mirrors_begin(CUcontext context)
{
    struct mirror *m;
    if (!mirrors.first || cuCtxPushCurrent_v2(context) != CUDA_SUCCESS)
        return;
    while ((m = copy_away(context))) {
        CUdeviceptr at = 0;
        /* To ask for it loads its library, and brings it here again. */
        if (cuLibraryGetManaged(&at, NULL, m->library, m->name) != CUDA_SUCCESS ||
            at != (uintptr_t)m->address) {
            wh_log("the managed variable %s is not where it was before the device was reset",
                   m->name);
            drop_away(m->address);
        }
        free(m);
    }
    cuCtxPopCurrent_v2(NULL);
}
