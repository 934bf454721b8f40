// SPDX-License-Identifier: GPL-2.0
/* Machine checks that user space raises (KVM_X86_SET_MCE) beside other events, in L1 and in L2. SDM 3A table 6-2, 3B 16.3. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "guest.h"
#include "save.h"
#include "vm.h"
#include "vmx.h"

#define VEC_MC	18
#define VEC_IRQ	0x41
#define MCG_STATUS 0x17a

static volatile u64 mces, irqs;
static volatile u8 beside;	/* the vector of the event beside the machine check */
static volatile u64 mce_rip;	/* where the last machine check came */

static void on_mce(struct trap_regs *r)
{
	mces++;
	mce_rip = r->rip;
	wrmsr(MCG_STATUS, 0);	/* none in progress */
}

static void on_interrupt(struct trap_regs *r)
{
	irqs++;
}

static void mce_setup(struct vcpu *vcpu)
{
	u64 cap = 4;

	DO(vcpu->fd, KVM_X86_SETUP_MCE, &cap);
}

/* Raises an uncorrected error of bank 0, whose address is not given. */
static void mce_raise(struct vcpu *vcpu)
{
	struct kvm_x86_mce mce = { .status = BIT(63) | BIT(61) | BIT(60) | BIT(56) | 0x134, .mcg_status = BIT(2) | BIT(0) };

	DO(vcpu->fd, KVM_X86_SET_MCE, &mce);
}

/* Makes an interrupt, or an NMI, the event that the next entry injects. */
static void inject(struct vcpu *vcpu, u8 vector)
{
	struct kvm_vcpu_events e;

	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	if (vector == VEC_NMI) {
		e.nmi.injected = 1;
	} else {
		e.interrupt.injected = 1;
		e.interrupt.nr = vector;
	}
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
}

/* --- beside an event that the next entry injects --- */

static void guest_beside(void)
{
	write_cr4(read_cr4() | CR4_MCE);
	g_trap_fn[VEC_MC] = on_mce;
	g_trap_fn[beside] = on_interrupt;
	sti();
	g_sync(1);
	asm volatile("nop");
	cli();
	G_EQ(mces, 1, "machine checks");
	G_EQ(irqs, 1, "the other event");
}

/*
 * A processor that has acknowledged an interrupt delivers it, and takes a machine check that comes then at the next
 * boundary between instructions. The machine check does not come from the delivery, and does not take its place.
 * KVM 6.12 and 7.2 lose the interrupt.
 */
static void run_beside(u8 vector, bool save, bool payload)
{
	struct kvm_vcpu_events e;
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	if (payload)
		MUST(!vm_enable_cap(&vm, KVM_CAP_EXCEPTION_PAYLOAD, 1), "KVM_CAP_EXCEPTION_PAYLOAD");
	vcpu = vcpu_create(&vm, 0, guest_beside);
	mce_setup(vcpu);
	GUEST(&vm, beside) = vector;
	vcpu_run_to_sync(vcpu, 1);
	inject(vcpu, vector);
	mce_raise(vcpu);
	if (save) {
		DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
		EQ(e.exception.nr, VEC_MC, "the exception");
		EQ(vector == VEC_NMI ? e.nmi.injected : e.interrupt.injected, 1, "the other event");
		DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
	}
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_beside(void)
{
	run_beside(VEC_IRQ, false, false);
	run_beside(VEC_NMI, false, false);
	run_beside(VEC_IRQ, true, false);
	run_beside(VEC_IRQ, true, true);
	run_beside(VEC_NMI, true, true);
}

/* The API has room for one exception: a machine check takes the place of a fault, which its instruction raises again. */
static void guest_fault(void)
{
	write_cr4(read_cr4() | CR4_MCE);
	g_trap_fn[VEC_MC] = on_mce;
	g_trap_fn[VEC_GP] = on_interrupt;
	g_sync(1);
	asm volatile("nop");
	G_EQ(mces, 1, "machine checks");
}

static void host_fault(void)
{
	struct kvm_vcpu_events e;
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_fault);
	mce_setup(vcpu);
	vcpu_run_to_sync(vcpu, 1);
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	e.exception.injected = 1;
	e.exception.nr = VEC_GP;
	e.exception.has_error_code = 1;
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
	mce_raise(vcpu);
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	EQ(e.exception.nr, VEC_MC, "the exception");
	EQ(e.exception.has_error_code, 0, "error code");
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
	vcpu_run_to_end(vcpu);
	EQ(GUEST(&vm, irqs), 0, "faults");
	vm_destroy(&vm);
}

/* --- while L2 runs --- */

#define INTR(vec, type)	(1ul << 31 | (u64)(type) << 8 | (vec))

static volatile u64 intercepts;	/* the exceptions that L1 intercepts */
static volatile u64 l2_limit;	/* the limit of L2's IDT */
static volatile u64 l1_mces;	/* machine checks that L1's handler should see */
static volatile u64 exits[4];	/* the interruption information of the exits that L1 should see, 0 for VMCALL */
static volatile u64 vectoring;	/* IDT-vectoring information of the first exit */

static void l2_wait(void)
{
	g_sync(1);
	asm volatile("nop; nop; vmcall" : : : "memory");
}

static void guest_l2(void)
{
	u64 i;

	write_cr4(read_cr4() | CR4_MCE);
	vmcs_new(l2_wait);
	g_trap_fn[VEC_MC] = on_mce;
	g_trap_fn[VEC_IRQ] = on_interrupt;
	vmset(F_RFLAGS, RFLAGS_IF);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)g_page());
	vmwrite(F_EXCEPTION_BITMAP, intercepts);
	if (l2_limit)
		vmwrite(F_IDTR_LIMIT, l2_limit);
	for (i = 0; i < ARRAY_SIZE(exits); i++) {
		if (!exits[i]) {
			vmx_expect(R_VMCALL, "L2's end");
			break;
		}
		vmx_expect(R_EXCEPTION, "an exception of L2");
		G_EQN(vmread(F_INTR_INFO), exits[i], "interruption information", i);
		if (i == 0)
			G_EQ(vmread(F_IDT_INFO), vectoring, "IDT-vectoring information");
		G_EQ(mces, l1_mces, "machine checks after the exit");
		/* L1 drops what it was told, and L2 goes on. */
		vmwrite(F_IDTR_LIMIT, 0xfff);
	}
}

struct l2_row {
	const char *what;
	bool irq;
	u64 intercepts, limit, exits[2], vectoring, l1_mces, l2_mces, irqs;
};

static void host_l2(void)
{
	static const struct l2_row rows[] = {
		{ "nothing else", .l2_mces = 1 },
		{ "nothing else, L1 intercepts #MC", .intercepts = BIT(VEC_MC), .exits = { INTR(VEC_MC, 3) } },
		{ "an interrupt", .irq = true, .l2_mces = 1, .irqs = 1 },
		{ "an interrupt, L1 intercepts #MC", .irq = true, .intercepts = BIT(VEC_MC), .exits = { INTR(VEC_MC, 3) }, .irqs = 1 },
		/* L1's handler gets it: it is the processor's, not L2's. */
		{ "an interrupt whose delivery ends in L1", .irq = true, .intercepts = BIT(VEC_GP), .limit = 16 * 32 - 1,
		  .exits = { INTR(VEC_GP, 3) | BIT(11) }, .vectoring = INTR(VEC_IRQ, 0), .l1_mces = 1, .l2_mces = 1 },
	};
	const struct l2_row *r;
	struct vcpu *vcpu;
	struct vm vm;

	for (r = rows; r < rows + ARRAY_SIZE(rows); r++) {
		ksft_diag("%s", r->what);
		vcpu = vmx_vm(&vm, guest_l2);
		mce_setup(vcpu);
		GUEST(&vm, intercepts) = r->intercepts;
		GUEST(&vm, l2_limit) = r->limit;
		GUEST(&vm, exits)[0] = r->exits[0];
		GUEST(&vm, exits)[1] = r->exits[1];
		GUEST(&vm, vectoring) = r->vectoring;
		GUEST(&vm, l1_mces) = r->l1_mces;
		vcpu_run_to_sync(vcpu, 1);
		if (r->irq)
			inject(vcpu, VEC_IRQ);
		mce_raise(vcpu);
		vcpu_run_to_end(vcpu);
		EQ(GUEST(&vm, mces), r->l2_mces, "machine checks handled");
		EQ(GUEST(&vm, irqs), r->irqs, "interrupts");
		vm_destroy(&vm);
	}
}

static const struct ksft_test tests[] = {
	{ "a machine check beside an interrupt or NMI", .host = host_beside },
	{ "a machine check and a fault are saved", .host = host_fault },
	{ "a machine check while L2 runs", .host = host_l2 },
};
KSFT_MAIN(tests)
