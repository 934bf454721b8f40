/* SPDX-License-Identifier: GPL-2.0 */
/* The commands that main() dispatches. */
#ifndef DROSTECTL_RUN_H
#define DROSTECTL_RUN_H

/** cmd_run() - drostectl run; returns the exit status */
int cmd_run(int argc, char **argv);

/** run_help() - print the help text of the command */
void run_help(void);

#endif
