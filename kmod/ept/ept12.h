/* SPDX-License-Identifier: GPL-2.0 */
/* The walk of L1's extended page tables, and their composition with EPT01. Pure. */
#ifndef DROSTE_EPT12_H
#define DROSTE_EPT12_H

#include "ept/format.h"

/* Access to L1's memory. Both return 0, or -EFAULT if L1 has no memory at @gpa. */
struct ept12_ops {
	int (*read)(void *ctx, u64 gpa, u64 *entry);
	int (*set_bits)(void *ctx, u64 gpa, u64 old, u64 bits);	/* atomic OR; 1 if the entry is not @old any more */
};

/* EPTP and features of the processor that L1 was offered. */
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
	EPT12_VIOLATION,	/* reflect as exit reason 48; bits 6:3 of @qual are the rights found */
	EPT12_MISCONFIG,	/* reflect as exit reason 49 */
	EPT12_FAULT,		/* a table is outside L1's memory; handled as a misconfiguration */
};

struct ept12_result {
	u64 gpa;		/* L1 GPA of the byte */
	u64 rights;		/* rights through all levels; EPT_EXEC_USER with mode-based execute control */
	int level;		/* of the leaf, or at which the walk failed */
	u8 memtype;
	bool ipat;
	bool dirty;		/* dirty flag is set or A/D is off: the leaf in EPT02 may be writable */
	u64 upper;		/* rights through the levels above the leaf */
	u64 entry_gpa;		/* L1 GPA of the leaf's entry */
	u64 qual;		/* for a violation: bits 3-6 (rights found) */
};

/* The number of the 2 MiB in which an address is: those of a table with entries for small pages. */
static inline u64 ept12_region(u64 l2_gpa)
{
	return l2_gpa >> ept_shift(2);
}

/* Bits of the exit qualification of an EPT violation (SDM 3C table 28-7). */
#define EPT12_GLA_VALID		BIT_ULL(7)
#define EPT12_GLA_FINAL		BIT_ULL(8)	/* the access was not to a paging structure */
/* Those that L1 sees as the processor has them: access, linear address, NMI unblocking. */
#define EPT12_FROM_HARDWARE	(EPT_RWX | EPT12_GLA_VALID | EPT12_GLA_FINAL | BIT_ULL(12))

/* The access as checked against EPT12. With A/D flags, accesses to paging structures are writes (SDM 3C 29.3.5). */
static inline u64 ept12_access(u64 eptp12, u64 qual)
{
	u64 access = qual & EPT_RWX;

	if ((eptp12 & EPTP_AD) && (qual & EPT12_GLA_VALID) && !(qual & EPT12_GLA_FINAL))
		access |= EPT_READ | EPT_WRITE;
	return access;
}

/* The exit qualification that L1 reads of a violation of EPT12. */
static inline u64 ept12_violation_qual(u64 qual, const struct ept12_result *found)
{
	return (qual & EPT12_FROM_HARDWARE) | found->qual;
}

enum ept12_verdict ept12_walk(const struct ept12_cfg *cfg, const struct ept12_ops *ops, void *ctx,
			      u64 l2_gpa, u64 access, struct ept12_result *out);

bool ept12_leads_on(const struct ept12_cfg *cfg, u64 entry, int level);
enum ept12_verdict ept12_end(const struct ept12_cfg *cfg, u64 entry, u64 upper, u64 l2_gpa, u64 access,
			     struct ept12_result *out);
bool ept12_near(const struct ept12_cfg *cfg, const struct ept12_result *found, u64 entry, u64 l2_gpa,
		struct ept12_result *out);

/* The leaf of EPT01 for a page: see ept01_lookup(). */
struct ept01_leaf {
	u64 hpa;		/* of the 4-KiB page */
	u64 rights;
	int level;		/* of the leaf */
	bool ipat;		/* write-back, whatever L1 asks for */
	bool uncached;		/* a device's memory, not to be cached */
	bool fresh;		/* the host had no memory there before the call */
};

/* What ept02_fault() found out about an address. */
struct ept02_found {
	struct ept12_result outer;	/* in L1's tables */
	struct ept01_leaf inner;	/* in L0's for L1; no rights if it was not looked up */
};

u64 ept02_compose(const struct ept12_result *outer, const struct ept01_leaf *inner, int *level);

#endif
