/* SPDX-License-Identifier: GPL-2.0 */
/* Reading the fields of a VMCS from outside. */
#ifndef DROSTE_LOOK_H
#define DROSTE_LOOK_H

#include <linux/types.h>
#include "vmx/types.h"

struct droste_vmcs_field;
struct loaded_vmcs;
struct vcpu;
struct vmcs12;

/* What nested_look() reads, and where to. */
struct look {
	u32 which;		/* DROSTE_VMCS01 and so on */
	bool hide;		/* no secrets of the host */
	bool in_l2;		/* out: the vCPU runs L2 */
	int ret;		/* out: 0, or -ENOENT if the vCPU has no such VMCS */
	u64 vmptr;		/* out: address of L1's current VMCS, or VMPTR_NONE */
	struct vmx_controls merged01;	/* out: L0's controls from which VMCS02's were merged; valid in L2 */
	u32 nr;			/* out: number of fields */
	struct vmcs12 *vmcs12, *before;	/* two buffers */
	struct droste_vmcs_field *fields;	/* out: room for NR_VMCS12_FIELDS */
};

bool look_begin(struct vcpu *vcpu, struct loaded_vmcs *v);
void look_end(struct vcpu *vcpu, struct loaded_vmcs *v, bool elsewhere);
void nested_look(struct vcpu *vcpu, void *arg);
u32 nested_look_fields(const struct vcpu *vcpu, const struct vmcs12 *v, struct droste_vmcs_field *to);

struct droste_why;

/* What nested_look_why() reads, and where to. */
struct look_why {
	int ret;			/* out: 0, or -ENOENT if no entry has failed */
	u32 nr;				/* out: number of fields */
	struct droste_why *why;		/* out */
	struct droste_vmcs_field *fields;	/* out: room for NR_VMCS12_FIELDS */
};

void nested_look_why(struct vcpu *vcpu, void *arg);

struct droste_ept;

/* What nested_look_ept() reads, and where to. */
struct look_ept {
	int ret;			/* out: 0, or -ENOENT if L1 has no current VMCS */
	bool hide;			/* no secrets of the host */
	struct droste_ept *ept;		/* in: @flags and @gpa; out */
};

void nested_look_ept(struct vcpu *vcpu, void *arg);

struct droste_regs;

/* What nested_look_regs() reads, and where to. */
struct look_regs {
	int ret;			/* out: 0, or -ENOENT if the vCPU does not run that level */
	struct droste_regs *regs;	/* in: @level; out */
};

void nested_look_regs(struct vcpu *vcpu, void *arg);

struct droste_last_exit;

/* What nested_look_exit() reads, and where to. */
struct look_exit {
	int ret;			/* out: 0, or -ENOENT if the vCPU has never exited */
	struct vmcs12 *vmcs12;		/* a buffer */
	struct droste_last_exit *exit;	/* out */
};

void nested_look_exit(struct vcpu *vcpu, void *arg);

#endif
