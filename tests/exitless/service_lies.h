/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a lying agent names as its memory: told by service_agent.c in its VM, where the addresses
 * mean what is said here (a PC of QEMU's with less than 3 GiB), and judged by service_host.c.
 */
#ifndef WH_TEST_SERVICE_LIES_H
#define WH_TEST_SERVICE_LIES_H

#include <stdbool.h>
#include <stdint.h>

#include "callee.h"

struct lie {
    const char *name;
    bool here;        /* `address` is an offset in the fixed memory */
    uint64_t address; /* of the range, guest-physical */
    uint64_t size;
    uint64_t at; /* in the view */
    uint32_t flags;
    int times; /* so many such ranges, the next one `step` further in the view */
    uint64_t step;
    const char *answer; /* what the host says to it */
};

#define SERVICE_FIXED (4ull << 20) /* bytes of the device, as run-service has it */
#define SERVICE_STRAY 4096         /* where in them the agent puts a VMFUNC while it lies */

#define LIE_MEMORY  "not all of it, writable memory of the VM"
#define LIE_ADDRESS "at an address that no view has it at"

static const struct lie lies[] = {
    {"beyond the VM's memory", 0, 1ull << 40, 4096, CALLEE_DATA, 1, 1, 0, LIE_MEMORY},
    {"the last page there could be", 0, (1ull << 52) - 4096, 4096, CALLEE_DATA, 1, 1, 0,
     LIE_MEMORY},
    {"across the end of the device's memory", 1, SERVICE_FIXED - 4096, 8192, CALLEE_DATA, 1, 1, 0,
     LIE_MEMORY},
    {"the local APIC", 0, 0xfee00000, 4096, CALLEE_DATA, 1, 1, 0, LIE_MEMORY},
    {"the I/O APIC", 0, 0xfec00000, 4096, CALLEE_DATA, 1, 1, 0, LIE_MEMORY},
    {"firmware, read-only", 0, 0xfffff000, 4096, CALLEE_DATA, 0, 1, 0, LIE_MEMORY},
    {"firmware, to be written", 0, 0xfffff000, 4096, CALLEE_DATA, 1, 1, 0, LIE_MEMORY},
    {"not whole pages", 1, 4097, 4096, CALLEE_DATA, 1, 1, 0, "not whole pages"},
    {"half a page", 1, 4096, 2048, CALLEE_DATA, 1, 1, 0, "not whole pages"},
    {"nothing", 1, 4096, 0, CALLEE_DATA, 1, 1, 0, "is empty"},
    {"around the end of all addresses", 0, -4096ull, 8192, CALLEE_DATA, 1, 1, 0, "wraps around"},
    {"the same memory twice", 1, 4096, 4096, CALLEE_DATA, 1, 2, 4096, "in the VM's memory"},
    {"one place of the view twice", 1, 4096, 4096, CALLEE_CODE, 1, 1, 0, "in the view"},
    {"the gate page", 1, 4096, 4096, 0x500000000000, 1, 1, 0, "on the gate's own pages"},
    {"the kernel's addresses", 1, 4096, 4096, 0xffffffff81000000, 1, 1, 0, LIE_ADDRESS},
    {"code where a program could run it", 1, 4096, 4096, 0x600000000000, 2, 1, 0, LIE_ADDRESS},
    {"code with a VMFUNC in it", 1, SERVICE_STRAY, 4096, CALLEE_CODE + 4096, 2, 1, 0,
     "bytes of a VMFUNC"},
    {"flags that there are not", 1, 4096, 4096, CALLEE_DATA, 7, 1, 0, "neither code nor data"},
    {"more than is granted", 0, 1 << 20, 100 << 20, CALLEE_DATA, 1, 1, 0, "more than"},
    {"all that there is", 0, 0, -4096ull, CALLEE_DATA, 1, 1, 0, "more than"},
    {"too many ranges", 1, 4096, 4096, CALLEE_DATA, 1, 64, 4096, "too many ranges"},
    {0},
};

#endif
