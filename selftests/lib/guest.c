// SPDX-License-Identifier: GPL-2.0
/* Code that runs in guests, L1 or L2: reports, exceptions, memory, CPL 3, the local APIC. */
#include "guest.h"

volatile trap_fn g_trap_fn[256];
static u64 heap_next = HEAP;
u64 guest_arg;

extern const struct { u64 at, to; } __start_extable[], __stop_extable[];
u64 enter_user(void *fn, u64 arg, u64 stack, u64 cs);

u64 g_arg(void)
{
	return guest_arg;
}

void g_call(enum gcall_kind kind, const char *file, int line, const char *text, u64 a, u64 b, u64 c, u64 d)
{
	volatile struct gcall call = {
		.kind = kind, .text = text, .file = file, .line = line,
		.args = { a, b, c, d },
	};

	/* The host only reads memory; the guest's registers do not change. */
	outl(GCALL_PORT, (u32)(uintptr_t)&call);
}

void g_sync(u64 stage)
{
	g_call(GCALL_SYNC, NULL, 0, NULL, stage, 0, 0, 0);
}

void g_sync2(u64 stage, u64 val)
{
	g_call(GCALL_SYNC, NULL, 0, NULL, stage, val, 0, 0);
}

void g_diag(const char *text, u64 a, u64 b)
{
	g_call(GCALL_DIAG, NULL, 0, text, a, b, 0, 0);
}

void g_done(void)
{
	for (;;)
		g_call(GCALL_DONE, NULL, 0, NULL, 0, 0, 0, 0);
}

void g_skip(const char *why)
{
	for (;;)
		g_call(GCALL_SKIP, NULL, 0, why, 0, 0, 0, 0);
}

/* Called by the stubs of entry.S for every exception and interrupt. */
void guest_trap(struct trap_regs *r)
{
	typeof(&__start_extable[0]) e;
	trap_fn fn = g_trap_fn[r->vector];

	if (fn) {
		fn(r);
		return;
	}
	for (e = __start_extable; e < __stop_extable; e++) {
		if (e->at && e->at == r->rip) {
			r->rip = e->to;
			r->r11 = FAULT(r->vector, r->error);
			return;
		}
	}
	for (;;)
		g_call(GCALL_TRAP, NULL, 0, NULL, r->vector, r->error, r->rip, read_cr2());
}

void *g_pages(int n)
{
	u64 p = __atomic_fetch_add(&heap_next, n * 4096ul, __ATOMIC_RELAXED);

	G_MUST(p + n * 4096ul <= HEAP_END, "guest heap is exhausted");
	return (void *)p;
}

void *g_page(void)
{
	return g_pages(1);
}

void *g_stack(void)
{
	return (char *)g_pages(4) + 4 * 4096 - 8;
}

void g_fill(void *p, u8 v, u64 n)
{
	asm volatile("rep stosb" : "+D" (p), "+c" (n) : "a" (v) : "memory");
}

void g_copy(void *to, const void *from, u64 n)
{
	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (n) : : "memory");
}

int g_diff(const void *a, const void *b, u64 n)
{
	const u8 *x = a, *y = b;
	u64 i;

	for (i = 0; i < n; i++)
		if (x[i] != y[i])
			return i;
	return -1;
}

u64 *g_pte(u64 va)
{
	u64 *pd = (u64 *)(PAGE_TABLES + 0x2000 + (va >> 30 & 3) * 0x1000);
	u64 *pde = &pd[va >> 21 & 511], *pt;
	int i;

	if (*pde & BIT(7)) {
		u64 flags = *pde & 0xfff & ~BIT(7), base = *pde & 0x000fffffffe00000ul;

		pt = g_page();
		for (i = 0; i < 512; i++)
			pt[i] = (base + i * 4096ul) | flags;
		*pde = (u64)pt | 7;
		write_cr3(read_cr3());
	}
	pt = (u64 *)(*pde & 0x000ffffffffff000ul);
	return &pt[va >> 12 & 511];
}

u64 g_user_cs(void *fn, u64 arg, u16 cs)
{
	return enter_user(fn, arg, STACKS + STACK_SIZE - 32, cs);
}

u64 g_user(u64 (*fn)(u64 arg), u64 arg)
{
	return g_user_cs(fn, arg, SEL_UCS64);
}

/* --- local APIC --- */

bool apic_is_x2(void)
{
	return rdmsr(MSR_APIC_BASE) & BIT(10);
}

u32 apic_read(u32 reg)
{
	if (apic_is_x2())
		return rdmsr(MSR_X2APIC(reg));
	return *(volatile u32 *)(APIC_BASE + reg);
}

void apic_write(u32 reg, u32 val)
{
	if (apic_is_x2())
		wrmsr(MSR_X2APIC(reg), val);
	else
		*(volatile u32 *)(APIC_BASE + reg) = val;
}

void apic_icr(u32 dest, u32 low)
{
	if (apic_is_x2()) {
		wrmsr(MSR_X2APIC(APIC_ICR), low | (u64)dest << 32);
		return;
	}
	apic_write(APIC_ICR2, dest << 24);
	apic_write(APIC_ICR, low);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_enable(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BIT(11));
	apic_write(APIC_SVR, 0x1ff);
}

void apic_x2_enable(void)
{
	if (!(CPUID_REG(1, 0, c) & BIT(21)))
		g_skip("no x2APIC");
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BIT(11));
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BIT(10));
	apic_write(APIC_SVR, 0x1ff);
}

u32 apic_id(void)
{
	u32 id = apic_read(APIC_ID);

	return apic_is_x2() ? id : id >> 24;
}
