// SPDX-License-Identifier: GPL-2.0
/* How long a vCPU that halts polls for an event before it sleeps: to sleep and be woken costs the guest more. */
#include <linux/module.h>
#include "droste.h"

/* Windows grow from here, and below here there is none. */
#define WINDOW_START_NS	10000

static unsigned int halt_poll_ns = 200000;
module_param(halt_poll_ns, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns, "the longest a halted vCPU polls before it sleeps, in ns; 0: it never does");

static u64 limit(const struct vcpu *vcpu)
{
	s64 of_vm = READ_ONCE(vcpu->vm->halt_poll_ns);

	return of_vm >= 0 ? of_vm : READ_ONCE(halt_poll_ns);
}

u64 halt_poll_window(struct vcpu *vcpu)
{
	if (vcpu->mp_state != KVM_MP_STATE_HALTED)
		return 0;
	vcpu->halt_window = min(vcpu->halt_window, limit(vcpu));
	return vcpu->halt_window;
}

/**
 * halt_poll_learn() - choose the next window by how long this halt was
 * @vcpu: its thread
 * @ns: from HLT to the event
 *
 * Halts a little longer than the window would have been worth polling for;
 * halts longer than the limit will not be.
 */
void halt_poll_learn(struct vcpu *vcpu, u64 ns)
{
	u64 most = limit(vcpu), window = vcpu->halt_window;

	if (ns <= window)
		return;
	if (ns < most) {
		window = max_t(u64, window * 2, WINDOW_START_NS);
	} else {
		window /= 2;
		if (window < WINDOW_START_NS)
			window = 0;
	}
	vcpu->halt_window = min(window, most);
}
