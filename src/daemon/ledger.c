/* SPDX-License-Identifier: Apache-2.0 */
/* See ledger.h. */
#include "daemon/ledger.h"

#include "base/log.h"
#include "base/util.h"
#include "daemon/lender.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

/* Memory that no worker can shrink under the others; pages that nobody touches are not there. */
static int make_memory(size_t size)
{
    WH_CLEANUP_CLOSE int fd = memfd_create("wormhole-ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -1;
    return wh_steal_fd(&fd);
}

/* In a service VM views show it. */
static bool make_ledger(struct wh_server *server, struct wh_tenant *tenant, bool shown)
{
    size_t count = server->config->limits.max_sessions;
    size_t size = count * sizeof(struct wh_account);
    uint64_t offset = 0;
    WH_CLEANUP_CLOSE int fd = shown ? wh_lender_reserve(server, size, &offset) : -1;
    if (fd < 0)
        fd = make_memory(size);
    void *memory = fd < 0 ? MAP_FAILED
                          : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (memory == MAP_FAILED) {
        wh_log_limited(&tenant->log, "%s has no ledger: %s", tenant->name, strerror(errno));
        return false;
    }
    tenant->accounts = memory;
    tenant->naccounts = count;
    tenant->ledger = wh_steal_fd(&fd);
    tenant->ledger_offset = offset;
    return true;
}

static bool is_taken(const struct wh_served *session, const struct wh_account *account)
{
    for (const struct wh_served *s = session->server->sessions; s; s = s->next)
        if (s->account == account)
            return true;
    return false;
}

void wh_ledger_assign(struct wh_served *session, struct wh_session_request *request)
{
    struct wh_tenant *tenant = session->tenant;
    request->ledger = -1;
    if (!tenant->accounts &&
        !make_ledger(session->server, tenant, strcmp(request->transport, "ivshmem") == 0))
        return;
    for (size_t i = 0; i < tenant->naccounts; i++) {
        if (is_taken(session, &tenant->accounts[i]))
            continue;
        session->account = &tenant->accounts[i];
        memset(session->account, 0, sizeof(*session->account));
        request->ledger = tenant->ledger;
        request->account = (uint32_t)i;
        return;
    }
}

void wh_ledger_enter(struct wh_served *session)
{
    struct wh_account *account = session->account;
    if (!account)
        return;
    account->client = session->client;
    account->worker = (uint32_t)session->pid;
    /* Release pairs with the readers' acquire: whose it is stands there. */
    atomic_store_explicit(&account->session, session->number, memory_order_release);
}

void wh_ledger_clear(struct wh_served *session)
{
    if (session->account)
        atomic_store_explicit(&session->account->session, 0, memory_order_release);
    session->account = NULL;
}

void wh_ledger_free(struct wh_tenant *tenant)
{
    if (!tenant->accounts)
        return;
    munmap(tenant->accounts, tenant->naccounts * sizeof(*tenant->accounts));
    wh_close_fd(&tenant->ledger);
}
