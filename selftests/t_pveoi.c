// SPDX-License-Identifier: GPL-2.0
/* Paravirtual EOI: when the guest is offered it, what it does, and what user space sees of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "guest.h"
#include "vm.h"

#define MSR_PV_EOI	0x4b564d04
#define LOW		0x41
#define HIGH		0x61
#define PIN		0x51	/* a vector that the I/O APIC has, too */
#define IOAPIC		0xfec00000ul

/* The byte that L0 sets, and that the guest clears instead of an access to its APIC. */
static volatile u8 offer __attribute__((aligned(4)));

static volatile u64 runs, offered, stores;	/* of the handlers below */

static u32 in_service(u64 vec)
{
	u32 word = apic_read(APIC_ISR + vec / 32 * 16);

	return word >> (vec % 32) & 1u;
}

static void self(u64 vec)
{
	apic_icr(0, 1 << 18 | vec);
}

static void end(void)
{
	if (offer) {
		offer = 0;
		stores++;
	} else {
		apic_eoi();
	}
}

static void on_plain(struct trap_regs *r)
{
	runs++;
	offered += offer;
	end();
}

/* A guest that does not know of the offer. */
static void on_ignore(struct trap_regs *r)
{
	runs++;
	offered += offer;
	apic_eoi();
}

/* Sends an interrupt of lower priority: the end of this one must be seen by the APIC. */
static void on_high_sends_low(struct trap_regs *r)
{
	runs++;
	offered += offer;
	self(LOW);
	G_EQ(offer, 0, "no offer while another interrupt waits");
	end();
}

/* Is interrupted by one of higher priority. */
static void on_low_interrupted(struct trap_regs *r)
{
	runs++;
	offered += offer;
	self(HIGH);
	sti_nop_cli();
	G_EQ(runs, 2, "the interrupt of higher priority");
	G_EQ(in_service(HIGH), 0, "it has ended");
	G_EQ(in_service(LOW), 1, "and this one has not");
	end();
}

/*
 * Take the interrupts that wait: @r of them, of which at most @o are offered. Any
 * exit withdraws an offer, and a host may cause some. Returns whether all @o were offered.
 */
static bool expect(u64 r, u64 o, const char *what)
{
	bool all;

	sti_nop_cli();
	G_EQ(runs, r, what);
	G_OK(offered <= o && stores <= offered, what);
	G_EQ(offer, 0, what);
	G_EQ(in_service(LOW) | in_service(HIGH) | in_service(PIN), 0, what);
	all = offered == o;
	runs = offered = stores = 0;
	g_trap_fn[LOW] = g_trap_fn[HIGH] = g_trap_fn[PIN] = on_plain;
	return all;
}

static void setup(void)
{
	if (g_arg())
		apic_x2_enable();
	else
		apic_enable();
	cli();
	g_trap_fn[LOW] = g_trap_fn[HIGH] = g_trap_fn[PIN] = on_plain;
	/* L0 may make no offer while the page is not in memory. */
	offer = 0;
	wrmsr(MSR_PV_EOI, (u64)&offer | 1);
}

static void one(void)
{
	self(LOW);
}

static void two(void)
{
	self(LOW);
	self(HIGH);
}

static void ignored(void)
{
	g_trap_fn[HIGH] = on_ignore;
	self(HIGH);
}

static void lower(void)
{
	g_trap_fn[HIGH] = on_high_sends_low;
	self(HIGH);
}

static void nested(void)
{
	g_trap_fn[LOW] = on_low_interrupted;
	self(LOW);
}

static const struct {
	void (*send)(void);
	u64 runs, offers;
	const char *what;
} cases[] = {
	{ one, 1, 1, "an interrupt" },
	{ two, 2, 1, "the last of two" },
	{ ignored, 1, 1, "an EOI by the APIC in spite of the offer" },
	{ lower, 2, 2, "a new interrupt of lower priority" },
	{ nested, 2, 2, "an interrupt in an interrupt" },
};

static void guest_offers(void)
{
	u64 i, tries;

	setup();
	G_EQ(rdmsr(MSR_PV_EOI), (u64)&offer | 1, "reads back");
	G_EQ(try_wrmsr(MSR_PV_EOI, (u64)&offer | 3), GP0, "a reserved bit");
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		bool all = false;

		for (tries = 0; tries < 20 && !all; tries++) {
			cases[i].send();
			all = expect(cases[i].runs, cases[i].offers, cases[i].what);
		}
		G_OK(all, cases[i].what);
	}
	*(volatile u32 *)IOAPIC = 0x10;
	*(volatile u32 *)(IOAPIC + 0x10) = 0x18000 | PIN;	/* masked, level-triggered */
	self(PIN);
	expect(1, 0, "an interrupt whose EOI concerns the I/O APIC");
	/* The interrupt is in service when it is switched off, and on again. */
	wrmsr(MSR_PV_EOI, 0);
	self(LOW);
	expect(1, 0, "switched off");
	wrmsr(MSR_PV_EOI, (u64)&offer | 1);
	self(LOW);
	expect(1, 1, "switched on again");
}

/* The timer needs no exit by which L0 could look at the interrupt that waits. */
static void guest_timer(void)
{
	u64 i, from;

	if (!(CPUID_REG(1, 0, c) & BIT(24)))
		g_skip("no TSC deadline");
	setup();
	apic_write(APIC_LVTT, 2 << 17 | LOW);
	for (i = 1; i <= 20; i++) {
		from = rdtsc();
		wrmsr(MSR_TSC_DEADLINE, from + 100000);
		sti();
		while (runs < i && rdtsc() < from + 40000000)
			;
		cli();
		G_EQN(runs, i, "the timer", i);
	}
	G_OK(offered >= 10, "most timers are offered");
	expect(20, 20, "timers");
}

/* --- user space looks on --- */

static void on_sync(struct trap_regs *r)
{
	end();
	g_sync(1);
	self(LOW);
	/* Nothing is in service, so the interrupt waits for IF alone. */
}

static void on_sync_before(struct trap_regs *r)
{
	g_sync(2);
	end();
}

static void guest_shown(void)
{
	u64 n;

	setup();
	g_trap_fn[HIGH] = on_sync;
	self(HIGH);
	sti_nop_cli();
	g_trap_fn[HIGH] = on_sync_before;
	self(HIGH);
	sti_nop_cli();
	n = stores;
	g_sync(3);
	g_trap_fn[HIGH] = on_plain;
	self(HIGH);
	sti_nop_cli();
	G_EQ(stores, n, "no offer while it is switched off");
}

static u32 isr_word(struct vcpu *vcpu, u64 vec)
{
	struct kvm_lapic_state l;
	u32 word;

	DO(vcpu->fd, KVM_GET_LAPIC, &l);
	memcpy(&word, l.regs + APIC_ISR + vec / 32 * 16, 4);
	return word >> (vec % 32) & 1u;
}

static void host_looks(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	u64 val;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_shown);
	vcpu_run_to_sync(vcpu, 1);
	EQ(isr_word(vcpu, HIGH), 0, "user space sees that the interrupt has ended");
	vcpu_run_to_sync(vcpu, 2);
	EQ(isr_word(vcpu, HIGH), 1, "user space sees that it has not");
	EQ(GUEST(&vm, offer), 0, "the offer is withdrawn");
	vcpu_run_to_sync(vcpu, 3);
	EQ(vcpu_get_msr(vcpu, MSR_PV_EOI, &val), 0, "the MSR");
	OK(val & 1, "enabled");
	EQ(vcpu_set_msr(vcpu, MSR_PV_EOI, 0), 0, "user space switches it off");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- the byte's memory moves --- */

#define MOVED		((volatile u8 *)MMIO_HOLE)

static volatile u64 has_memory;		/* otherwise reading the byte is an exit */
static volatile u64 ends_by_apic;	/* the guest leaves the byte as it is */

static void on_moved(struct trap_regs *r)
{
	bool now = has_memory && *MOVED;

	offered += now;
	if (now && !ends_by_apic)
		*MOVED = 0;
	else
		apic_eoi();
}

/* At each stage, takes interrupts until one is offered, but not for ever. */
static void guest_moves(void)
{
	u64 i, tries;

	setup();
	g_trap_fn[LOW] = on_moved;
	wrmsr(MSR_PV_EOI, MMIO_HOLE | 1);
	for (i = 1;; i++) {
		g_sync(i);
		offered = 0;
		for (tries = 0; tries < 20 && !offered; tries++) {
			if (has_memory)
				(void)*MOVED;
			self(LOW);
			sti_nop_cli();
			G_EQN(in_service(LOW), 0, "the interrupt ends", i);
		}
	}
}

static void host_moves(void)
{
	static u8 page[2][4096] __attribute__((aligned(4096))), other[4096] __attribute__((aligned(4096)));
	u64 log = 0, stage = 1;
	struct kvm_dirty_log get = { .slot = 1, .dirty_bitmap = &log };
	static const struct {
		const char *what;
		int page;	/* -1: none */
		u32 flags;
		bool offers;
	} steps[] = {
		{ "memory", 0, 0, true },
		{ "other memory at the same address", 1, 0, true },
		{ "read-only memory", 1, KVM_MEM_READONLY, false },
		{ "no memory", -1, 0, false },
		{ "memory that is logged", 0, KVM_MEM_LOG_DIRTY_PAGES, true },
	};
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_moves);
	vcpu_run_to_sync(vcpu, stage++);
	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++) {
		memset(page, 0, sizeof(page));
		/* The slot's place among the others changes, too. */
		if (i == 1)
			vm_slot(&vm, 2, 0, MMIO_HOLE - 0x10000, 4096, other);
		if (steps[i].page >= 0)
			vm_slot(&vm, 1, steps[i].flags, MMIO_HOLE, 4096, page[steps[i].page]);
		GUEST(&vm, has_memory) = steps[i].page >= 0;
		GUEST(&vm, ends_by_apic) = !!steps[i].flags;
		vcpu_run_to_sync(vcpu, stage++);
		EQ(GUEST(&vm, offered), steps[i].offers, "%s", steps[i].what);
		EQ(page[0][0] | page[1][0], 0, "the offer is withdrawn");
		if (steps[i].flags & KVM_MEM_LOG_DIRTY_PAGES) {
			DO(vm.fd, KVM_GET_DIRTY_LOG, &get);
			EQ(log, 1, "the log has what L0 wrote");
		}
		if (steps[i].page >= 0)
			vm_slot(&vm, 1, 0, MMIO_HOLE, 0, NULL);
	}
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "what is offered, xAPIC", .guest = guest_offers, .flags = KSFT_IRQCHIP, .arg = 0 },
	{ "what is offered, x2APIC", .guest = guest_offers, .flags = KSFT_IRQCHIP, .arg = 1 },
	{ "timers, xAPIC", .guest = guest_timer, .flags = KSFT_IRQCHIP, .arg = 0 },
	{ "timers, x2APIC", .guest = guest_timer, .flags = KSFT_IRQCHIP, .arg = 1 },
	{ "user space looks", .host = host_looks },
	{ "the byte's memory moves", .host = host_moves },
};
KSFT_MAIN(tests)
