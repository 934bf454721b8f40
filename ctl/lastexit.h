/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl why --exit: the last exit of a vCPU explained. */
#ifndef DROSTECTL_LASTEXIT_H
#define DROSTECTL_LASTEXIT_H

#include <stdbool.h>

struct droste_last_exit;

/** lastexit_show() - print the module's answer, as text or as a JSON object in an array */
void lastexit_show(const struct droste_last_exit *e, bool json);

/** lastexit_decision() - print who got an exit, and by which control, bitmap or value; @why: the reason's name, NULL: that of e->why */
void lastexit_decision(const struct droste_last_exit *e, const char *why);

/** lastexit_why() - the number of a reason in kmod/nested/route_why.h by its name, -1 if drostectl does not know it */
int lastexit_why(const char *name);

/**
 * lastexit_all() - explain the last exits of vCPUs
 * @fd: from look_open()
 * @first: index of the first vCPU
 * @end: the index after the last
 * @json: print a JSON array
 *
 * Return: 0, or -1 after an error message.
 */
int lastexit_all(int fd, unsigned int first, unsigned int end, bool json);

#endif
