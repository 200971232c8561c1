/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker. Its work is the worker's; logs, times and the finished image lie here, where the
 * program wants them and as long as the linker lives.
 */
#include "shim/cuda/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_OPTIONS 64u
#define MOST_LOG     (1u << 20)
#define IMAGE_PIECE  ((size_t)4 << 20)

/* A linker's state here (wh_object.extra). */
struct link {
    char *log[2]; /* information, errors: the program's */
    unsigned room[2];
    void **filled_place[2], **wall_place, **threads_place; /* values of options, the program's */
    uint8_t *image;
};

/* The options that cross as they are. */
struct options {
    unsigned n;
    unsigned names[MOST_OPTIONS];
    uint64_t values[MOST_OPTIONS];
};

static bool takes_address(CUjit_option option)
{
    return option == CU_JIT_GLOBAL_SYMBOL_NAMES || option == CU_JIT_GLOBAL_SYMBOL_ADDRESSES ||
           option == CU_JIT_GLOBAL_SYMBOL_COUNT || option == CU_JIT_REFERENCED_KERNEL_NAMES ||
           option == CU_JIT_REFERENCED_KERNEL_COUNT || option == CU_JIT_REFERENCED_VARIABLE_NAMES ||
           option == CU_JIT_REFERENCED_VARIABLE_COUNT;
}

static void take_log(struct link *link, bool error, CUjit_option option, void **value)
{
    if (option == CU_JIT_INFO_LOG_BUFFER || option == CU_JIT_ERROR_LOG_BUFFER) {
        link->log[error] = *value;
        return;
    }
    uintptr_t room = (uintptr_t)*value;
    link->room[error] = room < MOST_LOG ? (unsigned)room : MOST_LOG;
    link->filled_place[error] = value;
}

/* Splits the options into what crosses and, with `link`, what stays. */
static CUresult split(struct options *o, struct link *link, unsigned n, const CUjit_option *names,
                      void **values)
{
    o->n = 0;
    if (n > MOST_OPTIONS || (n && (!names || !values)))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++) {
        bool error =
            names[i] == CU_JIT_ERROR_LOG_BUFFER || names[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES;
        bool log = error || names[i] == CU_JIT_INFO_LOG_BUFFER ||
                   names[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES;
        if (takes_address(names[i]) || ((log || names[i] == CU_JIT_WALL_TIME) && !link))
            return CUDA_ERROR_NOT_SUPPORTED;
        if (log) {
            take_log(link, error, names[i], &values[i]);
            continue;
        }
        if (names[i] == CU_JIT_WALL_TIME) {
            link->wall_place = &values[i];
            continue;
        }
        if (names[i] == CU_JIT_THREADS_PER_BLOCK && link)
            link->threads_place = &values[i];
        o->names[o->n] = names[i];
        o->values[o->n++] = (uintptr_t)values[i];
    }
    return CUDA_SUCCESS;
}

static struct link *link_of(CUlinkState state)
{
    struct wh_object *object = wh_cuda_object(state, WH_CUDA_TYPE_CUlinkState);
    return object ? object->extra : NULL;
}

WH_EXPORT CUresult cuLinkCreate_v2(unsigned n, CUjit_option *names, void **values,
                                   CUlinkState *state)
{
    struct options o;
    CUlinkState made = NULL;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    struct link *link = state ? calloc(1, sizeof(*link)) : NULL;
    if (!link)
        return state ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    result = split(&o, link, n, names, values);
    for (unsigned i = 0; i < 2; i++)
        if (!link->log[i])
            link->room[i] = 0;
    if (result == CUDA_SUCCESS)
        result =
            wh_cuda_call_link_create(o.n, o.names, o.values, link->room[0], link->room[1], &made);
    if (result != CUDA_SUCCESS) {
        free(link);
        return result;
    }
    for (unsigned i = 0; i < 2; i++)
        if (link->filled_place[i])
            *link->filled_place[i] = NULL; /* nothing logged so far */
    ((struct wh_object *)made)->extra = link;
    *state = made;
    return CUDA_SUCCESS;
}

/* What the linker said goes where the program wants it. */
static void fetch_logs(CUlinkState state, const struct link *link)
{
    unsigned filled[2] = {0}, threads = 0;
    float wall = 0;
    bool wanted = link->room[0] || link->room[1] || link->wall_place || link->threads_place;
    if (!wanted || wh_cuda_call_link_logs(state, link->room[0], link->room[0] ? link->log[0] : NULL,
                                          link->room[1], link->room[1] ? link->log[1] : NULL,
                                          &filled[0], &filled[1], &wall, &threads) != CUDA_SUCCESS)
        return;
    for (unsigned i = 0; i < 2; i++)
        if (link->filled_place[i])
            *link->filled_place[i] =
                (void *)(uintptr_t)(filled[i] < link->room[i] ? filled[i] : link->room[i]);
    if (link->wall_place)
        memcpy(link->wall_place, &wall, sizeof(wall));
    if (link->threads_place)
        *link->threads_place = (void *)(uintptr_t)threads;
}

static CUresult no_room(struct wh_session *session)
{
    return session && !wh_session_lost(session) ? CUDA_ERROR_OUT_OF_MEMORY
                                                : (CUresult)wh_cuda_api.lost;
}

WH_EXPORT CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t size,
                                    const char *name, unsigned n, CUjit_option *names,
                                    void **values)
{
    struct options o;
    struct wh_session *session = wh_cuda_session();
    const struct link *link = link_of(state);
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!data || !size)
        return CUDA_ERROR_INVALID_VALUE;
    result = split(&o, NULL, n, names, values);
    if (result != CUDA_SUCCESS)
        return result;
    const struct wh_block *block = wh_cuda_stage(size, 64);
    if (!block)
        return no_room(session);
    memcpy(wh_arena_address(wh_session_arena(session), block), data, size);
    result = wh_cuda_call_link_add(state, type, size, block->offset, name, o.n, o.names, o.values);
    wh_arena_release(wh_session_arena(session), block);
    fetch_logs(state, link);
    return result;
}

static CUresult read_file(const char *path, uint8_t **bytes, size_t *size)
{
    struct stat status;
    size_t at = 0;
    ssize_t got = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *bytes = NULL;
    if (fd < 0)
        return errno == ENOENT ? CUDA_ERROR_FILE_NOT_FOUND : CUDA_ERROR_OPERATING_SYSTEM;
    bool good = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
                (*bytes = malloc((size_t)status.st_size));
    *size = good ? (size_t)status.st_size : 0;
    while (good && at < *size && (got = read(fd, *bytes + at, *size - at)) > 0)
        at += (size_t)got;
    close(fd);
    if (good && at == *size)
        return CUDA_SUCCESS;
    free(*bytes);
    *bytes = NULL;
    return CUDA_ERROR_OPERATING_SYSTEM;
}

WH_EXPORT CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path,
                                    unsigned n, CUjit_option *names, void **values)
{
    uint8_t *bytes;
    size_t size;
    if (!path)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = read_file(path, &bytes, &size);
    if (result == CUDA_SUCCESS)
        result = cuLinkAddData_v2(state, type, bytes, size, path, n, names, values);
    free(bytes);
    return result;
}

/* The finished image, in pieces. */
static CUresult fetch_image(CUlinkState state, uint8_t *image, size_t size)
{
    struct wh_session *session = wh_cuda_session();
    CUresult result = CUDA_SUCCESS;
    for (size_t at = 0; at < size && result == CUDA_SUCCESS;) {
        size_t piece = size - at < IMAGE_PIECE ? size - at : IMAGE_PIECE;
        const struct wh_block *block = wh_cuda_stage(piece, 64);
        if (!block)
            return no_room(session);
        result = wh_cuda_call_link_read(state, at, piece, block->offset);
        if (result == CUDA_SUCCESS)
            memcpy(image + at, wh_arena_address(wh_session_arena(session), block), piece);
        wh_arena_release(wh_session_arena(session), block);
        at += piece;
    }
    return result;
}

WH_EXPORT CUresult cuLinkComplete(CUlinkState state, void **image, size_t *image_size)
{
    struct link *link = link_of(state);
    size_t size = 0;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!image)
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_link_complete(state, &size);
    fetch_logs(state, link);
    if (result != CUDA_SUCCESS)
        return result;
    uint8_t *bytes = size ? malloc(size) : NULL;
    if (size && !bytes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = fetch_image(state, bytes, size);
    if (result != CUDA_SUCCESS) {
        free(bytes);
        return result;
    }
    free(link->image);
    link->image = bytes;
    *image = bytes;
    if (image_size)
        *image_size = size;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuLinkDestroy(CUlinkState state)
{
    struct link *link = link_of(state);
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    free(link->image);
    link->image = NULL;
    return wh_cuda_call_link_destroy(state);
}

/* Before CUDA 6.5 the same under other names. */

WH_EXPORT CUresult cuLinkCreate(unsigned n, CUjit_option *names, void **values, CUlinkState *state)
{
    return cuLinkCreate_v2(n, names, values, state);
}

WH_EXPORT CUresult cuLinkAddData(CUlinkState state, CUjitInputType type, void *data, size_t size,
                                 const char *name, unsigned n, CUjit_option *names, void **values)
{
    return cuLinkAddData_v2(state, type, data, size, name, n, names, values);
}

WH_EXPORT CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, const char *path,
                                 unsigned n, CUjit_option *names, void **values)
{
    return cuLinkAddFile_v2(state, type, path, n, names, values);
}
