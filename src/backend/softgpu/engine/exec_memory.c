/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads, stores and everything about addresses. Every access of a kernel passes wh_translate, which
 * is what keeps a kernel within its memory: ranges that were reached are remembered per warp, all
 * others are asked for. Called as handlers.
 */
#include "access.h"
#include "atomic.h"
#include "exec.h"

#include <string.h>

/* ---- where an address leads ---- */

/* The remembered range that holds [start, end), or one that is reached for; NULL: none. */
static const struct wh_range *find_range(struct wh_warp *warp, uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < WH_RANGES; i++)
        if (start >= warp->ranges[i].start && end <= warp->ranges[i].end)
            return &warp->ranges[i];
    const struct wh_soft_memory *memory = warp->block->job->memory;
    struct wh_range range;
    if (!memory->reach(memory->owner, start, &range.start, &range.end) || start < range.start ||
        end > range.end)
        return NULL;
    struct wh_range *place = &warp->ranges[warp->next_range++ % WH_RANGES];
    *place = range;
    return place;
}

static void *shared_pointer(struct wh_warp *warp, uint64_t address, uint64_t bytes, uint64_t *room)
{
    struct wh_block *block = warp->block;
    uint64_t rank = address >> WH_RANK_SHIFT;
    if (rank > 0 && rank <= block->unit->nblocks) {
        block = &block->unit->blocks[rank - 1];
        address &= (1u << WH_RANK_SHIFT) - 1;
    }
    if (address > block->shared_size || bytes > block->shared_size - address)
        return NULL;
    *room = block->shared_size - address;
    return block->shared + address;
}

static void *local_pointer(struct wh_warp *warp, unsigned lane, uint64_t address, uint64_t bytes,
                           uint64_t *room)
{
    if (address > warp->local_stride || bytes > warp->local_stride - address)
        return NULL;
    *room = warp->local_stride - address;
    return warp->local + (size_t)lane * warp->local_stride + address;
}

static void *param_pointer(struct wh_warp *warp, uint64_t address, uint64_t bytes, uint64_t *room)
{
    const struct wh_job *job = warp->block->job;
    uint64_t size = job->function->params_size;
    if (address > size || bytes > size - address)
        return NULL;
    *room = size - address;
    return (uint8_t *)(uintptr_t)job->launch->params + address;
}

static void *resolve(struct wh_warp *warp, unsigned lane, enum wh_space space, uint64_t address,
                     uint64_t bytes, bool write, uint64_t *room)
{
    if (space == SPACE_GENERIC && address >= WH_SHARED_WINDOW && address < WH_WINDOW_END) {
        static const enum wh_space spaces[] = {SPACE_SHARED, SPACE_LOCAL, SPACE_PARAM};
        uint64_t window = (address - WH_SHARED_WINDOW) / (WH_LOCAL_WINDOW - WH_SHARED_WINDOW);
        space = spaces[window];
        address -= WH_SHARED_WINDOW + window * (WH_LOCAL_WINDOW - WH_SHARED_WINDOW);
    }
    switch (space) {
    case SPACE_SHARED:
        return shared_pointer(warp, address, bytes, room);
    case SPACE_LOCAL:
        return local_pointer(warp, lane, address, bytes, room);
    case SPACE_PARAM:
        return write ? NULL : param_pointer(warp, address, bytes, room);
    default:
        break;
    }
    if (bytes > WH_SHARED_WINDOW || address > WH_SHARED_WINDOW - bytes)
        return NULL;
    const struct wh_range *range = find_range(warp, address, address + bytes);
    if (!range)
        return NULL;
    *room = range->end - address;
    return (void *)(uintptr_t)address; /* NOLINT: device addresses are host addresses */
}

void *wh_span(struct wh_warp *warp, unsigned lane, uint64_t address, uint64_t *room)
{
    return resolve(warp, lane, SPACE_GENERIC, address, 1, false, room);
}

static bool bad_address(struct wh_warp *warp, const struct wh_ins *ins, unsigned lane,
                        uint64_t address, uint64_t bytes)
{
    static const char *const names[] = {"generic", "global", "shared", "local",
                                        "const",   "param",  "reg"};
    if (address % bytes != 0 && bytes <= 32)
        wh_fault(warp, ins, lane, FAULT_MISALIGNED, "misaligned %s address %#llx of %llu bytes",
                 names[ins->space], (unsigned long long)address, (unsigned long long)bytes);
    else
        wh_fault(warp, ins, lane, FAULT_ILLEGAL_ADDRESS, "illegal %s address %#llx of %llu bytes",
                 names[ins->space], (unsigned long long)address, (unsigned long long)bytes);
    return false;
}

static bool translate_each(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask,
                           uint64_t bytes, bool write, uint64_t pointers[WH_LANES])
{
    WH_EACH_LANE(lane, mask)
    {
        uint64_t room;
        void *pointer = pointers[lane] % bytes ? NULL
                                               : resolve(warp, lane, (enum wh_space)ins->space,
                                                         pointers[lane], bytes, write, &room);
        if (!pointer)
            return bad_address(warp, ins, lane, pointers[lane], bytes);
        pointers[lane] = (uint64_t)(uintptr_t)pointer;
    }
    return true;
}

void *wh_reach(struct wh_warp *warp, const struct wh_ins *ins, unsigned lane, uint64_t address,
               uint64_t alignment, uint64_t bytes, bool write)
{
    uint64_t room;
    void *pointer = address % alignment ? NULL
                                        : resolve(warp, lane, (enum wh_space)ins->space, address,
                                                  bytes, write, &room);
    if (!pointer)
        bad_address(warp, ins, lane, address, alignment);
    return pointer;
}

/* What a warp's addresses have in common, the lanes that are off left out. */
struct extent {
    uint64_t low, high, bits;
};

static struct extent measure(const struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask,
                             uint64_t addresses[WH_LANES])
{
    uint64_t offset = (uint64_t)ins->offset;
    if (ins->flags & F_WIDE_ADDRESS) {
        const uint64_t *a = wh_reg(warp, ins->a);
        for (unsigned lane = 0; lane < WH_LANES; lane++)
            addresses[lane] = a[lane] + offset;
    } else {
        const uint32_t *a = wh_reg(warp, ins->a);
        for (unsigned lane = 0; lane < WH_LANES; lane++)
            addresses[lane] = (uint32_t)(a[lane] + (uint32_t)offset);
    }
    uint64_t first = addresses[__builtin_ctz(mask)];
    struct extent extent = {first, first, 0};
    if (mask == UINT32_MAX) {
        for (unsigned lane = 0; lane < WH_LANES; lane++) {
            extent.low = addresses[lane] < extent.low ? addresses[lane] : extent.low;
            extent.high = addresses[lane] > extent.high ? addresses[lane] : extent.high;
            extent.bits |= addresses[lane];
        }
        return extent;
    }
    for (unsigned lane = 0; lane < WH_LANES; lane++) {
        uint64_t address = mask >> lane & 1 ? addresses[lane] : first;
        extent.low = address < extent.low ? address : extent.low;
        extent.high = address > extent.high ? address : extent.high;
        extent.bits |= address;
    }
    return extent;
}

bool wh_translate(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask, uint64_t bytes,
                  bool write, uint64_t pointers[WH_LANES])
{
    struct extent extent = measure(warp, ins, mask, pointers);
    bool aligned = (extent.bits & (bytes - 1)) == 0;
    if (aligned && ins->space <= SPACE_GLOBAL && extent.high < WH_SHARED_WINDOW) {
        if (find_range(warp, extent.low, extent.high + bytes))
            return true;
    } else if (aligned && ins->space == SPACE_SHARED) {
        const struct wh_block *block = warp->block;
        if (extent.high + bytes <= block->shared_size) {
            for (unsigned lane = 0; lane < WH_LANES; lane++)
                pointers[lane] += (uint64_t)(uintptr_t)block->shared;
            return true;
        }
    }
    return translate_each(warp, ins, mask, bytes, write, pointers);
}

/* ---- loads ---- */

static uint64_t read_value(uint64_t pointer, unsigned size, bool is_signed)
{
    void *at = (void *)(uintptr_t)pointer; /* NOLINT */
    switch (size) {
    case 1:
        return is_signed
                   ? (uint64_t)(int64_t)(int8_t)__atomic_load_n((uint8_t *)at, __ATOMIC_ACQUIRE)
                   : __atomic_load_n((uint8_t *)at, __ATOMIC_ACQUIRE);
    case 2:
        return is_signed
                   ? (uint64_t)(int64_t)(int16_t)__atomic_load_n((uint16_t *)at, __ATOMIC_ACQUIRE)
                   : __atomic_load_n((uint16_t *)at, __ATOMIC_ACQUIRE);
    case 4:
        return is_signed
                   ? (uint64_t)(int64_t)(int32_t)__atomic_load_n((uint32_t *)at, __ATOMIC_ACQUIRE)
                   : __atomic_load_n((uint32_t *)at, __ATOMIC_ACQUIRE);
    default:
        return __atomic_load_n((uint64_t *)at, __ATOMIC_ACQUIRE);
    }
}

void wh_do_load(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint64_t pointers[WH_LANES];
    unsigned size = wh_type_size((enum wh_type)ins->type);
    if (ins->flags & F_STRONG)
        warp->spins++;
    if (!wh_translate(warp, ins, mask, (uint64_t)size * ins->n, false, pointers))
        return;
    for (unsigned i = 0; i < ins->n; i++) {
        uint32_t entry = ins->list[i];
        WH_EACH_LANE(lane, mask)
        wh_put(warp, entry & ~WH_LIST_WIDE, lane, entry & WH_LIST_WIDE,
               read_value(pointers[lane] + i * size, size, ins->flags & F_SIGNED));
    }
}

/* One plain value as wide as its register, of 32 or 64 bits, or several of 32: what the quick ways
 * know. */
static bool is_quick(const struct wh_ins *ins, unsigned *wide)
{
    unsigned size = wh_type_size((enum wh_type)ins->type);
    *wide = size == 8;
    for (unsigned i = 0; i < ins->n; i++)
        if (((ins->list[i] & WH_LIST_WIDE) != 0) != (size == 8))
            return false;
    return size >= 4 && !(ins->flags & F_STRONG) && (ins->n == 1 || size == 4);
}

/* Or one of 8 or 16 bits in a register of 32. */
static bool is_quick_short(const struct wh_ins *ins)
{
    return wh_type_size((enum wh_type)ins->type) <= 2 && ins->n == 1 &&
           !(ins->list[0] & WH_LIST_WIDE) && !(ins->flags & F_STRONG);
}

wh_run wh_load_handler(const struct wh_ins *ins)
{
    const struct wh_access *access = wh_access_best();
    unsigned wide, size = wh_type_size((enum wh_type)ins->type),
                   sign = (ins->flags & F_SIGNED) != 0;
    bool small = is_quick_short(ins);
    if (!small && !is_quick(ins, &wide))
        return wh_do_load;
    switch (ins->space) {
    case SPACE_SHARED:
        return small        ? access->load_shared_short[size == 2][sign]
               : ins->n > 1 ? access->load_shared_vector
                            : access->load_shared[wide];
    case SPACE_GENERIC:
    case SPACE_GLOBAL:
    case SPACE_CONST:
        return small        ? access->load_global_short[size == 2][sign]
               : ins->n > 1 ? access->load_global_vector
                            : access->load_global[wide];
    default:
        return wh_do_load;
    }
}

/* ---- stores ---- */

static void write_value(uint64_t pointer, unsigned size, uint64_t value)
{
    void *at = (void *)(uintptr_t)pointer; /* NOLINT */
    switch (size) {
    case 1:
        __atomic_store_n((uint8_t *)at, (uint8_t)value, __ATOMIC_RELEASE);
        break;
    case 2:
        __atomic_store_n((uint16_t *)at, (uint16_t)value, __ATOMIC_RELEASE);
        break;
    case 4:
        __atomic_store_n((uint32_t *)at, (uint32_t)value, __ATOMIC_RELEASE);
        break;
    default:
        __atomic_store_n((uint64_t *)at, value, __ATOMIC_RELEASE);
        break;
    }
}

static bool may_write_each(struct wh_warp *warp, uint32_t mask, uint64_t size,
                           const uint64_t pointers[WH_LANES])
{
    WH_EACH_LANE(lane, mask)
    if (!wh_may_write(warp, (void *)(uintptr_t)pointers[lane], size)) /* NOLINT */
        return false;
    return true;
}

void wh_do_store(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint64_t pointers[WH_LANES];
    unsigned size = wh_type_size((enum wh_type)ins->type);
    if (!wh_translate(warp, ins, mask, (uint64_t)size * ins->n, true, pointers))
        return;
    if (WH_VIEW && !may_write_each(warp, mask, (uint64_t)size * ins->n, pointers))
        return;
    WH_EACH_LANE(lane, mask)
    for (unsigned i = 0; i < ins->n; i++) {
        uint32_t entry = ins->list[i];
        write_value(pointers[lane] + i * size, size,
                    wh_get(warp, entry & ~WH_LIST_WIDE, lane, entry & WH_LIST_WIDE));
    }
}

wh_run wh_store_handler(const struct wh_ins *ins)
{
    const struct wh_access *access = wh_access_best();
    unsigned wide;
    bool small = is_quick_short(ins);
    if (!small && !is_quick(ins, &wide))
        return wh_do_store;
    switch (ins->space) {
    case SPACE_SHARED:
        return small        ? wh_do_store
               : ins->n > 1 ? access->store_shared_vector
                            : access->store_shared[wide];
    case SPACE_GENERIC:
    case SPACE_GLOBAL:
        return small        ? access->store_global_short[wh_type_size((enum wh_type)ins->type) == 2]
               : ins->n > 1 ? access->store_global_vector
                            : access->store_global[wide];
    default:
        return wh_do_store;
    }
}

/* ---- parameters ---- */

static void fill_register(const struct wh_warp *warp, uint32_t entry, uint64_t value)
{
    void *reg = wh_reg(warp, entry & ~WH_LIST_WIDE);
    if (entry & WH_LIST_WIDE)
        for (unsigned lane = 0; lane < WH_LANES; lane++)
            ((uint64_t *)reg)[lane] = value;
    else
        for (unsigned lane = 0; lane < WH_LANES; lane++)
            ((uint32_t *)reg)[lane] = (uint32_t)value;
}

/* One value for all lanes, from the launch. */
void wh_do_load_param(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const uint8_t *params = (const uint8_t *)warp->block->job->launch->params + ins->offset;
    unsigned size = wh_type_size((enum wh_type)ins->type);
    for (unsigned i = 0; i < ins->n; i++, params += size) {
        uint64_t value = 0;
        uint32_t entry = ins->list[i];
        memcpy(&value, params, size);
        if (ins->flags & F_SIGNED && size < 8)
            value = (uint64_t)((int64_t)(value << (64 - size * 8)) >> (64 - size * 8));
        if (mask == UINT32_MAX)
            fill_register(warp, entry, value);
        else
            WH_EACH_LANE(lane, mask)
        wh_put(warp, entry & ~WH_LIST_WIDE, lane, entry & WH_LIST_WIDE, value);
    }
}

static uint64_t param_read(const uint32_t *words, uint64_t at, unsigned lane, unsigned size,
                           bool is_signed)
{
    const uint32_t *word = words + at / 4 * WH_LANES + lane;
    uint64_t value = size == 8 ? word[0] | (uint64_t)word[WH_LANES] << 32 : word[0] >> (at % 4 * 8);
    if (size == 8)
        return value;
    value <<= 64 - size * 8;
    return is_signed ? (uint64_t)((int64_t)value >> (64 - size * 8)) : value >> (64 - size * 8);
}

static void param_write(uint32_t *words, uint64_t at, unsigned lane, unsigned size, uint64_t value)
{
    uint32_t *word = words + at / 4 * WH_LANES + lane, shift = (uint32_t)(at % 4 * 8);
    if (size >= 4) {
        word[0] = (uint32_t)value;
        if (size == 8)
            word[WH_LANES] = (uint32_t)(value >> 32);
        return;
    }
    uint32_t mask = (size == 1 ? 0xffu : 0xffffu) << shift;
    word[0] = (word[0] & ~mask) | ((uint32_t)value << shift & mask);
}

/* Parameters of functions: words of the frame, a lane each. sub: 2 of the body's own, 1 written. */
void wh_do_param_word(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint32_t *words = ins->sub & 2 ? warp->frame->locals : warp->frame->in;
    unsigned size = wh_type_size((enum wh_type)ins->type);
    for (unsigned i = 0; i < ins->n; i++) {
        uint32_t entry = ins->list[i] & ~WH_LIST_WIDE;
        bool wide = ins->list[i] & WH_LIST_WIDE;
        uint64_t at = (uint64_t)ins->offset + i * size;
        WH_EACH_LANE(lane, mask)
        if (ins->sub & 1)
            param_write(words, at, lane, size, wh_get(warp, entry, lane, wide));
        else
            wh_put(warp, entry, lane, wide,
                   param_read(words, at, lane, size, ins->flags & F_SIGNED));
    }
}

uint64_t wh_builtin_argument(const struct wh_warp *warp, const struct wh_call *call, unsigned index,
                             unsigned lane)
{
    if (index >= call->nargs)
        return 0;
    const struct wh_param *param = &call->args[call->nreturns + index];
    return param_read(warp->frame->locals, param->offset, lane, param->size >= 8 ? 8 : 4, false);
}

void wh_builtin_return(struct wh_warp *warp, const struct wh_call *call, unsigned lane,
                       uint64_t value)
{
    if (call->nreturns)
        param_write(warp->frame->locals, call->args[0].offset, lane,
                    call->args[0].size >= 8 ? 8 : 4, value);
}

/* ---- addresses of one space in another ---- */

static uint64_t window_of(enum wh_space space)
{
    return space == SPACE_SHARED  ? WH_SHARED_WINDOW
           : space == SPACE_LOCAL ? WH_LOCAL_WINDOW
           : space == SPACE_PARAM ? WH_PARAM_WINDOW
                                  : 0;
}

void wh_do_cvta(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint64_t window = window_of((enum wh_space)ins->space);
    WH_EACH_LANE(lane, mask)
    {
        uint64_t address = wh_get(warp, ins->a, lane, true);
        wh_put(warp, ins->d, lane, true, ins->sub ? address - window : address + window);
    }
}

/* Constants lie among the globals here, and are told to be such. */
static bool in_space(enum wh_space space, uint64_t address)
{
    uint64_t window = window_of(space);
    if (window)
        return address >= window && address < window + WH_WINDOW_SIZE;
    return space != SPACE_CONST && address < WH_SHARED_WINDOW;
}

void wh_do_isspacep(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint32_t result = 0;
    WH_EACH_LANE(lane, mask)
    {
        uint64_t address = wh_get(warp, ins->a, lane, true);
        bool inside = in_space((enum wh_space)ins->space, address);
        uint64_t rank = (address - WH_SHARED_WINDOW) >> WH_RANK_SHIFT;
        if (inside && ins->space == SPACE_SHARED && !ins->sub && rank > 0 &&
            rank != warp->block->rank + 1u)
            inside = false;
        result |= (uint32_t)inside << lane;
    }
    wh_set_predicate(warp, ins->d, mask, result);
}

/* The address of the same place in another block of the cluster. */
void wh_do_mapa(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    bool wide = ins->flags & F_WIDE_ADDRESS;
    WH_EACH_LANE(lane, mask)
    {
        uint64_t address = wh_get(warp, ins->a, lane, wide),
                 rank = wh_get(warp, ins->b, lane, false);
        address &= ~(0xffull << WH_RANK_SHIFT);
        wh_put(warp, ins->d, lane, wide, address | ((rank & 0x7f) + 1) << WH_RANK_SHIFT);
    }
}

/* Whose shared memory an address is of: the block's own without a rank in it. */
void wh_do_rank(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    {
        uint64_t address = wh_get(warp, ins->a, lane, ins->flags & F_WIDE_ADDRESS),
                 rank = (address & (WH_WINDOW_SIZE - 1)) >> WH_RANK_SHIFT;
        wh_put(warp, ins->d, lane, false, rank ? rank - 1 : warp->block->rank);
    }
}

void wh_do_local_address(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->d, lane, true, wh_get(warp, ins->a, lane, true) + warp->frame->local_base);
}

void wh_do_dynamic_address(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->d, lane, true, warp->block->job->dynamic_base);
}

void wh_do_add_address(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->d, lane, ins->flags & F_WIDE_ADDRESS,
           wh_get(warp, ins->a, lane, true) + wh_get(warp, ins->b, lane, true));
}

/* ---- cp.async ---- */

void wh_do_copy_async(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint64_t to[WH_LANES], from[WH_LANES];
    struct wh_ins target = {.a = ins->a,
                            .offset = ins->offset,
                            .flags = ins->flags,
                            .space = SPACE_SHARED,
                            .line = ins->line};
    struct wh_ins source = {.a = ins->b,
                            .offset = ins->imm,
                            .flags = ins->sub,
                            .space = SPACE_GLOBAL,
                            .line = ins->line};
    uint32_t reading = 0;
    WH_EACH_LANE(lane, mask)
    reading |= (uint32_t)(wh_get(warp, ins->c, lane, false) != 0) << lane;
    if (!wh_translate(warp, &target, mask, ins->n, true, to) ||
        (reading && !wh_translate(warp, &source, reading, ins->n, false, from)))
        return;
    WH_EACH_LANE(lane, mask)
    {
        uint8_t bytes[16] = {0};
        uint64_t n = wh_get(warp, ins->c, lane, false);
        if (n)
            memcpy(bytes, (const void *)(uintptr_t)from[lane],
                   n < ins->n ? n : ins->n);                /* NOLINT */
        memcpy((void *)(uintptr_t)to[lane], bytes, ins->n); /* NOLINT */
    }
}

/* cp.async.bulk: c bytes at the address in b (space: type2), to the one in a (space). False after a
 * fault. */
static bool bulk_places(struct wh_warp *warp, const struct wh_ins *ins, unsigned lane,
                        void **to_place, const void **from_place, uint64_t *size)
{
    uint64_t bytes = wh_get(warp, ins->c, lane, false), room;
    uint64_t to = wh_get(warp, ins->a, lane, ins->flags & F_WIDE_ADDRESS) + (uint64_t)ins->offset;
    uint64_t from = wh_get(warp, ins->b, lane, ins->sub & F_WIDE_ADDRESS) + (uint64_t)ins->imm;
    *to_place = resolve(warp, lane, (enum wh_space)ins->space, to, bytes, true, &room);
    *from_place = resolve(warp, lane, (enum wh_space)ins->type2, from, bytes, false, &room);
    *size = bytes;
    if (*to_place && *from_place && (to | from | bytes) % 16 == 0)
        return true;
    return bad_address(warp, ins, lane, !*from_place || from % 16 ? from : to, 16);
}

void wh_do_copy_bulk(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    {
        void *to;
        const void *from;
        uint64_t size;
        if (!bulk_places(warp, ins, lane, &to, &from, &size))
            return;
        memmove(to, from, size);
    }
}

/* order: the operation, type: of the elements */
void wh_do_reduce_bulk(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    unsigned unit = wh_type_size((enum wh_type)ins->type);
    WH_EACH_LANE(lane, mask)
    {
        void *to;
        const void *from;
        uint64_t size;
        if (!bulk_places(warp, ins, lane, &to, &from, &size))
            return;
        for (uint64_t at = 0; at + unit <= size; at += unit) {
            uint64_t value = 0;
            memcpy(&value, (const uint8_t *)from + at, unit);
            wh_atomic_at(ins->order, ins->type, (uint8_t *)to + at, value);
        }
    }
}
