// SPDX-License-Identifier: GPL-2.0
/*
 * A guest of its own for QEMU, booted by multiboot: looks at what of the PC is spread between QEMU and Droste
 * (interrupt controllers, timers, further processors) and says on the serial port what it found. Its last word is
 * the value that it writes to isa-debug-exit, of which QEMU makes its exit status. With "count" on its command line
 * it counts on after that and looks whether the machine around it is still the same: it may be saved and restored.
 */
#include <stdint.h>
#include <stddef.h>

#define COM1		0x3f8
#define DEBUG_EXIT	0xf4
#define ALL_WELL	0x2a	/* QEMU's status is 2 * value + 1: 85 */
#define FAILED		0x10	/* 33 */
#define AP_START	0x8000
#define LAPIC		0xfee00000u
#define IOAPIC		0xfec00000u
#define SPINS		20000000	/* turns of a loop after which what does not come is missing */

/* LAPIC registers */
#define ID	0x20
#define EOI	0xb0
#define SVR	0xf0
#define ICR	0x300
#define ICR2	0x310
#define LVTT	0x320
#define LVT0	0x350
#define TMICT	0x380
#define TDCR	0x3e0
#define MASKED	0x10000

extern uint8_t ap_code[], ap_code_end[];
volatile uint32_t aps_running, aps_count, ap_turns;

static inline void outb(uint16_t port, uint8_t val) { asm volatile("outb %0, %1" : : "a"(val), "Nd"(port)); }
static inline void outl(uint16_t port, uint32_t val) { asm volatile("outl %0, %1" : : "a"(val), "Nd"(port)); }
static inline uint8_t inb(uint16_t port)
{
	uint8_t val;

	asm volatile("inb %1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t val;

	asm volatile("inl %1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

static volatile uint32_t *reg(uint32_t base, uint32_t offset)
{
	return (volatile uint32_t *)(uintptr_t)(base + offset);
}

/* --- what it says --- */

static void put(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		;
	outb(COM1, c);
}

__attribute__((noinline)) static void say(const char *text)
{
	while (*text)
		put(*text++);
}

static void say_number(uint32_t n)
{
	char digits[10];
	int i = 0;

	do
		digits[i++] = '0' + n % 10;
	while (n /= 10);
	while (i)
		put(digits[--i]);
}

static void leave(uint8_t value)
{
	/* The last byte must have gone before the machine does. */
	while (!(inb(COM1 + 5) & 0x40))
		;
	outb(DEBUG_EXIT, value);
	for (;;)
		asm volatile("cli; hlt");
}

static void check(int good, const char *what)
{
	say(good ? "pc: good: " : "pc: BAD: ");
	say(what);
	say("\n");
	if (!good)
		leave(FAILED);
}

/* --- ACPI's tables: where things are on this machine --- */

struct table {
	char sign[4];
	uint32_t length;
	uint8_t rest[28];
} __attribute__((packed));

static int same(const char *a, const char *b, int n)
{
	while (n--)
		if (*a++ != *b++)
			return 0;
	return 1;
}

static const uint8_t *find_table(const char *sign)
{
	const uint8_t *p;
	const struct table *rsdt;
	uint32_t i;

	for (p = (void *)0xe0000; p < (uint8_t *)0x100000; p += 16)
		if (same((const char *)p, "RSD PTR ", 8))
			break;
	if (p == (uint8_t *)0x100000)
		return NULL;
	rsdt = (const void *)*(const uintptr_t *)(p + 16);
	for (i = 36; i + 4 <= rsdt->length; i += 4) {
		const uint8_t *t = (const void *)*(const uintptr_t *)((const uint8_t *)rsdt + i);

		if (same((const char *)t, sign, 4))
			return t;
	}
	return NULL;
}

/* Processors that can be used, and the I/O APIC's pin of ISA interrupt 0. */
static void read_madt(uint32_t *cpus, uint32_t *pit_pin)
{
	const uint8_t *madt = find_table("APIC"), *p, *end;

	*cpus = *pit_pin = 0;
	if (!madt)
		return;
	end = madt + ((const struct table *)madt)->length;
	for (p = madt + 44; p < end && p[1]; p += p[1]) {
		if (p[0] == 0 && (p[4] & 1))
			++*cpus;
		if (p[0] == 2 && p[3] == 0)
			*pit_pin = *(const uint32_t *)(p + 4);
	}
}

/* --- timers that QEMU emulates --- */

static void check_pm_timer(void)
{
	const uint8_t *fadt = find_table("FACP");
	uint32_t port, first, i;

	check(fadt != NULL, "ACPI's tables are there");
	port = *(const uint32_t *)(fadt + 76);
	first = inl(port);
	for (i = 0; i < SPINS && inl(port) == first; i++)
		;
	check(i < SPINS, "the PM timer runs");
}

static void check_hpet(void)
{
	const uint8_t *table = find_table("HPET");
	uint32_t base, first, i;

	if (!table) {
		say("pc: no HPET\n");
		return;
	}
	base = *(const uint32_t *)(table + 44);
	*reg(base, 0x10) |= 1;
	first = *reg(base, 0xf0);
	for (i = 0; i < SPINS && *reg(base, 0xf0) == first; i++)
		;
	check(i < SPINS, "the HPET runs");
	*reg(base, 0x10) &= ~1;
}

/* --- interrupts --- */

enum { VEC_PIC = 0x20, VEC_PIC2 = 0x28, VEC_EDGE = 0x40, VEC_LEVEL, VEC_MSI, VEC_TIMER, VEC_SPURIOUS = 0xff };

struct frame;
struct { uint16_t low, cs, type, high; } __attribute__((packed)) idt[256];
volatile uint32_t seen[256];
static uint32_t edu;		/* base of QEMU's "edu" device */
static uint32_t level_ends;	/* how many level-triggered interrupts leave the line up */

static void lapic_eoi(void)
{
	*reg(LAPIC, EOI) = 0;
}

__attribute__((interrupt)) static void on_pic(struct frame *f)
{
	seen[VEC_PIC]++;
	outb(0x20, 0x20);
}

__attribute__((interrupt)) static void on_edge(struct frame *f)
{
	seen[VEC_EDGE]++;
	lapic_eoi();
}

/* The line stays up for some interrupts: the I/O APIC has to send another one at each EOI. */
__attribute__((interrupt)) static void on_level(struct frame *f)
{
	if (++seen[VEC_LEVEL] > level_ends)
		*reg(edu, 0x64) = 1;
	lapic_eoi();
}

__attribute__((interrupt)) static void on_msi(struct frame *f)
{
	seen[VEC_MSI]++;
	*reg(edu, 0x64) = 1;
	lapic_eoi();
}

__attribute__((interrupt)) static void on_timer(struct frame *f)
{
	seen[VEC_TIMER]++;
	lapic_eoi();
}

__attribute__((interrupt)) static void on_spurious(struct frame *f)
{
	seen[VEC_SPURIOUS]++;
}

__attribute__((interrupt)) static void on_fault(struct frame *f)
{
	check(0, "no exception and no stray interrupt");
}

static void gate(int vector, void (*handler)(struct frame *))
{
	uintptr_t p = (uintptr_t)handler;

	idt[vector].low = p;
	idt[vector].cs = 8;
	idt[vector].type = 0x8e00;
	idt[vector].high = p >> 16;
}

static void load_idt(void)
{
	struct { uint16_t limit; uint32_t base; } __attribute__((packed)) p = { sizeof(idt) - 1, (uintptr_t)idt };
	int i;

	for (i = 0; i < 256; i++)
		gate(i, on_fault);
	gate(VEC_PIC, on_pic);
	gate(VEC_EDGE, on_edge);
	gate(VEC_LEVEL, on_level);
	gate(VEC_MSI, on_msi);
	gate(VEC_TIMER, on_timer);
	gate(VEC_SPURIOUS, on_spurious);
	asm volatile("lidt %0" : : "m"(p));
}

/* Sleep until a handler has seen so many. What never comes leaves the processor asleep: QEMU's caller has a limit. */
static void await(int vector, uint32_t n)
{
	asm volatile("cli");
	while (seen[vector] < n)
		asm volatile("sti; hlt; cli");
}

/* Gives an event that must not happen the time to happen. */
static void settle(void)
{
	uint32_t i;

	asm volatile("sti");
	for (i = 0; i < 200; i++)
		inb(0x80);
	asm volatile("cli");
}

static void pit_every_ms(uint32_t ms)
{
	outb(0x43, 0x34);
	outb(0x40, 1193 * ms & 0xff);
	outb(0x40, 1193 * ms >> 8);
}

static void pit_stop(void)
{
	outb(0x43, 0x30);
}

static void check_pic(void)
{
	static const uint8_t icw[] = { 0x11, VEC_PIC, 4, 1 }, icw_slave[] = { 0x11, VEC_PIC2, 2, 1 };
	int i;

	for (i = 0; i < 4; i++) {
		outb(i ? 0x21 : 0x20, icw[i]);
		outb(i ? 0xa1 : 0xa0, icw_slave[i]);
	}
	outb(0xa1, 0xff);
	*reg(LAPIC, SVR) = 0x100 | VEC_SPURIOUS;
	*reg(LAPIC, LVT0) = 0x700;
	pit_every_ms(1);
	outb(0x21, 0xfe);
	await(VEC_PIC, 5);
	outb(0x21, 0xff);
	pit_stop();
	*reg(LAPIC, LVT0) = MASKED;
	check(1, "the PIC delivers the PIT's interrupts");
}

static void ioapic_pin(uint32_t pin, uint32_t low)
{
	*reg(IOAPIC, 0) = 0x11 + 2 * pin;
	*reg(IOAPIC, 0x10) = *reg(LAPIC, ID);
	*reg(IOAPIC, 0) = 0x10 + 2 * pin;
	*reg(IOAPIC, 0x10) = low;
}

static void check_ioapic_edge(uint32_t pin)
{
	ioapic_pin(pin, VEC_EDGE);
	pit_every_ms(1);
	await(VEC_EDGE, 5);
	pit_stop();
	ioapic_pin(pin, MASKED);
	check(1, "the I/O APIC delivers the PIT's interrupts");
}

static void check_lapic_timer(void)
{
	*reg(LAPIC, TDCR) = 0xb;
	*reg(LAPIC, LVTT) = VEC_TIMER;
	*reg(LAPIC, TMICT) = 1000;
	await(VEC_TIMER, 1);
	*reg(LAPIC, LVTT) = MASKED;
	check(1, "the local APIC's timer fires");
}

/* --- PCI: the edu device, whose interrupt a guest raises itself --- */

static uint32_t pci(uint32_t slot, uint32_t function, uint32_t offset)
{
	outl(0xcf8, 0x80000000 | slot << 11 | function << 8 | offset);
	return inl(0xcfc);
}

static void pci_write(uint32_t slot, uint32_t offset, uint32_t val)
{
	outl(0xcf8, 0x80000000 | slot << 11 | offset);
	outl(0xcfc, val);
}

static uint32_t find_edu(void)
{
	uint32_t slot;

	for (slot = 0; slot < 32; slot++)
		if (pci(slot, 0, 0) == 0x11e81234)
			return slot;
	return 0;
}

/* INTA's pin: an ICH9 takes it to pins 20 to 23 by slot, a PIIX3 to where the firmware said. */
static uint32_t edu_pin(uint32_t slot)
{
	if (pci(31, 0, 0) == 0x29188086)
		return 20 + slot % 4;
	return pci(slot, 0, 0x3c) & 0xff;
}

static void check_ioapic_level(uint32_t slot)
{
	uint32_t pin = edu_pin(slot);

	level_ends = 3;
	ioapic_pin(pin, VEC_LEVEL | 0x8000);
	*reg(edu, 0x60) = 1;
	await(VEC_LEVEL, 4);
	settle();
	check(seen[VEC_LEVEL] == 4, "a level-triggered line that stays up interrupts again after each EOI");
	level_ends = 0;
	*reg(edu, 0x60) = 1;
	await(VEC_LEVEL, 5);
	settle();
	check(seen[VEC_LEVEL] == 5, "and one that went down does not");
	ioapic_pin(pin, MASKED);
}

static void check_msi(uint32_t slot)
{
	uint32_t cap = pci(slot, 0, 0x34) & 0xfc, head = 0;

	for (; cap; cap = (head >> 8) & 0xfc) {
		head = pci(slot, 0, cap);
		if ((head & 0xff) == 5)
			break;
	}
	check(cap != 0, "the device has MSI");
	pci_write(slot, cap + 4, LAPIC | *reg(LAPIC, ID) >> 24 << 12);
	pci_write(slot, cap + 8, 0);
	pci_write(slot, cap + (head & 0x800000 ? 12 : 8), VEC_MSI);
	pci_write(slot, cap, head | 0x10000);
	*reg(edu, 0x60) = 1;
	await(VEC_MSI, 1);
	check(1, "an MSI arrives");
}

static void check_edu(void)
{
	uint32_t slot = find_edu();

	check(slot != 0, "the test device is there");
	pci_write(slot, 4, pci(slot, 0, 4) | 6);
	edu = pci(slot, 0, 0x10) & ~0xfu;
	check_ioapic_level(slot);
	check_msi(slot);
}

/* --- further processors --- */

static void check_aps(uint32_t cpus)
{
	uint8_t *to = (void *)AP_START;
	uint32_t i;

	asm volatile("" : "+r"(to));
	for (i = 0; i < (uint32_t)(ap_code_end - ap_code); i++)
		to[i] = ap_code[i];
	*reg(LAPIC, ICR2) = 0;
	*reg(LAPIC, ICR) = 0xc4500;	/* INIT to all others */
	for (i = 0; i < 1000; i++)
		inb(0x80);
	*reg(LAPIC, ICR) = 0xc4600 | AP_START >> 12;
	for (i = 0; i < SPINS && aps_running < cpus - 1; i++)
		asm volatile("pause");
	say("pc: processors ");
	say_number(aps_running + 1);
	say("\n");
	check(aps_running == cpus - 1, "all processors start");
}

static void say_cpu(void)
{
	uint32_t name[13] = {}, leaf, *r = name;

	for (leaf = 0x80000002; leaf <= 0x80000004; leaf++, r += 4)
		asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
	say("pc: processor ");
	say((char *)name);
	asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(1), "c"(0));
	say(r[2] & 1 << 5 ? "\npc: VMX\n" : "\npc: no VMX\n");
}

/* --- counting, while somebody saves and restores the machine --- */

#define MSR_SYSENTER_ESP	0x175
#define PATTERN			0x5ca1ab1e

static uint64_t rdtsc(void)
{
	uint64_t t;

	asm volatile("rdtsc" : "=A"(t));
	return t;
}

/* State that only the processor has: an MSR, DR0, a vector register. */
static void set_pattern(uint32_t val)
{
	uint32_t cr4;

	asm volatile("wrmsr" : : "c"(MSR_SYSENTER_ESP), "a"(val), "d"(0));
	asm volatile("mov %0, %%dr0" : : "r"(val));
	asm volatile("mov %%cr4, %0; or $0x200, %0; mov %0, %%cr4" : "=r"(cr4));
	asm volatile("movd %0, %%xmm5" : : "r"(val));
}

static int has_pattern(uint32_t val)
{
	uint32_t msr, high, dr, xmm;

	asm volatile("rdmsr" : "=a"(msr), "=d"(high) : "c"(MSR_SYSENTER_ESP));
	asm volatile("mov %%dr0, %0" : "=r"(dr));
	asm volatile("movd %%xmm5, %0" : "=r"(xmm));
	return msr == val && dr == val && xmm == val;
}

/*
 * Each number stands for interrupts of the PIT through the I/O APIC, of the local timer, and work of the others. Neither
 * timer comes so often that an L2 on an emulated machine would do nothing else.
 */
static void count_on(uint32_t cpus, uint32_t pit_pin)
{
	uint64_t tsc = rdtsc(), now;
	uint32_t n = 0, timer, turns;

	set_pattern(PATTERN);
	aps_count = 1;
	ioapic_pin(pit_pin, VEC_EDGE);
	pit_every_ms(10);
	*reg(LAPIC, LVTT) = VEC_TIMER | 0x20000;
	*reg(LAPIC, TMICT) = 10000000;
	for (;;) {
		timer = seen[VEC_TIMER];
		turns = ap_turns;
		await(VEC_EDGE, seen[VEC_EDGE] + 2);
		await(VEC_TIMER, timer + 1);
		while (cpus > 1 && ap_turns == turns)
			asm volatile("pause");
		now = rdtsc();
		if (now < tsc) {
			say("pc: the TSC went back by ");
			say_number((tsc - now) >> 10);
			say(" units of 1,024\n");
			check(0, "the TSC never goes back");
		}
		if (!has_pattern(PATTERN))
			check(0, "registers are as they were");
		tsc = now;
		say("count ");
		say_number(++n);
		say("\n");
	}
}

/* Is "count" the last word of the command line that the loader passed (multiboot 0.6.96, 3.3)? */
static int told_to_count(const uint32_t *info)
{
	const char *line = info[0] & 4 ? (const char *)(uintptr_t)info[4] : "", *end = line;

	while (*end)
		end++;
	return end - line >= 5 && same(end - 5, "count", 5);
}

void main(const uint32_t *info)
{
	uint32_t cpus, pit_pin;

	say("\npc: booted\n");
	say_cpu();
	load_idt();
	check_pm_timer();
	check_hpet();
	read_madt(&cpus, &pit_pin);
	check_pic();
	check_ioapic_edge(pit_pin);
	check_lapic_timer();
	check_edu();
	check_aps(cpus);
	say("pc: all well\n");
	if (told_to_count(info))
		count_on(cpus, pit_pin);
	leave(ALL_WELL);
}
