/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent of a service VM as its host sees it: reads from the VM's port which of its memory the
 * agent offers, has the module make views of it, and says what became of each. The port is a Unix
 * socket that QEMU connects (a chardev), so whose memory it is follows from the socket: nothing
 * that an agent can write names another VM. Everything that it writes is hostile input;
 * docs/exitless-internals.md has the lines.
 */
#ifndef WH_DAEMON_AGENT_H
#define WH_DAEMON_AGENT_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define WH_AGENT_RANGES 64u /* of one view */
#define WH_AGENT_VIEWS  64u /* of one agent */
#define WH_AGENT_BELLS  65u /* told of at once */

/* A view of the service VM's memory, to be bound to whose calls run there. */
struct wh_agent_view {
    struct wh_agent_view *next;
    uint64_t number; /* the agent's name for it */
    int fd;
    uint32_t index; /* in the VM that calls there */
    uint64_t gate;  /* the gate page's address, for the client */
    uint64_t key[4];
    uint32_t lanes;
    uint64_t pages;
};

/* What the daemon grants to one service VM. */
struct wh_agent_limits {
    uint64_t pages;     /* in all of its views, pinned or copied */
    uint64_t budget_ms; /* of one call */
};

struct wh_agent_handlers {
    /* The module's device, which stays the callee's; -1: there is none, or no client's VM. */
    int (*device)(void *context);
    /* There is a new view: who is to call there gets it, by the index that is filled in. 0 or an
     * errno value. It stays the agent's, which closes it after `ending`. */
    int (*made)(void *context, struct wh_agent_view *view);
    /* Nobody can call there any more when this returns. That the view is closed afterwards does not
     * see to it: a child of this process may hold it for a while. */
    void (*ending)(void *context, struct wh_agent_view *view);
    /* The agent wants to be told of rings of the client's VM, or not any more: whether it is from
     * here on. NULL: it is never. */
    bool (*listen)(void *context, bool wanted);
    void *context;
};

struct wh_agent;

/* Takes the port over. NULL when memory is short. */
struct wh_agent *wh_agent_new(int port, const struct wh_agent_limits *limits,
                              const struct wh_agent_handlers *handlers);

/* What to wait on until it is readable. */
int wh_agent_port(const struct wh_agent *agent);

/* When the port is readable: does what the agent asks for by one line, for a line can take long:
 * the caller sees to it that others get their turn. -1: it hung up, as it does when the VM ends. */
int wh_agent_read(struct wh_agent *agent);

/* Its views, until it is read again or ends some. */
const struct wh_agent_view *wh_agent_views(const struct wh_agent *agent);

/* The VM has read all that it was told; rings wait for that, so that one who does not read is told
 * of each bell once. */
bool wh_agent_has_read(const struct wh_agent *agent);

/* Tells it whose bells were rung, of so many peers. */
void wh_agent_ring(struct wh_agent *agent, const uint32_t *peers, unsigned npeers);

/* Those who call there are gone, all of them. */
void wh_agent_end_views(struct wh_agent *agent);

/* Ends all its views. NULL is fine. */
void wh_agent_free(struct wh_agent *agent);

#endif
