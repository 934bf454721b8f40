// SPDX-License-Identifier: GPL-2.0
/* The cost of exits, hidden from a guest's clocks: an opt-in of the host's administrator. SDM 3B 18.17, 3C 25.6.5. */
#include <linux/capability.h>
#include <linux/droste.h>
#include <linux/jump_label.h>
#include <linux/math64.h>
#include <asm/barrier.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/vmx.h>
#include "droste.h"
#include "run/request.h"
#include "vmx/vmx.h"

/*
 * A guest that reads the TSC before and after CPUID sees what the exit costs. In a VM with a bound, the counter stands
 * still from an exit that the guest cannot explain to the entry that follows it. L0 reads the host's TSC right after the
 * exit and right before the entry, and turns the offset back by the difference, and by what lies outside the two reads
 * (tsc_hide.extra, which user space has measured).
 *
 * The vCPU's time is then behind that of the host, of the VM's timers, and of the other vCPUs: by the debt. It never
 * exceeds the bound: an exit that would make it do so is not hidden. The debt is paid back in one step, forwards, when
 * the guest cannot tell it from the cost of something else: at an interrupt of the host and at HLT. The counter of a vCPU never
 * goes back: at the entry it has at least the value that it had at the exit, and an exit in which the guest sees the
 * counter uses the value of the moment of the exit (tsc_host_now()).
 *
 * vcpu_tsc.offset contains the debt, so that all that is computed of it agrees: IA32_TIME_STAMP_COUNTER, the deadline of
 * the local APIC timer, L2's counter. User space that saves the counter or the offset saves the debt with it. Deadlines
 * in ticks of the host's TSC move with the offset.
 */

/* More than this would be seen in a second: 0.1 % of it. */
#define HIDE_MAX_NS	NSEC_PER_MSEC
/* More ticks than any processor needs for an exit and an entry. */
#define HIDE_MAX_EXTRA	100000

#ifndef EXIT_REASON_GETSEC
#define EXIT_REASON_GETSEC	11
#endif

/*
 * Exits of instructions that do not exit without a hypervisor. WBINVD is not among them: it takes longer than an exit.
 * Accesses to devices, and exits to user space for a VM's memory, have no cost that a guest knows.
 */
#define HIDE_REASONS	(BIT_ULL(EXIT_REASON_CPUID) | BIT_ULL(EXIT_REASON_INVD) | BIT_ULL(EXIT_REASON_INVLPG) | \
			 BIT_ULL(EXIT_REASON_RDPMC) | BIT_ULL(EXIT_REASON_RDTSC) | BIT_ULL(EXIT_REASON_VMCALL) | \
			 BIT_ULL(EXIT_REASON_VMCLEAR) | BIT_ULL(EXIT_REASON_VMLAUNCH) | BIT_ULL(EXIT_REASON_VMPTRLD) | \
			 BIT_ULL(EXIT_REASON_VMPTRST) | BIT_ULL(EXIT_REASON_VMREAD) | BIT_ULL(EXIT_REASON_VMRESUME) | \
			 BIT_ULL(EXIT_REASON_VMWRITE) | BIT_ULL(EXIT_REASON_VMOFF) | BIT_ULL(EXIT_REASON_VMON) | \
			 BIT_ULL(EXIT_REASON_CR_ACCESS) | BIT_ULL(EXIT_REASON_DR_ACCESS) | BIT_ULL(EXIT_REASON_MSR_READ) | \
			 BIT_ULL(EXIT_REASON_MSR_WRITE) | BIT_ULL(EXIT_REASON_GDTR_IDTR) | BIT_ULL(EXIT_REASON_LDTR_TR) | \
			 BIT_ULL(EXIT_REASON_INVEPT) | BIT_ULL(EXIT_REASON_RDTSCP) | BIT_ULL(EXIT_REASON_INVVPID) | \
			 BIT_ULL(EXIT_REASON_XSETBV) | BIT_ULL(EXIT_REASON_RDRAND) | BIT_ULL(EXIT_REASON_INVPCID) | \
			 BIT_ULL(EXIT_REASON_VMFUNC) | BIT_ULL(EXIT_REASON_RDSEED) | BIT_ULL(EXIT_REASON_GETSEC))

/**
 * vm_set_profile() - DROSTE_SET_PROFILE
 * @self: the VM
 * @arg: struct droste_profile
 * @uarg: unused
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0; -EINVAL for bad values or if there is a vCPU; -EPERM; -EOPNOTSUPP if the host's TSC is not invariant.
 */
long vm_set_profile(void *self, void *arg, unsigned long uarg)
{
	const struct droste_profile *p = arg;
	struct vm *vm = self;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (p->clock_bound > HIDE_MAX_NS || p->clock_extra > HIDE_MAX_EXTRA || p->clock_extra < -HIDE_MAX_EXTRA ||
	    (p->clock_extra && !p->clock_bound) || p->flags ||
	    (p->apic_hz && (p->apic_hz < 1000000 || p->apic_hz > 1000000000)) || memchr_inv(p->reserved, 0, sizeof(p->reserved)) || vm->nr_vcpus)
		return -EINVAL;
	if (p->clock_bound && (!boot_cpu_has(X86_FEATURE_CONSTANT_TSC) || !tsc_khz))
		return -EOPNOTSUPP;
	vmx_hide_destroy(vm);
	vm->hide_bound = mul_u64_u32_div(p->clock_bound, tsc_khz, USEC_PER_SEC);
	vm->hide_extra = p->clock_extra;
	vm->apic_hz = p->apic_hz;
	if (vm->hide_bound)
		static_branch_inc(&vmx_entry_more);
	return 0;
}

/**
 * vmx_hide_destroy() - undo vm_set_profile()
 * @vm: a VM without vCPUs
 *
 * Context: Process context. May sleep.
 */
void vmx_hide_destroy(struct vm *vm)
{
	if (vm->hide_bound)
		static_branch_dec(&vmx_entry_more);
	vm->hide_bound = 0;
}

/**
 * vmx_hide_init_vcpu() - let a new vCPU hide what its VM does
 * @vcpu: the vCPU
 *
 * Context: Any. Caller holds vm->lock.
 */
void vmx_hide_init_vcpu(struct vcpu *vcpu)
{
	vcpu->hide.bound = vcpu->vm->hide_bound;
	vcpu->hide.extra = vcpu->vm->hide_extra;
}

/**
 * vmx_hide_forget() - user space sets the vCPU's counter: it owes nothing any more
 * @vcpu: the vCPU; caller holds its mutex
 *
 * Context: Any.
 */
void vmx_hide_forget(struct vcpu *vcpu)
{
	vcpu->hide.left = 0;
	vcpu->hide.debt = 0;
	vcpu->hide.owed = 0;
}

/* As tsc_scale(), for code that must not be instrumented. */
static __always_inline u64 hide_scale(u64 ticks, u64 ratio)
{
	return ratio == TSC_RATIO_ONE ? ticks : mul_u64_u64_shr(ticks, ratio, TSC_RATIO_BITS);
}

/* Let the deadline, unless there is none, come @by ticks later. */
static __always_inline void hide_move_deadline(u64 *deadline, u64 by)
{
	if (*deadline)
		*deadline = *deadline + by ?: 1;
}

/* Turn the clocks of both levels back by @by ticks of the host's TSC, or forwards if that is negative; @l1: the same in L1's. */
static __always_inline void hide_turn_back(struct vcpu *vcpu, u64 by, u64 l1)
{
	struct nested *n = &vcpu->nested;

	vcpu->tsc.offset -= l1;
	n->again.tsc_offset -= l1;
	hide_move_deadline(&vcpu->timer.apic, by);
	hide_move_deadline(&vcpu->timer.l2, by);
	if (n->tsc_deadline_preemption != PTIMER_NOT_RUNNING)
		n->tsc_deadline_preemption += l1;
}

/**
 * vmx_hide_cost() - hide the cost of the exit that the coming entry ends, and write the offset
 * @vcpu: about to enter the guest; it hides
 *
 * If the entry injects an interrupt of L0's, nothing is hidden: the guest could see that its timer expired early.
 * vlapic_timer_request() sees to interrupts that wait.
 *
 * Context: Interrupts disabled, right before the entry. Writes the current VMCS. Not instrumentable.
 */
noinstr void vmx_hide_cost(struct vcpu *vcpu)
{
	struct tsc_hide *h = &vcpu->hide;
	struct vmcs02_held *held = &vcpu->nested.held;
	s64 cost;
	u64 l1;

	if (h->left && likely(!vcpu->ev.injected.valid)) {
		cost = rdtsc_ordered() - h->left + h->extra;
		if (likely(cost > 0 && cost <= h->bound && h->debt + cost <= h->bound)) {
			l1 = hide_scale(cost, vcpu->tsc.ratio);
			h->debt += cost;
			h->owed += l1;
			hide_turn_back(vcpu, cost, l1);
			held->tsc_offset -= hide_scale(cost, held->tsc_ratio);
		}
	}
	h->left = 0;
	/* VMCS01's field is that of the last entry of L1, VMCS02's that of the last one of L2. */
	vmcs_write(TSC_OFFSET, vcpu->in_l2 ? held->tsc_offset : vcpu->tsc.offset);
}

/* Pay the debt back. The next entry writes the offset. */
static void hide_pay(struct vcpu *vcpu)
{
	struct tsc_hide *h = &vcpu->hide;
	struct nested *n = &vcpu->nested;

	hide_turn_back(vcpu, -h->debt, -h->owed);
	n->held.tsc_offset += tsc_scale(h->debt, n->held.tsc_ratio);
	/* What was rounded down of each cost must not add up in L2's offset: the next entry of L1 computes it anew. */
	if (n->held.tsc_ratio != TSC_RATIO_ONE)
		nested_changed(n);
	h->debt = 0;
	h->owed = 0;
	/* An hrtimer that waits for a deadline is late now. */
	if (!vcpu->timer.apic)
		vcpu_request(vcpu, REQ_TIMER);
}

/**
 * vmx_hide_note_exit() - find out whether the exit is to be hidden, or whether the debt can be paid back now
 * @vcpu: has just exited; it hides. vcpu->exit.reason is valid
 * @tsc: the host's TSC right after the exit
 *
 * Context: Interrupts disabled.
 */
void vmx_hide_note_exit(struct vcpu *vcpu, u64 tsc)
{
	u32 reason = vcpu->exit.reason;

	if (reason < 64 && HIDE_REASONS >> reason & 1)
		vcpu->hide.left = tsc;
	else if ((reason == EXIT_REASON_EXTERNAL_INTERRUPT || reason == EXIT_REASON_HLT) && vcpu->hide.debt)
		hide_pay(vcpu);
}
