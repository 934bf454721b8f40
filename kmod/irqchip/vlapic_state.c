// SPDX-License-Identifier: GPL-2.0
/* Local APIC creation, reset and mode changes, and its state as saved by user space. */
#include <linux/slab.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"
#include "run/request.h"

/* Enter a mode, and set the APIC ID and logical ID that it starts with (SDM 11.4.6, 11.12.10). */
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

/* Reset the registers as after power-up or INIT, except the two IDs (SDM 11.4.7.1, 11.4.7.3). */
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
	/* Route the PIC through LINT0 of the boot processor, as firmware would. */
	if (a->vcpu->id == a->vcpu->vm->bsp_id &&
	    !(READ_ONCE(a->vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_LINT0_REENABLED))
		vlapic_set_reg(a, LAPIC_LVT0, LAPIC_DM_EXTINT);
	a->isr_top = -1;
	WRITE_ONCE(a->irr_pending, false);
	atomic_set(&a->esr, 0);
	a->arb = 0;
}

/**
 * vlapic_create() - create a vCPU's local APIC, if the VM has in-kernel controllers
 * @vcpu: the vCPU, with vm, id and index set; not published yet
 *
 * Context: Process context. May sleep.
 * Return: 0 (vcpu->lapic stays NULL without in-kernel controllers) or -ENOMEM.
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

/**
 * vlapic_destroy() - free a vCPU's local APIC
 * @vcpu: the vCPU; nothing uses its APIC any more
 *
 * Context: Process context. May sleep.
 */
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
 * vlapic_reset() - reset by power-up or INIT (SDM 3A 11.4.7)
 * @vcpu: the vCPU
 * @init: INIT, which preserves mode, base and APIC ID (SDM 11.4.7.3, 11.12.5.2)
 *
 * Context: Process context. Caller holds vcpu->mutex, or @vcpu is not published yet.
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
	vcpu->pv_eoi.msr = 0;
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

/* Set IA32_APIC_BASE to @base, which was checked before. */
static void vlapic_apply_base(struct vcpu *vcpu, u64 base)
{
	struct vlapic *a = vcpu->lapic;
	enum lapic_mode mode = lapic_mode_of(base);

	WRITE_ONCE(vcpu->apic_base, base);
	if (!a || a->mode == mode)
		return;
	/* A disabled APIC loses its state (SDM 11.4.3). No message is accepted from here on. */
	if (mode == LAPIC_DISABLED) {
		WRITE_ONCE(a->mode, mode);
		vlapic_reset_regs(a);
	}
	vlapic_set_mode(a, mode);
}

/**
 * vlapic_set_base() - WRMSR of IA32_APIC_BASE
 * @vcpu: the vCPU
 * @base: the value to be written
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL for #GP (reserved bits, or a transition that SDM figure 11-26 does not allow).
 */
int vlapic_set_base(struct vcpu *vcpu, u64 base)
{
	int err = lapic_check_base(vcpu->apic_base, base, vcpu->gcaps.maxphyaddr, vcpu->gcaps.x2apic, false);

	if (!err)
		vlapic_apply_base(vcpu, base);
	return err;
}

/**
 * vlapic_restore_base() - set IA32_APIC_BASE from user space
 * @vcpu: the vCPU
 * @base: the value; any valid mode may follow any other
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL for an invalid value.
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
 * @vcpu: the vCPU
 * @state: filled with the registers; the ID is in xAPIC format in every mode,
 *         unless user space uses 32-bit IDs
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL without an in-kernel APIC.
 */
int vlapic_get_state(struct vcpu *vcpu, struct kvm_lapic_state *state)
{
	struct vlapic *a = vcpu->lapic;
	u32 reg;

	if (!a)
		return -EINVAL;
	/*
	 * A timer that has expired reads as 0, like one that is stopped: its interrupt
	 * must be in IRR. In TSC-deadline mode the MSR has the deadline until then, and
	 * user space may have read it already.
	 */
	if (!a->tsc_deadline)
		vlapic_timer_request(vcpu);
	memset(state, 0, sizeof(*state));
	for (reg = 0; reg < LAPIC_REGS_SIZE; reg += 16) {
		u32 val = vlapic_read_reg(a, reg);

		if (reg == LAPIC_ID && a->mode == LAPIC_X2APIC && !vlapic_wide_ids(a))
			val <<= 24;
		memcpy(state->regs + reg, &val, sizeof(val));
	}
	return 0;
}

/* Reduce a register value from user space to one that the guest could have written. */
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

/* Resume counting at @count, or rearm the TSC deadline. */
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
 * @vcpu: the vCPU
 * @state: as filled by vlapic_get_state(); IA32_APIC_BASE and IA32_TSC_DEADLINE are set separately
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL without an in-kernel APIC or for a 32-bit ID that is not the x2APIC's.
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
