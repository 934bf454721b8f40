// SPDX-License-Identifier: GPL-2.0
/* Measures what an exit costs a guest that the device cannot see: by a VM of a few instructions. */
#include "hide.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../uapi/linux/droste.h"

#define ROUNDS		64
#define AT_CODE		0x1000
#define AT_LEAST	0x1800
#define MEMORY		0x2000

/*
 * In real mode. The instructions between the two RDTSCs are those of here(). A jump is before each RDTSC, because an emulated
 * machine may advance its counter only where a block of instructions ends.
 */
static const uint8_t code[] = {
	0xbd, ROUNDS, 0x00,		/* mov bp, ROUNDS */
	/* again: */
	0xeb, 0x00,			/* jmp to the next instruction */
	0x0f, 0x31,			/* rdtsc */
	0x66, 0x89, 0xc6,		/* mov esi, eax */
	0x66, 0x31, 0xc0,		/* xor eax, eax */
	0x66, 0x31, 0xc9,		/* xor ecx, ecx */
	0x0f, 0xa2,			/* cpuid */
	0xeb, 0x00,			/* jmp to the next instruction */
	0x0f, 0x31,			/* rdtsc */
	0x66, 0x29, 0xf0,		/* sub eax, esi */
	0x66, 0x3b, 0x06, 0x00, 0x18,	/* cmp eax, [AT_LEAST] */
	0x73, 0x04,			/* jae next */
	0x66, 0xa3, 0x00, 0x18,		/* mov [AT_LEAST], eax */
	/* next: */
	0x4d,				/* dec bp */
	0x75, 0xdc,			/* jnz again */
	0xf4,				/* hlt */
};

static uint32_t here(void)
{
	uint32_t least = UINT32_MAX;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t ticks;

		asm volatile("jmp 1f\n1:\trdtsc\n\tmov %%eax, %%esi\n\txor %%eax, %%eax\n\txor %%ecx, %%ecx\n\tcpuid\n\t"
			     "jmp 2f\n2:\trdtsc\n\t"
			     "sub %%esi, %%eax" : "=a" (ticks) : : "rbx", "rcx", "rdx", "rsi", "cc");
		if (ticks < least)
			least = ticks;
	}
	return least;
}

/* Runs the code on a vCPU. Returns 0 if it has halted. */
static int run(int vcpu, size_t run_size)
{
	struct kvm_run *run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	struct kvm_regs regs = { .rip = AT_CODE, .rflags = 2 };
	struct kvm_sregs sregs;
	int ret = -1;

	if (run == MAP_FAILED)
		return -1;
	if (!ioctl(vcpu, KVM_GET_SREGS, &sregs)) {
		sregs.cs.base = 0;
		sregs.cs.selector = 0;
		if (!ioctl(vcpu, KVM_SET_SREGS, &sregs) && !ioctl(vcpu, KVM_SET_REGS, &regs) && !ioctl(vcpu, KVM_RUN, 0))
			ret = run->exit_reason == KVM_EXIT_HLT ? 0 : -1;
	}
	munmap(run, run_size);
	return ret;
}

/* The least time in a VM. Returns UINT32_MAX if the device cannot hide exits. */
static uint32_t there(int dev_fd, uint8_t *memory)
{
	struct droste_profile p = { .clock_bound = 1000000 };
	struct kvm_userspace_memory_region slot = { .memory_size = MEMORY, .userspace_addr = (uintptr_t)memory };
	int vm = ioctl(dev_fd, KVM_CREATE_VM, 0), vcpu = -1, size = ioctl(dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	uint32_t least = UINT32_MAX;

	memcpy(memory + AT_CODE, code, sizeof(code));
	memcpy(memory + AT_LEAST, &least, sizeof(least));
	if (vm >= 0 && size > 0 && !ioctl(vm, DROSTE_SET_PROFILE, &p) && !ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot))
		vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu >= 0 && !run(vcpu, size))
		memcpy(&least, memory + AT_LEAST, sizeof(least));
	if (vcpu >= 0)
		close(vcpu);
	if (vm >= 0)
		close(vm);
	return least;
}

int64_t hide_measure(int dev_fd)
{
	uint8_t *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t least;

	if (memory == MAP_FAILED)
		return HIDE_UNKNOWN;
	least = there(dev_fd, memory);
	munmap(memory, MEMORY);
	return least == UINT32_MAX ? HIDE_UNKNOWN : (int64_t)least - here();
}
