/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes whoever reads shared memory: the consumer of a ring against a hostile producer, the
 * client's reader of upcalls and of replies against a hostile worker. The first byte of an input
 * says which; the rest is what the liar writes.
 */
#include "channel/shm.h"
#include "client/session.h"
#include "opencl_api.h"
#include "still.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input. */
struct input {
    const uint8_t *at;
    size_t left;
};

static uint64_t take_number(struct input *input, size_t size)
{
    uint64_t number = 0;
    size = size < input->left ? size : input->left;
    memcpy(&number, input->at, size);
    input->at += size;
    input->left -= size;
    return number;
}

static void expect(bool truth)
{
    if (!truth)
        abort();
}

/* ---- a ring ---- */

#define RING 512u

static void consume_ring(struct input *input)
{
    struct wh_ring_control control = {0};
    uint64_t *data = calloc(1, RING), *record = malloc(128);
    uint32_t start = (uint32_t)take_number(input, 4) & ~7u;
    struct wh_ring ring = {.control = &control,
                           .data = (uint8_t *)data,
                           .size = RING,
                           .at = start,
                           .known = start,
                           .told = start};
    expect(data && record);
    while (input->left > 0) {
        const char *fault = NULL;
        uint32_t place = (uint32_t)take_number(input, 1) * 8 % RING, at = ring.at;
        uint64_t word = take_number(input, 6);
        memcpy((uint8_t *)data + place, &word, sizeof(word));
        atomic_store(&control.tail, ring.at + (uint32_t)take_number(input, 2));
        int64_t size = wh_ring_take(&ring, record, 128, &fault);
        expect((size < 0) == (fault != NULL));
        expect(size <= 128 && size % 8 == (size < 0 ? -1 : 0));
        expect(ring.at - at <= RING && ring.at % 8 == 0);
        expect(size <= 0 || (uint32_t)record[0] == (uint32_t)size);
        if (size < 0)
            break;
    }
    free(data);
    free(record);
}

/* ---- upcalls ---- */

static void nothing(struct wh_shm *shm)
{
    (void)shm;
}

static void read_upcalls(struct input *input)
{
    static struct wh_segment *segment;
    if (!segment)
        segment = aligned_alloc(4096, WH_ARENA_START);
    expect(segment != NULL);
    struct wh_shm *shm = wh_shm_new(segment, WH_SEGMENT_LEAST, true);
    struct wh_upcall *upcall = malloc(WH_UPCALL_MAX);
    expect(shm && upcall);
    shm->release = nothing;
    shm->upcalls.at = shm->upcalls.known = shm->upcalls.told =
        (uint32_t)take_number(input, 2) & ~7u;
    for (uint32_t i = 0; i < WH_UPCALL_SIZE; i += 8) { /* the input, again and again */
        uint64_t word = input->left ? 0 : 24;
        memcpy(&word, input->at + (input->left > 8 ? i % (input->left - 8) & ~7ull : 0),
               input->left < 8 ? input->left : 8);
        memcpy(segment->upcall_data + i, &word, 8);
    }
    atomic_store(&segment->upcalls.tail,
                 shm->upcalls.at + ((uint32_t)take_number(input, 4) & 0x1ffff));
    atomic_store(&segment->upcalls.producer_waits, 0);
    for (int got; (got = shm->channel.ops->take_upcall(&shm->channel, upcall)) != 0;) {
        expect(got == 1 || got == -1);
        if (got < 0)
            break;
        volatile uint8_t last = 0;
        expect(upcall->payload <= WH_UPCALL_MAX - sizeof(*upcall));
        for (uint64_t i = 0; i < upcall->payload; i++)
            last = ((const uint8_t *)(upcall + 1))[i];
        (void)last;
    }
    free(upcall);
    shm->channel.ops->close(&shm->channel);
}

/* ---- replies ---- */

#define ARENA 65536u

static struct {
    struct wh_channel channel;
    struct wh_session *session;
    uint8_t message[WH_MESSAGE_MAX];
    struct input *input;
    uint8_t *slot;
    bool ready;
} liar;

static void *begin(struct wh_channel *channel, uint32_t size)
{
    (void)size;
    return atomic_load(&channel->lost) ? NULL : liar.message;
}

static void commit(struct wh_channel *channel)
{
    (void)channel;
}

/* Whatever the input has: in the slot, and where the client asked for it in the arena. */
static int await(struct wh_channel *channel, uint32_t slot, bool slow, struct wh_reply *reply)
{
    (void)slot;
    (void)slow;
    struct input *input = liar.input;
    uint32_t size = (uint32_t)take_number(input, 2);
    if (size == 0xffff)
        size = UINT32_MAX;
    size_t some = input->left < WH_SLOT_ROOM ? input->left : WH_SLOT_ROOM;
    memset(liar.slot, 0xff, WH_SLOT_ROOM);
    memcpy(liar.slot, input->at, some);
    memset(channel->arena, 0x01, ARENA);
    memcpy(channel->arena, input->at, input->left < ARENA ? input->left : ARENA);
    *reply = (struct wh_reply){.bytes = liar.slot, .size = size};
    return 0;
}

static void lose(struct wh_channel *channel, const char *why)
{
    (void)why;
    atomic_store(&channel->lost, true);
}

static _Atomic uint32_t *token(struct wh_channel *channel, uint32_t number)
{
    static _Atomic uint32_t word;
    (void)channel;
    (void)number;
    return &word;
}

static const struct wh_channel_ops ops = {
    .name = "liar",
    .begin = begin,
    .commit = commit,
    .take_slot = still_take_slot,
    .put_slot = still_put_slot,
    .await = await,
    .take_upcall = still_take_upcall,
    .upcall_mark = still_upcall_mark,
    .listen = still_listen,
    .lose = lose,
    .token = token,
};

static void open_session(void)
{
    static const struct wh_shim shim = {.api = &wh_opencl_api};
    struct wh_error error = {0};
    liar.slot = malloc(WH_SLOT_ROOM);
    liar.channel = (struct wh_channel){.ops = &ops,
                                       .arena = malloc(ARENA),
                                       .arena_size = ARENA,
                                       .arena_fd = -1,
                                       .slot_room = WH_SLOT_ROOM};
    expect(liar.slot && liar.channel.arena);
    liar.session = wh_session_over(&shim, &liar.channel, &error);
    expect(liar.session != NULL);
    liar.ready = true;
}

static uint64_t length_of(const struct wh_param *p, const uint64_t *a)
{
    uint64_t n = p->length.scale;
    n *= p->length.a >= 0 ? a[p->length.a] : 1;
    return n * (p->length.b >= 0 ? a[p->length.b] : 1);
}

/* Every place for a result is memory of exactly its size. */
static void make_arguments(const struct wh_call_desc *call, uint64_t *a, struct input *input)
{
    for (unsigned i = 0; i < call->nparams; i++)
        if (call->params[i].kind == WH_VALUE)
            a[i] = take_number(input, 1) % 64 * (take_number(input, 1) % 8 ? 1 : 64);
    for (unsigned i = 0; i < call->nparams; i++) {
        const struct wh_param *p = &call->params[i];
        uint64_t n = length_of(p, a);
        if (p->kind == WH_INFO) {
            const struct wh_names *names = &wh_opencl_api.infos[p->type];
            a[p->selector] = (uint64_t)names->names[take_number(input, 1) % names->nnames].name;
        }
        if (p->kind == WH_OUT || p->kind == WH_INFO)
            a[i] = (uintptr_t)malloc(n ? n : 1);
        else if (p->kind == WH_OUT_HANDLES || p->kind == WH_NEWS)
            a[i] = (uintptr_t)calloc(n ? n : 1, sizeof(void *));
    }
}

static void let_go(uint64_t handle, uint16_t type)
{
    struct wh_object *object =
        wh_object_check(liar.session->objects, (void *)(uintptr_t)handle, type);
    expect(object || !handle);
    if (object)
        wh_object_unpin(object);
}

static void free_arguments(const struct wh_call_desc *call, uint64_t *a)
{
    for (unsigned i = 0; i < call->nparams; i++) {
        const struct wh_param *p = &call->params[i];
        if (p->kind == WH_NEWS)
            for (uint64_t k = 0; k < length_of(p, a); k++)
                let_go(((uint64_t *)(uintptr_t)a[i])[k], p->type);
        if (p->kind >= WH_OUT && p->kind <= WH_NEWS)
            free((void *)(uintptr_t)a[i]);
    }
}

static void read_replies(struct input *input)
{
    if (!liar.ready)
        open_session();
    liar.input = input;
    atomic_store(&liar.channel.lost, false);
    const struct wh_call_desc *call =
        &wh_opencl_api.calls[take_number(input, 2) % wh_opencl_api.ncalls];
    uint64_t a[WH_MAX_PARAMS + 1] = {0};
    if (call->flags & (WH_CALL_RETAIN | WH_CALL_RELEASE))
        return;
    make_arguments(call, a, input);
    uint64_t result = wh_client_call(liar.session, call, a);
    if (call->result == WH_RESULT_NEW)
        let_go(result, call->result_type);
    free_arguments(call, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct input *) = {consume_ring, read_upcalls, read_replies};
    struct input input = {data, size};
    if (size > 0)
        readers[take_number(&input, 1) % 3](&input);
    return 0;
}
