/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting worker processes: their descriptors, environment, user and arguments. Used by session.c
 * only. A worker inherits nothing from the daemon that is not named here.
 */
#ifndef WH_DAEMON_SPAWN_H
#define WH_DAEMON_SPAWN_H

#include "daemon/session.h"

/* Returns the new worker's process id, or -1 with a reason. */
pid_t wh_spawn_worker(const struct wh_config *config, const struct wh_session_request *request,
                      uint32_t session, struct wh_error *error);

/* The folder of a tenant's workers, of PATH_MAX bytes, and who they are. -1: they have none. */
int wh_spawn_find_home(const struct wh_config *config, const char *tenant, char *home, uid_t *uid);

/*
 * Who root's workers are to be when the configuration does not say: a user without powers who can
 * reach what a worker needs, or NULL: root, which is logged. For any other user NULL: itself.
 */
const char *wh_spawn_default_user(const struct wh_config *config);

/* Whether workers can be started at all: their program is there, their user exists. */
int wh_spawn_check(const struct wh_config *config, struct wh_error *error);

#endif
