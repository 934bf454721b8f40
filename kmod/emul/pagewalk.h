/* SPDX-License-Identifier: GPL-2.0 */
/* The walk of a guest's page tables, on plain values and with callbacks. Pure. */
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
	PAGEWALK_STOPPED,	/* a callback failed, which recorded the reason */
};

/* The paging state. */
struct pagewalk_cfg {
	u64 cr0, cr3, cr4, efer;
	u64 pdpte[4];		/* PDPTE registers of PAE paging (SDM 3A 4.4.1) */
	u32 pkru;
	u8 maxphyaddr;
	bool gbpages;		/* CPUID.80000001H:EDX.Page1GB */
	bool ac_override;	/* SMAP does not apply: EFLAGS.AC is set and the access is explicit */
};

/*
 * Access to table entries by guest-physical address. Both return 0, or a
 * negative value to stop the walk. compare_exchange returns 1 if the entry is
 * not @old any more.
 */
struct pagewalk_ops {
	int (*read)(void *priv, u64 gpa, void *entry, u32 bytes);
	int (*compare_exchange)(void *priv, u64 gpa, u64 old, u64 new, u32 bytes);
};

struct pagewalk_result {
	u64 gpa;
	u32 error_code;		/* PAGEWALK_FAULT */
	u8 level;		/* of the leaf: 1 for 4 KiB; 0 without paging */
};

enum pagewalk_verdict pagewalk(const struct pagewalk_cfg *cfg, const struct pagewalk_ops *ops, void *priv,
			       u64 la, u32 access, struct pagewalk_result *out);
u32 pagewalk_fault_code(const struct pagewalk_cfg *cfg, u32 access);

#endif
