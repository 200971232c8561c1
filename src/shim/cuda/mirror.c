/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Managed variables of modules lie where the driver put them, in the worker. The program reads and
 * writes them through pages of its own at the same addresses: what it changed is on the device
 * before the next launch, what the device changed comes back when the program synchronises, which
 * is all that CUDA promises where the host may not touch managed memory during a kernel. Natively
 * neither waits for a stream, and any stream may stand still until this thread goes on: bytes move
 * in a stream of their own.
 */
#include "shim/cuda/mirror.h"

#include "base/log.h"
#include "base/util.h"
#include "shim/cuda/observe_context.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PAGE ((uintptr_t)4096)

struct mirror {
    struct mirror *next;
    uint8_t *address; /* the program's bytes, and the device's address of the variable */
    size_t size;
    uint8_t *known; /* what both sides last agreed on, then as much for bytes on their way */
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

/* ---- bytes on their way ---- */

/* The context's stream for them, which waits for no other. The context is to be the current one.
 * The lock is held. */
static CUresult find_lane(CUcontext context, CUstream *lane)
{
    struct wh_cuda_context *here = wh_cuda_context(context);
    CUresult result = CUDA_SUCCESS;
    if (!here || wh_cuda_current() != context)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!here->lane) {
        uint64_t a[] = {(uintptr_t)&here->lane, CU_STREAM_NON_BLOCKING};
        result = wh_cuda_call_now(WH_CUDA_cuStreamCreate, a);
    }
    *lane = here->lane;
    return result;
}

static uint8_t *on_their_way(const struct mirror *m)
{
    return m->known + m->size;
}

/* Moves them to the device (`out`) or from it, and waits until they are there. The lock is held. */
static CUresult move(const struct mirror *m, bool out)
{
    const CUdeviceptr there = (uintptr_t)m->address;
    CUstream lane = NULL;
    struct wh_observed_visit visit = wh_observed_enter(m->context);
    busy = true;
    CUresult result = find_lane(m->context, &lane);
    uint64_t a[] = {(uintptr_t)lane};
    if (result == CUDA_SUCCESS && !out)
        result = wh_cuda_read(on_their_way(m), there, m->size, lane);
    if (result == CUDA_SUCCESS && out)
        result = wh_cuda_write(there, on_their_way(m), m->size, lane);
    if (result == CUDA_SUCCESS && out)
        result = wh_cuda_call_now(WH_CUDA_cuStreamSynchronize, a);
    busy = false;
    wh_observed_leave(visit);
    return result;
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
    CUresult result = move(m, false);
    if (result != CUDA_SUCCESS) {
        discard(m);
        return result;
    }
    memcpy(m->known, on_their_way(m), size);
    memcpy(address, m->known, size);
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

/* Only what arrived is known to both sides. */
static CUresult push(struct mirror *m)
{
    memcpy(on_their_way(m), m->address, m->size);
    CUresult result = move(m, true);
    if (result == CUDA_SUCCESS)
        memcpy(m->known, on_their_way(m), m->size);
    return result;
}

static CUresult pull(struct mirror *m)
{
    CUresult result = move(m, false);
    if (result != CUDA_SUCCESS || memcmp(m->known, on_their_way(m), m->size) == 0)
        return result;
    memcpy(m->known, on_their_way(m), m->size);
    memcpy(m->address, m->known, m->size);
    return CUDA_SUCCESS;
}

/* What the program changed goes out; the rest may have been changed by the device, and what of it
 * the program changes meanwhile goes out next time. An error in another context than the program is
 * in is told by that one. */
static CUresult exchange(bool out)
{
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&mirrors.lock);
    for (struct mirror *m = mirrors.first; m && result == CUDA_SUCCESS; m = m->next) {
        if (m->away || (memcmp(m->known, m->address, m->size) != 0) != out)
            continue;
        CUresult one = out ? push(m) : pull(m);
        if (m->context == wh_cuda_current())
            result = one;
    }
    pthread_mutex_unlock(&mirrors.lock);
    return result;
}

CUresult wh_cuda_mirrors_push(CUstream stream)
{
    if (!mirrors.first || busy)
        return CUDA_SUCCESS;
    if (wh_cuda_capturing() && wh_cuda_stream_captures(stream))
        return CUDA_SUCCESS; /* the graph's launches will do it */
    return exchange(true);
}

CUresult wh_cuda_mirrors_pull(void)
{
    return mirrors.first && !busy ? exchange(false) : CUDA_SUCCESS;
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
    struct wh_cuda_context *state = wh_cuda_context(context);
    pthread_mutex_lock(&mirrors.lock);
    if (state)
        state->lane = NULL; /* goes with the context */
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
