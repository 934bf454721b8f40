// SPDX-License-Identifier: GPL-2.0
/* VM-entry checks on controls, host state and guest state: each bad value must fail as the SDM says (3C 27.2, 27.3). */
#include "vm.h"
#include "vmx.h"

/* How a row makes a valid VMCS bad. */
enum op {
	WR = 1,	/* write val */
	OR,	/* set bits */
	ANDN,	/* clear bits */
	CTL,	/* set control bits; the row is skipped if they are not supported */
	SEC,	/* the same for secondary controls */
	FN,	/* call fn(); the row is skipped if it returns false */
};

struct step {
	u8 op;
	u16 field;
	u64 val;
	bool (*fn)(void);
};

#define MAX_STEPS	5
struct row {
	const char *name;
	struct step steps[MAX_STEPS];	/* ends at a step without op */
	u64 qual;			/* exit qualification, for guest-state rows */
};

static u64 page_a, page_b;

static void l2_vmcall(void)
{
	for (;;)
		asm volatile("vmcall");
}

static bool apply(const struct row *r)
{
	int i;

	for (i = 0; i < MAX_STEPS; i++) {
		const struct step *s = &r->steps[i];

		if (!s->op)
			break;
		switch (s->op) {
		case WR:
			vmwrite(s->field, s->val);
			break;
		case OR:
			vmset(s->field, s->val);
			break;
		case ANDN:
			vmclr(s->field, s->val);
			break;
		case CTL:
			if (!ctl_has(s->field, s->val))
				return false;
			vmset(s->field, s->val);
			break;
		case SEC:
			if (!ctl_has(F_PROC2, s->val))
				return false;
			vmset(F_PROC, PROC_SECONDARY);
			vmset(F_PROC2, s->val);
			break;
		case FN:
			if (!s->fn())
				return false;
			break;
		}
	}
	return true;
}

static void prepare(void)
{
	vmcs_new(l2_vmcall);
	page_a = (u64)g_page();
	page_b = (u64)g_page();
}

static void good_entry(const char *after)
{
	vmcs_fill(l2_vmcall);
	G_EQ(vmx_try_enter(true), VM_OK, after);
	G_EQ(vmread(F_REASON), R_VMCALL, after);
}

static void check_rows(const struct row *rows, u64 n, u64 want)
{
	u64 i, ret;

	prepare();
	for (i = 0; i < n; i++) {
		vmcs_fill(l2_vmcall);
		if (!apply(&rows[i]))
			continue;
		ret = vmx_try_enter(true);
		G_EQN(ret, want, rows[i].name, i);
		if (ret == VM_OK)
			g_diag("VM entry succeeded: reason %llx qualification %llx", vmread(F_REASON), vmread(F_QUAL));
		if (ret == VM_OK && !(vmread(F_REASON) & R_FAILED_ENTRY)) {
			/* The VMCS was launched, although it should not have been. */
			u64 vmcs;

			vmptrst(&vmcs);
			vmclear(vmcs);
			vmcs_load(vmcs);
		}
	}
	good_entry("a valid entry after failed ones");
}

/* --- controls: error 7 --- */

#define UNALIGNED	0x1008ul
#define HUGE_ADDR	(1ul << 52)

static bool big_cr3_count(void)
{
	vmwrite(F_CR3_TARGETS, (rdmsr(MSR_VMX_MISC) >> 16 & 0x1ff) + 1);
	return true;
}

static bool threshold_above_vtpr(void)
{
	if (!ctl_has(F_PROC, PROC_TPR_SHADOW))
		return false;
	vmset(F_PROC, PROC_TPR_SHADOW);
	vmwrite(F_VIRTUAL_APIC, page_a);
	*(volatile u32 *)(page_a + 0x80) = 0x10;
	vmwrite(F_TPR_THRESHOLD, 2);
	return true;
}

static bool with_ept(void)
{
	if (!ept_caps())
		return false;
	vmset(F_PROC, PROC_SECONDARY);
	vmset(F_PROC2, SEC_EPT);
	vmwrite(F_EPTP, ept_new());
	return true;
}

#define INTR(vec, type, err) (1ul << 31 | (err) << 11 | (type) << 8 | (vec))

static bool long_instruction(void)
{
	vmwrite(F_ENTRY_INTR_INFO, INTR(0x80, 4, 0));
	vmwrite(F_ENTRY_ILEN, 16);
	return true;
}

static bool no_instruction(void)
{
	vmwrite(F_ENTRY_INTR_INFO, INTR(0x80, 4, 0));
	vmwrite(F_ENTRY_ILEN, 0);
	return !(rdmsr(MSR_VMX_MISC) & BIT(30));
}

static bool no_mtf(void)
{
	vmwrite(F_ENTRY_INTR_INFO, INTR(0, 7, 0));
	return !ctl_has(F_PROC, PROC_MTF);
}

static bool injects_with_error(void)
{
	vmwrite(F_ENTRY_INTR_INFO, INTR(13, 3, 1));
	vmwrite(F_ENTRY_ERROR, 0x10000);
	return true;
}

static bool checks_error_codes(void)
{
	return !(rdmsr(MSR_VMX_BASIC) & 1ul << 56);
}

static const struct row control_rows[] = {
	{ "CR3-target count", { { FN, .fn = big_cr3_count } } },
	{ "I/O bitmap A misaligned", { { CTL, F_PROC, PROC_IO_BITMAPS }, { WR, F_IO_BITMAP_A, UNALIGNED }, { WR, F_IO_BITMAP_B, 0x1000 } } },
	{ "I/O bitmap B beyond MAXPHYADDR", { { CTL, F_PROC, PROC_IO_BITMAPS }, { WR, F_IO_BITMAP_A, 0x1000 }, { WR, F_IO_BITMAP_B, HUGE_ADDR } } },
	{ "MSR bitmap misaligned", { { CTL, F_PROC, PROC_MSR_BITMAPS }, { WR, F_MSR_BITMAP, UNALIGNED } } },
	{ "MSR bitmap beyond MAXPHYADDR", { { CTL, F_PROC, PROC_MSR_BITMAPS }, { WR, F_MSR_BITMAP, HUGE_ADDR } } },
	{ "virtual-APIC page misaligned", { { CTL, F_PROC, PROC_TPR_SHADOW }, { WR, F_VIRTUAL_APIC, UNALIGNED } } },
	{ "virtual-APIC page beyond MAXPHYADDR", { { CTL, F_PROC, PROC_TPR_SHADOW }, { WR, F_VIRTUAL_APIC, HUGE_ADDR } } },
	{ "TPR threshold's reserved bits", { { CTL, F_PROC, PROC_TPR_SHADOW }, { WR, F_VIRTUAL_APIC, 0x1000 }, { WR, F_TPR_THRESHOLD, 0x10 } } },
	{ "TPR threshold above VTPR", { { FN, .fn = threshold_above_vtpr } } },
	{ "virtual NMIs without NMI exiting", { { CTL, F_PIN, PIN_VNMI }, { ANDN, F_PIN, PIN_NMI } } },
	{ "NMI-window exiting without virtual NMIs", { { CTL, F_PROC, PROC_NMI_WINDOW } } },
	{ "APIC-access page misaligned", { { SEC, 0, SEC_APIC_ACCESS }, { WR, F_APIC_ACCESS, UNALIGNED } } },
	{ "APIC-access page beyond MAXPHYADDR", { { SEC, 0, SEC_APIC_ACCESS }, { WR, F_APIC_ACCESS, HUGE_ADDR } } },
	{ "x2APIC mode without TPR shadow", { { SEC, 0, SEC_X2APIC } } },
	{ "APIC-register virtualization without TPR shadow", { { SEC, 0, SEC_APIC_REG } } },
	{ "virtual-interrupt delivery without TPR shadow", { { SEC, 0, SEC_VID } } },
	{ "VPID 0", { { SEC, 0, SEC_VPID }, { WR, F_VPID, 0 } } },
	{ "EPTP: memory type", { { FN, .fn = with_ept }, { OR, F_EPTP, 7 } } },
	{ "EPTP: walk length", { { FN, .fn = with_ept }, { ANDN, F_EPTP, 0x38 } } },
	{ "EPTP: reserved bits 11:8", { { FN, .fn = with_ept }, { OR, F_EPTP, 0x800 } } },
	{ "EPTP: beyond MAXPHYADDR", { { FN, .fn = with_ept }, { OR, F_EPTP, HUGE_ADDR } } },
	{ "unrestricted guest without EPT", { { SEC, 0, SEC_UNRESTRICTED } } },
	{ "PML without EPT", { { SEC, 0, SEC_PML } } },
	{ "saving the preemption timer without it", { { CTL, F_EXIT_CTLS, EXIT_SAVE_TIMER } } },
	{ "exit MSR-store list misaligned", { { WR, F_EXIT_STORE_COUNT, 1 }, { WR, F_EXIT_MSR_STORE, UNALIGNED } } },
	{ "exit MSR-store list beyond MAXPHYADDR", { { WR, F_EXIT_STORE_COUNT, 1 }, { WR, F_EXIT_MSR_STORE, HUGE_ADDR } } },
	{ "exit MSR-load list misaligned", { { WR, F_EXIT_LOAD_COUNT, 1 }, { WR, F_EXIT_MSR_LOAD, UNALIGNED } } },
	{ "exit MSR-load list wraps", { { WR, F_EXIT_LOAD_COUNT, 2 }, { WR, F_EXIT_MSR_LOAD, ~0xful } } },
	{ "entry MSR-load list misaligned", { { WR, F_ENTRY_LOAD_COUNT, 1 }, { WR, F_ENTRY_MSR_LOAD, UNALIGNED } } },
	{ "entry MSR-load list beyond MAXPHYADDR", { { WR, F_ENTRY_LOAD_COUNT, 1 }, { WR, F_ENTRY_MSR_LOAD, HUGE_ADDR } } },
	{ "injection: reserved type", { { WR, F_ENTRY_INTR_INFO, INTR(0x20, 1ul, 0) } } },
	{ "injection: other event without MTF", { { FN, .fn = no_mtf } } },
	{ "injection: NMI with another vector", { { WR, F_ENTRY_INTR_INFO, INTR(3, 2ul, 0) } } },
	{ "injection: exception above 31", { { WR, F_ENTRY_INTR_INFO, INTR(32, 3ul, 0) } } },
	{ "injection: other event with a vector", { { CTL, F_PROC, PROC_MTF }, { WR, F_ENTRY_INTR_INFO, INTR(1, 7ul, 0) } } },
	{ "injection: #GP without an error code", { { FN, .fn = checks_error_codes }, { WR, F_ENTRY_INTR_INFO, INTR(13, 3ul, 0) } } },
	{ "injection: #UD with an error code", { { FN, .fn = checks_error_codes }, { WR, F_ENTRY_INTR_INFO, INTR(6, 3ul, 1ul) } } },
	{ "injection: interrupt with an error code", { { WR, F_ENTRY_INTR_INFO, INTR(0x40, 0ul, 1ul) } } },
	{ "injection: reserved bits", { { WR, F_ENTRY_INTR_INFO, INTR(0x40, 0ul, 0ul) | BIT(12) } } },
	{ "injection: bit 30", { { WR, F_ENTRY_INTR_INFO, INTR(0x40, 0ul, 0ul) | BIT(30) } } },
	{ "injection: error code above 15 bits", { { FN, .fn = injects_with_error } } },
	{ "injection: instruction length 16", { { FN, .fn = long_instruction } } },
	{ "injection: instruction length 0", { { FN, .fn = no_instruction } } },
	{ "entry to SMM outside SMM", { { OR, F_ENTRY_CTLS, ENTRY_SMM } } },
	{ "dual-monitor deactivation outside SMM", { { OR, F_ENTRY_CTLS, ENTRY_DUAL } } },
};

static void guest_controls(void)
{
	check_rows(control_rows, ARRAY_SIZE(control_rows), VM_FAIL(E_BAD_CONTROLS));
}

static bool has_cr3_targets(void)
{
	return (rdmsr(MSR_VMX_MISC) >> 16 & 0x1ff) == 4;
}

/* Values that look bad, but are not checked while their control is 0. */
static const struct row ignored_rows[] = {
	{ "I/O bitmaps unused", { { WR, F_IO_BITMAP_A, UNALIGNED }, { WR, F_IO_BITMAP_B, ~0ul } } },
	{ "MSR lists of no entries", { { WR, F_EXIT_MSR_STORE, UNALIGNED }, { WR, F_ENTRY_MSR_LOAD, ~0ul }, { WR, F_EXIT_MSR_LOAD, HUGE_ADDR } } },
	{ "invalid injection without the valid bit", { { WR, F_ENTRY_INTR_INFO, 0x7fffffff } } },
	{ "error code without an event", { { WR, F_ENTRY_ERROR, ~0ul }, { WR, F_ENTRY_ILEN, 99 } } },
	{ "secondary controls not activated", { { FN, .fn = with_ept }, { ANDN, F_PROC, PROC_SECONDARY }, { WR, F_PROC2, 0xffffffff }, { WR, F_EPTP, ~0ul } } },
	{ "exception bitmap and #PF mask", { { WR, F_EXCEPTION_BITMAP, 0xffffffff }, { WR, F_PF_MASK, ~0ul }, { WR, F_PF_MATCH, ~0ul } } },
	{ "CR masks and shadows", { { WR, F_CR0_MASK, ~0ul }, { WR, F_CR4_MASK, ~0ul }, { WR, F_CR0_SHADOW, ~0ul }, { WR, F_CR4_SHADOW, ~0ul } } },
	{ "CR3 targets", { { FN, .fn = has_cr3_targets }, { WR, F_CR3_TARGET0, ~0ul }, { WR, F_CR3_TARGET3, ~0ul } } },
};

static void guest_ignored(void)
{
	u64 i, ret;

	prepare();
	for (i = 0; i < ARRAY_SIZE(ignored_rows); i++) {
		u64 vmcs;

		vmptrst(&vmcs);
		vmclear(vmcs);
		vmcs_load(vmcs);
		vmcs_fill(l2_vmcall);
		if (!apply(&ignored_rows[i]))
			continue;
		ret = vmx_try_enter(true);
		G_EQN(ret, VM_OK, ignored_rows[i].name, i);
		if (ret == VM_OK)
			G_EQN(vmread(F_REASON), R_VMCALL, ignored_rows[i].name, i);
	}
}

/* --- host state: error 8 --- */

#define NONCANON 0x8000000000000000ul

static bool cr3_beyond(void)
{
	vmset(F_HOST_CR3, 1ul << (CPUID_REG(0x80000008, 0, a) & 0xff));
	return true;
}

static bool bad_rip(void)
{
	vmx_host_override = 1;
	vmx_host_rip = NONCANON;
	return true;
}

static const struct row host_rows[] = {
	{ "CR0.PG clear", { { ANDN, F_HOST_CR0, CR0_PG } } },
	{ "CR0.PE clear", { { ANDN, F_HOST_CR0, CR0_PE } } },
	{ "CR0.NE clear", { { ANDN, F_HOST_CR0, CR0_NE } } },
	{ "CR0 bit 32", { { OR, F_HOST_CR0, 1ul << 32 } } },
	{ "CR4.VMXE clear", { { ANDN, F_HOST_CR4, CR4_VMXE } } },
	{ "CR4 bit 15", { { OR, F_HOST_CR4, BIT(15) } } },
	{ "CR4 bit 63", { { OR, F_HOST_CR4, 1ul << 63 } } },
	{ "CR4.PAE clear", { { ANDN, F_HOST_CR4, CR4_PAE } } },
	{ "CR3 beyond MAXPHYADDR", { { FN, .fn = cr3_beyond } } },
	{ "CR3 bit 63", { { OR, F_HOST_CR3, 1ul << 63 } } },
	{ "SYSENTER_ESP not canonical", { { WR, F_HOST_SYSENTER_ESP, NONCANON } } },
	{ "SYSENTER_EIP not canonical", { { WR, F_HOST_SYSENTER_EIP, 0x0000800000000000ul } } },
	{ "PAT, bad type", { { CTL, F_EXIT_CTLS, EXIT_LOAD_PAT }, { WR, F_HOST_PAT, 0x0007040600070402ul } } },
	{ "PAT, reserved bit", { { CTL, F_EXIT_CTLS, EXIT_LOAD_PAT }, { WR, F_HOST_PAT, 0x8007040600070406ul } } },
	{ "EFER, reserved bit", { { CTL, F_EXIT_CTLS, EXIT_LOAD_EFER }, { OR, F_HOST_EFER, BIT(1) } } },
	{ "EFER without LMA", { { CTL, F_EXIT_CTLS, EXIT_LOAD_EFER }, { ANDN, F_HOST_EFER, EFER_LMA } } },
	{ "EFER without LME", { { CTL, F_EXIT_CTLS, EXIT_LOAD_EFER }, { ANDN, F_HOST_EFER, EFER_LME } } },
	{ "CS with RPL", { { OR, F_HOST_CS, 3 } } },
	{ "CS in the LDT", { { OR, F_HOST_CS, 4 } } },
	{ "SS with RPL", { { OR, F_HOST_SS, 1 } } },
	{ "DS with RPL", { { OR, F_HOST_DS, 3 } } },
	{ "ES with RPL", { { OR, F_HOST_ES, 3 } } },
	{ "FS in the LDT", { { OR, F_HOST_FS, 4 } } },
	{ "GS with RPL", { { OR, F_HOST_GS, 2 } } },
	{ "TR with RPL", { { OR, F_HOST_TR, 3 } } },
	{ "TR in the LDT", { { OR, F_HOST_TR, 4 } } },
	{ "CS null", { { WR, F_HOST_CS, 0 } } },
	{ "TR null", { { WR, F_HOST_TR, 0 } } },
	{ "FS base not canonical", { { WR, F_HOST_FS_BASE, NONCANON } } },
	{ "GS base not canonical", { { WR, F_HOST_GS_BASE, NONCANON } } },
	{ "TR base not canonical", { { WR, F_HOST_TR_BASE, NONCANON } } },
	{ "GDTR base not canonical", { { WR, F_HOST_GDTR_BASE, NONCANON } } },
	{ "IDTR base not canonical", { { WR, F_HOST_IDTR_BASE, NONCANON } } },
	{ "32-bit host", { { ANDN, F_EXIT_CTLS, EXIT_HOST64 } } },
	{ "32-bit host, 32-bit guest", { { ANDN, F_EXIT_CTLS, EXIT_HOST64 }, { ANDN, F_ENTRY_CTLS, ENTRY_IA32E } } },
};

static void guest_host(void)
{
	u64 ret;

	check_rows(host_rows, ARRAY_SIZE(host_rows), VM_FAIL(E_BAD_HOST));
	vmcs_new(l2_vmcall);
	bad_rip();
	ret = vmx_try_enter(true);
	vmx_host_override = 0;
	G_EQ(ret, VM_FAIL(E_BAD_HOST), "RIP not canonical");
	good_entry("a valid entry after a bad RIP");
}

/* --- guest state: exit reason 33 --- */

static bool guest_cr3_beyond(void)
{
	vmset(F_GUEST_CR3, 1ul << (CPUID_REG(0x80000008, 0, a) & 0xff));
	return true;
}

/* Virtual-8086 mode is not possible in IA-32e mode: a 32-bit L2. */
static bool guest32(void)
{
	vmclr(F_ENTRY_CTLS, ENTRY_IA32E);
	vmclr(F_GUEST_CR4, CR4_PAE);
	vmwrite(F_CS_AR, 0xc09b);
	vmwrite(F_GUEST_CS, SEL_CS32);
	if (ctl_has(F_ENTRY_CTLS, ENTRY_LOAD_EFER))
		vmwrite(F_GUEST_EFER, 0);
	return true;
}

static bool efer_ctl(void)
{
	if (!ctl_has(F_ENTRY_CTLS, ENTRY_LOAD_EFER))
		return false;
	vmset(F_ENTRY_CTLS, ENTRY_LOAD_EFER);
	return true;
}

static bool v8086(void)
{
	int i;

	guest32();
	vmset(F_RFLAGS, RFLAGS_VM);
	for (i = 0; i < 6; i++) {
		vmwrite(F_GUEST_ES + i * 2, 0);
		vmwrite(F_ES_BASE + i * 2, 0);
		vmwrite(F_ES_LIMIT + i * 2, 0xffff);
		vmwrite(F_ES_AR + i * 2, 0xf3);
	}
	return true;
}

static bool link_wrong_revision(void)
{
	*(u32 *)page_b = 0x12345;
	vmwrite(F_LINK_POINTER, page_b);
	return true;
}

static bool link_current(void)
{
	u64 vmcs;

	vmptrst(&vmcs);
	vmwrite(F_LINK_POINTER, vmcs);
	return true;
}

static bool bad_activity(void)
{
	vmwrite(F_ACTIVITY, 4);
	return true;
}

static bool unsupported_activity(void)
{
	/* IA32_VMX_MISC bits 6 to 8: HLT, shutdown, wait-for-SIPI. */
	if (rdmsr(MSR_VMX_MISC) & BIT(7))
		return false;
	vmwrite(F_ACTIVITY, 2);
	return true;
}

static bool hlt_state(void)
{
	vmwrite(F_ACTIVITY, 1);
	return rdmsr(MSR_VMX_MISC) & BIT(6);
}

static bool inject_extint(void)
{
	vmwrite(F_ENTRY_INTR_INFO, INTR(0x40, 0, 0));
	return true;
}

static bool inject_nmi(void)
{
	vmwrite(F_ENTRY_INTR_INFO, INTR(2, 2ul, 0));
	return true;
}

static bool pae_paging(void)
{
	guest32();
	vmset(F_GUEST_CR4, CR4_PAE);
	vmwrite(F_GUEST_CR3, page_a);
	*(u64 *)page_a = page_b | 1 | BIT(1);	/* a reserved bit of a PDPTE */
	return true;
}

static bool unrestricted(void)
{
	return ctl_has(F_PROC2, SEC_UNRESTRICTED);
}

static bool restricted_real(void)
{
	guest32();
	vmclr(F_GUEST_CR0, CR0_PG | CR0_PE);
	return true;
}

/* A processor may drop reserved bits of access rights when they are written. */
static bool keeps_reserved_rights(void)
{
	u64 ar = vmread(F_ES_AR), got;

	vmwrite(F_ES_AR, ar | 0x100);
	got = vmread(F_ES_AR);
	vmwrite(F_ES_AR, ar);
	return got & 0x100;
}

static const struct row guest_rows[] = {
	{ "CR0.NE clear", { { ANDN, F_GUEST_CR0, CR0_NE } } },
	{ "CR0.PG and PE clear without unrestricted guest", { { FN, .fn = restricted_real } } },
	{ "CR0.PG without PE", { { ANDN, F_GUEST_CR0, CR0_PE } } },
	{ "CR0.PG without PE, unrestricted", { { FN, .fn = unrestricted }, { FN, .fn = with_ept }, { SEC, 0, SEC_UNRESTRICTED }, { FN, .fn = guest32 }, { ANDN, F_GUEST_CR0, CR0_PE } } },
	{ "CR0 bit 32", { { OR, F_GUEST_CR0, 1ul << 32 } } },
	{ "CR4.VMXE clear", { { ANDN, F_GUEST_CR4, CR4_VMXE } } },
	{ "CR4 bit 15", { { OR, F_GUEST_CR4, BIT(15) } } },
	{ "CR4 bit 63", { { OR, F_GUEST_CR4, 1ul << 63 } } },
	{ "IA-32e without PAE", { { ANDN, F_GUEST_CR4, CR4_PAE } } },
	{ "IA-32e without paging", { { ANDN, F_GUEST_CR0, CR0_PG } } },
	{ "PCIDE without IA-32e", { { FN, .fn = guest32 }, { OR, F_GUEST_CR4, CR4_PCIDE } } },
	{ "CR3 beyond MAXPHYADDR", { { FN, .fn = guest_cr3_beyond } } },
	{ "DEBUGCTL reserved bits", { { CTL, F_ENTRY_CTLS, ENTRY_LOAD_DEBUG }, { WR, F_GUEST_DEBUGCTL, BIT(20) } } },
	{ "DR7 above 32 bits", { { CTL, F_ENTRY_CTLS, ENTRY_LOAD_DEBUG }, { WR, F_GUEST_DR7, 1ul << 32 | 0x400 } } },
	{ "SYSENTER_ESP not canonical", { { WR, F_GUEST_SYSENTER_ESP, NONCANON } } },
	{ "SYSENTER_EIP not canonical", { { WR, F_GUEST_SYSENTER_EIP, NONCANON } } },
	{ "PAT, bad type", { { CTL, F_ENTRY_CTLS, ENTRY_LOAD_PAT }, { WR, F_GUEST_PAT, 0x0007040600070403ul } } },
	{ "EFER, reserved bit", { { FN, .fn = efer_ctl }, { OR, F_GUEST_EFER, BIT(1) } } },
	{ "EFER without LMA", { { FN, .fn = efer_ctl }, { ANDN, F_GUEST_EFER, EFER_LMA } } },
	{ "EFER without LME", { { FN, .fn = efer_ctl }, { ANDN, F_GUEST_EFER, EFER_LME } } },
	{ "EFER.LMA without IA-32e", { { FN, .fn = guest32 }, { FN, .fn = efer_ctl }, { WR, F_GUEST_EFER, EFER_LMA | EFER_LME } } },
	{ "TR in the LDT", { { OR, F_GUEST_TR, 4 } } },
	{ "LDTR in the LDT", { { WR, F_LDTR_AR, 0x82 }, { OR, F_GUEST_LDTR, 4 } } },
	{ "SS.RPL is not CS.RPL", { { OR, F_GUEST_SS, 3 } } },
	{ "v8086: CS base", { { FN, .fn = v8086 }, { WR, F_CS_BASE, 0x10 } } },
	{ "v8086: DS limit", { { FN, .fn = v8086 }, { WR, F_DS_LIMIT, 0xfffff } } },
	{ "v8086: SS access rights", { { FN, .fn = v8086 }, { WR, F_SS_AR, 0x93 } } },
	{ "TR base not canonical", { { WR, F_TR_BASE, NONCANON } } },
	{ "FS base not canonical", { { WR, F_FS_BASE, NONCANON } } },
	{ "GS base not canonical", { { WR, F_GS_BASE, NONCANON } } },
	{ "LDTR base not canonical", { { WR, F_LDTR_AR, 0x82 }, { WR, F_LDTR_BASE, NONCANON } } },
	{ "CS base above 32 bits", { { WR, F_CS_BASE, 1ul << 32 } } },
	{ "SS base above 32 bits", { { WR, F_SS_BASE, 1ul << 32 } } },
	{ "DS base above 32 bits", { { WR, F_DS_BASE, 1ul << 32 } } },
	{ "ES base above 32 bits", { { WR, F_ES_BASE, 1ul << 32 } } },
	{ "CS type: data", { { WR, F_CS_AR, 0xa093 } } },
	{ "CS not accessed", { { WR, F_CS_AR, 0xa09a } } },
	{ "CS system", { { WR, F_CS_AR, 0xa08b } } },
	{ "CS not present", { { ANDN, F_CS_AR, 0x80 } } },
	{ "CS reserved bits", { { FN, .fn = keeps_reserved_rights }, { OR, F_CS_AR, 0x100 } } },
	{ "CS.D with CS.L", { { OR, F_CS_AR, 0x4000 } } },
	{ "CS.G with a limit's low bits clear", { { WR, F_CS_LIMIT, 0xfffff000 } } },
	{ "CS byte-granular with a limit above 20 bits", { { ANDN, F_CS_AR, 0x8000 } } },
	{ "CS DPL is not SS DPL", { { OR, F_CS_AR, 0x60 } } },
	{ "SS type: code", { { WR, F_SS_AR, 0xc09b } } },
	{ "SS type: read-only", { { WR, F_SS_AR, 0xc091 } } },
	{ "SS DPL is not RPL", { { OR, F_SS_AR, 0x60 } } },
	{ "SS not present", { { ANDN, F_SS_AR, 0x80 } } },
	{ "DS not accessed", { { WR, F_DS_AR, 0xc092 } } },
	{ "DS code, not readable", { { WR, F_DS_AR, 0xc099 } } },
	{ "DS system", { { WR, F_DS_AR, 0xc083 } } },
	{ "ES not present", { { ANDN, F_ES_AR, 0x80 } } },
	{ "FS reserved bits", { { FN, .fn = keeps_reserved_rights }, { OR, F_FS_AR, 0x800 } } },
	{ "GS limit and granularity", { { WR, F_GS_LIMIT, 0xffff0000 } } },
	{ "FS DPL below RPL", { { OR, F_GUEST_FS, 3 } } },
	{ "TR type: available", { { WR, F_TR_AR, 0x89 } } },
	{ "TR type: 16-bit in IA-32e mode", { { WR, F_TR_AR, 0x83 } } },
	{ "TR system flag", { { OR, F_TR_AR, 0x10 } } },
	{ "TR not present", { { ANDN, F_TR_AR, 0x80 } } },
	{ "TR reserved bits", { { FN, .fn = keeps_reserved_rights }, { OR, F_TR_AR, 0x100 } } },
	{ "TR unusable", { { OR, F_TR_AR, 0x10000 } } },
	{ "TR granularity", { { OR, F_TR_AR, 0x8000 } } },
	{ "LDTR type", { { WR, F_LDTR_AR, 0x83 } } },
	{ "LDTR not present", { { WR, F_LDTR_AR, 0x02 } } },
	{ "GDTR base not canonical", { { WR, F_GDTR_BASE, NONCANON } } },
	{ "IDTR base not canonical", { { WR, F_IDTR_BASE, NONCANON } } },
	{ "GDTR limit above 16 bits", { { WR, F_GDTR_LIMIT, 0x10000 } } },
	{ "IDTR limit above 16 bits", { { WR, F_IDTR_LIMIT, 0x80000000 } } },
	{ "RIP above 32 bits in a 32-bit segment", { { FN, .fn = guest32 }, { WR, F_RIP, 1ul << 32 } } },
	{ "RFLAGS bit 1 clear", { { ANDN, F_RFLAGS, 2 } } },
	{ "RFLAGS bit 3", { { OR, F_RFLAGS, 8 } } },
	{ "RFLAGS bit 15", { { OR, F_RFLAGS, BIT(15) } } },
	{ "RFLAGS bit 63", { { OR, F_RFLAGS, 1ul << 63 } } },
	{ "RFLAGS.VM in IA-32e mode", { { OR, F_RFLAGS, RFLAGS_VM } } },
	{ "external interrupt with IF clear", { { FN, .fn = inject_extint } } },
	{ "activity state 4", { { FN, .fn = bad_activity } } },
	{ "activity state not offered", { { FN, .fn = unsupported_activity } } },
	{ "HLT with SS.DPL 3", { { FN, .fn = hlt_state }, { OR, F_SS_AR, 0x60 } } },
	{ "interruptibility reserved bits", { { WR, F_INTERRUPTIBILITY, 0x20 } } },
	{ "STI and MOV SS blocking", { { OR, F_RFLAGS, RFLAGS_IF }, { WR, F_INTERRUPTIBILITY, 3 } } },
	{ "STI blocking with IF clear", { { WR, F_INTERRUPTIBILITY, 1 } } },
	{ "interrupt under STI blocking", { { OR, F_RFLAGS, RFLAGS_IF }, { FN, .fn = inject_extint }, { WR, F_INTERRUPTIBILITY, 1 } } },
	{ "interrupt under MOV SS blocking", { { OR, F_RFLAGS, RFLAGS_IF }, { FN, .fn = inject_extint }, { WR, F_INTERRUPTIBILITY, 2 } } },
	{ "NMI under MOV SS blocking", { { FN, .fn = inject_nmi }, { WR, F_INTERRUPTIBILITY, 2 } } },
	{ "NMI under virtual-NMI blocking", { { CTL, F_PIN, PIN_NMI | PIN_VNMI }, { FN, .fn = inject_nmi }, { WR, F_INTERRUPTIBILITY, 8 } } },
	{ "SMI blocking outside SMM", { { WR, F_INTERRUPTIBILITY, 4 } } },
	{ "pending debug exceptions, reserved bits", { { WR, F_PENDING_DBG, BIT(5) } } },
	{ "pending debug exceptions without BS under TF and STI blocking", { { OR, F_RFLAGS, RFLAGS_TF | RFLAGS_IF }, { WR, F_INTERRUPTIBILITY, 1 } } },
	{ "pending BS without TF under STI blocking", { { OR, F_RFLAGS, RFLAGS_IF }, { WR, F_INTERRUPTIBILITY, 1 }, { WR, F_PENDING_DBG, BIT(14) } } },
	{ "link pointer misaligned", { { WR, F_LINK_POINTER, UNALIGNED } }, 4 },
	{ "link pointer beyond MAXPHYADDR", { { WR, F_LINK_POINTER, HUGE_ADDR } }, 4 },
	{ "link pointer to a wrong revision", { { FN, .fn = link_wrong_revision } }, 4 },
	{ "link pointer is the current VMCS", { { FN, .fn = link_current } }, 4 },
	{ "PDPTE with reserved bits", { { FN, .fn = pae_paging } }, 2 },
};

static void guest_guest(void)
{
	u64 i, ret, rip, dr7;

	prepare();
	for (i = 0; i < ARRAY_SIZE(guest_rows); i++) {
		vmcs_fill(l2_vmcall);
		if (!apply(&guest_rows[i]))
			continue;
		rip = vmread(F_RIP);
		ret = vmx_try_enter(true);
		G_EQN(ret, VM_OK, guest_rows[i].name, i);
		if (ret)
			continue;
		G_EQN(vmread(F_REASON), R_FAILED_ENTRY | R_BAD_GUEST, guest_rows[i].name, i);
		if (vmread(F_REASON) & R_FAILED_ENTRY) {
			G_EQN(vmread(F_QUAL), guest_rows[i].qual, "qualification", i);
			G_EQN(vmread(F_RIP), rip, "guest state is unchanged", i);
		} else {
			u64 vmcs;

			vmptrst(&vmcs);
			vmclear(vmcs);
			vmcs_load(vmcs);
		}
	}
	good_entry("a valid entry after failed ones");
	/* The valid bit of the event to inject is not cleared by a failed entry (SDM 3C 27.8). */
	dr7 = vmread(F_GUEST_DR7);
	vmcs_new(l2_vmcall);
	vmset(F_RFLAGS, 8);
	vmwrite(F_ENTRY_INTR_INFO, INTR(6, 3ul, 0));
	G_EQ(vmx_try_enter(true), VM_OK, "entry");
	G_EQ(vmread(F_REASON), R_FAILED_ENTRY | R_BAD_GUEST, "reason");
	G_EQ(vmread(F_ENTRY_INTR_INFO), INTR(6, 3ul, 0), "event to inject after a failed entry");
	G_EQ(dr7, 0x400, "DR7");
}

/* A failed entry still loads L1's host state. */
static void guest_host_loaded(void)
{
	vmcs_new(l2_vmcall);
	vmset(F_RFLAGS, 8);
	wrmsr(MSR_SYSENTER_CS, 0x1111);
	wrmsr(MSR_SYSENTER_ESP, 0x2222);
	vmwrite(F_HOST_SYSENTER_CS, 0x77);
	vmwrite(F_HOST_SYSENTER_ESP, 0x88);
	vmwrite(F_HOST_FS_BASE, 0x99000);
	G_EQ(vmx_try_enter(true), VM_OK, "entry");
	G_EQ(vmread(F_REASON), R_FAILED_ENTRY | R_BAD_GUEST, "reason");
	G_EQ(rdmsr(MSR_SYSENTER_CS), 0x77, "SYSENTER_CS");
	G_EQ(rdmsr(MSR_SYSENTER_ESP), 0x88, "SYSENTER_ESP");
	G_EQ(rdmsr(MSR_FS_BASE), 0x99000, "FS base");
	G_EQ(l1_exit_rflags, RFLAGS_FIXED, "RFLAGS");
}

/* Bits 63:48 must be equal (SDM 3C 27.3.1.4). A separate subtest, because Bochs as L0's processor does not check it. */
static void guest_rip(void)
{
	vmcs_new(l2_vmcall);
	vmwrite(F_RIP, 0x1000000000000000ul);
	vmx_expect(R_FAILED_ENTRY | R_BAD_GUEST, "RIP");
}

/* SDM 3C 27.3.1.5. A separate subtest, because KVM as L0 accepts it. */
static void guest_hlt_sti(void)
{
	vmcs_new(l2_vmcall);
	if (!hlt_state())
		g_skip("no HLT activity state");
	vmset(F_RFLAGS, RFLAGS_IF);
	vmwrite(F_INTERRUPTIBILITY, 1);
	vmx_expect(R_FAILED_ENTRY | R_BAD_GUEST, "HLT state with STI blocking");
}

/* Controls and host state are checked before guest state: the instruction fails without a VM exit. */
static void guest_order(void)
{
	vmcs_new(l2_vmcall);
	vmset(F_RFLAGS, 8);
	vmwrite(F_HOST_TR, 0);
	G_EQ(vmx_try_enter(true), VM_FAIL(E_BAD_HOST), "bad host and guest state");
	vmwrite(F_HOST_TR, SEL_TSS);
	vmwrite(F_CR3_TARGETS, 0x1000);
	G_EQ(vmx_try_enter(true), VM_FAIL(E_BAD_CONTROLS), "bad controls and guest state");
	vmwrite(F_CR3_TARGETS, 0);
	G_EQ(vmx_try_enter(true), VM_OK, "bad guest state alone");
	G_EQ(vmread(F_REASON), R_FAILED_ENTRY | R_BAD_GUEST, "reason");
}

#define V .flags = KSFT_VMX
static const struct ksft_test tests[] = {
	{ "controls (error 7)", .guest = guest_controls, V },
	{ "values that are not checked", .guest = guest_ignored, V },
	{ "host state (error 8)", .guest = guest_host, V },
	{ "guest state (exit reason 33)", .guest = guest_guest, V },
	{ "guest RIP not canonical (exit reason 33)", .guest = guest_rip, V },
	{ "HLT state with STI blocking (exit reason 33)", .guest = guest_hlt_sti, V },
	{ "a failed entry loads host state", .guest = guest_host_loaded, V },
	{ "order of the checks", .guest = guest_order, V },
};
KSFT_MAIN(tests)
