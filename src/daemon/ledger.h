/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's end of tenants' ledgers (worker/ledger.h): one per tenant, made with its first
 * session. Used by session.c. What workers write there is never believed, only shown.
 */
#ifndef WH_DAEMON_LEDGER_H
#define WH_DAEMON_LEDGER_H

#include "daemon/session.h"

/*
 * Gives a session an account that none of its tenant's running sessions has, and the request what
 * its worker needs of it. A session without one (memory is short) works; its use is not shown.
 */
void wh_ledger_assign(struct wh_served *session, struct wh_session_request *request);

/* The account belongs to the session from here on: its worker runs. */
void wh_ledger_enter(struct wh_served *session);

/* The session is over. */
void wh_ledger_clear(struct wh_served *session);

void wh_ledger_free(struct wh_tenant *tenant);

#endif
