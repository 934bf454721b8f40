/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl break: a vCPU stands at a chosen exit. */
#ifndef DROSTECTL_BREAK_H
#define DROSTECTL_BREAK_H

struct droste_match;

/**
 * break_parse() - parse an expression such as "level==2 && reason==CPUID && nth==3"
 * @text: the expression
 * @m: filled in
 *
 * Return: 0, or -1 after an error message.
 */
int break_parse(const char *text, struct droste_match *m);

void break_help(void);
int cmd_break(int argc, char **argv);

#endif
