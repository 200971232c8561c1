/* SPDX-License-Identifier: Apache-2.0 */
/* Every offset and number that docs/wire-format.md states. A change here is a change of the
 * protocol. */
#include "support.h"

#include "channel/ivshmem.h"

#include <string.h>

#define AT(type, member, offset, size)                              \
    do {                                                            \
        assert_int_equal(offsetof(struct type, member), offset);    \
        assert_int_equal(sizeof(((struct type *)0)->member), size); \
    } while (0)

static void test_segment(void **state)
{
    (void)state;
    AT(wh_segment, state, 0, 4);
    AT(wh_segment, reserved, 4, 4);
    AT(wh_segment, reason, 8, 248);
    AT(wh_segment, callbacks, 256, 4);
    AT(wh_segment, callbacks_awaited, 260, 4);
    AT(wh_segment, gate, 320, 176);
    AT(wh_gate_offer, calls, 40, 128);
    AT(wh_gate_offer, busy, 168, 4);
    AT(wh_segment, calls, 4096, 256);
    AT(wh_segment, upcalls, 4352, 256);
    AT(wh_segment, tokens, 8192, 4096);
    AT(wh_segment, slots, 12288, 524288);
    AT(wh_segment, upcall_data, 536576, 65536);
    AT(wh_segment, call_data, 602112, 4194304);
    assert_int_equal(WH_ARENA_START, 8388608);
    assert_int_equal(WH_SEGMENT_LEAST, 12582912);
    assert_int_equal(WH_SLOTS, 256);
    assert_int_equal(WH_SLOT_ROOM, 2024);
    assert_int_equal(WH_TOKENS, 1024);
    assert_int_equal(WH_SEGMENT_STARTING, 0);
    assert_int_equal(WH_SEGMENT_OPEN, 1);
    assert_int_equal(WH_SEGMENT_ENDED, 2);
}

static void test_ring(void **state)
{
    (void)state;
    AT(wh_ring_control, tail, 0, 4);
    AT(wh_ring_control, head, 64, 4);
    AT(wh_ring_control, consumer_sleeps, 128, 4);
    AT(wh_ring_control, door, 132, 4);
    AT(wh_ring_control, producer_waits, 192, 4);
    assert_int_equal(WH_RING_SIZE, 4194304);
    assert_int_equal(WH_UPCALL_SIZE, 65536);
    assert_int_equal(WH_CALL_FILLER, 0xffff);
}

static void test_slot(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct wh_slot), 2048);
    AT(wh_slot, state, 0, 4);
    AT(wh_slot, sleeps, 4, 4);
    AT(wh_slot, size, 8, 4);
    AT(wh_slot, upcalls, 12, 4);
    AT(wh_slot, data, 24, 2024);
    assert_int_equal(WH_SLOT_IDLE, 0);
    assert_int_equal(WH_SLOT_PENDING, 1);
    assert_int_equal(WH_SLOT_DONE, 2);
    assert_int_equal(WH_SLOT_LOST, 3);
}

static void test_message(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct wh_message), 32);
    AT(wh_message, size, 0, 4);
    AT(wh_message, call, 4, 2);
    AT(wh_message, reserved, 6, 2);
    AT(wh_message, thread, 8, 4);
    AT(wh_message, slot, 12, 4);
    AT(wh_message, reply_at, 16, 8);
    AT(wh_message, reply_room, 24, 4);
    AT(wh_message, reserved2, 28, 4);
    assert_int_equal(WH_PROTOCOL, 1);
    assert_int_equal(WH_MESSAGE_MAX, 65536);
    assert_true(WH_NO_SLOT == 0xffffffff);
    assert_true(WH_IN_SLOT == 0xffffffffffffffff);
    assert_true(WH_PAYLOAD_NULL == 0x8000000000000000);
    assert_true(WH_PAYLOAD_ARENA == 0x4000000000000000);
    assert_true(WH_PAYLOAD_LENGTH == 0x3fffffffffffffff);
    assert_int_equal(WH_PROP_UNKNOWN, 0x7ffffff1);
    assert_true(WH_ID_WORKER_FIRST == 0x80000000);
}

static void test_upcall(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct wh_upcall), 24);
    AT(wh_upcall, size, 0, 4);
    AT(wh_upcall, kind, 4, 2);
    AT(wh_upcall, reserved, 6, 2);
    AT(wh_upcall, word, 8, 8);
    AT(wh_upcall, payload, 16, 8);
    assert_int_equal(WH_UPCALL_MAX, 8192);
    assert_int_equal(WH_UPCALL_OUTPUT, 1);
    assert_int_equal(WH_UPCALL_CALLBACK, 2);
    assert_int_equal(WH_UPCALL_FREED, 3);
    assert_int_equal(WH_TOKEN_PENDING, 0);
    assert_int_equal(WH_TOKEN_DONE, 1);
    assert_int_equal(WH_TOKEN_AWAITED, 2);
    assert_int_equal(WH_TOKEN_BROKEN, 3);
}

static void test_handshake(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct wh_hello), 120);
    AT(wh_hello, magic, 0, 8);
    AT(wh_hello, protocol, 8, 4);
    AT(wh_hello, pid, 12, 4);
    AT(wh_hello, api_hash, 16, 8);
    AT(wh_hello, arena, 24, 8);
    AT(wh_hello, api, 32, 16);
    AT(wh_hello, version, 48, 32);
    AT(wh_hello, boot, 80, 40);
    assert_int_equal(sizeof(struct wh_welcome), 256);
    AT(wh_welcome, magic, 0, 8);
    AT(wh_welcome, protocol, 8, 4);
    AT(wh_welcome, refused, 12, 4);
    AT(wh_welcome, segment, 16, 8);
    AT(wh_welcome, session, 24, 4);
    AT(wh_welcome, reserved, 28, 4);
    AT(wh_welcome, version, 32, 32);
    AT(wh_welcome, text, 64, 192);
    assert_string_equal(WH_HELLO_MAGIC, "WHHELLO");
    assert_string_equal(WH_WELCOME_MAGIC, "WHREADY");
}

static void test_region(void **state)
{
    (void)state;
    AT(wh_region, magic, 0, 8);
    AT(wh_region, protocol, 8, 4);
    AT(wh_region, server_peer, 12, 4);
    AT(wh_region, size, 16, 8);
    AT(wh_region, beat, 24, 4);
    AT(wh_region, version, 28, 32);
    AT(wh_region, mailboxes, 64, 24576);
    assert_true(WH_REGION_MAGIC == 0x314d454d4847524f);
    assert_int_equal(WH_REGION_START, 1048576);
    assert_int_equal(WH_REGION_MAILBOXES, 64);
    assert_int_equal(sizeof(struct wh_mailbox), 384);
    AT(wh_mailbox, state, 0, 4);
    AT(wh_mailbox, owner, 4, 4);
    AT(wh_mailbox, peer, 8, 4);
    AT(wh_mailbox, refused, 12, 4);
    AT(wh_mailbox, offset, 16, 8);
    AT(wh_mailbox, size, 24, 8);
    AT(wh_mailbox, hello, 32, 120);
    AT(wh_mailbox, text, 152, 192);
    assert_int_equal(WH_MAILBOX_FREE, 0);
    assert_int_equal(WH_MAILBOX_CLAIMED, 1);
    assert_int_equal(WH_MAILBOX_ASKED, 2);
    assert_int_equal(WH_MAILBOX_OPEN, 3);
    assert_int_equal(WH_MAILBOX_REFUSED, 4);
    assert_int_equal(WH_MAILBOX_CLOSING, 5);
}

/* ---- how versions are refused ---- */

static void test_hello_is_checked(void **state)
{
    struct wh_hello hello;
    struct wh_error error = {0};
    (void)state;
    wh_hello_init(&hello, "opencl", 0x1122334455667788, 64 << 20);
    assert_int_equal(wh_hello_check(&hello, &error), 0);
    assert_string_equal(hello.api, "opencl");
    assert_true(hello.api_hash == 0x1122334455667788);
    assert_int_equal(hello.arena, 64 << 20);
    assert_null(strchr(hello.boot, '\n'));

    struct wh_hello other = hello;
    other.magic[0] ^= 1;
    assert_int_equal(wh_hello_check(&other, &error), -1);
    assert_non_null(strstr(error.text, "not a Wormhole client"));
    other = hello;
    other.protocol++;
    assert_int_equal(wh_hello_check(&other, &error), -1);
    assert_non_null(strstr(error.text, "protocol 2"));
    assert_non_null(strstr(error.text, "protocol 1"));
    other = hello;
    memset(other.version, 'v', sizeof(other.version)); /* no end to it */
    assert_int_equal(wh_hello_check(&other, &error), -1);
    assert_non_null(strstr(error.text, "vvvvvvvv"));
    assert_non_null(strstr(error.text, WH_VERSION));
}

static void test_addresses_of_servers(void **state)
{
    static const char *const bad[] = {"", ":", "unix", "http://x", "unixx:", "/run/x.sock"};
    struct wh_hello hello = {0};
    struct wh_channel *channel = NULL;
    struct wh_error error;
    char path[200] = "unix:/";
    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(wh_channel_connect(bad[i], &hello, &channel, &error), -1);
        assert_non_null(strstr(error.text, "is not a server's address"));
    }
    assert_int_equal(wh_channel_connect("unix:/nonexistent/socket", &hello, &channel, &error), -1);
    assert_non_null(strstr(error.text, "/nonexistent/socket"));
    memset(path + 6, 'x', sizeof(path) - 7);
    assert_int_equal(wh_channel_connect(path, &hello, &channel, &error), -1);
    assert_non_null(strstr(error.text, "too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segment),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_slot),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_upcall),
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_region),
        cmocka_unit_test(test_hello_is_checked),
        cmocka_unit_test(test_addresses_of_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
