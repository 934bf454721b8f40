// SPDX-License-Identifier: GPL-2.0
/* What happens to a vCPU while user space serves port I/O or MMIO takes effect at the next entry, before the next exit. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>
#include "guest.h"
#include "vm.h"

#define PORT	0x310
#define MARK	0x320
#define VEC	0x41
#define WARM	4		/* accesses before the event */

/* The instructions that exit. */
enum touch { OUT_PORT, IN_PORT, STORE, LOAD, NR_ACCESSES };

static volatile u64 taken;	/* interrupts, NMIs and exceptions that the guest has taken */
static volatile u64 value = 1;	/* what the guest writes */
static u64 how;			/* enum touch; the guest's copy is made when the VM is created */

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

static void touch(void)
{
	u32 val = value;

	switch (how) {
	case OUT_PORT:
		outb(PORT, val);
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
		touch();
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
		touch();
	sti();
	for (;;)
		touch();
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
		touch();
	/* An interrupt that the task priority holds back, until a store to the local APIC or to CR8. */
	apic_write(APIC_TPR, 0xf0);
	apic_icr(0, 0x40000 | VEC);
	touch();
	G_EQ(taken, 0, "the interrupt is held back");
	apic_write(APIC_TPR, 0);
	G_EQ(taken, 1, "the interrupt after a store to TPR");
	touch();
	apic_write(APIC_TPR, 0xf0);
	apic_icr(0, 0x40000 | VEC);
	touch();
	write_cr8(0);
	G_EQ(taken, 2, "the interrupt after a write of CR8");
	touch();
	apic_icr(0, 0x40000 | VEC);
	G_EQ(taken, 3, "an IPI to itself");
	cli();
	touch();
	asm volatile("hlt");
	for (;;)
		touch();
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

/* --- what user space adds at the address, and takes away --- */

static void guest_marks(void)
{
	for (;;) {
		touch();
		inb(MARK);	/* no write: the last one stays that to the device */
	}
}

/* KVM_RUN until the guest's mark: its access must not exit. */
static void run_to_mark(struct vcpu *vcpu, const char *what)
{
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "KVM_RUN: %s", what);
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "exit reason: %s", what);
	EQ(vcpu->run->io.port, MARK, "the next exit is the mark's: %s", what);
}

static void run_both(struct vcpu *vcpu, const char *what)
{
	run_to_access(vcpu);
	if (vcpu->run->exit_reason == KVM_EXIT_IO)
		EQ(vcpu->run->io.port, PORT, "an access exits: %s", what);
	run_to_mark(vcpu, what);
}

static void bindings(void)
{
	bool port = how == OUT_PORT;
	struct kvm_ioeventfd bind = {
		.addr = port ? PORT : MMIO_HOLE, .len = port ? 1 : 4, .flags = port ? KVM_IOEVENTFD_FLAG_PIO : 0,
	};
	struct kvm_coalesced_mmio_zone zone = { .addr = bind.addr, .size = 4, .pio = port };
	struct vm vm;
	struct vcpu *vcpu;
	u64 count = 0;

	if (how != OUT_PORT && how != STORE)
		return;
	vcpu = start(&vm, 0, guest_marks);
	bind.fd = eventfd(0, EFD_NONBLOCK);
	for (int i = 0; i < WARM; i++)
		run_both(vcpu, "nothing is bound");
	DO(vm.fd, KVM_IOEVENTFD, &bind);
	run_to_mark(vcpu, "an ioeventfd");
	run_to_mark(vcpu, "an ioeventfd, again");
	EQ(read(bind.fd, &count, 8), 8, "read the eventfd");
	EQ(count, 2, "signals");
	bind.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	DO(vm.fd, KVM_IOEVENTFD, &bind);
	run_both(vcpu, "no ioeventfd any more");

	bind.flags = (port ? KVM_IOEVENTFD_FLAG_PIO : 0) | KVM_IOEVENTFD_FLAG_DATAMATCH;
	bind.datamatch = 2;
	DO(vm.fd, KVM_IOEVENTFD, &bind);
	run_both(vcpu, "an ioeventfd for other data");
	GUEST(&vm, value) = 2;
	run_to_mark(vcpu, "the other data");
	GUEST(&vm, value) = 1;
	run_both(vcpu, "an ioeventfd for other data, again");
	bind.datamatch = 1;
	DO(vm.fd, KVM_IOEVENTFD, &bind);
	run_to_mark(vcpu, "an ioeventfd for this data");
	bind.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	DO(vm.fd, KVM_IOEVENTFD, &bind);
	run_both(vcpu, "the other one is left");

	run_both(vcpu, "nothing is bound");
	DO(vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone);
	run_to_mark(vcpu, "a coalesced zone");
	DO(vm.fd, KVM_UNREGISTER_COALESCED_MMIO, &zone);
	run_both(vcpu, "no coalesced zone any more");
	close(bind.fd);
	vm_destroy(&vm);
}

static void memory(void)
{
	static u8 page[4096] __attribute__((aligned(4096)));
	struct vm vm;
	struct vcpu *vcpu;

	if (how != STORE && how != LOAD)
		return;
	vcpu = start(&vm, 0, guest_marks);
	for (int i = 0; i < WARM; i++)
		run_both(vcpu, "no memory");
	for (int i = 0; i < 2; i++) {
		vm_slot(&vm, 1, 0, MMIO_HOLE, 4096, page);
		run_to_mark(vcpu, "memory");
		run_to_mark(vcpu, "memory, again");
		vm_slot(&vm, 1, 0, MMIO_HOLE, 0, NULL);
		run_both(vcpu, "no memory any more");
	}
	/* A slot elsewhere changes nothing here. */
	vm_slot(&vm, 1, 0, MMIO_HOLE + 4096, 4096, page);
	run_both(vcpu, "memory elsewhere");
	vm_destroy(&vm);
}

/* --- the instruction at one address is another, though no page table has changed --- */

#define CODE_AT	(MMIO_HOLE + 0x100000)

static u8 code[2][4096] __attribute__((aligned(4096)));

/* movl $val, MMIO_HOLE; ret */
static void put_store(u8 *to, u32 val)
{
	static const u8 insn[] = { 0xc7, 0x04, 0x25, 0, 0, 0, MMIO_HOLE >> 24 };

	memcpy(to, insn, sizeof(insn));
	memcpy(to + sizeof(insn), &val, sizeof(val));
	to[sizeof(insn) + sizeof(val)] = 0xc3;
}

static void run_to_store(struct vcpu *vcpu, u32 val, const char *what)
{
	u32 got;

	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "KVM_RUN: %s", what);
	EQ(vcpu->run->exit_reason, KVM_EXIT_MMIO, "exit reason: %s", what);
	memcpy(&got, vcpu->run->mmio.data, sizeof(got));
	EQ(got, val, "the store of %s", what);
}

static void guest_calls(void)
{
	for (;;)
		asm volatile("call *%0" : : "r" (CODE_AT) : "memory");
}

/* The code is in a slot that is replaced by another. */
static void host_slots(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_calls);
	put_store(code[0], 0x11);
	put_store(code[1], 0x22);
	for (int i = 0; i < 4; i++) {
		vm_slot(&vm, 1, 0, CODE_AT, 4096, code[i & 1]);
		run_to_store(vcpu, i & 1 ? 0x22 : 0x11, "a new slot");
		run_to_store(vcpu, i & 1 ? 0x22 : 0x11, "the same slot");
		vm_slot(&vm, 1, 0, CODE_AT, 0, NULL);
	}
	vm_destroy(&vm);
}

/* A copy of the page tables in which code[0] is mapped to the other page. */
static u64 other_tables(void)
{
	u64 va = (u64)code[0], *table, *next, root;

	*g_pte(va) |= BIT(5);
	table = g_page();
	root = (u64)table;
	g_copy(table, (void *)(read_cr3() & ~0xffful), 4096);
	for (int shift = 39; shift > 12; shift -= 9) {
		u64 *entry = &table[va >> shift & 0x1ff];

		next = g_page();
		g_copy(next, (void *)(*entry & 0x000ffffffffff000), 4096);
		*entry = (u64)next | (*entry & 0xfff);
		table = next;
	}
	table[va >> 12 & 0x1ff] = (u64)code[1] | (table[va >> 12 & 0x1ff] & 0xfff);
	return root;
}

static void guest_tables(void)
{
	u64 cr3[2] = { read_cr3(), other_tables() };

	for (int i = 0;; i++) {
		write_cr3(cr3[i & 1]);
		for (int k = 0; k < 2; k++)
			asm volatile("call *%0" : : "r" (code[0]) : "memory");
	}
}

/* The guest switches between two sets of page tables. */
static void host_tables(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	put_store(code[0], 0x11);
	put_store(code[1], 0x22);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_tables);
	for (int i = 0; i < 4; i++) {
		run_to_store(vcpu, i & 1 ? 0x22 : 0x11, "other tables");
		run_to_store(vcpu, i & 1 ? 0x22 : 0x11, "the same tables");
	}
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

static void host_bindings(void)
{
	for_all(bindings);
}

static void host_memory(void)
{
	for_all(memory);
}

static const struct ksft_test tests[] = {
	{ "events, a halt and a debugger come between two accesses", .host = host_outside },
	{ "user space's PIC between two accesses", .host = host_window },
	{ "the guest makes events between two accesses", .host = host_unmasks },
	{ "ioeventfds and coalesced zones come and go", .host = host_bindings },
	{ "memory comes and goes at a device's address", .host = host_memory },
	{ "a slot changes the instruction at an address", .host = host_slots },
	{ "CR3 changes the instruction at an address", .host = host_tables },
};
KSFT_MAIN(tests)
