/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl receive: waits for a machine that moves here, and runs it. */
#ifndef DROSTECTL_RECEIVE_H
#define DROSTECTL_RECEIVE_H

/** receive_help() - print the help text */
void receive_help(void);

/** cmd_receive() - the command; returns the exit status */
int cmd_receive(int argc, char **argv);

#endif
