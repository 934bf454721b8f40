// SPDX-License-Identifier: GPL-2.0
/* What happens to a vCPU while user space serves port I/O or MMIO takes effect at the next entry, before the next exit. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include "guest.h"
#include "vm.h"

#define PORT	0x310
#define VEC	0x41
#define WARM	4		/* accesses before the event */

/* The instructions that exit. */
enum access { OUT_PORT, IN_PORT, STORE, LOAD, NR_ACCESSES };

static volatile u64 taken;	/* interrupts, NMIs and exceptions that the guest has taken */
static u64 how;			/* enum access; the guest's copy is made when the VM is created */

static void on_event(struct trap_regs *r)
{
	taken++;
	if (r->vector == VEC)
		apic_eoi();
}

static void on_event_without_apic(struct trap_regs *r)
{
	taken++;
}

static void access(void)
{
	u32 val = 1;

	switch (how) {
	case OUT_PORT:
		outb(PORT, 1);
		break;
	case IN_PORT:
		inb(PORT);
		break;
	case STORE:
		asm volatile("movl %0, (%1)" : : "r" (val), "r" (MMIO_HOLE) : "memory");
		break;
	default:
		asm volatile("movl (%1), %0" : "=r" (val) : "r" (MMIO_HOLE) : "memory");
	}
}

/* --- the host's part --- */

static struct vcpu *start(struct vm *vm, unsigned int flags, void (*fn)(void))
{
	vm_create(vm, flags);
	return vcpu_create(vm, 0, fn);
}

/* KVM_RUN until the guest's next access. Failed checks of the guest, and other exits, are failures. */
static void run_to_access(struct vcpu *vcpu)
{
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "the guest makes an access");
	EQ(vcpu->run->exit_reason, how == OUT_PORT || how == IN_PORT ? KVM_EXIT_IO : KVM_EXIT_MMIO, "exit reason");
}

static void on_alarm(int sig)
{
}

/* KVM_RUN must not reach another exit within a short time. */
static void run_waits(struct vcpu *vcpu, const char *what)
{
	struct itimerval soon = { .it_value.tv_usec = 20000 }, never = {};
	struct sigaction sa = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	EQ(vcpu_run_once(vcpu), -EINTR, "KVM_RUN waits: %s", what);
	setitimer(ITIMER_REAL, &never, NULL);
}

/* Let the guest make some accesses, in which nothing happens, and one more. */
static void warm_up(struct vcpu *vcpu)
{
	for (int i = 0; i < WARM; i++)
		run_to_access(vcpu);
}

#define TAKEN(vcpu)	GUEST((vcpu)->vm, taken)

/* --- events from outside --- */

static void guest_open(void)
{
	g_trap_fn[VEC_NMI] = g_trap_fn[VEC_UD] = on_event_without_apic;
	g_trap_fn[VEC] = on_event;
	apic_enable();
	sti();
	for (;;)
		access();
}

static void outside(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VEC };
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP }, none = {};
	struct kvm_vcpu_events ev;
	struct kvm_mp_state halted = { KVM_MP_STATE_HALTED };
	struct vm vm;
	struct vcpu *vcpu = start(&vm, KSFT_IRQCHIP, guest_open);

	warm_up(vcpu);
	run_to_access(vcpu);
	EQ(TAKEN(vcpu), 0, "no event yet");

	DO(vcpu->fd, KVM_NMI, NULL);
	run_to_access(vcpu);
	EQ(TAKEN(vcpu), 1, "NMI");

	run_to_access(vcpu);
	DO(vm.fd, KVM_SIGNAL_MSI, &msi);
	run_to_access(vcpu);
	EQ(TAKEN(vcpu), 2, "MSI");

	run_to_access(vcpu);
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &ev);
	ev.exception.injected = 1;
	ev.exception.nr = VEC_UD;
	ev.exception.has_error_code = 0;
	/* The instruction that exited is given up for the exception. */
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &ev);
	run_to_access(vcpu);
	EQ(TAKEN(vcpu), 3, "exception of KVM_SET_VCPU_EVENTS");

	run_to_access(vcpu);
	DO(vcpu->fd, KVM_SET_MP_STATE, &halted);
	run_waits(vcpu, "halted by KVM_SET_MP_STATE");
	run_waits(vcpu, "still halted");
	DO(vcpu->fd, KVM_NMI, NULL);
	run_to_access(vcpu);
	EQ(TAKEN(vcpu), 4, "NMI ends the halt");

	run_to_access(vcpu);
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
	EQ(vcpu_run_once(vcpu), 0, "single step");
	EQ(vcpu->run->exit_reason, KVM_EXIT_DEBUG, "exit reason");
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &none);
	run_to_access(vcpu);
	EQ(TAKEN(vcpu), 4, "no more events");
	vm_destroy(&vm);
}

/* --- user space's PIC --- */

static void guest_window(void)
{
	g_trap_fn[VEC] = on_event_without_apic;
	for (int i = 0; i <= WARM; i++)
		access();
	sti();
	for (;;)
		access();
}

static void window(void)
{
	struct kvm_interrupt irq = { VEC };
	struct vm vm;
	struct vcpu *vcpu = start(&vm, 0, guest_window);

	warm_up(vcpu);
	run_to_access(vcpu);
	EQ(vcpu->run->ready_for_interrupt_injection, 0, "IF is clear");
	vcpu->run->request_interrupt_window = 1;
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->exit_reason, KVM_EXIT_IRQ_WINDOW_OPEN, "the window opens before the next access");
	vcpu->run->request_interrupt_window = 0;
	run_to_access(vcpu);
	run_to_access(vcpu);
	EQ(TAKEN(vcpu), 0, "no interrupt yet");
	DO(vcpu->fd, KVM_INTERRUPT, &irq);
	run_to_access(vcpu);
	EQ(TAKEN(vcpu), 1, "interrupt of KVM_INTERRUPT");
	vm_destroy(&vm);
}

/* --- what the guest does itself --- */

static void guest_unmasks(void)
{
	g_trap_fn[VEC] = on_event;
	g_trap_fn[VEC_NMI] = on_event_without_apic;
	apic_enable();
	sti();
	for (int i = 0; i <= WARM; i++)
		access();
	/* An interrupt that the task priority holds back, until a store to the local APIC or to CR8. */
	apic_write(APIC_TPR, 0xf0);
	apic_icr(0, 0x40000 | VEC);
	access();
	G_EQ(taken, 0, "the interrupt is held back");
	apic_write(APIC_TPR, 0);
	G_EQ(taken, 1, "the interrupt after a store to TPR");
	access();
	apic_write(APIC_TPR, 0xf0);
	apic_icr(0, 0x40000 | VEC);
	access();
	write_cr8(0);
	G_EQ(taken, 2, "the interrupt after a write of CR8");
	access();
	apic_icr(0, 0x40000 | VEC);
	G_EQ(taken, 3, "an IPI to itself");
	cli();
	access();
	asm volatile("hlt");
	for (;;)
		access();
}

static void unmasks(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, KSFT_IRQCHIP, guest_unmasks);

	warm_up(vcpu);
	for (int i = 0; i < 6; i++)
		run_to_access(vcpu);
	EQ(TAKEN(vcpu), 3, "interrupts");
	run_waits(vcpu, "HLT");
	DO(vcpu->fd, KVM_NMI, NULL);
	run_to_access(vcpu);
	EQ(TAKEN(vcpu), 4, "NMI ends HLT");
	vm_destroy(&vm);
}

static void for_all(void (*fn)(void))
{
	for (how = 0; how < NR_ACCESSES; how++)
		fn();
}

static void host_outside(void)
{
	for_all(outside);
}

static void host_window(void)
{
	for_all(window);
}

static void host_unmasks(void)
{
	for_all(unmasks);
}

static const struct ksft_test tests[] = {
	{ "events, a halt and a debugger come between two accesses", .host = host_outside },
	{ "user space's PIC between two accesses", .host = host_window },
	{ "the guest makes events between two accesses", .host = host_unmasks },
};
KSFT_MAIN(tests)
