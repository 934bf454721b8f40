// SPDX-License-Identifier: GPL-2.0
/* Hypercalls, and replacement of AMD's VMMCALL by VMCALL. Linux, Documentation/virt/kvm/x86/hypercalls.rst. */
#include <linux/kvm_para.h>
#include "droste.h"
#include "cpu/walk.h"
#include "irqchip/irqchip.h"
#include "pv/pv.h"
#include "run/request.h"
#include "vmx/regs.h"

/**
 * pv_takes_hypercalls() - whether VMCALL of L1 is a hypercall
 * @vcpu: the vCPU
 *
 * It is one if the guest's CPUID has KVM's signature, if user space has enabled
 * KVM_CAP_ENFORCE_PV_FEATURE_CPUID, or if the guest has executed VMMCALL, which
 * no Intel processor has.
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: true for a hypercall; false if VMCALL behaves as in the SDM.
 */
bool pv_takes_hypercalls(const struct vcpu *vcpu)
{
	return vcpu->gcaps.kvm_signature || vcpu->enforce_pv || READ_ONCE(vcpu->vm->vmmcall_seen);
}

/**
 * pv_call() - execute a hypercall of L1, by its number
 * @vcpu: loaded, in L1 at CPL 0
 * @nr: the number
 * @a: the four arguments
 * @wide: arguments of 64 bits, not 32
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: a result of 0 or above, or a negative KVM_* error.
 */
long pv_call(struct vcpu *vcpu, u64 nr, const u64 *a, bool wide)
{
	switch (nr) {
	case KVM_HC_SCHED_YIELD:
		if (!pv_has(vcpu, KVM_FEATURE_PV_SCHED_YIELD))
			return -KVM_ENOSYS;
		vcpu_yields_to(vcpu, a[0]);
		return 0;
	case KVM_HC_KICK_CPU:
		if (!pv_has(vcpu, KVM_FEATURE_PV_UNHALT))
			return -KVM_ENOSYS;
		/* RBX has flags, which are not used. The vCPU that gets the lock should run at once. */
		irqchip_end_halt(vcpu->vm, a[1]);
		vcpu_yields_to(vcpu, a[1]);
		return 0;
	case KVM_HC_SEND_IPI:
		return pv_send_ipi(vcpu, a[0], a[1], a[2], a[3], wide);
	default:
		return -KVM_ENOSYS;
	}
}

/**
 * pv_hypercall() - execute a hypercall of L1
 * @vcpu: loaded, in L1 at CPL 0
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: the new value of RAX: a result of 0 or above, or a negative KVM_* error.
 */
long pv_hypercall(struct vcpu *vcpu)
{
	bool wide = vcpu_is_64bit(vcpu);
	u64 mask = wide ? ~0ULL : U32_MAX;
	const u64 a[4] = {
		vcpu_gpr(vcpu, RBX) & mask, vcpu_gpr(vcpu, RCX) & mask, vcpu_gpr(vcpu, RDX), vcpu_gpr(vcpu, RSI)
	};

	return pv_call(vcpu, vcpu_gpr(vcpu, RAX) & mask, a, wide);
}

/**
 * pv_fix_hypercall() - replace VMMCALL in L1's code by VMCALL, after a #UD
 * @vcpu: loaded, in L1; vcpu->exit is the #UD
 *
 * KVM does this unless user space disables KVM_X86_QUIRK_FIX_HYPERCALL_INSN. L1
 * executes VMCALL next. VMMCALL at a CPL other than 0 stays #UD, because it
 * would let a process of the guest change what VMCALL does in its kernel.
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading.
 * Return: true if the instruction is replaced, or if writing it raised a fault,
 * which is queued; false if L1 gets its #UD.
 */
bool pv_fix_hypercall(struct vcpu *vcpu)
{
	static const u8 vmmcall[] = { 0x0f, 0x01, 0xd9 }, vmcall[] = { 0x0f, 0x01, 0xc1 };
	u64 rip = vcpu_linear_rip(vcpu);
	u8 insn[sizeof(vmmcall)];
	struct event fault;

	if ((READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_FIX_HYPERCALL_INSN) || vcpu_cpl(vcpu))
		return false;
	if (vcpu_read_gva(vcpu, rip, insn, sizeof(insn), WALK_FETCH, &fault) != NEXT_GO_ON ||
	    memcmp(insn, vmmcall, sizeof(insn)))
		return false;
	switch (vcpu_write_gva(vcpu, rip, vmcall, sizeof(vmcall), 0, NULL)) {
	case NEXT_GO_ON:
		WRITE_ONCE(vcpu->vm->vmmcall_seen, true);
		return true;
	case NEXT_ENTER:
		/* The code is read-only. The guest gets a page fault, as with KVM. */
		return true;
	default:
		return false;
	}
}

/**
 * vcpu_enable_cap() - KVM_ENABLE_CAP of a vCPU
 * @self: the vCPU; need not be loaded
 * @arg: struct kvm_enable_cap
 * @uarg: unused
 *
 * The only capability is KVM_CAP_ENFORCE_PV_FEATURE_CPUID. Guests are always
 * limited to the features in their CPUID, so it only affects
 * pv_takes_hypercalls().
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL for flags and for another capability.
 */
long vcpu_enable_cap(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_enable_cap *cap = arg;
	struct vcpu *vcpu = self;

	if (cap->flags || cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return -EINVAL;
	vcpu->enforce_pv = cap->args[0];
	return 0;
}
