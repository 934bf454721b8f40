/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl regs: the registers of a vCPU's L1 or L2. */
#ifndef DROSTECTL_REGS_H
#define DROSTECTL_REGS_H

#include <stdbool.h>

struct droste_regs;

/** cmd_regs() - run the command; returns drostectl's exit status */
int cmd_regs(int argc, char **argv);

/** regs_help() - print the help text */
void regs_help(void);

/** regs_show() - print the module's answer, as a table or as a JSON object */
void regs_show(const struct droste_regs *r, bool json);

#endif
