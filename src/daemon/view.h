/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker sees of the host's files: the system's programs and libraries, the accelerators'
 * devices, what the configuration and the environment name, and its tenant's own folder; nothing of
 * anybody's home, of other tenants, of /run, /tmp or /var. The kernel's Landlock enforces it. Used
 * by spawn.c in a worker's process before it becomes the worker, and by `wormhole doctor`.
 */
#ifndef WH_DAEMON_VIEW_H
#define WH_DAEMON_VIEW_H

#include "daemon/config.h"

/* Whether this kernel can do it. */
bool wh_view_supported(void);

/*
 * Restricts this process and all that it will start, for good; `home` is the tenant's own folder,
 * empty when it has none, and `own_shm` tells that /dev/shm is the tenant's, too. Does nothing on
 * kernels that cannot do it. -1 with errno set on failure.
 */
int wh_view_enter(const struct wh_config *config, const char *home, bool own_shm);

#endif
