/* SPDX-License-Identifier: GPL-2.0 */
/* What root.c and vmcs.c ask of each other: the per-CPU side of VMX. */
#ifndef DROSTE_VMX_ROOT_H
#define DROSTE_VMX_ROOT_H

void vmcs_cpu_lists_init(void);
void vmcs_clear_this_cpu(void);	/* VMCLEAR all that is active here; irqs off */
int vmx_root_check(void);
void vmx_root_emergency(void);

#endif
