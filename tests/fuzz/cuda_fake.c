/* SPDX-License-Identifier: Apache-2.0 */
/* The fake's handles and memory, and calls carried out by the tables. See cuda_fake.h. */
#include "cuda_fake.h"

#include "worker/worker.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MOST_OBJECTS 2048u
#define MOST_RANGES  512u
#define MOST_HEAP    ((size_t)16 << 20)

/* Dead ones stay until the session's end: their handles are not given again. */
static struct object {
    struct object *next;
    uint16_t type;
    bool dead;
} * objects;
static unsigned nobjects;
static struct object *known[WH_CUDA_TYPE_CUlogsCallbackHandle + 1];

static struct range {
    CUdeviceptr start;
    size_t size;
    bool shared, dead;
} ranges[MOST_RANGES];
static unsigned nranges;

void cuda_fake_stop(const char *why, uint64_t what)
{
    (void)fprintf(stderr, "fake CUDA: %s: %#llx\n", why, (unsigned long long)what);
    abort();
}

/* ---- handles ---- */

void *cuda_fake_new(uint16_t type)
{
    struct object *object = nobjects < MOST_OBJECTS ? malloc(sizeof(*object)) : NULL;
    if (!object)
        return NULL;
    *object = (struct object){.next = objects, .type = type};
    objects = object;
    nobjects++;
    return object;
}

static struct object *find(const void *handle)
{
    struct object *object = objects;
    while (object && object != handle)
        object = object->next;
    if (!object)
        cuda_fake_stop("a handle that never was", (uintptr_t)handle);
    return object;
}

bool cuda_fake_lives(const void *handle, uint16_t type)
{
    if (!handle)
        return false;
    const struct object *object = find(handle);
    bool kernel = type == WH_CUDA_TYPE_CUfunction && object->type == WH_CUDA_TYPE_CUkernel;
    if (object->type != type && !kernel)
        cuda_fake_stop("a handle of another type", (uintptr_t)handle);
    return !object->dead;
}

void cuda_fake_kill(const void *handle)
{
    if (handle)
        find(handle)->dead = true;
}

void *cuda_fake_known(uint16_t type)
{
    if (!known[type])
        known[type] = cuda_fake_new(type);
    return known[type];
}

/* ---- memory ---- */

static bool add_range(CUdeviceptr start, size_t size, bool shared)
{
    if (nranges == MOST_RANGES)
        return false;
    ranges[nranges++] = (struct range){.start = start, .size = size, .shared = shared};
    return true;
}

CUdeviceptr cuda_fake_allocate(size_t size)
{
    CUdeviceptr start = CUDA_FAKE_MEMORY + nranges * CUDA_FAKE_STEP;
    if (size == 0 || size > CUDA_FAKE_STEP || !add_range(start, size, false))
        return 0;
    return start;
}

bool cuda_fake_share(void *bytes, size_t size)
{
    CUdeviceptr start = (uintptr_t)bytes;
    for (unsigned i = 0; i < nranges; i++)
        if (!ranges[i].dead && start < ranges[i].start + ranges[i].size &&
            ranges[i].start < start + size)
            return false;
    cuda_fake_read(bytes, size);
    return add_range(start, size, true);
}

bool cuda_fake_free_memory(CUdeviceptr address)
{
    for (unsigned i = 0; i < nranges; i++)
        if (ranges[i].start == address && !ranges[i].dead)
            return ranges[i].dead = true;
    return false;
}

bool cuda_fake_reaches(CUdeviceptr address, size_t size, bool writes)
{
    bool was = false;
    for (unsigned i = 0; i < nranges; i++) {
        struct range *r = &ranges[i];
        uint64_t offset = address - r->start;
        if (offset > r->size || size > r->size - offset)
            continue;
        was = true;
        if (r->dead)
            continue;
        if (r->shared && writes)
            cuda_fake_write((void *)(uintptr_t)address, size);
        else if (r->shared)
            cuda_fake_read((void *)(uintptr_t)address, size);
        return true;
    }
    if (!was && size)
        cuda_fake_stop("memory that never was the session's", address);
    return false;
}

void cuda_fake_read(const void *bytes, size_t size)
{
    static volatile uint8_t sink;
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        sink = at[i];
    (void)sink;
}

void cuda_fake_write(void *bytes, size_t size)
{
    if (size)
        memset(bytes, 0x5a, size);
}

/* ---- what the backend takes from the system ---- */

/* Its sources are compiled with these names in the place of the system's: a session's memory is
 * given back at its end, which in life ends the process. */
void *cuda_fake_calloc(size_t n, size_t size);
void *cuda_fake_malloc(size_t size);
void *cuda_fake_realloc(void *old, size_t size);
void cuda_fake_free(void *memory);
void *cuda_fake_mmap(void *wanted, size_t size, int rights, int flags, int fd, off_t offset);
int cuda_fake_munmap(void *memory, size_t size);
void *cuda_fake_dlopen(const char *path, int flags);
void *cuda_fake_dlsym(void *library, const char *name);

struct piece {
    struct piece *next, **link;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};

static struct piece *pieces;
static size_t heap;

static struct {
    void *at;
    size_t size;
} maps[64];
static unsigned nmaps;

void *cuda_fake_calloc(size_t n, size_t size)
{
    size_t all;
    struct piece *piece = NULL;
    if (!__builtin_mul_overflow(n, size, &all) && all <= MOST_HEAP - heap)
        piece = calloc(1, sizeof(*piece) + all);
    if (!piece)
        return NULL;
    piece->size = all;
    piece->next = pieces;
    piece->link = &pieces;
    if (pieces)
        pieces->link = &piece->next;
    pieces = piece;
    heap += all;
    return piece->bytes;
}

void cuda_fake_free(void *memory)
{
    if (!memory)
        return;
    struct piece *piece = (struct piece *)((uint8_t *)memory - offsetof(struct piece, bytes));
    *piece->link = piece->next;
    if (piece->next)
        piece->next->link = piece->link;
    heap -= piece->size;
    free(piece);
}

void *cuda_fake_malloc(size_t size)
{
    void *memory = cuda_fake_calloc(1, size);
    if (memory)
        cuda_fake_write(memory, size);
    return memory;
}

void *cuda_fake_realloc(void *old, size_t size)
{
    void *memory = cuda_fake_calloc(1, size);
    if (memory && old) {
        const struct piece *piece =
            (struct piece *)((uint8_t *)old - offsetof(struct piece, bytes));
        memcpy(memory, old, piece->size < size ? piece->size : size);
        cuda_fake_free(old);
    }
    return memory;
}

/* Only where nobody else may be: a sanitizer's own memory is everywhere else. */
void *cuda_fake_mmap(void *wanted, size_t size, int rights, int flags, int fd, off_t offset)
{
    uintptr_t start = (uintptr_t)wanted;
    if (nmaps == sizeof(maps) / sizeof(maps[0]) || start < 0x200000000000 ||
        start >= 0x210000000000)
        return MAP_FAILED;
    void *got = mmap(wanted, size, rights, flags, fd, offset);
    if (got != MAP_FAILED) {
        maps[nmaps].at = got;
        maps[nmaps++].size = size;
    }
    return got;
}

int cuda_fake_munmap(void *memory, size_t size)
{
    for (unsigned i = 0; i < nmaps; i++)
        if (maps[i].at == memory) {
            maps[i] = maps[--nmaps];
            return munmap(memory, size);
        }
    cuda_fake_stop("memory is unmapped that was not mapped", (uintptr_t)memory);
}

void *cuda_fake_dlopen(const char *path, int flags)
{
    static int library;
    (void)path;
    (void)flags;
    return &library;
}

/* Names are asked for in the order of their numbers, mostly. */
void *cuda_fake_dlsym(void *library, const char *name)
{
    static struct wh_cuda_functions_table table;
    static unsigned last;
    void *const *members = (void *const *)&table;
    (void)library;
    if (!table.cuInit)
        cuda_fake_fill(&table);
    for (unsigned i = 0; i < WH_CUDA_NCALLS; i++) {
        unsigned at = (last + 1 + i) % WH_CUDA_NCALLS;
        if (wh_cuda_function_names[at] && strcmp(wh_cuda_function_names[at], name) == 0)
            return members[last = at];
    }
    return NULL;
}

/* ---- calls by the tables ---- */

static size_t memory_size(const struct wh_call *call, const struct wh_param *p)
{
    size_t size = p->length.scale;
    if (p->length.a >= 0 && __builtin_mul_overflow(size, call->a[p->length.a], &size))
        cuda_fake_stop("a length that overflows", call->a[p->length.a]);
    if (p->length.b >= 0 && __builtin_mul_overflow(size, call->a[p->length.b], &size))
        cuda_fake_stop("a length that overflows", call->a[p->length.b]);
    return size;
}

/* Whether the driver would go on with this argument. */
static bool take_argument(const struct wh_call *call, unsigned i)
{
    const struct wh_param *p = &call->desc->params[i];
    const void *pointer = (const void *)(uintptr_t)call->a[i];
    switch ((enum wh_kind)p->kind) {
    case WH_HANDLE:
        return cuda_fake_lives(pointer, p->type) || !pointer;
    case WH_MEMORY:
        return cuda_fake_reaches(call->a[i], p->length.scale ? memory_size(call, p) : 0, true);
    case WH_STRING:
        cuda_fake_read(pointer, pointer ? strlen(pointer) + 1 : 0);
        return pointer != NULL;
    case WH_BYTES:
        cuda_fake_read(pointer, pointer ? call->n[i] : 0);
        return pointer != NULL;
    case WH_HANDLES:
        for (uint64_t k = 0; pointer && k < call->n[i]; k++)
            (void)cuda_fake_lives(((void *const *)pointer)[k], p->type);
        return pointer != NULL;
    case WH_ARENA:
        cuda_fake_write((void *)(uintptr_t)call->a[i], call->n[i]);
        return true;
    default:
        return true;
    }
}

static void give_result(const struct wh_call *call, unsigned i)
{
    const struct wh_param *p = &call->desc->params[i];
    void **handles = (void **)(uintptr_t)call->a[i];
    if (!handles)
        return;
    if (p->kind == WH_OUT || p->kind == WH_INFO)
        cuda_fake_write(handles, call->n[i]);
    for (uint64_t k = 0; k < call->n[i]; k++)
        if (p->kind == WH_NEWS)
            handles[k] = cuda_fake_new(p->type);
        else if (p->kind == WH_OUT_HANDLES)
            handles[k] = cuda_fake_known(p->type);
}

static void carry_out(struct wh_call *call, const void *functions, uint64_t *a)
{
    bool good = true;
    (void)functions;
    a[WH_RESULT] = CUDA_SUCCESS;
    if (!call) { /* an object's last reference */
        cuda_fake_kill((const void *)(uintptr_t)a[0]);
        return;
    }
    for (unsigned i = 0; i < call->desc->nparams; i++)
        good = take_argument(call, i) && good;
    for (unsigned i = 0; i < call->desc->nparams && good; i++)
        give_result(call, i);
    if (!good)
        a[WH_RESULT] = CUDA_ERROR_INVALID_HANDLE;
}

wh_thunk *const *cuda_fake_thunks(void)
{
    static wh_thunk *thunks[WH_CUDA_NCALLS];
    for (unsigned i = 0; i < WH_CUDA_NCALLS; i++) {
        bool by_hand = wh_cuda_api.calls[i].flags & (WH_CALL_HAND_WORKER | WH_CALL_MESSAGE);
        thunks[i] = by_hand || !wh_cuda_thunks[i] ? wh_cuda_thunks[i] : carry_out;
    }
    return thunks;
}

/* ---- the end ---- */

/* The linkers' own list outlives a session here. */
CUresult wh_cuda_do_link_destroy(struct wh_call *call, CUlinkState state);

void cuda_fake_reset(void)
{
    cuda_fake_reset_graphs();
    for (struct object *object = objects; object; object = object->next)
        if (object->type == WH_CUDA_TYPE_CUlinkState && !object->dead)
            wh_cuda_do_link_destroy(NULL, (CUlinkState)(void *)object);
    while (objects) {
        struct object *object = objects;
        objects = object->next;
        free(object);
    }
    while (pieces)
        cuda_fake_free(pieces->bytes);
    while (nmaps)
        cuda_fake_munmap(maps[0].at, maps[0].size);
    memset(known, 0, sizeof(known));
    nobjects = nranges = 0;
}
