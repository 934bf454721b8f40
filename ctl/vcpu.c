// SPDX-License-Identifier: GPL-2.0
/* Creates virtual processors and runs each in its own thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../uapi/linux/droste.h"
#include "cpuid.h"
#include "fault.h"
#include "hpet.h"
#include "layout.h"
#include "mover.h"
#include "pin.h"
#include "profilerun.h"
#include "say.h"
#include "vcpu.h"

#define MSR_FEATURE_CONTROL		0x03a
#define FEATURE_CONTROL_LOCKED		(1ULL << 0)
#define FEATURE_CONTROL_VMX		(1ULL << 2)	/* outside SMX */
#define MSR_MTRR_DEF_TYPE		0x2ff
#define MSR_MTRR_BASE0			0x200
#define MSR_MTRR_FIX64K			0x250
#define MSR_MTRR_FIX16K			0x258
#define MTRR_ENABLE			(1ULL << 11)
#define MTRR_FIX_ENABLE			(1ULL << 10)
#define MTRR_FIX_WRITE_BACK		0x0606060606060606ULL
#define MTRR_WRITE_BACK			6
#define LEAF1_ECX_VMX			(1U << 5)

#define CR0_PE		(1ULL << 0)
#define CR0_ET		(1ULL << 4)
#define CR0_NE		(1ULL << 5)
#define CR0_PG		(1ULL << 31)
#define CR4_PAE		(1ULL << 5)
#define EFER_LME	(1ULL << 8)
#define EFER_LMA	(1ULL << 10)
#define RFLAGS_FIXED	(1ULL << 1)

/* Segments of the boot GDT that linux_load() wrote. */
#define BOOT_CS		0x10
#define BOOT_DS		0x18
#define BOOT_GDT_LIMIT	(4 * 8 - 1)

/* Sets an MSR that the guest can do without. */
static void try_msr(struct vcpu *vcpu, uint32_t index, uint64_t value, const char *name)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head = { .nmsrs = 1 }, .entry = { .index = index, .data = value } };

	if (ioctl(vcpu->fd, KVM_SET_MSRS, &msr) != 1)
		say("CPU %u: %s cannot be set; continuing without it", vcpu->id, name);
}

/* The memory types that a PC's firmware leaves: low memory is write-back, devices below 4 GiB are not cached. */
static void firmware_mtrrs(struct vcpu *vcpu, struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *sizes = cpuid_find(cpuid, 0x80000008, 0);
	uint64_t width = sizes ? sizes->eax & 0xff : 36;

	try_msr(vcpu, MSR_MTRR_FIX64K, MTRR_FIX_WRITE_BACK, "IA32_MTRR_FIX64K_00000");
	try_msr(vcpu, MSR_MTRR_FIX16K, MTRR_FIX_WRITE_BACK, "IA32_MTRR_FIX16K_80000");
	try_msr(vcpu, MSR_MTRR_BASE0, GPA_HOLE, "IA32_MTRR_PHYSBASE0");
	try_msr(vcpu, MSR_MTRR_BASE0 + 1, (((1ULL << width) - 1) & ~(GPA_4G - GPA_HOLE - 1)) | MTRR_ENABLE, "IA32_MTRR_PHYSMASK0");
	try_msr(vcpu, MSR_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_FIX_ENABLE | MTRR_WRITE_BACK, "IA32_MTRR_DEF_TYPE");
}

/*
 * Sets MSRs as firmware does before it starts a kernel: memory is write-back,
 * and if the CPU has VMX, its use is either allowed or forbidden, and locked.
 */
static void firmware_msrs(struct vcpu *vcpu, struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *leaf1 = cpuid_find(cpuid, 1, 0);

	if (vcpu->vm->profile)
		firmware_mtrrs(vcpu, cpuid);
	else
		try_msr(vcpu, MSR_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_WRITE_BACK, "IA32_MTRR_DEF_TYPE");
	if (leaf1 && leaf1->ecx & LEAF1_ECX_VMX)
		try_msr(vcpu, MSR_FEATURE_CONTROL, FEATURE_CONTROL_LOCKED | (vcpu->vm->lock_vmx ? 0 : FEATURE_CONTROL_VMX),
			"IA32_FEATURE_CONTROL");
}

static int make_vcpu(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = &vm->vcpu[id];

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (vcpu->fd < 0) {
		say("KVM_CREATE_VCPU failed for CPU %u: %s", id, strerror(errno));
		return -1;
	}
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		say("cannot map the run structure of CPU %u: %s", id,
		    strerror(errno));
		close(vcpu->fd);
		return -1;
	}
	vm->nr_vcpus = id + 1;
	return 0;
}

int vcpu_create_as(struct vm *vm, const struct kvm_cpuid2 *cpuid, unsigned int id)
{
	if (make_vcpu(vm, id))
		return -1;
	if (!ioctl(vm->vcpu[id].fd, KVM_SET_CPUID2, cpuid))
		return 0;
	say("KVM_SET_CPUID2 failed for CPU %u: %s", id, strerror(errno));
	return -1;
}

int vcpu_create(struct vm *vm, struct kvm_cpuid2 *cpuid, unsigned int id,
		unsigned int total)
{
	if (vm->profile)
		profile_run_id(cpuid, id);
	else
		cpuid_fix(cpuid, id, total, vm_cap(vm->dev_fd, KVM_CAP_TSC_DEADLINE_TIMER));
	if (vcpu_create_as(vm, cpuid, id))
		return -1;
	firmware_msrs(&vm->vcpu[id], cpuid);
	return 0;
}

/* Sets the state required by Documentation/arch/x86/boot.rst, "64-bit Boot Protocol". */
static void set_long_mode(struct kvm_sregs *s)
{
	const struct kvm_segment code = {
		.selector = BOOT_CS, .limit = 0xffffffff, .type = 0xb,
		.present = 1, .s = 1, .l = 1, .g = 1,
	};
	const struct kvm_segment data = {
		.selector = BOOT_DS, .limit = 0xffffffff, .type = 0x3,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};

	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->gdt.base = GPA_GDT;
	s->gdt.limit = BOOT_GDT_LIMIT;
	s->idt.base = 0;
	s->idt.limit = 0;
	s->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	s->cr3 = GPA_PML4;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME | EFER_LMA;
}

int vcpu_boot_state(struct vcpu *vcpu, uint64_t entry)
{
	const struct kvm_regs regs = {
		.rip = entry,
		.rsi = GPA_ZERO_PAGE,
		.rsp = GPA_STACK_TOP,
		.rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs)) {
		say("KVM_GET_SREGS failed: %s", strerror(errno));
		return -1;
	}
	set_long_mode(&sregs);
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs)) {
		say("KVM_SET_SREGS failed: %s", strerror(errno));
		return -1;
	}
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs)) {
		say("KVM_SET_REGS failed: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static void exit_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	ioport_access(vcpu->vm->bus, run->io.direction == KVM_EXIT_IO_OUT,
		      run->io.port, run->io.size, run->io.count,
		      (uint8_t *)run + run->io.data_offset);
}

/* All other devices are in the kernel or on ports. */
static void exit_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t at = run->mmio.phys_addr - GPA_HPET;

	if (vcpu->vm->hpet && at < HPET_SIZE) {
		hpet_access(vcpu->vm->hpet, run->mmio.is_write, at, run->mmio.data, run->mmio.len);
		return;
	}
	if (!run->mmio.is_write)
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
	if (vcpu->vm->trace)
		say("no device at address 0x%llx: %u-byte %s",
		    run->mmio.phys_addr, run->mmio.len,
		    run->mmio.is_write ? "write is ignored" :
					 "read returns all ones");
}

static void exit_system_event(struct vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_end(vcpu->vm, RUN_POWEROFF, 0, NULL, "the guest powered off");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vm_end(vcpu->vm, RUN_RESET, 0, NULL,
		       "the guest reset the machine");
		break;
	default:
		fault_unexpected(vcpu);
		break;
	}
}

static void exit_msr(struct vcpu *vcpu)
{
	profile_run_exit(vcpu->vm->profile, vcpu->run);
}

static void exit_ring_full(struct vcpu *vcpu)
{
	if (dirty_collect(vcpu->vm))
		vm_end(vcpu->vm, RUN_HOST_ERROR, 0, NULL, "KVM_RESET_DIRTY_RINGS failed: %s", strerror(errno));
}

/* Does nothing; the caller then checks whether the run has ended. */
static void exit_nothing(struct vcpu *vcpu)
{
	(void)vcpu;
}

static void (* const exit_handler[])(struct vcpu *vcpu) = {
	[KVM_EXIT_IO]			= exit_io,
	[KVM_EXIT_MMIO]			= exit_mmio,
	[KVM_EXIT_INTR]			= exit_nothing,
	[KVM_EXIT_IRQ_WINDOW_OPEN]	= exit_nothing,
	[KVM_EXIT_SHUTDOWN]		= fault_shutdown,
	[KVM_EXIT_INTERNAL_ERROR]	= fault_internal,
	[KVM_EXIT_FAIL_ENTRY]		= fault_entry,
	[KVM_EXIT_SYSTEM_EVENT]		= exit_system_event,
	[KVM_EXIT_X86_RDMSR]		= exit_msr,
	[KVM_EXIT_X86_WRMSR]		= exit_msr,
	[KVM_EXIT_DIRTY_RING_FULL]	= exit_ring_full,
};

static void *vcpu_loop(void *arg)
{
	const uint32_t nr_handlers =
		sizeof(exit_handler) / sizeof(exit_handler[0]);
	struct vcpu *vcpu = arg;

	while (!vm_ended(vcpu->vm)) {
		uint32_t reason;

		if (ioctl(vcpu->fd, KVM_RUN, 0)) {
			/* EAGAIN: the processor has just been started. */
			if (errno == EAGAIN)
				continue;
			if (errno == EINTR) {
				hold_here(vcpu);
				continue;
			}
			vm_end(vcpu->vm, RUN_HOST_ERROR, 0, NULL,
			       "KVM_RUN failed on CPU %u: %s", vcpu->id,
			       strerror(errno));
			break;
		}
		reason = vcpu->run->exit_reason;
		if (reason < nr_handlers && exit_handler[reason])
			exit_handler[reason](vcpu);
		else if (reason == DROSTE_EXIT_BARRIER && vcpu->vm->mover)
			mover_barrier(vcpu);
		else
			fault_unexpected(vcpu);
	}
	return NULL;
}

int vcpus_start(struct vm *vm)
{
	int err = 0;

	hold_signal();
	/* A new thread that calls vm_end() must see all threads started so far. */
	pthread_mutex_lock(&vm->end_lock);
	for (unsigned int i = 0; i < vm->nr_vcpus && !err; i++) {
		err = pthread_create(&vm->vcpu[i].thread, NULL, vcpu_loop,
				     &vm->vcpu[i]);
		vm->vcpu[i].started = !err;
		if (!err && vm->pin)
			err = pin_thread(vm->pin, i, vm->vcpu[i].thread);
	}
	pthread_mutex_unlock(&vm->end_lock);
	if (err) {
		say("cannot start a thread, or give it its CPU: %s", strerror(err));
		return -1;
	}
	return 0;
}

void vcpus_join(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpu[i].started)
			pthread_join(vm->vcpu[i].thread, NULL);
}
