/* SPDX-License-Identifier: GPL-2.0 */
/* VM entry and exit: VMLAUNCH or VMRESUME, and the general registers around it. SDM 3C 27, 28. */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/unwind_hints.h>

#define HOST_RSP_FIELD	0x6c14

/* Offset in vcpu->regs: eight bytes per register, in encoding order (enum gpr). */
#define REG(n)	(8 * (n))

/* Neither probes nor tracers may run between the guest's state and the host's. */
	.section .noinstr.text, "ax"

/*
 * unsigned int vmx_enter(u64 *regs, bool launched, u64 *host_rsp, u64 spec_ctrl)
 *
 * @regs:	general registers of the guest, the first member of struct vcpu, loaded before and stored after;
 *		RSP (slot 4) is in the VMCS
 * @launched:	use VMRESUME instead of VMLAUNCH
 * @host_rsp:	HOST_RSP in the current VMCS; the field is written only if the stack pointer differs
 * @spec_ctrl:	IA32_SPEC_CTRL of the guest; unused on processors without that MSR
 *
 * Returns 0 after a VM exit, 1 if the entry failed before anything was loaded (VMfail).
 * Called with interrupts disabled. The VMCS of the guest is current.
 */
SYM_FUNC_START(vmx_enter)
	push	%rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rdi

	/* The stack pointer is nearly always that of the last entry, so that VMWRITE is skipped. */
	cmp	%rsp, (%rdx)
	je	.Lrsp_known
	mov	%rsp, (%rdx)
	mov	$HOST_RSP_FIELD, %eax
1:	vmwrite	%rsp, %rax
	_ASM_EXTABLE(1b, .Lfail)
.Lrsp_known:
	/* Load the guest's IA32_SPEC_CTRL if it differs. No indirect branch and no RET of the host may follow. */
	ALTERNATIVE "jmp .Lspec_loaded", "", X86_FEATURE_MSR_SPEC_CTRL
	mov	PER_CPU_VAR(x86_spec_ctrl_current), %rax
	cmp	%rcx, %rax
	je	.Lspec_loaded
	mov	%ecx, %eax
	mov	%rcx, %rdx
	shr	$32, %rdx
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lspec_loaded:
	/* CF is used by the branch below. MOV changes no flags, VERW only ZF. */
	bt	$0, %esi

	mov	REG(0)(%rdi), %rax
	mov	REG(1)(%rdi), %rcx
	mov	REG(2)(%rdi), %rdx
	mov	REG(3)(%rdi), %rbx
	mov	REG(5)(%rdi), %rbp
	mov	REG(6)(%rdi), %rsi
	mov	REG(8)(%rdi), %r8
	mov	REG(9)(%rdi), %r9
	mov	REG(10)(%rdi), %r10
	mov	REG(11)(%rdi), %r11
	mov	REG(12)(%rdi), %r12
	mov	REG(13)(%rdi), %r13
	mov	REG(14)(%rdi), %r14
	mov	REG(15)(%rdi), %r15
	mov	REG(7)(%rdi), %rdi
	/* Clear host data in buffers that the guest could sample, as the last thing before the entry. */
	CLEAR_CPU_BUFFERS
	UNWIND_HINT_SAVE
	jnc	.Llaunch
2:	vmresume
	jmp	.Lfail
.Llaunch:
3:	vmlaunch
	jmp	.Lfail
	_ASM_EXTABLE(2b, .Lfail)
	_ASM_EXTABLE(3b, .Lfail)

/* HOST_RIP: the processor continues here at a VM exit, with HOST_RSP as the stack pointer. */
SYM_INNER_LABEL(vmx_exit_here, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, REG(0)(%rdi)
	mov	%rcx, REG(1)(%rdi)
	mov	%rdx, REG(2)(%rdi)
	mov	%rbx, REG(3)(%rdi)
	mov	%rbp, REG(5)(%rdi)
	mov	%rsi, REG(6)(%rdi)
	mov	%r8, REG(8)(%rdi)
	mov	%r9, REG(9)(%rdi)
	mov	%r10, REG(10)(%rdi)
	mov	%r11, REG(11)(%rdi)
	mov	%r12, REG(12)(%rdi)
	mov	%r13, REG(13)(%rdi)
	mov	%r14, REG(14)(%rdi)
	mov	%r15, REG(15)(%rdi)
	pop	REG(7)(%rdi)
	/* The result, in a register that the barriers below preserve. */
	xor	%ebx, %ebx

.Lclear:
	/* Clear guest values that speculation could use, also in registers that are popped below. */
	xor	%eax, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d

	/*
	 * Return predictions of the guest must not affect the host. No RET that
	 * lacks its CALL, and no indirect branch, may come before these barriers.
	 */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, X86_FEATURE_RSB_VMEXIT_LITE
	/* Save the guest's IA32_SPEC_CTRL and load the host's, before the first RET without its CALL. */
	ALTERNATIVE "jmp .Lspec_restored", "", X86_FEATURE_MSR_SPEC_CTRL
	mov	(%rsp), %rdi
	call	vmx_restore_host_spec_ctrl
	/* It may have left the guest's value in these. */
	xor	%ecx, %ecx
	xor	%edx, %edx
.Lspec_restored:
	/* The guest's branch history must not choose targets of the host's indirect branches (BHI). */
	CLEAR_BRANCH_HISTORY_VMEXIT
	mov	%ebx, %eax

	pop	%rdi
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET

.Lfail:
	mov	$1, %ebx
	jmp	.Lclear
SYM_FUNC_END(vmx_enter)
