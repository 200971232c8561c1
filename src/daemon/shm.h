/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant's own /dev/shm. NVIDIA's driver shares events between processes by files there, whose
 * names anybody can guess: each tenant's workers find a folder of their tenant's in that place.
 * Needs root and mount namespaces; without them workers have no /dev/shm. Used by spawn.c and
 * sweep.c.
 */
#ifndef WH_DAEMON_SHM_H
#define WH_DAEMON_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * In a worker's process, still root's: from here on its /dev/shm is that of the tenant whose folder
 * is `home`, and belongs to `uid`. False: it cannot be done, and nothing was changed that a worker
 * could notice.
 */
bool wh_shm_enter(const char *home, uid_t uid, gid_t gid);

/* Where it is outside: by the whole path of `home`, because daemons with other folders have other
 * tenants of the same names. */
void wh_shm_folder(const char *home, char *path, size_t size);

/* When a tenant, whose workers were `uid`, has no session any more: its folder goes if it is empty.
 * False: something was left in it. */
bool wh_shm_remove(const char *home, uid_t uid);

/* The same with all that was left, which takes as long as the workers saw to. What they cannot make
 * where Landlock restricts them, folders with something in them, stays. */
void wh_shm_clear(const char *home, uid_t uid);

#endif
