/* SPDX-License-Identifier: GPL-2.0 */
/* VMX root operation: capabilities, VMCS regions and accessors, the exit snapshot, L0's handlers. */
#ifndef DROSTE_VMX_H
#define DROSTE_VMX_H

#include <linux/types.h>
#include <linux/bits.h>
#include <linux/mm_types.h>
#include <linux/user-return-notifier.h>
#include <asm/vmx.h>
#include <asm/asm.h>
#include <asm/msr-index.h>

struct vm;
struct vcpu;

#define NR_EXIT_REASONS	80	/* basic exit reasons that are counted and dispatched (SDM 3D appendix C) */

/* --- capabilities: vmx/caps.c --- */

/* The VMX capability MSRs 0x480-0x491 (SDM 3D appendix A), the processor's or those offered to an L1. */
struct vmx_caps {
	u64 basic, pin, proc, exit, entry;	/* 0x480-0x484 */
	u64 misc;				/* 0x485 */
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;	/* 0x486-0x489 */
	u64 vmcs_enum;				/* 0x48a */
	u64 proc2;				/* 0x48b */
	u64 ept_vpid;				/* 0x48c */
	u64 true_pin, true_proc, true_exit, true_entry;	/* 0x48d-0x490 */
	u64 vmfunc;				/* 0x491 */
};
#define VMX_CAPS_FIRST	MSR_IA32_VMX_BASIC
#define VMX_CAPS_NR	18

extern struct vmx_caps host_caps;	/* this processor's; constant after init */
extern struct vmx_caps offer_caps;	/* the most an L1 can be offered; constant after init */

static inline u64 *vmx_caps_msr(struct vmx_caps *caps, u32 msr)
{
	/* The struct's members stand in MSR order. */
	return (u64 *)caps + (msr - VMX_CAPS_FIRST);
}

/* A control's value within its capability MSR: bits 31:0 must be 1, bits 63:32 may be 1 (SDM A.3.1). */
static inline bool vmx_control_ok(u64 cap, u32 val)
{
	return !(~val & (u32)cap) && !(val & ~(u32)(cap >> 32));
}
static inline bool vmx_may_set(u64 cap, u32 bit)
{
	return (cap >> 32) & bit;
}

/* Which of the processor's optional features Droste itself uses. Constant after init. */
struct vmx_features {
	bool vpid, ept_ad, ept_2m, ept_1g, ept_exec_only, vmcs_shadowing, pml, tsc_scaling, preemption_timer;
	bool invept_single, invvpid_single, invvpid_addr, xsaves, rdtscp, invpcid, ple, ack_not_needed, load_pat, load_efer, load_perf;
};
extern struct vmx_features vmx_features;

int vmx_caps_init(void);	/* read and check: 0, -EOPNOTSUPP with one log line */

/* --- VMX root on each CPU: vmx/root.c --- */
extern bool vmx_going_down;	/* VMX was turned off for reboot: VMX instructions may fault */
int vmx_root_init(void);	/* VMXON everywhere, and on CPUs that come on line: errno and one log line */
void vmx_root_exit(void);

/* --- VMCS regions: vmx/vmcs.c --- */

/* A VMCS and where it is active. A VMCS is cleared on its CPU before it is used on another (SDM 3C 25.1, 25.11.1). */
struct loaded_vmcs {
	void *region;		/* the page; NULL: not allocated */
	hpa_t hpa;
	int cpu;		/* where it is active, -1: nowhere */
	bool launched;		/* VMLAUNCH succeeded since VMCLEAR */
	struct list_head on_cpu;	/* in that CPU's list, so that it can be cleared when the CPU goes off line */
	/* Host-state fields whose value changes at run time; what the VMCS holds now */
	u64 host_cr3, host_cr4, host_fs_base, host_gs_base, host_rsp;
	u16 host_fs_sel, host_gs_sel, host_ds_sel, host_es_sel;
	u32 windows;		/* interrupt and NMI windows that L0 holds open in it: CPU_BASED_*_WINDOW_EXITING */
};

int vmcs_alloc(struct loaded_vmcs *v, bool shadow);
void vmcs_free(struct loaded_vmcs *v);		/* clears it wherever it is active; may IPI: irqs on */
void vmcs_clear(struct loaded_vmcs *v);		/* VMCLEAR wherever it is active; may IPI: irqs on */
void vmcs_clear_local(struct loaded_vmcs *v);	/* active here or nowhere; irqs off */
/* Make @v current on this CPU, taking it from another when it must. Preemption off; irqs on unless it is here already. */
void vmcs_load(struct loaded_vmcs *v);

/* Accessors of the current VMCS. A failing one means a bug in Droste: it logs once and reads 0. */
void vmcs_access_failed(unsigned long field, bool write);

static __always_inline unsigned long vmcs_read(unsigned long field)
{
	unsigned long val;
	bool bad;

	/* The fixup skips it when VMX was turned off under us for a reboot. */
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

/* Raw VMPTRLD by physical address (for shadow VMCSs, irqs off); false when it fails. */
bool vmcs_ptrld(hpa_t hpa);

/* --- TLB: vmx/tlb.c --- */
void vmx_invept_single(u64 eptp);
void vmx_invept_all(void);
void vmx_invvpid_single(u16 vpid);
void vmx_invvpid_addr(u16 vpid, u64 gva);
u16 vpid_alloc(void);		/* 0: none left, or the processor has none: the VMCS goes without VPID */
void vpid_free(u16 vpid);

/* --- VMCS01: vmx/vmcs01.c --- */
/* The parts of VMCS01 that VMCS02's merge starts from; kept here so that no VMREAD is needed. */
struct vmx_controls {
	u32 pin, proc, proc2, exit, entry, exceptions;
};
int vmcs01_create(struct vcpu *vcpu);
void vmcs01_destroy(struct vcpu *vcpu);
void vmcs01_reset(struct vcpu *vcpu, bool init);	/* power-up or INIT state (SDM 3A table 10-1); VMCS01 current */
void vmcs_write_host_constants(void);			/* host-state fields that never change, into the current VMCS */
void vmx_update_msr_bitmap(struct vcpu *vcpu);		/* rebuild VMCS01's from what L0 needs and user space filters; srcu held, or vm->lock */
void vmx_update_exceptions(struct vcpu *vcpu);		/* exceptions that L0 takes (guest debug, quirks); the vCPU is loaded */
void vmx_write_ctl01(struct vcpu *vcpu);		/* what can change of ctl01 into VMCS01, at once or when L2 has left */

/* --- page-modification logging: vmx/pml.c --- */
#define PML_ENTRIES	512
int vmx_pml_create(struct vcpu *vcpu);		/* 0 or -ENOMEM */
void vmx_pml_destroy(struct vcpu *vcpu);
void vmx_pml_begin(struct vcpu *vcpu);		/* an empty log for the current VMCS, if the processor can keep one */
void vmx_pml_update(struct vcpu *vcpu);		/* REQ_PML: log as vm->pml says from the next entry on; preemption on or off */
void vmx_pml_flush(struct vcpu *vcpu);		/* the processor's log into the VM's; the current VMCS logs; irqs off or on */

/* --- host state: vmx/hoststate.c --- */
/* MSRs that guests use without exits and the host only in user mode: shared by all levels of a vCPU. */
enum uret_msr { URET_STAR, URET_LSTAR, URET_FMASK, URET_KERNEL_GS, URET_TSC_AUX, NR_URET_MSRS };
struct host_state {
	bool loaded;		/* the guest's MSRs above are in the processor; owner's thread, preemption off */
	u16 ds, es, fs, gs, ldt;	/* selectors to give back */
	u64 fs_base, kernel_gs_base;
	u64 uret[NR_URET_MSRS];	/* the host's values on this CPU */
};
u64 vmx_uret_get(struct vcpu *vcpu, enum uret_msr i);		/* vCPU loaded */
void vmx_uret_set(struct vcpu *vcpu, enum uret_msr i, u64 val);
void vmx_host_prepare(struct vcpu *vcpu);	/* before the first entry after load; preemption off */
void vmx_host_restore(struct vcpu *vcpu);	/* at put */

/* --- one entry and exit: vmx/enter.S, vmx/exit.c --- */

/* The last exit of a vCPU, read once from the VMCS. What exits.def does not ask for holds stale data. */
struct vmx_exit {
	u32 reason;		/* whole: bit 31 is VM-entry failure */
	u16 basic;		/* bits 15:0 */
	u64 qual;
	u64 gpa;		/* guest-physical address */
	u64 gla;		/* guest-linear address */
	u32 intr_info, intr_error;	/* VM-exit interruption information */
	u32 idt_info, idt_error;	/* IDT-vectoring information */
	u32 ilen;		/* instruction length */
	u32 iinfo;		/* instruction information */
	u32 fail;		/* VM-instruction error when the entry failed at once (VMfail), else 0 */
};

/* What must be read for an exit reason, besides the reason and the IDT-vectoring information. */
#define EXIT_QUAL	BIT(0)
#define EXIT_GPA	BIT(1)
#define EXIT_GLA	BIT(2)
#define EXIT_INTR	BIT(3)
#define EXIT_ILEN	BIT(4)
#define EXIT_IINFO	BIT(5)

void vmx_snapshot_exit(struct vcpu *vcpu);	/* irqs off, right after the exit */
int vmx_handle_exit(struct vcpu *vcpu);		/* L0's handler by exits.def; irqs on; enum next */
const char *vmx_exit_name(u16 basic);

/* --- events: vmx/inject.c --- */
void vmx_save_vectoring(struct vcpu *vcpu);	/* IDT-vectoring information to vcpu->ev.injected */
int vmx_prepare_events(struct vcpu *vcpu);	/* before an entry, irqs on: what to inject, which windows to open; enum next */
void vmx_cancel_events(struct vcpu *vcpu);	/* the prepared entry does not happen */
bool vmx_interrupt_allowed(struct vcpu *vcpu);	/* IF, STI and MOV-SS blocking of the current VMCS */
bool vmx_nmi_allowed(struct vcpu *vcpu);

#endif
