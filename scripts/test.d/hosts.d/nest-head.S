/* SPDX-License-Identifier: GPL-2.0 */
/* Entry of nest.c: the multiboot header, and the way to long mode, with the page tables that selftests/lib expects. */
#include "layout.h"

#define MAGIC	0x1badb002
#define FLAGS	0x00000003	/* modules on pages, memory information */

	.text
	.balign 4
	.long	MAGIC, FLAGS, -(MAGIC + FLAGS)	/* has to be in the first 8 KiB, so that this file is linked first */

	.code32
	.globl _start
_start:
	cli
	cld
	mov	$STACKS + STACK_SIZE / 2, %esp
	/* 4 GiB, one to one, in pages of 2 MiB: PML4, PDPT, four page directories. */
	mov	$PAGE_TABLES, %edi
	xor	%eax, %eax
	mov	$6 * 1024, %ecx
	rep stosl
	movl	$PAGE_TABLES + 0x1007, PAGE_TABLES
	mov	$4, %ecx
1:	mov	%ecx, %eax
	shl	$12, %eax
	add	$PAGE_TABLES + 0x1007, %eax
	mov	%eax, PAGE_TABLES + 0x1000 - 8(, %ecx, 8)
	loop	1b
	xor	%ecx, %ecx
2:	mov	%ecx, %eax
	shl	$21, %eax
	or	$0x87, %eax		/* present, writable, user, large */
	mov	%eax, PAGE_TABLES + 0x2000(, %ecx, 8)
	inc	%ecx
	cmp	$2048, %ecx
	jb	2b
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
	lgdt	boot_gdtr
	ljmp	$SEL_CS64, $3f
	.code64
3:	mov	$SEL_DS, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	mov	$STACKS + STACK_SIZE / 2 - 16, %esp
	call	nest
4:	hlt
	jmp	4b

	.data
	.balign	8
boot_gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
boot_gdtr:
	.word	23
	.long	boot_gdt

	.section .note.GNU-stack, "", @progbits
