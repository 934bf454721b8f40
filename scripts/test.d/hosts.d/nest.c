// SPDX-License-Identifier: GPL-2.0
/*
 * A small L1 for QEMU, booted by multiboot, that is migrated while it and its L2 write to memory. It counts on the serial
 * port.
 *
 * For each number an L2 that runs for as long as L1 writes generation after generation to its pages and hashes them; L1
 * hashes them too, and computes from the number alone what they must be. Then L1 starts another L2: with EPT, with EPT
 * and its accessed and dirty bits, or without EPT. The second processor writes and checks pages of its own, and
 * interrupts of the I/O APIC and of the local APIC come in between. A wrong value ends it with a line that begins with
 * "BAD".
 */
#include "vmx.h"

#define COM1		0x3f8
#define MARK		0x5ca1ab1e5ca1ab1eul	/* R15 while an L2 runs: this file is compiled with -ffixed-r15 */
#define GPA		0x40000000ul		/* of L2's pages */
#define PAGES		128ul
#define OTHERS_PAGES	16ul
#define GENERATIONS	10ul			/* for each number */
#define STRIDE		7ul			/* words between those that follow each other in a page */
#define INVERSE		439ul			/* STRIDE * INVERSE = 1 (mod 512) */
#define IOAPIC		0xfec00000ul
#define PIT_PIN		2			/* of QEMU's machines */
#define VEC_PIT		0x40
#define VEC_TIMER	0x41
#define VEC_WORK	0x42
#define EPT_CAP_AD	BIT(21)

extern char ap_start[], ap_end[], trap_stubs[];
extern void (*ap_fn)(void);

/* --- what it says --- */

static void put(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		;
	outb(COM1, c);
}

static void say(const char *text)
{
	while (*text)
		put(*text++);
}

static void say_number(u64 n, u64 base)
{
	char digits[20];
	int i = 0;

	do
		digits[i++] = "0123456789abcdef"[n % base];
	while (n /= base);
	while (i)
		put(digits[--i]);
}

/* Replaces that of guest.c, which calls a test program around the guest. */
void g_call(enum gcall_kind kind, const char *file, int line, const char *text, u64 a, u64 b, u64 c, u64 d)
{
	u64 words[] = { kind, line, a, b, c, d };

	say("BAD: ");
	say(text ? text : "unexpected exception or end");
	for (u64 i = 0; i < ARRAY_SIZE(words); i++) {
		say(" 0x");
		say_number(words[i], 16);
	}
	say("\n");
	for (;;)
		asm volatile("cli; hlt");
}

void *memset(void *to, int c, size_t n)
{
	g_fill(to, c, n);
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	g_copy(to, from, n);
	return to;
}

/* Replaces that of guest.c, so that an L2 that is started for each number does not use up the heap. */
static void *next_stack;

void *g_stack(void)
{
	return next_stack;
}

/* --- pages whose words tell when they were written --- */

struct pages {
	volatile u64 *first;
	s64 step;	/* from one to the next, in words: L1 has L2's pages in reverse order */
	u64 n;
};

static u64 mix(u64 generation, u64 page)
{
	return (generation * 0x9e3779b97f4a7c15ul) ^ (page << 48 | generation);
}

/* Each generation writes one word of each page. */
static void write_pages(const struct pages *p, u64 generation)
{
	for (u64 i = 0; i < p->n; i++)
		p->first[(s64)i * p->step + (s64)((generation * STRIDE + i) % 512)] = mix(generation, i);
}

static u64 hash_word(u64 hash, u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ul;
	return hash ^ hash >> 29;
}

static u64 hash_pages(const struct pages *p)
{
	u64 hash = 0;

	for (u64 i = 0; i < p->n; i++)
		for (u64 word = 0; word < 512; word++)
			hash = hash_word(hash, p->first[(s64)i * p->step + (s64)word]);
	return hash;
}

/* The hash after a generation: each word is from the last generation that wrote it. */
static u64 hash_expected(u64 n, u64 generation)
{
	u64 hash = 0;

	for (u64 i = 0; i < n; i++)
		for (u64 word = 0; word < 512; word++) {
			u64 back = (generation - (word - i) * INVERSE) % 512;

			hash = hash_word(hash, back < generation ? mix(generation - back, i) : 0);
		}
	return hash;
}

/* --- L2 --- */

static u64 others_generation;

static void report(u64 hash, u64 generation)
{
	asm volatile("vmcall" : : "a" (hash), "b" (generation) : "memory");
}

static void l2_main(void)
{
	const struct pages p = { (u64 *)GPA, 512, PAGES };
	u64 hash = 0, generation = 0;

	for (;;) {
		for (u64 i = 0; i < GENERATIONS; i++) {
			write_pages(&p, ++generation);
			hash = hash_pages(&p);
		}
		report(hash, generation);
	}
}

static struct pages others;

static void l2_other(void)
{
	for (;;) {
		write_pages(&others, others_generation);
		report(hash_pages(&others), others_generation);
	}
}

/* Runs L2 to its report, with the interrupts that come. */
static void run_l2(void)
{
	u64 reason;

	while ((reason = vmx_run()) == R_EXTINT)
		sti_nop_cli();
	if (reason != R_VMCALL)
		g_call(GCALL_ABORT, NULL, __LINE__, "L2's exit", reason, vmread(F_QUAL), vmread(F_RIP), 0);
	vmx_skip();
}

/* EPT tables in which L2's pages are those of L1 from @to on, in reverse order. */
static u64 ept_reversed(const void *to, u64 n)
{
	u64 eptp = ept_new(), i;

	for (i = 0; i < n; i++)
		*ept_entry(eptp, GPA + i * 4096, 1) = ((u64)to + (n - 1 - i) * 4096) | EPT_RWX | EPT_MT_WB;
	return eptp;
}

static struct pages reversed(void *at, u64 n)
{
	return (struct pages) { (u64 *)at + (n - 1) * 512, -512, n };
}

static u64 main_vmcs, other_vmcs;
static struct pages main_pages, other_pages;
static u64 other_ept;
static void *other_stack;

static void prepare(void)
{
	void *at = g_pages(PAGES);

	other_stack = (char *)g_pages(1) + 4096 - 8;
	next_stack = (char *)g_pages(1) + 4096 - 8;
	main_pages = reversed(at, PAGES);
	main_vmcs = vmcs_new(l2_main);
	ept_use(ept_reversed(at, PAGES));
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	at = g_pages(OTHERS_PAGES);
	other_pages = reversed(at, OTHERS_PAGES);
	other_ept = ept_reversed(at, OTHERS_PAGES);
	other_vmcs = vmx_region();
}

static void run_main(u64 number)
{
	static struct l2_regs kept;
	u64 hash;

	vmcs_load(main_vmcs);
	vmx_launched(number > 1);
	kept.r15 = MARK;
	l2 = kept;
	run_l2();
	kept = l2;
	G_EQ(l2.rbx, number * GENERATIONS, "L2's generation");
	hash = hash_pages(&main_pages);
	G_EQ(l2.rax, hash, "L2's hash and L1's");
	G_EQ(hash, hash_expected(PAGES, l2.rbx), "L1's hash and what it must be");
}

/* Starts another L2. */
static void run_other(u64 number)
{
	bool ept = number % 3, ad = number % 3 == 2 && ept_caps() & EPT_CAP_AD;
	u64 hash, i;

	G_EQ(vmclear(other_vmcs), VM_OK, "VMCLEAR");
	vmcs_load(other_vmcs);
	next_stack = other_stack;
	vmcs_fill(l2_other);
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	if (ept)
		ept_use(other_ept | (ad ? BIT(6) : 0));
	others = ept ? (struct pages) { (u64 *)GPA, 512, OTHERS_PAGES } : other_pages;
	others_generation = number;
	for (i = 0; i < OTHERS_PAGES; i++)
		*ept_entry(other_ept, GPA + i * 4096, 1) &= ~(EPT_A | EPT_D);
	G_EQ(invept_all(), VM_OK, "INVEPT");
	l2.r15 = MARK;
	run_l2();
	hash = hash_pages(&other_pages);
	G_EQ(l2.rax, hash, "another L2's hash and L1's");
	G_EQ(hash, hash_expected(OTHERS_PAGES, number), "the hash of another L2's pages");
	for (i = 0; i < OTHERS_PAGES; i++)
		G_EQ(!!(*ept_entry(other_ept, GPA + i * 4096, 1) & EPT_D), ad, "EPT's dirty bit");
}

/* --- the second processor --- */

static volatile u64 ap_wanted = 1, ap_generation;

static void on_work(struct trap_regs *regs)
{
	apic_eoi();
}

/* Sleeps until the first processor wants the next generation. */
static void ap_main(void)
{
	const struct pages p = { g_pages(PAGES), 512, PAGES };
	u64 generation;

	apic_enable();
	for (generation = 1;; generation++) {
		while (ap_wanted < generation)
			sti_hlt_cli();
		write_pages(&p, generation);
		G_EQ(hash_pages(&p), hash_expected(PAGES, generation), "the second processor's pages");
		ap_generation = generation;
	}
}

static void start_ap(void)
{
	g_trap_fn[VEC_WORK] = on_work;
	ap_fn = ap_main;
	g_copy((void *)LOW_CODE, ap_start, ap_end - ap_start);
	apic_icr(1, 0x4500);
	for (int i = 0; i < 1000; i++)
		inb(0x80);
	apic_icr(1, 0x4600 | LOW_CODE >> 12);
	while (!ap_generation)
		relax();
}

/* --- interrupts --- */

static volatile u64 ticks[2];

static void on_pit(struct trap_regs *regs)
{
	ticks[0]++;
	apic_eoi();
}

static void on_timer(struct trap_regs *regs)
{
	ticks[1]++;
	apic_eoi();
}

static void start_interrupts(void)
{
	volatile u32 *select = (u32 *)IOAPIC, *window = (u32 *)(IOAPIC + 0x10);

	g_trap_fn[VEC_PIT] = on_pit;
	g_trap_fn[VEC_TIMER] = on_timer;
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	apic_enable();
	*select = 0x11 + 2 * PIT_PIN;
	*window = 0;
	*select = 0x10 + 2 * PIT_PIN;
	*window = VEC_PIT;
	/* Every 20 ms, so that a machine that emulates a processor does more than this. */
	outb(0x43, 0x34);
	outb(0x40, 23860 & 0xff);
	outb(0x40, 23860 >> 8);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, VEC_TIMER | 0x20000);
	apic_write(APIC_TMICT, 20000000);
}

/* Waits until both have come since it was called before, so that there is mostly nothing to wait for. */
static void await_interrupts(void)
{
	static u64 was[2];

	while (ticks[0] == was[0] || ticks[1] == was[1])
		sti_hlt_cli();
	was[0] = ticks[0];
	was[1] = ticks[1];
}

/* Tables of a processor, as vm.c makes them for the other users of selftests/lib. */
static void cpu_tables(int id)
{
	u64 at = CPU_TABLES + id * CPU_TABLES_SIZE, tss = at + OFF_TSS;
	u64 *gdt = (u64 *)at, *idt = (u64 *)(at + OFF_IDT);

	g_fill((void *)at, 0, CPU_TABLES_SIZE);
	gdt[SEL_CS64 / 8] = 0x00af9b000000ffff;
	gdt[SEL_DS / 8] = 0x00cf93000000ffff;
	gdt[SEL_TSS / 8] = 0x67 | (tss & 0xffffff) << 16 | 0x8bul << 40;
	for (int i = 0; i < 256; i++) {
		u64 stub = (u64)trap_stubs + i * 16;

		idt[i * 2] = (stub & 0xffff) | SEL_CS64 << 16 | 0x8eul << 40 | (stub & 0xffff0000) << 32;
	}
	((u32 *)tss)[25] = 0x68 << 16;
}

void nest(void)
{
	struct dtr gdtr = { 0x5f, CPU_TABLES }, idtr = { 0xfff, CPU_TABLES + OFF_IDT };
	u64 number;

	cpu_tables(0);
	cpu_tables(1);
	asm volatile("lgdt %0; lidt %1" : : "m" (gdtr), "m" (idtr));
	*(u8 *)(CPU_TABLES + SEL_TSS + 5) &= ~2;	/* LTR makes it busy */
	asm volatile("ltr %w0" : : "r" (SEL_TSS));
	say("nest: booted\n");
	vmx_on();
	start_interrupts();
	prepare();
	start_ap();
	for (number = 1;; number++) {
		ap_wanted = number + 1;
		apic_icr(1, VEC_WORK);
		run_main(number);
		run_other(number);
		await_interrupts();
		while (ap_generation <= number)
			relax();
		say("count ");
		say_number(number, 10);
		say(" ");
		say_number(hash_pages(&main_pages), 16);
		say("\n");
	}
}
