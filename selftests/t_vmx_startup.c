// SPDX-License-Identifier: GPL-2.0
/*
 * INIT and SIPI to an L1. A SIPI has an effect only in the wait-for-SIPI state; in any other state it is discarded
 * (SDM 3C 26.2, 3A 9.4.3). INIT waits while L1 is in VMX root operation (24.8).
 *
 * The host runs both vCPUs in one thread, so the order of all events is known.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "save.h"
#include "vmx.h"

extern char ap_start[], ap_end[];
extern void (*ap_fn)(void);
void startup_loop(void);
asm(".pushsection .text\n.globl startup_loop\nstartup_loop: pause; jmp startup_loop\n.popsection\n");

#define INIT	0x4500
#define SIPI(v)	(0x4600 | (v))

static volatile u64 icr, ap_starts, ap_reason, ap_qual;

/* vCPU 0 sends what the host asks for. */
static void sender(void)
{
	apic_enable();
	g_copy((void *)LOW_CODE, ap_start, ap_end - ap_start);
	for (;;) {
		g_sync(0);
		apic_icr(1, icr);
	}
}

static void waits_for_sipi(void)
{
	vmcs_new(startup_loop);
	vmwrite(F_ACTIVITY, 3);
	g_sync(2);
	ap_reason = vmx_run();
	ap_qual = vmread(F_QUAL);
}

/* vCPU 1, an L1. It syncs with numbers of its own; 9 means that it runs where it must not. */
static void ap_main(void)
{
	if (ap_starts++) {
		g_sync(9);
		return;
	}
	g_sync(1);
	waits_for_sipi();
	g_sync(3);
	vmwrite(F_RIP, (u64)startup_loop);
	vmwrite(F_ACTIVITY, 0);
	vmx_run();
	g_sync(4);
	/* In VMX root operation. */
	g_sync(5);
	vmxoff();
	g_sync(9);
}

struct pair {
	struct vm vm;
	struct vcpu *bsp, *ap;
};

static void send(struct pair *p, u64 cmd)
{
	GUEST(&p->vm, icr) = cmd;
	vcpu_run_to_sync(p->bsp, 0);
}

static void ap_to(struct pair *p, u64 stage)
{
	vcpu_run_to_sync(p->ap, stage);
}

/* Runs vCPU 1 until it, or its L2, is in the wait-for-SIPI state, and some time longer. */
static void ap_waits(struct pair *p, const char *what)
{
	u64 args[4], kind = vcpu_run_to_mp_state(p->ap, KVM_MP_STATE_INIT_RECEIVED, args);

	MUST(kind == GCALL_NONE, "%s: vCPU 1 does not wait, but syncs at %llu", what, (long long)args[0]);
}

/* Saves vCPU 1 and makes a new VM. vCPU 0 starts again. */
static void migrate(struct pair *p, enum save_order order)
{
	static struct saved_vcpu s;

	vcpu_save(p->ap, &s);
	vm_replace(&p->vm);
	p->bsp = vcpu_create(&p->vm, 0, sender);
	p->ap = vcpu_create(&p->vm, 1, NULL);
	vcpu_restore(p->ap, &s, order);
	vcpu_run_to_sync(p->bsp, 0);
}

static void begin(struct pair *p)
{
	vm_create(&p->vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(&p->vm))
		ksft_skip("no VMX");
	p->bsp = vcpu_create(&p->vm, 0, sender);
	p->ap = vcpu_create(&p->vm, 1, NULL);
	GUEST(&p->vm, ap_fn) = ap_main;
	vcpu_run_to_sync(p->bsp, 0);
	/* As every operating system does. The second SIPI finds the processor running. */
	send(p, INIT);
	send(p, SIPI(LOW_CODE >> 12));
	ap_to(p, 1);
	send(p, SIPI(LOW_CODE >> 12));
	ap_to(p, 2);
	EQ(GUEST(&p->vm, ap_starts), 1, "starts");
}

static void host_sipi(void)
{
	struct pair p;

	begin(&p);
	/* In VMX root operation, right before the entry. */
	send(&p, SIPI(0x33));
	ap_waits(&p, "L2 in wait-for-SIPI");
	send(&p, SIPI(0x34));
	ap_to(&p, 3);
	EQ(GUEST(&p.vm, ap_reason), R_SIPI, "SIPI while L2 waits for it");
	EQ(GUEST(&p.vm, ap_qual), 0x34, "its vector");
	vm_destroy(&p.vm);
}

/* INIT and SIPI in VMX root operation: INIT is taken after VMXOFF, and SIPI is lost. */
static void host_root(void)
{
	struct pair p;

	begin(&p);
	ap_waits(&p, "L2 in wait-for-SIPI");
	send(&p, INIT);
	ap_waits(&p, "INIT in wait-for-SIPI is blocked");
	send(&p, SIPI(0x34));
	ap_to(&p, 3);
	EQ(GUEST(&p.vm, ap_reason), R_SIPI, "SIPI while L2 waits for it");
	/* The INIT is still pending, and exits from an active L2. KVM has dropped it, and L2 runs for ever. */
	ap_to(&p, 4);
	send(&p, INIT);
	send(&p, SIPI(LOW_CODE >> 12));
	ap_to(&p, 5);
	ap_waits(&p, "INIT after VMXOFF");
	EQ(GUEST(&p.vm, ap_starts), 1, "starts");
	send(&p, SIPI(LOW_CODE >> 12));
	ap_to(&p, 9);
	EQ(GUEST(&p.vm, ap_starts), 2, "starts");
	vm_destroy(&p.vm);
}

/* A saved vCPU keeps an INIT that waits, and a SIPI that L2 has received. */
static void host_saved(enum save_order order)
{
	struct pair p;

	begin(&p);
	if (ioctl(p.vm.dev, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE) <= 0)
		ksft_skip("no nested state");
	ap_waits(&p, "L2 in wait-for-SIPI");
	send(&p, SIPI(0x35));
	migrate(&p, order);
	ap_to(&p, 3);
	EQ(GUEST(&p.vm, ap_reason), R_SIPI, "SIPI while L2 waits for it");
	EQ(GUEST(&p.vm, ap_qual), 0x35, "its vector");
	send(&p, INIT);
	migrate(&p, order);
	ap_to(&p, 4);
	send(&p, INIT);
	send(&p, SIPI(LOW_CODE >> 12));
	ap_to(&p, 5);
	migrate(&p, order);
	ap_waits(&p, "INIT after VMXOFF");
	migrate(&p, order);
	ap_waits(&p, "and after another migration");
	send(&p, SIPI(LOW_CODE >> 12));
	ap_to(&p, 9);
	vm_destroy(&p.vm);
}

static void host_saved_qemu(void)
{
	host_saved(ORDER_QEMU);
}

static void host_saved_selftests(void)
{
	host_saved(ORDER_SELFTESTS);
}

static const struct ksft_test tests[] = {
	{ "SIPIs to a running L1 are discarded", .host = host_sipi },
	{ "INIT and SIPI in VMX root operation", .host = host_root },
	{ "state of INIT and SIPI, restored in QEMU's order", .host = host_saved_qemu },
	{ "state of INIT and SIPI, restored in the selftests' order", .host = host_saved_selftests },
};
KSFT_MAIN(tests)
