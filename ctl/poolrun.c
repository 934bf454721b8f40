// SPDX-License-Identifier: GPL-2.0
/* drostectl run --cpu: a guest with the processor of a pool, whatever the device's pool is. */
#include "poolrun.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cpuid.h"
#include "paint.h"
#include "poolfile.h"
#include "poolhost.h"
#include "poolsay.h"
#include "say.h"

const struct pool_file *pool_run_read(const char *name)
{
	static struct pool_file f;

	return pool_file_read(&f, name) || pool_file_contradicts(&f) ? NULL : &f;
}

struct kvm_cpuid2 *pool_run_cpuid(const struct pool_file *f, int dev_fd)
{
	struct droste_pool host, both;

	if (pool_host_read(&host, dev_fd))
		return NULL;
	pool_meet(&f->p, &host, &both);
	if (pool_lost(&f->p, &both, NULL, NULL) || pool_lost_tsc(&f->p, &host)) {
		say("the device cannot give guests the processor of %s, because it lacks:", f->name);
		paint_begin_on(STDERR_FILENO);
		pool_say_lost(stderr, &f->p, &both, false);
		return NULL;
	}
	return pool_run_list(f);
}

struct kvm_cpuid2 *pool_run_list(const struct pool_file *f)
{
	struct kvm_cpuid2 *list;

	list = calloc(1, sizeof(*list) + (f->p.nr_cpuid + CPUID_SPARE_ENTRIES) * sizeof(list->entries[0]));
	if (!list) {
		say("out of memory");
		return NULL;
	}
	for (list->nent = 0; list->nent < f->p.nr_cpuid; list->nent++) {
		const struct droste_pool_cpuid *e = &f->p.cpuid[list->nent];

		list->entries[list->nent] = (struct kvm_cpuid_entry2) {
			.function = e->leaf, .index = e->subleaf,
			.flags = e->flags & DROSTE_POOL_INDEXED ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = e->regs[POOL_EAX], .ebx = e->regs[POOL_EBX],
			.ecx = e->regs[POOL_ECX], .edx = e->regs[POOL_EDX] };
	}
	return list;
}

/* MSRs that follow from others: the device computes them. */
static int derived(uint32_t msr)
{
	return (msr >= 0x481 && msr <= 0x484) || msr == 0x487 || msr == 0x489 || msr == 0x48a;
}

int pool_run_msrs(const struct pool_file *f, int vcpu_fd)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr;

	for (uint32_t i = 0; i < f->p.nr_msrs; i++) {
		const struct droste_pool_msr *m = &f->p.msrs[i];

		if (derived(m->index))
			continue;
		memset(&msr, 0, sizeof(msr));
		msr.head.nmsrs = 1;
		msr.entry.index = m->index;
		msr.entry.data = m->value;
		if (ioctl(vcpu_fd, KVM_SET_MSRS, &msr) == 1)
			continue;
		say("%s:%d: the device does not take this value of MSR %#x", f->name, f->msr_line[i], m->index);
		return -1;
	}
	if (pool_tsc_one(&f->p) && ioctl(vcpu_fd, KVM_SET_TSC_KHZ, (unsigned long)f->p.tsc_khz)) {
		say("KVM_SET_TSC_KHZ failed for %u kHz: %s", f->p.tsc_khz, strerror(errno));
		return -1;
	}
	return 0;
}
