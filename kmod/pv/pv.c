// SPDX-License-Identifier: GPL-2.0
/* KVM's paravirtual features but the clock: stolen time, hypercalls, VMMCALL put right. Linux, Documentation/virt/kvm/x86/. */
#include <linux/kvm_para.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "droste.h"
#include "io/emulate_state.h"
#include "cpu/msr.h"

/* --- stolen time --- */

/* How long this thread was kept waiting for a CPU, ns. */
static u64 waited(void)
{
#ifdef CONFIG_SCHED_INFO
	return current->sched_info.run_delay;
#else
	return 0;
#endif
}

static bool put_version(struct vcpu *vcpu, gpa_t gpa, u32 version)
{
	return !vm_write_guest(vcpu->vm, gpa + offsetof(struct kvm_steal_time, version), &version, sizeof(version));
}

/**
 * steal_time_update - REQ_STEAL: tell the guest for how long its vCPU did not get a CPU
 * @vcpu: its thread; srcu held, may sleep
 *
 * The version is odd while the rest changes. `preempted` stays 0: nobody is
 * told in advance, so no vCPU is taken for preempted that is not.
 */
void steal_time_update(struct vcpu *vcpu)
{
	gpa_t gpa = vcpu->steal.msr & KVM_STEAL_VALID_BITS;
	struct kvm_steal_time st;
	u64 now = waited();

	if (!(vcpu->steal.msr & KVM_MSR_ENABLED) || vm_read_guest(vcpu->vm, gpa, &st, sizeof(st)))
		return;
	st.version = (st.version + 1) | 1;
	if (!put_version(vcpu, gpa, st.version))
		return;
	smp_wmb();	/* odd before the rest */
	/* Another thread has waited for itself: what it did before it came here was not the guest's. */
	if (now > vcpu->steal.seen)
		st.steal += now - vcpu->steal.seen;
	vcpu->steal.seen = now;
	if (vm_write_guest(vcpu->vm, gpa + offsetof(struct kvm_steal_time, steal), &st.steal, sizeof(st.steal)))
		return;
	smp_wmb();	/* the rest before even */
	put_version(vcpu, gpa, st.version + 1);
}

MSR_GET(get_steal_time)
{
	*data = vcpu->steal.msr;
	return 0;
}

MSR_SET(set_steal_time)
{
	if (data & KVM_STEAL_RESERVED_MASK)
		return -EINVAL;
	vcpu->steal.msr = data;
	vcpu_request(vcpu, REQ_STEAL);
	return 0;
}

/* --- hypercalls --- */

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
	u64 rip = emul_linear_rip(vcpu);
	u8 insn[sizeof(vmmcall)];
	struct event fault;

	if (READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_FIX_HYPERCALL_INSN)
		return false;
	if (vcpu_read_gva(vcpu, rip, insn, sizeof(insn), user | WALK_FETCH, &fault) ||
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
