// SPDX-License-Identifier: GPL-2.0
/* KVM_CAP_SYNC_REGS: registers loaded from and stored to kvm_run, also while another thread writes to that page. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vm.h"
#include "guest.h"

#define ALL	(KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS)
#define UNKNOWN	0x80000000ull
#define PORT	0x1000

/* RBX counts the exits. */
static void __attribute__((naked)) guest_count(void)
{
	asm volatile("mov $0x1000, %edx; xor %ebx, %ebx; 1: in %dx, %al; inc %rbx; jmp 1b");
}

static struct vcpu *start(struct vm *vm)
{
	struct vcpu *vcpu;

	vm_create(vm, 0);
	if ((ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) & ALL) != ALL)
		ksft_skip("no KVM_CAP_SYNC_REGS");
	vcpu = vcpu_create(vm, 0, guest_count);
	return vcpu;
}

static void run_to_port(struct vcpu *vcpu)
{
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "exit reason");
	EQ(vcpu->run->io.port, PORT, "port");
}

static void same_as_ioctls(struct vcpu *vcpu)
{
	struct kvm_sync_regs *s = &vcpu->run->s.regs;
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_regs(vcpu, &regs);
	OK(!memcmp(&regs, &s->regs, sizeof(regs)), "registers");
	vcpu_sregs(vcpu, &sregs);
	OK(!memcmp(&sregs, &s->sregs, sizeof(sregs)), "special registers");
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &events);
	OK(!memcmp(&events, &s->events, sizeof(events)), "events");
}

static void host_unknown_sets(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm);
	u64 rip = 0;
	int i;

	for (i = 0; i < 4; i++) {
		u64 sets = i & 1 ? UNKNOWN | ALL : i & 2 ? ALL + 1 : UNKNOWN;

		vcpu->run->kvm_valid_regs = sets;
		EQ(vcpu_run_once(vcpu), -EINVAL, "unknown sets to store");
		vcpu->run->kvm_valid_regs = 0;
		vcpu->run->kvm_dirty_regs = sets;
		vcpu->run->s.regs.regs.rip = rip;
		EQ(vcpu_run_once(vcpu), -EINVAL, "unknown sets to load");
		EQ(vcpu->run->kvm_dirty_regs, sets, "nothing was loaded");
		vcpu->run->kvm_dirty_regs = 0;
	}
	run_to_port(vcpu);
}

static void host_store(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm);
	struct kvm_sync_regs *s = &vcpu->run->s.regs;

	vcpu->run->kvm_valid_regs = ALL;
	run_to_port(vcpu);
	same_as_ioctls(vcpu);
	EQ(s->regs.rbx, 0, "RBX");
	/* Registers not marked dirty are stored, but never loaded. */
	s->regs.rbx = 0xdeadbeef;
	run_to_port(vcpu);
	EQ(s->regs.rbx, 1, "RBX");
	same_as_ioctls(vcpu);
	/* Each set is stored independently. */
	memset(s, 0xaa, sizeof(*s));
	vcpu->run->kvm_valid_regs = KVM_SYNC_X86_SREGS;
	run_to_port(vcpu);
	EQ(s->regs.rbx, 0xaaaaaaaaaaaaaaaa, "registers are not stored");
	EQ(s->events.flags, 0xaaaaaaaa, "events are not stored");
	EQ(s->sregs.cr3, PAGE_TABLES, "special registers are stored");
	vcpu->run->kvm_valid_regs = 0;
	s->sregs.cr3 = 1;
	run_to_port(vcpu);
	EQ(s->sregs.cr3, 1, "nothing is stored");
	/* The sets are also stored if the guest did not run. KVM leaves padding in kvm_run unchanged. */
	memset(s, 0, sizeof(*s));
	vcpu->run->kvm_valid_regs = ALL;
	vcpu->run->immediate_exit = 1;
	EQ(vcpu_run_once(vcpu), -EINTR, "KVM_RUN");
	EQ(s->regs.rbx, 3, "RBX");
	same_as_ioctls(vcpu);
}

static void host_load(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm);
	struct kvm_sync_regs *s = &vcpu->run->s.regs;
	struct kvm_regs regs;

	vcpu->run->kvm_valid_regs = ALL;
	run_to_port(vcpu);
	s->regs.rbx = 0xbad1dea;
	s->sregs.apic_base = 1 << 11;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	run_to_port(vcpu);
	EQ(s->regs.rbx, 0xbad1dea + 1, "RBX");
	EQ(s->sregs.apic_base, 1 << 11, "APIC base");
	EQ(vcpu->run->kvm_dirty_regs, 0, "no set is dirty any more");
	same_as_ioctls(vcpu);
	/* Loaded but not stored. */
	vcpu->run->kvm_valid_regs = 0;
	vcpu->run->kvm_dirty_regs = ALL;
	s->regs.rbx = 0xbbbb;
	run_to_port(vcpu);
	EQ(s->regs.rbx, 0xbbbb, "RBX in kvm_run");
	vcpu_regs(vcpu, &regs);
	EQ(regs.rbx, 0xbbbb + 1, "RBX");
	/* Neither loaded nor stored. */
	regs.rbx = 0xbac0;
	vcpu_set_regs(vcpu, &regs);
	run_to_port(vcpu);
	vcpu_regs(vcpu, &regs);
	EQ(regs.rbx, 0xbac0 + 1, "RBX set by the ioctl");
	EQ(s->regs.rbx, 0xbbbb, "RBX in kvm_run");
}

/* KVM_RUN refuses the values that the ioctls refuse. */
static void host_refused(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm);
	struct kvm_sync_regs *s = &vcpu->run->s.regs, good;

	vcpu->run->kvm_valid_regs = ALL;
	run_to_port(vcpu);
	good = *s;
	s->sregs.cr4 &= ~CR4_PAE;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	EQ(vcpu_run_once(vcpu), -EINVAL, "long mode without PAE");
	EQ(s->sregs.cr4, good.sregs.cr4, "CR4, stored again");
	s->events.exception.injected = 1;
	s->events.exception.nr = 32;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	EQ(vcpu_run_once(vcpu), -EINVAL, "exception 32");
	s->events = good.events;
	s->events.flags = 0x80000000;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	EQ(vcpu_run_once(vcpu), -EINVAL, "unknown flag of the events");
	*s = good;
	vcpu->run->kvm_dirty_regs = ALL;
	run_to_port(vcpu);
	EQ(s->regs.rbx, 1, "RBX");
}

static volatile u64 traps;

static void on_trap(struct trap_regs *r)
{
	traps++;
}

static void guest_traps(void)
{
	g_trap_fn[VEC_UD] = on_trap;
	g_sync(1);
	g_sync(2);
}

/* An exception loaded by KVM_RUN reaches the guest exactly once. */
static void host_events(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_traps);
	vcpu->run->kvm_valid_regs = ALL;
	vcpu_run_to_sync(vcpu, 1);
	vcpu->run->immediate_exit = 1;
	EQ(vcpu_run_once(vcpu), -EINTR, "KVM_RUN");
	vcpu->run->immediate_exit = 0;
	vcpu->run->s.regs.events.exception.injected = 1;
	vcpu->run->s.regs.events.exception.nr = VEC_UD;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	vcpu_run_to_sync(vcpu, 2);
	EQ(GUEST(&vm, traps), 1, "exceptions");
	EQ(vcpu->run->s.regs.events.exception.injected, 0, "the exception was delivered");
	vcpu_run_to_end(vcpu);
}

/* --- races: another thread changes what is being read --- */

static volatile bool stop;

static void *race_cr4(void *arg)
{
	struct kvm_run *run = arg;
	volatile u64 *cr4 = (u64 *)&run->s.regs.sregs.cr4;
	u64 with = *cr4;

	while (!stop) {
		*(volatile u64 *)&run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
		*cr4 = with;
		asm volatile(".rept 512; nop; .endr");
		*cr4 = with & ~CR4_PAE;
	}
	return NULL;
}

static void *race_vector(void *arg)
{
	struct kvm_run *run = arg;
	volatile struct kvm_vcpu_events *e = &run->s.regs.events;

	while (!stop) {
		*(volatile u64 *)&run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
		e->flags = 0;
		e->exception.nr = VEC_UD;
		e->exception.pending = 1;
		e->exception.injected = 1;
		e->exception.nr = 255;
	}
	return NULL;
}

static void *race_sets(void *arg)
{
	struct kvm_run *run = arg;

	while (!stop) {
		*(volatile u64 *)&run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		*(volatile u64 *)&run->kvm_valid_regs = ALL;
		*(volatile u64 *)&run->kvm_dirty_regs = UNKNOWN;
		*(volatile u64 *)&run->kvm_valid_regs = INT64_MIN;
	}
	return NULL;
}

#define RACES 3000

/* The outcome must be a valid state, and an error that KVM_RUN may return. */
static void race(void *(*racer)(void *))
{
	struct kvm_translation tr;
	struct kvm_sregs good, s;
	struct kvm_regs regs;
	struct vm vm;
	struct vcpu *vcpu = start(&vm);
	pthread_t thread;
	int i, ret, ran = 0;

	vcpu->run->kvm_valid_regs = ALL;
	run_to_port(vcpu);
	vcpu->run->kvm_valid_regs = 0;
	vcpu_sregs(vcpu, &good);
	vcpu_regs(vcpu, &regs);
	MUST(!pthread_create(&thread, NULL, racer, vcpu->run), "thread");
	for (i = 0; i < RACES; i++) {
		ret = vcpu_run_once(vcpu);
		OK(!ret || ret == -EINVAL, "KVM_RUN: %d", ret);
		ran += !ret;
		if (!ret && vcpu->run->exit_reason != KVM_EXIT_IO) {
			EQ(vcpu->run->exit_reason, KVM_EXIT_SHUTDOWN, "exit reason");
			vcpu_set_sregs(vcpu, &good);
			vcpu_set_regs(vcpu, &regs);
		}
		vcpu_sregs(vcpu, &s);
		OK(!(s.efer & EFER_LMA) || (s.cr4 & CR4_PAE), "no long mode without PAE");
		tr.linear_address = 0;
		DO(vcpu->fd, KVM_TRANSLATE, &tr);
	}
	stop = true;
	pthread_join(thread, NULL);
	ksft_diag("%d of %d ran", ran, RACES);
}

static void host_race_cr4(void)
{
	race(race_cr4);
}

static void host_race_vector(void)
{
	race(race_vector);
}

static void host_race_sets(void)
{
	race(race_sets);
}

static const struct ksft_test tests[] = {
	{ "unknown sets", .host = host_unknown_sets },
	{ "registers are stored", .host = host_store },
	{ "registers are loaded", .host = host_load },
	{ "registers that are refused", .host = host_refused },
	{ "an exception is loaded", .host = host_events },
	{ "CR4 changes while it is read", .host = host_race_cr4 },
	{ "an exception's vector changes while it is read", .host = host_race_vector },
	{ "the sets change", .host = host_race_sets },
};
KSFT_MAIN(tests)
