/* SPDX-License-Identifier: GPL-2.0 */
/* An L2 for a vCPU of an L1 with several of them. */
#ifndef BENCH_L2_H
#define BENCH_L2_H

#include "vmx.h"

/* Enters VMX operation, and makes a VMCS current that runs @body with EPT. Memory is given to one vCPU at a time. */
static void l2_prepare(void (*body)(void))
{
	static u8 no_bits[4096] __attribute__((aligned(4096)));
	static volatile u64 filling;
	u64 vmcs;

	vmx_enable();
	G_EQ(vmxon(vmx_region()), VM_OK, "VMXON");
	while (__atomic_exchange_n(&filling, 1, __ATOMIC_ACQUIRE))
		relax();
	vmcs = vmx_region();
	vmclear(vmcs);
	vmptrld(vmcs);
	vmcs_fill(body);
	vmcs_ask_usual(no_bits, ept_new());
	__atomic_store_n(&filling, 0, __ATOMIC_RELEASE);
}

#endif
