/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatch loop: receive, decode, stop if malformed, call the library, reply. Any number of
 * threads run it; one leads and takes messages in order, until a call that may take long makes it
 * hand the lead to another. The hot path makes no system call and no allocation.
 */
#include "base/log.h"
#include "worker/gate.h"
#include "worker/message.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_SCRATCH ((size_t)1 << 30)
#define MOST_THREADS 300
#define MOST_ENTRIES 256 /* of the table, for objects that are made in a view */

void *wh_call_memory(struct wh_call *call, size_t size)
{
    void *memory = wh_pool_take(call->pool, size);
    return memory ? memory
                  : wh_call_fault(call, "a message asks for more memory than a call may use");
}

void *wh_call_arena(struct wh_call *call, uint64_t offset, uint64_t size)
{
    struct wh_channel *channel = call->worker->channel;
    if (offset > channel->arena_size || size > channel->arena_size - offset)
        return wh_call_fault(call, "a payload lies outside of the arena");
    return channel->arena + offset;
}

void wh_call_finish_token(struct wh_call *call, uint32_t token, bool failed)
{
    struct wh_channel *channel = call->worker->channel;
    channel->ops->set_token(channel, failed ? token | WH_TOKEN_FAILED : token);
}

/* ---- calls that take long ---- */

static void *serve_thread(void *argument)
{
    struct wh_worker *worker = argument;
    wh_worker_serve(worker);
    atomic_fetch_sub(&worker->others, 1);
    return NULL;
}

static void start_thread(struct wh_worker *worker)
{
    static _Atomic int started;
    pthread_t thread;
    atomic_fetch_add(&worker->others, 1);
    if (started++ < MOST_THREADS && pthread_create(&thread, NULL, serve_thread, worker) == 0) {
        pthread_detach(thread);
        return;
    }
    started--;
    atomic_fetch_sub(&worker->others, 1);
}

static void pin(struct wh_call *call, struct wh_entry *entry)
{
    if (!entry)
        return;
    wh_table_pin(call->worker->table, entry);
    call->pinned[call->npinned++] = entry;
}

static void pin_objects(struct wh_call *call)
{
    size_t most = call->desc->nparams;
    for (unsigned i = 0; i < call->desc->nparams; i++)
        if (call->desc->params[i].kind == WH_HANDLES)
            most += call->n[i];
    call->pinned = wh_call_memory(call, most * sizeof(*call->pinned));
    if (!call->pinned)
        return;
    for (unsigned i = 0; i < call->desc->nparams; i++) {
        const struct wh_param *p = &call->desc->params[i];
        pin(call, call->entries[i]);
        for (uint64_t k = 0; p->kind == WH_HANDLES && call->new_ids[i] && k < call->n[i]; k++)
            pin(call, wh_table_find(call->worker->table, (uint32_t)call->new_ids[i][k], p->type));
    }
}

void wh_call_vacate(struct wh_call *call)
{
    struct wh_channel *channel = call->worker->channel;
    if (call->vacated || !call->leads)
        return;
    call->vacated = true;
    atomic_fetch_add(&call->worker->away, 1);
    wh_gate_settle(call->worker, *call->leads);
    pin_objects(call);
    if (!channel->ops->vacate(channel, call->leads))
        start_thread(call->worker);
}

/* Lets the library's object go, with its last reference. */
static void release_object(struct wh_worker *worker, struct wh_entry *entry)
{
    const struct wh_backend *backend = worker->backend;
    int16_t number = backend->api->objects[entry->type].release;
    if (backend->forget)
        backend->forget(worker, entry);
    if (entry->real && number >= 0 && backend->thunks[number]) {
        uint64_t a[WH_MAX_PARAMS + 1] = {(uintptr_t)entry->real};
        backend->thunks[number](NULL, backend->functions, a);
    }
    free(entry);
}

static void unpin_objects(struct wh_call *call)
{
    for (size_t i = 0; i < call->npinned; i++)
        if (wh_table_unpin(call->worker->table, call->pinned[i]))
            release_object(call->worker, call->pinned[i]);
}

/* ---- the exitless path ---- */

static bool is_shown(const void *user, const void *bytes, size_t size)
{
    const struct wh_gate *gate = user;
    return wh_gate_shows(gate, bytes, size);
}

void wh_gate_stock(struct wh_gate *gate, const struct wh_backend *backend)
{
    struct wh_stock_wish wishes[WH_STOCK_SHELVES] = {{sizeof(struct wh_entry), MOST_ENTRIES}};
    unsigned n = 1;
    for (unsigned i = 0; i < backend->nstock && n < WH_STOCK_SHELVES; i++)
        wishes[n++] = backend->stock[i];
    wh_stock_open(&gate->stock, wishes, n);
    wh_stock_fill(&gate->stock, is_shown, gate);
}

void wh_gate_settle_slowly(struct wh_worker *worker)
{
    struct wh_gate *gate = worker->gate;
    gate->quiet = atomic_load(&worker->away) == 0 && worker->backend->quiet(worker) &&
                  !wh_output_pending(worker->output);
    if (gate->quiet)
        wh_stock_fill(&gate->stock, is_shown, gate);
    /* Who looks at the ring without being asked takes the calls from the view. */
    gate->shm->sleeps_at_once = gate->quiet;
    atomic_store_explicit(&gate->shm->segment->gate.busy, !gate->quiet, memory_order_relaxed);
    wh_clock_settle(&gate->clock);
}

void wh_gate_tell_calls(const struct wh_backend *backend, struct wh_gate_offer *offer)
{
    for (unsigned i = 0; i < backend->nin_view; i++)
        if (backend->in_view[i] < WH_GATE_CALLS)
            offer->calls[backend->in_view[i] / 64] |= 1ull << backend->in_view[i] % 64;
}

/* ---- reference counts ---- */

/* Retains and releases are counted here too, so that an object's id lives exactly as long as the
 * client holds it. */
static bool count_reference(struct wh_call *call)
{
    struct wh_entry *entry = call->entries[0];
    if (!entry)
        return false;
    if (call->desc->flags & WH_CALL_RETAIN)
        return false; /* counted when the library has */
    call->a[WH_RESULT] = (uint64_t)(int64_t)call->worker->backend->api->success;
    if (entry->discovered && entry->references == 1)
        return true; /* the worker's own reference is not the client's to release */
    if (--entry->references > 0)
        return false;
    if (wh_table_remove(call->worker->table, entry))
        release_object(call->worker, entry);
    return true;
}

/* ---- one message ---- */

/* The call ends before the library sees it, with an error of the API. */
static void answer(struct wh_call *call, int32_t error)
{
    int8_t place = call->desc->error_param;
    call->a[WH_RESULT] = call->desc->result == WH_RESULT_STATUS ? (uint64_t)(int64_t)error : 0;
    if (place >= 0 && call->a[place])
        *(int32_t *)(uintptr_t)call->a[place] = error;
}

/* The library lacks the function: the API's own answer. */
static void refuse(struct wh_call *call)
{
    wh_debug("%s: the accelerator's library does not have it", call->desc->name);
    answer(call, call->worker->backend->api->unsupported);
}

static void carry_out(struct wh_call *call)
{
    const struct wh_backend *backend = call->worker->backend;
    const void *const *functions = backend->functions;
    uint16_t flags = call->desc->flags;
    bool by_hand = (flags & (WH_CALL_HAND_WORKER | WH_CALL_MESSAGE)) != 0;
    if (backend->enter)
        backend->enter(call); /* what came before is due, whatever becomes of this one */
    if (!by_hand && !functions[call->desc->number]) {
        refuse(call);
        return;
    }
    if (call->beyond) {
        answer(call, backend->api->invalid_value);
        if (backend->unmade)
            backend->unmade(call);
        return;
    }
    if ((flags & (WH_CALL_RETAIN | WH_CALL_RELEASE)) && count_reference(call))
        return;
    if (flags & WH_CALL_BLOCKS)
        wh_call_vacate(call);
    backend->thunks[call->desc->number](call, functions, call->a);
    if ((flags & WH_CALL_RETAIN) && call->entries[0] && wh_message_is_ok(call))
        call->entries[0]->references++;
}

/* A vacated call is over when it has let go of its objects and its error is kept, not before:
 * whoever finds that no call is away locks nothing. */
static void come_back(struct wh_call *call)
{
    if (call->vacated)
        atomic_fetch_sub(&call->worker->away, 1);
}

static void reply(struct wh_call *call, const struct wh_message *message, uint8_t *room)
{
    struct wh_worker *worker = call->worker;
    if (call->desc->flags & WH_CALL_SYNCS) {
        wh_message_tell_deferred(call);
        if (worker->backend->sync)
            worker->backend->sync(worker);
        wh_output_flush(worker->output);
    }
    uint32_t size = wh_message_encode(call, message, room);
    if (call->fault)
        return;
    come_back(call);
    /* Before: with the reply the client may come into its view. */
    wh_gate_settle(worker, *call->leads);
    worker->channel->ops->reply(worker->channel, message->slot, size);
}

/* Where the reply goes: checked before the call is made, so that no result is lost. */
static uint8_t *find_reply_room(struct wh_call *call, const struct wh_message *message)
{
    struct wh_channel *channel = call->worker->channel;
    if (!wh_message_has_room(call, message))
        return NULL;
    if (message->reply_at == WH_IN_SLOT)
        return channel->ops->reply_room(channel, message->slot);
    return wh_call_arena(call, message->reply_at, message->reply_room);
}

const char *wh_worker_dispatch(struct wh_worker *worker, const struct wh_message *message,
                               struct wh_pool *pool, bool *leads)
{
    uint64_t a[WH_MAX_PARAMS + 1] = {0};
    struct wh_call call = {.worker = worker,
                           .slot = message->slot,
                           .thread = message->thread,
                           .a = a,
                           .pool = pool,
                           .leads = leads};
    uint8_t *room = NULL;
    wh_gate_take(worker, *leads);
    wh_message_count(worker);
    call.fault = wh_message_check(worker, message);
    if (!call.fault && !worker->backend->thunks[message->call])
        call.fault = "a message calls a function that does not cross";
    if (call.fault)
        return call.fault;
    call.desc = &worker->backend->api->calls[message->call];
    struct wh_reader reader = {.at = (const uint8_t *)(message + 1),
                               .end = (const uint8_t *)message + message->size};
    wh_decode_call(&call, &reader);
    if (!call.fault && message->slot != WH_NO_SLOT)
        room = find_reply_room(&call, message);
    if (call.fault)
        return call.fault;
    carry_out(&call);
    if (call.vacated)
        worker->channel->ops->resume(worker->channel, leads);
    unpin_objects(&call); /* before the reply: the program may release them right after */
    if (!call.fault && message->slot == WH_NO_SLOT) {
        wh_adopt_new(&call);
        wh_message_defer_error(&call);
        come_back(&call);
        wh_gate_settle(worker, *leads);
    } else if (!call.fault) {
        reply(&call, message, room);
    }
    wh_pool_reset(pool);
    return call.fault;
}

void wh_worker_serve(struct wh_worker *worker)
{
    struct wh_channel *channel = worker->channel;
    struct wh_message *message = malloc(WH_MESSAGE_MAX);
    struct wh_pool *pool = wh_pool_new(MOST_SCRATCH);
    const char *fault = NULL;
    bool leads = false;
    int64_t size;
    while (message && pool && !fault &&
           (size = channel->ops->receive(channel, &leads, message, &fault)) > 0)
        fault = wh_worker_dispatch(worker, message, pool, &leads);
    if (fault) {
        char reason[200] = "protocol violation: ";
        strncat(reason, fault, sizeof(reason) - strlen(reason) - 1);
        wh_log("session %u ends: %s", worker->session, reason);
        channel->ops->end(channel, reason);
        _exit(EXIT_FAILURE); /* no exit handlers: the library's may wait for other threads */
    }
    if (pool)
        wh_pool_free(pool);
    free(message);
}
