/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying many bytes within the process with the help of other cores: one core alone moves fewer
 * bytes in a second than a device takes. Used by shims between the program's memory and the arena.
 */
#ifndef WH_CLIENT_BULK_H
#define WH_CLIENT_BULK_H

#include <stddef.h>

/*
 * As memcpy. From WH_BULK_LEAST bytes on helper threads take part, where the machine has cores for
 * them; WORMHOLE_COPY_THREADS says how many at most. Thread-safe; never waits for a helper that has
 * not begun.
 */
void wh_bulk_copy(void *to, const void *from, size_t size);

#define WH_BULK_LEAST ((size_t)512 << 10)

#endif
