/* SPDX-License-Identifier: GPL-2.0 */
/* The walk of L1's own extended page tables, and their composition with EPT01: pure, for KUnit and user space. */
#ifndef DROSTE_EPT12_H
#define DROSTE_EPT12_H

#include "ept/format.h"

/* How a table entry of L1 is read, and its accessed and dirty flags set. 0, or -EFAULT where L1 has no memory. */
struct ept12_ops {
	int (*read)(void *ctx, u64 gpa, u64 *entry);
	int (*set_bits)(void *ctx, u64 gpa, u64 old, u64 bits);	/* atomic OR if unchanged; 1: changed, walk again */
};

/* What EPT12 walking needs to know of the machine that L1 was offered. */
struct ept12_cfg {
	u64 eptp;		/* already checked by the VM-entry checks */
	u8 maxphyaddr;		/* L1's */
	bool exec_only;		/* offered: IA32_VMX_EPT_VPID_CAP bit 0 */
	bool huge_2m;		/* offered: bit 16 */
	bool huge_1g;		/* offered: bit 17 */
	bool mode_based_exec;	/* secondary control 22 set in VMCS12 */
};

enum ept12_verdict {
	EPT12_OK,
	EPT12_VIOLATION,	/* reflect as exit reason 48, with @qual's bits 3-6 for what the tables allowed */
	EPT12_MISCONFIG,	/* reflect as exit reason 49 */
	EPT12_FAULT,		/* the tables lie where L1 has no memory: treated as a read of all ones would be: misconfiguration */
};

struct ept12_result {
	u64 gpa;		/* L1 GPA of the byte */
	u64 rights;		/* rights through all levels; EPT_EXEC_USER with mode-based execute control */
	int level;		/* of the leaf */
	u8 memtype;
	bool ipat;
	bool dirty;		/* leaf's dirty flag is set, or A/D is off: a writable EPT02 entry may be made */
	u64 qual;		/* for a violation: bits 3-6 (rights found) */
};

/*
 * Translate @l2_gpa for @access: EPT_READ, EPT_WRITE, EPT_EXEC or
 * EPT_EXEC_USER in any combination, 0 to translate whatever the rights. The
 * processor's accesses to the guest's paging structures are writes when
 * EPTP.AD is set (SDM 3C 29.3.5): the caller passes read and write for them.
 */
enum ept12_verdict ept12_walk(const struct ept12_cfg *cfg, const struct ept12_ops *ops, void *ctx,
			      u64 l2_gpa, u64 access, struct ept12_result *out);

/* What EPT01 has for a page: see ept01_lookup(). */
struct ept01_leaf {
	u64 hpa;		/* of the 4-KiB page */
	u64 rights;
	int level;		/* of the leaf */
};

/* The leaf of EPT02 that does what a leaf of EPT12 and then one of EPT01 do; its level in *level. 0: none may be made. */
u64 ept02_compose(const struct ept12_result *outer, const struct ept01_leaf *inner, int *level);

#endif
