/* SPDX-License-Identifier: GPL-2.0 */
/* Counts why exits of L2 went to whom, by the kernel's histogram of the event droste_route. */
#ifndef DROSTECTL_TOPWHY_H
#define DROSTECTL_TOPWHY_H

#include "nested/route_why.h"

/** struct why_counts - exits of L2, by what decided who gets them */
struct why_counts {
	unsigned long long to_l0[NR_ROUTE_WHY], to_l1[NR_ROUTE_WHY];
};

/**
 * why_begin() - begin to count
 * @vm: number of the VM
 * @vcpu: index of the vCPU, or -1 for all
 *
 * Until the program ends, all exits of all VMs take the long way through Droste.
 *
 * Return: 0, or -1 after an error message.
 */
int why_begin(unsigned int vm, long vcpu);

/** why_read() - the counts so far. Return: 0, or -1 after an error message */
int why_read(struct why_counts *c);

/** why_parse() - take the counts out of the kernel's text */
void why_parse(struct why_counts *c, char *text);

/** why_name() - the name of what decides, as in kmod/nested/route_why.h */
const char *why_name(int why);

/** why_words() - the same in words */
const char *why_words(int why);

#endif
