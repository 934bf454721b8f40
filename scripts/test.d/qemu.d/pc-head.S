/* SPDX-License-Identifier: GPL-2.0 */
/* Entry of pc.c: the multiboot header, its entry point, and the code on which further processors start. */
#define MAGIC	0x1badb002
#define FLAGS	0x00000003	/* modules on pages, memory information */

	.section .multiboot, "a"
	.balign 4
	.long	MAGIC, FLAGS, -(MAGIC + FLAGS)

	.text
	.globl	_start
_start:
	cli
	cld
	mov	$stack_end, %esp
	lgdt	gdt_pointer
	ljmp	$8, $1f
1:	mov	$16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %fs
	mov	%ax, %gs
	mov	%ax, %ss
	push	%ebx
	call	main
2:	hlt
	jmp	2b

	/* Copied to AP_START (pc.c); each processor that comes here counts itself, and then its turns when it is told to. */
	.globl	ap_code, ap_code_end
	.code16
ap_code:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	0x8000 + ap_gdt_pointer - ap_code
	mov	$1, %eax
	mov	%eax, %cr0
	ljmpl	$8, $1f
	.balign	4
ap_gdt_pointer:
	.word	23
	.long	gdt
ap_code_end:
	.code32
1:	mov	$16, %ax
	mov	%ax, %ds
	lock incl aps_running
2:	cmpl	$0, aps_count
	je	3f
	lock incl ap_turns
3:	pause
	jmp	2b

	.data
	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
gdt_pointer:
	.word	23
	.long	gdt

	.bss
	.balign	16
	.skip	16384
stack_end:

	.section .note.GNU-stack, "", @progbits
