/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl ept: one address through all extended page tables. */
#ifndef DROSTECTL_EPT_H
#define DROSTECTL_EPT_H

#include <stdbool.h>

struct droste_ept;

/** cmd_ept() - run the command; returns drostectl's exit status */
int cmd_ept(int argc, char **argv);

/** ept_help() - print the help text */
void ept_help(void);

/** ept_show() - print the module's answer */
void ept_show(const struct droste_ept *e, bool json);

#endif
