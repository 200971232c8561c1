/* SPDX-License-Identifier: Apache-2.0 */
/* Calls from end to end: errors that surface late, a worker that lies in its replies, and the end
 * of a session. See calls_support.h. */
#include "calls_support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors of posts ---- */

static void test_deferred_errors(void **state)
{
    sm_buffer a = buffer();
    sm_event event = NULL;
    (void)state;
    assert_int_equal(smFail(-71), 0);
    assert_int_equal(smFail(-72), 0); /* the first one is told */
    assert_int_equal(smUse(a, NULL, 0, NULL, NULL),
                     0);                     /* not by a call that tells of nothing earlier */
    assert_int_equal(smStart(a, &event), 0); /* nor by one that made something */
    assert_non_null(event);
    assert_int_equal(smSync(), -71);
    assert_int_equal(smSync(), 0);
    assert_int_equal(smFail(-73), 0);
    lib.fail = -5;
    assert_int_equal(smSync(), -5); /* its own error first */
    assert_int_equal(smSync(), -73);
    assert_int_equal(smReleaseEvent(event), 0);
    assert_int_equal(smRelease(a), 0);
}

/* ---- a worker that lies ---- */

/* What the lying worker replies: words, and how many bytes it claims they are. */
struct lie {
    uint64_t words[6];
    uint32_t size;
};

static const struct lie *told;

static void *reply_with_lies(void *argument)
{
    struct life *life = argument;
    struct wh_channel *channel = life->worker.channel;
    struct wh_message *message = malloc(WH_MESSAGE_MAX);
    const char *fault = NULL;
    bool leads = false;
    while (message && channel->ops->receive(channel, &leads, message, &fault) > 0) {
        uint8_t *room = message->reply_at == WH_IN_SLOT
                            ? channel->ops->reply_room(channel, message->slot)
                            : channel->arena + message->reply_at;
        if (message->slot == WH_NO_SLOT)
            continue;
        memcpy(room, told->words, sizeof(told->words));
        channel->ops->reply(channel, message->slot, told->size);
    }
    free(message);
    return NULL;
}

static void begin_lies(const struct lie *lie)
{
    struct life *life = new_life();
    told = lie;
    start_worker(life, reply_with_lies, life);
}

static bool is_lost(void)
{
    return wh_session_lost(lives->session);
}

/* Replies that end too early end the session. */
static void test_short_replies(void **state)
{
    static const struct lie lies[] = {
        {{0}, 0},
        {{0}, 7},
        {{0, 8}, 8},
        {{0, 8}, 16},
        {{0, 1ull << 40}, 48},
        {{0, WH_PAYLOAD_LENGTH}, 48},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t bytes[16];
        uint32_t written;
        memset(bytes, 0xcd, sizeof(bytes));
        begin_lies(&lies[i]);
        assert_int_equal(smOut(8, bytes, &written), wh_sample_api.lost);
        assert_true(is_lost());
        assert_int_equal(bytes[8], 0xcd);
        assert_int_equal(smSync(), wh_sample_api.lost);
    }
    static const struct lie many = {{0, 1ull << 40, 1},
                                    24}; /* objects: counted no further than the reply goes */
    sm_device found = NULL;
    begin_lies(&many);
    assert_int_equal(smDevices(1, &found, NULL), wh_sample_api.lost);
    assert_true(is_lost());
}

/* More than was asked for: taken no further than there is room, whatever is claimed. */
static void test_long_replies(void **state)
{
    static const struct lie lies[] = {
        {{0, 24, ~0ull, ~0ull, ~0ull, WH_PAYLOAD_NULL}, 48},
        {{0, 16, ~0ull, ~0ull, 4, 4}, 48},
        {{0, 8, 1, 4, 1}, UINT32_MAX},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t bytes[32];
        memset(bytes, 0xcd, sizeof(bytes));
        begin_lies(&lies[i]);
        smOut(8, bytes, NULL);
        for (unsigned k = 8; k < sizeof(bytes); k++)
            assert_int_equal(bytes[k], 0xcd);
    }
}

/* Ids that mean nothing, or something else, become no objects. */
static void test_forged_ids(void **state)
{
    static const struct lie lies[] = {
        {{0, 2, 1, 2, 4, 2}, 48},
        {{0, 2, UINT64_MAX, WH_ID_WORKER_FIRST + 4096, 4, 2}, 48},
        {{0, 2, 1ull << 32, 8388609, 4, 2}, 48},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        sm_device devices[2] = {0};
        begin_lies(&lies[i]);
        smDevices(2, devices, NULL);
        assert_null(devices[0]);
        assert_null(devices[1]);
    }
    static const struct lie twice = {{0, 2, WH_ID_WORKER_FIRST, WH_ID_WORKER_FIRST, 4, 2}, 48};
    sm_device devices[3] = {0};
    begin_lies(&twice);
    assert_int_equal(smDevices(2, devices, NULL), 0);
    assert_non_null(devices[0]);
    assert_ptr_equal(devices[0], devices[1]);
}

/* One id for objects of two types: the second is refused. */
static void test_forged_types(void **state)
{
    static const struct lie devices_first = {{0, 1, WH_ID_WORKER_FIRST}, 24};
    sm_device found = NULL;
    (void)state;
    begin_lies(&devices_first);
    assert_int_equal(smDevices(1, &found, NULL), 0);
    assert_non_null(found);
    assert_null(
        wh_object_by_id(lives->session->objects, WH_SAMPLE_TYPE_sm_buffer, WH_ID_WORKER_FIRST));
    assert_ptr_equal(
        wh_object_by_id(lives->session->objects, WH_SAMPLE_TYPE_sm_device, WH_ID_WORKER_FIRST),
        found);
}

/* "Yes, I made it" for a status of failure, and the other way round. */
static void test_forged_news(void **state)
{
    static const struct lie made_though_failed = {{(uint64_t)-5, 1, 1}, 24};
    static const struct lie more_than_asked = {{0, 4, 1, 1, 1, 1}, 48};
    sm_buffer many[4];
    sm_event event = NULL;
    (void)state;
    begin_lies(&made_though_failed);
    assert_int_equal(smStart(NULL, &event), -5);
    assert_true(!event || object_of(event));
    begin_lies(&more_than_asked);
    memset(many, 0xcd, sizeof(many));
    assert_int_equal(smMany(NULL, 2, many), 0);
    assert_non_null(object_of(many[0]));
    assert_non_null(object_of(many[1]));
    assert_int_equal(((uint8_t *)many)[2 * sizeof(many[0])], 0xcd);
}

/* An information of any size it likes to claim. */
static void test_forged_info(void **state)
{
    static const struct lie lies[] = {
        {{0, 8, UINT64_MAX}, 24},
        {{0, 8, 1ull << 40}, 24},
        {{0, 8, UINT64_MAX - 64}, 24},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        static const struct lie made = {{1, 4, 0}, 24};
        uint64_t value[2] = {7, 7};
        begin_lies(&made);
        sm_buffer a = smCreate(NULL, 1, NULL);
        assert_non_null(a);
        told = &lies[i];
        smGetInfo(a, SM_SIZE, 8, value, NULL);
        assert_int_equal(value[1], 7);
    }
}

/* ---- the end ---- */

static void test_lost_session(void **state)
{
    struct life *life = new_life();
    sm_status status = 0;
    sm_buffer many[3] = {0};
    sm_event event = NULL;
    uint8_t *bytes = calloc(1, 100000);
    (void)state;
    assert_non_null(bytes);
    life->session->channel->ops->lose(life->session->channel, "for the test");
    assert_int_equal(smSync(), wh_sample_api.lost);
    assert_null(smCreate(NULL, 1, &status));
    assert_int_equal(status, wh_sample_api.lost);
    assert_int_equal(smFail(-1), wh_sample_api.lost);
    smNotify(1);
    assert_true(smTicks(7) == 0);
    assert_int_equal(smBytes(100000, bytes), wh_sample_api.lost);
    assert_int_equal(smOut(100000, bytes, NULL), wh_sample_api.lost);
    assert_int_equal(smStart(NULL, &event), wh_sample_api.lost);
    assert_null(event);
    assert_int_equal(smMany(NULL, 3, many), wh_sample_api.lost);
    expect_arena_empty();
    free(bytes);
}

static void *create_in_vain(void *argument)
{
    sm_buffer many[3] = {0};
    sm_status status = smMany(NULL, 3, many);
    (void)argument;
    return (void *)(uintptr_t)(status != wh_sample_api.lost || many[0] || many[1] || many[2]);
}

/* Lost while waiting: new objects that nobody confirmed are gone. */
static void test_lost_while_waiting(void **state)
{
    struct life *life = new_life();
    struct wh_channel *channel = life->worker.channel;
    struct wh_message *message = malloc(WH_MESSAGE_MAX);
    const char *fault = NULL;
    pthread_t thread;
    bool leads = false;
    void *wrong;
    (void)state;
    assert_non_null(message);
    assert_int_equal(pthread_create(&thread, NULL, create_in_vain, NULL), 0);
    assert_true(channel->ops->receive(channel, &leads, message, &fault) > 0);
    life->session->channel->ops->lose(life->session->channel, "for the test");
    pthread_join(thread, &wrong);
    assert_null(wrong);
    for (uint32_t id = 1; id < 512; id++)
        assert_null(wh_object_by_id(life->session->objects, WH_SAMPLE_TYPE_sm_buffer, id));
    free(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deferred_errors),    cmocka_unit_test(test_short_replies),
        cmocka_unit_test(test_long_replies),       cmocka_unit_test(test_forged_ids),
        cmocka_unit_test(test_forged_types),       cmocka_unit_test(test_forged_news),
        cmocka_unit_test(test_forged_info),        cmocka_unit_test(test_lost_session),
        cmocka_unit_test(test_lost_while_waiting),
    };
    return cmocka_run_group_tests(tests, open_library, NULL);
}
