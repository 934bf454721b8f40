/* SPDX-License-Identifier: GPL-2.0 */
/* A call with all general registers but RSP, and RFLAGS, given and returned. */
#include "callee.inc"

	.macro	each_register do
	\do	%rax, 0
	\do	%rcx, 8
	\do	%rdx, 16
	\do	%rbx, 24
	\do	%rbp, 40
	\do	%rsi, 48
	\do	%r8, 64
	\do	%r9, 72
	\do	%r10, 80
	\do	%r11, 88
	\do	%r12, 96
	\do	%r13, 104
	\do	%r14, 112
	\do	%r15, 120
	.endm

	.macro	load_one reg, at
	mov	\at(%rdi), \reg
	.endm

	.macro	store_one reg, at
	mov	\reg, \at(%rdi)
	.endm

	.text
	/* void call_with(u64 state[17], void *code): general registers by number, then RFLAGS. TF ends behind the call. */
	.globl call_with
call_with:
	push_callee_saved
	push	%rdi
	push	%rsi
	pushq	128(%rdi)
	popfq
	each_register load_one
	mov	56(%rdi), %rdi
	call	*(%rsp)
	pushfq
	push	%rdi
	mov	24(%rsp), %rdi			/* above RDI, RFLAGS and the code's address */
	each_register store_one
	popq	56(%rdi)
	popq	128(%rdi)
	pushq	$2
	popfq
	pop	%rsi
	pop	%rdi
	pop_callee_saved
	ret
	.section .note.GNU-stack, "", @progbits
