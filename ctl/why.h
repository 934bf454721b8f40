/* SPDX-License-Identifier: GPL-2.0 */
/* The command "why". */
#ifndef DROSTECTL_WHY_H
#define DROSTECTL_WHY_H

/** cmd_why() - tell why the last VM entry of L1 failed */
int cmd_why(int argc, char **argv);

/** why_help() - print the help text of the command */
void why_help(void);

#endif
