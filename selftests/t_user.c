// SPDX-License-Identifier: GPL-2.0
/* Exits to user space that follow each other: what changes between an exit like the last one and the KVM_RUN that finishes it. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "accesses.h"

/* Makes the calling thread run on one processor only. Returns false if the processor does not exist. */
static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static volatile u64 limit, after;	/* with access number @limit, the kind becomes @after */

static void guest_accesses(void)
{
	for (;;) {
		got = kind < NR_PORT_KINDS ? access_port(BEFORE) : access_memory(BEFORE);
		if (++count == limit)
			kind = after;
	}
}

/* What the guest has in RAX after an access that user space answers with ANSWER. */
static u64 result(enum kind k)
{
	switch (k) {
	case IN8: case IN_IMM: case LOAD8: return (BEFORE & ~0xfful) | (u8)ANSWER;
	case IN16: case LOAD16: return (BEFORE & ~0xfffful) | (u16)ANSWER;
	case IN32: case LOAD32: return (u32)ANSWER;
	case LOAD64: return ANSWER;
	case ZERO8: return (u8)ANSWER;
	case SIGN8: return (BEFORE & ~0xfffful) | (u16)(int8_t)ANSWER;
	case SIGN16: return (u32)(int16_t)ANSWER;
	case SIGN32: return (u64)(s64)(int32_t)ANSWER;
	default: return BEFORE;
	}
}

/* One access more, which is answered. The one before is complete then, and nothing else. */
static void next(struct vcpu *vcpu, enum kind k, const char *when)
{
	u64 before = GUEST(vcpu->vm, count);

	EQ(vcpu_run_once(vcpu), 0, "%s: KVM_RUN, access %u", when, k);
	answer(vcpu, k, when);
	EQ(GUEST(vcpu->vm, count), before + 1, "%s: accesses that are complete, access %u", when, k);
	EQ(GUEST(vcpu->vm, got), result(k), "%s: RAX, access %u", when, k);
}

/* A guest that makes an access for the seventh time, which is answered. */
static struct vcpu *warm_vm(struct vm *vm, enum kind k, unsigned int flags)
{
	struct vcpu *vcpu;
	int i;

	kind = k;
	vm_create(vm, flags);
	vcpu = vcpu_create(vm, 0, guest_accesses);
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	answer(vcpu, k, "the first time");
	for (i = 0; i < WARM; i++)
		next(vcpu, k, "warming up");
	return vcpu;
}

static void host_fields(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	enum kind k;
	int i;

	for (k = 0; k < NR_KINDS; k++) {
		vcpu = warm_vm(&vm, k, 0);
		/* Other fields of the union are user space's to overwrite. */
		memset(&vcpu->run->io, 0xee, 64);
		if (is_input(k) && k < NR_PORT_KINDS)
			vcpu->run->io.data_offset = 0;
		if (k >= NR_PORT_KINDS)
			memcpy(vcpu->run->mmio.data, &(u64){ ANSWER }, 8);
		next(vcpu, k, "kvm_run was overwritten");
		vm_destroy(&vm);
	}
	/* Kinds take turns: each is like one that was made before, but not like the last. */
	vcpu = warm_vm(&vm, OUT8, 0);
	for (i = 0; i < 4 * NR_KINDS; i++) {
		/* The access that waits is complete first. */
		enum kind old = i ? (i - 1) * 7 % NR_KINDS : OUT8;

		k = i * 7 % NR_KINDS;
		GUEST(&vm, kind) = k;
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		EQ(GUEST(&vm, got), result(old), "taking turns: RAX, access %u", old);
		answer(vcpu, k, "taking turns");
	}
	vm_destroy(&vm);
}

/* --- strings, and accesses to two pages --- */

static u8 text[32] __attribute__((aligned(32)));

static void guest_strings(void)
{
	u64 at, n;

	for (;;) {
		at = (u64)text;
		n = 4;
		asm volatile("rep insw" : "+D" (at), "+c" (n) : "d" (PORT) : "memory");
		G_EQ(at, (u64)text + 8, "RDI after REP INSW");
		at = (u64)text;
		n = 4;
		asm volatile("rep outsw" : "+S" (at), "+c" (n) : "d" (PORT) : "memory");
		G_EQ(n, 0, "RCX after REP OUTSW");
		got = *(volatile u64 *)(DEV + 4092);
		*(volatile u64 *)(DEV + 4092) = got + 1;
		outw(PORT, 0x1234);
	}
}

/* The next exit is for MMIO, up to @len bytes at @gpa. */
static void mmio_part(struct vcpu *vcpu, u64 gpa, bool write, u64 val)
{
	struct kvm_run *run = vcpu->run;

	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	MUST(run->exit_reason == KVM_EXIT_MMIO, "exit %u", run->exit_reason);
	EQ(run->mmio.phys_addr, gpa, "address");
	EQ(run->mmio.len, 4, "length");
	EQ(run->mmio.is_write, write, "direction");
	if (write)
		EQ(*(u32 *)run->mmio.data, (u32)val, "data");
	else
		memcpy(run->mmio.data, &val, 4);
}

static void host_strings(void)
{
	struct kvm_run *run;
	struct vcpu *vcpu;
	struct vm vm;
	u64 i;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_strings);
	run = vcpu->run;
	for (i = 1; i < WARM; i++) {
		u64 words = 0x0004000300020001ul * i;

		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		MUST(run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN, "INS: exit %u", run->exit_reason);
		EQ(run->io.count * run->io.size, 8, "bytes of REP INSW");
		memcpy((u8 *)run + run->io.data_offset, &words, 8);
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		MUST(run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT, "OUTS: exit %u", run->exit_reason);
		EQ(run->io.count, 4, "count of REP OUTSW");
		EQ(*(u64 *)((u8 *)run + run->io.data_offset), words, "data of REP OUTSW");
		mmio_part(vcpu, DEV + 4092, false, 0xfffffff0 + i);
		mmio_part(vcpu, DEV + 4096, false, i);
		mmio_part(vcpu, DEV + 4092, true, 0xfffffff1 + i);
		EQ(GUEST(&vm, got), 0xfffffff0 + i + (i << 32), "a load from two pages");
		mmio_part(vcpu, DEV + 4096, true, i);
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		EQ(run->io.size, 2, "OUT after strings");
		EQ(run->io.count, 1, "OUT after strings");
	}
	vm_destroy(&vm);
}

/* --- changes until the access is finished --- */

static void host_immediate_exit(void)
{
	struct kvm_regs r;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	FOR_SOME(i) {
		vcpu = warm_vm(&vm, some[i], 0);
		vcpu->run->immediate_exit = 1;
		EQ(vcpu_run_once(vcpu), -EINTR, "immediate_exit");
		vcpu_regs(vcpu, &r);
		EQ(r.rax, result(some[i]), "RAX after immediate_exit, access %u", some[i]);
		EQ(vcpu_run_once(vcpu), -EINTR, "immediate_exit");
		vcpu->run->immediate_exit = 0;
		next(vcpu, some[i], "after immediate_exit");
		next(vcpu, some[i], "after immediate_exit");
		vm_destroy(&vm);
	}
}

/* RIP at the exit is that of the instruction, but for stores to MMIO. */
static void host_registers(void)
{
	struct kvm_regs r, at;
	struct kvm_sregs s;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	FOR_SOME(i) {
		u64 n;

		vcpu = warm_vm(&vm, some[i], 0);
		vcpu_regs(vcpu, &at);
		next(vcpu, some[i], "after KVM_GET_REGS");
		vcpu_regs(vcpu, &r);
		EQ(r.rip, at.rip, "RIP at each exit, access %u", some[i]);
		vcpu_set_regs(vcpu, &r);
		next(vcpu, some[i], "after KVM_SET_REGS");
		vcpu_sregs(vcpu, &s);
		vcpu_set_sregs(vcpu, &s);
		next(vcpu, some[i], "after KVM_SET_SREGS");
		/* User space that moves RIP has the last word. */
		n = GUEST(&vm, count);
		vcpu_start(vcpu, guest_accesses, 0);
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		EQ(GUEST(&vm, count), n, "no access is finished after RIP was set, access %u", some[i]);
		answer(vcpu, some[i], "after RIP was set");
		next(vcpu, some[i], "after RIP was set");
		vm_destroy(&vm);
	}
}

static void host_sync_regs(void)
{
	struct kvm_sync_regs *s;
	struct kvm_regs r;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	FOR_SOME(i) {
		vcpu = warm_vm(&vm, some[i], 0);
		s = &vcpu->run->s.regs;
		vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
		next(vcpu, some[i], "registers are stored in kvm_run");
		vcpu_regs(vcpu, &r);
		EQ(s->regs.rip, r.rip, "RIP in kvm_run, access %u", some[i]);
		EQ(s->regs.rax, r.rax, "RAX in kvm_run, access %u", some[i]);
		EQ(s->sregs.efer & EFER_LMA, EFER_LMA, "EFER in kvm_run, access %u", some[i]);
		vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		next(vcpu, some[i], "the same registers are dirty");
		vcpu->run->kvm_valid_regs = 0;
		next(vcpu, some[i], "no registers are stored");
		vm_destroy(&vm);
	}
}

static void *run_next(void *arg)
{
	struct vcpu *vcpu = arg;

	next(vcpu, GUEST(vcpu->vm, kind), "another thread");
	return NULL;
}

static void host_threads(void)
{
	struct vcpu *vcpu;
	bool two = pin(1);
	pthread_t t;
	struct vm vm;
	size_t i;
	int j;

	FOR_SOME(i) {
		pin(0);
		vcpu = warm_vm(&vm, some[i], 0);
		for (j = 0; j < 3; j++) {
			MUST(!pthread_create(&t, NULL, run_next, vcpu), "thread");
			pthread_join(t, NULL);
			next(vcpu, some[i], "after another thread");
		}
		for (j = 0; two && j < 6; j++) {
			pin(j & 1);
			next(vcpu, some[i], "on another processor");
		}
		vm_destroy(&vm);
	}
}

static void host_fork(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	int status;
	pid_t pid;
	size_t i;

	FOR_SOME(i) {
		vcpu = warm_vm(&vm, some[i], 0);
		pid = fork();
		if (!pid)
			_exit(vcpu_run_once(vcpu) == -EIO ? 0 : 1);
		MUST(waitpid(pid, &status, 0) == pid, "child");
		EQ(status, 0, "KVM_RUN of a child fails with EIO");
		next(vcpu, some[i], "after fork()");
		pid = fork();
		if (!pid) {
			execl("/proc/self/exe", "t_user", "--list", NULL);
			_exit(1);
		}
		MUST(waitpid(pid, &status, 0) == pid, "child");
		next(vcpu, some[i], "after exec() of a child");
		vm_destroy(&vm);
	}
}

static void host_two_vcpus(void)
{
	struct vcpu *vcpu[2];
	struct vm vm[2];
	size_t i;
	int j;

	FOR_SOME(i) {
		vcpu[0] = warm_vm(&vm[0], some[i], 0);
		vcpu[1] = warm_vm(&vm[1], some[(i + 1) % ARRAY_SIZE(some)], 0);
		for (j = 0; j < 8; j++)
			next(vcpu[j & 1], some[(i + (j & 1)) % ARRAY_SIZE(some)], "taking turns with another vCPU");
		vm_destroy(&vm[0]);
		vm_destroy(&vm[1]);
	}
}

/* --- events, and other users of the port --- */

static volatile u64 nmis, interrupts, steps, stepped_to;

static void on_nmi(struct trap_regs *r)
{
	nmis++;
}

static void on_interrupt(struct trap_regs *r)
{
	interrupts++;
}

static void on_step(struct trap_regs *r)
{
	steps++;
	stepped_to = r->rip;
	r->rflags &= ~0x100ul;
}

static void guest_events(void)
{
	g_trap_fn[VEC_NMI] = on_nmi;
	g_trap_fn[VEC_DB] = on_step;
	g_trap_fn[0x50] = on_interrupt;
	sti();
	guest_accesses();
}

static void host_events(void)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP }, none = {};
	struct kvm_interrupt irq = { .irq = 0x50 };
	struct kvm_regs r;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;
	int j;

	FOR_SOME(i) {
		kind = some[i];
		vm_create(&vm, 0);
		vcpu = vcpu_create(&vm, 0, guest_events);
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		answer(vcpu, some[i], "the first time");
		for (j = 0; j < WARM; j++)
			next(vcpu, some[i], "warming up");
		DO(vcpu->fd, KVM_NMI, 0);
		next(vcpu, some[i], "with an NMI");
		EQ(GUEST(&vm, nmis), 1, "NMIs, access %u", some[i]);
		DO(vcpu->fd, KVM_INTERRUPT, &irq);
		next(vcpu, some[i], "with an interrupt");
		EQ(GUEST(&vm, interrupts), 1, "interrupts, access %u", some[i]);
		next(vcpu, some[i], "after an interrupt");
		EQ(vcpu->run->ready_for_interrupt_injection, 1, "ready for an interrupt, access %u", some[i]);
		EQ(vcpu->run->if_flag, 1, "IF, access %u", some[i]);
		vcpu->run->request_interrupt_window = 1;
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		EQ(vcpu->run->exit_reason, KVM_EXIT_IRQ_WINDOW_OPEN, "a window, access %u", some[i]);
		vcpu->run->request_interrupt_window = 0;
		vcpu_regs(vcpu, &r);
		EQ(r.rax, result(some[i]), "RAX at the window, access %u", some[i]);
		next(vcpu, some[i], "after a window");
		/* The debugger sees the end of the access. */
		DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		EQ(vcpu->run->exit_reason, KVM_EXIT_DEBUG, "a step of the debugger, access %u", some[i]);
		vcpu_regs(vcpu, &r);
		EQ(r.rax, result(some[i]), "RAX after the debugger's step, access %u", some[i]);
		DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &none);
		next(vcpu, some[i], "after the debugger's step");
		next(vcpu, some[i], "without a debugger");
		/* TF, which user space sets at the access. */
		vcpu_regs(vcpu, &r);
		r.rflags |= 0x100;
		vcpu_set_regs(vcpu, &r);
		next(vcpu, some[i], "a step of the guest");
		EQ(GUEST(&vm, steps), 1, "single steps, access %u", some[i]);
		next(vcpu, some[i], "after the guest's step");
		vm_destroy(&vm);
	}
}

/* The guest's own TF and STI before an access that has been made often: at the same RIP, so that it looks the same. */
static void guest_flags(void)
{
	u64 i, flags, behind;

	g_trap_fn[VEC_DB] = on_step;
	for (i = 0;; i++) {
		flags = 2 | (i > WARM ? 0x100 : 0);
		asm volatile("lea 1f(%%rip), %0; push %1; popfq; outb %%al, %%dx; 1: pushfq; andl $~0x100, (%%rsp); popfq"
			     : "=&r" (behind) : "r" (flags), "a" (i), "d" (PORT) : "memory", "cc");
		count = i;
		G_EQ(steps, i > WARM ? i - WARM : 0, "single steps over OUT");
		G_EQ(stepped_to, i > WARM ? behind : 0, "where the last one ended");
		if (i + 1 == 2 * WARM)
			asm volatile("outb %%al, %%dx" : : "a" (0), "d" (PORT + 1));
	}
}

/* For user space, and for an ioeventfd. */
static void host_flags(void)
{
	struct kvm_ioeventfd io = { .addr = PORT, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO };
	struct vcpu *vcpu;
	struct vm vm;
	u64 n;
	int i;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_flags);
	for (i = 0; i < 2 * WARM; i++) {
		MUST(vcpu_run_to_call(vcpu, NULL) == GCALL_NONE, "a call");
		MUST(vcpu->run->exit_reason == KVM_EXIT_IO, "exit %u", vcpu->run->exit_reason);
		EQ(*((u8 *)vcpu->run + 4096), i, "data");
	}
	vm_destroy(&vm);

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_flags);
	io.fd = eventfd(0, 0);
	DO(vm.fd, KVM_IOEVENTFD, &io);
	MUST(vcpu_run_to_call(vcpu, NULL) == GCALL_NONE, "a call");
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "the exit after those to the ioeventfd");
	EQ(vcpu->run->io.port, PORT + 1, "its port");
	OK(read(io.fd, &n, 8) == 8 && n == 2 * WARM, "the ioeventfd was signalled %llu times", (long long)n);
	close(io.fd);
	vm_destroy(&vm);
}

/* An ioeventfd is bound to the address that exits, and taken away again. */
static void host_bound(void)
{
	static const enum kind stores[] = { OUT8, OUT16, OUT32, STORE8, STORE32, STORE64 };
	struct kvm_ioeventfd io;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;
	u64 n;

	for (i = 0; i < ARRAY_SIZE(stores); i++) {
		enum kind other = stores[i] < NR_PORT_KINDS ? IN16 : LOAD16;

		vcpu = warm_vm(&vm, stores[i], 0);
		io = (struct kvm_ioeventfd) {
			.addr = stores[i] < NR_PORT_KINDS ? PORT : DEV, .len = size_of(stores[i]), .fd = eventfd(0, 0),
			.flags = stores[i] < NR_PORT_KINDS ? KVM_IOEVENTFD_FLAG_PIO : 0,
		};
		MUST(io.fd >= 0, "eventfd");
		next(vcpu, stores[i], "before an ioeventfd is bound");
		DO(vm.fd, KVM_IOEVENTFD, &io);
		/* The access that waits is complete with the first of these, and five go to the ioeventfd. */
		GUEST(&vm, limit) = GUEST(&vm, count) + 6;
		GUEST(&vm, after) = other;
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		answer(vcpu, other, "another access");
		OK(read(io.fd, &n, 8) == 8 && n == 5, "the ioeventfd was signalled %llu times, access %u", (long long)n, stores[i]);
		io.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
		DO(vm.fd, KVM_IOEVENTFD, &io);
		GUEST(&vm, kind) = stores[i];
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		answer(vcpu, stores[i], "after the ioeventfd");
		next(vcpu, stores[i], "after the ioeventfd");
		close(io.fd);
		vm_destroy(&vm);
	}
}

static const struct ksft_test tests[] = {
	{ .name = "kvm_run and results", .host = host_fields },
	{ .name = "strings and two pages", .host = host_strings },
	{ .name = "immediate_exit", .host = host_immediate_exit },
	{ .name = "registers", .host = host_registers },
	{ .name = "registers in kvm_run", .host = host_sync_regs },
	{ .name = "other threads and processors", .host = host_threads },
	{ .name = "fork and exec", .host = host_fork },
	{ .name = "two vCPUs in a thread", .host = host_two_vcpus },
	{ .name = "events", .host = host_events },
	{ .name = "TF", .host = host_flags },
	{ .name = "ioeventfds", .host = host_bound },
};

KSFT_MAIN(tests)
