// SPDX-License-Identifier: GPL-2.0
/* CPUID as plain values: the leaves for guests of made-up hosts, sizes of XSAVE areas, leaves out of range. */
#include <kunit/test.h>
#include <linux/errno.h>
#include <asm/processor-flags.h>
#include <asm/msr-index.h>
#include "cpu/cpuid_table.h"

#define MAX_ENTRIES	64
#define XCR0_SSE	0x3ULL
#define XCR0_AVX	0x7ULL
#define XCR0_AVX512	0xe7ULL

/* A host with every bit set in every leaf: a guest sees exactly the bits that the table keeps. */
static void read_all(const struct cpuid_host *host, u32 fn, u32 index, u32 r[NR_CPUID_REGS])
{
	/* SDM 1, 13.5: sizes and offsets of the components on real processors. */
	static const u32 component[][2] = { [2] = { 256, 576 }, [5] = { 64, 1088 }, [6] = { 512, 1152 },
					    [7] = { 1024, 1664 }, [9] = { 8, 2688 } };

	memset(r, 0xff, NR_CPUID_REGS * sizeof(r[0]));
	switch (fn) {
	case 0:
		r[CPUID_RAX] = 0x20;
		break;
	case 4:
		r[CPUID_RAX] = index < 2 ? 0xffffc121 : 0;
		break;
	case 7:
		if (!index)
			r[CPUID_RAX] = 2;
		break;
	case 0xd:
		if (index < 2)
			break;
		r[CPUID_RAX] = index < ARRAY_SIZE(component) ? component[index][0] : 0;
		r[CPUID_RBX] = index < ARRAY_SIZE(component) ? component[index][1] : 0;
		r[CPUID_RCX] = index == 6 ? BIT(1) : 0;
		break;
	case 0x80000000:
		r[CPUID_RAX] = 0x80000021;
		break;
	case 0x80000008:
		r[CPUID_RAX] = 0x3934;	/* 57 and 52 bits */
		break;
	}
}

/* An old host: its highest basic leaf is 5, its highest extended one 0x80000004. */
static void read_old(const struct cpuid_host *host, u32 fn, u32 index, u32 r[NR_CPUID_REGS])
{
	read_all(host, fn, index, r);
	if (fn == 0)
		r[CPUID_RAX] = 5;
	if (fn == 0x80000000)
		r[CPUID_RAX] = 0x80000004;
}

static const struct cpuid_host full_host = { .read = read_all, .xcr0 = XCR0_AVX512,
					     .rdtscp = true, .invpcid = true, .xsaves = true, .spec_ctrl = true,
					     .stibp = true, .ssbd = true, .flush_l1d = true, .arch_caps = true };

static int supported(struct kunit *test, const struct cpuid_host *host, struct kvm_cpuid_entry2 **out)
{
	int n;

	*out = kunit_kcalloc(test, MAX_ENTRIES, sizeof(**out), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, *out);
	n = cpuid_supported(host, *out, MAX_ENTRIES);
	KUNIT_ASSERT_GT(test, n, 0);
	return n;
}

static void leaf_1(struct kunit *test)
{
	struct kvm_cpuid_entry2 *e;
	int n = supported(test, &full_host, &e);

	/* VMX, x2APIC, TSC deadline, XSAVE, hypervisor */
	KUNIT_EXPECT_TRUE(test, cpuid_has(e, n, 1, 0, CPUID_RCX, BIT(5)));
	KUNIT_EXPECT_TRUE(test, cpuid_has(e, n, 1, 0, CPUID_RCX, BIT(21)));
	KUNIT_EXPECT_TRUE(test, cpuid_has(e, n, 1, 0, CPUID_RCX, BIT(24)));
	KUNIT_EXPECT_TRUE(test, cpuid_has(e, n, 1, 0, CPUID_RCX, BIT(26)));
	KUNIT_EXPECT_TRUE(test, cpuid_has(e, n, 1, 0, CPUID_RCX, BIT(31)));
	/* not MONITOR, SMX, PDCM, OSXSAVE; not DS, ACPI, HTT, TM, PBE */
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 1, 0, CPUID_RCX, BIT(3) | BIT(6) | BIT(15) | BIT(27)));
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 1, 0, CPUID_RDX,
					   BIT(21) | BIT(22) | BIT(28) | BIT(29) | BIT(31)));
	/* User space sets the initial APIC ID. */
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 1, 0)->ebx >> 16, 0U);
}

static void leaf_7_hides(struct kunit *test)
{
	struct kvm_cpuid_entry2 *e;
	int n = supported(test, &full_host, &e);

	/* EBX: SGX, RDT, MPX, PT */
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 7, 0, CPUID_RBX, BIT(2) | BIT(12) | BIT(14) | BIT(15) | BIT(25)));
	/* ECX: PKU, OSPKE, WAITPKG, CET_SS, bus lock, SGX_LC, PKS */
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 7, 0, CPUID_RCX, BIT(3) | BIT(4) | BIT(5) | BIT(7) |
					   BIT(24) | BIT(30) | BIT(31)));
	KUNIT_EXPECT_TRUE(test, cpuid_has(e, n, 7, 0, CPUID_RCX, ECX7_LA57));
	/* EDX: CET_IBT, AMX, CORE_CAPABILITIES */
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 7, 0, CPUID_RDX, BIT(20) | BIT(22) | BIT(24) | BIT(25) | BIT(30)));
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 7, 0)->eax, 2U);
	KUNIT_EXPECT_NULL(test, cpuid_find(e, n, 7, 3));
	/* No counters, no power management, no tracing */
	KUNIT_EXPECT_NULL(test, cpuid_find(e, n, 0xa, 0));
	KUNIT_EXPECT_NULL(test, cpuid_find(e, n, 0x12, 0));
	KUNIT_EXPECT_NULL(test, cpuid_find(e, n, 0x14, 0));
}

static void speculation(struct kunit *test)
{
	struct cpuid_host host = full_host;
	struct kvm_cpuid_entry2 *e;
	int n = supported(test, &host, &e);

	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 7, 0)->edx & GENMASK(31, 26),
			EDX7_SPEC_CTRL | EDX7_STIBP | EDX7_FLUSH_L1D | EDX7_ARCH_CAPS | EDX7_SSBD);
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 7, 2)->edx, 0x3fU);
	/* IBRS, STIBP, SSBD, IPRED_DIS_U and _S, RRSBA_DIS_U and _S, PSFD, DDPD_U, BHI_DIS_S (SDM 4, table 2-2) */
	KUNIT_EXPECT_EQ(test, cpuid_spec_ctrl_allowed(e, n), 0x5ffULL);
	KUNIT_EXPECT_EQ(test, cpuid_spec_ctrl_allowed(NULL, 0), 0ULL);

	/* The kernel does not use them on a processor with a faulty microcode. */
	host.spec_ctrl = false;
	host.stibp = false;
	host.ssbd = false;
	host.flush_l1d = false;
	host.arch_caps = false;
	n = supported(test, &host, &e);
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 7, 0)->edx & GENMASK(31, 26), 0U);
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 7, 2)->edx, 0x20U);
	KUNIT_EXPECT_EQ(test, cpuid_spec_ctrl_allowed(e, n), 0ULL);
	host.ssbd = true;
	n = supported(test, &host, &e);
	KUNIT_EXPECT_EQ(test, cpuid_spec_ctrl_allowed(e, n), 4ULL);
}

static void protection_keys(struct kunit *test)
{
	struct cpuid_host host = full_host;
	struct kvm_cpuid_entry2 *e;
	int n;

	host.xcr0 |= BIT_ULL(9);
	n = supported(test, &host, &e);
	KUNIT_EXPECT_TRUE(test, cpuid_has(e, n, 7, 0, CPUID_RCX, ECX7_PKU));
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 7, 0, CPUID_RCX, BIT(4)));
	KUNIT_EXPECT_TRUE(test, cpuid_cr4_allowed(e, n) & X86_CR4_PKE);
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0xd, 9)->eax, 8U);
	KUNIT_EXPECT_EQ(test, cpuid_xsave_size(e, n, XCR0_AVX512 | BIT(9), false), 2696U);
}

static void dependencies_follow(struct kunit *test)
{
	struct cpuid_host host = full_host;
	struct kvm_cpuid_entry2 *e;
	int n;

	n = supported(test, &host, &e);
	KUNIT_EXPECT_TRUE(test, cpuid_has(e, n, 7, 0, CPUID_RBX, BIT(16)));
	KUNIT_EXPECT_TRUE(test, cpuid_has(e, n, 0x80000001, 0, CPUID_RDX, BIT(27)));

	host.xcr0 = XCR0_AVX;
	n = supported(test, &host, &e);
	KUNIT_EXPECT_TRUE(test, cpuid_has(e, n, 7, 0, CPUID_RBX, BIT(5)));
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 7, 0, CPUID_RBX, BIT(16) | BIT(30) | BIT(31)));
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 7, 0, CPUID_RCX, BIT(1) | BIT(14)));

	host.xcr0 = XCR0_SSE;
	n = supported(test, &host, &e);
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 1, 0, CPUID_RCX, BIT(28)));
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 7, 0, CPUID_RBX, BIT(5)));

	host.xcr0 = 0;
	host.rdtscp = false;
	host.invpcid = false;
	n = supported(test, &host, &e);
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 1, 0, CPUID_RCX, BIT(26)));
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 7, 0, CPUID_RCX, BIT(22)));
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 7, 0, CPUID_RBX, BIT(10)));
	KUNIT_EXPECT_FALSE(test, cpuid_has(e, n, 0x80000001, 0, CPUID_RDX, BIT(27)));
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0xd, 0)->eax, 0U);
}

static void xsave_sizes(struct kunit *test)
{
	struct kvm_cpuid_entry2 *e;
	int n = supported(test, &full_host, &e);

	KUNIT_EXPECT_EQ(test, cpuid_xsave_size(e, n, 1, false), 576U);
	KUNIT_EXPECT_EQ(test, cpuid_xsave_size(e, n, XCR0_SSE, true), 576U);
	KUNIT_EXPECT_EQ(test, cpuid_xsave_size(e, n, XCR0_AVX, false), 832U);
	KUNIT_EXPECT_EQ(test, cpuid_xsave_size(e, n, XCR0_AVX512, false), 2688U);
	/* 576 + 256 + 64 is 896, a multiple of 64, so component 6 needs no gap. */
	KUNIT_EXPECT_EQ(test, cpuid_xsave_size(e, n, XCR0_AVX512, true), 2432U);
	/* This host does not use PKRU, so its bit in the mask is ignored. */
	KUNIT_EXPECT_EQ(test, cpuid_xsave_size(e, n, XCR0_AVX512 | BIT(9), false), 2688U);
	KUNIT_EXPECT_NULL(test, cpuid_find(e, n, 0xd, 9));
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0xd, 0)->eax, (u32)XCR0_AVX512);
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0xd, 0)->ecx, 2688U);
	/* No XFD, no supervisor state */
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0xd, 1)->eax, 0xfU);
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0xd, 1)->ecx, 0U);
}

static void compacted_gap(struct kunit *test)
{
	static const struct kvm_cpuid_entry2 e[] = {
		{ .function = 0xd, .index = 2, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 8, .ebx = 576 },
		{ .function = 0xd, .index = 3, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 32, .ebx = 640,
		  .ecx = BIT(1) },
	};

	KUNIT_EXPECT_EQ(test, cpuid_xsave_size(e, 2, 0xf, true), 576U + 64 + 32);
	KUNIT_EXPECT_EQ(test, cpuid_xsave_size(e, 2, 0x7, true), 584U);
	KUNIT_EXPECT_EQ(test, cpuid_xsave_size(e, 2, 0xf, false), 672U);
}

static void read_46_bits(const struct cpuid_host *host, u32 fn, u32 index, u32 r[NR_CPUID_REGS])
{
	read_all(host, fn, index, r);
	if (fn == 0x80000008)
		r[CPUID_RAX] = 0x302e;
}

static void addresses(struct kunit *test)
{
	struct cpuid_host host = full_host;
	struct kvm_cpuid_entry2 *e;
	int n = supported(test, &host, &e);

	/* 57 linear bits with LA57, else 48. Of 52 physical bits, EPT maps 48. */
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0x80000008, 0)->eax, 0x303934U);
	host.read = read_46_bits;
	n = supported(test, &host, &e);
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0x80000008, 0)->eax, 0x2e302eU);
}

static void ranges(struct kunit *test)
{
	struct cpuid_host host = full_host;
	struct kvm_cpuid_entry2 *e;
	int n = supported(test, &host, &e);

	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0, 0)->eax, 0x16U);
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0x80000000, 0)->eax, 0x80000008U);
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0x40000000, 0)->ebx, 0x736f7244U);	/* "Dros" */

	/* A missing leaf within its range is zeros; a leaf above its range is the highest basic leaf. */
	KUNIT_EXPECT_NULL(test, cpuid_answer(e, n, 0xa, 0));
	KUNIT_EXPECT_PTR_EQ(test, cpuid_answer(e, n, 0x17, 0), cpuid_find(e, n, 0x16, 0));
	KUNIT_EXPECT_PTR_EQ(test, cpuid_answer(e, n, 0x3fffffff, 5), cpuid_find(e, n, 0x16, 5));
	KUNIT_EXPECT_PTR_EQ(test, cpuid_answer(e, n, 0x80000009, 0), cpuid_find(e, n, 0x16, 0));
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0x40000002, 0)->ebx, 64U);
	KUNIT_EXPECT_PTR_EQ(test, cpuid_answer(e, n, 0x40000003, 0), cpuid_find(e, n, 0x16, 0));
	KUNIT_EXPECT_PTR_EQ(test, cpuid_answer(e, n, 0x40000100, 0), cpuid_find(e, n, 0x16, 0));
	KUNIT_EXPECT_NULL(test, cpuid_answer(e, n, 7, 5));

	host.read = read_old;
	n = supported(test, &host, &e);
	KUNIT_EXPECT_EQ(test, cpuid_find(e, n, 0, 0)->eax, 5U);
	KUNIT_EXPECT_NULL(test, cpuid_find(e, n, 7, 0));
	KUNIT_EXPECT_NULL(test, cpuid_find(e, n, 0xd, 0));
	KUNIT_EXPECT_NULL(test, cpuid_find(e, n, 0x80000008, 0));
	KUNIT_EXPECT_NULL(test, cpuid_answer(NULL, 0, 1, 0));
}

static void no_room(struct kunit *test)
{
	struct kvm_cpuid_entry2 *e;
	int n = supported(test, &full_host, &e), max;

	for (max = 0; max < n; max++)
		KUNIT_EXPECT_EQ(test, cpuid_supported(&full_host, e, max), -E2BIG);
	KUNIT_EXPECT_EQ(test, cpuid_supported(&full_host, e, n), n);
}

static void no_entry_twice(struct kunit *test)
{
	struct kvm_cpuid_entry2 *e;
	int n = supported(test, &full_host, &e), i;

	for (i = 0; i < n; i++)
		KUNIT_EXPECT_PTR_EQ(test, cpuid_find(e, n, e[i].function, e[i].index),
				    (const struct kvm_cpuid_entry2 *)&e[i]);
}

static void control_registers(struct kunit *test)
{
	struct kvm_cpuid_entry2 *e;
	int n = supported(test, &full_host, &e);
	u64 cr4 = cpuid_cr4_allowed(e, n);

	KUNIT_EXPECT_TRUE(test, cr4 & X86_CR4_VMXE);
	KUNIT_EXPECT_TRUE(test, cr4 & X86_CR4_SMAP);
	KUNIT_EXPECT_TRUE(test, cr4 & X86_CR4_LA57);
	/* The host's kernel does not use protection keys. */
	KUNIT_EXPECT_FALSE(test, cr4 & (X86_CR4_PKE | X86_CR4_SMXE));
	KUNIT_EXPECT_EQ(test, cpuid_efer_allowed(e, n), (u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX));
	/* Without CPUID only PCE is writable. */
	KUNIT_EXPECT_EQ(test, cpuid_cr4_allowed(NULL, 0), (u64)X86_CR4_PCE);
	KUNIT_EXPECT_EQ(test, cpuid_efer_allowed(NULL, 0), 0ULL);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(leaf_1),
	KUNIT_CASE(leaf_7_hides),
	KUNIT_CASE(speculation),
	KUNIT_CASE(protection_keys),
	KUNIT_CASE(dependencies_follow),
	KUNIT_CASE(xsave_sizes),
	KUNIT_CASE(compacted_gap),
	KUNIT_CASE(addresses),
	KUNIT_CASE(ranges),
	KUNIT_CASE(no_room),
	KUNIT_CASE(no_entry_twice),
	KUNIT_CASE(control_registers),
	{}
};

static struct kunit_suite suite = { .name = "droste_cpuid", .test_cases = cases };

kunit_test_suites(&suite);
