/* SPDX-License-Identifier: GPL-2.0 */
/* Random lists of operations, each operation by its instruction, and two VMs that must end in the same state. */
#ifndef KSFT_SAMELISTS_H
#define KSFT_SAMELISTS_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "multicall.h"
#include "save.h"
#include "vm.h"
#include "vmx.h"

#define PORT_USER	0x600
#define PORT_EVENT	0x610
#define MMIO_EVENT	(MMIO_HOLE + 0x1000)
#define IOAPIC		0xfec00000ul
#define VEC_FIRST	0x30
#define TAKEN_MAX	256

/* --- the guests --- */

enum { HAS_X2APIC = 1, HAS_VMX = 2 };

static union {
	struct droste_multicall list;
	u8 page[4096];
} the __attribute__((aligned(4096)));
#define lists	(&the.list)
static u64 interrupts;		/* the list runs with interrupts enabled */
static u64 features;

/* The interrupts that were taken, and how many operations were done before each. */
static struct {
	u32 n;
	u16 at[TAKEN_MAX], vector[TAKEN_MAX];
} taken;

static void on_interrupt(struct trap_regs *r)
{
	if (taken.n < TAKEN_MAX) {
		taken.at[taken.n] = lists->done;
		taken.vector[taken.n] = r->vector;
	}
	taken.n++;
	apic_eoi();
}

/* Enables the local APIC, and notes its interrupts from now on. */
static void take_interrupts(void)
{
	u32 i;

	if (features & HAS_X2APIC)
		apic_x2_enable();
	else
		apic_enable();
	for (i = VEC_FIRST; i < 255; i++)
		g_trap_fn[i] = on_interrupt;
}

static s64 outcome(u64 f)
{
	if (f == UD)
		return DROSTE_ERR_UD;
	if (f == GP0)
		return DROSTE_ERR_GP;
	if (f == VM_INVALID)
		return DROSTE_ERR_VMFAIL(0);
	return f ? DROSTE_ERR_VMFAIL((s64)(f & 0xfff)) : 0;
}

static void store(u64 to, u64 size, u64 val)
{
	switch (size) {
	case 1:
		*(volatile u8 *)to = val;
		break;
	case 2:
		*(volatile u16 *)to = val;
		break;
	case 4:
		*(volatile u32 *)to = val;
		break;
	default:
		*(volatile u64 *)to = val;
	}
}

static void out(u16 port, u64 size, u64 val)
{
	if (size == 1)
		outb(port, val);
	else if (size == 2)
		outw(port, val);
	else
		outl(port, val);
}

/* Carries out an operation by its instruction. */
static void by_instruction(struct droste_multicall_entry *e)
{
	struct inv_desc d = { e->a[1], e->a[2] };
	u32 a, b, c, dx;
	u64 rax = e->op, val = e->a[2];

	switch (e->op) {
	case OP_SEND_IPI:
		asm volatile("vmcall" : "+a" (rax) : "b" (e->a[0]), "c" (e->a[1]), "d" (e->a[2]), "S" (e->a[3]) : "memory");
		e->ret = rax;
		break;
	case DROSTE_OP_CPUID:
		cpuid(e->a[0], e->a[1], &a, &b, &c, &dx);
		e->a[2] = (u64)b << 32 | a;
		e->a[3] = (u64)dx << 32 | c;
		e->ret = 0;
		break;
	case DROSTE_OP_RDMSR:
		e->ret = outcome(try_rdmsr(e->a[0], &val));
		if (!e->ret)
			e->a[2] = val;
		break;
	case DROSTE_OP_WRMSR:
		e->ret = outcome(try_wrmsr(e->a[0], e->a[1]));
		break;
	case DROSTE_OP_OUT:
		out(e->a[0], e->a[1], e->a[2]);
		e->ret = 0;
		break;
	case DROSTE_OP_MMIO_WRITE:
		store(e->a[0], e->a[1], e->a[2]);
		e->ret = 0;
		break;
	case DROSTE_OP_VMREAD:
		e->ret = outcome(try_vmread(e->a[0], &val));
		e->a[2] = val;
		break;
	case DROSTE_OP_VMWRITE:
		e->ret = outcome(try_vmwrite(e->a[0], e->a[1]));
		break;
	case DROSTE_OP_INVEPT:
		e->ret = outcome(invept(e->a[0], d));
		break;
	case DROSTE_OP_INVVPID:
		e->ret = outcome(invvpid(e->a[0], d));
		break;
	}
}

/* --- random operations --- */

static u64 seed = 1, nr_lists = 400, state;

static u64 rnd(u64 n)
{
	return next_random(&state) % n;
}

static u64 rnd_val(void)
{
	switch (rnd(6)) {
	case 0:
		return rnd(4);
	case 1:
		return rnd(256);
	case 2:
		return (s64)next_random(&state) >> 17;	/* canonical */
	case 3:
		return BIT(rnd(64));
	default:
		return next_random(&state);
	}
}

#define PICK(array)	((array)[rnd(ARRAY_SIZE(array))])

static inline void op_cpuid(struct droste_multicall_entry *e)
{
	static const u32 fns[] = {
		0, 1, 2, 4, 7, 0xb, 0xd, 0x15, 0x16, 0x40000000, 0x40000001, 0x40000100, 0x40000102, 0x80000000, 0x80000001,
		0x80000008, 0xffffffff,
	};

	e->op = DROSTE_OP_CPUID;
	e->a[0] = PICK(fns) | (rnd(8) ? 0 : next_random(&state) << 32);
	e->a[1] = rnd(3) ? 0 : rnd(6);
}

#define X2(reg)	(0x800 + (reg))

/* MSRs that do not depend on time, and that leave the guest able to go on. */
static const u32 msrs[] = {
	MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_PAT, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_FS_BASE,
	MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_TSC_AUX, MSR_DEBUGCTL, 0x200, 0x201, 0x20f, 0x250, 0x258, 0x268, 0x2ff, 0x17a, 0x17b,
	0x400, 0x401, 0x402, 0x280, 0x79, 0x8b, 0xce, 0xfe, 0x17, 0x1fc, 0x3a, 0x480, 0x48b, 0x12345, 0xc0001234, 0xc0010015, 0xda0,
	X2(2), X2(3), X2(8), X2(0xa), X2(0xd), X2(0xf), X2(0x10), X2(0x20), X2(0x21), X2(0x28),
};

static inline void op_rdmsr(struct droste_multicall_entry *e)
{
	e->op = DROSTE_OP_RDMSR;
	e->a[0] = rnd(6) ? PICK(msrs) : rnd(2) ? MSR_EFER : rnd(2) ? MSR_APIC_BASE : MSR_MISC_ENABLE;
}

static inline void op_wrmsr(struct droste_multicall_entry *e)
{
	static const u64 misc[] = { 0x1, 0x1801, 0x401801, 0x401800, 0x8, 0x400000001801, 0xffffffff };
	static const u64 efers[] = { 0xd01, 0xd00, 0x501, 0x500, 0x1d01, 0 };

	e->op = DROSTE_OP_WRMSR;
	switch (rnd(9)) {
	case 0:		/* an IPI to itself; some vectors are illegal */
		e->a[0] = X2(0x30);
		e->a[1] = 1 << 18 | (rnd(8) ? VEC_FIRST + rnd(0x40) : rnd(16));
		break;
	case 1:
		e->a[0] = X2(0x3f);
		e->a[1] = rnd(8) ? VEC_FIRST + rnd(0x40) : rnd(16);
		break;
	case 2:		/* EOI, TPR */
		e->a[0] = rnd(2) ? X2(0xb) : X2(8);
		e->a[1] = rnd(4) ? rnd(16) << 4 : 0;
		break;
	case 3:		/* local vectors, masked */
		e->a[0] = X2(0x32 + rnd(6));
		e->a[1] = 1 << 16 | rnd(256);
		break;
	case 4:
		e->a[0] = MSR_MISC_ENABLE;
		e->a[1] = PICK(misc);
		break;
	case 5:
		e->a[0] = MSR_EFER;
		e->a[1] = PICK(efers);
		break;
	default:
		do
			e->a[0] = PICK(msrs);
		while (e->a[0] == X2(0xf));	/* the APIC could be disabled */
		e->a[1] = rnd_val();
		/* In VMX operation WRMSR does not exit, and the processor decides about bits 63:32. */
		if (e->a[0] == MSR_FMASK)
			e->a[1] = (u32)e->a[1];
	}
}

static const u16 op_ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, PORT_USER, PORT_EVENT, 0x80, 0xffff };

static inline void op_out(struct droste_multicall_entry *e)
{
	e->op = DROSTE_OP_OUT;
	e->a[0] = PICK(op_ports);
	e->a[1] = 1 << (e->a[0] < PORT_USER && rnd(4) ? 0 : rnd(3));
	e->a[2] = rnd_val();
}

static inline void op_mmio(struct droste_multicall_entry *e)
{
	u64 size = 1 << rnd(4);

	e->op = DROSTE_OP_MMIO_WRITE;
	e->a[2] = rnd_val();
	switch (rnd(4)) {
	case 0:
		e->a[0] = MMIO_HOLE + rnd(4096 - 8);
		break;
	case 1:
		e->a[0] = MMIO_EVENT;
		break;
	case 2:		/* no ExtINT, NMI and INIT, and masked */
		e->a[0] = IOAPIC + (rnd(2) ? 0 : 0x10);
		size = 4;
		e->a[2] = e->a[0] == IOAPIC ? rnd(64) : 1 << 16 | rnd(2) << 15 | VEC_FIRST | rnd(64);
		break;
	default:
		e->a[0] = APIC_BASE + (rnd(2) ? APIC_TPR : rnd(2) ? APIC_EOI : APIC_ICR);
		size = 4;
		e->a[2] = e->a[0] == APIC_BASE + APIC_ICR ? 1 << 18 | (VEC_FIRST + rnd(0x40)) : rnd(8) << 4;
	}
	e->a[1] = size;
}

static inline void op_ipi(struct droste_multicall_entry *e)
{
	e->op = OP_SEND_IPI;
	e->a[0] = rnd(4);
	e->a[1] = rnd(2) ? 0 : rnd_val();
	e->a[2] = rnd(4) ? 0 : rnd(3);
	e->a[3] = rnd(6) ? VEC_FIRST + rnd(0x40) : rnd(16) | 1 << 18;
}

static inline void op_vmcs(struct droste_multicall_entry *e)
{
	static const u16 fields[] = {
		F_VPID, F_GUEST_ES, F_GUEST_TR, F_HOST_CS, F_IO_BITMAP_A, F_MSR_BITMAP, F_TSC_OFFSET, F_TSC_OFFSET + 1, F_EPTP,
		F_GUEST_PHYSICAL, F_LINK_POINTER, F_GUEST_DEBUGCTL, F_GUEST_PAT, F_GUEST_EFER, F_HOST_PAT, F_PIN, F_PROC,
		F_EXCEPTION_BITMAP, F_PF_MASK, F_CR3_TARGETS, F_EXIT_CTLS, F_ENTRY_CTLS, F_ENTRY_INTR_INFO, F_ENTRY_ERROR, F_ENTRY_ILEN,
		F_TPR_THRESHOLD, F_PROC2, F_INSN_ERROR, F_REASON, F_ILEN, F_CS_LIMIT, F_CS_AR, F_SS_AR, F_INTERRUPTIBILITY, F_ACTIVITY,
		F_TIMER, F_CR0_MASK, F_CR4_SHADOW, F_QUAL, F_LINEAR, F_GUEST_CR0, F_GUEST_CR3, F_GUEST_CR4, F_FS_BASE, F_GDTR_BASE,
		F_GUEST_DR7, F_RSP, F_RIP, F_RFLAGS, F_PENDING_DBG, F_HOST_CR3, F_HOST_RSP, F_HOST_RIP, F_HOST_SYSENTER_EIP, 0x7ffe, 0x6c18,
	};

	e->op = rnd(2) ? DROSTE_OP_VMREAD : DROSTE_OP_VMWRITE;
	e->a[0] = PICK(fields) | (rnd(40) ? 0 : BIT(rnd(64)));
	e->a[1] = rnd_val();
}

static inline void op_inv(struct droste_multicall_entry *e)
{
	e->op = rnd(2) ? DROSTE_OP_INVEPT : DROSTE_OP_INVVPID;
	e->a[0] = rnd(6) ? rnd(5) : rnd_val();
	e->a[1] = rnd(2) ? rnd(4) : rnd_val();
	e->a[2] = rnd_val();
}

typedef void (*make_op)(struct droste_multicall_entry *e);

/* A list of random length, of all kinds of operations or of the first two. */
static inline void make_list(struct droste_multicall *list, const make_op *kinds, u64 nr_kinds)
{
	u32 i, same = rnd(3);

	memset(list, 0, 4096);
	list->n = rnd(4) ? rnd(9) : rnd(65);
	for (i = 0; i < list->n; i++) {
		list->e[i].ret = 0x55;
		kinds[same ? rnd(nr_kinds) : rnd(2)](&list->e[i]);
	}
}

/* --- the comparison --- */

#define LOG_MAX	128

struct side {
	struct vm vm;
	struct vcpu *vcpu;
	struct droste_multicall *list;
	int event[2];
	struct {
		u32 n;
		struct {
			u64 what, addr, size, data;
		} e[LOG_MAX];
	} log;
};

static struct side sides[2];	/* by instructions, by the hypercall */
static struct kvm_msr_list *all_msrs;

static int event_at(struct vm *vm, u64 addr, u32 flags)
{
	struct kvm_ioeventfd e = { .addr = addr, .len = flags ? 1 : 4, .flags = flags, .fd = eventfd(0, EFD_NONBLOCK) };

	DO(vm->fd, KVM_IOEVENTFD, &e);
	return e.fd;
}

static void side_create(struct side *s, void (*fn)(void), u64 has)
{
	vm_create(&s->vm, KSFT_IRQCHIP);
	s->vcpu = vcpu_create(&s->vm, 0, fn);
	multicall_offer(s->vcpu, OFFER_BEHIND_KVM);	/* KVM's hypercall is an operation, too */
	GUEST(&s->vm, features) = has;
	s->list = (void *)(s->vm.mem + (uintptr_t)lists);
	s->event[0] = event_at(&s->vm, PORT_EVENT, KVM_IOEVENTFD_FLAG_PIO);
	s->event[1] = event_at(&s->vm, MMIO_EVENT, 0);
	vcpu_run_to_sync(s->vcpu, 1);
}

static void describe_list(const struct droste_multicall *list)
{
	u32 i;

	for (i = 0; i < list->n; i++) {
		const struct droste_multicall_entry *e = &list->e[i];

		ksft_diag("  %u: op %#llx, %#llx %#llx %#llx %#llx, result %lld", i, (unsigned long long)e->op, (unsigned long long)e->a[0],
			  (unsigned long long)e->a[1], (unsigned long long)e->a[2], (unsigned long long)e->a[3], (long long)e->ret);
	}
}

/* Runs a list, and notes the exits to user space. */
static void side_run(struct side *s)
{
	struct kvm_run *run = s->vcpu->run;
	u64 args[4];

	memset(&s->log, 0, sizeof(s->log));
	while (vcpu_run_to_call(s->vcpu, args) == GCALL_NONE) {
		u32 n = s->log.n++;

		MUST(n < LOG_MAX, "too many exits");
		s->log.e[n].what = run->exit_reason;
		if (run->exit_reason == KVM_EXIT_IO) {
			s->log.e[n].addr = run->io.port;
			s->log.e[n].size = run->io.size;
			memcpy(&s->log.e[n].data, (u8 *)run + run->io.data_offset, run->io.size);
		} else if (run->exit_reason == KVM_EXIT_MMIO) {
			s->log.e[n].addr = run->mmio.phys_addr;
			s->log.e[n].size = run->mmio.len;
			memcpy(&s->log.e[n].data, run->mmio.data, 8);
		} else {
			describe_exit(s->vcpu);
			describe_list(s->list);
			MUST(false, "an exit of the VM that executes %s", s == sides ? "instructions" : "the hypercall");
		}
	}
}

struct picture {
	struct kvm_lapic_state lapic;
	struct kvm_irqchip chip[3];
	struct kvm_sregs sregs;
	u64 msr[MAX_MSRS], events[2];
	union nested_state nested;
};

static void take_picture(struct side *s, struct picture *p)
{
	static struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[MAX_MSRS];
	} m;
	u32 i;

	memset(p, 0, sizeof(*p));
	DO(s->vcpu->fd, KVM_GET_LAPIC, &p->lapic);
	for (i = 0; i < 3; i++) {
		p->chip[i].chip_id = i;
		DO(s->vm.fd, KVM_GET_IRQCHIP, &p->chip[i]);
	}
	vcpu_sregs(s->vcpu, &p->sregs);
	for (i = 0; i < 2; i++)
		if (read(s->event[i], &p->events[i], 8) != 8)
			p->events[i] = 0;
	memset(&m, 0, sizeof(m));
	for (i = 0; i < all_msrs->nmsrs && m.head.nmsrs < MAX_MSRS; i++)
		if (all_msrs->indices[i] != MSR_TSC)
			m.e[m.head.nmsrs++].index = all_msrs->indices[i];
	DO(s->vcpu->fd, KVM_GET_MSRS, &m);
	for (i = 0; i < m.head.nmsrs; i++)
		p->msr[i] = m.e[i].data;
	nested_get(s->vcpu, &p->nested);
}

static void same(const void *a, const void *b, u64 size, const char *what, u64 nr)
{
	const u8 *x = a, *y = b;
	u64 i;

	if (!memcmp(a, b, size))
		return;
	for (i = 0; i < size; i++) {
		if (x[i] == y[i])
			continue;
		ksft_fail(__FILE__, __LINE__, "list %llu of seed %llu: %s, byte %#llx: %#x by instructions, %#x by the hypercall",
			  (unsigned long long)nr, (unsigned long long)seed, what, (unsigned long long)i, x[i], y[i]);
		return;
	}
}

#define SAME(member, what)	same(&a->member, &b->member, sizeof(a->member), what, nr)

/* What two VMs do, and what they must have in common besides what is compared always. */
struct same_test {
	void (*guest[2])(void);		/* of the VM with instructions, and of the one with the hypercall */
	u64 has;			/* features */
	const make_op *kinds;
	u64 nr_kinds;
	void (*choose)(void);		/* called before each list, when both VMs have it */
	void (*compare)(const struct picture *a, const struct picture *b, u64 nr);
};

static void compare_always(const struct picture *a, const struct picture *b, u64 nr)
{
	const struct side *s = sides;

	same(s[0].list, s[1].list, 4096, "the list", nr);
	same(&s[0].log, &s[1].log, sizeof(s[0].log), "exits to user space", nr);
	same(&GUEST(&s[0].vm, taken), &GUEST(&s[1].vm, taken), sizeof(taken), "interrupts taken", nr);
	SAME(lapic, "the local APIC");
	SAME(chip, "the interrupt controllers");
	SAME(sregs, "special registers");
	SAME(msr, "MSRs");
	SAME(events, "ioeventfds");
}

static void same_lists(const struct same_test *t, u64 count)
{
	static u8 page[4096] __attribute__((aligned(8)));
	static struct picture a, b;
	u64 nr, on;
	u32 i;

	state = seed * 0x9e3779b97f4a7c15 + t->has + 1;
	for (i = 0; i < 2; i++)
		side_create(&sides[i], t->guest[i], t->has);
	all_msrs = calloc(1, sizeof(*all_msrs) + MAX_MSRS * 4);
	all_msrs->nmsrs = MAX_MSRS;
	DO(sides[0].vm.dev, KVM_GET_MSR_INDEX_LIST, all_msrs);
	for (nr = 0; nr < count && !ksft_failures(); nr++) {
		make_list((void *)page, t->kinds, t->nr_kinds);
		on = rnd(2);
		for (i = 0; i < 2; i++) {
			memcpy(sides[i].list, page, sizeof(page));
			GUEST(&sides[i].vm, interrupts) = on;
			memset(&GUEST(&sides[i].vm, taken), 0, sizeof(taken));
		}
		if (t->choose)
			t->choose();
		for (i = 0; i < 2; i++)
			side_run(&sides[i]);
		take_picture(&sides[0], &a);
		take_picture(&sides[1], &b);
		compare_always(&a, &b, nr);
		t->compare(&a, &b, nr);
		/* The lab takes a machine that is silent for long for one that hangs. */
		if (nr % 250 == 249)
			ksft_diag("%llu lists so far", (unsigned long long)nr + 1);
	}
	if (ksft_failures())
		for (i = 0; i < 2; i++)
			describe_list(sides[i].list);
	ksft_diag("%llu lists", (unsigned long long)nr);
}

static const struct ksft_option same_options[] = {
	{ "--seed", &seed, NULL, "the seed of the random lists" },
	{ "--lists", &nr_lists, NULL, "how many lists to run" },
};

#endif
