/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that are reserved, for memory to be mapped at; see virtual.c. Thread-safe. */
#ifndef WH_SOFTGPU_VIRTUAL_H
#define WH_SOFTGPU_VIRTUAL_H

#include <stdint.h>

/* `size` addresses (whole pages) at a multiple of `alignment` where nothing is; 0: none. */
uint64_t soft_address_take(uint64_t size, uint64_t alignment);

/* Gives them back, with whatever is mapped there. */
void soft_address_give(uint64_t address, uint64_t size);

#endif
