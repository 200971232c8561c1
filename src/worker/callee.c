/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's code that a client's processor runs in the session's view: takes messages off the
 * ring as a leading thread of the worker would, and carries out those that may run here. In doubt
 * it leaves a message where it is, as if it had not been seen: the worker's threads find the same
 * fault in it, or do what cannot be done here. It makes no system call, has no memory but the
 * worker's, waits for nothing, and holds nothing but the lead, for it may be suspended anywhere.
 */
#include "channel/gate.h"
#include "channel/lead.h"
#include "worker/gate.h"
#include "worker/message.h"
#include "worker/table.h"

#include <string.h>

#define MOST_AT_ONCE 64u /* messages in one go: a call has a budget */
#define MOST_CHUNKS  4u  /* of the table are searched for an object of an answer */

bool wh_callee_sees(const void *bytes, size_t size)
{
    return wh_gate_shows(wh_callee_gate(), bytes, size);
}

/* ---- what decoding needs ---- */

struct wh_entry *wh_table_find(struct wh_table *table, uint32_t id, uint16_t type)
{
    return wh_table_look_up(table, id, type, wh_callee_sees);
}

void *wh_call_memory(struct wh_call *call, size_t size)
{
    void *memory = wh_pool_take(call->pool, size);
    return memory ? memory : wh_call_fault(call, "too much for a view");
}

/* Of the arena only the beginning is there. */
void *wh_call_arena(struct wh_call *call, uint64_t offset, uint64_t size)
{
    const struct wh_channel *channel = call->worker->channel;
    if (offset > WH_GATE_ARENA || size > WH_GATE_ARENA - offset ||
        !wh_callee_sees(channel->arena, WH_GATE_ARENA))
        return wh_call_fault(call, "these bytes are not in the view");
    return channel->arena + offset;
}

/* Nothing takes long here. */
void wh_call_vacate(struct wh_call *call)
{
    (void)call;
}

/* Said when it is clear that the call is not left; one that failed may be. */
void wh_call_finish_token(struct wh_call *call, uint32_t token, bool failed)
{
    (void)call;
    if (!failed)
        wh_callee_gate()->token = token;
}

/* The place for a new object of the client's, if there is one and nobody has it; and an entry. */
static struct wh_entry *_Atomic *free_place(struct wh_table *table, uint64_t id)
{
    bool is_clients = id != WH_ID_NONE && id / WH_TABLE_CHUNK < WH_TABLE_CHUNKS;
    struct wh_entry *_Atomic *place =
        is_clients ? wh_table_place(table, (uint32_t)id, wh_callee_sees) : NULL;
    return place && !*place && wh_stock_has(&wh_callee_gate()->stock, sizeof(struct wh_entry))
               ? place
               : NULL;
}

struct wh_entry *wh_table_add(struct wh_table *table, uint32_t id, uint16_t type, void *real)
{
    struct wh_entry *_Atomic *place = free_place(table, id);
    struct wh_entry *entry = place ? wh_stock_take(&wh_callee_gate()->stock, sizeof(*entry)) : NULL;
    if (!entry)
        return NULL;
    wh_table_fill_in(entry, id, type, real);
    wh_table_enter(table, place, entry);
    return entry;
}

void wh_callee_forget(struct wh_table *table, struct wh_entry *entry)
{
    wh_table_leave(table, wh_table_place(table, entry->id, wh_callee_sees), entry);
    wh_stock_give(&wh_callee_gate()->stock, entry, sizeof(*entry));
}

/* An object in an answer. One that is not known, or not found soon, is for the worker's threads. */
uint32_t wh_table_id_of(struct wh_table *table, uint16_t type, void *real, bool *discovered)
{
    uint32_t id =
        real ? wh_table_search(table, type, real, MOST_CHUNKS, wh_callee_sees) : WH_ID_NONE;
    *discovered = false;
    if (real && !id)
        wh_callee_gate()->unknown = 1;
    return id;
}

/* What stays is for the worker's threads to allocate. The pool has its memory already; see
 * wh_gate_open. */
void *malloc(size_t size)
{
    (void)size;
    return NULL;
}

void *realloc(void *memory, size_t size)
{
    (void)memory, (void)size;
    return NULL;
}

/* What goes before the call is over. */
void *aligned_alloc(size_t alignment, size_t size)
{
    struct wh_gate *gate = wh_callee_gate();
    size_t start = (gate->room_used + alignment - 1) & ~(alignment - 1);
    if (alignment > 256 || start > sizeof(gate->room) || size > sizeof(gate->room) - start)
        return NULL;
    gate->room_used = (uint32_t)(start + size);
    return gate->room + start;
}

void *calloc(size_t n, size_t size)
{
    size_t bytes;
    void *memory =
        __builtin_mul_overflow(n, size, &bytes) ? NULL : aligned_alloc(64, bytes ? bytes : 1);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void free(void *memory)
{
    (void)memory;
}

/* ---- one message ---- */

/* The call behind a good header, if it may run here and now. */
static const struct wh_callee_call *find_call(struct wh_gate *gate, const struct wh_message *m)
{
    const struct wh_callee_call *call;
    if (wh_message_check(&gate->worker, m))
        return NULL;
    call = &wh_cuda_callee.calls[m->call];
    bool in_slot = m->slot == WH_NO_SLOT ? call->posted : m->reply_at == WH_IN_SLOT;
    return call->run && in_slot && gate->quiet ? call : NULL;
}

/* Whether the call makes nothing, or one thing that can be entered where the client says. */
static bool can_adopt(struct wh_gate *gate, const struct wh_call *call)
{
    const uint64_t *made = NULL;
    for (unsigned i = 0; i < call->desc->nparams; i++) {
        if (call->desc->params[i].kind != WH_NEWS || !call->new_ids[i])
            continue;
        if (made || call->n[i] != 1)
            return false;
        made = call->new_ids[i];
    }
    return !made || free_place(gate->worker.table, *made);
}

/* Whether the worker is to make the call in spite of all, and to say what is wrong: it keeps the
 * errors of posted calls, and may have memory. A call that fails has changed nothing. */
static bool is_workers(const struct wh_call *call, const struct wh_message *m)
{
    const struct wh_api *api = wh_cuda_callee.backend.api;
    return (m->slot == WH_NO_SLOT && !wh_message_is_ok(call)) ||
           (call->desc->result == WH_RESULT_STATUS &&
            (int32_t)call->a[WH_RESULT] == api->no_memory);
}

/* What is new enters the table. The reply, where it goes; nobody looks there yet. False: an object
 * of the answer has no id that can be found here, and the call, which only asked for it, may as
 * well be made again. */
static bool encode(struct wh_gate *gate, struct wh_call *call, const struct wh_message *m,
                   uint32_t *size)
{
    gate->unknown = 0;
    if (m->slot == WH_NO_SLOT)
        wh_adopt_new(call);
    else
        *size = wh_message_encode(call, m, gate->shm->segment->slots[m->slot].data);
    return !call->fault && !gate->unknown;
}

/* Nothing that the worker knows of stands against it: then the call is made, and answered. */
static bool carry_out(struct wh_gate *gate, const struct wh_message *m)
{
    const struct wh_callee_call *found = find_call(gate, m);
    uint64_t a[WH_MAX_PARAMS + 1] = {0};
    bool leads = true;
    uint32_t size = 0;
    gate->token = WH_NO_SLOT;
    if (!found)
        return false;
    struct wh_call call = {.worker = &gate->worker,
                           .desc = &gate->worker.backend->api->calls[m->call],
                           .slot = m->slot,
                           .thread = m->thread,
                           .a = a,
                           .pool = gate->pool,
                           .leads = &leads};
    struct wh_reader reader = {.at = (const uint8_t *)(m + 1), .end = (const uint8_t *)m + m->size};
    wh_decode_call(&call, &reader);
    if (call.fault || call.beyond || !can_adopt(gate, &call) ||
        (m->slot != WH_NO_SLOT && !wh_message_has_room(&call, m)) || !wh_cuda_callee.enter(&call))
        return false;
    if (!found->run(&call, a) || call.fault || is_workers(&call, m) ||
        !encode(gate, &call, m, &size))
        return false;
    wh_message_count(&gate->worker);
    gate->carried_out++;
    /* Pairs with client_await_token; nobody sleeps there without a look now and then. */
    if (gate->token != WH_NO_SLOT)
        atomic_store(&gate->shm->segment->tokens[gate->token], WH_TOKEN_DONE);
    /* Another thread of the client may wait for it: it naps, for nobody can ring in a guest. */
    if (m->slot != WH_NO_SLOT)
        (void)wh_lead_reply(gate->shm, m->slot, size);
    return true;
}

/* Takes the next message if it can be carried out here. 1: it was, 0: there is none, -1: it was
 * left. */
static int take_one(struct wh_gate *gate)
{
    struct wh_ring *ring = &gate->shm->calls;
    uint32_t at = ring->at;
    const char *fault = NULL;
    int64_t size = wh_ring_take(ring, gate->message, sizeof(gate->message), &fault);
    if (size == 0)
        return 0;
    bool done = size > 0 && carry_out(gate, (const struct wh_message *)(void *)gate->message);
    wh_pool_reset(gate->pool);
    gate->room_used = 0;
    if (!done)
        ring->at = at;
    return done ? 1 : -1;
}

/* Something that only the worker's threads can see to: calls that are away, an error to be told. */
static bool is_open(const struct wh_gate *gate)
{
    const struct wh_worker *origin = gate->origin;
    return atomic_load(&origin->away) == 0 &&
           atomic_load(&origin->deferred) == wh_cuda_callee.backend.api->success;
}

/* Messages tell where the guest's counter is, from the worker and to it. */
static void hear_clock(struct wh_gate *gate)
{
    if (gate->may_read_tsc && wh_clock_has_news(&gate->clock))
        wh_clock_enter(&gate->clock, wh_callee_tsc());
}

static void tell_clock(struct wh_gate *gate)
{
    if (gate->may_read_tsc)
        wh_clock_leave(&gate->clock, wh_callee_tsc());
}

uint64_t wh_callee_handle(uint64_t first, uint64_t second, uint64_t lane)
{
    struct wh_gate *gate = wh_callee_gate();
    struct wh_shm *shm = gate->shm;
    unsigned left = MOST_AT_ONCE;
    bool began = false;
    (void)second, (void)lane;
    for (;;) {
        if (!wh_lead_try(shm))
            return WH_GATE_RING; /* if who leads stops before it looks, somebody must be woken */
        if (!began)
            wh_cuda_callee.begin();
        began = true;
        gate->may_read_tsc = first != 0;
        hear_clock(gate);
        int took = is_open(gate) ? 1 : -1;
        gate->worker.backend = &wh_cuda_callee.backend;
        while (took > 0)
            took = left > 0 ? (left--, take_one(gate)) : -1;
        if (took < 0)
            tell_clock(gate);
        (void)wh_ring_tell(&shm->calls, took == 0 ? 0 : WH_RING_SIZE / 8);
        bool more = wh_lead_stop(shm);
        if (took < 0) {
            /* Nobody was told of what is left: the client does, if nobody comes before. */
            if (more)
                atomic_store(&shm->calls.control->consumer_sleeps, 1);
            return WH_GATE_RING;
        }
        if (!more)
            return WH_GATE_TAKEN;
    }
}
