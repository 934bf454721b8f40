// SPDX-License-Identifier: GPL-2.0
/* Who handles an exit from L2: rows for each exit reason and for each control that decides. */
#include <kunit/test.h>
#include <asm/processor-flags.h>

#include "mem/types.h"
#include "vmx/types.h"
#include "nested/vmcs12.h"
#include "nested/route.h"

/* Short names, so that a row fits one line. */
#define P(bit)		CPU_BASED_##bit
#define S(bit)		SECONDARY_EXEC_##bit
#define R(reason)	EXIT_REASON_##reason
#define GETSEC		11
#define SEAMCALL	76
#define TDCALL		77

/* An exit reason that one control bit decides: L1 with the bit, L0 without. */
struct bit_row {
	u16 reason;
	u32 proc, proc2;
	u8 why;		/* if not the control that its word implies */
};

static const struct bit_row bit_rows[] = {
	{ R(INTERRUPT_WINDOW), P(INTR_WINDOW_EXITING) },
	{ R(NMI_WINDOW), P(NMI_WINDOW_EXITING) },
	{ R(HLT), P(HLT_EXITING) },
	{ R(INVLPG), P(INVLPG_EXITING) },
	{ R(RDPMC), P(RDPMC_EXITING) },
	{ R(RDTSC), P(RDTSC_EXITING) },
	{ R(RDTSCP), P(RDTSC_EXITING) },
	{ R(DR_ACCESS), P(MOV_DR_EXITING) },
	{ R(MWAIT_INSTRUCTION), P(MWAIT_EXITING) },
	{ R(MONITOR_INSTRUCTION), P(MONITOR_EXITING) },
	{ R(MONITOR_TRAP_FLAG), P(MONITOR_TRAP_FLAG) },
	{ R(PAUSE_INSTRUCTION), P(PAUSE_EXITING) },
	{ R(TPR_BELOW_THRESHOLD), P(TPR_SHADOW) },
	{ R(IO_INSTRUCTION), P(UNCOND_IO_EXITING), 0, WHY_IO_CONTROL },
	{ R(APIC_ACCESS), 0, S(VIRTUALIZE_APIC_ACCESSES) },
	{ R(EOI_INDUCED), 0, S(VIRTUAL_INTR_DELIVERY) },
	{ R(APIC_WRITE), 0, S(APIC_REGISTER_VIRT) },
	{ R(GDTR_IDTR), 0, S(DESC) },
	{ R(LDTR_TR), 0, S(DESC) },
	{ R(WBINVD), 0, S(WBINVD_EXITING) },
	{ R(RDRAND), 0, S(RDRAND_EXITING) },
	{ R(RDSEED), 0, S(RDSEED_EXITING) },
	{ R(VMFUNC), 0, S(ENABLE_VMFUNC) },
};

/* The reasons that a test has seen. */
static u64 seen;

/* Reasons whose bits alone decide: L1 gets the exit if one is set, or, of the second list, if none is. */
#define BITS_DECIDE	(BIT(WHY_PROC_CONTROL) | BIT(WHY_PROC2_CONTROL) | BIT(WHY_EXCEPTION_BITMAP) | BIT(WHY_CR0_MASK) | \
			 BIT(WHY_CR4_MASK) | BIT(WHY_CR_CONTROL) | BIT(WHY_CLTS) | BIT(WHY_LMSW) | BIT(WHY_IO_CONTROL) | \
			 BIT(WHY_PAUSE_LOOP) | BIT(WHY_XSS_BITMAP) | BIT(WHY_TWO_CONTROLS))
#define BITS_REVERSE	(BIT(WHY_PF_MISMATCH) | BIT(WHY_MSR_NO_BITMAP) | BIT(WHY_VMCS_NO_SHADOW))
/* Reasons that need the bits, and something else decides. */
#define BITS_NEEDED	(BIT(WHY_IO_BITMAP) | BIT(WHY_MSR_BITMAP) | BIT(WHY_VMCS_BITMAP) | BIT(WHY_CR3_TARGET) | BIT(WHY_MTF_INJECTED) | \
			 BIT(WHY_PLE_WINDOW) | BIT(WHY_PLE_NOBODY))

/* Checks that the bits that are told have decided. */
static void expect_tested(struct kunit *test, const struct route_facts *f, struct route_verdict v, const char *name)
{
	struct route_word w = route_tested(f, v.why);
	bool set = w.word & w.bits, l1 = v.to == ROUTE_L1;

	if (BIT(v.why) & BITS_DECIDE)
		KUNIT_EXPECT_EQ_MSG(test, set, l1, "%s, reason %u: bits 0x%llx of 0x%x", name, f->basic, w.bits, w.field);
	else if (BIT(v.why) & BITS_REVERSE)
		KUNIT_EXPECT_EQ_MSG(test, set, !l1, "%s, reason %u: bits 0x%llx of 0x%x", name, f->basic, w.bits, w.field);
	else if (BIT(v.why) & BITS_NEEDED)
		KUNIT_EXPECT_TRUE_MSG(test, set, "%s, reason %u: bits 0x%llx of 0x%x", name, f->basic, w.bits, w.field);
	else
		KUNIT_EXPECT_EQ_MSG(test, w.field, 0, "%s, reason %u", name, f->basic);
}

/* Checks who gets an exit and why. */
static void expect(struct kunit *test, const struct route_facts *f, bool l1, u8 why, const char *name)
{
	struct route_verdict v = route_exit(f);

	KUNIT_EXPECT_EQ_MSG(test, v.to == ROUTE_L1, l1, "%s, reason %u", name, f->basic);
	KUNIT_EXPECT_EQ_MSG(test, v.why, why, "%s, reason %u: why", name, f->basic);
	if (v.why < NR_ROUTE_WHY)
		seen |= BIT_ULL(v.why);
	expect_tested(test, f, v, name);
}

static void expect_reason(struct kunit *test, const struct vmcs12 *v, u16 reason, bool l1, u8 why, const char *name)
{
	const struct route_facts f = { .vmcs12 = v, .basic = reason };

	expect(test, &f, l1, why, name);
}

static struct vmcs12 *route_vmcs12(struct kunit *test)
{
	struct vmcs12 *v = kunit_kzalloc(test, sizeof(*v), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, v);
	return v;
}

static void route_umip(struct kunit *test)
{
	struct vmcs12 *v = route_vmcs12(test);
	struct route_facts f = { .vmcs12 = v, .basic = R(LDTR_TR) };

	v->cpu_based_vm_exec_control = P(ACTIVATE_SECONDARY_CONTROLS);
	v->secondary_vm_exec_control = S(DESC);
	expect(test, &f, true, WHY_PROC2_CONTROL, "no fault");
	f.umip_faults = true;
	expect(test, &f, false, WHY_UMIP, "a fault");
}

/* A PAUSE loop is L1's if L1 asks for its exits, its window has run out, and L0 could let no vCPU of L1 run. */
static void route_pause_loop(struct kunit *test)
{
	struct vmcs12 *v = route_vmcs12(test);
	struct route_facts f = { .vmcs12 = v, .basic = R(PAUSE_INSTRUCTION) };

	expect(test, &f, false, WHY_PAUSE_LOOP, "L1 does not ask");
	v->secondary_vm_exec_control = S(PAUSE_LOOP_EXITING);
	expect(test, &f, false, WHY_PAUSE_LOOP, "L1's controls are not activated");
	v->cpu_based_vm_exec_control = P(ACTIVATE_SECONDARY_CONTROLS);
	expect(test, &f, false, WHY_PLE_WINDOW, "L1's window has not run out");
	f.pause_over = true;
	expect(test, &f, true, WHY_PLE_NOBODY, "it has");
	f.pause_kept = true;
	expect(test, &f, false, WHY_PLE_NOBODY, "another vCPU has run");
	v->cpu_based_vm_exec_control |= P(PAUSE_EXITING);
	expect(test, &f, true, WHY_PROC_CONTROL, "each PAUSE exits");
}

/* VMCALL is L1's unless L1 has delegated it. */
static void route_delegated(struct kunit *test)
{
	struct vmcs12 *v = route_vmcs12(test);
	struct route_facts f = { .vmcs12 = v, .basic = R(VMCALL) };

	expect(test, &f, true, WHY_ALWAYS, "L1 has delegated nothing");
	f.delegated = true;
	expect(test, &f, false, WHY_DELEGATED, "a list of a delegate");
}

static void route_one_bit_decides(struct kunit *test)
{
	struct vmcs12 *v = route_vmcs12(test);
	int i;

	for (i = 0; i < ARRAY_SIZE(bit_rows); i++) {
		const struct bit_row *row = &bit_rows[i];
		u8 why = row->why ?: row->proc2 ? WHY_PROC2_CONTROL : WHY_PROC_CONTROL;

		v->cpu_based_vm_exec_control = row->proc | (row->proc2 ? P(ACTIVATE_SECONDARY_CONTROLS) : 0);
		v->secondary_vm_exec_control = row->proc2;
		expect_reason(test, v, row->reason, true, why, "with its control");
		/* With all other controls L0 gets the exit. PAUSE and APIC_WRITE have a second control. */
		if (row->reason == R(PAUSE_INSTRUCTION) || row->reason == R(APIC_WRITE))
			continue;
		v->cpu_based_vm_exec_control = ~row->proc & ~(u32)P(USE_IO_BITMAPS);
		v->secondary_vm_exec_control = ~row->proc2;
		expect_reason(test, v, row->reason, false, why, "without");
	}
}

/* Secondary controls count as 0 while the primary controls do not activate them. */
static void route_secondary_inactive(struct kunit *test)
{
	struct vmcs12 *v = route_vmcs12(test);
	int i;

	v->secondary_vm_exec_control = ~0U;
	for (i = 0; i < ARRAY_SIZE(bit_rows); i++)
		if (bit_rows[i].proc2)
			expect_reason(test, v, bit_rows[i].reason, false, bit_rows[i].why ? WHY_PROC_CONTROL : WHY_PROC2_CONTROL,
				      "inactive");
}

static const u16 no_row[] = { 5, 6, 17, 35, 38, 42, 65, 66, 69, 79, 80, 0xffff };

static const u16 always_l1[] = {
	R(TRIPLE_FAULT), R(TASK_SWITCH), R(CPUID), GETSEC, R(INVD), R(VMCALL), R(VMCLEAR), R(VMLAUNCH),
	R(VMPTRLD), R(VMPTRST), R(VMRESUME), R(VMOFF), R(VMON), R(INVEPT),
	R(INVVPID), R(XSETBV), R(INVALID_STATE),
};

static const u16 always_l0[] = {
	R(EXTERNAL_INTERRUPT), R(INIT_SIGNAL), R(SIPI_SIGNAL), R(EPT_VIOLATION), R(EPT_MISCONFIG),
	R(PML_FULL), R(PREEMPTION_TIMER), R(MSR_LOAD_FAIL), R(MCE_DURING_VMENTRY), R(ENCLS),
	R(BUS_LOCK), R(NOTIFY), SEAMCALL, TDCALL,
};

static void route_fixed_owner(struct kunit *test)
{
	struct vmcs12 *v = route_vmcs12(test);
	int i;

	for (i = 0; i < ARRAY_SIZE(always_l1); i++)
		expect_reason(test, v, always_l1[i], true, WHY_ALWAYS, "always L1");
	for (i = 0; i < ARRAY_SIZE(no_row); i++)
		expect_reason(test, v, no_row[i], true, WHY_NO_ROW, "no row");
	memset(v, 0xff, sizeof(*v));
	for (i = 0; i < ARRAY_SIZE(always_l0); i++)
		expect_reason(test, v, always_l0[i], false, WHY_ALWAYS, "always L0");
}

struct exception_row {
	const char *name;
	u32 bitmap, mask, match;	/* L1's */
	u32 info, error;		/* of the exception; hardware exception unless a type is given */
	u32 l0;				/* exceptions that guest debugging takes */
	bool l1;
	u8 why;
};

#define HARD(vector)	((vector) | INTR_TYPE_HARD_EXCEPTION | INTR_INFO_VALID_MASK)
#define PF		HARD(14)

static const struct exception_row exception_rows[] = {
	{ "#UD wanted", BIT(6), 0, 0, HARD(6), 0, 0, true, WHY_EXCEPTION_BITMAP },
	{ "#UD not wanted", ~(u32)BIT(6), 0, 0, HARD(6), 0, 0, false, WHY_EXCEPTION_BITMAP },
	{ "#DB, L0 debugs", BIT(1), 0, 0, HARD(1), 0, BIT(1), false, WHY_L0_EXCEPTION },
	{ "#DB, L0 debugs something else", BIT(1), 0, 0, HARD(1), 0, BIT(3), true, WHY_EXCEPTION_BITMAP },
	{ "#BP by INT3", BIT(3), 0, 0, 3 | INTR_TYPE_SOFT_EXCEPTION | INTR_INFO_VALID_MASK, 0, 0, true, WHY_EXCEPTION_BITMAP },
	{ "#MC is the host's", ~0U, 0, 0, HARD(18), 0, 0, false, WHY_HOST_EVENT },
	{ "NMI is the host's", ~0U, 0, 0, 2 | INTR_TYPE_NMI_INTR | INTR_INFO_VALID_MASK, 0, 0, false, WHY_HOST_EVENT },
	{ "#PF wanted, mask 0 matches all", BIT(14), 0, 0, PF, 0, 0, true, WHY_EXCEPTION_BITMAP },
	{ "#PF not wanted, mask 0 matches all", 0, 0, 0, PF, 7, 0, false, WHY_EXCEPTION_BITMAP },
	{ "#PF wanted, error code matches", BIT(14), 1, 1, PF, 3, 0, true, WHY_EXCEPTION_BITMAP },
	{ "#PF wanted, error code differs", BIT(14), 1, 1, PF, 2, 0, false, WHY_PF_MISMATCH },
	{ "#PF not wanted, error code differs", 0, 1, 1, PF, 2, 0, true, WHY_PF_MISMATCH },
	{ "#PF not wanted, error code matches", 0, 1, 1, PF, 1, 0, false, WHY_EXCEPTION_BITMAP },
	{ "#PF, match outside mask never matches", 0, 0, 1, PF, 1, 0, true, WHY_PF_MISMATCH },
	{ "mask and match are for #PF only", BIT(13), 1, 1, HARD(13), 0, 0, true, WHY_EXCEPTION_BITMAP },
};

static void route_exceptions(struct kunit *test)
{
	struct vmcs12 *v = route_vmcs12(test);
	int i;

	for (i = 0; i < ARRAY_SIZE(exception_rows); i++) {
		const struct exception_row *row = &exception_rows[i];
		const struct route_facts f = {
			.vmcs12 = v, .basic = R(EXCEPTION_NMI), .intr_info = row->info,
			.intr_error = row->error, .l0_exceptions = row->l0,
		};

		v->exception_bitmap = row->bitmap;
		v->page_fault_error_code_mask = row->mask;
		v->page_fault_error_code_match = row->match;
		expect(test, &f, row->l1, row->why, row->name);
	}
}

/* Exit qualifications of control-register accesses (SDM table 28-3). */
#define MOV_TO(cr)	(cr)
#define MOV_FROM(cr)	((cr) | 1 << 4)
#define CLTS		(2 << 4)
#define LMSW(source)	(3 << 4 | (u64)(source) << 16)

struct cr_row {
	const char *name;
	u64 qual, value;
	u64 mask0, shadow0, mask4, shadow4;
	u32 proc;
	u32 targets;
	bool l1;
	u8 why;
};

static const struct cr_row cr_rows[] = {
	{ "MOV CR0, held bit changes", MOV_TO(0), 0x1, 0x8, 0x8, 0, 0, 0, 0, true, WHY_CR0_MASK },
	{ "MOV CR0, held bit stays", MOV_TO(0), 0x9, 0x8, 0x8, 0, 0, 0, 0, false, WHY_CR0_MASK },
	{ "MOV CR0, other bit changes", MOV_TO(0), 0x9, 0x8, 0x8 | 0x10, 0, 0, 0, 0, false, WHY_CR0_MASK },
	{ "MOV CR4, held bit changes", MOV_TO(4), 0, 0, 0, 0x2000, 0x2000, 0, 0, true, WHY_CR4_MASK },
	{ "MOV CR4, CR0's mask is another's", MOV_TO(4), 0, ~0ULL, ~0ULL, 0, 0x2000, 0, 0, false, WHY_CR4_MASK },
	{ "MOV CR3 with load exiting", MOV_TO(3), 0x5000, 0, 0, 0, 0, P(CR3_LOAD_EXITING), 0, true, WHY_CR3_TARGET },
	{ "MOV CR3 of a target value", MOV_TO(3), 0x2000, 0, 0, 0, 0, P(CR3_LOAD_EXITING), 2, false, WHY_CR3_TARGET },
	{ "MOV CR3 of a value beyond the count", MOV_TO(3), 0x3000, 0, 0, 0, 0, P(CR3_LOAD_EXITING), 2, true, WHY_CR3_TARGET },
	{ "MOV CR3, absurd count", MOV_TO(3), 0x9000, 0, 0, 0, 0, P(CR3_LOAD_EXITING), ~0U, true, WHY_CR3_TARGET },
	{ "MOV CR3 without", MOV_TO(3), 0x5000, 0, 0, 0, 0, P(CR3_STORE_EXITING), 0, false, WHY_CR_CONTROL },
	{ "MOV CR8", MOV_TO(8), 1, 0, 0, 0, 0, P(CR8_LOAD_EXITING), 0, true, WHY_CR_CONTROL },
	{ "MOV CR8 without", MOV_TO(8), 1, 0, 0, 0, 0, P(CR8_STORE_EXITING), 0, false, WHY_CR_CONTROL },
	{ "MOV from CR3", MOV_FROM(3), 0, 0, 0, 0, 0, P(CR3_STORE_EXITING), 0, true, WHY_CR_CONTROL },
	{ "MOV from CR3 without", MOV_FROM(3), 0, 0, 0, 0, 0, P(CR3_LOAD_EXITING), 0, false, WHY_CR_CONTROL },
	{ "MOV from CR8", MOV_FROM(8), 0, 0, 0, 0, 0, P(CR8_STORE_EXITING), 0, true, WHY_CR_CONTROL },
	{ "MOV from CR0 never exits for L1", MOV_FROM(0), 0, ~0ULL, ~0ULL, 0, 0, ~0U, 0, false, WHY_CR_CONTROL },
	{ "CLTS, TS held and seen", CLTS, 0, 0x8, 0x8, 0, 0, 0, 0, true, WHY_CLTS },
	{ "CLTS, TS held and not seen", CLTS, 0, 0x8, 0, 0, 0, 0, 0, false, WHY_CLTS },
	{ "CLTS, TS not held", CLTS, 0, 0, 0x8, 0, 0, 0, 0, false, WHY_CLTS },
	{ "LMSW sets held PE", LMSW(1), 0, 0x1, 0, 0, 0, 0, 0, true, WHY_LMSW },
	{ "LMSW cannot clear PE", LMSW(0), 0, 0x1, 0x1, 0, 0, 0, 0, false, WHY_LMSW },
	{ "LMSW clears held TS", LMSW(1), 0, 0x8, 0x9, 0, 0, 0, 0, true, WHY_LMSW },
	{ "LMSW leaves bits 31:4 alone", LMSW(0x10), 0, 0x10, 0, 0, 0, 0, 0, false, WHY_LMSW },
};

static void route_control_registers(struct kunit *test)
{
	struct vmcs12 *v = route_vmcs12(test);
	int i;

	v->cr3_target_value0 = 0x1000;
	v->cr3_target_value1 = 0x2000;
	v->cr3_target_value2 = 0x3000;
	v->cr3_target_value3 = 0x4000;
	for (i = 0; i < ARRAY_SIZE(cr_rows); i++) {
		const struct cr_row *row = &cr_rows[i];
		const struct route_facts f = {
			.vmcs12 = v, .basic = R(CR_ACCESS), .qual = row->qual, .value = row->value,
		};

		v->cr0_guest_host_mask = row->mask0;
		v->cr0_read_shadow = row->shadow0;
		v->cr4_guest_host_mask = row->mask4;
		v->cr4_read_shadow = row->shadow4;
		v->cpu_based_vm_exec_control = row->proc;
		v->cr3_target_count = row->targets;
		expect(test, &f, row->l1, row->why, row->name);
	}
}

struct bitmap_row {
	const char *name;
	u16 reason;
	u32 proc;
	bool hit, l1;
	u8 why;
	u32 proc2;
};

static const struct bitmap_row bitmap_rows[] = {
	{ "I/O, no control", R(IO_INSTRUCTION), 0, true, false, WHY_IO_CONTROL },
	{ "I/O, unconditional", R(IO_INSTRUCTION), P(UNCOND_IO_EXITING), false, true, WHY_IO_CONTROL },
	{ "I/O, bitmaps hit", R(IO_INSTRUCTION), P(USE_IO_BITMAPS), true, true, WHY_IO_BITMAP },
	{ "I/O, bitmaps miss", R(IO_INSTRUCTION), P(USE_IO_BITMAPS), false, false, WHY_IO_BITMAP },
	{ "I/O, bitmaps overrule unconditional", R(IO_INSTRUCTION), P(USE_IO_BITMAPS) | P(UNCOND_IO_EXITING),
	  false, false, WHY_IO_BITMAP },
	{ "RDMSR, no bitmap", R(MSR_READ), 0, false, true, WHY_MSR_NO_BITMAP },
	{ "RDMSR, hit", R(MSR_READ), P(USE_MSR_BITMAPS), true, true, WHY_MSR_BITMAP },
	{ "RDMSR, miss", R(MSR_READ), P(USE_MSR_BITMAPS), false, false, WHY_MSR_BITMAP },
	{ "WRMSR, no bitmap", R(MSR_WRITE), 0, false, true, WHY_MSR_NO_BITMAP },
	{ "WRMSR, hit", R(MSR_WRITE), P(USE_MSR_BITMAPS), true, true, WHY_MSR_BITMAP },
	{ "WRMSR, miss", R(MSR_WRITE), P(USE_MSR_BITMAPS), false, false, WHY_MSR_BITMAP },
	{ "VMREAD, no shadowing", R(VMREAD), P(ACTIVATE_SECONDARY_CONTROLS), false, true, WHY_VMCS_NO_SHADOW, ~(u32)S(SHADOW_VMCS) },
	{ "VMREAD, shadowing not activated", R(VMREAD), 0, false, true, WHY_VMCS_NO_SHADOW, S(SHADOW_VMCS) },
	{ "VMREAD, hit", R(VMREAD), P(ACTIVATE_SECONDARY_CONTROLS), true, true, WHY_VMCS_BITMAP, S(SHADOW_VMCS) },
	{ "VMREAD, miss", R(VMREAD), P(ACTIVATE_SECONDARY_CONTROLS), false, false, WHY_VMCS_BITMAP, S(SHADOW_VMCS) },
	{ "VMWRITE, no shadowing", R(VMWRITE), P(ACTIVATE_SECONDARY_CONTROLS), false, true, WHY_VMCS_NO_SHADOW, ~(u32)S(SHADOW_VMCS) },
	{ "VMWRITE, hit", R(VMWRITE), P(ACTIVATE_SECONDARY_CONTROLS), true, true, WHY_VMCS_BITMAP, S(SHADOW_VMCS) },
	{ "VMWRITE, miss", R(VMWRITE), P(ACTIVATE_SECONDARY_CONTROLS), false, false, WHY_VMCS_BITMAP, S(SHADOW_VMCS) },
};

static void route_bitmaps(struct kunit *test)
{
	struct vmcs12 *v = route_vmcs12(test);
	int i;

	for (i = 0; i < ARRAY_SIZE(bitmap_rows); i++) {
		const struct bitmap_row *row = &bitmap_rows[i];
		const struct route_facts f = { .vmcs12 = v, .basic = row->reason, .bitmap_hit = row->hit };

		v->cpu_based_vm_exec_control = row->proc;
		v->secondary_vm_exec_control = row->proc2;
		expect(test, &f, row->l1, row->why, row->name);
	}
}

/* Exit reasons that two controls, or a control and a value, decide. */
static void route_two_controls(struct kunit *test)
{
	struct vmcs12 *v = route_vmcs12(test);
	struct route_facts f = { .vmcs12 = v, .basic = R(XSAVES), .xss = 0x100 };

	v->cpu_based_vm_exec_control = P(ACTIVATE_SECONDARY_CONTROLS);
	v->secondary_vm_exec_control = S(ENABLE_INVPCID) | S(ENABLE_USR_WAIT_PAUSE);
	expect_reason(test, v, R(INVPCID), false, WHY_TWO_CONTROLS, "one of two");
	expect_reason(test, v, R(UMWAIT), false, WHY_TWO_CONTROLS, "one of two");
	expect_reason(test, v, R(TPAUSE), false, WHY_TWO_CONTROLS, "one of two");
	v->cpu_based_vm_exec_control |= P(INVLPG_EXITING) | P(RDTSC_EXITING);
	expect_reason(test, v, R(INVPCID), true, WHY_TWO_CONTROLS, "both");
	expect_reason(test, v, R(UMWAIT), true, WHY_TWO_CONTROLS, "both");
	expect_reason(test, v, R(TPAUSE), true, WHY_TWO_CONTROLS, "both");
	v->secondary_vm_exec_control = 0;
	expect_reason(test, v, R(INVPCID), false, WHY_TWO_CONTROLS, "the other");
	expect_reason(test, v, R(UMWAIT), false, WHY_TWO_CONTROLS, "the other");

	v->xss_exit_bitmap = 0x100;
	expect(test, &f, false, WHY_XSS_BITMAP, "no XSAVES");
	v->secondary_vm_exec_control = VMCS_CONTROL_BIT(XSAVES);
	expect(test, &f, true, WHY_XSS_BITMAP, "XSAVES");
	f.basic = R(XRSTORS);
	expect(test, &f, true, WHY_XSS_BITMAP, "XRSTORS");
	f.xss = 0x200;
	expect(test, &f, false, WHY_XSS_BITMAP, "another component");

	v->cpu_based_vm_exec_control = 0;
	v->vm_entry_intr_info_field = INTR_INFO_VALID_MASK | INTR_TYPE_OTHER_EVENT;
	expect_reason(test, v, R(MONITOR_TRAP_FLAG), true, WHY_MTF_INJECTED, "injected");
	v->vm_entry_intr_info_field = INTR_TYPE_OTHER_EVENT;
	expect_reason(test, v, R(MONITOR_TRAP_FLAG), false, WHY_PROC_CONTROL, "not injected");
}

/* The tests above have seen each reason. */
static void route_every_why(struct kunit *test)
{
	int why;

	for (why = 0; why < NR_ROUTE_WHY; why++)
		KUNIT_EXPECT_TRUE_MSG(test, seen & BIT_ULL(why), "reason %d is not reached", why);
}

#define IO_QUAL(port, size)	((u64)(port) << 16 | ((size) - 1))

static void route_io_bitmap_bits(struct kunit *test)
{
	static const struct { u32 port, size, byte, mask; } rows[] = {
		{ 0x0, 1, 0, 0x1 },
		{ 0x3f8, 1, 0x7f, 0x1 },
		{ 0x3fd, 1, 0x7f, 0x20 },
		{ 0xcfc, 4, 0x19f, 0xf0 },
		{ 0x7, 4, 0, 0x780 },		/* crosses into the next byte */
		{ 0x7fff, 2, 0xfff, 0x180 },	/* crosses into bitmap B */
		{ 0x8000, 1, 0x1000, 0x1 },
		{ 0xffff, 1, 0x1fff, 0x80 },
		{ 0xfffc, 4, 0x1fff, 0xf0 },
		{ 0xffff, 2, 0x1fff, 0 },	/* wraps around */
		{ 0xfffd, 4, 0x1fff, 0 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct route_bit b = route_io_bits(IO_QUAL(rows[i].port, rows[i].size));

		KUNIT_EXPECT_EQ_MSG(test, (u32)b.mask, rows[i].mask, "port %#x size %u", rows[i].port, rows[i].size);
		if (b.mask)
			KUNIT_EXPECT_EQ_MSG(test, b.byte, rows[i].byte, "port %#x", rows[i].port);
	}
}

static void route_msr_bitmap_bits(struct kunit *test)
{
	static const struct { u32 msr; bool write; u32 byte, mask; } rows[] = {
		{ 0x0, false, 0, 1 },
		{ 0x10, false, 2, 1 },
		{ 0x10, true, 2050, 1 },
		{ 0x277, true, 2048 + 0x4e, 0x80 },
		{ 0x1fff, false, 1023, 0x80 },
		{ 0x2000, false, 0, 0 },
		{ 0xbfffffff, true, 0, 0 },
		{ 0xc0000000, false, 1024, 1 },
		{ 0xc0000080, true, 3072 + 0x10, 1 },
		{ 0xc0001fff, true, 4095, 0x80 },
		{ 0xc0002000, true, 0, 0 },
		{ 0xffffffff, false, 0, 0 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct route_bit b = route_msr_bit(rows[i].msr, rows[i].write);

		KUNIT_EXPECT_EQ_MSG(test, (u32)b.mask, rows[i].mask, "MSR %#x", rows[i].msr);
		if (b.mask)
			KUNIT_EXPECT_EQ_MSG(test, b.byte, rows[i].byte, "MSR %#x", rows[i].msr);
	}
}

static struct kunit_case route_cases[] = {
	KUNIT_CASE(route_one_bit_decides),
	KUNIT_CASE(route_umip),
	KUNIT_CASE(route_pause_loop),
	KUNIT_CASE(route_delegated),
	KUNIT_CASE(route_secondary_inactive),
	KUNIT_CASE(route_fixed_owner),
	KUNIT_CASE(route_exceptions),
	KUNIT_CASE(route_control_registers),
	KUNIT_CASE(route_bitmaps),
	KUNIT_CASE(route_two_controls),
	KUNIT_CASE(route_every_why),
	KUNIT_CASE(route_io_bitmap_bits),
	KUNIT_CASE(route_msr_bitmap_bits),
	{}
};

static struct kunit_suite route_suite = {
	.name = "droste_route",
	.test_cases = route_cases,
};
kunit_test_suites(&route_suite);
