// SPDX-License-Identifier: GPL-2.0
/* Opens the device, creates the VM and records how its run ended. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../uapi/linux/droste.h"
#include "args.h"
#include "host.h"
#include "layout.h"
#include "say.h"
#include "vm.h"

/* The capabilities that drostectl requires. */
static const struct {
	long cap;
	const char *name;
} needed[] = {
	{ KVM_CAP_USER_MEMORY,	  "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_EXT_CPUID,	  "KVM_CAP_EXT_CPUID" },
	{ KVM_CAP_IRQCHIP,	  "KVM_CAP_IRQCHIP" },
	{ KVM_CAP_PIT2,		  "KVM_CAP_PIT2" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
};

int vm_cap(int dev_fd, long cap)
{
	int ret = ioctl(dev_fd, KVM_CHECK_EXTENSION, cap);

	return ret < 0 ? 0 : ret;
}

int vm_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0) {
		char advice[256];
		int err = errno;

		host_device_advice(path, err, advice, sizeof(advice));
		say("cannot open %s: %s%s%s", path, strerror(err),
		    *advice ? "; " : "", advice);
		return -1;
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		if (version < 0)
			say("%s is not a device that implements the KVM API: use --device /dev/droste",
			    path);
		else
			say("%s implements version %d of the KVM API, not %d", path,
			    version, KVM_API_VERSION);
		close(fd);
		return -1;
	}
	return fd;
}

int vm_check_vcpus(int dev_fd, unsigned int nr_vcpus)
{
	int max = vm_cap(dev_fd, KVM_CAP_MAX_VCPUS);

	/* The KVM API: if no maximum is reported, the recommended number is the maximum. */
	if (!max)
		max = vm_cap(dev_fd, KVM_CAP_NR_VCPUS);
	if (!max)
		max = 4;
	if (nr_vcpus > (unsigned int)max) {
		say("%u processors are too many for this device: use --cpus %d or fewer",
		    nr_vcpus, max);
		return -1;
	}
	return 0;
}

static int check_caps(const struct vm *vm)
{
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!vm_cap(vm->dev_fd, needed[i].cap)) {
			say("the device lacks %s", needed[i].name);
			return -1;
		}
	}
	return 0;
}

/*
 * KVM on Intel processors without "unrestricted guest" uses a few guest pages
 * for real mode; they must lie where the guest has neither memory nor devices.
 */
static int place_helpers(struct vm *vm)
{
	uint64_t identity = GPA_IDENTITY;

	if (vm_cap(vm->dev_fd, KVM_CAP_SET_IDENTITY_MAP_ADDR) &&
	    ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity)) {
		say("KVM_SET_IDENTITY_MAP_ADDR failed: %s", strerror(errno));
		return -1;
	}
	if (vm_cap(vm->dev_fd, KVM_CAP_SET_TSS_ADDR) &&
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, GPA_TSS)) {
		say("KVM_SET_TSS_ADDR failed: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static int create_irqchip(struct vm *vm)
{
	/* With "dummy speaker" the kernel implements port 0x61 as well. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0)) {
		say("KVM_CREATE_IRQCHIP failed: %s", strerror(errno));
		return -1;
	}
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit)) {
		say("KVM_CREATE_PIT2 failed: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static int set_memory(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->mem->nr; i++) {
		const struct mem_region *r = &vm->mem->region[i];
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = r->gpa,
			.memory_size = r->size,
			.userspace_addr = (uintptr_t)r->host,
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot)) {
			say("KVM_SET_USER_MEMORY_REGION failed for %llu MiB of memory at %llu MiB: %s",
			    slot.memory_size >> 20, slot.guest_phys_addr >> 20,
			    strerror(errno));
			return -1;
		}
	}
	return 0;
}

int vm_create(struct vm *vm, unsigned int nr_vcpus)
{
	int size;

	vm->fd = -1;
	vm->end = RUN_NONE;
	vm->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&vm->end_lock, NULL);
	hold_init(&vm->hold);
	if (vm->wake_fd < 0) {
		say("cannot create an eventfd: %s", strerror(errno));
		return -1;
	}
	if (check_caps(vm))
		return -1;

	size = ioctl(vm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run)) {
		say("KVM_GET_VCPU_MMAP_SIZE failed or returned too small a size");
		return -1;
	}
	vm->run_size = size;
	vm->fd = ioctl(vm->dev_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0) {
		say("KVM_CREATE_VM failed: %s", strerror(errno));
		return -1;
	}
	/* Later the device answers for another pool, if it gets one, and this VM keeps what it has. */
	if (vm->pool && msrs_of_device(&vm->msrs, vm->dev_fd, vm->pool))
		return -1;
	vm->vcpu = calloc(nr_vcpus, sizeof(*vm->vcpu));
	if (!vm->vcpu) {
		say("out of memory");
		return -1;
	}
	if (place_helpers(vm) || create_irqchip(vm) || (vm->logs && dirty_init(vm)) || set_memory(vm))
		return -1;
	return 0;
}

int vm_pass_ports(struct vm *vm, const char *ranges)
{
	while (ranges) {
		struct droste_pass_ports ports = { .on = 1 };
		unsigned long first, last;

		if (args_range("pass-ports", &ranges, 0xffff, &first, &last))
			return -1;
		ports.first = first;
		ports.count = last - first + 1;
		if (ioctl(vm->fd, DROSTE_PASS_PORTS, &ports)) {
			say("cannot pass ports: %s", errno == ENOTTY ? "the device is not Droste's" :
			    errno == EPERM ? "that needs CAP_SYS_RAWIO, and a kernel that is not locked down" : strerror(errno));
			return -1;
		}
	}
	return 0;
}

void vm_destroy(struct vm *vm)
{
	if (vm->logs)
		dirty_free(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		munmap(vm->vcpu[i].run, vm->run_size);
		close(vm->vcpu[i].fd);
	}
	free(vm->vcpu);
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->wake_fd >= 0)
		close(vm->wake_fd);
	close(vm->dev_fd);
}

void vm_irq(struct vm *vm, unsigned int irq, bool level)
{
	struct kvm_irq_level line = { .irq = irq, .level = level };

	if (ioctl(vm->fd, KVM_IRQ_LINE, &line))
		vm_end(vm, RUN_HOST_ERROR, 0, NULL,
		       "KVM_IRQ_LINE failed for line %u: %s", irq,
		       strerror(errno));
}

/* Caller holds vm->end_lock. */
__attribute__((format(printf, 5, 0))) static void set_end(struct vm *vm, enum run_end end, uint32_t value, const char *regs,
							  const char *fmt, va_list ap)
{
	vm->end_value = value;
	snprintf(vm->end_regs, sizeof(vm->end_regs), "%s", regs ? regs : "");
	vsnprintf(vm->end_text, sizeof(vm->end_text), fmt, ap);
	/* vm_ended() takes no lock; its callers may then read the text. */
	__atomic_store_n(&vm->end, end, __ATOMIC_RELEASE);
	hold_kick(vm);
	hold_over(vm);
	/* Fails only if the eventfd is already readable. */
	eventfd_write(vm->wake_fd, 1);
}

bool vm_end(struct vm *vm, enum run_end end, uint32_t value, const char *regs,
	    const char *fmt, ...)
{
	va_list ap;
	bool first;

	pthread_mutex_lock(&vm->end_lock);
	if (end == RUN_STOPPED)
		__atomic_store_n(&vm->stopped, true, __ATOMIC_RELEASE);
	first = vm->end == RUN_NONE;
	if (first) {
		va_start(ap, fmt);
		set_end(vm, end, value, regs, fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&vm->end_lock);
	return first;
}

void vm_end_saved(struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&vm->end_lock);
	va_start(ap, fmt);
	set_end(vm, RUN_MOVED, 0, NULL, fmt, ap);
	va_end(ap);
	pthread_mutex_unlock(&vm->end_lock);
}

bool vm_ended(struct vm *vm)
{
	return __atomic_load_n(&vm->end, __ATOMIC_ACQUIRE) != RUN_NONE;
}
