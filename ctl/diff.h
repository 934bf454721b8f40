/* SPDX-License-Identifier: GPL-2.0 */
/* The command "diff". */
#ifndef DROSTECTL_DIFF_H
#define DROSTECTL_DIFF_H

/** cmd_diff() - compare two VMCSs of a vCPU */
int cmd_diff(int argc, char **argv);

/** diff_help() - print the help text of the command */
void diff_help(void);

#endif
