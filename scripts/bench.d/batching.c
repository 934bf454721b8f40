// SPDX-License-Identifier: GPL-2.0
/*
 * Carries out the same operations one trap at a time, and as lists of 1, 2, 4 ... 64 by Droste's hypercall. The guest fills
 * each list anew. Markers, by which the lab counts, are around TIMES lists.
 */
#define _GNU_SOURCE
#include "multicall.h"
#include "vm.h"
#include "vmx.h"

#define TIMES		8
#define WINDOWS		6	/* some of them meet an interrupt of the host */
#define VECTOR		0x61
#define TAG		0xba000000u

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

static void list_of(u32 operation, struct droste_multicall *list, u64 n)
{
	list->n = n;
	list->done = 0;
	operations[operation].fill(list->e, n);
	G_EQ(multicall(list), 0, "the list");
}

static void window(u32 operation, bool batched, struct droste_multicall *list, u64 n)
{
	u64 i;

	marker(TAG | operation << 16 | batched << 8 | n);
	for (i = 0; i < TIMES; i++)
		if (batched)
			list_of(operation, list, n);
		else
			operations[operation].traps(n);
	marker(~0ul);
}

static void guest_l1(void)
{
	struct droste_multicall *list = g_page();
	u32 operation, batched, w;
	u64 n;

	apic_enable();
	misc_enable = rdmsr(MSR_MISC_ENABLE);
	for (operation = 0; operation < ARRAY_SIZE(operations); operation++)
		for (batched = 0; batched < 2; batched++)
			for (n = 1; n <= DROSTE_MULTICALL_MAX; n *= 2)
				for (w = 0; w < WINDOWS; w++)
					window(operation, batched, list, n);
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
