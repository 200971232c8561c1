/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private table that nvidia-smi of driver 580 asks for and calls for what the public functions
 * have not. The first word is the table's size in bytes. What has a meaning is in slots.c; a slot
 * of unknown meaning answers that it is not supported, as a driver does of what a device has not,
 * and with WORMHOLE_DEBUG says its number once.
 */
#include "shim/nvml/shim.h"

#include "base/log.h"

#include <pthread.h>
#include <string.h>

static nvmlReturn_t unknown(unsigned slot)
{
    static _Atomic bool said[WH_NVML_SLOTS];
    if (slot < WH_NVML_SLOTS && !atomic_exchange(&said[slot], true))
        wh_debug("slot %u of NVML's private table is not supported", slot);
    return NVML_ERROR_NOT_SUPPORTED;
}

/* A function of its own for each, so that its number is known: 17 rows of 16, a few too many. */
/* clang-format off */
#define EACH(m, row)                                                                      \
    m(row, 0) m(row, 1) m(row, 2) m(row, 3) m(row, 4) m(row, 5) m(row, 6) m(row, 7)       \
    m(row, 8) m(row, 9) m(row, 10) m(row, 11) m(row, 12) m(row, 13) m(row, 14) m(row, 15)
#define ALL(m)                                                                            \
    EACH(m, 0) EACH(m, 1) EACH(m, 2) EACH(m, 3) EACH(m, 4) EACH(m, 5) EACH(m, 6)          \
    EACH(m, 7) EACH(m, 8) EACH(m, 9) EACH(m, 10) EACH(m, 11) EACH(m, 12) EACH(m, 13)      \
    EACH(m, 14) EACH(m, 15) EACH(m, 16)
/* clang-format on */
#define UNKNOWN(row, column)                           \
    static nvmlReturn_t unknown_##row##_##column(void) \
    {                                                  \
        return unknown(row * 16 + column);             \
    }
#define ADDRESS(row, column) (uintptr_t) unknown_##row##_##column,

ALL(UNKNOWN)

static uintptr_t table[WH_NVML_SLOTS];
static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void fill(void)
{
    const uintptr_t slots[] = {ALL(ADDRESS)};
    _Static_assert(sizeof(slots) >= sizeof(table), "a function for each slot");
    memcpy(table, slots, sizeof(table));
    table[0] = sizeof(table);
    wh_nvml_fill_slots(table);
}

WH_EXPORT nvmlReturn_t nvmlInternalGetExportTable(const void **place, const void *id)
{
    static const unsigned char known[16] = {0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
                                            0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};
    if (!place || !id)
        return NVML_ERROR_INVALID_ARGUMENT;
    *place = NULL;
    if (memcmp(id, known, sizeof(known)) != 0)
        return NVML_ERROR_NOT_FOUND;
    pthread_once(&filled, fill);
    *place = table;
    return NVML_SUCCESS;
}
