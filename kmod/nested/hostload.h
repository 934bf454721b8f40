/* SPDX-License-Identifier: GPL-2.0 */
/* Loads L1's host state at an exit from L2 that repeats an earlier one: only what L1 may have changed. See hostload.c. */
#ifndef DROSTE_NESTED_HOSTLOAD_H
#define DROSTE_NESTED_HOSTLOAD_H

#include "droste.h"
#include "nested/vmcs02.h"
#include "vmx/vmx.h"

/* Access rights that a VM exit loads (SDM 3C 28.5.2). */
#define AR_CODE64	0xa09b	/* present, code, accessed, L, G */
#define AR_CODE32	0xc09b	/* present, code, accessed, D, G */
#define AR_DATA		0xc093	/* present, data, accessed, B, G */
#define AR_TSS		0x8b	/* present, busy TSS */
#define AR_UNUSABLE	0x10000

/* The access rights with which a VM exit loads a data segment; selector 0 makes it unusable. */
static inline u32 hostload_data_ar(u16 sel)
{
	return sel ? AR_DATA : AR_UNUSABLE;
}

/*
 * Whether L1 cannot have changed the tables' registers: all of its accesses exit, for this purpose or to emulate CR4.UMIP, and
 * there was none.
 */
static inline bool hostload_knows_tables(const struct vcpu *vcpu)
{
	return !vcpu->nested.held01.tables_changed && (vcpu->nested.held01.tables || vcpu->umip_exits[0]);
}

/* Whether a segment of L1 differs from what the exit makes of it, or a selector is not null. There is one branch for all. */
static __always_inline bool hostload_segments_differ(const struct nested *n, const struct vmcs12 *v)
{
	u64 diff = n->again.host_data | (n->held01.ss_ar ^ n->again.host_ss_ar);

	diff |= vmcs_read(GUEST_CS_SELECTOR) ^ v->host_cs_selector;
	diff |= vmcs_read(GUEST_CS_AR_BYTES) ^ AR_CODE64;
	diff |= vmcs_read(GUEST_SS_SELECTOR) ^ v->host_ss_selector;
	diff |= vmcs_read(GUEST_SS_LIMIT) ^ ~0U;
	diff |= vmcs_read(GUEST_SS_BASE);
	diff |= vmcs_read(GUEST_DS_SELECTOR);
	diff |= vmcs_read(GUEST_ES_SELECTOR);
	diff |= vmcs_read(GUEST_FS_SELECTOR);
	diff |= vmcs_read(GUEST_GS_SELECTOR);
	return diff;
}

/**
 * hostload_again() - load L1's state at an exit that repeats an earlier one
 * @vcpu: left L2; members of struct vcpu already have L1's values, which are those of its last entry
 *
 * Context: Interrupts disabled. VMCS01 is current, no register is cached. Does not sleep.
 */
static __always_inline void hostload_again(struct vcpu *vcpu)
{
	const struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;

	if (unlikely(!n->held01.valid || !hostload_knows_tables(vcpu) || hostload_segments_differ(n, v)))
		hostload_rest(vcpu);
	vmcs_write(GUEST_CR0, n->again.host_cr0);
	vmcs_write(GUEST_CR4, n->again.host_cr4);
	vmcs_write(GUEST_CR3, v->host_cr3);
	vmcs_write(GUEST_FS_BASE, v->host_fs_base);
	vmcs_write(GUEST_GS_BASE, v->host_gs_base);
	vmcs_write(GUEST_RIP, v->host_rip);
	vmcs_write(GUEST_RSP, v->host_rsp);
	vmcs_write(GUEST_RFLAGS, X86_EFLAGS_FIXED);
}

#endif
