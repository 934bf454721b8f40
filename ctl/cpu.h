/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl cpu: the processor that guests of several hosts can have. */
#ifndef DROSTECTL_CPU_H
#define DROSTECTL_CPU_H

/**
 * cmd_cpu() - run "drostectl cpu"
 * @argc: number of arguments
 * @argv: argv[0] is the command's name
 *
 * Return: exit status.
 */
int cmd_cpu(int argc, char **argv);

/** cpu_help() - print the help text of "drostectl cpu" */
void cpu_help(void);

#endif
