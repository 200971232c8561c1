/* SPDX-License-Identifier: Apache-2.0 */
/* See ringer.h. */
#include "daemon/ringer.h"

#include "base/util.h"
#include "daemon/region.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define REST_MS         1u  /* between two looks */
#define LONGEST_REST_MS 64u /* if the VM does not read its port */

_Static_assert(WH_AGENT_BELLS >= WH_REGION_BELLS, "all bells fit into what is said at once");

static void on_rest_end(struct wh_timer *timer)
{
    struct wh_ringer *ringer = WH_CONTAINER(timer, struct wh_ringer, rest);
    wh_loop_mute(ringer->loop, &ringer->rung, false);
}

/* What rings meanwhile waits in the epoll, each bell once. */
static void rest(struct wh_ringer *ringer, uint64_t ms)
{
    ringer->rest_ms = ms < LONGEST_REST_MS ? ms : LONGEST_REST_MS;
    wh_loop_mute(ringer->loop, &ringer->rung, true);
    wh_loop_set_timer(ringer->loop, &ringer->rest, ringer->rest_ms, on_rest_end);
}

static void on_rung(struct wh_source *source, uint32_t events)
{
    struct wh_ringer *ringer = WH_CONTAINER(source, struct wh_ringer, rung);
    struct epoll_event rung[WH_REGION_BELLS];
    uint32_t peers[WH_REGION_BELLS];
    (void)events;
    if (!wh_agent_has_read(ringer->agent)) {
        rest(ringer, 2 * ringer->rest_ms);
        return;
    }
    int n = epoll_wait(source->fd, rung, WH_REGION_BELLS, 0);
    for (int i = 0; i < n; i++)
        peers[i] = rung[i].data.u32;
    if (n > 0)
        wh_agent_ring(ringer->agent, peers, (unsigned)n);
    rest(ringer, REST_MS);
}

int wh_ringer_start(struct wh_ringer *ringer, struct wh_loop *loop, struct wh_agent *agent,
                    const int *bells, struct wh_error *error)
{
    wh_ringer_stop(ringer);
    if (bells[0] < 0)
        return 0;
    WH_CLEANUP_CLOSE int all = epoll_create1(EPOLL_CLOEXEC);
    int code = all < 0 ? errno : 0;
    for (uint32_t peer = 0; peer < WH_REGION_BELLS && !code; peer++) {
        /* By their edges: nobody has to read what they count. */
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = peer};
        code = epoll_ctl(all, EPOLL_CTL_ADD, bells[peer], &event) < 0 ? errno : 0;
    }
    if (code)
        return wh_error_set(error, code, "its doorbells cannot be heard: %s", strerror(code));
    *ringer = (struct wh_ringer){.loop = loop, .agent = agent, .rung.fd = -1, .rest_ms = REST_MS};
    if (wh_loop_add(loop, &ringer->rung, all, on_rung, error) < 0)
        return -1;
    (void)wh_steal_fd(&all);
    rest(ringer, REST_MS); /* also for who starts again and again */
    return 0;
}

bool wh_ringer_listens(const struct wh_ringer *ringer)
{
    return ringer->rung.fd >= 0;
}

void wh_ringer_stop(struct wh_ringer *ringer)
{
    int fd = ringer->rung.fd;
    if (fd < 0)
        return;
    wh_loop_clear_timer(&ringer->rest);
    wh_loop_remove(ringer->loop, &ringer->rung);
    close(fd);
}
