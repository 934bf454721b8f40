/* SPDX-License-Identifier: GPL-2.0 */
/* Exits that a VM need not have: --force-exits of drostectl run. */
#ifndef DROSTECTL_FORCE_H
#define DROSTECTL_FORCE_H

#include <stdint.h>

#define FORCE_ALL	UINT64_MAX	/* those that the processor has */

/**
 * force_parse() - the mask for a list of names
 * @text: "all", or names with commas between them
 * @mask: DROSTE_FORCE_*, or FORCE_ALL
 *
 * Return: 0, or -1 after printing an error message.
 */
int force_parse(const char *text, uint64_t *mask);

/**
 * force_apply() - make a VM take the exits
 * @vm_fd: the VM
 * @mask: from force_parse()
 *
 * Return: 0, or -1 after printing an error message.
 */
int force_apply(int vm_fd, uint64_t mask);

#endif
