/* SPDX-License-Identifier: GPL-2.0 */
/* The module's rules of what a pool needs, from kmod/cpu/pool_close.c, for t_pool. */
#ifndef POOL_CLOSE_H
#define POOL_CLOSE_H

#include <linux/droste.h>

void pool_close(struct droste_pool *p);	/* takes out what needs something that the pool lacks */

#endif
