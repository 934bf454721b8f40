// SPDX-License-Identifier: GPL-2.0
/* Interrupts over time: level pins, resampling irqfds, and what the state holds of NMIs, timers, INIT and SIPI. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "guest.h"
#include "vm.h"

static volatile u64 count, last_vector, nmis;

extern char ap_start[], ap_end[];
extern void (*ap_fn)(void);
extern u64 guest_arg;

static void on_irq(struct trap_regs *r)
{
	count++;
	last_vector = r->vector;
	apic_eoi();
}

/* --- NMIs --- */

static void on_slow_nmi(struct trap_regs *r)
{
	if (++nmis == 1)
		g_sync(2);
}

/* Saved and restored: an NMI that is handled next, and another one behind it. */
static void guest_two_nmis(void)
{
	g_trap_fn[VEC_NMI] = on_slow_nmi;
	g_sync(1);
	G_EQ(nmis, 2, "two NMIs were pending");
}

static void host_saved_nmis(void)
{
	struct kvm_vcpu_events e, none;
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_two_nmis);
	vcpu_run_to_sync(vcpu, 1);
	DO(vcpu->fd, KVM_NMI, 0);
	DO(vcpu->fd, KVM_NMI, 0);
	DO(vcpu->fd, KVM_NMI, 0);
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	EQ(e.nmi.pending, 2, "NMIs pending");
	EQ(e.nmi.masked, 0, "not blocked");
	none = e;
	none.nmi.pending = 0;
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &none);
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &none);
	EQ(none.nmi.pending, 0, "no NMI pending");
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
	vcpu_run_to_sync(vcpu, 2);
	DO(vcpu->fd, KVM_NMI, 0);
	DO(vcpu->fd, KVM_NMI, 0);
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	EQ(e.nmi.masked, 1, "blocked in the handler");
	EQ(e.nmi.pending, 1, "one NMI waits behind the handler");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void on_halting_nmi(struct trap_regs *r)
{
	nmis++;
	asm volatile("hlt" : : : "memory");
	g_sync(3);
}

static void guest_halting_nmi(void)
{
	g_trap_fn[VEC_NMI] = on_halting_nmi;
	g_sync(1);
}

/* HLT in the NMI handler: another NMI is blocked, and does not end it. */
static void host_halting_nmi(void)
{
	struct kvm_vcpu_events e;
	struct vcpu *vcpu;
	struct vm vm;
	u64 args[4];
	int i;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_halting_nmi);
	vcpu_run_to_sync(vcpu, 1);
	for (i = 0; i < 2; i++) {
		DO(vcpu->fd, KVM_NMI, 0);
		MUST(vcpu_run_to_mp_state(vcpu, KVM_MP_STATE_HALTED, args) == GCALL_NONE, "halted, NMI %d", i);
		EQ(GUEST(&vm, nmis), 1, "NMIs");
	}
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	EQ(e.nmi.pending, 1, "an NMI waits");
	/* Unblocked, it does. */
	e.nmi.masked = 0;
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
	MUST(vcpu_run_to_mp_state(vcpu, KVM_MP_STATE_HALTED, args) == GCALL_NONE, "halted in the second handler");
	EQ(GUEST(&vm, nmis), 2, "NMIs");
	vm_destroy(&vm);
}

/* --- levels --- */

#define IOAPIC 0xfec00000ul

static void ioapic_write(u32 reg, u32 val)
{
	*(volatile u32 *)IOAPIC = reg;
	*(volatile u32 *)(IOAPIC + 0x10) = val;
}

static void ioapic_pin(int pin, u32 low)
{
	ioapic_write(0x11 + pin * 2, 0);
	ioapic_write(0x10 + pin * 2, low);
}

static void mask_pics(void)
{
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

/* The handler masks the pin, as a driver with a threaded handler does. */
static void on_masked_level(struct trap_regs *r)
{
	count++;
	ioapic_pin(10, 0x71 | 1 << 15 | 1 << 16);
	apic_eoi();
}

static void guest_resample(void)
{
	apic_enable();
	mask_pics();
	g_trap_fn[0x71] = on_masked_level;
	ioapic_pin(10, 0x71 | 1 << 15);
	g_sync(1);		/* the host signals the irqfd */
	sti_hlt_cli();
	G_EQ(count, 1, "the interrupt");
	g_sync(2);		/* again, while the pin is masked; then the guest serves the device */
	ioapic_pin(10, 0x71 | 1 << 15);
	sti_nop_cli();
	sti_nop_cli();
	G_EQ(count, 1, "no interrupt of a device that has lowered its line");
	g_sync(3);		/* again */
	sti_hlt_cli();
	G_EQ(count, 2, "the next interrupt");
}

static u64 drain(int fd)
{
	u64 n = 0;

	return read(fd, &n, 8) == 8 ? n : 0;
}

/* Signals an irqfd of pin 10, and waits until the I/O APIC has the line. */
static void signal_line(struct vm *vm, int fd)
{
	struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_IOAPIC };
	u64 one = 1;

	EQ(write(fd, &one, 8), 8, "eventfd");
	do {
		DO(vm->fd, KVM_GET_IRQCHIP, &c);
	} while (!(c.chip.ioapic.irr & BIT(10)));
}

static void host_resample(void)
{
	struct kvm_irqfd irqfd = { .gsi = 10, .flags = KVM_IRQFD_FLAG_RESAMPLE };
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_resample);
	irqfd.fd = eventfd(0, 0);
	irqfd.resamplefd = eventfd(0, EFD_NONBLOCK);
	DO(vm.fd, KVM_IRQFD, &irqfd);
	vcpu_run_to_sync(vcpu, 1);
	signal_line(&vm, irqfd.fd);
	vcpu_run_to_sync(vcpu, 2);
	EQ(drain(irqfd.resamplefd), 1, "the EOI samples the line");
	signal_line(&vm, irqfd.fd);
	vcpu_run_to_sync(vcpu, 3);
	EQ(drain(irqfd.resamplefd), 1, "unmasking samples the line");
	signal_line(&vm, irqfd.fd);
	vcpu_run_to_end(vcpu);
	EQ(drain(irqfd.resamplefd), 1, "the EOI samples the line");
	vm_destroy(&vm);
}

/* The handler does not quiet the device. */
static void on_storm(struct trap_regs *r)
{
	if (++count == 25000)
		ioapic_pin(11, 0x72 | 1 << 15 | 1 << 16);
	apic_eoi();
}

static void guest_level_storm(void)
{
	apic_x2_enable();
	mask_pics();
	g_trap_fn[0x72] = on_storm;
	ioapic_pin(11, 0x72 | 1 << 15);
	g_sync(1);		/* the host raises line 11 */
	sti_nop_cli();
	G_OK(count < 25000, "code outside the handler gets time");
}

static void host_level_storm(void)
{
	struct kvm_irq_level up = { .irq = 11, .level = 1 };
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_level_storm);
	vcpu_run_to_sync(vcpu, 1);
	DO(vm.fd, KVM_IRQ_LINE, &up);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- the state of the timer, and of start-up messages --- */

static void guest_one_shot(void)
{
	apic_enable();
	g_trap_fn[0x41] = on_irq;
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, 0x41 | g_arg() << 17);
	apic_write(APIC_TMICT, 1000000);
	g_sync(1);		/* the host waits until the timer has expired */
	sti_hlt_cli();
	G_EQ(last_vector, 0x41, "the timer's interrupt");
	if (g_arg())
		return;
	/* It comes once. */
	g_sync(2);
	sti_nop_cli();
	G_EQ(count, 1, "no other interrupt");
}

static void reload_lapic(struct vcpu *vcpu, struct kvm_lapic_state *l)
{
	DO(vcpu->fd, KVM_GET_LAPIC, l);
	DO(vcpu->fd, KVM_SET_LAPIC, l);
}

static void host_expired(u64 periodic)
{
	struct kvm_lapic_state l;
	struct vcpu *vcpu;
	struct vm vm;

	guest_arg = periodic;
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_one_shot);
	vcpu_run_to_sync(vcpu, 1);
	if (periodic) {
		usleep(5000);
	} else {
		do {
			DO(vcpu->fd, KVM_GET_LAPIC, &l);
		} while (*(u32 *)&l.regs[APIC_TMCCT]);
	}
	reload_lapic(vcpu, &l);
	EQ(*(u32 *)&l.regs[APIC_IRR + 0x20] >> 1 & 1, 1, "the state has the interrupt");
	if (periodic) {
		vcpu_run_to_end(vcpu);
	} else {
		vcpu_run_to_sync(vcpu, 2);
		reload_lapic(vcpu, &l);
		vcpu_run_to_end(vcpu);
	}
	vm_destroy(&vm);
}

static void host_expired_once(void)
{
	host_expired(0);
}

static void host_expired_periodic(void)
{
	host_expired(1);
}

static void guest_sends_init_sipi(void)
{
	apic_enable();
	g_copy((void *)LOW_CODE, ap_start, ap_end - ap_start);
	apic_icr(1, 0x4600 | 0x77);		/* before the INIT: lost */
	apic_icr(1, 0x4500);
	apic_icr(1, 0x4600 | (LOW_CODE >> 12));
	apic_icr(1, 0x4600 | (LOW_CODE >> 12));
	g_sync(1);
}

static void ap_syncs(void)
{
	g_sync(7);
}

/* KVM_GET_MP_STATE acts on INIT and SIPI, since no other ioctl returns them. */
static void host_saved_sipi(void)
{
	struct kvm_mp_state mp;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vcpu *ap;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	ap = vcpu_create(&vm, 1, NULL);
	vcpu_run_to_sync(vcpu_create(&vm, 0, guest_sends_init_sipi), 1);
	GUEST(&vm, ap_fn) = ap_syncs;
	DO(ap->fd, KVM_GET_MP_STATE, &mp);
	EQ(mp.mp_state, KVM_MP_STATE_RUNNABLE, "MP state");
	vcpu_sregs(ap, &sregs);
	vcpu_regs(ap, &regs);
	EQ(sregs.cs.base, LOW_CODE, "CS base");
	EQ(regs.rip, 0, "RIP");
	vm_replace(&vm);
	ap = vcpu_create(&vm, 1, NULL);
	vcpu_set_sregs(ap, &sregs);
	vcpu_set_regs(ap, &regs);
	DO(ap->fd, KVM_SET_MP_STATE, &mp);
	vcpu_run_to_sync(ap, 7);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "a blocked NMI does not end HLT", .host = host_halting_nmi },
	{ "state of NMIs", .host = host_saved_nmis },
	{ "a level pin is sampled when it is unmasked", .host = host_resample },
	{ "a level that stays up", .host = host_level_storm },
	{ "state of a one-shot timer that has expired", .host = host_expired_once },
	{ "state of a periodic timer that has expired", .host = host_expired_periodic },
	{ "state of INIT and SIPI", .host = host_saved_sipi },
};
KSFT_MAIN(tests)
