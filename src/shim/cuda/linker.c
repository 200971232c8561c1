/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker. Its work is the worker's; logs, times and the finished image lie here, where the
 * program wants them and as long as the linker lives.
 */
#include "shim/cuda/file.h"
#include "shim/cuda/jit.h"
#include "shim/cuda/shim.h"

#include <stdlib.h>

#define MOST_LOG    (1u << 20)
#define IMAGE_PIECE ((size_t)4 << 20)

/* A linker's state here (wh_object.extra). */
struct link {
    struct wh_cuda_jit_places places; /* the program's, written until the linker is done */
    uint8_t *image;
};

static struct link *link_of(CUlinkState state)
{
    struct wh_object *object = wh_cuda_object(state, WH_CUDA_TYPE_CUlinkState);
    return object ? object->extra : NULL;
}

WH_EXPORT CUresult cuLinkCreate_v2(unsigned n, CUjit_option *names, void **values,
                                   CUlinkState *state)
{
    struct wh_cuda_jit_options o;
    CUlinkState made = NULL;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    struct link *link = state ? calloc(1, sizeof(*link)) : NULL;
    if (!link)
        return state ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    struct wh_cuda_jit_places *places = &link->places;
    result = wh_cuda_jit_split(&o, places, n, names, values);
    for (unsigned i = 0; i < 2; i++)
        places->room[i] = places->room[i] < MOST_LOG ? places->room[i] : MOST_LOG;
    if (result == CUDA_SUCCESS)
        result = wh_cuda_call_link_create(o.n, o.names, o.values, places->room[0], places->room[1],
                                          &made);
    if (result != CUDA_SUCCESS) {
        free(link);
        return result;
    }
    for (unsigned i = 0; i < 2; i++)
        if (places->filled[i])
            *places->filled[i] = NULL; /* nothing logged so far */
    ((struct wh_object *)made)->extra = link;
    *state = made;
    return CUDA_SUCCESS;
}

/* What the linker said goes where the program wants it. */
static void fetch_logs(CUlinkState state, const struct wh_cuda_jit_places *places)
{
    const unsigned *room = places->room;
    wh_cuda_jit_answer answer = {0};
    if (!room[0] && !room[1] && !places->wall_time && !places->threads)
        return;
    if (wh_cuda_call_link_logs(state, room[0], room[0] ? places->log[0] : NULL, room[1],
                               room[1] ? places->log[1] : NULL, &answer.info_size,
                               &answer.error_size, &answer.wall_time,
                               &answer.threads_per_block) == CUDA_SUCCESS)
        wh_cuda_jit_give_back(places, &answer);
}

WH_EXPORT CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t size,
                                    const char *name, unsigned n, CUjit_option *names,
                                    void **values)
{
    struct wh_cuda_jit_options o;
    struct wh_session *session = wh_cuda_session();
    const struct link *link = link_of(state);
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!link)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!data || !size)
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_jit_split(&o, NULL, n, names, values);
    if (result != CUDA_SUCCESS)
        return result;
    const struct wh_block *block = wh_cuda_stage(size, 64);
    if (!block)
        return wh_cuda_no_stage();
    memcpy(wh_arena_address(wh_session_arena(session), block), data, size);
    result = wh_cuda_call_link_add(state, type, size, block->offset, name, o.n, o.names, o.values);
    wh_arena_release(wh_session_arena(session), block);
    fetch_logs(state, &link->places);
    return result;
}

WH_EXPORT CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path,
                                    unsigned n, CUjit_option *names, void **values)
{
    char *bytes;
    size_t size;
    if (!path)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_read_file(path, &bytes, &size);
    /* Whatever is wrong with the file, it is the system's error. */
    if (result == CUDA_ERROR_OUT_OF_MEMORY || (result == CUDA_SUCCESS && !size))
        result = CUDA_ERROR_OPERATING_SYSTEM;
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
            return wh_cuda_no_stage();
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
    fetch_logs(state, &link->places);
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
