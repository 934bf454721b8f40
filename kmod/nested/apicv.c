// SPDX-License-Identifier: GPL-2.0
/* APIC virtualization for L2: posted interrupts, and whether a virtual interrupt is due. SDM 3C 30. */
#include <linux/bitops.h>
#include <linux/mm.h>
#include "droste.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "vmx/vmx.h"

/*
 * With L1's virtual-APIC page in VMCS02 the processor handles accesses to the
 * page and delivers virtual interrupts. Two cases remain for L0. Physical
 * interrupts are the host's, so L0 must process the notification of posted
 * interrupts. And while L2 halts, it waits in L0, which has to see whether a
 * virtual interrupt wakes it.
 */

#define VAPIC_TPR	0x80
#define VAPIC_IRR	0x200	/* 256 bits, 32 in each 16 bytes */
#define POSTED_ON	256	/* "outstanding notification": the bit after the 256 requests (SDM table 30-1) */

#define PRIORITY_CLASS	0xf0	/* the bits of a vector that give its priority class */

/**
 * apicv_is_notification() - whether an interrupt notifies of posted interrupts
 * @vcpu: in L2
 * @vector: the vector that L1's interrupt controller delivers
 *
 * SDM 3C 30.6.
 *
 * Context: Any.
 * Return: true if @vector is L1's posted-interrupt notification vector.
 */
bool apicv_is_notification(const struct vcpu *vcpu, u8 vector)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;

	return (v->pin_based_vm_exec_control & PIN_BASED_POSTED_INTR) && vector == v->posted_intr_nv;
}

/* Move the requests from L1's descriptor to the virtual IRR. Returns the highest vector, or -1 if there is none. */
static int apicv_take_posted(unsigned long *desc, void *vapic)
{
	u64 *pir = (u64 *)desc, bits;
	int i, highest = -1;
	u32 *virr;

	clear_bit(POSTED_ON, desc);
	/* Pairs with the sender, which sets the request and then POSTED_ON, both with locked instructions. */
	smp_mb__after_atomic();
	for (i = 0; i < 4; i++) {
		if (!READ_ONCE(pir[i]))
			continue;
		bits = xchg(&pir[i], 0);
		virr = vapic + VAPIC_IRR + 2 * i * 16;
		virr[0] |= (u32)bits;
		virr[4] |= bits >> 32;
		highest = i * 64 + fls64(bits) - 1;
	}
	return highest;
}

/**
 * apicv_post() - process posted interrupts (SDM 3C 30.6)
 * @vcpu: in L2; a notification vector was just acknowledged
 *
 * Makes the posted interrupts pending virtual interrupts; the processor
 * evaluates them at the next VM entry.
 *
 * Context: Process context. VMCS02 is current. Caller holds vm->srcu. May sleep.
 */
void apicv_post(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u16 status;
	int vector;

	irqchip_eoi(vcpu);
	vmcs02_place_pages(vcpu, false);
	if (!n->posted_desc.hva || !n->virtual_apic.hva)
		return;
	vector = apicv_take_posted(n->posted_desc.hva + offset_in_page(n->vmcs12->posted_intr_desc_addr),
			     n->virtual_apic.hva);
	status = vmcs_read(GUEST_INTR_STATUS);
	if (vector > (status & 0xff))
		vmcs_write(GUEST_INTR_STATUS, (status & 0xff00) | vector);
}

/**
 * apicv_interrupt_due() - whether L2 has a virtual interrupt of sufficient priority
 * @vcpu: in L2, loaded
 *
 * SDM 3C 30.1.3, 30.2.1: the class of RVI is above that of SVI and of the
 * TPR. RFLAGS.IF and the interruptibility state are left to the caller.
 *
 * Context: Any. VMCS02 is current.
 * Return: true if the processor would deliver it once L2 can take interrupts.
 */
bool apicv_interrupt_due(const struct vcpu *vcpu)
{
	const struct nested *n = &vcpu->nested;
	u16 status;
	u8 task;

	if (!(n->ctl02.proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY) || !n->virtual_apic.hva)
		return false;
	status = vmcs_read(GUEST_INTR_STATUS);
	task = READ_ONCE(*(const u8 *)(n->virtual_apic.hva + VAPIC_TPR));
	return (status & PRIORITY_CLASS) > max_t(u8, task & PRIORITY_CLASS, (status >> 8) & PRIORITY_CLASS);
}
