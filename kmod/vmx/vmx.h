/* SPDX-License-Identifier: GPL-2.0 */
/* VMX root operation: capabilities, VMXON, VMCSs, VMCS01, host state, TLB, one VM entry and exit, debug registers. */
#ifndef DROSTE_VMX_H
#define DROSTE_VMX_H

#include <linux/jump_label.h>
#include <linux/percpu.h>
#include <asm/asm.h>
#include "vmx/types.h"

struct vcpu;

/* --- capabilities: vmx/caps.c --- */

extern struct vmx_caps host_caps;	/* of this processor; constant after init */
extern struct vmx_caps offer_caps;	/* the most an L1 can be offered; constant after init */

/* Optional features of the processor that Droste itself uses. Constant after init. */
struct vmx_features {
	bool vpid, ept_ad, ept_2m, ept_1g, vmcs_shadowing, pml, tsc_scaling;
	bool invept_single, invvpid_single, invvpid_addr, xsaves, rdtscp, invpcid, ple, preemption_timer;
	bool timer_counts;	/* the preemption timer counts at the rate of the TSC: see vmx/timer.c */
	bool umip_emulated;	/* the processor lacks CR4.UMIP; descriptor-table exiting takes its place */
	bool tables_exit;	/* descriptor-table exiting exists */
	bool wbinvd;		/* WBINVD can be made to exit */
	bool encls;		/* ENCLS can be made to exit */
	bool nx_huge;		/* no large leaf of EPT01 may be executable: see ept01_nx_huge() */
	u8 cr3_targets;		/* number of CR3-target values */
	u8 timer_rate;		/* the preemption timer counts down by 1 whenever this bit of the TSC changes (SDM 3D A.6) */
};
extern struct vmx_features vmx_features;

int vmx_caps_init(void);
bool vmx_caps_same_here(void);
void vmx_caps_announce(bool loaded);

/* --- VMX root on each CPU: vmx/root.c --- */
extern bool vmx_going_down;	/* VMX was turned off for a reboot: VMX instructions may fault */
int vmx_root_init(void);
void vmx_root_exit(void);

/* --- VMCS regions: vmx/vmcs.c --- */
int vmcs_alloc(struct loaded_vmcs *v, bool shadow);
void vmcs_free(struct loaded_vmcs *v);
void vmcs_clear(struct loaded_vmcs *v);
void vmcs_clear_local(struct loaded_vmcs *v);
void vmcs_load(struct loaded_vmcs *v);
void vmcs_load_failed(const struct loaded_vmcs *v);

DECLARE_PER_CPU(struct loaded_vmcs *, current_vmcs);

/**
 * vmcs_load_here() - make a VMCS current that is active on this CPU, and is not current
 * @v: the VMCS
 *
 * vmcs_load() finds that out itself.
 *
 * Context: Preemption disabled.
 */
static __always_inline void vmcs_load_here(struct loaded_vmcs *v)
{
	bool fail = false;

	this_cpu_write(current_vmcs, v);
	/* It faults after VMX was turned off for a reboot; the fixup skips the instruction. */
	asm volatile("1: vmptrld %1\n\t"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : "=@ccna"(fail) : "m"(v->hpa) : "memory");
	if (unlikely(fail))
		vmcs_load_failed(v);
}

/*
 * Accessors of the current VMCS. Failure means a bug in Droste: it is logged, and a read returns 0.
 * Called with the vCPU loaded, or with preemption disabled after vmcs_load().
 */
void vmcs_access_failed(unsigned long field, bool write);

static __always_inline unsigned long vmcs_read(unsigned long field)
{
	unsigned long val;
	bool bad;

	/* VMREAD faults after VMX was turned off for a reboot; the fixup skips the instruction. */
	asm volatile("1: vmread %2, %1\n\t"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : "=@ccna"(bad), "=r"(val) : "r"(field));
	if (unlikely(bad)) {
		vmcs_access_failed(field, false);
		return 0;
	}
	return val;
}

static __always_inline void vmcs_write(unsigned long field, unsigned long val)
{
	bool bad;

	asm volatile("1: vmwrite %2, %1\n\t"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : "=@ccna"(bad) : "r"(field), "rm"(val));
	if (unlikely(bad))
		vmcs_access_failed(field, true);
}

static inline void vmcs_set_bits(unsigned long field, u32 bits)
{
	vmcs_write(field, vmcs_read(field) | bits);
}

static inline void vmcs_clear_bits(unsigned long field, u32 bits)
{
	vmcs_write(field, vmcs_read(field) & ~(unsigned long)bits);
}


/* --- TLB: vmx/tlb.c --- */
void vmx_invept_single(u64 eptp);
void vmx_invept_all(void);
void vmx_invvpid_single(u16 vpid);
void vmx_invvpid_addr(u16 vpid, u64 gva);
u16 vpid_alloc(void);
void vpid_free(u16 vpid);

/* --- VMCS01: vmx/vmcs01.c --- */
int vmcs01_create(struct vcpu *vcpu);
void vmcs01_init(struct vcpu *vcpu);
void vmcs01_destroy(struct vcpu *vcpu);
void vmcs01_reset(struct vcpu *vcpu, bool init);
void vmcs_write_host_constants(void);
void vmx_update_exceptions(struct vcpu *vcpu);
void vmx_update_cpuid_controls(struct vcpu *vcpu);
void vmx_write_proc2_01(struct vcpu *vcpu);
void vmx_write_ctl01(struct vcpu *vcpu);
void vmx_follow_umip(struct vcpu *vcpu, bool on);
void vcpu_switch_vmcs(struct vcpu *vcpu, struct loaded_vmcs *to);
void vcpu_reload_vmcs(struct vcpu *vcpu);

/* --- exits that a VM need not have: vmx/force.c --- */

/* The controls that DROSTE_FORCE_EXITS adds to L0's. */
struct vmx_forced {
	u32 proc, proc2;
};

u64 vmx_force_supported(void);
int vmx_force_check(u64 mask);
struct vmx_forced vmx_forced_controls(u64 mask);

/* --- PAUSE-loop exiting: vmx/ple.c --- */
bool ple_wanted(void);
void ple_begin(struct vcpu *vcpu, struct loaded_vmcs *v);
void ple_limit(struct loaded_vmcs *v, u32 gap, u32 limit);
void ple_adapt(struct vcpu *vcpu, bool useful);
void ple_shorter(struct vcpu *vcpu);

/* --- page-modification logging: vmx/pml.c --- */
#define PML_ENTRIES	512
int vmx_pml_create(struct vcpu *vcpu);
void vmx_pml_destroy(struct vcpu *vcpu);
void vmx_pml_begin(struct vcpu *vcpu);
void vmx_pml_update(struct vcpu *vcpu);
void vmx_pml_flush(struct vcpu *vcpu);

/* --- host state: vmx/hoststate.c --- */
u64 vmx_uret_get(struct vcpu *vcpu, enum uret_msr i);
void vmx_uret_pass(struct vcpu *vcpu, u32 mask);
int vmx_uret_set(struct vcpu *vcpu, enum uret_msr i, u64 val);
bool vmx_use_syscall(struct vcpu *vcpu);
void vmx_host_read_cpu(void);
void vmx_host_prepare(struct vcpu *vcpu);
void vmx_host_restore(struct vcpu *vcpu);
void vmx_host_sync_cpu(struct loaded_vmcs *v);
void vmx_host_sync_vmcs(struct vcpu *vcpu);

/* --- the VMX-preemption timer: vmx/timer.c --- */
bool vmx_timer_counts(void);

/**
 * vmx_timer_usable() - whether a deadline of the guest shall be kept by this timer
 * @vcpu: the vCPU; caller holds its mutex
 *
 * The timer counts the host's TSC, so it is not used for a guest whose TSC has another rate.
 *
 * Context: Any.
 * Return: true if so; false if an hrtimer is needed.
 */
static inline bool vmx_timer_usable(const struct vcpu *vcpu)
{
	return vmx_features.timer_counts && vcpu->tsc.ratio == TSC_RATIO_ONE && !vcpu->timer.rest;
}

void vmx_timer_begin(struct vcpu *vcpu);
u64 vmx_timer_deadline(u64 left);
void vmx_timer_before_entry(struct vcpu *vcpu);

/* --- one entry and exit: vmx/enter.S, vmx/exit.c --- */
extern char vmx_exit_here[];		/* value of HOST_RIP */
unsigned int vmx_enter(u64 *regs, bool launched, u64 *host_rsp, u64 spec_ctrl);
void vmx_restore_host_spec_ctrl(struct vcpu *vcpu);

/* Exit information that exits.def wants for a reason, besides the reason and the IDT-vectoring information. */
#define EXIT_QUAL	BIT(0)
#define EXIT_GPA	BIT(1)
#define EXIT_GLA	BIT(2)
#define EXIT_INTR	BIT(3)
#define EXIT_ILEN	BIT(4)
#define EXIT_IINFO	BIT(5)
#define EXIT_NO_EVENT	BIT(6)		/* the exit does not occur during the delivery of an event */
#define EXIT_INSN	(EXIT_ILEN | EXIT_NO_EVENT)

#define IO_STRING	BIT_ULL(4)	/* exit qualification: INS or OUTS (SDM 3C table 28-5) */

void vmx_snapshot_exit(struct vcpu *vcpu);

/* --- from the host's context to the guest and back: vmx/guestmode.c --- */
DECLARE_STATIC_KEY_FALSE(vmx_entry_more);	/* counts what needs more at entries: flushes, VMs that hide time */
void vmx_guest_mode(struct vcpu *vcpu);

/* --- the cost of exits, hidden: vmx/hide.c --- */
long vm_set_profile(void *self, void *arg, unsigned long uarg);
void vmx_hide_init_vcpu(struct vcpu *vcpu);
void vmx_hide_destroy(struct vm *vm);
void vmx_hide_forget(struct vcpu *vcpu);
void vmx_hide_cost(struct vcpu *vcpu);
void vmx_hide_note_exit(struct vcpu *vcpu, u64 tsc);

/* --- flushes of the L1 data cache: vmx/l1d.c --- */
int vmx_l1d_init(void);
void vmx_l1d_warn(void);
void vmx_l1d_exit(void);
DECLARE_STATIC_KEY_FALSE(vmx_l1d_flushes);
void vmx_l1d_flush_now(struct vcpu *vcpu);

/* --- the host's performance counters: vmx/perf.c --- */
extern bool vmx_perf_present;		/* the host has counters; constant after init */
void vmx_perf_init(void);
void vmx_perf_begin(struct vcpu *vcpu);
void vmx_perf_switch(struct vcpu *vcpu);

/* --- debug registers: vmx/dr.c --- */
#define DR6_WRITABLE	0xe00fULL	/* B0-B3, BD, BS, BT */
#define DR6_RTM		BIT_ULL(16)
#define DEBUGCTL_RTM	BIT_ULL(15)
bool vmx_debugger_owns_dr(const struct vcpu *vcpu);
bool vmx_debugger_takes_db(const struct vcpu *vcpu);
void vmx_write_dr7(struct vcpu *vcpu);
void vcpu_set_dr7(struct vcpu *vcpu, u64 dr7);
u64 vcpu_effective_dr7(struct vcpu *vcpu);
u64 vcpu_dr6_value(const struct vcpu *vcpu, u64 dr6);
void vcpu_add_dr6(struct vcpu *vcpu, u64 bits);
void vcpu_set_debugctl(struct vcpu *vcpu, u64 val);
void vmx_switch_dr(struct vcpu *vcpu);
u64 vmx_code_breakpoints(struct vcpu *vcpu);

/* --- traps: vmx/traps.c --- */
u64 vmx_end_blocking(struct vcpu *vcpu);
void vmx_fit_blocking(struct vcpu *vcpu);
bool vmx_block_by_mov_ss(struct vcpu *vcpu);
void vmx_hold_trap(struct vcpu *vcpu);

#endif
