// SPDX-License-Identifier: GPL-2.0
/* Segment registers and CPL of the current VMCS. SDM 3C 25.4.1. */
#include "droste.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Fields of each segment register, in the order of enum seg. */
#define SEG(name) { GUEST_##name##_SELECTOR, GUEST_##name##_BASE, GUEST_##name##_LIMIT, GUEST_##name##_AR_BYTES }
static const struct { u16 sel, base, limit, ar; } seg_fields[NR_SEGS] = {
	[SEG_ES] = SEG(ES), [SEG_CS] = SEG(CS), [SEG_SS] = SEG(SS), [SEG_DS] = SEG(DS),
	[SEG_FS] = SEG(FS), [SEG_GS] = SEG(GS), [SEG_LDTR] = SEG(LDTR), [SEG_TR] = SEG(TR),
};
#undef SEG

/**
 * vcpu_get_segment() - read a segment register
 * @vcpu: the vCPU
 * @seg: the register
 * @out: filled
 *
 * Context: Caller holds vcpu->mutex. The VMCS of the running level is current.
 */
void vcpu_get_segment(struct vcpu *vcpu, enum seg seg, struct kvm_segment *out)
{
	u32 ar = vmcs_read(seg_fields[seg].ar);

	*out = (struct kvm_segment) {
		.base = vmcs_read(seg_fields[seg].base),
		.limit = vmcs_read(seg_fields[seg].limit),
		.selector = vmcs_read(seg_fields[seg].sel),
		.type = ar & 15,
		.s = ar >> 4 & 1,
		.dpl = ar >> 5 & 3,
		/* The P bit of an unusable segment is undefined; report 0. */
		.present = ar & VMX_AR_UNUSABLE_MASK ? 0 : ar >> 7 & 1,
		.avl = ar >> 12 & 1,
		.l = ar >> 13 & 1,
		.db = ar >> 14 & 1,
		.g = ar >> 15 & 1,
		.unusable = ar & VMX_AR_UNUSABLE_MASK ? 1 : 0,
	};
}

static u32 segs_access_rights(const struct kvm_segment *s, enum seg seg)
{
	u32 ar = (s->type & 15) | (s->s & 1) << 4 | (s->dpl & 3) << 5 | (s->present & 1) << 7 |
		 (s->avl & 1) << 12 | (s->l & 1) << 13 | (s->db & 1) << 14 | (s->g & 1) << 15;

	if (s->unusable || !s->present)
		ar |= VMX_AR_UNUSABLE_MASK;
	/* VM entry requires a busy TR (SDM 27.3.1.2), so make it busy. It is unusable only if the caller says so. */
	if (seg == SEG_TR)
		ar = (ar & ~VMX_AR_UNUSABLE_MASK) | 2 | (s->unusable ? VMX_AR_UNUSABLE_MASK : 0);
	return ar;
}

/**
 * vcpu_set_segment() - write a segment register without checks
 * @vcpu: the vCPU
 * @seg: the register
 * @in: the value
 *
 * Context: Caller holds vcpu->mutex. The VMCS of the running level is current.
 */
void vcpu_set_segment(struct vcpu *vcpu, enum seg seg, const struct kvm_segment *in)
{
	struct kvm_segment s = *in;
	u32 ar = segs_access_rights(&s, seg);

	/* VM entry requires the accessed bit of usable code and data segments (SDM 27.3.1.2). */
	if (s.s && !(ar & VMX_AR_UNUSABLE_MASK) && seg < SEG_LDTR)
		ar |= 1;
	vcpu->nested.held01.valid = false;
	vmcs_write(seg_fields[seg].base, s.base);
	vmcs_write(seg_fields[seg].limit, s.limit);
	vmcs_write(seg_fields[seg].sel, s.selector);
	vmcs_write(seg_fields[seg].ar, ar);
}

