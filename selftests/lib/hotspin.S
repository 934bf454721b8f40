/* SPDX-License-Identifier: GPL-2.0 */
/* A loop in L1 that resumes L2 after each CPUID, and makes no other exits. */
#include "callee.inc"

	.text
hot_l2:	cpuid
	jmp	hot_l2

	/* u64 hot_spin(u64 n), u64 hot_spin_at(u64 n, void (*l2)(void)): see vmx.h */
	.globl hot_spin
hot_spin:
	lea	hot_l2(%rip), %rsi
	.globl hot_spin_at
hot_spin_at:
	push_callee_saved
	mov	%rdi, hot_left(%rip)
	mov	$0x6c14, %eax			/* HOST_RSP */
	vmwrite	%rsp, %rax
	mov	$0x6c16, %eax			/* HOST_RIP */
	lea	1f(%rip), %rdx
	vmwrite	%rdx, %rax
	mov	$0x681e, %eax			/* GUEST_RIP */
	vmwrite	%rsi, %rax
	vmresume
	ud2
1:	mov	$0x4402, %eax			/* VM_EXIT_REASON */
	vmread	%rax, %rcx
	cmp	$10, %rcx			/* CPUID */
	jne	2f
	mov	$0x681e, %eax
	vmread	%rax, %rdx
	add	$2, %rdx
	vmwrite	%rdx, %rax
	decq	hot_left(%rip)
	jz	2f
	vmresume
	ud2
2:	mov	%rcx, %rax
	pop_callee_saved
	ret

	.data
	.balign 8
hot_left:
	.quad	0
	.section .note.GNU-stack, "", @progbits
