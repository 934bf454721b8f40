// SPDX-License-Identifier: GPL-2.0
/* A vCPU drops what it has cached of EPT01: the processor's translations, and copies of leaves in EPT02. */
#include "droste.h"
#include "ept/ept.h"
#include "vmx/vmx.h"

/*
 * Collect the holes that were recorded since a vCPU last looked. Returns their
 * number, -1 if some records were overwritten.
 */
static int ept01_new_holes(struct vm *vm, unsigned long *seen, struct ept01_hole *holes)
{
	struct ept01 *e = &vm->ept01;
	int n = 0;

	if (READ_ONCE(e->shadow_seq) == *seen)
		return 0;
	spin_lock(&vm->mmu_lock);
	if (e->shadow_seq - *seen > EPT01_HOLES) {
		n = -1;
		*seen = e->shadow_seq;
	}
	while (*seen != e->shadow_seq)
		holes[n++] = e->holes[(*seen)++ % EPT01_HOLES];
	spin_unlock(&vm->mmu_lock);
	return n;
}

/**
 * ept01_flush() - handle REQ_EPT01_FLUSH
 * @vcpu: the vCPU
 *
 * Invalidates the translations of EPT01 that this CPU has cached, and drops
 * the leaves of EPT02 that are copies of leaves removed from EPT01. A vCPU
 * that moves to another CPU flushes there anyway.
 *
 * Context: Process context. Caller holds vcpu->mutex. May reschedule. Takes
 * vm->mmu_lock. Any VMCS may be current.
 */
void ept01_flush(struct vcpu *vcpu)
{
	struct ept01_hole holes[EPT01_HOLES];
	int n = ept01_new_holes(vcpu->vm, &vcpu->nested.ept02.shadow_seq, holes);

	vmx_invept_single(vcpu->vm->ept01.eptp);
	if (n < 0)
		ept02_invalidate_all(vcpu);
	else if (n)
		ept02_drop_holes(vcpu, holes, n);
}
