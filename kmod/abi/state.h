/* SPDX-License-Identifier: GPL-2.0 */
/* Ioctls that read and write a vCPU's state, called through the table in dev_vcpu.c. */
#ifndef DROSTE_ABI_STATE_H
#define DROSTE_ABI_STATE_H

#include <linux/types.h>

struct vcpu;

/* --- cpuid.c --- */
long vcpu_set_cpuid(void *self, void *arg, unsigned long uarg);
long vcpu_set_cpuid2(void *self, void *arg, unsigned long uarg);
long vcpu_get_cpuid2(void *self, void *arg, unsigned long uarg);

/* --- state.c, state_events.c --- */
long vcpu_get_regs(void *self, void *arg, unsigned long uarg);
long vcpu_set_regs(void *self, void *arg, unsigned long uarg);
long vcpu_get_sregs(void *self, void *arg, unsigned long uarg);
long vcpu_set_sregs(void *self, void *arg, unsigned long uarg);
long vcpu_get_sregs2(void *self, void *arg, unsigned long uarg);
long vcpu_set_sregs2(void *self, void *arg, unsigned long uarg);
long vcpu_get_debugregs(void *self, void *arg, unsigned long uarg);
long vcpu_set_debugregs(void *self, void *arg, unsigned long uarg);
long vcpu_get_events(void *self, void *arg, unsigned long uarg);
long vcpu_set_events(void *self, void *arg, unsigned long uarg);
long vcpu_get_mp_state(void *self, void *arg, unsigned long uarg);
long vcpu_set_mp_state(void *self, void *arg, unsigned long uarg);
/* The flags that KVM_SET_GUEST_DEBUG accepts. */
#define GUEST_DEBUG_FLAGS	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP | \
				 KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP | \
				 KVM_GUESTDBG_BLOCKIRQ)
long vcpu_set_guest_debug(void *self, void *arg, unsigned long uarg);
long vcpu_translate(void *self, void *arg, unsigned long uarg);

/* --- sync_regs.c --- */
int vcpu_sync_regs_in(struct vcpu *vcpu);
void vcpu_sync_regs_out(struct vcpu *vcpu);

#endif
