// SPDX-License-Identifier: GPL-2.0
/* PAUSE-loop exiting while L2 runs: whose an exit is; and which vCPU runs in place of one that spins. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "save.h"
#include "stat.h"
#include "vm.h"
#include "vmx.h"

#define GAP	128
#define L0_WINDOW	4096	/* Droste's at first */

/* Exits because of PAUSE that L1 was shown. */
static u64 shown(struct vcpu *vcpu)
{
	return stat_at(vcpu, "l2_exits_reflected_by_reason", R_PAUSE);
}

/* --- L2 --- */

static volatile u64 spins, pauses;	/* PAUSEs in a loop of L2; those that L2 has executed */
static volatile u64 rests, works;	/* loops of L2, and instructions between two of them */

static void l2_spin(void)
{
	u64 i, j;

	for (;;) {
		for (j = 0; j < rests; j++) {
			for (i = 0; i < spins; i++) {
				pauses++;
				relax();
			}
			for (i = 0; i < works; i++)
				asm volatile("" : : : "memory");
		}
		asm volatile("vmcall" : : : "memory");
	}
}

static u64 l2_spin_user(u64 n)
{
	u64 i;

	for (i = 0; i < n; i++)
		relax();
	return 0;
}

static void l2_user(void)
{
	for (;;) {
		g_user(l2_spin_user, spins);
		asm volatile("vmcall" : : : "memory");
	}
}

/* --- L1 --- */

static volatile u64 exits_seen, first_at;	/* exits because of PAUSE that L1 saw; the PAUSEs before the first of them */

/* Runs L2 up to its VMCALL. */
static void run_l2(void)
{
	u64 reason;

	exits_seen = 0;
	first_at = 0;
	pauses = 0;
	for (;;) {
		reason = vmx_run();
		if (reason != R_PAUSE)
			break;
		if (!exits_seen++)
			first_at = pauses;
		G_EQ(vmread(F_ILEN), 2, "length of PAUSE");
		G_EQ(vmread(F_QUAL), 0, "qualification");
		G_EQ(*(u16 *)vmread(F_RIP), 0x90f3, "RIP is at PAUSE");
		vmx_skip();
	}
	G_EQ(reason, R_VMCALL, "L2's VMCALL");
	vmx_skip();
}

#define PIC_MASK	0x21
#define SLACK		4096	/* TSC cycles that L0 takes for its own time between two exits: PAUSELOOP_SLACK */

static volatile u64 exit_cycles;	/* that an exit of L1 takes which L0 handles on its general path */

static void measure_exits(void)
{
	u64 begin, best = ~0ul;
	u32 i;
	u8 val;

	for (i = 0; i < 8; i++) {
		begin = rdtsc();
		asm volatile("inb %1, %0" : "=a" (val) : "i" (PIC_MASK));
		if (rdtsc() - begin < best)
			best = rdtsc() - begin;
	}
	exit_cycles = best;
}

static volatile u64 l1_gap, l1_window;	/* of L1; window 0: L1 does not ask */

/* Runs L2 and tells the host each time. The host says what L1 asks for. */
static void run_turns(void (*fn)(void))
{
	vmcs_new(fn);
	vmset(F_PROC, PROC_SECONDARY);
	measure_exits();
	for (;;) {
		g_sync(1);
		if (l1_window) {
			vmset(F_PROC2, SEC_PLE);
			vmwrite(F_PLE_GAP, l1_gap);
			vmwrite(F_PLE_WINDOW, l1_window);
		} else {
			vmclr(F_PROC2, SEC_PLE);
		}
		run_l2();
	}
}

static void guest_l1(void)
{
	run_turns(l2_spin);
}

static void guest_l1_user(void)
{
	run_turns(l2_user);
}

/* Each PAUSE exits to L1, whatever else is asked for. */
static void guest_each(void)
{
	vmcs_new(l2_spin);
	need(F_PROC, PROC_PAUSE, "no PAUSE exiting");
	if (g_arg()) {
		need_secondary(SEC_PLE, "no PAUSE-loop exiting for L1");
		vmwrite(F_PLE_GAP, GAP);
		vmwrite(F_PLE_WINDOW, 1 << 20);
	}
	spins = 100;
	rests = 1;
	run_l2();
	G_EQ(exits_seen, 100, "exits");
	G_EQ(first_at, 1, "PAUSEs before the first");
}

/* --- the host --- */

static struct vcpu *begin(struct vm *vm, void (*fn)(void), bool l0)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} caps = { .head.nmsrs = 1, .entry.index = MSR_VMX_PROC2 };
	struct vcpu *vcpu;

	vm_create(vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(vm))
		ksft_skip("no VMX");
	if (ioctl(vm->dev, KVM_GET_MSRS, &caps) != 1 || !(caps.entry.data >> 32 & SEC_PLE))
		ksft_skip("no PAUSE-loop exiting for L1");
	if (!l0)
		EQ(vm_enable_cap(vm, KVM_CAP_X86_DISABLE_EXITS, KVM_X86_DISABLE_EXITS_PAUSE), 0, "no PAUSE exits of L0");
	vcpu = vcpu_create(vm, 0, fn);
	vcpu_run_to_sync(vcpu, 1);
	return vcpu;
}

/* Runs L2 once. */
static void turn(struct vcpu *vcpu, u64 window, u64 n, u64 loops, u64 work)
{
	GUEST(vcpu->vm, l1_gap) = GAP;
	GUEST(vcpu->vm, l1_window) = window;
	GUEST(vcpu->vm, spins) = n;
	GUEST(vcpu->vm, rests) = loops;
	GUEST(vcpu->vm, works) = work;
	vcpu_run_to_sync(vcpu, 1);
}

static void host_l0_alone(void)
{
	struct vm vm;
	struct vcpu *vcpu = begin(&vm, guest_l1, true);

	turn(vcpu, 0, 100000, 1, 0);
	EQ(GUEST(&vm, exits_seen), 0, "L1, which does not ask for them, sees no exits because of PAUSE");
	EQ(shown(vcpu), 0, "none are counted as shown");
	OK(stat(vcpu, "pause_exits") > 2, "L0 has exits of its own, %llu", (unsigned long long)stat(vcpu, "pause_exits"));
	OK(stat(vcpu, "pause_exits") < 100, "but its window grows");
	vm_destroy(&vm);
}

static void host_off(void)
{
	struct vm vm;
	struct vcpu *vcpu = begin(&vm, guest_l1, false);

	turn(vcpu, 0, 100000, 1, 0);
	EQ(stat(vcpu, "pause_exits"), 0, "no exits because of PAUSE");
	turn(vcpu, L0_WINDOW, 20000, 1, 0);
	OK(GUEST(&vm, exits_seen) > 2, "L1 alone asks, and sees exits");
	EQ(stat(vcpu, "pause_exits"), GUEST(&vm, exits_seen), "all are L1's");
	vm_destroy(&vm);
}

/* A kernel with sanitizers takes longer for an exit than L0 allows itself, and then each exit ends a loop for L0. */
static void need_fast_l0(struct vm *vm)
{
	if (GUEST(vm, exit_cycles) > SLACK)
		ksft_skip("an exit takes %llu cycles, more than %u", (unsigned long long)GUEST(vm, exit_cycles), SLACK);
}

/* PAUSEs of L2 before an L1 sees the first exit, without exits of L0's own. */
static u64 pauses_alone(u64 window)
{
	struct vm vm;
	struct vcpu *vcpu = begin(&vm, guest_l1, false);
	u64 n;

	/* The emulator's clock goes on in steps of some instructions then, and a step may be longer than the gap. */
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		ksft_skip("the lengths of loops are exact on one processor only");
	need_fast_l0(&vm);
	turn(vcpu, window, 50000, 1, 0);
	n = GUEST(&vm, first_at);
	vm_destroy(&vm);
	/* An interrupt or another exit of L0's ends a loop. On the strict machine they come all the time. */
	if (!n)
		ksft_skip("no loop lasts as long as L1's window");
	return n;
}

/* With a window that is smaller than L0's, L1 sees what it would see alone. */
static void host_smaller(void)
{
	u64 alone = pauses_alone(L0_WINDOW / 4), at;
	struct vm vm;
	struct vcpu *vcpu = begin(&vm, guest_l1, true);

	turn(vcpu, L0_WINDOW / 4, 50000, 1, 0);
	at = GUEST(&vm, first_at);
	OK(at >= alone * 9 / 10 && at <= alone * 11 / 10, "first exit at PAUSE %llu, alone at %llu", (unsigned long long)at, (unsigned long long)alone);
	EQ(stat(vcpu, "pause_exits"), shown(vcpu), "L0 has no exits of its own");
	EQ(GUEST(&vm, exits_seen), shown(vcpu), "exits that L1 has seen");
	vm_destroy(&vm);
}

/* With a window that is larger, L0 has exits of its own, and L1's come when its window has run out. */
static void host_larger(void)
{
	u64 window = L0_WINDOW * 10, alone = pauses_alone(window), at, own;
	struct vm vm;
	struct vcpu *vcpu = begin(&vm, guest_l1, true);

	turn(vcpu, window, alone * 9 / 10, 1, 0);
	own = stat(vcpu, "pause_exits");
	OK(own > 1, "L0 has exits of its own");
	EQ(GUEST(&vm, exits_seen), 0, "none is shown to L1 before its window has run out");
	EQ(shown(vcpu), 0, "none is counted as shown");
	turn(vcpu, window, alone * 3 / 2, 1, 0);
	EQ(GUEST(&vm, exits_seen), 1, "L1 sees one exit in one and a half windows");
	at = GUEST(&vm, first_at);
	/* L0 knows a loop's length but for a gap at each exit of its own. */
	OK(at >= alone - alone / 100 && at <= alone + alone / 20, "at PAUSE %llu, alone at %llu", (unsigned long long)at, (unsigned long long)alone);
	OK(stat(vcpu, "pause_exits") > own + 1, "and L0 has had exits of its own before");
	turn(vcpu, window, alone * 5, 1, 0);
	OK(GUEST(&vm, exits_seen) >= 4 && GUEST(&vm, exits_seen) <= 5, "L1 sees one exit for each window, %llu in five",
	   (unsigned long long)GUEST(&vm, exits_seen));
	vm_destroy(&vm);
}

/* Loops that are too short for L1's window do not add up, although L0 has exits of its own in each. */
static void host_many(void)
{
	u64 window = L0_WINDOW * 10, alone = pauses_alone(window);
	struct vm vm;
	struct vcpu *vcpu = begin(&vm, guest_l1, true);

	turn(vcpu, window, alone / 3, 20, 20000);
	EQ(GUEST(&vm, exits_seen), 0, "L1 sees no exit");
	OK(stat(vcpu, "pause_exits") > 2, "L0 has exits of its own");
	turn(vcpu, window, alone / 3, 20, 0);
	OK(GUEST(&vm, exits_seen) > 2, "without a rest between them they are one loop");
	vm_destroy(&vm);
}

/* The window that L1 writes counts from its next entry on. */
static void host_changes(void)
{
	u64 alone = pauses_alone(L0_WINDOW * 10);
	struct vm vm;
	struct vcpu *vcpu = begin(&vm, guest_l1, true);
	int i;

	for (i = 0; i < 5; i++) {
		turn(vcpu, L0_WINDOW * 10, alone * 9 / 10, 1, 0);
		EQ(GUEST(&vm, exits_seen), 0, "a large window, turn %d", i);
		turn(vcpu, L0_WINDOW / 4, alone * 9 / 10, 1, 0);
		OK(GUEST(&vm, exits_seen) > 10, "a small window, turn %d", i);
		turn(vcpu, 0, alone * 2, 1, 0);
		EQ(GUEST(&vm, exits_seen), 0, "none, turn %d", i);
	}
	vm_destroy(&vm);
}

/* User mode does not exit by PAUSE-loop exiting (SDM 3C 26.1.3). */
static void host_user(void)
{
	struct vm vm;
	struct vcpu *vcpu = begin(&vm, guest_l1_user, true);

	turn(vcpu, L0_WINDOW / 4, 50000, 1, 0);
	EQ(GUEST(&vm, exits_seen), 0, "L1 sees no exits of CPL 3");
	EQ(stat(vcpu, "pause_exits"), 0, "L0 neither");
	vm_destroy(&vm);
}

/* --- two vCPUs on one CPU --- */

static volatile u64 stop, count;

static void guest_busy(void)
{
	while (!stop)
		count++;
}

static u64 busy(u64 arg)
{
	while (!stop)
		count++;
	return 0;
}

static void guest_busy_user(void)
{
	g_user(busy, 0);
}

static void one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	MUST(!sched_setaffinity(0, sizeof(set), &set), "CPU 0");
}

/* vCPU 0 runs an L2 that spins, vCPU 1 runs @other on the same CPU meanwhile. Fills the exits shown and those kept. */
static void share_cpu(void (*other)(void), u64 *seen, u64 *kept, u64 *yields)
{
	struct vm vm;
	struct vcpu *vcpu;
	pthread_t t;

	one_cpu();
	vcpu = begin(&vm, guest_l1, true);
	need_fast_l0(&vm);
	if (other) {
		vcpu_create(&vm, 1, other);
		vcpu_thread(&vm.vcpu[1], &t);
		while (!__atomic_load_n(&GUEST(&vm, count), __ATOMIC_RELAXED))
			sched_yield();
	}
	turn(vcpu, L0_WINDOW, 100000, 1, 0);
	*seen = GUEST(&vm, exits_seen);
	*kept = stat(vcpu, "pause_l0_yields");
	*yields = stat(vcpu, "directed_yield_successful");
	EQ(*seen, shown(vcpu), "exits that L1 has seen");
	/* Once an exit has let the other vCPU run, L0's window is smaller than L1's. */
	OK(*seen + *kept <= stat(vcpu, "pause_exits"), "exits that are L0's alone");
	OK(stat(vcpu, "directed_yield_attempted") >= *yields, "yields that were tried");
	if (other) {
		GUEST(&vm, stop) = 1;
		pthread_join(t, NULL);
	}
	vm_destroy(&vm);
}

/* L1 is shown an exit only if no other vCPU waits for a CPU of L0. */
static void host_nobody(void)
{
	u64 seen, kept, yields;

	share_cpu(NULL, &seen, &kept, &yields);
	OK(seen > 10, "all exits are shown, %llu", (unsigned long long)seen);
	EQ(kept, 0, "none is kept");
	EQ(yields, 0, "nobody to yield to");
}

static void host_waits(void)
{
	u64 seen, kept, yields;

	share_cpu(guest_busy, &seen, &kept, &yields);
	OK(kept > 10, "exits are kept, %llu", (unsigned long long)kept);
	OK(yields >= kept, "for each of them, the other vCPU runs");
	/* 16 in a row at most */
	OK(seen <= kept / 16 + 1, "few are shown, %llu", (unsigned long long)seen);
	OK(seen >= kept / 17, "L1 is not cut off, %llu", (unsigned long long)seen);
}

/* A vCPU that was preempted in user mode holds no lock of a kernel. */
static void host_waits_user(void)
{
	u64 seen, kept, yields;

	share_cpu(guest_busy_user, &seen, &kept, &yields);
	OK(seen > 10, "exits are shown, %llu", (unsigned long long)seen);
	OK(kept <= 1, "hardly one is kept, %llu", (unsigned long long)kept);
}

/* --- the choice among vCPUs that wait --- */

static void guest_spins(void)
{
	for (u64 i = 0; i < spins; i++)
		relax();
	stop = 1;
}

static u64 begun;

static void guest_spins_on(void)
{
	__atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
	while (!stop)
		relax();
}

static void guest_counts_on(void)
{
	__atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
	guest_busy();
}

/* On one CPU, vCPU 0 executes @n PAUSEs in a loop, the vCPUs behind it @others, from before until it is done. */
static void choose(struct vm *vm, u64 n, void (**others)(void), unsigned int nr_others)
{
	pthread_t t[2];

	one_cpu();
	if (!is_droste())
		ksft_skip("not Droste");
	vm_create(vm, KSFT_IRQCHIP);
	GUEST(vm, spins) = n;
	vcpu_create(vm, 0, guest_spins);
	for (unsigned int i = 0; i < nr_others; i++)
		vcpu_thread(vcpu_create(vm, i + 1, others[i]), &t[i]);
	/* vCPU 0 may be done within one time slice, and one that was never in its guest does not wait for a CPU. */
	while (__atomic_load_n(&GUEST(vm, begun), __ATOMIC_RELAXED) < nr_others)
		sched_yield();
	vcpu_run_to_end(&vm->vcpu[0]);
	for (unsigned int i = 0; i < nr_others; i++)
		pthread_join(t[i], NULL);
}

/* A vCPU that spins itself may have got the lock meanwhile: every second exit of another one lets it run. */
static void host_spinners(void)
{
	void (*others[])(void) = { guest_spins_on };
	struct vm vm;
	u64 exits, tried;

	choose(&vm, 1000000, others, 1);
	exits = stat(&vm.vcpu[0], "pause_exits");
	tried = stat(&vm.vcpu[0], "directed_yield_attempted");
	ksft_diag("%llu exits because of PAUSE, %llu yields", (unsigned long long)exits, (unsigned long long)tried);
	OK(exits > 50, "vCPU 0 spins, %llu", (unsigned long long)exits);
	/* Where a tick has preempted the other vCPU outside its own exit, it counts as one that does not spin. */
	OK(tried > exits * 3 / 10 && tried < exits * 7 / 10, "half of them: %llu of %llu", (unsigned long long)tried,
	   (unsigned long long)exits);
	vm_destroy(&vm);
}

/* Of several vCPUs that wait, each has its turn. */
static void host_turns(void)
{
	void (*others[])(void) = { guest_counts_on, guest_counts_on };
	struct vm vm;
	u64 one, two;

	choose(&vm, 200000, others, 2);
	one = stat(&vm.vcpu[1], "directed_yield_received");
	two = stat(&vm.vcpu[2], "directed_yield_received");
	ksft_diag("%llu yields to vCPU 1, %llu to vCPU 2", (unsigned long long)one, (unsigned long long)two);
	EQ(one + two, stat(&vm.vcpu[0], "directed_yield_successful"), "all of vCPU 0's");
	OK(one > 5, "many, %llu", (unsigned long long)one);
	/* One may have begun before the other. */
	OK(one <= two + 2 && two <= one + 2, "as often");
	vm_destroy(&vm);
}

/* A vCPU that has been woken, and has not run since, may hold the lock as well. */
#define WOKEN_TURNS	20
#define VEC_WAKE	0x41

static void guest_wakes(void)
{
	apic_enable();
	for (u64 turn = 0; turn < WOKEN_TURNS; turn++) {
		g_sync(1);
		apic_icr(1, VEC_WAKE);
		for (u64 i = 0; i < spins; i++)
			relax();
	}
	stop = 1;
	apic_icr(1, VEC_WAKE);
}

static void on_wake(struct trap_regs *r)
{
	count++;
	apic_eoi();
}

static void guest_sleeps(void)
{
	g_trap_fn[VEC_WAKE] = on_wake;
	apic_enable();
	begun = 1;
	while (!stop)
		asm volatile("sti; hlt; cli" : : : "memory");
}

static void host_woken(void)
{
	/* A thread that is woken does not preempt another one then. */
	struct sched_param batch = {};
	struct vm vm;
	pthread_t t;
	u64 got;

	one_cpu();
	if (!is_droste())
		ksft_skip("not Droste");
	vm_create(&vm, KSFT_IRQCHIP);
	GUEST(&vm, spins) = 20000;
	vcpu_create(&vm, 0, guest_wakes);
	vcpu_thread(vcpu_create(&vm, 1, guest_sleeps), &t);
	MUST(!pthread_setschedparam(t, SCHED_BATCH, &batch), "SCHED_BATCH");
	while (!__atomic_load_n(&GUEST(&vm, begun), __ATOMIC_RELAXED))
		sched_yield();
	for (int i = 0; i < WOKEN_TURNS; i++) {
		vcpu_run_to_sync(&vm.vcpu[0], 1);
		/* vCPU 1 takes its interrupt, and sleeps. */
		usleep(2000);
	}
	vcpu_run_to_end(&vm.vcpu[0]);
	pthread_join(t, NULL);
	got = stat(&vm.vcpu[1], "directed_yield_received");
	ksft_diag("%llu yields, %llu exits because of PAUSE", (unsigned long long)got,
		  (unsigned long long)stat(&vm.vcpu[0], "pause_exits"));
	OK(got >= WOKEN_TURNS / 2, "a vCPU that was woken gets the CPU, %llu", (unsigned long long)got);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "L0 alone asks", .host = host_l0_alone },
	{ "L0 does not ask", .host = host_off },
	{ "L1's window is smaller than L0's", .host = host_smaller },
	{ "L1's window is larger than L0's", .host = host_larger },
	{ "loops that are too short for L1's window", .host = host_many },
	{ "L1 changes its window", .host = host_changes },
	{ "PAUSE in user mode", .host = host_user },
	{ "PAUSE exiting of L1", .guest = guest_each, .flags = KSFT_VMX },
	{ "PAUSE exiting and PAUSE-loop exiting of L1", .guest = guest_each, .flags = KSFT_VMX, .arg = 1 },
	{ "no other vCPU waits for a CPU", .host = host_nobody },
	{ "another vCPU waits for a CPU", .host = host_waits },
	{ "another vCPU waits in user mode", .host = host_waits_user },
	{ "another vCPU spins, too", .host = host_spinners },
	{ "others that wait for a CPU have their turns", .host = host_turns },
	{ "a vCPU that was woken", .host = host_woken },
};
KSFT_MAIN(tests)
