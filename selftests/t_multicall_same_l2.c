// SPDX-License-Identifier: GPL-2.0
/*
 * Random lists of operations of an L2, by the hypercall that L1 has delegated to it in one VM, and by instructions in another:
 * afterwards both have the same results, MSRs and devices, and have taken the same interrupts between the same operations. L1
 * intercepts some of the operations, others for each list, and has seen the same exits in both.
 */
#define _GNU_SOURCE
#include "samelists.h"

#define L2_READY	0x10ul	/* RAX of a VMCALL of L2 */
#define SEEN_MAX	512

/* What L1 intercepts. User space chooses it for each list, and fills the bitmaps. */
static struct {
	u64 gp, extint, ack;
	u64 no_rights[3];	/* of the pages below: EPT_R and EPT_W as they are missing */
} takes;
static const u64 pages[] = { MMIO_HOLE, MMIO_EVENT, IOAPIC };
static u8 msr_map[4096] __attribute__((aligned(4096)));
static u8 io_map[8192] __attribute__((aligned(4096)));

/* The exits that L1 has seen, and how many operations were done or begun before each. */
static struct {
	u32 n;
	struct {
		u64 at, reason, qual, info, gpa, rax, rcx, rdx;
	} e[SEEN_MAX];
} seen;

/* --- L2 --- */

static void l2_prepare(void)
{
	g_sync(1);
	asm volatile("vmcall" : : "a" (L2_READY) : "memory");
	if (interrupts)
		sti();
}

/* An operation counts as done when it has begun, so that all that interrupts it finds the same number in both VMs. */
static void l2_one(void)
{
	struct droste_multicall_entry *e = &lists->e[lists->done];

	cli();
	lists->done++;
	by_instruction(e);
	if (interrupts)
		sti_nop_cli();
}

static void l2_instructions(void)
{
	for (;;) {
		l2_prepare();
		while (lists->done < lists->n)
			l2_one();
		cli();
	}
}

/* L1 gets the instruction of an operation that it intercepts. */
static void l2_hypercall(void)
{
	for (;;) {
		l2_prepare();
		while (lists->done < lists->n) {
			s64 ret = multicall(lists);

			if (ret) {
				G_EQ(ret, DROSTE_ERR_TRAP, "the result");
				l2_one();
			}
			if (interrupts)
				sti();
		}
		cli();
	}
}

/* --- L1 --- */

static u64 l1_eptp;

static void l1_configure(void)
{
	u64 i;

	vmwrite(F_EXCEPTION_BITMAP, takes.gp ? BIT(VEC_GP) : 0);
	vmclr(F_PIN, PIN_EXTINT);
	vmclr(F_EXIT_CTLS, EXIT_ACK);
	if (takes.extint)
		vmset(F_PIN, PIN_EXTINT);
	if (takes.extint && takes.ack)
		vmset(F_EXIT_CTLS, EXIT_ACK);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		*ept_entry(l1_eptp, pages[i], 1) = pages[i] | ((EPT_R | EPT_W) & ~takes.no_rights[i]);
	invept_all();
}

static void l1_note(u64 reason)
{
	u32 n = seen.n++;

	G_MUST(n < SEEN_MAX, "too many exits to L1");
	seen.e[n].at = lists->done;
	seen.e[n].reason = reason;
	seen.e[n].qual = vmread(F_QUAL);
	seen.e[n].info = reason == R_EXCEPTION || reason == R_EXTINT ? vmread(F_INTR_INFO) : 0;
	seen.e[n].gpa = reason == R_EPT_VIOLATION ? vmread(F_GUEST_PHYSICAL) : 0;
	if (reason == R_IO)
		seen.e[n].rax = l2.rax & ((2ul << (8 * (seen.e[n].qual & 7) + 7)) - 1);
	else if (reason == R_VMCALL || reason == R_CPUID || reason == R_WRMSR)
		seen.e[n].rax = l2.rax;
	if (reason == R_RDMSR || reason == R_CPUID || reason == R_WRMSR)
		seen.e[n].rcx = l2.rcx;
	if (reason == R_WRMSR)
		seen.e[n].rdx = l2.rdx;
}

static void l1_handle(u64 reason)
{
	u32 a, b, c, d;

	switch (reason) {
	case R_EXTINT:
		/* Without "acknowledge interrupt on exit", it is still pending. */
		if (takes.ack)
			apic_eoi();
		else
			sti_nop_cli();
		return;
	case R_EXCEPTION:
		vmwrite(F_ENTRY_INTR_INFO, vmread(F_INTR_INFO));
		vmwrite(F_ENTRY_ERROR, vmread(F_INTR_ERROR));
		return;
	case R_CPUID:
		cpuid(l2.rax, l2.rcx, &a, &b, &c, &d);
		l2.rax = a;
		l2.rbx = b;
		l2.rcx = c;
		l2.rdx = d;
		break;
	case R_RDMSR:
		l2.rax = (u32)l2.rcx * 5;
		l2.rdx = 7;
		break;
	case R_VMCALL:
		l2.rax = 0x1234;
		break;
	case R_WRMSR:
	case R_IO:
	case R_EPT_VIOLATION:
		break;
	default:
		G_MUST(false, "an exit that L1 does not expect");
	}
	vmx_skip();
}

static void l1_run(void (*fn)(void), bool delegates)
{
	u64 vmcs, reason;

	take_interrupts();
	vmx_on();
	l1_eptp = ept_new();
	vmcs = vmcs_usual(fn, msr_map, l1_eptp);
	need(F_PROC, PROC_IO_BITMAPS, "no I/O bitmaps");
	vmwrite(F_IO_BITMAP_A, (u64)io_map);
	vmwrite(F_IO_BITMAP_B, (u64)io_map + 4096);
	if (delegates)
		wrmsr(DROSTE_MSR_DELEGATE, vmcs | DROSTE_DELEGATE_ENABLE);
	for (;;) {
		reason = vmx_run();
		if (reason == R_VMCALL && l2.rax == L2_READY) {
			l1_configure();
			vmx_skip();
			continue;
		}
		l1_note(reason);
		l1_handle(reason);
	}
}

static void guest_instructions(void)
{
	l1_run(l2_instructions, false);
}

static void guest_hypercall(void)
{
	l1_run(l2_hypercall, true);
}

/* --- user space --- */

static void set_random_bits(u8 *map, const u16 *numbers, u64 n)
{
	u64 i;

	for (i = 0; i < n; i++)
		if (!rnd(6))
			map[numbers[i] / 8] |= 1 << numbers[i] % 8;
}

static void choose(void)
{
	static u8 msrs_taken[4096], ports_taken[8192];
	typeof(takes) t = { .gp = rnd(2), .extint = rnd(2), .ack = rnd(2) };
	u64 i, part;

	memset(msrs_taken, 0, sizeof(msrs_taken));
	memset(ports_taken, 0, sizeof(ports_taken));
	set_random_bits(ports_taken, op_ports, ARRAY_SIZE(op_ports));
	/* Reads of low and of high MSRs, and writes (SDM 3C 25.6.9). */
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		for (part = 0; part < 2; part++)
			if (!rnd(6))
				msrs_taken[part * 2048 + (msrs[i] >> 31) * 1024 + (msrs[i] & 0x1fff) / 8] |= 1 << msrs[i] % 8;
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		t.no_rights[i] = rnd(3) ? 0 : rnd(2) ? EPT_W : EPT_R | EPT_W;
	for (i = 0; i < 2; i++) {
		struct vm *vm = &sides[i].vm;

		GUEST(vm, takes) = t;
		memcpy(&GUEST(vm, msr_map), msrs_taken, sizeof(msrs_taken));
		memcpy(&GUEST(vm, io_map), ports_taken, sizeof(ports_taken));
		memset(&GUEST(vm, seen), 0, sizeof(seen));
	}
}

static u64 done_by_hypercall, seen_by_l1;

static void compare(const struct picture *a, const struct picture *b, u64 nr)
{
	same(&GUEST(&sides[0].vm, seen), &GUEST(&sides[1].vm, seen), sizeof(seen), "exits to L1", nr);
	seen_by_l1 += GUEST(&sides[1].vm, seen).n;
	done_by_hypercall += sides[1].list->n;
}

static void host_same(u64 has)
{
	static const make_op kinds[] = { op_wrmsr, op_out, op_rdmsr, op_rdmsr, op_wrmsr, op_out, op_mmio, op_mmio, op_cpuid, op_ipi };
	const struct same_test t = {
		.guest = { guest_instructions, guest_hypercall },
		.has = has,
		.kinds = kinds,
		.nr_kinds = ARRAY_SIZE(kinds),
		.choose = choose,
		.compare = compare,
	};

	done_by_hypercall = seen_by_l1 = 0;
	same_lists(&t, nr_lists / 2);
	ksft_diag("%llu operations, %llu exits to L1", (unsigned long long)done_by_hypercall, (unsigned long long)seen_by_l1);
}

static void host_x2apic(void)
{
	host_same(HAS_X2APIC);
}

static void host_xapic(void)
{
	host_same(0);
}

static const struct ksft_test tests[] = {
	{ "x2APIC", .host = host_x2apic },
	{ "xAPIC", .host = host_xapic },
};

int main(int argc, char **argv)
{
	nr_lists = 200;
	if (!ksft_options(argc, argv, same_options, ARRAY_SIZE(same_options)))
		return 2;
	return ksft_main(tests, ARRAY_SIZE(tests));
}
