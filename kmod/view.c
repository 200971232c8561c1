// SPDX-License-Identifier: GPL-2.0-only
/*
 * A view: an EPT, the guest page tables in it, the gate, lanes, and the ranges
 * of the worker's memory. Made once from the ioctl and never changed after, so
 * that no translation in any CPU's caches can be stale while it lives. Nothing
 * in here may put a page into a view that is not the view's own: tables are
 * readable only, and no list of EPT pointers is reachable at all.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <asm/tsc.h>

#include "wormhole.h"
#include "vmx.h"

#define EPT_READ	1ull
#define EPT_WRITE	2ull
#define EPT_EXECUTE	4ull
#define EPT_TABLE	7ull
/* A violation is always an exit, also where a kernel turns others into exceptions (#VE). */
#define EPT_NO_VE	BIT_ULL(63)
/* Write-back, whatever the guest's PAT says. */
#define EPT_LEAF	((6ull << 3) | VMX_EPT_IPAT_BIT | EPT_NO_VE)

/* Accessed and dirty are set from the start: the tables cannot be written in the view. */
#define PTE_TABLE	0x27ull
#define PTE_READ	0x25ull
#define PTE_WRITE	0x67ull

#define ENTRIES		512
#define FRAME(entry)	((entry) & GENMASK_ULL(51, 12))

/*
 * The landing page is int3 throughout but for the jump at ENTER, whose own
 * displacement is four int3 as well, and the VMFUNC at LEAVE. The jump takes
 * its target from where that displacement leads.
 */
#define LANDING_FILL	0xcc
#define LANDING_POINTER(gate) ((gate) + WORMHOLE_ENTER + 6 - 0x33333334ull)

static const u8 landing_enter[] = { 0xff, 0x25, 0xcc, 0xcc, 0xcc, 0xcc };
static const u8 landing_leave[] = { 0x0f, 0x01, 0xd4 };

static void *own_page(struct wh_view *view)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!page)
		return NULL;
	list_add(&page->lru, &view->own);
	view->n_own++;
	atomic64_inc(&wh_own_pages);
	return page_address(page);
}

static u64 *full_table(struct wh_view *view, u64 entry)
{
	u64 *table = own_page(view);
	int i;

	for (i = 0; table && i < ENTRIES; i++)
		table[i] = entry;
	return table;
}

/* Where nothing else is, every guest-physical address leads to the guest's page-table root. */
static int make_anywhere(struct wh_view *view)
{
	u64 entry;
	int level;

	view->tables = own_page(view);
	if (!view->tables)
		return -ENOMEM;
	entry = __pa(view->tables) | EPT_READ | EPT_LEAF;
	for (level = 0; level < 4; level++) {
		view->anywhere[level] = full_table(view, entry);
		if (!view->anywhere[level])
			return -ENOMEM;
		entry = __pa(view->anywhere[level]) | EPT_TABLE;
	}
	/* The root itself is the last of them: all of it can be overwritten. */
	view->ept = view->anywhere[3];
	view->eptp = __pa(view->ept) | VMX_EPTP_MT_WB | VMX_EPTP_PWL_4;
	return 0;
}

static int ept_map(struct wh_view *view, u64 gpa, u64 hpa, u64 access)
{
	u64 *table = view->ept;
	int level;

	for (level = 3; level > 0; level--) {
		u64 *entry = &table[(gpa >> (12 + 9 * level)) & (ENTRIES - 1)];
		u64 *next = __va(FRAME(*entry));

		if (next == view->anywhere[level - 1]) {
			next = own_page(view);
			if (!next)
				return -ENOMEM;
			memcpy(next, view->anywhere[level - 1], PAGE_SIZE);
			*entry = __pa(next) | EPT_TABLE;
		}
		table = next;
	}
	table[(gpa >> 12) & (ENTRIES - 1)] = hpa | access | EPT_LEAF;
	return 0;
}

/* Gives a page its guest-physical address. */
static int place(struct wh_view *view, u64 hpa, u64 access, u64 *gpa)
{
	*gpa = view->next;
	view->next += PAGE_SIZE;
	return ept_map(view, *gpa, hpa, access);
}

/* The guest's tables name each other by guest-physical address: finds one through the EPT. */
static u64 *own_table(struct wh_view *view, u64 gpa)
{
	u64 *table = view->ept;
	int level;

	for (level = 3; level > 0; level--)
		table = __va(FRAME(table[(gpa >> (12 + 9 * level)) & (ENTRIES - 1)]));
	return __va(FRAME(table[(gpa >> 12) & (ENTRIES - 1)]));
}

static int guest_map(struct wh_view *view, u64 address, u64 gpa, bool write)
{
	u64 *table = view->tables, *entry;
	int level, error;

	for (level = 3; level > 0; level--) {
		entry = &table[(address >> (12 + 9 * level)) & (ENTRIES - 1)];
		if (!*entry) {
			u64 *next = own_page(view);
			u64 at;

			if (!next)
				return -ENOMEM;
			error = place(view, __pa(next), EPT_READ, &at);
			if (error)
				return error;
			*entry = at | PTE_TABLE;
		}
		table = own_table(view, FRAME(*entry));
	}
	entry = &table[(address >> 12) & (ENTRIES - 1)];
	if (*entry)
		return -EEXIST; /* two ranges at one address */
	*entry = gpa | (write ? PTE_WRITE : PTE_READ);
	return 0;
}

static int map(struct wh_view *view, u64 address, u64 hpa, u64 access)
{
	u64 gpa;
	int error = place(view, hpa, access, &gpa);

	return error ?: guest_map(view, address, gpa, access & EPT_WRITE);
}

static u64 code_access(void)
{
	return wh_execute_only ? EPT_EXECUTE : EPT_READ | EPT_EXECUTE;
}

static int make_gate(struct wh_view *view, const struct wormhole_view_create *wish)
{
	u8 *code = own_page(view), *landing = own_page(view), *config = own_page(view);
	u64 pointer = LANDING_POINTER(view->gate);
	u64 gpa;
	int error;

	BUILD_BUG_ON((WORMHOLE_ENTER + 6 - 0x33333334ull) % PAGE_SIZE != CONFIG_ENTRY);
	if (!code || !landing || !config)
		return -ENOMEM;
	memset(code, LANDING_FILL, PAGE_SIZE);
	memcpy(code, wh_gate_code, wh_gate_end - wh_gate_code);
	memset(landing, LANDING_FILL, PAGE_SIZE);
	memcpy(landing + WORMHOLE_ENTER, landing_enter, sizeof(landing_enter));
	memcpy(landing + WORMHOLE_LEAVE, landing_leave, sizeof(landing_leave));
	memcpy(config + CONFIG_KEY, wish->key, sizeof(wish->key));
	*(u64 *)(config + CONFIG_HANDLER) = wish->handler;
	*(u64 *)(config + CONFIG_LANES) = wish->lanes;
	*(u64 *)(config + CONFIG_LEAVE) = view->gate + WORMHOLE_LEAVE;
	*(u32 *)(config + CONFIG_MXCSR) = 0x1f80;
	*(u64 *)(config + CONFIG_ENTRY) = WORMHOLE_ZONE + GATE_CODE;

	error = map(view, WORMHOLE_ZONE + GATE_CODE, __pa(code), code_access());
	error = error ?: map(view, view->gate, __pa(landing), code_access());
	error = error ?: place(view, __pa(config), EPT_READ, &gpa);
	error = error ?: guest_map(view, WORMHOLE_ZONE + GATE_CONFIG, gpa, false);
	return error ?: guest_map(view, pointer & PAGE_MASK, gpa, false);
}

static int make_lanes(struct wh_view *view, u32 stack_pages)
{
	u32 lane, i;
	int error;

	for (lane = 0; lane < view->n_lanes; lane++) {
		u64 top = WORMHOLE_ZONE + GATE_LANES + lane * (u64)LANE_SIZE + LANE_PAGE;

		for (i = 0; i <= stack_pages; i++) {
			void *page = own_page(view);

			if (!page)
				return -ENOMEM;
			if (i == 0)
				view->lanes[lane].page = page;
			error = map(view, top - i * PAGE_SIZE, __pa(page), EPT_READ | EPT_WRITE);
			if (error)
				return error;
		}
	}
	return 0;
}

static long pin_remote(struct mm_struct *mm, unsigned long address, struct page **page)
{
	const unsigned int flags = FOLL_WRITE | FOLL_LONGTERM;
	long got;

	mmap_read_lock(mm);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	got = pin_user_pages_remote(mm, address, 1, flags, page, NULL);
#else
	got = pin_user_pages_remote(mm, address, 1, flags, page, NULL, NULL);
#endif
	mmap_read_unlock(mm);
	return got;
}

/* What KVM keeps in a slot of its own (the APIC's page) is not the guest's to give away. */
static unsigned long guest_address(struct kvm *kvm, gfn_t gfn)
{
	const struct kvm_memory_slot *slot = gfn_to_memslot(kvm, gfn);

	if (!slot || slot->id >= KVM_USER_MEM_SLOTS)
		return KVM_HVA_ERR_BAD;
	return gfn_to_hva(kvm, gfn); /* an error where it is read-only, or about to go */
}

/* While SRCU is held, the address stays that of the guest's memory. */
static long pin_guest(struct kvm *kvm, u64 gpa, struct page **page)
{
	unsigned long address;
	long got = -EFAULT;
	int index;

	if (!mmget_not_zero(kvm->mm))
		return -EFAULT;
	index = srcu_read_lock(&kvm->srcu);
	address = guest_address(kvm, gpa >> PAGE_SHIFT);
	if (!kvm_is_error_hva(address))
		got = pin_remote(kvm->mm, address, page);
	srcu_read_unlock(&kvm->srcu, index);
	mmput(kvm->mm);
	return got;
}

/* Pins some of the pages; written or not, only a writable pin is of the page that is seen there. */
static long pin(struct wh_view *view, u64 address, unsigned long wanted, struct page **pages)
{
	long got;

	if (view->source)
		got = pin_guest(view->source, address, pages);
	else
		got = pin_user_pages_fast(address, min(wanted, 512ul), FOLL_WRITE | FOLL_LONGTERM,
					  pages);
	return got ?: -EFAULT;
}

static int copy_page_in(struct wh_view *view, void *to, u64 address)
{
	struct page *page;
	long got;

	if (!view->source)
		return copy_from_user(to, u64_to_user_ptr(address), PAGE_SIZE) ? -EFAULT : 0;
	got = pin_guest(view->source, address, &page);
	if (got != 1)
		return got ?: -EFAULT;
	memcpy(to, page_address(page), PAGE_SIZE);
	unpin_user_page(page);
	return 0;
}

/*
 * Code is copied, so that nobody can change it after it was looked at. It may not
 * hold a VMFUNC at any byte: with one, a callee of this view could land at an
 * upper-half address of another.
 */
static int add_code(struct wh_view *view, const struct wormhole_range *range)
{
	u8 before[2] = { 0, 0 };
	u64 offset;

	for (offset = 0; offset < range->size; offset += PAGE_SIZE) {
		u8 *page = own_page(view);
		u8 seam[4];
		int i, error;

		if (!page)
			return -ENOMEM;
		error = copy_page_in(view, page, range->address + offset);
		if (error)
			return error;
		memcpy(seam, before, 2);
		memcpy(seam + 2, page, 2);
		for (i = 0; i < 2; i++)
			if (!memcmp(seam + i, landing_leave, 3))
				return -EPERM;
		for (i = 0; i + 3 <= PAGE_SIZE; i++)
			if (!memcmp(page + i, landing_leave, 3))
				return -EPERM;
		memcpy(before, page + PAGE_SIZE - 2, 2);
		/* Readable: compilers put constants beside code. */
		error = map(view, range->view_address + offset, __pa(page),
			    EPT_READ | EPT_EXECUTE);
		if (error)
			return error;
	}
	return 0;
}

/* The pages stay the worker's; what is writable there is shared with the view. */
static int add_data(struct wh_view *view, const struct wormhole_range *range)
{
	struct wh_pinned *pinned = &view->pinned[view->n_pinned];
	unsigned long wanted = range->size >> PAGE_SHIFT, i;
	u64 access = EPT_READ | (range->flags & WORMHOLE_WRITE ? EPT_WRITE : 0);
	int error;

	pinned->pages = kvmalloc_array(wanted, sizeof(*pinned->pages), GFP_KERNEL_ACCOUNT);
	if (!pinned->pages)
		return -ENOMEM;
	view->n_pinned++;
	while (pinned->count < wanted) {
		long got = pin(view, range->address + pinned->count * PAGE_SIZE,
			       wanted - pinned->count, pinned->pages + pinned->count);

		if (got < 0)
			return got;
		pinned->count += got;
		atomic64_add(got, &wh_pinned_pages);
	}
	for (i = 0; i < wanted; i++) {
		error = map(view, range->view_address + i * PAGE_SIZE,
			    page_to_phys(pinned->pages[i]), access);
		if (error)
			return error;
		cond_resched();
	}
	return 0;
}

static bool range_is_good(const struct wormhole_range *range)
{
	u64 start = range->view_address, end = start + range->size;
	bool upper = start >= WORMHOLE_RANGES && end <= WORMHOLE_ZONE_END;
	/* Views have page tables of four levels, whatever the host has. */
	bool lower = start >= PAGE_SIZE && end <= DEFAULT_MAP_WINDOW;

	if (!range->size || end < start || range->address + range->size < range->address)
		return false;
	if ((range->address | range->size | start) & ~PAGE_MASK || range->reserved)
		return false;
	if (range->flags == WORMHOLE_EXECUTE)
		return upper;
	return (upper || lower) && !(range->flags & ~WORMHOLE_WRITE);
}

static int check(const struct wormhole_view_create *wish, const struct wormhole_range *ranges)
{
	u32 i;

	if (wish->gate & ~PAGE_MASK || wish->gate < 1ull << 32 ||
	    wish->gate >= DEFAULT_MAP_WINDOW - PAGE_SIZE)
		return -EINVAL;
	if (!wish->lanes || wish->lanes > WORMHOLE_LANES_MAX)
		return -EINVAL;
	if (!wish->stack_pages || wish->stack_pages > WORMHOLE_STACK_PAGES_MAX)
		return -EINVAL;
	for (i = 0; i < wish->n_ranges; i++)
		if (!range_is_good(&ranges[i]))
			return -EINVAL;
	for (i = 0; i < wish->n_ranges; i++)
		if (ranges[i].flags == WORMHOLE_EXECUTE &&
		    wish->handler >= ranges[i].view_address &&
		    wish->handler - ranges[i].view_address < ranges[i].size)
			return 0;
	return -EINVAL; /* the handler is nowhere */
}

/* What a view costs counts as locked memory, before any of it is taken. */
static int account(struct wh_view *view, const struct wormhole_view_create *wish,
		   const struct wormhole_range *ranges)
{
	unsigned long pages = wish->lanes * (wish->stack_pages + 1ul);
	u32 i;
	int error;

	for (i = 0; i < wish->n_ranges; i++) {
		if (ranges[i].size > TASK_SIZE_MAX || pages > TASK_SIZE_MAX >> PAGE_SHIFT)
			return -ENOMEM;
		pages += ranges[i].size >> PAGE_SHIFT;
	}
	error = account_locked_vm(current->mm, pages, true);
	if (error)
		return error;
	mmgrab(current->mm);
	view->mm = current->mm;
	view->locked = pages;
	return 0;
}

static int fill(struct wh_view *view, const struct wormhole_view_create *wish,
		const struct wormhole_range *ranges)
{
	u32 i;
	int error = account(view, wish, ranges);

	error = error ?: make_anywhere(view);
	error = error ?: make_gate(view, wish);
	error = error ?: make_lanes(view, wish->stack_pages);
	for (i = 0; i < wish->n_ranges && !error; i++)
		error = ranges[i].flags == WORMHOLE_EXECUTE ? add_code(view, &ranges[i]) :
							      add_data(view, &ranges[i]);
	return error;
}

struct wh_view *wh_view_create(const struct wormhole_view_create *wish,
			       const struct wormhole_range *ranges, struct kvm *source)
{
	struct wh_view *view;
	int error = check(wish, ranges);

	if (error)
		return ERR_PTR(error);
	view = kvzalloc(sizeof(*view), GFP_KERNEL_ACCOUNT);
	if (!view)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&view->own);
	atomic_inc(&wh_views);
	view->source = source;
	view->gate = wish->gate;
	/* Half of what the CPU can address: no guest has memory there, nor a page table. */
	view->window = 1ull << (min_t(u32, boot_cpu_data.x86_phys_bits, 48) - 1);
	view->next = view->window;
	view->budget = mul_u64_u32_div(wish->budget_ns ?: NSEC_PER_SEC, tsc_khz, 1000000);
	view->n_lanes = wish->lanes;
	view->lanes = kvcalloc(wish->lanes, sizeof(*view->lanes), GFP_KERNEL_ACCOUNT);
	view->pinned = kvcalloc(wish->n_ranges, sizeof(*view->pinned), GFP_KERNEL_ACCOUNT);
	error = view->lanes && view->pinned ? fill(view, wish, ranges) : -ENOMEM;
	if (error) {
		wh_view_free(view);
		return ERR_PTR(error);
	}
	view->source = NULL;
	return view;
}

/*
 * The time that pins are given back is after the last CPU lost its translations: wh_vm_unbind
 * sees to that. Never called on a bound view. In the order of creation, backwards.
 */
void wh_view_free(struct wh_view *view)
{
	struct page *page, *next;
	u32 i;

	for (i = 0; i < view->n_pinned; i++) {
		unpin_user_pages_dirty_lock(view->pinned[i].pages, view->pinned[i].count, true);
		atomic64_sub(view->pinned[i].count, &wh_pinned_pages);
		kvfree(view->pinned[i].pages);
	}
	list_for_each_entry_safe(page, next, &view->own, lru) {
		list_del(&page->lru);
		clear_page(page_address(page)); /* keys, and what callees left */
		__free_page(page);
	}
	atomic64_sub(view->n_own, &wh_own_pages);
	if (view->mm) {
		if (mmget_not_zero(view->mm)) {
			account_locked_vm(view->mm, view->locked, false);
			mmput(view->mm);
		}
		mmdrop(view->mm);
	}
	kvfree(view->lanes);
	kvfree(view->pinned);
	kvfree(view);
	atomic_dec(&wh_views);
}

void wh_view_stats(const struct wh_view *view, struct wormhole_view_stats *stats)
{
	u32 i;

	memset(stats, 0, sizeof(*stats));
	for (i = 0; i < view->n_lanes; i++) {
		stats->started += READ_ONCE(*(u64 *)(view->lanes[i].page + LANE_STARTED));
		stats->calls += READ_ONCE(*(u64 *)(view->lanes[i].page + LANE_CALLS));
	}
	stats->suspensions = atomic64_read(&view->suspensions);
	stats->retries = atomic64_read(&view->retries);
	stats->forwards = atomic64_read(&view->forwards);
	stats->strays = atomic64_read(&view->strays);
	stats->violations = atomic64_read(&view->violations);
	stats->overruns = atomic64_read(&view->overruns);
	stats->lost = READ_ONCE(view->lost);
	for (i = 0; i < WORMHOLE_REASONS; i++)
		stats->exits[i] = atomic64_read(&view->exits[i]);
}
