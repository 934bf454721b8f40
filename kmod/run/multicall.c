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
#include <asm/trapnr.h>
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
#include "nested/route.h"
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
};

/* What an operation has come to, besides its result. */
#define OP_OUT		BIT(0)	/* a[2] is set */
#define OP_OUTS		BIT(1)	/* a[2] and a[3] are */
#define OP_USER		BIT(2)	/* KVM_RUN must end: vcpu->run is filled */
#define OP_EVENTS	BIT(3)	/* an interrupt may be due now */

/* Whether the VMCALL that exited is one. */
static __always_inline bool multicall_is_one(struct vcpu *vcpu)
{
	return (vcpu->gcaps.droste_features & DROSTE_CPUID_MULTICALL) && vcpu->regs[RAX] == DROSTE_MULTICALL &&
	       vcpu_is_64bit(vcpu) && !vcpu_cpl(vcpu);
}

/* Find the memory of the list at the L1 guest-physical address. Returns NULL if there is none that can be written. */
static __always_inline const struct memslot *multicall_slot(struct vcpu *vcpu, u64 gpa)
{
	const struct memslot *slot;

	if (unlikely(!gpa_legal(vcpu, gpa) || current->mm != vcpu->vm->mm))
		return NULL;
	slot = memslot_near(vcpu, gpa >> PAGE_SHIFT);
	return likely(slot && !(slot->flags & KVM_MEM_READONLY)) ? slot : NULL;
}

/* Take the head of the list, and check it. @room: the bytes up to the end of the list's page. */
static __always_inline bool multicall_take_head(struct multicall *m, u64 head, u32 room)
{
	m->n = head;
	m->done = head >> 32;
	m->e = m->list->e + m->done;
	if (unlikely(m->n > DROSTE_MULTICALL_MAX) || unlikely(m->done > m->n))
		return false;
	return likely(sizeof(*m->list) + m->n * sizeof(*m->e) <= room);
}

/*
 * Read an operation, or the first three words of it, in an access that has begun. Returns 0 or -EFAULT. One test is
 * enough for all words, where unsafe_get_user() has one for each. A fault leads to the end, past what clears the error.
 */
static __always_inline int multicall_load_3(const struct droste_multicall_entry __user *e, u64 *op, u64 *a0, u64 *a1)
{
	int err = -EFAULT;

	asm volatile("1: mov 0(%[e]), %[op]\n\t"
		     "2: mov 8(%[e]), %[a0]\n\t"
		     "3: mov 16(%[e]), %[a1]\n\t"
		     "xor %[err], %[err]\n"
		     "9:\n"
		     _ASM_EXTABLE_UA(1b, 9b) _ASM_EXTABLE_UA(2b, 9b) _ASM_EXTABLE_UA(3b, 9b)
		     : [err] "+r" (err), [op] "=&r" (*op), [a0] "=&r" (*a0), [a1] "=&r" (*a1)
		     : [e] "r" (e), "m" (*(const struct droste_multicall_entry __force *)e) : "cc");
	return err;
}

static __always_inline int multicall_load(const struct droste_multicall_entry __user *e, struct droste_multicall_entry *op)
{
	int err = -EFAULT;

	asm volatile("1: mov 0(%[e]), %[op]\n\t"
		     "2: mov 8(%[e]), %[a0]\n\t"
		     "3: mov 16(%[e]), %[a1]\n\t"
		     "4: mov 24(%[e]), %[a2]\n\t"
		     "5: mov 32(%[e]), %[a3]\n\t"
		     "xor %[err], %[err]\n"
		     "9:\n"
		     _ASM_EXTABLE_UA(1b, 9b) _ASM_EXTABLE_UA(2b, 9b) _ASM_EXTABLE_UA(3b, 9b)
		     _ASM_EXTABLE_UA(4b, 9b) _ASM_EXTABLE_UA(5b, 9b)
		     : [err] "+r" (err), [op] "=&r" (op->op), [a0] "=&r" (op->a[0]), [a1] "=&r" (op->a[1]),
		       [a2] "=&r" (op->a[2]), [a3] "=&r" (op->a[3])
		     : [e] "r" (e), "m" (*(const struct droste_multicall_entry __force *)e) : "cc");
	return err;
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

/* Where a list stands after some operations in the short loop. */
enum multicall_short {
	SHORT_END,	/* all operations are done */
	SHORT_NEW,	/* the next one is a CPUID whose answer is not kept yet */
	SHORT_OTHER,	/* it is none, or the list is not there, or is wrong: the general path must go on */
};

/*
 * Carry out CPUIDs whose answers are kept, up to another operation or the end, after reading the head if @begin. They make
 * nothing due, and 64 of them take some 2,000 instructions. Calls no function. The list says how many are done only when
 * this ends; doing one again has no effect.
 */
static __always_inline enum multicall_short multicall_cpuids(struct vcpu *vcpu, struct multicall *m, u32 room, bool begin)
{
	enum multicall_short where = SHORT_END;
	struct droste_multicall_entry __user *e;
	const struct cpuid_cached *c;
	u64 head, op, fn, index;
	u32 done, n;

	if (unlikely(!user_access_begin(m->list, room)))
		return SHORT_OTHER;
	if (begin) {
		unsafe_get_user(head, (const u64 __user *)m->list, failed);
		if (unlikely(!multicall_take_head(m, head, room)))
			goto failed;
	}
	for (e = m->e, done = m->done, n = m->n; done < n; e++, done++) {
		where = SHORT_OTHER;
		if (unlikely(multicall_load_3(e, &op, &fn, &index)))
			goto failed;
		if (unlikely(op != DROSTE_OP_CPUID))
			break;
		where = SHORT_NEW;
		c = cpuid_kept(vcpu, fn, index);
		if (unlikely(!cpuid_is_kept(c, fn, index)))
			break;
		where = SHORT_END;
		unsafe_put_user(*(const u64 *)&c->r[CPUID_RAX], &e->a[2], failed);
		unsafe_put_user(*(const u64 *)&c->r[CPUID_RCX], &e->a[3], failed);
		unsafe_put_user(0, &e->ret, failed);
	}
	unsafe_put_user(done, &m->list->done, failed);
	user_access_end();
	m->e = e;
	m->done = done;
	return where;
failed:
	user_access_end();
	return SHORT_OTHER;
}

/* Keep the answer of a CPUID, if that can be. Returns false if the general path has to answer. */
static noinline bool multicall_keep(struct vcpu *vcpu, const struct droste_multicall_entry __user *e)
{
	u64 op, fn, index;
	int err;

	if (unlikely(!user_read_access_begin(e, sizeof(*e))))
		return false;
	err = multicall_load_3(e, &op, &fn, &index);
	user_read_access_end();
	return !err && op == DROSTE_OP_CPUID && cpuid_remember(vcpu, cpuid_kept(vcpu, fn, index), fn, index);
}

/*
 * Carry out operations until the list ends, something else is due, or the general path must go on: then it returns false.
 * Other vCPUs may write to the list: the number of turns has a bound of its own.
 */
static __always_inline bool multicall_run_short(struct vcpu *vcpu, struct multicall *m, u32 room)
{
	enum multicall_short where = multicall_cpuids(vcpu, m, room, true);
	int i;

	for (i = 0; unlikely(where == SHORT_NEW) && i < DROSTE_MULTICALL_MAX; i++) {
		if (multicall_must_end(vcpu))
			return true;
		where = multicall_keep(vcpu, m->e) ? multicall_cpuids(vcpu, m, room, false) : SHORT_OTHER;
	}
	return where == SHORT_END;
}

/*
 * Find the user address of the list in the short loop. Returns false if it is for the general path, which marks the frame
 * dirty, and tells what is wrong. A guest mostly has its lists in one page. Caller holds vm->srcu for reading.
 */
static __always_inline bool multicall_short_list(struct vcpu *vcpu, struct multicall *m, u64 gpa)
{
	struct list_hint *h = &vcpu->list_hint;
	const struct memslot *slot;

	if (unlikely(current->mm != vcpu->vm->mm))
		return false;
	if (unlikely(h->page != (gpa & PAGE_MASK) || h->generation != memslot_generation(vcpu->vm))) {
		slot = multicall_slot(vcpu, gpa);
		if (!slot || memslot_logged(slot))
			return false;
		h->page = gpa & PAGE_MASK;
		h->generation = memslot_generation(vcpu->vm);
		h->hva = (unsigned long)memslot_user(slot, h->page);
	}
	m->list = (void __user *)(h->hva + offset_in_page(gpa));
	return true;
}

/**
 * multicall_short() - carry out operations of a list in the short loop
 * @vcpu: in L1, has just exited by VMCALL; no register is cached
 *
 * If something is due before the end, the list says how far it has got, and the
 * guest is still at the VMCALL. A guest mostly makes the same kind of list: after one that was not for the short loop,
 * the next one is not tried here.
 *
 * Context: Interrupts disabled, for as long as at most %DROSTE_MULTICALL_MAX
 * CPUIDs take. VMCS01 is current. Caller holds vcpu->mutex.
 * Return: false if the general path must handle the exit, from where the list is now.
 */
bool multicall_short(struct vcpu *vcpu)
{
	u64 gpa = vcpu->regs[RBX], next;
	struct multicall m;
	bool done = false;
	int idx;

	/* With a breakpoint or a debugger, multicall_pause() has something to do. */
	if (vcpu->list_is_long || (gpa & 7) || unlikely((vcpu->dr7 & DR7_ACTIVE) | vcpu->guest_debug) ||
	    !multicall_is_one(vcpu) || !short_next_rip(&next))
		return false;
	/* The processor walks the host's page tables for this: see vmx/l1d.c. */
	vcpu->l1d_due = true;
	idx = memslot_begin_nofault(vcpu->vm);
	if (likely(multicall_short_list(vcpu, &m, gpa)))
		done = multicall_run_short(vcpu, &m, PAGE_SIZE - offset_in_page(gpa));
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

/* Read an operation. Returns false if that fails. */
static __always_inline bool multicall_read(const struct droste_multicall_entry __user *e, struct droste_multicall_entry *op)
{
	int err;

	if (unlikely(!user_read_access_begin(e, sizeof(*e))))
		return false;
	err = multicall_load(e, op);
	user_read_access_end();
	return likely(!err);
}

/*
 * Write an operation's results, count it as done, and with @more read the next one:
 * in one access, because the beginning and the end of an access take their time.
 * Returns false if that fails.
 */
static __always_inline bool multicall_finish(struct multicall *m, struct droste_multicall_entry *op, s64 ret, u32 flags, bool more)
{
	struct droste_multicall_entry __user *e = m->e;
	u32 done = m->done + 1;

	/* The next operation is in the same page. */
	if (unlikely(!user_access_begin(e, sizeof(*e))))
		return false;
	if (flags & (OP_OUT | OP_OUTS)) {
		unsafe_put_user(op->a[2], &e->a[2], failed);
		if (flags & OP_OUTS)
			unsafe_put_user(op->a[3], &e->a[3], failed);
	}
	unsafe_put_user(ret, &e->ret, failed);
	unsafe_put_user(done, &m->list->done, failed);
	m->e = ++e;
	m->done = done;
	if (more && unlikely(multicall_load(e, op)))
		goto failed;
	user_access_end();
	return true;
failed:
	user_access_end();
	return false;
}

static s64 multicall_cpuid(struct vcpu *vcpu, u64 *a)
{
	u32 eax = a[0], ecx = a[1], ebx, edx;

	vcpu_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	a[2] = (u64)ebx << 32 | eax;
	a[3] = (u64)edx << 32 | ecx;
	return 0;
}

/* An access that user space would answer is left to the instruction. */
static s64 multicall_msr_error(struct vcpu *vcpu, int err)
{
	return msr_goes_to_user(vcpu, err) ? DROSTE_ERR_TRAP : DROSTE_ERR_GP;
}

static s64 multicall_rdmsr(struct vcpu *vcpu, u64 *a)
{
	u64 data;
	int err;

	if (unlikely(a[0] >> 32))
		return DROSTE_ERR_ARGUMENT;
	err = vcpu_guest_get_msr(vcpu, a[0], &data);
	trace_droste_msr(vcpu, false, a[0], err ? 0 : data, err);
	if (unlikely(err))
		return multicall_msr_error(vcpu, err);
	a[2] = data;
	return 0;
}

static __always_inline s64 multicall_wrmsr(struct vcpu *vcpu, u64 msr, u64 data, u32 *flags)
{
	int err;

	if (unlikely(msr >> 32))
		return DROSTE_ERR_ARGUMENT;
	/* Only the local APIC's MSRs have to do with interrupts. */
	if (unlikely(msr >> 8 == 8 || msr == MSR_IA32_TSC_DEADLINE || msr == MSR_IA32_APICBASE)) {
		*flags = OP_EVENTS;
		err = vlapic_quick_wrmsr(vcpu, msr, data) ? 0 : vcpu_guest_set_msr(vcpu, msr, data);
	} else {
		err = vcpu_guest_set_msr(vcpu, msr, data);
	}
	trace_droste_msr(vcpu, true, msr, data, err);
	return unlikely(err) ? multicall_msr_error(vcpu, err) : 0;
}

static __always_inline bool multicall_size_ok(u64 size, u64 max)
{
	return size && size <= max && !(size & (size - 1));
}

static __always_inline bool multicall_out_ok(const u64 *a)
{
	return !(a[0] >> 16) && multicall_size_ok(a[1], 4);
}

static bool multicall_mmio_ok(const struct vcpu *vcpu, const u64 *a)
{
	u64 gpa = a[0], size = a[1];

	return multicall_size_ok(size, 8) && gpa_legal(vcpu, gpa) && offset_in_page(gpa) + size <= PAGE_SIZE;
}

static s64 multicall_mmio(struct vcpu *vcpu, const u64 *a, u32 *flags)
{
	u64 gpa = a[0];
	const struct memslot *slot;

	if (!multicall_mmio_ok(vcpu, a))
		return DROSTE_ERR_ARGUMENT;
	slot = vm_slot(vcpu->vm, gpa >> PAGE_SHIFT);
	if (slot && !(slot->flags & KVM_MEM_READONLY))
		return DROSTE_ERR_ARGUMENT;
	*flags = OP_EVENTS | (quick_write(vcpu, gpa, a[1], a[2]) ? 0 : OP_USER);
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

/* Carry out an operation that multicall_op() does not. @fetched: see nested_op_vmread(). Returns its result. */
static noinline s64 multicall_other(struct vcpu *vcpu, struct droste_multicall_entry *op, bool *fetched, u32 *flags)
{
	u64 *a = op->a;
	int err;

	switch (op->op) {
	case KVM_HC_SCHED_YIELD:
		*flags = OP_EVENTS;
		return pv_call(vcpu, op->op, a, true);
	case DROSTE_OP_CPUID:
		*flags = OP_OUTS;
		return multicall_cpuid(vcpu, a);
	case DROSTE_OP_RDMSR:
		*flags = OP_OUT;
		return multicall_rdmsr(vcpu, a);
	case DROSTE_OP_MMIO_WRITE:
		return multicall_mmio(vcpu, a, flags);
	case DROSTE_OP_VMREAD:
		err = nested_op_vmread(vcpu, fetched, a[0], &a[2]);
		*flags = err ? 0 : OP_OUT;
		return multicall_vmx_error(err);
	case DROSTE_OP_VMWRITE:
		return multicall_vmx_error(nested_op_vmwrite(vcpu, fetched, a[0], a[1]));
	case DROSTE_OP_INVEPT:
		return multicall_vmx_error(nested_op_invept(vcpu, a[0], a[1]));
	case DROSTE_OP_INVVPID:
		return multicall_vmx_error(nested_op_invvpid(vcpu, a[0], a[1], a[2]));
	default:
		return DROSTE_ERR_OP;
	}
}

/* As multicall_other(). The addresses of @op and @flags are not passed on, so that these stay in registers. */
static __always_inline s64 multicall_rare(struct vcpu *vcpu, struct droste_multicall_entry *op, bool *fetched, u32 *flags)
{
	struct droste_multicall_entry copy = *op;
	u32 f = 0;
	s64 ret = multicall_other(vcpu, &copy, fetched, &f);

	op->a[2] = copy.a[2];
	op->a[3] = copy.a[3];
	*flags = f;
	return ret;
}

/* Carry out an operation. Returns its result, and sets *@flags to OP_*. The most frequent ones are inlined. */
static __always_inline s64 multicall_op(struct vcpu *vcpu, struct droste_multicall_entry *op, bool *fetched, u32 *flags)
{
	*flags = 0;
	if (op->op == DROSTE_OP_WRMSR)
		return multicall_wrmsr(vcpu, op->a[0], op->a[1], flags);
	if (op->op == DROSTE_OP_OUT) {
		if (unlikely(!multicall_out_ok(op->a)))
			return DROSTE_ERR_ARGUMENT;
		*flags = OP_EVENTS;
		if (!emul_out(vcpu, op->a[0], op->a[1], op->a[2] & GENMASK(8 * (u32)op->a[1] - 1, 0)))
			*flags = OP_EVENTS | OP_USER;
		return 0;
	}
	if (op->op == KVM_HC_SEND_IPI) {
		*flags = OP_EVENTS;
		return pv_send_ipi(vcpu, op->a[0], op->a[1], op->a[2], op->a[3], true);
	}
	return multicall_rare(vcpu, op, fetched, flags);
}

/*
 * Whether L1 would get the exit of an operation of L2, or L0 does not carry out such operations for an L2. If not, an
 * address in @op is one of L1 afterwards. An operand that no instruction has is not L1's: it is an error, as in L1.
 */
static noinline bool multicall_is_l1s(struct vcpu *vcpu, u64 op, const u64 *a, u64 *a0)
{
	switch (op) {
	case DROSTE_OP_RDMSR:
	case DROSTE_OP_WRMSR:
		return !(a[0] >> 32) && nested_takes_msr(vcpu, a[0], op == DROSTE_OP_WRMSR);
	case DROSTE_OP_OUT:
		return multicall_out_ok(a) && nested_takes_out(vcpu, a[0], a[1]);
	case DROSTE_OP_MMIO_WRITE:
		return multicall_mmio_ok(vcpu, a) && nested_takes_write(vcpu, a0);
	default:
		return true;
	}
}

static __always_inline bool multicall_l1_takes(struct vcpu *vcpu, struct droste_multicall_entry *op)
{
	u64 a[2] = { op->a[0], op->a[1] }, a0 = op->a[0];
	bool takes = multicall_is_l1s(vcpu, op->op, a, &a0);

	op->a[0] = a0;
	return takes;
}

/* The call is over: the guest goes on behind the VMCALL. */
static void multicall_return(struct vcpu *vcpu, s64 result)
{
	vcpu_set_gpr(vcpu, RAX, result);
	vcpu_skip_instruction(vcpu);
}

/* The guest will execute the VMCALL again, and must not meet its breakpoint, or a debugger's, again (SDM 3B 18.3.1.1). */
static void multicall_pause(struct vcpu *vcpu)
{
	if (unlikely(vcpu_effective_dr7(vcpu) & DR7_ACTIVE))
		vcpu_set_rflags(vcpu, vcpu_rflags(vcpu) | X86_EFLAGS_RF);
}

static noinline void multicall_trace(struct vcpu *vcpu, u32 nr, struct droste_multicall_entry op, s64 ret)
{
	trace_droste_op(vcpu, nr, &op, ret);
}

/*
 * Carry out operations until the list ends, or something else is due. Returns the
 * error with which the call ends. *@flags: OP_USER, or 0. If there is no error, and operations are left, the call pauses.
 */
static s64 multicall_loop(struct vcpu *vcpu, struct multicall *m, u32 *last_flags)
{
	/* No operation changes RFLAGS or the blocking of interrupts. */
	bool interruptible = vmx_interrupt_allowed(vcpu), l2 = vcpu->in_l2;
	struct droste_multicall_entry op;
	bool fetched = false, look, more;
	u32 flags;
	s64 ret;

	if (unlikely(!multicall_read(m->e, &op)))
		return DROSTE_ERR_MEMORY;
	vcpu->list_is_long = op.op != DROSTE_OP_CPUID;
	for (;;) {
		if (unlikely(l2) && multicall_l1_takes(vcpu, &op))
			return DROSTE_ERR_TRAP;
		ret = multicall_op(vcpu, &op, &fetched, &flags);
		/* L1 sees the #GP of the instruction. The operation has changed nothing. */
		if (unlikely(l2) && ret == DROSTE_ERR_GP && route_l1_takes_exception(vcpu->nested.vmcs12, X86_TRAP_GP, 0))
			return DROSTE_ERR_TRAP;
		if (trace_droste_op_enabled())
			multicall_trace(vcpu, m->done, op, ret);
		more = m->done + 1 < m->n && !(flags & OP_USER) && !multicall_must_end(vcpu);
		if (unlikely(l2) && more)
			more = !nested_has_events(vcpu);
		look = more && (flags & OP_EVENTS) && interruptible;
		if (unlikely(!multicall_finish(m, &op, ret, flags, more && !look)))
			return DROSTE_ERR_MEMORY;
		if (look) {
			more = irqchip_pending_vector(vcpu) < 0;
			if (more && unlikely(!multicall_read(m->e, &op)))
				return DROSTE_ERR_MEMORY;
		}
		if (!more) {
			*last_flags = flags & OP_USER;
			return 0;
		}
	}
}

/* Begin with a list at an L1 guest-physical address, and carry it out. As multicall_loop(). */
static __always_inline s64 multicall_list(struct vcpu *vcpu, struct multicall *m, u64 gpa, u32 *flags)
{
	const struct memslot *slot;
	u64 head;
	s64 ret;

	if (gpa & 7)
		return DROSTE_ERR_LIST;
	slot = multicall_slot(vcpu, gpa);
	if (!slot)
		return DROSTE_ERR_MEMORY;
	if (!memslot_read_u64(slot, gpa, &head))
		return DROSTE_ERR_MEMORY;
	m->list = (void __user *)memslot_user(slot, gpa);
	if (!multicall_take_head(m, head, PAGE_SIZE - offset_in_page(gpa)))
		return DROSTE_ERR_LIST;
	if (m->done == m->n)
		return 0;
	ret = multicall_loop(vcpu, m, flags);
	dirty_mark(vcpu->vm, slot, gpa >> PAGE_SHIFT);
	return ret;
}

#define MULTICALL_NOWHERE	(~7ULL)	/* an address that multicall_list() refuses */

/* L1 gets an exit if its EPT does not allow reading and writing the list: *@gpa is one of L2. As exit_vmcall(). */
static int multicall_translate(struct vcpu *vcpu, u64 *gpa)
{
	int ret;

	/* multicall_list() refuses others. */
	if (*gpa & 7 || !gpa_legal(vcpu, *gpa))
		return NEXT_GO_ON;
	ret = walk_l2_gpa(vcpu, *gpa, EPT_READ | EPT_WRITE, gpa);
	/* L2 has no memory in the page in which each of its accesses is L1's. */
	if (ret == NEXT_GO_ON && nested_is_apic_page(vcpu->nested.vmcs12, *gpa))
		*gpa = MULTICALL_NOWHERE;
	return ret;
}

static int multicall_run(struct vcpu *vcpu)
{
	struct multicall m = {};
	u64 gpa = vcpu->regs[RBX];
	u32 flags = 0;
	s64 err;
	int ret;

	if (unlikely(vcpu->in_l2)) {
		ret = multicall_translate(vcpu, &gpa);
		if (ret != NEXT_GO_ON)
			return ret;
	}
	err = multicall_list(vcpu, &m, gpa, &flags);
	/* Operations may have called vcpu_stay_calm(). */
	vcpu->calm = false;
	if (!err && m.done < m.n)
		multicall_pause(vcpu);
	else
		multicall_return(vcpu, err);
	return flags & OP_USER ? NEXT_USER : NEXT_ENTER;
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
