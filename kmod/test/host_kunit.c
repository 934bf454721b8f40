// SPDX-License-Identifier: GPL-2.0
/* Decisions that protect the host from its guests, and guests from the host's own settings. */
#include <kunit/test.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "mem/types.h"
#include "ept/format.h"
#include "nested/merge.h"
#include "vmx/l1d_logic.h"
#include "vmx/types.h"

/* #AC is the guest's only with all three conditions of SDM 3A 6.15. Otherwise the host's split-lock detection raised it. */
static void host_alignment_checks(struct kunit *test)
{
	const u64 am = X86_CR0_AM, ac = X86_EFLAGS_AC;
	int cpl;

	for (cpl = 0; cpl < 4; cpl++) {
		KUNIT_EXPECT_EQ_MSG(test, vmx_ac_is_guests(cpl, ~0ULL, ~0ULL), cpl == 3, "CPL %d", cpl);
		KUNIT_EXPECT_EQ_MSG(test, vmx_ac_is_guests(cpl, am, ac), cpl == 3, "CPL %d", cpl);
		KUNIT_EXPECT_FALSE_MSG(test, vmx_ac_is_guests(cpl, ~am, ~0ULL), "CPL %d, AM 0", cpl);
		KUNIT_EXPECT_FALSE_MSG(test, vmx_ac_is_guests(cpl, ~0ULL, ~ac), "CPL %d, AC 0", cpl);
	}
}

static void host_machine_checks(struct kunit *test)
{
	struct vmx_exit e = { .basic = EXIT_REASON_MCE_DURING_VMENTRY, .intr_info = 0x80000202 };

	KUNIT_EXPECT_TRUE(test, vmx_exit_is_machine_check(&e));
	e.basic = EXIT_REASON_EXCEPTION_NMI;
	KUNIT_EXPECT_FALSE_MSG(test, vmx_exit_is_machine_check(&e), "an NMI");
	e.intr_info = 0x80000312;
	KUNIT_EXPECT_TRUE(test, vmx_exit_is_machine_check(&e));
	e.intr_info = 0x8000030e;
	KUNIT_EXPECT_FALSE_MSG(test, vmx_exit_is_machine_check(&e), "a page fault");
	e.intr_info = 0x80000212;
	KUNIT_EXPECT_FALSE_MSG(test, vmx_exit_is_machine_check(&e), "an NMI with a strange vector");
	/* The interruption information of another exit is stale. */
	e.basic = EXIT_REASON_CPUID;
	e.intr_info = 0x80000312;
	KUNIT_EXPECT_FALSE_MSG(test, vmx_exit_is_machine_check(&e), "CPUID");
}

static void host_large_leaves(struct kunit *test)
{
	const u64 rights = EPT_READ | EPT_EXEC;

	KUNIT_EXPECT_EQ(test, ept_leaf_rights(rights, 1, true), rights);
	KUNIT_EXPECT_EQ(test, ept_leaf_rights(rights, 2, true), EPT_READ);
	KUNIT_EXPECT_EQ(test, ept_leaf_rights(rights | EPT_WRITE, 3, true), EPT_READ | EPT_WRITE);
	KUNIT_EXPECT_EQ(test, ept_leaf_rights(rights, 2, false), rights);
	KUNIT_EXPECT_EQ(test, ept_leaf_rights(rights, 3, false), rights);
}

static void host_l1d_modes(struct kunit *test)
{
	enum l1d_wish w;

	for (w = L1D_WISH_OFF; w <= L1D_WISH_FULL; w++) {
		KUNIT_EXPECT_EQ(test, l1d_mode(false, false, w), L1D_NOT_NEEDED);
		KUNIT_EXPECT_EQ(test, l1d_mode(true, true, w), L1D_NOT_NEEDED);
	}
	KUNIT_EXPECT_EQ(test, l1d_mode(true, false, L1D_WISH_OFF), L1D_NEVER);
	KUNIT_EXPECT_EQ(test, l1d_mode(true, false, L1D_WISH_FLUSH), L1D_MAYBE);
	KUNIT_EXPECT_EQ(test, l1d_mode(true, false, L1D_WISH_FULL), L1D_ALWAYS);
}

/* Exits whose handlers read user memory, page tables or a VMCS12, or run the emulator, and all unknown ones. */
static void host_l1d_exits(struct kunit *test)
{
	static const u16 loud[] = {
		EXIT_REASON_EXCEPTION_NMI, EXIT_REASON_TRIPLE_FAULT, EXIT_REASON_TASK_SWITCH, EXIT_REASON_HLT,
		EXIT_REASON_VMCALL, EXIT_REASON_VMLAUNCH, EXIT_REASON_VMRESUME, EXIT_REASON_VMREAD, EXIT_REASON_VMWRITE,
		EXIT_REASON_VMPTRLD, EXIT_REASON_IO_INSTRUCTION, EXIT_REASON_EPT_VIOLATION, EXIT_REASON_EPT_MISCONFIG,
		EXIT_REASON_APIC_ACCESS, EXIT_REASON_PML_FULL, NR_EXIT_REASONS - 1, NR_EXIT_REASONS, 0xffff,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(loud); i++)
		KUNIT_EXPECT_FALSE_MSG(test, l1d_exit_is_quiet(loud[i]), "reason %u", loud[i]);
	KUNIT_EXPECT_TRUE(test, l1d_exit_is_quiet(EXIT_REASON_EXTERNAL_INTERRUPT));
	KUNIT_EXPECT_TRUE(test, l1d_exit_is_quiet(EXIT_REASON_CPUID));
}

/* VMCS02 never has more CR3-target values than the processor, whatever L1 uses (VM-entry check, SDM 3C 27.2.1.1). */
static void host_cr3_targets(struct kunit *test)
{
	u32 n, host;

	for (host = 0; host < 6; host++)
		for (n = 0; n <= 4; n++)
			KUNIT_EXPECT_EQ_MSG(test, merge_cr3_targets(0, n, host), min(n, host), "%u of %u", n, host);
	KUNIT_EXPECT_EQ(test, merge_cr3_targets(0, 0xffff, 0x1ff), 4);
	KUNIT_EXPECT_EQ(test, merge_cr3_targets(CPU_BASED_CR3_LOAD_EXITING, 4, 4), 0);
}

static struct kunit_case host_cases[] = {
	KUNIT_CASE(host_alignment_checks),
	KUNIT_CASE(host_machine_checks),
	KUNIT_CASE(host_large_leaves),
	KUNIT_CASE(host_l1d_modes),
	KUNIT_CASE(host_l1d_exits),
	KUNIT_CASE(host_cr3_targets),
	{}
};

static struct kunit_suite host_suite = {
	.name = "droste-host",
	.test_cases = host_cases,
};
kunit_test_suites(&host_suite);
