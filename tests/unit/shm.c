/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel over shared memory: a client and a worker in the threads of one process. Order, reply
 * slots, the lead that passes from thread to thread, waking, loss, tokens and upcalls.
 */
#include "support.h"

#include "base/util.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_ECHO  1u
#define CALL_BLOCK 2u
#define CALL_QUIET 3u

static struct pair pair;

static int open_pair(void **state)
{
    (void)state;
    pair_open(&pair);
    return 0;
}

static int close_pair(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

static const struct wh_channel_ops *ops(void)
{
    return pair.client->channel.ops;
}

static struct wh_channel *client(void)
{
    return &pair.client->channel;
}

static struct wh_channel *worker(void)
{
    return &pair.worker->channel;
}

/* Sends a message with one word (and `more` bytes behind it). False when the session is lost. */
static bool send(uint16_t call, uint32_t slot, uint64_t word, uint32_t more)
{
    uint32_t size = (uint32_t)sizeof(struct wh_message) + 8 + more;
    struct wh_message *message = ops()->begin(client(), size);
    if (!message)
        return false;
    *message =
        (struct wh_message){.size = size, .call = call, .slot = slot, .reply_at = WH_IN_SLOT};
    memcpy(message + 1, &word, sizeof(word));
    memset((uint8_t *)(message + 1) + 8, (int)(word & 0xff), more);
    ops()->commit(client());
    return true;
}

/* Calls and waits; the reply's word, or -1 when the session was lost. */
static int64_t call(uint16_t number, uint64_t word)
{
    struct wh_reply reply;
    uint32_t slot = ops()->take_slot(client());
    int64_t answer = -1;
    if (send(number, slot, word, 0) &&
        ops()->await(client(), slot, number == CALL_BLOCK, &reply) == 0 &&
        reply.size == sizeof(answer))
        memcpy(&answer, reply.bytes, sizeof(answer));
    ops()->put_slot(client(), slot);
    return answer;
}

static void answer(const struct wh_message *message)
{
    memcpy(ops()->reply_room(worker(), message->slot), message + 1, sizeof(uint64_t));
    ops()->reply(worker(), message->slot, sizeof(uint64_t));
}

static uint64_t word_of(const struct wh_message *message)
{
    uint64_t word;
    memcpy(&word, message + 1, sizeof(word));
    return word;
}

static struct wh_message *new_message(void)
{
    struct wh_message *message = malloc(WH_MESSAGE_MAX);
    assert_non_null(message);
    return message;
}

static pthread_t start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256u << 10);
    assert_int_equal(pthread_create(&thread, &attributes, run, argument), 0);
    pthread_attr_destroy(&attributes);
    return thread;
}

/* ---- order ---- */

#define SENDERS 8u
#define EACH    5000u

static struct {
    pthread_mutex_t lock;
    uint64_t next;
} order = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What one thread sends after another thread's send (the lock says after) arrives after it. */
static void *send_in_turn(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < EACH; i++) {
        pthread_mutex_lock(&order.lock);
        send(CALL_QUIET, WH_NO_SLOT, order.next++, i % 5 * 64);
        pthread_mutex_unlock(&order.lock);
    }
    return NULL;
}

static void test_order_across_threads(void **state)
{
    pthread_t senders[SENDERS];
    struct wh_message *message = new_message();
    const char *fault = NULL;
    bool leads = false;
    (void)state;
    order.next = 0;
    for (unsigned i = 0; i < SENDERS; i++)
        senders[i] = start(send_in_turn, NULL);
    for (uint64_t i = 0; i < SENDERS * EACH; i++) {
        int64_t size = ops()->receive(worker(), &leads, message, &fault);
        assert_true(size > (int64_t)sizeof(*message));
        assert_int_equal(size, message->size);
        assert_int_equal(word_of(message), i);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    free(message);
}

/* ---- replies ---- */

/* One worker thread that answers everything; blocked calls wait for the semaphore after giving up
 * the lead. */
static sem_t blocked, go_on;

static void *serve(void *argument)
{
    struct wh_message *message = malloc(WH_MESSAGE_MAX);
    const char *fault = NULL;
    bool leads = false;
    while (ops()->receive(worker(), &leads, message, &fault) > 0) {
        if (message->call == CALL_BLOCK) {
            pthread_t thread;
            if (!ops()->vacate(worker(), &leads) &&
                pthread_create(&thread, NULL, serve, argument) == 0)
                pthread_detach(thread);
            sem_post(&blocked);
            sem_wait(&go_on);
        }
        if (message->slot != WH_NO_SLOT)
            answer(message);
    }
    sem_post(argument);
    free(message);
    return NULL;
}

/* Ends all threads that serve: each posts `ended` as it leaves. One that was about to sleep is told
 * again. */
static void stop_serving(sem_t *ended, unsigned threads)
{
    for (unsigned i = 0; i < threads; i++) {
        struct timespec until;
        do {
            pair_stop_worker(&pair);
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += 10000000;
            until.tv_sec += until.tv_nsec / 1000000000;
            until.tv_nsec %= 1000000000;
        } while (sem_timedwait(ended, &until) < 0);
    }
}

static void *call_many(void *argument)
{
    uint64_t first = (uintptr_t)argument * 100000;
    for (uint64_t i = 0; i < 2000; i++)
        if (call(CALL_ECHO, first + i) != (int64_t)(first + i))
            return (void *)1;
    return NULL;
}

static void test_replies_find_their_callers(void **state)
{
    pthread_t callers[SENDERS];
    sem_t ended;
    (void)state;
    sem_init(&ended, 0, 0);
    pthread_t server = start(serve, &ended);
    for (unsigned i = 0; i < SENDERS; i++)
        callers[i] = start(call_many, (void *)(uintptr_t)(i + 1));
    for (unsigned i = 0; i < SENDERS; i++) {
        void *wrong;
        pthread_join(callers[i], &wrong);
        assert_null(wrong);
    }
    stop_serving(&ended, 1);
    pthread_join(server, NULL);
}

#define CALLERS (WH_SLOTS + 64)

static void *call_once(void *argument)
{
    uint64_t word = (uintptr_t)argument;
    return (void *)(uintptr_t)(call(CALL_ECHO, word) != (int64_t)word);
}

/* More threads than slots: those without one wait until one is put back. */
static void test_more_threads_than_slots(void **state)
{
    static pthread_t callers[CALLERS];
    static struct {
        struct wh_message header;
        uint64_t word;
    } held[WH_SLOTS];
    struct wh_message *message = new_message();
    const char *fault = NULL;
    bool leads = false, taken[WH_SLOTS] = {0};
    (void)state;
    for (unsigned i = 0; i < CALLERS; i++)
        callers[i] = start(call_once, (void *)(uintptr_t)(i + 1));
    for (unsigned i = 0; i < WH_SLOTS; i++) { /* nobody is answered until every slot is in use */
        assert_int_equal(ops()->receive(worker(), &leads, message, &fault), sizeof(*message) + 8);
        assert_true(message->slot < WH_SLOTS);
        assert_false(taken[message->slot]);
        taken[message->slot] = true;
        memcpy(&held[i], message, sizeof(held[i]));
    }
    for (unsigned i = 0; i < WH_SLOTS; i++)
        answer(&held[i].header);
    for (unsigned i = WH_SLOTS; i < CALLERS; i++) {
        assert_true(ops()->receive(worker(), &leads, message, &fault) > 0);
        answer(message);
    }
    for (unsigned i = 0; i < CALLERS; i++) {
        void *wrong;
        pthread_join(callers[i], &wrong);
        assert_null(wrong);
    }
    free(message);
}

/* ---- calls that take long ---- */

#define BLOCKED 6u

static void *call_blocking(void *argument)
{
    uint64_t word = (uintptr_t)argument;
    return (void *)(uintptr_t)(call(CALL_BLOCK, word) != (int64_t)word);
}

static void test_blocked_calls_hold_up_nobody(void **state)
{
    pthread_t callers[BLOCKED];
    sem_t ended;
    (void)state;
    sem_init(&blocked, 0, 0);
    sem_init(&go_on, 0, 0);
    sem_init(&ended, 0, 0);
    pthread_t server = start(serve, &ended);
    for (unsigned i = 0; i < BLOCKED; i++) {
        callers[i] = start(call_blocking, (void *)(uintptr_t)(i + 1));
        sem_wait(&blocked);
        for (uint64_t k = 0; k < 200; k++)
            assert_int_equal(call(CALL_ECHO, k), k);
    }
    for (unsigned i = 0; i < BLOCKED; i++)
        sem_post(&go_on);
    for (unsigned i = 0; i < BLOCKED; i++) {
        void *wrong;
        pthread_join(callers[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(call(CALL_ECHO, 77), 77);
    stop_serving(&ended, BLOCKED + 1);
    pthread_join(server, NULL);
}

#define ROUNDS 3000u

static void *block_often(void *argument)
{
    for (uint64_t i = 0; i < ROUNDS; i++)
        if (call(CALL_BLOCK, i) != (int64_t)i)
            return (void *)1;
    (void)argument;
    return NULL;
}

static void *echo_often(void *argument)
{
    for (uint64_t i = 0; i < ROUNDS; i++)
        if (call(CALL_ECHO, i) != (int64_t)i)
            return (void *)1;
    (void)argument;
    return NULL;
}

static _Atomic int servers;

static void *serve_counted(void *argument)
{
    struct wh_message *message = malloc(WH_MESSAGE_MAX);
    const char *fault = NULL;
    bool leads = false;
    while (ops()->receive(worker(), &leads, message, &fault) > 0) {
        pthread_t thread;
        if (message->call == CALL_BLOCK && !ops()->vacate(worker(), &leads)) {
            atomic_fetch_add(&servers, 1);
            if (pthread_create(&thread, NULL, serve_counted, argument) == 0)
                pthread_detach(thread);
        }
        answer(message);
    }
    free(message);
    sem_post(argument);
    return NULL;
}

/* The lead changes hands all the time: no message may fall between two threads. */
static void test_lead_changes_hands(void **state)
{
    pthread_t callers[6];
    sem_t ended;
    (void)state;
    sem_init(&ended, 0, 0);
    atomic_store(&servers, 1);
    pthread_t server = start(serve_counted, &ended);
    for (unsigned i = 0; i < 6; i++)
        callers[i] = start(i % 2 ? block_often : echo_often, NULL);
    for (unsigned i = 0; i < 6; i++) {
        void *wrong;
        pthread_join(callers[i], &wrong);
        assert_null(wrong);
    }
    stop_serving(&ended, (unsigned)atomic_load(&servers));
    pthread_join(server, NULL);
}

/* ---- full rings ---- */

#define BIG  60000u
#define MANY (2 * WH_RING_SIZE / BIG) /* more than there is room for */

static void *send_big(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < MANY; i++)
        if (!send(CALL_QUIET, WH_NO_SLOT, i, BIG))
            return (void *)1;
    return NULL;
}

static void test_sender_waits_for_room(void **state)
{
    struct wh_message *message = new_message();
    const char *fault = NULL;
    bool leads = false;
    void *lost;
    (void)state;
    pthread_t sender = start(send_big, NULL);
    for (uint64_t i = 0; i < MANY; i++) {
        assert_int_equal(ops()->receive(worker(), &leads, message, &fault),
                         sizeof(*message) + 8 + BIG);
        assert_int_equal(word_of(message), i);
        assert_int_equal(((uint8_t *)(message + 1))[8 + BIG - 1], i);
    }
    pthread_join(sender, &lost);
    assert_null(lost);
    free(message);
}

static void *send_one_too_many(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i <= WH_RING_SIZE / 8192; i++)
        if (!send(CALL_QUIET, WH_NO_SLOT, i, 8000))
            return (void *)1;
    return NULL;
}

/* A thread that will be away for long tells of the room it made, however little it is. */
static void test_room_is_told_of_before_a_long_call(void **state)
{
    struct wh_message *message = new_message();
    const char *fault = NULL;
    bool leads = false;
    void *lost;
    (void)state;
    pthread_t sender = start(send_one_too_many, NULL);
    assert_true(ops()->receive(worker(), &leads, message, &fault) > 0);
    ops()->vacate(worker(), &leads);
    pthread_join(sender, &lost); /* nobody receives meanwhile */
    assert_null(lost);
    free(message);
}

/* A full ring and nobody who takes: the loss of the session frees the sender. */
static void test_loss_frees_a_waiting_sender(void **state)
{
    void *lost;
    (void)state;
    pthread_t sender = start(send_big, NULL);
    ops()->lose(client(), "for the test");
    pthread_join(sender, &lost);
    assert_non_null(lost);
}

static void *push_many(void *argument)
{
    uint64_t words[1000];
    for (uint64_t i = 0; i < 64; i++) {
        words[0] = words[999] = i;
        if (ops()->push_upcall(worker(), WH_UPCALL_CALLBACK, i, words, sizeof(words)) < 0)
            return (void *)1;
    }
    (void)argument;
    return NULL;
}

static void test_worker_waits_for_room(void **state)
{
    static union {
        struct wh_upcall upcall;
        uint64_t words[WH_UPCALL_MAX / 8];
    } room;
    void *lost;
    (void)state;
    pthread_t pusher = start(push_many, NULL);
    for (uint64_t i = 0; i < 64;) {
        int got = ops()->take_upcall(client(), &room.upcall);
        assert_true(got >= 0);
        if (got == 0) {
            assert_true(ops()->listen(client(), true));
            continue;
        }
        assert_int_equal(room.upcall.kind, WH_UPCALL_CALLBACK);
        assert_int_equal(room.upcall.word, i);
        assert_int_equal(room.upcall.payload, 8000);
        assert_int_equal(room.words[sizeof(struct wh_upcall) / 8 + 999], i);
        i++;
    }
    pthread_join(pusher, &lost);
    assert_null(lost);
}

/* ---- loss ---- */

static void *wait_in_vain(void *argument)
{
    (void)argument;
    return (void *)(uintptr_t)(call(CALL_ECHO, 5) != -1);
}

static void *wait_for_token_in_vain(void *argument)
{
    (void)argument;
    while (atomic_load(ops()->token(client(), 9)) != 1)
        if (ops()->await_token(client(), 9) < 0)
            return NULL;
    return (void *)1;
}

static void test_loss_wakes_every_waiter(void **state)
{
    pthread_t waiters[40];
    struct wh_message *message = new_message();
    const char *fault = NULL;
    char reason[64];
    bool leads = false;
    (void)state;
    for (unsigned i = 0; i < 40; i++)
        waiters[i] = start(i < 30 ? wait_in_vain : wait_for_token_in_vain, NULL);
    for (unsigned i = 0; i < 30; i++)
        assert_true(ops()->receive(worker(), &leads, message, &fault) > 0);
    ops()->lose(client(), "the power went out");
    for (unsigned i = 0; i < 40; i++) {
        void *wrong;
        pthread_join(waiters[i], &wrong);
        assert_null(wrong);
    }
    ops()->lose(client(), "a second reason");
    ops()->end_reason(client(), reason, sizeof(reason));
    assert_string_equal(reason, "the power went out");
    assert_null(ops()->begin(client(), 64));
    assert_int_equal(call(CALL_ECHO, 1), -1);
    assert_int_equal(ops()->await_token(client(), 3), -1);
    free(message);
}

static void test_reason_of_the_end(void **state)
{
    char reason[300];
    (void)state;
    ops()->end_reason(client(), reason, sizeof(reason));
    assert_string_equal(reason, "the worker process ended unexpectedly");
    ops()->end(worker(), "protocol violation: for the test");
    ops()->end_reason(client(), reason, sizeof(reason));
    assert_string_equal(reason, "protocol violation: for the test");
    memset(pair.worker->segment->reason, 'x',
           sizeof(pair.worker->segment->reason)); /* no end to it */
    ops()->end_reason(client(), reason, sizeof(reason));
    assert_int_equal(strlen(reason), sizeof(pair.worker->segment->reason) - 1);
}

/* ---- tokens ---- */

static void *set_tokens(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < WH_TOKENS; i++)
        ops()->set_token(worker(), i);
    return NULL;
}

static void test_tokens(void **state)
{
    (void)state;
    pthread_t setter = start(set_tokens, NULL);
    for (uint32_t i = WH_TOKENS; i-- > 0;) /* the last one is set last */
        while (atomic_load(ops()->token(client(), i)) != 1)
            assert_int_equal(ops()->await_token(client(), i), 0);
    pthread_join(setter, NULL);
    for (uint32_t i = 0; i < WH_TOKENS; i++)
        assert_int_equal(atomic_load(ops()->token(client(), i)), 1);
}

/* ---- upcalls ---- */

static void *answer_with_news(void *argument)
{
    struct wh_message *message = malloc(WH_MESSAGE_MAX);
    const char *fault = NULL;
    bool leads = false;
    while (ops()->receive(worker(), &leads, message, &fault) > 0) {
        char text[24];
        int n = snprintf(text, sizeof(text), "before %llu", (unsigned long long)word_of(message));
        ops()->push_upcall(worker(), WH_UPCALL_OUTPUT, 1, text, (uint32_t)n);
        ops()->push_upcall(worker(), WH_UPCALL_CALLBACK, word_of(message), NULL, 0);
        answer(message);
    }
    free(message);
    sem_post(argument);
    return NULL;
}

/* A reply's mark says which upcalls were sent before it. */
static void test_marks(void **state)
{
    static union {
        struct wh_upcall upcall;
        char bytes[WH_UPCALL_MAX];
    } room;
    sem_t ended;
    (void)state;
    sem_init(&ended, 0, 0);
    pthread_t server = start(answer_with_news, &ended);
    for (uint64_t i = 0; i < 5000; i++) {
        struct wh_reply reply;
        char text[24];
        uint32_t slot = ops()->take_slot(client());
        assert_true(send(CALL_ECHO, slot, i, 0));
        assert_int_equal(ops()->await(client(), slot, false, &reply), 0);
        assert_int_not_equal(ops()->upcall_mark(client()), reply.upcalls);
        assert_int_equal(ops()->take_upcall(client(), &room.upcall), 1);
        assert_int_equal(room.upcall.kind, WH_UPCALL_OUTPUT);
        (void)snprintf(text, sizeof(text), "before %llu", (unsigned long long)i);
        assert_int_equal(room.upcall.payload, strlen(text));
        assert_memory_equal(room.bytes + sizeof(struct wh_upcall), text, strlen(text));
        assert_int_equal(ops()->take_upcall(client(), &room.upcall), 1);
        assert_int_equal(room.upcall.kind, WH_UPCALL_CALLBACK);
        assert_int_equal(room.upcall.word, i);
        assert_int_equal(room.upcall.payload, 0);
        assert_int_equal(ops()->upcall_mark(client()), reply.upcalls);
        assert_int_equal(ops()->take_upcall(client(), &room.upcall), 0);
        ops()->put_slot(client(), slot);
    }
    stop_serving(&ended, 1);
    pthread_join(server, NULL);
}

static void *await_callbacks(void *argument)
{
    ops()->await_callback(worker(), *(const uint32_t *)argument);
    return NULL;
}

/* The worker hears of callbacks done while nobody takes its messages. */
static void test_callbacks_are_counted(void **state)
{
    static union {
        struct wh_upcall upcall;
        char bytes[WH_UPCALL_MAX];
    } room;
    uint32_t number = 0;
    (void)state;
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(ops()->push_upcall(worker(), WH_UPCALL_OUTPUT, 1, "text", 4), i - 1);
        assert_int_equal(ops()->push_upcall(worker(), WH_UPCALL_CALLBACK, i, NULL, 0), i);
    }
    for (uint32_t i = 1; i <= 3; i++) {
        number = i;
        pthread_t waiter = start(await_callbacks, &number);
        assert_int_equal(ops()->take_upcall(client(), &room.upcall), 1);
        assert_int_equal(ops()->take_upcall(client(), &room.upcall), 1);
        ops()->callback_done(client());
        pthread_join(waiter, NULL);
        assert_int_equal(atomic_load(&pair.worker->segment->callbacks), i);
    }
    /* The count wraps. */
    atomic_store(&pair.worker->segment->callbacks, UINT32_MAX);
    number = 0;
    pthread_t waiter = start(await_callbacks, &number);
    ops()->callback_done(client());
    pthread_join(waiter, NULL);
}

static void test_upcalls_too_large(void **state)
{
    static const uint8_t bytes[WH_UPCALL_MAX];
    static union {
        struct wh_upcall upcall;
        char bytes[WH_UPCALL_MAX];
    } room;
    uint32_t most = WH_UPCALL_MAX - (uint32_t)sizeof(struct wh_upcall);
    (void)state;
    assert_int_equal(ops()->push_upcall(worker(), WH_UPCALL_OUTPUT, 1, bytes, most + 1), -1);
    assert_int_equal(ops()->push_upcall(worker(), WH_UPCALL_OUTPUT, 1, bytes, UINT32_MAX), -1);
    assert_int_equal(ops()->push_upcall(worker(), WH_UPCALL_OUTPUT, 1, bytes, UINT32_MAX - 15), -1);
    assert_int_equal(ops()->push_upcall(worker(), WH_UPCALL_OUTPUT, 1, bytes, most), 0);
    assert_int_equal(ops()->take_upcall(client(), &room.upcall), 1);
    assert_int_equal(room.upcall.payload, most);
}

/* The client trusts no upcall's sizes. */
static void test_forged_upcalls(void **state)
{
    static const struct {
        uint32_t size, produced;
        uint64_t payload;
    } lies[] = {
        {8, 8, 0},
        {16, 16, 0},
        {24, 24, 1},
        {24, 24, UINT64_MAX},
        {32, 32, 9},
        {32, 24, 0},
        {0, 24, 0},
        {WH_UPCALL_MAX + 8, WH_UPCALL_MAX + 8, 0},
        {20, 24, 0},
        {32, 32, 1ull << 63},
        {24, WH_UPCALL_SIZE + 8, 0},
    };
    static union {
        struct wh_upcall upcall;
        char bytes[WH_UPCALL_MAX];
    } room;
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct wh_segment *segment = pair.worker->segment;
        struct wh_upcall forged = {
            .size = lies[i].size, .kind = WH_UPCALL_OUTPUT, .payload = lies[i].payload};
        pair.client->upcalls.at = pair.client->upcalls.known = pair.client->upcalls.told = 0;
        memcpy(segment->upcall_data, &forged, sizeof(forged));
        atomic_store(&segment->upcalls.tail, lies[i].produced);
        if (ops()->take_upcall(client(), &room.upcall) != -1)
            fail_msg("forged upcall %u was taken", i);
    }
}

/* What a lying worker leaves in a slot's state is not taken for an answer. */
static void test_forged_slot_states(void **state)
{
    static const uint32_t states[] = {WH_SLOT_IDLE, WH_SLOT_LOST, 4, UINT32_MAX};
    (void)state;
    for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        struct wh_reply reply;
        uint32_t slot = ops()->take_slot(client());
        atomic_store(&pair.worker->segment->slots[slot].state, states[i]);
        assert_int_equal(ops()->await(client(), slot, false, &reply), -1);
        ops()->put_slot(client(), slot);
    }
}

/* A lying client: the worker is told how. */
static void test_forged_messages(void **state)
{
    struct wh_message *message = new_message();
    const char *fault = NULL;
    bool leads = false;
    (void)state;
    atomic_store(&pair.client->segment->calls.tail, WH_RING_SIZE + 8);
    assert_int_equal(ops()->receive(worker(), &leads, message, &fault), -1);
    assert_string_equal(fault, "the ring's tail is impossible");
    free(message);
}

static void test_segment_too_small(void **state)
{
    struct wh_shm *shm;
    struct wh_error error = {0};
    (void)state;
    assert_int_equal(wh_shm_open_worker(pair.fd, 0, WH_SEGMENT_LEAST - 4096, &shm, &error), -1);
    assert_non_null(strstr(error.text, "needs 12 MiB"));
}

#define PAIRED(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIRED(test_order_across_threads),
        PAIRED(test_replies_find_their_callers),
        PAIRED(test_more_threads_than_slots),
        PAIRED(test_blocked_calls_hold_up_nobody),
        PAIRED(test_lead_changes_hands),
        PAIRED(test_sender_waits_for_room),
        PAIRED(test_room_is_told_of_before_a_long_call),
        PAIRED(test_loss_frees_a_waiting_sender),
        PAIRED(test_worker_waits_for_room),
        PAIRED(test_loss_wakes_every_waiter),
        PAIRED(test_reason_of_the_end),
        PAIRED(test_tokens),
        PAIRED(test_marks),
        PAIRED(test_callbacks_are_counted),
        PAIRED(test_upcalls_too_large),
        PAIRED(test_forged_upcalls),
        PAIRED(test_forged_slot_states),
        PAIRED(test_forged_messages),
        PAIRED(test_segment_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
