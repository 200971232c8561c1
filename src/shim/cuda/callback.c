/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that run in the program when the device comes to them: in a stream's order, once, or as
 * often as graphs call them. The stream goes on when the function has returned: the worker waits
 * for the count of callbacks done.
 */
#include "shim/cuda/callback.h"

#include "shim/cuda/staging.h"

#include <stdlib.h>

struct known {
    struct known *next;
    uint64_t token;
    struct wh_cuda_notice notice;
};

static struct {
    pthread_mutex_t lock;
    struct known *first;
    uint64_t last;
} notices = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint64_t wh_cuda_notice_add(const struct wh_cuda_notice *notice)
{
    struct known *known = malloc(sizeof(*known));
    if (!known)
        return 0;
    known->notice = *notice;
    pthread_mutex_lock(&notices.lock);
    uint64_t token = known->token = ++notices.last;
    known->next = notices.first;
    notices.first = known;
    pthread_mutex_unlock(&notices.lock);
    wh_news_expect(wh_cuda_session());
    return token;
}

static bool take(uint64_t token, struct wh_cuda_notice *notice)
{
    pthread_mutex_lock(&notices.lock);
    struct known **link = &notices.first;
    while (*link && (*link)->token != token)
        link = &(*link)->next;
    struct known *known = *link;
    if (known)
        *link = known->next;
    pthread_mutex_unlock(&notices.lock);
    if (!known)
        return false;
    *notice = known->notice;
    free(known);
    return true;
}

void wh_cuda_notice_drop(uint64_t token)
{
    struct wh_cuda_notice notice;
    if (take(token, &notice))
        wh_news_unexpect(wh_cuda_session());
}

bool wh_cuda_notice_find(uint64_t token, struct wh_cuda_notice *notice)
{
    pthread_mutex_lock(&notices.lock);
    const struct known *known = notices.first;
    while (known && known->token != token)
        known = known->next;
    if (known)
        *notice = known->notice;
    pthread_mutex_unlock(&notices.lock);
    return known;
}

/* ---- what programs call ---- */

static CUresult enqueue(CUstream stream, const struct wh_cuda_notice *notice, uint16_t message)
{
    CUresult result = wh_cuda_check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    uint64_t token = wh_cuda_notice_add(notice);
    if (!token)
        return CUDA_ERROR_OUT_OF_MEMORY;
    uint64_t a[] = {(uintptr_t)stream, token};
    result = wh_cuda_post(message, a);
    if (result != CUDA_SUCCESS)
        wh_cuda_notice_drop(token);
    return result;
}

WH_EXPORT CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void *user)
{
    const struct wh_cuda_notice notice = {.function = function, .user = user};
    if (!function)
        return CUDA_ERROR_INVALID_VALUE;
    return enqueue(stream, &notice, WH_CUDA_wh_host_function);
}

WH_EXPORT CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback callback, void *user,
                                       unsigned int flags)
{
    const struct wh_cuda_notice notice = {.callback = callback, .stream = stream, .user = user};
    if (!callback || flags)
        return CUDA_ERROR_INVALID_VALUE;
    return enqueue(stream, &notice, WH_CUDA_wh_stream_callback);
}

/* ---- what the worker asks for ---- */

static void run(const struct wh_cuda_notice *notice, CUresult status)
{
    if (notice->staging)
        wh_cuda_staging_move(notice->staging);
    else if (notice->callback)
        notice->callback(notice->stream, status, notice->user);
    else if (notice->function)
        notice->function(notice->user);
}

/* No graph can call it any more, or a user object is gone. */
static void end(uint64_t token)
{
    struct wh_cuda_notice notice;
    if (!take(token, &notice))
        return;
    if (notice.staging)
        wh_cuda_staging_over(notice.staging);
    if (notice.destructor)
        notice.destructor(notice.user);
}

void wh_cuda_callback(struct wh_session *session, uint64_t token, const uint64_t *words,
                      size_t nwords)
{
    struct wh_cuda_notice notice;
    CUresult status = nwords ? (CUresult)words[0] : CUDA_SUCCESS;
    uint64_t what = nwords > 1 ? words[1] : WH_CUDA_CALLBACK_ONCE;
    if (what == WH_CUDA_CALLBACK_ENDED) {
        end(token);
        return;
    }
    bool kept = what == WH_CUDA_CALLBACK_KEPT;
    if (kept ? !wh_cuda_notice_find(token, &notice) : !take(token, &notice))
        return;
    if (kept)
        wh_news_expect(session); /* it may come again */
    run(&notice, status);
    wh_cuda_callback_ran();
}

/* Stream callbacks are told of errors; host functions of a broken stream are never called. */
void wh_cuda_lost(struct wh_session *session)
{
    (void)session;
    pthread_mutex_lock(&notices.lock);
    struct known *known = notices.first;
    notices.first = NULL;
    pthread_mutex_unlock(&notices.lock);
    while (known) {
        struct known *next = known->next;
        if (known->notice.callback)
            run(&known->notice, (CUresult)wh_cuda_api.lost);
        free(known);
        known = next;
    }
}
