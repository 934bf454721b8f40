/* SPDX-License-Identifier: GPL-2.0 */
/* Looking at this process' VMs through DROSTE_INSPECT. */
#ifndef INSPECT_H
#define INSPECT_H

#include <errno.h>
#include <linux/capability.h>
#include <linux/droste.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "vm.h"

#define MAX_FIELDS 256

static inline int inspect(struct vm *vm, u32 number, u32 flags)
{
	struct droste_vm_name name = { .number = number, .flags = flags };
	int fd = ioctl(vm->dev, DROSTE_INSPECT, &name);

	if (fd < 0 && errno == ENOTTY)
		ksft_skip("not Droste");
	return fd < 0 ? -errno : fd;
}

/* Opens the newest VM of this process, and closes all others. */
static inline int inspect_mine(struct vm *vm)
{
	struct droste_vm_info info = { .number = 0 };
	int fd, mine = -1;

	fd = inspect(vm, 0, DROSTE_NEXT);
	if (fd == -EINVAL)
		ksft_skip("not Droste");
	for (; fd >= 0; fd = inspect(vm, info.number, DROSTE_NEXT)) {
		DO(fd, DROSTE_VM_INFO, &info);
		if (info.pid == getpid()) {
			if (mine >= 0)
				close(mine);
			mine = fd;
		} else {
			close(fd);
		}
	}
	EQ(fd, -ENOENT, "the end of the list");
	MUST(mine >= 0, "the VM of this process is in the list");
	return mine;
}

/* The VMCS that get_vmcs() read. */
static struct droste_vmcs_field fields[MAX_FIELDS];
static u32 nr_fields, vmcs_flags;
static u32 vmcs_merged[6];

static inline long get_vmcs(int fd, u32 which)
{
	struct droste_vmcs v = { .which = which, .nr = MAX_FIELDS, .fields = (u64)fields };
	long ret = ioctl(fd, DROSTE_GET_VMCS, &v);

	nr_fields = v.nr;
	vmcs_flags = v.flags;
	memcpy(vmcs_merged, v.merged, sizeof(vmcs_merged));
	return ret < 0 ? -errno : 0;
}

static inline const struct droste_vmcs_field *find(u32 encoding)
{
	u32 i;

	for (i = 0; i < nr_fields; i++)
		if (fields[i].encoding == encoding)
			return &fields[i];
	return NULL;
}

static inline u64 value(u32 encoding)
{
	const struct droste_vmcs_field *f = find(encoding);

	MUST(f, "field %#x", encoding);
	return f->value;
}

static inline void *inspect_runner(void *arg)
{
	u64 args[4];

	vcpu_run_to_call(arg, args);
	return NULL;
}

/* Runs a vCPU on a thread of its own, which ends at the guest's next call or with the process. */
static inline void inspect_running(struct vcpu *vcpu)
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, inspect_runner, vcpu), "thread");
}

/* Drops a capability of this process. */
static inline void drop_capability(u32 cap)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	MUST(!syscall(SYS_capget, &header, data), "capget");
	data[cap / 32].effective &= ~(1u << (cap % 32));
	MUST(!syscall(SYS_capset, &header, data), "capset");
}

/* Moves this thread to a CPU. */
static inline void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	MUST(!sched_setaffinity(0, sizeof(set), &set), "CPU %d: %s", cpu, strerror(errno));
}

#endif
