/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trace calls things: handles by type and a number, addresses by allocation and offset.
 * Whoever calls holds a lock of its own.
 */
#ifndef WH_TRACE_NAMES_H
#define WH_TRACE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A handle's type and its number among that type's, from 1. */
struct wh_trace_name {
    uint16_t type;
    uint32_t number;
};

/* The name of a handle that the program gives as one of `type`: equal handles have equal names, and
 * the type that they were made with, for kernels stand for functions. */
struct wh_trace_name wh_trace_name(uint16_t type, uint64_t handle);

/* The same of one that the API gives: of another type than before, it is another thing. */
struct wh_trace_name wh_trace_name_given(uint16_t type, uint64_t handle);

/* It is gone: the next of that handle is another. */
void wh_trace_name_gone(uint64_t handle);

/* Memory that the API gave out or was told of: it gets the next number, from 1. What it overlaps is
 * known no longer. */
void wh_trace_allocated(uint64_t start, uint64_t size);

/* It goes; nothing when there is none that begins there. */
void wh_trace_freed(uint64_t start);

/* Which allocation an address is in, and where; false: in none. */
bool wh_trace_find(uint64_t address, uint32_t *number, uint64_t *offset);

#endif
