/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instructions of VMX that the module uses. Each acts on the current VMCS
 * or on this CPU's caches, so callers have preemption off.
 */
#ifndef WORMHOLE_VMX_H
#define WORMHOLE_VMX_H

#include <linux/types.h>
#include <asm/asm.h>
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

/*
 * Drops this CPU's translations through one EPT root. A CPU outside of VMX needs none of it: KVM
 * drops them all, for every root, before it enters anybody there again. Outside is also who has
 * CR4's bit set for a VMXON to come or after a VMXOFF, and from 6.3 on an IPI may find a CPU so.
 */
static __always_inline void wh_invept(u64 eptp)
{
	struct {
		u64 eptp, zero;
	} operand = { eptp, 0 };

	if (!(cr4_read_shadow() & X86_CR4_VMXE))
		return;
	asm volatile("1: invept %0, %1\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : : "m"(operand), "r"((unsigned long)VMX_EPT_EXTENT_CONTEXT)
		     : "cc", "memory");
}

#endif
