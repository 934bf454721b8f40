// SPDX-License-Identifier: GPL-2.0
/* Controls that L1 changes between two reflections, by VMWRITE or in memory: each must act from the next entry on. */
#define _GNU_SOURCE
#include <errno.h>
#include "hotprobe.h"

#define ROUNDS	8	/* changes of a field */

static bool vary_flushes;	/* the field changes what translations L2 may use (SDM 3C 29.4.3.3) */

static void change(enum vmcs_field field, u64 val)
{
	vmwrite(field, val);
	if (!vary_flushes)
		return;
	G_EQ(invvpid(2, (struct inv_desc) { 0, 0 }), VM_OK, "INVVPID");
	G_EQ(invept_all(), VM_OK, "INVEPT");
}

/* Gives the field two values in turn. Each must cause its exits, or none: R_CPUID. */
static void vary(enum vmcs_field field, u64 a, u64 exit_a, u64 b, u64 exit_b)
{
	u64 i, j;

	for (i = 0; i < ROUNDS; i++) {
		change(field, i & 1 ? b : a);
		for (j = 0; j < AGAIN; j++)
			G_EQN(first_exit(), i & 1 ? exit_b : exit_a, "the exit with this control", field);
	}
	change(field, a);
	first_exit();
}

/* The same for values that L2 sees without an exit. */
static void vary_seen(enum vmcs_field field, u64 a, u64 sees_a, u64 b, u64 sees_b)
{
	u64 i, j;

	for (i = 0; i < ROUNDS; i++) {
		change(field, i & 1 ? b : a);
		for (j = 0; j < AGAIN; j++) {
			l2_saw = ~0ul;
			G_EQN(first_exit(), R_CPUID, "no exit of the probe", field);
			G_EQN(l2_saw, i & 1 ? sees_b : sees_a, "L2 sees what this control says", field);
		}
	}
	change(field, a);
	first_exit();
}

/* --- the TSC (SDM 3C 26.3) --- */

static void p_tsc(u64 turn)
{
	l2_saw = rdtsc();
}

static u64 scaled(u64 tsc, u64 ratio)
{
	return (__uint128_t)tsc * ratio >> 48;
}

static void vary_tsc(const u64 ratios[2], const u64 offsets[2])
{
	u64 i, j, before;

	l2_probe = p_tsc;
	for (i = 0; i < ROUNDS; i++) {
		u64 ratio = ratios[i & 1], offset = offsets[i & 1];

		if (ratios[0] != ratios[1])
			vmwrite(F_TSC_MULTIPLIER, ratio);
		if (offsets[0] != offsets[1])
			vmwrite(F_TSC_OFFSET, offset);
		for (j = 0; j < AGAIN; j++) {
			before = rdtsc();
			G_EQN(first_exit(), R_CPUID, "no exit of RDTSC", i);
			/* Two roundings. */
			G_OK(l2_saw - offset + 2 >= scaled(before, ratio), "L2's TSC is not early");
			G_OK(l2_saw - offset <= scaled(rdtsc(), ratio) + 2, "L2's TSC is not late");
		}
	}
}

static void w_tsc_multiplier(void)
{
	if (lacks(F_PROC2, SEC_TSC_SCALING, "TSC scaling"))
		return;
	vmwrite(F_TSC_MULTIPLIER, 1ul << 48);
	vmset(F_PROC2, SEC_TSC_SCALING);
	vary_tsc((const u64[]) { 1ul << 48, 3ul << 47 }, (const u64[]) { 0, 0 });
	vary_tsc((const u64[]) { 1ul << 48, 1ul << 46 }, (const u64[]) { 0, 1ul << 50 });
}

static void w_tsc_offsets(void)
{
	vary_tsc((const u64[]) { 1ul << 48, 1ul << 48 }, (const u64[]) { 1ul << 50, 1ul << 51 });
}

/* --- page faults (SDM 3C 26.2) --- */

static u64 *absent;

static void on_absent(struct trap_regs *r)
{
	l2_note(r->error);
	r->rip = l2_next;
}

/* A read, or a write, of a page that is absent. */
static void p_fault(u64 turn)
{
	extern char read_end[];

	l2_next = (u64)read_end;
	asm volatile("movb (%0), %%al; read_end:" : : "r" (absent) : "rax", "memory");
}

static void w_page_faults(void)
{
	absent = g_page();
	*g_pte((u64)absent) &= ~1ul;
	invlpg((u64)absent);
	g_trap_fn[VEC_PF] = on_absent;
	l2_probe = p_fault;
	/* The error code is 0. With the bit, those faults exit that match; without it, the others. */
	vary(F_EXCEPTION_BITMAP, BIT(VEC_PF), R_EXCEPTION, 0, R_CPUID);
	vary(F_PF_MATCH, 0, R_EXCEPTION, 1, R_CPUID);
	vmwrite(F_PF_MATCH, 1);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF));
	vary(F_PF_MASK, 1, R_CPUID, 0, R_CPUID);
	vmwrite(F_PF_MATCH, 0);
	vary(F_PF_MASK, 1, R_EXCEPTION, 0, R_EXCEPTION);
	vmwrite(F_EXCEPTION_BITMAP, 0);
	vary(F_PF_MATCH, 1, R_EXCEPTION, 0, R_CPUID);
}

/* A mask of bits that the error code has decides. */
static void p_fault_write(u64 turn)
{
	extern char write_end[];

	l2_next = (u64)write_end;
	asm volatile("movb %%al, (%0); write_end:" : : "r" (absent) : "rax", "memory");
}

static void w_page_fault_mask(void)
{
	absent = g_page();
	*g_pte((u64)absent) &= ~1ul;
	invlpg((u64)absent);
	g_trap_fn[VEC_PF] = on_absent;
	l2_probe = p_fault_write;
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF));
	/* The error code is 2. */
	vary(F_PF_MASK, 0, R_EXCEPTION, 2, R_CPUID);
	vmwrite(F_EXCEPTION_BITMAP, 0);
	vary(F_PF_MASK, 0, R_CPUID, 2, R_EXCEPTION);
}

/* --- CR3 targets (SDM 3C 25.6.7) --- */

static u64 l2_cr3s[2];

static void p_cr3(u64 turn)
{
	write_cr3(l2_cr3s[1]);
	l2_saw = read_cr3();
	/* The VMCS always has it as a target. */
	write_cr3(l2_cr3s[0]);
}

static bool cr3_begin(void)
{
	u64 *copy = g_page();

	if ((rdmsr(MSR_VMX_MISC) >> 16 & 0x1ff) < 4) {
		g_diag("the processor lacks CR3 targets", 0, 0);
		return false;
	}
	l2_cr3s[0] = read_cr3();
	l2_cr3s[1] = (u64)copy;
	g_copy(copy, (void *)(l2_cr3s[0] & ~0xffful), 4096);
	vmset(F_PROC, PROC_CR3_LOAD);
	l2_probe = p_cr3;
	return true;
}

static void w_cr3_targets(void)
{
	u64 i;

	if (!cr3_begin())
		return;
	for (i = 0; i < 4; i++)
		vmwrite(F_CR3_TARGET0 + 2 * i, l2_cr3s[!i]);
	vmwrite(F_CR3_TARGETS, 4);
	vary(F_CR3_TARGET0, l2_cr3s[1], R_CPUID, l2_cr3s[0], R_CR);
	vmwrite(F_CR3_TARGET0, l2_cr3s[0]);
	for (i = 0; i < 4; i++) {
		vary(F_CR3_TARGET0 + 2 * i, l2_cr3s[0], R_CR, l2_cr3s[1], R_CPUID);
		vary(F_CR3_TARGET0 + 2 * i, l2_cr3s[0], R_CR, l2_cr3s[1] + 0x1000, R_CR);
	}
}

static void w_cr3_count(void)
{
	u64 n;

	if (!cr3_begin())
		return;
	for (n = 0; n < 4; n++)
		vmwrite(F_CR3_TARGET0 + 2 * n, n < 3 ? l2_cr3s[0] : l2_cr3s[1]);
	vary(F_CR3_TARGETS, 4, R_CPUID, 3, R_CR);
	vmwrite(F_CR3_TARGET1, l2_cr3s[1]);
	vary(F_CR3_TARGETS, 2, R_CPUID, 1, R_CR);
}

/* --- lists of MSRs (SDM 3C 25.7.2, 25.8.2) --- */

struct listed {
	u32 msr, reserved;
	u64 val;
};

static volatile u64 l2_sets;	/* what L2 writes to the MSR, after it has read it; 0: nothing */

static void p_msr(u64 turn)
{
	l2_saw = rdmsr(MSR_KERNEL_GS_BASE);
	if (l2_sets)
		wrmsr(MSR_KERNEL_GS_BASE, l2_sets);
}

static volatile struct listed *list_of(u64 val)
{
	struct listed *l = g_page();

	l->msr = MSR_KERNEL_GS_BASE;
	l->val = val;
	return l;
}

static void w_entry_loads(void)
{
	volatile struct listed *a = list_of(0xa000), *b = list_of(0xb000);

	l2_probe = p_msr;
	vmwrite(F_ENTRY_MSR_LOAD, (u64)a);
	wrmsr(MSR_KERNEL_GS_BASE, 0xa000);
	vary_seen(F_ENTRY_LOAD_COUNT, 0, 0xa000, 1, 0xa000);
	l2_sets = 0x7000;
	first_exit();
	vary_seen(F_ENTRY_LOAD_COUNT, 0, 0x7000, 1, 0xa000);
	vmwrite(F_ENTRY_LOAD_COUNT, 1);
	vary_seen(F_ENTRY_MSR_LOAD, (u64)a, 0xa000, (u64)b, 0xb000);
	a->val = 0xc000;
	vary_seen(F_ENTRY_MSR_LOAD, (u64)a, 0xc000, (u64)b, 0xb000);
	/* The entry fails, and L1 goes on. */
	a->msr = MSR_FS_BASE;
	vary(F_ENTRY_LOAD_COUNT, 0, R_CPUID, 1, R_FAILED_ENTRY | R_BAD_MSRS);
	vmwrite(F_ENTRY_LOAD_COUNT, 0);
	vary(F_ENTRY_MSR_LOAD, (u64)b, R_CPUID, (u64)a, R_CPUID);
}

static void w_exit_stores(void)
{
	volatile struct listed *l[2] = { list_of(1), list_of(1) };
	u64 i, n;

	l2_probe = p_msr;
	for (i = 0; i < 3 * ROUNDS; i++) {
		n = i % 3;
		l2_sets = 0x1000 * (i + 1);
		l[0]->val = 1;
		l[1]->val = 1;
		/* No list, then one, then the other. */
		vmwrite(F_EXIT_STORE_COUNT, !!n);
		if (n)
			vmwrite(F_EXIT_MSR_STORE, (u64)l[n - 1]);
		G_EQN(first_exit(), R_CPUID, "L2's CPUID", i);
		G_EQN(l[0]->val, n == 1 ? l2_sets : 1, "the first list", i);
		G_EQN(l[1]->val, n == 2 ? l2_sets : 1, "the second list", i);
		vmwrite(F_EXIT_STORE_COUNT, 0);
		G_EQN(first_exit(), R_CPUID, "L2's CPUID", i);
		G_EQN(l2_saw, l2_sets, "L2's value", i);
	}
}

static void w_exit_loads(void)
{
	volatile struct listed *l[2] = { list_of(0xa000), list_of(0xb000) };
	u64 i, j, n;

	l2_probe = p_msr;
	l2_sets = 0x7000;
	for (i = 0; i < 3 * ROUNDS; i++) {
		n = i % 3;
		vmwrite(F_EXIT_LOAD_COUNT, !!n);
		if (n)
			vmwrite(F_EXIT_MSR_LOAD, (u64)l[n - 1]);
		for (j = 0; j < AGAIN; j++) {
			G_EQN(first_exit(), R_CPUID, "L2's CPUID", i);
			G_EQN(rdmsr(MSR_KERNEL_GS_BASE), n ? l[n - 1]->val : l2_sets, "what the exit has loaded", i);
		}
		l[0]->val += 0x10;
	}
	vmwrite(F_EXIT_LOAD_COUNT, 0);
}

/* --- bitmaps, and their addresses --- */

static u8 all_bits[2][4096] __attribute__((aligned(4096)));

static void p_rdmsr(u64 turn)
{
	l2_saw = rdmsr(MSR_FS_BASE);
}

static void w_msr_bitmap(void)
{
	l2_probe = p_rdmsr;
	all_bits[0][1024 + 0x100 / 8] = 1;
	vary(F_MSR_BITMAP, (u64)no_bits, R_CPUID, (u64)all_bits[0], R_RDMSR);
	vary(F_PROC, vmread(F_PROC), R_CPUID, vmread(F_PROC) & ~PROC_MSR_BITMAPS, R_RDMSR);
}

#define PIC_MASK	0x21

/* L0 has the device. */
static void p_port(u64 turn)
{
	l2_saw = inb(PIC_MASK);
}

/* Only exits: user space would get the others. */
static void p_high_port(u64 turn)
{
	l2_saw = inb(0x8000 + PIC_MASK);
}

static void w_io_bitmaps(void)
{
	u64 i;

	l2_probe = p_port;
	vmwrite(F_IO_BITMAP_A, (u64)no_bits);
	vmwrite(F_IO_BITMAP_B, (u64)no_bits);
	vmset(F_PROC, PROC_IO_BITMAPS);
	g_fill(all_bits[1], 0xff, 4096);
	vary(F_IO_BITMAP_A, (u64)no_bits, R_CPUID, (u64)all_bits[1], R_IO);
	vary(F_PROC, vmread(F_PROC), R_CPUID, (vmread(F_PROC) & ~PROC_IO_BITMAPS) | PROC_IO, R_IO);
	vary(F_IO_BITMAP_B, (u64)no_bits, R_CPUID, (u64)all_bits[1], R_CPUID);
	for (i = 0; i < ROUNDS; i++) {
		vmwrite(F_IO_BITMAP_B, (u64)no_bits);
		l2_probe = NULL;
		turns(AGAIN);
		vmwrite(F_IO_BITMAP_B, (u64)all_bits[1]);
		l2_probe = p_high_port;
		G_EQN(first_exit(), R_IO, "a port of bitmap B", i);
	}
	l2_probe = p_port;
	/* L1 changes a bitmap in memory. */
	vmwrite(F_IO_BITMAP_A, (u64)all_bits[0]);
	for (i = 0; i < ROUNDS; i++) {
		all_bits[0][PIC_MASK / 8] = i & 1 ? 0xff : 0;
		G_EQN(first_exit(), i & 1 ? R_IO : R_CPUID, "the bit of the port", i);
		turns(AGAIN);
	}
}

/* --- a shadow VMCS for L2 (SDM 3C 25.10) --- */

static void p_vmread(u64 turn)
{
	static volatile u64 val;
	u64 flags;

	/* The exit qualification is the displacement of an operand in memory. */
	asm volatile("vmread %2, %1; pushfq; popq %0" : "=r" (flags), "+m" (val) : "r" ((u64)F_GUEST_ES) : "cc", "memory");
	flags = vmx_outcome(0, flags);
	l2_saw = flags == VM_OK ? val : flags;
}

static u64 shadow_of(u64 val)
{
	u64 shadow = vmx_shadow_region(), mine = this_vmcs;

	*(u32 *)shadow &= ~(u32)BIT(31);
	G_EQ(vmclear(shadow), VM_OK, "VMCLEAR");
	vmcs_load(shadow);
	vmwrite(F_GUEST_ES, val);
	G_EQ(vmclear(shadow), VM_OK, "VMCLEAR");
	*(u32 *)shadow |= BIT(31);
	vmcs_load(mine);
	vmx_launched(true);
	return shadow;
}

static void w_link_pointer(void)
{
	u64 a, b;

	if (lacks(F_PROC2, SEC_SHADOW, "VMCS shadowing"))
		return;
	a = shadow_of(0x10);
	b = shadow_of(0x18);
	vmwrite(F_VMREAD_BITMAP, (u64)no_bits);
	vmwrite(F_VMWRITE_BITMAP, (u64)no_bits);
	vmset(F_PROC2, SEC_SHADOW);
	l2_probe = p_vmread;
	vary_seen(F_LINK_POINTER, ~0ul, VM_INVALID, a, 0x10);
	vary_seen(F_LINK_POINTER, a, 0x10, b, 0x18);
	vary_seen(F_LINK_POINTER, ~0ul, VM_INVALID, b, 0x18);
	vmwrite(F_LINK_POINTER, a);
	g_fill(all_bits[1], 0xff, 4096);
	vary(F_VMREAD_BITMAP, (u64)no_bits, R_CPUID, (u64)all_bits[1], R_VMREAD);
	vmwrite(F_LINK_POINTER, ~0ul);
	vary(F_LINK_POINTER, ~0ul, R_CPUID, 0x5000, R_FAILED_ENTRY | R_BAD_GUEST);
}

/* --- the virtual APIC (SDM 3C 30) --- */

#define VECTOR		0x61
#define NOTIFY		0xe1
#define PIN_POSTED	BIT(7)
#define WORD(reg, vec)	(((reg) + (vec) / 32 * 16) / 4)

static volatile u32 *vapic[2], *access_page[2];

static void p_cr8(u64 turn)
{
	l2_saw = read_cr8();
}

static void vapic_begin(void)
{
	u64 i;

	for (i = 0; i < 2; i++) {
		vapic[i] = g_page();
		vapic[i][APIC_TPR / 4] = 0x20 + i * 0x10;
		access_page[i] = g_page();
		access_page[i][APIC_TPR / 4] = 0x777;
		ept_split_at((u64)access_page[i]);
	}
	vmwrite(F_VIRTUAL_APIC, (u64)vapic[0]);
	vmwrite(F_TPR_THRESHOLD, 0);
}

static void w_virtual_apic(void)
{
	if (lacks(F_PROC, PROC_TPR_SHADOW, "the TPR shadow"))
		return;
	vapic_begin();
	vmset(F_PROC, PROC_TPR_SHADOW);
	l2_probe = p_cr8;
	vary_seen(F_VIRTUAL_APIC, (u64)vapic[0], 2, (u64)vapic[1], 3);
	/* L1 changes VTPR in memory. */
	vapic[1][APIC_TPR / 4] = 0x50;
	vary_seen(F_VIRTUAL_APIC, (u64)vapic[0], 2, (u64)vapic[1], 5);
}

static volatile u64 read_at;

/* An exit leaves @l2_saw as it is. */
static void p_access(u64 turn)
{
	extern char access_end[];
	u32 val;

	l2_next = (u64)access_end;
	val = 0;
	asm volatile("mov (%1), %0; access_end:" : "+r" (val) : "r" (read_at) : "memory");
	l2_saw = val;
}

static void access_rows(void)
{
	l2_probe = p_access;
	/* TPR is virtualized, other registers are not. */
	read_at = (u64)access_page[0] + APIC_TPR;
	vary_seen(F_APIC_ACCESS, (u64)access_page[0], 0x20, (u64)access_page[1], 0x777);
	read_at = (u64)access_page[1] + APIC_TPR;
	vary_seen(F_APIC_ACCESS, (u64)access_page[0], 0x777, (u64)access_page[1], 0x20);
	read_at = (u64)access_page[1] + 0x800;
	vary(F_APIC_ACCESS, (u64)access_page[0], R_CPUID, (u64)access_page[1], R_APIC_ACCESS);
}

static void w_apic_access(void)
{
	if (lacks(F_PROC, PROC_TPR_SHADOW, "the TPR shadow") || lacks(F_PROC2, SEC_APIC_ACCESS, "virtualized APIC accesses"))
		return;
	vapic_begin();
	vmwrite(F_APIC_ACCESS, (u64)access_page[0]);
	vmset(F_PROC, PROC_TPR_SHADOW);
	vmset(F_PROC2, SEC_APIC_ACCESS);
	vary_flushes = true;
	access_rows();
	vary_flushes = false;
}

static void w_apic_access_no_ept(void)
{
	vmclr(F_PROC2, SEC_EPT);
	w_apic_access();
}

/* L2 takes a virtual interrupt, and ends it by a write to the APIC-access page. */
static volatile u64 taken;

static void on_virtual(struct trap_regs *r)
{
	taken = r->vector;
	access_page[0][APIC_EOI / 4] = 0;
}

static void p_interrupts(u64 turn)
{
	sti_nop_cli();
	l2_saw = taken;
}

static bool vid_begin(void)
{
	if (lacks(F_PROC, PROC_TPR_SHADOW, "the TPR shadow") ||
	    lacks(F_PROC2, SEC_APIC_ACCESS | SEC_APIC_REG | SEC_VID, "virtual-interrupt delivery"))
		return false;
	vapic_begin();
	vapic[0][APIC_TPR / 4] = 0;
	vmwrite(F_APIC_ACCESS, (u64)access_page[0]);
	vmset(F_PROC, PROC_TPR_SHADOW);
	vmset(F_PROC2, SEC_APIC_ACCESS | SEC_APIC_REG | SEC_VID);
	l2_probe = p_interrupts;
	return true;
}

static void w_eoi_bitmaps(void)
{
	u64 i, n, vec;

	if (!vid_begin())
		return;
	for (i = 0; i < 4 * ROUNDS; i++) {
		n = i / 2 % 4;
		vec = n * 64 + 0x31;
		g_trap_fn[vec] = on_virtual;
		vmwrite(F_EOI_EXIT0 + 2 * n, i & 1 ? BIT(vec & 63) : 0);
		vapic[0][WORD(APIC_IRR, vec)] |= 1u << vec % 32;
		vmwrite(F_GUEST_INTR_STATUS, vec);
		G_EQN(first_exit(), i & 1 ? R_EOI : R_CPUID, "the exit of EOI", vec);
		G_EQN(l2_saw, vec, "L2's interrupt", vec);
		G_EQN(vmread(F_GUEST_INTR_STATUS), 0, "interrupt status", vec);
		taken = 0;
		vmwrite(F_EOI_EXIT0 + 2 * n, 0);
		turns(AGAIN);
	}
}

/* L1 posts an interrupt and notifies itself, before it enters L2. */
static void posted_turn(volatile u64 *desc, u64 notify, u64 exit, u64 vec)
{
	desc[VECTOR / 64] |= BIT(VECTOR % 64);
	desc[4] |= 1;
	taken = 0;
	/* The entry with the interrupt is not the first with the new fields. */
	turns(1);
	apic_icr(apic_id(), notify);
	G_EQN(first_exit(), exit, "the exit of the notification", notify);
	G_EQN(l2_saw, vec, "the interrupt that L2 has taken", notify);
	G_EQN(desc[VECTOR / 64], vec ? 0 : BIT(VECTOR % 64), "requests in the descriptor", notify);
	desc[VECTOR / 64] = 0;
	desc[4] = 0;
	turns(AGAIN);
}

static void w_posted(void)
{
	volatile u64 *desc[2];
	u64 i;

	if (!vid_begin() || lacks(F_PIN, PIN_POSTED, "posted interrupts"))
		return;
	apic_enable();
	desc[0] = (u64 *)g_page() + 8;
	desc[1] = (u64 *)g_page() + 8;
	g_trap_fn[VECTOR] = on_virtual;
	vmwrite(F_POSTED_DESC, (u64)desc[0]);
	vmwrite(F_POSTED_NV, NOTIFY);
	vmset(F_PIN, PIN_POSTED);
	turns(AGAIN);
	for (i = 0; i < ROUNDS; i++) {
		vmwrite(F_POSTED_DESC, (u64)desc[i & 1]);
		posted_turn(desc[i & 1], NOTIFY, R_CPUID, VECTOR);
		/* Two in the same page. */
		vmwrite(F_POSTED_DESC, (u64)(desc[i & 1] + 8));
		posted_turn(desc[i & 1] + 8, NOTIFY, R_CPUID, VECTOR);
	}
	vmwrite(F_POSTED_DESC, (u64)desc[0]);
	for (i = 0; i < ROUNDS; i++) {
		vmwrite(F_POSTED_NV, i & 1 ? NOTIFY : NOTIFY - 1);
		posted_turn(desc[0], NOTIFY, i & 1 ? R_CPUID : R_EXTINT, i & 1 ? VECTOR : 0);
	}
}

/* --- XSAVES (SDM 3C 25.6.21), PAUSE loops (26.1.3) --- */

static u8 area[4096] __attribute__((aligned(64)));

static void p_xsaves(u64 turn)
{
	write_cr4(read_cr4() | CR4_OSXSAVE);
	asm volatile("xsaves (%0)" : : "r" (area), "a" (~0u), "d" (~0u) : "memory");
}

/* IA32_XSS is 0, so none exits. */
static void w_xss(void)
{
	if (lacks(F_PROC2, SEC_XSAVES, "XSAVES") || !(CPUID_REG(0xd, 1, a) & BIT(3)))
		return;
	vmset(F_PROC2, SEC_XSAVES);
	l2_probe = p_xsaves;
	vary(F_XSS_BITMAP, 0, R_CPUID, ~0ul, R_CPUID);
}

static volatile u64 l2_pauses;

static void p_pauses(u64 turn)
{
	u64 i;

	for (i = 0; i < l2_pauses; i++)
		relax();
}

static void w_ple(void)
{
	u64 before = noted;

	if (lacks(F_PROC2, SEC_PLE, "PAUSE-loop exiting"))
		return;
	l2_probe = p_pauses;
	l2_pauses = 400;
	vmwrite(F_PLE_GAP, 0x10000);
	vmwrite(F_PLE_WINDOW, 0x7fffffff);
	vmset(F_PROC2, SEC_PLE);
	vary(F_PLE_WINDOW, 0x7fffffff, R_CPUID, 100, R_PAUSE);
	vmwrite(F_PLE_WINDOW, 100);
	vary(F_PLE_GAP, 0x10000, R_PAUSE, 0, R_CPUID);
	/* A loop's exits are more or fewer, depending on the host's interrupts. */
	noted = before;
}

/* --- what an exit loads --- */

static u64 tables_base(enum vmcs_field field)
{
	struct dtr d;

	if (field == F_HOST_GDTR_BASE)
		sgdt(&d);
	else
		sidt(&d);
	return d.base;
}

static void w_host_tables(void)
{
	static const enum vmcs_field fields[] = { F_HOST_GDTR_BASE, F_HOST_IDTR_BASE };
	u64 i, j, old, *copy;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		copy = g_page();
		old = vmread(fields[i]);
		g_copy(copy, (void *)old, 4096);
		for (j = 0; j < ROUNDS; j++) {
			vmwrite(fields[i], j & 1 ? old : (u64)copy);
			G_EQN(first_exit(), R_CPUID, "L2's CPUID", j);
			G_EQN(tables_base(fields[i]), j & 1 ? old : (u64)copy, "the table's base", j);
			turns(SETTLE);
		}
	}
}

static void w_host_cr0(void)
{
	u64 i, cr0 = vmread(F_HOST_CR0);

	for (i = 0; i < ROUNDS; i++) {
		vmwrite(F_HOST_CR0, cr0 ^ (i & 1 ? 0 : CR0_TS | CR0_AM));
		G_EQN(first_exit(), R_CPUID, "L2's CPUID", i);
		G_EQN((read_cr0() ^ cr0) & (CR0_TS | CR0_AM), i & 1 ? 0 : CR0_TS | CR0_AM, "CR0", i);
		turns(AGAIN);
	}
}

static const struct row rows[] = {
	{ "TSC multiplier", w_tsc_multiplier },
	{ "TSC offset, back and forth", w_tsc_offsets },
	{ "#PF error-code mask and match", w_page_faults },
	{ "#PF error-code mask of a write", w_page_fault_mask },
	{ "CR3-target values", w_cr3_targets },
	{ "CR3-target count", w_cr3_count },
	{ "VM-entry MSR-load list", w_entry_loads },
	{ "VM-exit MSR-store list", w_exit_stores },
	{ "VM-exit MSR-load list", w_exit_loads },
	{ "address of the MSR bitmap", w_msr_bitmap },
	{ "addresses of the I/O bitmaps", w_io_bitmaps, NULL, KSFT_IRQCHIP },
	{ "VMCS link pointer, and the VMREAD bitmap", w_link_pointer },
	{ "virtual-APIC address", w_virtual_apic },
	{ "APIC-access address", w_apic_access },
	{ "APIC-access address without EPT", w_apic_access_no_ept },
	{ "EOI-exit bitmaps", w_eoi_bitmaps, NULL, KSFT_IRQCHIP },
	{ "posted-interrupt descriptor and vector", w_posted, NULL, KSFT_IRQCHIP },
	{ "XSS-exiting bitmap", w_xss },
	{ "PLE gap and window", w_ple },
	{ "bases of GDTR and IDTR after an exit", w_host_tables },
	{ "CR0 after an exit", w_host_cr0 },
};

static void host_rows(void)
{
	run_rows(rows, ARRAY_SIZE(rows));
}

static const struct ksft_test tests[] = {
	{ "controls that change between reflections", .host = host_rows },
};
KSFT_MAIN(tests)
