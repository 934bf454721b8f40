/* SPDX-License-Identifier: GPL-2.0 */
/* Entry of pattern.c: the header of a bzImage, its 64-bit entry point, and the code on which the other processor starts. */
	.section .setup, "a"
	.org	0x1f1
	.byte	2			/* setup_sects */
	.org	0x1f4
	.long	payload_paragraphs	/* syssize */
	.org	0x1fe
	.word	0xaa55			/* boot_flag */
	.byte	0xeb, 0x6a		/* jump */
	.ascii	"HdrS"
	.word	0x20f			/* version */
	.org	0x211
	.byte	1			/* loadflags: LOADED_HIGH */
	.org	0x22c
	.long	0x7fffffff		/* initrd_addr_max */
	.org	0x236
	.word	1			/* xloadflags: XLF_KERNEL_64 */
	.long	255			/* cmdline_size */
	.org	0x258
	.quad	0x100000		/* pref_address */
	.long	0x80000			/* init_size */
	.org	0x600

	.section .head, "ax"
	.org	0x200
	.globl	start
start:
	cli
	cld
	lea	stack0_end(%rip), %rsp
	xor	%ebp, %ebp
	mov	%rsi, %rdi
	call	main
1:	hlt
	jmp	1b

	/* Copied to AP_START; it goes to 64-bit mode with the page tables that the first processor has. */
	.globl	ap_code, ap_code_end
	.code16
ap_code:
	cli
	lgdtl	%cs:ap_gdt_pointer - ap_code
	mov	$0x20, %eax
	mov	%eax, %cr4
	mov	$0x3000, %eax		/* GPA_PML4 of drostectl */
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	mov	$0x100, %eax
	xor	%edx, %edx
	wrmsr
	mov	$0x80000021, %eax
	mov	%eax, %cr0
	ljmpl	$0x10, $ap_long
ap_gdt_pointer:
	.word	31
	.long	0x1000			/* GPA_GDT of drostectl */
ap_code_end:
	.code64
ap_long:
	mov	$0x18, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	lea	stack1_end(%rip), %rsp
	call	other_main
1:	hlt
	jmp	1b

	/* Where a VM exit of L2 arrives. */
	.globl	l1_exit
l1_exit:
	lea	stack0_end(%rip), %rsp
	call	unexpected_exit
1:	hlt
	jmp	1b

	.bss
	.balign 4096
	.skip	4096
stack0_end:
	.skip	4096
stack1_end:
	.globl	stack2_end
	.skip	4096
stack2_end:
