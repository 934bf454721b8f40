/* SPDX-License-Identifier: GPL-2.0 */
/* The checks of VM entries on VMCS12 (checks.def): pure verdicts that name the row that failed. SDM 3C 27.2, 27.3. */
#ifndef DROSTE_NESTED_CHECKS_H
#define DROSTE_NESTED_CHECKS_H

#include <linux/types.h>
#include "nested/vmcs12.h"

struct vmx_caps;

/* Which row failed; values stay below 256. */
enum check_id {
	CHECK_OK,	/* none */
#define CHECK(section, id, when, ok) CHECK_##id,
#include "nested/checks.def"
	NR_CHECKS
};

/**
 * struct check_ctx - everything that a verdict depends on
 */
struct check_ctx {
	const struct vmcs12 *v;		/* what is checked; its rare state is current, see checks_need_rare() */
	const struct vmx_caps *caps;	/* what L1 was offered */
	u64 vmptr;			/* L1's current VMCS */
	u64 efer_allowed;		/* bits of IA32_EFER that are not reserved */
	u64 debugctl_allowed;		/* of IA32_DEBUGCTL */
	u64 perf_global_allowed;	/* of IA32_PERF_GLOBAL_CTRL */
	u32 dirty;			/* DIRTY12_*: rows that depend on nothing else were passed before and are skipped */
	u8 maxphyaddr;			/* L1's */
	bool la57;			/* linear addresses have 57 bits */
	bool l1_lma;			/* L1 is in IA-32e mode */
	bool rtm;			/* L1 has RTM */
	bool restored;			/* by user space, which may put what L2's CR3 points to into memory later */
	int (*read)(void *arg, u64 gpa, void *data, u32 len);	/* L1's memory: 0, or not: none there */
	void *arg;			/* for @read */
};

/* --- checks.c: pure --- */
enum check_id checks_controls(const struct check_ctx *c);	/* 27.2.1: VMfailValid 7 */
enum check_id checks_host(const struct check_ctx *c);		/* 27.2.2 to 27.2.4: VMfailValid 8 */
enum check_id checks_guest(const struct check_ctx *c, u64 *qual);	/* 27.3.1: exit reason 33 with @qual */
bool checks_need_rare(const struct check_ctx *c);	/* SYNC_RARE state must be read back before checks_guest() */
const char *check_name(enum check_id id);
const char *check_text(enum check_id id);	/* the condition that did not hold */
const char *check_section(enum check_id id);	/* of the SDM */
bool check_eptp(const struct vmx_caps *caps, u8 maxphyaddr, u64 eptp);
bool check_canonical(u64 la, bool la57);

/* --- checks_vcpu.c: the same for a vCPU --- */
struct vcpu;
/* Before an entry into L2; VMCS01 current. 0, or the VM-instruction error that VMLAUNCH or VMRESUME fails with. */
u32 nested_check_vmfail(struct vcpu *vcpu);
/* true, or false with @qual for exit reason 33. nested_sync_rare() is called when it must be. */
bool nested_check_guest(struct vcpu *vcpu, u64 *qual);
/* All of them for an L2 that user space restores. @v: its VMCS12, at @vmptr; any VMCS current. */
bool nested_check_restored(struct vcpu *vcpu, const struct vmcs12 *v, u64 vmptr);

#endif
