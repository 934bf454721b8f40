/* SPDX-License-Identifier: GPL-2.0 */
/* The processor that a comparison runs on, by CPUID. Plain C, because t_diff's report.c includes it too. */
#ifndef DIFF_CPU_H
#define DIFF_CPU_H

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

struct cpu_name {
	char vendor[13];
	unsigned int family, model, stepping;
};

/* Family, model and stepping are combined as SDM 2A, CPUID, "Version Information" says. */
static inline struct cpu_name cpu_name(void)
{
	struct cpu_name n = { 0 };
	unsigned int a, b, c, d;

	__cpuid(0, a, b, c, d);
	memcpy(n.vendor, &b, 4);
	memcpy(n.vendor + 4, &d, 4);
	memcpy(n.vendor + 8, &c, 4);
	__cpuid(1, a, b, c, d);
	n.family = a >> 8 & 15;
	n.model = a >> 4 & 15;
	n.stepping = a & 15;
	if (n.family == 6 || n.family == 15)
		n.model |= a >> 12 & 0xf0;
	if (n.family == 15)
		n.family += a >> 20 & 0xff;
	return n;
}

static inline void cpu_print(void)
{
	struct cpu_name n = cpu_name();

	printf("%s family %u model %u stepping %u", n.vendor, n.family, n.model, n.stepping);
}

#endif
