/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's gate page: how a ring-3 program enters a view and comes back. It is copied to the session's gate
 * address and called there as `void (*)(struct wh_gate_call *)`; gate_call.h has the block. It must lie at the
 * offsets that the module's interface fixes, and must keep what it needs again on its own stack: every entry
 * may end in "suspended" or "retry".
 */
#include "../../kmod/uapi/wormhole.h"
#include "gate_call.h"

    .section .gate, "ax"
    .globl wh_gate_page
    .balign 4096
wh_gate_page:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push $CALL_ENTRIES_MAX
    push %rdi
    push $0 /* the token of a call that was not suspended */
.Lenter:
    mov 8(%rsp), %rax
    mov (%rsp), %rsi
    mov CALL_LANE(%rax), %rdi
    mov CALL_FIRST(%rax), %rdx
    mov CALL_SECOND(%rax), %rbx
    mov CALL_KEY(%rax), %r8
    mov CALL_KEY+8(%rax), %r9
    mov CALL_KEY+16(%rax), %r10
    mov CALL_KEY+24(%rax), %r11
    mov CALL_INDEX(%rax), %ecx
    xor %eax, %eax
    jmp .Lvmfunc

    .org wh_gate_page + WORMHOLE_ENTER - WORMHOLE_VMFUNC_SIZE
.Lvmfunc:
    vmfunc
    ud2

    .org wh_gate_page + WORMHOLE_RETURN
    mov 8(%rsp), %rax
    cmp $WORMHOLE_SUSPENDED, %edx
    je .Lsuspended
    cmp $WORMHOLE_RETRY, %edx
    je .Lretry
.Lover:
    mov %rdx, CALL_STATUS(%rax)
    mov %rsi, CALL_VALUE(%rax)
    add $24, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
.Lsuspended:
    mov %rsi, (%rsp)
    incq CALL_SUSPENDED(%rax)
    jmp .Lagain
.Lretry:
    incq CALL_RETRIED(%rax)
.Lagain:
    decq 16(%rsp)
    jnz .Lenter
    mov $WORMHOLE_LOST, %edx
    jmp .Lover
    .org wh_gate_page + 4096
    .section .note.GNU-stack, "", @progbits
