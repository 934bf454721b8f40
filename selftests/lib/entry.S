/* SPDX-License-Identifier: GPL-2.0 */
/* Guest code that cannot be written in C: interrupt stubs, the switch to CPL 3 and back, the start of a vCPU. */
#include "callee.inc"
#include "layout.h"

	.text
	/* Interrupt stubs, 16 bytes each, for the IDT that the host builds. */
	.globl trap_stubs
	.balign 16
trap_stubs:
	.set vec, 0
	.rept 256
	.balign 16
	.if vec != 8 && (vec < 10 || vec > 14) && vec != 17 && vec != 21
	pushq	$0
	.endif
	pushq	$vec
	jmp	trap_common
	.set vec, vec + 1
	.endr

trap_common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rdi
	cld
	call	guest_trap
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

	/* The first instruction of a vCPU: RAX has the function, RDI its argument. */
	.globl guest_start
guest_start:
	call	*%rax
	call	g_done

	/* u64 enter_user(void *fn, u64 arg, u64 stack, u64 cs) */
	.globl enter_user
enter_user:
	push_callee_saved
	mov	%rsp, kernel_rsp(%rip)
	sub	$16, %rdx
	lea	user_exit(%rip), %rax
	movq	%rax, 8(%rdx)
	add	$8, %rdx
	pushq	$SEL_UDS
	push	%rdx
	pushfq
	push	%rcx
	push	%rdi
	mov	%rsi, %rdi
	iretq

user_exit:
	int	$0x80

	/* int $0x80 at CPL 3 ends enter_user(). */
	.globl user_return
user_return:
	mov	kernel_rsp(%rip), %rsp
	pop_callee_saved
	ret

	/*
	 * A vCPU started by SIPI: real mode at LOW_CODE, copied there by the
	 * guest; goes to long mode with the tables of vCPU 1 and calls ap_fn.
	 */
	.globl ap_start, ap_end, ap_fn
	.code16
ap_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	LOW_CODE + (ap_gdtr - ap_start)
	mov	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	$PAGE_TABLES, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	mov	$0x900, %eax		/* LME, NX */
	xor	%edx, %edx
	wrmsr
	mov	$0x80010033, %eax
	mov	%eax, %cr0
	ljmpl	$SEL_CS64, $ap_long
	.balign 8
ap_gdtr:
	.word	0x5f
	.long	CPU_TABLES + CPU_TABLES_SIZE
ap_end:
	.code64
ap_long:
	mov	$SEL_DS, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$STACKS + STACK_SIZE + STACK_SIZE / 2 - 16, %esp
	lidt	ap_idtr(%rip)
	/* The host has marked the TSS busy; LTR needs an available one. */
	andb	$0xfd, CPU_TABLES + CPU_TABLES_SIZE + SEL_TSS + 5
	mov	$SEL_TSS, %eax
	ltr	%ax
	call	*ap_fn(%rip)
1:	hlt
	jmp	1b

	.data
	.balign 8
ap_idtr:
	.word	0xfff
	.quad	CPU_TABLES + CPU_TABLES_SIZE + OFF_IDT
ap_fn:	.quad	0
	.globl kernel_rsp
kernel_rsp:
	.quad	0
	/* The exception table always exists, so that the linker defines its start and end symbols. */
	.section extable, "a"
	.quad	0, 0
	.section .note.GNU-stack, "", @progbits
