/* SPDX-License-Identifier: GPL-2.0 */
/* The command "whoami". */
#ifndef DROSTECTL_WHOAMI_H
#define DROSTECTL_WHOAMI_H

/** cmd_whoami() - one line about the machine it runs on; argv[1] is a label for it */
int cmd_whoami(int argc, char **argv);

#endif
