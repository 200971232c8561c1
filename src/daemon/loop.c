/* SPDX-License-Identifier: Apache-2.0 */
/* epoll and a short list of deadlines; see loop.h. */
#include "daemon/loop.h"

#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>

#define NS_PER_MS 1000000u

int wh_loop_init(struct wh_loop *loop, struct wh_error *error)
{
    *loop = (struct wh_loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (loop->epoll < 0)
        return wh_error_set(error, errno, "cannot make an event loop: %s", strerror(errno));
    return 0;
}

void wh_loop_free(struct wh_loop *loop)
{
    wh_close_fd(&loop->epoll);
}

void wh_loop_stop(struct wh_loop *loop)
{
    loop->stopped = true;
}

int wh_loop_add(struct wh_loop *loop, struct wh_source *source, int fd,
                void (*ready)(struct wh_source *source, uint32_t events), struct wh_error *error)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    *source = (struct wh_source){.fd = fd, .ready = ready};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    source->fd = -1;
    return wh_error_set(error, errno, "cannot watch a descriptor: %s", strerror(errno));
}

void wh_loop_await_writable(struct wh_loop *loop, struct wh_source *source, bool wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0u), .data.ptr = source};
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &event);
}

void wh_loop_mute(struct wh_loop *loop, struct wh_source *source, bool muted)
{
    struct epoll_event event = {.events = muted ? 0 : EPOLLIN, .data.ptr = source};
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &event);
}

void wh_loop_remove(struct wh_loop *loop, struct wh_source *source)
{
    if (source->ready && source->fd >= 0)
        (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    source->fd = -1;
}

void wh_loop_clear_timer(struct wh_timer *timer)
{
    if (!timer->link)
        return;
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->link = NULL;
}

void wh_loop_set_timer(struct wh_loop *loop, struct wh_timer *timer, uint64_t ms,
                       void (*fire)(struct wh_timer *timer))
{
    wh_loop_clear_timer(timer);
    timer->at_ns = wh_now_ns() + ms * NS_PER_MS;
    timer->fire = fire;
    timer->next = loop->timers;
    timer->link = &loop->timers;
    if (timer->next)
        timer->next->link = &timer->next;
    loop->timers = timer;
}

static struct wh_timer *earliest(const struct wh_loop *loop)
{
    struct wh_timer *first = loop->timers;
    for (struct wh_timer *timer = loop->timers; timer; timer = timer->next)
        if (timer->at_ns < first->at_ns)
            first = timer;
    return first;
}

/* Runs what is due; returns the milliseconds until the next deadline, -1 when there is none. */
static int run_timers(struct wh_loop *loop)
{
    struct wh_timer *timer;
    while ((timer = earliest(loop))) {
        uint64_t now = wh_now_ns();
        if (timer->at_ns > now) {
            uint64_t ms = (timer->at_ns - now + NS_PER_MS - 1) / NS_PER_MS;
            return ms > INT_MAX ? INT_MAX : (int)ms;
        }
        wh_loop_clear_timer(timer);
        timer->fire(timer);
    }
    return -1;
}

void wh_loop_run(struct wh_loop *loop)
{
    while (!loop->stopped) {
        struct epoll_event event;
        int timeout = run_timers(loop);
        if (loop->stopped)
            break;
        /* One at a time: a handler may free the source of the next event. */
        if (epoll_wait(loop->epoll, &event, 1, timeout) == 1) {
            struct wh_source *source = event.data.ptr;
            source->ready(source, event.events);
        }
    }
}
