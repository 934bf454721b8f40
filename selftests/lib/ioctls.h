/* SPDX-License-Identifier: GPL-2.0 */
/* ioctls.def as a table. */
#ifndef IOCTLS_H
#define IOCTLS_H

#include <errno.h>
#include <linux/droste.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include "ksft.h"

enum ioctl_on { ON_DEV = 1, ON_VM = 2, ON_VCPU = 4, ON_INSPECT = 8 };
enum ioctl_arg { ARG_NONE, ARG_ZERO, ARG_VALUE, ARG_PTR, ARG_VAR };

struct ioctl_row {
	const char *name;
	unsigned int cmd;
	u8 on;		/* enum ioctl_on */
	u8 arg;		/* enum ioctl_arg */
	u8 bad, bare;	/* see ioctls.def */
};

extern const struct ioctl_row ioctl_rows[];
extern const int nr_ioctl_rows;

/* @cmd is one of the rows on that kind of descriptor. */
const struct ioctl_row *ioctl_row(unsigned int cmd, u8 on);

#endif
