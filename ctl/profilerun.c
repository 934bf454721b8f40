// SPDX-License-Identifier: GPL-2.0
/* drostectl run --profile: a guest that looks like a real machine. */
#include "profilerun.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cpuid.h"
#include "hide.h"
#include "poolhost.h"
#include "poolrun.h"
#include "poolsay.h"
#include "profilefile.h"
#include "say.h"
#include "vm.h"

/* 0xb.1:EBX, the processors of a package, if that is the highest level of the leaf (SDM 2A, CPUID). */
#define LEAF_TOPOLOGY	0xb
#define LEAF1_EBX_IDS	0x00ff0000U

const struct profile_file *profile_run_read(const char *name)
{
	static struct profile_file f;

	if (geteuid()) {
		say("--profile is root's");
		return NULL;
	}
	return profile_file_read(&f, name) ? NULL : &f;
}

/* The processors that the leaf of topology counts at its highest level; 0 without that leaf. */
static unsigned int processors(const struct droste_pool *p)
{
	unsigned int most = 0;

	for (uint32_t i = 0; i < p->nr_cpuid; i++)
		if (p->cpuid[i].leaf == LEAF_TOPOLOGY && p->cpuid[i].regs[POOL_ECX] >> 8 & 0xff && p->cpuid[i].regs[POOL_EBX] > most)
			most = p->cpuid[i].regs[POOL_EBX];
	return most;
}

/* What the device need not know, because only MSRs stand behind it, which profiles have, or user space's choice. */
static const struct {
	uint32_t leaf;
	enum pool_reg reg;
	uint32_t bits;
} announced[] = {
	{ 1, POOL_ECX, 1 << 7 | 1 << 8 | 1 << 14 },		/* EST, TM2, xTPR */
	{ 1, POOL_EDX, 1 << 22 | 1 << 28 | 1 << 29 | 1U << 31 },	/* ACPI, HTT, TM, PBE */
	{ 6, POOL_EAX, 1 << 0 | 1 << 4 | 1 << 5 | 1 << 6 },	/* digital sensor, PLN, ECMD, PTM */
	{ 6, POOL_EBX, 0xf },					/* thresholds of the sensor */
	{ 6, POOL_ECX, 1 << 0 | 1 << 3 },			/* APERF and MPERF, IA32_ENERGY_PERF_BIAS */
};

void profile_run_announce(const struct droste_pool *machine, struct droste_pool *p)
{
	for (size_t i = 0; i < sizeof(announced) / sizeof(announced[0]); i++) {
		const struct droste_pool_cpuid *e = pool_find((struct droste_pool *)machine, announced[i].leaf, 0);
		struct droste_pool_cpuid *to = pool_find(p, announced[i].leaf, 0);

		if (e && to)
			to->regs[announced[i].reg] |= e->regs[announced[i].reg] & announced[i].bits;
	}
}

static void more_than_the_host(void *ctx, const struct pool_loss *loss)
{
	const struct pool_file *f = ctx;
	char text[256];

	pool_say_bit(text, sizeof(text), loss);
	say("%s:%d: the device lacks %s", f->name, pool_file_line(f, loss), text);
}

/* A leaf that no rule compares must be empty: nothing stands behind it. */
static int unknown_leaves(const struct pool_file *f)
{
	int ret = 0;

	for (uint32_t i = 0; i < f->p.nr_cpuid; i++) {
		const struct droste_pool_cpuid *e = &f->p.cpuid[i];

		if (pool_leaf_indexed(e->leaf) >= 0 || !(e->regs[0] | e->regs[1] | e->regs[2] | e->regs[3]))
			continue;
		say("%s:%d: no device gives guests leaf %#x", f->name, f->cpuid_line[i], e->leaf);
		ret = -1;
	}
	return ret;
}

struct kvm_cpuid2 *profile_run_cpuid(const struct profile_file *f, int dev_fd, unsigned int total)
{
	static struct droste_pool host, both;
	unsigned int count = processors(&f->cpu.p);
	int ret;

	if (pool_host_read(&host, dev_fd))
		return NULL;
	profile_run_announce(&f->cpu.p, &host);
	pool_meet(&f->cpu.p, &host, &both);
	ret = unknown_leaves(&f->cpu);
	if (pool_lost(&f->cpu.p, &both, more_than_the_host, (void *)&f->cpu))
		ret = -1;
	if (pool_lost_tsc(&f->cpu.p, &host)) {
		say("%s:%d: the device's guests have another TSC frequency", f->cpu.name, f->cpu.tsc_line);
		ret = -1;
	}
	if (count && count != total) {
		say("%s: the profile's machine has %u processors: use --cpus %u", f->cpu.name, count, count);
		ret = -1;
	}
	return ret ? NULL : pool_run_list(&f->cpu);
}

void profile_run_id(struct kvm_cpuid2 *cpuid, uint32_t id)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 1)
			e->ebx = (e->ebx & 0x00ffffff) | (id > 255 ? 255 : id) << 24;
		if (e->function == LEAF_TOPOLOGY || e->function == 0x1f)
			e->edx = id;
	}
}

/* The rate of the crystal that leaf 0x15 tells, with which the local APIC's timer counts (SDM 3A 11.5.4); 0 if it does not. */
static uint32_t crystal_hz(const struct droste_pool *p)
{
	const struct droste_pool_cpuid *e = pool_find((struct droste_pool *)p, 0x15, 0);

	return e && e->regs[POOL_EAX] && e->regs[POOL_EBX] ? e->regs[POOL_ECX] : 0;
}

/* On a device that does not know DROSTE_SET_PROFILE: the KVM API counts the cycle in whole ns. */
static int set_apic_bus(int vm_fd, uint32_t hz)
{
#ifdef KVM_CAP_X86_APIC_BUS_CYCLES_NS
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_APIC_BUS_CYCLES_NS, .args = { (1000000000 + hz / 2) / hz } };

	if (!ioctl(vm_fd, KVM_ENABLE_CAP, &cap))
		return 0;
#else
	(void)vm_fd;
	(void)hz;
#endif
	say("the device's local APIC timers have another rate than the profile's crystal");
	return 0;
}

static int set_clocks(const struct profile_file *f, int dev_fd, int vm_fd)
{
	uint32_t hz = crystal_hz(&f->cpu.p);
	struct droste_profile p = {
		.clock_bound = f->p.clock_bound, .clock_extra = f->p.clock_ticks,
		.apic_hz = hz >= 1000000 && hz <= 1000000000 ? hz : 0,
	};

	if (f->p.hides && !f->p.knows_ticks) {
		int64_t ticks = hide_measure(dev_fd);

		if (ticks == HIDE_UNKNOWN) {
			say("%s:%d: the device cannot hide the cost of exits", f->cpu.name, f->clock_line);
			return -1;
		}
		p.clock_extra = ticks;
	}
	if ((!p.clock_bound && !p.apic_hz) || !ioctl(vm_fd, DROSTE_SET_PROFILE, &p))
		return 0;
	if (f->p.hides) {
		say("%s:%d: the device does not hide the cost of exits: %s", f->cpu.name, f->clock_line, strerror(errno));
		return -1;
	}
	return set_apic_bus(vm_fd, p.apic_hz);
}

int profile_run_vm(const struct profile_file *f, int dev_fd, int vm_fd)
{
	/* A guest's firmware would let PIC interrupts through; drostectl has none, so the local APIC starts that way. */
	uint64_t quirks = vm_cap(dev_fd, KVM_CAP_DISABLE_QUIRKS2) & ~KVM_X86_QUIRK_LINT0_REENABLED;
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2, .args = { quirks } };

	if (ioctl(vm_fd, KVM_ENABLE_CAP, &cap)) {
		say("the device does not disable quirks %#llx: %s", (unsigned long long)quirks, strerror(errno));
		return -1;
	}
	cap = (struct kvm_enable_cap) { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { KVM_MSR_EXIT_REASON_UNKNOWN } };
	if (!ioctl(vm_fd, KVM_ENABLE_CAP, &cap))
		return set_clocks(f, dev_fd, vm_fd);
	say("the device does not let accesses to unknown MSRs exit: %s", strerror(errno));
	return -1;
}

/* Whether the device has an MSR of its own. */
static bool has_msr(int vcpu_fd, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head = { .nmsrs = 1 }, .entry = { .index = index } };

	return ioctl(vcpu_fd, KVM_GET_MSRS, &msr) == 1;
}

int profile_run_msrs(const struct profile_file *f, int vcpu_fd)
{
	if (pool_run_msrs(&f->cpu, vcpu_fd))
		return -1;
	for (unsigned int i = 0; i < f->p.nr_msrs; i++) {
		const struct profile_msr *m = &f->p.msr[i];
		struct {
			struct kvm_msrs head;
			struct kvm_msr_entry entry;
		} msr = { .head = { .nmsrs = 1 }, .entry = { .index = m->index, .data = m->value } };

		/* An MSR that the device does not have is answered at each exit. */
		if (!has_msr(vcpu_fd, m->index) || ioctl(vcpu_fd, KVM_SET_MSRS, &msr) == 1)
			continue;
		say("%s:%d: the device does not take this value of MSR %#x", f->cpu.name, f->msr_line[i], m->index);
		return -1;
	}
	return 0;
}

void profile_run_exit(const struct profile *p, struct kvm_run *run)
{
	const struct profile_msr *m = profile_msr_find(p, run->msr.index);

	if (run->exit_reason == KVM_EXIT_X86_WRMSR) {
		run->msr.error = !m || !m->drops;
		return;
	}
	run->msr.error = !m;
	run->msr.data = m ? m->value : 0;
}
