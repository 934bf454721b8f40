/* SPDX-License-Identifier: GPL-2.0 */
/*
 * L0's exit handlers, which the rows of vmx/exits.def name. All are called by
 * exit_handle() in the same context: process context, interrupts enabled, the
 * vCPU loaded, vcpu->exit freshly read. Caller holds vcpu->mutex and
 * vcpu->vm->srcu (read). A handler may sleep. The current VMCS is VMCS01, or
 * VMCS02 for an exit of L2 that L1 does not take. All return enum next or a
 * negative errno.
 */
#ifndef DROSTE_RUN_HANDLERS_H
#define DROSTE_RUN_HANDLERS_H

#include <linux/types.h>

struct vcpu;

/* handlers.c */
int exit_unexpected(struct vcpu *vcpu);
int exit_entry_failure(struct vcpu *vcpu);
int exit_triple_fault(struct vcpu *vcpu);
int exit_external_interrupt(struct vcpu *vcpu);
int exit_interrupt_window(struct vcpu *vcpu);
int exit_nmi_window(struct vcpu *vcpu);
int exit_preemption_timer(struct vcpu *vcpu);
int exit_task_switch(struct vcpu *vcpu);
int exit_cpuid(struct vcpu *vcpu);
int exit_ud(struct vcpu *vcpu);
int exit_hlt(struct vcpu *vcpu);
int exit_skip(struct vcpu *vcpu);
int exit_wbinvd(struct vcpu *vcpu);
void vm_write_back(struct vm *vm);
int exit_pause(struct vcpu *vcpu);
int exit_rdpmc(struct vcpu *vcpu);
int exit_rdmsr(struct vcpu *vcpu);
int exit_wrmsr(struct vcpu *vcpu);
int exit_mwait(struct vcpu *vcpu);
int exit_umip(struct vcpu *vcpu);
int exit_xsetbv(struct vcpu *vcpu);
int exit_io(struct vcpu *vcpu);
int exit_ept_violation(struct vcpu *vcpu);
int exit_ept_misconfig(struct vcpu *vcpu);
int exit_pml_full(struct vcpu *vcpu);

/* multicall.c */
int exit_vmcall(struct vcpu *vcpu);

/* cr.c */
int exit_cr_access(struct vcpu *vcpu);

/* force.c */
int exit_invlpg(struct vcpu *vcpu);
int exit_invpcid(struct vcpu *vcpu);
int exit_rdtsc(struct vcpu *vcpu);
int exit_rdtscp(struct vcpu *vcpu);
int exit_random(struct vcpu *vcpu);

/* debug.c */
int exit_exception(struct vcpu *vcpu);
int exit_debug_trap(struct vcpu *vcpu);
int exit_mov_dr(struct vcpu *vcpu);

#endif
