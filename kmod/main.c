// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/wormhole: three kinds of descriptors, one small set of ioctls each, as
 * uapi/wormhole.h has them. Checks what comes from user space and calls view.c
 * and vm.c; it must not touch a VMCS.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/mshyperv.h>
#include <asm/msr.h>

#include "wormhole.h"
#include "vmx.h"

/* Orders everything that makes, binds or ends. */
DEFINE_MUTEX(wh_lock);
struct workqueue_struct *wh_queue;
atomic_t wh_views, wh_vms;
atomic64_t wh_pinned_pages, wh_own_pages, wh_list_pages;
bool wh_execute_only;

static int view_release(struct inode *inode, struct file *file)
{
	struct wh_view *view = file->private_data;

	mutex_lock(&wh_lock);
	if (view->vm)
		wh_vm_unbind(view);
	mutex_unlock(&wh_lock);
	wh_view_free(view);
	return 0;
}

static long view_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct wormhole_view_stats stats;

	if (command != WORMHOLE_VIEW_STATS)
		return -ENOTTY;
	wh_view_stats(file->private_data, &stats);
	return copy_to_user((void __user *)argument, &stats, sizeof(stats)) ? -EFAULT : 0;
}

static const struct file_operations view_fops = {
	.owner = THIS_MODULE,
	.release = view_release,
	.unlocked_ioctl = view_ioctl,
	.llseek = noop_llseek,
};

static int vm_release(struct inode *inode, struct file *file)
{
	mutex_lock(&wh_lock);
	wh_vm_put(file->private_data);
	mutex_unlock(&wh_lock);
	return 0;
}

static long bind(struct wh_vm *vm, struct wormhole_bind __user *argument)
{
	struct wormhole_bind bind;
	struct wh_view *view;
	struct file *file;
	int error = -EINVAL;

	if (copy_from_user(&bind, argument, sizeof(bind)))
		return -EFAULT;
	file = fget(bind.view_fd);
	if (!file)
		return -EBADF;
	if (file->f_op == &view_fops) {
		view = file->private_data;
		mutex_lock(&wh_lock);
		error = READ_ONCE(view->lost) ? -ESHUTDOWN : wh_vm_bind(vm, view);
		if (!error && put_user(view->index, &argument->index)) {
			wh_vm_unbind(view);
			error = -EFAULT;
		}
		mutex_unlock(&wh_lock);
	}
	fput(file);
	return error;
}

static long unbind(struct wh_vm *vm, const __u32 __user *argument)
{
	struct wh_view *view;
	u32 index;

	if (get_user(index, argument))
		return -EFAULT;
	if (!index || index > WORMHOLE_INDEX_MAX)
		return -EINVAL;
	mutex_lock(&wh_lock);
	view = rcu_dereference_protected(vm->slots[index].view, lockdep_is_held(&wh_lock));
	if (view)
		wh_vm_unbind(view);
	mutex_unlock(&wh_lock);
	return view ? 0 : -ENOENT;
}

static long vm_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct wh_vm *vm = file->private_data;
	struct wormhole_vm_stats stats;

	switch (command) {
	case WORMHOLE_BIND:
		return bind(vm, (struct wormhole_bind __user *)argument);
	case WORMHOLE_UNBIND:
		return unbind(vm, (const __u32 __user *)argument);
	case WORMHOLE_VM_STATS:
		mutex_lock(&wh_lock);
		wh_vm_stats(vm, &stats);
		mutex_unlock(&wh_lock);
		return copy_to_user((void __user *)argument, &stats, sizeof(stats)) ? -EFAULT : 0;
	}
	return -ENOTTY;
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.release = vm_release,
	.unlocked_ioctl = vm_ioctl,
	.llseek = noop_llseek,
};

/* The view of what `wish` says, with everything that it names looked up. */
static struct wh_view *make_view(const struct wormhole_view_create *wish)
{
	struct wormhole_range *ranges;
	struct file *file = NULL;
	struct wh_view *view;

	if (wish->flags) {
		file = fget(wish->kvm_fd);
		if (!file)
			return ERR_PTR(-EBADF);
		if (!file_is_kvm(file)) {
			fput(file);
			return ERR_PTR(-EINVAL);
		}
	}
	ranges = vmemdup_user(u64_to_user_ptr(wish->ranges), wish->n_ranges * sizeof(*ranges));
	if (IS_ERR(ranges)) {
		view = ERR_CAST(ranges);
	} else {
		view = wh_view_create(wish, ranges, file ? file->private_data : NULL);
		kvfree(ranges);
	}
	if (file)
		fput(file);
	return view;
}

static long view_create(const struct wormhole_view_create __user *argument)
{
	struct wormhole_view_create wish;
	struct wh_view *view;
	int fd;

	if (copy_from_user(&wish, argument, sizeof(wish)))
		return -EFAULT;
	if (wish.version != WORMHOLE_VERSION || wish.flags & ~WORMHOLE_OF_VM ||
	    (!wish.flags && wish.kvm_fd) || !wish.n_ranges || wish.n_ranges > WORMHOLE_RANGES_MAX)
		return -EINVAL;
	view = make_view(&wish);
	memzero_explicit(wish.key, sizeof(wish.key));
	if (IS_ERR(view))
		return PTR_ERR(view);
	fd = anon_inode_getfd("[wormhole-view]", &view_fops, view, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		wh_view_free(view);
	return fd;
}

static long vm_open(const struct wormhole_vm_open __user *argument)
{
	struct wormhole_vm_open wish;
	struct wh_vm *vm = ERR_PTR(-EINVAL);
	struct file *file;
	int fd;

	if (copy_from_user(&wish, argument, sizeof(wish)))
		return -EFAULT;
	if (wish.flags)
		return -EINVAL;
	file = fget(wish.kvm_fd);
	if (!file)
		return -EBADF;
	mutex_lock(&wh_lock);
	if (file_is_kvm(file))
		vm = wh_vm_open(file->private_data);
	mutex_unlock(&wh_lock);
	fput(file);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = anon_inode_getfd("[wormhole-vm]", &vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		mutex_lock(&wh_lock);
		wh_vm_put(vm);
		mutex_unlock(&wh_lock);
	}
	return fd;
}

static long info(struct wormhole_info __user *argument)
{
	struct wormhole_info info = {
		.version = WORMHOLE_VERSION,
		.flags = wh_execute_only ? WORMHOLE_INFO_EXECUTE_ONLY : 0,
		.views = atomic_read(&wh_views),
		.vms = atomic_read(&wh_vms),
		.pinned_pages = atomic64_read(&wh_pinned_pages),
		.own_pages = atomic64_read(&wh_own_pages),
		.list_pages = atomic64_read(&wh_list_pages),
	};

	return copy_to_user(argument, &info, sizeof(info)) ? -EFAULT : 0;
}

static long device_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	switch (command) {
	case WORMHOLE_INFO:
		return info((struct wormhole_info __user *)argument);
	case WORMHOLE_VIEW_CREATE:
		return view_create((const struct wormhole_view_create __user *)argument);
	case WORMHOLE_VM_OPEN:
		return vm_open((const struct wormhole_vm_open __user *)argument);
	}
	return -ENOTTY;
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = device_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "wormhole",
	.fops = &device_fops,
	.mode = 0600,
};

/* Then KVM's VMCS may be a page of memory, as Hyper-V would have it, which no VMREAD can see. */
static bool is_on_hyperv(void)
{
#if IS_ENABLED(CONFIG_HYPERV)
	return ms_hyperv.hints & HV_X64_ENLIGHTENED_VMCS_RECOMMENDED;
#else
	return false;
#endif
}

/* EPTP switching, EPT of four levels in write-back memory, and INVEPT of one root. */
static bool cpu_can(void)
{
	const u64 wanted = VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT | VMX_EPT_INVEPT_BIT |
			   VMX_EPT_EXTENT_CONTEXT_BIT;
	u64 controls, functions, ept;

	if (!boot_cpu_has(X86_FEATURE_VMX) || is_on_hyperv() ||
	    rdmsrl_safe(MSR_IA32_VMX_PROCBASED_CTLS2, &controls) ||
	    !(controls >> 32 & SECONDARY_EXEC_ENABLE_VMFUNC) ||
	    rdmsrl_safe(MSR_IA32_VMX_VMFUNC, &functions) ||
	    !(functions & VMX_VMFUNC_EPTP_SWITCHING) ||
	    rdmsrl_safe(MSR_IA32_VMX_EPT_VPID_CAP, &ept))
		return false;
	wh_execute_only = ept & VMX_EPT_EXECUTE_ONLY_BIT;
	return (ept & wanted) == wanted;
}

static int __init wormhole_init(void)
{
	int error;

	if (!cpu_can()) {
		pr_info("wormhole: this CPU has no EPTP switching (VMFUNC), or Hyper-V keeps it\n");
		return -ENODEV;
	}
	wh_queue = alloc_workqueue("wormhole", 0, 0);
	if (!wh_queue)
		return -ENOMEM;
	error = misc_register(&device);
	if (error)
		destroy_workqueue(wh_queue);
	return error;
}

/* Every descriptor and every VM that is not clean holds the module, so nothing is left here. */
static void __exit wormhole_exit(void)
{
	misc_deregister(&device);
	destroy_workqueue(wh_queue);
}

module_init(wormhole_init);
module_exit(wormhole_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Wormhole: calls from a VM into a worker's memory without VM exits");
MODULE_VERSION("0.1.0");
