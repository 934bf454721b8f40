/* SPDX-License-Identifier: GPL-2.0 */
/* Prints the verdicts of an audit. */
#ifndef DROSTECTL_AUDITREPORT_H
#define DROSTECTL_AUDITREPORT_H

#include <stdbool.h>

#include "auditjudge.h"

/**
 * audit_report() - print what was found
 * @name: where the VMCS is from
 * @f: the VMCS
 * @a: the processor
 * @j: the verdicts
 * @json: as one JSON object
 */
void audit_report(const char *name, const struct vmcs_file *f, const struct assumed *a,
		  const struct judgement *j, bool json);

#endif
