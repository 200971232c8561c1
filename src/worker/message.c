/* SPDX-License-Identifier: Apache-2.0 */
/* One message's header, room and reply; see message.h. */
#include "worker/message.h"

#include "base/log.h"
#include "channel/segment.h"

void *wh_call_fault(struct wh_call *call, const char *fault)
{
    if (!call->fault)
        call->fault = fault;
    return NULL;
}

const char *wh_message_check(const struct wh_worker *worker, const struct wh_message *m)
{
    const struct wh_api *api = worker->backend->api;
    if (m->size < sizeof(*m) || m->reserved || m->reserved2)
        return "a message's header is malformed";
    if (m->call >= api->ncalls)
        return "a message's call number is unknown";
    if (m->slot != WH_NO_SLOT && m->slot >= WH_SLOTS)
        return "a message's reply slot does not exist";
    if (m->slot != WH_NO_SLOT && m->reply_at == WH_IN_SLOT &&
        m->reply_room > worker->channel->slot_room)
        return "a message wants more reply than its slot holds";
    return NULL;
}

void wh_message_count(struct wh_worker *worker)
{
    struct wh_account *own = worker->ledger.own;
    if (own)
        atomic_store_explicit(&own->calls,
                              atomic_load_explicit(&own->calls, memory_order_relaxed) + 1,
                              memory_order_relaxed);
}

bool wh_message_has_room(struct wh_call *call, const struct wh_message *message)
{
    if (message->reply_room < wh_reply_bound(call))
        wh_call_fault(call, "a message leaves too little room for its reply");
    return !call->fault;
}

bool wh_message_is_ok(const struct wh_call *call)
{
    const struct wh_api *api = call->worker->backend->api;
    return call->desc->result != WH_RESULT_STATUS || (int32_t)call->a[WH_RESULT] == api->success;
}

void wh_call_defer(struct wh_call *call, int32_t error)
{
    struct wh_worker *worker = call->worker;
    int32_t none = worker->backend->api->success;
    if (atomic_compare_exchange_strong(&worker->deferred, &none, error))
        wh_debug("session %u: what was posted failed with %d, by %s at the latest", worker->session,
                 error, call->desc->name);
}

void wh_message_defer_error(struct wh_call *call)
{
    if (!wh_message_is_ok(call))
        wh_call_defer(call, (int32_t)call->a[WH_RESULT]);
}

void wh_message_tell_deferred(struct wh_call *call)
{
    struct wh_worker *worker = call->worker;
    /* Not by a call that started something: its success must be told. */
    for (unsigned i = 0; i < call->desc->nparams; i++)
        if (call->desc->params[i].kind == WH_NEWS || call->desc->params[i].kind == WH_ARENA)
            return;
    int32_t none = worker->backend->api->success;
    if (call->desc->result == WH_RESULT_STATUS && wh_message_is_ok(call) &&
        atomic_load_explicit(&worker->deferred, memory_order_relaxed) != none)
        call->a[WH_RESULT] = (uint64_t)(int64_t)atomic_exchange(&worker->deferred, none);
}

uint32_t wh_message_encode(struct wh_call *call, const struct wh_message *message, uint8_t *room)
{
    struct wh_writer w = {.at = room, .end = room + message->reply_room};
    wh_encode_reply(call, &w, wh_message_is_ok(call));
    if (w.full)
        wh_call_fault(call, "a reply does not fit its room");
    return (uint32_t)(w.at - room);
}
