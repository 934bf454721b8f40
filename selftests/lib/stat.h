/* SPDX-License-Identifier: GPL-2.0 */
/* Reading a statistic of a vCPU by its name. t_stats.c tests the files themselves. */
#ifndef STAT_H
#define STAT_H

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "vm.h"

/* Element @n of a statistic. Skips the test if there is no such one. */
static inline u64 stat_at(struct vcpu *vcpu, const char *name, u32 n)
{
	struct kvm_stats_header h;
	struct kvm_stats_desc *d;
	u64 val, found = ~0ul;
	u32 i, size;
	int fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, 0);

	if (fd < 0)
		ksft_skip("no statistics");
	MUST(pread(fd, &h, sizeof(h), 0) == sizeof(h), "header");
	size = sizeof(*d) + h.name_size;
	d = malloc(size);
	for (i = 0; i < h.num_desc && found == ~0ul; i++) {
		MUST(pread(fd, d, size, h.desc_offset + i * size) == size, "descriptor");
		if (!strcmp(d->name, name))
			found = h.data_offset + d->offset + n * 8;
	}
	free(d);
	if (found == ~0ul)
		ksft_skip("no statistic %s", name);
	MUST(pread(fd, &val, 8, found) == 8, "value");
	close(fd);
	return val;
}

static inline u64 stat(struct vcpu *vcpu, const char *name)
{
	return stat_at(vcpu, name, 0);
}

#endif
