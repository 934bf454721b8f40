// SPDX-License-Identifier: GPL-2.0
/* Interrupts: local APIC and its timer, IPIs, INIT and SIPI, NMIs, PIC, PIT, I/O APIC, MSIs, irqfd, ioeventfd. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "guest.h"
#include "vm.h"

static volatile u64 count, last_vector, order[16];

static void on_irq(struct trap_regs *r)
{
	if (count < 16)
		order[count] = r->vector;
	count++;
	last_vector = r->vector;
	apic_eoi();
}

static void listen_all(void)
{
	int i;

	for (i = 32; i < 255; i++)
		if (i != 0x80)
			g_trap_fn[i] = on_irq;
}

static void xapic_or_x2(void)
{
	if (g_arg())
		apic_x2_enable();
	else
		apic_enable();
	listen_all();
}

static void guest_registers(void)
{
	u64 v;

	xapic_or_x2();
	G_EQ(apic_id(), 0, "APIC ID");
	G_EQ(apic_read(APIC_LVR) & 0xf0, 0x10, "version");
	G_EQ(apic_read(APIC_SVR), 0x1ff, "SVR");
	apic_write(APIC_TPR, 0x35);
	G_EQ(apic_read(APIC_TPR), 0x35, "TPR");
	G_EQ(read_cr8(), 3, "CR8 is TPR's upper half");
	write_cr8(5);
	G_EQ(apic_read(APIC_TPR), 0x50, "TPR follows CR8");
	G_EQ(apic_read(APIC_PPR), 0x50, "PPR");
	write_cr8(0);
	apic_write(APIC_LVTT, 0x10000 | 0x44);
	G_EQ(apic_read(APIC_LVTT), 0x10044, "LVT timer");
	cli();
	if (!g_arg()) {
		/* Of ICR, only the delivery status is read-only. The interrupt's destination does not exist. */
		apic_write(APIC_ICR2, 0x55667788);
		apic_write(APIC_ICR, 0xfff3f8ff & ~(u32)0x800);
		G_EQ(apic_read(APIC_ICR2), 0x55000000, "ICR, upper half");
		G_EQ(apic_read(APIC_ICR), 0xfff3e0ff, "ICR, lower half");
		return;
	}
	/* x2APIC: SDM 3A 11.12. */
	G_EQ(try_wrmsr(MSR_X2APIC(APIC_ICR), 0x5500000020ffull), GP0, "reserved bit of ICR");
	G_EQ(try_wrmsr(MSR_X2APIC(APIC_ICR), 0x55667788000040ffull), 0, "ICR");
	G_EQ(rdmsr(MSR_X2APIC(APIC_ICR)), 0x55667788000040ffull, "ICR");
	G_EQ(try_rdmsr(MSR_X2APIC(APIC_DFR), &v), GP0, "no DFR in x2APIC mode");
	G_EQ(try_wrmsr(MSR_X2APIC(APIC_LVR), 0), GP0, "the version is read-only");
	G_EQ(try_wrmsr(MSR_X2APIC(APIC_TPR), 0x100), GP0, "reserved bits of TPR");
	G_EQ(try_wrmsr(MSR_X2APIC(APIC_EOI), 1), GP0, "EOI with a value other than 0");
	G_EQ(try_rdmsr(MSR_X2APIC(APIC_EOI), &v), GP0, "EOI is write-only");
	G_EQ(try_wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~BIT(10)), GP0, "x2APIC mode back to xAPIC");
	G_EQ(apic_read(APIC_LDR), 1, "logical ID");
}

static void guest_self(void)
{
	u64 i;

	xapic_or_x2();
	cli();
	apic_icr(0, 0x41 | 1 << 18);
	G_EQ(count, 0, "IF clear");
	G_EQ(apic_read(APIC_IRR + 0x20) >> 1 & 1, 1, "IRR");
	sti_nop_cli();
	G_EQ(count, 1, "delivered");
	G_EQ(last_vector, 0x41, "vector");
	G_EQ(apic_read(APIC_IRR + 0x20) >> 1 & 1, 0, "IRR");
	/* Interrupts are delivered by priority, highest first. */
	count = 0;
	apic_icr(0, 0x51 | 1 << 18);
	apic_icr(0, 0x91 | 1 << 18);
	apic_icr(0, 0x71 | 1 << 18);
	sti();
	for (i = 0; i < 10; i++)
		relax();
	cli();
	G_EQ(count, 3, "three");
	G_EQ(order[0], 0x91, "the highest first");
	G_EQ(order[1], 0x71, "then");
	G_EQ(order[2], 0x51, "the lowest last");
	/* TPR holds back interrupts of lower priority. */
	count = 0;
	write_cr8(7);
	apic_icr(0, 0x71 | 1 << 18);
	sti_nop_cli();
	G_EQ(count, 0, "held back by TPR");
	apic_icr(0, 0x81 | 1 << 18);
	sti_nop_cli();
	G_EQ(last_vector, 0x81, "a higher one is delivered");
	write_cr8(0);
	sti_nop_cli();
	G_EQ(count, 2, "delivered when TPR falls");
	/* Destinations: physical ID, logical ID, shorthands. */
	count = 0;
	apic_icr(0, 0x42);
	sti_nop_cli();
	G_EQ(count, 1, "to ID 0");
	apic_icr(0, 0x42 | 2 << 18);
	sti_nop_cli();
	G_EQ(count, 2, "to all including self");
	apic_icr(0, 0x42 | 3 << 18);
	sti_nop_cli();
	G_EQ(count, 2, "to all excluding self");
	if (g_arg()) {
		apic_write(APIC_SELF_IPI, 0x43);
		sti_nop_cli();
		G_EQ(last_vector, 0x43, "self IPI");
	}
	/* An interrupt wakes HLT. */
	count = 0;
	apic_icr(0, 0x44 | 1 << 18);
	sti_hlt_cli();
	G_EQ(count, 1, "HLT with an interrupt pending");
}

static void guest_timer(void)
{
	u64 deadline, i;

	xapic_or_x2();
	apic_write(APIC_TDCR, 0xb);
	G_EQ(apic_read(APIC_TDCR), 0xb, "divide configuration");
	apic_write(APIC_LVTT, 0x60);
	apic_write(APIC_TMICT, 100000);
	G_OK(apic_read(APIC_TMCCT) <= 100000, "current count");
	sti_hlt_cli();
	G_EQ(count, 1, "one-shot");
	G_EQ(last_vector, 0x60, "vector");
	G_EQ(apic_read(APIC_TMCCT), 0, "current count afterwards");
	apic_write(APIC_LVTT, 0x61 | 1 << 17);
	/* A period long enough for the slowest host to handle one interrupt before the next. */
	apic_write(APIC_TMICT, 5000000);
	for (i = 0; i < 5; i++)
		sti_hlt_cli();
	G_OK(count >= 6, "periodic");
	G_EQ(last_vector, 0x61, "vector");
	apic_write(APIC_TMICT, 0);
	sti_nop_cli();
	count = 0;
	apic_write(APIC_LVTT, 0x62 | 1 << 16);
	apic_write(APIC_TMICT, 1000);
	while (apic_read(APIC_TMCCT))
		relax();
	sti_nop_cli();
	G_EQ(count, 0, "masked");
	if (!(CPUID_REG(1, 0, c) & BIT(24)))
		return;
	apic_write(APIC_LVTT, 0x63 | 2 << 17);
	/* A deadline that is far away reads back; the MSR is 0 as soon as the timer has fired (SDM 3A 11.5.4.1). */
	deadline = rdtsc() + (1ul << 40);
	wrmsr(MSR_TSC_DEADLINE, deadline);
	G_EQ(rdmsr(MSR_TSC_DEADLINE), deadline, "deadline reads back");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 100000);
	sti_hlt_cli();
	G_EQ(count, 1, "TSC deadline");
	G_EQ(last_vector, 0x63, "vector");
	G_EQ(rdmsr(MSR_TSC_DEADLINE), 0, "disarmed");
	wrmsr(MSR_TSC_DEADLINE, 1);
	sti_hlt_cli();
	G_EQ(count, 2, "a deadline in the past");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + (1ul << 40));
	wrmsr(MSR_TSC_DEADLINE, 0);
	sti_nop_cli();
	G_EQ(count, 2, "disarmed");
}

/* --- a second vCPU --- */

extern char ap_start[], ap_end[];
extern void (*ap_fn)(void);
static volatile u64 ap_up, ap_seen, ap_nmis;

static void on_ap_irq(struct trap_regs *r)
{
	ap_seen = r->vector;
	apic_eoi();
}

static void on_nmi(struct trap_regs *r)
{
	ap_nmis++;
}

static void ap_main(void)
{
	apic_enable();
	ap_up = 1 + apic_id();
	for (;;)
		asm volatile("sti; hlt" : : : "memory");
}

static void start_ap(void)
{
	g_copy((void *)LOW_CODE, ap_start, ap_end - ap_start);
	ap_fn = ap_main;
	apic_icr(1, 0x4500);
	apic_icr(1, 0x4600 | (LOW_CODE >> 12));
	apic_icr(1, 0x4600 | (LOW_CODE >> 12));
	while (!ap_up)
		relax();
}

static void guest_sipi(void)
{
	u64 i;

	apic_enable();
	start_ap();
	G_EQ(ap_up, 2, "APIC ID of the second vCPU");
	for (i = 0x40; i < 0x60; i++) {
		g_trap_fn[i] = on_ap_irq;
		apic_icr(1, i);
		while (ap_seen != i)
			relax();
	}
	g_trap_fn[VEC_NMI] = on_nmi;
	for (i = 1; i < 10; i++) {
		apic_icr(1, 0x400);
		while (ap_nmis != i)
			relax();
	}
	/* Logical destination, and all excluding self. */
	ap_seen = 0;
	apic_icr(0, 0x50 | 3 << 18);
	while (ap_seen != 0x50)
		relax();
	/* INIT stops the vCPU, SIPI starts it again. */
	ap_up = 0;
	start_ap();
	G_EQ(ap_up, 2, "started again");
}

/* --- chips --- */

#define IOAPIC 0xfec00000ul

static void ioapic_write(u32 reg, u32 val)
{
	*(volatile u32 *)IOAPIC = reg;
	*(volatile u32 *)(IOAPIC + 0x10) = val;
}

static u32 ioapic_read(u32 reg)
{
	*(volatile u32 *)IOAPIC = reg;
	return *(volatile u32 *)(IOAPIC + 0x10);
}

static void ioapic_pin(int pin, u32 low)
{
	ioapic_write(0x11 + pin * 2, 0);
	ioapic_write(0x10 + pin * 2, low);
}

static void on_level(struct trap_regs *r)
{
	count++;
	last_vector = r->vector;
	/* The host may lower the line. */
	g_sync(100 + count);
	apic_eoi();
}

static void mask_pics(void)
{
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

static void guest_ioapic(void)
{
	apic_enable();
	listen_all();
	mask_pics();
	G_EQ((ioapic_read(1) >> 16 & 0xff) + 1, 24, "pins");
	ioapic_pin(10, 0x71);
	g_sync(1);		/* the host raises and lowers line 10 */
	sti_nop_cli();
	G_EQ(count, 1, "edge");
	G_EQ(last_vector, 0x71, "vector");
	ioapic_pin(10, 0x71 | 1 << 16);
	g_sync(2);		/* again, masked */
	sti_nop_cli();
	G_EQ(count, 1, "masked");
	ioapic_pin(10, 0x71);
	sti_nop_cli();
	count = 0;
	g_trap_fn[0x72] = on_level;
	ioapic_pin(11, 0x72 | 1 << 15);
	g_sync(3);		/* raises line 11 and keeps it high until the second interrupt */
	sti();
	while (count < 2)
		relax();
	cli();
	G_EQ(count, 2, "a level stays until it is lowered");
	G_EQ(ioapic_read(0x10 + 22) >> 14 & 1, 0, "remote IRR");
	g_sync(4);		/* sends an MSI with vector 0x73 */
	sti_nop_cli();
	G_EQ(last_vector, 0x73, "MSI");
	g_sync(5);		/* signals the irqfd of line 10, possibly from a kernel worker */
	sti_hlt_cli();
	G_EQ(last_vector, 0x71, "irqfd");
}

/*
 * The entry of a level-triggered pin is written while its interrupt is in service. An EOI ends what has the entry's
 * vector, whatever its destination is now; for another vector it is lost, until the entry was edge-triggered for a moment.
 */
#define LEVEL_PIN	11

static volatile u32 rewrite_low, rewrite_high;

static void on_rewritten(struct trap_regs *r)
{
	count++;
	last_vector = r->vector;
	if (count == 1) {
		ioapic_write(0x11 + LEVEL_PIN * 2, rewrite_high);
		ioapic_write(0x10 + LEVEL_PIN * 2, rewrite_low);
	} else {
		g_sync(200);	/* the host lowers the line */
	}
	apic_eoi();
}

/* Lets interrupts in for a while, at most until there are @n. */
static void until(u64 n)
{
	u64 i;

	sti();
	for (i = 0; i < 100000 && count < n; i++)
		relax();
	cli();
}

static void guest_ioapic_rewritten(void)
{
	apic_enable();
	mask_pics();
	g_trap_fn[0x72] = on_rewritten;
	g_trap_fn[0x73] = on_rewritten;
	apic_write(APIC_DFR, ~0u);
	apic_write(APIC_LDR, 4u << 24);
	/* Physical destination 0 becomes logical destination 4, which is the same processor. */
	ioapic_pin(LEVEL_PIN, 0x72 | 1 << 15);
	rewrite_high = 4u << 24;
	rewrite_low = 0x72 | 1 << 15 | 1 << 11;
	count = 0;
	g_sync(100);		/* the host raises the line */
	until(2);
	G_EQ(count, 2, "the EOI counts, and the line is still high");
	G_EQ(last_vector, 0x72, "vector");
	G_EQ(ioapic_read(0x10 + LEVEL_PIN * 2) >> 14 & 1, 0, "remote IRR");
	/* Another vector. */
	ioapic_pin(LEVEL_PIN, 0x72 | 1 << 15);
	rewrite_high = 0;
	rewrite_low = 0x73 | 1 << 15;
	count = 0;
	g_sync(100);
	until(2);
	G_EQ(count, 1, "the EOI was for another vector");
	G_EQ(ioapic_read(0x10 + LEVEL_PIN * 2) >> 14 & 1, 1, "remote IRR");
	ioapic_pin(LEVEL_PIN, 0x73 | 1 << 16);
	G_EQ(ioapic_read(0x10 + LEVEL_PIN * 2) >> 14 & 1, 0, "remote IRR of an edge-triggered pin");
	ioapic_pin(LEVEL_PIN, 0x73 | 1 << 15);
	until(2);
	G_EQ(count, 2, "the line is still high");
	G_EQ(last_vector, 0x73, "vector");
	G_EQ(ioapic_read(0x10 + LEVEL_PIN * 2) >> 14 & 1, 0, "remote IRR");
}

static void line(struct vm *vm, u32 n, u32 level)
{
	struct kvm_irq_level l = { .irq = n, .level = level };

	DO(vm->fd, KVM_IRQ_LINE, &l);
}

static void host_ioapic_rewritten(void)
{
	struct vcpu *vcpu;
	u64 args[4];
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_ioapic_rewritten);
	while (vcpu_run_to_call(vcpu, args) == GCALL_SYNC)
		line(&vm, LEVEL_PIN, args[0] == 100);
	OK(vcpu->done, "the guest ends");
	vm_destroy(&vm);
}

static void host_ioapic(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_msi msi = { .address_lo = APIC_BASE, .data = 0x73 };
	struct kvm_irqfd irqfd = { .gsi = 10 };
	u64 one = 1, args[4];

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_ioapic);
	vcpu_run_to_sync(vcpu, 1);
	line(&vm, 10, 1);
	line(&vm, 10, 0);
	vcpu_run_to_sync(vcpu, 2);
	line(&vm, 10, 1);
	line(&vm, 10, 0);
	vcpu_run_to_sync(vcpu, 3);
	line(&vm, 11, 1);
	vcpu_run_to_sync(vcpu, 101);
	vcpu_run_to_sync(vcpu, 102);
	line(&vm, 11, 0);
	vcpu_run_to_call(vcpu, args);
	EQ(args[0], 4, "stage");
	DO(vm.fd, KVM_SIGNAL_MSI, &msi);
	vcpu_run_to_sync(vcpu, 5);
	irqfd.fd = eventfd(0, 0);
	DO(vm.fd, KVM_IRQFD, &irqfd);
	EQ(write(irqfd.fd, &one, 8), 8, "eventfd");
	vcpu_run_to_end(vcpu);
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	DO(vm.fd, KVM_IRQFD, &irqfd);
	vm_destroy(&vm);
}

static void pics_begin(void)
{
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0xa0, 0x11);
	outb(0xa1, 0x28);
	outb(0xa1, 2);
	outb(0xa1, 1);
	outb(0x21, 0xfe);
	outb(0xa1, 0xff);
}

static void guest_pic(void)
{
	u64 i;

	apic_enable();
	apic_write(APIC_LVTLINT0, 0x700);	/* ExtINT */
	listen_all();
	pics_begin();
	G_EQ(inb(0x21), 0xfe, "PIC mask reads back");
	/* PIT, channel 0, mode 2, 1 ms. */
	outb(0x43, 0x34);
	outb(0x40, 0xa9);
	outb(0x40, 4);
	for (i = 0; i < 5; i++) {
		sti_hlt_cli();
		G_EQ(last_vector, 0x20, "IRQ 0 through the PIC");
		outb(0x20, 0x20);
	}
	G_EQ(count, 5, "ticks");
	outb(0x21, 0xff);
	/* Channel 2, polled through port 0x61. */
	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb0);
	outb(0x42, 0xff);
	outb(0x42, 0);
	while (!(inb(0x61) & 0x20))
		relax();
}

/* A tick goes to the PIC, whose vector no processor takes. The I/O APIC, which the guest then uses, gets the next. */
static void guest_pit_moves(void)
{
	u64 from = rdtsc();

	apic_enable();
	apic_write(APIC_LVTLINT0, 0x10700);
	listen_all();
	pics_begin();
	/* 10 ms: below, the loop goes on between two ticks only if one is done before the next, also on the debug kernel. */
	outb(0x43, 0x34);
	outb(0x40, 0x9c);
	outb(0x40, 0x2e);
	outb(0x20, 0x0a);
	while (!(inb(0x20) & 1))
		relax();
	outb(0x21, 0xff);
	ioapic_pin(0, 0x30);
	sti();
	while (count < 5 && rdtsc() - from < 100000000)
		relax();
	cli();
	G_OK(count >= 5, "ticks through the I/O APIC");
	G_EQ(last_vector, 0x30, "their vector");
}

/* Interrupts without in-kernel interrupt controllers: KVM_INTERRUPT and the interrupt window. */
static volatile u64 user_irqs;

static void on_user_irq(struct trap_regs *r)
{
	user_irqs++;
}

static void guest_user_irq_loop(void)
{
	g_trap_fn[0x55] = on_user_irq;
	g_sync(1);
	sti();
	while (user_irqs < 5)
		relax();
	cli();
}

static void host_user_irq(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_interrupt irq = { .irq = 0x55 };
	int sent = 0;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_user_irq_loop);
	vcpu_run_to_sync(vcpu, 1);
	EQ(vcpu->run->if_flag, 0, "IF");
	vcpu->run->request_interrupt_window = 1;
	while (sent < 5) {
		if (vcpu->run->ready_for_interrupt_injection) {
			DO(vcpu->fd, KVM_INTERRUPT, &irq);
			sent++;
			if (sent == 5)
				vcpu->run->request_interrupt_window = 0;
		}
		if (vcpu_run_to_call(vcpu, NULL) == GCALL_DONE)
			break;
		EQ(vcpu->run->exit_reason, KVM_EXIT_IRQ_WINDOW_OPEN, "exit reason");
		OK(vcpu->run->ready_for_interrupt_injection, "ready");
	}
	EQ(sent, 5, "interrupts");
	if (!vcpu->done)
		vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void guest_ioeventfd(void)
{
	outb(0xd0, 7);
	outb(0xd0, 7);
	outb(0xd0, 8);
	outb(0xd0, 7);
}

static void host_ioeventfd(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_ioeventfd io = { .addr = 0xd0, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH, .datamatch = 7 };
	u64 n = 0;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_ioeventfd);
	io.fd = eventfd(0, EFD_NONBLOCK);
	DO(vm.fd, KVM_IOEVENTFD, &io);
	FAILS(vm.fd, KVM_IOEVENTFD, &io, EEXIST);
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "the other value exits to user space");
	EQ(vcpu->run->io.port, 0xd0, "port");
	EQ(*((u8 *)vcpu->run + vcpu->run->io.data_offset), 8, "value");
	vcpu_run_to_end(vcpu);
	EQ(read(io.fd, &n, 8), 8, "eventfd");
	EQ(n, 3, "signals");
	io.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	DO(vm.fd, KVM_IOEVENTFD, &io);
	FAILS(vm.fd, KVM_IOEVENTFD, &io, ENOENT);
	vm_destroy(&vm);
}

/* NMIs from user space: one is handled while another one is pending. */
static void on_slow_nmi(struct trap_regs *r)
{
	ap_nmis++;
	if (ap_nmis == 1)
		g_sync(2);
}

static void guest_nmis(void)
{
	g_trap_fn[VEC_NMI] = on_slow_nmi;
	g_sync(1);
	while (ap_nmis < 2)
		relax();
	CPUID_REG(0, 0, a);
	G_EQ(ap_nmis, 2, "two NMIs, however many were sent meanwhile");
}

static void host_nmis(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_nmis);
	vcpu_run_to_sync(vcpu, 1);
	DO(vcpu->fd, KVM_NMI, 0);
	vcpu_run_to_sync(vcpu, 2);
	DO(vcpu->fd, KVM_NMI, 0);
	DO(vcpu->fd, KVM_NMI, 0);
	DO(vcpu->fd, KVM_NMI, 0);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_chip_state(void)
{
	struct vm vm;
	struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_lapic_state l;
	struct kvm_pit_state2 pit;
	struct kvm_mp_state mp;
	struct vcpu *vcpu;

	vm_create(&vm, KSFT_PIT);
	vcpu = vcpu_create(&vm, 0, guest_pic);
	DO(vm.fd, KVM_GET_IRQCHIP, &c);
	EQ(c.chip.ioapic.base_address, IOAPIC, "I/O APIC's address");
	EQ(c.chip.ioapic.redirtbl[3].fields.mask, 1, "pins are masked after reset");
	DO(vm.fd, KVM_SET_IRQCHIP, &c);
	c.chip_id = 9;
	FAILS(vm.fd, KVM_GET_IRQCHIP, &c, EINVAL);
	DO(vcpu->fd, KVM_GET_LAPIC, &l);
	EQ(*(u32 *)&l.regs[APIC_SVR], 0xff, "SVR after reset");
	*(u32 *)&l.regs[APIC_TPR] = 0x20;
	DO(vcpu->fd, KVM_SET_LAPIC, &l);
	DO(vcpu->fd, KVM_GET_LAPIC, &l);
	EQ(*(u32 *)&l.regs[APIC_TPR], 0x20, "TPR set");
	DO(vm.fd, KVM_GET_PIT2, &pit);
	DO(vm.fd, KVM_SET_PIT2, &pit);
	DO(vcpu->fd, KVM_GET_MP_STATE, &mp);
	EQ(mp.mp_state, KVM_MP_STATE_RUNNABLE, "MP state");
	vm_destroy(&vm);
}

static int enable_cap(struct vm *vm, u32 which, u64 arg)
{
	struct kvm_enable_cap cap = { .cap = which, .args = { arg } };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &cap) ? -errno : 0;
}

#define FAR	300	/* an APIC ID of more than 8 bits */

static void host_wide_ids(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000 | (FAR & 0xff) << 12, .address_hi = FAR & ~0xff, .data = 0x51 };
	struct kvm_msi all = { .address_lo = 0xfee00000 | 0xff << 12, .data = 0x52 };
	struct kvm_lapic_state l;
	struct vcpu far = { 0 };
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_X2APIC_API), 3, "capability");
	EQ(enable_cap(&vm, KVM_CAP_X2APIC_API, 4), -EINVAL, "an unknown flag");
	far.fd = DO(vm.fd, KVM_CREATE_VCPU, FAR);
	DO(far.fd, KVM_SET_CPUID2, supported_cpuid(vm.dev));
	EQ(vcpu_set_msr(&far, MSR_APIC_BASE, 0xfee00000 | BIT(11) | BIT(10)), 0, "x2APIC mode");
	DO(far.fd, KVM_GET_LAPIC, &l);
	EQ(*(u32 *)&l.regs[APIC_ID], (u32)FAR << 24, "ID in 8 bits");
	*(u32 *)&l.regs[APIC_SVR] = 0x1ff;
	DO(far.fd, KVM_SET_LAPIC, &l);
	EQ(DO(vm.fd, KVM_SIGNAL_MSI, &all), 1, "0xff is broadcast");
	EQ(enable_cap(&vm, KVM_CAP_X2APIC_API, 3), 0, "wide IDs");
	OK(ioctl(vm.fd, KVM_SIGNAL_MSI, &all) <= 0, "0xff is an ordinary ID");
	DO(far.fd, KVM_GET_LAPIC, &l);
	EQ(*(u32 *)&l.regs[APIC_ID], FAR, "ID");
	DO(far.fd, KVM_SET_LAPIC, &l);
	*(u32 *)&l.regs[APIC_ID] = FAR + 1;
	FAILS(far.fd, KVM_SET_LAPIC, &l, EINVAL);
	EQ(DO(vm.fd, KVM_SIGNAL_MSI, &msi), 1, "MSI to a wide ID");
	DO(far.fd, KVM_GET_LAPIC, &l);
	EQ(*(u32 *)&l.regs[APIC_IRR + 0x20], BIT(0x11) | BIT(0x12), "IRR");
	msi.address_hi |= 1;
	FAILS(vm.fd, KVM_SIGNAL_MSI, &msi, EINVAL);
	close(far.fd);
	vm_destroy(&vm);
}

#ifndef KVM_CAP_X86_APIC_BUS_CYCLES_NS	/* since 6.11 */
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS	237
#endif

static volatile u64 left;

static void guest_counts(void)
{
	u64 tsc;

	apic_enable();
	apic_write(APIC_LVTT, 0x10000);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_TMICT, ~0u);
	tsc = rdtsc();
	while (rdtsc() - tsc < 20000000)
		;
	left = apic_read(APIC_TMCCT);
	g_sync(1);
}

/* Compares how far the timer counts in about the same time, with 1 ns and with 1 ms per count. */
static void host_apic_bus(void)
{
	u64 counted[2], i;
	struct vcpu *vcpu;
	struct vm vm;

	for (i = 0; i < 2; i++) {
		vm_create(&vm, 0);
		if (ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_APIC_BUS_CYCLES_NS) <= 0)
			ksft_skip("the bus clock cannot be set");
		EQ(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 2), -ENXIO, "without irqchip");
		DO(vm.fd, KVM_CREATE_IRQCHIP, 0);
		EQ(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 0), -EINVAL, "a period of 0");
		EQ(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 1ul << 40), -EINVAL, "a period that is too long");
		EQ(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, i ? 1000000 : 1), 0, "set");
		vcpu = vcpu_create(&vm, 0, guest_counts);
		EQ(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 1), -EINVAL, "after the first vCPU");
		vcpu_run_to_sync(vcpu, 1);
		counted[i] = ~0u - (u32)GUEST(&vm, left);
		vm_destroy(&vm);
	}
	OK(counted[1] < counted[0] / 1000, "%llu and %llu counts", (long long)counted[0], (long long)counted[1]);
	OK(counted[0], "the timer counts");
}

#define I .flags = KSFT_IRQCHIP
static const struct ksft_test tests[] = {
	{ "xAPIC registers", .guest = guest_registers, I },
	{ "x2APIC registers", .guest = guest_registers, I, .arg = 1 },
	{ "xAPIC interrupts", .guest = guest_self, I },
	{ "x2APIC interrupts", .guest = guest_self, I, .arg = 1 },
	{ "xAPIC timer", .guest = guest_timer, I },
	{ "x2APIC timer", .guest = guest_timer, I, .arg = 1 },
	{ "INIT, SIPI, IPIs and NMIs between vCPUs", .guest = guest_sipi, .flags = KSFT_SMP2 },
	{ "I/O APIC, MSI, irqfd", .host = host_ioapic },
	{ "I/O APIC entries written while in service", .host = host_ioapic_rewritten },
	{ "PIC and PIT", .guest = guest_pic, .flags = KSFT_PIT },
	{ "the PIT's ticks move from the PIC to the I/O APIC", .guest = guest_pit_moves, .flags = KSFT_PIT },
	{ "interrupts without in-kernel controllers", .host = host_user_irq },
	{ "ioeventfd", .host = host_ioeventfd },
	{ "NMIs from user space", .host = host_nmis },
	{ "state of the interrupt controllers", .host = host_chip_state },
	{ "32-bit APIC IDs", .host = host_wide_ids },
	{ "the APIC timer's clock", .host = host_apic_bus },
};
KSFT_MAIN(tests)
