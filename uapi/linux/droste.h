/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* The ioctls that /dev/droste offers in addition to the KVM API. */
#ifndef _UAPI_LINUX_DROSTE_H
#define _UAPI_LINUX_DROSTE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define DROSTE_IOC_MAGIC	0xd5

/* Number of basic exit reasons that are counted, starting with 0 (SDM 3D appendix C). */
#define DROSTE_NR_EXIT_REASONS	80

/**
 * struct droste_exit_stats - VM exits of a vCPU since its creation
 * @exits: exits taken by L0, by basic exit reason
 * @from_l2: the part of @exits that came from L2
 * @reflected: the part of @from_l2 that L0 reflected to L1
 *
 * The exits in @exits but not in @from_l2 came from L1 itself. L0 handled the
 * exits in @from_l2 but not in @reflected without L1's knowledge.
 */
struct droste_exit_stats {
	__u64 exits[DROSTE_NR_EXIT_REASONS];
	__u64 from_l2[DROSTE_NR_EXIT_REASONS];
	__u64 reflected[DROSTE_NR_EXIT_REASONS];
};

/*
 * Reads the counters of the vCPU on whose file descriptor it is issued. Like
 * all vCPU ioctls, it waits while the vCPU is in KVM_RUN.
 * Errors: EFAULT; EINTR if a signal interrupts the wait.
 */
#define DROSTE_GET_EXIT_STATS	_IOR(DROSTE_IOC_MAGIC, 0x01, struct droste_exit_stats)

#endif
