/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instructions of VMX that the module uses. Each acts on the current VMCS
 * or on this CPU's caches, so callers have preemption off.
 */
#ifndef WORMHOLE_VMX_H
#define WORMHOLE_VMX_H

#include <linux/types.h>
#include <asm/tlbflush.h>
#include <asm/vmx.h>

static __always_inline u64 wh_vmread(unsigned long field)
{
	u64 value;

	asm volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
	return value;
}

static __always_inline void wh_vmwrite(unsigned long field, u64 value)
{
	asm volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc");
}

/* Drops this CPU's translations through one EPT root; a CPU outside of VMX has none. */
static __always_inline void wh_invept(u64 eptp)
{
	struct {
		u64 eptp, zero;
	} operand = { eptp, 0 };

	if (!(cr4_read_shadow() & X86_CR4_VMXE))
		return;
	asm volatile("invept %0, %1"
		     : : "m"(operand), "r"((unsigned long)VMX_EPT_EXTENT_CONTEXT)
		     : "cc", "memory");
}

#endif
