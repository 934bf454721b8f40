/* SPDX-License-Identifier: GPL-2.0 */
/* What the processors of several hosts have in common, as plain values. Pure; drostectl uses it, too. */
#ifndef DROSTE_POOL_LOGIC_H
#define DROSTE_POOL_LOGIC_H

#include <linux/types.h>
#include <linux/droste.h>

enum pool_reg { POOL_EAX, POOL_EBX, POOL_ECX, POOL_EDX, NR_POOL_REGS };

/* How a field of several hosts becomes one of the pool. */
enum pool_op {
	POOL_AND,	/* a feature that all have */
	POOL_OR,	/* a defect or a restriction that one has */
	POOL_MIN,	/* a number up to which all go */
	POOL_EQUAL,	/* must be the same, or the leaf or MSR is left out */
	POOL_IDENT,	/* names the processor: as that of the oldest host */
	POOL_DERIVED,	/* follows from other fields, or user space fills it in; not compared */
};

/* The field with mask @mask of a register of a leaf. */
struct pool_rule {
	u32 leaf, subleaf;	/* POOL_ANY: all sub-leaves */
	u32 mask;
	u8 reg;
	u8 op;
};

#define POOL_ANY	(~0U)

/* A field with mask @mask of an MSR. */
struct pool_msr_rule {
	u32 msr;
	u8 op;
	u64 mask;
};

extern const struct pool_rule pool_rules[];
extern const unsigned int nr_pool_rules;
extern const struct pool_msr_rule pool_msr_rules[];
extern const unsigned int nr_pool_msr_rules;

/* Something that one has, and another has not. */
struct pool_loss {
	enum { POOL_LOST_CPUID, POOL_LOST_MSR, POOL_LOST_LIST } what;
	u32 leaf;	/* leaf, or MSR */
	u32 subleaf;
	u8 reg;		/* enum pool_reg */
	u8 op;		/* enum pool_op of the field */
	u64 bits;	/* of the register or MSR: those that differ */
	u64 had, has;	/* the whole field before and after */
};

typedef void (*pool_told)(void *ctx, const struct pool_loss *loss);

int pool_check(const struct droste_pool *p);
int pool_leaf_indexed(u32 leaf);
bool pool_rule_for(const struct pool_rule *r, u32 leaf, u32 subleaf);
struct droste_pool_cpuid *pool_find(struct droste_pool *p, u32 leaf, u32 subleaf);
struct droste_pool_msr *pool_find_msr(struct droste_pool *p, u32 msr);
void pool_meet(const struct droste_pool *a, const struct droste_pool *b, struct droste_pool *out);
void pool_close(struct droste_pool *p);
bool pool_needs(const struct droste_pool *p, const struct pool_loss *bit, struct pool_loss *needed);
int pool_lost(const struct droste_pool *a, const struct droste_pool *less, pool_told told, void *ctx);
bool pool_lost_tsc(const struct droste_pool *a, const struct droste_pool *b);

/* Rates that differ by less than one in so many (250 ppm, as for a VM's rate) are one rate, measured twice. */
#define POOL_TSC_PARTS	4000

/* Whether the pool's hosts have one rate. */
static inline bool pool_tsc_one(const struct droste_pool *p)
{
	return p->tsc_khz && (u64)(p->tsc_khz_max - p->tsc_khz) * POOL_TSC_PARTS <= p->tsc_khz;
}

#endif
