/* SPDX-License-Identifier: GPL-2.0 */
/* Saves and restores all vCPU state that the KVM API exposes. */
#ifndef SAVE_H
#define SAVE_H

#include "vm.h"

#define MAX_MSRS 512

/* struct kvm_nested_state with room for all data. */
union nested_state {
	struct kvm_nested_state s;
	u8 bytes[sizeof(struct kvm_nested_state) + sizeof(struct kvm_vmx_nested_state_data)];
};

struct saved_vcpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	struct kvm_debugregs debugregs;
	struct kvm_xcrs xcrs;
	struct kvm_xsave xsave;
	bool has_xcrs;
	u32 nr_msrs, msr[MAX_MSRS];
	u64 val[MAX_MSRS];
	union nested_state nested;
};

/* The order in which a vCPU's state is restored: nested state before the registers, or last. */
enum save_order {
	ORDER_QEMU,		/* target/i386/kvm/kvm.c, kvm_arch_put_registers() */
	ORDER_SELFTESTS,	/* tools/testing/selftests/kvm/lib, vcpu_load_state() */
	NR_ORDERS
};

/* The main program of tests that only Droste can run. On KVM, one subtest @what is skipped. */
#define KSFT_MAIN_DROSTE(tests, what) \
int main(int argc, char **argv) \
{ \
	static const struct ksft_test on_kvm[] = { { what, .host = skip_on_kvm } }; \
\
	if (!ksft_options(argc, argv, NULL, 0)) \
		return 2; \
	return is_droste() ? ksft_main(tests, ARRAY_SIZE(tests)) : ksft_main(on_kvm, ARRAY_SIZE(on_kvm)); \
}

void skip_on_kvm(void);
bool is_droste(void);	/* false on KVM, which differs in some respects */
struct vcpu *vmx_vm(struct vm *vm, void (*fn)(void));	/* a new VM whose vCPU 0 is an L1; skips without nested state */
void vcpu_finish_exit(struct vcpu *vcpu);	/* completes the last exit without running the guest */
void vcpu_save(struct vcpu *vcpu, struct saved_vcpu *s);
void vcpu_restore(struct vcpu *vcpu, const struct saved_vcpu *s, enum save_order order);
void nested_get(struct vcpu *vcpu, union nested_state *n);
int nested_set(struct vcpu *vcpu, const union nested_state *n);	/* 0, or -errno */

#endif
