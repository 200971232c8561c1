/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The callee in its place: where a view has what it shares with the worker, and the few functions
 * that compilers take for granted. For the image only; a test that runs the callee in its own
 * process has its own place for it. Nothing here may need memory that is not the worker's.
 */
#include "base/tsc.h"
#include "worker/gate.h"

#include <string.h>

struct wh_gate *wh_callee_gate(void)
{
    return (struct wh_gate *)WH_CALLEE_GATE;
}

uint64_t wh_callee_tsc(void)
{
    return wh_tsc_read();
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    uintptr_t distance = (uintptr_t)to - (uintptr_t)from;
    if (distance >= size) /* forwards: what is overwritten has been read */
        return memcpy(to, from, size);
    uint8_t *at = (uint8_t *)to + size;
    const uint8_t *last = (const uint8_t *)from + size;
    while (at != to)
        *--at = *--last;
    return to;
}

int memcmp(const void *x, const void *y, size_t size)
{
    const uint8_t *one = x, *other = y;
    for (size_t i = 0; i < size; i++)
        if (one[i] != other[i])
            return one[i] < other[i] ? -1 : 1;
    return 0;
}

/* Clang's name for it, where only equality is asked. */
int bcmp(const void *x, const void *y, size_t size)
{
    return memcmp(x, y, size);
}

void *memset(void *to, int byte, size_t size)
{
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
    return to;
}
