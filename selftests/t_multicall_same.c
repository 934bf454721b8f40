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
	u32 i;

	if (features & HAS_X2APIC)
		apic_x2_enable();
	else
		apic_enable();
	for (i = VEC_FIRST; i < 255; i++)
		g_trap_fn[i] = on_interrupt;
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

static const struct ksft_test tests[] = {
	{ "x2APIC, in VMX operation", .host = host_x2apic },
	{ "xAPIC", .host = host_xapic },
};

int main(int argc, char **argv)
{
	if (!ksft_options(argc, argv, same_options, ARRAY_SIZE(same_options)))
		return 2;
	return ksft_main(tests, ARRAY_SIZE(tests));
}
