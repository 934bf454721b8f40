/* SPDX-License-Identifier: GPL-2.0 */
/* Prints the verdicts of an audit. */
#ifndef DROSTECTL_AUDITREPORT_H
#define DROSTECTL_AUDITREPORT_H

#include <linux/droste.h>
#include <stdbool.h>

#include "auditjudge.h"

/** struct audit_report - what is printed */
struct audit_report {
	const char *name;		/* where the VMCS is from */
	const struct vmcs_file *f;	/* the VMCS */
	const struct assumed *a;	/* the processor */
	const struct judgement *j;	/* the verdicts */
	const struct droste_why *why;	/* the VM entry that failed; NULL: not known */
	bool source;			/* print each rule as the module's source text, too */
};

/**
 * audit_report() - print what was found
 * @r: all about it
 * @json: as one JSON object
 */
void audit_report(const struct audit_report *r, bool json);

/** audit_code() - how a VM entry failed: @code is a VM-instruction error, 0 for VMfailInvalid, or basic exit reason 33 or 34 */
const char *audit_code(uint32_t code, uint64_t qual);

#endif
