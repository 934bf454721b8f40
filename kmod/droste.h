/* SPDX-License-Identifier: GPL-2.0 */
/* The objects of a running machine: struct vm and struct vcpu. */
#ifndef DROSTE_H
#define DROSTE_H

#include <linux/hrtimer.h>
#include <linux/kvm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/swait.h>
#include <linux/types.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "compat.h"
#include "abi/types.h"
#include "cpu/types.h"
#include "ept/types.h"
#include "io/types.h"
#include "irqchip/types.h"
#include "mem/types.h"
#include "nested/types.h"
#include "pv/types.h"
#include "vmx/types.h"

#define DROSTE_MAX_VCPUS	1024
#define DROSTE_MAX_CPUID	256
#define DROSTE_APIC_BUS_NS	1	/* what vm->apic_bus_ns starts with: 1 GHz */
/* What KVM_CAP_X2APIC_API takes. */
#define X2APIC_API_FLAGS	(KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)

struct file;
struct emul_state;
struct msr_filter;

/* General registers in the order instructions encode them (SDM 2A, table 2-2). */
enum gpr {
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
	R8, R9, R10, R11, R12, R13, R14, R15,
	NR_GPRS
};

/* Segment registers in the order instructions encode them, then the two system ones. */
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, NR_SEGS };

/**
 * enum next - what a handler tells the run loop to do
 * @NEXT_ENTER: enter the guest again
 * @NEXT_USER: end KVM_RUN with 0; vcpu->run says what user space has to do
 * @NEXT_REFLECT: vcpu->exit has become an exit that is L1's: show it to L1
 * @NEXT_GO_ON: from a helper of a handler: nothing is decided, carry on
 *
 * A handler may also return a negative errno, which ends KVM_RUN. No value is
 * 0, so that a forgotten return value is noticed.
 */
enum next {
	NEXT_ENTER = 1,
	NEXT_USER,
	NEXT_REFLECT,
	NEXT_GO_ON,
};

/* Where a vCPU is, for whoever wants to interrupt it. */
enum vcpu_mode {
	VCPU_OUTSIDE,	/* not in the guest; it will look at requests before it enters */
	VCPU_IN_GUEST,	/* in the guest, or past the last look at requests: needs an IPI */
};

/* Bits of vcpu->requests: work that others ask of a vCPU; done before its next entry. */
enum vcpu_request {
	REQ_EVENT,		/* look at interrupts and other events again */
	REQ_EPT01_FLUSH,	/* EPT01 lost a mapping: INVEPT here, drop the copies of it in EPT02 */
	REQ_EPT01_FLUSH_LOCAL,	/* the vCPU is on another CPU: what that one's TLB holds is stale */
	REQ_TLB_FLUSH_GUEST,	/* drop linear mappings of the current VPID */
	REQ_UNPIN,		/* the pages pinned for VMCS02 may have moved */
	REQ_DEAD,		/* the VM is broken for good: KVM_RUN fails with EIO */
	REQ_CPUID,		/* CPUID or capability MSRs changed: rebuild what depends on them */
	REQ_MSR_FILTER,		/* the VM's MSR filter changed: make the MSR bitmap again */
	REQ_STEAL,		/* tell the guest how long its vCPU waited for a CPU */
	REQ_CLOCK,		/* what kvmclock told the guest is not so any more */
	REQ_TIMER,		/* the local APIC timer, or L1's preemption timer, expired */
	REQ_PML,		/* take vm->pml into the VMCSs; asking alone flushes what the processor logged */
	REQ_RING_FULL,		/* the dirty ring may be too full to enter the guest */
	REQ_SPLIT_EOI,		/* an interrupt of user space's I/O APIC ended: tell it */
	NR_REQUESTS
};

/**
 * struct vm - one virtual machine, behind a VM file descriptor
 */
struct vm {
	refcount_t users;		/* the VM's file, and one for each vCPU and irqfd */
	struct mm_struct *mm;		/* whose memory the slots name; holds mmgrab */
	struct mutex lock;		/* vCPU and irqchip creation, slot and routing updates */
	struct srcu_struct srcu;	/* readers of slots and routing */

	struct memslots __rcu *slots;	/* written under lock, read under srcu */

	/* --- EPT01: see ept/ept.h --- */
	spinlock_t mmu_lock;		/* EPT01's tables and the four members below; no sleeping, irqs on */
	struct mmu_notifier mn;
	struct ept01 ept01;
	unsigned long mmu_seq;		/* counts finished invalidations */
	int mmu_invalidating;		/* invalidations now between start and end */

	struct vcpu *vcpus[DROSTE_MAX_VCPUS];	/* by index; written under lock, set once (release) */
	int nr_vcpus;			/* how many of them there are; release after the slot is set */

	struct irqchip irqchip;		/* see irqchip/irqchip.h */
	struct coalesced coalesced;	/* see io/coalesced.h */
	struct ioeventfds ioeventfds;	/* see io/ioeventfd.h */

	gpa_t tss_addr;			/* KVM_SET_TSS_ADDR; kept, not needed (unrestricted guest) */
	gpa_t identity_map_addr;	/* likewise */
	bool dead;			/* set once, never cleared: see vm_kill() */
	bool mn_registered;		/* mn must be unregistered */
	u64 bsp_id;			/* KVM_SET_BOOT_CPU_ID; vCPU id, default 0 */
	struct vm_tsc tsc;
	s64 clock_offset;		/* KVM_SET_CLOCK: the VM's clock minus the host's, ns; under lock, read without */
	u64 wall_clock;			/* MSR_KVM_WALL_CLOCK, of all vCPUs; whoever wrote it last */
	struct msr_filter __rcu *msr_filter;	/* KVM_X86_SET_MSR_FILTER, or NULL; written under lock, read under srcu */
	u32 user_msr_reasons;		/* KVM_CAP_X86_USER_SPACE_MSR: KVM_MSR_EXIT_REASON_*; under lock, read without */
	u8 manual_dirty_log;		/* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2's bits; under lock */
	bool pml;			/* some slot is logged, and the processor helps: see vmx/pml.c; under lock, read without */
	u32 ring_bytes;			/* size of each vCPU's dirty ring, or 0; under lock, set once before the first vCPU */
	u8 x2apic_api;			/* KVM_CAP_X2APIC_API's bits; under lock, read without */
	u64 apic_bus_ns;		/* of one cycle of the local APICs' timers, before division; set before the first vCPU */
	unsigned long max_shadow_pages;	/* KVM_SET_NR_MMU_PAGES: of all vCPUs' EPT02, 0: as many as they like; read without lock */
	struct vm_stats stats;
	s64 halt_poll_ns;		/* KVM_CAP_HALT_POLL: the longest poll, ns; -1: the module's; under lock, read without */
	u32 max_vcpu_id;		/* KVM_CAP_MAX_VCPU_ID: IDs are below; 0: DROSTE_MAX_VCPU_ID; under lock */
	bool pause_in_guest;		/* KVM_CAP_X86_DISABLE_EXITS: new vCPUs spin without exits; under lock */
	u64 disabled_quirks;		/* KVM_CAP_DISABLE_QUIRKS2: KVM_X86_QUIRK_*; under lock, read without */
	bool hide_platform_info;	/* KVM_CAP_MSR_PLATFORM_INFO: guests do not read that MSR; likewise */
	bool exit_on_emul_failure;	/* KVM_CAP_EXIT_ON_EMULATION_FAILURE is enabled; likewise */
	bool hlt_in_guest;		/* KVM_CAP_X86_DISABLE_EXITS named HLT: no KVM_FEATURE_PV_UNHALT; likewise */
	bool vmmcall_seen;		/* some vCPU has executed AMD's VMMCALL: see pv.c; any vCPU's thread */
	bool exception_payload;		/* KVM_CAP_EXCEPTION_PAYLOAD is enabled; under lock, read without */
	bool triple_fault_event;	/* KVM_CAP_X86_TRIPLE_FAULT_EVENT is enabled; likewise */
};

/* A hardware event to deliver: pending, or to be delivered again (SDM 3C 26.8.3 format's parts). */
struct event {
	bool valid;
	u8 vector;
	u32 type;		/* INTR_TYPE_*, as in an interruption-information field (bits 10:8) */
	bool has_error;
	u32 error_code;
	u32 ilen;		/* instruction length, for software events */
	bool has_payload;	/* exceptions only: CR2 or DR6 bits to load on delivery */
	u64 payload;
};

/* Events of one vCPU, in whatever level it runs. Owner: the vCPU's thread. */
struct vcpu_events {
	struct event exception;		/* raised by L0's emulation, not yet seen by the guest */
	struct event injected;		/* was being delivered when an exit came (IDT-vectoring): deliver again */
	unsigned int nmi_pending;	/* 0 to 2: one may wait behind one being handled; atomic via nmi_queued */
	atomic_t nmi_queued;		/* NMIs that other threads sent, moved to nmi_pending */
	bool triple_fault;		/* a shutdown must be reported */
};

/**
 * struct vcpu - one virtual processor, behind a vCPU file descriptor
 *
 * Everything is owned by the thread that holds @mutex unless its comment
 * says otherwise. "The current VMCS" is @vmcs01 in L1 and VMCS02 in L2.
 */
struct vcpu {
	/* --- hot: touched by enter.S and on every exit --- */
	u64 regs[NR_GPRS];		/* general registers; RSP's slot is valid per reg_avail */
	u64 rip;			/* valid per reg_avail */
	u64 rflags;			/* valid per reg_avail */
	u64 cr2;			/* the guest's; enter.S swaps it */
	u32 reg_avail;			/* REG_* bits: cached value is good */
	u32 reg_dirty;			/* REG_* bits: cached value must go to the VMCS */
	struct loaded_vmcs *vmcs;	/* the current VMCS of this vCPU */
	struct vmx_exit exit;		/* the last exit, read once */
	bool in_l2;			/* the current VMCS is VMCS02 */
	int cpu;			/* physical CPU whose VMCS is current, or -1; changes with preemption */
	enum vcpu_mode mode;		/* written by the vCPU, read by those who kick it; ordered with requests */
	unsigned long requests;		/* atomic bits, enum vcpu_request; anyone */
	struct vcpu_events ev;

	struct loaded_vmcs vmcs01;
	struct vmx_controls ctl01;	/* controls of @vmcs01, from which VMCS02's are merged: see vmx_write_ctl01() */
	bool ctl01_stale;		/* @vmcs01 lacks a change of @ctl01 that came while L2 ran */
	unsigned long *msr_bitmap01;	/* one page; changed by vmx_update_msr_bitmap() only */
	u16 vpid01;			/* 0: without VPID */
	u64 *pml;			/* page-modification log, one page; NULL: the processor has none */
	struct dirty_ring ring;		/* see dirtyring.h */
	struct nested nested;		/* see nested/nested.h */

	/* --- identity --- */
	struct vm *vm;
	int id;				/* as KVM_CREATE_VCPU named it; also the initial APIC ID */
	int index;			/* in vm->vcpus */
	struct mutex mutex;		/* vCPU ioctls, one at a time */
	struct kvm_run *run;		/* shared with user space: hostile, read each member once */
	void *pio_data;			/* the page after run: data of port exits */

	/* --- registers the VMCS does not hold --- */
	u64 apic_base;			/* IA32_APIC_BASE */
	u64 efer;			/* what the guest reads; mirrored in the VMCS */
	u64 xcr0;
	u64 xss;
	u64 dr[4];			/* DR0..DR3 */
	u64 dr6;
	u64 dr7;			/* what the guest reads */
	u64 pat;
	u64 misc_enable;		/* IA32_MISC_ENABLE */
	struct vcpu_tsc tsc;
	u64 tsc_adjust;			/* IA32_TSC_ADJUST */
	u64 feature_control;		/* IA32_FEATURE_CONTROL */
	u64 uret_msr[NR_URET_MSRS];	/* guest's syscall MSRs and KERNEL_GS_BASE: see vmx/hoststate.c */
	struct msr_misc *misc;		/* rarely used MSRs (MTRRs, MCE, ...): see msr.c */
	struct fpu_guest guest_fpu;	/* see fpu.c */
	u32 mp_state;			/* KVM_MP_STATE_*; INIT and SIPI come in through the local APIC */
	bool fpu_loaded;		/* the guest's FPU state is in the registers */
	u32 guest_debug;		/* its control word */
	u64 guest_debug_dr[8];		/* its debug registers */
	s16 user_irq;			/* vector of KVM_INTERRUPT, -1: none (the PIC is user space's) */
	u8 eoi_vector;			/* with REQ_SPLIT_EOI: which interrupt ended */
	u8 cr8;				/* without a local APIC */
	bool wants_irq_window;		/* kvm_run.request_interrupt_window of this run */
	bool want_immediate_exit;	/* the next entry must be followed by an exit at once */

	struct kvmclock clock;
	struct steal_time steal;
	bool enforce_pv;		/* KVM_CAP_ENFORCE_PV_FEATURE_CPUID is enabled */

	struct vlapic *lapic;		/* NULL without KVM_CREATE_IRQCHIP */

	/* --- CPUID: what user space set; entries sorted as given --- */
	struct kvm_cpuid_entry2 *cpuid;
	int nr_cpuid;
	bool has_run;			/* KVM_RUN was called: CPUID stays as it is */
	struct guest_caps gcaps;	/* derived from cpuid by cpuid.c: allowed CR4/EFER/XCR0 bits, maxphyaddr */

	/* --- exits to user space --- */
	int (*complete)(struct vcpu *vcpu);	/* called at the next KVM_RUN; enum next */
	u64 resume_rip;				/* linear RIP at the exit that @complete finishes: see vcpu_same_place() */
	struct emul_state *emul;		/* the emulator's memory between two runs: io/emulate.h */
	sigset_t sigmask;			/* KVM_SET_SIGNAL_MASK */
	bool has_sigmask;

	/* --- blocking --- */
	struct swait_queue_head wq;		/* HLT and wait-for-SIPI sleep here; vcpu_kick() wakes */
	struct pid __rcu *pid;			/* the thread that called KVM_RUN last; written under mutex */
	u64 halt_window;			/* ns to poll for an event before it sleeps: halt.c */
	bool preempted;				/* that thread would run, but another was given its CPU; read by anyone */
	struct preempt_notifier pn;		/* sched_in/sched_out between vcpu_load() and vcpu_put() */

	struct host_state host;			/* what to give back to the host: vmx/hoststate.c */
	u64 exits[NR_EXIT_REASONS];		/* exits taken by L0, by basic reason */
	u64 exits_l2[NR_EXIT_REASONS];		/* of them, those that came from L2 */
	u64 exits_reflected[NR_EXIT_REASONS];	/* of them, those that L1 was shown, whatever it was shown */
	struct vcpu_stats stats;
};

/* True if @gpa is below the guest's physical-address width. */
static inline bool gpa_legal(const struct vcpu *vcpu, u64 gpa)
{
	return !(gpa >> vcpu->gcaps.maxphyaddr);
}

#endif
