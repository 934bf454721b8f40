/* SPDX-License-Identifier: GPL-2.0 */
/* A virtual machine of the KVM API, and the end of its run. */
#ifndef DROSTECTL_VM_H
#define DROSTECTL_VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dirty.h"
#include "hold.h"
#include "ioport.h"
#include "mem.h"
#include "msrs.h"
#include "outcome.h"

struct droste_pool;
struct hpet;
struct mover;
struct profile;
struct vm;

/** struct vcpu - one virtual processor and its thread */
struct vcpu {
	struct vm *vm;
	unsigned int id;	/* index and APIC ID */
	int fd;			/* vCPU file descriptor */
	struct kvm_run *run;	/* shared with the kernel; vm->run_size bytes */
	pthread_t thread;	/* valid if started */
	bool started;
};

/** struct vm - a machine */
struct vm {
	int dev_fd;		/* /dev/droste or /dev/kvm */
	int fd;			/* VM file descriptor */
	size_t run_size;	/* bytes of a vCPU's struct kvm_run mapping */
	bool trace;		/* report accesses to addresses without a device */
	bool lock_vmx;		/* lock VMX off, as firmware can */
	const char *pin;	/* the host's CPUs for the vCPUs' threads, as args_range() takes them; or NULL */
	const struct droste_pool *pool;	/* the guest's processor; NULL if the guest has nowhere to go */
	struct msrs msrs;	/* if the guest can go elsewhere: those that are its state */
	const struct profile *profile;	/* the machine that the guest shall look like, or NULL */
	struct hpet *hpet;	/* or NULL */
	struct guest_mem *mem;	/* guest memory, in the VM's slots */
	struct iobus *bus;	/* I/O ports */
	unsigned int nr_vcpus;
	struct vcpu *vcpu;	/* nr_vcpus of them */
	int wake_fd;		/* eventfd: becomes readable when the run ends */
	struct hold hold;
	bool logs;		/* make dirty rings */
	struct dirty dirty;	/* if it logs */
	struct mover *mover;	/* saves or moves the machine; NULL: nobody does */

	pthread_mutex_t end_lock;	/* guards the members below */
	enum run_end end;		/* RUN_NONE while running */
	bool stopped;			/* a user has ended the run, if only after something else has; read without the lock */
	uint32_t end_value;		/* value that the guest wrote to debug-exit */
	char end_text[1024];		/* one line: what happened */
	char end_regs[1024];		/* registers, several lines, or empty */
};

/**
 * vm_open() - open the device and check that it speaks the KVM API
 * @path: /dev/droste or /dev/kvm
 *
 * Return: a file descriptor, or -1 after printing an error message.
 */
int vm_open(const char *path);

/** vm_cap() - the value of KVM_CHECK_EXTENSION; 0 if not offered */
int vm_cap(int dev_fd, long cap);

/**
 * vm_check_vcpus() - check a number of virtual processors against the device's maximum
 * @dev_fd: the device
 * @nr_vcpus: the number
 *
 * Return: 0, or -1 after printing an error message.
 */
int vm_check_vcpus(int dev_fd, unsigned int nr_vcpus);

/**
 * vm_create() - create the VM, its interrupt controllers, timer and memory
 * @vm: zeroed except for dev_fd, mem, bus, and what says how it shall be
 * @nr_vcpus: number of virtual processors that will be created; see vm_check_vcpus()
 *
 * Return: 0, or -1 after printing an error message.
 */
int vm_create(struct vm *vm, unsigned int nr_vcpus);

/**
 * vm_pass_ports() - let the guest access ports of the host without an exit
 * @vm: the VM
 * @ranges: the ports, as args_range() takes them
 *
 * Return: 0, or -1 after printing an error message.
 */
int vm_pass_ports(struct vm *vm, const char *ranges);

/** vm_destroy() - close the VM and its vCPUs; no vCPU thread may run */
void vm_destroy(struct vm *vm);

/** vm_irq() - set the level of an interrupt line */
void vm_irq(struct vm *vm, unsigned int irq, bool level);

/**
 * vm_end() - end the run; the first caller decides how it ended
 * @vm: the VM
 * @end: how it ended
 * @value: the value the guest wrote, for RUN_DEBUG_EXIT
 * @regs: lines to print below the message, or NULL
 * @fmt: printf format of the message: one line, without a newline
 *
 * May be called from any thread; all vCPU threads leave the guest soon after.
 *
 * Return: whether this call decided.
 */
bool vm_end(struct vm *vm, enum run_end end, uint32_t value, const char *regs,
	    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/**
 * vm_end_saved() - end the run of a guest that is saved, with status RUN_MOVED, also if something else has just ended it
 * @vm: the VM; all vCPUs are held since the state was read, so that the end of the run has changed nothing
 * @fmt: printf format of the message, as for vm_end()
 *
 * Called before mover_stop() returns, so that nobody has reported the other end.
 */
void vm_end_saved(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** vm_ended() - whether the run has ended */
bool vm_ended(struct vm *vm);

#endif
