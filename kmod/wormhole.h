/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's own types. view.c makes what a vCPU can touch, vm.c hangs views
 * on a VM's vCPUs and takes them off, switch.c runs at each VM entry and exit of
 * such a VM, main.c is the device.
 *
 * One mutex, wh_lock, orders everything that makes, binds or ends. The probes in
 * switch.c take no lock: they run with interrupts off, which is a read side of
 * RCU, and an IPI to a CPU returns only after that CPU left them.
 */
#ifndef WORMHOLE_H
#define WORMHOLE_H

#include <linux/atomic.h>
#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "layout.h"
#include "uapi/wormhole.h"

struct wh_vm;

/* A lane as the module sees it; what is in `page` its session may have forged. */
struct wh_lane {
	void *page;
	u64 started;	/* the call that `used` belongs to */
	u64 used;	/* its time so far, in cycles of the TSC */
};

struct wh_pinned {
	struct page **pages;
	unsigned long count;
};

struct wh_view {
	u64 eptp;
	u64 *ept;		/* its root */
	u64 *anywhere[4];	/* by level: tables all of whose entries lead to `tables` */
	u64 *tables;		/* the root of the guest's page tables */
	u64 window;		/* guest-physical address of the first page */
	u64 next;		/* ... and of the next one to be given away */
	u64 gate;
	u64 budget;		/* cycles */
	u32 n_lanes;
	struct wh_lane *lanes;

	struct kvm *source;	/* while the view is made: whose memory, NULL: the caller's */
	struct mm_struct *mm;	/* whose RLIMIT_MEMLOCK `locked` pages count against */
	unsigned long locked;
	struct list_head own;	/* pages of the module's, by lru */
	unsigned long n_own;
	struct wh_pinned *pinned;
	u32 n_pinned;

	struct wh_vm *vm;	/* under wh_lock */
	u32 index;
	bool lost;		/* set once; no way in any more */

	atomic64_t suspensions, retries, forwards, strays, violations, overruns;
	atomic64_t exits[WORMHOLE_REASONS];
};

/* An index of a VM. One that was used stays known by its gate page: see refuse in switch.c. */
struct wh_slot {
	struct wh_view __rcu *view;
	u64 gate;
	bool closed;		/* no list may hold it */
};

struct wh_vcpu {
	u64 *list;		/* the EPTP list; [0] is KVM's own root */
	u64 entered;		/* TSC */
	bool armed;		/* the VMCS names `list`; its own thread's, or under vcpu->mutex */
	bool set_bit;		/* it was us who set the VMCS's VMFUNC bit */
	bool skip;		/* the exit was ours, KVM must not see it */
	bool fault;		/* raise #UD in the guest */
	u64 landed;		/* where the client goes on after a violation; 0: KVM knows */
	u64 entries;
	u64 exits[WORMHOLE_REASONS];
};

struct wh_vm {
	struct hlist_node node;
	struct kvm *kvm;
	u32 users;		/* descriptors and bindings; under wh_lock */
	u32 bound;
	u32 high;		/* slots in use lie below */
	bool closing;
	bool revived;		/* opened again since the last attempt to clean it began */
	struct wh_slot slots[WORMHOLE_INDEX_MAX + 1];
	struct wh_vcpu *vcpus[KVM_MAX_VCPUS];
	struct work_struct populate;
	struct delayed_work clean;
};

extern struct mutex wh_lock;
extern struct workqueue_struct *wh_queue;
extern atomic_t wh_views, wh_vms;
extern atomic64_t wh_pinned_pages, wh_own_pages, wh_list_pages;
extern bool wh_execute_only;

/* gate.S */
extern const u8 wh_gate_code[], wh_gate_claim[], wh_gate_running[], wh_gate_finish[];
extern const u8 wh_gate_leave[], wh_gate_refuse[], wh_gate_resume[], wh_gate_end[];

/*
 * view.c: makes a view of the calling process's memory or, if `source` is not NULL, of that
 * VM's, on whose file the caller holds a reference meanwhile; process context.
 */
struct wh_view *wh_view_create(const struct wormhole_view_create *wish,
			       const struct wormhole_range *ranges, struct kvm *source);
void wh_view_free(struct wh_view *view);
void wh_view_stats(const struct wh_view *view, struct wormhole_view_stats *stats);

/* vm.c, all but wh_vm_find and wh_slot_close under wh_lock */
struct wh_vm *wh_vm_open(struct kvm *kvm);
void wh_vm_put(struct wh_vm *vm);
int wh_vm_bind(struct wh_vm *vm, struct wh_view *view);
void wh_vm_unbind(struct wh_view *view);
void wh_vm_stats(const struct wh_vm *vm, struct wormhole_vm_stats *stats);
struct wh_vm *wh_vm_find(const struct kvm *kvm);
void wh_slot_close(struct wh_vm *vm, u32 index);

/* switch.c */
int wh_switch_start(void);
void wh_switch_stop(void);
void wh_switch_disarm(struct wh_vcpu *state);

#endif
