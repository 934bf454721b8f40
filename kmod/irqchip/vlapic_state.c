// SPDX-License-Identifier: GPL-2.0
/* The local APIC's life: creation, reset, changes of mode, and its state as user space saves it. */
#include <linux/slab.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"
#include "run/request.h"

/* APIC ID and logical ID that the mode starts with (SDM 11.4.6, 11.12.10). */
static void vlapic_set_mode(struct vlapic *a, enum lapic_mode mode)
{
	u32 id = a->vcpu->id;

	if (mode == LAPIC_X2APIC) {
		vlapic_set_reg(a, LAPIC_ID, id);
		vlapic_set_reg(a, LAPIC_LDR, lapic_x2apic_ldr(id));
	} else {
		id &= 0xff;
		vlapic_set_reg(a, LAPIC_ID, id << 24);
		vlapic_set_reg(a, LAPIC_LDR, 0);
	}
	WRITE_ONCE(a->id, id);
	WRITE_ONCE(a->mode, mode);
}

/* Registers as after power-up or INIT, but for the two IDs (SDM 11.4.7.1, 11.4.7.3). */
static void vlapic_reset_regs(struct vlapic *a)
{
	u32 reg;

	vlapic_timer_stop(a);
	memset(a->regs, 0, LAPIC_REGS_SIZE);
	vlapic_set_reg(a, LAPIC_DFR, U32_MAX);
	vlapic_set_reg(a, LAPIC_SVR, 0xff);
	for (reg = LAPIC_LVTT; reg <= LAPIC_LVT_ERROR; reg += 16)
		vlapic_set_reg(a, reg, LAPIC_LVT_MASKED);
	vlapic_set_reg(a, LAPIC_LVT_CMCI, LAPIC_LVT_MASKED);
	/* What firmware would do for the boot processor: the PIC comes in through LINT0. */
	if (a->vcpu->id == a->vcpu->vm->bsp_id &&
	    !(READ_ONCE(a->vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_LINT0_REENABLED))
		vlapic_set_reg(a, LAPIC_LVT0, LAPIC_DM_EXTINT);
	a->isr_top = -1;
	WRITE_ONCE(a->irr_pending, false);
	atomic_set(&a->esr, 0);
	a->arb = 0;
}

/**
 * vlapic_create() - give a new vCPU its local APIC
 * @vcpu: with vm, id and index set; not published yet
 *
 * Return: 0; also when the VM has no in-kernel controllers, and then there is none. -ENOMEM.
 */
int vlapic_create(struct vcpu *vcpu)
{
	struct vlapic *a;

	if (!irqchip_ready(vcpu->vm))
		return 0;
	a = kzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT);
	if (!a)
		return -ENOMEM;
	a->regs = (u8 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!a->regs) {
		kfree(a);
		return -ENOMEM;
	}
	a->vcpu = vcpu;
	vlapic_timer_init(a);
	vcpu->lapic = a;
	vlapic_reset(vcpu, false);
	return 0;
}

/** vlapic_destroy() - the vCPU goes: nothing can reach it any more */
void vlapic_destroy(struct vcpu *vcpu)
{
	struct vlapic *a = vcpu->lapic;

	if (!a)
		return;
	vcpu->lapic = NULL;
	hrtimer_cancel(&a->timer);
	free_page((unsigned long)a->regs);
	kfree(a);
}

/**
 * vlapic_reset() - power-up or INIT
 * @vcpu: owner
 * @init: INIT: mode, base and APIC ID stay (SDM 11.4.7.3, 11.12.5.2)
 */
void vlapic_reset(struct vcpu *vcpu, bool init)
{
	struct vlapic *a = vcpu->lapic;
	u32 id, ldr;

	if (!init)
		vcpu->apic_base = LAPIC_DEFAULT_BASE | LAPIC_BASE_EN |
				  (vcpu->id == vcpu->vm->bsp_id ? LAPIC_BASE_BSP : 0);
	if (!a)
		return;
	if (!init) {
		vlapic_reset_regs(a);
		vlapic_set_mode(a, LAPIC_XAPIC);
		atomic_set(&a->init_events, 0);
		return;
	}
	id = vlapic_reg(a, LAPIC_ID);
	ldr = a->mode == LAPIC_X2APIC ? vlapic_reg(a, LAPIC_LDR) : 0;
	vlapic_reset_regs(a);
	vlapic_set_reg(a, LAPIC_ID, id);
	vlapic_set_reg(a, LAPIC_LDR, ldr);
}

/* IA32_APIC_BASE becomes @base, which was checked. */
static void vlapic_apply_base(struct vcpu *vcpu, u64 base)
{
	struct vlapic *a = vcpu->lapic;
	enum lapic_mode mode = lapic_mode_of(base);

	WRITE_ONCE(vcpu->apic_base, base);
	if (!a || a->mode == mode)
		return;
	/* A disabled APIC forgets everything (SDM 11.4.3). No message is accepted from here on. */
	if (mode == LAPIC_DISABLED) {
		WRITE_ONCE(a->mode, mode);
		vlapic_reset_regs(a);
	}
	vlapic_set_mode(a, mode);
}

/**
 * vlapic_set_base() - WRMSR of IA32_APIC_BASE
 * @vcpu: owner
 * @base: what the guest writes
 *
 * Return: 0, or -EINVAL for #GP (reserved bits, or a transition of figure 11-26 that is not allowed).
 */
int vlapic_set_base(struct vcpu *vcpu, u64 base)
{
	int err = lapic_check_base(vcpu->apic_base, base, vcpu->gcaps.maxphyaddr, vcpu->gcaps.x2apic, false);

	if (!err)
		vlapic_apply_base(vcpu, base);
	return err;
}

/**
 * vlapic_restore_base() - user space sets IA32_APIC_BASE
 * @vcpu: vcpu->mutex held
 * @base: any valid one
 *
 * Return: 0, or -EINVAL.
 */
int vlapic_restore_base(struct vcpu *vcpu, u64 base)
{
	int err = lapic_check_base(vcpu->apic_base, base, vcpu->gcaps.maxphyaddr, vcpu->gcaps.x2apic, true);

	if (!err)
		vlapic_apply_base(vcpu, base);
	return err;
}

static bool vlapic_wide_ids(const struct vlapic *a)
{
	return READ_ONCE(a->vcpu->vm->x2apic_api) & KVM_X2APIC_API_USE_32BIT_IDS;
}

/**
 * vlapic_get_state() - KVM_GET_LAPIC
 * @vcpu: vcpu->mutex held
 * @state: the register page; the ID in xAPIC's place in every mode unless user space takes 32 bits of it
 *
 * Return: 0, or -EINVAL without an in-kernel APIC.
 */
int vlapic_get_state(struct vcpu *vcpu, struct kvm_lapic_state *state)
{
	struct vlapic *a = vcpu->lapic;
	u32 reg;

	if (!a)
		return -EINVAL;
	memset(state, 0, sizeof(*state));
	for (reg = 0; reg < LAPIC_REGS_SIZE; reg += 16) {
		u32 val = vlapic_read_reg(a, reg);

		if (reg == LAPIC_ID && a->mode == LAPIC_X2APIC && !vlapic_wide_ids(a))
			val <<= 24;
		memcpy(state->regs + reg, &val, sizeof(val));
	}
	return 0;
}

/* What user space restores is held to what the guest could have written. */
static u32 vlapic_sanitize(u32 reg, u32 val)
{
	struct lapic_caps all = { .tsc_deadline = true, .directed_eoi = true, .cmci = true };

	switch (reg) {
	case LAPIC_DFR:
		return val | 0x0fffffff;
	case LAPIC_TPR:
	case LAPIC_SVR:
	case LAPIC_LVT_CMCI:
	case LAPIC_LVTT ... LAPIC_LVT_ERROR:
	case LAPIC_TDCR:
		return val & lapic_write_mask(reg, all);
	default:
		return val;
	}
}

/* Go on counting where the image says the timer stood. */
static void vlapic_restore_timer(struct vlapic *a, u32 count, u64 deadline)
{
	enum lapic_timer_mode mode = lapic_timer_mode(vlapic_reg(a, LAPIC_LVTT));

	if (mode == LAPIC_TSC_DEADLINE)
		vlapic_set_tsc_deadline(a->vcpu, deadline);
	else
		vlapic_timer_start(a, !count && mode == LAPIC_PERIODIC ? vlapic_reg(a, LAPIC_TMICT) : count);
}

/**
 * vlapic_set_state() - KVM_SET_LAPIC
 * @vcpu: vcpu->mutex held
 * @state: as vlapic_get_state() gives it; IA32_APIC_BASE and IA32_TSC_DEADLINE are set apart
 *
 * Return: 0, or -EINVAL without an in-kernel APIC, and for a wide ID that is not the x2APIC's.
 */
int vlapic_set_state(struct vcpu *vcpu, const struct kvm_lapic_state *state)
{
	struct vlapic *a = vcpu->lapic;
	u64 deadline;
	u32 reg, val;

	if (!a)
		return -EINVAL;
	memcpy(&val, state->regs + LAPIC_ID, sizeof(val));
	if (a->mode == LAPIC_X2APIC && vlapic_wide_ids(a) && val != vcpu->id)
		return -EINVAL;
	deadline = a->tsc_deadline;
	vlapic_timer_stop(a);
	for (reg = 0; reg < LAPIC_REGS_SIZE; reg += 16) {
		memcpy(&val, state->regs + reg, sizeof(val));
		vlapic_set_reg(a, reg, vlapic_sanitize(reg, val));
	}
	if (a->mode == LAPIC_X2APIC)
		vlapic_set_mode(a, LAPIC_X2APIC);
	else
		WRITE_ONCE(a->id, vlapic_reg(a, LAPIC_ID) >> 24);
	a->isr_top = lapic_find_highest(a->regs + LAPIC_ISR);
	WRITE_ONCE(a->irr_pending, true);
	atomic_set(&a->esr, 0);
	memcpy(&val, state->regs + LAPIC_TMCCT, sizeof(val));
	vlapic_restore_timer(a, val, deadline);
	vcpu_request(vcpu, REQ_EVENT);
	return 0;
}
