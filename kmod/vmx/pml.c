// SPDX-License-Identifier: GPL-2.0
/* Page-modification logging: the processor itself lists what L1 writes while a log is kept. SDM 3C 29.3.6. */
#include <linux/gfp.h>
#include <linux/srcu.h>
#include "droste.h"
#include "mem/dirty.h"
#include "mem/memslot.h"
#include "run/request.h"
#include "vmx/vmx.h"

/*
 * It logs guest-physical addresses whose dirty flag in EPT it sets. On EPT01
 * those are L1's; on EPT02 they would be L2's, so there it is off (merge.c)
 * and EPT02 maps writable only what is dirty in EPT01 already (ept01.c).
 */

int vmx_pml_create(struct vcpu *vcpu)
{
	if (!vmx_features.pml)
		return 0;
	vcpu->pml = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->pml)
		return -ENOMEM;
	if (READ_ONCE(vcpu->vm->pml))
		vcpu_request(vcpu, REQ_PML);
	return 0;
}

void vmx_pml_destroy(struct vcpu *vcpu)
{
	free_page((unsigned long)vcpu->pml);
}

void vmx_pml_begin(struct vcpu *vcpu)
{
	if (!vcpu->pml)
		return;
	vmcs_write(PML_ADDRESS, __pa(vcpu->pml));
	vmcs_write(GUEST_PML_INDEX, PML_ENTRIES - 1);
}

void vmx_pml_update(struct vcpu *vcpu)
{
	struct vmx_controls *c = &vcpu->ctl01;

	if (!(c->proc2 & SECONDARY_EXEC_ENABLE_PML) == !READ_ONCE(vcpu->vm->pml))
		return;
	c->proc2 ^= SECONDARY_EXEC_ENABLE_PML;
	vmx_write_ctl01(vcpu);
}

void vmx_pml_flush(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	u16 next = vmcs_read(GUEST_PML_INDEX);
	int i, idx;

	if (likely(next == PML_ENTRIES - 1))
		return;
	idx = srcu_read_lock(&vm->srcu);
	/* The index counts down; it wraps below 0 when the log is full. */
	for (i = PML_ENTRIES - 1; i > (next < PML_ENTRIES ? next : -1); i--) {
		gfn_t gfn = vcpu->pml[i] >> PAGE_SHIFT;
		const struct memslot *slot = vm_slot(vm, gfn);

		if (slot)
			dirty_mark(vm, slot, gfn);
	}
	srcu_read_unlock(&vm->srcu, idx);
	vmcs_write(GUEST_PML_INDEX, PML_ENTRIES - 1);
}
