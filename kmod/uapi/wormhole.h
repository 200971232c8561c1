/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * What /dev/wormhole understands, and the registers by which a client enters and
 * leaves a view. docs/exitless.md explains both. Workers, the daemon and client
 * stubs include this file; it must never need anything but <linux/types.h> and
 * <linux/ioctl.h>, and the constants must stay usable from assembly.
 */
#ifndef _UAPI_WORMHOLE_H
#define _UAPI_WORMHOLE_H

#ifndef __ASSEMBLER__
#include <linux/ioctl.h>
#include <linux/types.h>
#endif

#define WORMHOLE_VERSION	1

/*
 * The gate page lies at the same address of the client and of the view. In the
 * client it holds the client's stub; in the view it holds two instructions:
 * at ENTER a jump to the gate's code, at LEAVE the VMFUNC back.
 */
#define WORMHOLE_ENTER		0x406	/* follows the client's VMFUNC */
#define WORMHOLE_LEAVE		0x7fd	/* the view's VMFUNC */
#define WORMHOLE_RETURN		0x800	/* where the client goes on, whatever happened */
#define WORMHOLE_VMFUNC_SIZE	3	/* so the client's VMFUNC is at ENTER - 3 */

/*
 * On entry: eax = 0, ecx = the view's index, rdi = lane, rsi = 0 for a call or the
 * token of a suspended one, rdx and rbx = the handler's arguments, r8 to r11 = key.
 *
 * At RETURN: edx = one of these, rsi = the value that goes with it, rsp as at entry;
 * all other general registers are undefined, vector and x87 registers too, except
 * that MXCSR and the x87 control word are as at entry when a call is DONE.
 */
#define WORMHOLE_DONE		0	/* rsi = the handler's result */
#define WORMHOLE_SUSPENDED	1	/* enter again with rsi as the token */
#define WORMHOLE_RETRY		2	/* nothing happened: enter again as before */
#define WORMHOLE_BAD_KEY	3
#define WORMHOLE_BUSY		4	/* no such lane, it is in use, or a stale token */
#define WORMHOLE_LOST		5	/* the session is over */

/*
 * Upper-half addresses of a view. Executable ranges lie here and nowhere else:
 * a program in ring 3 cannot run anything at an upper-half address, so it cannot
 * land on them by a VMFUNC of its own. Linux maps nothing of its own here.
 */
#define WORMHOLE_ZONE		0xfffffc0000000000
#define WORMHOLE_RANGES		0xfffffc0100000000	/* below: the gate's own */
#define WORMHOLE_ZONE_END	0xfffffe0000000000

#define WORMHOLE_INDEX_MAX	511	/* 0 is the VM itself */
#define WORMHOLE_LANES_MAX	256
#define WORMHOLE_STACK_PAGES_MAX 14
#define WORMHOLE_RANGES_MAX	1024
#define WORMHOLE_REASONS	80	/* basic exit reasons that are counted */

#ifndef __ASSEMBLER__

#define WORMHOLE_WRITE		(1u << 0)	/* pinned; the worker's mapping must be writable */
#define WORMHOLE_EXECUTE	(1u << 1)	/* copied, not shared; must hold no VMFUNC */

/* Pages of the calling process or of a VM, and where the view has them. */
struct wormhole_range {
	__u64 address;		/* page aligned; of the caller's, or guest-physical */
	__u64 size;		/* bytes, whole pages */
	__u64 view_address;
	__u32 flags;		/* WORMHOLE_WRITE or WORMHOLE_EXECUTE, or neither: read only */
	__u32 reserved;
};

struct wormhole_view_create {
	__u32 version;		/* WORMHOLE_VERSION */
	__u32 flags;
#define WORMHOLE_OF_VM		(1u << 0)	/* ranges are of the VM that kvm_fd names */
	__u64 gate;		/* address of the gate page in the client, above 4 GiB */
	__u64 handler;		/* u64 (*)(u64, u64, u64 lane), in an executable range */
	__u64 key[4];
	__u64 budget_ns;	/* per call, 0: one second */
	__u32 lanes;		/* calls that can be under way at once */
	__u32 stack_pages;	/* of each lane */
	__u32 n_ranges;
	__s32 kvm_fd;		/* with WORMHOLE_OF_VM, else 0 */
	__u64 ranges;		/* struct wormhole_range[n_ranges] */
};

struct wormhole_info {
	__u32 version;
	__u32 flags;
#define WORMHOLE_INFO_EXECUTE_ONLY	(1u << 0)	/* gate pages cannot be read */
	__u32 views;		/* that exist now */
	__u32 vms;		/* that are bound, or not yet clean */
	__u64 pinned_pages;	/* of workers, in all views */
	__u64 own_pages;	/* of the module's, in all views */
	__u64 list_pages;	/* EPTP lists, one for each vCPU of all VMs */
};

struct wormhole_view_stats {
	__u64 started;		/* calls that got past the key */
	__u64 calls;		/* calls that returned */
	__u64 suspensions;
	__u64 retries;		/* interrupted before anything had happened */
	__u64 forwards;		/* interrupted after everything had */
	__u64 strays;		/* arrived where there is nothing to arrive at */
	__u64 violations;	/* faults, system calls, exits that a callee caused */
	__u64 overruns;		/* calls beyond their budget */
	__u64 lost;		/* 1: the session is over */
	__u64 exits[WORMHOLE_REASONS];	/* in the view, by basic reason */
};

struct wormhole_vm_open {
	__s32 kvm_fd;		/* of the VM, as KVM_CREATE_VM returned it to QEMU */
	__u32 flags;		/* 0 */
};

struct wormhole_bind {
	__s32 view_fd;
	__u32 index;		/* out */
};

struct wormhole_vm_stats {
	__u64 entries;
	__u64 exits[WORMHOLE_REASONS];	/* outside of views */
	__u32 vcpus;
	__u32 views;
};

#define WORMHOLE_MAGIC		0xB7

/* On /dev/wormhole. VIEW_CREATE and VM_OPEN return a descriptor, close-on-exec. */
#define WORMHOLE_INFO		_IOR(WORMHOLE_MAGIC, 0, struct wormhole_info)
#define WORMHOLE_VIEW_CREATE	_IOW(WORMHOLE_MAGIC, 1, struct wormhole_view_create)
#define WORMHOLE_VM_OPEN	_IOW(WORMHOLE_MAGIC, 2, struct wormhole_vm_open)

/* On a view. Closing its last descriptor takes it out of its VM. */
#define WORMHOLE_VIEW_STATS	_IOR(WORMHOLE_MAGIC, 16, struct wormhole_view_stats)

/* On a VM. A binding outlives the descriptor by which it was made. */
#define WORMHOLE_BIND		_IOWR(WORMHOLE_MAGIC, 32, struct wormhole_bind)
#define WORMHOLE_UNBIND		_IOW(WORMHOLE_MAGIC, 33, __u32)
#define WORMHOLE_VM_STATS	_IOR(WORMHOLE_MAGIC, 34, struct wormhole_vm_stats)

#endif
#endif
