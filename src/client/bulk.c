/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers for big copies; see bulk.h. A copy is cut into parts, which the caller and the helpers
 * take one after the other; one copy at a time has helpers, others go on without. Helpers look for
 * the next copy a moment before they sleep, because big transfers come as many copies in a row.
 */
#include "client/bulk.h"

#include "base/cores.h"
#include "base/util.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PART         ((size_t)128 << 10)
#define MOST_HELPERS 8u
#define LOOK_NS      200000u
#define CLOSED       UINT32_MAX

static struct {
    pthread_mutex_t use; /* held by who copies with helpers */
    pthread_once_t once;
    unsigned helpers; /* running */

    /* The copy: its number above, the next part to be taken below, or CLOSED. Who takes a part by
     * exchanging this word knows that the rest is that copy's, and that it does not end before the
     * part: the word is closed before the rest changes. */
    _Atomic uint64_t turn;
    _Atomic uint32_t nparts, done;
    uint8_t *_Atomic to;
    const uint8_t *_Atomic from;
    _Atomic size_t size;

    pthread_mutex_t lock; /* for sleeping */
    pthread_cond_t wake;
    _Atomic unsigned sleepers;
} bulk = {.use = PTHREAD_MUTEX_INITIALIZER,
          .once = PTHREAD_ONCE_INIT,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER};

static uint32_t number_of(uint64_t turn)
{
    return (uint32_t)(turn >> 32);
}

/* Takes and copies one part of the copy that is on; false: there is none left. */
static bool copy_part(void)
{
    /* Acquire pairs with the release that began the copy: its fields are set. The fields' own pair
     * so that whoever saw the next copy's sees the word closed, too. */
    uint64_t turn = atomic_load_explicit(&bulk.turn, memory_order_acquire);
    uint32_t part;
    uint8_t *to;
    const uint8_t *from;
    size_t size;
    do {
        part = (uint32_t)turn;
        if (part >= atomic_load_explicit(&bulk.nparts, memory_order_acquire))
            return false;
        to = atomic_load_explicit(&bulk.to, memory_order_acquire);
        from = atomic_load_explicit(&bulk.from, memory_order_acquire);
        size = atomic_load_explicit(&bulk.size, memory_order_acquire);
    } while (!atomic_compare_exchange_weak_explicit(&bulk.turn, &turn, turn + 1,
                                                    memory_order_acq_rel, memory_order_acquire));
    size_t at = (size_t)part * PART;
    memcpy(to + at, from + at, size - at < PART ? size - at : PART);
    /* Release pairs with the acquire in wh_bulk_copy: the bytes are there. */
    atomic_fetch_add_explicit(&bulk.done, 1, memory_order_release);
    return true;
}

/* ---- helpers ---- */

/* Waits for a copy that is not number `last`; its number. */
static uint32_t await_copy(uint32_t last)
{
    uint64_t start = wh_now_ns();
    uint32_t number;
    while ((number = number_of(atomic_load_explicit(&bulk.turn, memory_order_acquire))) == last &&
           wh_now_ns() - start < LOOK_NS)
        wh_relax();
    if (number != last)
        return number;
    pthread_mutex_lock(&bulk.lock);
    /* Sequentially consistent, as the turn's change and the look at sleepers are: either we see the
     * new turn or whoever began it sees us. */
    atomic_fetch_add(&bulk.sleepers, 1);
    while ((number = number_of(atomic_load(&bulk.turn))) == last)
        pthread_cond_wait(&bulk.wake, &bulk.lock);
    atomic_fetch_sub(&bulk.sleepers, 1);
    pthread_mutex_unlock(&bulk.lock);
    return number;
}

static void *help(void *unused)
{
    uint32_t last = 0;
    (void)unused;
    for (;;) {
        last = await_copy(last);
        while (copy_part())
            ;
    }
    return NULL;
}

/* A quarter of the cores at most: the program has work of its own for them. */
static unsigned count_wanted(void)
{
    const char *text = getenv("WORMHOLE_COPY_THREADS");
    if (text && *text) {
        unsigned long n = strtoul(text, NULL, 10);
        return n < MOST_HELPERS ? (unsigned)n : MOST_HELPERS;
    }
    int n = wh_cores();
    return n >= 16 ? 3 : n >= 8 ? 2 : n >= 4 ? 1 : 0;
}

static void start_helpers(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    unsigned wanted = count_wanted();
    if (pthread_attr_init(&attributes) != 0)
        return;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, 256 << 10);
    sigfillset(&all); /* signals are the program's own threads' */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (bulk.helpers < wanted && pthread_create(&thread, &attributes, help, NULL) == 0)
        bulk.helpers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* A child has no helpers yet. */
static void forget_in_child(void)
{
    pthread_mutex_init(&bulk.use, NULL);
    pthread_mutex_init(&bulk.lock, NULL);
    pthread_cond_init(&bulk.wake, NULL);
    bulk.once = (pthread_once_t)PTHREAD_ONCE_INIT;
    bulk.helpers = 0;
    /* A copy of the parent's that was on is not the child's. */
    atomic_store(&bulk.turn, (uint64_t)number_of(atomic_load(&bulk.turn)) << 32 | CLOSED);
    atomic_store(&bulk.sleepers, 0);
}

static void prepare(void)
{
    static atomic_flag prepared = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&prepared))
        pthread_atfork(NULL, NULL, forget_in_child);
    start_helpers();
}

/* ---- the copy ---- */

static void copy_together(uint8_t *to, const uint8_t *from, size_t size)
{
    uint32_t nparts = (uint32_t)((size + PART - 1) / PART);
    uint32_t number = number_of(atomic_load_explicit(&bulk.turn, memory_order_relaxed));
    atomic_store_explicit(&bulk.turn, (uint64_t)number << 32 | CLOSED, memory_order_relaxed);
    atomic_store_explicit(&bulk.done, 0, memory_order_relaxed);
    atomic_store_explicit(&bulk.to, to, memory_order_release);
    atomic_store_explicit(&bulk.from, from, memory_order_release);
    atomic_store_explicit(&bulk.size, size, memory_order_release);
    atomic_store_explicit(&bulk.nparts, nparts, memory_order_release);
    atomic_store(&bulk.turn, (uint64_t)(number + 1) << 32);
    if (atomic_load(&bulk.sleepers) > 0) {
        pthread_mutex_lock(&bulk.lock);
        pthread_cond_broadcast(&bulk.wake);
        pthread_mutex_unlock(&bulk.lock);
    }
    while (copy_part())
        ;
    while (atomic_load_explicit(&bulk.done, memory_order_acquire) < nparts)
        wh_relax();
}

void wh_bulk_copy(void *to, const void *from, size_t size)
{
    if (size >= WH_BULK_LEAST)
        pthread_once(&bulk.once, prepare);
    if (size < WH_BULK_LEAST || size / PART >= CLOSED - 1 || bulk.helpers == 0 ||
        pthread_mutex_trylock(&bulk.use) != 0) {
        memcpy(to, from, size);
        return;
    }
    copy_together(to, from, size);
    pthread_mutex_unlock(&bulk.use);
}
