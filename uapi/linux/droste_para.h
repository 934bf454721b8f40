/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* What Droste offers to its guests: a hypercall that carries out a list of operations. */
#ifndef _UAPI_LINUX_DROSTE_PARA_H
#define _UAPI_LINUX_DROSTE_PARA_H

#include <linux/types.h>

/*
 * CPUID. Droste's leaves begin at the leaf with the signature "DrosteDroste": 0x40000000, or 0x40000100 if another
 * hypervisor's signature is at 0x40000000. The leaf 2 above it has features in EAX, and in EBX the largest number of
 * entries of a list. VMCALL is what the processor makes of it unless EAX has DROSTE_CPUID_MULTICALL.
 */
#define DROSTE_CPUID_SIGNATURE		"DrosteDroste"
#define DROSTE_CPUID_FEATURES		2		/* added to the leaf with the signature */
#define DROSTE_CPUID_MULTICALL		(1U << 0)	/* EAX: VMCALL with DROSTE_MULTICALL in RAX */
#define DROSTE_CPUID_DELEGATE		(1U << 1)	/* EAX: a hypervisor can delegate it to its guest: DROSTE_MSR_DELEGATE */

/*
 * RAX of the VMCALL. RBX is the guest-physical address of a struct droste_multicall. It works in 64-bit code at CPL 0. In
 * all other modes, VMCALL does what it does without this feature.
 */
#define DROSTE_MULTICALL		0xd5000001UL
#define DROSTE_MULTICALL_MAX		64

/**
 * struct droste_multicall_entry - one operation
 * @op: DROSTE_OP_*, or the number of one of KVM's hypercalls: KVM_HC_SEND_IPI, KVM_HC_SCHED_YIELD
 * @a: its arguments; of a hypercall those in RBX, RCX, RDX and RSI
 * @ret: 0 or more if it was carried out, otherwise DROSTE_ERR_*; of a hypercall its result
 */
struct droste_multicall_entry {
	__u64 op;
	__u64 a[4];
	__s64 ret;
};

/**
 * struct droste_multicall - a list of operations
 * @n: how many there are, up to DROSTE_MULTICALL_MAX
 * @done: how many are carried out; 0 before the VMCALL
 * @e: the operations
 *
 * The list is aligned to 8 bytes, and lies in one page of 4 KiB of writable memory. The operations are carried out in
 * order; one that fails does not end the list. After each, @done is incremented.
 *
 * The VMCALL ends early if there is an interrupt to take, or user space has something to do. RIP is at the VMCALL then,
 * and no register has changed. When it is executed again, it goes on at @done. So nothing need be saved and restored but
 * the guest's memory and registers.
 *
 * When all are done RAX is 0. It is DROSTE_ERR_LIST if the list is not as described here, and DROSTE_ERR_MEMORY if there is
 * no memory, or it cannot be read and written. In the latter case, operation @done may have been carried out.
 */
struct droste_multicall {
	__u32 n;
	__u32 done;
	struct droste_multicall_entry e[];
};

/*
 * With DROSTE_CPUID_DELEGATE, a hypervisor L1 can let one of its guests have the hypercall without an exit to L1. It writes
 * to this MSR the physical address of the guest's VMCS, with DROSTE_DELEGATE_ENABLE; any other bit of the low 12 raises #GP.
 * 0 ends that, and so do VMXON, VMCLEAR of this VMCS, a reset, and a migration or other restore of L1 by a user space that
 * does not restore the MSR. The MSR belongs to the logical processor, and acts while this VMCS is the current one and uses
 * EPT. L1 tells the guest by the guest's CPUID. L1 still gets every other VMCALL, and this one outside of 64-bit code
 * at CPL 0 or with its monitor trap flag set, so it must be able to answer it: it may execute the operations itself.
 *
 * All addresses are those of the guest. If L1's EPT does not allow reading and writing the list, L1 gets an EPT violation or
 * misconfiguration without a linear address, with the guest at the VMCALL, which goes on when L1 resumes it. There is no
 * memory for a list in the APIC-access page.
 *
 * Only what L1 lets its guest do is done: WRMSR and RDMSR that L1's MSR bitmap lets through, OUT that does not exit to L1,
 * stores to MMIO that L1's EPT maps. At any other operation, and at one that raises a #GP that L1 intercepts, the VMCALL
 * ends with DROSTE_ERR_TRAP in RAX, and @done is the number of that operation, which is not carried out. The guest executes
 * it as an instruction, increments @done, and calls again.
 */
#define DROSTE_MSR_DELEGATE		0x4000d500
#define DROSTE_DELEGATE_ENABLE		(1U << 0)

/* Operations. Each does what the instruction does at CPL 0; its flags are left alone. */
#define DROSTE_OP_CPUID		0x101	/* leaf a[0], sub-leaf a[1]; results: a[2] = EBX:EAX, a[3] = EDX:ECX */
#define DROSTE_OP_RDMSR		0x102	/* number a[0]; result: a[2] */
#define DROSTE_OP_WRMSR		0x103	/* number a[0], value a[1] */
#define DROSTE_OP_OUT		0x104	/* port a[0], size a[1] of 1, 2 or 4 bytes, value a[2] */
#define DROSTE_OP_MMIO_WRITE	0x105	/* physical address a[0], size a[1] of 1, 2, 4 or 8 bytes, value a[2]; no memory is there */
#define DROSTE_OP_VMREAD	0x106	/* field a[0]; result: a[2] */
#define DROSTE_OP_VMWRITE	0x107	/* field a[0], value a[1] */
#define DROSTE_OP_INVEPT	0x108	/* type a[0], descriptor a[1], a[2] */
#define DROSTE_OP_INVVPID	0x109	/* type a[0], descriptor a[1], a[2] */

/* Results. */
#define DROSTE_ERR_LIST		(-2001)	/* of the VMCALL: number, alignment, or a page boundary in the list */
#define DROSTE_ERR_MEMORY	(-2002)	/* of the VMCALL: there is no such memory */
#define DROSTE_ERR_OP		(-2003)	/* there is no such operation */
#define DROSTE_ERR_ARGUMENT	(-2004)	/* no instruction has such an operand */
#define DROSTE_ERR_TRAP		(-2005)	/* another level handles this: execute the instruction instead; also of the VMCALL */
#define DROSTE_ERR_GP		(-2006)	/* the instruction would raise #GP(0) */
#define DROSTE_ERR_UD		(-2007)	/* the instruction would raise #UD */
#define DROSTE_ERR_VMFAIL(n)	(-2100 - (n))	/* the VMX instruction fails: with error n, or for n = 0 VMfailInvalid */

#endif
