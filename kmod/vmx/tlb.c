// SPDX-License-Identifier: GPL-2.0
/* What the processor caches of translations: INVEPT, INVVPID on this CPU, who has which VPID. */
#include <linux/bitmap.h>
#include <linux/printk.h>
#include <linux/spinlock.h>
#include <asm/asm.h>
#include "droste.h"
#include "vmx/vmx.h"

/* INVEPT and INVVPID types (SDM 3C 31.3) */
enum { INVEPT_SINGLE = 1, INVEPT_ALL = 2 };
enum { INVVPID_ADDR = 0, INVVPID_SINGLE = 1, INVVPID_ALL = 2 };

/* Both fault when the machine goes down and VMX is off already (vmx_going_down): nothing is cached then. */
static void invept(unsigned long type, u64 eptp)
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

static void invvpid(unsigned long type, u16 vpid, u64 gva)
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
 * vmx_invept_single() - forget what was derived from one EPT
 * @eptp: its EPTP
 *
 * On this CPU only. Drops guest-physical and combined mappings of all VPIDs
 * (SDM 3C 29.4.3.1).
 */
void vmx_invept_single(u64 eptp)
{
	if (vmx_features.invept_single)
		invept(INVEPT_SINGLE, eptp);
	else
		invept(INVEPT_ALL, 0);
}

/* Forget what was derived from any EPT, on this CPU. */
void vmx_invept_all(void)
{
	invept(INVEPT_ALL, 0);
}

/* Forget the linear and combined mappings of @vpid on this CPU. */
void vmx_invvpid_single(u16 vpid)
{
	/* Without a VPID, each VM entry and exit flushes by itself (SDM 3C 29.4.3.1). */
	if (!vpid)
		return;
	if (vmx_features.invvpid_single)
		invvpid(INVVPID_SINGLE, vpid, 0);
	else
		invvpid(INVVPID_ALL, 0, 0);
}

/* Forget what @vpid has for the canonical linear address @gva, on this CPU. */
void vmx_invvpid_addr(u16 vpid, u64 gva)
{
	if (!vpid)
		return;
	if (vmx_features.invvpid_addr)
		invvpid(INVVPID_ADDR, vpid, gva);
	else
		vmx_invvpid_single(vpid);
}

/* VPID 0 is the host's (SDM 3C 29.1). */
#define NR_VPIDS	(1 << 16)
static DECLARE_BITMAP(vpids, NR_VPIDS);
static unsigned int vpid_next = 1;	/* look here first: a freed one rests as long as possible */
static DEFINE_SPINLOCK(vpid_lock);	/* the two above */

/**
 * vpid_alloc() - take a VPID that no other VMCS uses
 *
 * What a CPU cached for it in an earlier life is dropped when a vCPU comes
 * to that CPU for the first time, as for any vCPU that comes from another.
 *
 * Return: the VPID, or 0 when there is none.
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

void vpid_free(u16 vpid)
{
	if (!vpid)
		return;
	spin_lock(&vpid_lock);
	__clear_bit(vpid, vpids);
	spin_unlock(&vpid_lock);
}
