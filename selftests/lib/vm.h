/* SPDX-License-Identifier: GPL-2.0 */
/* The user-space side of a test: VMs and vCPUs of the KVM API, and reports of guests. */
#ifndef VM_H
#define VM_H

#include <linux/kvm.h>
#include "ksft.h"
#include "layout.h"

#define MAX_VCPUS	8

struct vcpu {
	struct vm *vm;
	int fd, id;
	struct kvm_run *run;
	bool done;		/* the guest function has returned */
	bool past_faults;	/* repeat KVM_RUN if it fails with EFAULT */
};

/**
 * struct vm - a machine with MEM_SIZE of memory at 0, which holds a copy of this program
 *
 * Guest code is C code of this program. It runs at the same addresses, on a
 * copy of the program's data that is made when the VM is created.
 */
struct vm {
	int dev, fd;
	u8 *mem;
	struct vcpu vcpu[MAX_VCPUS];
	unsigned int flags;
	int run_size;
};

/* The guest's copy of a variable of the program. */
#define GUEST(vm, var)	(*(typeof(var) *)((vm)->mem + (uintptr_t)&(var)))

const char *device_path(void);	/* $DROSTE_DEVICE, or /dev/droste */
int device_open(void);
void vm_create(struct vm *vm, unsigned int flags);	/* enum ksft_flags */
struct vcpu *vcpu_create(struct vm *vm, int id, void (*fn)(void));	/* long mode, at fn() */
void vcpu_start(struct vcpu *vcpu, void (*fn)(void), u64 arg);	/* sets registers only */
void vm_destroy(struct vm *vm);
void vm_replace(struct vm *vm);	/* destroys the VM; a new one without vCPUs takes over its memory */
void guest_subtest(const struct ksft_test *t);

int vcpu_run_once(struct vcpu *vcpu);	/* KVM_RUN; returns 0 or -errno */
/*
 * Runs until the guest makes a call other than a check (failed checks are
 * counted here) or exits for another reason. Returns GCALL_*; GCALL_NONE for
 * other exits.
 */
u64 vcpu_run_to_call(struct vcpu *vcpu, u64 args[4]);
void vcpu_run_to_end(struct vcpu *vcpu);	/* other exits and other calls are failures */
void vcpu_run_to_sync(struct vcpu *vcpu, u64 stage);	/* the next call must be g_sync(stage) */

/* An ioctl that must succeed. */
#define DO(fd, req, arg) ({ \
	int ret__ = ioctl(fd, req, arg); \
	MUST(ret__ >= 0, #req ": %s", strerror(errno)); \
	ret__; })

/* An ioctl that must fail with @err. */
#define FAILS(fd, req, arg, err) do { \
	int ret__ = ioctl(fd, req, arg); \
	if (ret__ >= 0) \
		ksft_fail(__FILE__, __LINE__, #req " must fail with " #err); \
	else \
		EQ(errno, err, #req " fails, errno"); \
} while (0)

void vcpu_regs(struct vcpu *vcpu, struct kvm_regs *regs);
void vcpu_set_regs(struct vcpu *vcpu, struct kvm_regs *regs);
void vcpu_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs);
void vcpu_set_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs);
int vcpu_get_msr(struct vcpu *vcpu, u32 msr, u64 *val);	/* 0, or -1 if the MSR is unknown */
int vcpu_set_msr(struct vcpu *vcpu, u32 msr, u64 val);
struct kvm_cpuid2 *supported_cpuid(int dev);
bool vm_has_vmx(struct vm *vm);
int vm_enable_cap(struct vm *vm, u32 cap, u64 arg);	/* 0, or an errno */
u64 vm_force_exits(struct vm *vm, u64 mask);	/* DROSTE_FORCE_*; 0, or an errno */
u64 vm_forceable(struct vm *vm);	/* the bits that the processor has; 0 if the hypervisor forces none */
void vm_slot(struct vm *vm, int slot, u32 flags, u64 gpa, u64 size, void *host);
void describe_exit(struct vcpu *vcpu);	/* prints a diagnostic line */

/* Threads that run vCPUs. */
#include <pthread.h>
void vcpu_thread(struct vcpu *vcpu, pthread_t *thread);	/* vcpu_run_to_end() in a thread */
/* KVM_RUN, interrupted by SIGUSR1 once *@counter has changed. The calling thread must have a handler. */
int vcpu_run_until_changed(struct vcpu *vcpu, volatile u64 *counter);
/*
 * Runs until the vCPU is in an MP state and stays there. Signals interrupt KVM_RUN all the time. Returns GCALL_NONE, or
 * what vcpu_run_to_call() does if the guest makes a call instead.
 */
u64 vcpu_run_to_mp_state(struct vcpu *vcpu, u32 state, u64 args[4]);
u32 vcpu_mp_state(struct vcpu *vcpu);

#endif
