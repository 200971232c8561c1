// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens at VM entries and exits of a VM with views. A view is entered and
 * left by the guest itself, without us; every exit from inside of one ends in
 * slot 0 here, before KVM looks at anything: a call is then suspended, undone if
 * it has not begun, or completed if it is over. So KVM, QEMU, a debugger and
 * migration never see a vCPU in a view.
 *
 * The probes run with interrupts off and the VMCS current. They take no lock,
 * allocate nothing, and believe nothing that they read from a lane: it is used as
 * a number for the guest, or bounded.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/tracepoint.h>
#include <asm/kvm.h>
#include <asm/msr.h>

#include "wormhole.h"
#include "vmx.h"

extern struct tracepoint __tracepoint_kvm_entry, __tracepoint_kvm_exit;

#define CODE_START	(WORMHOLE_ZONE + GATE_CODE)
#define AT(label)	((u64)(wh_gate_##label - wh_gate_code))
#define KEPT_FLAGS	(X86_EFLAGS_IF | X86_EFLAGS_IOPL | X86_EFLAGS_ID | X86_EFLAGS_VIF | \
			 X86_EFLAGS_VIP)

/* The vector state that a client gets in place of a suspended callee's. */
struct fx_area {
	u8 bytes[512];
} __aligned(16);

static const struct fx_area clean_fx = { .bytes = {
	[0] = 0x7f, [1] = 0x03,		/* x87 control word */
	[24] = 0x80, [25] = 0x1f,	/* MXCSR */
} };

/* Where in a call an exit found the vCPU. */
enum place {
	BEFORE,		/* nothing has happened */
	CLAIMED,	/* the lane is taken, nothing else */
	INSIDE,		/* the call is under way, the stack is the lane's */
	RESUMING,	/* the lane is taken again, its registers are not yet all back */
	FINISHED,	/* all has happened, the lane is still taken */
	AFTER,		/* only the way out is left */
	NOWHERE,	/* no call leads here */
};

static __always_inline void set_register(struct kvm_vcpu *vcpu, int number, u64 value)
{
	vcpu->arch.regs[number] = value;
	if (number == VCPU_REGS_RIP || number == VCPU_REGS_RSP) {
		__set_bit(number, (unsigned long *)&vcpu->arch.regs_avail);
		__set_bit(number, (unsigned long *)&vcpu->arch.regs_dirty);
	}
}

static bool is_upper(u64 address)
{
	return (s64)address < 0;
}

static struct wh_lane *lane_at(const struct wh_view *view, u64 address, bool page_only)
{
	u64 offset = address - (WORMHOLE_ZONE + GATE_LANES);
	u64 number = offset >> LANE_SHIFT;

	if (number >= view->n_lanes)
		return NULL;
	if (page_only && (offset & (LANE_SIZE - 1)) != LANE_PAGE)
		return NULL;
	return &view->lanes[number];
}

static enum place find_place(const struct kvm_vcpu *vcpu, const struct wh_view *view, u64 rip,
			     u64 rsp, struct wh_lane **lane)
{
	struct wh_lane *by_stack = lane_at(view, rsp, false);
	struct wh_lane *by_register = lane_at(view, vcpu->arch.regs[VCPU_REGS_R12], true);
	bool equal = wh_vmread(GUEST_RFLAGS) & X86_EFLAGS_ZF;
	u64 at = rip - CODE_START;

	*lane = by_register;
	if (rip == view->gate + WORMHOLE_ENTER)
		return BEFORE;
	if (rip == view->gate + WORMHOLE_LEAVE)
		return AFTER;
	if ((rip & PAGE_MASK) == view->gate)
		return NOWHERE;
	/*
	 * At a lower-half address anybody can be, by a VMFUNC of his own, and with any stack
	 * pointer. At an upper-half one only who was let in by the gate.
	 */
	if (!is_upper(rip))
		return NOWHERE;
	if (at >= PAGE_SIZE || (at >= AT(running) && at < AT(finish))) {
		*lane = by_stack;
		return by_stack ? INSIDE : NOWHERE;
	}
	if (at < AT(claim) || (at == AT(claim) && !equal))
		return BEFORE;
	if (at < AT(running))
		return by_register ? CLAIMED : NOWHERE;
	if (at < AT(leave))
		return by_register ? FINISHED : NOWHERE;
	if (at < AT(refuse))
		return AFTER;
	if (at < AT(resume) || (at == AT(resume) && !equal))
		return BEFORE;
	/* From its middle on the stack pointer is in the lane, at its end r12 is not any more. */
	if (by_stack)
		*lane = by_stack;
	return at < AT(end) && *lane ? RESUMING : NOWHERE;
}

static void set_state(struct wh_lane *lane, u32 state)
{
	/* Pairs with the gate's cmpxchg: who claims the lane sees what was saved in it. */
	smp_store_release((u32 *)(lane->page + LANE_STATE), state);
}

static void set_flat_segment(unsigned long selector_field, unsigned long base, unsigned long limit,
			     unsigned long access, u16 selector, u32 rights)
{
	wh_vmwrite(selector_field, selector);
	wh_vmwrite(base, 0);
	wh_vmwrite(limit, U32_MAX);
	wh_vmwrite(access, rights);
}

/*
 * A callee's SYSCALL or SYSENTER faults in ring 0, at the guest's entry point. Nobody may go on
 * from a view with more rights than he had, so everybody goes on in ring 3, as after SYSRET.
 */
static u64 drop_to_ring3(u64 flags)
{
	u16 base;

	if (((wh_vmread(GUEST_SS_AR_BYTES) >> 5) & 3) == 3)
		return flags;
	/* The guest's: KVM puts back the host's only on its way to user space. */
	base = native_read_msr(MSR_STAR) >> 48;
	set_flat_segment(GUEST_CS_SELECTOR, GUEST_CS_BASE, GUEST_CS_LIMIT, GUEST_CS_AR_BYTES,
			 (base + 16) | 3, 0xa0fb);
	set_flat_segment(GUEST_SS_SELECTOR, GUEST_SS_BASE, GUEST_SS_LIMIT, GUEST_SS_AR_BYTES,
			 (base + 8) | 3, 0xc0f3);
	return flags | X86_EFLAGS_IF;
}

/* The client goes on at its RETURN with these; the rest of the registers is nobody's. */
static void land(struct kvm_vcpu *vcpu, u64 gate, u64 rsp, u64 status, u64 value)
{
	int i;

	for (i = VCPU_REGS_RAX; i <= VCPU_REGS_R15; i++)
		if (i != VCPU_REGS_RSP)
			vcpu->arch.regs[i] = 0;
	set_register(vcpu, VCPU_REGS_RDX, status);
	set_register(vcpu, VCPU_REGS_RSI, value);
	set_register(vcpu, VCPU_REGS_RSP, rsp);
	set_register(vcpu, VCPU_REGS_RIP, gate + WORMHOLE_RETURN);
	wh_vmwrite(GUEST_RFLAGS,
		   drop_to_ring3((wh_vmread(GUEST_RFLAGS) & KEPT_FLAGS) | X86_EFLAGS_FIXED));
	/*
	 * What STI and MOV SS put off was for the instruction that is not executed; a single step
	 * that is left pending there, without its flag, is no state to enter a VM in.
	 */
	wh_vmwrite(GUEST_INTERRUPTIBILITY_INFO,
		   wh_vmread(GUEST_INTERRUPTIBILITY_INFO) &
			   ~(u64)(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS));
	wh_vmwrite(GUEST_PENDING_DBG_EXCEPTIONS, 0);
}

/* Nobody's call: whoever came here gets what an undefined instruction gets, where he stands. */
static void punish(struct kvm_vcpu *vcpu, struct wh_vcpu *state, struct wh_view *view, u64 rip)
{
	atomic64_inc(&view->strays);
	state->fault = true;
	if (is_upper(rip))
		land(vcpu, view->gate, wh_vmread(GUEST_RSP), WORMHOLE_LOST, 0);
}

static void save_registers(const struct kvm_vcpu *vcpu, struct wh_lane *lane, u64 rip, u64 rsp)
{
	u64 *to = lane->page + LANE_REGS;
	int i;

	for (i = VCPU_REGS_RAX; i <= VCPU_REGS_R15; i++)
		to[i] = vcpu->arch.regs[i];
	to[VCPU_REGS_RSP] = rsp;
	*(u64 *)(lane->page + LANE_RIP) = rip;
	*(u64 *)(lane->page + LANE_RFLAGS) = wh_vmread(GUEST_RFLAGS);
	asm volatile("fxsave64 %0" : "=m"(*(struct fx_area *)(lane->page + LANE_FX)));
}

static void hide_vectors(void)
{
	asm volatile("fxrstor64 %0" : : "m"(clean_fx));
}

/* Counts from the VM entry on: an upper bound of the time in the view. */
static bool within_budget(struct wh_view *view, struct wh_lane *lane, u64 entered)
{
	u64 started = READ_ONCE(*(u64 *)(lane->page + LANE_STARTED));

	if (started != lane->started) {
		lane->started = started;
		lane->used = 0;
	}
	lane->used += rdtsc() - entered;
	return lane->used <= view->budget;
}

static void lose(struct wh_vm *vm, struct wh_view *view)
{
	if (!xchg(&view->lost, true))
		wh_slot_close(vm, view->index);
}

/* An exit that nobody in the view asked for. */
static void suspend(struct kvm_vcpu *vcpu, struct wh_vm *vm, struct wh_vcpu *state,
		    struct wh_view *view)
{
	u64 rip = wh_vmread(GUEST_RIP), rsp = wh_vmread(GUEST_RSP), value;
	u32 *token;
	struct wh_lane *lane;
	enum place place = find_place(vcpu, view, rip, rsp, &lane);

	switch (place) {
	case CLAIMED:
		set_state(lane, LANE_FREE);
		fallthrough;
	case BEFORE:
		atomic64_inc(&view->retries);
		land(vcpu, view->gate, rsp, READ_ONCE(view->lost) ? WORMHOLE_LOST : WORMHOLE_RETRY,
		     0);
		return;
	case FINISHED:
		set_state(lane, LANE_FREE);
		fallthrough;
	case AFTER:
		atomic64_inc(&view->forwards);
		value = vcpu->arch.regs[VCPU_REGS_RSI];
		land(vcpu, view->gate, rsp, (u32)vcpu->arch.regs[VCPU_REGS_RDX], value);
		return;
	case INSIDE:
		save_registers(vcpu, lane, rip, rsp);
		if (!within_budget(view, lane, state->entered)) {
			atomic64_inc(&view->overruns);
			lose(vm, view);
		}
		break;
	case RESUMING:
		break;
	case NOWHERE:
		punish(vcpu, state, view, rip);
		return;
	}
	hide_vectors();
	rsp = READ_ONCE(*(u64 *)(lane->page + LANE_CLIENT_RSP));
	if (READ_ONCE(view->lost)) {
		land(vcpu, view->gate, rsp, WORMHOLE_LOST, 0);
		return;
	}
	token = lane->page + LANE_TOKEN;
	if (place == INSIDE) {
		atomic64_inc(&view->suspensions);
		WRITE_ONCE(*token, READ_ONCE(*token) + 1 ?: 1); /* 0 is a new call */
	}
	value = READ_ONCE(*token);
	set_state(lane, LANE_ASIDE);
	land(vcpu, view->gate, rsp, WORMHOLE_SUSPENDED, value);
}

/* An exit that the code in the view caused: a fault, CPUID, I/O, a hypercall. */
static void violate(struct kvm_vcpu *vcpu, struct wh_vm *vm, struct wh_vcpu *state,
		    struct wh_view *view)
{
	u64 rip = wh_vmread(GUEST_RIP), rsp = wh_vmread(GUEST_RSP);
	struct wh_lane *lane;
	enum place place = find_place(vcpu, view, rip, rsp, &lane);

	state->skip = true;
	if (place == INSIDE || place == RESUMING) {
		atomic64_inc(&view->violations);
		lose(vm, view);
		hide_vectors();
		land(vcpu, view->gate, READ_ONCE(*(u64 *)(lane->page + LANE_CLIENT_RSP)),
		     WORMHOLE_LOST, 0);
		return;
	}
	if (place == CLAIMED || place == FINISHED)
		set_state(lane, LANE_FREE);
	punish(vcpu, state, view, rip);
}

/* Exits that the view's code has no part in, or that mean no more to KVM than that it had one. */
static bool is_innocent(u32 reason)
{
	u32 info;

	switch (reason) {
	case EXIT_REASON_EXCEPTION_NMI:
		info = wh_vmread(VM_EXIT_INTR_INFO);
		return (info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR ||
		       (info & INTR_INFO_VECTOR_MASK) == MC_VECTOR;
	case EXIT_REASON_EXTERNAL_INTERRUPT:
	case EXIT_REASON_INIT_SIGNAL:
	case EXIT_REASON_SIPI_SIGNAL:
	case EXIT_REASON_INTERRUPT_WINDOW:
	case EXIT_REASON_NMI_WINDOW:
	case EXIT_REASON_PAUSE_INSTRUCTION:
	case EXIT_REASON_MONITOR_TRAP_FLAG:
	case EXIT_REASON_TPR_BELOW_THRESHOLD:
	case EXIT_REASON_PREEMPTION_TIMER:
	case EXIT_REASON_PML_FULL:
	case EXIT_REASON_BUS_LOCK:
		return true;
	}
	return false;
}

static struct wh_view *view_of(const struct wh_vm *vm, u64 eptp)
{
	u32 i, high = READ_ONCE(vm->high);

	for (i = 1; i < high; i++) {
		struct wh_view *view = rcu_dereference_raw(vm->slots[i].view);

		if (view && view->eptp == eptp)
			return view;
	}
	return NULL;
}

/*
 * An index that leads nowhere is an undefined instruction, as a VMFUNC is to KVM; from 6.3 on it
 * takes this exit for impossible, and warns. A client of a session that is over would be killed
 * by that: it deserves an answer.
 */
static void refuse(struct kvm_vcpu *vcpu, struct wh_vm *vm, struct wh_vcpu *state)
{
	u32 index = vcpu->arch.regs[VCPU_REGS_RCX];
	u64 rip = wh_vmread(GUEST_RIP), gate;

	state->skip = true;
	state->fault = true;
	if ((u32)vcpu->arch.regs[VCPU_REGS_RAX] || !index || index > WORMHOLE_INDEX_MAX)
		return;
	gate = READ_ONCE(vm->slots[index].gate);
	if (!READ_ONCE(vm->slots[index].closed) ||
	    rip != gate + WORMHOLE_ENTER - WORMHOLE_VMFUNC_SIZE)
		return;
	state->fault = false;
	land(vcpu, gate, wh_vmread(GUEST_RSP), WORMHOLE_LOST, 0);
}

/* Both probes: kernels pass more arguments, which ones depends on the kernel. */
static void on_exit(void *data, struct kvm_vcpu *vcpu)
{
	struct wh_vm *vm = wh_vm_find(vcpu->kvm);
	struct wh_vcpu *state = vm ? READ_ONCE(vm->vcpus[vcpu->vcpu_idx]) : NULL;
	struct wh_view *view;
	u32 reason;
	u64 eptp;

	if (!state || !state->armed || vcpu->stat.guest_mode)
		return;
	reason = min_t(u32, wh_vmread(VM_EXIT_REASON) & 0xffff, WORMHOLE_REASONS - 1);
	eptp = wh_vmread(EPT_POINTER);
	if (eptp == state->list[0]) {
		state->exits[reason]++;
		if (reason == EXIT_REASON_VMFUNC)
			refuse(vcpu, vm, state);
		return;
	}
	wh_vmwrite(EPT_POINTER, state->list[0]);
	view = view_of(vm, eptp);
	if (WARN_ON_ONCE(!view))
		return;
	atomic64_inc(&view->exits[reason]);
	/* KVM would step over the instruction, which is not the client's. */
	state->skip = reason == EXIT_REASON_PAUSE_INSTRUCTION;
	if (is_innocent(reason)) {
		suspend(vcpu, vm, state, view);
		return;
	}
	violate(vcpu, vm, state, view);
	if (test_bit(VCPU_REGS_RIP, (unsigned long *)&vcpu->arch.regs_dirty))
		state->landed = vcpu->arch.regs[VCPU_REGS_RIP];
}

void wh_switch_disarm(struct wh_vcpu *state)
{
	wh_vmwrite(VM_FUNCTION_CONTROL, 0);
	wh_vmwrite(EPTP_LIST_ADDRESS, 0);
	if (state->set_bit)
		wh_vmwrite(SECONDARY_VM_EXEC_CONTROL, wh_vmread(SECONDARY_VM_EXEC_CONTROL) &
			   ~(u64)SECONDARY_EXEC_ENABLE_VMFUNC);
	state->set_bit = false;
	smp_store_release(&state->armed, false); /* pairs with READ_ONCE in clean_vcpu */
}

static void arm(struct wh_vcpu *state, u64 controls)
{
	/* KVM leaves the bit set up to 6.2, and clears it from 6.3 on. */
	if (!(controls & SECONDARY_EXEC_ENABLE_VMFUNC)) {
		wh_vmwrite(SECONDARY_VM_EXEC_CONTROL, controls | SECONDARY_EXEC_ENABLE_VMFUNC);
		state->set_bit = true;
	}
	if (wh_vmread(VM_FUNCTION_CONTROL) != VMX_VMFUNC_EPTP_SWITCHING)
		wh_vmwrite(VM_FUNCTION_CONTROL, VMX_VMFUNC_EPTP_SWITCHING);
	if (wh_vmread(EPTP_LIST_ADDRESS) != __pa(state->list))
		wh_vmwrite(EPTP_LIST_ADDRESS, __pa(state->list));
	state->armed = true;
}

/* Where views cannot work: no EPT, interrupts without exits, page tables of five levels. */
static bool is_usable(const struct kvm_vcpu *vcpu, u64 controls)
{
	return (controls & SECONDARY_EXEC_ENABLE_EPT) &&
	       !(controls & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY) &&
	       !(vcpu->arch.cr4 & X86_CR4_LA57);
}

/*
 * KVM may step over the instruction all the same: from 6.12 on it handles some exits, HLT among
 * them, before it can be told not to. The client goes on where it landed.
 */
static void undo_step(struct kvm_vcpu *vcpu, struct wh_vcpu *state)
{
	if (!state->landed)
		return;
	set_register(vcpu, VCPU_REGS_RIP, state->landed);
	state->landed = 0;
	if (vcpu->arch.mp_state == KVM_MP_STATE_HALTED)
		vcpu->arch.mp_state = KVM_MP_STATE_RUNNABLE;
}

NOKPROBE_SYMBOL(undo_step);

static void on_entry(void *data, struct kvm_vcpu *vcpu)
{
	struct wh_vm *vm = wh_vm_find(vcpu->kvm);
	struct wh_vcpu *state = vm ? READ_ONCE(vm->vcpus[vcpu->vcpu_idx]) : NULL;
	u64 controls, root;

	if (!vm || vcpu->stat.guest_mode)
		return;
	if (!state) {
		if (!READ_ONCE(vm->closing))
			queue_work(wh_queue, &vm->populate);
		return;
	}
	undo_step(vcpu, state);
	state->skip = false;
	state->fault = false;
	controls = wh_vmread(SECONDARY_VM_EXEC_CONTROL);
	if (READ_ONCE(vm->closing) || !is_usable(vcpu, controls)) {
		if (state->armed)
			wh_switch_disarm(state);
		return;
	}
	root = wh_vmread(EPT_POINTER);
	if (state->list[0] != root)
		WRITE_ONCE(state->list[0], root);
	arm(state, controls);
	state->entries++;
	state->entered = rdtsc();
}

/*
 * KVM keeps the log of dirtied pages empty between entries, for who asks for it only makes vCPUs
 * exit: an exit that KVM does not see must do the same.
 */
static void flush_dirty_log(struct kvm_vcpu *vcpu)
{
	const u32 size = PAGE_SIZE / sizeof(u64);
	const u64 *log;
	u16 next;

	if (!(wh_vmread(SECONDARY_VM_EXEC_CONTROL) & SECONDARY_EXEC_ENABLE_PML))
		return;
	/* The CPU fills it downwards, and counts to -1 when it is full. */
	log = __va(wh_vmread(PML_ADDRESS));
	for (next = wh_vmread(GUEST_PML_INDEX) + 1; next < size; next++)
		kvm_vcpu_mark_page_dirty(vcpu, log[next] >> PAGE_SHIFT);
	wh_vmwrite(GUEST_PML_INDEX, size - 1);
}

/* Called as vmx_handle_exit is, in its place. */
static int handled(struct kvm_vcpu *vcpu)
{
	flush_dirty_log(vcpu);
	return 1; /* to KVM: enter again */
}

NOKPROBE_SYMBOL(handled);

/* Stands in for KVM's vmx_handle_exit at exits that were not KVM's. */
static int on_handle(struct kprobe *probe, struct pt_regs *regs)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)regs->di;
	struct wh_vm *vm = wh_vm_find(vcpu->kvm);
	struct wh_vcpu *state = vm ? READ_ONCE(vm->vcpus[vcpu->vcpu_idx]) : NULL;
	bool skip;

	if (!state || !(state->skip || state->fault))
		return 0;
	skip = state->skip;
	if (skip) {
		undo_step(vcpu, state);
		/* What was on its way to a handler was the view's: a fault, or an INT. */
		vcpu->arch.exception.pending = false;
		vcpu->arch.exception.injected = false;
		vcpu->arch.interrupt.injected = false;
	}
	if (state->fault)
		kvm_queue_exception(vcpu, UD_VECTOR);
	state->skip = false;
	state->fault = false;
	if (!skip)
		return 0;
	regs->ip = (unsigned long)handled;
	return 1;
}

NOKPROBE_SYMBOL(on_handle);

/* Only with a post handler may an ftrace-based probe change where the function goes. */
static void on_handled(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

NOKPROBE_SYMBOL(on_handled);

static struct kprobe handle_exit;

/* With the first VM, so that a machine without one runs KVM as it is. */
int wh_switch_start(void)
{
	int error;

	handle_exit = (struct kprobe){
		.symbol_name = "vmx_handle_exit",
		.pre_handler = on_handle,
		.post_handler = on_handled,
	};
	error = register_kprobe(&handle_exit);
	if (error)
		return error;
	error = tracepoint_probe_register(&__tracepoint_kvm_exit, on_exit, NULL);
	if (error)
		goto no_exit;
	error = tracepoint_probe_register(&__tracepoint_kvm_entry, on_entry, NULL);
	if (error)
		goto no_entry;
	return 0;

no_entry:
	tracepoint_probe_unregister(&__tracepoint_kvm_exit, on_exit, NULL);
	tracepoint_synchronize_unregister();
no_exit:
	unregister_kprobe(&handle_exit);
	return error;
}

void wh_switch_stop(void)
{
	tracepoint_probe_unregister(&__tracepoint_kvm_entry, on_entry, NULL);
	tracepoint_probe_unregister(&__tracepoint_kvm_exit, on_exit, NULL);
	tracepoint_synchronize_unregister();
	unregister_kprobe(&handle_exit);
}
