// SPDX-License-Identifier: GPL-2.0
/* VMCS shadowing used by L1 for L2 (SDM 3C 25.10, 31.3): shadow VMCSs, bitmaps, VMREAD and VMWRITE in L2. */
#include "vmx.h"

#define VM_FAIL_ANY	0x2000ul	/* VMfailValid; the error number is in L1's VMCS, which L2 cannot read */

static u64 vmcs, shadow;
static u8 read_bitmap[4096] __attribute__((aligned(4096)));
static u8 write_bitmap[4096] __attribute__((aligned(4096)));
static volatile u64 buf[512] __attribute__((aligned(4096)));

/* Makes a VMCS whose L2 has a shadow VMCS and may access all its fields. */
static void prepare(void (*fn)(void))
{
	vmcs = vmcs_new(fn);
	shadow = vmcs_link(read_bitmap, write_bitmap);
}

/* Reads a field of the shadow VMCS in L1; the current VMCS is restored. */
static u64 shadow_read(u64 field)
{
	u64 v;

	vmcs_load(shadow);
	v = vmread(field);
	vmcs_load(vmcs);
	return v;
}

static void shadow_write(u64 field, u64 val)
{
	vmcs_load(shadow);
	vmwrite(field, val);
	vmcs_load(vmcs);
}

static void forbid(u8 *bitmap, u64 field)
{
	bitmap[field / 8] |= 1 << field % 8;
}

static void allow(u8 *bitmap, u64 field)
{
	bitmap[field / 8] &= ~(1 << field % 8);
}

/* --- a shadow VMCS in L1 --- */

static void l2_vmcall(void)
{
	for (;;)
		asm volatile("vmcall");
}

static void guest_region(void)
{
	u64 ptr = 0;

	prepare(l2_vmcall);
	G_EQ(vmptrld(shadow), VM_OK, "VMPTRLD of a shadow VMCS");
	G_EQ(vmptrst(&ptr), VM_OK, "VMPTRST");
	G_EQ(ptr, shadow, "the shadow VMCS is current");
	G_EQ(vmx_try_enter(true), VM_INVALID, "VMLAUNCH with a shadow VMCS");
	G_EQ(vmx_try_enter(false), VM_INVALID, "VMRESUME with a shadow VMCS");
	vmwrite(F_RIP, 0xc0ffee);
	vmwrite(F_GUEST_ES, 0x1234);
	G_EQ(vmptrld(vmcs), VM_OK, "VMPTRLD of the ordinary VMCS");
	vmx_expect(R_VMCALL, "L2");
	G_EQ(vmread(F_LINK_POINTER), shadow, "link pointer");
	G_EQ(shadow_read(F_RIP), 0xc0ffee, "a field of the shadow VMCS");
	G_EQ(shadow_read(F_GUEST_ES), 0x1234, "another");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	G_EQ(vmxon(shadow), VM_INVALID, "VMXON with a shadow VMCS");
}

/* --- VMREAD and VMWRITE of L2 --- */

static const struct {
	u64 field, val, seen;	/* the value L2 writes, and the value it reads */
} rows[] = {
	{ F_GUEST_ES, 0x12345678abcd, 0xabcd },
	{ F_EXCEPTION_BITMAP, 0x1111222233334444, 0x33334444 },
	{ F_TSC_OFFSET, 0x123456789abcdef0, 0x123456789abcdef0 },
	{ F_TSC_OFFSET + 1, 0x1777777755555555, 0x55555555 },
	{ F_RIP, 0xfedcba9876543210, 0xfedcba9876543210 },
	{ F_CS_BASE, ~0ul, ~0ul },
	{ F_HOST_RSP, 0x8000000000000001, 0x8000000000000001 },
};
#define ROWS ARRAY_SIZE(rows)

static volatile u64 first[ROWS], second[ROWS], outcome[ROWS][3], outcomes[8];

static void l2_fields(void)
{
	u64 i, v;

	for (i = 0; i < ROWS; i++) {
		v = 0x5a5a;
		outcome[i][0] = try_vmread(rows[i].field, &v);
		first[i] = v;
		outcome[i][1] = try_vmwrite(rows[i].field, rows[i].val);
		v = 0x5a5a;
		outcome[i][2] = try_vmread(rows[i].field, &v);
		second[i] = v;
	}
	asm volatile("vmcall");
	asm volatile("vmread %1, %0" : "=m" (buf[0]) : "r" ((u64)F_RIP) : "cc");
	buf[1] = 0x77777;
	asm volatile("vmwrite %1, %0" : : "r" ((u64)F_RSP), "m" (buf[1]) : "cc");
	asm volatile("vmcall");
}

static void guest_fields(void)
{
	u64 i;

	prepare(l2_fields);
	for (i = 0; i < ROWS; i++) {
		if (!(rows[i].field & 1))
			shadow_write(rows[i].field, 0x1000 + i);
	}
	vmx_expect(R_VMCALL, "L2 needs no exits");
	for (i = 0; i < ROWS; i++) {
		G_EQN(outcome[i][0], VM_OK, "VMREAD", i);
		G_EQN(outcome[i][1], VM_OK, "VMWRITE", i);
		G_EQN(outcome[i][2], VM_OK, "VMREAD after it", i);
		if (!(rows[i].field & 1))
			G_EQN(first[i], 0x1000 + i, "value written by L1", i);
		G_EQN(second[i], rows[i].seen, "value written by L2", i);
	}
	G_EQ(shadow_read(F_TSC_OFFSET), 0x555555559abcdef0, "both halves of a field, seen by L1");
	G_EQ(shadow_read(F_GUEST_ES), 0xabcd, "16 bits");
	G_EQ(shadow_read(F_CS_BASE), ~0ul, "natural width");
	G_EQ(vmread(F_GUEST_ES), SEL_DS, "L1's VMCS is unchanged");
	shadow_write(F_RIP, 0xabc);
	vmx_launched(true);
	vmx_skip();
	vmx_expect(R_VMCALL, "memory operands");
	G_EQ(buf[0], 0xabc, "VMREAD to memory");
	G_EQ(shadow_read(F_RSP), 0x77777, "VMWRITE from memory");
}

/* --- failing accesses --- */

static void l2_failures(void)
{
	u64 v = 0x1234;

	outcomes[0] = try_vmread(0x6ffe, &v);
	outcomes[1] = try_vmwrite(0x6ffe, 1);
	outcomes[2] = try_vmread(F_RIP + 1, &v);
	outcomes[3] = v;
	outcomes[4] = try_vmwrite(F_QUAL, 0x42);
	asm volatile("vmcall");
	outcomes[5] = try_vmread(F_RIP, &v);
	outcomes[6] = try_vmwrite(F_RIP, 1);
	asm volatile("vmcall");
}

static void guest_failures(void)
{
	bool any = false;

	prepare(l2_failures);
	any = rdmsr(MSR_VMX_MISC) & BIT(29);
	vmx_expect(R_VMCALL, "L2");
	G_EQ(outcomes[0] & ~0xffful, VM_FAIL_ANY, "VMREAD of a field that does not exist");
	G_EQ(outcomes[1] & ~0xffful, VM_FAIL_ANY, "VMWRITE of a field that does not exist");
	G_EQ(outcomes[2] & ~0xffful, VM_FAIL_ANY, "VMREAD of the upper half of a field that is not 64-bit");
	G_EQ(outcomes[3], 0x1234, "a failed VMREAD changes nothing");
	G_EQ(any ? outcomes[4] : outcomes[4] & ~0xffful, any ? VM_OK : VM_FAIL_ANY, "VMWRITE of a read-only field");
	if (any)
		G_EQ(shadow_read(F_QUAL), 0x42, "read-only field");
	vmx_launched(true);
	vmwrite(F_LINK_POINTER, ~0ul);
	vmx_skip();
	vmx_expect(R_VMCALL, "without a shadow VMCS");
	G_EQ(outcomes[5], VM_INVALID, "VMREAD");
	G_EQ(outcomes[6], VM_INVALID, "VMWRITE");
}

/* --- the bitmaps --- */

static u64 l2_field;

static void l2_one(void)
{
	u64 v;

	for (;;) {
		v = 0x99;
		outcomes[0] = try_vmread(l2_field, &v);
		outcomes[1] = v;
		outcomes[2] = try_vmwrite(l2_field, 0x4321);
		asm volatile("vmcall");
	}
}

static u64 one(u64 field)
{
	l2_field = field;
	vmwrite(F_RIP, (u64)l2_one);
	return vmx_run();
}

static void guest_bitmaps(void)
{
	prepare(l2_one);
	shadow_write(F_RIP, 0x5555);
	forbid(read_bitmap, F_RIP);
	G_EQ(one(F_RIP), R_VMREAD, "VMREAD of a field that L1 intercepts");
	G_EQ(vmread(F_ILEN), 3, "its length");
	G_EQ(vmread(F_INSN_INFO) & BIT(10), BIT(10), "a register operand");
	vmx_skip();
	G_EQ(vmx_run(), R_VMCALL, "VMWRITE of the same field does not exit");
	G_EQ(outcomes[1], 0x99, "the skipped VMREAD has no effect");
	allow(read_bitmap, F_RIP);
	forbid(write_bitmap, F_RIP);
	G_EQ(one(F_RIP), R_VMWRITE, "VMWRITE of a field that L1 intercepts");
	G_EQ(outcomes[1], 0x4321, "value written and read earlier");
	G_EQ(one(F_RSP), R_VMCALL, "another field");
	G_EQ(one(F_RIP | BIT(15)), R_VMREAD, "bit 15 of the encoding");
	G_EQ(one(F_RIP | BIT(40)), R_VMREAD, "bit 40 of the encoding");
	G_EQ(one(F_RIP | BIT(63)), R_VMREAD, "bit 63 of the encoding");
	vmwrite(F_LINK_POINTER, ~0ul);
	G_EQ(one(F_RIP), R_VMWRITE, "VMWRITE with its bit set, without a shadow VMCS");
	G_EQ(outcomes[0], VM_INVALID, "VMREAD with its bit clear, without a shadow VMCS");
	vmclr(F_PROC2, SEC_SHADOW);
	G_EQ(one(F_RSP), R_VMREAD, "without VMCS shadowing");
}

/* --- faults --- */

static u64 user_read(u64 arg)
{
	u64 v = 0;

	return try_vmread(F_RIP, &v);
}

static u64 memory_read(u64 to)
{
	u64 f;

	asm volatile(TRY("vmread %2, (%1)") "mov %%r11, %0" : "=r" (f) : "r" (to), "r" ((u64)F_RIP)
		     : "r11", "memory", "cc");
	return f;
}

static void l2_faults(void)
{
	outcomes[0] = g_user(user_read, 0);
	outcomes[1] = memory_read((u64)buf);
	asm volatile("vmcall");
	outcomes[2] = memory_read((u64)buf);
	asm volatile("vmcall");
}

static void guest_faults(void)
{
	u64 *pte = g_pte((u64)buf), *e, eptp;

	prepare(l2_faults);
	eptp = ept_new();
	ept_use(eptp);
	shadow_write(F_RIP, 0x5555);
	*pte &= ~2ul;
	invlpg((u64)buf);
	vmx_expect(R_VMCALL, "L2 takes its faults");
	G_EQ(outcomes[0], GP0, "VMREAD at CPL 3");
	G_EQ(outcomes[1], FAULT(VEC_PF, 3), "VMREAD to a read-only page");
	*pte |= 2;
	invlpg((u64)buf);
	vmx_launched(true);
	vmx_skip();
	e = ept_entry(eptp, (u64)buf, 1);
	*e &= ~EPT_W;
	G_EQ(invept_all(), VM_OK, "INVEPT");
	vmx_expect(R_EPT_VIOLATION, "VMREAD to a page that L1 protects");
	G_EQ(vmread(F_GUEST_PHYSICAL) & ~0xffful, (u64)buf, "guest-physical address");
	*e |= EPT_W;
	G_EQ(invept_all(), VM_OK, "INVEPT");
	vmx_expect(R_VMCALL, "again");
	G_EQ(outcomes[2], NO_FAULT, "VMREAD");
	G_EQ(buf[0], 0x5555, "value read");
	G_OK(!(vmread(F_IDT_INFO) >> 31), "no event is being vectored");
}

/*
 * Operands in MMIO. L0 cannot execute them, but L1 must go on: L2 gets #UD, as for other instructions that L0 cannot
 * emulate. KVM stops the machine.
 */
static u64 memory_write(u64 from)
{
	u64 f;

	asm volatile(TRY("vmwrite (%1), %2") "mov %%r11, %0" : "=r" (f) : "r" (from), "r" ((u64)F_RIP)
		     : "r11", "memory", "cc");
	return f;
}

static void l2_mmio(void)
{
	outcomes[0] = memory_read(MMIO_HOLE);
	outcomes[1] = memory_write(MMIO_HOLE);
	asm volatile("vmcall");
}

static void guest_mmio(void)
{
	prepare(l2_mmio);
	if (g_arg() && !ept_caps())
		g_skip("no EPT for L1");
	if (g_arg())
		ept_use(ept_new());
	vmx_expect(R_VMCALL, "L2's end");
	G_EQ(outcomes[0], UD, "VMREAD to MMIO");
	G_EQ(outcomes[1], UD, "VMWRITE from MMIO");
}

/* The exit takes precedence over the CPL check. */
static void l2_user(void)
{
	outcomes[0] = g_user(user_read, 0);
	asm volatile("vmcall");
}

static void guest_user_exits(void)
{
	prepare(l2_user);
	forbid(read_bitmap, F_RIP);
	vmx_expect(R_VMREAD, "VMREAD at CPL 3, intercepted by L1");
}

/* --- checks of VM entries --- */

static void bad_link(u64 link, const char *what)
{
	vmwrite(F_LINK_POINTER, link);
	G_EQ(vmx_try_enter(true), VM_OK, what);
	G_EQ(vmread(F_REASON), R_FAILED_ENTRY | R_BAD_GUEST, what);
	G_EQ(vmread(F_QUAL), 4, what);
}

static void guest_checks(void)
{
	u64 plain;

	prepare(l2_vmcall);
	plain = vmx_region();
	vmwrite(F_VMREAD_BITMAP, (u64)read_bitmap + 8);
	G_EQ(vmx_try_enter(true), VM_FAIL(E_BAD_CONTROLS), "VMREAD bitmap misaligned");
	vmwrite(F_VMREAD_BITMAP, (u64)read_bitmap);
	vmwrite(F_VMWRITE_BITMAP, 1ul << 62);
	G_EQ(vmx_try_enter(true), VM_FAIL(E_BAD_CONTROLS), "VMWRITE bitmap beyond MAXPHYADDR");
	vmwrite(F_VMWRITE_BITMAP, (u64)write_bitmap);
	bad_link(plain, "link pointer to a VMCS that is not a shadow VMCS");
	bad_link(shadow + 8, "link pointer misaligned");
	bad_link(vmcs, "link pointer to the current VMCS");
	*(u32 *)shadow ^= 4;
	bad_link(shadow, "link pointer to a VMCS of another revision");
	*(u32 *)shadow ^= 4;
	vmclr(F_PROC2, SEC_SHADOW);
	bad_link(shadow, "a shadow VMCS without VMCS shadowing");
	vmset(F_PROC2, SEC_SHADOW);
	vmx_expect(R_VMCALL, "a valid entry after failed ones");
}

#define V .flags = KSFT_VMX
static const struct ksft_test tests[] = {
	{ "a shadow VMCS cannot be entered", .guest = guest_region, V },
	{ "L2 reads and writes its shadow VMCS", .guest = guest_fields, V },
	{ "fields that do not exist, and no shadow VMCS", .guest = guest_failures, V },
	{ "bitmaps select the accesses that exit", .guest = guest_bitmaps, V },
	{ "faults of VMREAD in L2", .guest = guest_faults, V },
	{ "operands of L2 in MMIO, with EPT", .guest = guest_mmio, V, .arg = 1 },
	{ "operands of L2 in MMIO, without EPT", .guest = guest_mmio, V },
	{ "VMREAD at CPL 3 exits if L1 intercepts it", .guest = guest_user_exits, V },
	{ "checks of VM entries", .guest = guest_checks, V },
};
KSFT_MAIN(tests)
