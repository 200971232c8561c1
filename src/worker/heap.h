/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's heap, as a view needs it: a view never changes, so what it shows of the heap must
 * lie in one piece, be there when the view is made, and stay.
 */
#ifndef WH_WORKER_HEAP_H
#define WH_WORKER_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Before anything is allocated and any thread is started: has the first `size` bytes in one piece,
 * in the program's break, none of which ever goes back to the system. The address where they begin.
 */
uintptr_t wh_heap_prepare(size_t size);

#endif
