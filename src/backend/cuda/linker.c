/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker: the driver's, with log buffers of ours that the client fetches. The driver writes
 * into them as long as a linker lives, so each has its own.
 */
#include "backend/cuda/backend.h"

#include <stdlib.h>
#include <string.h>

#define MOST_OPTIONS 64u
#define MOST_LOG     (1u << 20)
#define LEAST_LOG    256u

/* What we add to the program's options. */
enum own { INFO_LOG, INFO_SIZE, ERROR_LOG, ERROR_SIZE, WALL_TIME, NOWN };

struct link {
    struct link *next;
    CUlinkState state;
    const struct wh_cuda_functions_table *f;
    char *log[2];
    unsigned room[2];
    CUjit_option names[NOWN + MOST_OPTIONS];
    void *values[NOWN + MOST_OPTIONS]; /* the driver writes here, too */
    unsigned n;
    void *image;
    size_t image_size;
};

static struct link *links;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct link *find(CUlinkState state)
{
    pthread_mutex_lock(&lock);
    struct link *link = links;
    while (link && link->state != state)
        link = link->next;
    pthread_mutex_unlock(&lock);
    return state ? link : NULL;
}

static void free_link(struct link *link)
{
    if (!link)
        return;
    free(link->log[0]);
    free(link->log[1]);
    free(link);
}

static CUresult add_options(CUjit_option *to, void **to_values, unsigned n, const unsigned *names,
                            const uint64_t *values)
{
    if (n > MOST_OPTIONS || (n && (!names || !values)))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++) {
        if (!wh_cuda_jit_crosses(names[i]))
            return CUDA_ERROR_NOT_SUPPORTED;
        to[i] = names[i];
        to_values[i] = (void *)(uintptr_t)values[i];
    }
    return CUDA_SUCCESS;
}

static struct link *make_link(struct wh_call *call, unsigned info_room, unsigned error_room)
{
    struct link *link = calloc(1, sizeof(*link));
    if (!link)
        return NULL;
    link->f = wh_cuda_driver(call);
    link->room[0] = info_room;
    link->room[1] = error_room;
    for (unsigned i = 0; i < 2; i++)
        link->log[i] = calloc(1, link->room[i] + LEAST_LOG + 1);
    if (!link->log[0] || !link->log[1]) {
        free_link(link);
        return NULL;
    }
    static const CUjit_option own[NOWN] = {
        [INFO_LOG] = CU_JIT_INFO_LOG_BUFFER,   [INFO_SIZE] = CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
        [ERROR_LOG] = CU_JIT_ERROR_LOG_BUFFER, [ERROR_SIZE] = CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
        [WALL_TIME] = CU_JIT_WALL_TIME,
    };
    memcpy(link->names, own, sizeof(own));
    /* A driver writes beyond a buffer of no bytes: one is given that nobody reads. */
    for (unsigned i = 0; i < 2; i++) {
        unsigned room = link->room[i] > LEAST_LOG ? link->room[i] : LEAST_LOG;
        link->values[i ? ERROR_LOG : INFO_LOG] = link->log[i];
        link->values[i ? ERROR_SIZE : INFO_SIZE] = (void *)(uintptr_t)room;
    }
    return link;
}

CUresult wh_cuda_do_link_create(struct wh_call *call, unsigned n, const unsigned *names,
                                const uint64_t *values, unsigned info_room, unsigned error_room,
                                CUlinkState *state)
{
    if (!state || info_room > MOST_LOG || error_room > MOST_LOG)
        return CUDA_ERROR_INVALID_VALUE;
    struct link *link = make_link(call, info_room, error_room);
    if (!link)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = add_options(link->names + NOWN, link->values + NOWN, n, names, values);
    link->n = NOWN + n;
    if (result == CUDA_SUCCESS)
        result = link->f->cuLinkCreate_v2(link->n, link->names, link->values, &link->state);
    if (result != CUDA_SUCCESS) {
        free_link(link);
        return result;
    }
    pthread_mutex_lock(&lock);
    link->next = links;
    links = link;
    pthread_mutex_unlock(&lock);
    *state = link->state;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_link_add(struct wh_call *call, CUlinkState state, CUjitInputType type,
                             size_t size, void *bytes, const char *name, unsigned n,
                             const unsigned *names, const uint64_t *values)
{
    const struct link *link = find(state);
    CUjit_option own[MOST_OPTIONS];
    void *own_values[MOST_OPTIONS];
    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!size)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = add_options(own, own_values, n, names, values);
    /* The client could change the arena's bytes while the driver reads them. */
    uint8_t *copy = result == CUDA_SUCCESS ? wh_call_memory(call, size + 1) : NULL;
    if (!copy)
        return result == CUDA_SUCCESS ? CUDA_ERROR_OUT_OF_MEMORY : result;
    memcpy(copy, bytes, size);
    return link->f->cuLinkAddData_v2(state, type, copy, size, name ? name : "input", n, own,
                                     own_values);
}

CUresult wh_cuda_do_link_complete(struct wh_call *call, CUlinkState state, size_t *size)
{
    struct link *link = find(state);
    (void)call;
    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = link->f->cuLinkComplete(state, &link->image, &link->image_size);
    if (result == CUDA_SUCCESS && size)
        *size = link->image_size;
    return result;
}

CUresult wh_cuda_do_link_read(struct wh_call *call, CUlinkState state, size_t offset, size_t size,
                              void *bytes)
{
    const struct link *link = find(state);
    (void)call;
    if (!link || !link->image)
        return CUDA_ERROR_INVALID_HANDLE;
    if (offset > link->image_size || size > link->image_size - offset)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(bytes, (const uint8_t *)link->image + offset, size);
    return CUDA_SUCCESS;
}

static void copy_log(const struct link *link, unsigned which, unsigned size, char *text,
                     unsigned *filled)
{
    uintptr_t used = (uintptr_t)link->values[which ? ERROR_SIZE : INFO_SIZE];
    if (used > link->room[which])
        used = link->room[which];
    if (text)
        memcpy(text, link->log[which], used < size ? used : size);
    if (filled)
        *filled = (unsigned)used;
}

CUresult wh_cuda_do_link_logs(struct wh_call *call, CUlinkState state, unsigned info_size,
                              char *info, unsigned error_size, char *errors, unsigned *info_filled,
                              unsigned *error_filled, float *wall_time, unsigned *threads)
{
    const struct link *link = find(state);
    (void)call;
    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    copy_log(link, 0, info_size, info, info_filled);
    copy_log(link, 1, error_size, errors, error_filled);
    if (wall_time)
        memcpy(wall_time, &link->values[WALL_TIME], sizeof(*wall_time));
    for (unsigned i = NOWN; i < link->n && threads; i++)
        if (link->names[i] == CU_JIT_THREADS_PER_BLOCK)
            *threads = (unsigned)(uintptr_t)link->values[i];
    return CUDA_SUCCESS;
}

/* Called without a call, when the object's last reference goes. */
CUresult wh_cuda_do_link_destroy(struct wh_call *call, CUlinkState state)
{
    struct link *link = find(state);
    (void)call;
    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = link->f->cuLinkDestroy(state);
    pthread_mutex_lock(&lock);
    struct link **place = &links;
    while (*place != link)
        place = &(*place)->next;
    *place = link->next;
    pthread_mutex_unlock(&lock);
    free_link(link);
    return result;
}
