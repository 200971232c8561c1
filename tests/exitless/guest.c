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
    }
    for (;;)
        stop(0);
}
