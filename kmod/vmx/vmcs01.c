// SPDX-License-Identifier: GPL-2.0
/* VMCS01, with which the processor runs L1: create it, choose its controls, reset the vCPU. SDM 3C 25, 3A 10.1.1. */
#include <linux/gfp.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/tlbflush.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Exceptions that L0 always intercepts: #DB to set DR6, #AC to break an endless delivery, #MC for the host. */
#define L0_EXCEPTIONS	(BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC) | BIT(X86_TRAP_MC))

/* Wanted control bits, with those that must be 1 (@cap bits 31:0), without those that must be 0 (bits 63:32). */
static u32 vmcs01_control(u64 cap, u32 want)
{
	return (want | (u32)cap) & (u32)(cap >> 32);
}

/* The primary processor-based controls. @more: those that this VM has besides. */
static u32 vmcs01_choose_proc(u32 more)
{
	return vmcs01_control(host_caps.true_proc, CPU_BASED_USE_TSC_OFFSETTING | CPU_BASED_HLT_EXITING |
			      CPU_BASED_MWAIT_EXITING | CPU_BASED_RDPMC_EXITING | CPU_BASED_CR8_LOAD_EXITING |
			      CPU_BASED_CR8_STORE_EXITING | CPU_BASED_MOV_DR_EXITING |
			      CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_MSR_BITMAPS |
			      CPU_BASED_MONITOR_EXITING | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS | more);
}

static void vmcs01_choose_controls(struct vmx_controls *c)
{
	c->pin = vmcs01_control(host_caps.true_pin, PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING |
			 PIN_BASED_VIRTUAL_NMIS);
	c->proc = vmcs01_choose_proc(0);
	c->proc2 = vmcs01_control(host_caps.proc2, SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST |
			   SECONDARY_EXEC_WBINVD_EXITING |
			   (vmx_features.encls ? SECONDARY_EXEC_ENCLS_EXITING : 0) |
			   (vmx_features.vpid ? SECONDARY_EXEC_ENABLE_VPID : 0) |
			   (vmx_features.tsc_scaling ? SECONDARY_EXEC_TSC_SCALING : 0) |
			   (ple_wanted() ? SECONDARY_EXEC_PAUSE_LOOP_EXITING : 0));
	c->exit = vmcs01_control(host_caps.true_exit, VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_LOAD_IA32_PAT |
			  VM_EXIT_SAVE_IA32_PAT | VM_EXIT_LOAD_IA32_EFER | VM_EXIT_SAVE_IA32_EFER |
			  VM_EXIT_SAVE_DEBUG_CONTROLS);
	c->entry = vmcs01_control(host_caps.true_entry, VM_ENTRY_LOAD_IA32_PAT | VM_ENTRY_LOAD_IA32_EFER |
			   VM_ENTRY_LOAD_DEBUG_CONTROLS);
	c->exceptions = L0_EXCEPTIONS;
}

/**
 * vmcs_write_host_constants() - write the host-state fields that never change
 *
 * vmx_host_sync_cpu() writes those that depend on the CPU, vmx_host_sync_vmcs()
 * those that depend on the thread.
 *
 * Context: Process context. The VMCS to write is current and new. Does not sleep.
 */
void vmcs_write_host_constants(void)
{
	struct desc_ptr idt;
	u64 val;

	vmcs_write(HOST_CR0, read_cr0() & ~X86_CR0_TS);
	vmcs_write(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write(HOST_SS_SELECTOR, __KERNEL_DS);
	vmcs_write(HOST_DS_SELECTOR, 0);
	vmcs_write(HOST_ES_SELECTOR, 0);
	vmcs_write(HOST_FS_SELECTOR, 0);
	vmcs_write(HOST_GS_SELECTOR, 0);
	vmcs_write(HOST_FS_BASE, 0);
	vmcs_write(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	store_idt(&idt);
	vmcs_write(HOST_IDTR_BASE, idt.address);
	vmcs_write(HOST_RIP, (unsigned long)vmx_exit_here);
	vmcs_write(HOST_RSP, 0);
	rdmsrl(MSR_IA32_SYSENTER_CS, val);
	vmcs_write(HOST_IA32_SYSENTER_CS, val);
	rdmsrl(MSR_IA32_SYSENTER_EIP, val);
	vmcs_write(HOST_IA32_SYSENTER_EIP, val);
	rdmsrl(MSR_IA32_CR_PAT, val);
	vmcs_write(HOST_IA32_PAT, val);
	rdmsrl(MSR_EFER, val);
	vmcs_write(HOST_IA32_EFER, val);
}

/**
 * vmx_update_cpuid_controls() - update the controls that depend on CPUID, DROSTE_FORCE_EXITS and DROSTE_PASS_PORTS
 * @vcpu: loaded
 *
 * An instruction that CPUID does not offer must raise #UD.
 *
 * Context: Process context. Does not sleep. Writes the current VMCS if it is VMCS01.
 */
void vmx_update_cpuid_controls(struct vcpu *vcpu)
{
	struct vmx_controls *c = &vcpu->ctl01;
	const struct guest_caps *g = &vcpu->gcaps;
	struct vmx_forced forced = vmx_forced_controls(READ_ONCE(vcpu->vm->force_exits));
	u32 bits = SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_ENABLE_INVPCID | VMCS_CONTROL_BIT(XSAVES) |
		   SECONDARY_EXEC_RDRAND_EXITING | SECONDARY_EXEC_RDSEED_EXITING | SECONDARY_EXEC_DESC;
	/* exit_random() raises #UD then. */
	u32 off = (g->rdrand ? 0 : SECONDARY_EXEC_RDRAND_EXITING) | (g->rdseed ? 0 : SECONDARY_EXEC_RDSEED_EXITING);
	u32 on = (g->rdtscp && vmx_features.rdtscp ? SECONDARY_EXEC_ENABLE_RDTSCP : 0) |
		 (g->invpcid && vmx_features.invpcid ? SECONDARY_EXEC_ENABLE_INVPCID : 0) |
		 (g->xsaves && vmx_features.xsaves ? VMCS_CONTROL_BIT(XSAVES) : 0);

	c->proc = vmcs01_choose_proc(forced.proc | (vcpu->ports ? CPU_BASED_USE_IO_BITMAPS : 0));
	c->proc2 = (c->proc2 & ~bits) | on | vmcs01_control(host_caps.proc2, off | forced.proc2);
	vmx_update_exceptions(vcpu);
}

/*
 * Whether #UD of L1 is intercepted, because it may come from SYSCALL, which has not been used yet, or from VMMCALL: see
 * vmx_use_syscall() and pv_fix_hypercall().
 */
static bool vmcs01_takes_ud(const struct vcpu *vcpu)
{
	return !vcpu->syscall_used || !(READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_FIX_HYPERCALL_INSN);
}

/**
 * vmx_write_proc2_01() - write VMCS01's secondary controls
 * @vcpu: loaded
 *
 * Descriptor-table exiting for hostload() and to emulate UMIP is not in
 * vcpu->ctl01, from which the controls of VMCS02 are merged. That of
 * DROSTE_FORCE_EXITS is.
 *
 * Context: VMCS01 is current. Does not sleep.
 */
void vmx_write_proc2_01(struct vcpu *vcpu)
{
	vmcs_write(SECONDARY_VM_EXEC_CONTROL,
		   vcpu->ctl01.proc2 | (vcpu->nested.held01.tables || vcpu->umip_exits[0] ? SECONDARY_EXEC_DESC : 0));
}

/**
 * vmx_write_ctl01() - bring the VMCSs up to date after a change of vcpu->ctl01
 * @vcpu: loaded
 *
 * In L1, VMCS01 is written at once. In L2, it is written when it becomes current
 * again; VMCS02 takes the change at its next entry.
 *
 * Context: Process context. Does not sleep. Writes the current VMCS if it is VMCS01.
 */
void vmx_write_ctl01(struct vcpu *vcpu)
{
	const struct vmx_controls *c = &vcpu->ctl01;

	nested_changed(&vcpu->nested);
	vcpu->ctl01_stale = vcpu->in_l2;
	if (vcpu->in_l2)
		return;
	vmx_write_proc2_01(vcpu);
	vmcs_write(CPU_BASED_VM_EXEC_CONTROL, c->proc | vcpu->vmcs01.windows);
	if (c->proc & CPU_BASED_USE_IO_BITMAPS) {
		vmcs_write(IO_BITMAP_A, vcpu->io_bitmaps01);
		vmcs_write(IO_BITMAP_B, vcpu->io_bitmaps01 + PAGE_SIZE);
	}
	vmcs_write(EXCEPTION_BITMAP, c->exceptions | (vmcs01_takes_ud(vcpu) ? BIT(X86_TRAP_UD) : 0));
}

/**
 * vmx_follow_umip() - let the instructions exit that CR4.UMIP forbids, on a processor without UMIP
 * @vcpu: loaded
 * @on: the running level has CR4.UMIP
 *
 * SMSW does not exit, and cannot be forbidden.
 *
 * Context: Process context. Does not sleep. Writes the current VMCS if it is
 * VMCS01; VMCS02 takes the change at its next entry.
 */
void vmx_follow_umip(struct vcpu *vcpu, bool on)
{
	if (likely(vcpu->umip_exits[vcpu->in_l2] == on))
		return;
	vcpu->umip_exits[vcpu->in_l2] = on;
	nested_changed(&vcpu->nested);
	if (!vcpu->in_l2)
		vmx_write_proc2_01(vcpu);
}

/**
 * vmx_update_exceptions() - update the exceptions that L0 intercepts
 * @vcpu: loaded
 *
 * They depend on the debugger in user space and on the VM's quirks.
 *
 * Context: Process context. Does not sleep. Writes the current VMCS if it is VMCS01.
 */
void vmx_update_exceptions(struct vcpu *vcpu)
{
	u32 eb = L0_EXCEPTIONS;

	if (vcpu->guest_debug & KVM_GUESTDBG_ENABLE && vcpu->guest_debug & KVM_GUESTDBG_USE_SW_BP)
		eb |= BIT(X86_TRAP_BP);
	vcpu->ctl01.exceptions = eb;
	vmx_write_ctl01(vcpu);
}

static void vmcs01_write_constants(struct vcpu *vcpu)
{
	struct vmx_controls *c = &vcpu->ctl01;

	vmcs_write_host_constants();
	vmcs_write(PIN_BASED_VM_EXEC_CONTROL, c->pin);
	vmcs_write(VM_EXIT_CONTROLS, c->exit);
	vmcs_write(VM_ENTRY_CONTROLS, c->entry);
	vmx_write_ctl01(vcpu);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MASK, 0);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vmcs_write(CR3_TARGET_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_STORE_COUNT, 0);
	vmx_perf_begin(vcpu);
	vmcs_write(MSR_BITMAP, __pa(vcpu->msr_bitmap01));
	vmcs_write(EPT_POINTER, vcpu->vm->ept01.eptp);
	vmcs_write(VMCS_LINK_POINTER, ~0ULL);
	vmcs_write(TSC_OFFSET, vcpu->tsc.offset);
	if (vmx_features.tsc_scaling)
		vmcs_write(TSC_MULTIPLIER, vcpu->tsc.ratio);
	vmcs_write(GUEST_IA32_DEBUGCTL, 0);
	if (vmx_features.vpid)
		vmcs_write(VIRTUAL_PROCESSOR_ID, vcpu->vpid01);
	if (vmx_features.encls)	/* SGX is not offered: all leaves of ENCLS raise #UD */
		vmcs_write(ENCLS_EXITING_BITMAP, ~0ULL);
	if (vmx_features.xsaves)
		vmcs_write(XSS_EXIT_BITMAP, 0);
	ple_begin(vcpu, &vcpu->vmcs01);
	vmx_pml_begin(vcpu);
}

/**
 * vmcs01_create() - allocate VMCS01 of a new vCPU, and choose its controls
 * @vcpu: new, not loaded; vm, id and gcaps are set
 *
 * vmcs01_init() must follow when the vCPU is loaded.
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
 */
int vmcs01_create(struct vcpu *vcpu)
{
	int ret;

	vcpu->msr_bitmap01 = (unsigned long *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->msr_bitmap01)
		return -ENOMEM;
	ret = vmcs_alloc(&vcpu->vmcs01, false);
	if (ret)
		goto err_bitmap;
	vcpu->vpid01 = vpid_alloc();
	vcpu->vmcs = &vcpu->vmcs01;
	vcpu->cpu = -1;
	vmcs01_choose_controls(&vcpu->ctl01);
	if (!vcpu->vpid01)
		vcpu->ctl01.proc2 &= ~SECONDARY_EXEC_ENABLE_VPID;
	if (vcpu->vm->pause_in_guest)
		vcpu->ctl01.proc2 &= ~SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	/* Before its first entry, it takes the controls that depend on CPUID and on DROSTE_FORCE_EXITS. */
	vcpu_request(vcpu, REQ_CPUID);
	return 0;

err_bitmap:
	free_page((unsigned long)vcpu->msr_bitmap01);
	return ret;
}

/**
 * vmcs01_init() - write VMCS01 of a new vCPU with the state after power-up
 * @vcpu: from vmcs01_create(); loaded
 *
 * Context: Process context. VMCS01 is current. Does not sleep.
 */
void vmcs01_init(struct vcpu *vcpu)
{
	vmcs01_write_constants(vcpu);
	vmcs01_reset(vcpu, false);
}

/**
 * vmcs01_destroy() - free VMCS01 of a vCPU
 * @vcpu: not loaded, and nobody else can reach it
 *
 * Context: Process context. May sleep. Interrupts enabled.
 */
void vmcs01_destroy(struct vcpu *vcpu)
{
	vmcs_free(&vcpu->vmcs01);
	vpid_free(vcpu->vpid01);
	free_page((unsigned long)vcpu->msr_bitmap01);
}

/* Segments after a reset (SDM 3A table 10-1): CS at the reset vector, the others flat from 0. */
static void vmcs01_reset_segments(struct vcpu *vcpu)
{
	struct kvm_segment data = { .limit = 0xffff, .type = 3, .present = 1, .s = 1 };
	struct kvm_segment sys = { .limit = 0xffff, .present = 1 };
	enum seg seg;

	for (seg = SEG_ES; seg <= SEG_GS; seg++)
		if (seg != SEG_CS)
			vcpu_set_segment(vcpu, seg, &data);
	data.selector = 0xf000;
	data.base = 0xffff0000;
	data.type = 11;
	vcpu_set_segment(vcpu, SEG_CS, &data);
	sys.type = 2;
	vcpu_set_segment(vcpu, SEG_LDTR, &sys);
	sys.type = 11;
	vcpu_set_segment(vcpu, SEG_TR, &sys);
	vmcs_write(GUEST_GDTR_BASE, 0);
	vmcs_write(GUEST_GDTR_LIMIT, 0xffff);
	vmcs_write(GUEST_IDTR_BASE, 0);
	vmcs_write(GUEST_IDTR_LIMIT, 0xffff);
}

/**
 * vmcs01_reset() - set registers as after power-up or INIT (SDM 3A 10.1.1, table 10-1)
 * @vcpu: loaded
 * @init: true for INIT, which keeps CR0.CD and NW, the FPU and most MSRs
 *
 * Context: Process context. VMCS01 is current. Does not sleep.
 */
void vmcs01_reset(struct vcpu *vcpu, bool init)
{
	u64 cr0 = X86_CR0_ET | X86_CR0_CD | X86_CR0_NW;

	if (init)
		cr0 = X86_CR0_ET | (vcpu_cr0(vcpu) & (X86_CR0_CD | X86_CR0_NW));
	memset(vcpu->regs, 0, sizeof(vcpu->regs));
	vcpu->regs[RDX] = vcpu->gcaps.signature;
	vcpu_set_rsp(vcpu, 0);
	vcpu_set_rip(vcpu, 0xfff0);
	/* The debugger in user space continues to single-step, and keeps its breakpoints. */
	vcpu_set_rflags(vcpu, X86_EFLAGS_FIXED | (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP ? X86_EFLAGS_TF : 0));
	memset(&vcpu->ev, 0, sizeof(vcpu->ev));
	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = 0xffff0ff0;
	vcpu->dr7 = DR7_FIXED;
	vcpu->cr2 = 0;
	vcpu->efer = 0;
	vcpu->spec_ctrl = 0;
	vmcs01_reset_segments(vcpu);
	vmx_write_efer(vcpu, 0);
	vmx_write_cr0(vcpu, cr0);
	vmx_write_cr4(vcpu, 0);
	vmcs_write(GUEST_CR3, 0);
	vmx_write_dr7(vcpu);
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	vcpu_set_debugctl(vcpu, 0);
	if (!init) {
		vmcs_write(GUEST_SYSENTER_CS, 0);
		vmcs_write(GUEST_SYSENTER_ESP, 0);
		vmcs_write(GUEST_SYSENTER_EIP, 0);
		vcpu->pat = 0x0007040600070406ULL;	/* SDM 3A 12.12.4 */
		vmcs_write(GUEST_IA32_PAT, vcpu->pat);
		memset(vcpu->uret_msr, 0, sizeof(vcpu->uret_msr));
	}
	vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	vcpu_request(vcpu, REQ_EVENT);
}

/**
 * vcpu_switch_vmcs() - make VMCS02 current instead of VMCS01, or the reverse
 * @vcpu: loaded
 * @to: the VMCS to make current
 *
 * Changed registers are written to the old VMCS first. No register is cached
 * afterwards.
 *
 * Context: Process context, preemption enabled or disabled. Interrupts must be
 * enabled if @to may be active on another CPU, where it is cleared then.
 */
void vcpu_switch_vmcs(struct vcpu *vcpu, struct loaded_vmcs *to)
{
	bool moved;

	preempt_disable();
	vmx_flush_regs(vcpu);
	vcpu->reg_avail = 0;
	moved = to->cpu != smp_processor_id();
	vcpu->vmcs = to;
	vmcs_load(to);
	if (moved)
		vmx_host_sync_cpu(to);
	if (vcpu->host.loaded)
		vmx_host_sync_vmcs(vcpu);
	preempt_enable();
}

/**
 * vcpu_reload_vmcs() - make vcpu->vmcs current, if the vCPU's thread has made another VMCS current
 * @vcpu: loaded
 *
 * Context: Process context. Does not sleep.
 */
void vcpu_reload_vmcs(struct vcpu *vcpu)
{
	preempt_disable();
	vmcs_load(vcpu->vmcs);
	preempt_enable();
}
