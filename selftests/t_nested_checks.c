// SPDX-License-Identifier: GPL-2.0
/* KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE: the states that must be refused, and the errors. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/mman.h>
#include "save.h"
#include "vmx.h"

#define INVALID	(~0ull)	/* no address */

static void l2_sync(void)
{
	g_sync(50);
	asm volatile("vmcall");
	for (;;)
		g_sync(51);
}

static void guest_with_vmcs(void)
{
	vmcs_new(l2_sync);
	g_sync(1);
	vmx_expect(R_VMCALL, "L2 ends");
	g_sync(2);
}

static void host_header(void)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_with_vmcs);
	union nested_state good, n;
	u64 top = 1ull << 52;
	struct kvm_nested_state *s = &n.s;
	u32 size;

	vcpu_run_to_sync(vcpu, 1);
	vcpu_finish_exit(vcpu);
	EQ(ioctl(vm.dev, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE), sizeof(n), "the capability's value");
	nested_get(vcpu, &good);
	EQ(good.s.size, sizeof(good.s) + 4096, "size with a VMCS");

	for (size = 0; size < good.s.size; size += 64) {
		n.s.size = size;
		FAILS(vcpu->fd, KVM_GET_NESTED_STATE, &n, E2BIG);
		EQ(n.s.size, good.s.size, "required size");
	}
	FAILS(vcpu->fd, KVM_GET_NESTED_STATE, NULL, EFAULT);
	FAILS(vcpu->fd, KVM_SET_NESTED_STATE, NULL, EFAULT);
#define REFUSED(change) do { \
	n = good; \
	change; \
	EQ(nested_set(vcpu, &n), -EINVAL, #change); \
} while (0)
#define TAKEN(change) do { \
	n = good; \
	change; \
	EQ(nested_set(vcpu, &n), 0, #change); \
} while (0)
	REFUSED(s->size = 0);
	REFUSED(s->size = sizeof(*s) - 1);
	REFUSED(s->size = sizeof(*s));
	REFUSED(s->format = KVM_STATE_NESTED_FORMAT_SVM);
	REFUSED(s->format = 0xffff);
	REFUSED(s->flags = KVM_STATE_NESTED_RUN_PENDING);
	REFUSED(s->flags = KVM_STATE_NESTED_EVMCS);
	REFUSED(s->flags = 0x10);
	REFUSED(s->flags = 0x8000);
	REFUSED(s->hdr.vmx.flags = 2);
	REFUSED(s->hdr.vmx.flags = ~0);
	REFUSED(s->hdr.vmx.smm.flags = KVM_STATE_NESTED_SMM_GUEST_MODE);
	REFUSED(s->hdr.vmx.smm.flags = KVM_STATE_NESTED_SMM_VMXON);
	REFUSED(s->hdr.vmx.smm.flags = 3);
	REFUSED(s->hdr.vmx.smm.flags = 4);
	REFUSED(s->hdr.vmx.smm.flags = KVM_STATE_NESTED_SMM_GUEST_MODE; s->flags = KVM_STATE_NESTED_GUEST_MODE);
	REFUSED(s->hdr.vmx.vmxon_pa = 1);
	REFUSED(s->hdr.vmx.vmxon_pa = top);
	REFUSED(s->hdr.vmx.vmxon_pa = INVALID);
	REFUSED(s->hdr.vmx.vmxon_pa = s->hdr.vmx.vmcs12_pa);
	REFUSED(s->hdr.vmx.vmcs12_pa = 0x1008);
	REFUSED(s->hdr.vmx.vmcs12_pa = top);
	REFUSED(s->hdr.vmx.vmcs12_pa = INVALID);
	REFUSED(s->hdr.vmx.vmcs12_pa = INVALID; s->size = sizeof(*s); s->flags = KVM_STATE_NESTED_GUEST_MODE);
	REFUSED(s->hdr.vmx.vmxon_pa = s->hdr.vmx.vmcs12_pa = INVALID; s->flags = KVM_STATE_NESTED_GUEST_MODE);
	REFUSED(s->hdr.vmx.vmxon_pa = s->hdr.vmx.vmcs12_pa = INVALID; s->hdr.vmx.smm.flags = 1);
	/* A VMCS of another hypervisor, and a page that is not a VMCS. */
	REFUSED(s->data.vmx[0].vmcs12[0] ^= 1);
	REFUSED(memset(s->data.vmx[0].vmcs12, 0, 4096));
	REFUSED(s->data.vmx[0].vmcs12[0] ^= 1; s->flags = KVM_STATE_NESTED_GUEST_MODE);
	if (is_droste()) {
		/* The state is unchanged. KVM leaves VMX operation before it checks VMCS12. */
		nested_get(vcpu, &n);
		OK(!memcmp(&n, &good, sizeof(n)), "the state after all refused calls");
	}
	TAKEN(s->hdr.vmx.vmcs12_pa = INVALID; s->size = sizeof(*s));
	nested_get(vcpu, &n);
	EQ(n.s.hdr.vmx.vmxon_pa, good.s.hdr.vmx.vmxon_pa, "in VMX operation");
	EQ(n.s.hdr.vmx.vmcs12_pa, INVALID, "without a VMCS");
	TAKEN(s->hdr.vmx.vmxon_pa = s->hdr.vmx.vmcs12_pa = INVALID);
	nested_get(vcpu, &n);
	EQ(n.s.size, sizeof(*s), "size outside VMX operation");
	EQ(n.s.hdr.vmx.vmxon_pa, INVALID, "outside VMX operation");
	/* L2's fields are checked only if L2 runs; otherwise any VMCS can be current. */
	TAKEN(memset(s->data.vmx[0].vmcs12 + 16, 0xff, 4096 - 16));
	TAKEN(s->flags = 0);
	vcpu_run_to_sync(vcpu, 50);
	vcpu_run_to_sync(vcpu, 2);
	vcpu_run_to_end(vcpu);
}

/* Half of the argument is not mapped. */
static void host_short_memory(void)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_with_vmcs);
	u8 *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_nested_state *s = (void *)(p + 4096 - sizeof(*s));
	union nested_state good;

	munmap(p + 4096, 4096);
	vcpu_run_to_sync(vcpu, 1);
	vcpu_finish_exit(vcpu);
	nested_get(vcpu, &good);
	s->size = sizeof(good);
	FAILS(vcpu->fd, KVM_GET_NESTED_STATE, s, EFAULT);
	*s = good.s;
	FAILS(vcpu->fd, KVM_SET_NESTED_STATE, s, EFAULT);
	s->flags = KVM_STATE_NESTED_GUEST_MODE;
	FAILS(vcpu->fd, KVM_SET_NESTED_STATE, s, EFAULT);
	EQ(nested_set(vcpu, &good), 0, "a valid state");
	vcpu_run_to_sync(vcpu, 50);
	vcpu_run_to_sync(vcpu, 2);
}

static void host_without_vmx(void)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_with_vmcs);
	struct kvm_cpuid2 *c = supported_cpuid(vm.dev);
	union nested_state n = { .s = { .size = sizeof(n.s) } };
	u32 i;

	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == 1)
			c->entries[i].ecx &= ~BIT(5);
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	n.s.hdr.vmx.vmxon_pa = 0x1000;
	n.s.hdr.vmx.vmcs12_pa = INVALID;
	EQ(nested_set(vcpu, &n), -EINVAL, "VMX operation without VMX");
	n.s.hdr.vmx.vmxon_pa = INVALID;
	n.s.flags = KVM_STATE_NESTED_EVMCS;
	EQ(nested_set(vcpu, &n), -EINVAL, "an enlightened VMCS without VMX");
	n.s.flags = 0;
	EQ(nested_set(vcpu, &n), 0, "none");
}

/* VMCSs with which VM entry fails; user space must not set them either. The first one is valid. */
static const struct {
	enum vmcs_field field;
	u64 val;
	bool wide;	/* KVM has no such check and accepts it */
} bad[] = {
	{ F_TSC_OFFSET, 5 }, { F_PIN, ~0u }, { F_PROC, 0 }, { F_EXIT_CTLS, 0 }, { F_ENTRY_CTLS, ~0u },
	{ F_CR3_TARGETS, 5 },
	{ F_ENTRY_CTLS, 0 }, { F_HOST_CR0, 0 }, { F_HOST_CR3, INVALID }, { F_HOST_CR4, 0 }, { F_HOST_CS, 0 },
	{ F_HOST_TR, 0 }, { F_HOST_SS, 3 }, { F_HOST_FS_BASE, 1ul << 63 }, { F_HOST_RIP, 1ul << 63 },
	{ F_GUEST_CR0, 0 }, { F_GUEST_CR4, 0 }, { F_GUEST_CR0, INVALID }, { F_LINK_POINTER, 1 },
	{ F_LINK_POINTER, 0x5000 }, { F_RFLAGS, 0, true }, { F_CS_AR, 0, true }, { F_TR_AR, 0x10000, true },
	{ F_GDTR_LIMIT, 0x10000, true }, { F_RIP, 1ul << 62, true }, { F_INTERRUPTIBILITY, 3, true }, { F_ACTIVITY, 9 },
};

static void guest_bad(void)
{
	u64 i, was;

	vmcs_new(l2_sync);
	vmwrite(F_HOST_RIP, 0x400000);
	vmwrite(F_HOST_RSP, 0x400000);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		was = vmread(bad[i].field);
		vmwrite(bad[i].field, bad[i].val);
		g_sync(i);
		vmwrite(bad[i].field, was);
	}
}

static void host_bad(void)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_bad);
	union nested_state good, n;
	struct saved_vcpu *s = malloc(sizeof(*s));
	u64 i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		vcpu_run_to_sync(vcpu, i);
		if (bad[i].wide && !is_droste())
			continue;
		vcpu_finish_exit(vcpu);
		nested_get(vcpu, &good);
		n = good;
		n.s.flags = KVM_STATE_NESTED_GUEST_MODE;
		if (!i) {
			vcpu_save(vcpu, s);
			EQ(nested_set(vcpu, &n), 0, "a valid VMCS");
			vcpu_run_to_sync(vcpu, 50);
			vm_replace(&vm);
			vcpu = vcpu_create(&vm, 0, NULL);
			vcpu_restore(vcpu, s, ORDER_SELFTESTS);
			continue;
		}
		EQ(nested_set(vcpu, &n), -EINVAL, "field %#x with %#llx", bad[i].field, (long long)bad[i].val);
		n.s.flags |= KVM_STATE_NESTED_RUN_PENDING;
		EQ(nested_set(vcpu, &n), -EINVAL, "field %#x with %#llx, run pending", bad[i].field,
		   (long long)bad[i].val);
		if (is_droste()) {
			nested_get(vcpu, &n);
			OK(!memcmp(&n, &good, sizeof(n)), "the state is unchanged, field %#x", bad[i].field);
		}
		EQ(nested_set(vcpu, &good), 0, "the same state, set while L1 runs");
	}
	vcpu_run_to_end(vcpu);
	free(s);
}

/* --- noise --- */

static u64 rnd(void)
{
	static u64 x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static void on_alarm(int sig)
{
}

/* VMCS12s with a few random bytes: either they are refused, or L2 executes one instruction with that state. */
static void host_noise(void)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_with_vmcs);
	struct kvm_guest_debug dbg = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
	struct saved_vcpu *s = malloc(sizeof(*s));
	union nested_state n;
	const struct itimerval soon = { .it_value.tv_usec = 100000, .it_interval.tv_usec = 100000 }, never = {};
	struct sigaction act = { .sa_handler = on_alarm };
	int i, k, taken = 0, refused = 0, endless = 0;

	if (!is_droste())
		ksft_skip("not tested on KVM");
	vcpu_run_to_sync(vcpu, 1);
	vcpu_run_to_sync(vcpu, 50);
	vcpu_save(vcpu, s);
	sigaction(SIGALRM, &act, NULL);
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &dbg);
	for (i = 0; i < 3000; i++) {
		n = s->nested;
		n.s.flags |= rnd() & (KVM_STATE_NESTED_RUN_PENDING | KVM_STATE_NESTED_MTF_PENDING);
		for (k = rnd() % 3; k >= 0; k--) {
			u64 at = 16 + rnd() % 1100;

			if (rnd() & 1)
				n.s.data.vmx[0].vmcs12[at] = rnd();
			else
				n.s.data.vmx[0].vmcs12[at] ^= 1 << (rnd() & 7);
		}
		if (nested_set(vcpu, &n)) {
			refused++;
			continue;
		}
		taken++;
		/* L2 may loop without an exit. A signal ends KVM_RUN; if it comes too early, the next one does. */
		setitimer(ITIMER_REAL, &soon, NULL);
		endless += vcpu_run_once(vcpu) == -EINTR;
		setitimer(ITIMER_REAL, &never, NULL);
		nested_get(vcpu, &n);
	}
	ksft_diag("%d accepted, %d refused, %d endless", taken, refused, endless);
	OK(taken && refused, "some of each");
	dbg.control = 0;
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &dbg);
	free(s);
}

static const struct ksft_test tests[] = {
	{ "headers that must be refused", .host = host_header },
	{ "memory that ends early", .host = host_short_memory },
	{ "a vCPU without VMX", .host = host_without_vmx },
	{ "VMCSs that fail VM entry", .host = host_bad },
	{ "VMCSs with random bytes", .host = host_noise },
};
KSFT_MAIN(tests)
