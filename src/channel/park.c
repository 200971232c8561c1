/* SPDX-License-Identifier: Apache-2.0 */
/* Adaptive waiting; see park.h. */
#include "channel/park.h"

#include "base/cores.h"
#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>

#define LEAST_BUDGET_NS 1000u
#define MANY_CORES      4     /* both sides may spin, and the program has some left */
#define ROUND_SPINS     64    /* looks at the word between two looks at the clock */
#define YIELD_COST_NS   15000 /* a yield that took longer ran somebody else */
#define DOUBT_NAP_US    1000u
#define WAKE_COST_NS \
    40000 /* to sleep and be woken; a wait that took that long may have been short */

void wh_spin_init(struct wh_spin *spin, uint32_t few_ns, uint32_t many_ns)
{
    int cores = wh_cores();
    uint32_t most = cores < 2 ? 0 : cores < MANY_CORES ? few_ns : many_ns;
    atomic_init(&spin->most_ns, most);
    atomic_init(&spin->budget_ns, most);
}

/* Looks at the word a number of times. Acquire pairs with the release of whoever changes it. */
static bool changes_soon(_Atomic uint32_t *word, uint32_t value)
{
    for (int i = 0; i < ROUND_SPINS; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != value)
            return true;
        wh_relax();
    }
    return false;
}

static void adapt(struct wh_spin *spin, uint32_t budget, bool paid)
{
    uint32_t most = atomic_load_explicit(&spin->most_ns, memory_order_relaxed);
    uint32_t next = paid ? budget * 2 : budget / 2;
    if (next > most)
        next = most;
    if (next < LEAST_BUDGET_NS)
        next = LEAST_BUDGET_NS < most ? LEAST_BUDGET_NS : most;
    if (next != budget)
        atomic_store_explicit(&spin->budget_ns, next, memory_order_relaxed);
}

bool wh_spin_while(struct wh_spin *spin, _Atomic uint32_t *word, uint32_t value)
{
    if (atomic_load_explicit(word, memory_order_acquire) != value)
        return true;
    uint32_t budget = atomic_load_explicit(&spin->budget_ns, memory_order_relaxed);
    if (budget == 0)
        return false;
    uint64_t start = wh_now_ns();
    uint64_t now = start;
    while (now - start < budget) {
        if (changes_soon(word, value)) {
            adapt(spin, budget, true);
            return true;
        }
        uint64_t before = wh_now_ns();
        sched_yield();
        now = wh_now_ns();
        if (now - before > YIELD_COST_NS)
            break;
    }
    bool changed = atomic_load_explicit(word, memory_order_acquire) != value;
    adapt(spin, budget, changed);
    return changed;
}

static struct timespec from_us(uint64_t us)
{
    return (struct timespec){.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000 * 1000)};
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value, uint32_t longest_us)
{
    struct timespec limit = from_us(longest_us);
    syscall(SYS_futex, word, FUTEX_WAIT, value, longest_us ? &limit : NULL, NULL, 0);
}

/* Longer each time. */
static struct timespec nap_of(unsigned round, uint32_t longest_us)
{
    uint64_t us = round < 16 ? 20ull << round / 2 : longest_us;
    return from_us(us < longest_us ? us : longest_us);
}

static void nap(const struct wh_park *park, unsigned round)
{
    struct timespec time = nap_of(round, park->longest_us);
    nanosleep(&time, NULL);
}

enum waited { WAITED, WOKEN, RUNG }; /* for nothing; by a ring that another took; or took it */

/* Sleeps until somebody rings the eventfd, or for so long; all sleepers wake, and each looks at its
 * word again. */
static enum waited wait_for_eventfd(int fd, const struct timespec *longest)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint64_t count[64]; /* a pipe has one for each ring */
    if (ppoll(&ready, 1, longest, NULL) <= 0)
        return WAITED;
    return read(fd, count, sizeof(count)) > 0 ? RUNG : WOKEN;
}

/*
 * A nap that a ring ends. The first ones are short: a message may follow the last one sooner than
 * its ring. Others sleep by the same eventfd, and one of them may have taken the ring.
 */
static void nap_by_eventfd(const struct wh_park *park, _Atomic uint32_t *word, uint32_t value,
                           unsigned round)
{
    struct wh_hearing *hearing = park->hearing;
    uint32_t heard = atomic_load(&hearing->heard), longest = park->longest_us;
    if (atomic_load(word) != value) /* before that many were heard */
        return;
    if (atomic_load(&hearing->missed) == heard + 1 && longest > DOUBT_NAP_US)
        longest = DOUBT_NAP_US;
    struct timespec time = nap_of(round, longest);
    enum waited waited = wait_for_eventfd(park->fd, &time);
    if (waited == RUNG && !atomic_exchange(&hearing->own, 0))
        atomic_fetch_add(&hearing->heard, 1);
    else if (waited == WAITED && atomic_load(word) != value) /* its ring was lost, or is coming */
        atomic_store(&hearing->missed, heard + 1);
}

void wh_spin_learn(struct wh_spin *spin, uint64_t waited_ns)
{
    uint32_t most = atomic_load_explicit(&spin->most_ns, memory_order_relaxed);
    uint32_t budget = atomic_load_explicit(&spin->budget_ns, memory_order_relaxed);
    if (waited_ns > (uint64_t)most + WAKE_COST_NS || budget >= most)
        return;
    budget = budget > most / 4 ? most : budget * 4; /* it was halved just now */
    atomic_store_explicit(&spin->budget_ns, budget, memory_order_relaxed);
}

void wh_park_while(const struct wh_park *park, _Atomic uint32_t *word, uint32_t value,
                   unsigned *naps)
{
    if (atomic_load_explicit(word, memory_order_acquire) != value)
        return;
    switch (park->kind) {
    case WH_PARK_FUTEX:
        futex_wait(word, value, park->longest_us);
        break;
    case WH_PARK_EVENTFD:
        if (park->longest_us)
            nap_by_eventfd(park, word, value, (*naps)++);
        else
            (void)wait_for_eventfd(park->fd, NULL);
        break;
    case WH_PARK_NAP:
        nap(park, (*naps)++);
        break;
    }
}

void wh_bell_ring(const struct wh_bell *bell, _Atomic uint32_t *word, int count)
{
    switch (bell->kind) {
    case WH_BELL_FUTEX:
        syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
        break;
    case WH_BELL_EVENTFD: {
        uint64_t one = 1;
        ssize_t ignored = write(bell->fd, &one, sizeof(one));
        (void)ignored;
        break;
    }
    case WH_BELL_REGISTER:
        *bell->doorbell = bell->value;
        break;
    case WH_BELL_NONE:
        break;
    }
}
