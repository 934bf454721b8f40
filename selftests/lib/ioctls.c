// SPDX-License-Identifier: GPL-2.0
/* The table of ioctls.def. */
#include "ioctls.h"

#define DEV	ON_DEV
#define VM	ON_VM
#define VCPU	ON_VCPU
#define INSPECT	ON_INSPECT
#define ROW(c, o, a, b, w)	{ .name = #c, .cmd = c, .on = o, .arg = ARG_##a, .bad = b, .bare = w },

const struct ioctl_row ioctl_rows[] = {
#include "ioctls.def"
};

const int nr_ioctl_rows = ARRAY_SIZE(ioctl_rows);

const struct ioctl_row *ioctl_row(unsigned int cmd, u8 on)
{
	int i;

	for (i = 0; i < nr_ioctl_rows; i++)
		if (ioctl_rows[i].cmd == cmd && (ioctl_rows[i].on & on))
			return &ioctl_rows[i];
	return NULL;
}
