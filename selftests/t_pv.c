// SPDX-License-Identifier: GPL-2.0
/* What a guest that waits for a lock, or has no CPU, says and is told: the kick that ends a HLT, and "preempted". */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vm.h"
#include "vmx.h"

/* --- a kick ends a HLT --- */

#define HC_KICK_CPU	5
#define ENOSYS_HC	(-1000l)

static volatile u64 halted;

static u64 kick(u64 apic)
{
	u64 rax = HC_KICK_CPU;

	asm volatile("vmcall" : "+a" (rax) : "b" (0), "c" (apic) : "memory");
	return rax;
}

/* HLT with interrupts disabled: only a kick or an NMI ends it. */
static void halt_once(void)
{
	halted++;
	asm volatile("cli; hlt" : : : "memory");
}

/* vCPU 1 halts, until vCPU 0 kicks it. */
static void guest_halts(void)
{
	for (;;) {
		halt_once();
		g_sync(1);
	}
}

static void guest_kicks(void)
{
	static const u64 bad[] = { 2, 7, 254, 256, ~0ul >> 1 };
	u64 i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		G_EQN(kick(bad[i]), 0, "a kick of an APIC ID that does not exist", bad[i]);
	g_sync(1);
	G_EQ(kick(1), 0, "a kick");
	g_sync(2);
	/* A kick before HLT ends the next one. */
	G_EQ(kick(0), 0, "a kick of itself");
	halt_once();
	g_sync(3);
}

static void enforce(struct vcpu *vcpu)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args[0] = 1 };

	if (ioctl(vcpu->fd, KVM_ENABLE_CAP, &cap))
		ksft_skip("no KVM_CAP_ENFORCE_PV_FEATURE_CPUID");
}

static void host_kick(void)
{
	struct vm vm;
	struct vcpu *v[2];
	u64 args[4];

	vm_create(&vm, KSFT_IRQCHIP);
	v[0] = vcpu_create(&vm, 0, guest_kicks);
	v[1] = vcpu_create(&vm, 1, guest_halts);
	DO(v[1]->fd, KVM_SET_MP_STATE, (&(struct kvm_mp_state) { KVM_MP_STATE_RUNNABLE }));
	enforce(v[0]);
	EQ(vcpu_run_to_mp_state(v[1], KVM_MP_STATE_HALTED, args), GCALL_NONE, "vCPU 1 halts");
	vcpu_run_to_sync(v[0], 1);
	EQ(vcpu_mp_state(v[1]), KVM_MP_STATE_HALTED, "a kick of others does not wake it");
	vcpu_run_to_sync(v[0], 2);
	EQ(vcpu_mp_state(v[1]), KVM_MP_STATE_RUNNABLE, "a vCPU that was kicked is saved as runnable");
	vcpu_run_to_sync(v[1], 1);
	EQ(vcpu_run_to_mp_state(v[1], KVM_MP_STATE_HALTED, args), GCALL_NONE, "the kick is used up: vCPU 1 halts again");
	/* As a VMM restores it elsewhere. */
	DO(v[1]->fd, KVM_SET_MP_STATE, (&(struct kvm_mp_state) { KVM_MP_STATE_RUNNABLE }));
	vcpu_run_to_sync(v[1], 1);
	vcpu_run_to_sync(v[0], 3);
	EQ(vcpu_mp_state(v[0]), KVM_MP_STATE_RUNNABLE, "a kick before HLT ends it");
	vcpu_run_to_end(v[0]);
	vm_destroy(&vm);
}

/* The kick is for L1: it does not end a HLT of L1's guest. */
static void l2_halts(void)
{
	asm volatile("cli; hlt; vmcall" : : : "memory");
}

static void on_nmi(struct trap_regs *r)
{
}

static void guest_l2_halts(void)
{
	g_trap_fn[2] = on_nmi;
	vmx_on();
	vmcs_new(l2_halts);
	vmclr(F_PIN, PIN_NMI);
	vmclr(F_PROC, PROC_HLT);
	vmx_expect(R_VMCALL, "L2 goes on");
	g_sync(1);
	halt_once();
	g_sync(2);
}

static void guest_kicks_other(void)
{
	G_EQ(kick(1), 0, "a kick");
	g_sync(1);
}

static void host_kick_l2(void)
{
	struct vm vm;
	struct vcpu *v[2];
	u64 args[4];

	vm_create(&vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	v[0] = vcpu_create(&vm, 0, guest_kicks_other);
	v[1] = vcpu_create(&vm, 1, guest_l2_halts);
	DO(v[1]->fd, KVM_SET_MP_STATE, (&(struct kvm_mp_state) { KVM_MP_STATE_RUNNABLE }));
	enforce(v[0]);
	EQ(vcpu_run_to_mp_state(v[1], KVM_MP_STATE_HALTED, args), GCALL_NONE, "L2 halts");
	vcpu_run_to_sync(v[0], 1);
	EQ(vcpu_mp_state(v[1]), KVM_MP_STATE_HALTED, "L2 is saved as halted");
	EQ(vcpu_run_to_mp_state(v[1], KVM_MP_STATE_HALTED, args), GCALL_NONE, "L2 stays halted");
	/* L2 takes an NMI, which is not the kick's doing. */
	DO(v[1]->fd, KVM_NMI, 0);
	vcpu_run_to_sync(v[1], 1);
	vcpu_run_to_sync(v[1], 2);	/* the kick ends L1's next HLT */
	vm_destroy(&vm);
}

static void guest_kicks_in_vain(void)
{
	G_EQ(kick(0), ENOSYS_HC, "without the feature bit");
}

static void host_no_kick(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;
	u32 i;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_kicks_in_vain);
	c = supported_cpuid(vm.dev);
	for (i = 0; i < c->nent; i++) {
		if (c->entries[i].function != 0x40000001)
			continue;
		OK(c->entries[i].eax & BIT(7), "KVM_FEATURE_PV_UNHALT is offered");
		OK(!(c->entries[i].eax & BIT(9)), "KVM_FEATURE_PV_TLB_FLUSH is not");
		c->entries[i].eax &= ~BIT(7);
	}
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	free(c);
	enforce(vcpu);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- a vCPU without a CPU says so --- */

#define MSR_STEAL_TIME	0x4b564d03

static volatile struct {
	u64 steal;
	u32 version, flags;
	u8 preempted, pad[47];
} stolen[2] __attribute__((aligned(64)));

static volatile u64 stop, count;

static void one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	MUST(!sched_setaffinity(0, sizeof(set), &set), "CPU 0");
}

static void guest_says(void)
{
	wrmsr(MSR_STEAL_TIME, (u64)&stolen[0] | 1);
	for (;;) {
		/* A vCPU that runs never finds itself without a CPU. */
		G_EQ(stolen[0].preempted, 0, "it runs");
		g_sync(1);
	}
}

static void guest_says_busy(void)
{
	wrmsr(MSR_STEAL_TIME, (u64)&stolen[1] | 1);
	while (!stop)
		count++;
}

/* Sees vCPU 1 without a CPU, which it has taken from it. */
static void guest_watches(void)
{
	u64 i, seen = 0;

	for (i = 0; i < 2000; i++)
		seen += stolen[1].preempted == 1;
	G_EQ(seen, 2000, "the other vCPU has no CPU while this one runs");
}

static void host_preempted(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	pthread_t t;
	int i;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_says);
	GUEST(&vm, stolen)[0].preempted = 0;
	for (i = 0; i < 3; i++) {
		vcpu_run_to_sync(vcpu, 1);
		EQ(GUEST(&vm, stolen)[0].preempted, 1, "a vCPU that does not run is marked");
	}
	EQ(vcpu_set_msr(vcpu, MSR_STEAL_TIME, 0), 0, "off");
	GUEST(&vm, stolen)[0].preempted = 0;
	vcpu_run_to_sync(vcpu, 1);
	EQ(GUEST(&vm, stolen)[0].preempted, 0, "no longer marked");
	vm_destroy(&vm);

	one_cpu();
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_watches);
	vcpu_create(&vm, 1, guest_says_busy);
	DO(vm.vcpu[1].fd, KVM_SET_MP_STATE, (&(struct kvm_mp_state) { KVM_MP_STATE_RUNNABLE }));
	vcpu_thread(&vm.vcpu[1], &t);
	while (!__atomic_load_n(&GUEST(&vm, count), __ATOMIC_RELAXED))
		sched_yield();
	vcpu_run_to_end(vcpu);
	GUEST(&vm, stop) = 1;
	pthread_join(t, NULL);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "a kick by hypercall ends HLT", .host = host_kick },
	{ "a kick does not end a HLT of L2", .host = host_kick_l2 },
	{ "the kick's feature bit", .host = host_no_kick },
	{ "a vCPU without a CPU is marked", .host = host_preempted },
};
KSFT_MAIN(tests)
