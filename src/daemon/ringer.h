/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings of a client's VM whose region a service VM serves: listens to the region's doorbells and
 * tells the service VM's agent which were rung. A guest may ring as often as it likes, and a
 * service VM may read its port or not: what one of them costs is bounded. Used by agent_server.c.
 */
#ifndef WH_DAEMON_RINGER_H
#define WH_DAEMON_RINGER_H

#include "daemon/agent.h"
#include "daemon/loop.h"

struct wh_ringer {
    struct wh_loop *loop;
    struct wh_agent *agent;
    struct wh_source rung; /* an epoll of all bells; its descriptor is -1 while nobody listens */
    struct wh_timer rest;  /* until they are looked at again */
    uint64_t rest_ms;
};

#define WH_RINGER_NONE ((struct wh_ringer){.rung.fd = -1})

/* Listens to WH_REGION_BELLS doorbells, for the agent; -1 with a reason. Without bells (-1) it
 * succeeds and does not listen. Starting again is fine. */
int wh_ringer_start(struct wh_ringer *ringer, struct wh_loop *loop, struct wh_agent *agent,
                    const int *bells, struct wh_error *error);

bool wh_ringer_listens(const struct wh_ringer *ringer);

/* Before the bells are closed, or the agent is; harmless when it does not listen. */
void wh_ringer_stop(struct wh_ringer *ringer);

#endif
