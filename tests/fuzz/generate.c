/* SPDX-License-Identifier: Apache-2.0 */
/* Random messages by the rules; see generate.h. */
#include "generate.h"

/* Where the fake CUDA has its memory, and where a client asks to have the arena. */
#define DEVICE_MEMORY (3ull << 44)
#define DEVICE_STEP   0x100000ull
#define SHARED_MEMORY (2ull << 44)

#define PER_TYPE 8u /* ids in use of each type: few, so that messages meet */

uint32_t chance_below(struct chance *chance, uint32_t n)
{
    chance->state ^= chance->state << 13;
    chance->state ^= chance->state >> 7;
    chance->state ^= chance->state << 17;
    return n ? (uint32_t)(chance->state >> 32) % n : 0;
}

static uint64_t interesting(struct chance *chance)
{
    static const uint64_t values[] = {
        0,          0,        0,          1,      1,          2,          3,
        4,          8,        16,         24,     32,         64,         128,
        255,        256,      1024,       4096,   65536,      131072,     1u << 20,
        UINT32_MAX, 1u << 31, 1ull << 32, ~0ull,  ~7ull,      1ull << 61, 1ull << 62,
        1ull << 63, 0x1220,   0x10b5,     0x10b0, 2ull << 44, 3ull << 44};
    uint32_t wild = chance_below(chance, 8);
    return values[chance_below(chance, wild ? 16 : sizeof(values) / sizeof(values[0]))];
}

static void add_known(struct known *known, uint16_t type, uint64_t id)
{
    if (known->n < sizeof(known->objects) / sizeof(known->objects[0])) {
        known->objects[known->n].type = type;
        known->objects[known->n++].id = id;
    }
}

/* Steps over what follows an array's first word; notes the ids of new objects. */
static void skip_array(struct known *known, const struct wh_api *api, const struct wh_param *p,
                       struct wh_reader *r)
{
    uint64_t word = wh_read_word(r), n = word & WH_PAYLOAD_LENGTH;
    if (word & WH_PAYLOAD_NULL || n > WH_MESSAGE_MAX)
        return;
    if (word & WH_PAYLOAD_ARENA)
        wh_read_word(r);
    else if (p->kind == WH_BYTES || p->kind == WH_STRING)
        wh_read_bytes(r, n);
    else if (p->kind == WH_VERSIONED)
        wh_read_bytes(r, n);
    else if (p->kind == WH_STRUCTS)
        wh_read_bytes(r, n * api->structs[p->type].size);
    else if (p->kind == WH_PROPS)
        wh_read_bytes(r, n * 16);
    for (uint64_t k = 0; k < n && !r->fault; k++)
        if (p->kind == WH_NEWS)
            add_known(known, p->type, wh_read_word(r));
        else if (p->kind == WH_HANDLES)
            wh_read_word(r);
        else if (p->kind == WH_STRINGS)
            wh_read_bytes(r, wh_read_word(r) & WH_PAYLOAD_LENGTH);
        else
            break;
}

static void collect_from(struct known *known, const struct wh_api *api, const uint8_t *bytes,
                         size_t size)
{
    struct wh_message header;
    struct wh_reader r = {.at = bytes + sizeof(header), .end = bytes + size};
    memcpy(&header, bytes, sizeof(header));
    if (header.call >= api->ncalls)
        return;
    const struct wh_call_desc *call = &api->calls[header.call];
    for (unsigned i = 0; i < call->nparams && !r.fault; i++) {
        uint8_t kind = call->params[i].kind;
        if (kind == WH_VALUE || kind == WH_HANDLE || kind == WH_ARENA || kind == WH_LOCAL ||
            kind == WH_MEMORY)
            wh_read_word(&r);
        else
            skip_array(known, api, &call->params[i], &r);
    }
    if (call->result == WH_RESULT_NEW && !r.fault)
        add_known(known, call->result_type, wh_read_word(&r));
}

void known_collect(struct known *known, const struct wh_api *api, const uint8_t *bytes, size_t size)
{
    size_t length;
    known->n = 0;
    for (size_t at = 0; (length = message_size(bytes + at, size - at)) > 0; at += length)
        collect_from(known, api, bytes + at, length);
}

static uint64_t id_of(struct chance *chance, const struct known *known, uint16_t type)
{
    if (chance_below(chance, 16) == 0)
        return WH_ID_NONE;
    uint32_t start = chance_below(chance, known->n);
    for (unsigned i = 0; i < known->n && chance_below(chance, 64); i++)
        if (known->objects[(start + i) % known->n].type == type)
            return known->objects[(start + i) % known->n].id;
    if (type < 3) /* platforms and devices are found by the worker, in this order */
        return chance_below(chance, 4)
                   ? WH_ID_WORKER_FIRST + (type == 1 ? 0 : 1 + chance_below(chance, 2))
                   : type * PER_TYPE + chance_below(chance, PER_TYPE);
    if (chance_below(chance, 32) == 0)
        return WH_ID_WORKER_FIRST + chance_below(chance, 6);
    return type * PER_TYPE + chance_below(chance, PER_TYPE);
}

/* Mostly within what a session may have. */
static uint64_t address_of(struct chance *chance)
{
    uint64_t base = chance_below(chance, 4) ? DEVICE_MEMORY + chance_below(chance, 4) * DEVICE_STEP
                                            : SHARED_MEMORY;
    return base + (chance_below(chance, 2) ? interesting(chance) : 0);
}

struct maker {
    struct chance *chance;
    const struct wh_api *api;
    const struct wh_call_desc *call;
    const struct known *known;
    struct wh_writer w;
    uint64_t value[WH_MAX_PARAMS];
    uint64_t reply;
};

static uint64_t length_of(const struct maker *m, const struct wh_param *p)
{
    uint64_t n = p->length.scale;
    n *= p->length.a >= 0 ? m->value[p->length.a] : 1;
    return n * (p->length.b >= 0 ? m->value[p->length.b] : 1);
}

static void choose_values(struct maker *m)
{
    for (unsigned i = 0; i < m->call->nparams; i++)
        m->value[i] = interesting(m->chance);
    for (unsigned i = 0; i < m->call->nparams; i++) {
        const struct wh_param *p = &m->call->params[i];
        bool ruled = p->kind != WH_VALUE && p->kind != WH_HANDLE && p->kind != WH_STRING &&
                     p->length.scale != 0;
        if (ruled && p->length.a >= 0)
            m->value[p->length.a] =
                chance_below(m->chance, p->length.scale == 1 && p->size == 1 ? 64 : 4);
        if (ruled && p->length.b >= 0)
            m->value[p->length.b] = chance_below(m->chance, 4);
        if (p->kind == WH_INFO) {
            const struct wh_names *names = &m->api->infos[p->type];
            m->value[p->selector] =
                (uint64_t)names->names[chance_below(m->chance, names->nnames)].name;
        }
    }
}

static void put_bytes(struct maker *m, uint64_t n)
{
    uint8_t *room = wh_write_room(&m->w, n);
    for (uint64_t i = 0; room && i < n; i++)
        room[i] = i % 8 ? 0 : (uint8_t)chance_below(m->chance, 5);
}

static void put_text(struct maker *m)
{
    wh_write_word(&m->w, 2);
    wh_write_bytes(&m->w, "k", 2);
}

static void put_structs(struct maker *m, const struct wh_param *p, uint64_t n)
{
    const struct wh_struct_desc *desc = &m->api->structs[p->type];
    uint8_t *room = wh_write_room(&m->w, n * desc->size);
    if (!room)
        return;
    memset(room, 0, n * desc->size);
    for (uint64_t k = 0; k < n; k++)
        for (unsigned h = 0; h < desc->nhandles; h++) {
            uint64_t id = id_of(m->chance, m->known, desc->handles[h].type);
            memcpy(room + k * desc->size + desc->handles[h].offset, &id, sizeof(id));
        }
}

static void put_props(struct maker *m, const struct wh_param *p)
{
    const struct wh_names *names = &m->api->props[p->type];
    uint64_t n = chance_below(m->chance, 3);
    wh_write_word(&m->w, n);
    for (uint64_t k = 0; k < n; k++) {
        const struct wh_name_desc *name = &names->names[chance_below(m->chance, names->nnames)];
        bool object = name->content == WH_CONTENT_HANDLES;
        wh_write_word(&m->w, (uint64_t)name->name);
        wh_write_word(&m->w,
                      object ? id_of(m->chance, m->known, name->type) : interesting(m->chance));
    }
}

/* Mostly with a first word that says the size. */
static void put_versioned(struct maker *m, uint64_t n)
{
    if (n < 8 || chance_below(m->chance, 8) == 0) {
        put_bytes(m, n);
        return;
    }
    wh_write_word(&m->w, n | chance_below(m->chance, 4) << 24);
    put_bytes(m, n - 8);
}

static void put_array(struct maker *m, const struct wh_param *p)
{
    uint64_t n = length_of(m, p);
    if (chance_below(m->chance, 8) == 0) {
        wh_write_word(&m->w, WH_PAYLOAD_NULL);
        return;
    }
    if (p->kind == WH_BYTES && chance_below(m->chance, 8) == 0) {
        wh_write_word(&m->w, n | WH_PAYLOAD_ARENA);
        wh_write_word(&m->w, interesting(m->chance));
        return;
    }
    wh_write_word(&m->w, n);
    if (p->kind == WH_BYTES)
        put_bytes(m, n);
    if (p->kind == WH_VERSIONED)
        put_versioned(m, n);
    if (p->kind == WH_STRUCTS)
        put_structs(m, p, n);
    for (uint64_t k = 0; k < n && !m->w.full; k++)
        if (p->kind == WH_HANDLES)
            wh_write_word(&m->w, id_of(m->chance, m->known, p->type));
        else if (p->kind == WH_NEWS)
            wh_write_word(&m->w, p->type * PER_TYPE + chance_below(m->chance, PER_TYPE));
        else if (p->kind == WH_STRINGS)
            put_text(m);
        else
            break;
    if (p->kind >= WH_OUT && p->kind <= WH_NEWS)
        m->reply += 8 + (p->kind <= WH_VERSIONED ? (n + 7) & ~7ull : n * 8);
}

static void put_param(struct maker *m, unsigned i)
{
    const struct wh_param *p = &m->call->params[i];
    if (p->kind == WH_VALUE)
        wh_write_word(&m->w, m->value[i]);
    else if (p->kind == WH_HANDLE)
        wh_write_word(&m->w, id_of(m->chance, m->known, p->type));
    else if (p->kind == WH_MEMORY)
        wh_write_word(&m->w, address_of(m->chance));
    else if (p->kind == WH_LOCAL)
        wh_write_word(&m->w, 0);
    else if (p->kind == WH_ARENA)
        wh_write_word(&m->w, interesting(m->chance));
    else if (p->kind == WH_PROPS)
        put_props(m, p);
    else if (p->kind == WH_STRING)
        put_text(m);
    else
        put_array(m, p);
}

size_t generate_message(struct chance *chance, const struct wh_api *api, const void *const *thunks,
                        const struct known *known, uint8_t *room, size_t most)
{
    uint32_t number = chance_below(chance, api->ncalls);
    if (most < sizeof(struct wh_message))
        return 0;
    while (!thunks[number])
        number = (number + 1) % api->ncalls;
    struct maker m = {
        .chance = chance, .api = api, .call = &api->calls[number], .known = known, .reply = 8};
    m.w = (struct wh_writer){.at = room + sizeof(struct wh_message), .end = room + most};
    choose_values(&m);
    for (unsigned i = 0; i < m.call->nparams; i++)
        put_param(&m, i);
    if (m.call->result == WH_RESULT_NEW)
        wh_write_word(&m.w, m.call->result_type * PER_TYPE + chance_below(chance, PER_TYPE));
    if (m.w.full)
        return 0;
    bool posted = m.call->flags & WH_CALL_POST || chance_below(chance, 16) == 0;
    bool in_arena = m.reply > 2024 || chance_below(chance, 16) == 0;
    struct wh_message header = {.size = (uint32_t)(m.w.at - room),
                                .call = (uint16_t)number,
                                .thread = 1,
                                .slot = posted ? WH_NO_SLOT : chance_below(chance, 256),
                                .reply_at = in_arena ? 8192 : WH_IN_SLOT,
                                .reply_room = posted ? 0 : (uint32_t)m.reply};
    memcpy(room, &header, sizeof(header));
    return header.size;
}

size_t message_size(const uint8_t *bytes, size_t left)
{
    uint32_t size;
    if (left < sizeof(struct wh_message))
        return 0;
    memcpy(&size, bytes, sizeof(size));
    size_t most = left < WH_MESSAGE_MAX ? left & ~(size_t)7 : WH_MESSAGE_MAX;
    return size < sizeof(struct wh_message) || size > most ? most : size & ~7u;
}

/* Where the message lies in which a random byte is. */
static size_t pick(struct chance *chance, const uint8_t *bytes, size_t size, size_t *length)
{
    size_t wanted = chance_below(chance, (uint32_t)size), at = 0;
    while ((*length = message_size(bytes + at, size - at)) > 0 && at + *length <= wanted)
        at += *length;
    return at;
}

static size_t insert(uint8_t *bytes, size_t size, size_t most, size_t at, const uint8_t *piece,
                     size_t length)
{
    if (length > most - size)
        return size;
    memmove(bytes + at + length, bytes + at, size - at);
    memcpy(bytes + at, piece, length);
    return size + length;
}

size_t change_messages(struct chance *chance, const struct wh_api *api, const void *const *thunks,
                       uint8_t *bytes, size_t size, size_t most)
{
    uint8_t piece[4096];
    size_t length = 0, at = pick(chance, bytes, size, &length);
    switch (chance_below(chance, 6)) {
    case 0:
    case 1: {
        struct known known;
        size_t place = chance_below(chance, 2) ? at + length : size & ~(size_t)7;
        known_collect(&known, api, bytes, place);
        size_t made = generate_message(chance, api, thunks, &known, piece, sizeof(piece));
        return insert(bytes, size, most, place, piece, made);
    }
    case 2:
        memmove(bytes + at, bytes + at + length, size - at - length);
        return size - length;
    case 3: {
        if (length > sizeof(piece))
            return size;
        memcpy(piece, bytes + at, length);
        size_t to = pick(chance, bytes, size, &(size_t){0});
        return insert(bytes, size, most, to, piece, length);
    }
    default: {
        uint64_t word = interesting(chance);
        if (length < sizeof(struct wh_message) + 8)
            return size;
        size_t words = (length - sizeof(struct wh_message)) / 8;
        size_t place = at + sizeof(struct wh_message) + 8 * chance_below(chance, (uint32_t)words);
        if (chance_below(chance, 3) == 0) { /* a little more or less */
            memcpy(&word, bytes + place, sizeof(word));
            word += chance_below(chance, 17) - 8ull;
        }
        memcpy(bytes + place, &word, sizeof(word));
        return size;
    }
    }
}
