/* SPDX-License-Identifier: GPL-2.0 */
/* VMCS12's fields that L1 writes seldom: see seldom.c. */
#ifndef DROSTE_NESTED_SELDOM_H
#define DROSTE_NESTED_SELDOM_H

#include "droste.h"
#include "nested/shadow.h"

u8 seldom_begin(struct nested *n);
void seldom_open(struct vcpu *vcpu);
bool seldom_is_over(struct vcpu *vcpu);

/* Whether L1 writes the fields without exits at present, so that each entry fetches them. */
static __always_inline bool seldom_is_open(const struct nested *n)
{
	return n->shadow_writes & SHADOW_WRITES_SELDOM;
}

#endif
