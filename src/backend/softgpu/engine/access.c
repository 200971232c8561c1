/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick ways of loads and stores: one value of 32 or 64 bits a lane, in shared memory or in a
 * range that was reached before. Everything else is left to exec_memory.c. Compiled once per level
 * of processor, as WH_ACCESS_TABLE; called through that table. Every address is checked here as it
 * is there.
 */
#include "access.h"
#include "exec.h"

#include <string.h>

#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed" /* a hint; sanitizers cannot follow it */
#define VECTOR _Pragma("clang loop vectorize(assume_safety)")
#else
#define VECTOR _Pragma("GCC ivdep")
#endif

static inline bool is_on(uint32_t mask, unsigned lane)
{
    return mask >> lane & 1;
}

/* ---- shared memory ---- */

/* Offsets of the lanes that are on, 0 for the others; false where one is not the block's own or not
 * aligned. */
static inline bool shared_offsets(const struct wh_warp *warp, const struct wh_ins *ins,
                                  uint32_t mask, uint32_t bytes, uint32_t offsets[WH_LANES])
{
    uint32_t shift = (uint32_t)ins->offset, bits = 0, high = 0, size = warp->block->shared_size;
    if (ins->flags & F_WIDE_ADDRESS) {
        const uint64_t *a = wh_reg(warp, ins->a);
        uint64_t above = 0;
        VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++)
        {
            uint64_t address = is_on(mask, lane) ? a[lane] + (uint64_t)ins->offset : 0;
            above |= address;
            offsets[lane] = (uint32_t)address;
        }
        if (above >> 32)
            return false;
    } else {
        const uint32_t *a = wh_reg(warp, ins->a);
        VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++) offsets[lane] =
            is_on(mask, lane) ? a[lane] + shift : 0;
    }
    VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++)
    {
        bits |= offsets[lane];
        high = offsets[lane] > high ? offsets[lane] : high;
    }
    return (bits & (bytes - 1)) == 0 && high <= size && size - high >= bytes;
}

/* The same for all lanes, or one behind the other: what most accesses of whole warps are. */
static inline bool is_shared_alike(const uint32_t offsets[WH_LANES])
{
    uint32_t wrong = 0;
    VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++) wrong |= offsets[lane] ^ offsets[0];
    return wrong == 0;
}

static inline bool is_shared_row(const uint32_t offsets[WH_LANES], uint32_t bytes)
{
    uint32_t wrong = 0;
    VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++) wrong |=
        offsets[lane] ^ (offsets[0] + lane * bytes);
    return wrong == 0;
}

#define SHARED(bits)                                                                              \
    static void load_shared##bits(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)  \
    {                                                                                             \
        uint32_t offsets[WH_LANES] __attribute__((aligned(64)));                                  \
        if (!shared_offsets(warp, ins, mask, bits / 8, offsets)) {                                \
            wh_do_load(warp, ins, mask);                                                          \
            return;                                                                               \
        }                                                                                         \
        const uint##bits##_t *memory = (const void *)warp->block->shared;                         \
        uint##bits##_t *d = wh_reg(warp, ins->d);                                                 \
        if (mask == UINT32_MAX && is_shared_row(offsets, bits / 8)) {                             \
            memcpy(d, memory + offsets[0] / (bits / 8), WH_LANES * (bits / 8));                   \
        } else if (mask == UINT32_MAX && is_shared_alike(offsets)) {                              \
            uint##bits##_t value = memory[offsets[0] / (bits / 8)];                               \
            VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++) d[lane] = value;              \
        } else if (mask == UINT32_MAX) {                                                          \
            VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++) d[lane] =                     \
                memory[offsets[lane] / (bits / 8)];                                               \
        } else {                                                                                  \
            VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++)                               \
            {                                                                                     \
                uint##bits##_t value = memory[offsets[lane] / (bits / 8)];                        \
                d[lane] = is_on(mask, lane) ? value : d[lane];                                    \
            }                                                                                     \
        }                                                                                         \
    }                                                                                             \
    static void store_shared##bits(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask) \
    {                                                                                             \
        uint32_t offsets[WH_LANES] __attribute__((aligned(64)));                                  \
        if (!shared_offsets(warp, ins, mask, bits / 8, offsets)) {                                \
            wh_do_store(warp, ins, mask);                                                         \
            return;                                                                               \
        }                                                                                         \
        uint##bits##_t *memory = (void *)warp->block->shared;                                     \
        const uint##bits##_t *d = wh_reg(warp, ins->d);                                           \
        WH_EACH_LANE(lane, mask)                                                                  \
        memory[offsets[lane] / (bits / 8)] = d[lane];                                             \
    }
SHARED(32)
SHARED(64)

/* ---- global and generic addresses ---- */

/* Addresses of the lanes that are on, the first of them for the others; false where not all lie in
 * one range reached. */
static inline bool global_addresses(const struct wh_warp *warp, const struct wh_ins *ins,
                                    uint32_t mask, uint64_t bytes, uint64_t addresses[WH_LANES])
{
    uint64_t shift = (uint64_t)ins->offset, bits = 0, low, high;
    const uint64_t *a = wh_reg(warp, ins->a);
    if (!(ins->flags & F_WIDE_ADDRESS))
        return false;
    low = high = a[__builtin_ctz(mask)] + shift;
    uint64_t first = low;
    VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++)
    {
        addresses[lane] = is_on(mask, lane) ? a[lane] + shift : first;
        low = addresses[lane] < low ? addresses[lane] : low;
        high = addresses[lane] > high ? addresses[lane] : high;
        bits |= addresses[lane];
    }
    if ((bits & (bytes - 1)) != 0)
        return false;
    for (unsigned i = 0; i < WH_RANGES; i++)
        if (low >= warp->ranges[i].start && high < warp->ranges[i].end &&
            warp->ranges[i].end - high >= bytes)
            return true;
    return false;
}

static inline bool in_a_row(const uint64_t addresses[WH_LANES], uint64_t bytes)
{
    uint64_t wrong = 0;
    VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++) wrong |=
        addresses[lane] ^ (addresses[0] + lane * bytes);
    return wrong == 0;
}

static inline bool alike(const uint64_t addresses[WH_LANES])
{
    uint64_t wrong = 0;
    VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++) wrong |= addresses[lane] ^ addresses[0];
    return wrong == 0;
}

/* Everywhere but in a view this is nothing. */
static inline bool may_write(struct wh_warp *warp, const uint64_t addresses[WH_LANES],
                             uint32_t mask, uint64_t bytes)
{
    if (!WH_VIEW)
        return true;
    WH_EACH_LANE(lane, mask)
    if (!wh_may_write(warp, (void *)(uintptr_t)addresses[lane], bytes))
        return false;
    return true;
}

#define AT(bits, address) ((uint##bits##_t *)(uintptr_t)(address))

#define GLOBAL(bits)                                                                              \
    static void load_global##bits(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)  \
    {                                                                                             \
        uint64_t addresses[WH_LANES] __attribute__((aligned(64)));                                \
        if (!global_addresses(warp, ins, mask, bits / 8, addresses)) {                            \
            wh_do_load(warp, ins, mask);                                                          \
            return;                                                                               \
        }                                                                                         \
        uint##bits##_t *d = wh_reg(warp, ins->d);                                                 \
        if (mask != UINT32_MAX) {                                                                 \
            WH_EACH_LANE(lane, mask)                                                              \
            d[lane] = *AT(bits, addresses[lane]);                                                 \
        } else if (in_a_row(addresses, bits / 8)) {                                               \
            memcpy(d, AT(bits, addresses[0]), WH_LANES *(bits / 8));                              \
        } else if (alike(addresses)) {                                                            \
            uint##bits##_t value = *AT(bits, addresses[0]);                                       \
            VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++) d[lane] = value;              \
        } else {                                                                                  \
            for (unsigned lane = 0; lane < WH_LANES; lane++)                                      \
                d[lane] = *AT(bits, addresses[lane]);                                             \
        }                                                                                         \
    }                                                                                             \
    static void store_global##bits(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask) \
    {                                                                                             \
        uint64_t addresses[WH_LANES] __attribute__((aligned(64)));                                \
        if (!global_addresses(warp, ins, mask, bits / 8, addresses)) {                            \
            wh_do_store(warp, ins, mask);                                                         \
            return;                                                                               \
        }                                                                                         \
        const uint##bits##_t *d = wh_reg(warp, ins->d);                                           \
        if (mask == UINT32_MAX && in_a_row(addresses, bits / 8)) {                                \
            if (wh_may_write(warp, AT(bits, addresses[0]), WH_LANES * (bits / 8)))                \
                memcpy(AT(bits, addresses[0]), d, WH_LANES *(bits / 8));                          \
            return;                                                                               \
        }                                                                                         \
        if (may_write(warp, addresses, mask, bits / 8))                                           \
            WH_EACH_LANE(lane, mask)                                                              \
        *AT(bits, addresses[lane]) = d[lane];                                                     \
    }
GLOBAL(32)
GLOBAL(64)

/* ---- vectors of 32-bit values ---- */

static void load_global_vector(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint64_t addresses[WH_LANES] __attribute__((aligned(64)));
    if (!global_addresses(warp, ins, mask, ins->n * 4u, addresses)) {
        wh_do_load(warp, ins, mask);
        return;
    }
    for (unsigned i = 0; i < ins->n; i++) {
        uint32_t *d = wh_reg(warp, ins->list[i]);
        WH_EACH_LANE(lane, mask)
        d[lane] = AT(32, addresses[lane])[i];
    }
}

static void load_shared_vector(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint32_t offsets[WH_LANES] __attribute__((aligned(64)));
    if (!shared_offsets(warp, ins, mask, ins->n * 4u, offsets)) {
        wh_do_load(warp, ins, mask);
        return;
    }
    const uint32_t *memory = (const void *)warp->block->shared;
    for (unsigned i = 0; i < ins->n; i++) {
        uint32_t *d = wh_reg(warp, ins->list[i]);
        VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++)
        {
            uint32_t value = memory[offsets[lane] / 4 + i];
            d[lane] = is_on(mask, lane) ? value : d[lane];
        }
    }
}

static void store_global_vector(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint64_t addresses[WH_LANES] __attribute__((aligned(64)));
    if (!global_addresses(warp, ins, mask, ins->n * 4u, addresses)) {
        wh_do_store(warp, ins, mask);
        return;
    }
    if (!may_write(warp, addresses, mask, ins->n * 4u))
        return;
    for (unsigned i = 0; i < ins->n; i++) {
        const uint32_t *d = wh_reg(warp, ins->list[i]);
        WH_EACH_LANE(lane, mask)
        AT(32, addresses[lane])[i] = d[lane];
    }
}

static void store_shared_vector(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint32_t offsets[WH_LANES] __attribute__((aligned(64)));
    if (!shared_offsets(warp, ins, mask, ins->n * 4u, offsets)) {
        wh_do_store(warp, ins, mask);
        return;
    }
    uint32_t *memory = (void *)warp->block->shared;
    for (unsigned i = 0; i < ins->n; i++) {
        const uint32_t *d = wh_reg(warp, ins->list[i]);
        WH_EACH_LANE(lane, mask)
        memory[offsets[lane] / 4 + i] = d[lane];
    }
}

/* ---- one short value in a register of 32 bits ---- */

#define SHORT(name, type, wider)                                                                   \
    static void load_global_##name(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)  \
    {                                                                                              \
        uint64_t addresses[WH_LANES] __attribute__((aligned(64)));                                 \
        if (!global_addresses(warp, ins, mask, sizeof(type), addresses)) {                         \
            wh_do_load(warp, ins, mask);                                                           \
            return;                                                                                \
        }                                                                                          \
        uint32_t *d = wh_reg(warp, ins->d);                                                        \
        WH_EACH_LANE(lane, mask)                                                                   \
        d[lane] = (uint32_t)(wider) * (const type *)(uintptr_t)addresses[lane];                    \
    }                                                                                              \
    static void load_shared_##name(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)  \
    {                                                                                              \
        uint32_t offsets[WH_LANES] __attribute__((aligned(64)));                                   \
        if (!shared_offsets(warp, ins, mask, sizeof(type), offsets)) {                             \
            wh_do_load(warp, ins, mask);                                                           \
            return;                                                                                \
        }                                                                                          \
        uint32_t *d = wh_reg(warp, ins->d);                                                        \
        WH_EACH_LANE(lane, mask)                                                                   \
        d[lane] =                                                                                  \
            (uint32_t)(wider) * (const type *)(const void *)(warp->block->shared + offsets[lane]); \
    }
SHORT(u8, uint8_t, uint32_t)
SHORT(s8, int8_t, int32_t)
SHORT(u16, uint16_t, uint32_t)
SHORT(s16, int16_t, int32_t)

#define SHORT_STORE(name, type)                                                                    \
    static void store_global_##name(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask) \
    {                                                                                              \
        uint64_t addresses[WH_LANES] __attribute__((aligned(64)));                                 \
        if (!global_addresses(warp, ins, mask, sizeof(type), addresses)) {                         \
            wh_do_store(warp, ins, mask);                                                          \
            return;                                                                                \
        }                                                                                          \
        const uint32_t *d = wh_reg(warp, ins->d);                                                  \
        if (may_write(warp, addresses, mask, sizeof(type)))                                        \
            WH_EACH_LANE(lane, mask)                                                               \
        *(type *)(uintptr_t)addresses[lane] = (type)d[lane];                                       \
    }
SHORT_STORE(8, uint8_t)
SHORT_STORE(16, uint16_t)

const struct wh_access WH_ACCESS_TABLE = {
    .load_shared = {load_shared32, load_shared64},
    .store_shared = {store_shared32, store_shared64},
    .load_global = {load_global32, load_global64},
    .store_global = {store_global32, store_global64},
    .load_shared_vector = load_shared_vector,
    .load_global_vector = load_global_vector,
    .store_shared_vector = store_shared_vector,
    .store_global_vector = store_global_vector,
    .load_global_short = {{load_global_u8, load_global_s8}, {load_global_u16, load_global_s16}},
    .load_shared_short = {{load_shared_u8, load_shared_s8}, {load_shared_u16, load_shared_s16}},
    .store_global_short = {store_global_8, store_global_16},
};
