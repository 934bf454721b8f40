/* SPDX-License-Identifier: GPL-2.0 */
/* Extended page tables: EPT01 (L1 GPA to HPA), the walk of L1's EPT12, and EPT02, their composition. SDM 3C 29.3. */
#ifndef DROSTE_EPT_H
#define DROSTE_EPT_H

#include <linux/types.h>
#include <linux/kvm_types.h>

struct vm;
struct vcpu;

/* Access rights, in the positions of EPT entries and of the exit qualification's bits 0-2 (SDM table 28-7). */
#define EPT_READ	BIT_ULL(0)
#define EPT_WRITE	BIT_ULL(1)
#define EPT_EXEC	BIT_ULL(2)
#define EPT_RWX		(EPT_READ | EPT_WRITE | EPT_EXEC)
#define EPT_PAGE_SIZE_BIT BIT_ULL(7)
#define EPT_ACCESSED	BIT_ULL(8)
#define EPT_DIRTY	BIT_ULL(9)
#define EPT_MEMTYPE_SHIFT 3
#define EPT_IPAT	BIT_ULL(6)
#define EPT_ADDR_MASK	GENMASK_ULL(51, 12)

/* EPTP (SDM 3C 25.6.11) */
#define EPTP_WB		6ULL
#define EPTP_WALK4	(3ULL << 3)
#define EPTP_AD		BIT_ULL(6)

struct ept01 {
	u64 *root;		/* PML4 page */
	u64 eptp;		/* what VMCS01 gets */
	unsigned long pages;	/* table pages in use; under mmu_lock */
};

/* What became of an access that faulted in EPT01. */
enum ept01_result {
	EPT01_FIXED,		/* mapped: run the instruction again */
	EPT01_MMIO,		/* no memory there: emulate */
	EPT01_READONLY,		/* a write to read-only memory: emulate as MMIO */
	EPT01_ERROR,		/* user memory cannot be had: KVM_RUN fails with EFAULT */
};

int ept01_init(struct vm *vm);		/* makes the root, registers the MMU notifier */
void ept01_destroy(struct vm *vm);	/* no vCPU runs any more */
/* vCPU thread, srcu held, irqs on, may sleep. @access: EPT_READ/WRITE/EXEC as attempted. */
enum ept01_result ept01_fault(struct vcpu *vcpu, gpa_t gpa, u64 access);
/*
 * The leaf that maps @gpa, made when there is none: HPA of the 4-KiB page, the rights,
 * and the level of the leaf (1: 4 KiB, 2: 2 MiB, 3: 1 GiB). Same context as ept01_fault().
 */
struct ept01_leaf {
	hpa_t hpa;
	u64 rights;
	int level;
};
enum ept01_result ept01_lookup(struct vcpu *vcpu, gpa_t gpa, u64 access, struct ept01_leaf *leaf);
/* Drop [start, end) frames from EPT01, and make all vCPUs flush. vm->mmu_lock not held. */
void ept01_zap(struct vm *vm, gfn_t start, gfn_t end);

/* --- EPT12: pure --- */
/* How a table entry of L1 is read, and its accessed and dirty flags set. 0, or -EFAULT where L1 has no memory. */
struct ept12_ops {
	int (*read)(void *ctx, gpa_t gpa, u64 *entry);
	int (*set_bits)(void *ctx, gpa_t gpa, u64 old, u64 bits);	/* atomic OR if unchanged; 1: changed, walk again */
};
/* What EPT12 walking needs to know of the machine that L1 was offered. */
struct ept12_cfg {
	u64 eptp;		/* already checked by the VM-entry checks */
	u8 maxphyaddr;		/* L1's */
	bool exec_only;		/* offered: IA32_VMX_EPT_VPID_CAP bit 0 */
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
	gpa_t gpa;		/* L1 GPA of the byte */
	u64 rights;		/* rights through all levels */
	int level;		/* of the leaf */
	u8 memtype;
	bool ipat;
	bool dirty;		/* leaf's dirty flag is set, or A/D is off: a writable EPT02 entry may be made */
	u64 qual;		/* for a violation: bits 3-5 (rights found) */
};
enum ept12_verdict ept12_walk(const struct ept12_cfg *cfg, const struct ept12_ops *ops, void *ctx,
			      u64 l2_gpa, u64 access, struct ept12_result *out);

/* --- EPT02: one small cache of roots a vCPU, used by its thread only --- */
#define EPT02_ROOTS	8
struct ept02_root {
	u64 eptp12;		/* what it shadows; tag, with bits 2:0 (memory type) and A/D included */
	u64 *root;		/* PML4 page, or NULL */
	u64 eptp;		/* what VMCS02 gets */
	u64 used;		/* tick of last use */
	unsigned long pages;
};
struct ept02 {
	struct ept02_root roots[EPT02_ROOTS];
	struct ept02_root *cur;	/* of the running L2, or NULL: L1 without EPT runs L2 on EPT01 */
	u64 tick;
};
enum ept02_result {
	EPT02_FIXED,		/* mapped: run the instruction again */
	EPT02_VIOLATION,	/* L1's tables do not allow it: reflect reason 48 with *qual */
	EPT02_MISCONFIG,	/* reflect reason 49 */
	EPT02_MMIO,		/* L1's tables allow it, L1 has no memory there: L0 emulates at *l1_gpa */
	EPT02_ERROR,		/* KVM_RUN fails with EFAULT */
};
void ept02_init(struct vcpu *vcpu);
void ept02_destroy(struct vcpu *vcpu);
/* Choose (or make) the shadow for @eptp12; returns the EPTP for VMCS02, or 0 when out of memory. vCPU thread, may sleep when it must be made. */
u64 ept02_use(struct vcpu *vcpu, u64 eptp12);
/* Handle an EPT violation or misconfiguration of EPT02. @qual: in: the hardware's qualification; out: what L1 should read. */
enum ept02_result ept02_fault(struct vcpu *vcpu, gpa_t l2_gpa, u64 *qual, gpa_t *l1_gpa);
void ept02_invalidate(struct vcpu *vcpu, u64 eptp12);	/* INVEPT single-context by L1 */
void ept02_invalidate_all(struct vcpu *vcpu);		/* INVEPT global, or EPT01 changed; also does the hardware INVEPT */
/* L2 GPA to L1 GPA for L0's own use (emulation in L2, guest page walks). EPT12_* verdict, *out filled. */
enum ept12_verdict ept12_translate(struct vcpu *vcpu, gpa_t l2_gpa, u64 access, struct ept12_result *out);

#endif
