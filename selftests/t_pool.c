// SPDX-License-Identifier: GPL-2.0
/* DROSTE_SET_POOL: what the device offers, what new VMs can have, and that what a pool hides does not work. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/droste.h>
#include <linux/kvm_para.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "guest.h"
#include "pool/close.h"
#include "vm.h"
#include "vmx.h"

#define MSR_SPEC_CTRL	0x48
#define MSR_SYSTEM_TIME	0x4b564d01
#define STRICT	"/sys/module/droste/parameters/strict_cpuid"
enum { EAX, EBX, ECX, EDX };

/* --- pools --- */

static int dev;
static struct droste_pool host, pool;	/* the host's offer; the pool of a subtest */

/* The device is one for all tests: whatever a subtest comes to, no pool is left. */
static void end_pool(void)
{
	static const struct droste_pool none;

	ioctl(dev, DROSTE_SET_POOL, &none);
}

static void begin(void)
{
	dev = device_open();
	host.flags = DROSTE_POOL_HOST;
	if (ioctl(dev, DROSTE_GET_POOL, &host) && errno == ENOTTY)
		ksft_skip("not Droste");
	MUST(host.nr_cpuid > 4, "the host's leaves");
	ksft_at_end(end_pool);
	end_pool();
	pool = host;
}

static struct droste_pool_cpuid *leaf(struct droste_pool *p, u32 fn, u32 index)
{
	for (u32 i = 0; i < p->nr_cpuid; i++)
		if (p->cpuid[i].leaf == fn && p->cpuid[i].subleaf == index)
			return &p->cpuid[i];
	return NULL;
}

static u32 *reg(struct droste_pool *p, u32 fn, u32 index, int r)
{
	static u32 none;

	none = 0;
	return leaf(p, fn, index) ? &leaf(p, fn, index)->regs[r] : &none;
}

static struct droste_pool_msr *msr(struct droste_pool *p, u32 index)
{
	for (u32 i = 0; i < p->nr_msrs; i++)
		if (p->msrs[i].index == index)
			return &p->msrs[i];
	return NULL;
}

/* All features that a control takes: RDRAND, RDSEED, RDTSCP and RDPID, INVPCID, XSAVES, AVX and on, bits of CR4, MSRs. */
static void take_features(struct droste_pool *p)
{
	*reg(p, 1, 0, ECX) &= ~(BIT(17) | BIT(28) | BIT(30));
	*reg(p, 7, 0, EBX) &= ~(BIT(0) | BIT(7) | BIT(10) | BIT(18) | BIT(20));
	*reg(p, 7, 0, ECX) &= ~(BIT(2) | BIT(22));
	*reg(p, 7, 0, EDX) &= ~(BIT(26) | BIT(27) | BIT(31));
	*reg(p, 0x80000001, 0, EDX) &= ~BIT(27);
	*reg(p, 0xd, 1, EAX) &= ~BIT(3);
	*reg(p, 0x40000001, 0, EAX) &= ~BIT(KVM_FEATURE_CLOCKSOURCE2);
	if (msr(p, 0x48b))
		msr(p, 0x48b)->value &= ~(BIT(32 + 10) | BIT(32 + 6));	/* PAUSE-loop exiting, WBINVD exiting */
	pool_close(p);
}

/* --- wrong pools --- */

static void refused(const struct droste_pool *p, int err, const char *what)
{
	static struct droste_pool now;
	int ret = ioctl(dev, DROSTE_SET_POOL, p);

	OK(ret == -1, "%s is refused", what);
	EQ(ret < 0 ? errno : 0, err, "%s, errno", what);
	memset(&now, 0, sizeof(now));
	DO(dev, DROSTE_GET_POOL, &now);
	EQ(now.nr_cpuid, 0, "%s: leaves of the device's pool", what);
}

#define REFUSED(change, err, what) do { \
	pool = host; \
	change; \
	refused(&pool, err, what); \
} while (0)

static void host_wrong(void)
{
	begin();
	REFUSED(pool.nr_cpuid = DROSTE_POOL_CPUID + 1, EINVAL, "too many leaves");
	REFUSED(pool.nr_cpuid = ~0u, EINVAL, "2^32 leaves");
	REFUSED(pool.nr_msrs = DROSTE_POOL_MSRS + 1, EINVAL, "too many MSRs");
	REFUSED(pool.nr_list = ~0u, EINVAL, "too many MSRs in the list");
	REFUSED(pool.flags |= 2, EINVAL, "a flag");
	REFUSED(pool.reserved[5] = 1, EINVAL, "a reserved member");
	REFUSED(pool.msrs[0].reserved = 1, EINVAL, "a reserved member of an MSR");
	REFUSED(pool.cpuid[2] = pool.cpuid[1], EINVAL, "a leaf twice");
	REFUSED(pool.cpuid[0].leaf = 1, EINVAL, "no leaf 0");
	REFUSED(pool.nr_cpuid = 1, EINVAL, "no leaf 1");
	REFUSED(leaf(&pool, 7, 0)->flags = 0, EINVAL, "leaf 7 without sub-leaf");
	REFUSED(pool.cpuid[1].flags = 1, EINVAL, "leaf 1 with sub-leaf");
	REFUSED(pool.cpuid[pool.nr_cpuid - 1].leaf = 0x80000099, EINVAL, "a leaf that no pool has");
	REFUSED(pool.msrs[1].index = pool.msrs[0].index, EINVAL, "an MSR twice");
	REFUSED(pool.list[1] = pool.list[0], EINVAL, "an MSR twice in the list");
	REFUSED(pool.tsc_khz_max = pool.tsc_khz - 1, EINVAL, "rates in the wrong order");
	REFUSED(pool.nr_cpuid = 0, EINVAL, "MSRs without leaves");
	/* Contradictions. */
	REFUSED(*reg(&pool, 1, 0, ECX) &= ~BIT(26), EINVAL, "components without XSAVE");
	REFUSED(*reg(&pool, 0xd, 0, EAX) &= ~BIT(2), EINVAL, "AVX without its component");
	REFUSED(*reg(&pool, 0, 0, EAX) = 7, EINVAL, "leaf 0xd above the highest leaf");
	REFUSED(*reg(&pool, 1, 0, ECX) &= ~BIT(5), EINVAL, "capabilities of VMX without VMX");
	/* More than the host has. Leaf 1, ECX: bit 15 is never offered. */
	REFUSED(*reg(&pool, 1, 0, ECX) |= BIT(15), ENXIO, "a feature that the host lacks");
	REFUSED(*reg(&pool, 0x80000008, 0, EAX) += 1, ENXIO, "more address bits than the host's");
	REFUSED(*reg(&pool, 0, 0, EDX) ^= 1, ENXIO, "another maker's processor");
	if (msr(&pool, 0x48b)) {
		REFUSED(msr(&pool, 0x48b)->value |= BIT(32 + 17), ENXIO, "PML");
		REFUSED(msr(&pool, 0x48c)->value |= BIT(7), ENXIO, "a capability of EPT that the host lacks");
		REFUSED(msr(&pool, 0x485)->value ^= 1, ENXIO, "a timer of another rate");
		REFUSED(msr(&pool, 0x48e)->value ^= BIT(14), ENXIO, "a control that must be 1 on the host only");
	}
	REFUSED((pool.list[pool.nr_list++] = 0xdeadbeef), ENXIO, "an MSR that the host lacks");
	if (!(host.flags & DROSTE_POOL_TSC_SCALING))
		REFUSED((pool.tsc_khz *= 2, pool.tsc_khz_max *= 2), ENXIO, "a rate that the host lacks");
	REFUSED(pool.tsc_khz = pool.tsc_khz_max = 0x7fffffff, ENXIO, "a rate that no host has");
}

static void host_caller(void)
{
	begin();
	FAILS(dev, DROSTE_SET_POOL, NULL, EFAULT);
	FAILS(dev, DROSTE_SET_POOL, -1, EFAULT);
	FAILS(dev, DROSTE_GET_POOL, NULL, EFAULT);
	pool.flags = 4;
	FAILS(dev, DROSTE_GET_POOL, &pool, EINVAL);
	pool = host;
	DO(dev, DROSTE_SET_POOL, &pool);
	end_pool();
	if (fork() == 0) {
		MUST(!setresuid(65534, 65534, 65534), "another user");
		_exit(ioctl(dev, DROSTE_SET_POOL, &pool) == -1 && errno == EPERM ? 0 : 1);
	} else {
		int status;

		wait(&status);
		EQ(status, 0, "a user without CAP_SYS_ADMIN gets EPERM");
	}
}

/* --- what the device offers --- */

static u64 feature(int fd, u32 index, bool *there)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = { .head = { .nmsrs = 1 }, .entry = { .index = index } };

	*there = ioctl(fd, KVM_GET_MSRS, &m) == 1;
	return m.entry.data;
}

/* The device offers exactly a pool. */
static void offers(struct droste_pool *p, const char *what)
{
	struct kvm_cpuid2 *c = supported_cpuid(dev);
	static struct {
		struct kvm_msr_list head;
		u32 room[DROSTE_POOL_LIST];
	} list;
	bool there;
	u32 i;
	int r;

	EQ(c->nent, p->nr_cpuid, "%s: leaves", what);
	for (i = 0; i < c->nent && i < p->nr_cpuid; i++) {
		const u32 regs[] = { c->entries[i].eax, c->entries[i].ebx, c->entries[i].ecx, c->entries[i].edx };

		EQ(c->entries[i].function, p->cpuid[i].leaf, "%s: leaf %u", what, i);
		EQ(c->entries[i].index, p->cpuid[i].subleaf, "%s: sub-leaf %u", what, i);
		EQ(c->entries[i].flags, p->cpuid[i].flags, "%s: flags of %#x", what, p->cpuid[i].leaf);
		for (r = 0; r < 4; r++)
			EQ(regs[r], p->cpuid[i].regs[r], "%s: leaf %#x.%u, register %d", what, p->cpuid[i].leaf,
			   p->cpuid[i].subleaf, r);
	}
	free(c);
	for (i = 0; i < host.nr_msrs; i++) {
		struct droste_pool_msr *m = msr(p, host.msrs[i].index);
		u64 value = feature(dev, host.msrs[i].index, &there);

		EQ(there, !!m, "%s: MSR %#x is there", what, host.msrs[i].index);
		/* The highest field's index follows from the others. */
		if (there && m && m->index != 0x48a)
			EQ(value, m->value, "%s: MSR %#x", what, m->index);
	}
	list.head.nmsrs = DROSTE_POOL_LIST;
	DO(dev, KVM_GET_MSR_INDEX_LIST, &list);
	EQ(list.head.nmsrs, p->nr_list, "%s: MSRs in the list", what);
	for (i = 0; i < p->nr_list; i++)
		EQ(list.head.indices[i], p->list[i], "%s: MSR %u of the list", what, i);
	list.head.nmsrs = DROSTE_POOL_LIST;
	DO(dev, KVM_GET_MSR_FEATURE_INDEX_LIST, &list);
	EQ(list.head.nmsrs, p->nr_msrs, "%s: MSRs in the list of features", what);
	list.head.nmsrs = 0;
	FAILS(dev, KVM_GET_MSR_INDEX_LIST, &list, E2BIG);
	EQ(list.head.nmsrs, p->nr_list, "%s: MSRs in the list that has no room", what);
	EQ(DO(dev, KVM_CHECK_EXTENSION, KVM_CAP_XCRS), !!(*reg(p, 1, 0, ECX) & BIT(26)), "%s: KVM_CAP_XCRS", what);
	EQ(DO(dev, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL), p->flags & 1, "%s: KVM_CAP_TSC_CONTROL", what);
}

static void host_offers(void)
{
	u64 xcr0;
	struct kvm_device_attr attr = { .attr = KVM_X86_XCOMP_GUEST_SUPP, .addr = (uintptr_t)&xcr0 };
	static struct droste_pool now;

	begin();
	offers(&host, "no pool");
	DO(dev, DROSTE_SET_POOL, &host);
	offers(&host, "the host as a pool");
	take_features(&pool);
	DO(dev, DROSTE_SET_POOL, &pool);
	offers(&pool, "a pool");
	DO(dev, KVM_GET_DEVICE_ATTR, &attr);
	EQ(xcr0, *reg(&pool, 0xd, 0, EAX), "the pool's components");
	EQ(xcr0 & 4, 0, "AVX among the components");
	DO(dev, DROSTE_GET_POOL, &now);
	if (msr(&now, 0x48a))
		msr(&pool, 0x48a)->value = msr(&now, 0x48a)->value;
	EQ(memcmp(&now, &pool, sizeof(now)), 0, "DROSTE_GET_POOL");

	/* Without XSAVE, VMX, TSC scaling and some MSRs. */
	pool = host;
	*reg(&pool, 1, 0, ECX) &= ~(BIT(26) | BIT(5));
	pool.flags = 0;
	pool.nr_list -= 2;
	pool_close(&pool);
	EQ(!!msr(&pool, 0x480), 0, "IA32_VMX_BASIC in a pool without VMX");
	DO(dev, DROSTE_SET_POOL, &pool);
	offers(&pool, "a small pool");
	end_pool();
	offers(&host, "no pool any more");
}

/* --- what guests can have --- */

/* CPUID as the host offers it, which is more than the pool. */
static void set_host_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + host.nr_cpuid * sizeof(c->entries[0]));
	u32 i;

	for (i = 0; i < host.nr_cpuid; i++)
		c->entries[i] = (struct kvm_cpuid_entry2) {
			.function = host.cpuid[i].leaf, .index = host.cpuid[i].subleaf, .flags = host.cpuid[i].flags,
			.eax = host.cpuid[i].regs[EAX], .ebx = host.cpuid[i].regs[EBX],
			.ecx = host.cpuid[i].regs[ECX], .edx = host.cpuid[i].regs[EDX] };
	c->nent = i;
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	free(c);
}

#define TRIED(insn, ...) ({ \
	u64 f__; \
	asm volatile(TRY(insn) "mov %%r11, %0" : "=r" (f__) : : "r11", "memory", "cc", ##__VA_ARGS__); \
	f__; })

u64 area[512] __attribute__((aligned(64)));	/* for XSAVES */
u64 descriptor[2] __attribute__((aligned(16)));	/* for INVPCID */

static u64 try_invpcid(void)
{
	u64 f;

	asm volatile(TRY("invpcid descriptor, %%rax") "mov %%r11, %0" : "=r" (f) : "a" (2ul) : "r11", "memory");
	return f;
}

static u64 try_xsaves(void)
{
	u64 f;

	asm volatile(TRY("xsaves64 area") "mov %%r11, %0" : "=r" (f) : "a" (3), "d" (0) : "r11", "memory");
	return f;
}

/* The features of take_features() that a guest can try. */
enum {
	RDRAND = 1, RDSEED = 2, RDTSCP = 4, INVPCID = 8, XSAVES = 16, AVX = 32, PCID = 64, FSGSBASE = 128, SMEP = 256, SMAP = 512,
	UMIP = 1024, SPEC_CTRL = 2048, KVMCLOCK = 4096,
};

static u64 features_of(struct droste_pool *p)
{
	u32 b = *reg(p, 7, 0, EBX), c = *reg(p, 1, 0, ECX);

	return (c & BIT(30) ? RDRAND : 0) | (b & BIT(18) ? RDSEED : 0) | (b & BIT(10) ? INVPCID : 0) |
	       (*reg(p, 0x80000001, 0, EDX) & BIT(27) ? RDTSCP : 0) | (*reg(p, 0xd, 1, EAX) & BIT(3) ? XSAVES : 0) |
	       (c & BIT(28) ? AVX : 0) | (c & BIT(17) ? PCID : 0) | (b & BIT(0) ? FSGSBASE : 0) | (b & BIT(7) ? SMEP : 0) |
	       (b & BIT(20) ? SMAP : 0) | (*reg(p, 7, 0, ECX) & BIT(2) ? UMIP : 0) |
	       (*reg(p, 7, 0, EDX) & (BIT(26) | BIT(27) | BIT(31)) ? SPEC_CTRL : 0) |
	       (*reg(p, 0x40000001, 0, EAX) & BIT(KVM_FEATURE_CLOCKSOURCE2) ? KVMCLOCK : 0);
}

/* The argument has the features that must work; the others must not. */
static void guest_features(void)
{
	u64 works = g_arg(), cr4 = read_cr4(), v;

	G_EQ(TRIED("rdrand %%rax", "rax"), works & RDRAND ? NO_FAULT : UD, "RDRAND");
	G_EQ(TRIED("rdseed %%rax", "rax"), works & RDSEED ? NO_FAULT : UD, "RDSEED");
	G_EQ(TRIED("rdtscp", "rax", "rdx", "rcx"), works & RDTSCP ? NO_FAULT : UD, "RDTSCP");
	G_EQ(try_rdmsr(MSR_TSC_AUX, &v), works & RDTSCP ? NO_FAULT : GP0, "RDMSR of IA32_TSC_AUX");
	G_EQ(try_rdmsr(MSR_SPEC_CTRL, &v), works & SPEC_CTRL ? NO_FAULT : GP0, "RDMSR of IA32_SPEC_CTRL");
	G_EQ(try_wrmsr(MSR_SYSTEM_TIME, 0), works & KVMCLOCK ? NO_FAULT : GP0, "WRMSR of kvmclock's MSR");
	G_EQ(try_invpcid(), works & INVPCID ? NO_FAULT : UD, "INVPCID");
	G_EQ(write_cr4(cr4 | CR4_PCIDE), works & PCID ? NO_FAULT : GP0, "CR4.PCIDE");
	write_cr4(cr4);
	G_EQ(write_cr4(cr4 | BIT(16)), works & FSGSBASE ? NO_FAULT : GP0, "CR4.FSGSBASE");
	write_cr4(cr4);
	/* The guest's pages are the user's, too, so these bits cannot be set. */
	if (!(works & SMEP))
		G_EQ(write_cr4(cr4 | BIT(20)), GP0, "CR4.SMEP");
	if (!(works & SMAP))
		G_EQ(write_cr4(cr4 | BIT(21)), GP0, "CR4.SMAP");
	G_EQ(write_cr4(cr4 | BIT(11)), works & UMIP ? NO_FAULT : GP0, "CR4.UMIP");
	write_cr4(cr4);
	if (write_cr4(cr4 | BIT(18)) != NO_FAULT)
		return;
	G_EQ(try_xsetbv(0, 7), works & AVX ? NO_FAULT : GP0, "XSETBV of AVX");
	G_EQ(try_xsetbv(0, 3), NO_FAULT, "XSETBV of SSE");
	G_EQ(try_xsaves(), works & XSAVES ? NO_FAULT : UD, "XSAVES");
}

static void run_features(u64 works, bool host_cpuid)
{
	extern u64 guest_arg;
	struct vm vm;
	struct vcpu *vcpu;

	guest_arg = works;
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_features);
	if (host_cpuid)
		set_host_cpuid(vcpu);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_gone(void)
{
	u64 all, left;

	begin();
	all = features_of(&host);
	take_features(&pool);
	left = features_of(&pool);
	EQ(left, 0, "features that are left");
	OK(all & (RDTSCP | INVPCID | AVX), "features that the host has (%#lx)", all);
	run_features(all, false);
	DO(dev, DROSTE_SET_POOL, &pool);
	run_features(left, false);
	/* CPUID may say otherwise. */
	run_features(left, true);
	end_pool();
	run_features(all, false);
}

static u64 vcpu_cap(struct vcpu *vcpu, u32 index)
{
	u64 v = 0;

	MUST(!vcpu_get_msr(vcpu, index, &v), "MSR %#x", index);
	return v;
}

/* What an L1 may have at most. A VM from before the pool keeps what it has. */
static void host_vmx(void)
{
	struct vm before, vm;
	struct vcpu *old, *new;
	u64 has, less;

	begin();
	if (!msr(&host, 0x48b))
		ksft_skip("no VMX");
	has = msr(&host, 0x48b)->value;
	take_features(&pool);
	less = msr(&pool, 0x48b)->value;
	OK(less != has, "a pool with fewer controls");
	vm_create(&before, 0);
	DO(dev, DROSTE_SET_POOL, &pool);
	vm_create(&vm, 0);
	old = vcpu_create(&before, 0, guest_features);
	set_host_cpuid(old);
	new = vcpu_create(&vm, 0, guest_features);
	EQ(vcpu_cap(old, 0x48b), has, "secondary controls of the older VM");
	EQ(vcpu_cap(new, 0x48b), less, "secondary controls of the newer VM");
	set_host_cpuid(new);
	EQ(vcpu_cap(new, 0x48b), less, "the same with more in CPUID");
	EQ(vcpu_set_msr(new, 0x48b, has), -1, "more than the pool");
	EQ(vcpu_set_msr(new, 0x48b, less), 0, "as much as the pool");
	EQ(vcpu_cap(new, 0x489) & (BIT(20) | BIT(17)), 0, "SMEP and PCIDE in IA32_VMX_CR4_FIXED1");
	EQ(vcpu_cap(old, 0x489) & BIT(17), *reg(&host, 1, 0, ECX) & BIT(17) ? BIT(17) : 0, "PCIDE, older VM");
	end_pool();
	vm_destroy(&vm);
	vm_destroy(&before);
}

/* A vCPU as it is created, because the library's have NX at once. */
static void host_efer(void)
{
	struct vcpu vcpu = {};
	struct vm vm;

	begin();
	*reg(&pool, 0x80000001, 0, EDX) &= ~BIT(20);
	DO(dev, DROSTE_SET_POOL, &pool);
	vm_create(&vm, 0);
	vcpu.vm = &vm;
	vcpu.fd = DO(vm.fd, KVM_CREATE_VCPU, 0);
	set_host_cpuid(&vcpu);
	EQ(vcpu_set_msr(&vcpu, MSR_EFER, EFER_SCE), 0, "IA32_EFER.SCE");
	EQ(vcpu_set_msr(&vcpu, MSR_EFER, EFER_SCE | EFER_NX), -1, "IA32_EFER.NXE without NX in the pool");
	close(vcpu.fd);
	vm_destroy(&vm);
}

static void drop_msr(struct droste_pool *p, u32 index)
{
	struct droste_pool_msr *m = msr(p, index);

	if (!m)
		return;
	memmove(m, m + 1, (char *)&p->msrs[p->nr_msrs] - (char *)(m + 1));
	memset(&p->msrs[--p->nr_msrs], 0, sizeof(*m));
}

/* Those of secondary controls, EPT and VM functions need not exist: an L1 has nothing in them then. */
static void host_no_caps(void)
{
	static const u32 optional[] = { 0x48b, 0x48c, 0x491 };
	struct vcpu *vcpu;
	struct vm vm;
	u32 i;

	begin();
	if (!msr(&host, 0x48b))
		ksft_skip("no VMX");
	for (i = 0; i < ARRAY_SIZE(optional); i++)
		drop_msr(&pool, optional[i]);
	pool_close(&pool);
	DO(dev, DROSTE_SET_POOL, &pool);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_features);
	for (i = 0; i < ARRAY_SIZE(optional); i++) {
		EQ(vcpu_cap(vcpu, optional[i]), 0, "MSR %#x, which the pool lacks", optional[i]);
		if (msr(&host, optional[i]) && msr(&host, optional[i])->value)
			EQ(vcpu_set_msr(vcpu, optional[i], msr(&host, optional[i])->value), -1, "MSR %#x of the host", optional[i]);
	}
	vm_destroy(&vm);
}

/* --- IA32_ARCH_CAPABILITIES --- */

#define ARCH_CAPS		0x10a
#define ARCH_CAPS_RSBA		BIT(2)	/* a defect: it is right to tell of it where it is not */
#define ARCH_CAPS_IMMUNE	(BIT(0) | BIT(4) | BIT(5) | BIT(8))

/* User space, which restores a guest of another host, cannot promise immunity that the pool does not have. */
static void host_arch_caps(void)
{
	struct vcpu *old, *new;
	struct vm before, vm;
	u64 has, bit;

	begin();
	if (!msr(&pool, ARCH_CAPS))
		ksft_skip("no IA32_ARCH_CAPABILITIES");
	msr(&pool, ARCH_CAPS)->value &= ~BIT(4);
	has = msr(&pool, ARCH_CAPS)->value;
	vm_create(&before, 0);
	DO(dev, DROSTE_SET_POOL, &pool);
	vm_create(&vm, 0);
	old = vcpu_create(&before, 0, guest_features);
	new = vcpu_create(&vm, 0, guest_features);
	EQ(vcpu_cap(new, ARCH_CAPS), has, "IA32_ARCH_CAPABILITIES of the pool");
	for (bit = 1; bit <= BIT(8); bit <<= 1) {
		if (!(bit & ARCH_CAPS_IMMUNE & ~has))
			continue;
		EQ(vcpu_set_msr(new, ARCH_CAPS, has | bit), -1, "bit %#lx more than the pool", bit);
		EQ(vcpu_set_msr(old, ARCH_CAPS, has | bit), 0, "bit %#lx in the older VM", bit);
	}
	EQ(vcpu_cap(new, ARCH_CAPS), has, "the value after that");
	EQ(vcpu_set_msr(new, ARCH_CAPS, has | ARCH_CAPS_RSBA), 0, "a defect that the pool does not have");
	EQ(vcpu_set_msr(new, ARCH_CAPS, 0), 0, "nothing");
	EQ(vcpu_set_msr(new, ARCH_CAPS, has), 0, "the pool's value");
	vm_destroy(&vm);
	vm_destroy(&before);
}

/* The older VM's guest still has all, after the pool was set and ended. */
static void host_older(void)
{
	extern u64 guest_arg;
	struct vm vm;
	struct vcpu *vcpu;

	begin();
	guest_arg = features_of(&host);
	take_features(&pool);
	vm_create(&vm, 0);
	DO(dev, DROSTE_SET_POOL, &pool);
	vcpu = vcpu_create(&vm, 0, guest_features);
	set_host_cpuid(vcpu);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- strict_cpuid --- */

static void strict(bool on)
{
	int fd = open(STRICT, O_WRONLY);

	if (fd < 0)
		ksft_skip("no " STRICT);
	MUST(write(fd, on ? "1" : "0", 1) == 1, "write to " STRICT);
	close(fd);
}

static void not_strict(void)
{
	int fd = open(STRICT, O_WRONLY);

	if (fd >= 0 && write(fd, "0", 1) != 1)
		_exit(1);
}

static struct kvm_cpuid_entry2 *entry(struct kvm_cpuid2 *c, u32 fn, u32 index)
{
	for (u32 i = 0; i < c->nent; i++)
		if (c->entries[i].function == fn && c->entries[i].index == index)
			return &c->entries[i];
	ksft_skip("no leaf %#x", fn);
}

static void host_strict(void)
{
	struct vm vm;
	struct kvm_cpuid_entry2 seven;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;

	begin();
	take_features(&pool);
	DO(dev, DROSTE_SET_POOL, &pool);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_features);
	c = supported_cpuid(dev);
	strict(true);
	ksft_at_end(not_strict);
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	/* What user space fills in. */
	entry(c, 1, 0)->ebx |= 0x01020000;
	entry(c, 1, 0)->edx |= BIT(28);
	entry(c, 0xb, 0)->ebx = 2;
	entry(c, 0x40000000, 0)->ebx = 0x4b4d564b;
	/* QEMU's guests have these twice, as AMD's processors do. */
	entry(c, 0x80000000, 0)->ebx = entry(c, 0, 0)->ebx;
	entry(c, 0x80000001, 0)->eax = entry(c, 1, 0)->eax;
	entry(c, 0x80000001, 0)->edx |= entry(c, 1, 0)->edx & 0x0183f3ff;
	entry(c, 0x80000008, 0)->eax -= 1;
	entry(c, 7, 0)->ebx &= ~BIT(3);
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	entry(c, 1, 0)->ecx |= BIT(30);
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	entry(c, 1, 0)->ecx &= ~BIT(30);
	entry(c, 0x80000008, 0)->eax += 2;
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	entry(c, 0x80000008, 0)->eax -= 2;
	entry(c, 0xd, 0)->eax |= 4;
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	entry(c, 0xd, 0)->eax &= ~4;
	/* An entry without index answers for each sub-leaf. */
	seven = *entry(c, 7, 0);
	*entry(c, 7, 0) = (struct kvm_cpuid_entry2) { .function = 7, .eax = BIT(30) };
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	/* A sub-leaf that no pool has. */
	*entry(c, 7, 0) = (struct kvm_cpuid_entry2) { .function = 7, .index = 3, .flags = 1, .ebx = BIT(0) };
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	entry(c, 7, 3)->ebx = 0;
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	*entry(c, 7, 3) = seven;
	entry(c, 0xd, 0)->eax |= 4;
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	strict(false);
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	strict(true);
	end_pool();
	/* The VM has its pool, whatever the device has now. */
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	entry(c, 0xd, 0)->eax &= ~4;
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	free(c);
	vm_destroy(&vm);
	/* Without a pool the host's offer counts. */
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_features);
	set_host_cpuid(vcpu);
	c = supported_cpuid(dev);
	entry(c, 1, 0)->ecx |= BIT(15);
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	free(c);
	vm_destroy(&vm);
}

/* --- the processor's name --- */

/* Takes an entry out that is 0 in all registers, as QEMU does. */
static void drop_empty(struct kvm_cpuid2 *c, u32 fn)
{
	for (u32 i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == fn && !(e->eax | e->ebx | e->ecx | e->edx))
			*e = c->entries[--c->nent];
	}
}

/* EBX of a leaf, 0 without an entry. */
static u32 ebx_of(const struct kvm_cpuid2 *c, u32 fn)
{
	for (u32 i = 0; i < c->nent; i++)
		if (c->entries[i].function == fn)
			return c->entries[i].ebx;
	return 0;
}

/* The brand of this host, as QEMU's "-cpu host" gives it to a guest, and what becomes of it. */
static void host_brand(void)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 room[256];
	} now;
	struct kvm_cpuid_entry2 *e;
	struct kvm_cpuid2 *c;
	struct vcpu *vcpu;
	struct vm vm;
	u32 fn;

	begin();
	for (fn = 0x80000002; fn <= 0x80000004; fn++)
		*reg(&pool, fn, 0, EBX) = 0x6c6f6f70 + fn;
	DO(dev, DROSTE_SET_POOL, &pool);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_features);
	c = supported_cpuid(dev);
	for (fn = 0x80000002; fn <= 0x80000004; fn++) {
		e = entry(c, fn, 0);
		cpuid(fn, 0, &e->eax, &e->ebx, &e->ecx, &e->edx);
		drop_empty(c, fn);
	}
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	now.head.nent = 256;
	DO(vcpu->fd, KVM_GET_CPUID2, &now);
	for (fn = 0x80000002; fn <= 0x80000004; fn++)
		EQ(ebx_of(&now.head, fn), 0x6c6f6f70 + fn, "the pool's brand, leaf %#x", fn);
	/* A text that begins otherwise was chosen, all of it. */
	entry(c, 0x80000002, 0)->ebx = 0x6e657665;
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	now.head.nent = 256;
	DO(vcpu->fd, KVM_GET_CPUID2, &now);
	EQ(now.head.nent, c->nent, "the number of entries");
	for (fn = 0x80000002; fn <= 0x80000004; fn++)
		EQ(ebx_of(&now.head, fn), ebx_of(c, fn), "the brand that was chosen, leaf %#x", fn);
	free(c);
	vm_destroy(&vm);
}

/* What user space has from the CPUID instruction becomes the pool's, what it chose does not. */
static void host_name(void)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 room[256];
	} now;
	struct kvm_cpuid_entry2 *brand;
	struct kvm_cpuid2 *c;
	struct vcpu *vcpu;
	struct vm vm;
	u32 a, b, cx, d;

	begin();
	*reg(&pool, 1, 0, EAX) = 0x00050650;
	*reg(&pool, 0x80000003, 0, EBX) = 0x6c6f6f70;
	*reg(&pool, 0x80000008, 0, EAX) -= 1;
	DO(dev, DROSTE_SET_POOL, &pool);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_features);
	c = supported_cpuid(dev);
	cpuid(1, 0, &entry(c, 1, 0)->eax, &b, &cx, &d);
	brand = entry(c, 0x80000003, 0);
	cpuid(0x80000003, 0, &brand->eax, &brand->ebx, &brand->ecx, &brand->edx);
	cpuid(0x80000008, 0, &a, &b, &cx, &d);
	entry(c, 0x80000008, 0)->eax = (entry(c, 0x80000008, 0)->eax & ~0xff) | (a & 0xff);
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	now.head.nent = 256;
	DO(vcpu->fd, KVM_GET_CPUID2, &now);
	EQ(entry(&now.head, 1, 0)->eax, 0x00050650, "the signature");
	EQ(entry(&now.head, 0x80000003, 0)->ebx, 0x6c6f6f70, "the brand");
	EQ(entry(&now.head, 0x80000008, 0)->eax & 0xff, *reg(&pool, 0x80000008, 0, EAX) & 0xff, "physical address bits");
	entry(c, 1, 0)->eax = 0x000106a5;
	entry(c, 0x80000003, 0)->ebx = 0x6e657665;
	entry(c, 0x80000008, 0)->eax = 0x3024;
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	now.head.nent = 256;
	DO(vcpu->fd, KVM_GET_CPUID2, &now);
	EQ(entry(&now.head, 1, 0)->eax, 0x000106a5, "the signature that was chosen");
	EQ(entry(&now.head, 0x80000003, 0)->ebx, 0x6e657665, "the brand that was chosen");
	EQ(entry(&now.head, 0x80000008, 0)->eax, 0x3024, "the address bits that were chosen");
	free(c);
	vm_destroy(&vm);
}

/* --- the TSC's rate --- */

static void host_rate(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	begin();
	if (!(host.flags & DROSTE_POOL_TSC_SCALING))
		ksft_skip("no TSC scaling");
	pool.tsc_khz = pool.tsc_khz_max = host.tsc_khz / 2;
	pool.flags = 0;
	DO(dev, DROSTE_SET_POOL, &pool);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_features);
	EQ(DO(vcpu->fd, KVM_GET_TSC_KHZ, 0), host.tsc_khz / 2, "the rate of a vCPU");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "pools that are wrong, or more than the host, are refused", host_wrong },
	{ "bad callers", host_caller },
	{ "the device offers what the pool has", host_offers },
	{ "what a pool hides does not work", host_gone },
	{ "capabilities of VMX", host_vmx },
	{ "IA32_EFER", host_efer },
	{ "capabilities of VMX that the pool does not name", host_no_caps },
	{ "IA32_ARCH_CAPABILITIES", host_arch_caps },
	{ "a VM from before the pool keeps what it has", host_older },
	{ "strict_cpuid", host_strict },
	{ "the processor's name", host_name },
	{ "the processor's brand", host_brand },
	{ "the TSC's rate", host_rate },
};

KSFT_MAIN(tests)
