/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl audit: names every rule of a VM entry that a VMCS breaks. */
#ifndef DROSTECTL_AUDIT_H
#define DROSTECTL_AUDIT_H

/** cmd_audit() - run "drostectl audit" */
int cmd_audit(int argc, char **argv);

/** audit_help() - print the options of "drostectl audit" */
void audit_help(void);

#endif
