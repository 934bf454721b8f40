// SPDX-License-Identifier: GPL-2.0
/* Knows which MSRs are state of a vCPU: those that the device lists, and some that no device does. */
#include "msrs.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../uapi/linux/droste.h"
#include "../uapi/linux/droste_para.h"
#include "say.h"

#define MSR_MC0_CTL2	0x280	/* one for each bank */
#define MSR_MC0_CTL	0x400	/* CTL, STATUS, ADDR and MISC of each bank (SDM 3B 16.3.2) */
#define MCG_BANKS	0xffu
#define MOST_BANKS	32u	/* there are numbers of MSRs for so many */

bool msrs_has(const struct msrs *m, uint32_t index)
{
	for (uint32_t i = 0; i < m->nr; i++)
		if (m->index[i] == index)
			return true;
	return false;
}

int msrs_of_device(struct msrs *m, int dev_fd, const struct droste_pool *pool)
{
	const uint32_t room = MSRS_OF_DEVICE - DROSTE_POOL_LIST;
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + room * sizeof(list->indices[0]));

	if (!list) {
		say("out of memory");
		return -1;
	}
	list->nmsrs = room;
	if (ioctl(dev_fd, KVM_GET_MSR_INDEX_LIST, list)) {
		say("KVM_GET_MSR_INDEX_LIST failed: %s", strerror(errno));
		free(list);
		return -1;
	}
	m->nr = list->nmsrs;
	memcpy(m->index, list->indices, m->nr * sizeof(m->index[0]));
	free(list);
	for (uint32_t i = 0; i < pool->nr_list; i++)
		if (!msrs_has(m, pool->list[i]))
			m->index[m->nr++] = pool->list[i];
	return 0;
}

unsigned int msrs_in_no_list(uint32_t *index, uint64_t mcg_cap)
{
	uint32_t banks = mcg_cap & MCG_BANKS;
	unsigned int n = 0;

	banks = banks < MOST_BANKS ? banks : MOST_BANKS;
	for (uint32_t i = 0; i < 4 * banks; i++)
		index[n++] = MSR_MC0_CTL + i;
	for (uint32_t i = 0; i < banks; i++)
		index[n++] = MSR_MC0_CTL2 + i;
	index[n++] = DROSTE_MSR_DELEGATE;
	return n;
}
