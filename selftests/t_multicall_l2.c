// SPDX-License-Identifier: GPL-2.0
/* The hypercall with a list of operations for L2: who gets it, and that L2 gets nothing that L1 forbids. */
#include "delegate.h"
#include "save.h"
#include "vm.h"
#include "vmx.h"

#define PORT		0x600
#define IOAPIC		0xfec00000ul
#define E_TRAP		((u64)DROSTE_ERR_TRAP)

/* --- who gets it --- */

static void guest_opt_in(void)
{
	static const u64 bad[] = { 2, 0x1000, 0x1003, 0x1801, 1ul << 52 | 1, 1ul << 63 | 1 };
	u64 val = 1, i;

	G_EQ(CPUID_REG(0x40000002, 0, a), DROSTE_CPUID_MULTICALL | DROSTE_CPUID_DELEGATE, "the features");
	G_EQ(rdmsr(DROSTE_MSR_DELEGATE), 0, "after reset");
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		G_EQN(try_wrmsr(DROSTE_MSR_DELEGATE, bad[i]), GP0, "a reserved bit", bad[i]);
	G_EQ(try_wrmsr(DROSTE_MSR_DELEGATE, 0x5001), NO_FAULT, "an address");
	G_EQ(rdmsr(DROSTE_MSR_DELEGATE), 0x5001, "is there");
	vmx_on();
	G_EQ(rdmsr(DROSTE_MSR_DELEGATE), 0, "VMXON ends it");
	wrmsr(DROSTE_MSR_DELEGATE, 0x5001);
	for (i = 0; i < 2; i++) {
		val = i ? vmcs_new(l2_start) : vmx_region();
		wrmsr(DROSTE_MSR_DELEGATE, val | DROSTE_DELEGATE_ENABLE);
		G_MUST(vmclear(vmx_region()) == VM_OK, "VMCLEAR");
		G_EQN(rdmsr(DROSTE_MSR_DELEGATE), val | DROSTE_DELEGATE_ENABLE, "after VMCLEAR of another VMCS", i);
		G_MUST(vmclear(val) == VM_OK, "VMCLEAR");
		G_EQN(rdmsr(DROSTE_MSR_DELEGATE), 0, "VMCLEAR ends it, whether the VMCS is current or not", i);
	}
	wrmsr(DROSTE_MSR_DELEGATE, 0);
	G_EQ(try_rdmsr(DROSTE_MSR_DELEGATE, &val), NO_FAULT, "RDMSR");
	G_EQ(val, 0, "0 ends it");
}

static void guest_no_feature(void)
{
	u64 val;

	G_EQ(try_rdmsr(DROSTE_MSR_DELEGATE, &val), GP0, "RDMSR without the feature");
	G_EQ(try_wrmsr(DROSTE_MSR_DELEGATE, 0), GP0, "WRMSR without the feature");
}

static void host_no_feature(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_no_feature);
	multicall_offer(vcpu, OFFER_HIDDEN);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static u64 l2_list;

static u64 user_call(u64 arg)
{
	asm volatile("vmcall" : : "a" (DROSTE_MULTICALL), "b" (arg) : "memory");
	return 0;
}

static void l2_at_cpl3(void)
{
	g_user(user_call, l2_list);
}

/* L2's VMCALL is L1's, as it is without the feature. */
static void is_l1s(const char *what)
{
	u64 i;

	for (i = 0; i < 3; i++) {
		list->done = 0;
		G_EQ(start((u64)list), R_VMCALL, what);
		G_EQ(vmread(F_RIP), (u64)c_call, what);
		G_EQ(vmread(F_ILEN), CALL_LEN, what);
		G_EQ(vmread(F_QUAL), 0, what);
		G_EQ(l2.rax, DROSTE_MULTICALL, what);
		G_EQ(list->done, 0, what);
	}
}

static void guest_is_l1s(void)
{
	u64 other = vmx_region();

	begin();
	add(DROSTE_OP_RDMSR, MSR_PAT, 0, 0);
	is_l1s("L1 has not delegated the call");
	G_MUST(vmclear(other) == VM_OK, "VMCLEAR");
	wrmsr(DROSTE_MSR_DELEGATE, other | DROSTE_DELEGATE_ENABLE);
	is_l1s("L1 has delegated it to another L2");
	wrmsr(DROSTE_MSR_DELEGATE, vmcs | DROSTE_DELEGATE_ENABLE);
	list->done = 0;
	G_EQ(call(), 0, "L1 has delegated it");
	G_EQ(list->done, 1, "the operation is done");
	G_EQ(list->e[0].a[2], vmread(F_GUEST_PAT), "its result");

	l2.rax = DROSTE_MULTICALL + 1;
	vmwrite(F_RIP, (u64)c_call);
	vmx_expect(R_VMCALL, "another VMCALL");
	G_EQ(vmread(F_RIP), (u64)c_call, "its RIP");
	l2.rax = 1ul << 32 | DROSTE_MULTICALL;
	vmx_expect(R_VMCALL, "all of RAX counts");
	G_EQ(vmread(F_RIP), (u64)c_call, "its RIP");

	list->done = 0;
	l2_list = (u64)list;
	vmwrite(F_RIP, (u64)l2_at_cpl3);
	vmx_expect(R_VMCALL, "at CPL 3");
	G_EQ(vmread(F_SS_AR) >> 5 & 3, 3, "CPL");
	G_EQ(list->done, 0, "nothing is done");
}

static void guest_is_l1s_by_controls(void)
{
	delegate();
	add(DROSTE_OP_RDMSR, MSR_PAT, 0, 0);
	need(F_PROC, PROC_MTF, "no monitor trap flag");
	is_l1s("with the monitor trap flag");
	vmclr(F_PROC, PROC_MTF);
	list->done = 0;
	G_EQ(call(), 0, "without it");
	vmclr(F_PROC2, SEC_EPT);
	is_l1s("without EPT");
	vmset(F_PROC2, SEC_EPT);
	list->done = 0;
	G_EQ(call(), 0, "with EPT");
	wrmsr(DROSTE_MSR_DELEGATE, 0);
	is_l1s("L1 has taken it back");
}

/* --- operations --- */

static void guest_operations(void)
{
	u64 ioapic = HEAP_END - 4096;	/* where L2 has the I/O APIC */

	delegate();
	*ept_entry(eptp, ioapic, 1) = IOAPIC | EPT_R | EPT_W;
	invept_all();
	add(DROSTE_OP_WRMSR, MSR_CSTAR, 0x1234, 0);
	add(DROSTE_OP_RDMSR, MSR_CSTAR, 0, 0);
	add(DROSTE_OP_OUT, 0x21, 1, 0xa5);
	add(DROSTE_OP_MMIO_WRITE, ioapic, 4, 0x10);
	add(DROSTE_OP_MMIO_WRITE, ioapic + 0x10, 4, 0x10055);
	/* What cannot be done has an error, as in L1. */
	add(DROSTE_OP_WRMSR, MSR_PAT, 2, 0);
	add(DROSTE_OP_RDMSR, 0x1234, 0, 0);
	add(DROSTE_OP_RDMSR, 1ul << 32 | MSR_PAT, 0, 0);
	add(DROSTE_OP_OUT, 0x10021, 1, 0);
	add(DROSTE_OP_OUT, 0x21, 3, 0);
	add(DROSTE_OP_MMIO_WRITE, HEAP, 8, 1);
	add(DROSTE_OP_MMIO_WRITE, ioapic + 4095, 2, 1);
	add(DROSTE_OP_MMIO_WRITE, ~0ul, 1, 1);
	G_EQ(call(), 0, "the result");
	G_EQ(list->done, 13, "all are done");
	G_EQ(rdmsr(MSR_CSTAR), 0x1234, "WRMSR");
	G_EQ(list->e[1].a[2], 0x1234, "RDMSR");
	G_EQ(inb(0x21), 0xa5, "OUT");
	*(volatile u32 *)IOAPIC = 0x10;
	G_EQ(*(volatile u32 *)(IOAPIC + 0x10), 0x10055, "MMIO");
	G_EQ(list->e[5].ret, DROSTE_ERR_GP, "a bad value");
	G_EQ(list->e[6].ret, DROSTE_ERR_GP, "no such MSR");
	G_EQ(list->e[7].ret, DROSTE_ERR_ARGUMENT, "no such number");
	G_EQ(list->e[8].ret, DROSTE_ERR_ARGUMENT, "no such port");
	G_EQ(list->e[9].ret, DROSTE_ERR_ARGUMENT, "no such size");
	G_EQ(list->e[10].ret, DROSTE_ERR_ARGUMENT, "memory");
	G_EQ(list->e[11].ret, DROSTE_ERR_ARGUMENT, "across a page");
	G_EQ(list->e[12].ret, DROSTE_ERR_ARGUMENT, "no such address");
}

/* Runs a list whose operation 1 L1 takes. */
static void taken(const char *what)
{
	u64 i;

	for (i = 0; i < 2; i++) {
		list->done = 0;
		list->e[1].ret = 0x77;
		G_EQ(call(), E_TRAP, what);
		G_EQ(list->done, 1, what);
		G_EQ(list->e[1].ret, 0x77, what);
	}
}

/* Runs it when L1 does not take it any more. */
static void passes(const char *what)
{
	list->done = 0;
	list->e[1].ret = 0x77;
	G_EQ(call(), 0, what);
	G_EQ(list->done, 3, what);
	G_EQ(list->e[1].ret, 0, what);
}

static struct droste_multicall_entry *try_op(u64 op, u64 a0, u64 a1, u64 a2)
{
	struct droste_multicall_entry *e;

	empty();
	add(DROSTE_OP_RDMSR, MSR_PAT, 0, 0);
	e = add(op, a0, a1, a2);
	add(DROSTE_OP_RDMSR, MSR_PAT, 0, 0);
	return e;
}

static void set_bit(u8 *map, u32 n, bool on)
{
	map[n / 8] = (map[n / 8] & ~(1 << n % 8)) | on << n % 8;
}

static void guest_msrs(void)
{
	delegate();
	wrmsr(MSR_CSTAR, 1);
	try_op(DROSTE_OP_WRMSR, MSR_CSTAR, 2, 0);
	set_bit(msr_map + 0xc00, 0x83, true);
	taken("WRMSR of a high MSR that L1 intercepts");
	G_EQ(rdmsr(MSR_CSTAR), 1, "its value");
	set_bit(msr_map + 0xc00, 0x83, false);
	passes("WRMSR that L1 lets through");
	G_EQ(rdmsr(MSR_CSTAR), 2, "its value");
	try_op(DROSTE_OP_RDMSR, MSR_CSTAR, 0, 0);
	set_bit(msr_map + 0x400, 0x83, true);
	taken("RDMSR of a high MSR");
	G_EQ(list->e[1].a[2], 0, "its value");
	set_bit(msr_map + 0x400, 0x83, false);
	passes("RDMSR");
	try_op(DROSTE_OP_WRMSR, MSR_MISC_ENABLE, rdmsr(MSR_MISC_ENABLE), 0);
	set_bit(msr_map + 0x800, MSR_MISC_ENABLE, true);
	taken("WRMSR of a low MSR");
	set_bit(msr_map + 0x800, MSR_MISC_ENABLE, false);
	passes("WRMSR of a low MSR");
	try_op(DROSTE_OP_RDMSR, MSR_MISC_ENABLE, 0, 0);
	set_bit(msr_map, MSR_MISC_ENABLE, true);
	taken("RDMSR of a low MSR");
	set_bit(msr_map, MSR_MISC_ENABLE, false);
	passes("RDMSR of a low MSR");
	try_op(DROSTE_OP_RDMSR, DROSTE_MSR_DELEGATE, 0, 0);
	taken("an MSR without a bit in the bitmap");
	vmclr(F_PROC, PROC_MSR_BITMAPS);
	list->done = 0;
	G_EQ(call(), E_TRAP, "without bitmaps, all MSRs are L1's");
	G_EQ(list->done, 0, "nothing is done");
}

/* An L1 that intercepts #GP sees those of instructions that it lets through. */
static void guest_gp(void)
{
	delegate();
	try_op(DROSTE_OP_WRMSR, MSR_PAT, 2, 0);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
	taken("WRMSR that raises #GP");
	list->e[1].op = DROSTE_OP_RDMSR;
	list->e[1].a[0] = 0x1234;
	taken("RDMSR that raises #GP");
	vmwrite(F_EXCEPTION_BITMAP, (u32)~BIT(VEC_GP));
	list->done = 0;
	G_EQ(call(), 0, "#GP is L2's");
	G_EQ(list->done, 3, "all are done");
	G_EQ(list->e[1].ret, DROSTE_ERR_GP, "the error");
}

/* In this mode, L1's virtual-APIC page answers. */
static void guest_x2apic_mode(void)
{
	void *page;

	delegate();
	page = g_page();
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	need_secondary(SEC_X2APIC, "no x2APIC mode");
	vmwrite(F_VIRTUAL_APIC, (u64)page);
	vmwrite(F_TPR_THRESHOLD, 0);
	apic_x2_enable();
	try_op(DROSTE_OP_WRMSR, MSR_X2APIC(APIC_TPR), 0x50, 0);
	taken("the virtual APIC's TPR");
	try_op(DROSTE_OP_WRMSR, MSR_X2APIC(APIC_LVTERR), 1 << 16, 0);
	taken("another register");
	G_EQ(apic_read(APIC_TPR), 0, "L1's TPR");
	vmclr(F_PROC2, SEC_X2APIC);
	passes("L1's own APIC, if it lets L2 have it");
}

static void guest_ports(void)
{
	u8 *a, *b;

	delegate();
	a = g_page();
	b = g_page();
	outb(0x21, 0x11);
	try_op(DROSTE_OP_OUT, 0x21, 1, 0x22);
	need(F_PROC, PROC_IO, "no unconditional I/O exiting");
	taken("unconditional I/O exiting");
	need(F_PROC, PROC_IO_BITMAPS, "no I/O bitmaps");
	vmwrite(F_IO_BITMAP_A, (u64)a);
	vmwrite(F_IO_BITMAP_B, (u64)b);
	set_bit(a, 0x21, true);
	taken("a port of bitmap A");
	list->e[1].a[0] = 0x20;
	list->e[1].a[1] = 2;
	taken("a word whose second byte is the port");
	set_bit(a, 0x21, false);
	set_bit(b, 0x7fff, true);
	list->e[1].a[0] = 0xffff;
	list->e[1].a[1] = 1;
	taken("a port of bitmap B");
	list->e[1].a[1] = 4;
	set_bit(b, 0x7fff, false);
	taken("an access that wraps");
	G_EQ(inb(0x21), 0x11, "the mask is as it was");
	list->e[1].a[0] = 0x21;
	list->e[1].a[1] = 1;
	passes("a port that L1 lets through");
	G_EQ(inb(0x21), 0x22, "the new mask");
}

static void guest_mmio(void)
{
	u64 *e;

	delegate();
	e = ept_entry(eptp, IOAPIC, 1);
	*(volatile u32 *)IOAPIC = 0;
	try_op(DROSTE_OP_MMIO_WRITE, IOAPIC, 4, 0x12);
	*e &= ~EPT_W;
	invept_all();
	taken("L1's EPT forbids the write");
	*e = 0;
	invept_all();
	taken("L1's EPT maps nothing");
	*e = IOAPIC | EPT_W;
	invept_all();
	taken("a misconfiguration of L1's");
	G_EQ(*(volatile u32 *)IOAPIC, 0, "the register");
	*e = IOAPIC | EPT_R | EPT_W;
	invept_all();
	if (ctl_has(F_PROC2, SEC_APIC_ACCESS)) {
		vmset(F_PROC2, SEC_APIC_ACCESS);
		vmwrite(F_APIC_ACCESS, IOAPIC);
		taken("the APIC-access page");
		vmclr(F_PROC2, SEC_APIC_ACCESS);
	}
	passes("a page that L1 lets through");
	G_EQ(*(volatile u32 *)IOAPIC, 0x12, "the register");
}

static void guest_others(void)
{
	static const u64 ops[] = {
		DROSTE_OP_CPUID, DROSTE_OP_VMREAD, DROSTE_OP_VMWRITE, DROSTE_OP_INVEPT, DROSTE_OP_INVVPID, OP_SEND_IPI, OP_SCHED_YIELD,
		0, 1, 0x100, 0x10a, ~0ul, 1ul << 32 | DROSTE_OP_RDMSR,
	};
	u64 i;

	delegate();
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		try_op(ops[i], F_RIP, 0, 0);
		taken("an operation that always exits to L1, or is none");
	}
}

/* --- where the list is --- */

static void guest_place(void)
{
	struct droste_multicall *other;
	u64 *e;

	delegate();
	other = g_page();
	add(DROSTE_OP_RDMSR, MSR_PAT, 0, 0);
	e = ept_entry(eptp, (u64)list, 1);
	*e = 0;
	invept_all();
	G_EQ(start((u64)list), R_EPT_VIOLATION, "L1 has not mapped the list");
	G_EQ(vmread(F_GUEST_PHYSICAL), (u64)list, "address");
	G_EQ(vmread(F_QUAL) & 0x1bf, 3, "qualification");
	G_EQ(vmread(F_RIP), (u64)c_call, "L2's RIP");
	G_EQ(vmread(F_RFLAGS) & RFLAGS_RF, RFLAGS_RF, "RF");
	vmclr(F_RFLAGS, RFLAGS_RF);
	G_EQ(l2.rax, DROSTE_MULTICALL, "RAX");
	*e = (u64)list | EPT_MT_WB | EPT_R;
	invept_all();
	vmx_expect(R_EPT_VIOLATION, "L1 has mapped it for reading");
	G_EQ(vmread(F_QUAL) & 0x1bf, 3 | 1 << 3, "qualification");
	G_EQ(list->done, 0, "nothing is done");
	*e = (u64)list | EPT_MT_WB | EPT_W;
	invept_all();
	vmx_expect(R_EPT_MISCONFIG, "L1 has misconfigured it");
	G_EQ(vmread(F_GUEST_PHYSICAL), (u64)list, "address");
	G_EQ(vmread(F_RFLAGS) & RFLAGS_RF, RFLAGS_RF, "RF");
	/* A list where L1 puts it. */
	other->n = 1;
	other->e[0] = list->e[0];
	*e = (u64)other | EPT_MT_WB | EPT_R | EPT_W;
	invept_all();
	vmx_expect(R_VMCALL, "it goes on");
	G_EQ(vmread(F_RFLAGS) & RFLAGS_RF, 0, "RF at a VMCALL");
	G_EQ(l2.rax, 0, "the result");
	G_EQ(other->done, 1, "of the list that L1 has mapped");
	G_EQ(list->done, 0, "and of no other");
	*e = MMIO_HOLE | EPT_R | EPT_W;
	invept_all();
	G_EQ(call(), (u64)DROSTE_ERR_MEMORY, "where L1 has no memory");
}

/* All accesses of L2 to this page are L1's. */
static void guest_apic_page(void)
{
	delegate();
	need_secondary(SEC_APIC_ACCESS, "no APIC-access page");
	add(DROSTE_OP_RDMSR, MSR_PAT, 0, 0);
	vmwrite(F_APIC_ACCESS, (u64)list);
	G_EQ(call(), (u64)DROSTE_ERR_MEMORY, "the list is in the APIC-access page");
	G_EQ(list->done, 0, "nothing is done");
	G_EQ(list->e[0].ret, (u64)-1, "nor written");
	vmwrite(F_APIC_ACCESS, (u64)g_page());
	G_EQ(call(), 0, "it is not");
	G_EQ(list->done, 1, "the operation is done");
}

static void guest_dirty(void)
{
	u64 *e;

	delegate();
	if (!(ept_caps() & BIT(21)))
		g_skip("no A/D flags");
	vmwrite(F_EPTP, eptp | 1 << 6);
	e = ept_entry(eptp, (u64)list, 1);
	add(DROSTE_OP_RDMSR, MSR_PAT, 0, 0);
	*e &= ~(EPT_A | EPT_D);
	invept_all();
	G_EQ(call(), 0, "the result");
	G_EQ(*e & (EPT_A | EPT_D), EPT_A | EPT_D, "the flags of the list's page");
}

static void guest_bad_lists(void)
{
	u64 i;

	delegate();
	for (i = 1; i < 8; i++)
		G_EQ(call_at((u64)list + i), (u64)DROSTE_ERR_LIST, "misaligned");
	G_EQ(call_at(1ul << 63), (u64)DROSTE_ERR_MEMORY, "beyond physical addresses");
	G_EQ(call_at(-8ul), (u64)DROSTE_ERR_MEMORY, "at the last one");
	list->n = 65;
	G_EQ(call(), (u64)DROSTE_ERR_LIST, "too many");
	list->n = 1;
	list->done = 2;
	G_EQ(call(), (u64)DROSTE_ERR_LIST, "more done than there are");
	list->done = 0;
	G_EQ(call_at((u64)list + 4088), 0, "an empty list at the page's end");
	*(u32 *)((u64)list + 4088) = 1;
	G_EQ(call_at((u64)list + 4088), (u64)DROSTE_ERR_LIST, "across the page's end");
}

/* --- an L2 that L1 lets do nothing --- */

static u64 random_state = 88172645463325252;

static u64 rnd(u64 n)
{
	return next_random(&random_state) % n;
}

static void random_op(struct droste_multicall_entry *e)
{
	static const u32 msrs[] = { MSR_CSTAR, MSR_PAT, MSR_EFER, MSR_MISC_ENABLE, MSR_TSC, 0x1b, 0x830, 0x80b, 0x12345, MSR_FS_BASE };
	static const u16 ports[] = { 0x20, 0x21, 0xa1, PORT, 0x80, 0xffff, 0x4d0 };

	e->op = rnd(12) ? DROSTE_OP_CPUID + rnd(10) : rnd(20);
	e->a[0] = rnd(4) ? next_random(&random_state) : 0;
	e->a[1] = rnd(3) ? rnd(9) : next_random(&random_state);
	e->a[2] = next_random(&random_state);
	e->a[3] = rnd(256);
	if (e->op == DROSTE_OP_RDMSR || e->op == DROSTE_OP_WRMSR)
		e->a[0] = msrs[rnd(ARRAY_SIZE(msrs))];
	else if (e->op == DROSTE_OP_OUT)
		e->a[0] = ports[rnd(ARRAY_SIZE(ports))];
	else if (e->op == DROSTE_OP_MMIO_WRITE)
		e->a[0] = rnd(2) ? IOAPIC + rnd(64) : rnd(2) ? APIC_BASE + rnd(4096) : rnd(2) ? MMIO_HOLE : HEAP + rnd(1 << 23);
}

static void guest_nothing(void)
{
	u8 *a = g_pages(2);
	u64 i, k, cstar, sum, misc, *memory = g_pages(4);

	delegate();
	apic_enable();
	need(F_PROC, PROC_IO_BITMAPS, "no I/O bitmaps");
	vmwrite(F_IO_BITMAP_A, (u64)a);
	vmwrite(F_IO_BITMAP_B, (u64)a + 4096);
	g_fill(a, 0xff, 8192);
	g_fill(msr_map, 0xff, 4096);
	/* Memory only. */
	for (i = MEM_SIZE; i < 1ul << 32; i += 1 << 21)
		*ept_entry(eptp, i, 2) = 0;
	invept_all();
	outb(0x21, 0x3c);
	cstar = rdmsr(MSR_CSTAR);
	misc = rdmsr(MSR_MISC_ENABLE);
	for (i = 0; i < 400; i++) {
		u64 rax;

		empty();
		for (k = rnd(8); k; k--) {
			random_op(&list->e[list->n]);
			list->e[list->n++].ret = 0x55;
		}
		rax = call();
		for (k = 0; k < list->done; k++)
			G_EQ(list->e[k].ret, DROSTE_ERR_ARGUMENT, "what is done is no instruction");
		G_EQ(rax, list->done < list->n ? E_TRAP : 0, "the result");
		for (; k < list->n; k++)
			G_EQ(list->e[k].ret, 0x55, "what is not done is as it was");
	}
	G_EQ(rdmsr(MSR_CSTAR), cstar, "IA32_CSTAR");
	G_EQ(rdmsr(MSR_MISC_ENABLE), misc, "IA32_MISC_ENABLE");
	G_EQ(inb(0x21), 0x3c, "the PIC's mask");
	for (sum = i = 0; i < 2048; i++)
		sum |= memory[i];
	G_EQ(sum, 0, "memory");
}

#define L1	.flags = KSFT_VMX | KSFT_IRQCHIP

static const struct ksft_test tests[] = {
	{ "L1's MSR", .guest = guest_opt_in, L1 },
	{ "the MSR without the feature", .host = host_no_feature },
	{ "L1 gets what it has not delegated", .guest = guest_is_l1s, L1 },
	{ "L1 gets all VMCALLs with some controls", .guest = guest_is_l1s_by_controls, L1 },
	{ "operations", .guest = guest_operations, L1 },
	{ "MSRs that L1 intercepts", .guest = guest_msrs, L1 },
	{ "#GP that L1 intercepts", .guest = guest_gp, L1 },
	{ "a virtual x2APIC", .guest = guest_x2apic_mode, L1 },
	{ "ports that L1 intercepts", .guest = guest_ports, L1 },
	{ "MMIO that L1 does not map", .guest = guest_mmio, L1 },
	{ "operations that are always L1's", .guest = guest_others, L1 },
	{ "the list in L1's EPT", .guest = guest_place, L1 },
	{ "the list in the APIC-access page", .guest = guest_apic_page, L1 },
	{ "accessed and dirty flags", .guest = guest_dirty, L1 },
	{ "lists that are refused", .guest = guest_bad_lists, L1 },
	{ "random lists of an L2 that may do nothing", .guest = guest_nothing, L1 },
};

KSFT_MAIN_DROSTE(tests, "the hypercall with a list of operations for L2")
