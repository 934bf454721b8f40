// SPDX-License-Identifier: GPL-2.0
/* L1's use of VMX: capabilities, a VMCS with L1's own state, entry, EPT tables. */
#include "vmx.h"

u64 vmx_region_on;
struct l2_regs l2;
u64 vmx_host_override, vmx_host_rsp, vmx_host_rip;
static bool on, launched;
u64 vmx_enter(u64 launch);

/* SDM 3C 31.2: CF alone means VMfailInvalid, ZF alone VMfailValid, neither VMsucceed; all other flags are cleared. */
u64 vmx_outcome(u64 fault, u64 rflags)
{
	u64 n = 0;

	if (fault)
		return fault;
	rflags &= RFLAGS_CF | BIT(2) | BIT(4) | RFLAGS_ZF | BIT(7) | BIT(11);
	if (!rflags)
		return VM_OK;
	if (rflags == RFLAGS_CF)
		return VM_INVALID;
	if (rflags != RFLAGS_ZF)
		return 0x3000 | rflags << 16;
	asm volatile("vmread %1, %0" : "+r" (n) : "r" ((u64)F_INSN_ERROR) : "cc");
	return VM_FAIL(n);
}

u64 vmread(enum vmcs_field field)
{
	u64 v = 0x5a5a5a5a, ret = try_vmread(field, &v);

	if (ret)
		g_call(GCALL_ABORT, __FILE__, __LINE__, "VMREAD", ret, VM_OK, field, 1);
	return v;
}

void vmwrite(enum vmcs_field field, u64 val)
{
	u64 ret = try_vmwrite(field, val);

	if (ret)
		g_call(GCALL_ABORT, __FILE__, __LINE__, "VMWRITE", ret, VM_OK, field, 1);
}

void vmset(enum vmcs_field field, u64 bits)
{
	vmwrite(field, vmread(field) | bits);
}

void vmclr(enum vmcs_field field, u64 bits)
{
	vmwrite(field, vmread(field) & ~bits);
}

/* --- capabilities --- */

u64 ctl_msr(enum vmcs_field field)
{
	bool true_ctls = rdmsr(MSR_VMX_BASIC) & 1ul << 55;

	switch (field) {
	case F_PIN:
		return rdmsr(true_ctls ? 0x48d : 0x481);
	case F_PROC:
		return rdmsr(true_ctls ? 0x48e : 0x482);
	case F_EXIT_CTLS:
		return rdmsr(true_ctls ? 0x48f : 0x483);
	case F_ENTRY_CTLS:
		return rdmsr(true_ctls ? 0x490 : 0x484);
	case F_PROC2:
		return ctl_has(F_PROC, PROC_SECONDARY) ? rdmsr(MSR_VMX_PROC2) : 0;
	default:
		return 0;
	}
}

bool ctl_has(enum vmcs_field field, u64 bits)
{
	return (ctl_msr(field) >> 32 & bits) == bits;
}

void need(enum vmcs_field field, u64 bits, const char *what)
{
	if (!ctl_has(field, bits))
		g_skip(what);
	vmset(field, bits);
}

void need_secondary(u64 bits, const char *what)
{
	need(F_PROC, PROC_SECONDARY, what);
	need(F_PROC2, bits, what);
}

u64 ept_caps(void)
{
	return ctl_has(F_PROC2, SEC_EPT) ? rdmsr(MSR_VMX_EPT) : 0;
}

/* --- life of a VMCS --- */

void vmx_enable(void)
{
	if (!(CPUID_REG(1, 0, c) & BIT(5)))
		g_skip("no VMX");
	if (!(rdmsr(MSR_FEATURE_CONTROL) & 1))
		wrmsr(MSR_FEATURE_CONTROL, 5);
	write_cr0((read_cr0() | rdmsr(MSR_VMX_CR0_FIXED0)) & rdmsr(MSR_VMX_CR0_FIXED1));
	G_MUST(write_cr4(read_cr4() | CR4_VMXE) == NO_FAULT, "CR4.VMXE can be set");
}

u64 vmx_region(void)
{
	u32 *p = g_page();

	*p = rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
	return (u64)p;
}

u64 vmx_shadow_region(void)
{
	u64 region = vmx_region();

	*(u32 *)region |= BIT(31);	/* SDM 3C 25.2 */
	G_MUST(vmclear(region) == VM_OK, "VMCLEAR of a shadow VMCS");
	return region;
}

u64 vmcs_link(void *vmread_bitmap, void *vmwrite_bitmap)
{
	u64 shadow;

	need_secondary(SEC_SHADOW, "no VMCS shadowing");
	shadow = vmx_shadow_region();
	vmwrite(F_VMREAD_BITMAP, (u64)vmread_bitmap);
	vmwrite(F_VMWRITE_BITMAP, (u64)vmwrite_bitmap);
	vmwrite(F_LINK_POINTER, shadow);
	return shadow;
}

void vmx_on(void)
{
	vmx_enable();
	vmx_region_on = vmx_region();
	G_MUST(vmxon(vmx_region_on) == VM_OK, "VMXON");
	on = true;
}

static void host_state(void)
{
	struct dtr gdt, idt;

	sgdt(&gdt);
	sidt(&idt);
	vmwrite(F_HOST_ES, SEL_DS);
	vmwrite(F_HOST_CS, SEL_CS64);
	vmwrite(F_HOST_SS, SEL_DS);
	vmwrite(F_HOST_DS, SEL_DS);
	vmwrite(F_HOST_FS, SEL_DS);
	vmwrite(F_HOST_GS, SEL_DS);
	vmwrite(F_HOST_TR, SEL_TSS);
	vmwrite(F_HOST_CR0, read_cr0());
	vmwrite(F_HOST_CR3, read_cr3());
	vmwrite(F_HOST_CR4, read_cr4());
	vmwrite(F_HOST_FS_BASE, rdmsr(MSR_FS_BASE));
	vmwrite(F_HOST_GS_BASE, rdmsr(MSR_GS_BASE));
	vmwrite(F_HOST_GDTR_BASE, gdt.base);
	vmwrite(F_HOST_IDTR_BASE, idt.base);
	vmwrite(F_HOST_TR_BASE, gdt.base + OFF_TSS);
	vmwrite(F_HOST_SYSENTER_CS, rdmsr(MSR_SYSENTER_CS));
	vmwrite(F_HOST_SYSENTER_ESP, rdmsr(MSR_SYSENTER_ESP));
	vmwrite(F_HOST_SYSENTER_EIP, rdmsr(MSR_SYSENTER_EIP));
	vmwrite(F_HOST_RSP, 0);
	vmwrite(F_HOST_RIP, 0);
	if (ctl_has(F_EXIT_CTLS, EXIT_LOAD_EFER))
		vmwrite(F_HOST_EFER, rdmsr(MSR_EFER));
	if (ctl_has(F_EXIT_CTLS, EXIT_LOAD_PAT))
		vmwrite(F_HOST_PAT, rdmsr(MSR_PAT));
}

/* Sets guest segment @n, counted in the order ES, CS, SS, DS, FS, GS, LDTR, TR. */
static void guest_segment(int n, u16 sel, u64 base, u32 limit, u32 ar)
{
	vmwrite(F_GUEST_ES + n * 2, sel);
	vmwrite(F_ES_BASE + n * 2, base);
	vmwrite(F_ES_LIMIT + n * 2, limit);
	vmwrite(F_ES_AR + n * 2, ar);
}

static void guest_state(void (*fn)(void))
{
	struct dtr gdt, idt;
	int i;

	sgdt(&gdt);
	sidt(&idt);
	for (i = 0; i < 6; i++)
		guest_segment(i, SEL_DS, 0, 0xffffffff, 0xc093);
	guest_segment(1, SEL_CS64, 0, 0xffffffff, 0xa09b);
	guest_segment(6, 0, 0, 0, 0x10000);
	guest_segment(7, SEL_TSS, gdt.base + OFF_TSS, 0x67, 0x8b);
	vmwrite(F_GDTR_BASE, gdt.base);
	vmwrite(F_GDTR_LIMIT, gdt.limit);
	vmwrite(F_IDTR_BASE, idt.base);
	vmwrite(F_IDTR_LIMIT, idt.limit);
	vmwrite(F_GUEST_CR0, read_cr0());
	vmwrite(F_GUEST_CR3, read_cr3());
	vmwrite(F_GUEST_CR4, read_cr4());
	vmwrite(F_GUEST_DR7, 0x400);
	vmwrite(F_GUEST_DEBUGCTL, 0);
	vmwrite(F_RSP, (u64)g_stack());
	vmwrite(F_RIP, (u64)fn);
	vmwrite(F_RFLAGS, RFLAGS_FIXED);
	vmwrite(F_PENDING_DBG, 0);
	vmwrite(F_INTERRUPTIBILITY, 0);
	vmwrite(F_ACTIVITY, 0);
	vmwrite(F_GUEST_SYSENTER_CS, 0);
	vmwrite(F_GUEST_SYSENTER_ESP, 0);
	vmwrite(F_GUEST_SYSENTER_EIP, 0);
	vmwrite(F_LINK_POINTER, ~0ul);
	if (ctl_has(F_ENTRY_CTLS, ENTRY_LOAD_EFER))
		vmwrite(F_GUEST_EFER, rdmsr(MSR_EFER));
	if (ctl_has(F_ENTRY_CTLS, ENTRY_LOAD_PAT))
		vmwrite(F_GUEST_PAT, rdmsr(MSR_PAT));
}

void vmcs_fill(void (*fn)(void))
{
	static const enum vmcs_field zero[] = {
		F_EXCEPTION_BITMAP, F_PF_MASK, F_PF_MATCH, F_CR3_TARGETS, F_EXIT_STORE_COUNT, F_EXIT_LOAD_COUNT,
		F_ENTRY_LOAD_COUNT, F_ENTRY_INTR_INFO, F_ENTRY_ERROR, F_ENTRY_ILEN, F_TSC_OFFSET,
		F_CR0_MASK, F_CR4_MASK, F_CR0_SHADOW, F_CR4_SHADOW,
	};
	u64 i;

	for (i = 0; i < ARRAY_SIZE(zero); i++)
		vmwrite(zero[i], 0);
	vmwrite(F_PIN, (u32)ctl_msr(F_PIN));
	vmwrite(F_PROC, (u32)ctl_msr(F_PROC));
	if (ctl_has(F_PROC, PROC_SECONDARY))
		vmwrite(F_PROC2, (u32)ctl_msr(F_PROC2));
	vmwrite(F_EXIT_CTLS, (u32)ctl_msr(F_EXIT_CTLS) | EXIT_HOST64);
	vmwrite(F_ENTRY_CTLS, (u32)ctl_msr(F_ENTRY_CTLS) | ENTRY_IA32E);
	host_state();
	guest_state(fn);
	l2 = (struct l2_regs) { 0 };
}

u64 vmcs_new(void (*fn)(void))
{
	u64 vmcs = vmx_region();

	if (!on)
		vmx_on();
	G_MUST(vmclear(vmcs) == VM_OK, "VMCLEAR");
	vmcs_load(vmcs);
	vmcs_fill(fn);
	return vmcs;
}

void vmcs_ask_usual(void *msr_bitmap, u64 eptp)
{
	static const enum vmcs_field null[] = { F_HOST_ES, F_HOST_DS, F_HOST_FS, F_HOST_GS };
	u64 i;

	need(F_PIN, PIN_NMI | PIN_VNMI, "no virtual NMIs");
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	need(F_PROC, PROC_TSC_OFFSET, "no TSC offset");
	need(F_ENTRY_CTLS, ENTRY_LOAD_DEBUG | ENTRY_LOAD_EFER | ENTRY_LOAD_PAT, "no loading of debug controls, EFER or PAT");
	need(F_EXIT_CTLS, EXIT_SAVE_DEBUG | EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_ACK,
	     "no saving of debug controls, EFER or PAT");
	need_secondary(SEC_VPID, "no VPID");
	vmwrite(F_VPID, 5);
	vmwrite(F_MSR_BITMAP, (u64)msr_bitmap);
	ept_use(eptp);
	for (i = 0; i < ARRAY_SIZE(null); i++)
		vmwrite(null[i], 0);
}

u64 vmcs_usual(void (*fn)(void), void *msr_bitmap, u64 eptp)
{
	u64 vmcs = vmcs_new(fn);

	vmcs_ask_usual(msr_bitmap, eptp);
	return vmcs;
}

void vmcs_load(u64 vmcs)
{
	G_MUST(vmptrld(vmcs) == VM_OK, "VMPTRLD");
	launched = false;
}

void vmx_launched(bool is)
{
	launched = is;
}

u64 vmx_host_kept;

void vmx_keep_host(void)
{
	/* Only for the first instructions after an exit. */
	static u64 stack[256] __attribute__((aligned(16)));
	extern char l1_exit[];

	vmwrite(F_HOST_RSP, (u64)(stack + ARRAY_SIZE(stack)));
	vmwrite(F_HOST_RIP, (u64)l1_exit);
	vmx_host_kept = true;
}

u64 vmx_try_enter(bool launch)
{
	u64 ret = vmx_enter(launch);

	return ret >> 63 ? ret : ret ? vmx_outcome(0, ret) : VM_OK;
}

u64 vmx_run(void)
{
	u64 ret = vmx_try_enter(!launched), reason;

	if (ret)
		g_call(GCALL_ABORT, __FILE__, __LINE__, "VM entry", ret, VM_OK, launched, 1);
	reason = vmread(F_REASON);
	/* A failed entry does not change the launch state (SDM 3C 27.8). */
	if (!(reason & R_FAILED_ENTRY))
		launched = true;
	return reason;
}

void vmx_skip(void)
{
	vmwrite(F_RIP, vmread(F_RIP) + vmread(F_ILEN));
}

void vmx_expect_at(const char *file, int line, u64 reason, const char *what)
{
	u64 got = vmx_run();

	if (got != reason) {
		g_call(GCALL_EQ, file, line, what, got, reason, vmread(F_QUAL), 1);
		g_diag("L2 RIP %#llx, interruption information %#llx", vmread(F_RIP), vmread(F_INTR_INFO));
		g_call(GCALL_ABORT, file, line, "exit reason", got, reason, 0, 0);
	}
}

/* --- EPT --- */

u64 ept_new(void)
{
	u64 *pml4 = g_pages(6), *pdpt = pml4 + 512, *pd = pdpt + 512, i;

	pml4[0] = (u64)pdpt | EPT_RWX;
	for (i = 0; i < 4; i++)
		pdpt[i] = (u64)(pd + i * 512) | EPT_RWX;
	for (i = 0; i < 2048; i++)
		pd[i] = i << 21 | EPT_RWX | EPT_MT_WB | EPT_LEAF;
	return (u64)pml4 | 3 << 3 | 6;
}

void ept_use(u64 eptp)
{
	need_secondary(SEC_EPT, "no EPT for L1");
	vmwrite(F_EPTP, eptp);
}

u64 *ept_entry(u64 eptp, u64 gpa, int level)
{
	u64 *table = (u64 *)(eptp & ~0xffful), *e;
	int l, i;

	for (l = 4;; l--) {
		e = &table[gpa >> (12 + 9 * (l - 1)) & 511];
		if (l == level)
			return e;
		if (l == 2 && (*e & EPT_LEAF)) {
			u64 base = *e & 0x000fffffffe00000ul, flags = *e & 0xf7f;

			table = g_page();
			for (i = 0; i < 512; i++)
				table[i] = (base + i * 4096ul) | flags;
			*e = (u64)table | EPT_RWX;
			continue;
		}
		table = (u64 *)(*e & 0x000ffffffffff000ul);
	}
}

u64 invept_all(void)
{
	return invept(2, (struct inv_desc) { 0, 0 });
}

void ept_split_at(u64 gpa)
{
	ept_entry(vmread(F_EPTP), gpa, 1);
	G_MUST(invept_all() == VM_OK, "INVEPT");
}
