/* SPDX-License-Identifier: GPL-2.0 */
/* The walk of a guest's own page tables, pure: values and callbacks in, a verdict out. */
#ifndef DROSTE_EMUL_PAGEWALK_H
#define DROSTE_EMUL_PAGEWALK_H

#include <linux/types.h>

/* Bits of the page-fault error code (SDM 3A 4.7); the access bits have the same values. */
#define PFERR_P		BIT(0)
#define PFERR_W		BIT(1)
#define PFERR_U		BIT(2)
#define PFERR_RSVD	BIT(3)
#define PFERR_ID	BIT(4)
#define PFERR_PK	BIT(5)

enum pagewalk_verdict {
	PAGEWALK_OK,
	PAGEWALK_FAULT,		/* #PF with @error_code */
	PAGEWALK_STOPPED,	/* a callback failed: the callback knows why */
};

/* What decides how tables are walked. */
struct pagewalk_cfg {
	u64 cr0, cr3, cr4, efer;
	u64 pdpte[4];		/* PAE paging: the registers (SDM 3A 4.4.1) */
	u32 pkru;
	u8 maxphyaddr;
	bool gbpages;		/* CPUID.80000001H:EDX.Page1GB */
	bool ac_override;	/* EFLAGS.AC and an explicit access: SMAP does not apply */
};

/*
 * Table entries are read and updated by guest-physical address.
 * 0: done; 1 (compare_exchange): it holds something else by now; below 0: stop.
 */
struct pagewalk_ops {
	int (*read)(void *priv, u64 gpa, void *entry, u32 bytes);
	int (*compare_exchange)(void *priv, u64 gpa, u64 old, u64 new, u32 bytes);
};

struct pagewalk_result {
	u64 gpa;
	u32 error_code;		/* PAGEWALK_FAULT */
	u8 level;		/* of the leaf: 1 is 4 KiB; 0 without paging */
};

enum pagewalk_verdict pagewalk(const struct pagewalk_cfg *cfg, const struct pagewalk_ops *ops, void *priv,
			       u64 la, u32 access, struct pagewalk_result *out);
u32 pagewalk_fault_code(const struct pagewalk_cfg *cfg, u32 access);

#endif
