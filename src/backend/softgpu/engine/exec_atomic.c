/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomic operations: one lane after the other, each a loop of compare and exchange, so that every
 * operation and type is one function of old and operand. Called as a handler.
 */
#include "atomic.h"
#include "exec.h"
#include "number.h"

static uint64_t integer_result(enum wh_atomic op, unsigned size, bool is_signed, uint64_t old,
                               uint64_t b)
{
    int64_t x = size == 4 ? (int32_t)old : (int64_t)old, y = size == 4 ? (int32_t)b : (int64_t)b;
    bool less = is_signed ? x < y : old < b;
    switch (op) {
    case ATOMIC_ADD:
        return old + b;
    case ATOMIC_MIN:
        return less ? old : b;
    case ATOMIC_MAX:
        return less ? b : old;
    case ATOMIC_AND:
        return old & b;
    case ATOMIC_OR:
        return old | b;
    case ATOMIC_XOR:
        return old ^ b;
    case ATOMIC_INC:
        return old >= b ? 0 : old + 1;
    case ATOMIC_DEC:
        return old == 0 || old > b ? b : old - 1;
    default:
        return b;
    }
}

static uint16_t short_result(enum wh_atomic op, bool half, uint16_t old, uint16_t b)
{
    float x = half ? wh_from_half(old) : wh_from_bf16(old),
          y = half ? wh_from_half(b) : wh_from_bf16(b);
    float result = op == ATOMIC_ADD ? x + y : op == ATOMIC_MIN ? fminf(x, y) : fmaxf(x, y);
    return half ? wh_to_half(result) : wh_to_bf16(result);
}

static uint64_t result_of(enum wh_atomic op, enum wh_type type, uint64_t old, uint64_t b)
{
    bool half = type == T_F16 || type == T_F16X2;
    if (op == ATOMIC_EXCH)
        return b;
    switch (type) {
    case T_F32:
        return wh_bits32(wh_canonical(wh_float32((uint32_t)old) + wh_float32((uint32_t)b)));
    case T_F64:
        return wh_bits64(wh_float64(old) + wh_float64(b));
    case T_F16:
    case T_BF16:
        return short_result(op, half, (uint16_t)old, (uint16_t)b);
    case T_F16X2:
    case T_BF16X2:
        return (uint64_t)short_result(op, half, (uint16_t)(old >> 16), (uint16_t)(b >> 16)) << 16 |
               short_result(op, half, (uint16_t)old, (uint16_t)b);
    default:
        return integer_result(op, wh_type_size(type), wh_type_signed(type), old, b);
    }
}

#define EXCHANGE(bits)                                                                       \
    static uint64_t exchange##bits(const struct wh_ins *ins, uint##bits##_t *at, uint64_t b, \
                                   uint64_t c)                                               \
    {                                                                                        \
        uint##bits##_t old = __atomic_load_n(at, __ATOMIC_RELAXED), wanted;                  \
        do {                                                                                 \
            if (ins->sub != ATOMIC_CAS)                                                      \
                wanted = (uint##bits##_t)result_of((enum wh_atomic)ins->sub,                 \
                                                   (enum wh_type)ins->type, old, b);         \
            else if (old == (uint##bits##_t)b)                                               \
                wanted = (uint##bits##_t)c;                                                  \
            else                                                                             \
                return old;                                                                  \
        } while (!__atomic_compare_exchange_n(at, &old, wanted, true, __ATOMIC_SEQ_CST,      \
                                              __ATOMIC_SEQ_CST));                            \
        return old;                                                                          \
    }
EXCHANGE(16)
EXCHANGE(32)
EXCHANGE(64)

uint64_t wh_atomic_at(unsigned op, unsigned type, void *at, uint64_t b)
{
    const struct wh_ins ins = {.sub = (uint8_t)op, .type = (uint8_t)type};
    unsigned size = wh_type_size((enum wh_type)type);
    return size == 8   ? exchange64(&ins, at, b, 0)
           : size == 4 ? exchange32(&ins, at, b, 0)
                       : exchange16(&ins, at, b, 0);
}

void wh_do_atomic(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint64_t pointers[WH_LANES];
    unsigned size = wh_type_size((enum wh_type)ins->type);
    warp->spins++;
    if (!wh_translate(warp, ins, mask, size, true, pointers))
        return;
    WH_EACH_LANE(lane, mask)
    {
        void *at = (void *)(uintptr_t)pointers[lane]; /* NOLINT */
        if (!wh_may_write(warp, at, size))
            return;
        uint64_t b = wh_get(warp, ins->b, lane, size == 8), old;
        uint64_t c = ins->sub == ATOMIC_CAS ? wh_get(warp, ins->c, lane, size == 8) : 0;
        if (size == 8)
            old = exchange64(ins, at, b, c);
        else if (size == 4)
            old = exchange32(ins, at, b, c);
        else
            old = exchange16(ins, at, b, c);
        if (ins->n)
            wh_put(warp, ins->d, lane, size == 8, old);
    }
}

/* Processors of 64 bits have this, which compilers reach only through a library. */
static bool exchange128(uint64_t *at, uint64_t old[2], const uint64_t wanted[2])
{
    bool done;
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(done), "+m"(*(unsigned __int128 *)at), "+a"(old[0]), "+d"(old[1])
                     : "b"(wanted[0]), "c"(wanted[1])
                     : "memory");
    return done;
}

void wh_do_atomic_wide(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint64_t pointers[WH_LANES];
    bool cas = ins->sub == ATOMIC_CAS;
    warp->spins++;
    if (!wh_translate(warp, ins, mask, 16, true, pointers))
        return;
    WH_EACH_LANE(lane, mask)
    {
        uint64_t values[6], old[2], *at = (uint64_t *)(uintptr_t)pointers[lane]; /* NOLINT */
        for (unsigned i = 2; i < (cas ? 6 : 4); i++)
            values[i] = wh_get(warp, ins->list[i], lane, true);
        old[0] = cas ? values[2] : at[0];
        old[1] = cas ? values[3] : at[1];
        while (!exchange128(at, old, cas ? values + 4 : values + 2) && !cas)
            ;
        for (unsigned i = 0; i < 2; i++)
            wh_put(warp, ins->list[i], lane, true, old[i]);
    }
}
