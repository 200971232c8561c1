/* SPDX-License-Identifier: Apache-2.0 */
/* See agent_server.h. */
#include "daemon/agent_server.h"

#include "base/log.h"
#include "base/util.h"
#include "daemon/agent.h"
#include "daemon/ringer.h"

#include <errno.h>
#include <stddef.h>

#define BUDGET_MS 1000u /* of a call: what the module grants if it is told nothing */

struct wh_agent_server {
    struct wh_server *server;
    struct wh_agent_server **home;
    struct wh_gate_vm *const *client;
    const int *bells;
    const char *name; /* the client's VM */
    struct wh_agent *agent;
    struct wh_ringer ringer;
    struct wh_source port;
};

static int get_device(void *context)
{
    const struct wh_agent_server *self = context;
    return wh_gate_device(*self->client);
}

static int made(void *context, struct wh_agent_view *view)
{
    const struct wh_agent_server *self = context;
    int code = wh_gate_bind_view(*self->client, view->fd, &view->index);
    wh_debug("vm %s: view %llu of its service VM, %llu pages: %s", self->name,
             (unsigned long long)view->number, (unsigned long long)view->pages,
             code ? "not bound" : "bound");
    return code;
}

static void ending(void *context, struct wh_agent_view *view)
{
    const struct wh_agent_server *self = context;
    wh_gate_unbind_view(*self->client, view->index);
    wh_debug("vm %s: view %llu of its service VM ends", self->name,
             (unsigned long long)view->number);
}

static bool listen_to_bells(void *context, bool wanted)
{
    struct wh_agent_server *self = context;
    struct wh_error error = {0};
    if (!wanted)
        wh_ringer_stop(&self->ringer);
    else if (!wh_ringer_listens(&self->ringer) &&
             wh_ringer_start(&self->ringer, &self->server->loop, self->agent, self->bells, &error) <
                 0)
        wh_log("vm %s: its service VM cannot be rung: %s", self->name, error.text);
    return wh_ringer_listens(&self->ringer);
}

static void on_port(struct wh_source *source, uint32_t events)
{
    struct wh_agent_server *self = WH_CONTAINER(source, struct wh_agent_server, port);
    (void)events;
    if (wh_agent_read(self->agent) == 0)
        return;
    wh_log("vm %s: its service VM's agent is gone", self->name);
    wh_agent_server_close(self);
}

int wh_agent_serve(struct wh_server *server, int socket, const struct wh_config_vm *config,
                   struct wh_gate_vm *const *client, const int *bells,
                   struct wh_agent_server **home, struct wh_error *error)
{
    const struct wh_agent_limits limits = {.pages = config->views / 4096, .budget_ms = BUDGET_MS};
    struct wh_agent_server *self = calloc(1, sizeof(*self));
    const struct wh_agent_handlers handlers = {.device = get_device,
                                               .made = made,
                                               .ending = ending,
                                               .listen = listen_to_bells,
                                               .context = self};
    if (self)
        *self = (struct wh_agent_server){.server = server,
                                         .home = home,
                                         .client = client,
                                         .bells = bells,
                                         .ringer = WH_RINGER_NONE,
                                         .name = config->name,
                                         .agent = wh_agent_new(socket, &limits, &handlers)};
    if (!self || !self->agent) {
        close(socket);
        free(self);
        return wh_error_set(error, ENOMEM, "out of memory");
    }
    if (wh_loop_add(&server->loop, &self->port, socket, on_port, error) < 0) {
        wh_agent_free(self->agent);
        free(self);
        return -1;
    }
    *home = self;
    return 0;
}

const struct wh_agent_view *wh_agent_server_views(const struct wh_agent_server *agent)
{
    return agent ? wh_agent_views(agent->agent) : NULL;
}

void wh_agent_server_forget_bells(struct wh_agent_server *agent)
{
    if (agent)
        wh_ringer_stop(&agent->ringer);
}

void wh_agent_server_end_views(struct wh_agent_server *agent)
{
    if (agent)
        wh_agent_end_views(agent->agent);
}

void wh_agent_server_close(struct wh_agent_server *agent)
{
    if (!agent)
        return;
    *agent->home = NULL;
    wh_ringer_stop(&agent->ringer);
    wh_loop_remove(&agent->server->loop, &agent->port);
    wh_agent_free(agent->agent);
    free(agent);
}
