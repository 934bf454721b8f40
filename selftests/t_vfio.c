// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_CREATE_DEVICE for VFIO: the interface, and what changes for a guest that has a device whose DMA passes the caches by.
 * `scripts/test pfnmap` gives L0 such a device (scripts/lab.d/vfio).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/droste.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "devmap.h"
#include "inspect.h"
#include "tracefs.h"
#include "vm.h"
#include "vmx.h"

#define AT	HEAP
static int create(struct vm *vm, u32 type, u32 flags)
{
	struct kvm_create_device c = { .type = type, .fd = 12345, .flags = flags };

	if (ioctl(vm->fd, KVM_CREATE_DEVICE, &c))
		return -errno;
	return c.fd;
}

static int vfio(struct vm *vm)
{
	int fd = create(vm, KVM_DEV_TYPE_VFIO, 0);

	if (fd == -ENOTTY || fd == -ENODEV)
		ksft_skip("no device for VFIO");
	MUST(fd >= 0, "KVM_CREATE_DEVICE: %s", strerror(-fd));
	return fd;
}

/* Returns 0 or -errno. */
static int attribute(int fd, unsigned long cmd, u32 group, u64 attr, u64 addr)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = addr };

	return ioctl(fd, cmd, &a) ? -errno : 0;
}

static int change(int fd, u64 attr, int file)
{
	return attribute(fd, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, attr, (u64)&file);
}

#define ADD(fd, file)	change(fd, KVM_DEV_VFIO_GROUP_ADD, file)
#define DEL(fd, file)	change(fd, KVM_DEV_VFIO_GROUP_DEL, file)

/* --- the interface --- */

static void host_create(void)
{
	static const u32 others[] = { 0, 1, 2, 3, 5, 6, 7, 8, 63, 64, 0x80000004, ~0u };
	struct kvm_create_device *half;
	struct vm vm;
	int fd;
	u32 i;

	vm_create(&vm, 0);
	fd = vfio(&vm);
	EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_DEVICE_CTRL), 1, "KVM_CAP_DEVICE_CTRL");
	for (i = 0; i < ARRAY_SIZE(others); i++)
		EQ(create(&vm, others[i], 0), -ENODEV, "type %u", others[i]);
	EQ(create(&vm, KVM_DEV_TYPE_VFIO, 0), -EBUSY, "a second one");
	EQ(create(&vm, KVM_DEV_TYPE_VFIO, KVM_CREATE_DEVICE_TEST), 12345, "a question, which makes none");
	close(fd);
	fd = create(&vm, KVM_DEV_TYPE_VFIO, 0);
	OK(fd >= 0, "another one after the first: %d", fd);
	close(fd);
	FAILS(vm.fd, KVM_CREATE_DEVICE, NULL, EFAULT);
	/* The structure ends at the end of memory; then it cannot be written. */
	half = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*half = (struct kvm_create_device) { .type = KVM_DEV_TYPE_VFIO };
	mprotect(half, PAGE, PROT_READ);
	FAILS(vm.fd, KVM_CREATE_DEVICE, half, EFAULT);
	vm_destroy(&vm);
}

static void host_flags(void)
{
	struct vm vm;
	int fd;

	vm_create(&vm, 0);
	close(vfio(&vm));
	fd = create(&vm, KVM_DEV_TYPE_VFIO, 2);
	if (fd >= 0)
		ksft_skip("KVM ignores unknown flags");
	EQ(fd, -EINVAL, "an unknown flag");
	vm_destroy(&vm);
}

static void host_attributes(void)
{
	struct vm vm;
	int fd, file = open("/dev/null", O_RDWR), child, status;
	u64 attr;
	u32 group;

	vm_create(&vm, 0);
	fd = vfio(&vm);
	for (group = 0; group < 4; group++) {
		for (attr = 0; attr < 5; attr++) {
			bool known = group == KVM_DEV_VFIO_GROUP && (attr == KVM_DEV_VFIO_GROUP_ADD || attr == KVM_DEV_VFIO_GROUP_DEL);

			EQ(attribute(fd, KVM_HAS_DEVICE_ATTR, group, attr, 0), known ? 0 : -ENXIO, "group %u, attribute %llu", group,
			   (long long)attr);
			EQ(attribute(fd, KVM_SET_DEVICE_ATTR, group, attr, 1), known ? -EFAULT : -ENXIO, "group %u, attribute %llu",
			   group, (long long)attr);
			EQ(attribute(fd, KVM_GET_DEVICE_ATTR, group, attr, 0), -EPERM, "group %u, attribute %llu", group,
			   (long long)attr);
		}
	}
	EQ(attribute(fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, 1ull << 32 | KVM_DEV_VFIO_GROUP_ADD, 0), -ENXIO, "a large attribute");
	EQ(ADD(fd, -1), -EBADF, "no descriptor");
	EQ(ADD(fd, 1 << 20), -EBADF, "one that is not open");
	EQ(ADD(fd, file), -EINVAL, "/dev/null");
	EQ(ADD(fd, vm.fd), -EINVAL, "the VM");
	EQ(ADD(fd, fd), -EINVAL, "itself");
	EQ(DEL(fd, -1), -EBADF, "no descriptor");
	EQ(DEL(fd, file), -ENOENT, "a file that was not added");
	FAILS(fd, KVM_SET_DEVICE_ATTR, NULL, EFAULT);
	FAILS(fd, KVM_HAS_DEVICE_ATTR, NULL, EFAULT);
	FAILS(fd, KVM_RUN, NULL, ENOTTY);
	FAILS(fd, KVM_CREATE_VCPU, NULL, ENOTTY);
	child = fork();
	if (!child)
		_exit(attribute(fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, 0) == -EIO ? 0 : 1);
	MUST(waitpid(child, &status, 0) == child, "waitpid");
	EQ(status, 0, "another process");
	/* The VM lives as long as the device. */
	vm_destroy(&vm);
	EQ(attribute(fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, 0), 0, "after the VM's descriptors");
	close(fd);
	close(file);
}

/* --- a device whose DMA is not coherent --- */

static int open_group(void)
{
	char path[64];
	int i, fd;

	for (i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "/dev/vfio/%d", i);
		fd = open(path, O_RDWR);
		if (fd >= 0)
			return fd;
	}
	ksft_skip("no group of VFIO");
}

/* Each round reads a page, and executes WBINVD, in the guest or in its L2. */
static void wbinvd_round(void)
{
	(void)*(volatile u64 *)AT;
	asm volatile("wbinvd" : : : "memory");
}

static void guest_rounds(void)
{
	for (;;) {
		wbinvd_round();
		g_sync(1);
	}
}

static void l2_rounds(void)
{
	for (;;) {
		wbinvd_round();
		try_vmcall();
	}
}

static void guest_l2_rounds(void)
{
	vmx_on();
	vmcs_new(l2_rounds);
	ept_use(ept_new());
	for (;;) {
		vmx_expect(R_VMCALL, "a round of L2");
		vmx_skip();
		g_sync(1);
	}
}

static u64 type_at(int fd, bool l2)
{
	struct droste_ept e = { .gpa = AT, .flags = l2 ? 0 : DROSTE_EPT_OF_L1 };

	DO(fd, DROSTE_GET_EPT, &e);
	return devmap_type(devmap_leaf(l2 ? &e.ept02 : &e.ept01));
}

static void types(void (*guest)(void), bool l2)
{
	int group = open_group(), fd, look, i;
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	if (l2 && !vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	look = inspect_mine(&vm);
	fd = vfio(&vm);
	vcpu = vcpu_create(&vm, 0, guest);
	vcpu_run_to_sync(vcpu, 1);
	EQ(type_at(look, l2), DEVMAP_WB | DEVMAP_IPAT, "without a device");
	for (i = 0; i < 3; i++) {
		EQ(ADD(fd, group), 0, "a group");
		EQ(ADD(fd, group), -EEXIST, "the same again");
		vcpu_run_to_sync(vcpu, 1);
		EQ(type_at(look, l2), DEVMAP_WB, "the guest's PAT counts");
		if (i == 2)
			break;
		EQ(DEL(fd, group), 0, "the group goes");
		EQ(DEL(fd, group), -ENOENT, "it is gone");
		vcpu_run_to_sync(vcpu, 1);
		EQ(type_at(look, l2), DEVMAP_WB | DEVMAP_IPAT, "without a device again");
	}
	/* A file that is added stays with the VM, and goes with the device. */
	close(group);
	vcpu_run_to_sync(vcpu, 1);
	EQ(type_at(look, l2), DEVMAP_WB, "the group's descriptor is closed");
	close(fd);
	vcpu_run_to_sync(vcpu, 1);
	EQ(type_at(look, l2), DEVMAP_WB | DEVMAP_IPAT, "the device's descriptor is closed");
	close(look);
	vm_destroy(&vm);
	group = open_group();
	OK(group >= 0, "the group can be opened again");
}

static void host_types(void)
{
	types(guest_rounds, false);
}

static void host_l2_types(void)
{
	types(guest_l2_rounds, true);
}

/* --- WBINVD --- */

/* The CPUs on which the host has executed WBINVD since the last call, as a mask, by a probe of the module's function. */
static u64 flushed(void)
{
	FILE *f = fopen(TRACING "/trace", "r");
	unsigned int cpu;
	char line[512], *at;
	u64 mask = 0;

	MUST(f, "the trace");
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, "flush:") ? strstr(line, " [") : NULL;
		if (at && sscanf(at, " [%u]", &cpu) == 1)
			mask |= 1ul << cpu;
	}
	fclose(f);
	trace_write("trace", "\n", O_TRUNC);
	return mask;
}

static void probe_flushes(void)
{
	if (trace_write("kprobe_events", "p:droste_test/flush droste:exit_wbinvd_here\n", O_APPEND))
		ksft_skip("no probe of the kernel");
	trace_write("events/droste_test/flush/enable", "1", 0);
	flushed();
}

static void end_probe(void)
{
	trace_write("events/droste_test/flush/enable", "0", 0);
	trace_write("kprobe_events", "-:droste_test/flush\n", O_APPEND);
}

static void wbinvd(void (*guest)(void), bool l2)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN), group, fd;
	struct vcpu *vcpu;
	struct vm vm;

	group = open_group();
	vm_create(&vm, 0);
	close(inspect_mine(&vm));	/* KVM flushes by another function of the kernel */
	if (l2 && !vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	fd = vfio(&vm);
	probe_flushes();
	on_cpu(0);
	vcpu = vcpu_create(&vm, 0, guest);
	vcpu_run_to_sync(vcpu, 1);
	EQ(flushed(), 0, "without a device");
	EQ(ADD(fd, group), 0, "a group");
	vcpu_run_to_sync(vcpu, 1);
	EQ(flushed(), 1, "CPU 0, on which the vCPU has run");
	if (cpus > 1) {
		on_cpu(1);
		vcpu_run_to_sync(vcpu, 1);
		EQ(flushed(), 3, "both CPUs on which it has run");
		vcpu_run_to_sync(vcpu, 1);
		EQ(flushed(), 2, "the CPU on which it has run since");
	}
	EQ(DEL(fd, group), 0, "the group goes");
	vcpu_run_to_sync(vcpu, 1);
	EQ(flushed(), 0, "without the device again");
	end_probe();
	vm_destroy(&vm);
	close(fd);
	close(group);
}

/* While memory is logged, a WBINVD is for what all vCPUs have written, and L2's does not reach exit_wbinvd(). */
static void barrier(void (*guest)(void), bool l2)
{
	int group = open_group(), fd;
	struct vcpu *a, *b;
	struct vm vm;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		ksft_skip("one CPU");
	vm_create(&vm, 0);
	close(inspect_mine(&vm));
	if (l2 && !vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	fd = vfio(&vm);
	EQ(ADD(fd, group), 0, "a group");
	vm_slot(&vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEM_SIZE, vm.mem);
	on_cpu(0);
	probe_flushes();
	a = vcpu_create(&vm, 0, guest);
	vcpu_run_to_sync(a, 1);
	EQ(flushed(), 1, "CPU 0 alone, on which a vCPU has run");
	b = vcpu_create(&vm, 1, guest_rounds);
	on_cpu(1);
	vcpu_run_to_sync(b, 1);
	EQ(flushed(), 3, "both, by the other vCPU");
	on_cpu(0);
	vcpu_run_to_sync(a, 1);
	EQ(flushed(), 3, "CPU 1 has what the other vCPU has written since");
	end_probe();
	vm_destroy(&vm);
	close(fd);
	close(group);
}

static void host_barrier(void)
{
	barrier(guest_rounds, false);
}

static void host_l2_barrier(void)
{
	barrier(guest_l2_rounds, true);
}

static void host_wbinvd(void)
{
	wbinvd(guest_rounds, false);
}

static void host_l2_wbinvd(void)
{
	wbinvd(guest_l2_rounds, true);
}

static const struct ksft_test tests[] = {
	{ "KVM_CREATE_DEVICE", .host = host_create },
	{ "unknown flags", .host = host_flags },
	{ "attributes", .host = host_attributes },
	{ "memory types with a device that is not coherent", .host = host_types },
	{ "memory types of an L2 with such a device", .host = host_l2_types },
	{ "WBINVD with a device that is not coherent", .host = host_wbinvd },
	{ "WBINVD of an L2 with such a device", .host = host_l2_wbinvd },
	{ "a barrier with such a device", .host = host_barrier },
	{ "a barrier of an L2 with such a device", .host = host_l2_barrier },
};

KSFT_MAIN(tests)
