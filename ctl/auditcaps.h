/* SPDX-License-Identifier: GPL-2.0 */
/* What an audit assumes about the processor: VMX capabilities and the widths of addresses. */
#ifndef DROSTECTL_AUDITCAPS_H
#define DROSTECTL_AUDITCAPS_H

#include "vmcsfile.h"

/** struct assumed - the processor of an audit */
struct assumed {
	struct vmx_caps caps;
	uint32_t given;			/* bit n: MSR 0x480 + n is from @source; the others are defaults */
	char source[128];		/* where @caps are from */
	unsigned int maxphyaddr;
	bool la57;
	uint64_t efer, debugctl, perf_global;	/* bits that are not reserved */
};

/**
 * assumed_get() - find out the capabilities
 * @a: filled in
 * @from: the file's name, "host", "default", or NULL: those in @f, else this
 *	machine's if they can be read, else the default
 * @f: the VMCS
 *
 * Return: 0, or -1 after an error message.
 */
int assumed_get(struct assumed *a, const char *from, const struct vmcs_file *f);

#endif
