/* SPDX-License-Identifier: GPL-2.0 */
/* The commands ps, top and vmcs: looking at VMs that run. */
#ifndef DROSTECTL_INSPECT_H
#define DROSTECTL_INSPECT_H

#include <stdbool.h>

struct look_vmcs;
struct look_which;

/** cmd_ps() - list the VMs of this host */
int cmd_ps(int argc, char **argv);

/** ps_help() - print the help text of the command */
void ps_help(void);

/** cmd_vmcs() - print the fields of a VMCS */
int cmd_vmcs(int argc, char **argv);

/** vmcs_help() - print the help text of the command */
void vmcs_help(void);

/** vmcs_show() - print the fields of a VMCS whose names contain @part, all if that is NULL; as text or as a JSON object */
void vmcs_show(const struct look_vmcs *v, const struct look_which *which, const char *part, bool json);

#endif
