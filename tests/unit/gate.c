/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of the exitless path, with code in the gate page that answers as a module
 * would: which offers are taken, and what each outcome of a visit does to the session.
 */
#include "support.h"

#include "../../kmod/uapi/wormhole.h"
#include "base/log.h"
#include "channel/gate.h"
#include "channel/gate_call.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct pair pair;

static int open_pair(void **state)
{
    (void)state;
    pair_open(&pair);
    pair.worker->segment->gate =
        (struct wh_gate_offer){.index = 5, .lanes = 2, .key = {1, 2, 3, 4}, .calls = {1}};
    return 0;
}

static int close_pair(void **state)
{
    (void)state;
    wh_gate_forget(pair.client);
    pair_close(&pair);
    (void)munmap((void *)WH_GATE_PAGE, 4096);
    return 0;
}

/*
 * In place of the gate: sets status and value and returns. Instructions by hand, since the page is
 * called at its own address: mov qword [rdi + status], N; mov qword [rdi + value], N; ret.
 */
static void answer_with(uint32_t status, uint32_t value)
{
    uint8_t code[] = {0x48, 0xc7, 0x47,       CALL_STATUS, 0, 0, 0, 0,   0x48,
                      0xc7, 0x47, CALL_VALUE, 0,           0, 0, 0, 0xc3};
    memcpy(code + 4, &status, 4);
    memcpy(code + 12, &value, 4);
    void *page = (void *)WH_GATE_PAGE;
    assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
    memcpy(page, code, sizeof(code));
    assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_EXEC), 0);
}

/*
 * In place of the VMFUNC, so that all the rest is the gate's own code: answers `often` times as a
 * module would, and then that the call is done. nopl (%rax); decl rest(%rip); js done; mov $status,
 * %edx; jmp return; done: xor %edx, %edx; xor %esi, %esi; return: jmp RETURN; rest.
 */
static void answer_entries_with(uint32_t status, uint32_t often)
{
    uint8_t code[] = {0x0f, 0x1f, 0x00, 0xff, 0x0d, 18,   0,    0,    0,    0x78, 7, 0xba, 0, 0,
                      0,    0,    0xeb, 4,    0x31, 0xd2, 0x31, 0xf6, 0xe9, 0,    0, 0,    0};
    const uint32_t at = WORMHOLE_ENTER - WORMHOLE_VMFUNC_SIZE;
    const uint32_t back = WORMHOLE_RETURN - (at + sizeof(code));
    memcpy(code + 12, &status, 4);
    memcpy(code + sizeof(code) - 4, &back, 4);
    uint8_t *page = (uint8_t *)WH_GATE_PAGE;
    assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
    memcpy(page + at, code, sizeof(code));
    memcpy(page + at + sizeof(code), &often, 4);
}

/* Sends a message; the times that the worker was rung. */
static uint32_t send(void)
{
    struct wh_ring_control *control = pair.worker->calls.control;
    uint32_t door = atomic_load(&control->door);
    atomic_store(&control->consumer_sleeps, 1);
    struct wh_message *message =
        pair.client->channel.ops->begin(&pair.client->channel, sizeof(*message));
    assert_non_null(message);
    *message = (struct wh_message){.size = sizeof(*message), .slot = WH_NO_SLOT};
    pair.client->channel.ops->commit(&pair.client->channel);
    return atomic_load(&control->door) - door;
}

/* As the kernel lists the CPU's features that it uses. */
static bool has_five_levels(void)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[8192];
    bool found = false;
    assert_non_null(file);
    while (!found && fgets(line, sizeof(line), file))
        found = strncmp(line, "flags", 5) == 0 && strstr(line, " la57");
    (void)fclose(file);
    return found;
}

/* No gate there. */
static void five_levels(void **state)
{
    (void)state;
    const char *why = wh_gate_adopt(pair.client);
    if (!has_five_levels())
        assert_null(why);
    else
        assert_string_equal(why, "the system has five-level page tables");
}

/* Ends the test where there is no gate. */
static void need_gate(void)
{
    if (has_five_levels())
        skip();
}

static void adopt(void)
{
    need_gate();
    const char *why = wh_gate_adopt(pair.client);
    if (why)
        fail_msg("%s", why);
}

static int logs[2];

static const char *logged(void)
{
    static char text[1024];
    ssize_t size = read(logs[0], text, sizeof(text) - 1);
    text[size > 0 ? size : 0] = 0;
    return text;
}

static void offers(void **state)
{
    struct wh_gate_offer *offer = &pair.worker->segment->gate;
    (void)state;
    offer->index = 0;
    assert_string_equal(wh_gate_adopt(pair.client), "the host offers no view");
    offer->index = 512;
    assert_string_equal(wh_gate_adopt(pair.client), "the host's offer is malformed");
    offer->index = 5;
    offer->lanes = 0;
    assert_string_equal(wh_gate_adopt(pair.client), "the host's offer is malformed");
    offer->lanes = UINT32_MAX;
    (void)setenv("WORMHOLE_EXITLESS", "0", 1);
    assert_string_equal(wh_gate_adopt(pair.client), "WORMHOLE_EXITLESS is 0");
    (void)unsetenv("WORMHOLE_EXITLESS");
    assert_null(pair.client->step_in);
    assert_int_equal(send(), 1); /* as over ivshmem */
    adopt();
    assert_non_null(pair.client->step_in);
}

/* What the program itself is to blame for is said, and once; what the host lacks is in its log. */
static void complaints(void **state)
{
    struct wh_gate_offer *offer = &pair.worker->segment->gate;
    (void)state;
    need_gate();
    assert_int_equal(pipe2(logs, O_CLOEXEC | O_NONBLOCK), 0);
    wh_log_to(logs[1]);
    offer->index = 0;
    (void)wh_gate_adopt(pair.client);
    offer->index = 5;
    (void)setenv("WORMHOLE_EXITLESS", "0", 1);
    (void)wh_gate_adopt(pair.client);
    (void)unsetenv("WORMHOLE_EXITLESS");
    assert_string_equal(logged(), "");
    void *page = mmap((void *)WH_GATE_PAGE, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_equal(page, (void *)WH_GATE_PAGE);
    (void)wh_gate_adopt(pair.client);
    assert_string_equal(logged(),
                        "wormhole: calls travel by ivshmem, not exitless: the program uses the "
                        "address of the gate's page, 0x567f00000000\n");
    (void)wh_gate_adopt(pair.client);
    assert_string_equal(logged(), "");
    munmap(page, 4096);
    adopt();
    assert_string_equal(logged(), "");
    wh_log_to(STDERR_FILENO);
    close(logs[0]);
    close(logs[1]);
}

static void the_page_is_taken(void **state)
{
    (void)state;
    need_gate();
    void *page = mmap((void *)WH_GATE_PAGE, 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(page, (void *)WH_GATE_PAGE);
    assert_string_equal(wh_gate_adopt(pair.client),
                        "the program uses the address of the gate's page, 0x567f00000000");
    munmap(page, 4096);
    adopt();
    wh_gate_forget(pair.client);
    adopt(); /* a second session finds the page of the first */
}

static void visits(void **state)
{
    (void)state;
    adopt();
    answer_with(WORMHOLE_DONE, WH_GATE_TAKEN);
    assert_int_equal(send(), 0);
    answer_with(WORMHOLE_DONE, WH_GATE_RING);
    assert_int_equal(send(), 1);
    answer_with(WORMHOLE_BUSY, 0);
    assert_int_equal(send(), 1);
    answer_with(WORMHOLE_BAD_KEY, 0);
    assert_int_equal(send(), 1);
    assert_false(pair.client->channel.lost);
}

/* What cannot run there is not tried. */
static void hints(void **state)
{
    struct wh_gate_offer *offer = &pair.worker->segment->gate;
    (void)state;
    offer->calls[0] = ~1ull; /* not the one that is sent */
    adopt();
    answer_with(WORMHOLE_DONE, WH_GATE_TAKEN);
    assert_int_equal(send(), 1);
    wh_gate_forget(pair.client);
    (void)munmap((void *)WH_GATE_PAGE, 4096);
    offer->calls[0] = 1;
    adopt();
    answer_with(WORMHOLE_DONE, WH_GATE_TAKEN);
    assert_int_equal(send(), 0);
    atomic_store(&offer->busy, 1);
    assert_int_equal(send(), 1);
    atomic_store(&offer->busy, 0);
    assert_int_equal(send(), 0);
    assert_false(wh_gate_may_run(offer->calls, WH_GATE_CALLS));
    assert_false(wh_gate_may_run(offer->calls, UINT16_MAX));
}

static void lost_in_the_view(void **state)
{
    char reason[256];
    (void)state;
    adopt();
    answer_with(WORMHOLE_LOST, 0);
    (void)send();
    assert_true(pair.client->channel.lost);
    pair.client->channel.ops->end_reason(&pair.client->channel, reason, sizeof(reason));
    assert_string_equal(reason,
                        "the worker's code failed in the session's view, or took too long there");
}

/* However the worker's code brings it about, nobody is entered again for ever. */
static void answer_for_ever(uint32_t status)
{
    adopt();
    answer_entries_with(status, 1000);
    (void)send();
    answer_entries_with(status, CALL_ENTRIES_MAX - 1);
    (void)send();
    assert_false(pair.client->channel.lost);
    answer_entries_with(status, CALL_ENTRIES_MAX);
    (void)send();
    assert_true(pair.client->channel.lost);
}

static void suspended_for_ever(void **state)
{
    (void)state;
    answer_for_ever(WORMHOLE_SUSPENDED);
}

static void retried_for_ever(void **state)
{
    (void)state;
    answer_for_ever(WORMHOLE_RETRY);
}

static void lost_with_the_worker(void **state)
{
    char reason[256];
    (void)state;
    adopt();
    answer_with(WORMHOLE_LOST, 0);
    pair.worker->channel.ops->end(&pair.worker->channel, "the worker was killed");
    (void)send();
    assert_true(pair.client->channel.lost);
    pair.client->channel.ops->end_reason(&pair.client->channel, reason, sizeof(reason));
    assert_string_equal(reason, "the worker was killed");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(five_levels, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(offers, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(complaints, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_page_is_taken, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(visits, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(hints, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(lost_in_the_view, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(suspended_for_ever, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(retried_for_ever, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(lost_with_the_worker, open_pair, close_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
