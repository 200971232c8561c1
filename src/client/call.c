/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an argument array to bytes and back, by the tables of the description. Two passes: measure
 * and check, then write straight into the ring. The worker's reply is read with the same care as
 * the worker reads us.
 */
#include "client/session.h"

#include "base/log.h"
#include "base/util.h"
#include "channel/channel.h"

#include <stdio.h>
#include <stdlib.h>

#define INLINE_MOST (16u << 10) /* larger payloads go through the arena */

/* One call on its way. */
struct call {
    struct wh_session *session;
    const struct wh_call_desc *desc;
    const struct wh_api *api;
    uint64_t *a;
    int32_t error;           /* the API's error found while measuring, or success */
    uint64_t message, reply; /* bytes */
    const struct wh_block *payload[WH_MAX_PARAMS]; /* arguments that travel in the arena */
    const struct wh_block *reply_block;
    bool sent; /* without a reply so far */
    struct wh_object
        *made[WH_MAX_PARAMS + 1]; /* single new objects, by parameter; the last for the result */
};

static uint64_t padded(uint64_t size)
{
    return (size + 7) & ~7ull;
}

/* The length of parameter `p` by its rule; false on overflow. */
static bool length_of(const struct wh_param *p, const uint64_t *a, uint64_t *length)
{
    uint64_t n = p->length.scale;
    if (p->length.a >= 0 && __builtin_mul_overflow(n, a[p->length.a], &n))
        return false;
    if (p->length.b >= 0 && __builtin_mul_overflow(n, a[p->length.b], &n))
        return false;
    *length = n;
    return n <= WH_PAYLOAD_LENGTH;
}

/* The size of a structure of kind WH_VERSIONED, by its caller's word; false: none that is known. */
static bool versioned_size(const struct wh_param *p, const void *structure, uint64_t *size)
{
    uint32_t version;
    memcpy(&version, structure, sizeof(version));
    *size = version & WH_VERSION_SIZE;
    return *size >= sizeof(version) && *size <= p->length.scale;
}

static int32_t object_error(const struct call *call, const struct wh_param *p)
{
    return p->invalid ? p->invalid : call->api->objects[p->type].invalid;
}

static bool valid_handle(const struct call *call, uint64_t handle, uint16_t type)
{
    return handle == 0 || wh_object_check(call->session->objects, (void *)(uintptr_t)handle, type);
}

/* The handle itself, or what this session has in its place; 0: it is none. */
static uint64_t live_handle(const struct call *call, uint64_t handle, uint16_t type)
{
    const struct wh_shim *shim = call->session->shim;
    if (valid_handle(call, handle, type))
        return handle;
    return shim->inherited ? shim->inherited(call->session, type, handle) : 0;
}

static uint64_t id_of(uint64_t handle)
{
    return handle ? ((struct wh_object *)(uintptr_t)handle)->id : WH_ID_NONE;
}

/* As many of the arrays as the call has parameters: to clear them whole would cost more than to
 * send a small message. */
static void start(struct call *call, struct wh_session *session, const struct wh_call_desc *desc,
                  uint64_t *a)
{
    call->session = session;
    call->desc = desc;
    call->api = session->shim->api;
    call->a = a;
    call->error = call->api->success;
    call->reply_block = NULL;
    call->sent = false;
    for (unsigned i = 0; i < desc->nparams; i++) {
        call->payload[i] = NULL;
        call->made[i] = NULL;
    }
    call->made[WH_RESULT] = NULL;
}

/* ---- first pass ---- */

static void refuse(struct call *call, int32_t error)
{
    if (call->error == call->api->success)
        call->error = error;
}

static void measure_handles(struct call *call, const struct wh_param *p, const uint64_t *handles,
                            uint64_t n)
{
    call->message += n * 8;
    for (uint64_t i = 0; i < n; i++)
        if (!valid_handle(call, handles[i], p->type))
            refuse(call, object_error(call, p));
}

static void measure_strings(struct call *call, const char *const *strings, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        call->message += 8 + (strings[i] ? padded(strlen(strings[i]) + 1) : 0);
}

static void measure_structs(struct call *call, const struct wh_param *p, const uint8_t *structs,
                            uint64_t n)
{
    const struct wh_struct_desc *desc = &call->api->structs[p->type];
    call->message += padded(n * desc->size);
    for (uint64_t i = 0; i < n; i++)
        for (unsigned h = 0; h < desc->nhandles; h++) {
            uint64_t handle;
            memcpy(&handle, structs + i * desc->size + desc->handles[h].offset, sizeof(handle));
            if (!valid_handle(call, handle, desc->handles[h].type))
                refuse(call, call->api->objects[desc->handles[h].type].invalid);
        }
}

/* Pairs before the terminating zero. */
static uint64_t count_props(const uint64_t *list)
{
    uint64_t n = 0;
    while (list[2 * n])
        n++;
    return n;
}

static void measure_props(struct call *call, const struct wh_param *p, const uint64_t *list)
{
    uint64_t n = count_props(list);
    call->message += n * 16;
    for (uint64_t i = 0; i < n; i++) {
        const struct wh_name_desc *name =
            wh_find_name(&call->api->props[p->type], (int64_t)list[2 * i]);
        if (name && name->content == WH_CONTENT_HANDLES && list[2 * i + 1] &&
            !live_handle(call, list[2 * i + 1], name->type))
            refuse(call, call->api->objects[name->type].invalid);
    }
}

/* Bytes in: in the message, or through the arena when they are many. */
static void measure_bytes(struct call *call, unsigned i, uint64_t size)
{
    if (size <= INLINE_MOST) {
        call->message += padded(size);
        return;
    }
    call->message += 8;
    call->payload[i] = wh_arena_allocate(call->session->arena, size, 64);
    if (!call->payload[i])
        refuse(call, call->api->no_memory);
}

static void measure_result(struct call *call, const struct wh_param *p, uint64_t n)
{
    bool objects = p->kind == WH_OUT_HANDLES || p->kind == WH_NEWS;
    call->reply += 8 + (objects ? n * 8 : padded(n));
    if (p->kind == WH_NEWS)
        call->message += n * 8;
}

static void measure_param(struct call *call, unsigned i)
{
    const struct wh_param *p = &call->desc->params[i];
    const void *pointer = (const void *)(uintptr_t)call->a[i];
    uint64_t n = 0;
    call->message += 8;
    switch ((enum wh_kind)p->kind) {
    case WH_VALUE:
    case WH_LOCAL:
    case WH_ARENA:
    case WH_MEMORY:
        return;
    case WH_HANDLE:
        if (call->api->objects[p->type].special && call->a[i] < WH_SPECIAL_HANDLES)
            call->a[i] = call->session->shim->special(call->session, p->type, call->a[i]);
        if (valid_handle(call, call->a[i], p->type))
            return;
        call->a[i] = live_handle(call, call->a[i], p->type);
        if (!call->a[i])
            refuse(call, object_error(call, p));
        return;
    default:
        break;
    }
    if (!pointer)
        return;
    if (p->kind == WH_STRING) {
        measure_bytes(call, i, strlen(pointer) + 1);
        return;
    }
    if (p->kind == WH_PROPS) {
        measure_props(call, p, pointer);
        return;
    }
    if (p->kind == WH_VERSIONED) {
        if (!versioned_size(p, pointer, &n))
            refuse(call, p->invalid);
        call->message += padded(n);
        measure_result(call, p, n);
        return;
    }
    if (!length_of(p, call->a, &n) ||
        (n > (1u << 24) && p->kind != WH_BYTES && p->kind != WH_OUT && p->kind != WH_INFO)) {
        refuse(call, call->api->invalid_value);
        return;
    }
    if (p->kind == WH_HANDLES)
        measure_handles(call, p, pointer, n);
    else if (p->kind == WH_BYTES)
        measure_bytes(call, i, n);
    else if (p->kind == WH_STRINGS)
        measure_strings(call, pointer, n);
    else if (p->kind == WH_STRUCTS)
        measure_structs(call, p, pointer, n);
    else
        measure_result(call, p, n);
}

static bool is_new(const struct wh_param *p)
{
    return p->kind == WH_NEWS && p->length.a < 0 && p->length.scale == 1;
}

/* The object whose existence the call's new objects prolong: its first argument, if that is an
 * object. */
static struct wh_object *parent_of(const struct call *call)
{
    if (call->desc->nparams == 0 || call->desc->params[0].kind != WH_HANDLE)
        return NULL;
    return (struct wh_object *)(uintptr_t)call->a[0];
}

static void make_objects(struct call *call)
{
    for (unsigned i = 0; i <= call->desc->nparams; i++) {
        bool result = i == call->desc->nparams;
        if (result ? call->desc->result != WH_RESULT_NEW
                   : !is_new(&call->desc->params[i]) || !call->a[i])
            continue;
        uint16_t type = result ? call->desc->result_type : call->desc->params[i].type;
        unsigned place = result ? WH_RESULT : i;
        call->made[place] = wh_object_new(call->session->objects, type, parent_of(call));
        if (!call->made[place])
            refuse(call, call->api->no_memory);
    }
}

static void measure(struct call *call)
{
    call->message = sizeof(struct wh_message);
    call->reply = 8;
    for (unsigned i = 0; i < call->desc->nparams; i++)
        measure_param(call, i);
    if (call->desc->result == WH_RESULT_NEW)
        call->message += 8;
    if (call->error == call->api->success && call->message > WH_MESSAGE_MAX)
        refuse(call, call->api->no_memory);
    if (call->error == call->api->success)
        make_objects(call);
}

/* ---- second pass ---- */

static void write_ids(struct wh_writer *w, const uint64_t *handles, uint64_t n)
{
    wh_write_word(w, n);
    for (uint64_t i = 0; i < n; i++)
        wh_write_word(w, id_of(handles[i]));
}

static void write_strings(struct wh_writer *w, const char *const *strings, uint64_t n)
{
    wh_write_word(w, n);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t size = strings[i] ? strlen(strings[i]) + 1 : 0;
        wh_write_word(w, strings[i] ? size : WH_PAYLOAD_NULL);
        wh_write_bytes(w, strings[i], size);
    }
}

static void write_structs(struct wh_writer *w, const struct wh_struct_desc *desc,
                          const void *structs, uint64_t n)
{
    wh_write_word(w, n);
    uint8_t *room = wh_write_room(w, n * desc->size);
    if (!room)
        return;
    memcpy(room, structs, n * desc->size);
    for (uint64_t i = 0; i < n; i++)
        for (unsigned h = 0; h < desc->nhandles; h++) {
            uint8_t *place = room + i * desc->size + desc->handles[h].offset;
            uint64_t handle;
            memcpy(&handle, place, sizeof(handle));
            handle = id_of(handle);
            memcpy(place, &handle, sizeof(handle));
        }
}

/* A name that no list knows crosses as WH_PROP_UNKNOWN without its value, so that the library
 * itself refuses it. */
static void write_props(const struct call *call, struct wh_writer *w, const struct wh_param *p,
                        const uint64_t *list)
{
    uint64_t n = count_props(list);
    wh_write_word(w, n);
    for (uint64_t i = 0; i < n; i++) {
        const struct wh_name_desc *name =
            wh_find_name(&call->api->props[p->type], (int64_t)list[2 * i]);
        uint64_t value = name ? list[2 * i + 1] : 0;
        if (name && name->content == WH_CONTENT_HANDLES)
            value = id_of(live_handle(call, value, name->type));
        wh_write_word(w, name ? list[2 * i] : WH_PROP_UNKNOWN);
        wh_write_word(w, value);
    }
}

static void write_payload(struct call *call, struct wh_writer *w, unsigned i, const void *bytes,
                          uint64_t size)
{
    const struct wh_block *block = call->payload[i];
    if (!block) {
        wh_write_word(w, size);
        wh_write_bytes(w, bytes, size);
        return;
    }
    memcpy(wh_arena_address(call->session->arena, block), bytes, size);
    wh_write_word(w, size | WH_PAYLOAD_ARENA);
    wh_write_word(w, block->offset);
}

/* The ids of objects that the call will make; the objects are made here, so that both sides agree.
 */
static void write_new_ids(struct call *call, struct wh_writer *w, unsigned i, uint64_t n)
{
    const struct wh_param *p = &call->desc->params[i];
    struct wh_object **places = (struct wh_object **)(uintptr_t)call->a[i];
    wh_write_word(w, n);
    if (is_new(p)) {
        wh_write_word(w, call->made[i]->id);
        return;
    }
    for (uint64_t k = 0; k < n; k++) {
        places[k] = wh_object_new(call->session->objects, p->type, parent_of(call));
        wh_write_word(w, places[k] ? places[k]->id : WH_ID_NONE);
    }
}

static void write_param(struct call *call, struct wh_writer *w, unsigned i)
{
    const struct wh_param *p = &call->desc->params[i];
    const void *pointer = (const void *)(uintptr_t)call->a[i];
    uint64_t n = 0;
    if (p->kind == WH_VALUE || p->kind == WH_ARENA || p->kind == WH_LOCAL || p->kind == WH_MEMORY) {
        wh_write_word(w, p->kind == WH_LOCAL ? 0 : call->a[i]);
        return;
    }
    if (p->kind == WH_HANDLE) {
        wh_write_word(w, id_of(call->a[i]));
        return;
    }
    if (!pointer) {
        wh_write_word(w, WH_PAYLOAD_NULL);
        return;
    }
    if (p->kind == WH_VERSIONED)
        versioned_size(p, pointer, &n);
    else if (p->kind != WH_STRING && p->kind != WH_PROPS)
        length_of(p, call->a, &n);
    switch ((enum wh_kind)p->kind) {
    case WH_HANDLES:
        write_ids(w, pointer, n);
        break;
    case WH_BYTES:
    case WH_VERSIONED:
        write_payload(call, w, i, pointer, n);
        break;
    case WH_STRING:
        write_payload(call, w, i, pointer, strlen(pointer) + 1);
        break;
    case WH_STRINGS:
        write_strings(w, pointer, n);
        break;
    case WH_STRUCTS:
        write_structs(w, &call->api->structs[p->type], pointer, n);
        break;
    case WH_PROPS:
        write_props(call, w, p, pointer);
        break;
    case WH_NEWS:
        write_new_ids(call, w, i, n);
        break;
    default: /* results: how much room there is */
        wh_write_word(w, n);
    }
}

enum { NOBODY, SEVERAL = -1 }; /* of wh_session.sender; threads count from 1 */

/* The submission lock is held. */
static void note_sender(struct wh_session *session, uint32_t thread)
{
    int64_t sender = atomic_load_explicit(&session->sender, memory_order_relaxed);
    if (sender != thread && sender != SEVERAL)
        atomic_store_explicit(&session->sender, sender == NOBODY ? (int64_t)thread : SEVERAL,
                              memory_order_relaxed);
}

bool wh_client_is_alone(const struct wh_session *session)
{
    return atomic_load_explicit(&session->sender, memory_order_relaxed) == wh_thread_number();
}

/* Here too: nobody else adds. */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static bool begin(struct wh_session *session, const struct wh_message *header, struct wh_writer *w)
{
    struct wh_channel *channel = session->channel;
    struct wh_call_stats *stats = &session->stats.calls[header->call];
    struct wh_message *message = channel->ops->begin(channel, header->size);
    if (!message)
        return false;
    note_sender(session, header->thread);
    *message = *header;
    *w = (struct wh_writer){.at = (uint8_t *)(message + 1),
                            .end = (uint8_t *)message + header->size};
    count(header->slot == WH_NO_SLOT ? &stats->posted : &stats->waited, 1);
    /* Release pairs with the acquire in sweep_locked: before the message can be seen. */
    atomic_fetch_add_explicit(&session->stats.message_bytes, header->size, memory_order_release);
    if (session->stats.wanted)
        atomic_fetch_add_explicit(&stats->bytes, header->size, memory_order_relaxed);
    return true;
}

bool wh_client_begin(struct wh_session *session, const struct wh_call_desc *desc, uint32_t size,
                     struct wh_writer *w)
{
    struct wh_message header = {.size = (uint32_t)sizeof(header) + (uint32_t)padded(size),
                                .call = desc->number,
                                .thread = wh_thread_number(),
                                .slot = WH_NO_SLOT,
                                .reply_at = WH_IN_SLOT};
    return begin(session, &header, w);
}

void wh_client_commit(struct wh_session *session, struct wh_writer *w)
{
    if (w->at < w->end)
        memset(w->at, 0, (size_t)(w->end - w->at));
    session->channel->ops->commit(session->channel);
}

static bool send(struct call *call, uint32_t slot)
{
    struct wh_message header = {.size = (uint32_t)padded(call->message),
                                .call = call->desc->number,
                                .thread = wh_thread_number(),
                                .slot = slot,
                                .reply_at =
                                    call->reply_block ? call->reply_block->offset : WH_IN_SLOT,
                                .reply_room = slot == WH_NO_SLOT ? 0 : (uint32_t)call->reply};
    struct wh_writer w;
    if (!begin(call->session, &header, &w))
        return false;
    call->sent = true;
    for (unsigned i = 0; i < call->desc->nparams; i++)
        write_param(call, &w, i);
    if (call->desc->result == WH_RESULT_NEW)
        wh_write_word(&w, call->made[WH_RESULT]->id);
    wh_client_commit(call->session, &w);
    return true;
}

/* ---- the reply ---- */

static void read_handles(struct call *call, struct wh_reader *r, const struct wh_param *p,
                         uint64_t n, void **places, uint64_t room)
{
    for (uint64_t k = 0; k < n && !r->fault; k++) {
        uint64_t id = wh_read_word(r);
        if (k < room && id)
            places[k] = wh_object_by_id(call->session->objects, p->type, id);
    }
}

/* Which of the new objects the worker really made; the others vanish. */
static void read_made(struct call *call, struct wh_reader *r, unsigned i, uint64_t n, uint64_t room)
{
    struct wh_object **places = (struct wh_object **)(uintptr_t)call->a[i];
    bool single = is_new(&call->desc->params[i]);
    for (uint64_t k = 0; k < room; k++) {
        bool made = k < n && wh_read_word(r);
        struct wh_object *object = single ? call->made[i] : places[k];
        if (!made && object)
            wh_object_cancel(object);
        if (made)
            places[k] = object;
        else if (!single)
            places[k] = NULL;
    }
    call->made[i] = NULL;
}

/* Handles inside an answer: ids become this process's objects. */
static void translate_info(struct call *call, const struct wh_param *p, void *value, uint64_t size)
{
    const struct wh_name_desc *name =
        wh_find_name(&call->api->infos[p->type], (int64_t)(int32_t)call->a[p->selector]);
    if (!name || name->content == WH_CONTENT_BYTES)
        return;
    uint64_t *words = value;
    for (uint64_t i = 0; i < size / 8; i++) {
        const struct wh_name_desc *prop = NULL;
        if (name->content == WH_CONTENT_PROPS) {
            if (i % 2 == 0)
                continue;
            prop = wh_find_name(&call->api->props[name->type], (int64_t)words[i - 1]);
            if (!prop || prop->content != WH_CONTENT_HANDLES)
                continue;
        }
        uint16_t type = prop ? prop->type : name->type;
        words[i] = (uintptr_t)wh_object_by_id(call->session->objects, type, words[i]);
    }
}

static void read_bytes(struct call *call, struct wh_reader *r, const struct wh_param *p, uint64_t n,
                       void *place, uint64_t room)
{
    const void *bytes = wh_read_bytes(r, n);
    if (!bytes)
        return;
    if (n > room)
        n = room;
    memcpy(place, bytes, n);
    if (p->kind == WH_INFO)
        translate_info(call, p, place, n);
}

static void read_param(struct call *call, struct wh_reader *r, unsigned i)
{
    const struct wh_param *p = &call->desc->params[i];
    void *pointer = (void *)(uintptr_t)call->a[i];
    uint64_t room = 0;
    if (p->kind < WH_OUT || p->kind > WH_NEWS || !pointer)
        return;
    uint64_t n = wh_read_word(r);
    if (p->kind == WH_VERSIONED)
        versioned_size(p, pointer, &room);
    else
        length_of(p, call->a, &room);
    if (n & WH_PAYLOAD_NULL)
        n = 0;
    if (p->kind == WH_NEWS)
        read_made(call, r, i, n, room);
    else if (p->kind == WH_OUT_HANDLES)
        read_handles(call, r, p, n, pointer, room);
    else
        read_bytes(call, r, p, n, pointer, room);
}

static uint64_t read_reply(struct call *call, const struct wh_reply *reply)
{
    const uint8_t *bytes = reply->bytes;
    uint8_t copy[2048];
    uint64_t size = reply->size < call->reply ? reply->size : call->reply;
    if (call->reply_block) {
        bytes = wh_arena_address(call->session->arena, call->reply_block);
    } else {
        size = size < sizeof(copy) ? size : sizeof(copy);
        memcpy(copy, bytes, size); /* once: the worker could change it while we read */
        bytes = copy;
    }
    call->sent = false;
    struct wh_reader r = {.at = bytes, .end = bytes + size};
    uint64_t result = wh_read_word(&r);
    for (unsigned i = 0; i < call->desc->nparams; i++)
        read_param(call, &r, i);
    struct wh_object *made = call->made[WH_RESULT];
    if (made && (result == 0 || r.fault)) {
        wh_object_cancel(made);
        made = NULL;
    }
    call->made[WH_RESULT] = NULL;
    if (r.fault) {
        call->session->channel->ops->lose(call->session->channel,
                                          "the worker sent a malformed reply");
        refuse(call, call->api->lost);
    }
    return call->desc->result == WH_RESULT_NEW ? (uint64_t)(uintptr_t)made : result;
}

static void clean_up(struct call *call)
{
    for (unsigned i = 0; i < call->desc->nparams; i++) {
        if (call->payload[i])
            wh_arena_release(call->session->arena, call->payload[i]);
        if (call->made[i])
            wh_object_cancel(call->made[i]);
    }
    wh_arena_release(call->session->arena, call->reply_block);
    if (call->made[WH_RESULT])
        wh_object_cancel(call->made[WH_RESULT]);
}

/* The several new objects of one parameter vanish when there was no reply to say which were made.
 */
static void cancel_arrays(struct call *call)
{
    for (unsigned i = 0; i < call->desc->nparams; i++) {
        struct wh_object **places = (struct wh_object **)(uintptr_t)call->a[i];
        uint64_t n = 0;
        if (!call->sent || call->desc->params[i].kind != WH_NEWS ||
            is_new(&call->desc->params[i]) || !places)
            continue;
        length_of(&call->desc->params[i], call->a, &n);
        for (uint64_t k = 0; k < n; k++) {
            if (places[k])
                wh_object_cancel(places[k]);
            places[k] = NULL;
        }
    }
}

/* The result of a call that did not reach the worker, or whose reply did not reach us. */
static uint64_t failed(struct call *call)
{
    const struct wh_call_desc *desc = call->desc;
    cancel_arrays(call);
    clean_up(call);
    if (desc->result == WH_RESULT_STATUS)
        return (uint64_t)(int64_t)call->error;
    if (desc->result == WH_RESULT_NEW && desc->error_param >= 0 && call->a[desc->error_param])
        *(int32_t *)(uintptr_t)call->a[desc->error_param] = call->error;
    return 0;
}

/* What moves data or waits for the device takes longer than a question. */
static bool is_slow(const struct wh_call_desc *desc)
{
    return (desc->flags & WH_CALL_BLOCKS) ||
           (desc->flags & (WH_CALL_SYNCS | WH_CALL_MESSAGE)) == (WH_CALL_SYNCS | WH_CALL_MESSAGE);
}

static void count_reply(const struct call *call, uint64_t since, uint32_t size)
{
    struct wh_call_stats *stats = &call->session->stats.calls[call->desc->number];
    atomic_fetch_add_explicit(&stats->wait_ns, wh_now_ns() - since, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->bytes, size, memory_order_relaxed);
}

static bool wait_for_reply(struct call *call, uint32_t slot, uint64_t *result)
{
    struct wh_channel *channel = call->session->channel;
    struct wh_reply reply;
    uint64_t since = call->session->stats.wanted ? wh_now_ns() : 0;
    if (!send(call, slot) || channel->ops->await(channel, slot, is_slow(call->desc), &reply) < 0)
        return false;
    if (since)
        count_reply(call, since, reply.size);
    *result = read_reply(call, &reply);
    wh_news_drain(call->session, reply.upcalls);
    return true;
}

/* A call in a reply slot. Calls that may wait for something that another thread's call will do
 * never take the last slots, so that one gets through. */
static bool call_in_slot(struct call *call, uint64_t *result)
{
    struct wh_session *session = call->session;
    struct wh_channel *channel = session->channel;
    bool slow = is_slow(call->desc);
    while (slow && sem_wait(&session->may_block) < 0)
        ; /* a signal */
    uint32_t slot = channel->ops->take_slot(channel);
    bool replied = wait_for_reply(call, slot, result);
    channel->ops->put_slot(channel, slot);
    if (slow)
        sem_post(&session->may_block);
    return replied;
}

/* ---- waiting twice ---- */

/* The last call by this thread that left nothing to wait for, and how much had been sent then. */
static _Thread_local struct {
    const struct wh_session *session;
    const struct wh_call_desc *desc;
    uint64_t object, sent;
} settled;

/* The last call by this thread that succeeded, if nothing else was sent while it was on its way:
 * that may have come after it. */
static _Thread_local struct {
    const struct wh_session *session;
    uint64_t sent;
} ended;

static uint64_t bytes_sent(const struct wh_session *session)
{
    return atomic_load_explicit(&session->stats.message_bytes, memory_order_relaxed);
}

static uint64_t object_of(const struct call *call)
{
    return call->desc->nparams ? call->a[0] : 0;
}

/* Nothing was sent since the same wait ended well: neither by this thread nor by another, whose
 * doing this thread could know of. A lost session is the worker's to tell. */
bool wh_client_is_settled(const struct wh_session *session, const struct wh_call_desc *waits,
                          uint64_t object)
{
    return settled.session == session && settled.desc == waits && settled.object == object &&
           settled.sent == bytes_sent(session) && !wh_session_lost(session);
}

void wh_client_settled(const struct wh_session *session, const struct wh_call_desc *waits,
                       uint64_t object)
{
    if (ended.session != session)
        return;
    settled.session = session;
    settled.desc = waits;
    settled.object = object;
    settled.sent = ended.sent;
}

static void note_end(const struct call *call, uint64_t before, uint64_t result)
{
    ended.sent = before + padded(call->message);
    ended.session = (int32_t)result == call->api->success && bytes_sent(call->session) == ended.sent
                        ? call->session
                        : NULL;
}

uint64_t wh_client_call(struct wh_session *session, const struct wh_call_desc *desc, uint64_t *a)
{
    struct call call;
    struct wh_channel *channel = session->channel;
    uint64_t result = 0;
    start(&call, session, desc, a);
    measure(&call);
    if (call.error == call.api->success && call.reply > channel->slot_room) {
        call.reply_block = wh_arena_allocate(session->arena, call.reply, 64);
        if (!call.reply_block || call.reply > UINT32_MAX)
            refuse(&call, call.api->no_memory);
    }
    if (call.error != call.api->success)
        return failed(&call);
    if ((desc->flags & WH_CALL_SETTLES) && wh_client_is_settled(session, desc, object_of(&call))) {
        wh_stats_answered(session, desc);
        return (uint64_t)(int64_t)call.api->success;
    }
    uint64_t before = bytes_sent(session);
    if (!call_in_slot(&call, &result))
        refuse(&call, call.api->lost);
    if (call.error != call.api->success)
        return failed(&call);
    clean_up(&call);
    note_end(&call, before, result);
    if (desc->flags & WH_CALL_SETTLES)
        wh_client_settled(session, desc, object_of(&call));
    if (desc->flags & WH_CALL_SYNCS)
        wh_transfer_sweep(session);
    return result;
}

/* After a post, its new objects are the program's. */
static void hand_out(struct call *call)
{
    for (unsigned i = 0; i < call->desc->nparams; i++)
        if (call->made[i])
            *(struct wh_object **)(uintptr_t)call->a[i] = call->made[i];
}

uint64_t wh_client_post(struct wh_session *session, const struct wh_call_desc *desc, uint64_t *a)
{
    struct call call;
    start(&call, session, desc, a);
    measure(&call);
    for (unsigned i = 0; i < desc->nparams; i++)
        if (call.payload[i]) { /* the arena may be reused only after a reply */
            clean_up(&call);
            return wh_client_call(session, desc, a);
        }
    if (call.error == call.api->success && !send(&call, WH_NO_SLOT))
        refuse(&call, call.api->lost);
    if (call.error != call.api->success)
        return failed(&call);
    hand_out(&call);
    return desc->result == WH_RESULT_NEW ? (uint64_t)(uintptr_t)call.made[WH_RESULT]
                                         : (uint64_t)(int64_t)call.api->success;
}
