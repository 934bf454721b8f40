/* SPDX-License-Identifier: GPL-2.0 */
/* Executes one marker for the lab's --count, which counts between two markers. It has no effect elsewhere. */
	.globl _start
_start:
	xor	%eax, %eax		/* the count's tag */
	xchg	%bx, %bx
	mov	$60, %eax		/* exit(0) */
	xor	%edi, %edi
	syscall
	.section .note.GNU-stack, "", @progbits
