/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's event loop: descriptors and deadlines, one thread, one event at a time, so that a
 * handler may end anything, itself included. Used by all of the daemon.
 */
#ifndef WH_DAEMON_LOOP_H
#define WH_DAEMON_LOOP_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A descriptor that somebody waits for; embedded in what it belongs to. The loop owns neither. */
struct wh_source {
    int fd;
    void (*ready)(struct wh_source *source, uint32_t events);
};

/* A deadline; embedded in what it belongs to. */
struct wh_timer {
    struct wh_timer *next, **link; /* link is NULL while it is not set */
    uint64_t at_ns;
    void (*fire)(struct wh_timer *timer);
};

struct wh_loop {
    int epoll;
    bool stopped;
    struct wh_timer *timers;
};

int wh_loop_init(struct wh_loop *loop, struct wh_error *error);
void wh_loop_free(struct wh_loop *loop);

/* Runs handlers until wh_loop_stop. */
void wh_loop_run(struct wh_loop *loop);
void wh_loop_stop(struct wh_loop *loop);

/* Calls `ready` whenever `fd` is readable or hangs up. */
int wh_loop_add(struct wh_loop *loop, struct wh_source *source, int fd,
                void (*ready)(struct wh_source *source, uint32_t events), struct wh_error *error);
/* Whether `ready` is called when it can be written to, as well. */
void wh_loop_await_writable(struct wh_loop *loop, struct wh_source *source, bool wanted);
/* Whether `ready` is not called for a while, whatever there is. */
void wh_loop_mute(struct wh_loop *loop, struct wh_source *source, bool muted);
/* Before the descriptor is closed; harmless when it was never added. */
void wh_loop_remove(struct wh_loop *loop, struct wh_source *source);

/* Calls `fire` once, `ms` from now; setting a timer that is set moves it. */
void wh_loop_set_timer(struct wh_loop *loop, struct wh_timer *timer, uint64_t ms,
                       void (*fire)(struct wh_timer *timer));
void wh_loop_clear_timer(struct wh_timer *timer);

/* The structure of `type` in which `pointer` is the member `member`. */
#define WH_CONTAINER(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
