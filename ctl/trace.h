/* SPDX-License-Identifier: GPL-2.0 */
/* The command trace. */
#ifndef DROSTECTL_TRACE_H
#define DROSTECTL_TRACE_H

/** cmd_trace() - record Droste's events while a command runs */
int cmd_trace(int argc, char **argv);

/** trace_help() - print the help text of the command */
void trace_help(void);

#endif
