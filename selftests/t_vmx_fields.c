// SPDX-License-Identifier: GPL-2.0
/* VMREAD and VMWRITE with all 2^15 encodings and beyond: existing fields, their widths, and that they keep values. */
#include "vm.h"
#include "vmx.h"

#define ENCODINGS	0x8000u
#define IS_HIGH(enc)	((enc) & 1)
#define INDEX(enc)	((enc) >> 1 & 0x1ff)
#define TYPE(enc)	((enc) >> 10 & 3)
#define WIDTH(enc)	((enc) >> 13 & 3)
enum { TYPE_CTL, TYPE_RO, TYPE_GUEST, TYPE_HOST };
enum { WIDTH_16, WIDTH_64, WIDTH_32, WIDTH_NATURAL };

static u64 width_mask(u32 enc)
{
	if (WIDTH(enc) == WIDTH_16)
		return 0xffff;
	return WIDTH(enc) == WIDTH_32 || IS_HIGH(enc) ? 0xffffffff : ~0ul;
}

/* The bits that must be kept; reserved bits of access rights need not be (SDM 3C 25.4.1, note). */
static u64 kept(u32 enc)
{
	return enc >= F_ES_AR && enc <= F_TR_AR ? 0x1f0ff : width_mask(enc);
}

static bool writes_read_only(void)
{
	return rdmsr(MSR_VMX_MISC) & BIT(29);
}

static void guest_encodings(void)
{
	u32 enc, n = 0, max = 0;
	u64 v, r, w;

	vmcs_new(NULL);
	for (enc = 0; enc < ENCODINGS; enc++) {
		v = 0;
		r = try_vmread(enc, &v);
		if (r == VM_FAIL(E_BAD_FIELD)) {
			G_EQN(try_vmwrite(enc, 0), VM_FAIL(E_BAD_FIELD), "VMWRITE of a field unknown to VMREAD", enc);
			continue;
		}
		G_EQN(r, VM_OK, "VMREAD", enc);
		w = try_vmwrite(enc, v);
		if (TYPE(enc) == TYPE_RO && !writes_read_only())
			G_EQN(w, VM_FAIL(E_READ_ONLY_FIELD), "VMWRITE of a read-only field", enc);
		else
			G_EQN(w, VM_OK, "VMWRITE", enc);
		n++;
		if (INDEX(enc) > max)
			max = INDEX(enc);
		G_EQN(v & ~width_mask(enc), 0, "bits beyond the width", enc);
		if (IS_HIGH(enc))
			G_EQN(WIDTH(enc), WIDTH_64, "a high part", enc);
		G_EQN(enc & BIT(12), 0, "bit 12 of an encoding", enc);
	}
	G_OK(n > 120, "number of fields");
	G_EQ((rdmsr(MSR_VMX_ENUM) >> 1 & 0x1ff) >= max, 1, "IA32_VMX_VMCS_ENUM covers all fields");
}

static void guest_beyond(void)
{
	u64 v = 7, i;

	vmcs_new(NULL);
	for (i = 15; i < 64; i++) {
		G_EQN(try_vmread(F_RIP | 1ul << i, &v), VM_FAIL(E_BAD_FIELD), "VMREAD, encoding bit", i);
		G_EQN(try_vmwrite(F_RIP | 1ul << i, 0), VM_FAIL(E_BAD_FIELD), "VMWRITE, encoding bit", i);
	}
	G_EQ(v, 7, "a failed VMREAD leaves its destination unchanged");
	G_EQ(try_vmread(F_RIP | BIT(12), &v), VM_FAIL(E_BAD_FIELD), "bit 12");
	G_EQ(try_vmread(F_RIP | BIT(0), &v), VM_FAIL(E_BAD_FIELD), "high part of a natural-width field");
	G_EQ(try_vmread(F_GUEST_ES | BIT(0), &v), VM_FAIL(E_BAD_FIELD), "high part of a 16-bit field");
	G_EQ(try_vmread(F_PIN | BIT(0), &v), VM_FAIL(E_BAD_FIELD), "high part of a 32-bit field");
}

/* Fields that every VMX processor in 64-bit mode has. */
static const u16 always[] = {
	F_GUEST_ES, F_GUEST_CS, F_GUEST_SS, F_GUEST_DS, F_GUEST_FS, F_GUEST_GS, F_GUEST_LDTR, F_GUEST_TR,
	F_HOST_ES, F_HOST_CS, F_HOST_SS, F_HOST_DS, F_HOST_FS, F_HOST_GS, F_HOST_TR,
	F_IO_BITMAP_A, F_IO_BITMAP_B, F_EXIT_MSR_STORE, F_EXIT_MSR_LOAD, F_ENTRY_MSR_LOAD, F_TSC_OFFSET,
	F_LINK_POINTER, F_GUEST_DEBUGCTL,
	F_PIN, F_PROC, F_EXCEPTION_BITMAP, F_PF_MASK, F_PF_MATCH, F_CR3_TARGETS, F_EXIT_CTLS, F_EXIT_STORE_COUNT,
	F_EXIT_LOAD_COUNT, F_ENTRY_CTLS, F_ENTRY_LOAD_COUNT, F_ENTRY_INTR_INFO, F_ENTRY_ERROR, F_ENTRY_ILEN,
	F_INSN_ERROR, F_REASON, F_INTR_INFO, F_INTR_ERROR, F_IDT_INFO, F_IDT_ERROR, F_ILEN, F_INSN_INFO,
	F_ES_LIMIT, F_CS_LIMIT, F_SS_LIMIT, F_DS_LIMIT, F_FS_LIMIT, F_GS_LIMIT, F_LDTR_LIMIT, F_TR_LIMIT,
	F_GDTR_LIMIT, F_IDTR_LIMIT, F_ES_AR, F_CS_AR, F_SS_AR, F_DS_AR, F_FS_AR, F_GS_AR, F_LDTR_AR, F_TR_AR,
	F_INTERRUPTIBILITY, F_ACTIVITY, F_GUEST_SYSENTER_CS, F_HOST_SYSENTER_CS,
	F_CR0_MASK, F_CR4_MASK, F_CR0_SHADOW, F_CR4_SHADOW, F_QUAL, F_LINEAR,
	F_GUEST_CR0, F_GUEST_CR3, F_GUEST_CR4, F_ES_BASE, F_CS_BASE, F_SS_BASE, F_DS_BASE, F_FS_BASE, F_GS_BASE,
	F_LDTR_BASE, F_TR_BASE, F_GDTR_BASE, F_IDTR_BASE, F_GUEST_DR7, F_RSP, F_RIP, F_RFLAGS, F_PENDING_DBG,
	F_GUEST_SYSENTER_ESP, F_GUEST_SYSENTER_EIP,
	F_HOST_CR0, F_HOST_CR3, F_HOST_CR4, F_HOST_FS_BASE, F_HOST_GS_BASE, F_HOST_TR_BASE, F_HOST_GDTR_BASE,
	F_HOST_IDTR_BASE, F_HOST_SYSENTER_ESP, F_HOST_SYSENTER_EIP, F_HOST_RSP, F_HOST_RIP,
};

/* Fields that exist if a control is supported. */
static const struct {
	u16 field, ctl;
	u64 bit;
} offered[] = {
	{ F_MSR_BITMAP, F_PROC, PROC_MSR_BITMAPS },
	{ F_TPR_THRESHOLD, F_PROC, PROC_TPR_SHADOW },
	{ F_VIRTUAL_APIC, F_PROC, PROC_TPR_SHADOW },
	{ F_PROC2, F_PROC, PROC_SECONDARY },
	{ F_APIC_ACCESS, F_PROC2, SEC_APIC_ACCESS },
	{ F_EPTP, F_PROC2, SEC_EPT },
	{ F_GUEST_PHYSICAL, F_PROC2, SEC_EPT },
	{ F_GUEST_PDPTE0, F_PROC2, SEC_EPT },
	{ F_GUEST_PDPTE3, F_PROC2, SEC_EPT },
	{ F_VPID, F_PROC2, SEC_VPID },
	{ F_PLE_GAP, F_PROC2, BIT(10) },
	{ F_PLE_WINDOW, F_PROC2, BIT(10) },
	{ F_XSS_BITMAP, F_PROC2, SEC_XSAVES },
	{ F_TIMER, F_PIN, PIN_TIMER },
	{ F_GUEST_PAT, F_ENTRY_CTLS, ENTRY_LOAD_PAT },
	{ F_HOST_PAT, F_EXIT_CTLS, EXIT_LOAD_PAT },
	{ F_GUEST_EFER, F_ENTRY_CTLS, ENTRY_LOAD_EFER },
	{ F_HOST_EFER, F_EXIT_CTLS, EXIT_LOAD_EFER },
};

static void guest_fields_exist(void)
{
	u64 i, v = 0;

	vmcs_new(NULL);
	for (i = 0; i < ARRAY_SIZE(always); i++)
		G_EQN(try_vmread(always[i], &v), VM_OK, "field", always[i]);
	for (i = 0; i < ARRAY_SIZE(offered); i++)
		if (ctl_has(offered[i].ctl, offered[i].bit))
			G_EQN(try_vmread(offered[i].field, &v), VM_OK, "supported control's field", offered[i].field);
}

static u64 value_of(u32 enc, u64 seed)
{
	return (enc * 0x9e3779b97f4a7c15ul + seed) ^ (enc + seed) << 40;
}

static bool writable(u32 enc)
{
	u64 v = 0;

	return !IS_HIGH(enc) && TYPE(enc) != TYPE_RO && try_vmread(enc, &v) == VM_OK;
}

static void write_all(u64 seed)
{
	u32 enc;

	for (enc = 0; enc < ENCODINGS; enc++)
		if (writable(enc))
			vmwrite(enc, value_of(enc, seed));
}

static void check_all(u64 seed, const char *what)
{
	u32 enc;

	for (enc = 0; enc < ENCODINGS; enc++)
		if (writable(enc))
			G_EQN(vmread(enc) & kept(enc), value_of(enc, seed) & kept(enc), what, enc);
}

static void guest_values(void)
{
	u64 a, b;

	a = vmcs_new(NULL);
	b = vmcs_new(NULL);
	write_all(1);
	check_all(1, "value just written");
	vmcs_load(a);
	write_all(2);
	vmcs_load(b);
	check_all(1, "value after VMPTRLD of another VMCS and back");
	G_EQ(vmclear(b), VM_OK, "VMCLEAR");
	vmcs_load(a);
	check_all(2, "value of the other VMCS");
	vmcs_load(b);
	check_all(1, "value after VMCLEAR");
	G_EQ(vmclear(a), VM_OK, "VMCLEAR of a VMCS that is not current");
	check_all(1, "value after VMCLEAR of another VMCS");
	G_EQ(vmclear(b), VM_OK, "VMCLEAR");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	G_EQ(vmxon(vmx_region_on), VM_OK, "VMXON");
	vmcs_load(b);
	check_all(1, "value after VMCLEAR, VMXOFF and VMXON");
}

/* A cleared VMCS can be copied: its region holds all of its data, in the processor's format (SDM 3C 25.11.3). */
static void guest_copies(void)
{
	u64 a = vmcs_new(NULL), b = (u64)g_page();

	write_all(5);
	G_EQ(vmclear(a), VM_OK, "VMCLEAR");
	g_copy((void *)b, (void *)a, 4096);
	vmcs_load(b);
	check_all(5, "value in the copy");
	write_all(6);
	vmcs_load(a);
	check_all(5, "value in the original");
}

static void guest_high_parts(void)
{
	u32 enc;
	u64 v = 0;

	vmcs_new(NULL);
	for (enc = 0; enc < ENCODINGS; enc++) {
		if (WIDTH(enc) != WIDTH_64 || IS_HIGH(enc) || TYPE(enc) == TYPE_RO || try_vmread(enc, &v))
			continue;
		vmwrite(enc, 0x1111111122222222ul);
		G_EQN(vmread(enc | 1), 0x11111111, "high part", enc);
		vmwrite(enc | 1, 0xffffffff33333333ul);
		G_EQN(vmread(enc), 0x3333333322222222ul, "field after a write of its high part", enc);
	}
}

/* Fields written by entries and exits must be current even if other fields are shadowed. */
static void l2_loop(void)
{
	for (;;)
		asm volatile("vmcall");
}

static void guest_fresh(void)
{
	u64 i, rip, rsp;

	vmcs_new(l2_loop);
	vmx_expect(R_VMCALL, "exit");
	rip = vmread(F_RIP);
	rsp = vmread(F_RSP);
	for (i = 0; i < 100; i++) {
		vmwrite(F_RIP, rip + 3);
		G_EQ(vmread(F_RIP), rip + 3, "RIP after VMWRITE");
		vmwrite(F_RSP, rsp - i * 8);
		vmwrite(F_INTERRUPTIBILITY, 0);
		vmx_expect(R_VMCALL, "exit");
		G_EQ(vmread(F_RIP), rip, "RIP of the next exit");
		G_EQ(vmread(F_RSP), rsp - i * 8, "RSP");
		G_EQ(vmread(F_REASON), R_VMCALL, "reason");
		G_EQ(vmread(F_GUEST_CR3), read_cr3(), "CR3");
		G_EQ(vmread(F_CS_AR), 0xa09b, "CS access rights");
		G_EQ(vmread(F_GUEST_TR), SEL_TSS, "TR");
	}
}

#define V .flags = KSFT_VMX
static const struct ksft_test tests[] = {
	{ "all 2^15 encodings", .guest = guest_encodings, V },
	{ "encodings beyond", .guest = guest_beyond, V },
	{ "fields that must exist", .guest = guest_fields_exist, V },
	{ "values across VMPTRLD, VMCLEAR and VMXOFF", .guest = guest_values, V },
	{ "values in a copy of a cleared VMCS", .guest = guest_copies, V },
	{ "high parts of 64-bit fields", .guest = guest_high_parts, V },
	{ "fields changed by exits", .guest = guest_fresh, V },
};
KSFT_MAIN(tests)
