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

/* URET_TSC_AUX, which some processors lack, is the last. */
static const u32 uret_msrs[NR_URET_MSRS] = {
	[URET_STAR] = MSR_STAR,
	[URET_LSTAR] = MSR_LSTAR,
	[URET_FMASK] = MSR_SYSCALL_MASK,
	[URET_KERNEL_GS] = MSR_KERNEL_GS_BASE,
	[URET_TSC_AUX] = MSR_TSC_AUX,
};

/*
 * The host's values. The kernel writes these MSRs once on each CPU, except for
 * KERNEL_GS_BASE, which depends on the thread: its entry is valid while a vCPU's
 * host state is saved on the CPU.
 */
static DEFINE_PER_CPU(u64[NR_URET_MSRS], hoststate_uret);

static enum uret_msr hoststate_nr_uret(void)
{
	return likely(vmx_features.rdtscp) ? NR_URET_MSRS : URET_TSC_AUX;
}

static void hoststate_wrmsr(enum uret_msr i, u64 val)
{
	native_wrmsr(uret_msrs[i], (u32)val, (u32)(val >> 32));
}

/**
 * vmx_host_read_cpu() - read the MSRs of this CPU that are constant for the host
 *
 * Context: Interrupts disabled, before a guest runs on this CPU.
 */
void vmx_host_read_cpu(void)
{
	enum uret_msr i;

	for (i = 0; i < NR_URET_MSRS; i++)
		if (i != URET_KERNEL_GS && (i != URET_TSC_AUX || boot_cpu_has(X86_FEATURE_RDTSCP)))
			this_cpu_write(hoststate_uret[i], __rdmsr(uret_msrs[i]));
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

	/* A guest changes KERNEL_GS_BASE without an exit, so the MSR has the current value while it is loaded. */
	preempt_disable();
	if (i == URET_KERNEL_GS && vcpu->host.loaded)
		rdmsrl(MSR_KERNEL_GS_BASE, vcpu->uret_msr[i]);
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

	preempt_disable();
	if (vcpu->host.loaded && i < hoststate_nr_uret())
		err = wrmsrl_safe(uret_msrs[i], val);
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

static void hoststate_write_sel(unsigned long field, u16 *known, u16 sel)
{
	sel = hoststate_loadable_sel(sel);
	if (*known != sel) {
		vmcs_write(field, sel);
		*known = sel;
	}
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
	hoststate_write_sel(HOST_DS_SELECTOR, &v->host_ds_sel, h->ds);
	hoststate_write_sel(HOST_ES_SELECTOR, &v->host_es_sel, h->es);
	hoststate_write_sel(HOST_FS_SELECTOR, &v->host_fs_sel, h->fs);
	hoststate_write_sel(HOST_GS_SELECTOR, &v->host_gs_sel, h->gs);
	if (v->host_fs_base != h->fs_base) {
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

/**
 * vmx_host_prepare() - save the host state that the guest uses, and load that of the guest
 * @vcpu: the vCPU; it is loaded
 *
 * Does nothing if it was done since the vCPU was loaded.
 *
 * Context: Preemption disabled. vcpu->vmcs is current.
 */
void vmx_host_prepare(struct vcpu *vcpu)
{
	struct host_state *h = &vcpu->host;
	enum uret_msr i, nr = hoststate_nr_uret();

	if (h->loaded)
		return;
	savesegment(ds, h->ds);
	savesegment(es, h->es);
	current_save_fsgs();
	h->ldt = 0;
	h->seq++;
	h->fs = current->thread.fsindex;
	h->gs = current->thread.gsindex;
	h->fs_base = current->thread.fsbase;
	/* A selector that is not null has a base of its own, which the kernel does not keep on older processors. */
	h->kernel_gs = likely(!h->gs) ? current->thread.gsbase : __rdmsr(MSR_KERNEL_GS_BASE);
	this_cpu_write(hoststate_uret[URET_KERNEL_GS], h->kernel_gs);
	for (i = 0; i < nr; i++)
		if (this_cpu_read(hoststate_uret[i]) != vcpu->uret_msr[i])
			hoststate_wrmsr(i, vcpu->uret_msr[i]);
	h->loaded = true;
	vmx_host_sync_vmcs(vcpu);
	/* Other threads, or user space, have run on this CPU. */
	vcpu->l1d_due = true;
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
	enum uret_msr i, nr = hoststate_nr_uret();

	if (!h->loaded)
		return;
	vcpu->uret_msr[URET_KERNEL_GS] = __rdmsr(MSR_KERNEL_GS_BASE);
	for (i = 0; i < nr; i++)
		if (this_cpu_read(hoststate_uret[i]) != vcpu->uret_msr[i])
			hoststate_wrmsr(i, this_cpu_read(hoststate_uret[i]));
	/* Before the segment registers, whose selectors may refer to it. */
	if (unlikely(h->ldt))
		asm volatile("lldt %0" : : "m" (h->ldt));
	if (unlikely(h->fs & 7))
		loadsegment(fs, h->fs);
	if (unlikely(h->gs & 7))
		load_gs_index(h->gs);
	if (unlikely((h->fs | h->gs) & 7)) {
		/* Loading a selector changed the base. */
		wrmsrl(MSR_FS_BASE, h->fs_base);
		wrmsrl(MSR_KERNEL_GS_BASE, h->kernel_gs);
	}
	if (unlikely(h->ds & 7))
		loadsegment(ds, h->ds);
	if (unlikely(h->es & 7))
		loadsegment(es, h->es);
	invalidate_tss_limit();
	load_fixmap_gdt(raw_smp_processor_id());
	h->loaded = false;
}
