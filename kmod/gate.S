/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate's code: the first and the last that runs in a view, at the start of
 * the zone. It never runs in the kernel; the module copies it into a page of
 * each view. It must keep to what switch.c knows of it by its labels: which
 * instruction is the one after which a lane is claimed, a stack is the lane's,
 * a call is over. It writes to lanes only, and to none before the key was right.
 */
#include <linux/linkage.h>
#include "uapi/wormhole.h"
#include "layout.h"

#define CONFIG(offset)	wh_gate_code + GATE_CONFIG + offset(%rip)
#define REG(number)	(LANE_REGS + 8 * number)(%r12)

.macro LABEL name
	.globl \name
\name:
.endm

	.section .rodata, "a"
	.balign 64

LABEL wh_gate_code
	/* Only r8 to r11 hold the key; no branch before all of it was compared. */
	movq	CONFIG(CONFIG_KEY), %rax
	xorq	%r8, %rax
	movq	CONFIG(CONFIG_KEY + 8), %rcx
	xorq	%r9, %rcx
	orq	%rcx, %rax
	movq	CONFIG(CONFIG_KEY + 16), %rcx
	xorq	%r10, %rcx
	orq	%rcx, %rax
	movq	CONFIG(CONFIG_KEY + 24), %rcx
	xorq	%r11, %rcx
	orq	%rcx, %rax
	jnz	.Lbad_key

	cmpq	CONFIG(CONFIG_LANES), %rdi
	jae	.Lbusy
	movq	%rdi, %rcx
	shlq	$LANE_SHIFT, %rcx
	leaq	wh_gate_code + GATE_LANES + LANE_PAGE(%rip), %r12
	addq	%rcx, %r12
	testq	%rsi, %rsi
	jnz	.Lresume

	xorl	%eax, %eax
	movl	$LANE_RUNNING, %ecx
	lock cmpxchgl %ecx, LANE_STATE(%r12)
LABEL wh_gate_claim
	jne	.Lbusy
	movq	%rsp, LANE_CLIENT_RSP(%r12)
	movq	%r12, %rsp
LABEL wh_gate_running
	stmxcsr	LANE_MXCSR(%r12)
	fnstcw	LANE_FCW(%r12)
	incq	LANE_STARTED(%r12)
	/* Direction, alignment, trap: no flag of the client's reaches the callee. IF stays on. */
	pushq	$0x202
	popfq
	fninit
	ldmxcsr	CONFIG(CONFIG_MXCSR)
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	movq	%rdi, %rax
	movq	%rdx, %rdi
	movq	%rbx, %rsi
	movq	%rax, %rdx
	xorl	%ebp, %ebp
	call	*CONFIG(CONFIG_HANDLER)

	movq	%rax, %rsi
	/* What the callee computed with is not the client's to see. */
	pxor	%xmm0, %xmm0
	pxor	%xmm1, %xmm1
	pxor	%xmm2, %xmm2
	pxor	%xmm3, %xmm3
	pxor	%xmm4, %xmm4
	pxor	%xmm5, %xmm5
	pxor	%xmm6, %xmm6
	pxor	%xmm7, %xmm7
	pxor	%xmm8, %xmm8
	pxor	%xmm9, %xmm9
	pxor	%xmm10, %xmm10
	pxor	%xmm11, %xmm11
	pxor	%xmm12, %xmm12
	pxor	%xmm13, %xmm13
	pxor	%xmm14, %xmm14
	pxor	%xmm15, %xmm15
	fninit
	fldcw	LANE_FCW(%r12)
	ldmxcsr	LANE_MXCSR(%r12)
	incq	LANE_CALLS(%r12)
	movl	$WORMHOLE_DONE, %edx
	movq	LANE_CLIENT_RSP(%r12), %rsp
LABEL wh_gate_finish
	movl	$LANE_FREE, LANE_STATE(%r12)
LABEL wh_gate_leave
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	jmp	*CONFIG(CONFIG_LEAVE)

LABEL wh_gate_refuse
.Lbad_key:
	movl	$WORMHOLE_BAD_KEY, %edx
	xorl	%esi, %esi
	jmp	wh_gate_leave
.Lbusy:
	movl	$WORMHOLE_BUSY, %edx
	xorl	%esi, %esi
	jmp	wh_gate_leave

.Lresume:
	cmpl	%esi, LANE_TOKEN(%r12)
	jne	.Lbusy
	movl	$LANE_ASIDE, %eax
	movl	$LANE_RUNNING, %ecx
	lock cmpxchgl %ecx, LANE_STATE(%r12)
LABEL wh_gate_resume
	jne	.Lbusy
	movq	%rsp, LANE_CLIENT_RSP(%r12)
	fxrstor64 LANE_FX(%r12)
	/* The last jump may use no register: its target goes below the red zone. */
	movq	REG(4), %rax
	movq	LANE_RIP(%r12), %rcx
	movq	%rcx, -136(%rax)
	leaq	LANE_RFLAGS(%r12), %rsp
	popfq
	movq	REG(0), %rax
	movq	REG(1), %rcx
	movq	REG(2), %rdx
	movq	REG(3), %rbx
	movq	REG(5), %rbp
	movq	REG(6), %rsi
	movq	REG(7), %rdi
	movq	REG(8), %r8
	movq	REG(9), %r9
	movq	REG(10), %r10
	movq	REG(11), %r11
	movq	REG(13), %r13
	movq	REG(14), %r14
	movq	REG(15), %r15
	movq	REG(4), %rsp
	movq	REG(12), %r12
	jmp	*-136(%rsp)
LABEL wh_gate_end

	.section .note.GNU-stack, "", @progbits
