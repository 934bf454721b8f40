/* SPDX-License-Identifier: GPL-2.0 */
/* The command that compares the processor with what a guest is offered. */
#ifndef DROSTECTL_INFO_H
#define DROSTECTL_INFO_H

/** cmd_info() - drostectl info; returns the exit status */
int cmd_info(int argc, char **argv);

/** info_help() - print the help text of the command */
void info_help(void);

#endif
