// SPDX-License-Identifier: GPL-2.0
/* WBINVD as a barrier: all vCPUs are out of the guest, all writes are in the dirty log, and nobody goes on until the release. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include "guest.h"
#include "inspect.h"
#include "save.h"
#include "stat.h"
#include "vm.h"
#include "vmx.h"

#define WBINVD()	asm volatile("wbinvd" : : : "memory")

static void set_exits(struct vm *vm, bool on)
{
	struct droste_barrier b = { .flags = on ? DROSTE_BARRIER_EXITS : 0 };

	DO(vm->fd, DROSTE_SET_BARRIER, &b);
}

static void release(struct vm *vm, u64 seq)
{
	DO(vm->fd, DROSTE_RELEASE_BARRIER, &seq);
}

/* A statistic of the VM. */
static u64 vm_stat(struct vm *vm, const char *name)
{
	struct vcpu of = { .fd = vm->fd };

	return stat(&of, name);
}

/* Log the writes to all memory of the VM, or no more. */
static void vm_log(struct vm *vm, bool on)
{
	vm_slot(vm, 0, on ? KVM_MEM_LOG_DIRTY_PAGES : 0, 0, MEM_SIZE, vm->mem);
}

/* KVM_RUN, which must end at a barrier of this level. Returns its number. */
static u64 run_to_barrier(struct vcpu *vcpu, u32 level)
{
	struct droste_barrier_exit e;

	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	if (vcpu->run->exit_reason != DROSTE_EXIT_BARRIER)
		describe_exit(vcpu);
	MUST(vcpu->run->exit_reason == DROSTE_EXIT_BARRIER, "the exit is a barrier");
	memcpy(&e, vcpu->run->padding, sizeof(e));
	EQ(e.level, level, "level");
	EQ(e.reserved, 0, "reserved");
	return e.seq;
}

/* --- one vCPU --- */

static void guest_wbinvd(void)
{
	for (;;) {
		WBINVD();
		g_sync(1);
	}
}

static void on_signal(int sig)
{
}

/* KVM_RUN is interrupted again and again, until it returns. */
static int run_interrupted(struct vcpu *vcpu)
{
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = { };
	int ret;

	signal(SIGALRM, on_signal);
	setitimer(ITIMER_REAL, &often, NULL);
	ret = vcpu_run_once(vcpu);
	setitimer(ITIMER_REAL, &never, NULL);
	return ret;
}

static void host_exit(void)
{
	struct droste_barrier bad[] = { { .flags = 2 }, { .reserved = { 1 } }, { .reserved = { 0, 0, 1 } } };
	struct kvm_regs regs;
	struct vcpu *vcpu;
	struct vm vm;
	u64 seq, i;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_wbinvd);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		FAILS(vm.fd, DROSTE_SET_BARRIER, &bad[i], EINVAL);
	FAILS(vm.fd, DROSTE_SET_BARRIER, NULL, EFAULT);
	FAILS(vm.fd, DROSTE_RELEASE_BARRIER, NULL, EFAULT);
	for (i = 0; i < 2; i++)
		FAILS(vm.fd, DROSTE_RELEASE_BARRIER, &i, ENOENT);
	vcpu_run_to_sync(vcpu, 1);
	EQ(vm_stat(&vm, "wbinvd_barriers"), 0, "no barrier without the wish for one");

	set_exits(&vm, true);
	seq = run_to_barrier(vcpu, 1);
	EQ(seq, 1, "the first barrier");
	vcpu_regs(vcpu, &regs);
	EQ(*(u16 *)(vm.mem + regs.rip - 2), 0x090f, "WBINVD is complete");
	EQ(run_interrupted(vcpu), -EINTR, "KVM_RUN waits");
	EQ(run_interrupted(vcpu), -EINTR, "and again");
	vcpu->run->immediate_exit = 1;
	EQ(vcpu_run_once(vcpu), -EINTR, "immediate_exit");
	vcpu->run->immediate_exit = 0;
	seq++;
	FAILS(vm.fd, DROSTE_RELEASE_BARRIER, &seq, ENOENT);
	release(&vm, 1);
	seq = 1;
	FAILS(vm.fd, DROSTE_RELEASE_BARRIER, &seq, ENOENT);
	vcpu_run_to_sync(vcpu, 1);
	EQ(run_to_barrier(vcpu, 1), 2, "the second");
	/* Who does not want barriers any more does not hold the vCPUs either. */
	set_exits(&vm, false);
	vcpu_run_to_sync(vcpu, 1);
	vcpu_run_to_sync(vcpu, 1);
	EQ(vm_stat(&vm, "wbinvd_barriers"), 2, "barriers");
	vm_destroy(&vm);
}

/* --- others --- */

static volatile u64 counter;

static void guest_counts(void)
{
	for (;;)
		counter++;
}

static volatile bool stop;
static volatile u64 interrupted;

/* Runs a vCPU that makes no exit but for signals. */
static void *run_on(void *arg)
{
	struct vcpu *vcpu = arg;

	while (!stop) {
		int ret = vcpu_run_once(vcpu);

		if (ret != -EINTR)
			ksft_fail(__FILE__, __LINE__, "KVM_RUN: %d, exit %u", ret, vcpu->run->exit_reason);
		interrupted++;
	}
	return NULL;
}

static void runner(struct vcpu *vcpu, pthread_t *thread)
{
	struct sigaction a = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &a, NULL);
	MUST(!pthread_create(thread, NULL, run_on, vcpu), "thread");
}

static void end_runner(pthread_t thread)
{
	stop = true;
	while (pthread_tryjoin_np(thread, NULL)) {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	}
}

static void wait_for_change(struct vm *vm)
{
	u64 was = GUEST(vm, counter);

	while (GUEST(vm, counter) == was)
		sched_yield();
}

/* Gives other threads every chance to run. */
static void let_run(void)
{
	for (int i = 0; i < 2000; i++)
		sched_yield();
}

static void host_held(void)
{
	u64 was, n, seq, i;
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_wbinvd);
	runner(vcpu_create(&vm, 1, guest_counts), &thread);
	wait_for_change(&vm);
	set_exits(&vm, true);
	for (i = 0; i < 5; i++) {
		seq = run_to_barrier(vcpu, 1);
		was = GUEST(&vm, counter);
		let_run();
		EQ(GUEST(&vm, counter), was, "the other vCPU waits");
		/* A signal ends its KVM_RUN, and the next one waits, too. */
		for (n = interrupted; interrupted == n;) {
			pthread_kill(thread, SIGUSR1);
			sched_yield();
		}
		let_run();
		EQ(GUEST(&vm, counter), was, "after a signal");
		release(&vm, seq);
		wait_for_change(&vm);
		vcpu_run_to_sync(vcpu, 1);
	}
	end_runner(thread);
	vm_destroy(&vm);
}

/* A vCPU that is made while a barrier waits for its release. */
static void host_new(void)
{
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;
	u64 seq;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_wbinvd);
	set_exits(&vm, true);
	seq = run_to_barrier(vcpu, 1);
	runner(vcpu_create(&vm, 1, guest_counts), &thread);
	let_run();
	EQ(GUEST(&vm, counter), 0, "the new vCPU waits");
	release(&vm, seq);
	wait_for_change(&vm);
	end_runner(thread);
	vm_destroy(&vm);
}

/* vCPUs that are not in the guest: halted, waiting for INIT and SIPI, never run, between two KVM_RUNs. */
static void guest_halts(void)
{
	counter++;
	asm volatile("sti; hlt");
	counter++;
	g_done();
}

static void host_absent(void)
{
	struct kvm_mp_state no_init = { KVM_MP_STATE_UNINITIALIZED };
	struct vcpu *vcpu, *between;
	pthread_t halted, waits;
	struct vm vm;
	int i;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_wbinvd);
	runner(vcpu_create(&vm, 1, guest_halts), &halted);
	while (!GUEST(&vm, counter))
		sched_yield();
	DO(vcpu_create(&vm, 2, guest_halts)->fd, KVM_SET_MP_STATE, &no_init);
	runner(&vm.vcpu[2], &waits);
	vcpu_create(&vm, 3, guest_halts);
	between = vcpu_create(&vm, 4, guest_wbinvd);
	vcpu_run_to_sync(between, 1);
	for (i = 0; i < 3; i++) {
		set_exits(&vm, true);
		release(&vm, run_to_barrier(vcpu, 1));
		vcpu_run_to_sync(vcpu, 1);
		set_exits(&vm, false);
		vm_log(&vm, true);
		vcpu_run_to_sync(vcpu, 1);
		vm_log(&vm, false);
	}
	EQ(vm_stat(&vm, "wbinvd_barriers"), 6, "barriers");
	EQ(vm_stat(&vm, "wbinvd_merged"), 0, "others");
	EQ(GUEST(&vm, counter), 1, "HLT was not ended");
	end_runner(halted);
	end_runner(waits);
	vm_destroy(&vm);
}

/* --- barriers that are given up --- */

#define GIVEN_UP	48
#define START_PORT	0x319

static volatile u64 passed[2];	/* WBINVDs that are complete */
static volatile u64 breaks;
void wbinvd_here(void);
asm(".pushsection .text\nwbinvd_here: wbinvd\nret\n.popsection");

static void on_break(struct trap_regs *regs)
{
	breaks++;
	regs->rflags |= BIT(16);
}

/* It has a breakpoint at its WBINVD. */
static void guest_passes0(void)
{
	g_trap_fn[VEC_DB] = on_break;
	write_dr0((u64)wbinvd_here);
	write_dr7(0x402);
	for (;; passed[0]++) {
		outb(START_PORT, 0);
		wbinvd_here();
	}
}

static void guest_passes1(void)
{
	for (;; passed[1]++) {
		outb(START_PORT, 0);
		WBINVD();
	}
}

static void guest_cpuids(void)
{
	u32 a, b, c, d;

	for (;;)
		cpuid(0, 0, &a, &b, &c, &d);
}

/* KVM_RUN again and again while signals end it. */
struct run {
	struct vcpu *vcpu;
	pthread_t thread;
	volatile u64 interrupted;
	volatile bool parks;	/* after a signal */
	u64 round;
	int ret;
};

static volatile u64 arrived, together;	/* the last round for which vCPU 1 was at its start; in which both began */

/* Two guests begin at nearly one moment, which differs a little each time, with barriers. */
static void start_together(struct run *r)
{
	volatile u64 *at = r->vcpu->id ? &together : &arrived;
	u64 n, round = ++r->round;

	if (r->vcpu->id)
		arrived = round;
	for (n = 1; *at != round && !stop; n++)
		if (n % 1000 == 0)
			sched_yield();
	if (!r->vcpu->id) {
		set_exits(r->vcpu->vm, true);
		together = round;
	}
	/* The breakpoint takes vCPU 0 some time. */
	for (n = 0; r->vcpu->id && n < round * 80; n++)
		asm volatile("");
}

static void *run_signalled(void *arg)
{
	struct run *r = arg;

	on_cpu(r->vcpu->id % sysconf(_SC_NPROCESSORS_ONLN));
	while (!stop) {
		r->ret = vcpu_run_once(r->vcpu);
		if (r->ret == -EINTR)
			for (r->interrupted++; r->parks && !stop;)
				usleep(1000);
		else if (!r->ret && r->vcpu->run->exit_reason == KVM_EXIT_IO && r->vcpu->run->io.port == START_PORT)
			start_together(r);
		else
			break;
	}
	return NULL;
}

static void run_begin(struct run *r, struct vcpu *vcpu)
{
	*r = (struct run) { .vcpu = vcpu };
	MUST(!pthread_create(&r->thread, NULL, run_signalled, r), "thread");
}

static void run_interrupt(struct run *r)
{
	u64 n = r->interrupted;

	while (r->interrupted == n) {
		pthread_kill(r->thread, SIGUSR1);
		usleep(1000);
	}
}

/*
 * A vCPU that stands at an exit keeps all barriers waiting. Two others execute WBINVD together, so that one often is part of
 * the other's barrier. The one that leads gives up because of a signal: the other must not go on, since it was none.
 */
static void host_given_up(void)
{
	static const struct droste_match cpuid_exit = { .flags = DROSTE_MATCH_VCPU | DROSTE_MATCH_REASON, .vcpu = 2, .reason = R_CPUID };
	struct sigaction a = { .sa_handler = on_signal };
	struct run run[3];
	struct pollfd p;
	struct vm vm;
	u64 i, j;

	sigaction(SIGUSR1, &a, NULL);
	vm_create(&vm, 0);
	vcpu_create(&vm, 0, guest_passes0);
	vcpu_create(&vm, 1, guest_passes1);
	vcpu_create(&vm, 2, guest_cpuids);
	p = (struct pollfd) { .fd = inspect_mine(&vm), .events = POLLIN };
	DO(p.fd, DROSTE_BREAK, &cpuid_exit);
	run_begin(&run[2], &vm.vcpu[2]);
	MUST(poll(&p, 1, 60000) == 1, "vCPU 2 stands");
	run_begin(&run[0], &vm.vcpu[0]);
	run_begin(&run[1], &vm.vcpu[1]);
	for (i = 0; i < GIVEN_UP; i++) {
		while (together <= i)
			usleep(1000);
		usleep(3000);
		for (j = 0; j < 2; j++) {
			run[j].parks = true;
			run_interrupt(&run[j]);
			usleep(3000);
			EQ(GUEST(&vm, passed[!j]), i, "WBINVDs of vCPU %d that are complete", (int)!j);
			run[j].parks = false;
			usleep(3000);
		}
		EQ(vm_stat(&vm, "wbinvd_barriers") + vm_stat(&vm, "wbinvd_merged"), 0, "those that were a barrier, or part of one");
		OK(GUEST(&vm, breaks) <= i + 1, "%d breakpoints at %d of vCPU 0", (int)GUEST(&vm, breaks), (int)i + 1);
		set_exits(&vm, false);
		run_interrupt(&run[0]);
		run_interrupt(&run[1]);
	}
	stop = true;
	close(p.fd);
	for (j = 0; j < 3; j++)
		while (pthread_tryjoin_np(run[j].thread, NULL))
			pthread_kill(run[j].thread, SIGUSR1);
	vm_destroy(&vm);
}

/* --- memory --- */

#define MSR_STEAL_TIME	0x4b564d03
#define INS_PORT	0x318
#define INS_BYTES	16

static volatile u64 read_in[INS_BYTES / 8] __attribute__((aligned(64)));
static u8 steal_areas[2][64] __attribute__((aligned(64)));

static void steal_begin(int i)
{
	wrmsr(MSR_STEAL_TIME, (u64)steal_areas[i] | 1);
}

static void guest_steal_wbinvd(void)
{
	steal_begin(0);
	guest_wbinvd();
}

static void guest_steal_counts(void)
{
	steal_begin(1);
	guest_counts();
}

static void guest_reads_in(void)
{
	u64 at = (u64)read_in, n = INS_BYTES;

	asm volatile("rep insb" : "+D" (at), "+c" (n) : "d" (INS_PORT) : "memory");
	g_done();
}

/*
 * What user space finds in memory at a barrier stays as it is: although vCPUs wait in KVM_RUN, are interrupted, and begin to
 * wait with an access that user space has answered.
 */
static void host_memory(void)
{
	struct vcpu *vcpu, *reads;
	pthread_t thread;
	struct run run;
	struct vm vm;
	u64 seq, n, i;
	u8 *copy;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_steal_wbinvd);
	vcpu_create(&vm, 1, guest_steal_counts);
	reads = vcpu_create(&vm, 2, guest_reads_in);
	copy = malloc(MEM_SIZE);
	MUST(copy, "memory");
	EQ(vcpu_run_once(reads), 0, "KVM_RUN");
	MUST(reads->run->exit_reason == KVM_EXIT_IO && reads->run->io.port == INS_PORT, "exit %u", reads->run->exit_reason);
	memset((u8 *)reads->run + reads->run->io.data_offset, 0x77, INS_BYTES);
	runner(&vm.vcpu[1], &thread);
	wait_for_change(&vm);
	set_exits(&vm, true);
	seq = run_to_barrier(vcpu, 1);
	memcpy(copy, vm.mem, MEM_SIZE);
	let_run();
	OK(!memcmp(copy, vm.mem, MEM_SIZE), "memory changes after the barrier");
	for (i = 0; i < 3; i++) {
		for (n = interrupted; interrupted == n;) {
			pthread_kill(thread, SIGUSR1);
			sched_yield();
		}
		let_run();
		OK(!memcmp(copy, vm.mem, MEM_SIZE), "memory changes when KVM_RUN of a vCPU that waits is interrupted");
	}
	EQ(run_interrupted(vcpu), -EINTR, "KVM_RUN of the vCPU that executed WBINVD");
	OK(!memcmp(copy, vm.mem, MEM_SIZE), "memory changes in KVM_RUN of the vCPU that executed WBINVD");
	run_begin(&run, reads);
	let_run();
	OK(!memcmp(copy, vm.mem, MEM_SIZE), "memory changes when an access is to be finished");
	run_interrupt(&run);
	OK(!memcmp(copy, vm.mem, MEM_SIZE), "memory changes when KVM_RUN is interrupted before an access is finished");
	release(&vm, seq);
	MUST(!pthread_join(run.thread, NULL), "join");
	EQ(run.ret, 0, "KVM_RUN after the release");
	EQ(reads->run->exit_reason, KVM_EXIT_IO, "the guest's call");
	EQ(GUEST(&vm, read_in[1]), 0x7777777777777777, "the bytes that INS has read");
	vcpu_run_to_sync(vcpu, 1);
	end_runner(thread);
	free(copy);
	vm_destroy(&vm);
}

/* --- while memory is logged --- */

#define STORM	300ul

static volatile u64 stormed[2];

static void storm(int i)
{
	while (stormed[i] < STORM) {
		stormed[i]++;
		WBINVD();
	}
	g_done();
}

static void guest_storm0(void)
{
	storm(0);
}

static void guest_storm1(void)
{
	storm(1);
}

static void host_storm(void)
{
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;

	vm_create(&vm, 0);
	vm_log(&vm, true);
	vcpu = vcpu_create(&vm, 0, guest_storm0);
	vcpu_thread(vcpu_create(&vm, 1, guest_storm1), &thread);
	vcpu_run_to_end(vcpu);
	pthread_join(thread, NULL);
	EQ(GUEST(&vm, stormed[0]), STORM, "of vCPU 0");
	EQ(GUEST(&vm, stormed[1]), STORM, "of vCPU 1");
	EQ(vm_stat(&vm, "wbinvd_barriers") + vm_stat(&vm, "wbinvd_merged"), 2 * STORM, "each is a barrier, or part of one");
	vm_destroy(&vm);
}

#define RING_BYTES	(1ul << 19)
#define RING_SIZE	(RING_BYTES / sizeof(struct kvm_dirty_gfn))

struct ring {
	volatile struct kvm_dirty_gfn *e;
	u64 next;
};

static void map_ring(struct vcpu *vcpu, struct ring *ring)
{
	void *at = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, KVM_DIRTY_LOG_PAGE_OFFSET * 4096);

	MUST(at != MAP_FAILED, "map the ring");
	*ring = (struct ring) { at };
}

/* Copies the pages in the ring. */
static void collect(struct vm *vm, struct ring *ring, u8 *copy)
{
	for (;; ring->next++) {
		volatile struct kvm_dirty_gfn *e = &ring->e[ring->next % RING_SIZE];

		if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
			return;
		MUST(!e->slot && e->offset < MEM_SIZE / 4096, "an entry");
		memcpy(copy + e->offset * 4096, vm->mem + e->offset * 4096, 4096);
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	}
}

static void same(struct vm *vm, const u8 *copy, u64 i)
{
	for (u64 page = 0; page < MEM_SIZE / 4096; page++)
		if (memcmp(copy + page * 4096, vm->mem + page * 4096, 4096))
			ksft_fail(__FILE__, __LINE__, "barrier %llu: page %#llx was written, and is in no ring", (unsigned long long)i,
				  (unsigned long long)page);
}

/* The guest's pages that are written, here from the heap on. */
#define OWN_PAGES	24
#define BARRIERS	6
#define PIT_COUNTER	0x40

static void guest_writes(void)
{
	u64 i;

	for (i = 1;; i++)
		*(volatile u64 *)(HEAP_END - (1 + i % OWN_PAGES) * 4096) = i;
}

static void guest_writes_and_waits(void)
{
	volatile u64 *p = g_page();
	u64 i;

	for (i = 1;; i++) {
		*p = i;
		WBINVD();
	}
}

static void l2_sets_tpr(void)
{
	u64 i;

	for (i = 1;; i++) {
		asm volatile("mov %0, %%cr8" : : "r" (i & 15));
		WBINVD();
	}
}

/* L2 writes into a page of L1's that the processor knows by its address alone. */
static void guest_l2_tpr(void)
{
	u64 vapic = (u64)g_page();

	vmx_on();
	vmcs_new(l2_sets_tpr);
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	vmwrite(F_VIRTUAL_APIC, vapic);
	vmwrite(F_TPR_THRESHOLD, 0);
	vmx_run();
}

/* L0 writes to memory for the guest, in the handlers of its exits. */
static void guest_reads_ports(void)
{
	u64 page = 0, at, n;

	for (;; page = (page + 1) % OWN_PAGES) {
		at = HEAP_END - (1 + page) * 4096;
		n = 4096;
		asm volatile("rep insb" : "+D" (at), "+c" (n) : "d" (PIT_COUNTER) : "memory");
	}
}

/* At each barrier the rings list all pages that differ from those at the one before. */
static void rings(void (*guest)(void), void (*other)(void), u32 level, unsigned int flags)
{
	struct ring ring[2];
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;
	u64 i, seq;
	u8 *copy;

	vm_create(&vm, flags);
	if (level == 2 && !vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	MUST(!vm_enable_cap(&vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, RING_BYTES), "enable the ring");
	vcpu = vcpu_create(&vm, 0, guest);
	vcpu_create(&vm, 1, other);
	for (i = 0; i < 2; i++)
		map_ring(&vm.vcpu[i], &ring[i]);
	copy = malloc(MEM_SIZE);
	MUST(copy, "memory");
	memcpy(copy, vm.mem, MEM_SIZE);
	vm_log(&vm, true);
	set_exits(&vm, true);
	runner(&vm.vcpu[1], &thread);
	for (i = 0; i < BARRIERS; i++) {
		seq = run_to_barrier(vcpu, level);
		collect(&vm, &ring[0], copy);
		collect(&vm, &ring[1], copy);
		same(&vm, copy, seq);
		DO(vm.fd, KVM_RESET_DIRTY_RINGS, 0);
		release(&vm, seq);
	}
	end_runner(thread);
	free(copy);
	vm_destroy(&vm);
}

static void host_rings(void)
{
	rings(guest_writes_and_waits, guest_writes, 1, 0);
}

static void host_handlers(void)
{
	rings(guest_writes_and_waits, guest_reads_ports, 1, KSFT_IRQCHIP | KSFT_PIT);
}

static void host_pinned(void)
{
	rings(guest_l2_tpr, guest_writes, 2, 0);
}

/* --- L2 --- */

#define ROUNDS 8

/* The CPUIDs have L0 take its shortest way, on which the WBINVD must not be. */
void hot_wbinvd(void);
asm("hot_wbinvd: cpuid; cpuid; cpuid; cpuid; wbinvd; jmp hot_wbinvd");

static void l2_wbinvd(void)
{
	for (;;) {
		WBINVD();
		try_vmcall();
	}
}

static void guest_l2(void)
{
	vmx_on();
	vmcs_usual(l2_wbinvd, g_page(), ept_new());
	vmx_expect(R_VMCALL, "L1 does not want the exit");
	vmx_skip();
	g_sync(1);
	need_secondary(SEC_WBINVD, "no WBINVD exiting");
	vmx_expect(R_WBINVD, "L1 wants it");
	g_sync(2);
	for (int i = 0; i < ROUNDS; i++)
		G_EQ(hot_spin_at(1000, hot_wbinvd), R_WBINVD, "behind CPUIDs");
	g_done();
}

static void host_l2(void)
{
	struct kvm_regs regs;
	struct vcpu *vcpu;
	struct vm vm;

	vcpu = vmx_vm(&vm, guest_l2);
	set_exits(&vm, true);
	release(&vm, run_to_barrier(vcpu, 2));
	vcpu_run_to_sync(vcpu, 1);
	release(&vm, run_to_barrier(vcpu, 2));
	vcpu_regs(vcpu, &regs);
	EQ(regs.rip == (u64)l2_wbinvd, false, "L1 runs");
	vcpu_run_to_sync(vcpu, 2);
	for (int i = 0; i < ROUNDS; i++)
		release(&vm, run_to_barrier(vcpu, 2));
	vcpu_run_to_end(vcpu);
	EQ(vm_stat(&vm, "wbinvd_barriers"), 2 + ROUNDS, "barriers");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "a barrier ends KVM_RUN", .host = host_exit },
	{ "other vCPUs wait", .host = host_held },
	{ "a vCPU that is new waits", .host = host_new },
	{ "vCPUs that are not in the guest", .host = host_absent },
	{ "a barrier that is given up", .host = host_given_up },
	{ "memory at a barrier stays as it is", .host = host_memory },
	{ "a storm of WBINVDs while memory is logged", .host = host_storm },
	{ "all writes are in the rings", .host = host_rings },
	{ "also those by L0 for the guest", .host = host_handlers },
	{ "also those of L2 to its virtual-APIC page", .host = host_pinned },
	{ "WBINVD of L2", .host = host_l2 },
};

KSFT_MAIN_DROSTE(tests, "barriers")
