/* SPDX-License-Identifier: Apache-2.0 */
/* See agent_server.h. */
#include "daemon/agent_server.h"

#include "base/log.h"
#include "base/util.h"
#include "daemon/agent.h"
#include "daemon/ringer.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

#define BUDGET_MS 1000u    /* of a call: what the module grants if it is told nothing */
#define WORK_NS   1000000u /* what the agent has of the loop before its port rests */
#define REST      4u       /* times as long as it had: never more than a fifth of the loop */

/* Nothing that it may ask for takes that much, but this process may be stopped in the middle. */
#define LONGEST_REST_MS 10000u

struct wh_agent_server {
    struct wh_server *server;
    struct wh_agent_server **home;
    struct wh_gate_vm *const *client;
    const int *bells;
    const char *name; /* the client's VM */
    struct wh_agent *agent;
    struct wh_ringer ringer;
    struct wh_source port;
    struct wh_timer rest;
    uint64_t worked_ns; /* since the last rest */
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

static void on_rest_end(struct wh_timer *timer)
{
    struct wh_agent_server *self = WH_CONTAINER(timer, struct wh_agent_server, rest);
    wh_loop_mute(&self->server->loop, &self->port, false);
}

/* An agent may ask without end for what takes long. What is short adds up, too. */
static void count_work(struct wh_agent_server *self, uint64_t ns)
{
    self->worked_ns += ns;
    if (self->worked_ns < WORK_NS)
        return;
    uint64_t ms = REST * self->worked_ns / 1000000 + 1;
    wh_loop_mute(&self->server->loop, &self->port, true);
    wh_loop_set_timer(&self->server->loop, &self->rest, ms < LONGEST_REST_MS ? ms : LONGEST_REST_MS,
                      on_rest_end);
    self->worked_ns = 0;
}

/* A hang-up comes through while the port rests: all views end with it, whatever else it wrote. */
static void on_port(struct wh_source *source, uint32_t events)
{
    struct wh_agent_server *self = WH_CONTAINER(source, struct wh_agent_server, port);
    uint64_t start_ns = wh_now_ns();
    if (!(events & (EPOLLHUP | EPOLLERR)) && wh_agent_read(self->agent) == 0) {
        count_work(self, wh_now_ns() - start_ns);
        return;
    }
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
    wh_loop_clear_timer(&agent->rest);
    wh_loop_remove(&agent->server->loop, &agent->port);
    wh_agent_free(agent->agent);
    free(agent);
}
