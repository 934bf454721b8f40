/* SPDX-License-Identifier: GPL-2.0 */
/* For tests with a device's memory in a slot: exits of a vCPU, a vCPU in a thread, memory types. */
#ifndef DEVMAP_H
#define DEVMAP_H

#include <errno.h>
#include <linux/droste.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include "vm.h"

#define PAGE	4096ul

/* The exits of a vCPU that its guest causes, without those by which it reports to the test. */
struct devmap_exits {
	bool known;
	u64 caused;
};

static inline struct devmap_exits devmap_exits(struct vcpu *vcpu)
{
	struct devmap_exits e = { .known = false };
	struct droste_exit_stats s;
	u32 i;

	if (ioctl(vcpu->fd, DROSTE_GET_EXIT_STATS, &s))
		return e;
	e.known = true;
	for (i = 0; i < DROSTE_NR_EXIT_REASONS; i++) {
		/* External interrupts, the test's port, VM entries and VM exits of L1, the preemption timer. */
		if (i == 1 || i == 30 || i == 18 || i == 24 || i == 20 || i == 23 || i == 25 || i == 52)
			continue;
		e.caused += s.exits[i];
	}
	return e;
}

/* Runs the vCPU to the guest's next call. Returns 0, the number of another exit, or what KVM_RUN fails with. */
static inline int devmap_go(struct vcpu *vcpu)
{
	int ret = vcpu_run_once(vcpu);

	if (ret)
		return ret;
	if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == GCALL_PORT)
		return 0;
	return vcpu->run->exit_reason;
}

/* A vCPU that runs in a thread to the guest's next call, or until KVM_RUN fails. */
struct devmap_thread {
	struct vcpu *vcpu;
	pthread_t thread;
	int result;
};

static inline void *devmap_run(void *arg)
{
	struct devmap_thread *t = arg;

	t->result = devmap_go(t->vcpu);
	return NULL;
}

static inline void devmap_start(struct devmap_thread *t)
{
	MUST(!pthread_create(&t->thread, NULL, devmap_run, t), "thread");
}

static inline int devmap_join(struct devmap_thread *t)
{
	pthread_join(t->thread, NULL);
	return t->result;
}

/* The type of a leaf of EPT. */
#define DEVMAP_UC	0
#define DEVMAP_WC	1
#define DEVMAP_WB	6
#define DEVMAP_IPAT	8

static inline u64 devmap_leaf(const struct droste_ept_tables *t)
{
	MUST(t->nr && (t->flags & DROSTE_EPT_LEAF), "a leaf");
	return t->entry[t->nr - 1];
}

static inline u64 devmap_type(u64 leaf)
{
	return leaf >> 3 & 15;
}

#endif
