// SPDX-License-Identifier: GPL-2.0
/* L1's VMX capability MSRs are consistent (SDM 3D appendix A), read-only, and match the behaviour. */
#include "vm.h"
#include "vmx.h"

static const struct {
	const char *name;
	u32 msr, true_msr;
	u32 default1;	/* bits that must be 1 according to the MSR without TRUE */
	u32 field;
} ctls[] = {
	{ "pin-based", 0x481, 0x48d, 0x16, F_PIN },
	{ "processor-based", 0x482, 0x48e, 0x0401e172, F_PROC },
	{ "exit", 0x483, 0x48f, 0x36dff, F_EXIT_CTLS },
	{ "entry", 0x484, 0x490, 0x11ff, F_ENTRY_CTLS },
};

static void guest_basic(void)
{
	u64 b, misc;

	vmx_enable();
	b = rdmsr(MSR_VMX_BASIC);
	G_EQ(b >> 31 & 1, 0, "bit 31 of IA32_VMX_BASIC");
	G_OK((b >> 32 & 0x1fff) > 0 && (b >> 32 & 0x1fff) <= 4096, "size of a VMCS region");
	G_EQ(b >> 45 & 7, 0, "bits 47:45");
	G_EQ(b >> 48 & 1, 0, "physical addresses are not limited to 32 bits");
	G_EQ(b >> 50 & 15, 6, "memory type: write-back");
	G_EQ(b >> 57 & 0x7f, 0, "reserved bits");
	misc = rdmsr(MSR_VMX_MISC);
	G_OK((misc & 31) <= 31, "preemption timer's rate");
	G_EQ(misc & BIT(5), BIT(5), "VM exits store EFER.LMA");
	G_OK((misc >> 16 & 0x1ff) <= 4, "CR3-target values");
	G_EQ(rdmsr(MSR_VMX_ENUM) & ~0x3feul, 0, "IA32_VMX_VMCS_ENUM");
}

static void guest_controls(void)
{
	u64 i, lo, hi, t;

	vmx_enable();
	for (i = 0; i < ARRAY_SIZE(ctls); i++) {
		lo = rdmsr(ctls[i].msr) & 0xffffffff;
		hi = rdmsr(ctls[i].msr) >> 32;
		G_EQN(lo & ~hi, 0, "bits required to be both 1 and 0", i);
		G_EQN(lo & ctls[i].default1, ctls[i].default1, "default1 bits", i);
		if (!(rdmsr(MSR_VMX_BASIC) & 1ul << 55))
			continue;
		t = rdmsr(ctls[i].true_msr);
		G_EQN(t >> 32, hi, "the true MSR allows the same bits", i);
		G_EQN((u32)t & ~lo, 0, "the true MSR requires no more bits", i);
		G_EQN((lo & ~t) & ~ctls[i].default1, 0, "it differs in default1 bits only", i);
	}
	if (ctl_has(F_PROC, PROC_SECONDARY)) {
		t = rdmsr(MSR_VMX_PROC2);
		G_EQ((u32)t, 0, "secondary controls may all be 0");
		G_OK(!(t >> 32 & SEC_UNRESTRICTED) || t >> 32 & SEC_EPT, "unrestricted guest needs EPT");
	}
	G_OK(ctl_has(F_EXIT_CTLS, EXIT_HOST64), "64-bit hosts");
	G_OK(ctl_has(F_ENTRY_CTLS, ENTRY_IA32E), "64-bit guests");
}

static void guest_fixed(void)
{
	u64 f0, f1;

	vmx_enable();
	f0 = rdmsr(MSR_VMX_CR0_FIXED0);
	f1 = rdmsr(MSR_VMX_CR0_FIXED1);
	G_EQ(f0 & ~f1, 0, "CR0 bits fixed to 1 and to 0");
	G_EQ(f0 & (CR0_PE | CR0_NE | CR0_PG), CR0_PE | CR0_NE | CR0_PG, "PE, NE and PG are fixed to 1");
	G_EQ(f1 & 0xe005003f, 0xe005003f, "no CR0 bit that exists is fixed to 0");
	f0 = rdmsr(MSR_VMX_CR4_FIXED0);
	f1 = rdmsr(MSR_VMX_CR4_FIXED1);
	G_EQ(f0 & ~f1, 0, "CR4 bits fixed to 1 and to 0");
	G_EQ(f0, CR4_VMXE, "VMXE is fixed to 1");
	G_EQ(f1 & 0x7ff, 0x7ff, "the basic CR4 bits may be set");
	G_EQ(!!(f1 & CR4_SMEP), CPUID_REG(7, 0, b) >> 7 & 1, "CR4.SMEP as CPUID says");
	G_EQ(!!(f1 & CR4_SMAP), CPUID_REG(7, 0, b) >> 20 & 1, "CR4.SMAP as CPUID says");
	G_EQ(!!(f1 & CR4_OSXSAVE), CPUID_REG(1, 0, c) >> 26 & 1, "CR4.OSXSAVE as CPUID says");
	G_EQ(!!(f1 & CR4_PCIDE), CPUID_REG(1, 0, c) >> 17 & 1, "CR4.PCIDE as CPUID says");
}

static void guest_read_only(void)
{
	u32 msr;
	u64 v;

	vmx_enable();
	for (msr = 0x480; msr <= 0x491; msr++) {
		if (try_rdmsr(msr, &v) != NO_FAULT)
			continue;
		G_EQN(try_wrmsr(msr, v), GP0, "WRMSR of a capability MSR", msr);
	}
	for (msr = 0x480; msr <= 0x48a; msr++)
		G_EQN(try_rdmsr(msr, &v), NO_FAULT, "RDMSR of a capability MSR", msr);
}

static void guest_ept_caps(void)
{
	u64 e;

	vmx_enable();
	if (!ctl_has(F_PROC2, SEC_EPT))
		g_skip("no EPT");
	e = rdmsr(MSR_VMX_EPT);
	G_EQ(e & BIT(6), BIT(6), "4-level walks");
	G_EQ(e & BIT(14), BIT(14), "write-back");
	G_EQ(!!(e & BIT(20)), !!(e & (BIT(25) | BIT(26))), "INVEPT and its types");
	if (ctl_has(F_PROC2, SEC_VPID))
		G_EQ(!!(e & 1ul << 32), !!(e & 15ul << 40), "INVVPID and its types");
}

/* A bit value that is not allowed makes the entry fail; an allowed one is accepted, or depends on other bits. */
static void l2_vmcall(void)
{
	for (;;)
		asm volatile("vmcall");
}

static void guest_each_bit(void)
{
	static const u32 fields[] = { F_PIN, F_PROC, F_EXIT_CTLS, F_ENTRY_CTLS, F_PROC2 };
	u64 i, bit, msr, v, ret;

	vmcs_new(l2_vmcall);
	if (ctl_has(F_PROC, PROC_SECONDARY))
		vmset(F_PROC, PROC_SECONDARY);
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i] == F_PROC2 && !ctl_has(F_PROC, PROC_SECONDARY))
			break;
		msr = ctl_msr(fields[i]);
		v = vmread(fields[i]);
		for (bit = 0; bit < 32; bit++) {
			if (!(msr >> 32 & BIT(bit)))
				vmwrite(fields[i], v | BIT(bit));
			else if (msr & BIT(bit))
				vmwrite(fields[i], v & ~BIT(bit));
			else
				continue;
			ret = vmx_try_enter(true);
			G_EQN(ret, VM_FAIL(E_BAD_CONTROLS), "disallowed control bit", fields[i] << 8 | bit);
			if (ret == VM_OK)
				g_diag("reason %llx qualification %llx", vmread(F_REASON), vmread(F_QUAL));
			vmwrite(fields[i], v);
		}
	}
	G_EQ(vmx_try_enter(true), VM_OK, "a valid entry after failed ones");
	G_EQ(vmread(F_REASON), R_VMCALL, "its exit");
}

#define V .flags = KSFT_VMX
static const struct ksft_test tests[] = {
	{ "IA32_VMX_BASIC and IA32_VMX_MISC", .guest = guest_basic, V },
	{ "control capabilities", .guest = guest_controls, V },
	{ "CR0 and CR4 fixed bits", .guest = guest_fixed, V },
	{ "capability MSRs are read-only", .guest = guest_read_only, V },
	{ "IA32_VMX_EPT_VPID_CAP", .guest = guest_ept_caps, V },
	{ "every unsupported control bit fails the entry", .guest = guest_each_bit, V },
};
KSFT_MAIN(tests)
