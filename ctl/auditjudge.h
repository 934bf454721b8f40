/* SPDX-License-Identifier: GPL-2.0 */
/* Judges a VMCS by the rules of a VM entry, kmod/nested/checks.def. */
#ifndef DROSTECTL_AUDITJUDGE_H
#define DROSTECTL_AUDITJUDGE_H

#include "auditcaps.h"
#include "vmcsfile.h"

#define NO_FIELD	(-1)
#define LACKS_MEMORY	NR_VMCS12_FIELDS	/* in place of a field: what is in L1's memory */
#define BEYOND_MAX	64

/** enum verdict - what a rule says of a VMCS */
enum verdict { RULE_HOLDS, RULE_IDLE, RULE_BROKEN, RULE_OPEN, NR_VERDICTS };

/** struct judgement - the verdicts of all rules */
struct judgement {
	enum verdict verdict[NR_CHECKS];	/* RULE_IDLE: it does not apply; RULE_OPEN: not judged */
	int lacks[NR_CHECKS];		/* the field, or LACKS_MEMORY, for which a rule is open */
	int count[NR_VERDICTS];
	struct {
		int field;		/* NO_FIELD: the tertiary controls */
		uint64_t bits;
	} beyond[BEYOND_MAX];		/* what the VMCS uses, and no rule knows */
	int nr_beyond;
};

/**
 * judge() - judge a VMCS
 * @j: filled in
 * @f: the VMCS; a bit that no rule knows is taken out
 * @a: the processor
 */
void judge(struct judgement *j, struct vmcs_file *f, const struct assumed *a);

/** struct wrong_bits - the bits for which a rule is broken, and the MSRs that it depends on */
struct wrong_bits {
	int field;		/* NO_FIELD: the rule is not about single bits */
	uint64_t clear, set;	/* bits that must be 1, and bits that must be 0 */
	int caps[2];		/* the capability MSRs that the rule depends on; 0: none */
};

/** judge_bits() - find the bits for which a rule is broken, and the MSRs that it depends on */
void judge_bits(struct wrong_bits *w, enum check_id id, const struct vmcs_file *f,
		const struct assumed *a);

/**
 * judge_fields() - the fields that a rule looks at, those first of which it demands something
 * @id: the rule
 * @fields: room for 2 * CHECK_FIELDS numbers
 *
 * Return: how many there are.
 */
int judge_fields(enum check_id id, uint8_t *fields);

#endif
