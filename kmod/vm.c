// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM with views: an EPTP list for each of its vCPUs, the same indices in all.
 * Lists are written here and by wh_slot_close only, and no guest can reach one.
 * A list may be freed only when no VMCS names it any more, a view only when no
 * CPU can be in it or has translations through it: both are seen to here.
 */
#include <linux/hashtable.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "wormhole.h"
#include "vmx.h"

#define CLEAN_AGAIN	msecs_to_jiffies(20)

/* Kernels that can print the reasons have this one under another name. */
#ifdef APICV_INHIBIT_REASONS
#define APICV_DISABLED	APICV_INHIBIT_REASON_DISABLED
#else
#define APICV_DISABLED	APICV_INHIBIT_REASON_DISABLE
#endif

static DEFINE_HASHTABLE(vm_table, 6);

/* In a probe: interrupts are off. Under wh_lock: nothing changes. */
struct wh_vm *wh_vm_find(const struct kvm *kvm)
{
	struct wh_vm *vm;

	hash_for_each_possible_rcu_notrace(vm_table, vm, node, (unsigned long)kvm)
		if (vm->kvm == kvm)
			return vm;
	return NULL;
}

static void set_entry(struct wh_vm *vm, u32 index, u64 eptp)
{
	int i;

	for (i = 0; i < KVM_MAX_VCPUS; i++) {
		struct wh_vcpu *state = READ_ONCE(vm->vcpus[i]);

		if (state)
			WRITE_ONCE(state->list[index], eptp);
	}
}

/* From any context. Whoever is in the view is still there afterwards, until his next exit. */
void wh_slot_close(struct wh_vm *vm, u32 index)
{
	WRITE_ONCE(vm->slots[index].closed, true);
	smp_mb(); /* pairs with the one in add_vcpu: one of us sees the other */
	set_entry(vm, index, 0);
}

static int add_vcpu(struct wh_vm *vm, unsigned long number)
{
	struct wh_vcpu *state = kvzalloc(sizeof(*state), GFP_KERNEL_ACCOUNT);
	u32 i;

	if (!state)
		return -ENOMEM;
	state->list = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!state->list) {
		kvfree(state);
		return -ENOMEM;
	}
	atomic64_inc(&wh_list_pages);
	for (i = 1; i < vm->high; i++) {
		struct wh_view *view = rcu_dereference_protected(vm->slots[i].view,
								 lockdep_is_held(&wh_lock));

		if (view && !READ_ONCE(vm->slots[i].closed))
			state->list[i] = view->eptp;
	}
	smp_store_release(&vm->vcpus[number], state); /* pairs with the probes' READ_ONCE */
	smp_mb(); /* pairs with the one in wh_slot_close */
	for (i = 1; i < vm->high; i++)
		if (READ_ONCE(vm->slots[i].closed))
			WRITE_ONCE(state->list[i], 0);
	return 0;
}

static int add_vcpus(struct wh_vm *vm)
{
	struct kvm_vcpu *vcpu;
	unsigned long number;

	kvm_for_each_vcpu(number, vcpu, vm->kvm) {
		int error = vm->vcpus[number] ? 0 : add_vcpu(vm, number);

		if (error)
			return error;
	}
	return 0;
}

/* A vCPU was seen that has no list yet; should memory be short, it is seen again. */
static void populate(struct work_struct *work)
{
	struct wh_vm *vm = container_of(work, struct wh_vm, populate);

	mutex_lock(&wh_lock);
	if (!vm->closing)
		add_vcpus(vm);
	mutex_unlock(&wh_lock);
}

/*
 * With virtualised interrupt delivery the CPU enters a handler of the guest without an exit,
 * in the view too, where there is none. KVM knows how to do without, but 6.1 not how to have it
 * back: an EOI is lost where a vCPU is in a handler then. So the VM goes on without, for good.
 */
static void forbid_apicv(struct kvm *kvm)
{
	if (enable_apicv)
		kvm_set_apicv_inhibit(kvm, APICV_DISABLED);
}

static void vm_free(struct wh_vm *vm)
{
	int i;

	for (i = 0; i < KVM_MAX_VCPUS; i++) {
		if (!vm->vcpus[i])
			continue;
		free_page((unsigned long)vm->vcpus[i]->list);
		atomic64_dec(&wh_list_pages);
		kvfree(vm->vcpus[i]);
	}
	kvm_put_kvm(vm->kvm);
	kvfree(vm);
}

/*
 * Under vcpu->mutex. In a nested guest the vCPU has another VMCS, and its own, which names the
 * list, is out of reach until that guest ends. Without its mm, KVM enters nobody any more.
 */
static bool disarm(struct kvm_vcpu *vcpu, struct wh_vcpu *state)
{
	if (vcpu->stat.guest_mode)
		return !atomic_read(&vcpu->kvm->mm->mm_users);
	vcpu_load(vcpu);
	preempt_disable();
	if (state->armed)
		wh_switch_disarm(state);
	preempt_enable();
	vcpu_put(vcpu);
	return true;
}

/* Takes the list out of a vCPU's VMCS: at once if it is not running, else at its next entry. */
static bool clean_vcpu(struct kvm_vcpu *vcpu, struct wh_vcpu *state)
{
	bool done;

	if (!READ_ONCE(state->armed))
		return true;
	if (!mutex_trylock(&vcpu->mutex)) {
		kvm_vcpu_kick(vcpu);
		return false;
	}
	done = disarm(vcpu, state);
	mutex_unlock(&vcpu->mutex);
	return done;
}

static bool clean_vcpus(struct wh_vm *vm)
{
	struct kvm_vcpu *vcpu;
	unsigned long number;
	bool done = true;

	kvm_for_each_vcpu(number, vcpu, vm->kvm)
		if (vm->vcpus[number] && !clean_vcpu(vcpu, vm->vcpus[number]))
			done = false;
	return done;
}

static bool begin_cleaning(struct wh_vm *vm)
{
	bool closing;

	mutex_lock(&wh_lock);
	vm->revived = false;
	closing = vm->closing;
	mutex_unlock(&wh_lock);
	return closing;
}

/*
 * Who was opened again meanwhile may have entered with its list anew. Should it be closed by now,
 * then whoever did that has queued the work again.
 */
static bool end_cleaning(struct wh_vm *vm, bool done)
{
	bool over;

	mutex_lock(&wh_lock);
	over = done && !vm->revived;
	if (over) {
		hash_del_rcu(&vm->node);
		/* Who opened and closed it before this attempt began has queued another one. */
		cancel_delayed_work(&vm->clean);
	} else if (!vm->revived) {
		queue_delayed_work(wh_queue, &vm->clean, CLEAN_AGAIN);
	}
	mutex_unlock(&wh_lock);
	return over;
}

static void clean(struct work_struct *work)
{
	struct wh_vm *vm = container_of(work, struct wh_vm, clean.work);

	if (!begin_cleaning(vm))
		return;
	synchronize_rcu(); /* no probe is left that saw the VM open and arms */
	if (!end_cleaning(vm, clean_vcpus(vm)))
		return;
	synchronize_rcu();
	cancel_work_sync(&vm->populate);
	vm_free(vm);
	mutex_lock(&wh_lock);
	if (atomic_dec_and_test(&wh_vms))
		wh_switch_stop();
	mutex_unlock(&wh_lock);
	module_put(THIS_MODULE);
}

static struct wh_vm *vm_create(struct kvm *kvm)
{
	struct wh_vm *vm = kvzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	int error;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm->kvm = kvm;
	vm->high = 1;
	INIT_WORK(&vm->populate, populate);
	INIT_DELAYED_WORK(&vm->clean, clean);
	kvm_get_kvm(kvm);
	forbid_apicv(kvm);
	error = add_vcpus(vm);
	if (!error && atomic_read(&wh_vms) == 0)
		error = wh_switch_start();
	if (error) {
		vm_free(vm);
		return ERR_PTR(error);
	}
	atomic_inc(&wh_vms);
	__module_get(THIS_MODULE); /* until it is clean, which may be after its descriptors */
	hash_add_rcu(vm_table, &vm->node, (unsigned long)kvm);
	return vm;
}

/*
 * The caller holds a reference to the VM's file. One that is still being cleaned goes on as it is:
 * a vCPU that sleeps may never be seen again.
 */
struct wh_vm *wh_vm_open(struct kvm *kvm)
{
	struct wh_vm *vm = wh_vm_find(kvm);

	if (!vm)
		vm = vm_create(kvm);
	if (IS_ERR(vm))
		return vm;
	if (vm->closing) {
		vm->revived = true;
		WRITE_ONCE(vm->closing, false);
	}
	vm->users++;
	return vm;
}

void wh_vm_put(struct wh_vm *vm)
{
	if (--vm->users)
		return;
	WRITE_ONCE(vm->closing, true);
	queue_delayed_work(wh_queue, &vm->clean, 0);
}

/* A used index is used again only when there is no other, for the sake of its last client. */
static u32 free_index(const struct wh_vm *vm)
{
	u32 i, used = 0;

	for (i = 1; i <= WORMHOLE_INDEX_MAX; i++) {
		if (rcu_access_pointer(vm->slots[i].view))
			continue;
		if (!vm->slots[i].gate)
			return i;
		used = used ?: i;
	}
	return used;
}

int wh_vm_bind(struct wh_vm *vm, struct wh_view *view)
{
	u32 index = free_index(vm);
	int error;

	if (view->vm)
		return -EBUSY;
	if (!index)
		return -ENOSPC;
	error = add_vcpus(vm);
	if (error)
		return error;
	view->vm = vm;
	view->index = index;
	vm->users++;
	vm->bound++;
	vm->high = max(vm->high, index + 1);
	vm->slots[index].gate = view->gate;
	vm->slots[index].closed = false;
	rcu_assign_pointer(vm->slots[index].view, view);
	smp_wmb(); /* whoever can enter can be recognised; pairs with the exit's serialisation */
	set_entry(vm, index, view->eptp);
	return 0;
}

static void flush_view(void *eptp)
{
	wh_invept(*(u64 *)eptp);
}

void wh_vm_unbind(struct wh_view *view)
{
	struct wh_vm *vm = view->vm;

	WRITE_ONCE(view->lost, true);
	wh_slot_close(vm, view->index);
	smp_mb(); /* the lists before the IPIs */
	/* The IPI is an exit for who is in the view, and the exit leaves it. */
	on_each_cpu(flush_view, &view->eptp, true);
	RCU_INIT_POINTER(vm->slots[view->index].view, NULL);
	synchronize_rcu_expedited();
	view->vm = NULL;
	vm->bound--;
	wh_vm_put(vm);
}

void wh_vm_stats(const struct wh_vm *vm, struct wormhole_vm_stats *stats)
{
	int i, reason;

	memset(stats, 0, sizeof(*stats));
	stats->views = vm->bound;
	for (i = 0; i < KVM_MAX_VCPUS; i++) {
		const struct wh_vcpu *state = vm->vcpus[i];

		if (!state)
			continue;
		stats->vcpus++;
		stats->entries += READ_ONCE(state->entries);
		for (reason = 0; reason < WORMHOLE_REASONS; reason++)
			stats->exits[reason] += READ_ONCE(state->exits[reason]);
	}
}
