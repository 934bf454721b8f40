// SPDX-License-Identifier: GPL-2.0
/* VMCS02's controls: the result of the merge for each bit of L0 and L1. */
#include <kunit/test.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "mem/types.h"
#include "vmx/types.h"
#include "nested/vmcs12.h"
#include "nested/merge.h"

#define P(bit)	CPU_BASED_##bit
#define S(bit)	SECONDARY_EXEC_##bit

static struct vmcs12 *merge_vmcs12(struct kunit *test)
{
	struct vmcs12 *v = kunit_kzalloc(test, sizeof(*v), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, v);
	return v;
}

/* VMCS02's control bit, as bits 0 to 3: set by nobody, by L0, by L1, by both. */
enum truth {
	NEVER	= 0x0,
	ALWAYS	= 0xf,
	OF_L0	= 0xa,
	OF_L1	= 0xc,
	EITHER	= 0xe,
	BOTH	= 0x8,
};

struct bit_row {
	u32 bit;
	enum truth truth;
};

static const struct bit_row pin_rows[] = {
	{ PIN_BASED_EXT_INTR_MASK, OF_L0 },
	{ PIN_BASED_NMI_EXITING, OF_L0 },
	{ PIN_BASED_VIRTUAL_NMIS, OF_L0 },
	{ PIN_BASED_VMX_PREEMPTION_TIMER, NEVER },
	{ PIN_BASED_POSTED_INTR, NEVER },
};

static const struct bit_row proc_rows[] = {
	{ P(INTR_WINDOW_EXITING), OF_L1 },
	{ P(NMI_WINDOW_EXITING), OF_L1 },
	{ P(USE_TSC_OFFSETTING), OF_L0 },
	{ P(HLT_EXITING), EITHER },
	{ P(INVLPG_EXITING), EITHER },
	{ P(MWAIT_EXITING), EITHER },
	{ P(RDPMC_EXITING), EITHER },
	{ P(RDTSC_EXITING), EITHER },
	{ P(CR3_LOAD_EXITING), EITHER },
	{ P(CR3_STORE_EXITING), EITHER },
	{ P(CR8_LOAD_EXITING), ALWAYS },	/* no TPR shadow in this test */
	{ P(CR8_STORE_EXITING), ALWAYS },
	{ P(MOV_DR_EXITING), EITHER },
	{ P(UNCOND_IO_EXITING), ALWAYS },
	{ P(USE_IO_BITMAPS), OF_L0 },		/* no unconditional exits in this test */
	{ P(MONITOR_TRAP_FLAG), EITHER },
	{ P(USE_MSR_BITMAPS), BOTH },
	{ P(MONITOR_EXITING), EITHER },
	{ P(PAUSE_EXITING), EITHER },
	{ P(ACTIVATE_SECONDARY_CONTROLS), ALWAYS },
};

static const struct bit_row proc2_rows[] = {
	{ S(VIRTUALIZE_APIC_ACCESSES), OF_L1 },
	{ S(ENABLE_EPT), OF_L0 },
	{ S(DESC), EITHER },
	{ S(ENABLE_RDTSCP), OF_L1 },
	{ S(VIRTUALIZE_X2APIC_MODE), OF_L1 },
	{ S(ENABLE_VPID), OF_L0 },
	{ S(WBINVD_EXITING), EITHER },
	{ S(UNRESTRICTED_GUEST), BOTH },
	{ S(APIC_REGISTER_VIRT), OF_L1 },
	{ S(VIRTUAL_INTR_DELIVERY), OF_L1 },
	{ S(PAUSE_LOOP_EXITING), EITHER },
	{ S(RDRAND_EXITING), EITHER },
	{ S(ENABLE_INVPCID), OF_L1 },
	{ S(ENABLE_VMFUNC), NEVER },
	{ S(SHADOW_VMCS), NEVER },
	{ S(RDSEED_EXITING), EITHER },
	{ S(ENABLE_PML), OF_L0 },	/* L1 does not use EPT here; see merge_pml() */
	{ VMCS_CONTROL_BIT(EPT_VIOLATION_VE), NEVER },
	{ VMCS_CONTROL_BIT(XSAVES), OF_L1 },
	{ S(MODE_BASED_EPT_EXEC), NEVER },
};

/* Merge the four combinations of one bit. Returns a value of enum truth. */
static u32 truth_of(struct vmcs12 *v, u32 *l1, struct vmx_controls *l0, u32 *word0,
		    const u32 *word, struct vmx_controls *out, u32 bit)
{
	struct merged_pf pf;
	u32 truth = 0;
	int i;

	for (i = 0; i < 4; i++) {
		*word0 = i & 1 ? bit : 0;
		*l1 = i & 2 ? bit : 0;
		if (l1 == &v->secondary_vm_exec_control)
			v->cpu_based_vm_exec_control = P(ACTIVATE_SECONDARY_CONTROLS);
		merge_controls(l0, v, false, out, &pf);
		truth |= *word & bit ? BIT(i) : 0;
	}
	*word0 = 0;
	*l1 = 0;
	return truth;
}

static void merge_control_bits(struct kunit *test)
{
	struct vmcs12 *v = merge_vmcs12(test);
	struct vmx_controls l0 = {}, out;
	int i;

	for (i = 0; i < ARRAY_SIZE(pin_rows); i++)
		KUNIT_EXPECT_EQ_MSG(test, truth_of(v, &v->pin_based_vm_exec_control, &l0, &l0.pin,
						   &out.pin, &out, pin_rows[i].bit),
				    (u32)pin_rows[i].truth, "pin %#x", pin_rows[i].bit);
	for (i = 0; i < ARRAY_SIZE(proc_rows); i++)
		KUNIT_EXPECT_EQ_MSG(test, truth_of(v, &v->cpu_based_vm_exec_control, &l0, &l0.proc,
						   &out.proc, &out, proc_rows[i].bit),
				    (u32)proc_rows[i].truth, "proc %#x", proc_rows[i].bit);
	for (i = 0; i < ARRAY_SIZE(proc2_rows); i++)
		KUNIT_EXPECT_EQ_MSG(test, truth_of(v, &v->secondary_vm_exec_control, &l0, &l0.proc2,
						   &out.proc2, &out, proc2_rows[i].bit),
				    (u32)proc2_rows[i].truth, "proc2 %#x", proc2_rows[i].bit);
}

/* Page-modification logging is on for L2 only if L2 runs on EPT01: on EPT02 the addresses are not L1's. */
static void merge_pml(struct kunit *test)
{
	struct vmcs12 *v = merge_vmcs12(test);
	struct vmx_controls l0 = { .proc2 = S(ENABLE_PML) }, out;
	struct merged_pf pf;

	v->cpu_based_vm_exec_control = P(ACTIVATE_SECONDARY_CONTROLS);
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc2, (u32)S(ENABLE_PML));
	v->secondary_vm_exec_control = S(ENABLE_EPT);
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc2, 0U);
}

/* L0's exits at each PAUSE do not take the place of the exits of PAUSE loops that L1 asked for. */
static void merge_pause(struct kunit *test)
{
	struct vmcs12 *v = merge_vmcs12(test);
	struct vmx_controls l0 = { .proc = P(PAUSE_EXITING), .proc2 = S(PAUSE_LOOP_EXITING) }, out;
	struct merged_pf pf;

	v->cpu_based_vm_exec_control = P(ACTIVATE_SECONDARY_CONTROLS);
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc & P(PAUSE_EXITING), (u32)P(PAUSE_EXITING));
	v->secondary_vm_exec_control = S(PAUSE_LOOP_EXITING);
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc & P(PAUSE_EXITING), 0U);
	/* L0's own exits of PAUSE loops do not matter. */
	v->secondary_vm_exec_control = 0;
	l0.proc2 = S(PAUSE_LOOP_EXITING);
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc & P(PAUSE_EXITING), (u32)P(PAUSE_EXITING));
	v->secondary_vm_exec_control = S(PAUSE_LOOP_EXITING);
	/* L1's own exits at each PAUSE do, as on a processor (SDM 3C 26.1.3). */
	v->cpu_based_vm_exec_control |= P(PAUSE_EXITING);
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc & P(PAUSE_EXITING), (u32)P(PAUSE_EXITING));
}

/* L2 accesses CR8 without an exit only if L1 gives it a TPR shadow (CVE-2017-12154). */
static void merge_cr8(struct kunit *test)
{
	const u32 both = P(CR8_LOAD_EXITING) | P(CR8_STORE_EXITING);
	struct vmcs12 *v = merge_vmcs12(test);
	struct vmx_controls l0 = { .proc = both }, out;
	struct merged_pf pf;

	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc & both, both);
	v->cpu_based_vm_exec_control = P(TPR_SHADOW);
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc & (both | P(TPR_SHADOW)), (u32)P(TPR_SHADOW));
	v->cpu_based_vm_exec_control = P(TPR_SHADOW) | P(CR8_LOAD_EXITING);
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc & both, (u32)P(CR8_LOAD_EXITING));
	/* A TPR shadow of L0 does not count. */
	l0.proc = P(TPR_SHADOW);
	v->cpu_based_vm_exec_control = 0;
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc & (both | P(TPR_SHADOW)), both);
}

/* L2 may access a port without an exit if L0 passes some, and L1's controls do not make all accesses exit. */
static void merge_ports(struct kunit *test)
{
	static const struct {
		u32 l0, l1;
		bool bitmaps;
	} cases[] = {
		{ 0, 0, false },
		{ 0, P(USE_IO_BITMAPS), false },
		{ 0, P(UNCOND_IO_EXITING), false },
		{ P(USE_IO_BITMAPS), 0, true },
		{ P(USE_IO_BITMAPS), P(USE_IO_BITMAPS), true },
		{ P(USE_IO_BITMAPS), P(UNCOND_IO_EXITING), false },
		{ P(USE_IO_BITMAPS), P(UNCOND_IO_EXITING) | P(USE_IO_BITMAPS), true },
	};
	struct vmcs12 *v = merge_vmcs12(test);
	struct vmx_controls out;
	struct merged_pf pf;
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmx_controls l0 = { .proc = cases[i].l0 | P(UNCOND_IO_EXITING) };

		v->cpu_based_vm_exec_control = cases[i].l1;
		merge_controls(&l0, v, false, &out, &pf);
		KUNIT_EXPECT_EQ_MSG(test, !!(out.proc & P(USE_IO_BITMAPS)), cases[i].bitmaps, "case %d", i);
		/* Without bitmaps, all accesses exit. */
		KUNIT_EXPECT_TRUE(test, out.proc & P(UNCOND_IO_EXITING));
	}
}

/* L1's secondary controls count as 0 while its primary controls do not activate them. */
static void merge_secondary_inactive(struct kunit *test)
{
	struct vmcs12 *v = merge_vmcs12(test);
	struct vmx_controls l0 = { .proc2 = S(ENABLE_EPT) | S(UNRESTRICTED_GUEST) }, out;
	struct merged_pf pf;

	v->secondary_vm_exec_control = ~0U;
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.proc2, (u32)S(ENABLE_EPT));
	KUNIT_EXPECT_EQ(test, merge_proc2_of(v), 0U);
}

static void merge_exit_and_entry(struct kunit *test)
{
	struct vmcs12 *v = merge_vmcs12(test);
	struct vmx_controls l0 = {
		.exit = VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_LOAD_IA32_EFER,
		.entry = VM_ENTRY_LOAD_IA32_EFER | VM_ENTRY_IA32E_MODE,
	}, out;
	struct merged_pf pf;

	/* L1's exit and entry controls have no effect. */
	v->vm_exit_controls = VM_EXIT_ACK_INTR_ON_EXIT | VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL |
			      VM_EXIT_SAVE_VMX_PREEMPTION_TIMER;
	v->vm_entry_controls = VM_ENTRY_IA32E_MODE | VM_ENTRY_SMM | VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL;
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.exit, l0.exit | VM_EXIT_SAVE_DEBUG_CONTROLS);
	KUNIT_EXPECT_EQ(test, out.entry, (u32)(VM_ENTRY_LOAD_IA32_EFER | VM_ENTRY_LOAD_DEBUG_CONTROLS));
	merge_controls(&l0, v, true, &out, &pf);
	KUNIT_EXPECT_TRUE(test, out.entry & VM_ENTRY_IA32E_MODE);
}

static void merge_exceptions(struct kunit *test)
{
	struct vmcs12 *v = merge_vmcs12(test);
	struct vmx_controls l0 = { .exceptions = BIT(1) | BIT(18) }, out;
	struct merged_pf pf;

	v->exception_bitmap = BIT(14) | BIT(6);
	v->page_fault_error_code_mask = 5;
	v->page_fault_error_code_match = 4;
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_EQ(test, out.exceptions, (u32)(BIT(1) | BIT(6) | BIT(14) | BIT(18)));
	KUNIT_EXPECT_EQ(test, pf.mask, 5U);
	KUNIT_EXPECT_EQ(test, pf.match, 4U);
	/* If L0 intercepts page faults, all of them must exit, with any mask and match of L1. */
	l0.exceptions |= BIT(14);
	v->exception_bitmap = 0;
	merge_controls(&l0, v, false, &out, &pf);
	KUNIT_EXPECT_TRUE(test, out.exceptions & BIT(14));
	KUNIT_EXPECT_EQ(test, pf.mask, 0U);
	KUNIT_EXPECT_EQ(test, pf.match, 0U);
}

static void merge_control_registers(struct kunit *test)
{
	/* L0 lets guests own bits 0 to 3; L1 keeps bits 2 to 5. */
	KUNIT_EXPECT_EQ(test, merge_cr_mask(0xf, 0x3c) & 0xff, 0xfcULL);
	/* L2 reads L1's shadow for the bits that L1 keeps, and L1's guest field for those that only L0 keeps. */
	KUNIT_EXPECT_EQ(test, merge_cr_shadow(0xc3, 0x3c, 0x3c), 0xffULL);
	KUNIT_EXPECT_EQ(test, merge_cr_shadow(0xff, 0x00, 0x3c), 0xc3ULL);
}

static void merge_efer_and_cr4(struct kunit *test)
{
	const u64 lm = EFER_LMA | EFER_LME;
	struct vmcs12 *v = merge_vmcs12(test);

	KUNIT_EXPECT_EQ(test, merge_entry_efer(v, lm | EFER_NX), (u64)EFER_NX);
	v->vm_entry_controls = VM_ENTRY_IA32E_MODE;
	KUNIT_EXPECT_EQ(test, merge_entry_efer(v, EFER_SCE), lm | EFER_SCE);
	v->vm_entry_controls |= VM_ENTRY_LOAD_IA32_EFER;
	v->guest_ia32_efer = lm | EFER_NX;
	KUNIT_EXPECT_EQ(test, merge_entry_efer(v, 0), lm | EFER_NX);

	v->host_cr4 = X86_CR4_PCIDE | X86_CR4_VMXE;
	KUNIT_EXPECT_EQ(test, merge_exit_efer(v, lm | EFER_SCE), (u64)EFER_SCE);
	KUNIT_EXPECT_EQ(test, merge_exit_cr4(v), (u64)X86_CR4_VMXE);
	v->vm_exit_controls = VM_EXIT_HOST_ADDR_SPACE_SIZE;
	KUNIT_EXPECT_EQ(test, merge_exit_efer(v, EFER_NX), lm | EFER_NX);
	KUNIT_EXPECT_EQ(test, merge_exit_cr4(v), (u64)(X86_CR4_PCIDE | X86_CR4_VMXE | X86_CR4_PAE));
	v->vm_exit_controls |= VM_EXIT_LOAD_IA32_EFER;
	v->host_ia32_efer = lm;
	KUNIT_EXPECT_EQ(test, merge_exit_efer(v, EFER_NX), lm);
}

static struct kunit_case merge_cases[] = {
	KUNIT_CASE(merge_control_bits),
	KUNIT_CASE(merge_pml),
	KUNIT_CASE(merge_pause),
	KUNIT_CASE(merge_cr8),
	KUNIT_CASE(merge_ports),
	KUNIT_CASE(merge_secondary_inactive),
	KUNIT_CASE(merge_exit_and_entry),
	KUNIT_CASE(merge_exceptions),
	KUNIT_CASE(merge_control_registers),
	KUNIT_CASE(merge_efer_and_cr4),
	{}
};

static struct kunit_suite merge_suite = {
	.name = "droste_merge",
	.test_cases = merge_cases,
};
kunit_test_suites(&merge_suite);
