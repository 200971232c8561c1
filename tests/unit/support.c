/* SPDX-License-Identifier: Apache-2.0 */
/* What several unit tests need; see support.h. */
#include "support.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- both ends of a session's memory ---- */

static bool listen_on_door(struct wh_shm *shm, bool eager)
{
    struct wh_park park = {.kind = WH_PARK_FUTEX, .longest_us = 20000};
    unsigned naps = 0;
    (void)eager;
    wh_park_while(&park, &shm->upcalls.control->tail, shm->upcalls.at, &naps);
    return true;
}

static void keep(struct wh_shm *shm)
{
    (void)shm;
}

void pair_open(struct pair *pair)
{
    struct wh_error error = {0};
    uint64_t size = WH_ARENA_START + PAIR_ARENA;
    pair->fd = memfd_create("pair", MFD_CLOEXEC);
    assert_true(pair->fd >= 0);
    assert_int_equal(ftruncate(pair->fd, (off_t)size), 0);
    assert_int_equal(wh_shm_open_worker(pair->fd, 0, size, &pair->worker, &error), 0);
    /* One mapping for both ends: ThreadSanitizer follows addresses, not pages. */
    pair->client = wh_shm_new(pair->worker->segment, size, true);
    assert_non_null(pair->client);
    pair->client->listen = listen_on_door;
    pair->client->release = keep;
    pair->client->abandon = keep;
    pair->client->park.kind = WH_PARK_FUTEX;
    pair->client->bell.kind = WH_BELL_FUTEX;
    pair->worker->park.kind = WH_PARK_FUTEX;
    pair->worker->bell.kind = WH_BELL_FUTEX;
    pair->worker->listener_bell.kind = WH_BELL_FUTEX;
    atomic_store(&pair->worker->segment->state, WH_SEGMENT_OPEN);
}

void pair_close(struct pair *pair)
{
    pair->client->channel.ops->close(&pair->client->channel);
    pair->worker->channel.ops->close(&pair->worker->channel);
    close(pair->fd);
}

void pair_stop_worker(struct pair *pair)
{
    struct wh_bell bell = {.kind = WH_BELL_FUTEX};
    _Atomic uint32_t *door = &pair->worker->calls.control->door;
    atomic_store(&pair->worker->channel.lost, true);
    atomic_fetch_add(door, 1);
    wh_bell_ring(&bell, door, INT_MAX);
}

/* ---- messages by hand ---- */

struct builder {
    struct built *built;
    const struct wh_api *api;
    const struct wh_call_desc *call;
    uint64_t value[WH_MAX_PARAMS]; /* of the scalars */
    uint32_t new_id;
};

static void put(struct builder *b, uint64_t word)
{
    b->built->words[b->built->size / 8] = word;
    b->built->size += 8;
}

static void *put_room(struct builder *b, uint64_t size)
{
    void *room = &b->built->words[b->built->size / 8];
    uint32_t padded = (uint32_t)((size + 7) & ~7ull);
    memset(room, 0, padded);
    b->built->size += padded;
    return room;
}

static uint64_t length_of(const struct builder *b, const struct wh_param *p)
{
    uint64_t n = p->length.scale;
    n *= p->length.a >= 0 ? b->value[p->length.a] : 1;
    return n * (p->length.b >= 0 ? b->value[p->length.b] : 1);
}

/* Two of each: a scalar that a length depends on is 2, one that names an information is that name,
 * others are 0. */
static void choose_values(struct builder *b)
{
    for (unsigned i = 0; i < b->call->nparams; i++) {
        const struct wh_param *p = &b->call->params[i];
        if (p->length.a >= 0 && p->kind != WH_VALUE && p->kind != WH_HANDLE && p->kind != WH_STRING)
            b->value[p->length.a] = 2;
        if (p->length.b >= 0 && p->kind != WH_VALUE && p->kind != WH_HANDLE && p->kind != WH_STRING)
            b->value[p->length.b] = 2;
    }
    for (unsigned i = 0; i < b->call->nparams; i++) {
        const struct wh_param *p = &b->call->params[i];
        if (p->kind == WH_INFO)
            for (unsigned k = b->api->infos[p->type].nnames; k-- > 0;)
                if (b->api->infos[p->type].names[k].content == WH_CONTENT_BYTES)
                    b->value[p->selector] = (uint64_t)b->api->infos[p->type].names[k].name;
    }
}

static void put_structs(struct builder *b, const struct wh_param *p, uint64_t n)
{
    const struct wh_struct_desc *desc = &b->api->structs[p->type];
    uint8_t *structs = put_room(b, n * desc->size);
    for (uint64_t k = 0; k < n; k++)
        for (unsigned h = 0; h < desc->nhandles; h++) {
            uint64_t id = desc->handles[h].type;
            memcpy(structs + k * desc->size + desc->handles[h].offset, &id, sizeof(id));
        }
}

static void put_props(struct builder *b, const struct wh_param *p)
{
    const struct wh_name_desc *name = &b->api->props[p->type].names[0];
    put(b, 1);
    put(b, (uint64_t)name->name);
    put(b, name->content == WH_CONTENT_HANDLES ? name->type : 0);
}

static void put_array(struct builder *b, const struct wh_param *p)
{
    uint64_t n = p->kind == WH_STRING ? 3 : length_of(b, p);
    bool objects = p->kind == WH_NEWS || p->kind == WH_OUT_HANDLES;
    put(b, n);
    if (p->kind == WH_STRING)
        memcpy(put_room(b, 3), "ab", 3);
    if (p->kind == WH_BYTES)
        put_room(b, n);
    if (p->kind == WH_STRUCTS)
        put_structs(b, p, n);
    for (uint64_t k = 0; p->kind == WH_HANDLES && k < n; k++)
        put(b, p->type);
    for (uint64_t k = 0; p->kind == WH_NEWS && k < n; k++)
        put(b, b->new_id++);
    for (uint64_t k = 0; p->kind == WH_STRINGS && k < n; k++) {
        put(b, 2);
        memcpy(put_room(b, 2), "a", 2);
    }
    if (p->kind >= WH_OUT && p->kind <= WH_NEWS)
        b->built->reply_bound += 8 + (uint32_t)(objects ? n * 8 : (n + 7) & ~7ull);
}

static void put_param(struct builder *b, unsigned i)
{
    const struct wh_param *p = &b->call->params[i];
    b->built->at[i] = b->built->size;
    if (p->kind == WH_VALUE)
        put(b, b->value[i]);
    else if (p->kind == WH_HANDLE)
        put(b, p->type);
    else if (p->kind == WH_LOCAL || p->kind == WH_ARENA)
        put(b, 0);
    else if (p->kind == WH_PROPS)
        put_props(b, p);
    else
        put_array(b, p);
}

void build_valid(struct built *built, const struct wh_api *api, const struct wh_call_desc *call,
                 uint32_t new_id)
{
    struct builder b = {.built = built, .api = api, .call = call, .new_id = new_id};
    struct wh_message *header = built_header(built);
    built->size = sizeof(*header);
    built->reply_bound = 8;
    choose_values(&b);
    for (unsigned i = 0; i < call->nparams; i++)
        put_param(&b, i);
    built->at[call->nparams] = built->size;
    if (call->result == WH_RESULT_NEW)
        put(&b, b.new_id);
    *header = (struct wh_message){.size = built->size,
                                  .call = call->number,
                                  .thread = 1,
                                  .slot = 3,
                                  .reply_at = WH_IN_SLOT,
                                  .reply_room = built->reply_bound};
}
