// SPDX-License-Identifier: GPL-2.0
/* Processor state that host and guest share outside the VMCS: user segments and system-call MSRs. */
#include <linux/sched.h>
#include <asm/desc.h>
#include <asm/fsgsbase.h>
#include <asm/barrier.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include "droste.h"
#include "vmx/vmx.h"

static const u32 uret_msrs[NR_URET_MSRS] = {
	[URET_STAR] = MSR_STAR,
	[URET_LSTAR] = MSR_LSTAR,
	[URET_FMASK] = MSR_SYSCALL_MASK,
	[URET_KERNEL_GS] = MSR_KERNEL_GS_BASE,
	[URET_TSC_AUX] = MSR_TSC_AUX,
};

/*
 * The host's values. The kernel writes these MSRs once on each CPU, except for
 * KERNEL_GS_BASE, which depends on the thread: its entry is not used.
 */
static DEFINE_PER_CPU(u64[NR_URET_MSRS], hoststate_uret);

/* These a guest may write without an exit: see vmx_uret_pass(). */
static const enum uret_msr hoststate_passed[] = { URET_STAR, URET_LSTAR, URET_FMASK };

/* The host's GDTR, whose limit an exit sets to 0xffff (SDM 3C 28.5.2). */
static DEFINE_PER_CPU(struct desc_ptr, hoststate_gdt);

/* Change an MSR from one value to another, unless they are the same. */
static __always_inline void hoststate_switch(enum uret_msr i, u64 now, u64 next)
{
	if (now != next)
		native_wrmsr(uret_msrs[i], (u32)next, (u32)(next >> 32));
}

/**
 * vmx_host_read_cpu() - read the registers of this CPU that are constant for the host
 *
 * Context: Interrupts disabled, before a guest runs on this CPU.
 */
void vmx_host_read_cpu(void)
{
	enum uret_msr i;

	for (i = 0; i < NR_URET_MSRS; i++)
		if (i != URET_KERNEL_GS && (i != URET_TSC_AUX || boot_cpu_has(X86_FEATURE_RDTSCP)))
			this_cpu_write(hoststate_uret[i], __rdmsr(uret_msrs[i]));
	native_store_gdt(this_cpu_ptr(&hoststate_gdt));
}

/*
 * Whether the guest can execute SYSCALL and SYSRET, or access their MSRs without
 * exits. It can do neither while EFER.SCE is clear (SDM 2B, SYSCALL), which takes an
 * exit to set, outside VMX operation. In VMX operation, VM entries and exits load
 * EFER, also in the short loop, and the MSRs are passed. As to vcpu->syscall_used, see
 * vmx_use_syscall().
 */
static __always_inline bool hoststate_needs_syscall(const struct vcpu *vcpu)
{
	return unlikely(vcpu->syscall_used) && ((vcpu->efer & EFER_SCE) || vcpu->nested.vmxon || vcpu->uret_passed);
}

/* Exchange the MSRs of SYSCALL. Called with preemption disabled. */
static __always_inline void hoststate_switch_syscall(const u64 *now, const u64 *next)
{
	hoststate_switch(URET_STAR, now[URET_STAR], next[URET_STAR]);
	hoststate_switch(URET_LSTAR, now[URET_LSTAR], next[URET_LSTAR]);
	hoststate_switch(URET_FMASK, now[URET_FMASK], next[URET_FMASK]);
}

/* Load the guest's MSRs of SYSCALL until the vCPU is put. Called with preemption disabled; the others are loaded. */
static void hoststate_load_syscall(struct vcpu *vcpu)
{
	if (vcpu->host.syscall_loaded)
		return;
	hoststate_switch_syscall(this_cpu_ptr(hoststate_uret), vcpu->uret_msr);
	vcpu->host.syscall_loaded = true;
}

/**
 * vmx_use_syscall() - let the guest use SYSCALL, if its EFER.SCE allows that
 * @vcpu: loaded
 *
 * Firmware and small guests never do. While the MSRs of SYSCALL are 0, as after a
 * reset, and the guest has not tried it, the processor's EFER.SCE is clear, whatever
 * the guest's is. SYSCALL and SYSRET then raise #UD, which exits; that calls this
 * function, and the instruction is executed again. So the host's MSRs can stay.
 *
 * Called before the MSRs get other values, and before the vCPU enters VMX operation.
 *
 * Context: Caller holds vcpu->mutex. VMCS01 is current if this was not called before.
 * Return: true if the guest's EFER.SCE is set, and takes effect only now.
 */
bool vmx_use_syscall(struct vcpu *vcpu)
{
	if (likely(vcpu->syscall_used))
		return false;
	vcpu->syscall_used = true;
	nested_changed(&vcpu->nested);
	vmcs_write(GUEST_IA32_EFER, vcpu->efer);
	return vcpu->efer & EFER_SCE;
}

/* Read those MSRs that the guest may have written without an exit. Called with preemption disabled; they are loaded. */
static noinline void hoststate_read_passed(struct vcpu *vcpu)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hoststate_passed); i++)
		if (vcpu->uret_passed & BIT(hoststate_passed[i]))
			vcpu->uret_msr[hoststate_passed[i]] = __rdmsr(uret_msrs[hoststate_passed[i]]);
}

/**
 * vmx_uret_pass() - tell which system-call MSRs the guest accesses without exits from now on
 * @vcpu: the vCPU, not in the guest; the caller changes its MSR bitmap
 * @mask: BIT() of URET_STAR, URET_LSTAR and URET_FMASK
 *
 * Context: Caller holds vcpu->mutex.
 */
void vmx_uret_pass(struct vcpu *vcpu, u32 mask)
{
	preempt_disable();
	if (vcpu->host.loaded && vcpu->host.syscall_loaded)
		hoststate_read_passed(vcpu);
	vcpu->uret_passed = mask;
	preempt_enable();
}

/**
 * vmx_uret_get() - read the guest's value of a system-call MSR
 * @vcpu: the vCPU
 * @i: the MSR
 *
 * Context: Caller holds vcpu->mutex; the vCPU is loaded.
 * Return: the value.
 */
u64 vmx_uret_get(struct vcpu *vcpu, enum uret_msr i)
{
	u64 val;

	/* What a guest changes without an exit has its current value in the MSR while that is loaded. */
	preempt_disable();
	if (vcpu->host.loaded &&
	    (i == URET_KERNEL_GS || ((vcpu->uret_passed & BIT(i)) && vcpu->host.syscall_loaded)))
		rdmsrl(uret_msrs[i], vcpu->uret_msr[i]);
	val = vcpu->uret_msr[i];
	preempt_enable();
	return val;
}

/**
 * vmx_uret_set() - set the guest's value of a system-call MSR
 * @vcpu: the vCPU
 * @i: the MSR
 * @val: the value, which passed the checks of WRMSR
 *
 * Context: Caller holds vcpu->mutex; the vCPU is loaded.
 * Return: 0; -EINVAL if the processor refuses the value, which is unchanged then.
 */
int vmx_uret_set(struct vcpu *vcpu, enum uret_msr i, u64 val)
{
	int err = 0;

	if (i <= URET_FMASK && val)
		vmx_use_syscall(vcpu);
	preempt_disable();
	if (vcpu->host.loaded && (i != URET_TSC_AUX || vmx_features.rdtscp)) {
		/* A guest that sets them is going to use them. */
		if (i <= URET_FMASK)
			hoststate_load_syscall(vcpu);
		err = wrmsrl_safe(uret_msrs[i], val);
	}
	if (likely(!err))
		vcpu->uret_msr[i] = val;
	preempt_enable();
	return err ? -EINVAL : 0;
}

/**
 * vmx_restore_host_spec_ctrl() - load the host's IA32_SPEC_CTRL after an exit, or after a failed entry
 * @vcpu: the vCPU, whose value may have changed if the guest accesses the MSR without exits
 *
 * Called by vmx_enter() on processors with the MSR. With legacy IBRS the bit
 * must be written after the exit even if it is set already.
 *
 * Context: Interrupts disabled. The guest's value is in force.
 */
noinstr void vmx_restore_host_spec_ctrl(struct vcpu *vcpu)
{
	u64 host = this_cpu_read(x86_spec_ctrl_current);

	if (unlikely(vcpu->spec_ctrl_passed))
		vcpu->spec_ctrl = __rdmsr(MSR_IA32_SPEC_CTRL);
	if (cpu_feature_enabled(X86_FEATURE_KERNEL_IBRS) || unlikely(vcpu->spec_ctrl != host))
		native_wrmsr(MSR_IA32_SPEC_CTRL, (u32)host, (u32)(host >> 32));
	/* A mispredicted comparison must not let the host speculate with the guest's value. */
	barrier_nospec();
}

/* Host selectors in the VMCS need RPL 0 and TI 0 (SDM 3C 27.2.3); vmx_host_restore() loads others. */
static u16 hoststate_loadable_sel(u16 sel)
{
	return sel & 7 ? 0 : sel;
}

/**
 * vmx_host_sync_vmcs() - write host-state fields that have changed to the current VMCS
 * @vcpu: the vCPU; vmx_host_prepare() has saved its host state
 *
 * Also needed when another VMCS of the vCPU becomes current.
 *
 * Context: Preemption disabled. vcpu->vmcs is current.
 */
void vmx_host_sync_vmcs(struct vcpu *vcpu)
{
	struct loaded_vmcs *v = vcpu->vmcs;
	struct host_state *h = &vcpu->host;

	if (likely(v->host_seq == h->seq))
		return;
	v->host_seq = h->seq;
	if (unlikely(v->host_sels != h->sels)) {
		vmcs_write(HOST_DS_SELECTOR, hoststate_loadable_sel(h->ds));
		vmcs_write(HOST_ES_SELECTOR, hoststate_loadable_sel(h->es));
		vmcs_write(HOST_FS_SELECTOR, hoststate_loadable_sel(h->fs));
		vmcs_write(HOST_GS_SELECTOR, hoststate_loadable_sel(h->gs));
		v->host_sels = h->sels;
	}
	if (unlikely(v->host_fs_base != h->fs_base)) {
		vmcs_write(HOST_FS_BASE, h->fs_base);
		v->host_fs_base = h->fs_base;
	}
}

/**
 * vmx_host_sync_cpu() - write the host-state fields that depend on the CPU to the current VMCS
 * @v: the current VMCS; it has not run on this CPU before
 *
 * Context: Preemption disabled. @v is current.
 */
void vmx_host_sync_cpu(struct loaded_vmcs *v)
{
	int cpu = smp_processor_id();
	u64 val;

	vmcs_write(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmcs_write(HOST_GDTR_BASE, (unsigned long)get_cpu_gdt_ro(cpu));
	/* In the kernel the GS base is always the per-CPU area of this CPU. */
	rdmsrl(MSR_GS_BASE, val);
	vmcs_write(HOST_GS_BASE, val);
	rdmsrl(MSR_IA32_SYSENTER_ESP, val);
	vmcs_write(HOST_IA32_SYSENTER_ESP, val);
	v->host_cr3 = 0;
	v->host_cr4 = 0;
}

/* Save the user segments that exits load from the VMCS, and count it if they have changed. */
static __always_inline void hoststate_save_segments(struct host_state *h)
{
	u64 sels = h->sels, fs_base = h->fs_base;

	savesegment(ds, h->ds);
	savesegment(es, h->es);
	savesegment(fs, h->fs);
	savesegment(gs, h->gs);
	if (cpu_feature_enabled(X86_FEATURE_FSGSBASE)) {
		h->fs_base = rdfsbase();
	} else {
		current_save_fsgs();
		h->fs_base = current->thread.fsbase;
	}
	if (unlikely(!h->seq || h->sels != sels || h->fs_base != fs_base))
		h->seq++;
}

/**
 * vmx_host_prepare() - save the host state that the guest uses, and load that of the guest
 * @vcpu: the vCPU; it is loaded
 *
 * What was done since the vCPU was loaded is not done again. The MSRs of SYSCALL
 * are loaded as soon as the guest can use them.
 *
 * Context: Preemption disabled. vcpu->vmcs is current.
 */
void vmx_host_prepare(struct vcpu *vcpu)
{
	struct host_state *h = &vcpu->host;
	const u64 *guest = vcpu->uret_msr;
	u64 *host;

	if (h->loaded) {
		if (unlikely(!h->syscall_loaded && hoststate_needs_syscall(vcpu)))
			hoststate_load_syscall(vcpu);
		return;
	}
	hoststate_save_segments(h);
	h->ldt = 0;
	h->kernel_gs = __rdmsr(MSR_KERNEL_GS_BASE);
	host = this_cpu_ptr(hoststate_uret);
	h->syscall_loaded = hoststate_needs_syscall(vcpu);
	if (h->syscall_loaded)
		hoststate_switch_syscall(host, guest);
	hoststate_switch(URET_KERNEL_GS, h->kernel_gs, guest[URET_KERNEL_GS]);
	if (likely(vmx_features.rdtscp))
		hoststate_switch(URET_TSC_AUX, host[URET_TSC_AUX], guest[URET_TSC_AUX]);
	h->loaded = true;
	if (unlikely(vcpu->vmcs->host_seq != h->seq))
		vmx_host_sync_vmcs(vcpu);
	/* Other threads, or user space, have run on this CPU. */
	vcpu->l1d_due = true;
}

/* Bits of host_state.sels that a VMCS cannot hold: TI and RPL of each selector. */
#define NOT_IN_VMCS	0x0007000700070007ULL

/* Load the selectors that a VM exit could not load. */
static void hoststate_load_sels(const struct host_state *h)
{
	if (h->fs & 7)
		loadsegment(fs, h->fs);
	if (h->gs & 7)
		load_gs_index(h->gs);
	if ((h->fs | h->gs) & 7) {
		/* Loading a selector changed the base. */
		wrmsrl(MSR_FS_BASE, h->fs_base);
		wrmsrl(MSR_KERNEL_GS_BASE, h->kernel_gs);
	}
	if (h->ds & 7)
		loadsegment(ds, h->ds);
	if (h->es & 7)
		loadsegment(es, h->es);
}

/* Reload the TSS, whose limit an exit has changed, for a thread with access to ports. Rare, and has a frame. */
static noinline void hoststate_reload_tss(void)
{
	invalidate_tss_limit();
}

/**
 * vmx_host_restore() - restore the host state that vmx_host_prepare() saved
 * @vcpu: the vCPU
 *
 * A VM exit sets the limits of the descriptor tables to 0xffff and that of
 * the TSS to 0x67 (SDM 3C 28.5.2), so they are restored, too.
 *
 * Context: Preemption disabled.
 */
void vmx_host_restore(struct vcpu *vcpu)
{
	struct host_state *h = &vcpu->host;
	u64 *guest = vcpu->uret_msr;
	const u64 *host;

	if (!h->loaded)
		return;
	host = this_cpu_ptr(hoststate_uret);
	guest[URET_KERNEL_GS] = __rdmsr(MSR_KERNEL_GS_BASE);
	if (h->syscall_loaded) {
		if (unlikely(vcpu->uret_passed))
			hoststate_read_passed(vcpu);
		hoststate_switch_syscall(guest, host);
	}
	hoststate_switch(URET_KERNEL_GS, guest[URET_KERNEL_GS], h->kernel_gs);
	if (likely(vmx_features.rdtscp))
		hoststate_switch(URET_TSC_AUX, guest[URET_TSC_AUX], host[URET_TSC_AUX]);
	/* Before the segment registers, whose selectors may refer to it. */
	if (unlikely(h->ldt))
		asm volatile("lldt %0" : : "m" (h->ldt));
	if (unlikely(h->sels & NOT_IN_VMCS))
		hoststate_load_sels(h);
	/* Other threads need the limit only when such a thread runs. */
	if (unlikely(test_thread_flag(TIF_IO_BITMAP)))
		hoststate_reload_tss();
	else
		this_cpu_write(__tss_limit_invalid, true);
	native_load_gdt(this_cpu_ptr(&hoststate_gdt));
	h->loaded = false;
}
