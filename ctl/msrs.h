/* SPDX-License-Identifier: GPL-2.0 */
/* The numbers of the MSRs that are state of a vCPU. */
#ifndef DROSTECTL_MSRS_H
#define DROSTECTL_MSRS_H

#include <stdbool.h>
#include <stdint.h>

#define MSR_MCG_CAP	0x179	/* has the number of banks of machine checks in bits 7:0 */
#define MSRS_OF_DEVICE	512	/* most that a device lists, with those of a pool */
#define MSRS_NO_LIST	162	/* most that no device lists */

/** struct msrs - MSRs */
struct msrs {
	uint32_t nr;
	uint32_t index[MSRS_OF_DEVICE];
};

struct droste_pool;

/**
 * msrs_of_device() - the MSRs that a device lists now, and those of a pool
 * @m: filled in
 * @dev_fd: the device
 * @pool: the pool
 *
 * Return: 0, or -1 after an error message.
 */
int msrs_of_device(struct msrs *m, int dev_fd, const struct droste_pool *pool);

/**
 * msrs_in_no_list() - MSRs that are state and that no device lists, apart from IA32_MCG_CAP
 * @index: filled in, MSRS_NO_LIST at most
 * @mcg_cap: IA32_MCG_CAP
 *
 * A vCPU need not have all of them.
 *
 * Return: how many.
 */
unsigned int msrs_in_no_list(uint32_t *index, uint64_t mcg_cap);

/** msrs_has() - whether an MSR is among them */
bool msrs_has(const struct msrs *m, uint32_t index);

#endif
