// SPDX-License-Identifier: GPL-2.0
/* DROSTE_SET_PROFILE: the cost of exits hidden from a guest's clocks, and their rates. See docs/stealth.md. */
#include <unistd.h>
#include "hideclock.h"
#include "multicall.h"

#define PIT_HZ		1193182ull

static void host_cpuid(void)
{
	u64 bare = least(), shown = in_guest(0, 0), hidden;
	s64 extra = calibrate();

	OK(bare, "the TSC counts on with each instruction (SDM 3B 18.17)");
	OK(shown > bare + 50, "without a bound, an exit is seen: %llu ticks, %llu without a hypervisor",
	   (unsigned long long)shown, (unsigned long long)bare);
	hidden = in_guest(BOUND_NS, extra);
	ksft_diag("CPUID takes %llu ticks without a hypervisor, %llu in a guest, %llu in one that hides it; extra %lld",
		  (unsigned long long)bare, (unsigned long long)shown, (unsigned long long)hidden, (long long)extra);
	OK(hidden + 2 >= bare && hidden <= bare + 2, "within two instructions: %llu ticks, %llu without a hypervisor",
	   (unsigned long long)hidden, (unsigned long long)bare);
}

/* --- what is refused --- */

static void host_refused(void)
{
	struct droste_profile p = { .clock_bound = 1000001 };
	struct vm vm;

	vm_create(&vm, 0);
	if (ioctl(vm.fd, DROSTE_SET_PROFILE, &p) && errno == ENOTTY)
		ksft_skip("no DROSTE_SET_PROFILE");
	FAILS(vm.fd, DROSTE_SET_PROFILE, &p, EINVAL);
	p = (struct droste_profile) { .clock_bound = 1000, .clock_extra = 100001 };
	FAILS(vm.fd, DROSTE_SET_PROFILE, &p, EINVAL);
	p.clock_extra = -100001;
	FAILS(vm.fd, DROSTE_SET_PROFILE, &p, EINVAL);
	p.clock_extra = 1ull << 63;
	FAILS(vm.fd, DROSTE_SET_PROFILE, &p, EINVAL);
	p = (struct droste_profile) { .clock_extra = 1 };
	FAILS(vm.fd, DROSTE_SET_PROFILE, &p, EINVAL);
	for (u64 i = 0; i < ARRAY_SIZE(p.reserved); i++) {
		p = (struct droste_profile) {};
		p.reserved[i] = 1;
		FAILS(vm.fd, DROSTE_SET_PROFILE, &p, EINVAL);
	}
	FAILS(vm.fd, DROSTE_SET_PROFILE, (void *)8, EFAULT);
	p = (struct droste_profile) { .clock_bound = 1000 };
	MUST(!seteuid(1), "seteuid");
	FAILS(vm.fd, DROSTE_SET_PROFILE, &p, EPERM);
	MUST(!seteuid(0), "seteuid");
	DO(vm.fd, DROSTE_SET_PROFILE, &p);
	DO(vm.fd, DROSTE_SET_PROFILE, &p);
	p.clock_bound = 0;
	DO(vm.fd, DROSTE_SET_PROFILE, &p);
	vcpu_create(&vm, 0, guest_least);
	FAILS(vm.fd, DROSTE_SET_PROFILE, &p, EINVAL);
	vm_destroy(&vm);
}

/* --- offsets: the debt is what a vCPU's offset lacks --- */

static u64 get_offset(struct vcpu *vcpu)
{
	u64 val = 0;
	struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (u64)&val };

	DO(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr);
	return val;
}

static void set_offset(struct vcpu *vcpu, u64 val)
{
	struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (u64)&val };

	DO(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr);
}

static u64 bound_ticks(struct vcpu *vcpu)
{
	return DO(vcpu->fd, KVM_GET_TSC_KHZ, 0) * BOUND_NS / 1000000;
}

static volatile u64 bursts;

/* CPUIDs, after each of which the counter is not behind what it was. */
static void burst(u64 n)
{
	u64 before = rdtsc(), now;
	u32 a, b, c, d;

	for (u64 i = 0; i < n; i++) {
		cpuid(0, 0, &a, &b, &c, &d);
		now = rdtsc();
		if (now < before)
			g_call(GCALL_EQ, __FILE__, __LINE__, "RDTSC after CPUID", now, before, 0, 0);
		before = now;
	}
}

static void spin(u64 ticks)
{
	u64 from = rdtsc();

	while (rdtsc() - from < ticks)
		ascends(rdtsc(), "RDTSC in a loop");
}

static void guest_bursts(void)
{
	for (;;) {
		burst(bursts);
		g_sync2(rdtsc(), 0);
	}
}

/* Runs a burst of @n CPUIDs. Returns the debt after it. */
static u64 debt_after(struct vcpu *vcpu, u64 from, u64 n)
{
	u64 args[4];

	GUEST(vcpu->vm, bursts) = n;
	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "the guest's CPUIDs");
	return from - get_offset(vcpu);
}

static void host_skew(void)
{
	struct vm vm;
	struct vcpu *a = start(&vm, 0, guest_bursts, BOUND_NS, 0), *b = vcpu_create(&vm, 1, guest_bursts);
	u64 from = get_offset(a), bound = bound_ticks(a), debt, most = 0;

	EQ(get_offset(b), from, "both begin alike");
	for (int i = 0; i < 100; i++) {
		debt = debt_after(i & 1 ? b : a, from, 200);
		OK(debt <= bound, "behind by %lld ticks, the bound is %llu", (long long)debt, (unsigned long long)bound);
		debt = get_offset(a) - get_offset(b);
		debt = (s64)debt < 0 ? -debt : debt;
		OK(debt <= bound, "apart by %llu ticks", (unsigned long long)debt);
		most = debt > most ? debt : most;
	}
	OK(most > 20 * 50, "some of the time is hidden: they are apart by up to %llu ticks", (unsigned long long)most);
	ksft_diag("20,000 CPUIDs on two vCPUs: apart by up to %llu ticks, the bound is %llu", (unsigned long long)most,
		  (unsigned long long)bound);
	vm_destroy(&vm);
}

/* --- two vCPUs compare their counters --- */

static volatile u64 turn, passed, behind;

#define PASSES	100

static void pass_turns(u64 me)
{
	u64 now;

	for (int i = 0; i < PASSES; i++) {
		while (turn != me)
			relax();
		now = rdtsc();
		if (now < passed && passed - now > behind)
			behind = passed - now;
		burst(100);
		passed = rdtsc();
		asm volatile("" : : : "memory");
		turn = !me;
	}
}

static void guest_passes0(void)
{
	pass_turns(0);
}

/* The list of what has been read is the other vCPU's. */
static void guest_passes1(void)
{
	u64 now;
	u32 a, b, c, d;

	for (int i = 0; i < PASSES; i++) {
		while (turn != 1)
			relax();
		now = rdtsc();
		if (now < passed && passed - now > behind)
			behind = passed - now;
		for (int k = 0; k < 5; k++)
			cpuid(0, 0, &a, &b, &c, &d);
		passed = rdtsc();
		asm volatile("" : : : "memory");
		turn = 0;
	}
}

static void host_two(void)
{
	struct vm vm;
	struct vcpu *a = start(&vm, 0, guest_passes0, BOUND_NS, 0), *b = vcpu_create(&vm, 1, guest_passes1);
	u64 bound = bound_ticks(a);
	pthread_t thread;

	vcpu_thread(b, &thread);
	vcpu_run_to_end(a);
	pthread_join(thread, NULL);
	ksft_diag("the other vCPU was behind by up to %llu ticks, the bound is %llu", (unsigned long long)GUEST(&vm, behind),
		  (unsigned long long)bound);
	OK(GUEST(&vm, behind) <= bound, "behind by %llu ticks", (unsigned long long)GUEST(&vm, behind));
	vm_destroy(&vm);
}

/* --- the counter by its MSR, and written --- */

static void guest_msr(void)
{
	u64 val;

	for (u64 i = 0; i < 500; i++) {
		ascends(rdtsc(), "RDTSC");
		ascends(rdmsr(MSR_TSC), "RDMSR");
		ascends(rdtsc(), "RDTSC after RDMSR");
		CPUID_REG(0, 0, a);
		ascends(rdmsr(MSR_TSC), "RDMSR after CPUID");
		if (i % 50)
			continue;
		val = rdmsr(MSR_TSC) + 1000000;
		wrmsr(MSR_TSC, val);
		G_OK(rdtsc() >= val, "not before what was written");
		G_OK(rdtsc() < val + 1000000, "not far after it");
		val = rdtsc();
		wrmsr(MSR_TSC_ADJUST, rdmsr(MSR_TSC_ADJUST) + 1000000);
		G_OK(rdtsc() >= val + 1000000, "the adjustment");
		last = rdtsc();
	}
}

static void msr_with(u64 force, s64 extra)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, 0, guest_msr, BOUND_NS, extra);

	if (force && (vm_forceable(&vm) & force) != force)
		ksft_skip("RDTSC cannot be made to exit");
	EQ(vm_force_exits(&vm, force), 0, "forced exits");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_msr(void)
{
	msr_with(0, 0);
	msr_with(0, 10);
	msr_with(0, nearly_all());
}

static void host_forced(void)
{
	msr_with(DROSTE_FORCE_RDTSC, 0);
}

/* --- RDMSR that exits: in a list of operations; L1's RDMSR of the counter does not --- */

static void guest_list(void)
{
	struct droste_multicall *list = (struct droste_multicall *)g_page();
	const struct droste_multicall_entry *told;
	u64 rax, rdx, now;

	for (u64 i = 0; i < 100; i++) {
		*list = (struct droste_multicall) {};
		multicall_add(list, DROSTE_OP_CPUID, 0, 0, 0);
		told = multicall_add(list, DROSTE_OP_RDMSR, MSR_TSC, 0, 0);
		/* RDTSC is the next instruction. */
		rax = DROSTE_MULTICALL;
		asm volatile("vmcall\n\trdtsc" : "+a" (rax), "=d" (rdx) : "b" (list) : "memory");
		now = rdx << 32 | (u32)rax;
		G_EQ(told->ret, 0, "the list");
		if (now < told->a[2])
			g_call(GCALL_EQ, __FILE__, __LINE__, "RDTSC after the list", now, told->a[2], 0, 0);
		G_OK(now - told->a[2] < 1000000, "not far after it");
	}
}

static void list_with(s64 extra)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, 0, guest_list, BOUND_NS, extra);

	multicall_offer(vcpu, OFFER_PLAIN);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_list(void)
{
	list_with(0);
	list_with(nearly_all());
}

/* --- an MSR that user space answers: the exit lasts until KVM_RUN --- */

#define USER_MSR	0x606

static void guest_user_msr(void)
{
	for (;;) {
		ascends(rdtsc(), "RDTSC");
		rdmsr(USER_MSR);
		ascends(rdtsc(), "RDTSC after the MSR");
		g_sync2(rdtsc(), 0);
	}
}

static void host_user_msr(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, 0, guest_user_msr, BOUND_NS, 0);
	u64 tsc, args[4];

	EQ(vm_enable_cap(&vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN), 0, "the capability");
	for (int i = 0; i < 10; i++) {
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		MUST(vcpu->run->exit_reason == KVM_EXIT_X86_RDMSR, "exit %u", vcpu->run->exit_reason);
		EQ(vcpu_get_msr(vcpu, MSR_TSC, &tsc), 0, "KVM_GET_MSRS");
		vcpu->run->msr.data = i;
		vcpu->run->msr.error = 0;
		MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "the guest goes on");
		OK(args[0] >= tsc, "the guest has not less than KVM_GET_MSRS told: %#llx, %#llx", (long long)args[0],
		   (long long)tsc);
	}
	vm_destroy(&vm);
}

/* --- the local APIC's deadlines --- */

static volatile u64 fired_at;

static void on_timer(struct trap_regs *r)
{
	fired_at = rdtsc();
	apic_eoi();
}

static void guest_deadlines(void)
{
	u64 deadline, late = ~0ul;

	apic_enable();
	g_trap_fn[0x40] = on_timer;
	apic_write(APIC_LVTT, 2 << 17 | 0x40);
	sti();
	for (u64 i = 0; i < 60; i++) {
		fired_at = 0;
		deadline = rdtsc() + 5000 + 97 * i;
		wrmsr(MSR_TSC_DEADLINE, deadline);
		while (!fired_at) {
			if (i % 3 == 1)
				CPUID_REG(0, 0, a);
			else if (i % 3 == 2)
				asm volatile("hlt");
			if (rdtsc() > deadline + 100000000)
				break;
		}
		G_OK(fired_at >= deadline, "not early");
		if (i % 3 != 2 && fired_at - deadline < late)
			late = fired_at - deadline;
	}
	cli();
	G_OK(late < 3000, "prompt at least once");
}

static void host_deadlines(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, KSFT_IRQCHIP, guest_deadlines, BOUND_NS, 0);

	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- drift against the PIT --- */

static volatile u64 khz;

static u64 pit_count(void)
{
	u64 lo;

	outb(0x43, 0);
	lo = inb(0x40);
	return lo | inb(0x40) << 8;
}

static void guest_pit(void)
{
	u64 from, pit = 0, at, now, ticks, want, apart;

	outb(0x43, 0x34);	/* counter 0, mode 2 */
	outb(0x40, 0);
	outb(0x40, 0);
	at = pit_count();
	from = rdtsc();
	last = from;
	while (pit < PIT_HZ) {
		burst(50);
		now = pit_count();
		pit += (at - now) & 0xffff;
		at = now;
	}
	ticks = rdtsc() - from;
	want = pit * khz * 1000 / PIT_HZ;
	apart = ticks > want ? ticks - want : want - ticks;
	g_diag("%llx ticks of the TSC in a second of the PIT, apart by %llx", ticks, apart);
	G_OK(apart * 1000 < want, "drift below 0.1 %");
}

static void host_pit(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, KSFT_IRQCHIP | KSFT_PIT, guest_pit, BOUND_NS, 0);

	GUEST(&vm, khz) = DO(vcpu->fd, KVM_GET_TSC_KHZ, 0);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- saved and restored --- */

static void guest_saved(void)
{
	burst(50);
	g_sync(1);
	last = 0;
	spin(khz * 40);
	burst(1);
	g_sync(2);
}

static struct vcpu *start_saved(struct vm *vm, u64 *from, u64 *with_debt)
{
	struct vcpu *vcpu = start(vm, 0, guest_saved, BOUND_NS, 0);

	*from = get_offset(vcpu);
	GUEST(vm, khz) = DO(vcpu->fd, KVM_GET_TSC_KHZ, 0);
	vcpu_run_to_sync(vcpu, 1);
	*with_debt = get_offset(vcpu);
	OK(*from - *with_debt <= bound_ticks(vcpu), "the debt");
	return vcpu;
}

static void host_paid(void)
{
	struct vm vm;
	u64 from, with_debt;
	struct vcpu *vcpu = start_saved(&vm, &from, &with_debt);

	vcpu_run_to_sync(vcpu, 2);
	OK(from - get_offset(vcpu) < 2000, "it is paid back by the host's ticks: %lld", (long long)(from - get_offset(vcpu)));
	vm_destroy(&vm);
}

/* From where it was saved, in a new VM that gets the offset. */
static void host_saved(void)
{
	struct droste_profile p = { .clock_bound = BOUND_NS };
	struct vm vm;
	u64 from, saved;
	struct vcpu *vcpu = start_saved(&vm, &from, &saved);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	/* As if more had been owed than is paid back in any case. */
	saved -= 5000;
	/* Completes the guest's OUT. */
	vcpu->run->immediate_exit = 1;
	EQ(vcpu_run_once(vcpu), -EINTR, "an immediate exit");
	vcpu_regs(vcpu, &regs);
	vcpu_sregs(vcpu, &sregs);
	vm_replace(&vm);
	DO(vm.fd, DROSTE_SET_PROFILE, &p);
	vcpu = vcpu_create(&vm, 0, guest_saved);
	vcpu_set_sregs(vcpu, &sregs);
	vcpu_set_regs(vcpu, &regs);
	set_offset(vcpu, saved);
	EQ(get_offset(vcpu), saved, "the offset is taken as it is");
	vcpu_run_to_sync(vcpu, 2);
	OK(saved - get_offset(vcpu) < 2000, "what was owed before is not paid back: %lld", (long long)(saved - get_offset(vcpu)));
	vm_destroy(&vm);
}

/* --- IA32_MPERF and IA32_APERF, by CPUID.6:ECX.0 --- */

#define MSR_MPERF	0xe7
#define MSR_APERF	0xe8

static volatile u64 has_perf;

static void guest_perf(void)
{
	u64 val, tsc;

	for (u32 msr = MSR_MPERF; msr <= MSR_APERF; msr++) {
		G_EQ(try_rdmsr(msr, &val), has_perf ? NO_FAULT : GP0, "RDMSR");
		G_EQ(try_wrmsr(msr, 0), has_perf ? NO_FAULT : GP0, "WRMSR");
		if (!has_perf)
			continue;
		last = 0;
		for (u64 i = 0; i < 200; i++) {
			tsc = rdtsc();
			ascends(rdmsr(msr), "the counter");
			G_OK(last < 1000000000, "it begins from what was written");
			CPUID_REG(0, 0, a);
		}
		val = rdmsr(msr);
		tsc = rdtsc();
		spin(1000000);
		val = rdmsr(msr) - val;
		tsc = rdtsc() - tsc;
		G_OK(val <= tsc + 10000 && val + 10000 >= tsc, "the rate is the counter's");
	}
}

static void perf_with(u64 has)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;
	u32 i;

	vcpu = start(&vm, 0, guest_perf, BOUND_NS, 0);
	c = supported_cpuid(vm.dev);
	for (i = 0; i < c->nent && c->entries[i].function != 6; i++)
		;
	MUST(i < c->nent, "leaf 6");
	OK(!(c->entries[i].ecx & 1), "the bit is not offered");
	c->entries[i].ecx |= has;
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	GUEST(&vm, has_perf) = has;
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_perf(void)
{
	perf_with(1);
}

static void host_no_perf(void)
{
	perf_with(0);
}

/* --- the local APIC's timer at the crystal's rate --- */

static volatile u64 apic_hz;

/* Cycles of the timer in some time by the TSC. */
static u64 cycles_in(u64 tsc)
{
	return tsc * apic_hz / (khz * 1000);
}

static void guest_crystal(void)
{
	u64 before[2], after[2], left, ticks, least, most, spare;

	apic_enable();
	for (u64 i = 0; i < 3; i++) {
		static const u32 code[] = { 0xb, 0x3, 0xa }, by[] = { 1, 16, 128 };

		apic_write(APIC_TDCR, code[i]);
		apic_write(APIC_LVTT, BIT(16));
		apic_write(APIC_TMICT, 0xffffffff);
		/* A read of the timer is an exit, which may take long. */
		before[0] = rdtsc();
		left = apic_read(APIC_TMCCT);
		before[1] = rdtsc();
		spin(khz * 20);
		after[0] = rdtsc();
		ticks = (left - apic_read(APIC_TMCCT)) * by[i];
		after[1] = rdtsc();
		least = cycles_in(after[0] - before[1]);
		most = cycles_in(after[1] - before[0]);
		/* A count, and what the host's two clocks may be apart. */
		spare = by[i] + most / 500;
		if (ticks + spare < least || ticks > most + spare)
			g_diag("%llx cycles of the timer, at least %llx by the TSC", ticks, least);
		G_OK(ticks + spare >= least && ticks <= most + spare, "the rate by leaf 0x15");
	}
}

static void host_crystal(void)
{
	static const u32 hz[] = { 24000000, 38400000, 1000000, 1000000000 };
	struct droste_profile p = {};
	struct vm vm;
	struct vcpu *vcpu;

	for (u64 i = 0; i < ARRAY_SIZE(hz); i++) {
		vm_create(&vm, KSFT_IRQCHIP);
		p.apic_hz = 999999;
		if (ioctl(vm.fd, DROSTE_SET_PROFILE, &p) && errno == ENOTTY)
			ksft_skip("no DROSTE_SET_PROFILE");
		FAILS(vm.fd, DROSTE_SET_PROFILE, &p, EINVAL);
		p.apic_hz = 1000000001;
		FAILS(vm.fd, DROSTE_SET_PROFILE, &p, EINVAL);
		p.apic_hz = hz[i];
		DO(vm.fd, DROSTE_SET_PROFILE, &p);
		vcpu = vcpu_create(&vm, 0, guest_crystal);
		GUEST(&vm, khz) = DO(vcpu->fd, KVM_GET_TSC_KHZ, 0);
		GUEST(&vm, apic_hz) = hz[i];
		vcpu_run_to_end(vcpu);
		vm_destroy(&vm);
	}
}

static const struct ksft_test tests[] = {
	{ "what is refused", .host = host_refused },
	{ "CPUID takes as long as without a hypervisor", .host = host_cpuid },
	{ "vCPUs are apart by less than the bound", .host = host_skew },
	{ "vCPUs that compare their counters", .host = host_two },
	{ "the counter by RDMSR, and written", .host = host_msr },
	{ "RDTSC that exits", .host = host_forced },
	{ "the counter by a list of operations", .host = host_list },
	{ "an MSR that user space answers", .host = host_user_msr },
	{ "deadlines of the local APIC", .host = host_deadlines },
	{ "drift against the PIT", .host = host_pit },
	{ "paid back by the host's interrupts", .host = host_paid },
	{ "saved and restored", .host = host_saved },
	{ "IA32_APERF and IA32_MPERF", .host = host_perf },
	{ "no IA32_APERF and IA32_MPERF without the bit", .host = host_no_perf },
	{ "the local APIC's timer at the crystal's rate", .host = host_crystal },
};
KSFT_MAIN(tests)
