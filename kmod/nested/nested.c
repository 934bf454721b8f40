// SPDX-License-Identifier: GPL-2.0
/* Creates, resets and destroys the nested-virtualization state of a vCPU, struct nested. */
#include <linux/gfp.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "droste.h"
#include "ept/ept.h"
#include "nested/cluster.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "run/request.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/**
 * nested_create() - create the nested state of a new vCPU
 * @vcpu: not loaded; VMCS01 exists
 *
 * Some memory is allocated later: nested.vmcs12 and nested.link12 at L1's first
 * VMXON, nested.shadow at its first VMPTRLD.
 *
 * Context: Process context. May sleep.
 * Return: 0 or a negative errno; after an error nothing is left allocated.
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
 * nested_destroy() - free the nested state of a vCPU
 * @vcpu: not loaded and no longer used by any thread; may have been in L2
 *
 * Context: Process context. May sleep.
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
	free_pages((unsigned long)n->io_bitmaps02, 1);
	cluster_free(vcpu);
	kfree(n->link12);
	kfree(n->vmcs12);
	kfree(n->failed12);
}

/**
 * nested_reset() - leave L2 and VMX operation at once
 * @vcpu: the vCPU, loaded; at any level
 *
 * Nothing is written back to L1's memory. L1 has the state of its last VM entry
 * afterwards.
 *
 * Context: Process context. VMCS01 is current afterwards.
 */
void nested_reset(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (vcpu->in_l2) {
		ptimer_stop(vcpu, false);
		vmcs02_leave(vcpu);
		vcpu->efer = n->l1_efer;
		vcpu->pat = n->l1_pat;
		vcpu_set_dr7(vcpu, n->l1_dr7);
		vcpu_set_debugctl(vcpu, 0);
		vmx_note_cr4(vcpu, vcpu_cr4(vcpu));
		if (n->l1_nmi_blocked)
			vmx_block_nmis(vcpu, true);
	}
	n->entry_pending = false;
	n->delivery_pending = false;
	n->mtf_pending = false;
	n->l1_nmi_blocked = false;
	n->link12_valid = false;
	n->vmxon = false;
	vcpu_request(vcpu, REQ_MSR_FILTER);
	n->vmptr = VMPTR_NONE;
	n->vmcs02_stale = false;
	n->last_vpid12 = 0;
	n->held.valid = false;
	nested_changed(n);
	if (n->shadow_on)
		nested_shadow_update(vcpu);
}
