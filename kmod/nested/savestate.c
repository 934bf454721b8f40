// SPDX-License-Identifier: GPL-2.0
/* KVM_GET_NESTED_STATE and KVM_SET_NESTED_STATE: save and restore VMX operation, VMCS12 and a running L2. */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "nested/checks_vcpu.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/*
 * The API has a page for VMCS12 and a page for L2's shadow VMCS. Both have KVM's
 * layout, so that a state saved by KVM can be restored by Droste and vice versa.
 */
#define BLOB_SIZE	KVM_STATE_NESTED_VMX_VMCS_SIZE
static_assert(sizeof(struct vmcs12) <= BLOB_SIZE);
static_assert(sizeof_field(struct kvm_vmx_nested_state_data, vmcs12) == BLOB_SIZE);
static_assert(sizeof_field(struct kvm_vmx_nested_state_data, shadow_vmcs12) == BLOB_SIZE);

/* --- saving --- */

/* Fill in the header. There is no SMM and no enlightened VMCS. */
static void savestate_describe(struct vcpu *vcpu, struct kvm_nested_state *s)
{
	struct nested *n = &vcpu->nested;
	u64 deadline;

	*s = (struct kvm_nested_state) {
		.format = KVM_STATE_NESTED_FORMAT_VMX,
		.size = sizeof(*s),
		.hdr.vmx.vmxon_pa = VMPTR_NONE,
		.hdr.vmx.vmcs12_pa = VMPTR_NONE,
	};
	if (!n->vmxon)
		return;
	s->hdr.vmx.vmxon_pa = n->vmxon_gpa;
	s->hdr.vmx.vmcs12_pa = n->vmptr;
	if (n->vmptr != VMPTR_NONE)
		s->size += BLOB_SIZE;
	if (!vcpu->in_l2)
		return;
	if (link12_named(n->vmcs12))
		s->size += BLOB_SIZE;
	s->flags = KVM_STATE_NESTED_GUEST_MODE;
	if (n->entry_pending)
		s->flags |= KVM_STATE_NESTED_RUN_PENDING;
	if (n->mtf_pending)
		s->flags |= KVM_STATE_NESTED_MTF_PENDING;
	if (ptimer_deadline(vcpu, &deadline)) {
		s->hdr.vmx.flags = KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE;
		s->hdr.vmx.preemption_timer_deadline = deadline;
	}
}

/**
 * savestate_collect() - copy VMCS12 with the current guest state
 * @vcpu: loaded, with a current VMCS of L1; at any level
 * @v: the copy
 *
 * A running L2 is not disturbed.
 *
 * Context: Process context. The VMCS of the vCPU's level is current.
 */
void savestate_collect(struct vcpu *vcpu, struct vmcs12 *v)
{
	struct nested *n = &vcpu->nested;

	/* In L2 too: the entry did not fetch all that L1 has written. */
	nested_shadow_fetch(vcpu);
	if (!vcpu->in_l2) {
		nested_sync_rare(vcpu);
		*v = *n->vmcs12;
		return;
	}
	vmcs02_copy(vcpu, v);
	/* L2 has received the injected event, or KVM_GET_VCPU_EVENTS returns it. */
	if (!n->entry_pending)
		v->vm_entry_intr_info_field &= ~INTR_INFO_VALID_MASK;
}

static long savestate_save_vmcs12(struct vcpu *vcpu, struct kvm_nested_state __user *user)
{
	struct kvm_vmx_nested_state_data *data = kzalloc(sizeof(*data), GFP_KERNEL_ACCOUNT);
	u32 size = BLOB_SIZE;
	long ret = 0;

	if (!data)
		return -ENOMEM;
	savestate_collect(vcpu, (struct vmcs12 *)data->vmcs12);
	if (vcpu->in_l2 && link12_named(vcpu->nested.vmcs12)) {
		*(struct vmcs12 *)data->shadow_vmcs12 = *link12_get(vcpu);
		size += BLOB_SIZE;
	}
	if (copy_to_user(&user->data.vmx[0], data, size))
		ret = -EFAULT;
	kfree(data);
	return ret;
}

/**
 * vcpu_get_nested_state() - KVM_GET_NESTED_STATE
 * @self: the vCPU, loaded; at any level
 * @arg: unused
 * @uarg: user pointer to struct kvm_nested_state, whose size member has the
 *	size of the buffer
 *
 * Context: Process context. The VMCS of the vCPU's level is current. Caller
 * holds vcpu->mutex and vm->srcu. May sleep.
 * Return: 0; -E2BIG if the buffer is too small, with the required size in the
 * size member; -EFAULT; -ENOMEM.
 */
long vcpu_get_nested_state(void *self, void *arg, unsigned long uarg)
{
	struct kvm_nested_state __user *user = (void __user *)uarg;
	struct vcpu *vcpu = self;
	struct kvm_nested_state s;
	u32 room;

	if (get_user(room, &user->size))
		return -EFAULT;
	savestate_describe(vcpu, &s);
	if (room < s.size)
		return put_user(s.size, &user->size) ? -EFAULT : -E2BIG;
	if (copy_to_user(user, &s, sizeof(s)))
		return -EFAULT;
	return vcpu->nested.vmptr == VMPTR_NONE ? 0 : savestate_save_vmcs12(vcpu, user);
}

/* --- restoring --- */

#define STATE_FLAGS (KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_RUN_PENDING | KVM_STATE_NESTED_EVMCS | \
		     KVM_STATE_NESTED_MTF_PENDING | KVM_STATE_NESTED_GIF_SET)

static bool savestate_page_ok(struct vcpu *vcpu, u64 gpa)
{
	return PAGE_ALIGNED(gpa) && gpa_legal(vcpu, gpa);
}

/* Whether the state contains a VMCS12. It must have at least Droste's size. */
static bool savestate_has_vmcs12(const struct kvm_nested_state *s)
{
	return s->size >= sizeof(*s) + sizeof(struct vmcs12);
}

/* Check the header by KVM's rules. */
static bool savestate_header_ok(struct vcpu *vcpu, const struct kvm_nested_state *s)
{
	const struct kvm_vmx_nested_state_hdr *vmx = &s->hdr.vmx;

	if (s->size < sizeof(*s) || (s->flags & ~STATE_FLAGS) || s->format != KVM_STATE_NESTED_FORMAT_VMX)
		return false;
	if ((s->flags & KVM_STATE_NESTED_RUN_PENDING) && !(s->flags & KVM_STATE_NESTED_GUEST_MODE))
		return false;
	if (vmx->smm.flags || (vmx->flags & ~KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE))
		return false;
	if (s->flags & KVM_STATE_NESTED_EVMCS)
		return false;
	if (vmx->vmxon_pa == VMPTR_NONE)
		return vmx->vmcs12_pa == VMPTR_NONE && !s->flags;
	if (!vcpu->gcaps.vmx || !savestate_page_ok(vcpu, vmx->vmxon_pa))
		return false;
	if (!savestate_has_vmcs12(s))
		return vmx->vmcs12_pa == VMPTR_NONE && !(s->flags & KVM_STATE_NESTED_GUEST_MODE);
	return vmx->vmcs12_pa != vmx->vmxon_pa && savestate_page_ok(vcpu, vmx->vmcs12_pa);
}

/* Guest state that L1's VM-entry controls may load. A running L2 can have changed it since. */
struct savestate_live {
	u64 efer, pat, dr7, debugctl;
};

/* The current values, which user space has set; at any level. */
static struct savestate_live savestate_live_of(struct vcpu *vcpu)
{
	return (struct savestate_live) { vcpu->efer, vcpu->pat, vcpu->dr7, vcpu->debugctl };
}

/* Make LMA and LME agree with the mode that VMCS12 gives L2 (SDM 3C 27.3.2.1). */
static u64 savestate_fit_efer(const struct vmcs12 *v, u64 efer)
{
	if (v->vm_entry_controls & VM_ENTRY_IA32E_MODE)
		return efer | EFER_LMA | EFER_LME;
	return efer & ~(u64)(v->guest_cr0 & X86_CR0_PG ? EFER_LMA | EFER_LME : EFER_LMA);
}

/* The values in VMCS12, which L1 set for a VM entry. */
static struct savestate_live savestate_live_in(const struct vmcs12 *v)
{
	return (struct savestate_live) { v->guest_ia32_efer, v->guest_ia32_pat, v->guest_dr7, v->guest_ia32_debugctl };
}

static void savestate_put_live(struct vmcs12 *v, const struct savestate_live *live)
{
	v->guest_ia32_efer = live->efer;
	v->guest_ia32_pat = live->pat;
	v->guest_dr7 = live->dr7;
	v->guest_ia32_debugctl = live->debugctl;
}

/*
 * User space set these registers while the vCPU was in its previous L2; they
 * are meant for the restored L2. Leaving the previous L2 replaced them by L1's,
 * so set them again: nested_reenter() then takes them over to the restored L2.
 * L1 does not keep them, because an exit loads L1's values. VMCS01 is current.
 */
static void savestate_carry_over(struct vcpu *vcpu, const struct savestate_live *live)
{
	vmx_write_efer(vcpu, live->efer);
	vcpu->pat = live->pat;
	vmcs_write(GUEST_IA32_PAT, live->pat);
	vcpu_set_dr7(vcpu, live->dr7);
	vcpu_set_debugctl(vcpu, live->debugctl);
}

/*
 * Enter L2 with nested.vmcs12, which is L1's current VMCS and was checked. The
 * entry used the live values in place of those that L1 has in VMCS12; @own puts
 * L1's back. @link is L2's shadow VMCS, NULL if there is none.
 */
static void savestate_restore_l2(struct vcpu *vcpu, const struct kvm_nested_state *s, const struct savestate_live *own,
		       const struct vmcs12 *link)
{
	struct nested *n = &vcpu->nested;
	bool run_pending = s->flags & KVM_STATE_NESTED_RUN_PENDING;

	nested_reenter(vcpu, run_pending);
	savestate_put_live(n->vmcs12, own);
	if (link)
		link12_set(vcpu, link);
	/* The values in @own are not checked yet; L1's next VM entry checks them. */
	n->vmcs12_dirty |= DIRTY12_COND;
	n->mtf_pending = s->flags & KVM_STATE_NESTED_MTF_PENDING;
	if (s->hdr.vmx.flags & KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE)
		ptimer_restore(vcpu, s->hdr.vmx.preemption_timer_deadline);
	else
		ptimer_start(vcpu);
}

/*
 * Leave L2 and VMX operation and release L1's pages. VMCS01 is current afterwards. User space need not know of
 * DROSTE_MSR_DELEGATE: what the L1 that was here has delegated ends.
 */
static void savestate_leave(struct vcpu *vcpu)
{
	nested_reset(vcpu);
	vcpu->nested.delegate = 0;
	nested_unpin(vcpu);
	vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	vcpu_request(vcpu, REQ_EVENT);
}

/* Restore VMX operation with the VMCS12 @v, of which only the revision was checked. @link is L2's shadow VMCS or NULL. */
static long savestate_restore_vmcs12(struct vcpu *vcpu, const struct kvm_nested_state *s, struct vmcs12 *v,
			   const struct vmcs12 *link)
{
	bool guest_mode = s->flags & KVM_STATE_NESTED_GUEST_MODE, was_in_l2 = vcpu->in_l2;
	struct savestate_live live = savestate_live_of(vcpu), own = savestate_live_in(v);

	if (guest_mode) {
		if (v->revision_id & VMCS12_SHADOW_BIT)
			return -EINVAL;
		if (!(s->flags & KVM_STATE_NESTED_RUN_PENDING)) {
			v->vm_entry_intr_info_field &= ~INTR_INFO_VALID_MASK;
			live.efer = savestate_fit_efer(v, live.efer);
			savestate_put_live(v, &live);
		}
		if (!nested_check_restored(vcpu, v, s->hdr.vmx.vmcs12_pa))
			return -EINVAL;
	}
	savestate_leave(vcpu);
	if (guest_mode && was_in_l2)
		savestate_carry_over(vcpu, &live);
	nested_enter_vmx(vcpu, s->hdr.vmx.vmxon_pa);
	*vcpu->nested.vmcs12 = *v;
	vmcs12_adopt(vcpu, s->hdr.vmx.vmcs12_pa);
	if (guest_mode)
		savestate_restore_l2(vcpu, s, &own, link);
	return 0;
}

/* Read L2's shadow VMCS. NULL if VMCS12 names none, an error pointer if it is missing or invalid. */
static struct vmcs12 *savestate_read_link12(struct kvm_nested_state __user *user, const struct kvm_nested_state *s,
				  const struct vmcs12 *v)
{
	struct vmcs12 *link;

	if (!(s->flags & KVM_STATE_NESTED_GUEST_MODE) || !link12_named(v))
		return NULL;
	if (s->size < sizeof(*s) + BLOB_SIZE + sizeof(*link))
		return ERR_PTR(-EINVAL);
	link = memdup_user(user->data.vmx[0].shadow_vmcs12, sizeof(*link));
	if (!IS_ERR(link) && link->revision_id != (VMCS12_REVISION | VMCS12_SHADOW_BIT)) {
		kfree(link);
		return ERR_PTR(-EINVAL);
	}
	return link;
}

static long savestate_read_vmcs12(struct vcpu *vcpu, struct kvm_nested_state __user *user,
				  const struct kvm_nested_state *s)
{
	struct vmcs12 *v = memdup_user(user->data.vmx[0].vmcs12, sizeof(*v)), *link;
	long ret = -EINVAL;

	if (IS_ERR(v))
		return PTR_ERR(v);
	if (!vmcs12_revision_ok(vcpu, v->revision_id))
		goto out;
	link = savestate_read_link12(user, s, v);
	ret = PTR_ERR_OR_ZERO(link);
	if (ret)
		goto out;
	ret = savestate_restore_vmcs12(vcpu, s, v, link);
	kfree(link);
out:
	kfree(v);
	return ret;
}

/**
 * vcpu_set_nested_state() - KVM_SET_NESTED_STATE
 * @self: the vCPU, loaded; at any level
 * @arg: unused
 * @uarg: user pointer to struct kvm_nested_state
 *
 * L1's memory is read here only as far as the VM-entry checks need it. The pages
 * that L2 uses are looked up when it runs.
 *
 * Context: Process context. The VMCS of the vCPU's level is current, before and
 * afterwards. Caller holds vcpu->mutex and vm->srcu. May sleep.
 * Return: 0; -EINVAL for a state that is invalid, or impossible with this vCPU's
 * CPUID and capability MSRs; -EFAULT; -ENOMEM. An error changes nothing.
 */
long vcpu_set_nested_state(void *self, void *arg, unsigned long uarg)
{
	struct kvm_nested_state __user *user = (void __user *)uarg;
	struct vcpu *vcpu = self;
	struct kvm_nested_state s;

	if (copy_from_user(&s, user, sizeof(s)))
		return -EFAULT;
	if (!savestate_header_ok(vcpu, &s))
		return -EINVAL;
	if (s.hdr.vmx.vmxon_pa == VMPTR_NONE) {
		savestate_leave(vcpu);
		return 0;
	}
	if (nested_vmcs12_alloc(vcpu))
		return -ENOMEM;
	if (savestate_has_vmcs12(&s))
		return savestate_read_vmcs12(vcpu, user, &s);
	savestate_leave(vcpu);
	nested_enter_vmx(vcpu, s.hdr.vmx.vmxon_pa);
	return 0;
}
