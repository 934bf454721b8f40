/* SPDX-License-Identifier: GPL-2.0 */
/* Ports of the host that guests access without an exit. */
#ifndef DROSTE_IO_PORTS_H
#define DROSTE_IO_PORTS_H

#include "droste.h"
#include "run/request.h"

long vm_pass_ports(void *self, void *arg, unsigned long uarg);
void ports_destroy(struct vm *vm);
void ports_take(struct vcpu *vcpu);
bool ports_access(struct vcpu *vcpu, u16 port, u32 size, void *data, bool write);

/**
 * ports_hold() - pass no ports until the next I/O instruction has exited to L0
 * @vcpu: INS or OUTS was found at RIP, at an exit for another reason
 *
 * INS and OUTS with a port that is passed can exit because of their operand in memory. The emulator executes them only at
 * an exit for the port, which vouches for the processor's checks of IOPL and the bitmap in the TSS, and for L1's bitmaps. So
 * the instruction is executed again, with an exit for the port.
 *
 * Context: The vCPU's thread.
 */
static inline void ports_hold(struct vcpu *vcpu)
{
	if (!rcu_access_pointer(vcpu->vm->ports))
		return;
	vcpu->ports_held = true;
	vcpu_request(vcpu, REQ_PORTS);
}

/**
 * ports_release() - end ports_hold()
 * @vcpu: has exited for an I/O instruction
 *
 * Context: The vCPU's thread.
 */
static inline void ports_release(struct vcpu *vcpu)
{
	if (likely(!vcpu->ports_held))
		return;
	vcpu->ports_held = false;
	vcpu_request(vcpu, REQ_PORTS);
}

#endif
