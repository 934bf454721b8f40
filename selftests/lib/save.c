// SPDX-License-Identifier: GPL-2.0
/* Saves and restores a vCPU's state as VMMs do for a migration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "save.h"
#include "guest.h"

void vcpu_finish_exit(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	EQ(vcpu_run_once(vcpu), -EINTR, "KVM_RUN with immediate_exit");
	vcpu->run->immediate_exit = 0;
}

void nested_get(struct vcpu *vcpu, union nested_state *n)
{
	memset(n, 0, sizeof(*n));
	n->s.size = sizeof(*n);
	DO(vcpu->fd, KVM_GET_NESTED_STATE, n);
}

int nested_set(struct vcpu *vcpu, const union nested_state *n)
{
	return ioctl(vcpu->fd, KVM_SET_NESTED_STATE, n) < 0 ? -errno : 0;
}

static void save_msrs(struct vcpu *vcpu, struct saved_vcpu *s)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + MAX_MSRS * sizeof(u32));
	u32 i;

	list->nmsrs = MAX_MSRS;
	DO(vcpu->vm->dev, KVM_GET_MSR_INDEX_LIST, list);
	s->nr_msrs = 0;
	for (i = 0; i < list->nmsrs; i++) {
		s->msr[s->nr_msrs] = list->indices[i];
		if (!vcpu_get_msr(vcpu, list->indices[i], &s->val[s->nr_msrs]))
			s->nr_msrs++;
	}
	free(list);
}

void vcpu_save(struct vcpu *vcpu, struct saved_vcpu *s)
{
	memset(s, 0, sizeof(*s));
	vcpu_finish_exit(vcpu);
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &s->events);
	DO(vcpu->fd, KVM_GET_MP_STATE, &s->mp);
	DO(vcpu->fd, KVM_GET_REGS, &s->regs);
	DO(vcpu->fd, KVM_GET_XSAVE, &s->xsave);
	s->has_xcrs = ioctl(vcpu->vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) > 0;
	if (s->has_xcrs)
		DO(vcpu->fd, KVM_GET_XCRS, &s->xcrs);
	DO(vcpu->fd, KVM_GET_SREGS, &s->sregs);
	nested_get(vcpu, &s->nested);
	save_msrs(vcpu, s);
	DO(vcpu->fd, KVM_GET_DEBUGREGS, &s->debugregs);
}

/* Errors are ignored: some capability MSRs cannot be written, and a new vCPU has the same values. */
static void restore_msrs(struct vcpu *vcpu, const struct saved_vcpu *s)
{
	u32 i;

	for (i = 0; i < s->nr_msrs; i++)
		(void)vcpu_set_msr(vcpu, s->msr[i], s->val[i]);
}

static void restore_nested(struct vcpu *vcpu, const struct saved_vcpu *s)
{
	EQ(nested_set(vcpu, &s->nested), 0, "KVM_SET_NESTED_STATE");
}

static u64 saved_msr(const struct saved_vcpu *s, u32 msr)
{
	u32 i;

	for (i = 0; i < s->nr_msrs; i++)
		if (s->msr[i] == msr)
			return s->val[i];
	return 0;
}

/* XCR0 is restored first, because it selects the XSAVE state. */
static void restore_fpu(struct vcpu *vcpu, const struct saved_vcpu *s)
{
	if (s->has_xcrs)
		DO(vcpu->fd, KVM_SET_XCRS, &s->xcrs);
	DO(vcpu->fd, KVM_SET_XSAVE, &s->xsave);
}

void vcpu_restore(struct vcpu *vcpu, const struct saved_vcpu *s, enum save_order order)
{
	if (order == ORDER_QEMU)
		(void)vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, saved_msr(s, MSR_FEATURE_CONTROL));
	vcpu_set_sregs(vcpu, (struct kvm_sregs *)&s->sregs);
	if (order == ORDER_QEMU) {
		restore_nested(vcpu, s);
		vcpu_set_regs(vcpu, (struct kvm_regs *)&s->regs);
		restore_fpu(vcpu, s);
		restore_msrs(vcpu, s);
	} else {
		restore_msrs(vcpu, s);
		restore_fpu(vcpu, s);
	}
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &s->events);
	DO(vcpu->fd, KVM_SET_MP_STATE, &s->mp);
	DO(vcpu->fd, KVM_SET_DEBUGREGS, &s->debugregs);
	if (order == ORDER_SELFTESTS) {
		vcpu_set_regs(vcpu, (struct kvm_regs *)&s->regs);
		restore_nested(vcpu, s);
	}
}

bool is_droste(void)
{
	return strstr(device_path(), "droste");
}

struct vcpu *vmx_vm(struct vm *vm, void (*fn)(void))
{
	vm_create(vm, 0);
	if (!vm_has_vmx(vm))
		ksft_skip("no VMX");
	if (ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE) <= 0)
		ksft_skip("no nested state");
	return vcpu_create(vm, 0, fn);
}

void skip_on_kvm(void)
{
	ksft_skip("only Droste has it");
}
