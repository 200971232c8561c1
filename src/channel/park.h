/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting without burning a core: spin for a measured budget, then sleep in the way the transport
 * offers (futex on one host, an eventfd behind a doorbell, bounded naps across VMs). Called by the
 * channels only.
 */
#ifndef WH_CHANNEL_PARK_H
#define WH_CHANNEL_PARK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum wh_park_kind {
    WH_PARK_FUTEX,   /* both sides share one kernel */
    WH_PARK_EVENTFD, /* the other side rings `fd`, or somebody passes its ring on, by a pipe */
    WH_PARK_NAP,     /* nobody can ring: sleep a little, longer each time */
};

/* What those who sleep by one descriptor know of rings that may get lost. All zero at the start. */
struct wh_hearing {
    _Atomic uint32_t heard;  /* rings that somebody took */
    _Atomic uint32_t own;    /* 1: the next one that is taken is this side's own */
    _Atomic uint32_t missed; /* that number + 1 when something was found for which none had come */
};

/* How one side sleeps. */
struct wh_park {
    enum wh_park_kind kind;
    int fd;                     /* WH_PARK_EVENTFD */
    uint32_t longest_us;        /* WH_PARK_NAP: the longest nap; WH_PARK_FUTEX: the longest sleep, 0
                                   without end; WH_PARK_EVENTFD: 0 without end, or the longest nap, for
                                   rings may get lost */
    struct wh_hearing *hearing; /* with such naps, which are short from a ring that was missed to
                                   the next one */
};

/* How the other side is woken. */
enum wh_bell_kind { WH_BELL_FUTEX, WH_BELL_EVENTFD, WH_BELL_REGISTER, WH_BELL_NONE };

struct wh_bell {
    enum wh_bell_kind kind;
    int fd;                      /* WH_BELL_EVENTFD */
    volatile uint32_t *doorbell; /* WH_BELL_REGISTER: the device's doorbell register */
    uint32_t value;              /* what to write there: peer and vector */
};

/*
 * The budget of one kind of wait: grows to `most_ns` while spinning pays, shrinks when it does not.
 * Read and written by several threads without a lock: a lost update costs a microsecond, not
 * correctness.
 */
struct wh_spin {
    _Atomic uint32_t budget_ns;
    _Atomic uint32_t most_ns;
};

/*
 * A budget that starts at its most: `few_ns` where this process may use few cores, `many_ns` where
 * a spinning one is not missed, 0 where it has one only. May be called again, at any time.
 */
void wh_spin_init(struct wh_spin *spin, uint32_t few_ns, uint32_t many_ns);

/*
 * Spins while *word == value, at most for the budget; gets out of the way of other runnable
 * threads. Returns true when the word changed.
 */
bool wh_spin_while(struct wh_spin *spin, _Atomic uint32_t *word, uint32_t value);

/*
 * Tells a budget that its spin did not pay how long the wait was in the end, sleep included. Where
 * a longer spin would have been enough the budget grows again; else a few long waits would make
 * sleepers of all the short ones after them.
 */
void wh_spin_learn(struct wh_spin *spin, uint64_t waited_ns);

/*
 * Sleeps while *word == value. May return early. `naps` counts this wait's rounds, from 0.
 */
void wh_park_while(const struct wh_park *park, _Atomic uint32_t *word, uint32_t value,
                   unsigned *naps);

/* Wakes up to `count` sleepers on `word`. */
void wh_bell_ring(const struct wh_bell *bell, _Atomic uint32_t *word, int count);

#endif
