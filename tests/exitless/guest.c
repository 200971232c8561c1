/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small guest's only program, in ring 3, with no operating system: does one job and stops by a
 * port. The driver, mini.c, sets its registers: rdi has the arguments.
 */
#include "guest.h"
#include "callee.h"

static void stop(uint64_t value)
{
    asm volatile("outb %%al, %0" : : "N"(PORT_DONE), "a"(value) : "memory");
}

static void calls(struct guest_args *args)
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
    }
}

static void vmcalls(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = 99; /* KVM knows none of that number */

        asm volatile("vmcall" : "+a"(number) : : "memory");
    }
}

/* What is at the target was put there by the driver; it comes back here only as far as it comes
 * back. */
static void jump(struct guest_args *args)
{
    const struct wh_gate_call *call = &args->call;
    register uint64_t r8 asm("r8") = call->key[0];
    register uint64_t r9 asm("r9") = call->key[1];
    register uint64_t r10 asm("r10") = call->key[2];
    register uint64_t r11 asm("r11") = call->key[3];
    register uint64_t target asm("r13") = args->target;

    asm volatile("push %1\n\t"
                 "test %2, %2\n\t"
                 "cmovnz %2, %%rsp\n\t"
                 "jmp *%0"
                 :
                 : "r"(target), "m"(args->flags), "r"(args->stack), "a"(0), "c"(call->index),
                   "D"(call->lane), "S"(0), "d"(call->first), "b"(call->second), "r"(r8), "r"(r9),
                   "r"(r10), "r"(r11)
                 : "memory");
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
        calls(args);
        break;
    case GUEST_VMCALLS:
        vmcalls(args->count);
        break;
    case GUEST_JUMP:
        jump(args);
        break;
    case GUEST_SPIN:
        spin(args->count);
        break;
    }
    for (;;)
        stop(0);
}
