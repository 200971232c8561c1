/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's side of ivshmem: finds the device, claims a mailbox, opens a session. No kernel
 * module: the BARs are mapped through sysfs. Nothing can ring in the guest without a driver, so
 * this side naps when it waits long.
 */
#include "channel/ivshmem.h"

#include "base/log.h"
#include "base/util.h"
#include "channel/gate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PCI_DEVICES       "/sys/bus/pci/devices"
#define DOORBELL_REGISTER 3 /* 32-bit registers: mask, status, peer id, doorbell */
#define OPEN_TIMEOUT_MS   60000
#define REPLY_NAP_US      500u
#define EAGER_NAP_US      500u
#define IDLE_NAP_US       40000u
#define BEAT_LOST_MS      10000u
#define LIFE_STACK        (64u << 10)

struct guest_session {
    struct wh_ivshmem_device device;
    struct wh_mailbox *mailbox;
    struct wh_region *region;
    uint32_t beat;    /* the last one seen */
    uint64_t beat_ns; /* when it changed */
    unsigned naps;
    pthread_t life;              /* a thread that only lives: its death closes the mailbox */
    _Atomic uint32_t life_state; /* enum life_state */
    struct robust_list_head robust_head;
    struct robust_list robust_entry;
};

enum life_state { LIFE_STARTING, LIFE_REGISTERED, LIFE_ENDING };

static unsigned long read_hex(const char *address, const char *file)
{
    char path[320], text[32] = "";
    (void)snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", address, file);
    WH_CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        return 0;
    return strtoul(text, NULL, 16);
}

static bool is_ivshmem(const char *address)
{
    return read_hex(address, "vendor") == 0x1af4 && read_hex(address, "device") == 0x1110;
}

/* Puts the first ivshmem device's address into `address` (32 bytes). */
static int find_device(char *address, struct wh_error *error)
{
    DIR *devices = opendir(PCI_DEVICES);
    struct dirent *entry;
    int found = -1;
    while (devices && found < 0 && (entry = readdir(devices)))
        if (entry->d_name[0] != '.' && strlen(entry->d_name) < 32 && is_ivshmem(entry->d_name)) {
            memcpy(address, entry->d_name, strlen(entry->d_name) + 1);
            found = 0;
        }
    if (devices)
        closedir(devices);
    if (found < 0)
        return wh_error_set(
            error, ENODEV,
            "this machine has no ivshmem device; start the VM with `-device ivshmem-doorbell` on a "
            "socket of wormholed (see wormholed(8))");
    return 0;
}

static void *map_resource(const char *address, const char *name, uint64_t *size, int *keep)
{
    char path[320];
    struct stat status;
    (void)snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", address, name);
    WH_CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return NULL;
    void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return NULL;
    *size = (uint64_t)status.st_size;
    if (keep)
        *keep = wh_steal_fd(&fd);
    return memory;
}

int wh_ivshmem_map(const char *address, struct wh_ivshmem_device *device, struct wh_error *error)
{
    uint64_t registers_size;
    *device = (struct wh_ivshmem_device){.memory_fd = -1};
    if (strlen(address) >= sizeof(device->address))
        return wh_error_set(error, EINVAL, "%s is not a PCI address", address);
    memcpy(device->address, address, strlen(address) + 1);
    if (!*address && find_device(device->address, error) < 0)
        return -1;
    device->memory =
        map_resource(device->address, "resource2_wc", &device->size, &device->memory_fd);
    if (!device->memory)
        device->memory =
            map_resource(device->address, "resource2", &device->size, &device->memory_fd);
    if (!device->memory)
        return wh_error_set(error, errno,
                            "cannot map " PCI_DEVICES
                            "/%s/resource2 (%s); run as root or give this user access to it",
                            device->address, strerror(errno));
    device->registers = map_resource(device->address, "resource0", &registers_size, NULL);
    return 0;
}

void wh_ivshmem_unmap(struct wh_ivshmem_device *device)
{
    if (device->memory)
        munmap(device->memory, device->size);
    if (device->registers)
        munmap((void *)(uintptr_t)device->registers, 256);
    if (device->memory_fd >= 0)
        close(device->memory_fd);
    *device = (struct wh_ivshmem_device){.memory_fd = -1};
}

static struct wh_bell bell_of(const struct wh_ivshmem_device *device, uint32_t peer)
{
    if (!device->registers || peer == UINT32_MAX)
        return (struct wh_bell){.kind = WH_BELL_NONE};
    return (struct wh_bell){.kind = WH_BELL_REGISTER,
                            .doorbell = device->registers + DOORBELL_REGISTER,
                            .value = peer << 16};
}

static int check_region(const struct wh_ivshmem_device *device, struct wh_error *error)
{
    const struct wh_region *region = (const struct wh_region *)device->memory;
    if (device->size < WH_REGION_LEAST)
        return wh_error_set(
            error, EINVAL,
            "the ivshmem region has %llu bytes, a session needs at least %llu; give it more (wormholed's `region`)",
            (unsigned long long)device->size, (unsigned long long)WH_REGION_LEAST);
    /* Acquire pairs with the server's release: the header is complete. */
    if (atomic_load_explicit(&region->magic, memory_order_acquire) != WH_REGION_MAGIC)
        return wh_error_set(
            error, ENODEV,
            "no Wormhole server serves the ivshmem region of %s; is wormholed running, and of this version?",
            device->address);
    if (region->protocol != WH_PROTOCOL)
        return wh_error_set(
            error, EPROTONOSUPPORT,
            "the client is Wormhole %s (protocol %u), the server is %.*s (protocol %u); install the same version on both sides",
            WH_VERSION, WH_PROTOCOL, (int)sizeof(region->version), region->version,
            region->protocol);
    return 0;
}

static struct wh_mailbox *claim_free(struct wh_region *region)
{
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++) {
        uint32_t free_state = WH_MAILBOX_FREE;
        if (atomic_compare_exchange_strong(&region->mailboxes[i].state, &free_state,
                                           WH_MAILBOX_CLAIMED))
            return &region->mailboxes[i];
    }
    return NULL;
}

/* Nobody is left who could close the sessions of an earlier boot. Returns how many are closing. */
static unsigned close_other_boots(struct wh_region *region, const struct wh_hello *hello)
{
    unsigned closing = 0;
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++) {
        struct wh_mailbox *mailbox = &region->mailboxes[i];
        uint32_t state = WH_MAILBOX_OPEN;
        if (*hello->boot && *mailbox->hello.boot &&
            strncmp(hello->boot, mailbox->hello.boot, sizeof(hello->boot)) != 0)
            (void)atomic_compare_exchange_strong(&mailbox->state, &state, WH_MAILBOX_CLOSING);
        closing += atomic_load(&mailbox->state) == WH_MAILBOX_CLOSING;
    }
    return closing;
}

struct wh_mailbox *wh_ivshmem_claim(struct wh_region *region, const struct wh_hello *hello,
                                    const struct wh_bell *server, struct wh_error *error)
{
    struct wh_park park = {.kind = WH_PARK_NAP, .longest_us = 5000};
    _Atomic uint32_t nothing = 0;
    unsigned naps = 0;
    uint64_t start = wh_now_ns();
    struct wh_mailbox *mailbox = claim_free(region);
    while (!mailbox && close_other_boots(region, hello) > 0 &&
           wh_now_ns() - start < OPEN_TIMEOUT_MS * 1000000ull) {
        wh_bell_ring(server, NULL, 0);
        wh_park_while(&park, &nothing, 0, &naps);
        mailbox = claim_free(region);
    }
    /* The last one may have been given back between the two looks. */
    if (!mailbox && !(mailbox = claim_free(region)))
        wh_error_set(error, EBUSY, "all %u sessions of this VM are in use", WH_REGION_MAILBOXES);
    return mailbox;
}

/* Asks for a session and waits for the answer. */
static int ask(struct wh_mailbox *mailbox, const struct wh_hello *hello, const struct wh_bell *bell,
               struct wh_error *error)
{
    struct wh_park park = {.kind = WH_PARK_NAP, .longest_us = 5000};
    unsigned naps = 0;
    uint64_t start = wh_now_ns();
    mailbox->hello = *hello;
    /* Release pairs with the server's acquire: the hello is complete. */
    atomic_store_explicit(&mailbox->state, WH_MAILBOX_ASKED, memory_order_release);
    wh_bell_ring(bell, NULL, 0);
    while (atomic_load_explicit(&mailbox->state, memory_order_acquire) == WH_MAILBOX_ASKED) {
        if (wh_now_ns() - start > OPEN_TIMEOUT_MS * 1000000ull)
            return wh_error_set(error, ETIMEDOUT,
                                "the Wormhole server behind the ivshmem region does not answer");
        wh_park_while(&park, &mailbox->state, WH_MAILBOX_ASKED, &naps);
    }
    if (atomic_load(&mailbox->state) == WH_MAILBOX_OPEN)
        return 0;
    return wh_error_set(error, mailbox->refused ? (int)mailbox->refused : EIO, "%.*s",
                        (int)sizeof(mailbox->text), mailbox->text);
}

static bool segment_fits(const struct wh_mailbox *mailbox, uint64_t region)
{
    return mailbox->offset >= WH_REGION_START && mailbox->offset % 4096 == 0 &&
           mailbox->size >= WH_SEGMENT_LEAST && mailbox->size <= region &&
           mailbox->offset <= region - mailbox->size;
}

/*
 * Tells the guest's kernel that this thread owns the mailbox, so that its death, even by SIGKILL,
 * is written into the region (robust futexes, set_robust_list(2)). The list head is ours alone;
 * only the futex word is shared.
 */
static void register_death(struct guest_session *session)
{
    struct wh_mailbox *mailbox = session->mailbox;
    atomic_store(&mailbox->owner, (uint32_t)syscall(SYS_gettid));
    session->robust_entry.next = &session->robust_head.list;
    session->robust_head.list.next = &session->robust_entry;
    session->robust_head.futex_offset =
        (long)((uintptr_t)&mailbox->owner - (uintptr_t)&session->robust_entry);
    session->robust_head.list_op_pending = NULL;
    syscall(SYS_set_robust_list, &session->robust_head, sizeof(session->robust_head));
}

static void set_life_state(struct guest_session *session, enum life_state state)
{
    struct wh_bell local = {.kind = WH_BELL_FUTEX};
    atomic_store(&session->life_state, state);
    wh_bell_ring(&local, &session->life_state, INT_MAX);
}

static void wait_while_life(struct guest_session *session, enum life_state state)
{
    struct wh_park park = {.kind = WH_PARK_FUTEX};
    unsigned naps = 0;
    while (atomic_load(&session->life_state) == state)
        wh_park_while(&park, &session->life_state, state, &naps);
}

static void *live(void *argument)
{
    struct guest_session *session = argument;
    register_death(session);
    set_life_state(session, LIFE_REGISTERED);
    wait_while_life(session, LIFE_REGISTERED);
    return NULL;
}

/* A process may end before any other thread of ours ran: this one is registered when the session
 * opens. */
static int start_life(struct guest_session *session, struct wh_error *error)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, LIFE_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&session->life, &attributes, live, session);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (code)
        return wh_error_set(error, code, "cannot start a thread: %s", strerror(code));
    wait_while_life(session, LIFE_STARTING);
    return 0;
}

/* The server's beat tells a host that is gone from one that is busy. */
static bool server_lives(struct guest_session *session)
{
    uint32_t beat = atomic_load_explicit(&session->region->beat, memory_order_relaxed);
    uint64_t now = wh_now_ns();
    if (beat != session->beat || session->beat_ns == 0) {
        session->beat = beat;
        session->beat_ns = now;
    }
    return now - session->beat_ns < BEAT_LOST_MS * 1000000ull;
}

static bool guest_listen(struct wh_shm *shm, bool eager)
{
    struct guest_session *session = shm->transport_private;
    _Atomic uint32_t *tail = &shm->upcalls.control->tail;
    struct wh_park park = {.kind = WH_PARK_NAP, .longest_us = eager ? EAGER_NAP_US : IDLE_NAP_US};
    uint32_t at = atomic_load_explicit(&shm->taken, memory_order_relaxed);
    session->naps = eager ? session->naps : 16;
    wh_park_while(&park, tail, at, &session->naps);
    if (atomic_load_explicit(tail, memory_order_relaxed) != at)
        session->naps = 0;
    if (wh_gate_is_over(shm, shm->over, sizeof(shm->over)))
        return false;
    return atomic_load_explicit(&shm->segment->state, memory_order_acquire) == WH_SEGMENT_OPEN &&
           server_lives(session);
}

static void guest_release(struct wh_shm *shm)
{
    struct guest_session *session = shm->transport_private;
    struct wh_bell server = bell_of(&session->device, session->region->server_peer);
    /* The kernel tells the server; it may reuse mailbox and segment after this, and we touch them
     * no more. */
    set_life_state(session, LIFE_ENDING);
    pthread_join(session->life, NULL);
    wh_bell_ring(&server, NULL, 0);
    wh_gate_forget(shm);
    wh_ivshmem_unmap(&session->device);
    free(session);
}

static void guest_abandon(struct wh_shm *shm)
{
    close(shm->channel.arena_fd);
}

/* Waits until the worker serves the segment. */
static int wait_until_open(struct wh_segment *segment, struct wh_error *error)
{
    struct wh_park park = {.kind = WH_PARK_NAP, .longest_us = 5000};
    unsigned naps = 0;
    uint64_t start = wh_now_ns();
    for (;;) {
        uint32_t state = atomic_load_explicit(&segment->state, memory_order_acquire);
        if (state == WH_SEGMENT_OPEN)
            return 0;
        if (state == WH_SEGMENT_ENDED)
            return wh_error_set(error, EIO, "%.*s", (int)sizeof(segment->reason) - 1,
                                segment->reason);
        if (wh_now_ns() - start > OPEN_TIMEOUT_MS * 1000000ull)
            return wh_error_set(error, ETIMEDOUT, "the worker for this session did not start");
        wh_park_while(&park, &segment->state, state, &naps);
    }
}

static int open_segment(struct guest_session *session, struct wh_channel **channel,
                        struct wh_error *error)
{
    uint64_t offset = session->mailbox->offset, size = session->mailbox->size;
    struct wh_mailbox checked = {.offset = offset, .size = size};
    if (!segment_fits(&checked, session->device.size))
        return wh_error_set(error, EPROTO, "the server offers a segment outside of the region");
    struct wh_segment *segment = (struct wh_segment *)(session->device.memory + offset);
    if (wait_until_open(segment, error) < 0)
        return -1;
    struct wh_shm *shm = wh_shm_new(segment, size, true);
    if (!shm)
        return wh_error_set(error, ENOMEM, "out of memory");
    if (start_life(session, error) < 0) {
        free(shm);
        return -1;
    }
    shm->transport_private = session;
    shm->park = (struct wh_park){.kind = WH_PARK_NAP, .longest_us = REPLY_NAP_US};
    shm->bell = bell_of(&session->device, session->mailbox->peer);
    shm->listen = guest_listen;
    shm->release = guest_release;
    shm->abandon = guest_abandon;
    shm->channel.arena_fd = session->device.memory_fd;
    shm->channel.arena_offset = offset + WH_ARENA_START;
    const char *why = wh_gate_adopt(shm);
    wh_debug("calls %s%s", why ? "travel by ivshmem: " : "are exitless", why ? why : "");
    *channel = &shm->channel;
    return 0;
}

int wh_ivshmem_connect(const char *rest, const struct wh_hello *hello, struct wh_channel **channel,
                       struct wh_error *error)
{
    WH_CLEANUP_FREE struct guest_session *session = calloc(1, sizeof(*session));
    if (!session)
        return wh_error_set(error, ENOMEM, "out of memory");
    if (wh_ivshmem_map(rest, &session->device, error) < 0)
        return -1;
    struct wh_region *region = (struct wh_region *)session->device.memory;
    session->region = region;
    if (check_region(&session->device, error) < 0)
        goto unmap;
    struct wh_bell server = bell_of(&session->device, region->server_peer);
    session->mailbox = wh_ivshmem_claim(region, hello, &server, error);
    if (!session->mailbox)
        goto unmap;
    if (ask(session->mailbox, hello, &server, error) < 0 ||
        open_segment(session, channel, error) < 0)
        goto give_back;
    session = NULL;
    return 0;

give_back:
    atomic_store_explicit(&session->mailbox->state, WH_MAILBOX_CLOSING, memory_order_release);
    wh_bell_ring(&server, NULL, 0);
unmap:
    wh_ivshmem_unmap(&session->device);
    return -1;
}
