// SPDX-License-Identifier: GPL-2.0
/* Rate and offset of the TSC of guests and of L2, and the VM's clock (KVM_GET_CLOCK, KVM_SET_CLOCK). */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include "vm.h"
#include "vmx.h"

#define SECOND		1000000000ull
#define ONE		(1ull << 48)
#define ROUNDING	16	/* ticks: the error of two successive multiplications */

typedef unsigned __int128 u128;

static u64 times(u64 val, u64 ratio)
{
	return (u128)val * ratio >> 48;
}

/* --- the guest reads its TSC between two reads of the host's TSC --- */

static volatile u64 by_msr, add_to_tsc, add_to_adjust, l2_offset, l2_ratio, timer_ticks;

static void guest_reads(void)
{
	for (;;) {
		if (add_to_tsc)
			wrmsr(MSR_TSC, rdtsc() + add_to_tsc);
		if (add_to_adjust)
			wrmsr(MSR_TSC_ADJUST, rdmsr(MSR_TSC_ADJUST) + add_to_adjust);
		add_to_tsc = 0;
		add_to_adjust = 0;
		g_sync2(by_msr ? rdmsr(MSR_TSC) : rdtsc(), 0);
	}
}

static struct kvm_device_attr offset_attr(u64 *val)
{
	return (struct kvm_device_attr) { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (u64)val };
}

static u64 get_offset(struct vcpu *vcpu)
{
	u64 val = 0;
	struct kvm_device_attr attr = offset_attr(&val);

	DO(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr);
	return val;
}

static void set_offset(struct vcpu *vcpu, u64 val)
{
	struct kvm_device_attr attr = offset_attr(&val);

	DO(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr);
}

static u64 khz_of(struct vcpu *vcpu)
{
	return DO(vcpu->fd, KVM_GET_TSC_KHZ, 0);
}

static bool within(u64 val, u64 low, u64 high)
{
	return val - low <= high - low;
}

/* The guest's TSC must be the host's TSC times the ratio, plus the offset. */
static void check_reads(struct vcpu *vcpu, int line, u64 ratio)
{
	u64 args[4], before, after, offset, msr;

	for (int i = 0; i < 2; i++) {
		GUEST(vcpu->vm, by_msr) = i;
		before = rdtsc();
		MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "line %d: the guest reads", line);
		after = rdtsc();
		offset = get_offset(vcpu);
		OK(within(args[0], times(before, ratio) + offset, times(after, ratio) + offset),
		   "line %d: %s: %#llx, host %#llx to %#llx, offset %#llx", line, i ? "RDMSR" : "RDTSC",
		   (long long)args[0], (long long)before, (long long)after, (long long)offset);
	}
	before = rdtsc();
	EQ(vcpu_get_msr(vcpu, MSR_TSC, &msr), 0, "KVM_GET_MSRS");
	after = rdtsc();
	OK(within(msr, times(before, ratio) + offset, times(after, ratio) + offset), "line %d: KVM_GET_MSRS", line);
}

#define CHECK_READS(ratio) check_reads(vcpu, __LINE__, ratio)

static struct vcpu *create(struct vm *vm, unsigned int flags, void (*fn)(void))
{
	vm_create(vm, flags);
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_VCPU_ATTRIBUTES) <= 0)
		ksft_skip("no vCPU attributes");
	return vcpu_create(vm, 0, fn);
}

static bool can_scale(struct vm *vm)
{
	return ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0;
}

static void need_scaling(struct vm *vm)
{
	if (!can_scale(vm))
		ksft_skip("no TSC scaling");
}

/* Sets the rate to @num / @den of the host's. Returns the resulting ratio. */
static u64 set_rate(struct vcpu *vcpu, u64 num, u64 den)
{
	u64 host, khz;

	DO(vcpu->fd, KVM_SET_TSC_KHZ, 0);
	host = khz_of(vcpu);
	khz = host * num / den;
	DO(vcpu->fd, KVM_SET_TSC_KHZ, khz);
	EQ(khz_of(vcpu), khz, "the rate");
	return ((u128)khz << 48) / host;
}

/* --- offset --- */

static void host_offset(void)
{
	u64 val = 0;
	struct kvm_device_attr attr = offset_attr(&val);
	struct vm vm;
	struct vcpu *vcpu = create(&vm, 0, guest_reads);
	u64 was, adjust;

	DO(vcpu->fd, KVM_HAS_DEVICE_ATTR, &attr);
	attr.group = 77;
	FAILS(vcpu->fd, KVM_HAS_DEVICE_ATTR, &attr, ENXIO);
	FAILS(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr, ENXIO);
	FAILS(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr, ENXIO);
	attr = offset_attr(&val);
	attr.attr = 1;
	FAILS(vcpu->fd, KVM_HAS_DEVICE_ATTR, &attr, ENXIO);
	FAILS(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr, ENXIO);
	attr = offset_attr((u64 *)8);
	FAILS(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr, EFAULT);
	FAILS(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr, EFAULT);

	CHECK_READS(ONE);
	set_offset(vcpu, 0x123456789abcull);
	EQ(get_offset(vcpu), 0x123456789abcull, "the offset reads back");
	CHECK_READS(ONE);
	/* Writes by the guest. */
	was = get_offset(vcpu);
	GUEST(&vm, add_to_adjust) = 0x1000000000ull;
	CHECK_READS(ONE);
	EQ(get_offset(vcpu), was + 0x1000000000ull, "IA32_TSC_ADJUST moves the offset");
	GUEST(&vm, add_to_tsc) = 0x2000000000ull;
	CHECK_READS(ONE);
	EQ(vcpu_get_msr(vcpu, MSR_TSC_ADJUST, &adjust), 0, "IA32_TSC_ADJUST");
	EQ(adjust, get_offset(vcpu) - was, "WRMSR adds the same to the counter and to IA32_TSC_ADJUST");
	OK(adjust >= 0x2ff0000000ull && adjust < 0x3010000000ull, "about the amount added: %#llx", (long long)adjust);
	vm_destroy(&vm);
}

/* --- rate --- */

static void host_rates(void)
{
	struct vm vm;
	struct vcpu *vcpu = create(&vm, 0, guest_reads);
	u64 host = khz_of(vcpu), near = host - host / 8000;

	EQ(ioctl(vm.dev, KVM_CHECK_EXTENSION, KVM_CAP_VM_TSC_CONTROL) > 0, can_scale(&vm), "capability");
	EQ(DO(vm.fd, KVM_GET_TSC_KHZ, 0), host, "the VM's rate");
	DO(vcpu->fd, KVM_SET_TSC_KHZ, 0);
	EQ(khz_of(vcpu), host, "0 selects the host's rate");
	/* A difference of 125 ppm is within the tolerance. */
	DO(vcpu->fd, KVM_SET_TSC_KHZ, near);
	EQ(khz_of(vcpu), near, "a rate near the host's");
	CHECK_READS(ONE);
	if (!can_scale(&vm)) {
		FAILS(vcpu->fd, KVM_SET_TSC_KHZ, host / 2, EINVAL);
		EQ(DO(vm.fd, KVM_SET_TSC_KHZ, host), 0, "the VM's");
		return;
	}
	FAILS(vcpu->fd, KVM_SET_TSC_KHZ, 0x7fffffff, EINVAL);
	FAILS(vcpu->fd, KVM_SET_TSC_KHZ, 0xffffffff, EINVAL);
	FAILS(vm.fd, KVM_SET_TSC_KHZ, 0x80000000, EINVAL);
	EQ(khz_of(vcpu), near, "the rate is unchanged");
	DO(vm.fd, KVM_SET_TSC_KHZ, host * 2);
	EQ(DO(vm.fd, KVM_GET_TSC_KHZ, 0), host * 2, "the VM's rate");
	EQ(khz_of(vcpu), near, "the VM's rate applies to new vCPUs only");
	vm_destroy(&vm);
}

static void host_scales(void)
{
	static const u64 rates[][2] = { { 1, 2 }, { 3, 1 }, { 999, 1000 }, { 7, 5 }, { 1, 1 } };
	struct vm vm;
	struct vcpu *vcpu = create(&vm, 0, guest_reads);
	u64 i, was, ratio;

	need_scaling(&vm);
	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		was = get_offset(vcpu);
		ratio = set_rate(vcpu, rates[i][0], rates[i][1]);
		EQ(get_offset(vcpu), was, "the offset is unchanged");
		CHECK_READS(ratio);
		GUEST(&vm, add_to_adjust) = 0x10000000ull;
		CHECK_READS(ratio);
		EQ(get_offset(vcpu), was + 0x10000000ull, "IA32_TSC_ADJUST moves the offset");
		GUEST(&vm, add_to_tsc) = 0x1000000ull;
		CHECK_READS(ratio);
		set_offset(vcpu, -times(rdtsc(), ratio));
		CHECK_READS(ratio);
		/* The guest then reads the value that user space set. */
		EQ(vcpu_set_msr(vcpu, MSR_TSC, 1ull << 50), 0, "KVM_SET_MSRS");
		EQ(vcpu_get_msr(vcpu, MSR_TSC, &was), 0, "KVM_GET_MSRS");
		OK(was >> 40 == 1 << 10, "the counter that was set: %#llx", (long long)was);
		CHECK_READS(ratio);
	}
	vm_destroy(&vm);
}

/* vCPUs created one after the other, or set to nearly the same value, get the same offset. */
static void host_agree(void)
{
	struct vm vm;
	struct vcpu *v0, *v1, *v2;
	u64 khz, tsc;

	v0 = create(&vm, 0, guest_reads);
	khz = khz_of(v0);
	v1 = vcpu_create(&vm, 1, guest_reads);
	EQ(get_offset(v0), get_offset(v1), "created one after the other");
	EQ(vcpu_set_msr(v0, MSR_TSC, 1ull << 50), 0, "KVM_SET_MSRS");
	EQ(vcpu_set_msr(v1, MSR_TSC, (1ull << 50) + khz * 100), 0, "KVM_SET_MSRS");
	EQ(get_offset(v0), get_offset(v1), "set to nearly the same value");
	EQ(vcpu_set_msr(v1, MSR_TSC, 1ull << 51), 0, "KVM_SET_MSRS");
	OK(get_offset(v0) != get_offset(v1), "set apart");
	EQ(vcpu_get_msr(v1, MSR_TSC, &tsc), 0, "KVM_GET_MSRS");
	OK(tsc >> 51 == 1, "the value that was set");
	if (can_scale(&vm)) {
		DO(vm.fd, KVM_SET_TSC_KHZ, khz * 2);
		v1 = vcpu_create(&vm, 2, guest_reads);
		v2 = vcpu_create(&vm, 3, guest_reads);
		EQ(khz_of(v1), khz * 2, "the VM's rate");
		EQ(get_offset(v1), get_offset(v2), "created one after the other, with another rate");
		EQ(vcpu_get_msr(v2, MSR_TSC, &tsc), 0, "KVM_GET_MSRS");
		OK(!(tsc >> 50), "their TSCs begin at 0: %#llx", (long long)tsc);
	}
	vm_destroy(&vm);
}

/* A machine is restored in a VM of about its age: QEMU sets the TSC to 1 at reset, then to the saved value. */
static void host_restored(void)
{
	struct vm vm;
	struct vcpu *v[2];
	u64 saved, tsc, offset, khz, i, round;

	v[0] = create(&vm, 0, guest_reads);
	v[1] = vcpu_create(&vm, 1, guest_reads);
	khz = khz_of(v[0]);
	if (device_path()[5] == 'k')
		ksft_skip("KVM lets the restored value agree with the value read before");
	for (round = 1; round < 4; round++) {
		for (i = 0; i < 2; i++) {
			EQ(vcpu_set_msr(v[i], MSR_TSC, 0), 0, "KVM_SET_MSRS");
			EQ(vcpu_set_msr(v[i], MSR_TSC, 1), 0, "KVM_SET_MSRS");
		}
		EQ(get_offset(v[0]), get_offset(v[1]), "same offset after the reset");
		EQ(vcpu_get_msr(v[0], MSR_TSC, &saved), 0, "KVM_GET_MSRS");
		saved += khz * 500;
		for (i = 0; i < 2; i++) {
			/* The saved values were also read one after the other. */
			EQ(vcpu_set_msr(v[i], MSR_TSC, saved + i * khz), 0, "KVM_SET_MSRS");
			EQ(vcpu_get_msr(v[i], MSR_TSC, &tsc), 0, "KVM_GET_MSRS");
			OK(tsc >= saved, "vCPU %d does not go back: %#llx, %#llx was saved", (int)i, (long long)tsc,
			   (long long)saved);
		}
		EQ(get_offset(v[0]), get_offset(v[1]), "same offset after the restore");
		/* Setting a value that was just read must not set the TSC back, and both vCPUs still agree. */
		for (i = 0; i < 4; i++) {
			offset = get_offset(v[0]);
			EQ(vcpu_set_msr(v[i / 2], MSR_TSC, tsc - i % 2), 0, "KVM_SET_MSRS");
			EQ(get_offset(v[0]), offset, "the offset is unchanged");
			EQ(get_offset(v[1]), offset, "the offset is unchanged");
		}
	}
	vm_destroy(&vm);
}

/* --- timers --- */

static volatile u64 fired_at;

static void on_timer(struct trap_regs *r)
{
	fired_at = rdtsc();
	apic_eoi();
}

static void guest_deadline(void)
{
	u64 deadline, i;

	apic_enable();
	g_trap_fn[0x40] = on_timer;
	apic_write(APIC_LVTT, 2 << 17 | 0x40);
	for (i = 0; i < 5; i++) {
		fired_at = 0;
		deadline = rdtsc() + timer_ticks;
		wrmsr(MSR_TSC_DEADLINE, deadline);
		while (!fired_at)
			sti_hlt_cli();
		G_OK(fired_at >= deadline, "the timer does not fire early");
	}
}

static void host_deadline(void)
{
	struct vm vm;
	struct vcpu *vcpu = create(&vm, KSFT_IRQCHIP, guest_deadline);
	u64 khz = khz_of(vcpu);

	need_scaling(&vm);
	if (device_path()[5] == 'k')
		ksft_skip("KVM's timer never fires on the emulated machine");
	set_rate(vcpu, 1, 4);
	GUEST(&vm, timer_ticks) = khz;
	vcpu_run_to_end(vcpu);
	vcpu_start(vcpu, guest_deadline, 0);
	set_rate(vcpu, 4, 1);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- L2 --- */

extern char c_rdtsc[], c_rdmsr_tsc[], c_spin[];
asm(".pushsection .text\n"
	"c_rdtsc: rdtsc\nvmcall\n"
	"c_rdmsr_tsc: rdmsr\nvmcall\n"
	"c_spin: pause\njmp c_spin\n"
	".popsection\n");

static u64 l2_of(u64 l1, bool scaled)
{
	return (scaled ? times(l1, l2_ratio) : l1) + l2_offset;
}

static void l2_reads(bool scaled)
{
	u64 before, after, val, i;
	u8 *map = g_page();

	vmwrite(F_MSR_BITMAP, (u64)map);
	for (i = 0; i < 4; i++) {
		vmwrite(F_RIP, (u64)(i & 1 ? c_rdmsr_tsc : c_rdtsc));
		l2.rcx = MSR_TSC;
		/* With the bitmap, L0 does not intercept the MSR; without it, L0 emulates the read. */
		((u8 *)map)[MSR_TSC / 8] = 0;
		before = rdtsc();
		G_EQ(vmx_run(), R_VMCALL, "L2 reads");
		after = rdtsc();
		val = (u32)l2.rax | l2.rdx << 32;
		G_OK(within(val, l2_of(before, scaled) - ROUNDING, l2_of(after, scaled) + ROUNDING),
		     i & 1 ? "RDMSR of L2" : "RDTSC of L2");
	}
}

static void guest_l1(void)
{
	u64 ticks, before, rate;

	vmcs_new((void (*)(void))(u64)c_rdtsc);
	need(F_PROC, PROC_TSC_OFFSET | PROC_MSR_BITMAPS, "no TSC offsetting");
	vmwrite(F_TSC_OFFSET, l2_offset);
	l2_reads(false);
	if (ctl_has(F_PROC2, SEC_TSC_SCALING)) {
		need_secondary(SEC_TSC_SCALING, "no TSC scaling");
		vmwrite(F_TSC_MULTIPLIER, l2_ratio);
		l2_reads(true);
		/* Scaling has no effect without offsetting (SDM 3C 26.3). */
		vmclr(F_PROC, PROC_TSC_OFFSET);
		l2_ratio = ONE;
		l2_offset = 0;
		l2_reads(true);
	}
	g_sync(1);
	if (!ctl_has(F_PIN, PIN_TIMER))
		return;
	need(F_PIN, PIN_TIMER, "no preemption timer");
	rate = rdmsr(MSR_VMX_MISC) & 0x1f;
	ticks = timer_ticks >> rate;
	vmwrite(F_TIMER, ticks);
	vmwrite(F_RIP, (u64)c_spin);
	before = rdtsc();
	G_EQ(vmx_run(), R_TIMER, "L1's preemption timer");
	G_OK(rdtsc() - before >= (ticks - 1) << rate, "the timer counts at the rate of L1's TSC");
}

static void run_l1(u64 num, u64 den, u64 ratio12)
{
	struct vm vm;
	struct vcpu *vcpu = create(&vm, 0, guest_l1);

	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	if (num != den) {
		need_scaling(&vm);
		/* A negative offset, with a counter that is still positive. */
		set_offset(vcpu, -(times(rdtsc(), set_rate(vcpu, num, den)) / 2));
	}
	GUEST(&vm, timer_ticks) = khz_of(vcpu);
	GUEST(&vm, l2_offset) = 0x1000000000000ull;
	GUEST(&vm, l2_ratio) = ratio12;
	vcpu_run_to_sync(vcpu, 1);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_l2(void)
{
	run_l1(1, 1, ONE * 2);
}

static void host_l2_scaled(void)
{
	run_l1(3, 1, ONE / 2);
	run_l1(1, 8, ONE * 5 / 3);
}

/* --- the VM's clock --- */

static u64 host_real(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void host_clock(void)
{
	struct kvm_clock_data c = { 0 }, d;
	struct vm vm;
	u32 offered, i;
	u64 before, real;

	vm_create(&vm, 0);
	vcpu_create(&vm, 0, guest_reads);
	offered = ioctl(vm.dev, KVM_CHECK_EXTENSION, KVM_CAP_ADJUST_CLOCK);
	before = rdtsc();
	real = host_real();
	DO(vm.fd, KVM_GET_CLOCK, &c);
	EQ(c.flags & ~offered, 0, "no flags beyond those offered");
	if (device_path()[5] == 'd')
		EQ(c.flags, KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC, "flags");
	if (c.flags & KVM_CLOCK_HOST_TSC)
		OK(within(c.host_tsc, before, rdtsc()), "the host's TSC");
	if (c.flags & KVM_CLOCK_REALTIME)
		OK(within(c.realtime, real, host_real()), "the time of day");
	/* The values read may be passed back. */
	DO(vm.fd, KVM_SET_CLOCK, &c);
	for (i = 0; i < 32; i++) {
		c.flags = BIT(i);
		if (BIT(i) & (KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC))
			DO(vm.fd, KVM_SET_CLOCK, &c);
		else
			FAILS(vm.fd, KVM_SET_CLOCK, &c, EINVAL);
	}
	/* Values read an hour ago: the clock advances by that hour. */
	c = (struct kvm_clock_data) { .clock = 1000 * SECOND, .flags = KVM_CLOCK_REALTIME };
	c.realtime = host_real() - 3600 * SECOND;
	DO(vm.fd, KVM_SET_CLOCK, &c);
	DO(vm.fd, KVM_GET_CLOCK, &d);
	OK(d.clock >= 4600 * SECOND && d.clock < 5600 * SECOND, "an hour later: %llu", d.clock);
	/* Values read in the future: the clock is not set back. */
	c.realtime = host_real() + 3600 * SECOND;
	DO(vm.fd, KVM_SET_CLOCK, &c);
	DO(vm.fd, KVM_GET_CLOCK, &d);
	OK(d.clock >= 1000 * SECOND && d.clock < 2000 * SECOND, "not set back: %llu", d.clock);
	/* Without the flag, the time of day is ignored. */
	c.flags = 0;
	c.realtime = 1;
	DO(vm.fd, KVM_SET_CLOCK, &c);
	DO(vm.fd, KVM_GET_CLOCK, &d);
	OK(d.clock >= 1000 * SECOND && d.clock < 2000 * SECOND, "the value that was set: %llu", d.clock);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "the offset", .host = host_offset },
	{ "supported rates", .host = host_rates },
	{ "a scaled counter", .host = host_scales },
	{ "vCPUs that agree", .host = host_agree },
	{ "a machine restored in a new VM", .host = host_restored },
	{ "TSC-deadline timer of a scaled counter", .host = host_deadline },
	{ "L2's counter, scaled by L1", .host = host_l2 },
	{ "L2's counter, scaled by both", .host = host_l2_scaled },
	{ "the VM's clock", .host = host_clock },
};
KSFT_MAIN(tests)
