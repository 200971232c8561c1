/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region that a server before this one served, in a service VM whose host may still show segments
 * of it in views: whom they go to, and when. Workers are not started here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel/channel.h"
#include "daemon/region.h"
#include "daemon/session.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define AT(n)    (WH_REGION_START + (n) * (uint64_t)WH_SEGMENT_LEAST)
#define SEGMENTS 5u

static const struct wh_config config = {.stall_ms = 10000};
static struct wh_server server;
static struct wh_tenant tenant = {.name = "guest"};
static struct wh_served served[WH_REGION_MAILBOXES];
static unsigned nserved;
static struct wh_session_request wanted; /* the last session's */
static struct wh_region *region;
static struct wh_region_setup setup;

struct wh_tenant *wh_tenant_of_vm(struct wh_server *of, const char *name,
                                  const struct wh_limits *limits)
{
    (void)of;
    (void)name;
    (void)limits;
    return &tenant;
}

int wh_tenant_admit(const struct wh_server *of, const struct wh_tenant *who, struct wh_error *error)
{
    (void)of;
    (void)who;
    (void)error;
    return 0;
}

int wh_tenant_segment_size(const struct wh_server *of, const struct wh_tenant *who, uint64_t wanted,
                           uint64_t standard, uint64_t *size, struct wh_error *error)
{
    (void)of;
    (void)who;
    (void)wanted;
    (void)standard;
    (void)error;
    *size = WH_SEGMENT_LEAST;
    return 0;
}

int wh_gate_device(struct wh_gate_vm *vm)
{
    (void)vm;
    return -1;
}

void wh_session_clean_hello(struct wh_hello *hello)
{
    (void)hello;
}

struct wh_served *wh_session_start(struct wh_server *of, const struct wh_session_request *request,
                                   struct wh_error *error)
{
    (void)of;
    (void)error;
    wanted = *request;
    served[nserved] = (struct wh_served){.ended = request->ended, .owner = request->owner};
    return &served[nserved++];
}

void wh_session_kill(struct wh_served *session)
{
    (void)session;
}

static int open_region(void **state)
{
    struct wh_error error;
    (void)state;
    setup = (struct wh_region_setup){.name = "guest", .size = AT(SEGMENTS), .hold = true};
    setup.fd = memfd_create("region", MFD_CLOEXEC);
    assert_int_equal(ftruncate(setup.fd, (off_t)setup.size), 0);
    setup.memory = mmap(NULL, setup.size, PROT_READ | PROT_WRITE, MAP_SHARED, setup.fd, 0);
    region = (struct wh_region *)(void *)setup.memory;
    server = (struct wh_server){.config = &config};
    nserved = 0;
    assert_int_equal(wh_loop_init(&server.loop, &error), 0);
    return 0;
}

static void serve(void)
{
    struct wh_error error;
    server.region = wh_region_serve(&server, &setup, &error);
    assert_non_null(server.region);
}

/* The server stops, and its workers end. */
static void stop(void)
{
    wh_region_end(server.region, "the test");
    for (; nserved > 0; nserved--)
        served[nserved - 1].ended(served[nserved - 1].owner);
}

static int close_region(void **state)
{
    (void)state;
    stop();
    wh_loop_free(&server.loop);
    munmap(setup.memory, setup.size);
    close(setup.fd);
    return 0;
}

/* As a server before this one left it. */
static void leave(unsigned mailbox, uint32_t state, uint64_t offset, uint32_t view)
{
    region->mailboxes[mailbox].offset = offset;
    region->mailboxes[mailbox].size = WH_SEGMENT_LEAST;
    atomic_store(&region->mailboxes[mailbox].state, state);
    if (offset < setup.size)
        ((struct wh_segment *)(void *)(setup.memory + offset))->gate.index = view;
}

static struct wh_mailbox *asked;

static void look(struct wh_timer *timer)
{
    if (atomic_load(&asked->state) != WH_MAILBOX_ASKED)
        wh_loop_stop(&server.loop);
    else
        wh_loop_set_timer(&server.loop, timer, 1, look);
}

/* A client's session: where its segment is, 0: it is refused. */
static uint64_t open_session(void)
{
    const struct wh_bell bell = {.kind = WH_BELL_NONE};
    struct wh_timer timer = {0};
    struct wh_hello hello;
    struct wh_error error = {0};
    wh_hello_init(&hello, "test", 1, 0);
    asked = wh_ivshmem_claim(region, &hello, &bell, &error);
    assert_non_null(asked);
    asked->hello = hello;
    atomic_store(&asked->state, WH_MAILBOX_ASKED);
    wh_loop_set_timer(&server.loop, &timer, 1, look);
    server.loop.stopped = false;
    wh_loop_run(&server.loop);
    uint64_t offset = atomic_load(&asked->state) == WH_MAILBOX_OPEN ? asked->offset : 0;
    atomic_store(&asked->owner, 1);
    return offset;
}

static void held(void **state)
{
    (void)state;
    leave(0, WH_MAILBOX_OPEN, AT(0), 5);
    leave(1, WH_MAILBOX_OPEN, AT(1), 0);
    leave(2, WH_MAILBOX_CLOSING, AT(2), 3);
    leave(3, WH_MAILBOX_FREE, AT(3), 4); /* given back: what stands there means nothing */
    leave(4, WH_MAILBOX_OPEN, AT(SEGMENTS), 1);
    leave(5, WH_MAILBOX_OPEN, -4096ull, 1);
    serve();
    assert_int_equal(open_session(), AT(1));
    stop();
    serve(); /* a third server finds them, too */
    assert_int_equal(open_session(), AT(1));
    assert_int_equal(open_session(), AT(3));
    assert_int_equal(open_session(), AT(4));
    assert_int_equal(open_session(), 0);
    const struct wh_segment *segment = (struct wh_segment *)(void *)(setup.memory + AT(2));
    assert_int_equal(segment->gate.index, 3); /* nor does anybody write there */
    wh_region_release(server.region);
    assert_int_equal(segment->gate.index, 0);
    assert_int_equal(open_session(), AT(0));
    assert_int_equal(open_session(), AT(2));
    assert_int_equal(open_session(), 0);
}

static void not_held(void **state)
{
    (void)state;
    leave(0, WH_MAILBOX_OPEN, AT(0), 5);
    setup.hold = false;
    serve();
    assert_int_equal(open_session(), AT(0));
    wh_region_release(server.region);
    assert_int_equal(open_session(), AT(1));
}

/* What a guest writes there is its own harm. */
static void lies(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WH_REGION_MAILBOXES; i++)
        leave(i, 77 + i, AT(0) + 4096 * i, i);
    serve();
    struct wh_error error = {0};
    const struct wh_bell bell = {.kind = WH_BELL_NONE};
    assert_ptr_equal(wh_ivshmem_claim(region, &(struct wh_hello){0}, &bell, &error),
                     &region->mailboxes[0]);
    atomic_store(&region->mailboxes[0].state, WH_MAILBOX_FREE);
    wh_region_release(server.region);
    assert_int_equal(open_session(), AT(0));
}

static bool has_rung(int bell)
{
    uint64_t rings;
    return read(bell, &rings, sizeof(rings)) == sizeof(rings);
}

/* Rings that are passed on: clients are told to ring, workers have something to wait for, and a
 * ring that is lost costs time only. */
static void relayed(void **state)
{
    (void)state;
    setup.hold = false;
    serve();
    assert_int_equal(region->server_peer, UINT32_MAX);
    assert_int_equal(open_session(), AT(0));
    assert_int_equal(asked->peer, UINT32_MAX);
    assert_int_equal(wanted.bell, -1);
    assert_false(wanted.relayed);
    wh_region_ring(server.region, WH_PEER_SESSION); /* it has none */
    wh_region_relay(server.region, true);
    assert_int_equal(region->server_peer, WH_PEER_SERVER);
    assert_int_equal(open_session(), AT(1)); /* though nobody rings */
    assert_int_equal(asked->peer, WH_PEER_SESSION + 1);
    assert_true(wanted.bell >= 0 && wanted.relayed);
    const uint32_t none[] = {WH_PEER_SERVER, WH_PEER_SESSION,     WH_PEER_SESSION + 2,
                             WH_PEER_VM,     WH_REGION_BELLS + 1, UINT32_MAX};
    for (unsigned i = 0; i < sizeof(none) / sizeof(*none); i++)
        wh_region_ring(server.region, none[i]);
    assert_false(has_rung(wanted.bell));
    wh_region_ring(server.region, WH_PEER_SESSION + 1);
    assert_true(has_rung(wanted.bell));
    wh_region_relay(server.region, false);
    assert_int_equal(region->server_peer, UINT32_MAX);
    wh_region_ring(server.region, WH_PEER_SESSION + 1);
    assert_true(has_rung(wanted.bell)); /* who has a bell keeps it */
    /* A worker cannot make the daemon wait for it. */
    const uint64_t most = UINT64_MAX - 1;
    while (write(wanted.bell, &most, sizeof(most)) == sizeof(most))
        ;
    assert_int_equal(fcntl(wanted.bell, F_SETFL, 0), 0);
    wh_region_ring(server.region, WH_PEER_SESSION + 1);
    assert_int_equal(open_session(), AT(2));
    assert_int_equal(asked->peer, UINT32_MAX);
    assert_int_equal(wanted.bell, -1);
    /* The next server knows from its start. */
    stop();
    setup.relays = true;
    serve();
    assert_int_equal(region->server_peer, WH_PEER_SERVER);
    atomic_store(&asked->state, WH_MAILBOX_FREE);
    assert_int_equal(open_session(), AT(0));
    assert_int_equal(asked->peer, WH_PEER_SESSION);
}

/* It is looked at at once, without the loop. */
static void rung(void **state)
{
    const struct wh_bell bell = {.kind = WH_BELL_NONE};
    struct wh_error error = {0};
    struct wh_hello hello;
    (void)state;
    setup.relays = true;
    serve();
    wh_hello_init(&hello, "test", 1, 0);
    asked = wh_ivshmem_claim(region, &hello, &bell, &error);
    asked->hello = hello;
    atomic_store(&asked->state, WH_MAILBOX_ASKED);
    wh_region_ring(server.region, WH_PEER_SESSION);
    assert_int_equal(atomic_load(&asked->state), WH_MAILBOX_ASKED);
    wh_region_ring(server.region, WH_PEER_SERVER);
    assert_int_equal(atomic_load(&asked->state), WH_MAILBOX_OPEN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_region, close_region)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(held), TEST(not_held), TEST(lies), TEST(relayed),
                                       TEST(rung)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
