/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private table that nvidia-smi of driver 580 asks for and calls for what the public functions
 * have not: its list of processes among them. The first word is the table's size in bytes. A slot
 * that nobody implemented answers that it is not supported and says its number once.
 */
#include "shim/nvml/shim.h"

#include "base/log.h"

#include <pthread.h>
#include <string.h>

#define SLOTS 256

/* Slots whose meaning is known from what nvidia-smi passes and shows. */
enum {
    SLOT_HANDLE_BY_INDEX = 81,
    SLOT_COMPUTE_PROCESSES = 213,
    SLOT_GRAPHICS_PROCESSES = 214,
    SLOT_MPS_PROCESSES = 215,
};

/* One process in those lists. */
struct named_process {
    nvmlProcessDetail_v1_t detail;
    char name[4096];
};

_Static_assert(sizeof(struct named_process) == 4128, "nvidia-smi steps by this");

static nvmlReturn_t handle_by_index(unsigned index, nvmlDevice_t *device)
{
    return nvmlDeviceGetHandleByIndex_v2(index, device);
}

static nvmlReturn_t give_processes(nvmlDevice_t device, unsigned kind, unsigned *count,
                                   struct named_process *list)
{
    nvmlProcessDetail_v1_t found[256];
    nvmlReturn_t result = wh_nvml_ready();
    if (result != NVML_SUCCESS)
        return result;
    if (!count || !list)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (*count > sizeof(found) / sizeof(found[0]))
        *count = sizeof(found) / sizeof(found[0]);
    result = wh_nvml_processes(device, kind, count, found);
    for (unsigned i = 0; result == NVML_SUCCESS && i < *count; i++) {
        list[i].detail = found[i];
        if (wh_nvml_process_name(found[i].pid, list[i].name, sizeof(list[i].name)) != NVML_SUCCESS)
            strcpy(list[i].name, "[Not Found]");
    }
    return result;
}

static nvmlReturn_t compute_processes(nvmlDevice_t device, unsigned *count,
                                      struct named_process *list)
{
    return give_processes(device, WH_NVML_COMPUTE, count, list);
}

static nvmlReturn_t graphics_processes(nvmlDevice_t device, unsigned *count,
                                       struct named_process *list)
{
    return give_processes(device, WH_NVML_GRAPHICS, count, list);
}

static nvmlReturn_t mps_processes(nvmlDevice_t device, unsigned *count, struct named_process *list)
{
    return give_processes(device, WH_NVML_MPS, count, list);
}

/* ---- slots that are not implemented ---- */

static nvmlReturn_t unknown(unsigned slot)
{
    static _Atomic bool said[SLOTS];
    if (!atomic_exchange(&said[slot], true))
        wh_log("slot %u of NVML's private table is not supported", slot);
    return NVML_ERROR_NOT_SUPPORTED;
}

/* A function of its own for each, so that its number is known: 16 rows of 16. */
/* clang-format off */
#define EACH(m, row)                                                                      \
    m(row, 0) m(row, 1) m(row, 2) m(row, 3) m(row, 4) m(row, 5) m(row, 6) m(row, 7)       \
    m(row, 8) m(row, 9) m(row, 10) m(row, 11) m(row, 12) m(row, 13) m(row, 14) m(row, 15)
#define ALL(m)                                                                            \
    EACH(m, 0) EACH(m, 1) EACH(m, 2) EACH(m, 3) EACH(m, 4) EACH(m, 5) EACH(m, 6)          \
    EACH(m, 7) EACH(m, 8) EACH(m, 9) EACH(m, 10) EACH(m, 11) EACH(m, 12) EACH(m, 13)      \
    EACH(m, 14) EACH(m, 15)
/* clang-format on */
#define UNKNOWN(row, column)                           \
    static nvmlReturn_t unknown_##row##_##column(void) \
    {                                                  \
        return unknown(row * 16 + column);             \
    }
#define ADDRESS(row, column) (uintptr_t) unknown_##row##_##column,

ALL(UNKNOWN)

static uintptr_t table[SLOTS];
static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void fill(void)
{
    const uintptr_t slots[SLOTS] = {ALL(ADDRESS)};
    memcpy(table, slots, sizeof(table));
    table[0] = sizeof(table);
    table[SLOT_HANDLE_BY_INDEX] = (uintptr_t)handle_by_index;
    table[SLOT_COMPUTE_PROCESSES] = (uintptr_t)compute_processes;
    table[SLOT_GRAPHICS_PROCESSES] = (uintptr_t)graphics_processes;
    table[SLOT_MPS_PROCESSES] = (uintptr_t)mps_processes;
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
