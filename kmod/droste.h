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
#include <linux/sched.h>
#include <linux/signal_types.h>
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
#include "run/types.h"
#include "vmx/types.h"

#define DROSTE_MAX_VCPUS	1024
#define DROSTE_MAX_CPUID	256
#define DROSTE_APIC_BUS_NS	1	/* initial value of vm->apic_bus_ns: 1 GHz */
/* The flags that KVM_CAP_X2APIC_API accepts. */
#define X2APIC_API_FLAGS	(KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)

struct file;
struct emul_state;
struct msr_filter;

/* General registers, in the order in which instructions encode them (SDM 2A, table 2-2). */
enum gpr {
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
	R8, R9, R10, R11, R12, R13, R14, R15,
	NR_GPRS
};

/* Segment registers, in the order in which instructions encode them, then the two system registers. */
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, NR_SEGS };

/**
 * enum next - tells the run loop how to continue after a handler
 * @NEXT_ENTER: enter the guest again
 * @NEXT_USER: return 0 from KVM_RUN; vcpu->run describes the exit to user space
 * @NEXT_REFLECT: reflect the exit in vcpu->exit to L1
 * @NEXT_GO_ON: from a helper of a handler: the handler continues
 *
 * A handler may also return a negative errno, which KVM_RUN returns. No value
 * is 0, so that a forgotten return value is noticed.
 */
enum next {
	NEXT_ENTER = 1,
	NEXT_USER,
	NEXT_REFLECT,
	NEXT_GO_ON,
};

/* Tells other threads whether a vCPU needs an IPI to notice a request. */
enum vcpu_mode {
	VCPU_OUTSIDE,	/* outside the guest: it checks its requests before it enters */
	VCPU_IN_GUEST,	/* in the guest, or past the last check of its requests: it needs an IPI */
};

/* Bits of vcpu->requests. Any thread sets them; the vCPU does the work before it enters the guest again. */
enum vcpu_request {
	REQ_EVENT,		/* check for interrupts and other events again */
	REQ_EPT01_FLUSH,	/* EPT01 lost a mapping: INVEPT, and drop the copies of the mapping from EPT02 */
	REQ_EPT01_FLUSH_LOCAL,	/* the vCPU moved to another CPU, whose TLB may hold stale entries */
	REQ_TLB_FLUSH_GUEST,	/* drop the linear mappings of the current VPID */
	REQ_UNPIN,		/* the pages pinned for VMCS02 may have moved */
	REQ_DEAD,		/* the VM was killed: KVM_RUN fails with EIO */
	REQ_CPUID,		/* CPUID or capability MSRs changed: rebuild the state derived from them */
	REQ_MSR_FILTER,		/* the VM's MSR filter changed: rebuild the MSR bitmap */
	REQ_PORTS,		/* other ports are passed: see ports_take() */
	REQ_STEAL,		/* update the guest's record of the time that its vCPU waited for a CPU */
	REQ_CLOCK,		/* the time that the guest has from kvmclock is out of date */
	REQ_TIMER,		/* the local APIC timer or L1's preemption timer expired */
	REQ_PML,		/* copy vm->pml into the VMCSs; the exit alone flushes the page-modification log */
	REQ_RING_FULL,		/* the dirty ring may be too full to enter the guest */
	REQ_BLOCKING,		/* TF, BTF, or blocking by STI or MOV SS was set: see vmx_fit_blocking() */
	REQ_DEBUG,		/* ev.debug_dr6: report a trap to the debugger in user space */
	REQ_VISIT,		/* another thread looks at the vCPU: see run/visit.c */
	REQ_SPLIT_EOI,		/* the guest ended an interrupt of user space's I/O APIC: report it */
	REQ_BARRIER,		/* a WBINVD waits for this vCPU, or has come: see run/barrier.c */
	NR_REQUESTS
};

/*
 * struct vm - one virtual machine, behind a VM file descriptor
 *
 * Locking of the members whose comment begins with a letter:
 * L: read and written under @lock.
 * W: written under @lock, read without it.
 * I: set under @lock before the first vCPU exists, constant afterwards.
 */
struct vm {
	refcount_t users;		/* one for each open file of the VM, of its vCPUs and of statistics */
	u32 number;			/* I: of this VM, among all since the module was loaded */
	struct list_head all;		/* in the list of all VMs: see abi/dev_vm.c */
	atomic_t inspectors;		/* those of @users that only look: see abi/inspect.c */
	struct vm_stand stand;		/* see run/stand.c */
	struct vm_barrier barrier;	/* see run/barrier.c */
	struct pid *owner;		/* I: the process that created it */
	char owner_name[TASK_COMM_LEN];	/* I: its name then */
	struct mm_struct *mm;		/* the memory that the slots refer to; a reference by mmgrab() */
	struct mutex lock;		/* serializes vCPU and irqchip creation, slot and routing updates */
	struct srcu_struct srcu;	/* protects readers of slots, routing and the MSR filter */

	struct memslots __rcu *slots;	/* written under lock, read under srcu */
	struct memslots *slots_leaving;	/* the old array while a slot leaves it that EPT01 may still map; NULL otherwise */

	/* --- EPT01: see ept/ept.h --- */
	spinlock_t mmu_lock;		/* protects EPT01's tables, @ept01, and the members that begin with mmu_ */
	struct mmu_notifier mn;
	struct ept01 ept01;
	unsigned long mmu_seq;		/* number of finished invalidations of slots' memory */
	int mmu_invalidating;		/* number of invalidations in progress, of any memory of the process */
	unsigned long mmu_from, mmu_to;	/* the user addresses from the first to the last that these invalidate */

	struct vcpu *vcpus[DROSTE_MAX_VCPUS];	/* by index; W: each is set once, before nr_vcpus counts it */
	int nr_vcpus;			/* W: by a release store; readers outside the lock use an acquire load */

	struct irqchip irqchip;		/* see irqchip/irqchip.h */
	struct coalesced coalesced;	/* see io/coalesced.h */
	struct ioeventfds ioeventfds;	/* see io/ioeventfd.h */
	struct ports __rcu *ports;	/* NULL if none is passed; written under lock, read under srcu */
	atomic64_t io_changed;		/* changes of zones, ioeventfds and ports that are passed, and of the I/O APIC's address */

	gpa_t tss_addr;			/* L: KVM_SET_TSS_ADDR; unused, since unrestricted guests need no TSS */
	gpa_t identity_map_addr;	/* L: KVM_SET_IDENTITY_MAP_ADDR; unused for the same reason */
	bool dead;			/* set once by vm_kill(), never cleared */
	bool mn_registered;		/* @mn must be unregistered */
	u64 bsp_id;			/* I: vCPU ID of the boot processor, KVM_SET_BOOT_CPU_ID */
	struct pool *pool;		/* I: what its guests can have: see cpu/pool.h; NULL: all that the host has */
	struct vm_tsc tsc;
	u64 hide_bound;			/* I: tsc_hide.bound of its vCPUs, DROSTE_SET_PROFILE */
	s64 hide_extra;			/* I: tsc_hide.extra of its vCPUs */
	s64 clock_offset;		/* W: the VM's clock minus the host's, ns; KVM_SET_CLOCK */
	u64 wall_clock;			/* MSR_KVM_WALL_CLOCK, shared by all vCPUs; any of them writes it */
	struct msr_filter __rcu *msr_filter;	/* NULL if there is none; written under lock, read under srcu */
	u32 user_msr_reasons;		/* W: KVM_MSR_EXIT_REASON_* of KVM_CAP_X86_USER_SPACE_MSR */
	u8 manual_dirty_log;		/* L: flags of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 */
	bool logged;			/* W: some slot is logged */
	bool pml;			/* W: @logged, and the processor logs writes: see vmx/pml.c */
	u32 ring_bytes;			/* I: size of each vCPU's dirty ring; 0: the VM has no rings */
	u8 x2apic_api;			/* W: flags of KVM_CAP_X2APIC_API */
	u64 apic_bus_ns;		/* I: one cycle of the local APICs' timers before division, ns */
	u32 apic_hz;			/* I: their rate before division instead, DROSTE_SET_PROFILE; 0: @apic_bus_ns tells it */
	unsigned long max_shadow_pages;	/* KVM_SET_NR_MMU_PAGES: limit for all EPT02s; 0: none; lockless */
	struct vm_stats stats;
	int last_boosted;		/* index of the vCPU that vcpu_spins() has let run last; any vCPU's thread sets it */
	s64 halt_poll_ns;		/* W: the longest poll, KVM_CAP_HALT_POLL; -1: the module parameter decides */
	u32 max_vcpu_id;		/* L: vCPU IDs are below this, KVM_CAP_MAX_VCPU_ID; 0: DROSTE_MAX_VCPU_ID */
	bool huge_exec;			/* L: large leaves may be executable, KVM_CAP_VM_DISABLE_NX_HUGE_PAGES */
	u64 force_exits;		/* W: DROSTE_FORCE_* of DROSTE_FORCE_EXITS: see vmx/force.c */
	bool pause_in_guest;		/* L: new vCPUs execute PAUSE without exits, KVM_CAP_X86_DISABLE_EXITS */
	bool has_device;		/* the guest has, or had, a device's memory: see ept01_note_device(); never cleared */
	bool device_noted;		/* all entries of vCPUs in the guest have seen has_device; never cleared */
	bool has_vfio;			/* L: there is a device for VFIO: see abi/vfiodev.c */
	bool noncoherent;		/* DMA of some device passes the caches by; written under the lock of the device for VFIO */
	u64 disabled_quirks;		/* W: KVM_X86_QUIRK_* of KVM_CAP_DISABLE_QUIRKS2 */
	bool hide_platform_info;	/* W: guests cannot read MSR_PLATFORM_INFO, KVM_CAP_MSR_PLATFORM_INFO */
	bool exit_on_emul_failure;	/* W: KVM_CAP_EXIT_ON_EMULATION_FAILURE is enabled */
	bool hlt_in_guest;		/* W: KVM_CAP_X86_DISABLE_EXITS named HLT: hide KVM_FEATURE_PV_UNHALT */
	bool vmmcall_seen;		/* some vCPU executed VMMCALL, see pv/pv.c; any vCPU's thread sets it */
	bool exception_payload;		/* W: KVM_CAP_EXCEPTION_PAYLOAD is enabled */
	bool triple_fault_event;	/* W: KVM_CAP_X86_TRIPLE_FAULT_EVENT is enabled */
};

/* An event to inject at VM entry: new, or again after an exit interrupted its delivery (SDM 3C 26.8.3). */
struct event {
	bool valid;
	u8 vector;
	bool again;		/* it was injected before, but not delivered; for tracing only */
	u32 type;		/* INTR_TYPE_*, at its place in an interruption-information field (bits 10:8) */
	bool has_error;
	u32 error_code;
	u32 ilen;		/* instruction length; software events only */
	bool has_payload;	/* exceptions only: @payload is loaded on delivery */
	u64 payload;		/* CR2 of #PF, DR6 bits of #DB */
};

/* Events of one vCPU, in L1 or L2. Owner: the vCPU's thread. */
struct vcpu_events {
	struct event exception;		/* raised by L0's emulation; not injected yet */
	struct event injected;		/* the next entry injects it; or an exit interrupted its delivery: inject again */
	unsigned int nmi_pending;	/* 0 to 2: one NMI may wait while another is handled */
	atomic_t nmi_queued;		/* NMIs sent by other threads, not moved to nmi_pending yet */
	bool mc_pending;		/* a machine check of user space, which the next instruction boundary takes: see event_mc_ready() */
	bool triple_fault;		/* a shutdown must be reported */
	u64 debug_dr6;			/* DR6 bits of a trap that the debugger in user space is to see; 0: none */
};

/*
 * struct vcpu - one virtual processor, behind a vCPU file descriptor
 *
 * The thread that holds @mutex owns every member whose comment does not say
 * otherwise. "The current VMCS" is @vmcs01 in L1 and VMCS02 in L2.
 */
struct vcpu {
	/* --- hot: used by enter.S and on every exit --- */
	u64 regs[NR_GPRS];		/* general registers, first for enter.S; RSP is valid if reg_avail says so */
	u64 rip;			/* valid if reg_avail says so */
	u64 rflags;			/* valid if reg_avail says so */
	u64 cr2;			/* the guest's; swapped with the host's around each entry */
	u32 reg_avail;			/* REG_* bits: the cached value is valid */
	u32 reg_dirty;			/* REG_* bits: the cached value must be written to the VMCS */
	struct loaded_vmcs *vmcs;	/* the current VMCS of this vCPU */
	struct vmx_exit exit;		/* the last exit, read once from the VMCS */
	bool in_l2;			/* L2 runs: the current VMCS is VMCS02 */
	int cpu;			/* the CPU on which the VMCS is current, -1: none; preemption changes it */
	enum vcpu_mode mode;		/* written by the vCPU, read by vcpu_kick(); ordered with @requests */
	bool l1d_due;			/* flush the L1 data cache before the next entry: see vmx/l1d.c */
	unsigned long qs_tick;		/* the tick when the vCPU last reported a quiescent state to RCU: see vmx/guestmode.c */
	unsigned long requests;		/* enum vcpu_request; atomic bits, any thread sets them */
	struct vcpu_events ev;

	struct loaded_vmcs vmcs01;
	struct vmx_controls ctl01;	/* controls of @vmcs01, from which VMCS02's are merged: see vmx_write_ctl01() */
	bool umip_exits[2];		/* descriptor-table exiting emulates CR4.UMIP: of L1, of L2 */
	bool ctl01_stale;		/* @ctl01 changed while L2 ran; @vmcs01 does not have the change yet */
	unsigned long *msr_bitmap01;	/* one page; only msr_update_bitmap() changes it */
	const struct ports *ports;	/* which entries pass; may be gone while REQ_PORTS is set: see ports_take() */
	hpa_t io_bitmaps01;		/* of @vmcs01, if @ctl01 has them: see vmx_write_ctl01() */
	bool ports_held;		/* pass no ports until the next I/O exit: see ports_hold() */
	u16 vpid01;			/* 0: VPIDs are not used */
	u64 *pml;			/* page-modification log, one page; NULL: the processor has none */
	struct dirty_ring ring;		/* see mem/dirty.h */
	struct nested nested;		/* see nested/nested.h */

	/* --- identity --- */
	struct vm *vm;
	int id;				/* as given to KVM_CREATE_VCPU; also the initial APIC ID */
	int index;			/* in vm->vcpus */
	u64 serial;			/* a number that no other vCPU has or had */
	cpumask_var_t cached_on;	/* the CPUs whose caches may have what the guest wrote since its last WBINVD */
	struct mutex mutex;		/* serializes the vCPU's ioctls */
	struct vcpu_visits visits;	/* see run/visit.c */
	u64 stands;			/* vm->stand.turn in which it stands at an exit; 0: it does not */
	u64 barrier_met;		/* the last barrier that it has met; read by the leader */
	bool barrier_due;		/* it leads a barrier that is to end KVM_RUN; written under vm->barrier.lock */
	u8 barrier_level;		/* the level whose WBINVD the last barrier was that it led */
	struct kvm_run *run;		/* shared with user space, which may write at any time: read members once */
	void *pio_data;			/* the page after @run: data of port I/O exits */

	/* --- registers that are not in the VMCS, or that the guest sees changed --- */
	u64 apic_base;			/* IA32_APIC_BASE */
	u64 efer;			/* as the guest reads it; mirrored in the VMCS */
	u64 cr0_cd;			/* CR0.CD and CR0.NW of the running level: VM entry and exit keep them */
	u64 xcr0;
	u64 xss;
	u32 pkru, host_pkru;		/* the guest's PKRU; the host's at the last entry */
	bool pkru_used;			/* the guest has enabled CR4.PKE or PKRU in XCR0: PKRU is switched */
	u64 dr[4];			/* DR0..DR3 */
	u64 dr6;
	u64 dr7;			/* as the guest reads it */
	u64 debugctl;			/* IA32_DEBUGCTL of the running level: see vcpu_set_debugctl() */
	u64 pat;
	const struct msr_row *msr_row;	/* the row of the MSR table that was used last; NULL: none */
	u64 misc_enable;		/* IA32_MISC_ENABLE */
	u64 spec_ctrl;			/* IA32_SPEC_CTRL: vmx_enter() loads it */
	bool spec_ctrl_passed;		/* the guest has used IA32_SPEC_CTRL: it accesses the MSR without exits */
	struct vcpu_tsc tsc;
	struct vmx_timer timer;
	u64 tsc_adjust;			/* IA32_TSC_ADJUST */
	u64 feature_control;		/* IA32_FEATURE_CONTROL */
	u64 uret_msr[NR_URET_MSRS];	/* the guest's syscall MSRs and KERNEL_GS_BASE: see vmx/hoststate.c */
	u32 uret_passed;		/* BIT()s of those that the guest accesses without exits, besides KERNEL_GS_BASE */
	bool syscall_used;		/* the guest has tried SYSCALL, set its MSRs, or entered VMX operation: see vmx_use_syscall() */
	struct msr_misc *misc;		/* rarely used MSRs (MTRRs, MCE, ...): see cpu/msr.c */
	struct fpu_guest guest_fpu;	/* see cpu/fpu.c */
	u32 mp_state;			/* KVM_MP_STATE_*; the local APIC receives INIT and SIPI */
	u32 guest_debug;		/* control word of KVM_SET_GUEST_DEBUG */
	u64 guest_debug_dr[8];		/* debug registers of KVM_SET_GUEST_DEBUG */
	s16 user_irq;			/* vector of KVM_INTERRUPT, -1: none; used if user space has the PIC */
	u8 eoi_vector;			/* the interrupt that REQ_SPLIT_EOI is about */
	u8 cr8;				/* used without a local APIC */
	bool wants_irq_window;		/* kvm_run.request_interrupt_window of this run */
	bool want_immediate_exit;	/* the next entry must be followed by an exit at once */
	bool quiet;			/* events_prepare() has found no event pending */
	bool calm;			/* none can be pending since, except by a request: see vcpu_stay_calm() */
	bool list_is_long;		/* the last list of operations began with one that is not for the short loop: see multicall_short() */

	struct kvmclock clock;
	struct steal_time steal;
	struct pv_eoi pv_eoi;
	bool enforce_pv;		/* KVM_CAP_ENFORCE_PV_FEATURE_CPUID is enabled */

	struct vlapic *lapic;		/* NULL if user space has the local APICs */

	/* --- CPUID --- */
	struct kvm_cpuid_entry2 *cpuid;	/* as user space set it, in its order */
	int nr_cpuid;
	struct cpuid_cached cpuid_cache[CPUID_CACHE];	/* by leaf and sub-leaf; emptied when @cpuid changes */
	bool has_run;			/* the guest has run: CPUID and feature MSRs can no longer change */
	struct guest_caps gcaps;	/* derived from @cpuid: allowed bits of CR4, EFER and XCR0, MAXPHYADDR */
	struct tsc_hide hide;		/* see vmx/hide.c */

	/* --- exits to user space --- */
	int (*complete)(struct vcpu *vcpu);	/* called by the next KVM_RUN; returns enum next */
	bool complete_plainly;			/* unless @altered, @complete needs neither vm->srcu nor guest memory */
	bool altered;				/* an ioctl had the vCPU since @complete was set, and may have changed it */
	u64 resume_rip;				/* @altered: the linear RIP before, of the exit that @complete finishes */
	struct emul_state *emul;		/* state of the emulator between two runs: see io/emulate.h */
	struct list_hint list_hint;		/* of lists of operations */
	struct slot_hint slot_hint;		/* of accesses to MMIO: see memslot_near() */
	struct io_absent io_absent;		/* see io/bus.h */
	struct io_port_use io_port_uses[IO_PORT_USES];	/* see emul_pio_short(); by port, size and direction */
	struct io_bound io_bound[IO_BOUND];	/* see io/quick.c; by address */
	struct page_walk code_walk;		/* the last one of walk_fetch() without EPT12 */
	struct page_walk code_walk2;		/* the last one of walk_fetch() through EPT12 */
	struct page_walk data_walk;		/* the last one of walk_read() */
	struct page_walk store_walk;		/* the last one of walk_write() */
	struct page_walk device_walk;		/* the last one of walk_device() */
	sigset_t sigmask;			/* KVM_SET_SIGNAL_MASK */
	bool has_sigmask;

	/* --- blocking --- */
	struct swait_queue_head wq;		/* for sleep in HLT and wait-for-SIPI; vcpu_kick() wakes */
	struct pid __rcu *pid;			/* the thread that called KVM_RUN last; written under mutex */
	u64 halt_window;			/* how long to poll for an event before sleeping, ns: see run/halt.c */
	bool preempted;				/* the thread was preempted while it was runnable; read by any thread */
	bool preempted_in_kernel;		/* @preempted: the running level was at CPL 0 then */
	bool ready;				/* the thread was preempted or woken, and waits for a CPU since; any thread sets it */
	bool pv_unhalted;			/* KVM_HC_KICK_CPU: ends this HLT of L1 or its next; any thread sets it */
	bool spinning;				/* in vcpu_spins(), where the thread gives up its CPU; read by any thread */
	bool boost_spinner;			/* @spinning: the next other vCPU that spins may let it run; any thread toggles it */
	struct preempt_notifier pn;		/* registered between vcpu_load() and vcpu_put() */

	struct host_state host;			/* the host's state to restore: see vmx/hoststate.c */
	/* MSRs that VM entries and VM exits load: see vmx/perf.c. The processor wants lists aligned to 16 bytes. */
	struct vmx_msr_entry perf_guest[PERF_MSRS] __aligned(16), perf_host[PERF_MSRS] __aligned(16);
	u64 long_exits;				/* exits to L0 that did not go the short way of run/loop.c */
	u64 noted_short;			/* stats.short_exits at the last of these: others have come since if that differs */
	bool noted_l2;				/* the last of these came from L2 */
	u64 exits[NR_EXIT_REASONS];		/* exits to L0, by basic reason */
	u64 exits_l2[NR_EXIT_REASONS];		/* those of @exits that came from L2 */
	u64 exits_shown[NR_EXIT_REASONS];	/* that L1 was shown, by the reason that it was shown, those that L0 made up included */
	u64 exits_reflected[NR_EXIT_REASONS];	/* those of @exits_l2 that L1 was shown, maybe with another reason */
	struct vcpu_stats stats;
};

/* Returns true if @gpa is below the guest's physical-address width. */
static inline bool gpa_legal(const struct vcpu *vcpu, u64 gpa)
{
	return !(gpa >> vcpu->gcaps.maxphyaddr);
}

#endif
