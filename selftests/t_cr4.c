// SPDX-License-Identifier: GPL-2.0
/* Features that a bit of CR4 enables: UMIP, which L0 may emulate, 5-level paging, protection keys. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "guest.h"
#include "vm.h"

static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *c, u32 fn, u32 index)
{
	u32 i;

	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == fn && c->entries[i].index == index)
			return &c->entries[i];
	return NULL;
}

/* --- UMIP --- */

#define CR4_UMIP BIT(11)

struct dt {
	u16 limit;
	u64 base;
} __attribute__((packed));

static u64 user_umip(u64 insn)
{
	struct dt d = { 0x5555, 0x5555555555555555ul };
	u64 f = 0, r = 0x7777777777777777ul;

	switch (insn) {
	case 0:
		asm volatile(TRY("sgdt %1") "mov %%r11, %0" : "=r" (f), "+m" (d) : : "r11", "memory");
		break;
	case 1:
		asm volatile(TRY("sidt %1") "mov %%r11, %0" : "=r" (f), "+m" (d) : : "r11", "memory");
		break;
	case 2:
		asm volatile(TRY("sldt %1") "mov %%r11, %0" : "=r" (f), "+r" (r) : : "r11", "memory");
		break;
	case 3:
		asm volatile(TRY("str %1") "mov %%r11, %0" : "=r" (f), "+m" (d.limit) : : "r11", "memory");
		break;
	}
	if (f && (d.limit != 0x5555 || r != 0x7777777777777777ul))
		return 1;
	return f;
}

static void umip_at_cpl0(u64 round)
{
	struct dt g = { 0, 0 }, g2, idt = { 0, 0 }, idt2;
	u64 *gdt, sel = ~0ul, desc;
	u32 sel32 = ~0u;
	u16 tr = 0, ldt = 0xffff, *at;

	asm volatile("sgdt %0; sidt %1" : "=m" (g), "=m" (idt) : : "memory");
	G_EQN(g.limit, 0x5f, "SGDT, limit", round);
	G_EQN(g.base, CPU_TABLES, "SGDT, base", round);
	G_EQN(idt.limit, 0xfff, "SIDT, limit", round);
	G_EQN(idt.base, CPU_TABLES + OFF_IDT, "SIDT, base", round);
	gdt = (u64 *)g.base;
	asm volatile("str %0" : "=m" (tr));
	G_EQN(tr, SEL_TSS, "STR to memory", round);
	asm volatile("str %0" : "+r" (sel));
	G_EQN(sel, SEL_TSS, "STR to a 64-bit register zero-extends", round);
	asm volatile("str %k0" : "+r" (sel32));
	G_EQN(sel32, SEL_TSS, "STR to a 32-bit register", round);
	sel = 0x1234567812345678ul;
	asm volatile("str %w0" : "+r" (sel));
	G_EQN(sel, 0x1234567812340000ul | SEL_TSS, "STR to a 16-bit register keeps the rest", round);
	/* A table at another place, with an LDT and an available TSS. */
	g2 = (struct dt){ g.limit, (u64)g_page() };
	g_copy((void *)g2.base, gdt, g.limit + 1);
	asm volatile("lgdt %0" : : "m" (g2) : "memory");
	asm volatile("sgdt %0" : "=m" (g) : : "memory");
	G_EQN(g.base, g2.base, "LGDT", round);
	idt2 = (struct dt){ 0xfff, (u64)g_page() };
	g_copy((void *)idt2.base, (void *)idt.base, 0x1000);
	asm volatile("lidt %0" : : "m" (idt2) : "memory");
	asm volatile("sidt %0" : "=m" (idt2) : : "memory");
	G_OK(idt2.base != idt.base, "LIDT");
	asm volatile("lidt %0" : : "m" (idt) : "memory");
	desc = ((u64 *)g2.base)[SEL_TSS / 8] & ~(2ul << 40);
	((u64 *)g2.base)[SEL_TSS / 8] = desc;
	at = (u16 *)g_page();
	*at = SEL_TSS;
	asm volatile("ltr %0" : : "m" (*at) : "memory");
	G_EQN(((u64 *)g2.base)[SEL_TSS / 8], desc | 2ul << 40, "LTR marks the TSS busy", round);
	G_EQN(({ u64 f; asm volatile(TRY("ltr %w1") "mov %%r11, %0" : "=r" (f) : "r" (0) : "r11", "memory"); f; }), GP0,
	      "LTR with a null selector", round);
	asm volatile("sldt %0" : "=r" (sel));
	asm volatile("lldt %w0" : : "r" (0));
	asm volatile("sldt %0" : "=m" (ldt));
	G_EQN(ldt, 0, "SLDT after LLDT of a null selector", round);
	((u64 *)g2.base)[SEL_CS16 / 8] = 0x0000820080000fff;
	((u64 *)g2.base)[SEL_CS16 / 8 + 1] = 0;
	asm volatile("lldt %w0" : : "r" (SEL_CS16));
	asm volatile("sldt %0" : "=m" (ldt));
	G_EQN(ldt, SEL_CS16, "SLDT after LLDT", round);
	asm volatile("lldt %w0" : : "r" (0));
	g2.base = CPU_TABLES;
	asm volatile("lgdt %0" : : "m" (g2) : "memory");
}

static void guest_umip(void)
{
	static const char *const name[] = { "SGDT at CPL 3", "SIDT at CPL 3", "SLDT at CPL 3", "STR at CPL 3" };
	u64 i;

	if (!(CPUID_REG(7, 0, c) & BIT(2))) {
		G_OK(false, "CPUID has UMIP, which needs only descriptor-table exiting");
		return;
	}
	umip_at_cpl0(0);
	G_EQ(write_cr4(read_cr4() | CR4_UMIP), NO_FAULT, "CR4.UMIP");
	G_EQ(read_cr4() & CR4_UMIP, CR4_UMIP, "CR4.UMIP reads back");
	for (i = 0; i < 4; i++)
		G_EQ(g_user(user_umip, i), GP0, name[i]);
	umip_at_cpl0(1);
	write_cr4(read_cr4() & ~CR4_UMIP);
	for (i = 0; i < 4; i++)
		G_EQ(g_user(user_umip, i), NO_FAULT, name[i]);
	umip_at_cpl0(2);
}

/* --- 5-level paging --- */

#define CR4_LA57	BIT(12)
#define HIGH		(3ul << 48)	/* entry 3 of the top table */
#define PML5		0x20000ul	/* unused low memory */

static void guest_la57(void)
{
	u64 *pml5 = (u64 *)PML5, *t = (u64 *)g_pages(3), *page = g_page(), v;

	G_EQ(read_cr4() & CR4_LA57, CR4_LA57, "CR4.LA57");
	G_EQ(write_cr4(read_cr4() & ~CR4_LA57), GP0, "CR4.LA57 cannot change in IA-32e mode");
	/* Entry 3 of PML5, entry 0 of the others, maps a page. */
	pml5[3] = (u64)t | 7;
	t[0] = (u64)(t + 512) | 7;
	t[512] = (u64)(t + 1024) | 7;
	t[1024] = (u64)page | 0x87;
	t[1024] &= ~0x1ff000ul;		/* a 2-MiB page */
	page[0] = 0x5a5a;
	G_EQ(try_read64(HIGH + ((u64)page & 0x1fffff), &v), NO_FAULT, "an address of 50 bits");
	G_EQ(v, 0x5a5a, "its memory");
	G_EQ(pml5[3] & 0x20, 0x20, "the accessed flag of the fifth level");
	G_EQ(try_read64(1ul << 57, &v), GP0, "an address of 58 bits");
	G_EQ(try_wrmsr(MSR_LSTAR, 1ul << 57), GP0, "IA32_LSTAR of 58 bits");
	/* L0 walks five levels to emulate an access to MMIO. */
	t[1024] = 0xe0000087;
	write_cr3(read_cr3());
	*(volatile u64 *)(HIGH + 0x1008) = 0x1234;
}

static void host_la57(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;
	struct kvm_sregs s;
	u64 top = PAGE_TABLES | 7;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_la57);
	c = supported_cpuid(vm.dev);
	if (!(leaf(c, 7, 0)->ecx & BIT(16)))
		ksft_skip("no LA57");
	EQ(leaf(c, 0x80000008, 0)->eax >> 8 & 0xff, 57, "bits of a linear address");
	free(c);
	memcpy(vm.mem + PML5, &top, sizeof(top));
	vcpu_sregs(vcpu, &s);
	s.cr4 |= CR4_LA57;
	s.cr3 = PML5;
	vcpu_set_sregs(vcpu, &s);
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "the guest's store to MMIO");
	EQ(vcpu->run->exit_reason, KVM_EXIT_MMIO, "exit");
	EQ(vcpu->run->mmio.phys_addr, 0xe0001008, "its address");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- protection keys --- */

#define CR4_PKE		BIT(22)

static u32 read_pkru(void)
{
	u32 v, d;

	asm volatile("rdpkru" : "=a" (v), "=d" (d) : "c" (0));
	return v;
}

static void write_pkru(u32 v)
{
	asm volatile("wrpkru" : : "a" (v), "c" (0), "d" (0) : "memory");
}

/* The guest denies itself a key; L0 must not be bound by that, nor the guest by L0. */
static void guest_keys(void)
{
	u64 p, *pte, v, i;

	if (!(CPUID_REG(7, 0, c) & BIT(3)))
		g_skip("no PKU");
	p = (u64)g_page();
	pte = g_pte(p);
	G_EQ(CPUID_REG(7, 0, c) & BIT(4), 0, "OSPKE follows CR4");
	G_EQ(write_cr4(read_cr4() | CR4_PKE), NO_FAULT, "CR4.PKE");
	G_EQ(CPUID_REG(7, 0, c) & BIT(4), BIT(4), "OSPKE follows CR4");
	G_EQ(read_pkru(), 0, "PKRU");
	*pte |= 5ul << 59;
	invlpg(p);
	write_pkru(1u << 10);		/* no access with key 5 */
	for (i = 0; i < 3; i++) {
		g_sync(1);
		G_EQ(read_pkru(), 1u << 10, "PKRU after an exit to user space");
		G_EQ(try_read64(p, &v), FAULT(VEC_PF, 0x21), "read of a page whose key is denied");
	}
	write_pkru(2u << 10);		/* no writes */
	G_EQ(try_read64(p, &v), NO_FAULT, "read");
	G_EQ(try_write8(p, 1), FAULT(VEC_PF, 0x23), "write");
	write_pkru(0);
	G_EQ(try_write8(p, 1), NO_FAULT, "write");
	g_sync(2);
	G_EQ(read_pkru(), 1u << 12, "PKRU as user space sets it");
}

static void host_keys(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_xsave x;
	struct kvm_cpuid2 *c;
	struct kvm_fpu fpu;
	u32 offset, own = 1u << 30;
	u64 args[4];

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_keys);
	c = supported_cpuid(vm.dev);
	if (!(leaf(c, 7, 0)->ecx & BIT(3)))
		ksft_skip("no PKU");
	MUST(leaf(c, 0xd, 9), "leaf 0xd has PKRU");
	offset = leaf(c, 0xd, 9)->ebx;
	free(c);
	while (vcpu_run_to_call(vcpu, args) == GCALL_SYNC && args[0] == 1) {
		DO(vcpu->fd, KVM_GET_XSAVE, &x);
		EQ(*(u32 *)((u8 *)x.region + offset), 1u << 10, "PKRU as user space reads it");
		EQ(*(u64 *)((u8 *)x.region + 512) & BIT(9), BIT(9), "it is not in its initial state");
		DO(vcpu->fd, KVM_SET_XSAVE, &x);
		DO(vcpu->fd, KVM_GET_FPU, &fpu);
		DO(vcpu->fd, KVM_SET_FPU, &fpu);
		/* User space's own PKRU, which is in its initial state in every second round, has nothing to do with it. */
		write_pkru(own ^= 1u << 30);
	}
	EQ(args[0], 2, "second part");
	DO(vcpu->fd, KVM_GET_XSAVE, &x);
	*(u32 *)((u8 *)x.region + offset) = 1u << 12;
	*(u64 *)((u8 *)x.region + 512) |= BIT(9);
	DO(vcpu->fd, KVM_SET_XSAVE, &x);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "UMIP", .guest = guest_umip },
	{ "5-level paging", .host = host_la57 },
	{ "protection keys", .host = host_keys },
};
KSFT_MAIN(tests)
