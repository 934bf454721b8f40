/* SPDX-License-Identifier: GPL-2.0 */
/* The interface between root.c and vmcs.c, and module load: VMX operation and active VMCSs of each CPU. */
#ifndef DROSTE_VMX_ROOT_H
#define DROSTE_VMX_ROOT_H

void vmcs_cpu_lists_init(void);
void vmcs_clear_this_cpu(void);
int vmx_root_check(void);
void vmx_root_emergency(void);

#endif
