// SPDX-License-Identifier: GPL-2.0
/* The hypercall with a list of operations for L2 ends before the list does, or the delegation ends: how both go on. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/ioctl.h>
#include "delegate.h"
#include "save.h"
#include "vm.h"

#define PORT		0x600
#define SELF		0x61

/* Five operations, of which number @at brings L1 an event. */
static void list_with(u64 at, u64 icr)
{
	u64 k;

	empty();
	for (k = 0; k < 5; k++)
		if (k == at)
			add(DROSTE_OP_WRMSR, MSR_X2APIC(APIC_ICR), icr, 0);
		else
			add(DROSTE_OP_RDMSR, MSR_PAT, 0, 0);
}

static void guest_interrupts(void)
{
	u64 at;

	delegate();
	apic_x2_enable();
	for (at = 0; at < 5; at++) {
		list_with(at, 1 << 18 | SELF);
		G_EQ(start((u64)list), R_EXTINT, "L1 gets its interrupt");
		G_EQ(vmread(F_INTR_INFO) & 0xff, SELF, "vector");
		G_EQ(list->done, at + 1, "operations before it");
		if (at < 4) {
			G_EQ(vmread(F_RIP), (u64)c_call, "L2's RIP");
			G_EQ(l2.rax, DROSTE_MULTICALL, "RAX");
		}
		apic_eoi();
		vmx_expect(R_VMCALL, "it goes on");
		G_EQ(l2.rax, 0, "the result");
		G_EQ(list->done, 5, "all are done");
	}
}

static void guest_nmis(void)
{
	u64 at;

	delegate();
	apic_x2_enable();
	need(F_PIN, PIN_NMI, "no NMI exiting");
	for (at = 0; at < 5; at++) {
		list_with(at, rdmsr(MSR_X2APIC(APIC_ID)) << 32 | 4 << 8);
		G_EQ(start((u64)list), R_EXCEPTION, "L1 gets its NMI");
		G_EQ(vmread(F_INTR_INFO), 0x80000202, "interruption information");
		G_EQ(list->done, at + 1, "operations before it");
		G_EQ(vmread(F_RIP), (u64)c_call + (at < 4 ? 0 : CALL_LEN), "L2's RIP");
		vmx_expect(R_VMCALL, "it goes on");
		G_EQ(l2.rax, 0, "the result");
		G_EQ(list->done, 5, "all are done");
	}
}

/* L1 ends the delegation while a call pauses, and then delegates it again. */
static void guest_taken_back(void)
{
	u64 i;

	delegate();
	apic_x2_enable();
	list_with(1, 1 << 18 | SELF);
	G_EQ(start((u64)list), R_EXTINT, "L1 gets its interrupt");
	apic_eoi();
	wrmsr(DROSTE_MSR_DELEGATE, 0);
	for (i = 0; i < 3; i++) {
		vmx_expect(R_VMCALL, "the call is L1's now");
		G_EQ(vmread(F_RIP), (u64)c_call, "RIP");
		G_EQ(l2.rax, DROSTE_MULTICALL, "RAX");
		G_EQ(list->done, 2, "operations before it");
	}
	wrmsr(DROSTE_MSR_DELEGATE, vmcs | DROSTE_DELEGATE_ENABLE);
	vmx_expect(R_VMCALL, "it goes on");
	G_EQ(vmread(F_RIP), (u64)c_call + CALL_LEN, "behind the call");
	G_EQ(l2.rax, 0, "the result");
	G_EQ(list->done, 5, "all are done");
}

/* L1's preemption timer runs out in the middle. */
static void guest_timer(void)
{
	u64 i, k, middle = 0;

	delegate();
	need(F_PIN, PIN_TIMER, "no preemption timer");
	for (i = 0; i < 300 && middle < 3; i++) {
		empty();
		for (k = 0; k < 64; k++)
			add(DROSTE_OP_WRMSR, MSR_CSTAR, k, 0);
		vmwrite(F_TIMER, i * 16);
		if (start((u64)list) == R_VMCALL)
			break;
		G_EQ(vmread(F_REASON), R_TIMER, "L1's timer");
		if (list->done && list->done < 64) {
			middle++;
			G_EQ(rdmsr(MSR_CSTAR), list->done - 1, "the last value");
			vmwrite(F_TIMER, 1u << 31);
			vmx_expect(R_VMCALL, "it goes on");
			G_EQ(list->done, 64, "all are done");
		}
	}
	G_OK(middle, "the timer runs out between operations");
}

static void guest_user_exits(void)
{
	delegate();
	g_sync((u64)list);
	*ept_entry(eptp, HEAP_END - 4096, 1) = MMIO_HOLE | EPT_R | EPT_W;
	add(DROSTE_OP_WRMSR, MSR_CSTAR, 1, 0);
	add(DROSTE_OP_OUT, PORT, 2, 0xdead1234);
	add(DROSTE_OP_WRMSR, MSR_CSTAR, 2, 0);
	add(DROSTE_OP_MMIO_WRITE, HEAP_END - 4096 + 0x124, 4, 0x1122334455667788);
	add(DROSTE_OP_WRMSR, MSR_CSTAR, 3, 0);
	G_EQ(start((u64)list), R_VMCALL, "the second VM does not know of the delegation");
	G_EQ(vmread(F_RIP), (u64)c_call, "RIP");
	G_EQ(list->done, 4, "operations done");
	G_EQ(rdmsr(DROSTE_MSR_DELEGATE), 0, "the MSR");
	wrmsr(DROSTE_MSR_DELEGATE, vmcs | DROSTE_DELEGATE_ENABLE);
	vmx_expect(R_VMCALL, "it goes on");
	G_EQ(vmread(F_RIP), (u64)c_call + CALL_LEN, "behind the call");
	G_EQ(l2.rax, 0, "the result");
	G_EQ(list->done, 5, "all are done");
	G_EQ(rdmsr(MSR_CSTAR), 3, "the last value");
	g_sync(99);
}

static void delegation_is(struct vcpu *vcpu, bool on, const char *what)
{
	u64 val = 2;

	MUST(!vcpu_get_msr(vcpu, DROSTE_MSR_DELEGATE, &val), "KVM_GET_MSRS");
	EQ(val & DROSTE_DELEGATE_ENABLE, on, "%s", what);
}

/* Each exit to user space is followed by a new VM that gets the state. The first new one is given L1's MSR, too. */
static void host_user_exits(void)
{
	static struct saved_vcpu saved;
	struct droste_multicall *the_list;
	struct kvm_run *run;
	struct vcpu *vcpu;
	struct vm vm;
	u64 args[4], delegation, i, k;

	vm_create(&vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_user_exits);
	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "the list's address");
	the_list = (void *)(vm.mem + args[0]);
	for (i = 0; i < 2; i++) {
		u32 data = 0;

		MUST(vcpu_run_to_call(vcpu, args) == GCALL_NONE, "exit %u", (u32)i);
		run = vcpu->run;
		EQ(run->exit_reason, i ? KVM_EXIT_MMIO : KVM_EXIT_IO, "exit %u", (u32)i);
		memcpy(&data, i ? run->mmio.data : (u8 *)run + run->io.data_offset, i ? 4 : 2);
		EQ(i ? run->mmio.phys_addr : run->io.port, i ? MMIO_HOLE + 0x124 : PORT, "where");
		EQ(i ? run->mmio.len : run->io.size, i ? 4 : 2, "size");
		EQ(data, i ? 0x55667788 : 0x1234, "data");
		EQ(the_list->done, 2 * i + 2, "operations done");
		vcpu_save(vcpu, &saved);
		OK(saved.nested.s.flags & KVM_STATE_NESTED_GUEST_MODE, "L2 runs");
		/* Another KVM would refuse it. */
		for (k = 0; k < saved.nr_msrs; k++)
			OK(saved.msr[k] != DROSTE_MSR_DELEGATE, "the MSR is not in KVM_GET_MSR_INDEX_LIST");
		MUST(!vcpu_get_msr(vcpu, DROSTE_MSR_DELEGATE, &delegation), "KVM_GET_MSRS");
		vm_replace(&vm);
		vcpu = vcpu_create(&vm, 0, guest_user_exits);
		vcpu_restore(vcpu, &saved, i ? ORDER_SELFTESTS : ORDER_QEMU);
		if (!i)
			MUST(!vcpu_set_msr(vcpu, DROSTE_MSR_DELEGATE, delegation), "KVM_SET_MSRS");
		delegation_is(vcpu, !i, "in the new VM");
	}
	vcpu_run_to_sync(vcpu, 99);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void guest_stops(void)
{
	delegate();
	g_sync(1);
}

/* What user space does that ends the delegation. */
static void host_ends(void)
{
	union nested_state none = { .s = { .format = KVM_STATE_NESTED_FORMAT_VMX, .size = sizeof(struct kvm_nested_state) } };
	static union nested_state mine;
	struct vcpu *vcpu;
	struct vm vm;
	u64 val;

	vcpu = vmx_vm(&vm, guest_stops);
	vcpu_run_to_sync(vcpu, 1);
	delegation_is(vcpu, true, "L1 has delegated");
	MUST(!vcpu_get_msr(vcpu, DROSTE_MSR_DELEGATE, &val), "KVM_GET_MSRS");
	nested_get(vcpu, &mine);
	EQ(nested_set(vcpu, &mine), 0, "the same nested state");
	delegation_is(vcpu, false, "after a restore");
	MUST(!vcpu_set_msr(vcpu, DROSTE_MSR_DELEGATE, val), "KVM_SET_MSRS");
	none.s.hdr.vmx.vmxon_pa = 0x800;
	OK(nested_set(vcpu, &none) < 0, "an invalid nested state");
	delegation_is(vcpu, true, "an error changes nothing");
	none.s.hdr.vmx.vmxon_pa = none.s.hdr.vmx.vmcs12_pa = ~0ull;
	EQ(nested_set(vcpu, &none), 0, "outside VMX operation");
	delegation_is(vcpu, false, "outside VMX operation");
	MUST(!vcpu_set_msr(vcpu, DROSTE_MSR_DELEGATE, val), "KVM_SET_MSRS");
	MUST(!vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, 0), "KVM_SET_MSRS");
	delegation_is(vcpu, false, "after a reset");
	vm_destroy(&vm);
}

#define L1	.flags = KSFT_VMX | KSFT_IRQCHIP

static const struct ksft_test tests[] = {
	{ "an interrupt of L1 between operations", .guest = guest_interrupts, L1 },
	{ "an NMI of L1 between operations", .guest = guest_nmis, L1 },
	{ "L1 ends the delegation between operations", .guest = guest_taken_back, L1 },
	{ "L1's preemption timer between operations", .guest = guest_timer, L1 },
	{ "exits to user space, and a new VM at each", .host = host_user_exits },
	{ "what user space ends it by", .host = host_ends },
};

KSFT_MAIN_DROSTE(tests, "the hypercall with a list of operations for L2")
