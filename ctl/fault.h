/* SPDX-License-Identifier: GPL-2.0 */
/* Reports why a virtual processor cannot continue. */
#ifndef DROSTECTL_FAULT_H
#define DROSTECTL_FAULT_H

#include "vm.h"

/** fault_shutdown() - end the run: the processor had a triple fault */
void fault_shutdown(struct vcpu *vcpu);

/** fault_internal() - end the run: the hypervisor reported an internal error */
void fault_internal(struct vcpu *vcpu);

/** fault_entry() - end the run: the processor refused a VM entry */
void fault_entry(struct vcpu *vcpu);

/** fault_unexpected() - end the run: an exit drostectl did not ask for */
void fault_unexpected(struct vcpu *vcpu);

#endif
