/* SPDX-License-Identifier: GPL-2.0 */
/* Paravirtual EOI: lets a guest end an interrupt by a store. */
#ifndef DROSTE_PVEOI_H
#define DROSTE_PVEOI_H

#include <linux/kvm_para.h>
#include "cpu/msr_row.h"
#include "droste.h"

void pv_eoi_begin(struct vcpu *vcpu);
void pv_eoi_end(struct vcpu *vcpu);
bool pv_eoi_end_short(struct vcpu *vcpu);
MSR_GET(msr_get_pv_eoi);
MSR_SET(msr_set_pv_eoi);

/**
 * pv_eoi_offer() - let L1 end the interrupt that it is about to take by a store, if it knows how to
 * @vcpu: in L1, or about to exit to L1; an interrupt of the local APIC was acknowledged
 *
 * Context: Process context. Interrupts may be disabled. Caller holds vcpu->mutex.
 */
static inline void pv_eoi_offer(struct vcpu *vcpu)
{
	if (vcpu->pv_eoi.msr & KVM_MSR_ENABLED)
		pv_eoi_begin(vcpu);
}

#endif
