/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference counts and remembered answers. Counts are kept on both sides: the worker's library sees
 * every retain and release, so what it reports is what the program would see natively; the last
 * release goes out when nothing in this process needs the object any more (a queue keeps its
 * context).
 */
#include "client/session.h"

#include <stdlib.h>

static struct wh_object *checked(struct wh_session *session, const struct wh_call_desc *call,
                                 uint64_t handle)
{
    return wh_object_check(session->objects, (void *)(uintptr_t)handle, call->params[0].type);
}

static uint64_t bad_handle(struct wh_session *session, const struct wh_call_desc *call)
{
    const struct wh_param *p = &call->params[0];
    int32_t usual = session->shim->api->objects[p->type].invalid;
    return (uint64_t)(int64_t)(p->invalid ? p->invalid : usual);
}

uint64_t wh_client_retain(struct wh_session *session, const struct wh_call_desc *call, uint64_t *a)
{
    struct wh_object *object = checked(session, call, a[0]);
    if (!object)
        return bad_handle(session, call);
    if (atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed) > 0)
        return wh_client_post(session, call, a);
    /* Only its children kept it alive: the worker's last reference was never given back, there is
     * nothing to send. */
    wh_object_pin(object);
    return (uint64_t)(int64_t)session->shim->api->success;
}

/* Takes one reference; the last one is sent by whoever unpins the object last. */
static uint64_t release_one(struct wh_session *session, const struct wh_call_desc *call,
                            struct wh_object *object, uint64_t *a)
{
    uint32_t before = atomic_load_explicit(&object->references, memory_order_relaxed);
    do
        if (before == 0) /* released too often while a child keeps it alive */
            return bad_handle(session, call);
    while (!atomic_compare_exchange_weak_explicit(&object->references, &before, before - 1,
                                                  memory_order_acq_rel, memory_order_relaxed));
    if (before > 1)
        return wh_client_post(session, call, a);
    wh_object_unpin(object);
    return (uint64_t)(int64_t)session->shim->api->success;
}

uint64_t wh_client_release(struct wh_session *session, const struct wh_call_desc *call, uint64_t *a)
{
    struct wh_object *object = checked(session, call, a[0]);
    if (!object)
        return bad_handle(session, call);
    if (object->discovered)
        return wh_client_post(session, call, a);
    /* Pinned until our release is on its way: another thread's may be the last one meanwhile. */
    wh_object_pin(object);
    uint64_t result = release_one(session, call, object, a);
    wh_object_unpin(object);
    return result;
}

void wh_session_forget(struct wh_object *object)
{
    struct wh_session *session = object->session;
    const struct wh_api *api = session->shim->api;
    int16_t release = api->objects[object->type].release;
    uint64_t a[1] = {(uintptr_t)object};
    if (session->shim->free_extra)
        session->shim->free_extra(object);
    if (release >= 0 && object->settles) {
        wh_client_call(session, &api->calls[release], a);
        wh_news_settle(session);
    } else if (release >= 0) {
        wh_client_post(session, &api->calls[release], a);
    }
}

/* ---- answers that never change ---- */

struct wh_cached_info {
    struct wh_cached_info *next;
    const struct wh_call_desc *call;
    uint64_t key[2]; /* the query's name, and a second object or index */
    size_t size;
    uint8_t value[];
};

void wh_session_drop_cache(struct wh_object *object)
{
    struct wh_cached_info *entry = atomic_exchange(&object->cache, NULL);
    while (entry) {
        struct wh_cached_info *next = entry->next;
        free(entry);
        entry = next;
    }
}

int32_t wh_client_answer(struct wh_session *session, const void *answer, size_t answer_size,
                         size_t size, void *value, size_t *size_ret)
{
    const struct wh_api *api = session->shim->api;
    if (value && size < answer_size)
        return api->invalid_value;
    if (value && answer_size)
        memcpy(value, answer, answer_size);
    if (size_ret)
        *size_ret = answer_size;
    wh_stats_answered(session, NULL);
    return api->success;
}

static struct wh_cached_info *find_cached(struct wh_object *object, const struct wh_call_desc *call,
                                          const uint64_t key[2])
{
    /* Acquire pairs with the release in remember. */
    struct wh_cached_info *entry = atomic_load_explicit(&object->cache, memory_order_acquire);
    while (entry && (entry->call != call || entry->key[0] != key[0] || entry->key[1] != key[1]))
        entry = entry->next;
    return entry;
}

static struct wh_cached_info *remember(struct wh_object *object, struct wh_cached_info *entry)
{
    entry->next = atomic_load_explicit(&object->cache, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&object->cache, &entry->next, entry,
                                                  memory_order_release, memory_order_relaxed))
        ;
    return entry;
}

/* Asks the worker for the whole answer: its size first, then its bytes behind the prefix. */
static struct wh_cached_info *fetch(struct wh_session *session, const struct wh_call_desc *call,
                                    const uint64_t *a, unsigned value, const char *prefix)
{
    const struct wh_api *api = session->shim->api;
    size_t size = 0, before = prefix ? strlen(prefix) : 0;
    uint64_t ask[WH_MAX_PARAMS + 1];
    memcpy(ask, a, call->nparams * sizeof(*a));
    ask[value - 1] = 0;
    ask[value] = 0;
    ask[value + 1] = (uintptr_t)&size;
    if ((int32_t)wh_client_call(session, call, ask) != api->success)
        return NULL;
    if (size > session->channel->arena_size) /* no such answer could cross: the worker lies */
        return NULL;
    struct wh_cached_info *entry = malloc(sizeof(*entry) + before + size);
    if (!entry)
        return NULL;
    if (before)
        memcpy(entry->value, prefix, before);
    entry->call = call;
    entry->size = before + size;
    ask[value - 1] = size;
    ask[value] = (uintptr_t)(entry->value + before);
    if (size && (int32_t)wh_client_call(session, call, ask) != api->success) {
        free(entry);
        return NULL;
    }
    return entry;
}

/* The description's `info` parameter, with size before it and size_ret behind it; -1 when the call
 * is not a query. */
static int info_param(const struct wh_call_desc *call)
{
    for (unsigned i = 1; i + 1 < call->nparams; i++)
        if (call->params[i].kind == WH_INFO)
            return (int)i;
    return -1;
}

uint64_t wh_client_info(struct wh_session *session, const struct wh_call_desc *call, uint64_t *a,
                        const char *prefix)
{
    int value = info_param(call);
    struct wh_object *object = checked(session, call, a[0]);
    if (value < 0 || !object)
        return wh_client_call(session, call, a);
    const struct wh_param *p = &call->params[value];
    const struct wh_name_desc *name =
        wh_find_name(&session->shim->api->infos[p->type], (int64_t)(int32_t)a[p->selector]);
    if (!name || (!name->fixed && !prefix) || name->content == WH_CONTENT_LOCAL)
        return wh_client_call(session, call, a);
    /* All parameters between the object and the size make the question. */
    uint64_t key[2] = {a[1], value > 3 ? a[2] : 0};
    if (value > 4)
        return wh_client_call(session, call, a);
    struct wh_cached_info *entry = find_cached(object, call, key);
    if (!entry) {
        entry = fetch(session, call, a, (unsigned)value, prefix);
        if (!entry)
            return wh_client_call(session, call, a);
        memcpy(entry->key, key, sizeof(key));
        remember(object, entry);
    }
    size_t *size_ret = (size_t *)(uintptr_t)a[value + 1];
    return (uint64_t)(int64_t)wh_client_answer(session, entry->value, entry->size, a[value - 1],
                                               (void *)(uintptr_t)a[value], size_ret);
}
