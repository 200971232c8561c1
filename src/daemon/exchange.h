/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sessions of one tenant offer to one another (memory, events), kept by token until the
 * session that offered it ends. A token opens its thing to sessions of the same tenant only. Used
 * by session.c.
 */
#ifndef WH_DAEMON_EXCHANGE_H
#define WH_DAEMON_EXCHANGE_H

#include "daemon/session.h"
#include "wire/exchange.h"

/* Begins to listen to a session's worker; `*theirs` is the worker's end, the caller's to close. */
int wh_exchange_open(struct wh_served *session, int *theirs, struct wh_error *error);

/* Answers a question that was left open (EINPROGRESS), with this status. */
void wh_exchange_answer(struct wh_served *session, struct wh_exchange_letter *letter, int status);

/* The session is over, and with it all that it offered. Harmless when it was never opened. */
void wh_exchange_close(struct wh_served *session);

#endif
