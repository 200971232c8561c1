/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small guest's handlers, all that runs there in ring 0. An exception stops the guest by a port that names its
 * vector; the only interrupt, 0x40, is counted in the arguments whose address the driver put at GUEST_SYSTEM. The
 * driver's descriptor table gives each exception 32 bytes from here, and the interrupt what follows them.
 */
    .text
    .globl handlers, handlers_end
    .balign 32
handlers:
    .set vector, 0
    .rept 32
    .balign 32
    outb %al, $(0x20 + vector)
    jmp . - 2
    .set vector, vector + 1
    .endr
    .balign 32
    push %rax
    mov 0x60000, %rax
    lock incq (%rax)
    pop %rax
    iretq
handlers_end:
    .section .note.GNU-stack, "", @progbits
