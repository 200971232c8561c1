/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clearing up after tenants: what their workers left in /dev/shm when they have no session any
 * more. It may be any amount, for which nobody must wait: a process of its own does it. Used by
 * session.c and tenant.c.
 */
#ifndef WH_DAEMON_SWEEP_H
#define WH_DAEMON_SWEEP_H

#include "daemon/tenant.h"

/* The tenant has no session any more. */
void wh_sweep_start(struct wh_tenant *tenant);

/* It is about to have one: what is there now may be used again, and goes after that. */
void wh_sweep_stop(struct wh_tenant *tenant);

/* The daemon stops; what was started is done. */
void wh_sweep_forget(struct wh_tenant *tenant);

#endif
