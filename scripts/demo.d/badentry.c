// SPDX-License-Identifier: GPL-2.0
/*
 * An L1 whose VMLAUNCH fails: it injects an external interrupt into an L2 that has interrupts disabled. Prints a line when
 * that has happened, and keeps the VM until somebody ends it.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
#include "vm.h"
#include "vmx.h"

/* KSFT needs the list of subtests to be there; there is none. */
const char *ksft_positional = "";

static void l2_code(void)
{
	asm volatile("vmcall");
}

static void l1(void)
{
	vmcs_new(l2_code);
	vmwrite(F_RFLAGS, RFLAGS_FIXED);
	vmwrite(F_ENTRY_INTR_INFO, 0x800000d1);
	G_EQ(vmx_run(), R_FAILED_ENTRY | R_BAD_GUEST, "the entry");
	g_sync(1);
}

int main(void)
{
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	MUST(vm_has_vmx(&vm), "no VMX for guests");
	vcpu = vcpu_create(&vm, 0, l1);
	vcpu_run_to_sync(vcpu, 1);
	puts("badentry: VMLAUNCH has failed");
	fflush(stdout);
	pause();
	return 0;
}
