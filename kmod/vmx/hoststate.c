// SPDX-License-Identifier: GPL-2.0
/* What the processor shares between host and guest outside the VMCS: user segments and syscall MSRs. */
#include <linux/sched.h>
#include <asm/desc.h>
#include <asm/fsgsbase.h>
#include <asm/msr.h>
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

static bool uret_usable(enum uret_msr i)
{
	return i != URET_TSC_AUX || vmx_features.rdtscp;
}

u64 vmx_uret_get(struct vcpu *vcpu, enum uret_msr i)
{
	u64 val;

	/* A guest changes KERNEL_GS_BASE without an exit: ask the processor while it holds the guest's. */
	preempt_disable();
	if (i == URET_KERNEL_GS && vcpu->host.loaded)
		rdmsrl(MSR_KERNEL_GS_BASE, vcpu->uret_msr[i]);
	val = vcpu->uret_msr[i];
	preempt_enable();
	return val;
}

void vmx_uret_set(struct vcpu *vcpu, enum uret_msr i, u64 val)
{
	preempt_disable();
	vcpu->uret_msr[i] = val;
	if (vcpu->host.loaded && uret_usable(i))
		wrmsrl(uret_msrs[i], val);
	preempt_enable();
}

/* Selectors in the VMCS need RPL 0 and TI 0 (SDM 3C 27.2.3); others are loaded by hand afterwards. */
static u16 loadable(u16 sel)
{
	return sel & 7 ? 0 : sel;
}

static void write_sel(unsigned long field, u16 *known, u16 sel)
{
	sel = loadable(sel);
	if (*known != sel) {
		vmcs_write(field, sel);
		*known = sel;
	}
}

/**
 * vmx_host_sync_vmcs - bring the current VMCS's changing host fields up to date
 * @vcpu: loaded, with its host state saved by vmx_host_prepare()
 *
 * Preemption off. Also needed when another VMCS of the vCPU becomes current.
 */
void vmx_host_sync_vmcs(struct vcpu *vcpu)
{
	struct loaded_vmcs *v = vcpu->vmcs;
	struct host_state *h = &vcpu->host;

	write_sel(HOST_DS_SELECTOR, &v->host_ds_sel, h->ds);
	write_sel(HOST_ES_SELECTOR, &v->host_es_sel, h->es);
	write_sel(HOST_FS_SELECTOR, &v->host_fs_sel, h->fs);
	write_sel(HOST_GS_SELECTOR, &v->host_gs_sel, h->gs);
	if (v->host_fs_base != h->fs_base) {
		vmcs_write(HOST_FS_BASE, h->fs_base);
		v->host_fs_base = h->fs_base;
	}
}

/**
 * vmx_host_sync_cpu - the host fields that depend on the CPU, into the current VMCS
 * @v: current, and new on this CPU
 */
void vmx_host_sync_cpu(struct loaded_vmcs *v)
{
	int cpu = smp_processor_id();
	u64 val;

	vmcs_write(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmcs_write(HOST_GDTR_BASE, (unsigned long)get_cpu_gdt_ro(cpu));
	/* In the kernel the GS base is this CPU's per-CPU area, whatever runs. */
	rdmsrl(MSR_GS_BASE, val);
	vmcs_write(HOST_GS_BASE, val);
	rdmsrl(MSR_IA32_SYSENTER_ESP, val);
	vmcs_write(HOST_IA32_SYSENTER_ESP, val);
	v->host_cr3 = 0;
	v->host_cr4 = 0;
}

/**
 * vmx_host_prepare - save what of the host the guest will use, give the guest its own
 * @vcpu: loaded
 *
 * Preemption off, before an entry; does nothing when it was done since the vCPU was loaded.
 */
void vmx_host_prepare(struct vcpu *vcpu)
{
	struct host_state *h = &vcpu->host;
	int i;

	if (h->loaded)
		return;
	savesegment(ds, h->ds);
	savesegment(es, h->es);
	current_save_fsgs();
	h->fs = current->thread.fsindex;
	h->gs = current->thread.gsindex;
	h->fs_base = current->thread.fsbase;
	for (i = 0; i < NR_URET_MSRS; i++) {
		if (!uret_usable(i))
			continue;
		rdmsrl(uret_msrs[i], h->uret[i]);
		if (h->uret[i] != vcpu->uret_msr[i])
			wrmsrl(uret_msrs[i], vcpu->uret_msr[i]);
	}
	h->loaded = true;
	vmx_host_sync_vmcs(vcpu);
	/* The host ran since the guest last did: what it left in the L1 data cache is not for the guest (L1TF). */
	if (boot_cpu_has_bug(X86_BUG_L1TF) && boot_cpu_has(X86_FEATURE_FLUSH_L1D))
		wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
}

/**
 * vmx_host_restore - give back to the host what vmx_host_prepare() took
 * @vcpu: the vCPU that ran last here
 *
 * Preemption off. A VM exit leaves the descriptor-table limits at their largest
 * and a short TSS limit (SDM 3C 28.5.2); the host wants its own again.
 */
void vmx_host_restore(struct vcpu *vcpu)
{
	struct host_state *h = &vcpu->host;
	int i;

	if (!h->loaded)
		return;
	rdmsrl(MSR_KERNEL_GS_BASE, vcpu->uret_msr[URET_KERNEL_GS]);
	for (i = 0; i < NR_URET_MSRS; i++) {
		if (uret_usable(i) && h->uret[i] != vcpu->uret_msr[i])
			wrmsrl(uret_msrs[i], h->uret[i]);
	}
	if (unlikely(h->fs & 7))
		loadsegment(fs, h->fs);
	if (unlikely(h->gs & 7))
		load_gs_index(h->gs);
	if (unlikely((h->fs | h->gs) & 7)) {
		/* Loading a selector changed the base. */
		wrmsrl(MSR_FS_BASE, h->fs_base);
		wrmsrl(MSR_KERNEL_GS_BASE, h->uret[URET_KERNEL_GS]);
	}
	if (unlikely(h->ds & 7))
		loadsegment(ds, h->ds);
	if (unlikely(h->es & 7))
		loadsegment(es, h->es);
	invalidate_tss_limit();
	load_fixmap_gdt(raw_smp_processor_id());
	h->loaded = false;
}
