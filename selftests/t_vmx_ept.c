// SPDX-License-Identifier: GPL-2.0
/* EPT and VPID used by L1: violations and qualifications, misconfigurations, accessed and dirty bits, invalidation. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/droste.h>
#include "vm.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")

CODE(c_read, "mov (%rbx), %rax");
CODE(c_write, "mov %rax, (%rbx)");
CODE(c_rmw, "lock addq $1, (%rbx)");
CODE(c_call, "call *%rbx");
CODE(c_end, "nop");

static u64 eptp, page, target;

static u64 step(char *code)
{
	vmwrite(F_RIP, (u64)code);
	vmwrite(F_RSP, target);
	l2.rbx = page;
	return vmx_run();
}

/* Makes a VMCS with EPT and returns the 4 KiB EPT entry of the test page. */
static u64 *setup(void)
{
	vmcs_new((void (*)(void))(u64)c_end);
	eptp = ept_new();
	ept_use(eptp);
	page = (u64)g_page();
	target = (u64)g_stack();
	*(u8 *)page = 0xc3;	/* RET */
	return ept_entry(eptp, page, 1);
}

static void set(u64 *pte, u64 val)
{
	*pte = val;
	invept_all();
}

static void guest_identity(void)
{
	u64 i;

	setup();
	for (i = 0; i < 10; i++) {
		G_EQ(step(c_read), R_VMCALL, "read");
		G_EQ(l2.rax & 0xff, 0xc3, "value read");
		G_EQ(step(c_write), R_VMCALL, "write");
		G_EQ(step(c_call), R_VMCALL, "fetch");
	}
}

/* Exit qualification of EPT violations: SDM 3C table 28-7. */
static void guest_violations(void)
{
	static const struct {
		u64 perm;
		u8 read_exits, write_exits, fetch_exits;
	} t[] = {
		{ 0, 1, 1, 1 },
		{ EPT_R, 0, 1, 1 },
		{ EPT_R | EPT_W, 0, 0, 1 },
		{ EPT_R | EPT_X, 0, 1, 0 },
		{ EPT_RWX, 0, 0, 0 },
		{ EPT_X, 1, 1, 0 },
	};
	u64 i, *pte = setup(), q;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		if (t[i].perm == EPT_X && !(ept_caps() & 1))
			continue;
		set(pte, page | EPT_MT_WB | t[i].perm);
		if (!t[i].perm)
			set(pte, 0);
		G_EQN(step(c_read), t[i].read_exits ? R_EPT_VIOLATION : R_VMCALL, "read", i);
		if (t[i].read_exits) {
			q = vmread(F_QUAL);
			G_EQN(q & 0x1bf, 1 | t[i].perm << 3 | 0x180, "qualification of a read", i);
			G_EQN(vmread(F_GUEST_PHYSICAL), page, "guest-physical address", i);
			G_EQN(vmread(F_LINEAR), page, "linear address", i);
			G_EQN(vmread(F_RIP), (u64)c_read, "RIP", i);
		}
		G_EQN(step(c_write), t[i].write_exits ? R_EPT_VIOLATION : R_VMCALL, "write", i);
		if (t[i].write_exits) {
			q = vmread(F_QUAL);
			G_EQN(q & 0x1be, 2 | t[i].perm << 3 | 0x180, "qualification of a write", i);
		}
		G_EQN(step(c_call), t[i].fetch_exits ? R_EPT_VIOLATION : R_VMCALL, "fetch", i);
		if (t[i].fetch_exits) {
			q = vmread(F_QUAL);
			G_EQN(q & 0x1bf, 4 | t[i].perm << 3 | 0x180, "qualification of a fetch", i);
			G_EQN(vmread(F_GUEST_PHYSICAL), page, "guest-physical address", i);
		}
	}
	set(pte, page | EPT_MT_WB | EPT_RWX);
	G_EQ(step(c_write), R_VMCALL, "entry repaired");
}

/* The effective permissions are the AND of all levels. */
static void guest_levels(void)
{
	u64 *pte = setup(), *pde = ept_entry(eptp, page, 2), *pdpte = ept_entry(eptp, page, 3), q;

	G_OK(pte, "4 KiB entry");
	set(pde, *pde & ~EPT_W);
	G_EQ(step(c_write), R_EPT_VIOLATION, "not writable at level 2");
	q = vmread(F_QUAL);
	G_EQ(q & 0x3a, 2 | 0x28, "qualification: readable, not writable");
	G_EQ(step(c_read), R_VMCALL, "readable");
	set(pde, *pde | EPT_W);
	G_EQ(step(c_write), R_VMCALL, "writable");
	(void)pdpte;
}

/* For an access to L2's paging structures, bit 7 is set, bit 8 is clear; the address is that of the entry. */
static void guest_walk(void)
{
	u64 pt = (u64)g_pte(0x7f000000) & ~0xffful, *pte, q;

	setup();
	*g_pte(0x7f000000) = page | 7;
	page = 0x7f000000;
	pte = ept_entry(eptp, pt, 1);
	set(pte, 0);
	G_EQ(step(c_read), R_EPT_VIOLATION, "page table not mapped by EPT");
	q = vmread(F_QUAL);
	G_EQ(q & 0x180, 0x80, "qualification: linear address valid, page-walk access");
	G_EQ(vmread(F_GUEST_PHYSICAL), pt + (0x7f000000ul >> 12 & 511) * 8, "address of the entry");
	G_EQ(vmread(F_LINEAR), 0x7f000000, "linear address");
	if (ept_caps() & BIT(21)) {
		/* With accessed and dirty bits on, the walk's accesses count as writes (SDM 3C 29.3.3.2). */
		vmwrite(F_EPTP, eptp | BIT(6));
		set(pte, pt | EPT_MT_WB | EPT_R | EPT_X);
		G_EQ(step(c_read), R_EPT_VIOLATION, "page table not writable");
		G_EQ(vmread(F_QUAL) & 0x182, 0x82, "qualification: write during the page walk");
	}
	set(pte, pt | EPT_MT_WB | EPT_RWX);
	G_EQ(step(c_write), R_VMCALL, "entry repaired");
}

static void guest_misconfig(void)
{
	static const u64 bad[] = {
		EPT_W | EPT_MT_WB, EPT_W | EPT_X | EPT_MT_WB,
		EPT_RWX | 2ul << 3, EPT_RWX | 3ul << 3, EPT_RWX | 7ul << 3,
		EPT_RWX | EPT_MT_WB | 1ul << 51,
	};
	u64 i, *pte = setup(), phys = CPUID_REG(0x80000008, 0, a) & 0xff, *pde;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (bad[i] >> 51 && phys >= 52)
			continue;
		set(pte, page | bad[i]);
		G_EQN(step(c_read), R_EPT_MISCONFIG, "misconfiguration", i);
		G_EQN(vmread(F_GUEST_PHYSICAL), page, "guest-physical address", i);
	}
	if (!(ept_caps() & 1)) {
		set(pte, page | EPT_X | EPT_MT_WB);
		G_EQ(step(c_read), R_EPT_MISCONFIG, "execute-only mapping, not supported");
	}
	set(pte, page | EPT_RWX | EPT_MT_WB);
	G_EQ(step(c_read), R_VMCALL, "entry repaired");
	/* Reserved bits of upper levels. */
	pde = ept_entry(eptp, page, 2);
	set(pde, *pde | 1 << 3);
	G_EQ(step(c_read), R_EPT_MISCONFIG, "reserved bit 3 at level 2");
	set(pde, *pde & ~8ul);
	pde = ept_entry(eptp, page, 4);
	set(pde, *pde | EPT_LEAF);
	G_EQ(step(c_read), R_EPT_MISCONFIG, "reserved bit 7 at level 4");
	set(pde, *pde & ~EPT_LEAF);
	G_EQ(step(c_read), R_VMCALL, "entry repaired");
	/* A large page's entry with address bits below the page size. */
	pde = ept_entry(eptp, 0x40000000 - 0x200000, 2);
	*pde |= 1 << 12;
	page = 0x40000000 - 0x200000;
	G_EQ(step(c_read), R_EPT_MISCONFIG, "misaligned 2 MiB page");
}

static void guest_dirty(void)
{
	u64 *pte = setup(), *pde = ept_entry(eptp, page, 2);

	if (!(ept_caps() & BIT(21)))
		g_skip("no accessed and dirty bits");
	vmwrite(F_EPTP, eptp | BIT(6));
	*pte &= ~(EPT_A | EPT_D);
	*pde &= ~EPT_A;
	invept_all();
	G_EQ(step(c_end), R_VMCALL, "nothing touched");
	G_EQ(*pte & (EPT_A | EPT_D), 0, "not accessed");
	G_EQ(step(c_read), R_VMCALL, "read");
	G_EQ(*pte & (EPT_A | EPT_D), EPT_A, "accessed");
	G_EQ(*pde & EPT_A, EPT_A, "accessed at level 2");
	G_EQ(step(c_write), R_VMCALL, "write");
	G_EQ(*pte & (EPT_A | EPT_D), EPT_A | EPT_D, "dirty");
	*pte &= ~EPT_D;
	invept_all();
	G_EQ(step(c_read), R_VMCALL, "read");
	G_EQ(*pte & EPT_D, 0, "clean");
	G_EQ(step(c_rmw), R_VMCALL, "locked add");
	G_EQ(*pte & EPT_D, EPT_D, "dirty");
	/* While disabled, the bits are ignored and not set. */
	vmwrite(F_EPTP, eptp);
	*pte &= ~(EPT_A | EPT_D);
	invept_all();
	G_EQ(step(c_write), R_VMCALL, "write");
	G_EQ(*pte & (EPT_A | EPT_D), 0, "accessed and dirty bits while disabled");
}

/* Changed entries take effect after INVEPT. After a violation, an entry with more rights takes effect without it. */
static void guest_invept(void)
{
	u64 *pte = setup(), other = (u64)g_page(), type;

	*(u64 *)other = 0x1234;
	for (type = 1; type <= 2; type++) {
		if (!(ept_caps() & BIT(24 + type)))
			continue;
		*pte = page | EPT_RWX | EPT_MT_WB;
		invept(type, (struct inv_desc) { eptp, 0 });
		G_EQ(step(c_read), R_VMCALL, "read");
		G_EQ(l2.rax & 0xff, 0xc3, "first page");
		*pte = other | EPT_RWX | EPT_MT_WB;
		invept(type, (struct inv_desc) { eptp, 0 });
		G_EQ(step(c_read), R_VMCALL, "read");
		G_EQ(l2.rax, 0x1234, "new page after INVEPT");
		*pte = 0;
		invept(type, (struct inv_desc) { eptp, 0 });
		G_EQ(step(c_read), R_EPT_VIOLATION, "no page after INVEPT");
		*pte = page | EPT_R | EPT_MT_WB;
		G_EQ(step(c_read), R_VMCALL, "no stale translation after a violation");
		G_EQ(step(c_write), R_EPT_VIOLATION, "write");
		*pte = page | EPT_RWX | EPT_MT_WB;
		G_EQ(step(c_write), R_VMCALL, "more rights take effect without INVEPT");
	}
}

/*
 * L0 may map pages around the one that faulted. L1 must not be able to tell: each of them has the rights of its own entry,
 * and the flags of those that L2 does not use stay clear.
 */
static void guest_near_rights(void)
{
	static const struct {
		u64 entry, rights;
	} t[] = {
		{ EPT_RWX | EPT_MT_WB, EPT_RWX }, { EPT_R | EPT_MT_WB, EPT_R }, { EPT_R | EPT_W | EPT_MT_WB, EPT_R | EPT_W },
		{ EPT_R | EPT_X | EPT_MT_WB, EPT_R | EPT_X }, { EPT_MT_WB, 0 }, { EPT_RWX | EPT_MT_WB, EPT_RWX },
	};
	u64 i, base, round;

	setup();
	base = (u64)g_pages(32);
	base = (base + 0xffff) & ~0xfffful;
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(t); i++) {
			*(u8 *)(base + i * 4096) = 0xc3;
			*ept_entry(eptp, base + i * 4096, 1) = t[i].rights ? (base + i * 4096) | t[i].entry : 0;
		}
		*ept_entry(eptp, base + 7 * 4096, 1) = (base + 7 * 4096) | EPT_W | EPT_MT_WB;
		/* In the last round an upper level forbids writes. */
		if (round == 2)
			*ept_entry(eptp, base, 2) &= ~EPT_W;
		invept_all();
		for (i = 0; i < ARRAY_SIZE(t); i++) {
			u64 n = round ? ARRAY_SIZE(t) - 1 - i : i, rights = t[n].rights & (round == 2 ? ~EPT_W : ~0ul);

			page = base + n * 4096;
			G_EQN(step(c_read), rights & EPT_R ? R_VMCALL : R_EPT_VIOLATION, "read", n);
			G_EQN(step(c_write), rights & EPT_W ? R_VMCALL : R_EPT_VIOLATION, "write", n);
			*(u8 *)page = 0xc3;
			if (round == 2)
				continue;	/* a call needs the stack, which may be in the same 2 MiB */
			G_EQN(step(c_call), rights & EPT_X ? R_VMCALL : R_EPT_VIOLATION, "fetch", n);
		}
		page = base + 7 * 4096;
		G_EQ(step(c_read), R_EPT_MISCONFIG, "a misconfigured neighbour");
	}
}

static void guest_near_flags(void)
{
	u64 i, base;

	setup();
	if (!(ept_caps() & BIT(21)))
		g_skip("no accessed and dirty bits");
	vmwrite(F_EPTP, eptp | BIT(6));
	base = ((u64)g_pages(32) + 0xffff) & ~0xfffful;
	for (i = 0; i < 8; i++)
		*ept_entry(eptp, base + i * 4096, 1) = (base + i * 4096) | EPT_RWX | EPT_MT_WB |
						       (i & 1 ? EPT_A : 0) | (i & 2 ? EPT_A | EPT_D : 0);
	invept_all();
	page = base;
	G_EQ(step(c_read), R_VMCALL, "read of page 0");
	for (i = 1; i < 8; i++)
		G_EQN(*ept_entry(eptp, base + i * 4096, 1) & (EPT_A | EPT_D),
		      (i & 1 ? EPT_A : 0) | (i & 2 ? EPT_A | EPT_D : 0), "flags of a page that L2 has not used", i);
	for (i = 1; i < 8; i++) {
		page = base + i * 4096;
		G_EQN(step(i & 4 ? c_write : c_read), R_VMCALL, "access", i);
		G_EQN(*ept_entry(eptp, page, 1) & (EPT_A | EPT_D), EPT_A | (i & 6 ? EPT_D : 0), "flags", i);
	}
}

/* Two EPT hierarchies, switched by EPTP. */
static void guest_two(void)
{
	u64 *a = setup(), b_eptp = ept_new(), other = (u64)g_page(), i;
	u64 *b = ept_entry(b_eptp, page, 1);

	*(u64 *)page = 1;
	*(u64 *)other = 2;
	*b = other | EPT_RWX | EPT_MT_WB;
	G_OK(a, "entry");
	for (i = 0; i < 50; i++) {
		vmwrite(F_EPTP, i & 1 ? b_eptp : eptp);
		G_EQ(step(c_read), R_VMCALL, "read");
		G_EQ(l2.rax, i & 1 ? 2 : 1, "which page");
	}
	for (i = 0; i < 20; i++) {
		/* More hierarchies than a hypervisor caches. */
		u64 e = ept_new();

		*ept_entry(e, page, 1) = (i & 1 ? other : page) | EPT_RWX | EPT_MT_WB;
		vmwrite(F_EPTP, e);
		G_EQ(step(c_read), R_VMCALL, "read");
		G_EQ(l2.rax, i & 1 ? 2 : 1, "which page");
	}
}

/* An EPT12 mapping of an address outside L1's memory is MMIO for user space; it never reaches host memory. */
static void guest_hole(void)
{
	u64 *pte = setup();

	set(pte, MMIO_HOLE | EPT_RWX | EPT_MT_WB);
	G_EQ(step(c_read), R_VMCALL, "read of a hole");
	G_EQ(l2.rax, 0x1122334455667788ul, "value supplied by user space");
	l2.rax = 0x42;
	G_EQ(step(c_write), R_VMCALL, "write of a hole");
	set(pte, page | EPT_RWX | EPT_MT_WB);
	G_EQ(step(c_read), R_VMCALL, "entry repaired");
	G_EQ(l2.rax & 0xff, 0xc3, "memory");
}

static void host_hole(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 reads = 0, writes = 0;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_hole);
	while (vcpu_run_to_call(vcpu, NULL) == GCALL_NONE) {
		struct kvm_run *run = vcpu->run;

		if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.phys_addr != MMIO_HOLE || run->mmio.len != 8) {
			describe_exit(vcpu);
			ksft_abort(__FILE__, __LINE__, "unexpected exit");
		}
		if (run->mmio.is_write) {
			EQ(*(u64 *)run->mmio.data, 0x42, "data");
			writes++;
		} else {
			*(u64 *)run->mmio.data = 0x1122334455667788ul;
			reads++;
		}
	}
	EQ(reads, 1, "reads");
	EQ(writes, 1, "writes");
}

/* EPT12 tables outside L1's memory, and a table that is its own child. */
static void guest_hostile(void)
{
	u64 *pml4, *pte = setup(), ret;

	if ((CPUID_REG(0x80000008, 0, a) & 0xff) < 40)
		g_skip("not enough physical-address bits");
	pml4 = ept_entry(eptp, 0, 4);
	G_OK(pte, "entry");
	*g_pte(0x7f000000) = 1ul << 39 | 7;
	page = 0x7f000000;
	pml4[1] = MMIO_HOLE | EPT_RWX;
	invept_all();
	ret = step(c_read);
	G_OK(ret == R_EPT_MISCONFIG || ret == R_EPT_VIOLATION, "a table outside memory");
	pml4[1] = (eptp & ~0xffful) | EPT_RWX;
	invept_all();
	ret = step(c_read);
	G_OK(ret == R_EPT_MISCONFIG || ret == R_EPT_VIOLATION || ret == R_VMCALL, "a table that is its own child");
	/* The root itself. */
	vmwrite(F_EPTP, MMIO_HOLE | 3 << 3 | 6);
	ret = vmx_try_enter(false);
	G_EQ(ret, VM_OK, "EPTP outside memory");
	ret = vmread(F_REASON);
	G_OK(ret == R_EPT_MISCONFIG || ret == R_EPT_VIOLATION || ret == R_TRIPLE_FAULT, "exit");
}

/* --- VPID --- */

static void guest_vpid(void)
{
	u64 *pte, other, vpid, i, v;

	vmcs_new((void (*)(void))(u64)c_end);
	need_secondary(SEC_VPID, "no VPID");
	page = 0x7f000000;
	target = (u64)g_stack();
	other = (u64)g_page();
	*(u64 *)other = 0x99;
	v = (u64)g_page();
	*(u64 *)v = 0x11;
	pte = g_pte(page);
	for (i = 0; i < 40; i++) {
		u64 type = i % 4;

		if (!(rdmsr(MSR_VMX_EPT) & 1ul << (40 + type)))
			continue;
		/* Several times with one VPID: a change of it may invalidate by itself. */
		vpid = 1 + i / 8 % 3;
		vmwrite(F_VPID, vpid);
		*pte = (i & 1 ? other : v) | 7;
		G_EQ(invvpid(type, (struct inv_desc) { vpid, page }), VM_OK, "INVVPID");
		G_EQ(step(c_read), R_VMCALL, "read");
		G_EQN(l2.rax, i & 1 ? 0x99 : 0x11, "value seen by L2 after INVVPID of type", type);
	}
	/* Without VPID every entry and exit flushes the TLB. */
	vmclr(F_PROC2, SEC_VPID);
	for (i = 0; i < 6; i++) {
		*pte = (i & 1 ? other : v) | 7;
		G_EQ(step(c_read), R_VMCALL, "read");
		G_EQ(l2.rax, i & 1 ? 0x99 : 0x11, "value seen by L2 without VPID");
	}
	/* A VPID reused after VMXOFF and VMXON: L1 must flush, so INVVPID must work. */
	vmset(F_PROC2, SEC_VPID);
	vmwrite(F_VPID, 1);
	*pte = other | 7;
	invvpid(2, (struct inv_desc) { 0, 0 });
	G_EQ(step(c_read), R_VMCALL, "read");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	G_EQ(vmxon(vmx_region_on), VM_OK, "VMXON");
	*pte = v | 7;
	vmcs_new((void (*)(void))(u64)c_end);
	need_secondary(SEC_VPID, "no VPID");
	vmwrite(F_VPID, 1);
	invvpid(2, (struct inv_desc) { 0, 0 });
	G_EQ(step(c_read), R_VMCALL, "read");
	G_EQ(l2.rax, 0x11, "value seen by L2 after VMXOFF, VMXON and INVVPID");
}

/* Translations of L1 and of L2 do not mix. */
static volatile u64 *probe = (void *)0x7f000000;

static void guest_tags(void)
{
	u64 own = (u64)g_page(), theirs = (u64)g_page(), cr3 = (u64)g_pages(4), *pdpt, *pd, *pt, i;

	*(u64 *)own = 1;
	*(u64 *)theirs = 2;
	*g_pte(0x7f000000) = own | 7;
	/* L2 has its own page tables, which differ from L1's for this page. */
	pdpt = (u64 *)(cr3 + 0x1000);
	pd = (u64 *)(cr3 + 0x2000);
	pt = (u64 *)(cr3 + 0x3000);
	g_copy((void *)cr3, (void *)read_cr3(), 4096);
	*(u64 *)cr3 = (u64)pdpt | 7;
	g_copy(pdpt, (void *)(PAGE_TABLES + 0x1000), 4096);
	pdpt[1] = (u64)pd | 7;
	g_copy(pd, (void *)(PAGE_TABLES + 0x3000), 4096);
	pd[0x3f000000 >> 21] = (u64)pt | 7;
	pt[0] = theirs | 7;
	vmcs_new((void (*)(void))(u64)c_end);
	if (ctl_has(F_PROC, PROC_SECONDARY) && ctl_has(F_PROC2, SEC_VPID)) {
		need_secondary(SEC_VPID, "");
		vmwrite(F_VPID, 5);
	}
	vmwrite(F_GUEST_CR3, cr3);
	page = 0x7f000000;
	target = (u64)g_stack();
	for (i = 0; i < 50; i++) {
		G_EQ(*probe, 1, "L1's page");
		G_EQ(step(c_read), R_VMCALL, "read");
		G_EQ(l2.rax, 2, "L2's page");
	}
}

/* Unrestricted guest: L2 in real mode. */
extern char real_code[], real_end[];
asm(".pushsection .text\n.code16\nreal_code: mov $0x1234, %ax; mov %ax, 0x600; cpuid; vmcall\nreal_end:\n.code64\n.popsection\n");

static volatile u16 *volatile word = (void *)0x600;

static void guest_real(void)
{
	u64 i;

	setup();
	need_secondary(SEC_UNRESTRICTED, "no unrestricted guest");
	g_copy((void *)LOW_CODE, real_code, real_end - real_code);
	vmclr(F_ENTRY_CTLS, ENTRY_IA32E);
	if (ctl_has(F_ENTRY_CTLS, ENTRY_LOAD_EFER)) {
		vmset(F_ENTRY_CTLS, ENTRY_LOAD_EFER);
		vmwrite(F_GUEST_EFER, 0);
	}
	if (ctl_has(F_EXIT_CTLS, EXIT_LOAD_EFER))
		vmset(F_EXIT_CTLS, EXIT_LOAD_EFER);
	vmclr(F_GUEST_CR0, CR0_PG | CR0_PE);
	vmclr(F_GUEST_CR4, CR4_PAE);
	for (i = 0; i < 6; i++) {
		vmwrite(F_GUEST_ES + i * 2, 0);
		vmwrite(F_ES_BASE + i * 2, 0);
		vmwrite(F_ES_LIMIT + i * 2, 0xffff);
		vmwrite(F_ES_AR + i * 2, i == 1 ? 0x9b : 0x93);
	}
	vmwrite(F_RIP, LOW_CODE);
	vmwrite(F_RSP, 0x7000);
	*word = 0;
	vmx_expect(R_CPUID, "CPUID in real mode");
	G_EQ(*word, 0x1234, "real-mode code ran");
	G_EQ(vmread(F_GUEST_CR0) & (CR0_PE | CR0_PG), 0, "CR0");
	vmx_skip();
	vmx_expect(R_VMCALL, "VMCALL in real mode");
	G_EQ(rdmsr(MSR_EFER) & EFER_LMA, EFER_LMA, "L1's EFER");
}

/*
 * A load of the PDPTEs by MOV to CR0 or CR4, which L0 executes, or to CR3, which the processor does. If EPT does not map
 * them, that is an EPT violation without a linear address (SDM 3C table 28-7). In KVM, MOV to CR0 raises #GP.
 */
extern char pae_cr0[], pae_cr4[], pae_cr3[];
asm(".pushsection .text\n.code32\n"
	"pae_cr0: mov %eax, %cr0; vmcall\n"
	"pae_cr4: mov %eax, %cr4; vmcall\n"
	"pae_cr3: mov %eax, %cr3; vmcall\n"
	".code64\n.popsection\n");

static u64 pdpt;

static void pdpt_hole(u64 *pte, char *code, u64 val, const char *what)
{
	u64 was = *pte;

	set(pte, 0);
	vmwrite(F_RIP, (u64)code);
	l2.rax = val;
	vmx_expect(R_EPT_VIOLATION, what);
	G_EQ(vmread(F_QUAL), 1, what);
	G_EQ(vmread(F_GUEST_PHYSICAL), pdpt, what);
	G_EQ(vmread(F_RIP), (u64)code, what);
	set(pte, 6);	/* writable but not readable */
	vmx_expect(R_EPT_MISCONFIG, what);
	set(pte, was);
	vmx_expect(R_VMCALL, what);
	G_EQ(vmread(F_RIP), (u64)code + 3, what);
}

static void guest_pdpt_hole(void)
{
	u64 *pd = g_page(), *pte, i, cr0, cr4;

	setup();
	need_secondary(SEC_UNRESTRICTED, "no unrestricted guest");
	need(F_ENTRY_CTLS, ENTRY_LOAD_EFER, "no load of IA32_EFER");
	need(F_EXIT_CTLS, EXIT_LOAD_EFER, "no load of IA32_EFER");
	pdpt = (u64)g_page();
	pte = ept_entry(eptp, pdpt, 1);
	for (i = 0; i < 512; i++)
		pd[i] = i << 21 | 0x83;
	*(u64 *)pdpt = (u64)pd | 1;
	vmclr(F_ENTRY_CTLS, ENTRY_IA32E);
	vmwrite(F_GUEST_EFER, 0);
	vmwrite(F_CS_AR, 0xc09b);
	vmwrite(F_GUEST_CS, SEL_CS32);
	vmwrite(F_CR0_MASK, 0);
	vmwrite(F_CR4_MASK, 0);
	vmwrite(F_EXCEPTION_BITMAP, 0xffffffff);	/* the IDT is a 64-bit one */
	vmwrite(F_GUEST_CR3, pdpt);
	cr0 = vmread(F_GUEST_CR0);
	vmwrite(F_GUEST_CR0, cr0 & ~CR0_PG);
	cr4 = vmread(F_GUEST_CR4) | CR4_PAE;
	vmwrite(F_GUEST_CR4, cr4);
	pdpt_hole(pte, pae_cr0, cr0, "MOV to CR0 sets PG");
	G_EQ(vmread(F_GUEST_CR0), cr0, "CR0");
	G_EQ(vmread(F_GUEST_PDPTE0), *(u64 *)pdpt, "PDPTE");
	pdpt_hole(pte, pae_cr4, cr4 ^ CR4_PSE, "MOV to CR4 changes PSE");
	G_EQ(vmread(F_GUEST_CR4), cr4 ^ CR4_PSE, "CR4");
	vmclr(F_PROC, PROC_CR3_LOAD);
	if (!(vmread(F_PROC) & PROC_CR3_LOAD))
		pdpt_hole(pte, pae_cr3, pdpt, "MOV to CR3");
	/* Reserved bits raise #GP. */
	*(u64 *)pdpt |= BIT(1);
	vmwrite(F_RIP, (u64)pae_cr4);
	l2.rax = cr4;
	vmx_expect(R_EXCEPTION, "a reserved bit of a PDPTE");
	G_EQ(vmread(F_INTR_INFO), 0x80000b0d, "#GP(0)");
}

/* --- the host reclaims memory of L1 --- */

#define TAKEN_PAGES	200
#define TAKEN_AT	(HEAP_END - 0x200000)

CODE(c_sum, "1: add (%rbx), %rax; add $4096, %rbx; dec %rcx; jnz 1b");

static void guest_sums(void)
{
	u64 i, round;

	vmcs_new((void (*)(void))(u64)c_sum);
	ept_use(ept_new());
	for (i = 0; i < TAKEN_PAGES; i++)
		*(volatile u64 *)(TAKEN_AT + i * 4096) = i + 1;
	for (round = 0; round < 3; round++) {
		vmwrite(F_RIP, (u64)c_sum);
		l2 = (struct l2_regs) { .rbx = TAKEN_AT, .rcx = TAKEN_PAGES };
		vmx_expect(R_VMCALL, "L2 sums its pages");
		g_sync(l2.rax);
	}
}

static u64 l2_violations(struct vcpu *vcpu)
{
	struct droste_exit_stats stats;

	if (ioctl(vcpu->fd, DROSTE_GET_EXIT_STATS, &stats))
		ksft_skip("no exit statistics");
	return stats.from_l2[R_EPT_VIOLATION];
}

static void host_takes_back(void)
{
	const u64 sum = TAKEN_PAGES * (TAKEN_PAGES + 1) / 2;
	struct vm vm;
	struct vcpu *vcpu;
	u64 first, then;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	madvise(vm.mem + TAKEN_AT, 0x200000, MADV_NOHUGEPAGE);
	vcpu = vcpu_create(&vm, 0, guest_sums);
	vcpu_run_to_sync(vcpu, sum);
	first = l2_violations(vcpu);
	OK(first >= TAKEN_PAGES / 16, "L2's pages faulted");
	OK(first < TAKEN_PAGES / 2, "a fault maps pages around it");
	/* One page is reclaimed: it reads as zero, and the others stay mapped. */
	madvise(vm.mem + TAKEN_AT + 49 * 4096, 4096, MADV_DONTNEED);
	vcpu_run_to_sync(vcpu, sum - 50);
	then = l2_violations(vcpu);
	OK(then > first && then < first + 4, "the reclaimed page faults, and few others");
	/* Half of the pages are reclaimed. */
	madvise(vm.mem + TAKEN_AT, TAKEN_PAGES / 2 * 4096, MADV_DONTNEED);
	vcpu_run_to_sync(vcpu, sum - TAKEN_PAGES / 2 * (TAKEN_PAGES / 2 + 1) / 2);
	vm_destroy(&vm);
}

/* A large page of EPT12 on one of the host takes one fault. */
#define LARGE_AT	0x20000000ul
#define LARGE_SIZE	0x200000ul

static void guest_large(void)
{
	vmcs_new((void (*)(void))(u64)c_sum);
	ept_use(ept_new());
	*(volatile u64 *)LARGE_AT = 1;
	g_sync(1);
	l2 = (struct l2_regs) { .rbx = LARGE_AT, .rcx = LARGE_SIZE / 4096 };
	vmx_expect(R_VMCALL, "L2 sums its pages");
	G_EQ(l2.rax, LARGE_SIZE / 4096, "sum");
	g_sync(2);
}

static void host_large(void)
{
	u8 *raw = mmap(NULL, 2 * LARGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u8 *p = (u8 *)(((u64)raw + LARGE_SIZE - 1) & ~(LARGE_SIZE - 1));
	struct vm vm;
	struct vcpu *vcpu;
	u64 n;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_large);
	madvise(p, LARGE_SIZE, MADV_HUGEPAGE);
	for (n = 0; n < LARGE_SIZE; n += 4096)
		p[n] = 1;
	vm_slot(&vm, 1, 0, LARGE_AT, LARGE_SIZE, p);
	vcpu_run_to_sync(vcpu, 1);
	n = l2_violations(vcpu);
	vcpu_run_to_sync(vcpu, 2);
	OK(l2_violations(vcpu) - n < 8, "%d violations, for code, stack, tables and one large page",
	   (int)(l2_violations(vcpu) - n));
	vm_destroy(&vm);
}

#define V .flags = KSFT_VMX
static const struct ksft_test tests[] = {
	{ "identity", .guest = guest_identity, V },
	{ "violations", .guest = guest_violations, V },
	{ "permissions at upper levels", .guest = guest_levels, V },
	{ "violations during L2's page walk", .guest = guest_walk, V },
	{ "misconfigurations", .guest = guest_misconfig, V },
	{ "accessed and dirty bits", .guest = guest_dirty, V },
	{ "INVEPT", .guest = guest_invept, V },
	{ "rights of neighbouring pages", .guest = guest_near_rights, V },
	{ "flags of neighbouring pages", .guest = guest_near_flags, V },
	{ "several EPT hierarchies", .guest = guest_two, V },
	{ "EPT12 maps an address outside L1's memory", .host = host_hole },
	{ "hostile tables", .guest = guest_hostile, V },
	{ "VPID and INVVPID", .guest = guest_vpid, V },
	{ "translations of L1 and L2 do not mix", .guest = guest_tags, V },
	{ "unrestricted guest in real mode", .guest = guest_real, V },
	{ "PDPTEs that EPT does not map", .guest = guest_pdpt_hole, V },
	{ "the host reclaims memory", .host = host_takes_back },
	{ "a large page", .host = host_large },
};
KSFT_MAIN(tests)
