/* SPDX-License-Identifier: GPL-2.0 */
/* PAUSE loops of L2: see pauseloop.c. */
#ifndef DROSTE_PAUSELOOP_H
#define DROSTE_PAUSELOOP_H

struct nested;
struct route_facts;
struct vcpu;

void pauseloop_write(struct vcpu *vcpu);
void pauseloop_before_entry(struct nested *n);
void pauseloop_facts(struct vcpu *vcpu, struct route_facts *f);

#endif
