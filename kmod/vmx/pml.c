// SPDX-License-Identifier: GPL-2.0
/* Page-modification logging: the processor logs the pages that L1 writes. SDM 3C 29.3.6. */
#include <linux/gfp.h>
#include <linux/srcu.h>
#include "droste.h"
#include "mem/dirty.h"
#include "mem/memslot.h"
#include "run/request.h"
#include "vmx/vmx.h"

/*
 * The processor logs the guest-physical address when it sets a dirty flag in
 * EPT. On EPT01 this is an L1 address. On EPT02 it would be an L2 address, so
 * PML is off while L2 runs on EPT02 (merge.c), and a leaf of EPT02 is writable
 * only if the leaf in EPT01 is dirty already (ept01_rights_of()).
 */

/**
 * vmx_pml_create() - allocate a vCPU's log, if the processor has PML
 * @vcpu: the vCPU
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
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

/**
 * vmx_pml_destroy() - free a vCPU's log
 * @vcpu: the vCPU; it does not run any more
 *
 * Context: Process context.
 */
void vmx_pml_destroy(struct vcpu *vcpu)
{
	free_page((unsigned long)vcpu->pml);
}

/**
 * vmx_pml_begin() - set up an empty log in the current VMCS
 * @vcpu: the vCPU; nothing happens if it has no log
 *
 * Context: VMCS01 or VMCS02 is current.
 */
void vmx_pml_begin(struct vcpu *vcpu)
{
	if (!vcpu->pml)
		return;
	vmcs_write(PML_ADDRESS, __pa(vcpu->pml));
	vmcs_write(GUEST_PML_INDEX, PML_ENTRIES - 1);
}

/**
 * vmx_pml_update() - handle REQ_PML: turn logging on or off, as vm->pml says
 * @vcpu: the vCPU
 *
 * Context: Caller holds vcpu->mutex. Preemption may be enabled. VMCS01 or VMCS02 is current.
 */
void vmx_pml_update(struct vcpu *vcpu)
{
	struct vmx_controls *c = &vcpu->ctl01;

	if (!(c->proc2 & SECONDARY_EXEC_ENABLE_PML) == !READ_ONCE(vcpu->vm->pml))
		return;
	c->proc2 ^= SECONDARY_EXEC_ENABLE_PML;
	vmx_write_ctl01(vcpu);
}

/**
 * vmx_pml_flush() - move the processor's log to the dirty log of the VM
 * @vcpu: the vCPU; logging is enabled in the current VMCS
 *
 * Context: Caller holds vcpu->mutex. Interrupts may be disabled. VMCS01 or VMCS02 is current.
 */
void vmx_pml_flush(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	u16 next = vmcs_read(GUEST_PML_INDEX);
	int i, idx;

	if (likely(next == PML_ENTRIES - 1))
		return;
	idx = srcu_read_lock(&vm->srcu);
	/* The index counts down, to 0xffff when the log is full. */
	for (i = PML_ENTRIES - 1; i > (next < PML_ENTRIES ? next : -1); i--) {
		gfn_t gfn = vcpu->pml[i] >> PAGE_SHIFT;
		const struct memslot *slot = vm_slot(vm, gfn);

		if (slot)
			dirty_mark(vm, slot, gfn);
	}
	srcu_read_unlock(&vm->srcu, idx);
	vmcs_write(GUEST_PML_INDEX, PML_ENTRIES - 1);
}
