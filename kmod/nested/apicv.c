// SPDX-License-Identifier: GPL-2.0
/* APIC virtualization for L2: what the processor leaves to L0 of L1's virtual-APIC page. SDM 3C 30. */
#include <linux/bitops.h>
#include <linux/mm.h>
#include "droste.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "vmx/vmx.h"

/*
 * Accesses to the page, and virtual interrupts that are due at an entry or
 * become so while L2 runs, are the processor's own business on VMCS02. L0's
 * are the interrupts that notify of posted ones, because the processor's
 * interrupts are the host's; and L2s that halt in L0's hands.
 */

#define VAPIC_TPR	0x80
#define VAPIC_IRR	0x200	/* 256 bits, 32 in each 16 bytes */
#define POSTED_ON	256	/* outstanding notification: the bit behind the 256 requests (SDM table 30-1) */

#define PRIORITY_CLASS	0xf0	/* of a vector */

bool apicv_is_notification(const struct vcpu *vcpu, u8 vector)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;

	return (v->pin_based_vm_exec_control & PIN_BASED_POSTED_INTR) && vector == v->posted_intr_nv;
}

/* Take the requests of L1's descriptor over to the virtual IRR. The highest of them, or -1. */
static int apicv_take_posted(unsigned long *desc, void *vapic)
{
	u64 *pir = (u64 *)desc, bits;
	int i, highest = -1;
	u32 *virr;

	clear_bit(POSTED_ON, desc);
	/* Who posts sets the request before the bit; pairs with that order of two locked instructions. */
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
 * apicv_post() - posted-interrupt processing (SDM 3C 30.6)
 * @vcpu: in L2, VMCS02 current; apicv_is_notification() of the vector just acknowledged
 *
 * The next entry evaluates what is pending then. May sleep.
 */
void apicv_post(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u16 status;
	int vector;

	irqchip_eoi(vcpu);
	vmcs02_place_pages(vcpu);
	if (!n->posted_desc.hva || !n->virtual_apic.hva)
		return;
	vector = apicv_take_posted(n->posted_desc.hva + offset_in_page(n->vmcs12->posted_intr_desc_addr),
			     n->virtual_apic.hva);
	status = vmcs_read(GUEST_INTR_STATUS);
	if (vector > (status & 0xff))
		vmcs_write(GUEST_INTR_STATUS, (status & 0xff00) | vector);
}

/**
 * apicv_interrupt_due() - would the processor deliver a virtual interrupt at the next entry?
 * @vcpu: in L2 and loaded, RFLAGS and interruptibility aside
 *
 * SDM 3C 30.1.3, 30.2.1: RVI is above the priority of what is in service and
 * of the task. Any context.
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
