/* SPDX-License-Identifier: GPL-2.0 */
/* What an exit tells, for tracepoints. */
#ifndef DROSTE_NESTED_FACTS_H
#define DROSTE_NESTED_FACTS_H

#include <linux/types.h>

struct vcpu;

/* What an exit to L0 tells, or one that L1 is shown. A member that the reason does not define is 0. */
struct exit_facts {
	u64 rip;
	u64 qual;
	u32 reason;
	u32 idt_info;
	u32 intr_info;
	u32 intr_error;
};

u8 facts_needs(u16 basic);
u8 facts_shown(const struct vcpu *vcpu, bool failed);
u64 facts_rip(const struct vcpu *vcpu);
void facts_of_exit(const struct vcpu *vcpu, struct exit_facts *f);
void facts_of_l1_exit(const struct vcpu *vcpu, struct exit_facts *f);

#endif
