/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls of CUDA make memory known, and which end it: what the tables do not say. */
#ifndef WH_TRACE_CUDA_MEMORY_H
#define WH_TRACE_CUDA_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* How a call tells of memory: by the parameter that holds, or is to hold, its address; by the one
 * that says its size, itself or where it is to go. */
struct wh_cuda_teller {
    uint16_t number; /* of the call */
    uint8_t address, size;
    bool address_out, size_out;
};

/* NULL: it tells of none. */
const struct wh_cuda_teller *wh_cuda_teller(uint16_t number);

/* The memory at the call's first argument ends. */
bool wh_cuda_ends_memory(uint16_t number);

#endif
