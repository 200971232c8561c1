/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code that the tests' views run for their clients: one function at the start of an executable
 * range. It has no data of its own, for it is linked for the view's addresses and used as a flat
 * binary. Some of its jobs do what a callee must not do.
 */
#include "callee.h"

#define DATA ((struct callee_data *)CALLEE_DATA)

static uint64_t count(uint64_t lane, uint64_t value)
{
    if (lane >= CALLEE_LANES)
        return 0;
    DATA->lane[lane].sum = callee_mix(DATA->lane[lane].sum + value);
    __atomic_fetch_add(&DATA->total, 1, __ATOMIC_RELAXED);
    return ++DATA->lane[lane].count;
}

static uint64_t recurse(uint64_t depth)
{
    volatile char frame[256];

    frame[depth % sizeof(frame)] = (char)depth;
    if (depth == UINT64_MAX)
        return 0;
    return recurse(depth + 1) + (uint64_t)frame[(depth + 1) % sizeof(frame)];
}

static void go_to(uint64_t address, uint64_t function, uint64_t index)
{
    asm volatile("jmp *%2" : : "a"(function), "c"(index), "r"(address) : "memory");
}

__attribute__((section(".text.first"))) uint64_t callee(uint64_t job, uint64_t value, uint64_t lane)
{
    uint32_t a = 0, b = 0, c = 0, d = 0;

    switch (job) {
    case JOB_ECHO:
        return callee_mix(value);
    case JOB_COUNT:
        return count(lane, value);
    case JOB_WORK:
        return callee_work(value);
    case JOB_FOREVER:
        __atomic_fetch_add(&DATA->total, 1, __ATOMIC_RELAXED);
        for (;;)
            asm volatile("");
    case JOB_READ:
        return *(volatile uint64_t *)value;
    case JOB_WRITE:
        *(volatile uint64_t *)value = value;
        return 0;
    case JOB_CALL:
        ((void (*)(void))value)();
        return 0;
    case JOB_CPUID:
        asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
        return a;
    case JOB_UD2:
        __builtin_trap();
    case JOB_SYSCALL:
        asm volatile("syscall" : "+a"(value) : : "rcx", "r11", "memory");
        return value;
    case JOB_INT3:
        asm volatile("int3");
        return 0;
    case JOB_SOFT_INTERRUPT:
        asm volatile("int $0x40");
        return 0;
    case JOB_VMCALL:
        asm volatile("vmcall" : "+a"(value) : : "memory");
        return value;
    case JOB_OUT:
        asm volatile("outb %%al, $0x99" : : "a"(0));
        return 0;
    case JOB_HLT:
        asm volatile("hlt");
        return 0;
    case JOB_RECURSE:
        return recurse(value);
    case JOB_DIVIDE:
        asm volatile("divl %1" : "+a"(a) : "r"(b), "d"(0));
        return a;
    case JOB_SWITCH:
        go_to(DATA->gate + WORMHOLE_LEAVE, 0, value);
        return 0;
    case JOB_FUNCTION:
        go_to(DATA->gate + WORMHOLE_LEAVE, value, 0);
        return 0;
    case JOB_ROOT:
        asm volatile("mov %0, %%cr3" : : "r"(value) : "memory");
        return value;
    case JOB_PAUSE:
        for (uint64_t i = 0; i < value; i++)
            asm volatile("pause");
        return value;
    default:
        return ~0ull;
    }
}
