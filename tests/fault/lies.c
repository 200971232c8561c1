/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that lie: rings whose counters are impossible, records and messages that are malformed,
 * ids that are somebody else's, places outside of the arena. Each ends its own session, with one
 * line in the daemon's log that says why and the same words for the client, and no other session
 * notices. Run by meson.
 */
#include "support.h"

#include "base/util.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static struct daemon server;
static struct wh_shm *neighbour; /* an honest session beside every lie */

static int start(void **state)
{
    (void)state;
    daemon_start(&server, NULL);
    neighbour = raw_connect(server.url);
    return raw_platforms(neighbour, NULL);
}

static int stop(void **state)
{
    (void)state;
    raw_close(neighbour);
    daemon_stop(&server);
    return 0;
}

static void wake_worker(struct wh_shm *shm)
{
    struct wh_bell bell = {.kind = WH_BELL_FUTEX};
    atomic_fetch_add(&shm->segment->calls.door, 1);
    wh_bell_ring(&bell, &shm->segment->calls.door, INT_MAX);
}

/* The session ends with `why`, for the client and in the log; the neighbour's does not. */
static void expect_end(struct wh_shm *shm, const char *why)
{
    char reason[300], line[512];
    raw_await_end(shm, reason, sizeof(reason));
    if (!strstr(reason, why))
        fail_msg("the client is told '%s' instead of '%s'", reason, why);
    process_expect(&server.process, 1, "ends: protocol violation", line, sizeof(line));
    if (!strstr(line, why))
        fail_msg("the log says '%s' instead of '%s'", line, why);
    raw_close(shm);
    assert_int_equal(raw_platforms(neighbour, NULL), 0);
}

/* A session that has already done something honest. */
static struct wh_shm *honest_start(void)
{
    struct wh_shm *shm = raw_connect(server.url);
    assert_int_equal(raw_platforms(shm, NULL), 0);
    return shm;
}

/* ---- the ring ---- */

/* What a lying client writes where its next record would be. */
struct ring_lie {
    const char *what, *why;
    uint32_t produced; /* how far the tail moves */
    uint64_t word;     /* the record's first word */
};

static void lies_of_the_ring(void **state)
{
    static const struct ring_lie lies[] = {
        {"a tail behind the head", "the ring's tail is impossible", (uint32_t)-8, 0},
        {"a tail too far ahead", "the ring's tail is impossible", WH_RING_SIZE + 8, 0},
        {"a tail in mid-word", "the ring's tail is impossible", 4, 0},
        {"an empty record", "a record's size is not", 64, 0},
        {"a record of odd size", "a record's size is not", 64, 33},
        {"more than was produced", "a record is longer than what was produced", 64, 128},
        {"a huge record", "a record is longer than what was produced", 64, 0xfffffff8},
        {"a record larger than any message", "", WH_RING_SIZE / 2, WH_RING_SIZE / 2},
        {"a record without a header", "a message's header is malformed", 8, 8},
        {"a header cut short", "a message's header is malformed", 24, 24},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct wh_shm *shm = honest_start();
        struct wh_ring_control *calls = &shm->segment->calls;
        uint32_t tail = atomic_load(&calls->tail);
        print_message("    %s\n", lies[i].what);
        memcpy(shm->segment->call_data + tail % WH_RING_SIZE, &lies[i].word, sizeof(lies[i].word));
        atomic_store(&calls->tail, tail + lies[i].produced);
        wake_worker(shm);
        expect_end(shm, lies[i].why);
    }
}

/* A filler may only fill up the ring's end: one that the tail contradicts is a lie, one in the
 * middle is skipped. */
static void fillers(void **state)
{
    struct wh_shm *shm = honest_start();
    uint32_t tail = atomic_load(&shm->segment->calls.tail);
    uint64_t word = 4096 | (uint64_t)WH_CALL_FILLER << 32;
    (void)state;
    memcpy(shm->segment->call_data + tail % WH_RING_SIZE, &word, sizeof(word));
    atomic_store(&shm->segment->calls.tail, tail + 64);
    wake_worker(shm);
    expect_end(shm, "a record is longer than what was produced");
}

/* The client's own counters of the other ring: a worker that has something to say must not be led
 * astray or hang. */
static void lies_about_upcalls(void **state)
{
    struct wh_shm *shm = honest_start();
    (void)state;
    atomic_store(&shm->segment->upcalls.head, 0x7fffffff);
    assert_int_equal(raw_platforms(shm, NULL), 0);
    raw_close(shm);
    assert_int_equal(raw_platforms(neighbour, NULL), 0);
}

/* Everything in the control area at once, while the worker works. */
static void noise_everywhere(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (int round = 0; round < 8; round++) {
        struct wh_shm *shm = honest_start();
        uint8_t *control = (uint8_t *)shm->segment;
        for (size_t i = 0; i < sizeof(*shm->segment); i++)
            control[i] =
                (uint8_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
        wake_worker(shm);
        expect_end(shm, "the ring's tail is impossible");
    }
}

/* ---- messages ---- */

/* Sends a letter as it is; the session must end with `why`. */
static void expect_fault(struct letter *letter, const char *why)
{
    struct wh_shm *shm = honest_start();
    print_message("    %s\n", why);
    raw_send(shm, letter);
    expect_end(shm, why);
}

/* A correct clGetPlatformIDs, to be spoilt. */
static void begin_query(struct letter *letter)
{
    letter_begin(letter, WH_OPENCL_clGetPlatformIDs, 5);
    letter_add(letter, 1);
    letter_add(letter, 1);
    letter_add(letter, WH_PAYLOAD_NULL);
}

static void lies_in_headers(void **state)
{
    struct letter letter;
    (void)state;
    begin_query(&letter);
    letter.header.reserved = 1;
    expect_fault(&letter, "a message's header is malformed");
    begin_query(&letter);
    letter.header.reserved2 = 1;
    expect_fault(&letter, "a message's header is malformed");
    begin_query(&letter);
    letter.header.call = 0xfff0;
    expect_fault(&letter, "a message's call number is unknown");
    begin_query(&letter);
    letter.header.slot = WH_SLOTS;
    expect_fault(&letter, "a message's reply slot does not exist");
    begin_query(&letter);
    letter.header.reply_room = WH_SLOT_ROOM + 8;
    expect_fault(&letter, "a message wants more reply than its slot holds");
    begin_query(&letter);
    letter.header.reply_room = 8;
    expect_fault(&letter, "a message leaves too little room for its reply");
    begin_query(&letter);
    letter.header.reply_at = 1ull << 40;
    expect_fault(&letter, "a payload lies outside of the arena");
    begin_query(&letter);
    letter.header.reply_at = WH_IN_SLOT - 7;
    expect_fault(&letter, "a payload lies outside of the arena");
}

static void lies_in_payloads(void **state)
{
    struct letter letter;
    (void)state;
    letter_begin(&letter, WH_OPENCL_clGetPlatformIDs, 5);
    letter_add(&letter, 1);
    expect_fault(&letter, "the message ends inside a word");

    begin_query(&letter);
    letter_add(&letter, 0);
    expect_fault(&letter, "the message is longer than its call");

    letter_begin(&letter, WH_OPENCL_clGetPlatformIDs, 5);
    letter_add(&letter, 1);
    letter_add(&letter, 100); /* but num_entries says 1 */
    letter_add(&letter, WH_PAYLOAD_NULL);
    expect_fault(&letter, "a payload's length breaks its rule");

    letter_begin(&letter, WH_OPENCL_clGetPlatformIDs, 5);
    letter_add(&letter, 1u << 25);
    letter_add(&letter, 1u << 25);
    letter_add(&letter, WH_PAYLOAD_NULL);
    expect_fault(&letter, "an array is absurdly long");

    letter_begin(&letter, WH_OPENCL_clGetPlatformIDs, 5);
    letter_add(&letter, 1);
    letter_add(&letter, WH_PAYLOAD_NULL | 1);
    letter_add(&letter, WH_PAYLOAD_NULL);
    expect_fault(&letter, "a payload's word is malformed");

    letter_begin(&letter, WH_OPENCL_clGetPlatformIDs, 5);
    letter_add(&letter, 1);
    letter_add(&letter, WH_PAYLOAD_ARENA | 1);
    letter_add(&letter, WH_PAYLOAD_NULL);
    expect_fault(&letter, "a payload of this kind may not lie in the arena");
}

/* Ids are small numbers, easy to guess; they mean nothing in another session. */
static void ids_of_other_sessions(void **state)
{
    struct wh_shm *owner = honest_start();
    uint64_t platform = 0, words[8];
    unsigned n = 8;
    struct letter letter;
    (void)state;

    assert_int_equal(raw_platforms(owner, &platform), 0);
    letter_begin(&letter, WH_OPENCL_clGetDeviceIDs, 0);
    letter_add(&letter, platform);
    letter_add(&letter, UINT32_MAX); /* CL_DEVICE_TYPE_ALL */
    letter_add(&letter, 1);
    letter_add(&letter, 1);
    letter_add(&letter, WH_PAYLOAD_NULL);
    assert_true(raw_call(owner, &letter, words, &n));
    assert_int_equal((int32_t)words[0], 0);
    uint64_t device = words[2];

    /* Another session, with the same number in mind, has nothing of the kind. */
    letter_begin(&letter, WH_OPENCL_clGetDeviceInfo, 5);
    letter_add(&letter, device);
    letter_add(&letter, 0x102b); /* CL_DEVICE_NAME */
    letter_add(&letter, 0);
    letter_add(&letter, WH_PAYLOAD_NULL);
    letter_add(&letter, WH_PAYLOAD_NULL);
    expect_fault(&letter, "an object id is unknown or of another type");

    /* An id of the right number and the wrong type. */
    letter_begin(&letter, WH_OPENCL_clRetainContext, WH_NO_SLOT);
    letter_add(&letter, platform);
    expect_fault(&letter, "an object id is unknown or of another type");

    /* Numbers that no table has. */
    const uint64_t strange[] = {1, 0x7fffffff, UINT32_MAX, 1ull << 32, UINT64_MAX};
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        letter_begin(&letter, WH_OPENCL_clRetainContext, WH_NO_SLOT);
        letter_add(&letter, strange[i]);
        expect_fault(&letter, "an object id is unknown or of another type");
    }
    assert_int_equal(raw_platforms(owner, NULL), 0);
    raw_close(owner);
}

/* The memories of two sessions are two. */
static void memories_are_apart(void **state)
{
    struct wh_shm *one = honest_start(), *two = honest_start();
    (void)state;
    memset(one->channel.arena, 0x5a, 1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        if (two->channel.arena[i])
            fail_msg("a session's memory shows another's");
    raw_close(one);
    raw_close(two);
    /* Nor does the memory of one that ended come back. */
    struct wh_shm *three = honest_start();
    for (size_t i = 0; i < 1 << 20; i++)
        if (three->channel.arena[i])
            fail_msg("a session's memory shows an earlier one's");
    raw_close(three);
}

/* Text that a kernel's compiler or a peer made up does not break the log's lines. */
static void reasons_are_clean(void **state)
{
    struct wh_shm *shm = honest_start();
    (void)state;
    memset(shm->segment->reason, 'A', sizeof(shm->segment->reason)); /* no end */
    atomic_store(&shm->segment->calls.tail, 3);
    wake_worker(shm);
    expect_end(shm, "the ring's tail is impossible");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lies_of_the_ring),      cmocka_unit_test(fillers),
        cmocka_unit_test(lies_about_upcalls),    cmocka_unit_test(noise_everywhere),
        cmocka_unit_test(lies_in_headers),       cmocka_unit_test(lies_in_payloads),
        cmocka_unit_test(ids_of_other_sessions), cmocka_unit_test(memories_are_apart),
        cmocka_unit_test(reasons_are_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
