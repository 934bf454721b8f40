// SPDX-License-Identifier: GPL-2.0
/* What a vCPU needs to let L1 run an L2: made with the vCPU, reset and destroyed with it. */
#include <linux/gfp.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "droste.h"
#include "ept/ept.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "vmx/vmx.h"

/**
 * nested_create() - the nested part of a new vCPU
 * @vcpu: not loaded; VMCS01 exists
 *
 * Process context. VMCS12's copy and that of L2's shadow VMCS come with L1's first VMXON, the shadow VMCS
 * with its first VMPTRLD.
 *
 * Return: 0 or -ENOMEM.
 */
int nested_create(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	int ret;

	n->vmptr = VMPTR_NONE;
	n->msr_bitmap02 = (unsigned long *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!n->msr_bitmap02)
		return -ENOMEM;
	n->no_page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!n->no_page) {
		ret = -ENOMEM;
		goto err_bitmap;
	}
	memset(n->no_page, 0xff, PAGE_SIZE);
	ret = vmcs_alloc(&n->vmcs02, false);
	if (ret)
		goto err_no_page;
	n->vpid02 = vpid_alloc();
	ptimer_init(vcpu);
	ept02_init(vcpu);
	nested_remerge_bitmaps(vcpu);
	return 0;

err_no_page:
	free_page((unsigned long)n->no_page);
err_bitmap:
	free_page((unsigned long)n->msr_bitmap02);
	return ret;
}

/**
 * nested_destroy() - its end
 * @vcpu: not loaded, its thread is gone; it may have been in L2
 */
void nested_destroy(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	hrtimer_cancel(&n->preemption_timer);
	nested_unpin(vcpu);
	ept02_destroy(vcpu);
	nested_shadow_free(vcpu);
	vmcs_free(&n->vmcs02);
	vpid_free(n->vpid02);
	free_page((unsigned long)n->no_page);
	free_page((unsigned long)n->msr_bitmap02);
	kfree(n->link12);
	kfree(n->vmcs12);
}

/**
 * nested_reset() - out of L2 and out of VMX operation
 * @vcpu: loaded, any state
 *
 * For power-up: nothing is written back to L1's memory. VMCS01 is current
 * afterwards, with the state L1 had at its VM entry.
 */
void nested_reset(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (vcpu->in_l2) {
		ptimer_stop(vcpu, false);
		vmcs02_leave(vcpu);
		vcpu->efer = n->l1_efer;
		vcpu->pat = n->l1_pat;
		vcpu->dr7 = n->l1_dr7;
	}
	n->entry_pending = false;
	n->mtf_pending = false;
	n->link12_valid = false;
	n->vmxon = false;
	n->vmptr = VMPTR_NONE;
	n->vmcs02_stale = false;
	n->last_vpid12 = 0;
	n->held.valid = false;
	if (n->shadow_on)
		nested_shadow_update(vcpu);
}
