// SPDX-License-Identifier: GPL-2.0
/* Invalidation of cached translations on this CPU (INVEPT, INVVPID), and allocation of VPIDs. */
#include <linux/bitmap.h>
#include <linux/printk.h>
#include <linux/spinlock.h>
#include <asm/asm.h>
#include "droste.h"
#include "vmx/vmx.h"

/* INVEPT and INVVPID types (SDM 3C 31.3) */
enum { INVEPT_SINGLE = 1, INVEPT_ALL = 2 };
enum { INVVPID_ADDR = 0, INVVPID_SINGLE = 1, INVVPID_ALL = 2 };

/* Both fault after VMX was turned off for a reboot (vmx_going_down). Nothing is cached then. */
static void tlb_invept(unsigned long type, u64 eptp)
{
	struct { u64 eptp, zero; } desc = { eptp, 0 };

	asm goto("1: invept %0, %1\n\t"
		 "jbe %l[bad]\n\t"
		 _ASM_EXTABLE(1b, %l[off])
		 : : "m"(desc), "r"(type) : "memory", "cc" : bad, off);
	return;
bad:
	pr_err_ratelimited("droste: EPTP %llx: mappings not dropped (type %lu)\n", eptp, type);
off:
	return;
}

static void tlb_invvpid(unsigned long type, u16 vpid, u64 gva)
{
	struct { u64 vpid, gva; } desc = { vpid, gva };

	asm goto("1: invvpid %0, %1\n\t"
		 "jbe %l[bad]\n\t"
		 _ASM_EXTABLE(1b, %l[off])
		 : : "m"(desc), "r"(type) : "memory", "cc" : bad, off);
	return;
bad:
	pr_err_ratelimited("droste: VPID %x: mappings not dropped (type %lu)\n", vpid, type);
off:
	return;
}

/**
 * vmx_invept_single() - invalidate the mappings derived from one EPT, on this CPU
 * @eptp: its EPTP
 *
 * Invalidates the guest-physical and combined mappings of all VPIDs
 * (SDM 3C 29.4.3.1).
 *
 * Context: Any. Preemption may be enabled if moving to another CPU flushes, too.
 */
void vmx_invept_single(u64 eptp)
{
	if (vmx_features.invept_single)
		tlb_invept(INVEPT_SINGLE, eptp);
	else
		tlb_invept(INVEPT_ALL, 0);
}

/**
 * vmx_invept_all() - invalidate the mappings derived from any EPT, on this CPU
 *
 * Context: Any, in VMX root operation.
 */
void vmx_invept_all(void)
{
	tlb_invept(INVEPT_ALL, 0);
}

/**
 * vmx_invvpid_single() - invalidate the linear and combined mappings of a VPID, on this CPU
 * @vpid: the VPID, 0 does nothing
 *
 * Context: Any, in VMX root operation.
 */
void vmx_invvpid_single(u16 vpid)
{
	/* Without VPIDs, each VM entry and exit invalidates the mappings (SDM 3C 29.4.3.1). */
	if (!vpid)
		return;
	if (vmx_features.invvpid_single)
		tlb_invvpid(INVVPID_SINGLE, vpid, 0);
	else
		tlb_invvpid(INVVPID_ALL, 0, 0);
}

/**
 * vmx_invvpid_addr() - invalidate the mappings of a linear address, on this CPU
 * @vpid: the VPID, 0 does nothing
 * @gva: the canonical linear address
 *
 * Context: Any, in VMX root operation.
 */
void vmx_invvpid_addr(u16 vpid, u64 gva)
{
	if (!vpid)
		return;
	if (vmx_features.invvpid_addr)
		tlb_invvpid(INVVPID_ADDR, vpid, gva);
	else
		vmx_invvpid_single(vpid);
}

/* The host uses VPID 0 (SDM 3C 29.1). */
#define NR_VPIDS	(1 << 16)
static DECLARE_BITMAP(vpids, NR_VPIDS);
static unsigned int vpid_next = 1;	/* where the search starts, so that a freed VPID is reused late */
static DEFINE_SPINLOCK(vpid_lock);	/* guards vpids and vpid_next */

/**
 * vpid_alloc() - allocate a VPID
 *
 * A CPU may still have mappings of its previous user. They are invalidated
 * when the vCPU first runs on that CPU, as for any vCPU that changes its CPU.
 *
 * Context: Process context. Takes vpid_lock.
 * Return: the VPID, 0 if there is none.
 */
u16 vpid_alloc(void)
{
	unsigned int vpid;

	if (!vmx_features.vpid)
		return 0;
	spin_lock(&vpid_lock);
	vpid = find_next_zero_bit(vpids, NR_VPIDS, vpid_next);
	if (vpid == NR_VPIDS)
		vpid = find_next_zero_bit(vpids, NR_VPIDS, 1);
	if (vpid < NR_VPIDS) {
		__set_bit(vpid, vpids);
		vpid_next = vpid + 1;
	} else {
		vpid = 0;
	}
	spin_unlock(&vpid_lock);
	return vpid;
}

/**
 * vpid_free() - free a VPID
 * @vpid: the VPID, 0 does nothing
 *
 * Context: Process context. Takes vpid_lock.
 */
void vpid_free(u16 vpid)
{
	if (!vpid)
		return;
	spin_lock(&vpid_lock);
	__clear_bit(vpid, vpids);
	spin_unlock(&vpid_lock);
}
