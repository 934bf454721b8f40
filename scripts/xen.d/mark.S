/* SPDX-License-Identifier: GPL-2.0 */
/* A program that executes the marker between two of which the lab's --count counts, and ends; elsewhere it does nothing. */
	.globl _start
_start:
	xor	%eax, %eax		/* the count's tag */
	xchg	%bx, %bx
	mov	$60, %eax		/* exit(0) */
	xor	%edi, %edi
	syscall
	.section .note.GNU-stack, "", @progbits
