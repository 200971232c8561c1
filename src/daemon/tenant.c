/* SPDX-License-Identifier: Apache-2.0 */
/* Who a client is and what it may have; see tenant.h. */
#include "daemon/tenant.h"

#include "base/util.h"
#include "channel/segment.h"
#include "daemon/ledger.h"
#include "daemon/sweep.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define PAGE 4096u

static struct wh_tenant *find(struct wh_server *server, const char *name)
{
    for (struct wh_tenant *tenant = server->tenants; tenant; tenant = tenant->next)
        if (strcmp(tenant->name, name) == 0)
            return tenant;
    return NULL;
}

static struct wh_tenant *find_or_make(struct wh_server *server, const char *prefix,
                                      const char *name, const struct wh_limits *limits)
{
    char safe[sizeof(((struct wh_tenant *)0)->name)];
    (void)snprintf(safe, sizeof(safe), "%s%s", prefix, name);
    for (char *c = safe; *c; c++)
        if (!isalnum((unsigned char)*c) && (*c != '.' || c == safe) && !strchr("-_", *c))
            *c = '_';
    struct wh_tenant *tenant = find(server, safe);
    if (tenant)
        return tenant;
    tenant = calloc(1, sizeof(*tenant));
    if (!tenant)
        return NULL;
    memcpy(tenant->name, safe, sizeof(safe));
    tenant->server = server;
    tenant->sweeper.fd = -1;
    tenant->limits = *limits;
    tenant->next = server->tenants;
    server->tenants = tenant;
    return tenant;
}

struct wh_tenant *wh_tenant_of_user(struct wh_server *server, uid_t uid)
{
    const struct wh_config *config = server->config;
    const struct wh_limits none = {0};
    for (size_t i = 0; i < config->ntenants; i++)
        for (size_t k = 0; k < config->tenants[i].nuids; k++)
            if (config->tenants[i].uids[k] == uid)
                return find_or_make(server, "", config->tenants[i].name,
                                    &config->tenants[i].limits);
    char name[16];
    (void)snprintf(name, sizeof(name), "%u", uid);
    return find_or_make(server, "user-", name, &none);
}

struct wh_tenant *wh_tenant_of_vm(struct wh_server *server, const char *name,
                                  const struct wh_limits *limits)
{
    return find_or_make(server, "vm-", name, limits);
}

int wh_tenant_admit(const struct wh_server *server, const struct wh_tenant *tenant,
                    struct wh_error *error)
{
    if (tenant->limits.max_sessions && tenant->nsessions >= tenant->limits.max_sessions)
        return wh_error_set(error, EDQUOT,
                            "%s already has the %u sessions that the server allows it",
                            tenant->name, tenant->limits.max_sessions);
    if (server->nsessions >= server->config->limits.max_sessions)
        return wh_error_set(error, EBUSY,
                            "the server is busy: it already runs all of its %u sessions",
                            server->config->limits.max_sessions);
    return 0;
}

int wh_tenant_segment_size(const struct wh_server *server, const struct wh_tenant *tenant,
                           uint64_t wanted, uint64_t standard, uint64_t *size,
                           struct wh_error *error)
{
    uint64_t limit = tenant->limits.session_memory;
    uint64_t most = limit ? limit : server->config->limits.session_memory;
    if (!most)
        most = server->machine_memory;
    if (wanted > most)
        return wh_error_set(
            error, EDQUOT,
            "the client wants %llu MiB of shared memory, the server allows %s %llu MiB",
            (unsigned long long)(wanted >> 20), tenant->name, (unsigned long long)(most >> 20));
    uint64_t arena = wanted ? wanted : standard < most ? standard : most;
    *size = wh_round_up(arena, PAGE) + WH_ARENA_START;
    if (*size < WH_SEGMENT_LEAST)
        *size = WH_SEGMENT_LEAST;
    return 0;
}

void wh_tenants_free(struct wh_server *server)
{
    while (server->tenants) {
        struct wh_tenant *next = server->tenants->next;
        wh_ledger_free(server->tenants);
        wh_sweep_forget(server->tenants);
        free(server->tenants);
        server->tenants = next;
    }
}
