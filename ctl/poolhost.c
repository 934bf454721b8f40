// SPDX-License-Identifier: GPL-2.0
/* The processor that a device gives to guests. */
#include "poolhost.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cpuid.h"
#include "say.h"
#include "vm.h"

static int failed(const char *what)
{
	say("%s failed: %s", what, strerror(errno));
	return -1;
}

static int by_leaf(const void *a, const void *b)
{
	const struct droste_pool_cpuid *one = a, *two = b;

	if (one->leaf != two->leaf)
		return one->leaf < two->leaf ? -1 : 1;
	return one->subleaf < two->subleaf ? -1 : one->subleaf > two->subleaf;
}

static int by_msr(const void *a, const void *b)
{
	const struct droste_pool_msr *one = a, *two = b;

	return one->index < two->index ? -1 : one->index > two->index;
}

static int by_number(const void *a, const void *b)
{
	const __u32 *one = a, *two = b;

	return *one < *two ? -1 : *one > *two;
}

static int read_cpuid(struct droste_pool *p, int dev_fd)
{
	struct kvm_cpuid2 *list = cpuid_get(dev_fd);

	if (!list)
		return -1;
	for (uint32_t i = 0; i < list->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &list->entries[i];
		int indexed = pool_leaf_indexed(e->function);

		if (indexed < 0)
			indexed = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		if (p->nr_cpuid == DROSTE_POOL_CPUID) {
			say("the device has more than %d leaves of CPUID", DROSTE_POOL_CPUID);
			free(list);
			return -1;
		}
		p->cpuid[p->nr_cpuid++] = (struct droste_pool_cpuid) {
			.leaf = e->function, .subleaf = indexed ? e->index : 0, .flags = indexed ? DROSTE_POOL_INDEXED : 0,
			.regs = { e->eax, e->ebx, e->ecx, e->edx } };
	}
	free(list);
	qsort(p->cpuid, p->nr_cpuid, sizeof(p->cpuid[0]), by_leaf);
	return 0;
}

/* KVM_GET_MSR_INDEX_LIST, or KVM_GET_MSR_FEATURE_INDEX_LIST. NULL after a message. */
static struct kvm_msr_list *get_list(int dev_fd, unsigned long request, const char *name, unsigned int most)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + most * sizeof(list->indices[0]));

	if (list)
		list->nmsrs = most;
	if (list && !ioctl(dev_fd, request, list))
		return list;
	failed(name);
	free(list);
	return NULL;
}

static int read_features(struct droste_pool *p, int dev_fd)
{
	struct kvm_msr_list *list = get_list(dev_fd, KVM_GET_MSR_FEATURE_INDEX_LIST, "KVM_GET_MSR_FEATURE_INDEX_LIST",
					     DROSTE_POOL_MSRS);
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr;

	if (!list)
		return -1;
	for (uint32_t i = 0; i < list->nmsrs; i++) {
		memset(&msr, 0, sizeof(msr));
		msr.head.nmsrs = 1;
		msr.entry.index = list->indices[i];
		/* KVM lists MSRs that this processor does not have. */
		if (ioctl(dev_fd, KVM_GET_MSRS, &msr) == 1)
			p->msrs[p->nr_msrs++] = (struct droste_pool_msr) { .index = msr.entry.index, .value = msr.entry.data };
	}
	free(list);
	qsort(p->msrs, p->nr_msrs, sizeof(p->msrs[0]), by_msr);
	return 0;
}

static int read_list(struct droste_pool *p, int dev_fd)
{
	struct kvm_msr_list *list = get_list(dev_fd, KVM_GET_MSR_INDEX_LIST, "KVM_GET_MSR_INDEX_LIST", DROSTE_POOL_LIST);

	if (!list)
		return -1;
	p->nr_list = list->nmsrs;
	memcpy(p->list, list->indices, list->nmsrs * sizeof(p->list[0]));
	free(list);
	qsort(p->list, p->nr_list, sizeof(p->list[0]), by_number);
	return 0;
}

/* A vCPU has the host's TSC frequency, or that of the device's pool. */
static int read_tsc(struct droste_pool *p, int dev_fd)
{
	int vm, vcpu, khz;

	vm = ioctl(dev_fd, KVM_CREATE_VM, 0);
	if (vm < 0)
		return failed("KVM_CREATE_VM");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	khz = vcpu < 0 ? -1 : ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
	if (vcpu < 0)
		failed("KVM_CREATE_VCPU");
	else
		close(vcpu);
	close(vm);
	if (vcpu < 0)
		return -1;
	p->tsc_khz = khz > 0 ? khz : 0;
	p->tsc_khz_max = p->tsc_khz;
	p->flags = vm_cap(dev_fd, KVM_CAP_TSC_CONTROL) ? DROSTE_POOL_TSC_SCALING : 0;
	return 0;
}

int pool_host_whole(struct droste_pool *p, int dev_fd)
{
	memset(p, 0, sizeof(*p));
	p->flags = DROSTE_POOL_HOST;
	if (!ioctl(dev_fd, DROSTE_GET_POOL, p))
		return 0;
	if (errno == ENOTTY)
		say("the device is not Droste's, or of an older version, and has no pool");
	else
		failed("DROSTE_GET_POOL");
	return -1;
}

int pool_host_read(struct droste_pool *p, int dev_fd)
{
	memset(p, 0, sizeof(*p));
	if (read_cpuid(p, dev_fd) || read_features(p, dev_fd) || read_list(p, dev_fd) || read_tsc(p, dev_fd))
		return -1;
	if (!pool_check(p))
		return 0;
	say("the device's CPUID has no leaf 0 or 1, or a leaf twice");
	return -1;
}
