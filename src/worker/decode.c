/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From words to arguments and back, by the tables of the description. The message is a private
 * copy; what lies in the arena is copied before it is looked at. The first thing that is wrong
 * faults the call, and with it the session.
 */
#include "base/util.h"
#include "worker/worker.h"

#include <string.h>

#define MOST_ELEMENTS (1u << 24)

static const struct wh_api *api_of(const struct wh_call *call)
{
    return call->worker->backend->api;
}

/* The length of parameter `p` by its rule from scalars decoded before it. */
static uint64_t length_of(struct wh_call *call, const struct wh_param *p)
{
    uint64_t n = p->length.scale;
    bool overflow = (p->length.a >= 0 && __builtin_mul_overflow(n, call->a[p->length.a], &n)) ||
                    (p->length.b >= 0 && __builtin_mul_overflow(n, call->a[p->length.b], &n));
    if (overflow || n > WH_PAYLOAD_LENGTH)
        wh_call_fault(call, "a length overflows");
    return n;
}

static void *lookup(struct wh_call *call, uint64_t id, uint16_t type, struct wh_entry **found)
{
    if (id == WH_ID_NONE)
        return NULL;
    struct wh_entry *entry =
        id <= UINT32_MAX ? wh_table_find(call->worker->table, (uint32_t)id, type) : NULL;
    if (!entry)
        return wh_call_fault(call, "an object id is unknown or of another type");
    if (found)
        *found = entry;
    return entry->real;
}

static uint64_t sign_extend(uint64_t word, const struct wh_param *p)
{
    unsigned unused = 64 - 8u * p->size;
    if (p->size == 0 || p->size >= 8)
        return word;
    return p->is_signed ? (uint64_t)((int64_t)(word << unused) >> unused)
                        : word << unused >> unused;
}

static void decode_handles(struct wh_call *call, struct wh_reader *r, unsigned i, uint64_t n)
{
    const struct wh_param *p = &call->desc->params[i];
    const uint64_t *ids = wh_read_bytes(r, n * 8);
    void **handles = wh_call_memory(call, (n + 1) * sizeof(*handles));
    if (!ids || !handles)
        return;
    for (uint64_t k = 0; k < n && !call->fault; k++)
        handles[k] = lookup(call, ids[k], p->type, NULL);
    call->new_ids[i] = ids; /* kept for pinning */
    call->a[i] = (uintptr_t)handles;
}

/* Bytes in the message, or copied out of the arena; one zero byte behind them. */
static uint8_t *decode_payload(struct wh_call *call, struct wh_reader *r, uint64_t word)
{
    uint64_t n = word & WH_PAYLOAD_LENGTH;
    const void *from =
        word & WH_PAYLOAD_ARENA ? wh_call_arena(call, wh_read_word(r), n) : wh_read_bytes(r, n);
    uint8_t *copy = from ? wh_call_memory(call, n + 1) : NULL;
    if (copy)
        memcpy(copy, from, n);
    return copy;
}

static void decode_string(struct wh_call *call, struct wh_reader *r, unsigned i, uint64_t word)
{
    uint64_t n = word & WH_PAYLOAD_LENGTH;
    uint8_t *text = decode_payload(call, r, word);
    if (text && (n == 0 || text[n - 1] != 0))
        wh_call_fault(call, "a text does not end with a zero byte");
    call->a[i] = (uintptr_t)text;
}

static void decode_strings(struct wh_call *call, struct wh_reader *r, unsigned i, uint64_t n)
{
    char **strings = wh_call_memory(call, (n + 1) * sizeof(*strings));
    for (uint64_t k = 0; strings && k < n && !call->fault && !r->fault; k++) {
        uint64_t word = wh_read_word(r);
        if (word == WH_PAYLOAD_NULL)
            continue;
        if (word > WH_PAYLOAD_LENGTH) {
            wh_call_fault(call, "a text's word is malformed");
            break;
        }
        strings[k] = (char *)decode_payload(call, r, word & WH_PAYLOAD_LENGTH);
        if (strings[k] &&
            ((word & WH_PAYLOAD_LENGTH) == 0 || strings[k][(word & WH_PAYLOAD_LENGTH) - 1] != 0))
            wh_call_fault(call, "a text does not end with a zero byte");
    }
    call->a[i] = (uintptr_t)strings;
}

static void decode_structs(struct wh_call *call, struct wh_reader *r, unsigned i, uint64_t n)
{
    const struct wh_struct_desc *desc = &api_of(call)->structs[call->desc->params[i].type];
    const void *bytes = wh_read_bytes(r, n * desc->size);
    uint8_t *structs = bytes ? wh_call_memory(call, n * desc->size + 1) : NULL;
    if (!structs)
        return;
    memcpy(structs, bytes, n * desc->size);
    for (uint64_t k = 0; k < n; k++)
        for (unsigned h = 0; h < desc->nhandles; h++) {
            uint8_t *place = structs + k * desc->size + desc->handles[h].offset;
            uint64_t id;
            memcpy(&id, place, sizeof(id));
            void *real = lookup(call, id, desc->handles[h].type, NULL);
            memcpy(place, &real, sizeof(real));
        }
    call->a[i] = (uintptr_t)structs;
}

static void decode_props(struct wh_call *call, struct wh_reader *r, unsigned i, uint64_t n)
{
    const struct wh_names *names = &api_of(call)->props[call->desc->params[i].type];
    const uint64_t *words = wh_read_bytes(r, n * 16);
    uint64_t *list = words ? wh_call_memory(call, (2 * n + 1) * 8) : NULL;
    for (uint64_t k = 0; list && k < n && !call->fault; k++) {
        const struct wh_name_desc *name = wh_find_name(names, (int64_t)words[2 * k]);
        if (!name && (words[2 * k] != WH_PROP_UNKNOWN || words[2 * k + 1] != 0))
            wh_call_fault(call, "a property is not in its list");
        list[2 * k] = words[2 * k];
        list[2 * k + 1] = words[2 * k + 1];
        if (name && name->content == WH_CONTENT_HANDLES)
            list[2 * k + 1] = (uintptr_t)lookup(call, words[2 * k + 1], name->type, NULL);
    }
    call->a[i] = (uintptr_t)list;
}

/* Room for a result; what the library does not write stays zero. */
static void decode_result(struct wh_call *call, struct wh_reader *r, unsigned i, uint64_t n)
{
    const struct wh_param *p = &call->desc->params[i];
    uint64_t unit = p->kind == WH_NEWS || p->kind == WH_OUT_HANDLES ? sizeof(void *) : 1;
    if (p->kind == WH_NEWS)
        call->new_ids[i] = wh_read_bytes(r, n * 8);
    call->a[i] = (uintptr_t)wh_call_memory(call, n * unit + 8);
    call->wanted |= 1u << i;
}

/* A structure in and back: the library believes the size that its first word claims, so that must
 * be the size it has here. */
static void decode_versioned(struct wh_call *call, struct wh_reader *r, unsigned i, uint64_t n)
{
    const void *bytes = wh_read_bytes(r, n);
    uint8_t *structure = bytes ? wh_call_memory(call, n + 8) : NULL;
    uint32_t version = 0;
    if (!structure)
        return;
    memcpy(structure, bytes, n);
    memcpy(&version, structure, sizeof(version));
    if (n < sizeof(version) || n > call->desc->params[i].length.scale ||
        n != (version & WH_VERSION_SIZE))
        wh_call_fault(call, "a structure's version contradicts its size");
    call->a[i] = (uintptr_t)structure;
    call->wanted |= 1u << i;
}

static bool counts_elements(uint8_t kind)
{
    return kind != WH_BYTES && kind != WH_VERSIONED && kind != WH_OUT && kind != WH_INFO &&
           kind != WH_STRING;
}

/* Everything that starts with a payload word. */
static void decode_array(struct wh_call *call, struct wh_reader *r, unsigned i)
{
    const struct wh_param *p = &call->desc->params[i];
    uint64_t word = wh_read_word(r);
    uint64_t n = word & WH_PAYLOAD_LENGTH;
    if (word == WH_PAYLOAD_NULL)
        return;
    if (word & WH_PAYLOAD_NULL) {
        wh_call_fault(call, "a payload's word is malformed");
        return;
    }
    if (word & WH_PAYLOAD_ARENA && p->kind != WH_BYTES && p->kind != WH_STRING) {
        wh_call_fault(call, "a payload of this kind may not lie in the arena");
        return;
    }
    call->present |= 1u << i;
    if (counts_elements(p->kind) && n > MOST_ELEMENTS) {
        wh_call_fault(call, "an array is absurdly long");
        return;
    }
    call->n[i] = n;
    switch ((enum wh_kind)p->kind) {
    case WH_HANDLES:
        decode_handles(call, r, i, n);
        break;
    case WH_BYTES:
        call->a[i] = (uintptr_t)decode_payload(call, r, word);
        break;
    case WH_STRING:
        decode_string(call, r, i, word);
        break;
    case WH_STRINGS:
        decode_strings(call, r, i, n);
        break;
    case WH_STRUCTS:
        decode_structs(call, r, i, n);
        break;
    case WH_PROPS:
        decode_props(call, r, i, n);
        break;
    case WH_VERSIONED:
        decode_versioned(call, r, i, n);
        break;
    default:
        decode_result(call, r, i, n);
    }
}

static void decode_param(struct wh_call *call, struct wh_reader *r, unsigned i)
{
    const struct wh_param *p = &call->desc->params[i];
    switch ((enum wh_kind)p->kind) {
    case WH_VALUE:
    case WH_MEMORY: /* looked up in check_lengths */
        call->a[i] = sign_extend(wh_read_word(r), p);
        break;
    case WH_LOCAL:
        wh_read_word(r);
        break;
    case WH_HANDLE:
        call->a[i] = (uintptr_t)lookup(call, wh_read_word(r), p->type, &call->entries[i]);
        break;
    case WH_ARENA: /* becomes an address in check_lengths */
        call->a[i] = wh_read_word(r);
        break;
    default:
        decode_array(call, r, i);
    }
}

/* A device address that is not the session's is the program's mistake, not a malformed message. */
static void check_memory(struct wh_call *call, unsigned i)
{
    const struct wh_backend *backend = call->worker->backend;
    const struct wh_param *p = &call->desc->params[i];
    uint64_t size = p->length.scale;
    bool overflow =
        (p->length.a >= 0 && __builtin_mul_overflow(size, call->a[p->length.a], &size)) ||
        (p->length.b >= 0 && __builtin_mul_overflow(size, call->a[p->length.b], &size));
    bool some = overflow || (p->length.scale == 0 ? call->a[i] != 0 : size != 0);
    if (some &&
        (overflow || !backend->reaches || !backend->reaches(call->worker, call->a[i], size)))
        call->beyond = true;
}

/* A length may be said by a parameter that comes later: rules are checked when all are known. */
static void check_lengths(struct wh_call *call)
{
    for (unsigned i = 0; i < call->desc->nparams && !call->fault; i++) {
        const struct wh_param *p = &call->desc->params[i];
        if (p->kind == WH_ARENA) {
            call->n[i] = length_of(call, p);
            call->a[i] = (uintptr_t)wh_call_arena(call, call->a[i], call->n[i]);
        } else if (p->kind == WH_MEMORY) {
            check_memory(call, i);
        } else if ((call->present >> i & 1) && p->kind != WH_STRING && p->kind != WH_PROPS &&
                   p->kind != WH_VERSIONED && call->n[i] != length_of(call, p)) {
            wh_call_fault(call, "a payload's length breaks its rule");
        }
    }
}

/* The library writes an answer's true size behind it; the worker wants it even if the program does
 * not. */
static void provide_sizes(struct wh_call *call)
{
    for (unsigned i = 0; i + 1 < call->desc->nparams; i++)
        if (call->desc->params[i].kind == WH_INFO && !call->a[i + 1])
            call->a[i + 1] = (uintptr_t)wh_call_memory(call, 8);
}

void wh_decode_call(struct wh_call *call, struct wh_reader *r)
{
    for (unsigned i = 0; i < call->desc->nparams && !call->fault && !r->fault; i++)
        decode_param(call, r, i);
    if (call->desc->result == WH_RESULT_NEW)
        call->new_ids[WH_RESULT] = wh_read_bytes(r, 8);
    if (r->fault)
        wh_call_fault(call, r->fault);
    else if (r->at != r->end)
        wh_call_fault(call, "the message is longer than its call");
    check_lengths(call);
    if (!call->fault)
        provide_sizes(call);
}

/* ---- the reply ---- */

/* Whether the program passed a place for parameter `i` as a result. */
static bool is_wanted(const struct wh_call *call, unsigned i)
{
    return (call->wanted >> i & 1) != 0;
}

uint64_t wh_reply_bound(const struct wh_call *call)
{
    uint64_t bound = 8;
    for (unsigned i = 0; i < call->desc->nparams; i++) {
        if (!is_wanted(call, i))
            continue;
        uint8_t kind = call->desc->params[i].kind;
        bool objects = kind == WH_OUT_HANDLES || kind == WH_NEWS;
        bound += 8 + (objects ? call->n[i] * 8 : wh_round_up(call->n[i], 8));
    }
    return bound;
}

/* The id of an object in an answer. One seen for the first time gets a reference of the worker's
 * own: the program may let go of whatever kept it alive. */
static uint64_t id_for(struct wh_call *call, uint16_t type, void *real)
{
    const struct wh_backend *backend = call->worker->backend;
    int16_t retain = backend->api->objects[type].retain;
    bool discovered;
    uint32_t id = wh_table_id_of(call->worker->table, type, real, &discovered);
    if (discovered && retain >= 0 && backend->thunks[retain] &&
        ((void *const *)backend->functions)[retain]) {
        uint64_t a[WH_MAX_PARAMS + 1] = {(uintptr_t)real};
        backend->thunks[retain](NULL, backend->functions, a);
    }
    return id;
}

static void encode_found(struct wh_call *call, struct wh_writer *w, unsigned i)
{
    const struct wh_param *p = &call->desc->params[i];
    void **handles = (void **)(uintptr_t)call->a[i];
    wh_write_word(w, call->n[i]);
    for (uint64_t k = 0; k < call->n[i]; k++)
        wh_write_word(w, id_for(call, p->type, handles[k]));
}

/* Enters one new object; an id that is in use is the client's lie. */
static bool adopt(struct wh_call *call, uint64_t id, uint16_t type, void *real)
{
    if (!real)
        return false;
    if (id <= UINT32_MAX && wh_table_add(call->worker->table, (uint32_t)id, type, real))
        return true;
    wh_call_fault(call, "a new object's id is in use or out of range");
    return false;
}

static void encode_made(struct wh_call *call, struct wh_writer *w, unsigned i)
{
    void **handles = (void **)(uintptr_t)call->a[i];
    wh_write_word(w, call->n[i]);
    for (uint64_t k = 0; k < call->n[i]; k++)
        wh_write_word(w, adopt(call, call->new_ids[i][k], call->desc->params[i].type, handles[k]));
}

/* Library handles inside an answer become ids; an answer with addresses never leaves. */
static bool translate_info(struct wh_call *call, unsigned i, uint64_t size)
{
    const struct wh_param *p = &call->desc->params[i];
    const struct wh_api *api = api_of(call);
    const struct wh_name_desc *name =
        wh_find_name(&api->infos[p->type], (int64_t)(int32_t)call->a[p->selector]);
    uint64_t *words = (uint64_t *)(uintptr_t)call->a[i];
    if (!name || name->content == WH_CONTENT_LOCAL)
        return false;
    for (uint64_t k = 0; name->content != WH_CONTENT_BYTES && k < size / 8; k++) {
        uint16_t type = name->type;
        if (name->content == WH_CONTENT_PROPS) {
            const struct wh_name_desc *prop =
                k % 2 ? wh_find_name(&api->props[name->type], (int64_t)words[k - 1]) : NULL;
            if (!prop || prop->content != WH_CONTENT_HANDLES)
                continue;
            type = prop->type;
        }
        words[k] = id_for(call, type, (void *)(uintptr_t)words[k]);
    }
    return true;
}

static void encode_info(struct wh_call *call, struct wh_writer *w, unsigned i)
{
    uint64_t size = *(uint64_t *)(uintptr_t)call->a[i + 1];
    if (size > call->n[i])
        size = call->n[i];
    if (!translate_info(call, i, size)) {
        wh_write_word(w, WH_PAYLOAD_NULL);
        return;
    }
    wh_write_word(w, size);
    wh_write_bytes(w, (void *)(uintptr_t)call->a[i], size);
}

static void encode_param(struct wh_call *call, struct wh_writer *w, unsigned i)
{
    switch ((enum wh_kind)call->desc->params[i].kind) {
    case WH_OUT_HANDLES:
        encode_found(call, w, i);
        break;
    case WH_NEWS:
        encode_made(call, w, i);
        break;
    case WH_INFO:
        encode_info(call, w, i);
        break;
    default:
        wh_write_word(w, call->n[i]);
        wh_write_bytes(w, (void *)(uintptr_t)call->a[i], call->n[i]);
    }
}

static uint64_t encode_result(struct wh_call *call)
{
    uint64_t result = call->a[WH_RESULT];
    if (call->desc->result != WH_RESULT_NEW)
        return result;
    const uint64_t *id = call->new_ids[WH_RESULT];
    return adopt(call, *id, call->desc->result_type, (void *)(uintptr_t)result);
}

/* A query that the description does not know, or whose answer holds addresses, is refused here. */
static bool may_answer(struct wh_call *call)
{
    for (unsigned i = 0; i < call->desc->nparams; i++) {
        const struct wh_param *p = &call->desc->params[i];
        if (p->kind != WH_INFO)
            continue;
        const struct wh_name_desc *name =
            wh_find_name(&api_of(call)->infos[p->type], (int64_t)(int32_t)call->a[p->selector]);
        return name && name->content != WH_CONTENT_LOCAL;
    }
    return true;
}

void wh_encode_reply(struct wh_call *call, struct wh_writer *w, bool ok)
{
    if (ok && !may_answer(call)) {
        call->a[WH_RESULT] = (uint64_t)(int64_t)api_of(call)->invalid_value;
        ok = false;
    }
    wh_write_word(w, encode_result(call));
    bool always = call->desc->result != WH_RESULT_STATUS;
    for (unsigned i = 0; i < call->desc->nparams; i++) {
        if (!is_wanted(call, i))
            continue;
        if (ok || always)
            encode_param(call, w, i);
        else
            wh_write_word(w, WH_PAYLOAD_NULL);
    }
}

/* A posted call's object exists for the client whatever happened: without a handle of the library
 * it stands for NULL, and whoever uses it gets the library's own error. */
static void adopt_posted(struct wh_call *call, uint64_t id, uint16_t type, void *real)
{
    if (id > UINT32_MAX || !wh_table_add(call->worker->table, (uint32_t)id, type, real))
        wh_call_fault(call, "a new object's id is in use or out of range");
}

void wh_adopt_new(struct wh_call *call)
{
    if (call->desc->result == WH_RESULT_NEW)
        adopt_posted(call, *call->new_ids[WH_RESULT], call->desc->result_type,
                     (void *)(uintptr_t)call->a[WH_RESULT]);
    for (unsigned i = 0; i < call->desc->nparams; i++)
        if (call->desc->params[i].kind == WH_NEWS && call->a[i])
            for (uint64_t k = 0; k < call->n[i]; k++)
                adopt_posted(call, call->new_ids[i][k], call->desc->params[i].type,
                             ((void **)(uintptr_t)call->a[i])[k]);
}
