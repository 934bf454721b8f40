// SPDX-License-Identifier: GPL-2.0
/* Paravirtual EOI: KVM_FEATURE_PV_EOI. Linux, Documentation/virt/kvm/x86/msr.rst. */
#include "droste.h"
#include "irqchip/irqchip.h"
#include "mem/dirty.h"
#include "mem/memslot.h"
#include "pv/pveoi.h"
#include "run/request.h"

/*
 * A bit in the guest's memory tells the guest that it may end its interrupt of the
 * highest priority by clearing the bit, without an access to the local APIC. The
 * bit is set when the guest gets an interrupt whose EOI nobody waits for. At the
 * next exit, before anything looks at the local APIC, L0 looks at the bit: if the
 * guest has cleared it, the interrupt ends; if not, L0 clears the bit, and the guest
 * will access its local APIC. So the local APIC is up to date whenever the guest
 * does not run. Interrupts that the host takes are no such exits.
 */

/* The slot that holds the guest's byte. NULL if there is no memory. Caller holds vm->srcu for reading. */
static __always_inline const struct memslot *pv_eoi_slot(struct vcpu *vcpu, gpa_t gpa)
{
	struct pv_eoi *p = &vcpu->pv_eoi;
	u64 slots = memslot_generation(vcpu->vm);

	if (unlikely(!p->slot || p->slots != slots)) {
		p->slot = vm_slot(vcpu->vm, gpa >> PAGE_SHIFT);
		p->slots = slots;
	}
	return p->slot;
}

/* Access the guest's byte, without sleeping. Returns false if it is not in memory. */
static __always_inline bool pv_eoi_access(struct vcpu *vcpu, u8 *val, bool write)
{
	gpa_t gpa = vcpu->pv_eoi.msr & ~(u64)KVM_MSR_ENABLED;
	int idx = memslot_begin_nofault(vcpu->vm);
	const struct memslot *s = pv_eoi_slot(vcpu, gpa);
	bool done = false;

	/* The processor walks the host's page tables for this: see vmx/l1d.c. */
	vcpu->l1d_due = true;
	if (unlikely(!s || current->mm != vcpu->vm->mm)) {
		/* The general path knows what to do. */
	} else if (!write) {
		done = !get_user(*val, (const u8 __user *)memslot_user(s, gpa));
	} else if (!(s->flags & KVM_MEM_READONLY)) {
		done = !put_user(*val, (u8 __user *)memslot_user(s, gpa));
		if (done && unlikely(memslot_logged(s)))
			dirty_mark(vcpu->vm, s, gpa >> PAGE_SHIFT);
	}
	memslot_end_nofault(vcpu->vm, idx);
	return done;
}

/**
 * pv_eoi_begin() - offer the guest an EOI by a store, if nobody waits for the EOI
 * @vcpu: in L1, or about to exit to L1
 *
 * Context: Process context. Interrupts may be disabled. Caller holds vcpu->mutex.
 */
void pv_eoi_begin(struct vcpu *vcpu)
{
	u8 val = BIT(KVM_PV_EOI_BIT);

	if (irqchip_eoi_is_private(vcpu))
		vcpu->pv_eoi.offered = pv_eoi_access(vcpu, &val, true);
}

/**
 * pv_eoi_end_short() - find out whether the guest has accepted the offer, and take it back
 * @vcpu: in L1, has exited; an EOI is offered
 *
 * Context: Process context. Interrupts may be disabled. Caller holds vcpu->mutex.
 * Return: false if pv_eoi_end() must do it; the offer stands then.
 */
bool pv_eoi_end_short(struct vcpu *vcpu)
{
	u8 val;

	if (!pv_eoi_access(vcpu, &val, false))
		return false;
	if (val & BIT(KVM_PV_EOI_BIT)) {
		val &= ~BIT(KVM_PV_EOI_BIT);
		if (!pv_eoi_access(vcpu, &val, true))
			return false;
	} else if (!irqchip_eoi_short(vcpu)) {
		return false;
	}
	vcpu->pv_eoi.offered = false;
	return true;
}

/**
 * pv_eoi_end() - find out whether the guest has accepted the offer, and take it back
 * @vcpu: in L1, has exited; an EOI is offered
 *
 * If the guest's memory is gone the interrupt ends, as with KVM.
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu for reading.
 */
void pv_eoi_end(struct vcpu *vcpu)
{
	gpa_t gpa = vcpu->pv_eoi.msr & ~(u64)KVM_MSR_ENABLED;
	u8 val;

	vcpu->pv_eoi.offered = false;
	vcpu->l1d_due = true;
	if (vm_read_guest(vcpu->vm, gpa, &val, 1) || !(val & BIT(KVM_PV_EOI_BIT))) {
		irqchip_eoi(vcpu);
		/* For another interrupt, which the guest can take now. */
		vcpu_request(vcpu, REQ_EVENT);
		return;
	}
	val &= ~BIT(KVM_PV_EOI_BIT);
	(void)vm_write_guest(vcpu->vm, gpa, &val, 1);
}

MSR_GET(msr_get_pv_eoi)
{
	*data = vcpu->pv_eoi.msr;
	return 0;
}

/* The address is a multiple of 4, and bit 1 is reserved. */
MSR_SET(msr_set_pv_eoi)
{
	if (data & 2)
		return -EINVAL;
	vcpu->pv_eoi.msr = data;
	vcpu->pv_eoi.slot = NULL;
	return 0;
}
