// SPDX-License-Identifier: GPL-2.0
/*
 * The short way between L1 and L2: an L2 that exits because of an instruction,
 * and an L1 that resumes it after changing only what most exits change.
 *
 * All that L1's VM entry depends on, except L2's general state, is the same at
 * nearly every entry. again_learn() finds out at the end of a whole entry
 * that it is of the usual kind, and notes the values that only software holds.
 * From then on, until nested_changed(), nested_again_resume() copies what L1 has
 * written to the shadow VMCS, and nested_again_reflect() what L2's exit tells.
 * Both give up, without having changed anything, if they find something unusual.
 * The general path then handles the exit.
 *
 * What a repeated entry relies on, and how it is noticed that it has changed:
 *
 * - VMCS12's fields: VMWRITEs that exit, and the fetch from the shadow, mark them
 *   in vmcs12_dirty. Anything but L2's general state leads to the general path.
 * - L1's and L2's EFER, PAT, DR7, CR0.CD, IA32_DEBUGCTL, and the TSC offset:
 *   nested_again_ready() compares them before each stay in the guest.
 * - the paging modes: vmx_write_cr0(), vmx_write_cr4() and vmx_write_efer() call
 *   nested_changed(), for L1 and for L2.
 * - L1's and L0's controls: vmx_write_ctl01() calls nested_changed().
 * - pinned pages: nested_unpin() does. EPT02's root is compared.
 * - L1's current VMCS, and VMX operation: whoever changes them calls it.
 * - user space: it can act only after vcpu_put(), which calls it.
 * - the CPU, the host's CR3, CR4 and segments: nested_again_ready() compares the
 *   three VMCSs before each stay in the guest.
 *
 * L1's MSR bitmap is read at each entry, since L1 may write to it at any time. So are L1's I/O bitmaps, as far as L0 passes
 * ports.
 */
#include <linux/moduleparam.h>
#include <asm/nospec-branch.h>
#include "droste.h"
#include "ept/ept.h"
#include "nested/bitmaps.h"
#include "nested/hostload.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/ptimer.h"
#include "nested/route.h"
#include "nested/seldom.h"
#include "nested/shadow.h"
#include "nested/vmcs02.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* The parts of VMCS12 that may differ at a repeated entry. */
#define DIRTY12_USUAL		(DIRTY12_HOT | DIRTY12_EVENT)

static bool paranoid;
module_param(paranoid, bool, 0644);
MODULE_PARM_DESC(paranoid, "Check each short way between L1 and L2 against the general one");

/**
 * again_is_paranoid() - whether the short ways are to be checked
 *
 * Context: Any.
 * Return: the module parameter paranoid.
 */
bool again_is_paranoid(void)
{
	return READ_ONCE(paranoid);
}

/* --- what makes an entry repeatable --- */

/* Lists of MSRs, a shadow VMCS for L2, an inactive L2 and 32-bit levels are rare. */
static bool again_entry_is_usual(const struct vcpu *vcpu, const struct vmcs12 *v)
{
	return !v->vm_entry_msr_load_count && !v->vm_exit_msr_store_count && !v->vm_exit_msr_load_count &&
	       v->vmcs_link_pointer == ~0ULL && v->guest_activity_state == GUEST_ACTIVITY_ACTIVE &&
	       (v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE) && (vcpu->nested.l1_efer & EFER_LMA) &&
	       (v->vm_entry_controls & VM_ENTRY_LOAD_DEBUG_CONTROLS) &&
	       !(v->vm_entry_controls & VM_ENTRY_IA32E_MODE) == !(vcpu->efer & EFER_LMA) &&
	       ((vcpu->efer & EFER_LMA) || !(v->guest_cr0 & X86_CR0_PG) || !(v->guest_cr4 & X86_CR4_PAE));
}

/* Entries and exits need not invalidate mappings, and L2 runs on the tables that VMCS12 names. */
static bool again_memory_is_usual(const struct nested *n, const struct vmcs12 *v, u32 proc2)
{
	if (!n->vpid02 || !(proc2 & SECONDARY_EXEC_ENABLE_VPID) || n->last_vpid12 != v->virtual_processor_id)
		return false;
	if (!(proc2 & SECONDARY_EXEC_ENABLE_EPT))
		return !(proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) && !n->ept02.flat;
	return n->ept02.cur && n->ept02.cur->eptp12 == v->ept_pointer && n->ept02.cur->eptp == n->held.eptp;
}

/* All pages are pinned, and no check at the entry reads them. */
static bool again_pages_are_usual(const struct nested *n, const struct vmcs12 *v, u32 proc2)
{
	if ((n->ctl02.proc & CPU_BASED_USE_MSR_BITMAPS) && !n->msr_bitmap12.page)
		return false;
	if ((v->pin_based_vm_exec_control & PIN_BASED_POSTED_INTR) && !n->posted_desc.page)
		return false;
	if ((proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) && !n->apic_access.page)
		return false;
	if (!(n->ctl02.proc & CPU_BASED_TPR_SHADOW))
		return true;
	/* A threshold that is not 0 may be compared with the page at each entry: see tpr_fit_threshold(). */
	return n->virtual_apic.page && n->tpr_threshold02 == v->tpr_threshold &&
	       (!v->tpr_threshold ||
		(proc2 & (SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)));
}

/*
 * L2 has the values that an entry loads, and those that an exit saves in VMCS12 are the same. User space may have set others
 * since L1 has entered L2.
 */
static bool again_loads_the_same(const struct vcpu *vcpu, const struct vmcs12 *v)
{
	const struct nested *n = &vcpu->nested;
	u32 exit = v->vm_exit_controls;

	return v->guest_dr7 == vcpu->dr7 && !v->guest_ia32_debugctl &&
	       vcpu->pat == (v->vm_entry_controls & VM_ENTRY_LOAD_IA32_PAT ? v->guest_ia32_pat : n->l1_pat) &&
	       vcpu->efer == merge_entry_efer(v, n->l1_efer) &&
	       (!(exit & VM_EXIT_SAVE_IA32_PAT) || v->guest_ia32_pat == vcpu->pat) &&
	       (!(exit & VM_EXIT_SAVE_IA32_EFER) || v->guest_ia32_efer == vcpu->efer);
}

/*
 * Note what each exit loads into VMCS01: see hostload_again(). An L1 whose CR4 had other effects
 * would need vmx_note_cr4(). Returns false if this one's has.
 */
static bool again_note_host(struct vcpu *vcpu, const struct vmcs12 *v)
{
	struct again *a = &vcpu->nested.again;

	a->host_cr0 = vmx_hw_cr0(vmx_keep_cd(vcpu, v->host_cr0));
	a->host_cr4 = vmx_hw_cr4(merge_exit_cr4(v));
	a->l0_mce = vcpu->vmcs->host_cr4 & X86_CR4_MCE;
	a->host_ss_ar = hostload_data_ar(v->host_ss_selector);
	a->host_data = v->host_ds_selector | v->host_es_selector | v->host_fs_selector | v->host_gs_selector;
	if (vmx_features.umip_emulated && vcpu->umip_exits[0] != !!(v->host_cr4 & X86_CR4_UMIP))
		return false;
	/* PKRU is switched outside the short loop. */
	return !(v->host_cr4 & X86_CR4_PKE) || vcpu->pkru_used;
}

/* Note which of the fields that L1 writes to the shadow VMCS an entry depends on, besides those that all entries do. */
static void again_note_fields(struct nested *n, const struct vmcs12 *v)
{
	struct again *a = &n->again;
	bool vid = merge_proc2_of(v) & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;

	a->fetches_timer = v->pin_based_vm_exec_control & PIN_BASED_VMX_PREEMPTION_TIMER;
	a->fetches_vid = vid;
	a->fetches_threshold = (v->cpu_based_vm_exec_control & CPU_BASED_TPR_SHADOW) && !vid;
	a->root = merge_proc2_of(v) & SECONDARY_EXEC_ENABLE_EPT ? n->ept02.cur : NULL;
}

/* Note the values that the members of struct vcpu get at each exit and entry. Returns false if one is unusual. */
static bool again_note_values(struct vcpu *vcpu, const struct vmcs12 *v)
{
	struct nested *n = &vcpu->nested;
	struct again *a = &n->again;
	u64 owned0 = vmx_cr0_guest_owned(vcpu), owned4 = vmx_cr4_guest_owned(vcpu);

	a->l1_efer = merge_exit_efer(v, vcpu->efer);
	a->l1_pat = v->vm_exit_controls & VM_EXIT_LOAD_IA32_PAT ? v->host_ia32_pat : vcpu->pat;
	a->l2_efer = vcpu->efer;
	a->l2_pat = vcpu->pat;
	a->l2_dr7 = vcpu->dr7;
	a->cr0_cd = vcpu->cr0_cd;
	a->tsc_offset = vcpu->tsc.offset;
	a->tsc_ratio = vcpu->tsc.ratio;
	a->cr0_hw = owned0 & ~v->cr0_guest_host_mask;
	a->cr0_shadow = ~owned0 & ~v->cr0_guest_host_mask;
	a->cr4_hw = owned4 & ~v->cr4_guest_host_mask;
	a->cr4_shadow = ~owned4 & ~v->cr4_guest_host_mask;
	a->cr4_seen = CR_UNSEEN;
	/* VMCS02 holds these while L2 runs and no debugger does. */
	n->held.dr7 = vcpu->dr7;
	n->held.pat = vcpu->pat;
	n->held.efer = vcpu->efer;
	n->held.cr0_cd = vcpu->cr0_cd;
	return a->l1_efer == n->l1_efer && a->l1_pat == n->l1_pat && n->l1_dr7 == DR7_FIXED &&
	       !(vcpu->dr7 & DR7_ACTIVE) && vcpu->vmcs01.dr7 == DR7_FIXED && n->vmcs02.dr7 == vcpu->dr7 &&
	       !vcpu->debugctl && !vcpu->vmcs01.debugctl && !n->vmcs02.debugctl;
}

/*
 * Find out whether L1's next entries can be repetitions of the one that is about
 * to happen. VMCS12 has L2's state only until L2 runs. All of VMCS02 is up to
 * date, and no event is pending.
 */
static void again_learn(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	u32 proc2;

	if (likely(n->again.on) || !n->entry_pending || !n->shadow_on || !n->held.valid ||
	    (n->vmcs12_dirty & ~(u32)DIRTY12_USUAL) || !nested_has_vnmi(n) || n->nmi_soft || n->pdptes_due ||
	    n->tpr_retry || vcpu->ctl01_stale)
		return;
	proc2 = merge_proc2_of(v);
	again_note_fields(n, v);
	n->again.on = again_entry_is_usual(vcpu, v) && again_memory_is_usual(n, v, proc2) &&
		      again_pages_are_usual(n, v, proc2) && again_loads_the_same(vcpu, v) &&
		      again_note_values(vcpu, v) && again_note_host(vcpu, v);
}

/* Whether two VMCSs of the vCPU can take turns on this CPU without a look at their host state and controls. */
static bool again_same_host(const struct loaded_vmcs *a, const struct loaded_vmcs *b)
{
	return a->cpu == b->cpu && a->host_cr3 == b->host_cr3 && a->host_cr4 == b->host_cr4 &&
	       a->host_seq == b->host_seq && !(a->perf_msrs | b->perf_msrs) && !(a->windows | b->windows) &&
	       a->launched && b->launched;
}

/* Whether L2's values are those that VMCS12 and VMCS02 have had since the entry was learned. */
static bool again_l2_is_same(const struct vcpu *vcpu, const struct again *a)
{
	return vcpu->efer == a->l2_efer && vcpu->pat == a->l2_pat && vcpu->dr7 == a->l2_dr7 && !vcpu->debugctl &&
	       vcpu->cr0_cd == a->cr0_cd;
}

/* Whether L1's values are those that it had at the learned entry, and will have again after the next exit. */
static bool again_l1_is_same(const struct vcpu *vcpu, const struct again *a)
{
	return vcpu->efer == a->l1_efer && vcpu->pat == a->l1_pat && vcpu->dr7 == DR7_FIXED && !vcpu->debugctl &&
	       vcpu->cr0_cd == a->cr0_cd && vcpu->tsc.offset == a->tsc_offset && vcpu->tsc.ratio == a->tsc_ratio;
}

/*
 * Whether the level that is about to run has the values of the learned entry. During a stay
 * in the guest, only the short way changes them, so it need not compare them.
 */
static bool again_values_are_same(const struct vcpu *vcpu)
{
	const struct nested *n = &vcpu->nested;

	return (vcpu->in_l2 ? again_l2_is_same(vcpu, &n->again) : again_l1_is_same(vcpu, &n->again)) &&
	       n->again.l0_mce == (vcpu->vmcs->host_cr4 & X86_CR4_MCE) && !n->nmi_soft && !n->mtf_pending &&
	       !n->timer_restored;
}

/**
 * nested_again_ready() - allow or forbid the short way for one stay in the guest
 * @vcpu: about to enter; the host state of the current VMCS is up to date, and no event is pending
 *
 * Context: Interrupts disabled. vcpu->vmcs is current.
 */
void nested_again_ready(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (vcpu->in_l2)
		again_learn(vcpu);
	n->again.ready = n->again.on && n->shadow.cpu == vcpu->vmcs->cpu &&
			 again_same_host(&vcpu->vmcs01, &n->vmcs02) && again_values_are_same(vcpu) &&
			 !((vcpu->ctl01.proc2 | n->ctl02.proc2) & SECONDARY_EXEC_ENABLE_PML);
}

/* --- from L2 to L1 --- */

/* Exit information that each reason defines. */
#define EXIT(nr, name, handler, needs)	[nr] = (needs),
static const u8 again_tells[NR_EXIT_REASONS] = {
#include "vmx/exits.def"
};
#undef EXIT

/* Whether the routing of an exit may read L1's memory that is not pinned, or more of L2's state. */
static bool again_routing_is_rare(const struct vcpu *vcpu, u16 basic)
{
	const struct nested *n = &vcpu->nested;

	switch (basic) {
	case EXIT_REASON_IO_INSTRUCTION:
		return (n->vmcs12->cpu_based_vm_exec_control & CPU_BASED_USE_IO_BITMAPS) &&
		       !(n->io_bitmap12[0].page && n->io_bitmap12[1].page);
	case EXIT_REASON_PAUSE_INSTRUCTION:
		/* Otherwise it is of a PAUSE loop, and another vCPU may have to run. */
		return !(n->vmcs12->cpu_based_vm_exec_control & CPU_BASED_PAUSE_EXITING);
	case EXIT_REASON_WBINVD:
		/* A barrier waits, which the short way cannot. */
		return vm_wants_barriers(vcpu->vm);
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMWRITE:
	case EXIT_REASON_GDTR_IDTR:
	case EXIT_REASON_LDTR_TR:
		return true;
	default:
		return false;
	}
}

/* An EPT violation concerns L1 if its tables are the cause. */
static noinline bool again_ept_is_l1s(struct vcpu *vcpu)
{
	if (!nested_again_ept(vcpu))
		return false;
	if (unlikely(paranoid))
		paranoid_ept(vcpu);
	return true;
}

/* Most accesses to control registers are MOVs to CR0 and CR4. */
static __always_inline bool again_cr_access_is_l1s(struct vcpu *vcpu)
{
	if (unlikely(!again_cr_is_l1s(vcpu)))
		return false;
	if (unlikely(paranoid))
		paranoid_route(vcpu);
	return true;
}

/* RDMSR and WRMSR: decides as nested_route() does, unless L0 must handle them, or L1's bitmap is not pinned. */
static __always_inline bool again_msr_is_l1s(struct vcpu *vcpu)
{
	const struct nested *n = &vcpu->nested;
	struct vmx_exit *e = &vcpu->exit;
	struct route_bit b;

	if (likely(n->vmcs12->cpu_based_vm_exec_control & CPU_BASED_USE_MSR_BITMAPS)) {
		if (unlikely(!n->msr_bitmap12.page))
			return false;
		b = route_msr_bit(vcpu->regs[RCX], e->reason == EXIT_REASON_MSR_WRITE);
		if (unlikely(b.mask && !(READ_ONCE(((const u8 *)n->msr_bitmap12.hva)[b.byte]) & b.mask)))
			return false;
	}
	e->ilen = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	if (unlikely(paranoid))
		paranoid_route(vcpu);
	return true;
}

/* Whether L1 gets the exit, and it can go the short way. Fills vcpu->exit with all that the reason defines. */
static __always_inline bool again_exit_is_l1s(struct vcpu *vcpu)
{
	struct vmx_exit *e = &vcpu->exit;
	bool wants;

	if (likely(e->reason == EXIT_REASON_CPUID)) {
		e->ilen = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
		return true;
	}
	if (e->reason == EXIT_REASON_PREEMPTION_TIMER)
		return nested_again_deadline(vcpu);
	if (e->reason == EXIT_REASON_MSR_WRITE || e->reason == EXIT_REASON_MSR_READ)
		return again_msr_is_l1s(vcpu);
	if (e->reason == EXIT_REASON_EPT_VIOLATION)
		return again_ept_is_l1s(vcpu);
	if (e->reason == EXIT_REASON_CR_ACCESS && again_cr_access_is_l1s(vcpu))
		return true;
	if (unlikely(e->reason >= NR_EXIT_REASONS) || !(again_tells[e->reason] & EXIT_NO_EVENT))
		return false;
	if (again_routing_is_rare(vcpu, e->basic))
		return false;
	vmx_snapshot_exit(vcpu);
	wants = nested_route(vcpu).to == ROUTE_L1;
	vcpu->reg_avail = 0;
	return wants;
}

static noinline void again_fill_state(struct nested *n)
{
	shadow_fill_exit(n, false, true);
}

static noinline void again_fill_info(struct nested *n)
{
	shadow_fill_exit(n, true, false);
}

/* What the shadow VMCS lacks of an exit, besides RIP, RSP, RFLAGS, the exit reason and the length of the instruction. */
struct again_news {
	u64 state;		/* not 0: the rights of L2's CS and SS, or its interrupt status */
	u64 rare_state;		/* not 0: other state of L2 */
	u64 info;		/* not 0: the exit qualification, or the interruption information */
	u64 rare_info;		/* not 0: other exit information, or L1's event injection */
};

/* SDM 3C 28.2, for an exit that an instruction or a deadline causes; see reflect.c. */
static __always_inline void again_write_exit_info(struct vmcs12 *v, const struct vmcs12 *held, const struct vmx_exit *e,
						  struct again_news *news)
{
	u8 t = again_tells[e->basic];

	v->vm_exit_reason = e->reason;
	v->vm_exit_instruction_len = e->ilen;
	/* The entry may have been a VMLAUNCH. */
	v->launch_state = VMCS12_LAUNCHED;
	/* Most instructions tell no more. VMCS12's fields are 0 if those of the shadow VMCS are. */
	news->info = held->exit_qualification | held->vmx_instruction_info | held->vm_exit_intr_info |
		     held->idt_vectoring_info_field | (v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK);
	news->rare_info = 0;
	if (likely(t == EXIT_INSN && !news->info))
		return;
	v->exit_qualification = t & EXIT_QUAL ? e->qual : 0;
	v->vmx_instruction_info = t & EXIT_IINFO ? e->iinfo : 0;
	if (t & EXIT_GLA)
		v->guest_linear_address = e->gla;
	if (t & EXIT_GPA)
		v->guest_physical_address = e->gpa;
	v->vm_exit_intr_info = e->basic == EXIT_REASON_EXTERNAL_INTERRUPT ? e->intr_info : 0;
	v->idt_vectoring_info_field = 0;
	v->vm_entry_intr_info_field &= ~INTR_INFO_VALID_MASK;
	/* An exit often repeats the last one, unless it tells an address. Interrupts take turns with instructions. */
	news->info = (v->exit_qualification ^ held->exit_qualification) | (v->vm_exit_intr_info ^ held->vm_exit_intr_info);
	news->rare_info = (t & EXIT_GPA) | (v->vmx_instruction_info ^ held->vmx_instruction_info) |
			  (v->guest_linear_address ^ held->guest_linear_address) | held->idt_vectoring_info_field |
			  (v->vm_entry_intr_info_field ^ held->vm_entry_intr_info_field);
}

static u64 again_save_cr(u64 hw, u64 shadow, u64 mask12, u64 guest12, u64 field, u32 shadow_field)
{
	u64 cr = (guest12 & mask12) | (field & hw);

	if (unlikely(shadow))
		cr |= vmcs_read(shadow_field) & shadow;
	return cr;
}

/* L2 has changed bits of CR0 or CR4 that it owns. VMCS02 is current, and has the values given. */
static noinline void again_save_crs(struct vcpu *vcpu, u64 cr0, u64 cr4)
{
	struct again *a = &vcpu->nested.again;
	struct vmcs12 *v = vcpu->nested.vmcs12;

	v->guest_cr0 = vmx_keep_cd(vcpu, again_save_cr(a->cr0_hw, a->cr0_shadow, v->cr0_guest_host_mask, v->guest_cr0,
						       cr0, CR0_READ_SHADOW));
	v->guest_cr4 = again_save_cr(a->cr4_hw, a->cr4_shadow, v->cr4_guest_host_mask, v->guest_cr4,
				     cr4, CR4_READ_SHADOW);
	a->cr0_seen = cr0;
	a->cr4_seen = cr4;
}

/*
 * Save L2's general state in VMCS12 (SDM 3C 28.3), as vmcs02_save() does. VMCS02 is current. CR0 and CR4 are the same
 * if VMCS02 has the values that it had when VMCS12 got them.
 */
static __always_inline void again_save(struct vcpu *vcpu, struct nested *n, struct vmcs12 *v, const struct vmcs12 *held,
				       struct again_news *news)
{
	struct again *a = &n->again;
	u64 cr0 = vmcs_read(GUEST_CR0), cr4 = vmcs_read(GUEST_CR4), crs = (cr0 ^ a->cr0_seen) | (cr4 ^ a->cr4_seen);

	if (unlikely(crs))
		again_save_crs(vcpu, cr0, cr4);
	v->guest_rip = vmcs_read(GUEST_RIP);
	v->guest_rsp = n->held.rsp = vmcs_read(GUEST_RSP);
	v->guest_rflags = n->held.rflags = vmcs_read(GUEST_RFLAGS);
	v->guest_cr3 = vmcs_read(GUEST_CR3);
	v->guest_interruptibility_info = n->held.interruptibility = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
	v->guest_cs_ar_bytes = vmcs_read(GUEST_CS_AR_BYTES);
	v->guest_ss_ar_bytes = vmcs_read(GUEST_SS_AR_BYTES);
	news->rare_state = crs | (v->guest_cr3 ^ held->guest_cr3) |
			   (v->guest_interruptibility_info ^ held->guest_interruptibility_info);
	news->state = (v->guest_cs_ar_bytes ^ held->guest_cs_ar_bytes) | (v->guest_ss_ar_bytes ^ held->guest_ss_ar_bytes);
	if (a->fetches_vid) {
		v->guest_intr_status = n->held.intr_status = vmcs_read(GUEST_INTR_STATUS);
		news->state |= v->guest_intr_status ^ held->guest_intr_status;
	}
	n->vmcs02_stale = true;
}

/* Bring the shadow VMCS, which is current, up to date, as shadow_fill_exit() does. */
static __always_inline void again_fill(struct nested *n, const struct vmcs12 *v, struct vmcs12 *held,
				       const struct again_news *news)
{
	held->guest_rip = v->guest_rip;
	vmcs_write(GUEST_RIP, v->guest_rip);
	SHADOW_FILL(v, held, GUEST_RSP, guest_rsp);
	SHADOW_FILL(v, held, GUEST_RFLAGS, guest_rflags);
	SHADOW_FILL(v, held, VM_EXIT_REASON, vm_exit_reason);
	SHADOW_FILL(v, held, VM_EXIT_INSTRUCTION_LEN, vm_exit_instruction_len);
	if (unlikely(news->state)) {
		SHADOW_FILL(v, held, GUEST_CS_AR_BYTES, guest_cs_ar_bytes);
		SHADOW_FILL(v, held, GUEST_SS_AR_BYTES, guest_ss_ar_bytes);
		if (n->again.fetches_vid)
			SHADOW_FILL(v, held, GUEST_INTR_STATUS, guest_intr_status);
	}
	if (unlikely(news->info)) {
		SHADOW_FILL(v, held, EXIT_QUALIFICATION, exit_qualification);
		SHADOW_FILL(v, held, VM_EXIT_INTR_INFO, vm_exit_intr_info);
	}
	if (unlikely(news->rare_state))
		again_fill_state(n);
	if (unlikely(news->rare_info))
		again_fill_info(n);
}

/* Choose what L1 may write without exits. The last entry has fetched what it wrote while it could. @crs: control registers. */
static noinline void again_move_window(struct vcpu *vcpu, bool crs)
{
	struct nested *n = &vcpu->nested;
	u8 writes = (n->shadow_writes & ~SHADOW_WRITES_CRS) | (crs ? SHADOW_WRITES_CRS : 0);

	if (seldom_is_open(n) && seldom_is_over(vcpu))
		writes &= ~SHADOW_WRITES_SELDOM;
	if (writes != n->shadow_writes)
		shadow_let_write(n, writes);
}

/**
 * nested_again_reflect() - reflect an exit from L2 to L1 on the short way
 * @vcpu: in L2, has just exited; exit.reason and exit.basic are valid, and no register is cached
 *
 * Context: Interrupts disabled. VMCS02 is current, VMCS01 afterwards.
 * Return: true, with the vCPU in L1; false if the general path must handle the
 * exit, and nothing has changed.
 */
bool nested_again_reflect(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	struct vmcs12 *v = n->vmcs12, *held = n->shadow_held;
	u16 basic = vcpu->exit.basic;
	struct again_news news;

	if (unlikely(!n->again.ready || !again_exit_is_l1s(vcpu)))
		return false;
	vcpu->exits[basic]++;
	vcpu->exits_l2[basic]++;
	/* A deadline is an event of L1, which is not counted as reflected. */
	if (basic != EXIT_REASON_PREEMPTION_TIMER)
		vcpu->exits_reflected[basic]++;
	vcpu->exits_shown[vcpu->exit.basic]++;
	n->entry_pending = false;
	again_write_exit_info(v, held, &vcpu->exit, &news);
	again_save(vcpu, n, v, held, &news);
	news.rare_state |= ptimer_stop_again(vcpu);
	vmcs_load_here(&n->shadow);
	again_fill(n, v, held, &news);
	vcpu->vmcs = &vcpu->vmcs01;
	vmcs_load_here(&vcpu->vmcs01);
	vcpu->in_l2 = false;
	/* See vmcs02_leave(). */
	if (vcpu->gcaps.ibpb)
		indirect_branch_prediction_barrier();
	vcpu->efer = n->again.l1_efer;
	vcpu->pat = n->again.l1_pat;
	vcpu->dr7 = DR7_FIXED;
	hostload_again(vcpu);
	if (unlikely(basic == EXIT_REASON_CR_ACCESS || (n->shadow_writes & (SHADOW_WRITES_CRS | SHADOW_WRITES_SELDOM))))
		again_move_window(vcpu, basic == EXIT_REASON_CR_ACCESS);
	if (unlikely(paranoid))
		paranoid_reflected(vcpu);
	return true;
}

/* --- from L1 to L2 --- */

/* What L1 may have written to the shadow VMCS at a repeated entry. */
struct again_entry {
	u64 rip, rsp, rflags, interruptibility, intr_info;
	u64 timer, intr_status;	/* if L1 uses them */
	u64 others;		/* not 0: L1 has changed a field that makes the entry another one */
};

/* Read what the entry depends on from the shadow VMCS, which is current: see shadow_entry_needs(). */
static __always_inline struct again_entry again_fetch(const struct nested *n, const struct vmcs12 *v)
{
	const struct vmcs12 *held = n->shadow_held;
	u64 rflags = vmcs_read(GUEST_RFLAGS);
	struct again_entry e = {
		.rip = vmcs_read(GUEST_RIP),
		.rsp = v->guest_rsp,
		.rflags = rflags,
		.interruptibility = vmcs_read(GUEST_INTERRUPTIBILITY_INFO),
		.intr_info = v->vm_entry_intr_info_field,
		.timer = n->again.fetches_timer ? vmcs_read(VMX_PREEMPTION_TIMER_VALUE) : 0,
		.intr_status = n->again.fetches_vid ? vmcs_read(GUEST_INTR_STATUS) : 0,
		.others = vmcs12_rflags_dirty(held->guest_rflags, rflags) |
			  (unlikely(n->again.fetches_threshold) ? vmcs_read(TPR_THRESHOLD) ^ held->tpr_threshold : 0),
	};

	if (unlikely(seldom_is_open(n))) {
		e.rsp = vmcs_read(GUEST_RSP);
		e.intr_info = vmcs_read(VM_ENTRY_INTR_INFO_FIELD);
		e.others |= vmcs_read(CPU_BASED_VM_EXEC_CONTROL) ^ held->cpu_based_vm_exec_control;
	}
	return e;
}

/*
 * Whether the entry injects nothing, or an external interrupt that L2 can take (SDM 3C 27.2.1.3, 27.3.1.4). Such an
 * interrupt has neither an error code nor a length.
 */
static __always_inline bool again_event_is_simple(const struct again_entry *e)
{
	if (likely(!(e->intr_info & INTR_INFO_VALID_MASK)))
		return true;
	return (e->intr_info & ~(u64)INTR_INFO_VECTOR_MASK) == (INTR_INFO_VALID_MASK | INTR_TYPE_EXT_INTR) &&
	       (e->rflags & X86_EFLAGS_IF);
}

/*
 * Whether the entry is a repetition. Has the rows of checks.def for RIP, RFLAGS and blocking
 * (SDM 3C 27.3.1.4, .5), and refuses some entries that would pass.
 */
static __always_inline bool again_entry_is_same(const struct nested *n, const struct vmcs12 *v, const struct again_entry *e)
{
	bool code64 = (v->vm_entry_controls & VM_ENTRY_IA32E_MODE) && (v->guest_cs_ar_bytes & VMX_AR_L_MASK);

	/* L2 may have been halted at the last exit. */
	if (unlikely((e->others | (v->guest_activity_state ^ GUEST_ACTIVITY_ACTIVE)) || !again_event_is_simple(e)))
		return false;
	if (code64 ? (u64)((s64)(e->rip << 16) >> 16) != e->rip : e->rip >> 32)
		return false;
	/* A timer of 0 expires before L2's first instruction. */
	return (e->rflags & (RFLAGS_ZERO | X86_EFLAGS_FIXED)) == X86_EFLAGS_FIXED &&
	       !(e->interruptibility & ~(u32)GUEST_INTR_STATE_NMI) && !(n->again.fetches_timer && !e->timer);
}

/* Select the root of EPT02 for L2, if L1 uses EPT. Returns false if it is not the one that VMCS02 has. */
static __always_inline bool again_use_root(struct vcpu *vcpu, const struct vmcs12 *v)
{
	struct nested *n = &vcpu->nested;

	/* After an exit to L1 on the general way, there is no current root. */
	return likely(n->ept02.cur == n->again.root) ||
	       (n->again.root && ept02_find(vcpu, v->ept_pointer) == n->held.eptp && n->ept02.cur == n->again.root);
}

/* Put what L1 has written into VMCS12, as shadow_fetch_fields() does. */
static __always_inline void again_take(struct nested *n, struct vmcs12 *v, const struct again_entry *e)
{
	struct vmcs12 *held = n->shadow_held;

	v->guest_rip = held->guest_rip = e->rip;
	v->guest_rflags = held->guest_rflags = e->rflags;
	v->guest_interruptibility_info = held->guest_interruptibility_info = e->interruptibility;
	if (n->again.fetches_timer)
		v->vmx_preemption_timer_value = held->vmx_preemption_timer_value = e->timer;
	if (n->again.fetches_vid)
		v->guest_intr_status = held->guest_intr_status = e->intr_status;
	n->vmcs12_dirty = 0;
}

/* The same of what L1 writes without an exit at times only. */
static __always_inline void again_take_more(struct nested *n, struct vmcs12 *v, const struct again_entry *e)
{
	struct vmcs12 *held = n->shadow_held;

	if (seldom_is_open(n)) {
		/* It still writes them. */
		if ((v->guest_rsp ^ e->rsp) | (v->vm_entry_intr_info_field ^ e->intr_info))
			seldom_begin(n);
		v->guest_rsp = held->guest_rsp = e->rsp;
		v->vm_entry_intr_info_field = held->vm_entry_intr_info_field = e->intr_info;
	}
	again_cr_take(n);
}

/* Write L2's general state to VMCS02, which is current. */
static __always_inline void again_write_hot(struct nested *n, const struct again_entry *e)
{
	vmcs_write(GUEST_RIP, e->rip);
	if (e->rsp != n->held.rsp)
		vmcs_write(GUEST_RSP, e->rsp);
	if (e->rflags != n->held.rflags)
		vmcs_write(GUEST_RFLAGS, e->rflags);
	if (e->interruptibility != n->held.interruptibility)
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, e->interruptibility);
	if (n->again.fetches_vid && e->intr_status != n->held.intr_status)
		vmcs_write(GUEST_INTR_STATUS, e->intr_status);
	/* The exit clears the valid bit. */
	if (unlikely(e->intr_info & INTR_INFO_VALID_MASK))
		vmcs_write(VM_ENTRY_INTR_INFO_FIELD, e->intr_info);
}

/**
 * nested_again_resume() - execute L1's VMRESUME on the short way
 * @vcpu: in L1, has just exited because of VMRESUME; no register is cached
 *
 * Context: Interrupts disabled. VMCS01 is current; VMCS02 is afterwards, if L2 was entered.
 * Return: true, with the vCPU in L2; false if the general path must execute it,
 * and nothing has changed.
 */
bool nested_again_resume(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	struct vmcs12 *v = n->vmcs12;
	struct again_entry e;
	u32 ss_ar;

	if (unlikely(!n->again.ready || (n->vmcs12_dirty & ~(u32)DIRTY12_USUAL)))
		return false;
	ss_ar = vmcs_read(GUEST_SS_AR_BYTES);
	if (unlikely(VMX_AR_DPL(ss_ar) ||
		     (vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & (BLOCKING_ONE_INSN | GUEST_INTR_STATE_NMI))))
		return false;
	vmcs_load_here(&n->shadow);
	e = again_fetch(n, v);
	if (unlikely(!again_entry_is_same(n, v, &e) || !again_use_root(vcpu, v) ||
		     (n->shadow_writes && !again_cr_fetch(vcpu)))) {
		vmcs_load_here(&vcpu->vmcs01);
		return false;
	}
	again_take(n, v, &e);
	if (unlikely(n->shadow_writes))
		again_take_more(n, v, &e);
	if (unlikely(paranoid))
		paranoid_entry(vcpu);
	vcpu->exits[EXIT_REASON_VMRESUME]++;
	vcpu->stats.nested_run++;
	n->held01.ss_ar = ss_ar;
	n->l1_nmi_blocked = false;
	vcpu->vmcs = &n->vmcs02;
	vmcs_load_here(&n->vmcs02);
	vcpu->in_l2 = true;
	vcpu->efer = n->again.l2_efer;
	vcpu->pat = n->again.l2_pat;
	vcpu->dr7 = n->again.l2_dr7;
	again_write_hot(n, &e);
	if (unlikely(n->shadow_writes))
		again_cr_write(vcpu);
	if (n->ctl02.proc & CPU_BASED_USE_MSR_BITMAPS)
		bitmaps_merge_again(vcpu);
	if (unlikely(n->ctl02.proc & CPU_BASED_USE_IO_BITMAPS))
		bitmaps_merge_io(n, vcpu->ports);
	n->entry_pending = true;
	if (n->again.fetches_timer)
		ptimer_start_again(vcpu, e.timer);
	if (unlikely(paranoid))
		paranoid_resumed(vcpu);
	return true;
}
