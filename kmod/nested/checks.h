/* SPDX-License-Identifier: GPL-2.0 */
/* VM-entry checks on VMCS12 (checks.def): they name the row that failed. SDM 3C 27.2, 27.3. */
#ifndef DROSTE_NESTED_CHECKS_H
#define DROSTE_NESTED_CHECKS_H

#include <linux/types.h>
#include "nested/vmcs12.h"

struct vmx_caps;

/* The row of checks.def that failed. */
enum check_id {
	CHECK_OK,	/* none failed */
#define CHECK(section, id, when, ok, words) CHECK_##id,
#include "nested/checks.def"
	NR_CHECKS
};

#define CHECK_WORDS	((NR_CHECKS + BITS_PER_LONG - 1) / BITS_PER_LONG)	/* length of a bitmap of rows */
#define CHECK_FIELDS	12	/* no condition names more fields */

/* The two conditions of a row. */
enum check_part {
	CHECK_WHEN,	/* the row applies */
	CHECK_DEMANDS,	/* must hold then */
};

/* Everything that the checks depend on. */
struct check_ctx {
	const struct vmcs12 *v;		/* the VMCS to check; for its rare state see checks_need_rare() */
	const struct vmx_caps *caps;	/* the capabilities that L1 was offered */
	u64 vmptr;			/* address of @v in L1's memory */
	u64 efer_allowed;		/* bits of IA32_EFER that are not reserved */
	u64 debugctl_allowed;		/* bits of IA32_DEBUGCTL that are not reserved */
	u64 perf_global_allowed;	/* bits of IA32_PERF_GLOBAL_CTRL that are not reserved */
	u32 dirty;			/* DIRTY12_*: rows that depend on other parts only are skipped */
	u8 maxphyaddr;			/* width of L1's physical addresses */
	bool la57;			/* linear addresses have 57 bits */
	bool l1_lma;			/* L1 is in IA-32e mode */
	bool rtm;			/* L1 has RTM */
	bool restored;			/* user space restores @v, with which L2 ran, and may restore L1's memory later */
	int (*read)(void *arg, u64 gpa, void *data, u32 len);	/* read L1's memory; not 0 if there is none */
	void *arg;			/* first argument of @read */
};

/* --- checks.c: pure --- */
enum check_id checks_controls(const struct check_ctx *c);
enum check_id checks_host(const struct check_ctx *c);
enum check_id checks_guest(const struct check_ctx *c, u64 *qual);
bool checks_need_rare(const struct check_ctx *c);
void checks_all(const struct check_ctx *c, unsigned long *failing, unsigned long *applies);
const char *check_name(enum check_id id);
const char *check_text(enum check_id id, enum check_part part);
const char *check_section(enum check_id id);
bool check_eptp(const struct vmx_caps *caps, u8 maxphyaddr, u64 eptp);

/* --- checkfields.c: pure --- */
int check_fields(enum check_id id, enum check_part part, u8 *fields);

#endif
