/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes, segments and the lives of a VM's sessions; see region.h. */
#include "daemon/region.h"

#include "base/log.h"
#include "base/util.h"
#include "channel/channel.h"
#include "daemon/session.h"
#include "daemon/tenant.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define PAGE                 4096u
#define KILL_MS              1000u /* a worker that does not end by itself */
#define IDLE_LOOK_MS         20u   /* between looks at the mailboxes where nobody can ring */
#define BUSY_LOOK_MS         5u
#define RELAYED_IDLE_LOOK_MS 500u /* where rings are passed on */

enum slot_state {
    SLOT_IDLE,
    SLOT_RUNNING,
    SLOT_DONE,    /* the worker is gone, the client does not know yet */
    SLOT_LEAVING, /* the client is gone, the worker not yet */
    SLOT_HELD     /* its segment may be in a view of before this server, with somebody in it */
};

/* The server's own knowledge about one mailbox. */
struct slot {
    struct wh_region_server *owner;
    enum slot_state state;
    struct wh_served *served;
    int life; /* closed to end the worker */
    int bell; /* where rings are passed on, and */
    int ear;  /* where this session's worker hears them; -1: none is yet */
    uint64_t offset, size;
    uint64_t since_ns; /* of the state, or of an unfinished handshake; 0: none */
    char boot[sizeof(((struct wh_hello *)0)->boot)];
};

struct wh_region_server {
    struct wh_server *server;
    struct wh_tenant *tenant;
    struct wh_region_setup setup;
    struct wh_region *region;
    struct wh_source doorbell;
    struct wh_timer tick;
    uint64_t beat_ns;
    bool ending;
    bool relays; /* rings are passed on, */
    bool doubt;  /* but one got lost, and none has come since */
    struct slot slots[WH_REGION_MAILBOXES];
};

static struct wh_mailbox *mailbox_of(const struct slot *slot)
{
    return &slot->owner->region->mailboxes[slot - slot->owner->slots];
}

/* ---- segments ---- */

/* Where a segment of `size` bytes would fit from `offset` on: UINT64_MAX, or the next offset to
 * try. */
static uint64_t conflict(const struct wh_region_server *region, uint64_t offset, uint64_t size)
{
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++) {
        const struct slot *slot = &region->slots[i];
        if (slot->state != SLOT_IDLE && offset < slot->offset + slot->size &&
            slot->offset < offset + size)
            return slot->offset + slot->size;
    }
    return UINT64_MAX;
}

static bool find_room(const struct wh_region_server *region, uint64_t size, uint64_t *offset)
{
    uint64_t at = WH_REGION_START;
    while (at <= region->setup.size && size <= region->setup.size - at) {
        uint64_t next = conflict(region, at, size);
        if (next == UINT64_MAX) {
            *offset = at;
            return true;
        }
        at = wh_round_up(next, PAGE);
    }
    return false;
}

/* A client that did not ask for a size gets what there is; one that did gets that or nothing. */
static int allocate(struct wh_region_server *region, const struct wh_hello *hello,
                    struct slot *slot, struct wh_error *error)
{
    uint64_t size;
    if (wh_tenant_segment_size(region->server, region->tenant, hello->arena, region->setup.size / 4,
                               &size, error) < 0)
        return -1;
    while (!find_room(region, size, &slot->offset)) {
        if (hello->arena || size == WH_SEGMENT_LEAST)
            return wh_error_set(
                error, ENOSPC,
                "this VM's shared memory of %llu MiB has no room for a session of %llu MiB; give the "
                "VM a larger region",
                (unsigned long long)(region->setup.size >> 20), (unsigned long long)(size >> 20));
        size = wh_round_up(size / 2, PAGE);
        size = size < WH_SEGMENT_LEAST ? WH_SEGMENT_LEAST : size;
    }
    slot->size = size;
    return 0;
}

/* Nothing of an earlier session is left in it; a memfd gives the pages back as well. */
static void clear_segment(const struct slot *slot)
{
    const struct wh_region_setup *setup = &slot->owner->setup;
    if (fallocate(setup->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)slot->offset,
                  (off_t)slot->size) < 0)
        memset(setup->memory + slot->offset, 0, slot->size);
}

/* ---- the end of a session ---- */

static bool stalled(const struct slot *slot, uint64_t ms)
{
    return slot->since_ns && wh_now_ns() - slot->since_ns > ms * 1000000u;
}

static void close_bell(struct slot *slot)
{
    wh_close_fd(&slot->bell);
    wh_close_fd(&slot->ear);
    slot->bell = slot->ear = -1;
}

static void make_idle(struct slot *slot)
{
    struct wh_mailbox *mailbox = mailbox_of(slot);
    clear_segment(slot);
    close_bell(slot); /* the worker may have given it away */
    slot->state = SLOT_IDLE;
    slot->since_ns = 0;
    atomic_store_explicit(&mailbox->owner, 0, memory_order_relaxed);
    /* Release pairs with the claim of the next client. */
    atomic_store_explicit(&mailbox->state, WH_MAILBOX_FREE, memory_order_release);
}

/* The client is gone: hanging up ends the worker. */
static void leave(struct slot *slot)
{
    wh_close_fd(&slot->life);
    slot->life = -1;
    if (slot->state == SLOT_DONE) {
        make_idle(slot);
        return;
    }
    slot->state = SLOT_LEAVING;
    slot->since_ns = wh_now_ns();
}

/* Not those who wait for a host that does not answer. */
static bool some_leave(const struct wh_region_server *region)
{
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        if (region->slots[i].state == SLOT_LEAVING && !stalled(&region->slots[i], 2 * KILL_MS))
            return true;
    return false;
}

static unsigned count(const struct wh_region_server *region, enum slot_state state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        n += region->slots[i].state == state;
    return n;
}

static unsigned count_workers(const struct wh_region_server *region)
{
    return count(region, SLOT_RUNNING) + count(region, SLOT_LEAVING);
}

static void free_when_done(struct wh_region_server *region)
{
    if (count_workers(region) > 0)
        return;
    wh_loop_clear_timer(&region->tick);
    free(region);
}

static void look(struct wh_region_server *region);

/* The worker is gone, or the daemon goes: then it is not waited for any longer. */
static void on_end_of_session(void *owner)
{
    struct slot *slot = owner;
    struct wh_region_server *region = slot->owner;
    if (region->ending)
        wh_session_kill(slot->served);
    slot->served = NULL;
    if (region->ending) {
        region->server->nending--;
        slot->state = SLOT_IDLE;
        free_when_done(region);
        return;
    }
    bool client_left = slot->state == SLOT_LEAVING;
    slot->state = SLOT_DONE;
    slot->since_ns = wh_now_ns();
    if (client_left)
        leave(slot);
    look(region); /* somebody may wait for the room */
}

/* ---- the start of a session ---- */

static void refuse(struct slot *slot, const struct wh_error *why)
{
    struct wh_mailbox *mailbox = mailbox_of(slot);
    wh_log_limited(&slot->owner->tenant->log, "a client in %s is refused: %s",
                   slot->owner->tenant->name, why->text);
    mailbox->refused = why->code ? (uint32_t)why->code : EIO;
    (void)snprintf(mailbox->text, sizeof(mailbox->text), "%.*s", (int)sizeof(mailbox->text) - 1,
                   why->text);
    slot->since_ns = wh_now_ns();
    /* Release pairs with the client's acquire: the text is complete. */
    atomic_store_explicit(&mailbox->state, WH_MAILBOX_REFUSED, memory_order_release);
}

/* A pipe, of which the worker gets a description of its own, to read and, as it rings itself, to
 * write: whatever it does to that, and to the pipe, ringing never waits. */
static void make_bell(struct slot *slot)
{
    char name[32];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return;
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[0]);
    slot->ear = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    close(ends[0]);
    slot->bell = ends[1];
    if (slot->ear < 0)
        close_bell(slot);
}

/* The worker's, or -1: nobody can ring it. */
static int bell_of(struct slot *slot)
{
    const struct wh_region_server *region = slot->owner;
    if (region->setup.bells)
        return region->setup.bells[WH_PEER_SESSION + (slot - region->slots)];
    if (region->relays && slot->bell < 0)
        make_bell(slot);
    return region->relays ? slot->ear : -1;
}

static int start_worker(struct slot *slot, const struct wh_hello *hello, struct wh_error *error)
{
    struct wh_region_server *region = slot->owner;
    const int bell = bell_of(slot);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return wh_error_set(error, errno, "the server cannot make a socket: %s", strerror(errno));
    struct wh_session_request request = {.tenant = region->tenant,
                                         .hello = hello,
                                         .transport = "ivshmem",
                                         .life = pair[1],
                                         .memory = region->setup.fd,
                                         .bell = bell,
                                         .relayed = bell >= 0 && !region->setup.bells,
                                         .offset = slot->offset,
                                         .size = slot->size,
                                         .gate = wh_gate_device(region->setup.gate),
                                         .gate_vm = region->setup.gate,
                                         .ended = on_end_of_session,
                                         .owner = slot};
    slot->served = wh_session_start(region->server, &request, error);
    close(pair[1]);
    slot->life = pair[0];
    if (slot->served)
        return 0;
    wh_close_fd(&slot->life);
    return -1;
}

static void announce(struct slot *slot, const struct wh_hello *hello)
{
    struct wh_mailbox *mailbox = mailbox_of(slot);
    slot->state = SLOT_RUNNING;
    slot->since_ns = wh_now_ns();
    memcpy(slot->boot, hello->boot, sizeof(slot->boot));
    mailbox->offset = slot->offset;
    mailbox->size = slot->size;
    mailbox->peer =
        bell_of(slot) >= 0 ? WH_PEER_SESSION + (uint32_t)(slot - slot->owner->slots) : UINT32_MAX;
    atomic_store_explicit(&mailbox->owner, 0, memory_order_relaxed);
    /* Release pairs with the client's acquire: it may use the segment. */
    atomic_store_explicit(&mailbox->state, WH_MAILBOX_OPEN, memory_order_release);
}

/* Sessions of before the VM's reset: nobody is left who could close them. */
static void end_other_boots(struct wh_region_server *region, const char *boot)
{
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++) {
        struct slot *slot = &region->slots[i];
        if ((slot->state == SLOT_RUNNING || slot->state == SLOT_DONE) && *boot && *slot->boot &&
            strcmp(slot->boot, boot) != 0)
            leave(slot);
    }
}

static int open_session(struct slot *slot, const struct wh_hello *hello, struct wh_error *error)
{
    struct wh_region_server *region = slot->owner;
    if (wh_tenant_admit(region->server, region->tenant, error) < 0 ||
        allocate(region, hello, slot, error) < 0)
        return -1;
    clear_segment(slot);
    return start_worker(slot, hello, error);
}

static void answer(struct slot *slot)
{
    struct wh_hello hello;
    struct wh_error error = {0};
    /* Once: the guest could change it between check and use. */
    memcpy(&hello, &mailbox_of(slot)->hello, sizeof(hello));
    wh_session_clean_hello(&hello);
    if (wh_hello_check(&hello, &error) < 0) {
        refuse(slot, &error);
        return;
    }
    end_other_boots(slot->owner, hello.boot);
    if (open_session(slot, &hello, &error) == 0)
        announce(slot, &hello);
    else if (!some_leave(slot->owner))
        refuse(slot, &error);
    else
        slot->since_ns = wh_now_ns();
    /* then the mailbox stays as it is, and is looked at again when those who leave are gone */
}

/* ---- looking at the mailboxes ---- */

static void look_at_idle(struct slot *slot, uint32_t state)
{
    struct wh_mailbox *mailbox = mailbox_of(slot);
    if (state == WH_MAILBOX_FREE) {
        slot->since_ns = 0;
        return;
    }
    if (state == WH_MAILBOX_ASKED) {
        answer(slot);
        return;
    }
    if (!slot->since_ns)
        slot->since_ns = wh_now_ns();
    /* Claimed and refused ones are the client's to go on with, unless it died there. */
    bool clients = state == WH_MAILBOX_CLAIMED || state == WH_MAILBOX_REFUSED;
    if (clients && !stalled(slot, slot->owner->server->config->stall_ms))
        return;
    slot->since_ns = 0;
    (void)atomic_compare_exchange_strong(&mailbox->state, &state, WH_MAILBOX_FREE);
}

static void look_at_busy(struct slot *slot, uint32_t state)
{
    uint32_t owner = atomic_load_explicit(&mailbox_of(slot)->owner, memory_order_relaxed);
    bool nobody = owner == 0 && stalled(slot, slot->owner->server->config->stall_ms);
    if (state != WH_MAILBOX_OPEN || (owner & FUTEX_OWNER_DIED) || nobody)
        leave(slot);
}

static void look_at(struct slot *slot)
{
    /* Acquire pairs with the client's release: hello and owner are complete. */
    uint32_t state = atomic_load_explicit(&mailbox_of(slot)->state, memory_order_acquire);
    switch (slot->state) {
    case SLOT_IDLE:
        look_at_idle(slot, state);
        break;
    case SLOT_RUNNING:
    case SLOT_DONE:
        look_at_busy(slot, state);
        break;
    case SLOT_LEAVING:
        if (stalled(slot, KILL_MS) && slot->served)
            wh_session_kill(slot->served);
        break;
    case SLOT_HELD:
        break;
    }
}

static bool is_busy(const struct wh_region_server *region)
{
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        if ((region->slots[i].state != SLOT_IDLE && region->slots[i].state != SLOT_HELD) ||
            region->slots[i].since_ns)
            return true;
    return false;
}

/* Clients take a beat that stands still for a dead server. */
static void beat(struct wh_region_server *region)
{
    uint64_t now = wh_now_ns();
    if (now - region->beat_ns < WH_REGION_BEAT_MS * 1000000ull)
        return;
    region->beat_ns = now;
    atomic_fetch_add_explicit(&region->region->beat, 1, memory_order_relaxed);
}

/* Somebody asks whom no ring has told of. */
static bool has_missed(const struct wh_region_server *region)
{
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        if (region->slots[i].state == SLOT_IDLE && !region->slots[i].since_ns &&
            atomic_load(&region->region->mailboxes[i].state) == WH_MAILBOX_ASKED)
            return true;
    return false;
}

static void on_tick(struct wh_timer *timer)
{
    struct wh_region_server *region = WH_CONTAINER(timer, struct wh_region_server, tick);
    region->doubt |= has_missed(region); /* its ring may yet come */
    look(region);
}

/* When to look without being rung; 0: not at all. */
static uint64_t next_look_ms(const struct wh_region_server *region, bool busy)
{
    if (region->setup.bells)
        return busy ? WH_REGION_BEAT_MS : 0;
    if (region->relays && !region->doubt)
        return busy ? WH_REGION_BEAT_MS : RELAYED_IDLE_LOOK_MS;
    return busy ? BUSY_LOOK_MS : IDLE_LOOK_MS;
}

/* Looks at all mailboxes; comes back by itself while there is anything to watch. */
static void look(struct wh_region_server *region)
{
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        look_at(&region->slots[i]);
    bool busy = is_busy(region);
    if (busy)
        beat(region);
    uint64_t ms = next_look_ms(region, busy);
    if (ms)
        wh_loop_set_timer(&region->server->loop, &region->tick, ms, on_tick);
}

static void on_doorbell(struct wh_source *source, uint32_t events)
{
    struct wh_region_server *region = WH_CONTAINER(source, struct wh_region_server, doorbell);
    uint64_t rings;
    (void)events;
    (void)!read(source->fd, &rings, sizeof(rings));
    look(region);
}

/* ---- the region as a whole ---- */

static bool segment_fits(uint64_t offset, uint64_t size, uint64_t region)
{
    return offset >= WH_REGION_START && offset % PAGE == 0 && size >= WH_SEGMENT_LEAST &&
           size <= region && offset <= region - size;
}

/* Where a worker of before this server wrote which view its segment is in, that view may still be
 * there, for the host ends it. A mailbox that was given back has none. */
static void hold_segments(struct wh_region_server *region)
{
    const struct wh_region_setup *setup = &region->setup;
    unsigned held = 0;
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++) {
        const struct wh_mailbox *mailbox = &region->region->mailboxes[i];
        struct slot *slot = &region->slots[i];
        uint64_t offset = *(const volatile uint64_t *)&mailbox->offset,
                 size = *(const volatile uint64_t *)&mailbox->size;
        if (atomic_load(&mailbox->state) == WH_MAILBOX_FREE ||
            !segment_fits(offset, size, setup->size))
            continue;
        const struct wh_segment *segment = (struct wh_segment *)(void *)(setup->memory + offset);
        if (segment->gate.index == 0)
            continue;
        slot->state = SLOT_HELD;
        slot->offset = offset;
        slot->size = size;
        held++;
    }
    if (held)
        wh_log("%u segments of sessions before this server go to nobody before the host answers",
               held);
}

/* As a client that is gone leaves it: others pass it over, and the next server finds it. */
static void mark_held(struct slot *slot)
{
    struct wh_mailbox *mailbox = mailbox_of(slot);
    mailbox->offset = slot->offset;
    mailbox->size = slot->size;
    atomic_store_explicit(&mailbox->state, WH_MAILBOX_CLOSING, memory_order_relaxed);
}

static void write_header(struct wh_region_server *server)
{
    struct wh_region *region = server->region;
    const struct wh_region_setup *setup = &server->setup;
    atomic_store_explicit(&region->magic, 0, memory_order_release);
    memset(region, 0, sizeof(*region));
    region->protocol = WH_PROTOCOL;
    region->server_peer = setup->bells || server->relays ? WH_PEER_SERVER : UINT32_MAX;
    region->size = setup->size;
    (void)snprintf(region->version, sizeof(region->version), "%s", WH_VERSION);
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        if (server->slots[i].state == SLOT_HELD)
            mark_held(&server->slots[i]);
    /* Release pairs with the guest's acquire: the header is complete. */
    atomic_store_explicit(&region->magic, WH_REGION_MAGIC, memory_order_release);
}

struct wh_region_server *wh_region_serve(struct wh_server *server,
                                         const struct wh_region_setup *setup,
                                         struct wh_error *error)
{
    struct wh_region_server *region = calloc(1, sizeof(*region));
    if (!region || !(region->tenant = wh_tenant_of_vm(server, setup->name, &setup->limits))) {
        free(region);
        wh_error_set(error, ENOMEM, "out of memory");
        return NULL;
    }
    region->server = server;
    region->setup = *setup;
    region->relays = setup->relays;
    region->region = (struct wh_region *)(void *)setup->memory;
    region->doorbell.fd = -1;
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        region->slots[i] = (struct slot){.owner = region, .life = -1, .bell = -1, .ear = -1};
    if (setup->bells && wh_loop_add(&server->loop, &region->doorbell, setup->bells[WH_PEER_SERVER],
                                    on_doorbell, error) < 0) {
        free(region);
        return NULL;
    }
    /* A server before this one, if any, is gone: so are its workers. */
    wh_region_abandon(setup->memory, setup->size, "the server was restarted");
    if (setup->hold)
        hold_segments(region);
    write_header(region);
    look(region);
    return region;
}

void wh_region_release(struct wh_region_server *region)
{
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        if (region->slots[i].state == SLOT_HELD)
            make_idle(&region->slots[i]);
    look(region);
}

void wh_region_relay(struct wh_region_server *region, bool relays)
{
    region->relays = relays;
    region->doubt = false;
    /* Clients read it when they come. */
    *(volatile uint32_t *)&region->region->server_peer = relays ? WH_PEER_SERVER : UINT32_MAX;
    look(region);
}

void wh_region_ring(struct wh_region_server *region, uint32_t peer)
{
    const uint64_t one = 1;
    region->doubt = false;
    if (peer == WH_PEER_SERVER)
        look(region);
    else if (peer < WH_REGION_BELLS && region->slots[peer - WH_PEER_SESSION].bell >= 0)
        (void)!write(region->slots[peer - WH_PEER_SESSION].bell, &one, sizeof(one));
}

/* Who does not end by itself would keep the region's memory. */
static void on_last_tick(struct wh_timer *timer)
{
    struct wh_region_server *region = WH_CONTAINER(timer, struct wh_region_server, tick);
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        if (region->slots[i].served)
            wh_session_kill(region->slots[i].served);
}

void wh_region_end(struct wh_region_server *region, const char *reason)
{
    atomic_store_explicit(&region->region->magic, 0, memory_order_release);
    wh_loop_set_timer(&region->server->loop, &region->tick, KILL_MS, on_last_tick);
    wh_loop_remove(&region->server->loop, &region->doorbell);
    wh_region_abandon(region->setup.memory, region->setup.size, reason);
    region->ending = true;
    region->server->nending += count_workers(region);
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++) {
        struct slot *slot = &region->slots[i];
        wh_close_fd(&slot->life);
        slot->life = -1;
        close_bell(slot);
    }
    free_when_done(region);
}

void wh_region_abandon(uint8_t *memory, uint64_t size, const char *reason)
{
    struct wh_region *region = (struct wh_region *)(void *)memory;
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++) {
        struct wh_mailbox *mailbox = &region->mailboxes[i];
        uint64_t offset = *(volatile uint64_t *)&mailbox->offset,
                 length = *(volatile uint64_t *)&mailbox->size;
        if (atomic_load(&mailbox->state) != WH_MAILBOX_OPEN || !segment_fits(offset, length, size))
            continue;
        struct wh_segment *segment = (struct wh_segment *)(void *)(memory + offset);
        if (atomic_load(&segment->state) == WH_SEGMENT_ENDED)
            continue;
        (void)snprintf(segment->reason, sizeof(segment->reason), "%s", reason);
        /* Release pairs with the listener's acquire: the reason is complete. */
        atomic_store_explicit(&segment->state, WH_SEGMENT_ENDED, memory_order_release);
    }
}

void wh_region_close_all(uint8_t *memory)
{
    struct wh_region *region = (struct wh_region *)(void *)memory;
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        if (atomic_load(&region->mailboxes[i].state) != WH_MAILBOX_FREE)
            atomic_store_explicit(&region->mailboxes[i].state, WH_MAILBOX_CLOSING,
                                  memory_order_release);
}

/* ---- a service VM ---- */

int wh_region_map_device(struct wh_server *server, const char *url, struct wh_error *error)
{
    struct wh_ivshmem_device *device = &server->device;
    if (wh_ivshmem_map(url + strlen("ivshmem:"), device, error) < 0)
        return -1;
    if (device->size < WH_REGION_LEAST)
        return wh_error_set(
            error, EINVAL,
            "the ivshmem region of %s is too small: it has %llu KiB, sessions need %llu MiB",
            device->address, (unsigned long long)(device->size >> 10),
            (unsigned long long)(WH_REGION_LEAST >> 20));
    return 0;
}

int wh_region_serve_device(struct wh_server *server, bool hold, bool relays, struct wh_error *error)
{
    struct wh_ivshmem_device *device = &server->device;
    struct wh_region_setup setup = {.name = device->address,
                                    .memory = device->memory,
                                    .fd = device->memory_fd,
                                    .size = device->size,
                                    .relays = relays,
                                    .hold = hold};
    server->region = wh_region_serve(server, &setup, error);
    if (!server->region)
        return -1;
    wh_log("serving the ivshmem region of %s, %llu MiB", device->address,
           (unsigned long long)(device->size >> 20));
    return 0;
}
