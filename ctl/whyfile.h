/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl why -i: explains the events of a recording. */
#ifndef DROSTECTL_WHYFILE_H
#define DROSTECTL_WHYFILE_H

/**
 * why_file() - explain who got L2's exits, and how L1's VM entries failed
 * @name: what "drostectl trace" has written, as text or JSON; "-" for standard input
 *
 * Return: 0, or -1 after an error message: it cannot be read, or has no such event.
 */
int why_file(const char *name);

#endif
