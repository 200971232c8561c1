/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's heap; see heap.h. */
#include "worker/heap.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#define LARGE (1 << 20) /* what is lies elsewhere, and goes back */

uintptr_t wh_heap_prepare(size_t size)
{
    uintptr_t start = (uintptr_t)sbrk(0);
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, (int)(2 * size));
    /* Never: a heap that shrinks into what is shown and grows again has other pages there. */
    (void)mallopt(M_TRIM_THRESHOLD, -1);
    void *volatile all = malloc(size); /* or a compiler sees no use in it */
    free(all);
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
    return start;
}
