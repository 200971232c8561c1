/* SPDX-License-Identifier: Apache-2.0 */
/* What the test programs carry with them as bytes: the guest's program and the callee. */
    .section .rodata, "a"
    .globl guest_binary, guest_binary_end, callee_binary, callee_binary_end
guest_binary:
    .incbin "guest.bin"
guest_binary_end:
    .balign 4096
callee_binary:
    .incbin "callee.bin"
callee_binary_end:
    .section .note.GNU-stack, "", @progbits
