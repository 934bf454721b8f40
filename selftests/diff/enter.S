/* SPDX-License-Identifier: GPL-2.0 */
/* Enters one instruction of t_diff with all registers given; an exception ends it. */
#include "callee.inc"

	.text
	/* void diff_enter(const struct diff_regs *in, const struct iret_frame *frame) */
	.globl diff_enter
diff_enter:
	push_callee_saved
	mov	%rsp, diff_rsp(%rip)
	push	32(%rsi)
	push	24(%rsi)
	push	16(%rsi)
	push	8(%rsi)
	push	(%rsi)
	mov	(%rdi), %rax
	mov	8(%rdi), %rcx
	mov	16(%rdi), %rdx
	mov	24(%rdi), %rbx
	mov	40(%rdi), %rbp
	mov	48(%rdi), %rsi
	mov	64(%rdi), %r8
	mov	72(%rdi), %r9
	mov	80(%rdi), %r10
	mov	88(%rdi), %r11
	mov	96(%rdi), %r12
	mov	104(%rdi), %r13
	mov	112(%rdi), %r14
	mov	120(%rdi), %r15
	mov	56(%rdi), %rdi
	iretq

	/* diff_trap() continues here, with RSP as it was after diff_enter() had saved registers. */
	.globl diff_leave
diff_leave:
	pop_callee_saved
	ret

	/* Load all vector registers from the 32 times 64 bytes at RDI, or save them there; RSI: 0 SSE, 1 AVX, 2 AVX-512. */
	.macro	every first, last, insn, reg, store
	.set	n, \first
	.rept	\last - \first + 1
	one	\insn, \reg, %n, \store
	.set	n, n + 1
	.endr
	.endm
	.altmacro
	.macro	one insn, reg, n, store
	.if	\store
	\insn	%\reg\n, 64*\n(%rdi)
	.else
	\insn	64*\n(%rdi), %\reg\n
	.endif
	.endm
	.macro	all name, store
	.globl	\name
\name:
	cmp	$1, %esi
	ja	2f
	je	1f
	every	0, 15, movdqu, xmm, \store
	ret
1:	every	0, 15, vmovdqu, ymm, \store
	ret
2:	every	0, 31, vmovdqu64, zmm, \store
	ret
	.endm
	all	diff_load_vectors, 0
	all	diff_save_vectors, 1

	.bss
	.balign	8
	.globl	diff_rsp
diff_rsp:
	.quad	0
	.section .note.GNU-stack, "", @progbits
