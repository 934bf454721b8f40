// SPDX-License-Identifier: GPL-2.0
/* Random calls from several threads on VMs whose guests run random code. Nothing worse than errors may result. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fuzz/fuzz.h"
#include "guest.h"
#include "inspect.h"


static u64 seed = 1, ops = 500;	/* @ops: operations per thread and round */
struct machine machines[NR_MACHINES];
static int run_size;
static volatile int busy;	/* number of threads still running */

/* --- machines; threads race for them on purpose --- */

static void swap_fd(volatile int *slot, int fd)
{
	int old = __atomic_exchange_n(slot, fd, __ATOMIC_SEQ_CST);

	if (old >= 0)
		close(old);
}

static void make_vcpu(struct machine *m, u32 i)
{
	int fd = ioctl(m->vm, KVM_CREATE_VCPU, i);
	void *run;

	if (fd < 0)
		return;
	run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	m->run[i] = run == MAP_FAILED ? NULL : run;
	swap_fd(&m->vcpu[i], fd);
}

static void give_cpuid(struct fuzzer *f, struct machine *m, u32 i)
{
	struct kvm_cpuid2 *c = (void *)f->args;

	c->nent = 200;
	if (!ioctl(m->dev, KVM_GET_SUPPORTED_CPUID, c))
		ioctl(m->vcpu[i], KVM_SET_CPUID2, c);
}

static void make_machine(struct fuzzer *f, struct machine *m)
{
	struct kvm_userspace_memory_region r = { .memory_size = GUEST_SIZE, .userspace_addr = POOL };
	struct droste_pass_ports ports = { .first = 0x84, .count = 3, .on = 1 };	/* nothing uses them */
	struct kvm_pit_config pit = { .flags = 1 };
	int vm = ioctl(m->dev, KVM_CREATE_VM, 0);
	u32 i;

	if (vm < 0)
		return;
	r.flags = CHANCE(f, 30) ? KVM_MEM_LOG_DIRTY_PAGES : 0;
	ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r);
	if (CHANCE(f, 70))
		ioctl(vm, KVM_CREATE_IRQCHIP, 0);
	if (CHANCE(f, 40))
		ioctl(vm, KVM_CREATE_PIT2, &pit);
	/* Later machines have lost the capability, and can only take ports away. */
	ioctl(vm, DROSTE_PASS_PORTS, &ports);
	swap_fd(&m->vm, vm);
	for (i = 0; i < 2; i++) {
		make_vcpu(m, i);
		if (CHANCE(f, 90))
			give_cpuid(f, m, i);
		set_state(f, m->vcpu[i]);
	}
}

/* --- operations --- */

static void op_ioctl(struct fuzzer *f, struct machine *m)
{
	const struct ioctl_row *r = &ioctl_rows[rnd(f) % nr_ioctl_rows];
	int fds[4], n = 0, fd;

	/* Not here: nothing would close the descriptors that these create. */
	if (r->cmd == KVM_CREATE_VM || r->cmd == KVM_CREATE_VCPU || r->cmd == KVM_GET_STATS_FD || r->cmd == KVM_CREATE_DEVICE ||
	    r->cmd == DROSTE_INSPECT || r->on & ON_INSPECT)
		return;
	if (r->on & ON_DEV)
		fds[n++] = m->dev;
	if (r->on & ON_VM)
		fds[n++] = m->vm;
	if (r->on & ON_VCPU) {
		fds[n++] = m->vcpu[0];
		fds[n++] = m->vcpu[1];
	}
	fd = fds[rnd(f) % n];
	if (fd >= 0 && ioctl(fd, r->cmd, make_arg(f, r, fd, m)) < 0)
		f->failed++;
}

static void op_run(struct fuzzer *f, struct machine *m)
{
	u32 i = rnd(f) & 1, turns = rnd(f) % 8;
	struct kvm_run *run = m->run[i];

	do {
		if (run && CHANCE(f, 20))
			run->request_interrupt_window = rnd(f);
		if (ioctl(m->vcpu[i], KVM_RUN, 0) < 0)
			return;
		f->exits++;
		if (run)
			f->reasons |= 1ul << (run->exit_reason & 63);
		/* The data of a read exit are the old contents or this value. */
		if (run && CHANCE(f, 50))
			*(u64 *)run->mmio.data = interesting(f);
	} while (turns--);
}

static void op_state(struct fuzzer *f, struct machine *m)
{
	set_state(f, m->vcpu[rnd(f) & 1]);
}

static void op_code(struct fuzzer *f, struct machine *m)
{
	write_code(f);
	if (CHANCE(f, 20))
		write_tables();
	if (CHANCE(f, 20))
		mangle(f, (u8 *)POOL + TABLES_AT, 0x3000, 4);
}

/* Drops or maps memory that guests are using. */
static void op_memory(struct fuzzer *f, struct machine *m)
{
	u64 at = POOL + (rnd(f) % (GUEST_SIZE >> 12) << 12), size = 0x1000ul << (rnd(f) % 8);
	u32 what = rnd(f) % 4;

	/* Other threads write to the code area. */
	if (what == 1 && at < POOL + CODE_AT + CODE_SIZE)
		return;
	switch (what) {
	case 0:
		madvise((void *)at, size, MADV_DONTNEED);
		break;
	case 1:
		mprotect((void *)at, size, PROT_READ);
		madvise((void *)at, size, MADV_HUGEPAGE);
		mprotect((void *)at, size, PROT_READ | PROT_WRITE);
		break;
	case 2:
		mmap((void *)at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
		break;
	default:
		mmap((void *)at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
		break;
	}
}

static void op_slot(struct fuzzer *f, struct machine *m)
{
	const struct ioctl_row *r = ioctl_row(KVM_SET_USER_MEMORY_REGION, ON_VM);

	ioctl(m->vm, r->cmd, make_arg(f, r, m->vm, m));
}

static void op_scribble(struct fuzzer *f, struct machine *m)
{
	u8 *run = (u8 *)m->run[rnd(f) & 1];

	if (run)
		mangle(f, run, CHANCE(f, 50) ? 256 : run_size, 3);
}

static void op_close(struct fuzzer *f, struct machine *m)
{
	switch (rnd(f) % 4) {
	case 0:
		swap_fd(&m->vm, -1);
		break;
	case 1:
		swap_fd(&m->vcpu[rnd(f) & 1], -1);
		break;
	case 2:
		swap_fd(&m->event, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
		break;
	default:
		make_machine(f, m);
		break;
	}
}

static void op_event(struct fuzzer *f, struct machine *m)
{
	u64 one = 1;

	if (write(m->event, &one, sizeof(one)) < 0)
		f->failed++;
}

/* Exits at which a vCPU stands until op_inspect() goes on: all, or some that a guest makes soon. */
static void make_match(struct fuzzer *f, struct droste_match *m)
{
	*m = (struct droste_match) { .flags = rnd(f) & (DROSTE_MATCH_VCPU | DROSTE_MATCH_LEVEL | DROSTE_MATCH_TO) };
	if (m->flags & DROSTE_MATCH_VCPU)
		m->vcpu = rnd(f) & 1;
	if (m->flags & DROSTE_MATCH_LEVEL)
		m->level = CHANCE(f, 90) ? 1 : 2;
	m->nth = CHANCE(f, 50) ? 0 : rnd(f) % 4;
}

/* Looks at a VM, which other threads run, change and close. */
static void op_inspect(struct fuzzer *f, struct machine *m)
{
	struct droste_vm_name name = { .flags = CHANCE(f, 90) ? DROSTE_NEXT : rnd(f) };
	struct droste_vm_info info = { .number = 0 };
	int i, fd = -1, skip = rnd(f) % NR_MACHINES;

	/* A small number of VMs exists at a time, with any numbers. */
	do {
		if (fd >= 0)
			close(fd);
		name.number = info.number;
		fd = ioctl(m->dev, DROSTE_INSPECT, &name);
	} while (fd >= 0 && !ioctl(fd, DROSTE_VM_INFO, &info) && skip--);
	if (fd < 0)
		return;
	for (i = 0; i < nr_ioctl_rows; i++) {
		const struct ioctl_row *r = &ioctl_rows[i];
		u32 *arg;

		if (!(r->on & ON_INSPECT) || CHANCE(f, 30))
			continue;
		arg = (u32 *)make_arg(f, r, fd, m);
		/* The first word is the vCPU's index, the second which VMCS, or flags of which there are few. */
		if (arg == (u32 *)f->args && CHANCE(f, 80)) {
			arg[0] = rnd(f) & 1;
			arg[1] = CHANCE(f, 50) ? 0 : rnd(f) % 5;
			if (r->cmd == DROSTE_BREAK)
				make_match(f, (struct droste_match *)arg);
		}
		if (ioctl(fd, r->cmd, arg) < 0)
			f->failed++;
	}
	close(fd);
}

static const struct {
	u8 weight;
	void (*fn)(struct fuzzer *f, struct machine *m);
} kinds[] = {
	{ 42, op_ioctl }, { 22, op_run }, { 9, op_state }, { 5, op_code }, { 4, op_memory }, { 5, op_slot },
	{ 3, op_scribble }, { 4, op_close }, { 3, op_event }, { 3, op_inspect },
};

static void *fuzz(void *arg)
{
	struct fuzzer *f = arg;
	u32 n, i;

	for (; f->ops; f->ops--) {
		n = rnd(f) % 100;
		for (i = 0; n >= kinds[i].weight; i++)
			n -= kinds[i].weight;
		kinds[i].fn(f, &machines[rnd(f) % NR_MACHINES]);
	}
	__atomic_sub_fetch(&busy, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* --- a round --- */

static void kicked(int sig)
{
}

static void make_pool(void)
{
	void *p = mmap((void *)(POOL - (1ul << 32)), 1ul << 33, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	MUST(p == (void *)(POOL - (1ul << 32)), "the pool: %s", strerror(errno));
	p = mmap((void *)POOL, POOL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	MUST(p != MAP_FAILED, "the pool: %s", strerror(errno));
}

static void still_works(void)
{
	struct vm vm;

	vm_create(&vm, 0);
	vcpu_run_to_end(vcpu_create(&vm, 0, g_done));
	vm_destroy(&vm);
}

static int part;	/* number of the subtest */

static void prepare(struct fuzzer *f)
{
	int i;

	make_pool();
	write_tables();
	for (i = 0; i < 40; i++)
		write_code(f);
	for (i = 0; i < NR_MACHINES; i++) {
		machines[i] = (struct machine) { .dev = device_open(), .vm = -1, .vcpu = { -1, -1 },
						 .event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
		run_size = DO(machines[i].dev, KVM_GET_VCPU_MMAP_SIZE, 0);
		make_machine(f, &machines[i]);
	}
}

static void host_round(void)
{
	static struct fuzzer f[NR_THREADS];
	pthread_t t[NR_THREADS];
	u64 failed = 0, exits = 0, reasons = 0;
	int i;

	signal(SIGUSR1, kicked);
	for (i = 0; i < NR_THREADS; i++)
		f[i] = (struct fuzzer) {
			.rng = (seed * 1000 + part * 10 + i + 1) * 0x9e3779b97f4a7c15ul,
			.args = (u8 *)POOL + POOL_ARGS + i * ARGS_SIZE, .ops = ops,
		};
	prepare(&f[0]);
	/* Guests must not reach ports of the host but those that make_machine() passes. */
	drop_capability(CAP_SYS_RAWIO);
	ksft_diag("seed %llu, round %d, %llu operations", (long long)seed, part, (long long)(ops * NR_THREADS));
	busy = NR_THREADS;
	for (i = 0; i < NR_THREADS; i++)
		MUST(!pthread_create(&t[i], NULL, fuzz, &f[i]), "thread");
	/* Guests that never exit are interrupted. */
	while (busy) {
		usleep(500);
		for (i = 0; i < NR_THREADS; i++)
			pthread_kill(t[i], SIGUSR1);
	}
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(t[i], NULL);
		failed += f[i].failed;
		exits += f[i].exits;
		reasons |= f[i].reasons;
	}
	ksft_diag("%llu calls failed; KVM_RUN ended %llu times, exit reasons %#llx", (long long)failed, (long long)exits,
		  (long long)reasons);
	still_works();
}

#define ROUND(n) static void host_##n(void) { part = n; host_round(); }
ROUND(0)
ROUND(1)
ROUND(2)
ROUND(3)
ROUND(4)
ROUND(5)

static const struct ksft_test tests[] = {
	{ "round 0", .host = host_0 }, { "round 1", .host = host_1 }, { "round 2", .host = host_2 },
	{ "round 3", .host = host_3 }, { "round 4", .host = host_4 }, { "round 5", .host = host_5 },
};

static const struct ksft_option options[] = {
	{ "--seed", &seed, NULL, "the seed of the random operations" },
	{ "--ops", &ops, NULL, "how many operations a round has" },
};

int main(int argc, char **argv)
{
	return ksft_options(argc, argv, options, ARRAY_SIZE(options)) ? ksft_main(tests, ARRAY_SIZE(tests)) : 2;
}
