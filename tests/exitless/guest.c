/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small guest's only program, in ring 3, with no operating system: does one job and stops by a
 * port. The driver, mini.c, sets its registers: rdi has the arguments.
 */
#include "guest.h"
#include "callee.h"

#include <stdbool.h>

static void stop(uint64_t value)
{
    asm volatile("outb %%al, %0" : : "N"(PORT_DONE), "a"(value) : "memory");
}

static void calls(struct guest_args *args, bool to_the_end)
{
    void (*gate)(struct wh_gate_call *) = (void (*)(struct wh_gate_call *))GUEST_GATE;

    for (uint64_t i = 0; i < args->count; i++) {
        gate(&args->call);
        if (args->call.status == WORMHOLE_DONE)
            args->done++;
        else
            args->other++;
        args->sum = callee_mix(args->sum + args->call.value);
        args->call.second++;
        if (args->other && !to_the_end)
            break;
    }
}

static void vmcalls(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = 99; /* KVM knows none of that number */

        asm volatile("vmcall" : "+a"(number) : : "memory");
    }
}

#define AT(member)    "i"(GUEST_ARGS + __builtin_offsetof(struct guest_args, member))
#define REGISTER(n)   AT(registers[n])
#define LOAD(n, name) "mov %c[r" #n "], %%" #name "\n\t"

/* What is at the target was put there by the driver; it comes back here only as far as it comes
 * back. */
static void jump(void)
{
    /* Nothing is left to hold an address in, so all are constants. */
    asm volatile("pushq %c[flags]\n\t"
                 "mov %c[r4], %%rax\n\t"
                 "test %%rax, %%rax\n\t"
                 "cmovnz %%rax, %%rsp\n\t" LOAD(0, rax) LOAD(1, rcx) LOAD(2, rdx) LOAD(3, rbx)
                     LOAD(5, rbp) LOAD(6, rsi) LOAD(7, rdi) LOAD(8, r8) LOAD(9, r9) LOAD(10, r10)
                         LOAD(11, r11) LOAD(12, r12) LOAD(13, r13) LOAD(14, r14)
                             LOAD(15, r15) "jmp *%c[target]"
                 :
                 : [flags] AT(flags), [target] AT(target), [r0] REGISTER(0), [r1] REGISTER(1),
                   [r2] REGISTER(2), [r3] REGISTER(3), [r4] REGISTER(4), [r5] REGISTER(5),
                   [r6] REGISTER(6), [r7] REGISTER(7), [r8] REGISTER(8), [r9] REGISTER(9),
                   [r10] REGISTER(10), [r11] REGISTER(11), [r12] REGISTER(12), [r13] REGISTER(13),
                   [r14] REGISTER(14), [r15] REGISTER(15)
                 : "memory");
    __builtin_unreachable();
}

static void spin(uint64_t count)
{
    for (volatile uint64_t i = 0; i < count; i++)
        ;
}

/* ---- a guest of its own ---- */

#define MSR_VMX_BASIC 0x480     /* and the controls' in this order: pins, processor, exit, entry */
#define LONG_MODE     (1u << 9) /* of the controls for exits and entries */
#define UNUSABLE      0x10000

static uint64_t read_msr(uint32_t number)
{
    uint32_t low, high;

    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

static void write_field(uint64_t field, uint64_t value)
{
    asm volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc");
}

static _Noreturn void inner(void)
{
    asm volatile("outb %%al, %0\n\tvmcall" : : "N"(PORT_NEST) : "memory");
    __builtin_unreachable();
}

/* After the inner one's exit. */
static _Noreturn void outer(void)
{
    asm volatile("vmfunc\n\toutb %%al, %0" : : "N"(PORT_THERE), "a"(0), "c"(0) : "memory");
    for (;;)
        stop(0);
}

static void write_controls(void)
{
    write_field(0x4000, (uint32_t)read_msr(MSR_VMX_BASIC + 1));
    write_field(0x4002, (uint32_t)read_msr(MSR_VMX_BASIC + 2));
    write_field(0x400c, (uint32_t)read_msr(MSR_VMX_BASIC + 3) | LONG_MODE);
    write_field(0x4012, (uint32_t)read_msr(MSR_VMX_BASIC + 4) | LONG_MODE);
    write_field(0x4004, 0); /* no exception is an exit */
    write_field(0x2800, ~0ull);
}

static void write_segment(uint64_t number, uint64_t selector, uint64_t base, uint64_t limit,
                          uint64_t access)
{
    write_field(0x800 + 2 * number, selector);
    write_field(0x4800 + 2 * number, limit);
    write_field(0x4814 + 2 * number, access);
    write_field(0x6806 + 2 * number, base);
}

/* The inner guest has all that the outer one has, which goes on with the same after it. */
static void write_state(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } gdt, idt;
    uint64_t cr0, cr3, cr4, rsp;

    asm volatile("sgdt %0\n\tsidt %1" : "=m"(gdt), "=m"(idt));
    asm volatile("mov %%cr0, %0\n\tmov %%cr3, %1\n\tmov %%cr4, %2\n\tmov %%rsp, %3"
                 : "=r"(cr0), "=r"(cr3), "=r"(cr4), "=r"(rsp));
    for (uint64_t i = 0; i < 7; i++)
        write_segment(i, 0, 0, 0, UNUSABLE);
    write_segment(1, 8, 0, 0xffffffff, 0xa09b);
    write_segment(2, 0x10, 0, 0xffffffff, 0xc093);
    write_segment(7, 0x38, GUEST_TSS, 0x67, 0x8b);
    write_field(0x4810, gdt.limit);
    write_field(0x6816, gdt.base);
    write_field(0x4812, idt.limit);
    write_field(0x6818, idt.base);
    write_field(0x681a, 0x400); /* DR7 */
    write_field(0x6820, 2);     /* the flags */
    for (uint64_t of = 0x6800; of <= 0x6c00; of += 0x400) {
        write_field(of, cr0);
        write_field(of + 2, cr3);
        write_field(of + 4, cr4);
    }
    write_field(0x681c, rsp);
    write_field(0x681e, (uint64_t)inner);
    for (uint64_t i = 0; i < 6; i++)
        write_field(0xc00 + 2 * i, i == 1 ? 8 : 0);
    write_field(0xc0c, 0x38);
    write_field(0x6c0a, GUEST_TSS);
    write_field(0x6c0c, gdt.base);
    write_field(0x6c0e, idt.base);
    write_field(0x6c14, rsp);
    write_field(0x6c16, (uint64_t)outer);
}

static void nest(uint64_t pages)
{
    const uint64_t vmcs = pages + 4096;

    *(uint32_t *)pages = *(uint32_t *)vmcs = (uint32_t)read_msr(MSR_VMX_BASIC);
    asm volatile("vmxon %0\n\tvmclear %1\n\tvmptrld %1" : : "m"(pages), "m"(vmcs) : "cc", "memory");
    write_controls();
    write_state();
    asm volatile("vmlaunch" : : : "cc", "memory"); /* comes back only if it failed */
}

__attribute__((section(".text.first"), noreturn)) void guest(struct guest_args *args)
{
    switch (args->job) {
    case GUEST_CALLS:
        calls(args, true);
        break;
    case GUEST_UNTIL:
        calls(args, false);
        break;
    case GUEST_VMCALLS:
        vmcalls(args->count);
        break;
    case GUEST_JUMP:
        jump();
        break;
    case GUEST_SPIN:
        spin(args->count);
        break;
    case GUEST_NEST:
        nest(args->target);
        break;
    }
    for (;;)
        stop(0);
}
