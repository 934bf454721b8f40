// SPDX-License-Identifier: GPL-2.0
/*
 * The hypercall that carries out a list of operations of L1, or of an L2 to which L1 has delegated it:
 * <linux/droste_para.h>.
 *
 * The list stays in the guest's memory, which other vCPUs may write at any time.
 * An operation is read once. All that is kept between two of them is in the list
 * itself, so the call can end after any operation, with RIP at the VMCALL: for an
 * interrupt, for a signal, for an exit to user space.
 *
 * Each operation makes the checks of the instruction that it stands for, because
 * it calls what the exit of the instruction calls. The list lies in one page, and
 * vm->srcu is held, so that its user address is valid as long as the call lasts.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/kvm_para.h>
#include <linux/droste_para.h>
#include "droste.h"
#include "cpu/cpuid.h"
#include "cpu/msr.h"
#include "cpu/walk.h"
#include "ept/format.h"
#include "io/emulate.h"
#include "irqchip/irqchip.h"
#include "mem/dirty.h"
#include "mem/memslot.h"
#include "nested/nested.h"
#include "pv/pv.h"
#include "run/handlers.h"
#include "run/run.h"
#include "run/short.h"
#include "trace.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* A list during a call. */
struct multicall {
	struct droste_multicall __user *list;
	struct droste_multicall_entry __user *e;	/* the operation @done */
	u32 n, done;
	const struct memslot *slot;	/* of the list's page */
	gfn_t gfn;
	bool fetched;			/* see nested_op_vmread() */
	/* --- what the last operation has come to, besides its result --- */
	u8 outs;			/* how many of a[2] and a[3] it has set */
	bool user;			/* KVM_RUN must end: vcpu->run is filled */
	bool events;			/* an interrupt may be due now */
};

/* Whether the VMCALL that exited is one. */
static __always_inline bool multicall_is_one(struct vcpu *vcpu)
{
	return (vcpu->gcaps.droste_features & DROSTE_CPUID_MULTICALL) && vcpu->regs[RAX] == DROSTE_MULTICALL &&
	       vcpu_is_64bit(vcpu) && !vcpu_cpl(vcpu);
}

/* Whether a breakpoint of the guest's or of a debugger in user space may be at the VMCALL. */
static bool multicall_has_breakpoints(struct vcpu *vcpu)
{
	return vcpu_effective_dr7(vcpu) & DR7_ACTIVE;
}

static __always_inline bool multicall_read_head(struct multicall *m)
{
	u64 head;

	if (unlikely(!user_read_access_begin(m->list, sizeof(head))))
		return false;
	unsafe_get_user(head, (const u64 __user *)m->list, failed);
	user_read_access_end();
	m->n = head;
	m->done = head >> 32;
	return true;
failed:
	user_read_access_end();
	return false;
}

/* Find the list at the L1 guest-physical address, and read its head. Returns 0 or the call's error. */
static __always_inline s64 multicall_open(struct vcpu *vcpu, struct multicall *m, u64 gpa)
{
	if (gpa & 7)
		return DROSTE_ERR_LIST;
	if (!gpa_legal(vcpu, gpa) || current->mm != vcpu->vm->mm)
		return DROSTE_ERR_MEMORY;
	m->gfn = gpa >> PAGE_SHIFT;
	m->slot = memslot_near(vcpu, m->gfn);
	if (!m->slot || (m->slot->flags & KVM_MEM_READONLY))
		return DROSTE_ERR_MEMORY;
	m->list = (void __user *)memslot_user(m->slot, gpa);
	if (!multicall_read_head(m))
		return DROSTE_ERR_MEMORY;
	if (m->n > DROSTE_MULTICALL_MAX || m->done > m->n ||
	    offset_in_page(gpa) + sizeof(*m->list) + m->n * sizeof(*m->e) > PAGE_SIZE)
		return DROSTE_ERR_LIST;
	m->e = m->list->e + m->done;
	m->fetched = false;
	return 0;
}

/* Read an operation, in an access that has begun; goes to @failed if that fails. */
#define MULTICALL_GET(op, e, failed) \
	do { \
		unsafe_get_user((op)->op, &(e)->op, failed); \
		unsafe_get_user((op)->a[0], &(e)->a[0], failed); \
		unsafe_get_user((op)->a[1], &(e)->a[1], failed); \
		unsafe_get_user((op)->a[2], &(e)->a[2], failed); \
		unsafe_get_user((op)->a[3], &(e)->a[3], failed); \
	} while (0)

/* Read the next operation. Returns false if that fails. */
static __always_inline bool multicall_read(const struct multicall *m, struct droste_multicall_entry *op)
{
	if (unlikely(!user_read_access_begin(m->e, sizeof(*m->e))))
		return false;
	MULTICALL_GET(op, m->e, failed);
	user_read_access_end();
	return true;
failed:
	user_read_access_end();
	return false;
}

/*
 * Write an operation's results, count it as done, and with @more read the next one:
 * in one access, because the beginning and the end of an access take their time.
 * Returns false if that fails.
 */
static __always_inline bool multicall_finish(struct multicall *m, struct droste_multicall_entry *op, s64 ret, bool more)
{
	struct droste_multicall_entry __user *e = m->e;
	u32 done = m->done + 1;

	/* The next operation is in the same page. */
	if (unlikely(!user_access_begin(e, sizeof(*e))))
		return false;
	if (m->outs) {
		unsafe_put_user(op->a[2], &e->a[2], failed);
		if (m->outs > 1)
			unsafe_put_user(op->a[3], &e->a[3], failed);
	}
	unsafe_put_user(ret, &e->ret, failed);
	unsafe_put_user(done, &m->list->done, failed);
	m->e = ++e;
	m->done = done;
	if (more)
		MULTICALL_GET(op, e, failed);
	user_access_end();
	return true;
failed:
	user_access_end();
	return false;
}

/* --- with interrupts disabled --- */

#define MULTICALL_HOST_WORK	(_TIF_NEED_RESCHED | COMPAT_TIF_NEED_RESCHED_LAZY | _TIF_SIGPENDING | \
				 _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME)

/*
 * Whether something is due before the next operation: see loop_must_not_enter(). A deadline of the local APIC that has
 * passed becomes an interrupt when the guest is entered, with the VMX-preemption timer at 0.
 */
static __always_inline bool multicall_must_end(const struct vcpu *vcpu)
{
	u64 deadline = vcpu->timer.apic;

	return READ_ONCE(vcpu->requests) | (read_thread_flags() & MULTICALL_HOST_WORK) ||
	       (deadline && (s64)(rdtsc() - deadline) >= 0);
}

/*
 * Carry out CPUIDs whose answers are kept, up to another operation or the end.
 * They make nothing due, and 64 of them take some 2,000 instructions. Calls no
 * function. Returns false if the list cannot be accessed.
 */
static __always_inline bool multicall_cpuids(struct vcpu *vcpu, struct multicall *m)
{
	struct droste_multicall __user *list = m->list;
	struct droste_multicall_entry __user *e = m->e;
	u32 done = m->done, n = m->n;
	const struct cpuid_cached *c;
	u32 fn, index;
	u64 op;

	if (unlikely(!user_access_begin(list, sizeof(*list) + n * sizeof(*e))))
		return false;
	while (done < n) {
		unsafe_get_user(op, &e->op, failed);
		if (op != DROSTE_OP_CPUID)
			break;
		unsafe_get_user(fn, (u32 __user *)&e->a[0], failed);
		unsafe_get_user(index, (u32 __user *)&e->a[1], failed);
		c = cpuid_kept(vcpu, fn, index);
		if (unlikely(!cpuid_is_kept(c, fn, index)))
			break;
		unsafe_put_user(*(const u64 *)&c->r[CPUID_RAX], &e->a[2], failed);
		unsafe_put_user(*(const u64 *)&c->r[CPUID_RCX], &e->a[3], failed);
		unsafe_put_user(0, &e->ret, failed);
		done++;
		unsafe_put_user(done, &list->done, failed);
		e++;
	}
	user_access_end();
	m->e = e;
	m->done = done;
	return true;
failed:
	user_access_end();
	return false;
}

/*
 * Carry out the next operation if it is a CPUID whose answer can be kept: the next ones need no function then. Nothing is
 * lost if the result cannot be written, because the general path does the same again. Returns false if it has to.
 */
static noinline bool multicall_cpuid_short(struct vcpu *vcpu, struct multicall *m)
{
	struct droste_multicall_entry op;
	struct cpuid_cached *c;
	u32 fn, index;

	if (!multicall_read(m, &op) || op.op != DROSTE_OP_CPUID)
		return false;
	fn = op.a[0];
	index = op.a[1];
	c = cpuid_kept(vcpu, fn, index);
	if (!cpuid_remember(vcpu, c, fn, index))
		return false;
	op.a[2] = *(const u64 *)&c->r[CPUID_RAX];
	op.a[3] = *(const u64 *)&c->r[CPUID_RCX];
	m->outs = 2;
	return multicall_finish(m, &op, 0, false);
}

/*
 * Carry out operations until the list ends, something else is due, or the general path must go on: then it returns false.
 * Each turn carries out one operation at least, whatever other vCPUs write to the list meanwhile.
 */
static __always_inline bool multicall_run_short(struct vcpu *vcpu, struct multicall *m)
{
	while (multicall_cpuids(vcpu, m)) {
		if (m->done == m->n || multicall_must_end(vcpu))
			return true;
		if (!multicall_cpuid_short(vcpu, m))
			break;
	}
	return false;
}

/**
 * multicall_short() - carry out operations of a list in the short loop
 * @vcpu: in L1, has just exited by VMCALL; no register is cached
 *
 * If something is due before the end, the list says how far it has got, and the
 * guest is still at the VMCALL.
 *
 * Context: Interrupts disabled, for as long as at most %DROSTE_MULTICALL_MAX
 * CPUIDs take. VMCS01 is current. Caller holds vcpu->mutex.
 * Return: false if the general path must handle the exit, from where the list is now.
 */
bool multicall_short(struct vcpu *vcpu)
{
	struct multicall m;
	bool done = false;
	u64 next;
	int idx;

	/* With a breakpoint, multicall_pause() has something to do. */
	if (!multicall_is_one(vcpu) || !short_next_rip(&next) || unlikely(multicall_has_breakpoints(vcpu)))
		return false;
	/* The processor walks the host's page tables for this: see vmx/l1d.c. */
	vcpu->l1d_due = true;
	idx = memslot_begin_nofault(vcpu->vm);
	/* The general path marks the frame dirty, and tells what is wrong. */
	if (!multicall_open(vcpu, &m, vcpu->regs[RBX]) && !memslot_logged(m.slot))
		done = multicall_run_short(vcpu, &m);
	memslot_end_nofault(vcpu->vm, idx);
	if (unlikely(!done))
		return false;
	vcpu->ev.injected.valid = false;
	vcpu->exits[EXIT_REASON_VMCALL]++;
	if (unlikely(m.done < m.n))
		return true;
	vcpu->regs[RAX] = 0;
	vmcs_write(GUEST_RIP, next);
	return true;
}

/* --- in the general path --- */

static s64 multicall_cpuid(struct vcpu *vcpu, struct multicall *m, struct droste_multicall_entry *op)
{
	u32 eax = op->a[0], ecx = op->a[1], ebx, edx;

	vcpu_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	op->a[2] = (u64)ebx << 32 | eax;
	op->a[3] = (u64)edx << 32 | ecx;
	m->outs = 2;
	return 0;
}

/* An access that user space would answer is left to the instruction. */
static s64 multicall_msr_error(struct vcpu *vcpu, int err)
{
	return msr_goes_to_user(vcpu, err) ? DROSTE_ERR_TRAP : DROSTE_ERR_GP;
}

static s64 multicall_rdmsr(struct vcpu *vcpu, struct multicall *m, struct droste_multicall_entry *op)
{
	u64 data;
	int err;

	if (unlikely(op->a[0] >> 32))
		return DROSTE_ERR_ARGUMENT;
	err = vcpu_guest_get_msr(vcpu, op->a[0], &data);
	trace_droste_msr(vcpu, false, op->a[0], err ? 0 : data, err);
	if (unlikely(err))
		return multicall_msr_error(vcpu, err);
	op->a[2] = data;
	m->outs = 1;
	return 0;
}

static s64 multicall_wrmsr(struct vcpu *vcpu, struct multicall *m, const struct droste_multicall_entry *op)
{
	u64 msr = op->a[0], data = op->a[1];
	int err = 0;

	if (unlikely(msr >> 32))
		return DROSTE_ERR_ARGUMENT;
	/* Only the local APIC's MSRs have to do with interrupts. */
	m->events = msr >> 8 == 8 || msr == MSR_IA32_TSC_DEADLINE || msr == MSR_IA32_APICBASE;
	if (!m->events || !vlapic_quick_wrmsr(vcpu, msr, data))
		err = vcpu_guest_set_msr(vcpu, msr, data);
	trace_droste_msr(vcpu, true, msr, data, err);
	return unlikely(err) ? multicall_msr_error(vcpu, err) : 0;
}

static bool multicall_size_ok(u64 size, u64 max)
{
	return size && size <= max && !(size & (size - 1));
}

static bool multicall_out_ok(const struct droste_multicall_entry *op)
{
	return !(op->a[0] >> 16) && multicall_size_ok(op->a[1], 4);
}

static s64 multicall_out(struct vcpu *vcpu, struct multicall *m, const struct droste_multicall_entry *op)
{
	u64 size = op->a[1];

	if (!multicall_out_ok(op))
		return DROSTE_ERR_ARGUMENT;
	m->user = !emul_out(vcpu, op->a[0], size, op->a[2] & GENMASK(8 * size - 1, 0));
	m->events = true;
	return 0;
}

static bool multicall_mmio_ok(const struct vcpu *vcpu, const struct droste_multicall_entry *op)
{
	u64 gpa = op->a[0], size = op->a[1];

	return multicall_size_ok(size, 8) && gpa_legal(vcpu, gpa) && offset_in_page(gpa) + size <= PAGE_SIZE;
}

static s64 multicall_mmio(struct vcpu *vcpu, struct multicall *m, const struct droste_multicall_entry *op)
{
	u64 gpa = op->a[0], size = op->a[1];
	const struct memslot *slot;

	if (!multicall_mmio_ok(vcpu, op))
		return DROSTE_ERR_ARGUMENT;
	slot = vm_slot(vcpu->vm, gpa >> PAGE_SHIFT);
	if (slot && !(slot->flags & KVM_MEM_READONLY))
		return DROSTE_ERR_ARGUMENT;
	m->user = !quick_write(vcpu, gpa, size, op->a[2]);
	m->events = true;
	return 0;
}

/* The result of an operation of nested/. */
static s64 multicall_vmx_error(int err)
{
	if (err == -ENOEXEC)
		return DROSTE_ERR_UD;
	if (err == -ENOENT)
		return DROSTE_ERR_VMFAIL(0);
	return err ? DROSTE_ERR_VMFAIL(err) : 0;
}

static s64 multicall_vmread(struct vcpu *vcpu, struct multicall *m, struct droste_multicall_entry *op)
{
	int err = nested_op_vmread(vcpu, &m->fetched, op->a[0], &op->a[2]);

	m->outs = !err;
	return multicall_vmx_error(err);
}

/* Carry out an operation. Returns its result. */
static s64 multicall_op(struct vcpu *vcpu, struct multicall *m, struct droste_multicall_entry *op)
{
	switch (op->op) {
	case KVM_HC_SEND_IPI:
	case KVM_HC_SCHED_YIELD:
		m->events = true;
		return pv_call(vcpu, op->op, op->a, true);
	case DROSTE_OP_CPUID:
		return multicall_cpuid(vcpu, m, op);
	case DROSTE_OP_RDMSR:
		return multicall_rdmsr(vcpu, m, op);
	case DROSTE_OP_WRMSR:
		return multicall_wrmsr(vcpu, m, op);
	case DROSTE_OP_OUT:
		return multicall_out(vcpu, m, op);
	case DROSTE_OP_MMIO_WRITE:
		return multicall_mmio(vcpu, m, op);
	case DROSTE_OP_VMREAD:
		return multicall_vmread(vcpu, m, op);
	case DROSTE_OP_VMWRITE:
		return multicall_vmx_error(nested_op_vmwrite(vcpu, &m->fetched, op->a[0], op->a[1]));
	case DROSTE_OP_INVEPT:
		return multicall_vmx_error(nested_op_invept(vcpu, op->a[0], op->a[1]));
	case DROSTE_OP_INVVPID:
		return multicall_vmx_error(nested_op_invvpid(vcpu, op->a[0], op->a[1], op->a[2]));
	default:
		return DROSTE_ERR_OP;
	}
}

/*
 * Whether L1 would get the exit of an operation of L2, or L0 does not carry out such operations for an L2. If not, an
 * address in @op is one of L1 afterwards. An operand that no instruction has is not L1's: it is an error, as in L1.
 */
static bool multicall_is_l1s(struct vcpu *vcpu, struct droste_multicall_entry *op)
{
	switch (op->op) {
	case DROSTE_OP_RDMSR:
	case DROSTE_OP_WRMSR:
		return !(op->a[0] >> 32) && nested_takes_msr(vcpu, op->a[0], op->op == DROSTE_OP_WRMSR);
	case DROSTE_OP_OUT:
		return multicall_out_ok(op) && nested_takes_out(vcpu, op->a[0], op->a[1]);
	case DROSTE_OP_MMIO_WRITE:
		return multicall_mmio_ok(vcpu, op) && nested_takes_write(vcpu, &op->a[0]);
	default:
		return true;
	}
}

/* The call is over: the guest goes on behind the VMCALL. */
static void multicall_return(struct vcpu *vcpu, s64 result)
{
	vcpu_set_gpr(vcpu, RAX, result);
	vcpu_skip_instruction(vcpu);
}

/* The guest will execute the VMCALL again, and must not meet its breakpoint again (SDM 3B 18.3.1.1). */
static void multicall_pause(struct vcpu *vcpu)
{
	if (unlikely(multicall_has_breakpoints(vcpu)))
		vcpu_set_rflags(vcpu, vcpu_rflags(vcpu) | X86_EFLAGS_RF);
}

/*
 * Carry out operations until the list ends, or something else is due. Returns the
 * error with which the call ends; *paused: it does not end, but pauses.
 */
static s64 multicall_loop(struct vcpu *vcpu, struct multicall *m, bool *paused)
{
	/* No operation changes RFLAGS or the blocking of interrupts. */
	bool interruptible = vmx_interrupt_allowed(vcpu);
	struct droste_multicall_entry op;
	bool look, more, l2 = vcpu->in_l2;
	s64 ret;

	if (m->done == m->n)
		return 0;
	if (unlikely(!multicall_read(m, &op)))
		return DROSTE_ERR_MEMORY;
	for (;;) {
		m->outs = 0;
		m->user = false;
		m->events = false;
		if (unlikely(l2 && multicall_is_l1s(vcpu, &op)))
			return DROSTE_ERR_TRAP;
		ret = multicall_op(vcpu, m, &op);
		more = m->done + 1 < m->n && !(m->user | multicall_must_end(vcpu));
		if (unlikely(l2) && more)
			more = !nested_has_events(vcpu);
		look = more && m->events && interruptible;
		if (unlikely(!multicall_finish(m, &op, ret, more && !look)))
			return DROSTE_ERR_MEMORY;
		if (look) {
			more = irqchip_pending_vector(vcpu) < 0;
			if (more && unlikely(!multicall_read(m, &op)))
				return DROSTE_ERR_MEMORY;
		}
		if (!more) {
			*paused = m->done < m->n;
			return 0;
		}
	}
}

/* L1 gets an exit if its EPT does not allow reading and writing the list: *@gpa is one of L2. As exit_vmcall(). */
static int multicall_translate(struct vcpu *vcpu, u64 *gpa)
{
	/* multicall_open() refuses others. */
	if (*gpa & 7 || !gpa_legal(vcpu, *gpa))
		return NEXT_GO_ON;
	return walk_l2_gpa(vcpu, *gpa, EPT_READ | EPT_WRITE, gpa);
}

static int multicall_run(struct vcpu *vcpu)
{
	u64 gpa = vcpu->regs[RBX];
	struct multicall m = {};
	bool paused = false;
	s64 err;
	int ret;

	if (unlikely(vcpu->in_l2)) {
		ret = multicall_translate(vcpu, &gpa);
		if (ret != NEXT_GO_ON)
			return ret;
	}
	err = multicall_open(vcpu, &m, gpa);
	if (likely(!err)) {
		err = multicall_loop(vcpu, &m, &paused);
		dirty_mark(vcpu->vm, m.slot, m.gfn);
		/* Operations may have called vcpu_stay_calm(). */
		vcpu->calm = false;
	}
	if (paused)
		multicall_pause(vcpu);
	else
		multicall_return(vcpu, err);
	return m.user ? NEXT_USER : NEXT_ENTER;
}

/**
 * exit_vmcall() - handle VMCALL of L1: a list of operations, another hypercall, or none; or a list of L2
 * @vcpu: loaded; in L2, nested_delegates() holds
 *
 * Context: That of run/handlers.h.
 * Return: enum next, or a negative errno.
 */
int exit_vmcall(struct vcpu *vcpu)
{
	return vcpu->in_l2 || multicall_is_one(vcpu) ? multicall_run(vcpu) : nested_handle_vmx_insn(vcpu);
}
