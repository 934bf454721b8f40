// SPDX-License-Identifier: GPL-2.0
/* Hypercalls, and AMD's VMMCALL made Intel's VMCALL. Linux, Documentation/virt/kvm/x86/hypercalls.rst. */
#include <linux/kvm_para.h>
#include "droste.h"
#include "cpu/walk.h"
#include "pv/pv.h"
#include "run/request.h"
#include "vmx/regs.h"

/*
 * A guest makes them that was told that it runs on KVM, or whose user space
 * says which of KVM's features it has, or that has used VMMCALL, which no
 * Intel processor knows.
 */
bool pv_takes_hypercalls(const struct vcpu *vcpu)
{
	return vcpu->gcaps.kvm_signature || vcpu->enforce_pv || READ_ONCE(vcpu->vm->vmmcall_seen);
}

long pv_hypercall(struct vcpu *vcpu)
{
	u64 nr = vcpu_gpr(vcpu, RAX), arg = vcpu_gpr(vcpu, RBX);

	if (!vcpu_is_64bit(vcpu)) {
		nr = (u32)nr;
		arg = (u32)arg;
	}
	if (nr != KVM_HC_SCHED_YIELD || !(vcpu->gcaps.kvm_features & BIT(KVM_FEATURE_PV_SCHED_YIELD)))
		return -KVM_ENOSYS;
	vcpu_yields_to(vcpu, arg);
	return 0;
}

/* KVM_X86_QUIRK_FIX_HYPERCALL_INSN: AMD's instruction becomes Intel's, which the guest executes next. */
bool pv_fix_hypercall(struct vcpu *vcpu)
{
	static const u8 vmmcall[] = { 0x0f, 0x01, 0xd9 }, vmcall[] = { 0x0f, 0x01, 0xc1 };
	u32 user = vcpu_cpl(vcpu) == 3 ? WALK_USER : 0;
	u64 rip = vcpu_linear_rip(vcpu);
	u8 insn[sizeof(vmmcall)];
	struct event fault;

	if (READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_FIX_HYPERCALL_INSN)
		return false;
	if (vcpu_read_gva(vcpu, rip, insn, sizeof(insn), user | WALK_FETCH, &fault) != NEXT_GO_ON ||
	    memcmp(insn, vmmcall, sizeof(insn)))
		return false;
	/* Code that cannot be written is a page fault, as with KVM. */
	if (vcpu_write_gva(vcpu, rip, vmcall, sizeof(vmcall), user, NULL) < 0)
		return false;
	WRITE_ONCE(vcpu->vm->vmmcall_seen, true);
	return true;
}

/* KVM_ENABLE_CAP of a vCPU. A guest has no more of KVM's features than its CPUID says in any case. */
long vcpu_enable_cap(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_enable_cap *cap = arg;
	struct vcpu *vcpu = self;

	if (cap->flags || cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return -EINVAL;
	vcpu->enforce_pv = cap->args[0];
	return 0;
}
