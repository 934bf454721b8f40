// SPDX-License-Identifier: GPL-2.0
/*
 * Random lists of operations, by the hypercall in one VM and by instructions in another: afterwards both have the same
 * results, MSRs, devices, VMCS and memory, and have taken the same interrupts between the same operations; L1 only.
 */
#define _GNU_SOURCE
#include "samelists.h"

/* Between an operation and its result there is no interrupt: the hypercall has none there, either. */
static void list_by_instructions(void)
{
	u32 i;

	for (i = 0; i < lists->n; i++) {
		cli();
		by_instruction(&lists->e[i]);
		lists->done = i + 1;
		if (interrupts)
			sti_nop_cli();
	}
}

static void list_by_hypercall(void)
{
	G_EQ(multicall(lists), 0, "the result");
}

static void prepare(void)
{
	take_interrupts();
	if (features & HAS_VMX) {
		vmx_on();
		vmcs_new(prepare);
	}
}

static void run_lists(void (*run)(void))
{
	prepare();
	for (;;) {
		g_sync(1);
		if (interrupts)
			sti();
		run();
		cli();
	}
}

static void guest_instructions(void)
{
	run_lists(list_by_instructions);
}

static void guest_hypercall(void)
{
	run_lists(list_by_hypercall);
}

static void compare(const struct picture *a, const struct picture *b, u64 nr)
{
	SAME(nested, "nested state");
	if (nr % 64 == 0)
		same(sides[0].vm.mem + HEAP, sides[1].vm.mem + HEAP, 64 * 4096, "memory", nr);
}

static void host_same(u64 has)
{
	static const make_op kinds[] = {
		op_cpuid, op_cpuid, op_rdmsr, op_wrmsr, op_wrmsr, op_out, op_mmio, op_ipi, op_vmcs, op_vmcs, op_inv,
	};
	const struct same_test t = {
		.guest = { guest_instructions, guest_hypercall },
		.has = has,
		.kinds = kinds,
		.nr_kinds = ARRAY_SIZE(kinds),
		.compare = compare,
	};

	same_lists(&t, nr_lists / 2);
}

static void host_x2apic(void)
{
	host_same(HAS_X2APIC | HAS_VMX);
}

static void host_xapic(void)
{
	host_same(0);
}

/* --- an interrupt of the PIC --- */

#define PIC_BASE	0x40
#define PIC_LINE	5

/* OUT lets the PIC's interrupt through, which comes before the next operation. Nothing else looks at the PIC meanwhile. */
static void guest_pic(void)
{
	u64 i;

	apic_enable();
	apic_write(APIC_LVTLINT0, 7 << 8);	/* ExtINT */
	outb(0x20, 0x11);
	outb(0x21, PIC_BASE);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0x21, 0xff);
	g_trap_fn[PIC_BASE + PIC_LINE] = on_interrupt;
	for (i = 0; i < 4; i++) {
		g_sync(1);
		lists->n = lists->done = 0;
		taken.n = 0;
		while (lists->n < 6)
			if (lists->n == i)
				multicall_add(lists, DROSTE_OP_OUT, 0x21, 1, (u8)~BIT(PIC_LINE));
			else
				multicall_add(lists, DROSTE_OP_WRMSR, MSR_CSTAR, i, 0);
		sti();
		G_EQ(multicall(lists), 0, "the result");
		cli();
		G_EQ(lists->done, 6, "all are done");
		G_EQ(taken.n, 1, "one interrupt");
		G_EQ(taken.at[0], i + 1, "operations before it");
		outb(0x20, 0x20);
		outb(0x21, 0xff);
	}
}

static void host_pic(void)
{
	struct kvm_irq_level level = { .irq = PIC_LINE };
	struct vcpu *vcpu;
	struct vm vm;
	u32 i;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_pic);
	multicall_offer(vcpu, OFFER_PLAIN);
	/* An edge for each list. */
	for (i = 0; i < 4; i++) {
		vcpu_run_to_sync(vcpu, 1);
		for (level.level = 0; level.level < 2; level.level++)
			DO(vm.fd, KVM_IRQ_LINE, &level);
	}
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "x2APIC, in VMX operation", .host = host_x2apic },
	{ "xAPIC", .host = host_xapic },
	{ "an interrupt of the PIC between operations", .host = host_pic },
};

int main(int argc, char **argv)
{
	if (!ksft_options(argc, argv, same_options, ARRAY_SIZE(same_options)))
		return 2;
	return ksft_main(tests, ARRAY_SIZE(tests));
}
