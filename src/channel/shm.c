/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel over a shared segment. The hot path of the client is begin, commit, await; that of
 * the worker receive, reply. Neither makes a system call while the other side is awake. Nothing
 * read from the segment is trusted: rings check their counters, replies are bounded by the slot's
 * room.
 */
#include "channel/shm.h"

#include "base/util.h"
#include "channel/lead.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* How long to spin for a reply, for one that waits for the device, and for the next message; where
 * cores are many, sleeping and waking costs more than they do. */
#define QUICK_NS        50000u
#define MANY_QUICK_NS   200000u
#define SLOW_NS         20000u
#define IDLE_NS         50000u
#define MANY_IDLE_NS    1000000u
#define TELL_LEAST      (WH_RING_SIZE / 8)
#define POPULATE_STEP   (256u << 10)
#define POPULATE_AHEAD  (64u << 10)
#define ROOM_WAIT_US    20000u /* rare waits look at `lost` this often */
#define CALLBACK_NAP_US 1000u

static struct wh_shm *shm_of(struct wh_channel *channel)
{
    return (struct wh_shm *)channel;
}

static bool is_lost(const struct wh_shm *shm)
{
    return atomic_load(&shm->channel.lost);
}

/* A park that wakes up now and then to look whether the peer is still there. */
static struct wh_park bounded(const struct wh_shm *shm)
{
    struct wh_park park = shm->park;
    if (park.kind == WH_PARK_EVENTFD) /* that eventfd is for the receiver */
        park.kind = WH_PARK_NAP;
    if (park.longest_us == 0 || park.longest_us > ROOM_WAIT_US)
        park.longest_us = ROOM_WAIT_US;
    return park;
}

/* ---- producing records: messages by the client, upcalls by the worker ---- */

/* Waits until the consumer made room. -1: the peer lied or is lost. */
static int wait_for_room(struct wh_shm *shm, struct wh_ring *ring, uint32_t head)
{
    struct wh_park park = bounded(shm);
    unsigned naps = 0;
    if (wh_spin_while(&shm->quick, &ring->control->head, head))
        return 0;
    while (atomic_load_explicit(&ring->control->head, memory_order_acquire) == head) {
        if (is_lost(shm))
            return -1;
        /* Sequentially consistent: pairs with the fence in made_room, so that one side sees the
         * other. */
        atomic_store(&ring->control->producer_waits, 1);
        wh_park_while(&park, &ring->control->head, head, &naps);
    }
    return 0;
}

static void *reserve(struct wh_shm *shm, struct wh_ring *ring, uint32_t size)
{
    for (;;) {
        int lied = 0;
        uint32_t head = atomic_load_explicit(&ring->control->head, memory_order_acquire);
        void *room = wh_ring_reserve(ring, size, &lied);
        if (room)
            return room;
        if (lied || wait_for_room(shm, ring, head) < 0)
            return NULL;
    }
}

/* After taking records: tells the producer of the room, and wakes it if it waits for some. */
static void made_room(struct wh_ring *ring, const struct wh_bell *bell, uint32_t least)
{
    if (!wh_ring_tell(ring, least))
        return;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&ring->control->producer_waits, memory_order_relaxed) &&
        atomic_exchange(&ring->control->producer_waits, 0))
        wh_bell_ring(bell, &ring->control->head, INT_MAX);
}

/* After publishing: wakes the consumer if it sleeps. */
static void wake_consumer(struct wh_ring *ring, const struct wh_bell *bell)
{
    /* Pairs with the fence after consumer_sleeps is set: either it sees our record or we see it
     * sleeping. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&ring->control->consumer_sleeps, memory_order_relaxed) == 0 ||
        atomic_exchange(&ring->control->consumer_sleeps, 0) == 0)
        return;
    atomic_fetch_add(&ring->control->door, 1);
    wh_bell_ring(bell, &ring->control->door, 1);
}

/* ---- the client's end ---- */

/* Pages of the ring are made many at a time, ahead of a burst: one by one they would cost more than
 * the messages in them. Where the system cannot, they come as they are touched. */
static void populate(struct wh_shm *shm, const uint8_t *room)
{
    uint32_t offset = (uint32_t)(room - shm->calls.data);
    if (offset + POPULATE_AHEAD < shm->populated || shm->populated >= WH_RING_SIZE)
        return;
    (void)madvise(shm->calls.data + shm->populated, POPULATE_STEP, MADV_POPULATE_WRITE);
    shm->populated += POPULATE_STEP;
}

static void *client_begin(struct wh_channel *channel, uint32_t size)
{
    struct wh_shm *shm = shm_of(channel);
    pthread_mutex_lock(&shm->submit);
    void *room = is_lost(shm) ? NULL : reserve(shm, &shm->calls, size);
    if (!room)
        pthread_mutex_unlock(&shm->submit);
    else if (shm->populated < WH_RING_SIZE)
        populate(shm, room);
    return room;
}

static void client_commit(struct wh_channel *channel)
{
    struct wh_shm *shm = shm_of(channel);
    uint16_t call = ((const struct wh_message *)wh_ring_reserved(&shm->calls))->call;
    wh_ring_publish(&shm->calls);
    if (!shm->step_in)
        wake_consumer(&shm->calls, &shm->bell);
    pthread_mutex_unlock(&shm->submit);
    /* Outside of the lock: several threads may be in there at once, and one may stay a while. */
    if (shm->step_in && shm->step_in(shm, call))
        wake_consumer(&shm->calls, &shm->bell);
}

static uint32_t client_take_slot(struct wh_channel *channel)
{
    struct wh_shm *shm = shm_of(channel);
    static _Thread_local uint32_t favourite;
    for (;;) {
        uint32_t freed = atomic_load(&shm->slot_freed);
        for (uint32_t i = 0; i < WH_SLOTS; i++) {
            uint32_t slot = (favourite + i) % WH_SLOTS;
            /* Acquire pairs with the release in put_slot: the last user has read its reply. */
            if (atomic_exchange_explicit(&shm->busy_slots[slot], 1, memory_order_acquire) == 0) {
                favourite = slot;
                atomic_store_explicit(&shm->segment->slots[slot].sleeps, 0, memory_order_relaxed);
                atomic_store(&shm->segment->slots[slot].state, WH_SLOT_PENDING);
                return slot;
            }
        }
        struct wh_park park = {.kind = WH_PARK_FUTEX, .longest_us = ROOM_WAIT_US};
        unsigned naps = 0;
        wh_park_while(&park, &shm->slot_freed, freed, &naps);
    }
}

static void client_put_slot(struct wh_channel *channel, uint32_t slot)
{
    struct wh_shm *shm = shm_of(channel);
    atomic_store_explicit(&shm->segment->slots[slot].state, WH_SLOT_IDLE, memory_order_relaxed);
    atomic_store_explicit(&shm->busy_slots[slot], 0, memory_order_release);
    atomic_fetch_add_explicit(&shm->slot_freed, 1, memory_order_relaxed);
}

static int client_await(struct wh_channel *channel, uint32_t number, bool slow,
                        struct wh_reply *reply)
{
    struct wh_shm *shm = shm_of(channel);
    struct wh_slot *slot = &shm->segment->slots[number];
    struct wh_spin *spin = slow ? &shm->slow : &shm->quick;
    unsigned naps = 0;
    if (!wh_spin_while(spin, &slot->state, WH_SLOT_PENDING)) {
        uint64_t start = wh_now_ns();
        /* Sequentially consistent: pairs with wh_lead_reply, which sets the state, then looks for a
         * sleeper. */
        atomic_store(&slot->sleeps, 1);
        while (atomic_load(&slot->state) == WH_SLOT_PENDING)
            wh_park_while(&shm->park, &slot->state, WH_SLOT_PENDING, &naps);
        wh_spin_learn(spin, wh_now_ns() - start);
    }
    /* Acquire pairs with the store in wh_lead_reply: size and data were written before. */
    if (atomic_load_explicit(&slot->state, memory_order_acquire) != WH_SLOT_DONE)
        return -1;
    reply->bytes = slot->data;
    reply->size = *(volatile uint32_t *)&slot->size; /* once: the worker could change it */
    reply->upcalls = *(volatile uint32_t *)&slot->upcalls;
    return 0;
}

static void client_patience(struct wh_channel *channel, uint32_t ns)
{
    wh_spin_init(&shm_of(channel)->slow, SLOW_NS, ns > SLOW_NS ? ns : SLOW_NS);
}

static int client_await_token(struct wh_channel *channel, uint32_t token)
{
    struct wh_shm *shm = shm_of(channel);
    _Atomic uint32_t *word = &shm->segment->tokens[token];
    struct wh_park park = bounded(shm);
    unsigned naps = 0;
    uint32_t state = WH_TOKEN_PENDING;
    if (is_lost(shm))
        return -1;
    wh_spin_while(&shm->slow, word, WH_TOKEN_PENDING);
    /* Pairs with the exchange in worker_set_token, which wakes those who announced themselves. */
    if (atomic_compare_exchange_strong(word, &state, WH_TOKEN_AWAITED) || state == WH_TOKEN_AWAITED)
        wh_park_while(&park, word, WH_TOKEN_AWAITED, &naps);
    return 0;
}

static int client_take_upcall(struct wh_channel *channel, struct wh_upcall *upcall)
{
    struct wh_shm *shm = shm_of(channel);
    const char *fault = NULL;
    int64_t size = wh_ring_take(&shm->upcalls, upcall, WH_UPCALL_MAX, &fault);
    made_room(&shm->upcalls, &shm->bell, 0);
    atomic_store_explicit(&shm->taken, shm->upcalls.at, memory_order_relaxed);
    if (size > 0 &&
        (size < (int64_t)sizeof(*upcall) || upcall->payload > (uint64_t)size - sizeof(*upcall)))
        return -1;
    return size > 0 ? 1 : (int)size;
}

static void client_callback_done(struct wh_channel *channel)
{
    struct wh_shm *shm = shm_of(channel);
    struct wh_segment *segment = shm->segment;
    /* Sequentially consistent: pairs with worker_await_callback, which announces its sleep, then
     * looks at the count. */
    atomic_fetch_add(&segment->callbacks, 1);
    if (atomic_exchange(&segment->callbacks_awaited, 0))
        wh_bell_ring(&shm->bell, &segment->callbacks, INT_MAX);
}

static uint32_t client_upcall_mark(struct wh_channel *channel)
{
    return shm_of(channel)->upcalls.at;
}

static bool client_listen(struct wh_channel *channel, bool eager)
{
    struct wh_shm *shm = shm_of(channel);
    struct wh_ring_control *control = shm->upcalls.control;
    /* Sequentially consistent: pairs with wake_consumer in the worker. */
    atomic_store(&control->consumer_sleeps, 1);
    if (atomic_load(&control->tail) != atomic_load_explicit(&shm->taken, memory_order_relaxed)) {
        atomic_store(&control->consumer_sleeps, 0);
        return !is_lost(shm);
    }
    return shm->listen(shm, eager) && !is_lost(shm);
}

static _Atomic uint32_t *client_token(struct wh_channel *channel, uint32_t token)
{
    return &shm_of(channel)->segment->tokens[token];
}

static void client_end_reason(struct wh_channel *channel, char *reason, size_t size)
{
    struct wh_shm *shm = shm_of(channel);
    const char *text = shm->channel.why;
    char copy[sizeof(shm->segment->reason)];
    /* Acquire pairs with the release in worker_end. */
    if (!*text &&
        atomic_load_explicit(&shm->segment->state, memory_order_acquire) == WH_SEGMENT_ENDED) {
        memcpy(copy, shm->segment->reason, sizeof(copy));
        copy[sizeof(copy) - 1] = '\0';
        text = copy;
    }
    if (!*text)
        text = *shm->over ? shm->over : "the worker process ended unexpectedly";
    (void)snprintf(reason, size, "%s", text);
}

static void client_lose(struct wh_channel *channel, const char *why)
{
    struct wh_shm *shm = shm_of(channel);
    struct wh_bell local = {.kind = WH_BELL_FUTEX};
    if (atomic_flag_test_and_set(&shm->losing)) /* the first reason stands */
        return;
    (void)snprintf(shm->channel.why, sizeof(shm->channel.why), "%s", why);
    atomic_store(&shm->channel.lost, true);
    if (shm->socket >= 0) /* the listener wakes and says why; the worker ends */
        (void)shutdown(shm->socket, SHUT_RDWR);
    for (uint32_t i = 0; i < WH_SLOTS; i++) {
        uint32_t pending = WH_SLOT_PENDING;
        if (atomic_compare_exchange_strong(&shm->segment->slots[i].state, &pending, WH_SLOT_LOST))
            wh_bell_ring(&local, &shm->segment->slots[i].state, INT_MAX);
    }
}

/* ---- the worker's end ---- */

/* Nobody leads from here on; true when a message came in meanwhile and nobody was told. */
static bool stop_leading(struct wh_shm *shm, bool *leads)
{
    *leads = false;
    return wh_lead_stop(shm);
}

static int64_t worker_receive(struct wh_channel *channel, bool *leads, struct wh_message *message,
                              const char **fault)
{
    struct wh_shm *shm = shm_of(channel);
    struct wh_ring_control *control = shm->calls.control;
    unsigned naps = 0;
    uint64_t idle = 0; /* since then, if it was long enough to sleep */
    while (!is_lost(shm)) {
        uint32_t door = atomic_load(&control->door);
        *leads = *leads || wh_lead_try(shm);
        if (*leads) {
            int64_t size = wh_ring_take(&shm->calls, message, WH_MESSAGE_MAX, fault);
            /* The room of many records is told at once, but before this thread might do something
             * else for long. */
            made_room(&shm->calls, &shm->bell, size > 0 ? TELL_LEAST : 0);
            if (size != 0) {
                if (idle)
                    wh_spin_learn(&shm->quick, wh_now_ns() - idle);
                return size;
            }
            if (!shm->sleeps_at_once && wh_spin_while(&shm->quick, &control->tail, shm->calls.at))
                continue;
            idle = idle ? idle : wh_now_ns();
            if (stop_leading(shm, leads))
                continue;
        }
        atomic_fetch_add(&shm->sleepers, 1);
        wh_park_while(&shm->park, &control->door, door, &naps);
        atomic_fetch_sub(&shm->sleepers, 1);
    }
    return 0;
}

static bool worker_more(struct wh_channel *channel)
{
    const struct wh_ring *ring = &shm_of(channel)->calls;
    /* A filler is told of together with the record behind it. */
    return ring->known != ring->at || wh_ring_has_record(ring);
}

static bool worker_vacate(struct wh_channel *channel, bool *leads)
{
    struct wh_shm *shm = shm_of(channel);
    struct wh_bell own = {.kind = WH_BELL_FUTEX};
    if (!*leads)
        return true;
    made_room(&shm->calls, &shm->bell, 0);
    if (stop_leading(shm, leads)) {
        if (shm->park.kind == WH_PARK_EVENTFD)
            own = (struct wh_bell){.kind = WH_BELL_EVENTFD, .fd = shm->park.fd};
        if (shm->park.hearing)
            atomic_store(&shm->park.hearing->own, 1);
        atomic_fetch_add(&shm->calls.control->door, 1);
        wh_bell_ring(&own, &shm->calls.control->door, 1);
    }
    return atomic_load(&shm->sleepers) > 0;
}

static void worker_resume(struct wh_channel *channel, bool *leads)
{
    *leads = *leads || wh_lead_try(shm_of(channel));
}

static void *worker_reply_room(struct wh_channel *channel, uint32_t slot)
{
    return shm_of(channel)->segment->slots[slot].data;
}

static void worker_reply(struct wh_channel *channel, uint32_t number, uint32_t size)
{
    struct wh_shm *shm = shm_of(channel);
    if (wh_lead_reply(shm, number, size))
        wh_bell_ring(&shm->bell, &shm->segment->slots[number].state, 1);
}

static void worker_set_token(struct wh_channel *channel, uint32_t token)
{
    struct wh_shm *shm = shm_of(channel);
    uint32_t state = token & WH_TOKEN_FAILED ? WH_TOKEN_BROKEN : WH_TOKEN_DONE;
    _Atomic uint32_t *word = &shm->segment->tokens[token & ~WH_TOKEN_FAILED];
    /* The exchange orders the transfer before the token and pairs with client_await_token. */
    if (atomic_exchange(word, state) == WH_TOKEN_AWAITED)
        wh_bell_ring(&shm->bell, word, INT_MAX);
}

static int64_t worker_push_upcall(struct wh_channel *channel, enum wh_upcall_kind kind,
                                  uint64_t word, const void *payload, uint32_t size)
{
    struct wh_shm *shm = shm_of(channel);
    int64_t callbacks = -1;
    struct wh_upcall header = {.kind = (uint16_t)kind, .word = word, .payload = size};
    if (size > WH_UPCALL_MAX - sizeof(header))
        return -1;
    header.size = (uint32_t)wh_round_up(sizeof(header) + size, 8);
    pthread_mutex_lock(&shm->submit);
    uint8_t *room = reserve(shm, &shm->upcalls, header.size);
    if (room) {
        memcpy(room, &header, sizeof(header));
        if (size)
            memcpy(room + sizeof(header), payload, size);
        wh_ring_publish(&shm->upcalls);
        wake_consumer(&shm->upcalls, &shm->listener_bell);
        shm->callbacks += kind == WH_UPCALL_CALLBACK;
        callbacks = shm->callbacks;
    }
    pthread_mutex_unlock(&shm->submit);
    return callbacks;
}

static void worker_await_callback(struct wh_channel *channel, uint32_t number)
{
    struct wh_shm *shm = shm_of(channel);
    _Atomic uint32_t *done = &shm->segment->callbacks;
    struct wh_park park = bounded(shm);
    unsigned naps = 0;
    if (park.kind == WH_PARK_NAP)
        park.longest_us = CALLBACK_NAP_US;
    for (;;) {
        /* Acquire pairs with client_callback_done: what the callback wrote is there. */
        uint32_t seen = atomic_load_explicit(done, memory_order_acquire);
        if ((int32_t)(seen - number) >= 0 || is_lost(shm))
            return;
        if (naps == 0 && wh_spin_while(&shm->slow, done, seen))
            continue;
        if (park.kind == WH_PARK_FUTEX)
            atomic_store(&shm->segment->callbacks_awaited, 1);
        wh_park_while(&park, done, seen, &naps);
    }
}

static void worker_end(struct wh_channel *channel, const char *reason)
{
    struct wh_shm *shm = shm_of(channel);
    (void)snprintf(shm->segment->reason, sizeof(shm->segment->reason), "%s", reason);
    /* Release pairs with the listener's acquire: the reason is complete. */
    atomic_store_explicit(&shm->segment->state, WH_SEGMENT_ENDED, memory_order_release);
}

/* ---- both ---- */

static void shm_close(struct wh_channel *channel)
{
    struct wh_shm *shm = shm_of(channel);
    shm->release(shm);
    pthread_mutex_destroy(&shm->submit);
    free(shm);
}

static void shm_abandon(struct wh_channel *channel)
{
    struct wh_shm *shm = shm_of(channel);
    shm->abandon(shm);
}

static const struct wh_channel_ops shm_ops = {
    .name = "shared memory",
    .begin = client_begin,
    .commit = client_commit,
    .take_slot = client_take_slot,
    .put_slot = client_put_slot,
    .await = client_await,
    .patience = client_patience,
    .await_token = client_await_token,
    .take_upcall = client_take_upcall,
    .callback_done = client_callback_done,
    .upcall_mark = client_upcall_mark,
    .listen = client_listen,
    .token = client_token,
    .end_reason = client_end_reason,
    .lose = client_lose,
    .receive = worker_receive,
    .more = worker_more,
    .vacate = worker_vacate,
    .resume = worker_resume,
    .reply_room = worker_reply_room,
    .reply = worker_reply,
    .set_token = worker_set_token,
    .push_upcall = worker_push_upcall,
    .await_callback = worker_await_callback,
    .end = worker_end,
    .close = shm_close,
    .abandon = shm_abandon,
};

struct wh_shm *wh_shm_new(struct wh_segment *segment, uint64_t size, bool client)
{
    struct wh_shm *shm = calloc(1, sizeof(*shm));
    if (!shm)
        return NULL;
    shm->segment = segment;
    shm->size = size;
    shm->channel.ops = &shm_ops;
    shm->channel.arena = (uint8_t *)segment + WH_ARENA_START;
    shm->channel.arena_size = size - WH_ARENA_START;
    shm->channel.arena_fd = -1;
    shm->channel.slot_room = WH_SLOT_ROOM;
    shm->socket = shm->eventfd = -1;
    shm->calls = (struct wh_ring){
        .control = &segment->calls, .data = segment->call_data, .size = WH_RING_SIZE};
    shm->upcalls = (struct wh_ring){
        .control = &segment->upcalls, .data = segment->upcall_data, .size = WH_UPCALL_SIZE};
    if (client)
        wh_spin_init(&shm->quick, QUICK_NS, MANY_QUICK_NS);
    else
        wh_spin_init(&shm->quick, IDLE_NS, MANY_IDLE_NS);
    wh_spin_init(&shm->slow, SLOW_NS, SLOW_NS);
    pthread_mutex_init(&shm->submit, NULL);
    atomic_flag_clear(&shm->leader);
    atomic_flag_clear(&shm->losing);
    return shm;
}

static void unmap_segment(struct wh_shm *shm)
{
    munmap(shm->segment, shm->size);
}

/*
 * Where a worker maps its session's memory if it can: it is large, and where the system puts
 * mappings by itself it would be in the way of the client's memory, which the worker maps at the
 * client's own addresses. Clients map theirs elsewhere (unix.c).
 */
#define AWAY_FROM_PROGRAMS ((void *)0x300000000000)

int wh_shm_open_worker(int fd, uint64_t offset, uint64_t size, struct wh_shm **made,
                       struct wh_error *error)
{
    if (size < WH_SEGMENT_LEAST)
        return wh_error_set(error, EINVAL,
                            "a session needs %u MiB of shared memory, this one has %llu bytes",
                            WH_SEGMENT_LEAST >> 20, (unsigned long long)size);
    void *memory = mmap(AWAY_FROM_PROGRAMS, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);
    if (memory == MAP_FAILED)
        return wh_error_set(error, errno, "cannot map the session's memory: %s", strerror(errno));
    struct wh_shm *shm = wh_shm_new(memory, size, false);
    if (!shm) {
        munmap(memory, size);
        return wh_error_set(error, ENOMEM, "out of memory");
    }
    shm->release = unmap_segment;
    shm->channel.arena_fd = fd;
    shm->channel.arena_offset = offset + WH_ARENA_START;
    *made = shm;
    return 0;
}
