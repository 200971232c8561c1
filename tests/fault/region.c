/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of virtual machines, without one: this program connects where QEMU would, gets the
 * region and the doorbells, and plays the guest through the mailboxes: honest, dying, reset, and
 * lying ones. Run by meson.
 */
#include "support.h"

#include "base/util.h"
#include "channel/ivshmem.h"
#include "daemon/region.h"

#include <endian.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define REGION (64u << 20)
#define ARENA  ((20u << 20) - WH_ARENA_START) /* three such sessions fit */

static const char config[] = "stall_timeout = 1\n"
                             "vm \"one\" {\n socket = \"%s/one\"\n region = \"64M\"\n}\n"
                             "vm \"many\" {\n socket = \"%s/many\"\n region = \"2G\"\n}\n"
                             "vm \"two\" {\n socket = \"%s/two\"\n region = \"64M\"\n}\n";

/* ---- a virtual machine, as the daemon sees it ---- */

struct machine {
    int socket, memory_fd, own_bell;
    int bells[WH_REGION_BELLS];
    uint8_t *memory;
    size_t size;
    struct wh_region *region;
};

/* A session of its guest. */
struct guest {
    struct machine *machine;
    struct wh_mailbox *mailbox;
    struct wh_shm *shm;
};

/* A daemon that listens for both. */
static void serve_machines(struct daemon *daemon)
{
    daemon_start(daemon, config);
    process_expect(&daemon->process, 1, "serving the VM two", NULL, 0);
}

static int connect_to(const struct daemon *daemon, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", daemon->folder, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* One message of QEMU's protocol: a number, perhaps with a descriptor (else -1). False at its end.
 */
static bool receive(int socket, int64_t *number, int *fd)
{
    if (!wait_readable(socket, PATIENCE_MS))
        fail_msg("the daemon does not introduce itself");
    ssize_t n = wh_receive_fds(socket, number, sizeof(*number), fd, 1);
    *number = (int64_t)le64toh((uint64_t)*number);
    return n == (ssize_t)sizeof(*number);
}

static void boot(struct machine *machine, const struct daemon *daemon, const char *name)
{
    int64_t number, self;
    int fd;
    machine->socket = connect_to(daemon, name);
    assert_true(receive(machine->socket, &number, &fd) && number == 0 && fd == -1);
    assert_true(receive(machine->socket, &self, &fd) && self >= 0 && fd == -1);
    assert_true(receive(machine->socket, &number, &machine->memory_fd) && number == -1);
    struct stat status;
    assert_int_equal(fstat(machine->memory_fd, &status), 0);
    machine->size = (size_t)status.st_size;
    for (;;) {
        assert_true(receive(machine->socket, &number, &fd) && fd >= 0);
        if (number == self)
            break;
        assert_true(number >= 0 && number < WH_REGION_BELLS);
        machine->bells[number] = fd;
    }
    machine->own_bell = fd;
    machine->memory =
        mmap(NULL, machine->size, PROT_READ | PROT_WRITE, MAP_SHARED, machine->memory_fd, 0);
    assert_true(machine->memory != MAP_FAILED);
    machine->region = (struct wh_region *)(void *)machine->memory;
    /* The daemon introduces itself before it writes its header. */
    _Atomic uint32_t *magic = (_Atomic uint32_t *)(void *)&machine->region->magic;
    assert_true(raw_wait_while(magic, 0, PATIENCE_MS));
    assert_int_equal(atomic_load(&machine->region->magic), WH_REGION_MAGIC);
}

static void power_off(struct machine *machine)
{
    munmap(machine->memory, machine->size);
    for (unsigned i = 0; i < WH_REGION_BELLS; i++)
        close(machine->bells[i]);
    close(machine->own_bell);
    close(machine->memory_fd);
    close(machine->socket);
}

static void ring(struct machine *machine, uint32_t peer)
{
    const uint64_t one = 1;
    assert_true(peer < WH_REGION_BELLS);
    assert_int_equal(write(machine->bells[peer], &one, sizeof(one)), sizeof(one));
}

/* ---- sessions of its guest ---- */

static struct wh_hello hello_of(const char *boot_id)
{
    struct wh_hello hello = raw_hello();
    hello.arena = ARENA;
    memset(hello.boot, 0, sizeof(hello.boot));
    (void)snprintf(hello.boot, sizeof(hello.boot), "%s", boot_id);
    return hello;
}

static struct wh_mailbox *claim(struct machine *machine)
{
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++) {
        uint32_t state = WH_MAILBOX_FREE;
        struct wh_mailbox *mailbox = &machine->region->mailboxes[i];
        if (atomic_compare_exchange_strong(&mailbox->state, &state, WH_MAILBOX_CLAIMED))
            return mailbox;
    }
    fail_msg("no mailbox is free");
    return NULL;
}

/* Asks for a session; returns the mailbox's new state. */
static uint32_t ask(struct machine *machine, struct wh_mailbox *mailbox,
                    const struct wh_hello *hello)
{
    mailbox->hello = *hello;
    atomic_store(&mailbox->state, WH_MAILBOX_ASKED);
    ring(machine, machine->region->server_peer);
    if (!raw_wait_while(&mailbox->state, WH_MAILBOX_ASKED, PATIENCE_MS))
        fail_msg("the daemon does not look at the mailbox");
    return atomic_load(&mailbox->state);
}

static void nothing_to_release(struct wh_shm *shm)
{
    (void)shm;
}

static void open_guest(struct guest *guest, struct machine *machine, const char *boot_id)
{
    struct wh_hello hello = hello_of(boot_id);
    guest->machine = machine;
    guest->mailbox = claim(machine);
    if (ask(machine, guest->mailbox, &hello) != WH_MAILBOX_OPEN)
        fail_msg("no session: %s", guest->mailbox->text);
    atomic_store(&guest->mailbox->owner, 1234);
    uint64_t offset = guest->mailbox->offset, size = guest->mailbox->size;
    assert_true(offset >= WH_REGION_START && offset + size <= REGION && size >= ARENA);
    struct wh_segment *segment = (struct wh_segment *)(void *)(machine->memory + offset);
    assert_true(raw_wait_while(&segment->state, WH_SEGMENT_STARTING, PATIENCE_MS));
    guest->shm = wh_shm_new(segment, size, true);
    assert_non_null(guest->shm);
    guest->shm->park = (struct wh_park){.kind = WH_PARK_NAP, .longest_us = 500};
    guest->shm->bell =
        (struct wh_bell){.kind = WH_BELL_EVENTFD, .fd = machine->bells[guest->mailbox->peer]};
    guest->shm->release = nothing_to_release;
    assert_int_equal(raw_platforms(guest->shm, NULL), 0);
}

static void close_guest(struct guest *guest)
{
    atomic_store(&guest->mailbox->state, WH_MAILBOX_CLOSING);
    ring(guest->machine, WH_PEER_SERVER);
    raw_close(guest->shm);
}

/* The worker that is not in `known`. */
static pid_t new_worker(const struct daemon *daemon, const pid_t *known, unsigned nknown)
{
    pid_t workers[16];
    unsigned n = daemon_workers(daemon, workers, 16);
    assert_int_equal(n, nknown + 1);
    for (unsigned i = 0; i < n; i++) {
        bool old = false;
        for (unsigned k = 0; k < nknown; k++)
            old = old || workers[i] == known[k];
        if (!old)
            return workers[i];
    }
    return 0;
}

/* ---- the tests ---- */

static void a_session_and_its_end(void **state)
{
    struct daemon server;
    struct machine machine;
    struct guest guest;
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");
    assert_int_equal(machine.size, REGION);
    for (int i = 0; i < 3; i++) {
        open_guest(&guest, &machine, "a");
        int worker = watch_process(daemon_only_worker(&server));
        close_guest(&guest);
        await_end_of(worker);
        assert_true(raw_wait_while(&guest.mailbox->state, WH_MAILBOX_CLOSING, PATIENCE_MS));
        assert_int_equal(atomic_load(&guest.mailbox->state), WH_MAILBOX_FREE);
    }
    power_off(&machine);
    daemon_stop(&server);
}

static void refusals(void **state)
{
    struct daemon server;
    struct machine machine;
    struct guest guests[3], late;
    struct wh_hello hello = hello_of("a");
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");

    struct wh_mailbox *mailbox = claim(&machine);
    (void)snprintf(hello.version, sizeof(hello.version), "9.8.7");
    assert_int_equal(ask(&machine, mailbox, &hello), WH_MAILBOX_REFUSED);
    assert_int_equal(mailbox->refused, EPROTONOSUPPORT);
    assert_non_null(strstr(mailbox->text, "9.8.7"));
    assert_non_null(strstr(mailbox->text, WH_VERSION));
    atomic_store(&mailbox->state, WH_MAILBOX_CLOSING);
    ring(&machine, WH_PEER_SERVER);

    hello = hello_of("a");
    hello.arena = REGION;
    mailbox = claim(&machine);
    assert_int_equal(ask(&machine, mailbox, &hello), WH_MAILBOX_REFUSED);
    assert_int_equal(mailbox->refused, ENOSPC);
    char why[64];
    (void)snprintf(why, sizeof(why), "has no room for a session of %u MiB",
                   (REGION + WH_ARENA_START) >> 20);
    assert_non_null(strstr(mailbox->text, why));
    atomic_store(&mailbox->state, WH_MAILBOX_CLOSING);
    ring(&machine, WH_PEER_SERVER);

    for (int i = 0; i < 3; i++)
        open_guest(&guests[i], &machine, "a");
    hello.arena = ARENA;
    mailbox = claim(&machine);
    assert_int_equal(ask(&machine, mailbox, &hello), WH_MAILBOX_REFUSED);
    assert_int_equal(mailbox->refused, ENOSPC);
    atomic_store(&mailbox->state, WH_MAILBOX_CLOSING);
    ring(&machine, WH_PEER_SERVER);

    /* Whoever comes right after one that leaves waits for its room. */
    close_guest(&guests[1]);
    open_guest(&late, &machine, "a");
    assert_int_equal(raw_platforms(guests[0].shm, NULL), 0);
    assert_int_equal(raw_platforms(guests[2].shm, NULL), 0);
    close_guest(&late);
    close_guest(&guests[0]);
    close_guest(&guests[2]);
    power_off(&machine);
    daemon_stop(&server);
}

/* A guest that starts anew has no sessions of before. */
static void reset(void **state)
{
    struct daemon server;
    struct machine machine;
    struct guest before[2], after;
    pid_t workers[2];
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");
    open_guest(&before[0], &machine, "first boot");
    open_guest(&before[1], &machine, "first boot");
    assert_int_equal(daemon_workers(&server, workers, 2), 2);
    int gone[2] = {watch_process(workers[0]), watch_process(workers[1])};
    open_guest(&after, &machine, "second boot");
    await_end_of(gone[0]);
    await_end_of(gone[1]);
    assert_int_equal(raw_platforms(after.shm, NULL), 0);
    raw_close(before[0].shm);
    raw_close(before[1].shm);
    close_guest(&after);
    power_off(&machine);
    daemon_stop(&server);
}

/* A reset VM finds all mailboxes taken by sessions of before: it closes them itself. */
static void reset_with_all_mailboxes_taken(void **state)
{
    struct daemon server;
    struct machine machine;
    struct wh_error error = {0};
    struct wh_hello hello = hello_of("first boot");
    (void)state;
    setenv("WORMHOLE_OPENCL_LIBRARY", "/nonexistent", 1); /* short lives, and nobody takes leave */
    serve_machines(&server);
    unsetenv("WORMHOLE_OPENCL_LIBRARY");
    boot(&machine, &server, "many");
    struct wh_bell bell = {.kind = WH_BELL_EVENTFD, .fd = machine.bells[WH_PEER_SERVER]};
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++) {
        struct wh_mailbox *mailbox = claim(&machine);
        assert_int_equal(ask(&machine, mailbox, &hello), WH_MAILBOX_OPEN);
        atomic_store(&mailbox->owner, 1234);
    }
    assert_null(wh_ivshmem_claim(machine.region, &hello, &bell, &error));
    assert_non_null(strstr(error.text, "all 64 sessions of this VM are in use"));
    hello = hello_of("second boot");
    struct wh_mailbox *mailbox = wh_ivshmem_claim(machine.region, &hello, &bell, &error);
    if (!mailbox)
        fail_msg("after a reset: %s", error.text);
    assert_int_equal(ask(&machine, mailbox, &hello), WH_MAILBOX_OPEN);
    power_off(&machine);
    daemon_stop(&server);
}

/* QEMU's hang-up is the VM's end. The next one finds nothing of it. */
static void machine_dies(void **state)
{
    struct daemon server;
    struct machine machine, next;
    struct guest guest;
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");
    open_guest(&guest, &machine, "a");
    memset(guest.shm->channel.arena, 0x5a, ARENA);
    int worker = watch_process(daemon_only_worker(&server));
    raw_close(guest.shm);
    shutdown(machine.socket, SHUT_RDWR);
    await_end_of(worker);
    boot(&next, &server, "one");
    for (uint64_t i = WH_REGION_START; i < REGION; i++)
        if (next.memory[i])
            fail_msg("a VM's memory shows an earlier one's");
    open_guest(&guest, &next, "b");
    close_guest(&guest);
    power_off(&machine);
    power_off(&next);
    daemon_stop(&server);
}

/* A worker that does not see it does not keep the dead VM's memory. */
static void machine_dies_over_a_stuck_worker(void **state)
{
    struct daemon server;
    struct machine machine;
    struct guest guest;
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");
    open_guest(&guest, &machine, "a");
    int worker = watch_process(daemon_only_worker(&server));
    assert_int_equal(kill(daemon_only_worker(&server), SIGSTOP), 0);
    raw_close(guest.shm);
    power_off(&machine);
    await_end_of(worker);
    daemon_stop(&server);
}

/* Nor after the daemon, which waits for it a little. */
static void server_is_stopped_over_a_stuck_worker(void **state)
{
    struct daemon server;
    struct machine machine;
    struct guest guest;
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");
    open_guest(&guest, &machine, "a");
    int worker = watch_process(daemon_only_worker(&server));
    assert_int_equal(kill(daemon_only_worker(&server), SIGSTOP), 0);
    assert_int_equal(kill(server.process.pid, SIGTERM), 0);
    await_end_of(worker);
    assert_int_equal(process_wait(&server.process), 0);
    raw_close(guest.shm);
    power_off(&machine);
    daemon_stop(&server);
}

/* The guest's kernel says that a client died. */
static void client_dies(void **state)
{
    struct daemon server;
    struct machine machine;
    struct guest guest, other;
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");
    open_guest(&other, &machine, "a");
    pid_t known = daemon_only_worker(&server);
    open_guest(&guest, &machine, "a");
    int worker = watch_process(new_worker(&server, &known, 1));
    atomic_fetch_or(&guest.mailbox->owner, FUTEX_OWNER_DIED);
    await_end_of(worker);
    assert_int_equal(raw_platforms(other.shm, NULL), 0);
    raw_close(guest.shm);
    close_guest(&other);
    power_off(&machine);
    daemon_stop(&server);
}

/* Clients that die between two steps of the handshake hold nothing for ever. */
static void unfinished_business(void **state)
{
    struct daemon server;
    struct machine machine;
    struct wh_hello hello = hello_of("a");
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");
    struct wh_mailbox *claimed = claim(&machine), *orphan = claim(&machine);
    assert_int_equal(ask(&machine, orphan, &hello), WH_MAILBOX_OPEN); /* and nobody registers */
    int worker = watch_process(daemon_only_worker(&server));
    if (!raw_wait_while(&claimed->state, WH_MAILBOX_CLAIMED, PATIENCE_MS))
        fail_msg("a claimed mailbox is lost for ever");
    await_end_of(worker);
    if (!raw_wait_while(&orphan->state, WH_MAILBOX_OPEN, PATIENCE_MS))
        fail_msg("a session that nobody owns lives for ever");
    power_off(&machine);
    daemon_stop(&server);
}

static void worker_dies(void **state)
{
    struct daemon server;
    struct machine machine;
    struct guest guest, other;
    char reason[300];
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");
    open_guest(&other, &machine, "a");
    pid_t known = daemon_only_worker(&server);
    open_guest(&guest, &machine, "a");
    assert_int_equal(kill(new_worker(&server, &known, 1), SIGKILL), 0);
    raw_await_end(guest.shm, reason, sizeof(reason));
    assert_non_null(strstr(reason, "the worker was killed by signal 9"));
    assert_int_equal(raw_platforms(other.shm, NULL), 0);
    close_guest(&guest);
    close_guest(&other);
    power_off(&machine);
    daemon_stop(&server);
}

static void end_server(int signal, const char *why)
{
    struct daemon server;
    struct machine machine;
    struct guest guest;
    char reason[300];
    serve_machines(&server);
    boot(&machine, &server, "one");
    open_guest(&guest, &machine, "a");
    int worker = watch_process(daemon_only_worker(&server));
    assert_int_equal(kill(server.process.pid, signal), 0);
    raw_await_end(guest.shm, reason, sizeof(reason));
    if (!strstr(reason, why))
        fail_msg("the guest is told '%s' instead of '%s'", reason, why);
    await_end_of(worker);
    raw_close(guest.shm);
    power_off(&machine);
    daemon_stop(&server);
}

static void server_is_stopped(void **state)
{
    (void)state;
    end_server(SIGTERM, "the server was stopped");
}

static void server_is_killed(void **state)
{
    (void)state;
    end_server(SIGKILL, "the server is gone");
}

/* Two VMs share a daemon and nothing else. */
static void machines_are_apart(void **state)
{
    struct daemon server;
    struct machine one, two;
    struct guest first, second;
    struct stat status[2];
    (void)state;
    serve_machines(&server);
    boot(&one, &server, "one");
    boot(&two, &server, "two");
    assert_int_equal(fstat(one.memory_fd, &status[0]), 0);
    assert_int_equal(fstat(two.memory_fd, &status[1]), 0);
    assert_true(status[0].st_ino != status[1].st_ino);
    open_guest(&first, &one, "a");
    open_guest(&second, &two, "b"); /* another boot id: no reset of the other machine */
    memset(first.shm->channel.arena, 0x5a, first.shm->channel.arena_size);
    for (uint64_t i = 0; i < second.shm->channel.arena_size; i++)
        if (second.shm->channel.arena[i])
            fail_msg("a VM's memory shows another's");
    assert_int_equal(raw_platforms(first.shm, NULL), 0);
    raw_close(first.shm);
    power_off(&one); /* and its end is not the other's */
    assert_int_equal(raw_platforms(second.shm, NULL), 0);
    close_guest(&second);
    power_off(&two);
    daemon_stop(&server);
}

/* A second QEMU on one socket would be in the first one's memory. */
static void second_machine_is_turned_away(void **state)
{
    struct daemon server;
    struct machine machine;
    struct guest guest;
    int64_t number;
    int fd;
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");
    open_guest(&guest, &machine, "a");
    WH_CLEANUP_CLOSE int second = connect_to(&server, "one");
    assert_false(receive(second, &number, &fd));
    process_expect(&server.process, 1, "a second QEMU", NULL, 0);
    assert_int_equal(raw_platforms(guest.shm, NULL), 0);
    close_guest(&guest);
    power_off(&machine);
    daemon_stop(&server);
}

/* The next descriptor that the daemon will get. */
static rlim_t next_file(const struct daemon *daemon)
{
    char path[64];
    struct stat status;
    for (rlim_t fd = 0;; fd++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", daemon->process.pid, (unsigned)fd);
        if (lstat(path, &status) < 0)
            return fd;
    }
}

/* The limit of a daemon's descriptors; returns the one before. */
static rlim_t limit_files(const struct daemon *daemon, rlim_t limit)
{
    struct rlimit files, before;
    pid_t pid = daemon->process.pid;
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &before), 0);
    files = (struct rlimit){limit, before.rlim_max};
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &files, NULL), 0);
    return before.rlim_cur;
}

static void expect_hang_up(struct daemon *server, const char *name)
{
    char line[300], byte;
    WH_CLEANUP_CLOSE int fd = connect_to(server, name);
    if (!wait_readable(fd, PATIENCE_MS))
        fail_msg("a connection to %s is left waiting", name);
    assert_int_equal(read(fd, &byte, 1), 0);
    process_expect(&server->process, 1, "has no file descriptors left", line, sizeof(line));
    assert_non_null(strstr(line, name));
}

/* A connection that cannot be taken for want of descriptors is not left waiting, for the daemon
 * would be told of it for ever. */
static void no_descriptors_left(void **state)
{
    struct daemon server;
    struct machine machine;
    (void)state;
    daemon_start(&server, "vm \"one\" {\n socket = \"%s/one\"\n region = \"64M\"\n}\n"
                          "vm \"two\" {\n socket = \"%s/two\"\n service = \"%s/service\"\n"
                          " agent = \"%s/agent\"\n}\n");
    process_expect(&server.process, 1, "serving the VM two", NULL, 0);
    rlim_t usual = limit_files(&server, next_file(&server));
    expect_hang_up(&server, "one");
    expect_hang_up(&server, "service");
    expect_hang_up(&server, "agent");
    expect_hang_up(&server, "one");
    (void)limit_files(&server, usual);
    boot(&machine, &server, "one");
    power_off(&machine);
    daemon_stop(&server);
}

/* Whatever the guest writes over the header and the mailboxes hurts itself alone. */
static void lies_in_the_header(void **state)
{
    struct daemon server;
    struct machine liar, honest;
    struct guest guest, victim;
    uint64_t seed = 99;
    (void)state;
    serve_machines(&server);
    boot(&honest, &server, "two");
    open_guest(&guest, &honest, "a");
    for (int round = 0; round < 20; round++) {
        boot(&liar, &server, "one");
        open_guest(&victim, &liar, "a");
        for (size_t i = 0; i < sizeof(struct wh_region); i++)
            liar.memory[i] =
                (uint8_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 60);
        ring(&liar, WH_PEER_SERVER);
        for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
            atomic_store(&liar.region->mailboxes[i].state, (uint32_t)(round + (int)i) % 7);
        ring(&liar, WH_PEER_SERVER);
        assert_int_equal(raw_platforms(guest.shm, NULL), 0);
        raw_close(victim.shm);
        power_off(&liar);
    }
    /* All that the liar's sessions were is gone. */
    boot(&liar, &server, "one");
    open_guest(&victim, &liar, "a");
    close_guest(&victim);
    power_off(&liar);
    close_guest(&guest);
    power_off(&honest);
    daemon_stop(&server);
}

/* A session is where the server put it, whatever the mailbox says later. */
static void moved_segments(void **state)
{
    struct daemon server;
    struct machine machine;
    struct guest one, two;
    (void)state;
    serve_machines(&server);
    boot(&machine, &server, "one");
    open_guest(&one, &machine, "a");
    open_guest(&two, &machine, "a");
    one.mailbox->offset = two.mailbox->offset;
    one.mailbox->size = REGION;
    memset(two.shm->channel.arena, 0x5a, ARENA);
    close_guest(&one);
    assert_true(raw_wait_while(&one.mailbox->state, WH_MAILBOX_CLOSING, PATIENCE_MS));
    for (uint64_t i = 0; i < ARENA; i++)
        assert_int_equal(two.shm->channel.arena[i], 0x5a);
    assert_int_equal(raw_platforms(two.shm, NULL), 0);
    close_guest(&two);
    power_off(&machine);
    daemon_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_and_its_end),
        cmocka_unit_test(refusals),
        cmocka_unit_test(reset),
        cmocka_unit_test(reset_with_all_mailboxes_taken),
        cmocka_unit_test(machine_dies),
        cmocka_unit_test(machine_dies_over_a_stuck_worker),
        cmocka_unit_test(client_dies),
        cmocka_unit_test(unfinished_business),
        cmocka_unit_test(worker_dies),
        cmocka_unit_test(server_is_stopped),
        cmocka_unit_test(server_is_stopped_over_a_stuck_worker),
        cmocka_unit_test(server_is_killed),
        cmocka_unit_test(machines_are_apart),
        cmocka_unit_test(second_machine_is_turned_away),
        cmocka_unit_test(no_descriptors_left),
        cmocka_unit_test(lies_in_the_header),
        cmocka_unit_test(moved_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
