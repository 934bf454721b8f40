/* SPDX-License-Identifier: GPL-2.0 */
/* The command "whoami". */
#ifndef DROSTECTL_WHOAMI_H
#define DROSTECTL_WHOAMI_H

/** cmd_whoami() - print one line about this machine; argv[1] is an optional label */
int cmd_whoami(int argc, char **argv);

/** whoami_help() - print the help text of the command */
void whoami_help(void);

#endif
