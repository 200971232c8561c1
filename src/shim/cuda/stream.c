/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: what this process knows of them, and functions that run in their order in the program.
 */
#include "shim/cuda/shim.h"

#include "base/log.h"

#include <stdlib.h>

/* ---- what is known ---- */

/* Whether the program may name this stream here. */
static CUresult check_stream(CUstream stream)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if ((uintptr_t)stream <= (uintptr_t)CU_STREAM_PER_THREAD)
        return wh_cuda_current() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
    return wh_cuda_object(stream, WH_CUDA_TYPE_CUstream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* The context that was current when the stream was made (wh_object.word, filled by cuStreamCreate's
 * wrapper below); NULL and special streams are those of the current one. */
static CUcontext context_of(CUstream stream)
{
    struct wh_object *object = wh_cuda_object(stream, WH_CUDA_TYPE_CUstream);
    return object ? (CUcontext)(uintptr_t)object->word : wh_cuda_current();
}

WH_EXPORT CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority)
{
    if (!stream)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_call_cuStreamCreateWithPriority(stream, flags, priority);
    if (result == CUDA_SUCCESS)
        ((struct wh_object *)*stream)->word = (uintptr_t)wh_cuda_current();
    return result;
}

WH_EXPORT CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
    if (!stream)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_call_cuStreamCreate(stream, flags);
    if (result == CUDA_SUCCESS)
        ((struct wh_object *)*stream)->word = (uintptr_t)wh_cuda_current();
    return result;
}

WH_EXPORT CUresult cuStreamGetCtx(CUstream stream, CUcontext *context)
{
    CUresult result = check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    *context = context_of(stream);
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuStreamGetCtx_v2(CUstream stream, CUcontext *context, CUgreenCtx *green)
{
    CUresult result = cuStreamGetCtx(stream, context);
    if (result == CUDA_SUCCESS && green)
        *green = NULL;
    return result;
}

WH_EXPORT CUresult cuStreamGetDevice(CUstream stream, CUdevice *device)
{
    CUresult result = check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    const struct wh_cuda_context *context = wh_cuda_context(context_of(stream));
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    *device = context->device;
    return CUDA_SUCCESS;
}

/* Capture is not implemented: no stream is ever captured. */
WH_EXPORT CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status)
{
    CUresult result = check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!status)
        return CUDA_ERROR_INVALID_VALUE;
    *status = CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}

/* ---- functions in a stream's order ---- */

/* One function to be called back: known by its token until it has run. */
struct notice {
    struct notice *next;
    uint64_t token;
    CUhostFn function;
    CUstreamCallback callback; /* instead */
    CUstream stream;
    void *user;
};

static struct {
    pthread_mutex_t lock;
    struct notice *first;
    uint64_t last;
} notices = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t add_notice(const struct notice *notice)
{
    struct notice *kept = malloc(sizeof(*kept));
    if (!kept)
        return 0;
    *kept = *notice;
    pthread_mutex_lock(&notices.lock);
    kept->token = ++notices.last;
    kept->next = notices.first;
    notices.first = kept;
    uint64_t token = kept->token;
    pthread_mutex_unlock(&notices.lock);
    return token;
}

static struct notice *take_notice(uint64_t token)
{
    pthread_mutex_lock(&notices.lock);
    struct notice **link = &notices.first;
    while (*link && (*link)->token != token)
        link = &(*link)->next;
    struct notice *notice = *link;
    if (notice)
        *link = notice->next;
    pthread_mutex_unlock(&notices.lock);
    return notice;
}

static CUresult enqueue(CUstream stream, const struct notice *notice, uint16_t message)
{
    CUresult result = check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    uint64_t token = add_notice(notice);
    if (!token)
        return CUDA_ERROR_OUT_OF_MEMORY;
    uint64_t a[] = {(uintptr_t)stream, token};
    wh_news_expect(wh_cuda_session());
    result = wh_cuda_post(message, a);
    if (result != CUDA_SUCCESS) {
        wh_news_unexpect(wh_cuda_session());
        free(take_notice(token));
    }
    return result;
}

WH_EXPORT CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void *user)
{
    struct notice notice = {.function = function, .user = user};
    if (!function)
        return CUDA_ERROR_INVALID_VALUE;
    return enqueue(stream, &notice, WH_CUDA_wh_host_function);
}

WH_EXPORT CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback callback, void *user,
                                       unsigned int flags)
{
    struct notice notice = {.callback = callback, .stream = stream, .user = user};
    if (!callback || flags)
        return CUDA_ERROR_INVALID_VALUE;
    return enqueue(stream, &notice, WH_CUDA_wh_stream_callback);
}

/* The stream goes on when this returns: the worker waits for the count of callbacks done. */
void wh_cuda_callback(struct wh_session *session, uint64_t token, const uint64_t *words,
                      size_t nwords)
{
    struct notice *notice = take_notice(token);
    (void)session;
    if (!notice)
        return;
    if (notice->function)
        notice->function(notice->user);
    else
        notice->callback(notice->stream, nwords ? (CUresult)words[0] : CUDA_SUCCESS, notice->user);
    free(notice);
    wh_cuda_callback_ran();
}

/* Stream callbacks are told of errors; host functions of a broken stream are never called. */
void wh_cuda_lost(struct wh_session *session)
{
    (void)session;
    pthread_mutex_lock(&notices.lock);
    struct notice *notice = notices.first;
    notices.first = NULL;
    pthread_mutex_unlock(&notices.lock);
    while (notice) {
        struct notice *next = notice->next;
        if (notice->callback)
            notice->callback(notice->stream, (CUresult)wh_cuda_api.lost, notice->user);
        free(notice);
        notice = next;
    }
}
