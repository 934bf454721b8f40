/* SPDX-License-Identifier: GPL-2.0 */
/* VM entry from L1 and the exit back; swaps the general registers with struct l2_regs. */
#include "callee.inc"

	.text
	/* u64 vmx_enter(u64 launch): returns 0 after an exit, RFLAGS after a failed entry, bit 63 after a fault */
	.globl vmx_enter
vmx_enter:
	push_callee_saved
	cmpq	$0, vmx_host_kept(%rip)
	jne	7f
	mov	%rsp, %rcx
	lea	l1_exit(%rip), %rdx
	cmpq	$0, vmx_host_override(%rip)
	je	1f
	mov	vmx_host_rsp(%rip), %rcx
	mov	vmx_host_rip(%rip), %rdx
1:	mov	$0x6c14, %eax
	vmwrite	%rcx, %rax
	mov	$0x6c16, %eax
	vmwrite	%rdx, %rax
7:	mov	%rsp, l1_rsp(%rip)
	test	%rdi, %rdi
	mov	l2+0x00(%rip), %rax
	mov	l2+0x08(%rip), %rbx
	mov	l2+0x10(%rip), %rcx
	mov	l2+0x18(%rip), %rdx
	mov	l2+0x20(%rip), %rsi
	mov	l2+0x28(%rip), %rdi
	mov	l2+0x30(%rip), %rbp
	mov	l2+0x38(%rip), %r8
	mov	l2+0x40(%rip), %r9
	mov	l2+0x48(%rip), %r10
	mov	l2+0x50(%rip), %r11
	mov	l2+0x58(%rip), %r12
	mov	l2+0x60(%rip), %r13
	mov	l2+0x68(%rip), %r14
	mov	l2+0x70(%rip), %r15
	jz	2f
3:	vmlaunch
	jmp	4f
2:	vmresume
4:	pushfq
	pop	%rax
	jmp	6f
	.pushsection extable, "a"
	.quad	3b, 5f
	.quad	2b, 5f
	.popsection
5:	mov	%r11, %rax
	jmp	6f

	.globl l1_exit
l1_exit:
	pushfq
	popq	l1_exit_rflags(%rip)
	mov	%rax, l2+0x00(%rip)
	mov	%rbx, l2+0x08(%rip)
	mov	%rcx, l2+0x10(%rip)
	mov	%rdx, l2+0x18(%rip)
	mov	%rsi, l2+0x20(%rip)
	mov	%rdi, l2+0x28(%rip)
	mov	%rbp, l2+0x30(%rip)
	mov	%r8, l2+0x38(%rip)
	mov	%r9, l2+0x40(%rip)
	mov	%r10, l2+0x48(%rip)
	mov	%r11, l2+0x50(%rip)
	mov	%r12, l2+0x58(%rip)
	mov	%r13, l2+0x60(%rip)
	mov	%r14, l2+0x68(%rip)
	mov	%r15, l2+0x70(%rip)
	xor	%eax, %eax
6:	mov	l1_rsp(%rip), %rsp
	pop_callee_saved
	ret

	.data
	.balign 8
l1_rsp:	.quad	0
	.globl	l1_exit_rflags
l1_exit_rflags:
	.quad	0
	.section .note.GNU-stack, "", @progbits
