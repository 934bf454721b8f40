/* SPDX-License-Identifier: GPL-2.0 */
/* A VM whose L1 or L2 makes one access to a port between two calls, and how each access was executed. */
#ifndef PORTIO_H
#define PORTIO_H

#include "inspect.h"
#include "vmx.h"

int ioperm(unsigned long from, unsigned long count, int on);	/* <sys/io.h> has an outb() of its own */

#define STORE		0x84	/* three ports of one byte that keep what is written to them */
#define EXIT_IO		30	/* basic exit reason */
#define STRING_LEN	16

enum access { OUT, IN, OUTS, INS, REP_OUTS, REP_INS };

/* How an access was executed. */
enum way {
	DIRECT = 1,	/* by the processor */
	USER,		/* it exited to user space */
	TO_L1,		/* it exited to L1 */
};

/* --- the guest: one access between two calls --- */

static volatile u64 access_kind, access_port, access_size, access_data, access_memory;
static u8 string[4096] __attribute__((aligned(4096)));

static void access_string(void)
{
	u64 n = STRING_LEN, at = access_memory ? access_memory : (u64)string;

	switch (access_kind) {
	case OUTS:
		asm volatile("outsb" : "+S" (at) : "d" (access_port) : "memory");
		break;
	case INS:
		asm volatile("insb" : "+D" (at) : "d" (access_port) : "memory");
		break;
	case REP_OUTS:
		asm volatile("rep outsb" : "+S" (at), "+c" (n) : "d" (access_port) : "memory");
		break;
	case REP_INS:
		asm volatile("rep insb" : "+D" (at), "+c" (n) : "d" (access_port) : "memory");
		break;
	}
}

static void access_once(void)
{
	u64 size = access_size;

	if (access_kind > IN)
		access_string();
	else if (access_kind == OUT && size == 1)
		outb(access_port, access_data);
	else if (access_kind == OUT && size == 2)
		outw(access_port, access_data);
	else if (access_kind == OUT)
		outl(access_port, access_data);
	else if (size == 1)
		access_data = inb(access_port);
	else if (size == 2)
		access_data = inw(access_port);
	else
		access_data = inl(access_port);
}

static void guest_l1(void)
{
	for (;;) {
		g_sync(0);
		access_once();
	}
}

/* --- the same in an L2 --- */

static volatile u64 l1_proc;	/* of PROC_IO and PROC_IO_BITMAPS */
static volatile u64 l1_hole;	/* L1's bitmaps have no memory */
static volatile u64 l1_got;	/* L1 was shown an exit for the access */
static u8 l1_bitmaps[8192] __attribute__((aligned(4096)));
static u8 no_bits[4096] __attribute__((aligned(4096)));

static void l2_accesses(void)
{
	for (;;) {
		access_once();
		asm volatile("vmcall");
	}
}

static void l1_begin(void (*fn)(void))
{
	vmcs_usual(fn, no_bits, ept_new());
	if (!ctl_has(F_PROC, PROC_IO_BITMAPS | PROC_IO))
		g_skip("no I/O bitmaps");
	vmwrite(F_IO_BITMAP_A, (u64)l1_bitmaps);
	vmwrite(F_IO_BITMAP_B, (u64)l1_bitmaps + 4096);
	vmx_keep_host();
}

static void guest_l2(void)
{
	u64 reason, proc = 0, hole = 0;

	l1_begin(l2_accesses);
	for (;;) {
		g_sync(0);
		if (proc != l1_proc) {
			vmclr(F_PROC, PROC_IO | PROC_IO_BITMAPS);
			vmset(F_PROC, l1_proc);
			proc = l1_proc;
		}
		if (hole != l1_hole) {
			hole = l1_hole;
			vmwrite(F_IO_BITMAP_A, hole ? MMIO_HOLE + 0x10000 : (u64)l1_bitmaps);
		}
		l1_got = 0;
		while ((reason = vmx_run()) == R_IO) {
			l1_got++;
			vmx_skip();
		}
		G_EQ(reason, R_VMCALL, "exit");
		vmx_skip();
	}
}

/* --- the host's side --- */

struct machine {
	struct vm vm;
	struct vcpu *vcpu;
	bool nested;
};

static int pass_errno(struct vm *vm, u32 first, u32 count, u32 on)
{
	struct droste_pass_ports p = { .first = first, .count = count, .on = on };

	return ioctl(vm->fd, DROSTE_PASS_PORTS, &p) ? errno : 0;
}

static void pass(struct machine *m, u32 first, u32 count, bool on)
{
	int err = pass_errno(&m->vm, first, count, on);

	if (err == ENOTTY)
		ksft_skip("not Droste");
	MUST(!err, "DROSTE_PASS_PORTS %#x %#x %d: %s", first, count, on, strerror(err));
}

static void create_at(struct machine *m, bool nested, void (*fn)(void))
{
	if (ioperm(STORE, 3, 1))
		ksft_skip("ioperm: %s", strerror(errno));
	m->nested = nested;
	vm_create(&m->vm, 0);
	if (pass_errno(&m->vm, 0, 0, 0) == ENOTTY)
		ksft_skip("not Droste");
	if (nested && !vm_has_vmx(&m->vm))
		ksft_skip("no VMX");
	m->vcpu = vcpu_create(&m->vm, 0, fn);
}

static void create(struct machine *m, bool nested)
{
	create_at(m, nested, nested ? guest_l2 : guest_l1);
	vcpu_run_to_sync(m->vcpu, 0);
}

static struct droste_exit_stats stats(struct machine *m)
{
	struct droste_exit_stats s;

	DO(m->vcpu->fd, DROSTE_GET_EXIT_STATS, &s);
	return s;
}

/* Has the guest make an access, and returns how it was executed. The counters must agree. */
static enum way try(struct machine *m, enum access kind, u16 port, u32 size)
{
	struct droste_exit_stats before = stats(m), after;
	u64 users = 0, l1, call;
	struct kvm_run *run = m->vcpu->run;

	GUEST(&m->vm, access_kind) = kind;
	GUEST(&m->vm, access_port) = port;
	GUEST(&m->vm, access_size) = size;
	while ((call = vcpu_run_to_call(m->vcpu, NULL)) == GCALL_NONE) {
		if (run->exit_reason == KVM_EXIT_MMIO)
			continue;
		MUST(run->exit_reason == KVM_EXIT_IO, "exit %u", run->exit_reason);
		EQ(run->io.port, port, "port");
		EQ(run->io.size, size, "size");
		memset((u8 *)run + run->io.data_offset, 0x5a, run->io.size * run->io.count);
		users++;
	}
	MUST(call == GCALL_SYNC, "call %llu", (long long)call);
	after = stats(m);
	l1 = m->nested ? GUEST(&m->vm, l1_got) : 0;
	EQ(after.exits[EXIT_IO] - before.exits[EXIT_IO], users + l1 + 1, "exits for port %#x size %u", port, size);
	EQ(after.from_l2[EXIT_IO] - before.from_l2[EXIT_IO], m->nested ? users + l1 : 0, "those of L2");
	EQ(after.reflected[EXIT_IO] - before.reflected[EXIT_IO], l1, "those that L1 was shown");
	OK(users + l1 <= 1, "one exit");
	return l1 ? TO_L1 : users ? USER : DIRECT;
}

#define WAY(m, kind, port, size, way) EQ(try(m, kind, port, size), way, "how %s with port %#x and size %u is executed", #kind, port, size)

/* Runs up to the next call, answers an access to memory that is none, and returns the number of exits for ports. */
static u64 run_device(struct machine *m, enum access kind, u8 byte, u8 *written)
{
	struct droste_exit_stats before = stats(m);
	struct kvm_run *run = m->vcpu->run;
	u64 call, asked = 0;

	GUEST(&m->vm, access_kind) = kind;
	GUEST(&m->vm, access_port) = STORE;
	GUEST(&m->vm, access_size) = 1;
	GUEST(&m->vm, access_memory) = MMIO_HOLE;
	while ((call = vcpu_run_to_call(m->vcpu, NULL)) == GCALL_NONE) {
		MUST(run->exit_reason == KVM_EXIT_MMIO && asked < 64, "exit %u", run->exit_reason);
		asked++;
		if (run->mmio.is_write)
			*written = run->mmio.data[0];
		else
			run->mmio.data[0] = byte;
	}
	MUST(call == GCALL_SYNC, "call %llu", (long long)call);
	OK(asked, "the device in memory is asked");
	GUEST(&m->vm, access_memory) = 0;
	return stats(m).exits[EXIT_IO] - before.exits[EXIT_IO] - 1;
}

#endif
