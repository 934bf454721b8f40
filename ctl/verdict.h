/* SPDX-License-Identifier: GPL-2.0 */
/* Decides whether a machine can run Droste. */
#ifndef DROSTECTL_VERDICT_H
#define DROSTECTL_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

/** struct machine_facts - the properties of a machine that decide */
struct machine_facts {
	bool has_vmx;		/* CPUID leaf 1, ECX bit 5 */
	bool in_guest;		/* CPUID leaf 1, ECX bit 31: a hypervisor runs below */
	bool uses_fred;		/* the kernel uses FRED */
	bool droste_loaded;
	bool kvm_loaded;	/* kvm_intel is loaded */
	bool device_opened;	/* the device could be opened */
	int msr_error;		/* errno of opening the MSR device, or 0 */
	/* Reads an MSR of the processor; false if it cannot be read. */
	bool (*msr)(void *ctx, uint32_t index, uint64_t *val);
	void *ctx;		/* first argument of msr() */
};

/** enum verdict_answer - whether the machine can run Droste */
enum verdict_answer { CANNOT_RUN, CAN_RUN, NOT_KNOWN };

#define VERDICT_MAX	48	/* lines */

/** struct verdict - the answer and its reasons */
struct verdict {
	enum verdict_answer answer;
	unsigned int nr_missing;
	char missing[VERDICT_MAX][160];	/* each names something that is missing */
	char advice[160];		/* what to do next; empty if there is nothing */
};

/** verdict_reach() - judge a machine by its facts */
void verdict_reach(const struct machine_facts *facts, struct verdict *v);

/** verdict_sentence() - the answer as a sentence without a full stop */
const char *verdict_sentence(const struct verdict *v);

#endif
