// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses to devices of the VM's process, by L1 and by an L2 to which a small L1 passes them on. Each is counted in some
 * windows between two markers, of which the first names the level and the row.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <linux/droste.h>
#include "vm.h"
#include "vmx.h"

#define WINDOWS	12
#define TURNS	50
#define TAG	0xca000000u	/* of the counts: with the level and the number of the row */
#define EVENT	MMIO_HOLE	/* an ioeventfd without a length */
#define EVENT_4	(MMIO_HOLE + 0x100)	/* an ioeventfd of 4 bytes */
#define COALESCED (MMIO_HOLE + 0x200)
#define USER	(MMIO_HOLE + 0x300)
#define PORT_EVENT 0x310	/* an ioeventfd of one byte */
#define PORT_USER 0x312
#define PORT_PASSED 0x80
#define OF_L1	(MMIO_HOLE + 0x1000)	/* a device of L1's: its EPT has no page there */

/* KSFT needs the list of subtests to be there; there is none. */
const char *ksft_positional = "";

enum level { L1, L2, L2_NOEPT, LEVELS };
static u64 level;		/* the guest's copy is made when the VM is created */
static volatile u64 passed;	/* PORT_PASSED is */
static struct kvm_coalesced_mmio_ring *ring;

/* xchg %bx,%bx has no effect; the emulator treats it as a marker. */
static inline void marker(u64 tag)
{
	asm volatile("xchg %%bx, %%bx" : : "a" (tag) : "memory");
}

static inline void store(u64 to)
{
	asm volatile("movl %1, (%0)" : : "r" (to), "r" (0) : "memory");
}

static inline void load(u64 from)
{
	u32 val;

	asm volatile("movl (%1), %0" : "=r" (val) : "r" (from) : "memory");
}

/* An instruction that Droste's emulator executes. */
static inline void string_store(u64 to)
{
	asm volatile("stosl" : "+D" (to) : "a" (0) : "memory");
}

/* ROW(number, name, statement) */
#define ROWS \
	ROW(0, "mmio-event", store(EVENT)) \
	ROW(1, "mmio-event-4", store(EVENT_4)) \
	ROW(2, "mmio-event-string", string_store(EVENT)) \
	ROW(3, "mmio-coalesced", store(COALESCED)) \
	ROW(4, "mmio-write-user", store(USER)) \
	ROW(5, "mmio-read-user", load(USER)) \
	ROW(6, "port-passed", outb(PORT_PASSED, 0)) \
	ROW(7, "port-event", outb(PORT_EVENT, 0)) \
	ROW(8, "port-user", outb(PORT_USER, 0)) \
	ROW(9, "mmio-of-l1", store(OF_L1))

#define ROW(number, name, statement) \
static void row_##number(void) \
{ \
	for (u64 window = 0; window < WINDOWS; window++) { \
		marker(TAG | level << 8 | number); \
		for (u64 i = 0; i < TURNS; i++) \
			statement; \
		marker(~0ul); \
	} \
}
ROWS
#undef ROW

static const struct row {
	const char *name;
	void (*run)(void);
} rows[] = {
#define ROW(number, name, statement) [number] = { name, row_##number },
ROWS
#undef ROW
};
#define PASSED	6
#define OF_L1_ROW 9

/* L2's function returns to here. */
static void l2_end(void)
{
	asm volatile("vmcall");
}

/* L1 answers its own device's exits in the least way. */
static void run_in_l2(void (*fn)(void))
{
	u64 *stack = (u64 *)vmread(F_RSP), reason;

	*stack = (u64)l2_end;
	vmwrite(F_RIP, (u64)fn);
	while ((reason = vmx_run()) == R_EPT_VIOLATION)
		vmx_skip();
	G_EQ(reason, R_VMCALL, "the end of L2's function");
	vmwrite(F_RSP, (u64)stack);
}

static void guest(void)
{
	static u8 no_bits[4096] __attribute__((aligned(4096)));
	u64 eptp;

	if (level != L1) {
		vmx_on();
		vmcs_new(l2_end);
		eptp = ept_new();
		if (level == L2) {
			*ept_entry(eptp, OF_L1, 1) = 0;
			vmcs_ask_usual(no_bits, eptp);
		}
		vmx_keep_host();
	}
	for (u64 i = 0; i < ARRAY_SIZE(rows); i++) {
		if ((i == OF_L1_ROW && level != L2) || (i == PASSED && !passed))
			continue;
		level == L1 ? rows[i].run() : run_in_l2(rows[i].run);
	}
}

static void event(struct vm *vm, u64 addr, u32 len, u32 flags)
{
	struct kvm_ioeventfd e = { .addr = addr, .len = len, .flags = flags, .fd = eventfd(0, EFD_NONBLOCK) };

	MUST(e.fd >= 0, "eventfd: %s", strerror(errno));
	DO(vm->fd, KVM_IOEVENTFD, &e);
}

static bool pass_port(struct vm *vm)
{
#ifdef DROSTE_PASS_PORTS
	struct droste_pass_ports ports = { .first = PORT_PASSED, .count = 1, .on = 1 };

	return !ioctl(vm->fd, DROSTE_PASS_PORTS, &ports);
#else
	return false;
#endif
}

static void measure(enum level at)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = COALESCED, .size = 4 };
	struct vcpu *vcpu;
	struct vm vm;
	u64 kind;

	level = at;
	vm_create(&vm, KSFT_IRQCHIP);
	MUST(at == L1 || vm_has_vmx(&vm), "no VMX");
	vcpu = vcpu_create(&vm, 0, guest);
	event(&vm, EVENT, 0, 0);
	event(&vm, EVENT_4, 4, 0);
	event(&vm, PORT_EVENT, 1, KVM_IOEVENTFD_FLAG_PIO);
	GUEST(&vm, passed) = pass_port(&vm);
	DO(vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone);
	ring = (void *)((char *)vcpu->run + ioctl(vm.dev, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO) * 4096);
	while ((kind = vcpu_run_to_call(vcpu, NULL)) == GCALL_NONE) {
		MUST(vcpu->run->exit_reason == KVM_EXIT_MMIO || vcpu->run->exit_reason == KVM_EXIT_IO, "exit %u",
		     vcpu->run->exit_reason);
		ring->first = ring->last;
	}
	MUST(kind == GCALL_DONE, "call %llu", (long long)kind);
	vm_destroy(&vm);
}

int main(int argc, char **argv)
{
	printf("turns %u\n", TURNS);
	for (u64 i = 0; i < ARRAY_SIZE(rows); i++)
		printf("row %llu %s\n", (long long)i, rows[i].name);
	fflush(stdout);
	for (enum level at = L1; at < LEVELS; at++)
		measure(at);
	return 0;
}
