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
 * its user address is valid as long as the call lasts: because vm->srcu is held, or in the short loop by struct list_hint.
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
#include "mem/l2gpa.h"
#include "mem/memslot.h"
#include "nested/nested.h"
#include "nested/route.h"
#include "pv/pv.h"
#include "run/handlers.h"
#include "run/request.h"
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

/* Bits of the access rights of CS (SDM 3C table 25-2). */
#define CS_CONFORMING	BIT(2)
#define CS_DPL		(3U << 5)

/* What an operation has come to, besides its result. */
#define OP_OUT		BIT(0)	/* a[2] is set */
#define OP_OUTS		BIT(1)	/* a[2] and a[3] are */
#define OP_USER		BIT(2)	/* KVM_RUN must end: vcpu->run is filled */
#define OP_EVENTS	BIT(3)	/* an interrupt may be due now, without a request */

/* Whether the running level is in 64-bit mode at CPL 0. The DPL of CS is the CPL unless CS is conforming (SDM 3C 27.3.1.2). */
static __always_inline bool multicall_is_kernel(struct vcpu *vcpu)
{
	u32 ar;

	if (unlikely(!vcpu_is_long_mode(vcpu)))
		return false;
	ar = vmcs_read(GUEST_CS_AR_BYTES);
	if (likely((ar & (VMX_AR_L_MASK | CS_DPL | CS_CONFORMING)) == VMX_AR_L_MASK))
		return true;
	return (ar & VMX_AR_L_MASK) && (ar & CS_CONFORMING) && !vcpu_cpl(vcpu);
}

/* Whether the VMCALL that exited is one. */
static __always_inline bool multicall_is_one(struct vcpu *vcpu)
{
	return (vcpu->gcaps.droste_features & DROSTE_CPUID_MULTICALL) && vcpu->regs[RAX] == DROSTE_MULTICALL &&
	       multicall_is_kernel(vcpu);
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
	if (unlikely(m->n > DROSTE_MULTICALL_MAX))
		return false;
	if (unlikely(m->done > m->n))
		return false;
	return likely(sizeof(*m->list) + m->n * sizeof(*m->e) <= room);
}

/*
 * Read the first three words of an operation, in an access that has begun. The number comes last, so that it needs no test
 * of its own whether that went well. Returns the number; 0, which no operation has, if the words cannot be read.
 */
static __always_inline u64 multicall_load_3(const struct droste_multicall_entry __user *e, u64 *a0, u64 *a1)
{
	u64 op = 0;

	asm volatile("1: mov 8(%[e]), %[a0]\n\t"
		     "2: mov 16(%[e]), %[a1]\n\t"
		     "3: mov 0(%[e]), %[op]\n"
		     "9:\n"
		     _ASM_EXTABLE_UA(1b, 9b) _ASM_EXTABLE_UA(2b, 9b) _ASM_EXTABLE_UA(3b, 9b)
		     : [op] "+&r" (op), [a0] "=&r" (*a0), [a1] "=&r" (*a1)
		     : [e] "r" (e), "m" (*(const struct droste_multicall_entry __force *)e));
	return op;
}

/*
 * Read an operation, in an access that has begun. Returns 0 or -EFAULT. One test is enough for all words, where
 * unsafe_get_user() has one for each. A fault leads to the end, past what clears the error.
 */
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

/*
 * Find the user address of a list, where vm->srcu is held. A guest mostly has its lists in one page, whose slot need not be
 * searched again. *@slot is set to the slot in which the frame is to be marked as dirty, NULL if it is not logged. Returns
 * NULL if there is no memory that can be written.
 */
static __always_inline void __user *multicall_find(struct vcpu *vcpu, u64 gpa, const struct memslot **slot)
{
	struct list_hint *h = &vcpu->list_hint;
	u64 generation = memslot_generation(vcpu->vm);

	*slot = NULL;
	if (likely(h->page == LIST_PAGE(gpa) && h->generation == generation && current->mm == vcpu->vm->mm))
		return (void __user *)(h->hva + offset_in_page(gpa));
	*slot = multicall_slot(vcpu, gpa);
	if (unlikely(!*slot))
		return NULL;
	if (!memslot_logged(*slot)) {
		h->page = LIST_PAGE(gpa);
		h->generation = generation;
		h->hva = (unsigned long)memslot_user(*slot, gpa & PAGE_MASK);
	}
	return (void __user *)memslot_user(*slot, gpa);
}

/* --- with interrupts disabled --- */

#define MULTICALL_HOST_WORK	(_TIF_NEED_RESCHED | COMPAT_TIF_NEED_RESCHED_LAZY | _TIF_SIGPENDING | \
				 _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME)

/*
 * Whether something is due before the next operation: see loop_must_not_enter(). A deadline of the local APIC, or of L1's
 * preemption timer, that has passed is found when the guest is entered, with the VMX-preemption timer at 0.
 */
static __always_inline bool multicall_must_end(const struct vcpu *vcpu)
{
	u64 apic = vcpu->timer.apic, l2 = vcpu->timer.l2;

	if (unlikely(READ_ONCE(vcpu->requests) | (read_thread_flags() & MULTICALL_HOST_WORK)))
		return true;
	return unlikely(apic | l2) && ((apic && (s64)(rdtsc() - apic) >= 0) || (l2 && (s64)(rdtsc() - l2) >= 0));
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
		/* The general path tells why it cannot be read. */
		op = multicall_load_3(e, &fn, &index);
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

	if (unlikely(!user_read_access_begin(e, sizeof(*e))))
		return false;
	op = multicall_load_3(e, &fn, &index);
	user_read_access_end();
	return op == DROSTE_OP_CPUID && cpuid_remember(vcpu, cpuid_kept(vcpu, fn, index), fn, index);
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
 * dirty, and tells what is wrong. What is remembered is right without a look at the slots: see struct list_hint.
 */
static __always_inline bool multicall_short_list(struct vcpu *vcpu, struct multicall *m, u64 gpa)
{
	struct list_hint *h = &vcpu->list_hint;

	if (unlikely(current->mm != vcpu->vm->mm || h->page != LIST_PAGE(gpa)))
		return false;
	m->list = (void __user *)(h->hva + offset_in_page(gpa));
	return true;
}

/**
 * multicall_short() - carry out operations of a list in the short loop
 * @vcpu: in L1, has just exited by VMCALL; no register is cached
 *
 * If something is due before the end, the list says how far it has got, and the
 * guest is still at the VMCALL. A guest mostly makes the same kind of list: after one that was not for the short loop,
 * the caller does not try the next one here (vcpu->list_is_long).
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

	/* With a breakpoint or a debugger, vcpu_repeat_instruction() has something to do. */
	if ((gpa & 7) || unlikely((vcpu->dr7 & DR7_ACTIVE) | vcpu->guest_debug) ||
	    !multicall_is_one(vcpu) || !short_next_rip(&next))
		return false;
	/* The processor walks the host's page tables for this: see vmx/l1d.c. */
	vcpu->l1d_due = true;
	pagefault_disable();
	if (likely(multicall_short_list(vcpu, &m, gpa)))
		done = multicall_run_short(vcpu, &m, PAGE_SIZE - offset_in_page(gpa));
	pagefault_enable();
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

/* Read the head of a list. Returns false if that fails. */
static __always_inline bool multicall_read_head(const struct multicall *m, u64 *head)
{
	const u64 __user *from = (const u64 __user *)m->list;

	if (unlikely(!user_read_access_begin(from, sizeof(*from))))
		return false;
	unsafe_get_user(*head, from, failed);
	user_read_access_end();
	return true;
failed:
	user_read_access_end();
	return false;
}

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
		/* A controller, or whoever hears an ioeventfd, requests a look at events. */
		if (!emul_out(vcpu, op->a[0], op->a[1], op->a[2]))
			*flags = OP_USER;
		return 0;
	}
	if (op->op == KVM_HC_SEND_IPI)
		return pv_send_ipi(vcpu, op->a[0], op->a[1], op->a[2], op->a[3], true);
	return multicall_rare(vcpu, op, fetched, flags);
}

/* Whether L1 would get the exit of a store of L2. If not, the address in @op is one of L1 afterwards. */
static noinline bool multicall_l1_takes_write(struct vcpu *vcpu, const u64 *a, u64 *a0)
{
	return multicall_mmio_ok(vcpu, a) && nested_takes_write(vcpu, a0);
}

/*
 * Whether L1 would get the exit of an operation of L2, or L0 does not carry out such operations for an L2. An operand that
 * no instruction has is not L1's: it is an error, as in L1.
 */
static __always_inline bool multicall_l1_takes(struct vcpu *vcpu, struct droste_multicall_entry *op)
{
	u64 a[2] = { op->a[0], op->a[1] }, a0 = op->a[0];
	bool takes;

	switch (op->op) {
	case DROSTE_OP_RDMSR:
	case DROSTE_OP_WRMSR:
		return !(a0 >> 32) && nested_takes_msr(vcpu, a0, op->op == DROSTE_OP_WRMSR);
	case DROSTE_OP_OUT:
		return multicall_out_ok(op->a) && nested_takes_out(vcpu, a0, op->a[1]);
	case DROSTE_OP_MMIO_WRITE:
		takes = multicall_l1_takes_write(vcpu, a, &a0);
		op->a[0] = a0;
		return takes;
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

/* Whether an interrupt of L2, or an event of L1, is due after an operation with OP_EVENTS. */
static noinline bool multicall_interrupted(struct vcpu *vcpu)
{
	if (vcpu->in_l2 && nested_has_events(vcpu))
		return true;
	return vmx_interrupt_allowed(vcpu) && irqchip_pending_vector(vcpu) >= 0;
}

static noinline void multicall_trace(struct vcpu *vcpu, u32 nr, struct droste_multicall_entry op, s64 ret)
{
	trace_droste_op(vcpu, nr, &op, ret);
}

/*
 * Carry out operations until the list ends, or something else is due. Returns the
 * error with which the call ends. *@all: the flags of all operations. If there is no error, and operations are left, the
 * call pauses. No operation changes RFLAGS or the blocking of interrupts.
 *
 * What an operation makes pending, and what comes from outside meanwhile, is a request, but for interrupts that a register
 * of the local APIC has held back: OP_EVENTS.
 */
static __always_inline s64 multicall_loop(struct vcpu *vcpu, struct multicall *m, u32 *all, const bool l2)
{
	struct droste_multicall_entry op;
	bool fetched = false, look, more;
	u32 flags;
	s64 ret;

	if (unlikely(!multicall_read(m->e, &op)))
		return DROSTE_ERR_MEMORY;
	vcpu->list_is_long = op.op != DROSTE_OP_CPUID;
	for (;;) {
		if (l2 && multicall_l1_takes(vcpu, &op))
			return DROSTE_ERR_TRAP;
		ret = multicall_op(vcpu, &op, &fetched, &flags);
		/* L1 sees the #GP of the instruction. The operation has changed nothing. */
		if (l2 && unlikely(ret == DROSTE_ERR_GP) && route_l1_takes_exception(vcpu->nested.vmcs12, X86_TRAP_GP, 0))
			return DROSTE_ERR_TRAP;
		if (trace_droste_op_enabled())
			multicall_trace(vcpu, m->done, op, ret);
		*all |= flags;
		more = m->done + 1 < m->n && !(flags & OP_USER) && !multicall_must_end(vcpu);
		look = more && unlikely(flags & OP_EVENTS);
		if (unlikely(!multicall_finish(m, &op, ret, flags, more && !look)))
			return DROSTE_ERR_MEMORY;
		if (unlikely(look)) {
			more = !multicall_interrupted(vcpu);
			if (more && unlikely(!multicall_read(m->e, &op)))
				return DROSTE_ERR_MEMORY;
		}
		if (!more)
			return 0;
	}
}

static noinline s64 multicall_loop_l1(struct vcpu *vcpu, struct multicall *m, u32 *all)
{
	return multicall_loop(vcpu, m, all, false);
}

static noinline s64 multicall_loop_l2(struct vcpu *vcpu, struct multicall *m, u32 *all)
{
	return multicall_loop(vcpu, m, all, true);
}

/* Begin with a list at an L1 guest-physical address, and carry it out. As multicall_loop(). */
static __always_inline s64 multicall_list(struct vcpu *vcpu, struct multicall *m, u64 gpa, u32 *all)
{
	const struct memslot *slot;
	u64 head;
	s64 ret;

	if (gpa & 7)
		return DROSTE_ERR_LIST;
	m->list = multicall_find(vcpu, gpa, &slot);
	if (unlikely(!m->list))
		return DROSTE_ERR_MEMORY;
	if (unlikely(!multicall_read_head(m, &head)))
		return DROSTE_ERR_MEMORY;
	if (!multicall_take_head(m, head, PAGE_SIZE - offset_in_page(gpa)))
		return DROSTE_ERR_LIST;
	if (m->done == m->n)
		return 0;
	ret = unlikely(vcpu->in_l2) ? multicall_loop_l2(vcpu, m, all) : multicall_loop_l1(vcpu, m, all);
	if (unlikely(slot))
		dirty_mark(vcpu->vm, slot, gpa >> PAGE_SHIFT);
	return ret;
}

#define MULTICALL_NOWHERE	(~7ULL)	/* an address that multicall_list() refuses */

/* L1 gets an exit if its EPT does not allow reading and writing the list: *@gpa is one of L2. As exit_vmcall(). */
static int multicall_translate(struct vcpu *vcpu, u64 *gpa)
{
	u64 l2_gpa = *gpa;
	int ret = NEXT_GO_ON;

	/* multicall_list() refuses others. */
	if (*gpa & 7 || !gpa_legal(vcpu, *gpa))
		return NEXT_GO_ON;
	if (!ept12_same_way(vcpu, gpa)) {
		ret = walk_l2_gpa(vcpu, *gpa, EPT_READ | EPT_WRITE, gpa);
		if (ret == NEXT_GO_ON)
			ept12_note_way(vcpu, l2_gpa);
	}
	/* L2 has no memory in the page in which each of its accesses is L1's. */
	if (ret == NEXT_GO_ON && nested_is_apic_page(vcpu->nested.vmcs12, *gpa))
		*gpa = MULTICALL_NOWHERE;
	return ret;
}

static int multicall_run(struct vcpu *vcpu)
{
	struct multicall m = {};
	u64 gpa = vcpu->regs[RBX];
	u32 all = 0;
	s64 err;
	int ret;

	if (unlikely(vcpu->in_l2)) {
		ret = multicall_translate(vcpu, &gpa);
		if (ret != NEXT_GO_ON)
			return ret;
	}
	err = multicall_list(vcpu, &m, gpa, &all);
	/* Operations may have called it, too. */
	if (likely(!(all & (OP_USER | OP_EVENTS))))
		vcpu_stay_calm(vcpu);
	else
		vcpu->calm = false;
	if (!err && m.done < m.n)
		vcpu_repeat_instruction(vcpu);
	else
		multicall_return(vcpu, err);
	return all & OP_USER ? NEXT_USER : NEXT_ENTER;
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
