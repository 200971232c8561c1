/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: that a change is seen, that sleepers are woken by each kind of bell, and that one core
 * does not spin. */
#include "support.h"

#include "channel/park.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct {
    _Atomic uint32_t word;
    struct wh_park park;
    sem_t ready;
} shared;

static void *sleep_until_changed(void *argument)
{
    unsigned naps = 0;
    (void)argument;
    sem_post(&shared.ready);
    while (atomic_load(&shared.word) == 0)
        wh_park_while(&shared.park, &shared.word, 0, &naps);
    return NULL;
}

/* Changes the word and rings until the sleepers are gone: a ring before the sleep is not lost, the
 * word has changed. */
static void wake(struct wh_park park, struct wh_bell bell, unsigned sleepers)
{
    pthread_t threads[4];
    shared.park = park;
    atomic_store(&shared.word, 0);
    sem_init(&shared.ready, 0, 0);
    for (unsigned i = 0; i < sleepers; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_until_changed, NULL), 0);
    for (unsigned i = 0; i < sleepers; i++)
        sem_wait(&shared.ready);
    atomic_store(&shared.word, 1);
    for (unsigned i = 0; i < sleepers; i++) {
        wh_bell_ring(&bell, &shared.word, INT_MAX);
        pthread_join(threads[i], NULL);
    }
}

static void test_futex(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++)
        wake((struct wh_park){.kind = WH_PARK_FUTEX}, (struct wh_bell){.kind = WH_BELL_FUTEX},
             1 + i % 4);
}

static void test_eventfd(void **state)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)state;
    assert_true(fd >= 0);
    for (unsigned i = 0; i < 200; i++)
        wake((struct wh_park){.kind = WH_PARK_EVENTFD, .fd = fd},
             (struct wh_bell){.kind = WH_BELL_EVENTFD, .fd = fd}, 1);
    close(fd);
}

static struct wh_hearing hearing;

static bool in_doubt(void)
{
    return atomic_load(&hearing.missed) == atomic_load(&hearing.heard) + 1;
}

static bool other_hears;

static void *change(void *argument)
{
    (void)argument;
    sem_wait(&shared.ready);
    if (other_hears)
        atomic_fetch_add(&hearing.heard, 1);
    atomic_store(&shared.word, 1);
    return NULL;
}

/* The word changes during a nap, or just before it, and nobody rings. */
static void miss_a_ring(const struct wh_park *park)
{
    unsigned naps = 0;
    pthread_t thread;
    sem_init(&shared.ready, 0, 0);
    atomic_store(&shared.word, 0);
    assert_int_equal(pthread_create(&thread, NULL, change, NULL), 0);
    sem_post(&shared.ready);
    while (atomic_load(&shared.word) == 0)
        wh_park_while(park, &shared.word, 0, &naps);
    pthread_join(thread, NULL);
}

/* Rings that may get lost: a nap ends by itself, or when one comes; what was missed is remembered
 * until one does. */
static void test_relayed(void **state)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct wh_park park = {
        .kind = WH_PARK_EVENTFD, .fd = fd, .longest_us = 1000, .hearing = &hearing};
    unsigned naps = 0;
    (void)state;
    for (unsigned i = 0; i < 50; i++)
        wake(park, (struct wh_bell){.kind = WH_BELL_EVENTFD, .fd = fd}, 3);
    for (unsigned i = 0; i < 50; i++)
        wake(park, (struct wh_bell){.kind = WH_BELL_NONE}, 3);
    struct wh_bell bell = {.kind = WH_BELL_EVENTFD, .fd = fd};
    uint32_t heard = atomic_load(&hearing.heard);
    atomic_store(&shared.word, 0);
    wh_bell_ring(&bell, NULL, 1);
    park.longest_us = UINT32_MAX; /* this would take an hour */
    naps = 16;
    wh_park_while(&park, &shared.word, 0, &naps);
    assert_int_equal(naps, 17);
    assert_int_equal(atomic_load(&hearing.heard), heard + 1);
    assert_false(in_doubt());
    naps = 0;
    wh_park_while(&park, &shared.word, 0, &naps); /* nobody rang, nothing is there */
    assert_false(in_doubt());
    park.longest_us = 1000;
    while (!in_doubt())
        miss_a_ring(&park);
    other_hears = true; /* another sleeper took the ring */
    for (unsigned i = 0; i < 50; i++) {
        miss_a_ring(&park);
        assert_false(in_doubt());
    }
    other_hears = false;
    while (!in_doubt())
        miss_a_ring(&park);
    park.longest_us = UINT32_MAX;
    atomic_store(&shared.word, 0);
    naps = 16;
    wh_park_while(&park, &shared.word, 0, &naps); /* short, as long as there is doubt */
    assert_true(in_doubt());
    atomic_store(&hearing.own, 1); /* its own ring says nothing of others' */
    wh_bell_ring(&bell, NULL, 1);
    wh_park_while(&park, &shared.word, 0, &naps);
    assert_true(in_doubt());
    wh_bell_ring(&bell, NULL, 1);
    wh_park_while(&park, &shared.word, 0, &naps);
    assert_false(in_doubt());
    close(fd);
}

/* Nobody can ring: naps end by themselves. */
static void test_naps(void **state)
{
    (void)state;
    wake((struct wh_park){.kind = WH_PARK_NAP, .longest_us = 1000},
         (struct wh_bell){.kind = WH_BELL_NONE}, 3);
    struct wh_park park = {.kind = WH_PARK_NAP, .longest_us = 10};
    unsigned naps = 0;
    atomic_store(&shared.word, 0);
    for (unsigned i = 1; i < 40; i++) {
        wh_park_while(&park, &shared.word, 0, &naps);
        assert_int_equal(naps, i);
    }
}

/* A sleep with a limit ends without any bell. */
static void test_bounded_futex(void **state)
{
    struct wh_park park = {.kind = WH_PARK_FUTEX, .longest_us = 1000};
    unsigned naps = 0;
    (void)state;
    atomic_store(&shared.word, 0);
    wh_park_while(&park, &shared.word, 0, &naps);
}

/* Nobody sleeps on a word that has changed already, of whichever kind; this would hang. */
static void test_changed_before(void **state)
{
    static const enum wh_park_kind kinds[] = {WH_PARK_FUTEX, WH_PARK_EVENTFD, WH_PARK_NAP};
    int fd = eventfd(0, EFD_CLOEXEC);
    (void)state;
    atomic_store(&shared.word, 7);
    for (unsigned i = 0; i < 3; i++) {
        struct wh_park park = {.kind = kinds[i], .fd = fd};
        unsigned naps = 0;
        wh_park_while(&park, &shared.word, 6, &naps);
        assert_int_equal(naps, 0);
    }
    close(fd);
}

static void test_doorbell_register(void **state)
{
    volatile uint32_t doorbell = 0;
    struct wh_bell bell = {.kind = WH_BELL_REGISTER, .doorbell = &doorbell, .value = 5u << 16 | 1};
    (void)state;
    wh_bell_ring(&bell, NULL, 1);
    assert_int_equal(doorbell, 5u << 16 | 1);
}

/* ---- spinning ---- */

static void test_spin_sees_a_change(void **state)
{
    struct wh_spin spin;
    (void)state;
    wh_spin_init(&spin, 1000, 1000);
    atomic_store(&shared.word, 4);
    assert_true(wh_spin_while(&spin, &shared.word, 3));
    assert_false(wh_spin_while(&spin, &shared.word, 4));
}

/* A budget that does not pay gets smaller, but never nothing: it could not grow again. */
static void test_budget_shrinks_to_its_least(void **state)
{
    struct wh_spin spin = {.budget_ns = 64000, .most_ns = 64000};
    uint32_t before = 64000;
    (void)state;
    atomic_store(&shared.word, 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_false(wh_spin_while(&spin, &shared.word, 0));
        assert_true(atomic_load(&spin.budget_ns) <= before);
        before = atomic_load(&spin.budget_ns);
    }
    assert_int_equal(before, 1000);
    struct wh_spin small = {.budget_ns = 300,
                            .most_ns = 300}; /* less than the least is its own least */
    assert_false(wh_spin_while(&small, &shared.word, 0));
    assert_int_equal(atomic_load(&small.budget_ns), 300);
}

/* After long waits, short ones are spun for again. */
static void test_budget_recovers(void **state)
{
    struct wh_spin spin = {.budget_ns = 1000, .most_ns = 20000};
    (void)state;
    atomic_store(&shared.word, 0);
    for (unsigned i = 0; i < 10; i++) { /* as long as they are long it stays as it is */
        assert_false(wh_spin_while(&spin, &shared.word, 0));
        wh_spin_learn(&spin, 1000000);
    }
    assert_int_equal(atomic_load(&spin.budget_ns), 1000);
    for (unsigned i = 0; i < 10; i++) {
        assert_false(wh_spin_while(&spin, &shared.word, 0));
        wh_spin_learn(&spin, 12000);
    }
    assert_int_equal(atomic_load(&spin.budget_ns), 20000);
    struct wh_spin none = {.budget_ns = 0, .most_ns = 0};
    wh_spin_learn(&none, 0);
    assert_int_equal(atomic_load(&none.budget_ns), 0);
}

static void test_no_budget_no_spin(void **state)
{
    struct wh_spin spin = {.budget_ns = 0, .most_ns = 0};
    (void)state;
    atomic_store(&shared.word, 0);
    assert_false(wh_spin_while(&spin, &shared.word, 0));
    assert_true(wh_spin_while(&spin, &shared.word, 1));
}

/* A process that may use one core only never spins: what it waits for could not happen meanwhile.
 */
static void test_one_core(void **state)
{
    struct wh_spin spin;
    cpu_set_t all, one;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    for (unsigned i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    wh_spin_init(&spin, 50000, 50000);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    assert_int_equal(atomic_load(&spin.budget_ns), 0);
    assert_int_equal(spin.most_ns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_futex),
        cmocka_unit_test(test_eventfd),
        cmocka_unit_test(test_relayed),
        cmocka_unit_test(test_naps),
        cmocka_unit_test(test_bounded_futex),
        cmocka_unit_test(test_changed_before),
        cmocka_unit_test(test_doorbell_register),
        cmocka_unit_test(test_spin_sees_a_change),
        cmocka_unit_test(test_budget_shrinks_to_its_least),
        cmocka_unit_test(test_budget_recovers),
        cmocka_unit_test(test_no_budget_no_spin),
        cmocka_unit_test(test_one_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
