/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exitless path as the daemon has it: finds a VM's KVM descriptor in its QEMU, and binds the
 * views that workers make of their memory (worker/gate.h) to that VM. Where host, module or VM lack
 * something, it says so for each VM when that is news, and sessions go without.
 */
#ifndef WH_DAEMON_GATE_H
#define WH_DAEMON_GATE_H

#include "base/error.h"

#include <stdint.h>

#define WH_GATE_LOCKED (64u << 20) /* bytes that a worker with a view may pin */

struct wh_gate_vm;
struct wh_served;
struct wh_server;
struct wormhole_info;
struct wormhole_view_stats;

/* The VM whose QEMU is behind `socket`; nothing is asked of the host before the first session. NULL
 * when memory is short: as good as a VM without. */
struct wh_gate_vm *wh_gate_vm_new(const char *name, int socket);

/* QEMU is gone; sessions of it may still end afterwards. NULL is fine. */
void wh_gate_vm_free(struct wh_server *server, struct wh_gate_vm *vm);

/* The module's device for a new session of this VM (may be NULL); -1: there is no exitless path,
 * but the next session may find one. It stays the VM's. */
int wh_gate_device(struct wh_gate_vm *vm);

/* Binds a view, which it takes over, to the session's VM. 0 or an errno value. */
int wh_gate_bind(struct wh_served *session, int *view, uint32_t *index);

/* The same with a view that has no session here, and stays the caller's. Nobody is in the view when
 * the second returns. */
int wh_gate_bind_view(struct wh_gate_vm *vm, int view, uint32_t *index);
void wh_gate_unbind_view(struct wh_gate_vm *vm, uint32_t index);

/* The session's worker is gone, or the daemon goes: lets go of its view. */
void wh_gate_release(struct wh_served *session);

/* The module's counters of a view, and of the module as a whole. -1: there are none. */
int wh_gate_view_stats(int view, struct wormhole_view_stats *stats);
int wh_gate_info(struct wormhole_info *info);

#endif
