// SPDX-License-Identifier: GPL-2.0
/*
 * Carries out the same operations one trap at a time, and as lists of 1, 2, 4 ... 64 by Droste's hypercall: in L1, and in an
 * L2 to which L1 has delegated it. The guest fills each list anew. Markers, by which the lab counts, are around TIMES lists.
 */
#define _GNU_SOURCE
#include "multicall.h"
#include "vm.h"
#include "vmx.h"

#define TIMES		8
#define WINDOWS		6	/* some of them meet an interrupt of the host */
#define VECTOR		0x61
#define TAG		0xba000000u
#define TAG_LIST	BIT(8)
#define TAG_L2		BIT(9)

/* KSFT needs the list of subtests to be there; there is none. */
const char *ksft_positional = "";

/* xchg %bx,%bx has no effect; the emulator treats it as a marker. The first of two names the count. */
static inline void marker(u64 tag)
{
	asm volatile("xchg %%bx, %%bx" : : "a" (tag) : "memory");
}

static u64 misc_enable;

/* The operation as an instruction, and as an entry of a list. */
#define OPERATION(name, statement, op_, a0, a1, a2_) \
static void name##_traps(u64 n) \
{ \
	for (; n; n--) { \
		statement; \
	} \
} \
\
static void name##_fill(struct droste_multicall_entry *e, u64 n) \
{ \
	for (; n; n--, e++) { \
		e->op = (op_); \
		e->a[0] = (a0); \
		e->a[1] = (a1); \
		e->a[2] = (a2_); \
	} \
}

OPERATION(wrmsr, wrmsr(MSR_MISC_ENABLE, misc_enable), DROSTE_OP_WRMSR, MSR_MISC_ENABLE, misc_enable, 0)
OPERATION(out, outb(0x21, 0xff), DROSTE_OP_OUT, 0x21, 1, 0xff)
OPERATION(ipi, u64 rax = OP_SEND_IPI; asm volatile("vmcall" : "+a" (rax) : "b" (1ul), "c" (0ul), "d" (0ul), "S" (VECTOR) : "memory"),
	  OP_SEND_IPI, 1, (e->a[3] = VECTOR, 0), 0)

static void cpuid_traps(u64 n)
{
	u32 a, b, c, d;

	for (; n; n--)
		cpuid(0, 0, &a, &b, &c, &d);
}

static void cpuid_fill(struct droste_multicall_entry *e, u64 n)
{
	for (; n; n--, e++) {
		e->op = DROSTE_OP_CPUID;
		e->a[0] = 0;
		e->a[1] = 0;
	}
}

static const struct {
	void (*traps)(u64 n);
	void (*fill)(struct droste_multicall_entry *e, u64 n);
} operations[] = {
	{ wrmsr_traps, wrmsr_fill }, { out_traps, out_fill }, { cpuid_traps, cpuid_fill }, { ipi_traps, ipi_fill },
};

#define OPERATIONS_L2	2	/* those that need not exit to L1 */

static void list_of(u32 operation, struct droste_multicall *list, u64 n)
{
	list->n = n;
	list->done = 0;
	operations[operation].fill(list->e, n);
	G_EQ(multicall(list), 0, "the list");
}

static void window(u32 operation, u64 kind, struct droste_multicall *list, u64 n)
{
	u64 i;

	marker(TAG | operation << 16 | kind | n);
	for (i = 0; i < TIMES; i++)
		if (kind & TAG_LIST)
			list_of(operation, list, n);
		else
			operations[operation].traps(n);
	marker(~0ul);
}

static void windows(u32 nr_operations, u64 level, struct droste_multicall *list)
{
	u32 operation, w;
	u64 n;

	misc_enable = rdmsr(MSR_MISC_ENABLE);
	for (operation = 0; operation < nr_operations; operation++)
		for (n = 1; n <= DROSTE_MULTICALL_MAX; n *= 2)
			for (w = 0; w < 2 * WINDOWS; w++)
				window(operation, level | (w < WINDOWS ? 0 : TAG_LIST), list, n);
}

static struct droste_multicall *the_list;

static void l2_windows(void)
{
	windows(OPERATIONS_L2, TAG_L2, the_list);
	asm volatile("vmcall" : : "a" (0));
}

static void on_ipi(struct trap_regs *r)
{
	apic_eoi();
}

static void guest_l1(void)
{
	void *bitmap;
	u64 vmcs;

	the_list = g_page();
	apic_enable();
	windows(ARRAY_SIZE(operations), 0, the_list);
	/* L1 would get the IPIs to itself while L2 runs. */
	g_trap_fn[VECTOR] = on_ipi;
	sti_nop_cli();
	vmx_on();
	bitmap = g_page();
	vmcs = vmcs_usual(l2_windows, bitmap, ept_new());
	wrmsr(DROSTE_MSR_DELEGATE, vmcs | DROSTE_DELEGATE_ENABLE);
	vmx_expect(R_VMCALL, "L2 is done");
	G_EQ(l2.rax, 0, "its last VMCALL");
}

int main(void)
{
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_l1);
	multicall_offer(vcpu, OFFER_BEHIND_KVM);	/* KVM's hypercall is an operation, too */
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
	return 0;
}
