/* SPDX-License-Identifier: GPL-2.0 */
/* Translation of the running level's linear addresses, and access to linear memory. */
#ifndef DROSTE_WALK_H
#define DROSTE_WALK_H

#include "droste.h"
#include "emul/pagewalk.h"

/* The result of a translation. */
enum walk_status {
	WALK_OK,
	WALK_PF,	/* the guest's page tables do not allow the access: walk_fault.pf */
	WALK_EPT,	/* L1's EPT12 does not allow the access: walk_fault describes the exit to L1 */
	WALK_NOMEM,	/* a page table is at an address without memory; walk_gva() reports it as WALK_PF */
};

/* Why a translation failed. */
struct walk_fault {
	struct event pf;	/* WALK_PF: the page fault */
	u32 ept_reason;		/* WALK_EPT: EXIT_REASON_EPT_VIOLATION or _MISCONFIG */
	u64 ept_qual;		/* WALK_EPT: exit qualification */
	u64 ept_gpa;		/* WALK_EPT: L2's guest-physical address */
	u64 gla;		/* the linear address */
};

void walk_prepare(struct vcpu *vcpu, struct pagewalk_cfg *cfg);
enum walk_status walk_gva(struct vcpu *vcpu, const struct pagewalk_cfg *cfg, u64 gva, u32 access,
			  gpa_t *gpa, struct walk_fault *fault);
bool walk_fetch(struct vcpu *vcpu, u64 la, u64 *words);
bool walk_read(struct vcpu *vcpu, u64 la, u64 *words);
bool walk_code(struct vcpu *vcpu, struct page_walk *w, u64 la, u64 *words, u32 n);
bool walk_write(struct vcpu *vcpu, u64 la, u64 val, u32 bytes);
bool walk_device(struct vcpu *vcpu, gpa_t l2_gpa, gpa_t *l1_gpa);
int walk_reflect_ept(struct vcpu *vcpu, const struct walk_fault *fault);
int walk_l2_gpa(struct vcpu *vcpu, u64 gpa, u64 access, gpa_t *l1_gpa);
int walk_reflect_pdptrs(struct vcpu *vcpu, u64 cr3);

/* Access bits have the values of the page-fault error code (SDM 3A 4.7). */
#define WALK_WRITE	BIT(1)
#define WALK_USER	BIT(2)
#define WALK_FETCH	BIT(4)
int vcpu_read_gva(struct vcpu *vcpu, u64 gva, void *data, u32 len, u32 access, struct event *fault);
int vcpu_write_gva(struct vcpu *vcpu, u64 gva, const void *data, u32 len, u32 access, struct event *fault);

#endif
