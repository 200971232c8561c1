/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's buffers: asked for when there is something to write, given back when they are full
 * or the program flushes. Its functions are called with no lock held that GetNextRecord or
 * GetNumDroppedRecords take, for it calls these from there.
 */
#include "shim/cupti/cupti.h"

#include <string.h>

#define ALIGNMENT 8u

struct buffer {
    uint8_t *bytes;
    size_t size, used;
    size_t most, records; /* `most` 0: as many as fit */
};

static struct {
    pthread_mutex_t delivery; /* around the program's functions; before `lock` */
    pthread_mutex_t lock;
    wh_cupti_request request;
    wh_cupti_complete complete;
    struct buffer current;
} state = {.delivery = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};

static _Atomic size_t dropped;
static _Thread_local bool delivering; /* in one of the program's functions */

/* ---- a child of fork: the parent's buffers are not its own ---- */

static void in_child(void)
{
    pthread_mutex_init(&state.delivery, NULL);
    pthread_mutex_init(&state.lock, NULL);
    memset(&state.current, 0, sizeof(state.current));
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, in_child);
}

void wh_cupti_buffers_register(wh_cupti_request request, wh_cupti_complete complete)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&state.lock);
    state.request = request;
    state.complete = complete;
    pthread_mutex_unlock(&state.lock);
}

bool wh_cupti_buffers_are_registered(void)
{
    pthread_mutex_lock(&state.lock);
    bool are = state.request != NULL;
    pthread_mutex_unlock(&state.lock);
    return are;
}

/* ---- records that did not fit ---- */

void wh_cupti_drop(size_t records)
{
    atomic_fetch_add_explicit(&dropped, records, memory_order_relaxed);
}

size_t wh_cupti_dropped(void)
{
    return atomic_exchange_explicit(&dropped, 0, memory_order_relaxed);
}

/* ---- writing ---- */

/* The lock is held. */
static bool append(const void *record, size_t size)
{
    struct buffer *b = &state.current;
    if (!b->bytes || size > b->size - b->used || (b->most && b->records == b->most))
        return false;
    memcpy(b->bytes + b->used, record, size);
    b->used += size;
    b->records++;
    return true;
}

/* `delivery` is held. */
static void give(const struct buffer *buffer)
{
    if (!buffer->bytes)
        return;
    delivering = true;
    state.complete(NULL, 0, buffer->bytes, buffer->size, buffer->used);
    delivering = false;
}

/* Takes the buffer away from those who write. */
static struct buffer take(void)
{
    pthread_mutex_lock(&state.lock);
    struct buffer buffer = state.current;
    memset(&state.current, 0, sizeof(state.current));
    pthread_mutex_unlock(&state.lock);
    return buffer;
}

/* One that is aligned and has room. `delivery` is held. */
static struct buffer ask(void)
{
    struct buffer buffer = {0};
    if (!state.request)
        return buffer;
    delivering = true;
    state.request(&buffer.bytes, &buffer.size, &buffer.most);
    delivering = false;
    if (buffer.size == 0 || (uintptr_t)buffer.bytes % ALIGNMENT)
        buffer.bytes = NULL;
    return buffer;
}

/* With a new buffer, when the current one has no room. */
static bool append_anew(const void *record, size_t size)
{
    bool done;
    if (delivering)
        return false;
    pthread_mutex_lock(&state.delivery);
    pthread_mutex_lock(&state.lock);
    done = append(record, size); /* another thread has asked for one meanwhile */
    pthread_mutex_unlock(&state.lock);
    if (!done) {
        struct buffer full = take();
        give(&full);
        struct buffer fresh = ask();
        pthread_mutex_lock(&state.lock);
        state.current = fresh;
        done = append(record, size);
        pthread_mutex_unlock(&state.lock);
    }
    pthread_mutex_unlock(&state.delivery);
    return done;
}

void wh_cupti_emit(const void *record)
{
    uint32_t kind;
    memcpy(&kind, record, sizeof(kind));
    size_t size = wh_cupti_record_size(kind);
    pthread_mutex_lock(&state.lock);
    bool done = append(record, size);
    pthread_mutex_unlock(&state.lock);
    if (!done && !append_anew(record, size))
        wh_cupti_drop(1);
}

void wh_cupti_buffers_flush(void)
{
    if (delivering)
        return;
    pthread_mutex_lock(&state.delivery);
    struct buffer buffer = take();
    give(&buffer);
    pthread_mutex_unlock(&state.delivery);
}

/* ---- reading ---- */

WH_EXPORT CUptiResult cuptiActivityGetNextRecord(uint8_t *buffer, size_t valid, uint8_t **record)
{
    uint32_t kind;
    size_t at = 0, size;
    if (!buffer || !record)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    if (*record) {
        memcpy(&kind, *record, sizeof(kind));
        at = (size_t)(*record - buffer) + wh_cupti_record_size(kind);
    }
    if (at >= valid || valid - at < sizeof(kind))
        return CUPTI_ERROR_MAX_LIMIT_REACHED;
    memcpy(&kind, buffer + at, sizeof(kind));
    size = wh_cupti_record_size(kind);
    if (size == 0 || size > valid - at)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_KIND);
    *record = buffer + at;
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiActivityGetNumDroppedRecords(void *context, uint32_t stream,
                                                        size_t *records)
{
    (void)context;
    (void)stream;
    if (!records)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *records = wh_cupti_dropped();
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiActivityRegisterCallbacks(wh_cupti_request request,
                                                     wh_cupti_complete complete)
{
    if (!request || !complete)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    wh_cupti_buffers_register(request, complete);
    return CUPTI_SUCCESS;
}
