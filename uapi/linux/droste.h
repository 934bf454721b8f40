/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* What /dev/droste answers beyond the KVM API: Droste's own ioctls. */
#ifndef _UAPI_LINUX_DROSTE_H
#define _UAPI_LINUX_DROSTE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define DROSTE_IOC_MAGIC	0xd5

/* Exit reasons are counted up to this basic exit reason, exclusive (SDM 3D appendix C). */
#define DROSTE_NR_EXIT_REASONS	80

/**
 * struct droste_exit_stats - VM exits a vCPU took since it was made
 * @exits: exits that L0 took, by basic exit reason
 * @from_l2: those of them that came from L2
 * @reflected: those of them that L1 was shown, as exits of its own guest
 *
 * What is in @exits and not in @from_l2 came from L1 itself; what is in
 * @from_l2 and not in @reflected was handled by L0 without L1's knowledge.
 */
struct droste_exit_stats {
	__u64 exits[DROSTE_NR_EXIT_REASONS];
	__u64 from_l2[DROSTE_NR_EXIT_REASONS];
	__u64 reflected[DROSTE_NR_EXIT_REASONS];
};

/*
 * On a vCPU's file descriptor. Waits while the vCPU is in KVM_RUN, as all vCPU
 * ioctls do. Errors: EFAULT; EINTR while waiting.
 */
#define DROSTE_GET_EXIT_STATS	_IOR(DROSTE_IOC_MAGIC, 0x01, struct droste_exit_stats)

#endif
